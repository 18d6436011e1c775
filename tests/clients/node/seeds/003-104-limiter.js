// Seed 003, lines 104-133: a sliding window of a hundred requests a minute, as middleware with the header of what remains.
import express from "express";
import Redis from "ioredis";
import { about, serve, show } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
const [seconds, most] = [60, 100];
async function check(ip) {
  const [key, now] = [`ratelimit:${ip}`, Date.now()];
  await redis.zremrangebyscore(key, 0, now - seconds * 1000);
  const count = await redis.zcard(key);
  if (count >= most) return { allowed: false, remaining: 0 };
  await redis.zadd(key, now, `${now}:${Math.random()}`);
  await redis.expire(key, seconds);
  return { allowed: true, remaining: most - count - 1 };
}

const app = express();
app.use(async (req, res, next) => {
  const { allowed, remaining } = await check(req.ip);
  res.set("X-RateLimit-Remaining", `${remaining}`);
  if (!allowed) return res.status(429).json({ error: "too many requests" });
  next();
});
app.get("/", (req, res) => res.json({ ok: true }));
const { visit, close } = await serve(app, "x-ratelimit-remaining");
const replies = [];
for (let n = 0; n < 103; n++) replies.push(await visit("GET", "/"));
show("remaining", replies.map((reply) => reply.headers[0]).join(" "));
show("refused", replies.filter((reply) => reply.status === 429).map((reply) => reply.body));
const [key] = await redis.keys("*");
show("window", [key, await redis.zcard(key), about(60, await redis.ttl(key))]);
// The oldest ten leave the window.
const oldest = await redis.zrange(key, 0, 9);
for (const member of oldest) await redis.zadd(key, Date.now() - 61_000, member);
const next = await visit("GET", "/");
show("ten have left", [next.status, next.headers, await redis.zcard(key)]);
await close();
await redis.quit();
