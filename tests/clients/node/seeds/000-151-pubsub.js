// Seed 000, lines 151-171: publisher and subscriber, what is heard goes to the sockets of the user it is for; unsubscribing.
import Redis from "ioredis";
import { WebSocket, WebSocketServer } from "ws";
import { show, until } from "../lib.js";

const publisher = new Redis(process.env.REDIS_URL);
const subscriber = new Redis(process.env.REDIS_URL);
const wss = new WebSocketServer({ port: 0, host: "127.0.0.1" });
await until(() => wss.address());
const rooms = new Map();
wss.on("connection", (socket, request) => rooms.set(Number(request.url.slice(1)), socket));

const browser = (id) => new Promise((done) => {
  const socket = new WebSocket(`ws://127.0.0.1:${wss.address().port}/${id}`);
  socket.heard = [];
  socket.on("message", (data) => socket.heard.push(JSON.parse(data)));
  socket.on("open", () => done(socket));
});
const [ada, bob] = [await browser(123), await browser(456)];
await until(() => rooms.size === 2);

await new Promise((done) => subscriber.subscribe("notifications", (error, count) => done(show("subscribed", [error, count]))));
subscriber.on("message", (channel, message) => {
  const data = JSON.parse(message);
  rooms.get(data.userId)?.send(JSON.stringify({ channel, ...data }));
});
for (const userId of [123, 456, 789, 123]) {
  show("publish", await publisher.publish("notifications", JSON.stringify({ userId, message: "You have a new message" })));
}
await until(() => ada.heard.length === 2 && bob.heard.length === 1);
show("Ada", ada.heard);
show("Bob", bob.heard);
show("unsubscribe", await subscriber.unsubscribe("notifications"));
show("publish", await publisher.publish("notifications", "{}"));
// Without a subscription the connection takes commands again.
show("ping", await subscriber.ping());
for (const socket of [ada, bob]) socket.close();
wss.close();
await Promise.all([publisher.quit(), subscriber.quit()]);
