// Seed 001, lines 794-812: a lock acquired by SET with PX and NX. Lines 814-826 release it by a script; here by WATCH, which
// releases nobody else's lock either.
import { randomUUID } from "node:crypto";
import Redis from "ioredis";
import { show, sleep } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
async function acquire(name, ttl = 10000) {
  const id = randomUUID();
  return (await redis.set(`lock:${name}`, id, "PX", ttl, "NX")) === "OK" ? id : null;
}
async function release(client, name, id, meanwhile = async () => {}) {
  await client.watch(`lock:${name}`);
  if ((await client.get(`lock:${name}`)) !== id) return client.unwatch().then(() => false);
  await meanwhile();
  const replies = await client.multi().del(`lock:${name}`).exec();
  return replies !== null && replies[0][1] === 1;
}

const [mine, theirs] = [await acquire("job"), await acquire("job")];
show("acquired", [typeof mine, theirs]);
const left = await redis.pttl("lock:job");
show("lives", left > 5000 && left <= 10000);
const client = redis.duplicate();
show("another's", await release(client, "job", "not mine"));
show("mine", [await release(client, "job", mine), await release(client, "job", mine)]);
const brief = await acquire("brief", 30);
await sleep(60);
const next = await acquire("brief");
show("expired", [await release(client, "brief", brief), (await redis.get("lock:brief")) === next]);
const lost = await release(client, "brief", next, () => redis.set("lock:brief", "stolen"));
show("lost while releasing", [lost, await redis.get("lock:brief")]);
const tries = await Promise.all(Array.from({ length: 20 }, () => acquire("race")));
show("one of twenty", tries.filter((id) => id).length);
await Promise.all([redis.quit(), client.quit()]);
