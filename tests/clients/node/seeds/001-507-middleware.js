// Seed 001, lines 507-530: the sliding limit as middleware of Express, with its four headers.
import express from "express";
import Redis from "ioredis";
import { serve, show } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
const limited = ({ points, duration }) => async (req, res, next) => {
  const [key, now] = [`ratelimit:sliding:${req.ip}`, Date.now()];
  const member = `${now}:${Math.random()}`;
  const window = redis.pipeline().zremrangebyscore(key, "-inf", now - duration * 1000).zadd(key, now, member);
  const [, , [, count]] = await window.zcard(key).expire(key, duration).exec();
  res.setHeader("X-RateLimit-Limit", points);
  res.setHeader("X-RateLimit-Remaining", Math.max(0, points - count));
  res.setHeader("X-RateLimit-Reset", now + duration * 1000);
  if (count <= points) return next();
  await redis.zrem(key, member);
  res.setHeader("Retry-After", duration);
  res.status(429).json({ error: "Too many requests", retryAfter: duration * 1000 });
};

const app = express();
app.use(limited({ points: 3, duration: 1 }));
app.get("/", (req, res) => res.json({ ok: true }));
const { visit, close } = await serve(app, "x-ratelimit-limit", "x-ratelimit-remaining", "retry-after", "x-ratelimit-reset");
async function ask() {
  const { status, headers, body } = await visit("GET", "/");
  const reset = Number(headers.pop()) - Date.now();
  show("reply", [status, headers, body, reset > 0 && reset <= 1000]);
}
for (let n = 0; n < 5; n++) await ask();
show("window", await redis.zcard((await redis.keys("ratelimit:*"))[0]));
await new Promise((done) => setTimeout(done, 1100));
await ask();
await close();
await redis.quit();
