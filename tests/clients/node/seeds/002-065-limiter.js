// Seed 002, lines 65-79: a limit by INCR, EXPIRE at the first request of a window.
import Redis from "ioredis";
import { about, show, sleep } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
async function allowed(ip, limit, seconds) {
  const count = await redis.incr(`ratelimit:${ip}`);
  if (count === 1) await redis.expire(`ratelimit:${ip}`, seconds);
  return count <= limit;
}

const tries = [];
for (let n = 0; n < 5; n++) tries.push(await allowed("10.0.0.1", 3, 60));
show("three of five", tries);
show("another", await allowed("10.0.0.2", 3, 60));
show("count", [await redis.get("ratelimit:10.0.0.1"), about(60, await redis.ttl("ratelimit:10.0.0.1"))]);
const brief = [await allowed("10.0.0.3", 1, 1), await allowed("10.0.0.3", 1, 1)];
await sleep(1050);
show("a second later", [brief, await allowed("10.0.0.3", 1, 1)]);
const together = await Promise.all(Array.from({ length: 50 }, () => allowed("10.0.0.4", 20, 60)));
show("together", together.filter((one) => one).length);
await redis.quit();
