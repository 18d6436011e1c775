// Seed 001, lines 358-505: limits in fixed and in sliding windows as a service. (The token bucket, lines
// 454-504, is a script.)
import Redis from "ioredis";
import { about, show } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);

async function fixed(name, { points, duration }, now) {
  const start = Math.floor(now / 1000 / duration) * duration;
  const key = `ratelimit:fixed:${name}:${start}`;
  const count = await redis.incr(key);
  if (count === 1) await redis.expire(key, duration);
  const resetAt = (start + duration) * 1000;
  const result = { allowed: count <= points, remaining: Math.max(0, points - count), resetAt };
  return count > points ? { ...result, retryAfter: resetAt - now } : result;
}
async function sliding(name, { points, duration }, now) {
  const key = `ratelimit:sliding:${name}`;
  const replies = await redis.pipeline()
    .zremrangebyscore(key, "-inf", now - duration * 1000)
    .zadd(key, now, `${now}:${Math.random()}`)
    .zcard(key)
    .expire(key, duration)
    .exec();
  const count = replies[2][1];
  const result = { allowed: count <= points, remaining: Math.max(0, points - count), resetAt: now + duration * 1000 };
  if (result.allowed) return result;
  return { ...result, removed: await redis.zremrangebyscore(key, now, now), retryAfter: duration * 1000 };
}

const [limit, then] = [{ points: 3, duration: 60 }, 1_700_000_000_000];
for (const [name, check] of [["fixed", fixed], ["sliding", sliding]]) {
  for (let n = 0; n < 5; n++) show(name, await check("ip", limit, then + n * 5000));
  show(`${name}, the next window`, await check("ip", limit, then + 61_000));
  show(`${name}, another's`, await check("other", limit, then));
}
const keys = (await redis.keys("ratelimit:*")).sort();
show("keys", keys);
for (const key of keys) show(key, [about(60, await redis.ttl(key)), await redis.type(key)]);
show("window", (await redis.zrange("ratelimit:sliding:ip", 0, -1, "WITHSCORES")).filter((_, n) => n % 2));
await redis.quit();
