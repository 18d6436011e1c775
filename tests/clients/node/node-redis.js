// node-redis: its handshake in RESP2 and RESP3, values, transactions, blocking, messages, scans; the listener stopped and
// started under it; and its cluster client on a server without cluster mode. The version is its argument.
import { listener, refused, show, sleep } from "./lib.js";
const { createClient, createCluster } = await import(process.argv[2]);

const path = process.env.REDIS_SOCKET;
for (const RESP of [2, 3]) {
  const r = createClient({ socket: { path, reconnectStrategy: false }, name: "me", RESP });
  await r.connect();
  await r.flushAll();
  show("RESP", RESP);
  show("set", await r.set("k", "v", { EX: 100 }));
  show("get", [await r.get("k"), await r.get("none")]);
  show("name", await r.clientGetName());
  show("hset", await r.hSet("h", { a: 1, b: 2 }));
  show("hgetall", await r.hGetAll("h"));
  show("zadd", await r.zAdd("z", [{ score: 1.5, value: "a" }]));
  show("zrange", await r.zRangeWithScores("z", 0, -1));
  show("xadd", await r.xAdd("x", "1-1", { f: "v" }));
  show("xrange", await r.xRange("x", "-", "+"));
  show("multi", await r.multi().incr("n").get("k").exec());
  show("together", await Promise.all([r.incr("n"), r.incr("n"), r.incr("n")]));
  show("wrong type", await refused(() => r.incr("h")));
  show("no such", await refused(() => r.sendCommand(["NOSUCH"])));
  show("config", await r.configGet("maxmemory"));
  for (let n = 0; n < 100; n++) await r.set(`key:${n}`, `${n}`);
  let seen = 0;
  for await (const keys of r.scanIterator({ MATCH: "key:*" })) seen += keys.length;
  show("scan", seen);
  const other = r.duplicate();
  await other.connect();
  const popped = other.blPop("q", 5);
  setTimeout(() => r.rPush("q", "job"), 100);
  show("blpop", await popped);
  const messages = [];
  let heard;
  const both = new Promise((done) => { heard = done; });
  const hear = (message, channel) => messages.push([channel, message]) === 2 && heard();
  await other.subscribe("news", hear);
  await other.pSubscribe("user:*", hear);
  show("publish", [await r.publish("news", "one"), await r.publish("user:7", "two")]);
  await both;
  show("messages", messages);
  await other.close();
  await r.close();
  await restarted(RESP);
}

async function restarted(RESP) {
  const lasting = createClient({ socket: { path, reconnectStrategy: () => 20 }, RESP, database: 3 });
  const listening = lasting.duplicate();
  for (const client of [lasting, listening]) {
    client.on("error", () => {});
    await client.connect();
  }
  const heard = new Promise((done) => listening.subscribe("news", (message) => done(message)));
  await lasting.set("k", "before");
  await listener("stop");
  while (lasting.isReady) await sleep(5);
  const queued = [lasting.set("k", "after"), lasting.get("k"), lasting.clientInfo().then((info) => info.db)];
  await listener("start");
  show("queued while down", await Promise.all(queued));
  while ((await lasting.publish("news", "again")) === 0) await sleep(10);
  show("subscribed again", await heard);
  await listening.close();
  await lasting.close();
}

const cluster = createCluster({ rootNodes: [{ url: process.env.REDIS_URL }] });
cluster.on("error", () => {});
show("cluster", await refused(() => cluster.connect()));
process.exit(0);
