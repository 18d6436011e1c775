// Seed 002, lines 22-49: cache-aside with SET EX; who is not found is an error and is not cached.
import Redis from "ioredis";
import { about, Database, refused, show } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
const users = new Database();
await users.update("7", { id: "7", name: "Ada" });

async function find(id) {
  const cached = await redis.get(`user:${id}`);
  if (cached) return JSON.parse(cached);
  const user = await users.find(id);
  if (!user) throw new Error("not found");
  await redis.set(`user:${id}`, JSON.stringify(user), "EX", 3600);
  return user;
}
async function update(id, changes) {
  const user = await users.update(id, changes);
  return { user, removed: await redis.del(`user:${id}`) };
}

show("miss", [await find("7"), users.asked]);
show("hit", [await find("7"), users.asked, about(3600, await redis.ttl("user:7"))]);
show("not found", [await refused(() => find("8")), await redis.exists("user:8")]);
show("update", await update("7", { name: "Grace" }));
show("update again", await update("7", { name: "Hedy" }));
show("miss", [await find("7"), users.asked]);
show("together", new Set((await Promise.all(Array.from({ length: 50 }, () => find("7")))).map((user) => user.name)).size);
await redis.quit();
