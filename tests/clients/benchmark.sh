#!/usr/bin/env bash
# redis-benchmark: every test of its default set runs to its end.
set -u
redis-cli -s "$1" FLUSHALL
redis-benchmark -s "$1" -n 2000 -q -P 4 2> /dev/null | tr '\r' '\n' | sed -n 's/: [0-9.]* requests per second.*/: done/p'
redis-benchmark -s "$1" -n 2000 -q -3 -t get,set,zadd 2> /dev/null | tr '\r' '\n' |
  sed -n 's/: [0-9.]* requests per second.*/: done/p'
