// Seed 002, lines 51-63: a session as JSON for a day, and what is read of one that is not there.
import Redis from "ioredis";
import { about, show } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
const save = (id, user) => redis.set(`session:${id}`, JSON.stringify({ userId: user.id, role: user.role, loginAt: Date.now() }), "EX", 86400);
const load = async (id) => JSON.parse((await redis.get(`session:${id}`)) || "null");

show("save", await save("abc", { id: 7, role: "admin" }));
const session = await load("abc");
show("load", [session.userId, session.role, Date.now() - session.loginAt < 10_000]);
show("ttl", about(86400, await redis.ttl("session:abc")));
show("none", await load("none"));
await redis.set("session:abc", "{}", "KEEPTTL");
show("kept", about(86400, await redis.ttl("session:abc")));
show("log out", [await redis.del("session:abc"), await load("abc")]);
await redis.quit();
