// Seed 002, lines 81-98: notifications to a duplicate of the client, and on to a user's WebSocket.
import Redis from "ioredis";
import { WebSocket, WebSocketServer } from "ws";
import { refused, show, until } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
const wss = new WebSocketServer({ port: 0, host: "127.0.0.1" });
await until(() => wss.address());
const sockets = new Map();
wss.on("connection", (socket, request) => sockets.set(request.url.slice(1), socket));
const browser = new WebSocket(`ws://127.0.0.1:${wss.address().port}/123`);
const seen = [];
browser.on("message", (data) => seen.push(JSON.parse(data)));
await until(() => sockets.has("123"));

const sub = redis.duplicate();
show("subscribe", await sub.subscribe("notifications"));
sub.on("message", (channel, message) => {
  const notification = JSON.parse(message);
  sockets.get(notification.userId)?.send(message);
});
const notify = (userId, text) =>
  redis.publish("notifications", JSON.stringify({ userId, type: "new_message", payload: { from: "Jane", text } }));
show("publish", [await notify("123", "Hello"), await notify("456", "not for this one"), await notify("123", "Grüße ✓")]);
await until(() => seen.length === 2);
show("seen", seen);
show("a subscriber's command", await refused(() => sub.get("k")));
browser.close();
wss.close();
await Promise.all([redis.quit(), sub.quit()]);
