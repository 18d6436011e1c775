// Fastify with @fastify/redis: a cache behind two routes, namespaces, a client of one's own; the listener stopped and started.
import fastifyRedis from "@fastify/redis";
import Fastify from "fastify";
import Redis from "ioredis";
import { about, listener, show, until } from "./lib.js";

const options = { retryStrategy: () => 20, maxRetriesPerRequest: null };
const app = Fastify();
const own = new Redis(process.env.REDIS_URL, { ...options, db: 2 });
await app.register(fastifyRedis, { url: process.env.REDIS_URL, namespace: "cache", ...options });
await app.register(fastifyRedis, { client: own, namespace: "counters", closeClient: true });
app.redis.cache.on("error", () => {});
own.on("error", () => {});

let asked = 0;
app.get("/users/:id", async (request, reply) => {
  const key = `user:${request.params.id}`;
  const cached = await app.redis.cache.get(key);
  reply.header("x-cache", cached ? "hit" : "miss");
  if (cached) return JSON.parse(cached);
  const user = { id: request.params.id, asked: ++asked };
  await app.redis.cache.set(key, JSON.stringify(user), "EX", 60);
  return user;
});
app.post("/hits", async () => ({ hits: await app.redis.counters.incr("hits") }));
app.get("/wrong", async () => app.redis.counters.lpush("hits", "x"));
app.setErrorHandler((error, request, reply) => reply.status(500).send({ error: error.message }));

const url = await app.listen({ port: 0, host: "127.0.0.1" });
const visit = async (method, path) => {
  const reply = await fetch(url + path, { method });
  return [reply.status, reply.headers.get("x-cache"), await reply.text()];
};
show("miss", await visit("GET", "/users/7"));
show("hit", await visit("GET", "/users/7"));
show("ttl", about(60, await app.redis.cache.ttl("user:7")));
show("hits", [await visit("POST", "/hits"), await visit("POST", "/hits")]);
show("databases", [await app.redis.cache.dbsize(), await app.redis.counters.dbsize()]);
show("wrong", await visit("GET", "/wrong"));
await listener("stop");
const asking = visit("POST", "/hits");
await listener("start");
show("asked while down", await asking);
show("hit again", await visit("GET", "/users/7"));
await app.close();
show("closed", await until(() => [app.redis.cache, own].every((client) => client.status === "end")));
