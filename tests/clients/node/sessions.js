// Express with express-session and connect-redis: log in, touch refreshes the TTL, prefix, log out; sessions survive a restart
// of the listener and of the app. Its arguments: connect-redis and the client behind it, each in some version.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import express from "express";
import session from "express-session";
import { about, listener, show, until } from "./lib.js";

const [connect, driver, role] = process.argv.slice(2);
const { REDIS_URL, REDIS_PORT } = process.env;

// A client as each library makes it, and `get` of a store's class as each connect-redis exports it.
async function client() {
  const library = await import(driver);
  const options = { socket: { reconnectStrategy: () => 20 }, retryStrategy: () => 20, retry_strategy: () => 20 };
  const old = driver === "redis-3";
  const make = driver.startsWith("ioredis") ? () => new library.default(REDIS_URL, options)
    : () => (old ? library.default : library).createClient({ ...options, ...(old ? { port: REDIS_PORT } : { url: REDIS_URL }) });
  const made = make();
  made.on("error", () => {});
  if (driver.startsWith("redis") && !old) await made.connect();
  return made;
}
async function storeClass() {
  const library = await import(connect);
  if (connect === "connect-redis-6") return library.default(session);
  return library.RedisStore ?? library.default.default ?? library.default;
}

async function app() {
  const store = new (await storeClass())({ client: await client(), prefix: "shop:sess:", ttl: 3600 });
  const cookie = { httpOnly: true, sameSite: "strict", maxAge: 3600_000 };
  const app = express();
  app.use(session({ store, secret: "cats", resave: false, saveUninitialized: false, rolling: true, cookie }));
  app.post("/login", (req, res) => {
    req.session.regenerate(() => {
      Object.assign(req.session, { user: "ada", visits: 0 });
      res.json({ in: true });
    });
  });
  app.get("/profile", (req, res) => {
    if (!req.session.user) return res.status(401).json({ error: "log in" });
    res.json({ user: req.session.user, visits: ++req.session.visits });
  });
  app.get("/touch", (req, res) => res.json({ user: req.session.user ?? null }));
  app.post("/logout", (req, res) => req.session.destroy(() => res.json({ out: true })));
  // By callback in the old versions, by promise in the new.
  const ask = (name) => new Promise((done, failed) => store[name]((error, value) => (error ? failed(error) : done(value))));
  app.get("/admin", async (req, res) => res.json({ length: await ask("length"), all: (await ask("all")).map((one) => one.user) }));
  app.post("/clear", async (req, res) => res.json({ cleared: (await ask("clear")) !== null }));
  const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
}

// The app in a process of its own, and a browser with one cookie.
function start() {
  const child = spawn(process.execPath, ["--no-warnings", fileURLToPath(import.meta.url), connect, driver, "app"], { stdio: ["ignore", "pipe", "inherit"] });
  process.on("exit", () => child.kill());
  return new Promise((done) => child.stdout.once("data", (port) => done({ child, port: Number(port) })));
}
const stop = ({ child }) => new Promise((done) => child.once("exit", done) && child.kill());

async function browse() {
  let server = await start();
  let cookie = "";
  const visit = async (method, path) => {
    const reply = await fetch(`http://127.0.0.1:${server.port}${path}`, { method, headers: cookie ? { cookie } : {} });
    const set = reply.headers.get("set-cookie");
    if (set) cookie = set.split(";")[0];
    return [reply.status, await reply.json(), set ? set.replace(/=s%3A[^;]*/, "=ID").replace(/Expires=[^;]*/, "Expires=T") : null];
  };
  const { default: Redis } = await import("ioredis");
  const redis = new Redis(REDIS_URL, { retryStrategy: () => 20 });
  redis.on("error", () => {});
  const keys = () => redis.keys("*");
  const ttl = async () => about(3600, await redis.ttl((await keys())[0]));
  show("a stranger", await visit("GET", "/profile"));
  show("leaves nothing", await keys());
  show("log in", await visit("POST", "/login"));
  show("profile", await visit("GET", "/profile"));
  show("key", [(await keys()).map((key) => key.replace(/sess:.*/, "sess:ID")), await ttl()]);
  const stored = JSON.parse(await redis.get((await keys())[0]));
  show("stored", [Object.keys(stored), stored.user, stored.visits, about(3600, Math.ceil(stored.cookie.originalMaxAge / 1000))]);
  await redis.expire((await keys())[0], 100);
  show("touch", [await visit("GET", "/touch"), await ttl()]);
  await listener("stop");
  await listener("start");
  show("the listener is back", await visit("GET", "/profile"));
  await stop(server);
  server = await start();
  show("the app is back", await visit("GET", "/profile"));
  show("admin", await visit("GET", "/admin"));
  const old = cookie;
  show("log out", await visit("POST", "/logout"));
  show("no key", await keys());
  cookie = old;
  show("an old cookie", await visit("GET", "/profile"));
  for (let n = 0; n < 3; n++) {
    cookie = "";
    await visit("POST", "/login");
  }
  await redis.set("other", "stays");
  show("three", await visit("GET", "/admin"));
  show("clear", await visit("POST", "/clear"));
  show("cleared", await until(async () => (await keys()).length === 1 && keys()));
  await redis.quit();
  await stop(server);
}

await (role === "app" ? app() : browse());
