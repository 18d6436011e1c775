// Seed 000, lines 230-238: one client for the simple case; a cluster's for many nodes, on servers that are no cluster. (Lines
// 172-201, a queue of BullMQ, need scripts.)
import Redis, { Cluster } from "ioredis";
import { refused, show } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
show("single", [await redis.ping(), await redis.set("user:1:name", "Ada"), await redis.get("user:1:name")]);
show("cluster info", (await refused(() => redis.cluster("INFO"))));
show("slots", await refused(() => redis.cluster("SLOTS")));
show("readonly", await refused(() => redis.readonly()));
await redis.quit();

const node = { host: "127.0.0.1", port: Number(process.env.REDIS_PORT) };
const cluster = new Cluster([node, node, node], { clusterRetryStrategy: null });
const told = new Set();
cluster.on("error", () => {});
cluster.on("node error", (error) => told.add(error.message));
show("cluster", [await refused(() => cluster.get("k")), [...told]]);
