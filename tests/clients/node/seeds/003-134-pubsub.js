// Seed 003, lines 134-165: a route that publishes, a subscriber that hands on to WebSockets, and a pattern; what nobody hears is
// lost.
import express from "express";
import Redis from "ioredis";
import { WebSocket, WebSocketServer } from "ws";
import { serve, show, until } from "../lib.js";

const [pub, sub] = [new Redis(process.env.REDIS_URL), new Redis(process.env.REDIS_URL)];
const app = express();
app.use(express.json());
app.post("/api/notify", async (req, res) => {
  const { userId, message } = req.body;
  const heard = await pub.publish("notifications", JSON.stringify({ userId, message, timestamp: Date.now() }));
  res.json({ sent: true, heard });
});
const { server, visit, close } = await serve(app);
const wss = new WebSocketServer({ server });
wss.on("connection", (socket, request) => { socket.userId = Number(request.url.slice(1)); });
const browser = (id) => {
  const socket = new WebSocket(`ws://127.0.0.1:${server.address().port}/${id}`);
  socket.heard = [];
  socket.on("message", (data) => socket.heard.push(JSON.parse(data)));
  return socket;
};
const [ada, tab, bob] = [browser(1), browser(1), browser(2)];
await until(() => wss.clients.size === 3 && [ada, tab, bob].every((socket) => socket.readyState === WebSocket.OPEN));

const notify = async (userId, message) => (await visit("POST", "/api/notify", { body: { userId, message } })).body;
show("nobody listens", await notify(1, "lost"));
await sub.subscribe("notifications");
await sub.psubscribe("user:*:events");
const matched = [];
sub.on("message", (channel, message) => {
  const event = JSON.parse(message);
  for (const socket of wss.clients) if (socket.userId === event.userId) socket.send(JSON.stringify(event));
});
sub.on("pmessage", (...event) => matched.push(event));
show("notify", [await notify(1, "hello"), await notify(2, "hello Bob"), await notify(3, "nobody")]);
await until(() => ada.heard.length && tab.heard.length && bob.heard.length);
for (const socket of [ada, tab, bob]) show("heard", socket.heard.map(({ message, timestamp }) => [message, timestamp <= Date.now()]));
show("events", [await pub.publish("user:123:events", "login"), await pub.publish("user:123:other", "x"), await pub.publish("user::events", "")]);
await until(() => matched.length === 2);
show("matched", matched);
for (const socket of [ada, tab, bob]) socket.close();
wss.close();
await close();
await Promise.all([pub.quit(), sub.quit()]);
