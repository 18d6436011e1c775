// Seed 003, lines 166-189: a server with that redis.conf (a password, renamed commands, a file with both users), over TLS as its
// client is in production. PORT FOLDER: where it listens, and its certificates.
import fs from "node:fs";
import path from "node:path";
import Redis from "ioredis";
import { refused, show } from "./lib.js";

const [port, folder] = [Number(process.argv[2]), process.argv[3]];
const ca = fs.readFileSync(path.join(folder, "ca.crt"));
const options = { host: "localhost", port, tls: { ca, rejectUnauthorized: true }, retryStrategy: null, maxRetriesPerRequest: 0, enableReadyCheck: false, disableClientInfo: true };

// One after the other: what each answers, an error with its text.
const all = async (client, commands) => {
  const replies = [];
  for (const words of commands) replies.push([words.join(" "), await refused(() => client.call(...words))]);
  return replies;
};
// A client, once it is in or was refused; what it is told by the way.
const enter = async (more) => {
  const told = [];
  const client = new Redis({ ...options, ...more });
  client.on("error", (error) => told.push(error.message.replace(/ECONNREFUSED.*/, "")));
  return { client, told, first: await refused(() => client.ping()) };
};

const owner = await enter({ password: "your-strong-password-here" });
show("the password", [owner.first, ...owner.told]);
show("what goes", await all(owner.client, [["SET", "user:1", "ada"], ["GET", "user:1"], ["LPUSH", "jobs", "a"], ["DEBUG", "SLEEP", "0"]]));
show("renamed away", await all(owner.client, [["FLUSHALL"], ["flushdb"], ["CONFIG", "GET", "maxmemory"], ["CONFIG", "SET", "requirepass", ""], ["EVAL", "return 1", "0"], ["COMMAND", "INFO", "flushall"]]));
show("within MULTI", await all(owner.client, [["MULTI"], ["SET", "x", "1"], ["FLUSHALL"], ["EXEC"], ["EXISTS", "x"]]));
show("users", await all(owner.client, [["ACL", "USERS"], ["ACL", "WHOAMI"], ["ACL", "LIST"], ["ACL", "LOAD"]]));

const plain = await enter({ tls: undefined });
show("no TLS", plain.first === "PONG" ? "PONG" : "refused");
const unknown = await enter({ tls: { rejectUnauthorized: true }, password: "your-strong-password-here" });
show("an authority that nobody knows", [unknown.first === "PONG" ? "PONG" : "refused"]);
for (const [name, more] of [["without a password", {}], ["a wrong one", { password: "wrong" }], ["a user that is not", { username: "eve", password: "secure_password" }], ["another's password", { username: "appuser", password: "admin_password" }]]) {
  const { client, told } = await enter(more);
  show(name, [...new Set(told)]);
  show(`${name} reaches`, await all(client, [["GET", "user:1"], ["ACL", "LIST"], ["FLUSHALL"], ["NOSUCH"], ["PUBLISH", "c", "m"], ["MULTI"], ["RESET"]]));
  client.disconnect();
}

const tried = [
  ["ACL", "WHOAMI"], ["GET", "user:1"], ["SET", "user:2", "bob"], ["HSET", "h", "f", "v"], ["HGETALL", "h"], ["LPUSH", "jobs", "b"], ["BLPOP", "jobs", "0"], ["XADD", "s", "1-1", "f", "v"], ["XREAD", "STREAMS", "s", "0"],
  ["ZADD", "z", "1", "m"], ["GEOADD", "g", "13", "38", "p"], ["SORT", "jobs"], ["SORT", "jobs", "BY", "w_*"], ["OBJECT", "ENCODING", "h"], ["TYPE", "h"], ["TTL", "h"], ["EXPIRE", "h", "100"], ["DEL", "h"], ["SCAN", "0", "MATCH", "nosuch"], ["KEYS", "nosuch"],
  ["DBSIZE"], ["PUBLISH", "c", "m"], ["SUBSCRIBE", "c"], ["PING"], ["ECHO", "x"], ["SELECT", "1"], ["WATCH", "k"], ["MULTI"], ["CONFIG", "GET", "*"], ["FLUSHALL"], ["FLUSHDB"], ["EVAL", "return 1", "0"], ["DEBUG", "SLEEP", "0"], ["ACL", "LIST"], ["ACL", "SETUSER", "x"],
  ["CLIENT", "LIST"], ["CLIENT", "GETNAME"], ["INFO", "nosuch"], ["SAVE"], ["SHUTDOWN", "NOW", "ABORT"], ["MONITOR"], ["SLOWLOG", "LEN"], ["LASTSAVE"], ["COMMAND", "COUNT", "x"], ["SWAPDB", "0", "0"], ["RANDOMKEY", "x"], ["DUMP", "z", "z"], ["RESTORE", "r", "0", "x"], ["WAIT", "0", "0"],
];
const app = await enter({ username: "appuser", password: "secure_password" });
show("appuser", [app.first, ...app.told]);
show("appuser may", await all(app.client, tried));
const admin = await enter({ username: "admin", password: "admin_password" });
show("admin", [admin.first, ...admin.told]);
const quiet = tried.filter(([name, sub]) => !["MONITOR", "SUBSCRIBE", "SAVE", "LASTSAVE", "CLIENT", "MULTI", "BLPOP", "SHUTDOWN"].includes(name) && sub !== "LIST");
show("admin may", await all(admin.client, quiet));
const log = await admin.client.call("ACL", "LOG");
show("denied", log.map((entry) => entry.slice(2, 10)).map((fields) => fields.filter((_, at) => at % 2)));
show("by line 188", await all(admin.client, [["ACL", "SETUSER", "appuser", "on", ">another", "+@read", "+@write", "~*"], ["ACL", "GETUSER", "appuser"], ["ACL", "DRYRUN", "appuser", "GET", "k"], ["ACL", "DRYRUN", "appuser", "PING"], ["ACL", "DELUSER", "appuser"]]));
show("appuser is gone", await refused(() => app.client.get("user:1")));
process.exit(0);
