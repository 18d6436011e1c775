// Seed 000, lines 115-134: a limit in fixed windows, by INCR and EXPIRE, as middleware of Express.
import express from "express";
import Redis from "ioredis";
import { about, serve, show } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
const limit = 100;
async function allowed(ip) {
  const count = await redis.incr(`rate_limit:${ip}`);
  if (count === 1) await redis.expire(`rate_limit:${ip}`, 60);
  return count <= limit;
}

const app = express();
app.use(async (req, res, next) => {
  if (await allowed(req.ip)) return next();
  res.status(429).json({ error: "Too many requests" });
});
app.get("/", (req, res) => res.json({ ok: true }));

const { visit, close } = await serve(app);
const replies = await Promise.all(Array.from({ length: 110 }, () => visit("GET", "/")));
show("served", replies.filter((reply) => reply.status === 200).length);
show("refused", replies.filter((reply) => reply.status === 429).length);
show("body", replies.find((reply) => reply.status === 429).body);
const [key] = await redis.keys("rate_limit:*");
show("key", [key, await redis.get(key), about(60, await redis.ttl(key))]);
// A window that has ended, without the wait.
await redis.pexpire(key, 1);
while (await redis.exists(key)) await new Promise((done) => setTimeout(done, 5));
show("a new window", [(await visit("GET", "/")).status, await redis.get(key), about(60, await redis.ttl(key))]);
await close();
await redis.quit();
