#!/usr/bin/env bash
# redis-benchmark: every test of its default set runs to its end.
set -u
redis-cli -s "$REDIS_SOCKET" FLUSHALL
redis-benchmark -s "$REDIS_SOCKET" -n 2000 -q -P 4 2> /dev/null | tr '\r' '\n' | sed -n 's/: [0-9.]* requests per second.*/: done/p'
redis-benchmark -s "$REDIS_SOCKET" -n 2000 -q -3 -t get,set,zadd 2> /dev/null | tr '\r' '\n' |
  sed -n 's/: [0-9.]* requests per second.*/: done/p'
