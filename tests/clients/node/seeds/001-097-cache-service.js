// Seed 001, lines 97-218: a cache service: values with TTLs, get or set, invalidation by pattern and by tag, many at once.
import Redis from "ioredis";
import { about, show } from "../lib.js";

class Cache {
  redis = new Redis(process.env.REDIS_URL);

  constructor({ ttl = 3600, prefix = "cache:" } = {}) {
    Object.assign(this, { ttl, prefix });
  }

  key = (name) => this.prefix + name;
  get = async (name) => JSON.parse(await this.redis.get(this.key(name)));
  set = (name, value, ttl = this.ttl) => this.redis.setex(this.key(name), ttl, JSON.stringify(value));
  delete = (name) => this.redis.del(this.key(name));

  async getOrSet(name, make, ttl) {
    const found = await this.get(name);
    if (found !== null) return found;
    const made = await make();
    await this.set(name, made, ttl);
    return made;
  }

  async invalidate(pattern) {
    const keys = await this.redis.keys(this.key(pattern));
    return keys.length ? this.redis.del(...keys) : 0;
  }

  setTagged(name, value, tags, ttl = this.ttl) {
    const pipeline = this.redis.pipeline().setex(this.key(name), ttl, JSON.stringify(value));
    for (const tag of tags) pipeline.sadd(`tag:${tag}`, this.key(name));
    return pipeline.exec();
  }

  async invalidateTags(tags) {
    const pipeline = this.redis.pipeline();
    for (const tag of tags) {
      for (const key of await this.redis.smembers(`tag:${tag}`)) pipeline.del(key);
      pipeline.del(`tag:${tag}`);
    }
    return (await pipeline.exec()).map(([error, count]) => error ?? count);
  }

  async mget(names) {
    return (await this.redis.mget(...names.map(this.key))).map((found) => JSON.parse(found));
  }

  mset(entries) {
    const pipeline = this.redis.pipeline();
    for (const { name, value, ttl = this.ttl } of entries) pipeline.setex(this.key(name), ttl, JSON.stringify(value));
    return pipeline.exec();
  }
}

const cache = new Cache();
show("none", await cache.get("a"));
show("set", [await cache.set("a", { n: 1 }), await cache.get("a"), about(3600, await cache.redis.ttl("cache:a"))]);
show("its own ttl", [await cache.set("b", [1, 2], 10), about(10, await cache.redis.ttl("cache:b"))]);
let made = 0;
const make = async () => ({ made: ++made });
show("get or set", [await cache.getOrSet("c", make, 60), await cache.getOrSet("c", make, 60), made]);
show("delete", [await cache.delete("a"), await cache.delete("a"), await cache.get("a")]);
for (const name of ["user:1:name", "user:1:mail", "user:2:name", "user:10"]) await cache.set(name, name);
show("by pattern", [await cache.invalidate("user:1:*"), await cache.invalidate("user:1:*"), await cache.get("user:2:name")]);
show("tagged", await cache.setTagged("p1", "one", ["shoes", "red"]));
show("tagged", await cache.setTagged("p2", "two", ["shoes"], 5));
show("members", (await cache.redis.smembers("tag:shoes")).sort());
show("by tag", await cache.invalidateTags(["shoes", "hats"]));
show("gone", [await cache.mget(["p1", "p2"]), await cache.redis.smembers("tag:red")]);
show("mset", await cache.mset([{ name: "x", value: 1 }, { name: "y", value: null }, { name: "z", value: "s", ttl: 7 }]));
show("mget", await cache.mget(["x", "none", "y", "z"]));
const shop = new Cache({ prefix: "shop:", ttl: 5 });
show("another prefix", [await shop.get("x"), await shop.set("x", 2), await cache.get("x"), about(5, await shop.redis.ttl("shop:x"))]);
show("a bad ttl", await cache.set("x", 1, 0).catch((error) => error.message));
await Promise.all([cache.redis.quit(), shop.redis.quit()]);
