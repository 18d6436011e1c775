// Seed 001, lines 532-642: a service of channels and patterns with many handlers each, and unsubscribing by what it returns; up
// to a WebSocket.
import Redis from "ioredis";
import { WebSocket, WebSocketServer } from "ws";
import { show, until } from "../lib.js";

class PubSub {
  publisher = new Redis(process.env.REDIS_URL);
  subscriber = this.publisher.duplicate();
  handlers = new Map();

  constructor() {
    this.subscriber.on("message", (channel, message) => this.heard(channel, message, channel));
    this.subscriber.on("pmessage", (pattern, channel, message) => this.heard(pattern, message, channel));
  }

  heard(name, message, channel) {
    for (const handler of this.handlers.get(name) ?? []) handler(JSON.parse(message), channel);
  }

  async add(name, handler, subscribe, unsubscribe) {
    if (!this.handlers.has(name)) {
      this.handlers.set(name, new Set());
      await this.subscriber[subscribe](name);
    }
    this.handlers.get(name).add(handler);
    return async () => {
      const handlers = this.handlers.get(name);
      handlers.delete(handler);
      if (handlers.size > 0) return;
      this.handlers.delete(name);
      await this.subscriber[unsubscribe](name);
    };
  }

  subscribe = (channel, handler) => this.add(channel, handler, "subscribe", "unsubscribe");
  psubscribe = (pattern, handler) => this.add(pattern, handler, "psubscribe", "punsubscribe");
  publish = (channel, message) => this.publisher.publish(channel, JSON.stringify(message));
}

const service = new PubSub();
const wss = new WebSocketServer({ port: 0, host: "127.0.0.1" });
await until(() => wss.address());
const browser = new WebSocket(`ws://127.0.0.1:${wss.address().port}`);
const seen = [];
browser.on("message", (data) => seen.push(JSON.parse(data)));
await until(() => wss.clients.size === 1 && browser.readyState === WebSocket.OPEN);
const send = (handler) => (message, channel) => wss.clients.forEach((socket) => socket.send(JSON.stringify({ handler, channel, message })));

const first = await service.subscribe("user:events", send("first"));
const second = await service.subscribe("user:events", send("second"));
const pattern = await service.psubscribe("user:*", send("pattern"));
const numbers = async () => {
  const { publisher } = service;
  return [await publisher.pubsub("NUMSUB", "user:events", "none"), await publisher.pubsub("NUMPAT"), await publisher.pubsub("CHANNELS")];
};
show("numbers", await numbers());
show("publish", await service.publish("user:events", { type: "user.created", userId: "123" }));
show("publish", await service.publish("user:7", { type: "user.seen" }));
show("publish", await service.publish("orders", { type: "nobody hears" }));
await until(() => seen.length === 4);
await first();
show("publish", await service.publish("user:events", { type: "user.deleted" }));
await until(() => seen.length === 6);
await second();
show("numbers", await numbers());
show("publish", await service.publish("user:events", { type: "by pattern alone" }));
await until(() => seen.length === 7);
await pattern();
show("numbers", await numbers());
show("publish", await service.publish("user:events", {}));
for (const one of seen) show("seen", one);
browser.close();
wss.close();
await Promise.all([service.publisher.quit(), service.subscriber.quit()]);
