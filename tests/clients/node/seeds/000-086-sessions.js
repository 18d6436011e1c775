// Seed 000, lines 86-114: sessions of Express in Redis, by connect-redis and node-redis; a cookie of one week.
import express from "express";
import session from "express-session";
import { RedisStore } from "connect-redis";
import { createClient } from "redis";
import { about, attributes, serve, show } from "../lib.js";

const client = createClient({ url: process.env.REDIS_URL });
await client.connect();
const week = 7 * 24 * 3600;
const app = express();
const cookie = { secure: process.env.NODE_ENV === "production", httpOnly: true, maxAge: week * 1000 };
app.use(session({ store: new RedisStore({ client }), secret: "cats", resave: false, saveUninitialized: false, cookie }));
app.post("/login", (req, res) => {
  req.session.userId = 7;
  res.json({ success: true });
});
app.get("/profile", (req, res) => {
  if (!req.session.userId) return res.status(401).json({ error: "Not authenticated" });
  res.json({ userId: req.session.userId });
});

const { visit, close } = await serve(app);
const stranger = await visit("GET", "/profile");
show("stranger", [stranger.status, stranger.body, stranger.cookie]);
const login = await visit("POST", "/login");
show("login", [login.status, login.body, attributes(login.cookie)]);
const profile = await visit("GET", "/profile", { cookie: login.cookie.split(";")[0] });
show("profile", [profile.status, profile.body]);
const keys = await client.keys("sess:*");
show("stored", [keys.length, about(week, await client.ttl(keys[0])), JSON.parse(await client.get(keys[0])).userId]);
const forged = await visit("GET", "/profile", { cookie: login.cookie.split(";")[0].replace(/.$/, "_") });
show("forged", forged.status);
await close();
await client.close();
