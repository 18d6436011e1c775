// ioredis: its handshake (ready check by INFO), values, pipelines, transactions, blocking, messages, scans; the listener
// stopped and started under it; and Redis.Cluster on a server without cluster mode. The version is its argument.
import { about, listener, refused, show } from "./lib.js";
const { default: Redis, Cluster } = await import(process.argv[2]);

const path = process.env.REDIS_SOCKET;
const r = new Redis({ path, connectionName: "me", retryStrategy: null });
await r.flushall();
show("set", await r.set("k", "v", "EX", 100));
show("get", [await r.get("k"), await r.get("none")]);
show("ttl", about(100, await r.ttl("k")));
show("name", await r.client("GETNAME"));
show("hset", await r.hset("h", { a: 1, b: 2 }));
show("hgetall", await r.hgetall("h"));
show("zadd", await r.zadd("z", 1.5, "a", 2, "b"));
show("zrange", await r.zrange("z", 0, -1, "WITHSCORES"));
show("xadd", await r.xadd("x", "1-1", "f", "v"));
show("xread", await r.xread("COUNT", 1, "STREAMS", "x", "0"));
show("pipeline", await r.pipeline().incr("n").get("k").lpush("k", 1).exec().then((all) => all.map(([e, v]) => e?.message ?? v)));
show("multi", await r.multi().incr("n").incr("n").exec());
show("wrong type", await refused(() => r.incr("h")));
show("no such", await refused(() => r.call("NOSUCH")));
show("buffer", (await r.getBuffer("k")).toString());
show("config", await r.config("GET", "maxmemory"));
for (let n = 0; n < 100; n++) await r.set(`key:${n}`, n);
let seen = 0;
for await (const keys of r.scanStream({ match: "key:*" })) seen += keys.length;
show("scan", seen);
const other = r.duplicate();
const popped = other.blpop("q", 5);
setTimeout(() => r.rpush("q", "job"), 100);
show("blpop", await popped);
const sub = r.duplicate();
await sub.subscribe("news");
await sub.psubscribe("user:*");
const messages = [];
const both = new Promise((done) => {
  const push = (...message) => messages.push(message) === 2 && done();
  sub.on("message", (channel, message) => push(channel, message));
  sub.on("pmessage", (pattern, channel, message) => push(pattern, channel, message));
});
show("publish", [await r.publish("news", "one"), await r.publish("user:7", "two")]);
await both;
show("messages", messages);
show("quit", [await r.quit(), await other.quit(), await sub.quit()]);

const lasting = new Redis({ path, db: 3, retryStrategy: () => 20, maxRetriesPerRequest: null });
const [listening, waiting] = [lasting.duplicate(), lasting.duplicate()];
for (const client of [lasting, listening, waiting]) client.on("error", () => {});
await listening.subscribe("news");
await lasting.set("k", "before");
const job = waiting.blpop("q", 0);
await listener("stop");
const queued = [lasting.set("k", "after"), lasting.get("k"), lasting.client("INFO").then((info) => /db=\d+/.exec(info)[0])];
await listener("start");
show("queued while down", await Promise.all(queued));
const heard = new Promise((done) => listening.on("message", (...message) => done(message)));
await lasting.rpush("q", "job");
show("waits again", await job);
while ((await lasting.publish("news", "again")) === 0) await new Promise((done) => setTimeout(done, 10));
show("subscribed again", await heard);
for (const client of [lasting, listening, waiting]) await client.quit();

const nodes = [{ host: "127.0.0.1", port: Number(process.env.REDIS_PORT) }];
const cluster = new Cluster(nodes, { clusterRetryStrategy: null });
const told = [];
cluster.on("error", () => {});
cluster.on("node error", (error) => told.push(error.message));
show("cluster", [await refused(() => cluster.get("k")), told]);
