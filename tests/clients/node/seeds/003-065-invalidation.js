// Seed 003, lines 65-82: three ways to invalidate: by time, by DEL with the row, by a pattern's keys; and by SCAN instead of KEYS.
import Redis from "ioredis";
import { about, Database, show, until } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
const db = new Database();
show("by time", [await redis.setex("report", 3600, "{}"), about(3600, await redis.ttl("report"))]);
show("a moment", await redis.psetex("moment", 20, "{}"));
await until(async () => (await redis.get("moment")) === null);
show("over", await redis.ttl("moment"));

await db.update(1, { name: "Ada" });
await redis.set("user:1", "cached");
async function remove(id) {
  db.rows.delete(id);
  return redis.del(`user:${id}`);
}
show("by row", [await remove(1), await remove(1), await redis.exists("user:1")]);

async function invalidate(id) {
  const keys = await redis.keys(`user:${id}:*`);
  return keys.length > 0 ? redis.del(...keys) : 0;
}
const fill = () => redis.mset(Object.fromEntries(["user:5:a", "user:5:b:c", "user:5:", "user:55:a", "user:5"].map((key) => [key, "x"])));
show("fill", await fill());
show("by pattern", [await invalidate(5), await invalidate(5), (await redis.keys("user:*")).sort()]);
await fill();
const found = new Set();
for await (const page of redis.scanStream({ match: "user:5:*", count: 2 })) page.forEach((key) => found.add(key));
show("by scan", [[...found].sort(), await redis.unlink(...found)]);
show("special characters", [await redis.mset("a[b]", 1, "ab", 2, "a?", 3), await redis.keys("a\\[*"), (await redis.keys("a?")).sort()]);
await redis.quit();
