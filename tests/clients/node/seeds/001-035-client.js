// Seed 001, lines 35-95: client set-up with a retry strategy, reconnectOnError, one instance, events, quit, a health check.
import Redis from "ioredis";
import { listener, refused, show, until } from "../lib.js";

const { REDIS_PORT } = process.env;
const events = [];
let [redis, delays] = [null, []];

function instance() {
  if (redis) return redis;
  redis = new Redis({
    host: "127.0.0.1",
    port: Number(REDIS_PORT),
    password: process.env.REDIS_PASSWORD,
    db: 0,
    maxRetriesPerRequest: 3,
    retryStrategy: (times) => delays.push(Math.min(times * 50, 2000)) && 20,
    reconnectOnError: (error) => ["READONLY", "ECONNRESET"].some((word) => error.message.includes(word)),
  });
  redis.on("connect", () => events.push("connect"));
  redis.on("error", (error) => events.push(error.code));
  redis.on("close", () => events.push("close"));
  return redis;
}
const healthy = () => instance().ping().then((reply) => reply === "PONG", () => false);
async function close() {
  await redis?.quit();
  redis = null;
}

show("one instance", instance() === instance());
show("healthy", await healthy());
await listener("stop");
await until(() => events.includes("close"));
show("while it is down", await healthy());
show("delays begin with", delays.slice(0, 3));
await listener("start");
show("healthy again", await until(healthy));
show("events", [...new Set(events)].sort());
show("an error that reconnects", await refused(() => redis.call("LSET", "READONLY", 0, "x")));
show("healthy still", await until(healthy));
await close();
show("closed", [redis, await healthy()]);
await close();
