"""redis-py over TLS; the port and the folder of certificates are the arguments."""

import sys

import redis

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]


def client(**more):
    ca = f"{FOLDER}/ca.crt"
    return redis.Redis(port=PORT, ssl=True, ssl_ca_certs=ca, ssl_cert_reqs="required", **more)


def refused(call):
    try:
        return call()
    except redis.RedisError as error:
        return type(error).__name__


r = client(ssl_certfile=f"{FOLDER}/client.crt", ssl_keyfile=f"{FOLDER}/client.key")
print("ping", r.ping())
print("large", r.set("k", "x" * 1_000_000), len(r.get("k")))
with r.pipeline() as pipeline:
    for _ in range(1000):
        pipeline.incr("n")
    print("pipeline", sum(pipeline.execute()))
print("delete", r.delete("k", "n"))
print("no certificate", refused(lambda: client().ping()))
