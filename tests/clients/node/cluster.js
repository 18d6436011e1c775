// ioredis's cluster client on a cluster of one node; its port is the argument.
import Redis from "ioredis";

const port = Number(process.argv[2]);
const r = new Redis.Cluster([{ host: "127.0.0.1", port }], { clusterRetryStrategy: () => null });
const show = (name, value) => console.log(name, JSON.stringify(value));
const refused = (call) => call().catch((error) => error.message);
await r.flushall();
show("nodes", r.nodes().length);
for (let n = 0; n < 50; n++) await r.set(`key:${n}`, n);
let sum = 0;
for (let n = 0; n < 50; n++) sum += Number(await r.get(`key:${n}`));
show("sum", sum);
show("one slot", [await r.mset("{a}1", 1, "{a}2", 2), await r.mget("{a}1", "{a}2")]);
show("crossing", await refused(() => r.mget("a", "b")));
show("pipeline", await r.pipeline().incr("{a}n").get("{a}1").exec());
show("multi", await r.multi().incr("{a}n").incr("{a}n").exec());
show("hash", [await r.hset("h", { a: 1 }), await r.hgetall("h")]);
r.disconnect();
