// Seed 000, lines 202-229: a leaderboard: scores, the top, a player's rank and score.
import Redis from "ioredis";
import { show } from "../lib.js";

const redis = new Redis(process.env.REDIS_URL);
const update = (player, score) => redis.zadd("leaderboard", score, player);
async function top(limit = 10) {
  const flat = await redis.zrevrange("leaderboard", 0, limit - 1, "WITHSCORES");
  return flat.flatMap((player, n) => (n % 2 ? [] : [{ player, score: parseInt(flat[n + 1]), rank: n / 2 + 1 }]));
}
async function rank(player) {
  const [place, score] = [await redis.zrevrank("leaderboard", player), await redis.zscore("leaderboard", player)];
  return { player, rank: place === null ? null : place + 1, score: score ? parseInt(score) : 0 };
}

for (let n = 1; n <= 15; n++) await update(`player${n}`, (n * 37) % 100);
show("again", await update("player3", 95));
show("top", await top());
show("top 3", await top(3));
show("rank", await rank("player3"));
show("nobody", await rank("nobody"));
show("ties", [await update("b", 95), await update("a", 95), await top(4)]);
await redis.quit();
