use versus::{
    bytes, doors, empty, expiry, growth, hot, log, ordered, pubsub, rdb, redis, snapshot, sorted, waiting,
};

const HELP: &str = "\
larder beside its peers. Run with --release, on a machine that does nothing else; only ratios within one run count.

  versus hot [entries] [rounds]   GET, SET and a 90/10 mix, uniform and zipf, 1 and 2 threads: larder beside the bare
                                  table it stands on, dashmap, papaya, scc, moka, quick_cache and std's HashMap
  versus redis [scale] [command]  the commands of strings, hashes, lists, sets, sorted sets and keys, beside what a Redis server says
                                  they cost inside it (starts a redis-server of its own); scale 1 is a million elements
  versus calls [scale] [rounds] [command]
                                  our side of these rows alone, the least of some rounds: for two builds of larder
  versus rdb [keys]               saving and loading strings of 32 bytes, beside redis-server's SAVE and its start on the same
                                  file; peak memory
  versus log [sets]               what the log costs under each policy, one writer and 64 under always, recovery, beside
                                  redis-server on the same directory; peak memory of a load and of a new base
  versus bytes                    bytes per element by larder's own count and by the allocator's, beside Valkey's
  versus growth [keys] [members] [scored]
                                  the worst single call while a store grows to 10M keys, a hash and a set to 5M members,
                                  a sorted set to 10M; then the removal of that
  versus expiry [keys]            a million keys whose TTLs end over 9 s: dead keys held, lag, the worst GET meanwhile
  versus empty                    what an empty store costs
  versus pubsub [rounds]          messages to 1, 10 and 1,000 subscribers, beside a redis-server over a unix socket;
                                  publish to nobody
  versus listener [requests] [rounds]
                                  redis-benchmark's tests with pipelines of 1, 16 and 64, and memory of ten thousand idle
                                  connections, beside a redis-server on unix sockets
  versus adapter [calls]          a GET by the typed API, by a session, by the crate redis without a socket (sync and async), and
                                  by the crate from a redis-server over a unix socket
  versus ordered [keys]           the ordered key index: scan_prefix among few and among many keys, write cost, bytes
  versus sorted [members] [rounds] [peers]
                                  the skiplist beside a counted B+tree, BTreeSet and crossbeam's SkipSet
  versus snapshot [keys] [members]
                                  the worst single write while a snapshot of 5M keys is taken, and of a set, a hash, a list and
                                  a sorted set of so many members; throughput beside, memory held
  versus waiting [items]          BLPOP: hand-off from a push to a thread that waits, and a list drained by two threads, and by two
                                  threads and ten tasks, beside a Redis server over a unix socket in the same run; ten thousand who wait

Criterion's benches of the hot commands: cargo bench --manifest-path benches/versus/Cargo.toml
";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (what, rest) = args.split_first().map_or(("", &[][..]), |(what, rest)| (what.as_str(), rest));
    match what {
        "hot" => hot::main(rest),
        "rdb" => rdb::main(rest),
        "log" => log::main(rest),
        "redis" => redis::main(rest),
        "calls" => redis::calls(rest),
        "bytes" => bytes::main(),
        "growth" => growth::main(rest),
        "expiry" => expiry::main(rest),
        "empty" => empty::main(),
        "pubsub" => pubsub::main(rest),
        "snapshot" => snapshot::main(rest),
        "waiting" => waiting::main(rest),
        "listener" => doors::listener(rest),
        "adapter" => doors::adapter(rest),
        doors::SERVE => doors::serve(rest),
        "ordered" => ordered::main(rest),
        "sorted" => sorted::main(rest),
        _ => print!("{HELP}"),
    }
}
