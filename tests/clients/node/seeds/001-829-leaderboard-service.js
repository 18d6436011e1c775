// Seed 001, lines 829-865: a leaderboard as a service; scores are numbers with a fraction.
import Redis from "ioredis";
import { show } from "../lib.js";

class Leaderboard {
  constructor(redis, name) {
    Object.assign(this, { redis, key: `leaderboard:${name}` });
  }

  add = (user, score) => this.redis.zadd(this.key, score, user);

  async top(n) {
    const flat = await this.redis.zrevrange(this.key, 0, n - 1, "WITHSCORES");
    const found = [];
    while (flat.length) found.push({ user: flat.shift(), score: parseFloat(flat.shift()), rank: found.length + 1 });
    return found;
  }

  async rank(user) {
    const rank = await this.redis.zrevrank(this.key, user);
    return rank === null ? null : rank + 1;
  }
}

const redis = new Redis(process.env.REDIS_URL);
const [weekly, daily] = [new Leaderboard(redis, "weekly"), new Leaderboard(redis, "daily")];
for (const [user, score] of [["ada", 99.5], ["bob", 0.1], ["eve", -3], ["dan", 1e21], ["fay", 0.1 + 0.2]]) {
  show(user, await weekly.add(user, score));
}
show("top", await weekly.top(10));
show("top 2", await weekly.top(2));
show("again", [await weekly.add("bob", 100), await weekly.rank("bob")]);
show("ranks", [await weekly.rank("eve"), await weekly.rank("nobody"), await daily.rank("ada"), await daily.top(3)]);
await redis.quit();
