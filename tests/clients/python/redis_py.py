"""redis-py: values, pipelines, WATCH, scans, blocking, messages, pools; in RESP2 and RESP3; sync and asyncio; with the
listener stopped and started under it; and what its cluster client says to a server without cluster mode."""

import asyncio
import os
import threading
import time

import redis
import redis.asyncio
import redis.asyncio.retry
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from lib import listener, show

SOCKET = os.environ["REDIS_SOCKET"]


def refused(call):
    try:
        return call()
    except redis.RedisError as error:
        return f"{type(error).__name__}: {error}"


def values(r):
    r.flushall()
    show("set", r.set("k", "v", ex=100, nx=True))
    show("set again", r.set("k", "w", nx=True))
    show("get", r.get("k"))
    show("ttl", 90 < r.ttl("k") <= 100)
    show("incr", r.incr("n", 5))
    show("incrbyfloat", r.incrbyfloat("f", 1.5))
    show("mset", r.mset({"a": 1, "b": 2}))
    show("mget", r.mget("a", "none", "b"))
    show("hset", r.hset("h", mapping={"a": 1, "b": 2}))
    show("hgetall", r.hgetall("h"))
    show("rpush", r.rpush("l", 1, 2, 3))
    show("lrange", r.lrange("l", 0, -1))
    show("lpos", r.lpos("l", 2))
    show("sadd", r.sadd("s", "a", "b"))
    show("smembers", r.smembers("s"))
    show("zadd", r.zadd("z", {"a": 1.5, "b": 2}))
    show("zrange", r.zrange("z", 0, -1, withscores=True))
    show("zscore", r.zscore("z", "a"))
    show("zpopmin", r.zpopmin("z"))
    show("xadd", r.xadd("x", {"f": "v"}, id="1-1"))
    show("xrange", r.xrange("x"))
    show("xgroup", r.xgroup_create("x", "g", "0"))
    show("xreadgroup", r.xreadgroup("g", "c", {"x": ">"}))
    show("xpending", r.xpending("x", "g"))
    show("geoadd", r.geoadd("geo", (13.361389, 38.115556, "Palermo")))
    show("geodist", r.geodist("geo", "Palermo", "none"))
    show("setbit", [r.setbit("bits", 7, 1), r.bitcount("bits")])
    show("pfadd", [r.pfadd("hll", "a", "b"), r.pfcount("hll")])
    show("wrong type", refused(lambda: r.incr("h")))
    show("no such", refused(lambda: r.execute_command("NOSUCH", "x")))
    show("type", r.type("h"))
    show("scan", sorted(r.scan_iter("*", count=3)))
    show("hscan", sorted(r.hscan_iter("h")))
    show("object", r.object("encoding", "h"))
    show("config", r.config_get("maxmemory*")["maxmemory-policy"])
    show("info", r.info("server")["redis_version"])
    show("keyspace", r.info("keyspace")["db0"]["keys"])
    show("client", r.client_setname("me") and r.client_getname())
    show("client list", any(c["name"] == "me" for c in r.client_list()))
    show("command", r.command_count() > 100)
    show("role", r.role())
    show("time", abs(r.time()[0] - time.time()) < 5)
    show("slowlog", r.slowlog_reset())
    show("memory", r.memory_usage("k") > 0)


def transactions(r):
    pipe = r.pipeline(transaction=True)
    show("pipeline", pipe.set("p", 1).incr("p").get("p").execute())
    pipe = r.pipeline(transaction=False)
    show("plain", pipe.get("p").lpush("p", 1).get("p").execute(raise_on_error=False)[0::2])
    with r.pipeline() as pipe:
        pipe.watch("p")
        r.set("p", 10)
        pipe.multi()
        pipe.incr("p")
        show("watch", refused(pipe.execute))
    show("transaction", r.transaction(lambda pipe: (pipe.multi(), pipe.incr("p")), "p"))


def waiting(r):
    threading.Timer(0.1, lambda: r.rpush("q", "job")).start()
    show("blpop", r.blpop("q", timeout=5))
    show("blpop in vain", r.blpop("q", timeout=0.05))
    show("blmove in vain", r.blmove("q", "done", 0.05))
    threading.Timer(0.1, lambda: r.zadd("zq", {"job": 1})).start()
    show("bzpopmin", r.bzpopmin("zq", timeout=5))


def messages(r):
    p = r.pubsub(ignore_subscribe_messages=True)
    p.subscribe("news")
    p.psubscribe("user:*")
    seen = []
    deadline = time.time() + 5
    while time.time() < deadline and r.pubsub_numsub("news")[0][1] == 0:
        p.get_message(timeout=0.01)
    show("publish", [r.publish("news", "one"), r.publish("user:7", "two")])
    while time.time() < deadline and len(seen) < 2:
        message = p.get_message(timeout=0.1)
        if message:
            seen.append((message["type"], message["channel"], message["data"]))
    show("messages", seen)
    p.close()


async def in_tasks(protocol):
    r = redis.asyncio.Redis(unix_socket_path=SOCKET, protocol=protocol, decode_responses=True)
    show("async", sorted(await asyncio.gather(*(r.incr("async") for _ in range(20)))))
    async with r.pipeline(transaction=True) as pipe:
        show("async pipeline", await pipe.set("ap", 1).incr("ap").execute())
    await r.aclose()


def patient():
    """Tries a command again until the listener is back."""
    return Retry(ConstantBackoff(0.02), 500)


def restarted(protocol):
    """A pool with connections that have died, and a subscriber, are as good as new."""
    options = {"unix_socket_path": SOCKET, "protocol": protocol, "decode_responses": True}
    errors = [redis.ConnectionError]
    r = redis.Redis(**options, retry=patient(), retry_on_error=errors)
    hasty = redis.Redis(**options, retry=Retry(ConstantBackoff(0), 0))
    p = r.pubsub(ignore_subscribe_messages=True)
    p.subscribe("news")
    r.set("k", "before")
    hasty.ping()
    listener("stop")
    show("down", type(refused_by(hasty.ping)).__name__)
    threading.Timer(0.2, listener, ["start"]).start()
    show("set", r.set("k", "after"))
    show("get", [r.get("k"), hasty.get("k")])
    deadline = time.time() + 5
    while time.time() < deadline and r.publish("news", "again") == 0:
        p.get_message(timeout=0.05)
    message = None
    while time.time() < deadline and not message:
        message = p.get_message(timeout=0.1)
    show("subscribed again", message["data"])
    p.close()
    asyncio.run(restarted_in_tasks(options, errors))


async def restarted_in_tasks(options, errors):
    retry = redis.asyncio.retry.Retry(ConstantBackoff(0.02), 500)
    r = redis.asyncio.Redis(**options, retry=retry, retry_on_error=errors)
    await asyncio.gather(*(r.ping() for _ in range(5)))
    await asyncio.to_thread(listener, "stop")
    starts = asyncio.create_task(asyncio.to_thread(listener, "start"))
    show("async", sorted(await asyncio.gather(*(r.incr("async again") for _ in range(5)))))
    await starts
    await r.aclose()


def refused_by(call):
    try:
        return call()
    except (redis.RedisError, redis.RedisClusterException) as error:
        return error


for protocol in (2, 3):
    print("RESP", protocol)
    r = redis.Redis(unix_socket_path=SOCKET, protocol=protocol, decode_responses=True, health_check_interval=1)
    values(r)
    transactions(r)
    waiting(r)
    messages(r)
    asyncio.run(in_tasks(protocol))
    r.close()
    restarted(protocol)
show("cluster", str(refused_by(lambda: redis.RedisCluster.from_url(os.environ["REDIS_URL"]))))
