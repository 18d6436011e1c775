// Seed 003, lines 40-51: cache-aside by SETEX; after the entry's time the database is asked again, once by each who asks.
import Redis from "ioredis";
import { about, Database, show, until } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
const db = new Database();
await db.update(1, { id: 1, name: "Ada" });
async function user(id) {
  const cached = await redis.get(`user:${id}`);
  if (cached) return JSON.parse(cached);
  const row = await db.find(id);
  if (row) await redis.setex(`user:${id}`, 3600, JSON.stringify(row));
  return row;
}

show("miss, hit", [await user(1), await user(1), db.asked]);
show("ttl", about(3600, await redis.ttl("user:1")));
show("nobody", [await user(2), await user(2), db.asked, await redis.exists("user:2")]);
await redis.pexpire("user:1", 20);
await until(async () => (await redis.exists("user:1")) === 0);
show("expired", [await user(1), db.asked]);
await redis.del("user:1");
await Promise.all(Array.from({ length: 10 }, () => user(1)));
show("a herd", db.asked);
await redis.quit();
