// Seed 003, lines 83-103: sessions by connect-redis 6 over ioredis: prefix, a day, touch, a cookie that is secure and strict.
import connect from "connect-redis-6";
import express from "express";
import session from "express-session";
import Redis from "ioredis-5";
import { about, attributes, serve, show } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
const day = 24 * 3600;
const RedisStore = connect(session);
const app = express();
app.set("trust proxy", 1);
app.use(session({
  store: new RedisStore({ client: redis, prefix: "sess:", ttl: day, disableTouch: false }),
  secret: "cats",
  resave: false,
  saveUninitialized: false,
  cookie: { secure: true, httpOnly: true, sameSite: "strict", maxAge: day * 1000 },
}));
app.post("/login", (req, res) => {
  req.session.user = "ada";
  res.json({ in: true });
});
app.get("/me", (req, res) => res.json({ user: req.session.user ?? null }));

const { visit, close } = await serve(app);
show("without TLS there is no cookie", attributes((await visit("POST", "/login")).cookie));
await redis.flushdb();
const login = await visit("POST", "/login", { forwarded: true });
show("log in", [login.status, attributes(login.cookie)]);
const [key] = await redis.keys("*");
show("key", [key.slice(0, 5), about(day, await redis.ttl(key))]);
await redis.expire(key, 60);
const me = await visit("GET", "/me", { cookie: login.cookie.split(";")[0], forwarded: true });
show("touched", [me.body, about(day, await redis.ttl(key))]);
await redis.del(key);
const gone = await visit("GET", "/me", { cookie: login.cookie.split(";")[0], forwarded: true });
show("gone", [gone.body, await redis.dbsize()]);
await close();
await redis.quit();
