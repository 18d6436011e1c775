#!/usr/bin/env bash
# redis-cli, which is hiredis: replies of every kind in both protocols, a pipe, a scan, and mass insertion.
set -u
socket=$REDIS_SOCKET
cli() { redis-cli -s "$socket" "$@"; }
cli FLUSHALL
for version in -2 -3; do
  cli $version SET k "a b"
  cli $version GET k
  cli $version GET none
  cli $version HSET h a 1 b 2
  cli $version HGETALL h
  cli $version ZADD z 1.5 a 2 b
  cli $version --no-raw ZRANGE z 0 -1 WITHSCORES
  cli $version --json HGETALL h
  cli $version INCR k
  cli $version NOSUCH command
  cli $version CONFIG GET maxmemory
  cli $version XADD s 1-1 f v
  cli $version XADD s 1-1 f v
  cli $version --no-raw XRANGE s - +
done
printf 'MULTI\nINCR n\nINCR n\nEXEC\nDISCARD\n' | cli
seq 1 1000 | sed 's/.*/SET key:& &/' | cli | sort | uniq -c | tr -s ' '
cli --scan --pattern 'key:*' | wc -l
printf '*2\r\n$4\r\nINCR\r\n$1\r\np\r\n%.0s' {1..500} | cli --pipe | grep -v 'Last reply'
cli GET p
cli -n 3 SET k three
cli -n 3 GET k
cli DBSIZE
cli INFO server | grep -c '^redis_version:7.0.15'
(sleep 0.2; cli PUBLISH news hello > /dev/null) &
timeout 1 redis-cli -s "$socket" SUBSCRIBE news
wait
(sleep 0.2; cli RPUSH q job > /dev/null) &
cli BLPOP q 5
cli BLPOP q 0.05
wait
# One process, the listener stopped and started under it.
control() { python3 "$(dirname "$0")/control.py" "$1"; }
{ echo SET k v; sleep 0.2; control stop; control start; echo PING; echo GET k; echo SET k w; echo GET k; } | cli
