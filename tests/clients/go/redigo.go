// Go with redigo: values, pipelines, transactions, WATCH, scans, blocking, messages, errors, a pool; over TCP and over a unix
// socket; the listener stopped and started under the pool.
package main

import (
	"fmt"
	"net"
	"os"
	"sort"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
)

func show(name string, value interface{}, err error) {
	if err != nil {
		fmt.Println(name, "error:", err)
		return
	}
	fmt.Printf("%s %v\n", name, value)
}

func must(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// Has the listener stopped ("stop") or started again ("start").
func listener(word string) {
	peer, err := net.Dial("unix", os.Getenv("CONTROL"))
	must(err)
	defer peer.Close()
	_, err = peer.Write([]byte(word))
	must(err)
	_, err = peer.Read(make([]byte, 10))
	must(err)
}

func values(c redis.Conn) {
	v, err := redis.String(c.Do("SET", "k", "v", "EX", 100))
	show("set", v, err)
	v, err = redis.String(c.Do("GET", "none"))
	show("get none", v, err)
	number, err := redis.Int64(c.Do("INCRBY", "n", 5))
	show("incrby", number, err)
	_, err = c.Do("HSET", redis.Args{}.Add("h").AddFlat(map[string]int{"a": 1, "b": 2})...)
	must(err)
	fields, err := redis.IntMap(c.Do("HGETALL", "h"))
	show("hgetall", fields, err)
	var user struct {
		A int `redis:"a"`
		B int `redis:"b"`
	}
	all, err := redis.Values(c.Do("HGETALL", "h"))
	must(err)
	must(redis.ScanStruct(all, &user))
	show("struct", user, nil)
	_, err = c.Do("ZADD", "z", 1.5, "a", 2, "b")
	must(err)
	scores, err := redis.StringMap(c.Do("ZRANGE", "z", 0, -1, "WITHSCORES"))
	show("zrange", scores, err)
	reply, err := c.Do("XADD", "x", "1-1", "f", "v")
	show("xadd", string(reply.([]byte)), err)
	reply, err = c.Do("XRANGE", "x", "-", "+")
	show("xrange", fmt.Sprintf("%s", reply), err)
	_, err = c.Do("INCR", "h")
	show("wrong type", nil, err)
	_, err = c.Do("NOSUCH", "x")
	show("no such", nil, err)
	bytes, err := redis.Bytes(redis.DoWithTimeout(c, time.Second, "BLPOP", "none", 0.05))
	show("blpop in vain", bytes, err)
}

func pipelines(c redis.Conn) {
	for n := 0; n < 100; n++ {
		must(c.Send("SET", fmt.Sprint("key:", n), n))
	}
	must(c.Flush())
	for n := 0; n < 100; n++ {
		_, err := c.Receive()
		must(err)
	}
	cursor, seen := 0, 0
	for {
		page, err := redis.Values(c.Do("SCAN", cursor, "MATCH", "key:*"))
		must(err)
		var keys []string
		_, err = redis.Scan(page, &cursor, &keys)
		must(err)
		if seen += len(keys); cursor == 0 {
			break
		}
	}
	show("scan", seen, nil)
	must(c.Send("MULTI"))
	must(c.Send("INCR", "n"))
	must(c.Send("INCR", "n"))
	counts, err := redis.Ints(c.Do("EXEC"))
	show("multi", counts, err)
}

func watch(c, other redis.Conn) {
	_, err := c.Do("WATCH", "n")
	must(err)
	_, err = other.Do("SET", "n", 10)
	must(err)
	must(c.Send("MULTI"))
	must(c.Send("INCR", "n"))
	reply, err := c.Do("EXEC")
	show("watch", reply, err)
}

func messages(c redis.Conn, pool *redis.Pool) {
	listening := redis.PubSubConn{Conn: c}
	must(listening.Subscribe("news"))
	must(listening.PSubscribe("user:*"))
	for n := 0; n < 5; n++ {
		switch event := listening.ReceiveWithTimeout(5 * time.Second).(type) {
		case redis.Subscription:
			fmt.Println(event.Kind, event.Channel, event.Count)
			if event.Count == 2 {
				other := pool.Get()
				for _, channel := range []string{"news", "user:7"} {
					count, err := redis.Int(other.Do("PUBLISH", channel, "hello"))
					show("publish", count, err)
				}
				must(other.Close())
				must(listening.Ping("are you there"))
			}
		case redis.Message:
			fmt.Printf("%q %s %s\n", event.Pattern, event.Channel, event.Data)
		case redis.Pong:
			fmt.Println("pong", event.Data)
		case error:
			fmt.Println("error:", event)
		}
	}
}

func together(pool *redis.Pool) {
	counts := make([]int, 20)
	var all sync.WaitGroup
	for n := range counts {
		all.Add(1)
		go func(n int) {
			defer all.Done()
			c := pool.Get()
			defer c.Close()
			counts[n], _ = redis.Int(c.Do("INCR", "together"))
		}(n)
	}
	all.Wait()
	sort.Ints(counts)
	show("together", counts, nil)
}

// A connection that has died says so once; the pool's test on borrowing makes new ones.
func restarted(pool *redis.Pool) {
	held, waiting := pool.Get(), pool.Get()
	_, err := held.Do("SET", "k", "before")
	must(err)
	gone := make(chan error)
	go func() {
		_, err := redis.DoWithTimeout(waiting, 0, "BLPOP", "q", 0)
		gone <- err
	}()
	time.Sleep(50 * time.Millisecond)
	listener("stop")
	fmt.Println("waiting", <-gone)
	_, err = held.Do("GET", "k")
	fmt.Println("down", err != nil, held.Err() != nil)
	held.Close()
	waiting.Close()
	c := pool.Get()
	fmt.Println("no listener", c.Err() != nil)
	c.Close()
	listener("start")
	c = pool.Get()
	defer c.Close()
	v, err := redis.String(c.Do("SET", "k", "after"))
	show("set", v, err)
	v, err = redis.String(c.Do("GET", "k"))
	show("get", v, err)
}

func main() {
	dials := []func() (redis.Conn, error){
		func() (redis.Conn, error) { return redis.DialURL(os.Getenv("REDIS_URL"), redis.DialClientName("me")) },
		func() (redis.Conn, error) {
			return redis.Dial("unix", os.Getenv("REDIS_SOCKET"), redis.DialDatabase(3))
		},
	}
	for _, dial := range dials {
		alive := func(c redis.Conn, _ time.Time) error {
			_, err := c.Do("PING")
			return err
		}
		pool := &redis.Pool{MaxIdle: 3, MaxActive: 5, Wait: true, Dial: dial, TestOnBorrow: alive}
		c, other := pool.Get(), pool.Get()
		_, err := c.Do("FLUSHALL")
		must(err)
		values(c)
		pipelines(c)
		watch(c, other)
		must(c.Close())
		must(other.Close())
		together(pool)
		listening, err := dial()
		must(err)
		messages(listening, pool)
		must(listening.Close())
		restarted(pool)
		must(pool.Close())
	}
}
