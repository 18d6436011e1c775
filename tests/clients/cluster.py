"""redis-py's cluster client on a cluster of one node; its port is the argument."""

import sys

import redis
from redis.cluster import RedisCluster


def show(name, value):
    print(name, value)


def refused(call):
    try:
        return call()
    except redis.RedisError as error:
        return f"{type(error).__name__}: {error}"


r = RedisCluster(host="127.0.0.1", port=int(sys.argv[1]))
show("flush", r.flushall())
show("nodes", len(r.get_nodes()))
for n in range(50):
    r.set(f"key:{n}", n)
show("sum", sum(int(r.get(f"key:{n}")) for n in range(50)))
show("slot", [r.keyslot("{a}b"), r.cluster_keyslot("{a}b"), r.keyslot("foo")])
show("one slot", [r.mset({"{a}1": 1, "{a}2": 2}), r.mget("{a}1", "{a}2")])
show("across slots", r.mget_nonatomic("key:1", "key:2", "none"))
show("count", r.cluster_countkeysinslot(r.keyslot("{a}1")))
show("keys in slot", sorted(r.cluster_get_keys_in_slot(r.keyslot("{a}1"), 10)))
show("state", r.cluster_info()["cluster_state"])
with r.pipeline() as pipeline:
    pipeline.incr("{a}n").incr("{a}n").get("key:3")
    show("pipeline", pipeline.execute())
one = redis.Redis(port=int(sys.argv[1]))
show("crossing", refused(lambda: one.mget("a", "b")))
show("select", refused(lambda: one.execute_command("SELECT", 1)))
show("scan", len(list(r.scan_iter("key:*"))))
