// Seed 003, lines 52-64: write-through: the database first, then the cache, which never has anything stale.
import Redis from "ioredis";
import { about, Database, show } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
const db = new Database();
async function update(id, changes) {
  const row = await db.update(id, changes);
  const reply = await redis.setex(`user:${id}`, 3600, JSON.stringify(row));
  return [row, reply];
}
const read = async (id) => JSON.parse(await redis.get(`user:${id}`));

show("write", await update(1, { name: "Ada" }));
show("read", [await read(1), db.asked]);
await redis.expire("user:1", 10);
show("write again", await update(1, { mail: "ada@example.org" }));
show("read", [await read(1), about(3600, await redis.ttl("user:1"))]);
for (let n = 0; n < 20; n++) await update(n, { n });
const cached = await redis.mget(...Array.from({ length: 20 }, (_, n) => `user:${n}`));
show("all the same as the database", cached.every((text, n) => text === JSON.stringify(db.rows.get(n))));
await redis.quit();
