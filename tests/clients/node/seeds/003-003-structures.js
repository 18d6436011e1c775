// Seed 003, lines 3-38: strings, hashes, lists, sets and sorted sets, each as the sample uses them.
import Redis from "ioredis";
import { show } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
show("string", [await redis.set("user:123:name", "Ada"), await redis.set("visitor:count", 0), await redis.incr("visitor:count")]);
show("counter", [await redis.incrby("visitor:count", 5), await redis.get("visitor:count")]);
show("hash", await redis.hset("user:123", { name: "Ada", email: "ada@example.org", role: "admin" }));
show("fields", [await redis.hget("user:123", "name"), await redis.hgetall("user:123")]);
show("logins", [await redis.hincrby("user:123", "loginCount", 1), await redis.hincrby("user:123", "loginCount", 1)]);
show("list", [await redis.lpush("notifications:123", "msg1", "msg2"), await redis.rpop("notifications:123")]);
show("length", [await redis.llen("notifications:123"), await redis.lrange("notifications:123", 0, -1)]);
show("set", [await redis.sadd("tags:security", "sql-injection", "xss", "csrf"), await redis.sadd("tags:node", "xss", "npm")]);
show("member", [await redis.sismember("tags:security", "xss"), await redis.sismember("tags:security", "npm")]);
show("members", [(await redis.smembers("tags:security")).sort(), await redis.scard("tags:security")]);
show("both", await redis.sinter("tags:security", "tags:node"));
show("sorted set", await redis.zadd("scores", 100, "user:1", 85, "user:2", 95, "user:3"));
show("top", [await redis.zrevrange("scores", 0, 2, "WITHSCORES"), await redis.zrevrank("scores", "user:2")]);
show("ten more", [await redis.zincrby("scores", 10, "user:3"), await redis.zrevrank("scores", "user:3")]);
await redis.quit();
