// Seed 000, lines 65-85: cache-aside with SETEX, invalidated by DEL when the row changes.
import Redis from "ioredis";
import { about, Database, show } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
const db = new Database();
await db.update(7, { id: 7, name: "Ada" });

async function user(id) {
  const hit = await redis.get(`user:${id}`);
  if (hit) return JSON.parse(hit);
  const row = await db.find(id);
  await redis.setex(`user:${id}`, 3600, JSON.stringify(row));
  return row;
}
async function rename(id, name) {
  await db.update(id, { name });
  return redis.del(`user:${id}`);
}

show("miss", [await user(7), db.asked, about(3600, await redis.ttl("user:7"))]);
show("hit", [await user(7), db.asked]);
show("changed", [await rename(7, "Grace"), await redis.exists("user:7")]);
show("miss again", [await user(7), db.asked]);
show("nobody", [await user(8), await redis.get("user:8"), await user(8), db.asked]);
await redis.quit();
