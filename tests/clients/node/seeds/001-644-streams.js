// Seed 001, lines 644-790: a stream service (add, read, groups, acknowledge, pending) and a worker over it.
import Redis from "ioredis";
import { show, until } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
const fields = (flat) => Object.fromEntries(flat.flatMap((field, n) => (n % 2 ? [] : [[field, flat[n + 1]]])));
const entries = (reply) => (reply ? reply[0][1].map(([id, flat]) => ({ id, fields: fields(flat) })) : []);

function add(stream, data, maxLen) {
  const flat = Object.entries(data).flat().map(String);
  return maxLen ? redis.xadd(stream, "MAXLEN", "~", maxLen, "*", ...flat) : redis.xadd(stream, "*", ...flat);
}
async function read(client, stream, { count = 10, block, last = "$" } = {}) {
  const wait = block === undefined ? [] : ["BLOCK", block];
  return entries(await client.xread("COUNT", count, ...wait, "STREAMS", stream, last));
}
const createGroup = (stream, group, start = "$") => redis.xgroup("CREATE", stream, group, start, "MKSTREAM").catch((error) => {
  if (!error.message.includes("BUSYGROUP")) throw error;
  return error.message;
});
const readGroup = async (client, stream, group, consumer, { count = 10, block = 5000 } = {}) =>
  entries(await client.xreadgroup("GROUP", group, consumer, "COUNT", count, "BLOCK", block, "STREAMS", stream, ">"));
const data = (list) => list.map((entry) => entry.fields);

// The service.
const ids = [];
for (let n = 1; n <= 3; n++) ids.push(await add("events", { n, kind: "test" }));
show("ids rise", ids.every((id, n) => n === 0 || id > ids[n - 1] || id.length > ids[n - 1].length));
show("read", data(await read(redis, "events", { last: "0", count: 2 })));
show("nothing new", [await read(redis, "events"), await read(redis, "events", { block: 50 })]);
const other = redis.duplicate();
const waits = read(other, "events", { block: 5000 });
await until(async () => /cmd=xread/.test(await redis.client("LIST")));
await add("events", { n: 4 });
show("waited for", data(await waits));
for (let n = 0; n < 1000; n++) await add("short", { n }, 100);
show("trimmed", [(await redis.xlen("short")) >= 100, (await redis.xlen("short")) < 300]);

// A worker that fails at some entries, and leaves them pending.
show("group", [await createGroup("orders", "billing"), await createGroup("orders", "billing")]);
const done = [];
async function worker(consumer, handler) {
  const client = redis.duplicate();
  for (let stopped = false; !stopped;) {
    for (const entry of await readGroup(client, "orders", "billing", consumer)) {
      try {
        await handler(entry);
        await redis.xack("orders", "billing", entry.id);
        done.push(entry.fields);
      } catch {
        done.push("failed");
      }
      stopped = entry.fields.total === "stop";
    }
  }
  await client.quit();
}
const works = worker("worker-1", async ({ fields }) => {
  if (fields.total === "unknown") throw new Error("no total");
});
for (const total of ["12.50", "unknown", "7.80", "stop"]) await add("orders", { total });
await works;
show("worked", done);
const [count, from, to, consumers] = await redis.xpending("orders", "billing");
show("pending", [count, from === to, consumers]);
const [[id, consumer, idle, deliveries]] = await redis.xpending("orders", "billing", "-", "+", 100, "worker-1");
show("pending of worker-1", [id === from, consumer, idle >= 0, deliveries]);
show("of nobody", await redis.xpending("orders", "billing", "-", "+", 100, "nobody"));
show("acknowledge", [await redis.xack("orders", "billing", id, "1-1"), await redis.xpending("orders", "billing")]);
show("no group", await readGroup(redis, "orders", "none", "c", { block: 1 }).catch((error) => error.message));
await Promise.all([redis.quit(), other.quit()]);
