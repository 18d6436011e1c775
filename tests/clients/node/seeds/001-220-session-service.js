// Seed 001, lines 220-356: sessions as hashes, a user's sessions in a set: create, get, update, refresh, destroy, all of a user.
import { randomUUID } from "node:crypto";
import Redis from "ioredis";
import { about, refused, show } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
const week = 7 * 86400;
const at = (id) => `session:${id}`;
const of = (user) => `user_sessions:${user}`;

async function create(user, data = {}) {
  const [id, now] = [randomUUID(), Date.now()];
  const fields = { userId: user, data: JSON.stringify(data), createdAt: `${now}`, expiresAt: `${now + week * 1000}` };
  const made = redis.pipeline().hset(at(id), fields).expire(at(id), week).sadd(of(user), id).expire(of(user), week);
  return { id, replies: await made.exec() };
}
async function get(id) {
  const fields = await redis.hgetall(at(id));
  if (!fields.userId) return null;
  return { userId: fields.userId, data: JSON.parse(fields.data), lives: Number(fields.expiresAt) - Number(fields.createdAt) };
}
async function update(id, data) {
  if (!(await redis.exists(at(id)))) throw new Error("Session not found");
  return redis.hset(at(id), "data", JSON.stringify(data));
}
async function refresh(id) {
  if (!(await get(id))) throw new Error("Session not found");
  return redis.pipeline().hset(at(id), "expiresAt", `${Date.now() + week * 1000}`).expire(at(id), week).exec();
}
async function destroy(id) {
  const session = await get(id);
  return session && redis.pipeline().del(at(id)).srem(of(session.userId), id).exec();
}
async function destroyAll(user) {
  const ids = await redis.smembers(of(user));
  if (ids.length === 0) return 0;
  const pipeline = redis.pipeline();
  for (const id of ids) pipeline.del(at(id));
  await pipeline.del(of(user)).exec();
  return ids.length;
}
async function sessions(user) {
  const found = await Promise.all((await redis.smembers(of(user))).map(get));
  return found.filter((session) => session).map((session) => session.data);
}

const one = await create("ada", { theme: "dark" });
show("create", one.replies);
show("get", await get(one.id));
show("ttl", [about(week, await redis.ttl(at(one.id))), about(week, await redis.ttl(of("ada"))), await redis.type(at(one.id))]);
show("update", [await update(one.id, { theme: "light" }), (await get(one.id)).data]);
show("the update leaves the ttl", about(week, await redis.ttl(at(one.id))));
await redis.expire(at(one.id), 100);
show("refresh", [await refresh(one.id), about(week, await redis.ttl(at(one.id)))]);
show("nobody", [await get("none"), await refused(() => update("none", {})), await refused(() => refresh("none")), await destroy("none")]);
for (const n of [2, 3]) await create("ada", { n });
await create("bob");
show("ada's", (await sessions("ada")).map((data) => JSON.stringify(data)).sort());
show("destroy", [await destroy(one.id), await get(one.id), await redis.scard(of("ada"))]);
show("destroy all", [await destroyAll("ada"), await destroyAll("ada"), await sessions("ada"), await sessions("bob")]);
show("what is left", (await redis.keys("*")).map((key) => key.replace(/[0-9a-f-]{36}/, "ID")).sort());
await redis.quit();
