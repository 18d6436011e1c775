// Seed 003, lines 166-185, as far as one password goes: requirepass, a client that has it, and clients that do not. (Renamed
// commands, users and TLS, lines 172-176, 182-184 and 186-189: ../security.js, whose server reads the document's redis.conf.)
import Redis from "ioredis";
import { refused, show } from "../lib.js";

const options = { host: "127.0.0.1", port: Number(process.env.REDIS_PORT), retryStrategy: null };
const admin = new Redis(options);
show("requirepass", [await admin.config("GET", "requirepass"), await admin.config("SET", "requirepass", "your-strong-password-here")]);
show("who was in stays in", await admin.ping());
const client = new Redis({ ...options, password: "your-strong-password-here" });
show("with it", [await client.set("k", "v"), await client.get("k"), await client.config("GET", "requirepass")]);
const named = new Redis({ ...options, username: "default", password: "your-strong-password-here" });
show("by name", await named.get("k"));

async function stranger(name, more) {
  const peer = new Redis({ ...options, ...more, enableReadyCheck: false, maxRetriesPerRequest: 0 });
  const told = [];
  peer.on("error", (error) => told.push(error.message));
  show(name, [await refused(() => peer.get("k")), await refused(() => peer.config("GET", "*")), await refused(() => peer.flushall())]);
  show(`${name} is told`, [...new Set(told)]);
  peer.disconnect();
}
await stranger("without it", {});
await stranger("a wrong one", { password: "wrong" });
await stranger("another user", { username: "root", password: "your-strong-password-here" });
const late = new Redis({ ...options, enableReadyCheck: false, protocol: 2, disableClientInfo: true });
late.on("error", () => {});
show("before AUTH", await refused(() => late.get("k")));
show("AUTH", [await refused(() => late.auth("wrong")), await refused(() => late.auth("your-strong-password-here")), await late.get("k")]);
show("none again", [await admin.config("SET", "requirepass", ""), await refused(() => new Redis(options).get("k"))]);
show("AUTH without one", await refused(() => admin.auth("x")));
process.exit(0);
