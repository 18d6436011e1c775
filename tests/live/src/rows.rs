//! The commands to generate: larder's rows, each with its syntax.

use larder::grammar::Grammar;

pub struct Row {
    /// `SET`, `OBJECT|ENCODING`.
    pub name: String,
    pub grammar: Grammar,
}

/// Every row. The list stands here until larder tells its own.
pub fn rows() -> Result<Vec<Row>, String> {
    LIST.lines().map(str::trim).filter(|l| !l.is_empty()).map(row).collect()
}

fn row(syntax: &'static str) -> Result<Row, String> {
    let grammar = Grammar::parse(syntax);
    match grammar.error {
        Some(why) => Err(format!("{syntax}: {why}")),
        None => Ok(Row { name: grammar.name.clone(), grammar }),
    }
}

const LIST: &str = "
APPEND key value
DECR key
DECRBY key decrement
GET key
GETDEL key
GETEX key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST]
GETRANGE key start end
GETSET key value
INCR key
INCRBY key increment
INCRBYFLOAT key increment
LCS key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]
MGET key [key ...]
MSET key value [key value ...]
MSETNX key value [key value ...]
PSETEX key milliseconds value
SET key value [NX|XX] [GET] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]
SETEX key seconds value
SETNX key value
SETRANGE key offset value
STRLEN key
SUBSTR key start end
BITCOUNT key [start end [BYTE|BIT]]
BITFIELD key [<GET encoding offset|[OVERFLOW <WRAP|SAT|FAIL>] <SET encoding offset value|INCRBY encoding offset increment>> ...]
BITFIELD_RO key [GET encoding offset [GET encoding offset ...]]
BITOP <AND|OR|XOR|NOT> destkey key [key ...]
BITPOS key bit [start [end [BYTE|BIT]]]
GETBIT key offset
SETBIT key offset bit
HDEL key field [field ...]
HEXISTS key field
HGET key field
HGETALL key
HINCRBY key field increment
HINCRBYFLOAT key field increment
HKEYS key
HLEN key
HMGET key field [field ...]
HMSET key field value [field value ...]
HRANDFIELD key [count [WITHVALUES]]
HSCAN key cursor [MATCH pattern] [COUNT count]
HSET key field value [field value ...]
HSETNX key field value
HSTRLEN key field
HVALS key
LINDEX key index
LINSERT key <BEFORE|AFTER> pivot element
LLEN key
LMOVE source destination <LEFT|RIGHT> <LEFT|RIGHT>
LMPOP numkeys key [key ...] <LEFT|RIGHT> [COUNT count]
LPOP key [count]
LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]
LPUSH key element [element ...]
LPUSHX key element [element ...]
LRANGE key start stop
LREM key count element
LSET key index element
LTRIM key start stop
RPOP key [count]
RPOPLPUSH source destination
RPUSH key element [element ...]
RPUSHX key element [element ...]
SADD key member [member ...]
SCARD key
SDIFF key [key ...]
SDIFFSTORE destination key [key ...]
SINTER key [key ...]
SINTERCARD numkeys key [key ...] [LIMIT limit]
SINTERSTORE destination key [key ...]
SISMEMBER key member
SMEMBERS key
SMISMEMBER key member [member ...]
SMOVE source destination member
SPOP key [count]
SRANDMEMBER key [count]
SREM key member [member ...]
SSCAN key cursor [MATCH pattern] [COUNT count]
SUNION key [key ...]
SUNIONSTORE destination key [key ...]
COPY source destination [DB destination-db] [REPLACE]
DEL key [key ...]
EXISTS key [key ...]
EXPIRE key seconds [NX|XX|GT|LT]
EXPIREAT key unix-time-seconds [NX|XX|GT|LT]
EXPIRETIME key
KEYS pattern
MOVE key db
OBJECT ENCODING key
OBJECT FREQ key
OBJECT IDLETIME key
OBJECT REFCOUNT key
PERSIST key
PEXPIRE key milliseconds [NX|XX|GT|LT]
PEXPIREAT key unix-time-milliseconds [NX|XX|GT|LT]
PEXPIRETIME key
PTTL key
RANDOMKEY
RENAME key newkey
RENAMENX key newkey
SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]
SORT key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA] [STORE destination]
SORT_RO key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA]
TOUCH key [key ...]
TTL key
TYPE key
UNLINK key [key ...]
DBSIZE
ECHO message
FLUSHALL [ASYNC|SYNC]
FLUSHDB [ASYNC|SYNC]
PING [message]
SELECT index
SWAPDB index1 index2
MULTI
EXEC
DISCARD
WATCH key [key ...]
UNWATCH
";
