// Seed 000, lines 135-150: a limit in a window that slides, in a sorted set of times.
import Redis from "ioredis";
import { about, show } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
let now = 1_700_000_000_000;
async function allowed(key, limit, seconds) {
  await redis.zremrangebyscore(key, 0, now - seconds * 1000);
  if ((await redis.zcard(key)) >= limit) return false;
  await redis.zadd(key, now, `${now}`);
  await redis.expire(key, seconds);
  return true;
}

const seen = [];
for (let n = 0; n < 8; n++) {
  seen.push(await allowed("limit", 3, 60));
  now += 10_000;
}
show("eight requests, ten seconds apart", seen);
show("window", await redis.zrange("limit", 0, -1, "WITHSCORES"));
show("ttl", about(60, await redis.ttl("limit")));
now += 59_999;
show("just before its end", [await allowed("limit", 3, 60), await redis.zcard("limit")]);
// Two requests of one millisecond are one member.
show("at once", [await allowed("other", 5, 60), await allowed("other", 5, 60), await redis.zcard("other")]);
await redis.quit();
