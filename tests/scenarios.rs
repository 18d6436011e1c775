//! What people keep in such a store, each as a small program: read one to see how it is done, run it to see that it
//! works. Everything goes through the typed face; time is a clock moved by hand wherever time matters.

use larder::{Bytes, Clock, Error, GetExOptions, Result, SetOptions, Store, Ttl, ZAddOptions, ZRange};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn on_a_clock() -> (Clock, Store) {
    let clock = Clock::manual();
    let store = Store::builder().clock(clock.clone()).build().expect("the settings are sound");
    (clock, store)
}

/// The slow thing behind the cache: it counts how often it is asked.
#[derive(Default)]
struct Database {
    names: RefCell<BTreeMap<u32, String>>,
    asked: RefCell<u32>,
}

impl Database {
    fn with(id: u32, name: &str) -> Database {
        let database = Database::default();
        database.update(id, name);
        database
    }

    fn find(&self, id: u32) -> Option<String> {
        *self.asked.borrow_mut() += 1;
        self.names.borrow().get(&id).cloned()
    }

    fn update(&self, id: u32, name: &str) {
        self.names.borrow_mut().insert(id, name.to_string());
    }

    fn asked(&self) -> u32 {
        *self.asked.borrow()
    }
}

/// Cache-aside: look in the cache; on a miss ask the database and keep the answer for an hour.
#[test]
fn cache_aside_lookup_of_a_user() -> Result<()> {
    fn user(cache: &Store, database: &Database, id: u32) -> Result<Option<String>> {
        let key = format!("user:{id}");
        if let Some(cached) = cache.get(&key)? {
            return Ok(Some(cached.to_string_lossy().into_owned()));
        }
        let Some(found) = database.find(id) else { return Ok(None) };
        cache.setex(&key, HOUR, &found)?;
        Ok(Some(found))
    }

    let (clock, cache) = on_a_clock();
    let database = Database::with(42, "Ada");
    for _ in 0..3 {
        assert_eq!(user(&cache, &database, 42)?.as_deref(), Some("Ada"));
    }
    assert_eq!(database.asked(), 1);
    assert_eq!(cache.ttl("user:42")?, Ttl::Expires(HOUR));

    clock.advance(HOUR - SECOND);
    user(&cache, &database, 42)?;
    assert_eq!(database.asked(), 1);
    clock.advance(SECOND);
    user(&cache, &database, 42)?;
    assert_eq!(database.asked(), 2);

    // Who changes the user drops what the cache has.
    database.update(42, "Ada Lovelace");
    assert_eq!(cache.del(["user:42"])?, 1);
    assert_eq!(user(&cache, &database, 42)?.as_deref(), Some("Ada Lovelace"));

    // What is not there is not kept.
    assert_eq!(user(&cache, &database, 7)?, None);
    assert_eq!(cache.exists(["user:7"])?, 0);
    Ok(())
}

/// Write-through: every update goes to the database and then to the cache, so that reads find the latest.
#[test]
fn write_through() -> Result<()> {
    fn update(cache: &Store, database: &Database, id: u32, name: &str) -> Result<()> {
        database.update(id, name);
        cache.set_with(format!("user:{id}"), name, SetOptions::new().ex(HOUR))?;
        Ok(())
    }

    let (clock, cache) = on_a_clock();
    let database = Database::default();
    for name in ["Grace", "Grace Hopper"] {
        update(&cache, &database, 1, name)?;
        assert_eq!(cache.get("user:1")?.unwrap(), name);
    }
    assert_eq!(database.asked(), 0);

    // An update starts the hour anew; without one the cache lets go, and the database still has it.
    clock.advance(HOUR - SECOND);
    update(&cache, &database, 1, "Rear Admiral Hopper")?;
    clock.advance(HOUR - SECOND);
    assert_eq!(cache.get("user:1")?.unwrap(), "Rear Admiral Hopper");
    clock.advance(SECOND);
    assert_eq!(cache.get("user:1")?, None);
    assert_eq!(database.find(1).as_deref(), Some("Rear Admiral Hopper"));
    Ok(())
}

/// A session lives for half an hour after it was last used.
#[test]
fn sessions_that_live_while_they_are_used() -> Result<()> {
    const LIFE: Duration = Duration::from_secs(30 * 60);

    fn log_in(store: &Store, id: &str, user: &str) -> Result<()> {
        let key = format!("session:{id}");
        store.transaction([&key], |tx| {
            tx.hset(&key, [("user", user), ("cart", "")])?;
            tx.expire(&key, LIFE)?;
            Ok(())
        })
    }

    /// Who is it? And half an hour more for having asked.
    fn user_of(store: &Store, id: &str) -> Result<Option<Bytes>> {
        let key = format!("session:{id}");
        store.transaction([&key], |tx| {
            tx.expire(&key, LIFE)?;
            tx.hget(&key, "user")
        })
    }

    let (clock, store) = on_a_clock();
    log_in(&store, "a1b2", "ada")?;
    for _ in 0..10 {
        clock.advance(20 * MINUTE);
        assert_eq!(user_of(&store, "a1b2")?.unwrap(), "ada");
    }
    store.hset("session:a1b2", [("cart", "apples")])?;
    assert_eq!(store.ttl("session:a1b2")?, Ttl::Expires(LIFE));
    clock.advance(LIFE);
    assert_eq!(user_of(&store, "a1b2")?, None);
    assert_eq!(store.dbsize()?, 0);

    // A session that is one string needs no transaction: GETEX looks and prolongs at once.
    store.setex("session:c3", LIFE, "grace")?;
    clock.advance(20 * MINUTE);
    assert_eq!(store.getex("session:c3", GetExOptions::new().ex(LIFE))?.unwrap(), "grace");
    assert_eq!(store.ttl("session:c3")?, Ttl::Expires(LIFE));
    Ok(())
}

/// A hundred requests a minute: the first of a window starts it.
#[test]
fn fixed_window_rate_limiter() -> Result<()> {
    const LIMIT: i64 = 100;

    fn allowed(store: &Store, who: &str) -> Result<bool> {
        let key = format!("rate:{who}");
        // As a transaction, so that no crash between the two can leave a counter that never ends.
        store.transaction([&key], |tx| {
            let requests = tx.incr(&key)?;
            if requests == 1 {
                tx.expire(&key, MINUTE)?;
            }
            Ok(requests <= LIMIT)
        })
    }

    let (clock, store) = on_a_clock();
    for _ in 0..LIMIT {
        assert!(allowed(&store, "10.0.0.1")?);
    }
    assert!(!allowed(&store, "10.0.0.1")?);
    assert!(allowed(&store, "10.0.0.2")?, "others are not held to it");

    clock.advance(MINUTE - SECOND);
    assert!(!allowed(&store, "10.0.0.1")?, "a refused request does not prolong the window, nor end it");
    clock.advance(SECOND);
    assert!(allowed(&store, "10.0.0.1")?);
    assert_eq!(store.get("rate:10.0.0.1")?.unwrap(), "1");
    Ok(())
}

/// A lock that ends by itself, and that only its holder may end before.
#[test]
fn lock_with_compare_and_delete() -> Result<()> {
    const LEASE: Duration = Duration::from_secs(10);

    fn lock(store: &Store, name: &str, token: &str) -> Result<bool> {
        store.set_with(name, token, SetOptions::new().nx().px(LEASE))
    }

    fn unlock(store: &Store, name: &str, token: &str) -> Result<bool> {
        store.transaction([name], |tx| {
            let mine = tx.get_with(name, |held| held == Some(token.as_bytes()))?;
            Ok(mine && tx.del([name])? == 1)
        })
    }

    let (clock, store) = on_a_clock();
    assert!(lock(&store, "lock:report", "worker-1")?);
    assert!(!lock(&store, "lock:report", "worker-2")?);
    assert!(!unlock(&store, "lock:report", "worker-2")?);
    assert!(unlock(&store, "lock:report", "worker-1")?);
    assert!(lock(&store, "lock:report", "worker-2")?);

    // Worker 2 dawdles past its lease, and must not end the lock that worker 3 has by then.
    clock.advance(LEASE);
    assert!(lock(&store, "lock:report", "worker-3")?);
    assert!(!unlock(&store, "lock:report", "worker-2")?);
    assert_eq!(store.get("lock:report")?.unwrap(), "worker-3");

    // Of many threads that try at once, one gets it.
    let winners: usize = std::thread::scope(|scope| {
        let trying: Vec<_> = (0..8)
            .map(|n| {
                let store = store.clone();
                scope.spawn(move || lock(&store, "lock:race", &format!("thread-{n}")))
            })
            .collect();
        trying.into_iter().map(|t| usize::from(t.join().unwrap().unwrap())).sum()
    });
    assert_eq!(winners, 1);
    Ok(())
}

/// A token bucket: ten tokens at most, two more each second, a request takes as many as it costs. Bucket and time are
/// two fields of one hash, read and written in one transaction; a request that is refused leaves them alone.
#[test]
fn token_bucket_in_a_transaction() -> Result<()> {
    const SIZE: f64 = 10.0;
    const PER_SECOND: f64 = 2.0;

    fn field(tx: &larder::Transaction<'_>, key: &str, name: &str) -> Result<Option<f64>> {
        Ok(tx.hget(key, name)?.and_then(|text| text.as_str()?.parse().ok()))
    }

    fn take(store: &Store, clock: &Clock, who: &str, cost: f64) -> Result<bool> {
        let key = format!("bucket:{who}");
        let now = clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let taken = store.transaction([&key], |tx| {
            let since = now - field(tx, &key, "at")?.unwrap_or(now);
            let tokens = (field(tx, &key, "tokens")?.unwrap_or(SIZE) + since * PER_SECOND).min(SIZE);
            tx.hset(&key, [("at", now.to_string()), ("tokens", (tokens - cost).to_string())])?;
            tx.expire(&key, Duration::from_secs_f64(SIZE / PER_SECOND))?; // by then it is full again
            if tokens < cost { Err(Error::abort("too many requests")) } else { Ok(()) }
        });
        match taken {
            Ok(()) => Ok(true),
            Err(Error::Aborted(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    let (clock, store) = on_a_clock();
    assert!(!take(&store, &clock, "ada", 11.0)?);
    assert_eq!(store.exists(["bucket:ada"])?, 0, "a refusal leaves nothing behind");
    for _ in 0..5 {
        assert!(take(&store, &clock, "ada", 2.0)?);
    }
    assert!(!take(&store, &clock, "ada", 1.0)?);
    clock.advance(SECOND);
    let before = store.hgetall("bucket:ada")?;
    assert!(!take(&store, &clock, "ada", 3.0)?);
    assert_eq!(store.hgetall("bucket:ada")?, before);
    assert!(take(&store, &clock, "ada", 2.0)?);
    clock.advance(MINUTE);
    assert_eq!(store.exists(["bucket:ada"])?, 0, "a full bucket is no bucket");
    assert!(take(&store, &clock, "ada", 10.0)?);
    Ok(())
}

/// Tags: each is a set of the keys that depend on it. What a tag stands for changes: all those keys go.
#[test]
fn invalidation_by_tags() -> Result<()> {
    fn keep(cache: &Store, key: &str, page: &str, tags: &[&str]) -> Result<()> {
        let sets: Vec<String> = tags.iter().map(|tag| format!("tag:{tag}")).collect();
        let all = sets.iter().map(String::as_str).chain([key]);
        cache.transaction(all, |tx| {
            tx.setex(key, HOUR, page)?;
            sets.iter().try_for_each(|set| tx.sadd(set, [key]).map(drop))
        })
    }

    fn invalidate(cache: &Store, tag: &str) -> Result<u64> {
        let set = format!("tag:{tag}");
        cache.transaction_all(|tx| {
            let gone = tx.del(tx.smembers(&set)?)?;
            tx.del([&set])?;
            Ok(gone)
        })
    }

    let (clock, cache) = on_a_clock();
    keep(&cache, "page:/", "front", &["posts", "users"])?;
    keep(&cache, "page:/post/1", "first post", &["posts"])?;
    keep(&cache, "page:/about", "about", &["static"])?;
    assert_eq!(invalidate(&cache, "posts")?, 2);
    assert_eq!(cache.mget(["page:/", "page:/post/1"])?, [None, None]);
    assert_eq!(cache.get("page:/about")?.unwrap(), "about");
    assert_eq!(invalidate(&cache, "posts")?, 0);

    // A key may have gone before its tag; that is not counted, and does no harm.
    clock.advance(HOUR);
    assert_eq!(invalidate(&cache, "static")?, 0);
    assert_eq!(cache.keys("tag:*")?, ["tag:users"]);
    Ok(())
}

/// All keys of one user begin alike: `user:7:`. Walking the prefix finds them, on a store with an index of its keys in
/// order for what they are, on any other by looking at every key.
#[test]
fn invalidation_by_prefix() -> Result<()> {
    for ordered in [false, true] {
        let cache = Store::builder().ordered_keys(ordered).build()?;
        for user in 0..30 {
            for part in ["profile", "posts", "friends"] {
                cache.set(format!("user:{user}:{part}"), "..")?;
            }
        }
        let of_seven: BTreeSet<Bytes> = cache.scan_prefix("user:7:").collect::<Result<_>>()?;
        assert!(of_seven.iter().eq(["user:7:friends", "user:7:posts", "user:7:profile"].iter()));
        assert_eq!(cache.unlink(&of_seven)?, 3);
        assert_eq!(cache.scan_prefix("user:7:").count(), 0);
        assert_eq!(cache.dbsize()?, 87);

        // The same by a pattern, a key at a time; keys may go while the walk is under way.
        for key in cache.scan().matching("user:*:posts") {
            cache.unlink([key?])?;
        }
        assert_eq!(cache.dbsize()?, 87 - 29);
    }
    Ok(())
}

/// A queue of work on a list. A worker moves a job to its own list while it works, so that nothing is lost if it dies.
#[test]
fn work_queue_on_a_list() -> Result<()> {
    use larder::Side::{Left, Right};
    const JOBS: usize = 400;

    /// Works until the queue is empty; the worker numbered 0 dies with its third job in hand.
    fn work(store: &Store, number: usize) -> Result<()> {
        let mine = format!("working:{number}");
        let mut done = 0;
        while let Some(job) = store.lmove("jobs", Left, &mine, Right)? {
            if (number, done) == (0, 2) {
                return Ok(());
            }
            store.transaction([mine.as_str(), "done"], |tx| {
                tx.rpush("done", [&job])?;
                tx.lrem(&mine, larder::Occurrences::First(1), &job).map(drop)
            })?;
            done += 1;
        }
        Ok(())
    }

    let store = Store::new();
    let jobs: Vec<String> = (0..JOBS).map(|n| format!("job {n}")).collect();
    assert_eq!(store.rpush("jobs", &jobs)?, JOBS as u64);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|n| {
                scope.spawn({
                    let store = &store;
                    move || work(store, n)
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;

    // What the dead worker had in hand (if it got three jobs at all) goes back to the front, and someone else does it.
    while store.lmove("working:0", Right, "jobs", Left)?.is_some() {}
    work(&store, 9)?;
    let mut done = store.lrange("done", ..)?;
    assert_eq!(done.len(), JOBS);
    done.sort();
    done.dedup();
    assert_eq!(done.len(), JOBS, "no job was done twice");
    assert_eq!(store.keys("*")?, ["done"]);
    Ok(())
}

/// A map of shops: who is near, who is nearest of those that are open, and moving one.
#[test]
fn shops_near_by() -> Result<()> {
    use larder::{GeoSearch, GeoUnit};
    let store = Store::new();
    store.geoadd(
        "shops",
        [
            (2.3522, 48.8566, "bakery at the town hall"),
            (2.3499, 48.8530, "bookshop by the bridge"),
            (2.2945, 48.8584, "kiosk under the tower"),
            (2.3376, 48.8606, "print shop at the museum"),
            (7.7521, 48.5734, "wine cellar far away"),
        ],
    )?;

    // Within two kilometres of where I stand, the nearest first.
    let here = || GeoSearch::from_lonlat(2.3488, 48.8534);
    let near = store.geosearch("shops", here().by_radius(2.0, GeoUnit::Km).asc())?;
    let names: Vec<&Bytes> = near.iter().map(|hit| &hit.member).collect();
    assert_eq!(names, ["bookshop by the bridge", "bakery at the town hall", "print shop at the museum"]);
    assert!(near[0].distance < 0.1, "round the corner");

    // The nearest that is open: the shops are members of a sorted set, so set algebra finds what two sets share.
    store.zadd("open", [(1.0, "bakery at the town hall"), (1.0, "kiosk under the tower")])?;
    store.geosearchstore_dist("near", "shops", here().by_radius(10.0, GeoUnit::Km))?;
    let far = store.zscore("near", "kiosk under the tower")?.expect("it is near");
    assert_eq!(far.round(), 4.0);
    let open: Vec<Bytes> = store.zinter(["near", "open"])?.into_iter().map(|(shop, _)| shop).collect();
    assert_eq!(open, ["bakery at the town hall", "kiosk under the tower"]);

    // The kiosk moves next door; the address in short is the geohash, whose beginnings are areas.
    store.geoadd("shops", [(2.3490, 48.8535, "kiosk under the tower")])?;
    let one = store.geosearch("shops", here().by_radius(2.0, GeoUnit::Km).count(1))?;
    assert_eq!(one[0].member, "kiosk under the tower");
    let areas = store.geohash("shops", ["kiosk under the tower", "bookshop by the bridge"])?;
    assert_eq!(areas[0].as_ref().map(|hash| &hash[..6]), areas[1].as_ref().map(|hash| &hash[..6]));

    // A shop that closes is a member that is removed.
    store.zrem("shops", ["kiosk under the tower"])?;
    assert_eq!(store.geodist("shops", "kiosk under the tower", "bookshop by the bridge", GeoUnit::M)?, None);
    Ok(())
}

/// How many visitors a site had, a day and a week, without keeping who they were.
#[test]
fn unique_visitors_by_day_and_week() -> Result<()> {
    let (clock, store) = on_a_clock();
    let days: Vec<String> = (1..=7).map(|day| format!("visitors:day:{day}")).collect();
    for (n, day) in days.iter().enumerate() {
        // Each day two thousand people come, half of whom came the day before.
        store.pfadd(day, (n * 1000..n * 1000 + 2000).map(|who| format!("visitor {who}")))?;
        store.expire(day, 30 * 24 * HOUR)?;
    }
    let within = |count: u64, exact: u64| count.abs_diff(exact) * 100 <= exact * 3;
    assert!(within(store.pfcount(&days[0])?, 2000));
    assert!(within(store.pfcount_union(&days)?, 8000), "who came twice counts once");

    // The week's count is kept longer than the days.
    store.pfmerge("visitors:week", &days)?;
    clock.advance(31 * 24 * HOUR);
    assert_eq!(store.keys("visitors:day:*")?.len(), 0);
    assert!(within(store.pfcount("visitors:week")?, 8000));
    assert!(store.strlen("visitors:week")? <= 12_304, "12 KiB, however many come");
    Ok(())
}

/// A leaderboard: a player keeps the best score, and sees the top, the own place, and who stands just above and below.
#[test]
fn leaderboard_with_ranks_and_neighbours() -> Result<()> {
    fn played(board: &Store, player: &str, score: f64) -> Result<bool> {
        let best = ZAddOptions::new().gt().ch();
        Ok(board.zadd_with("board", [(score, player)], best)? == 1)
    }

    /// Up to `around` players on either side of a player, with their places from 1 on.
    fn neighbours(board: &Store, player: &str, around: u64) -> Result<Vec<(u64, Bytes, f64)>> {
        let Some(rank) = board.zrevrank("board", player)? else { return Ok(Vec::new()) };
        let first = rank.saturating_sub(around);
        let range = ZRange::rank(first as i64..=(rank + around) as i64).rev();
        let found = board.zrange_withscores("board", range)?;
        Ok((first + 1..).zip(found).map(|(place, (player, score))| (place, player, score)).collect())
    }

    let board = Store::new();
    for n in 1..=1000 {
        assert!(played(&board, &format!("player:{n}"), f64::from(n * 10))?);
    }
    assert!(played(&board, "player:500", 9_995.0)?);
    assert!(!played(&board, "player:500", 3.0)?, "a worse game changes nothing");
    assert_eq!(board.zscore("board", "player:500")?, Some(9_995.0));

    let top = board.zrange("board", ZRange::rank(0..3).rev())?;
    assert_eq!(top, ["player:1000", "player:500", "player:999"]);
    let around = neighbours(&board, "player:500", 1)?;
    assert_eq!(
        around,
        [
            (1, "player:1000".into(), 10_000.0),
            (2, "player:500".into(), 9_995.0),
            (3, "player:999".into(), 9_990.0)
        ]
    );
    let last = neighbours(&board, "player:1", 2)?;
    assert_eq!(last.iter().map(|(place, ..)| *place).collect::<Vec<_>>(), [998, 999, 1000]);
    assert!(neighbours(&board, "nobody", 2)?.is_empty());

    assert_eq!(board.zcount("board", 9_900.0..)?, 12);
    // Equal scores stand in the order of the names.
    board.zadd("board", [(9_995.0, "another")])?;
    assert_eq!(board.zrevrank("board", "player:500")?, Some(1));
    assert_eq!(board.zrevrank("board", "another")?, Some(2));
    Ok(())
}

/// A limiter that looks back over a sliding window: a user's requests stand by their time, what is older than the window
/// goes, and what is left is counted. All of it happens at once, and an idle user's key goes by itself.
#[test]
fn sliding_window_limiter() -> Result<()> {
    const WINDOW: Duration = Duration::from_secs(10);
    const ALLOWED: u64 = 3;

    struct Limiter {
        clock: Clock,
        store: Store,
    }

    impl Limiter {
        /// Whether the request may go on; `Err` would tell how long to wait.
        fn request(&self, user: &str, id: u32) -> Result<std::result::Result<(), Duration>> {
            let now = self.clock.now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
            let key = format!("requests:{user}");
            self.store.transaction([&key], |tx| {
                tx.zremrange(&key, ZRange::score(..=(now - WINDOW).as_secs_f64()))?;
                if tx.zcard(&key)? >= ALLOWED {
                    let oldest = tx.zrange_withscores(&key, ZRange::rank(..1))?;
                    let free = oldest.first().map_or(0.0, |(_, at)| at + WINDOW.as_secs_f64());
                    return Ok(Err(Duration::from_secs_f64(free - now.as_secs_f64())));
                }
                tx.zadd(&key, [(now.as_secs_f64(), id.to_string())])?;
                tx.expire(&key, WINDOW)?;
                Ok(Ok(()))
            })
        }
    }

    let (clock, store) = on_a_clock();
    let limiter = Limiter { clock: clock.clone(), store: store.clone() };
    for id in 0..3 {
        assert_eq!(limiter.request("ada", id)?, Ok(()));
        clock.advance(2 * SECOND);
    }
    // Six seconds after the first: it leaves the window in four.
    let wait = limiter.request("ada", 3)?.expect_err("a fourth request");
    assert!((wait.as_secs_f64() - 4.0).abs() < 0.001, "{wait:?}");
    assert_eq!(limiter.request("bob", 0)?, Ok(()), "users do not get in each other's way");

    clock.advance(wait);
    assert_eq!(limiter.request("ada", 4)?, Ok(()));
    assert!(limiter.request("ada", 5)?.is_err(), "one left the window, and one came");
    assert_eq!(store.zrange("requests:ada", ZRange::rank(..))?, ["1", "2", "4"]);

    clock.advance(WINDOW);
    assert_eq!(store.exists(["requests:ada", "requests:bob"])?, 0);
    Ok(())
}

/// A queue of jobs that are due later: they stand by their time; a worker takes what is due and no other worker gets it;
/// a job that fails is put back for later.
#[test]
fn delayed_job_queue() -> Result<()> {
    struct Jobs {
        clock: Clock,
        store: Store,
    }

    impl Jobs {
        fn now(&self) -> f64 {
            self.clock.now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs_f64()
        }

        fn later(&self, job: &str, after: Duration) -> Result<()> {
            // A job that is there already is moved.
            self.store.zadd("jobs", [(self.now() + after.as_secs_f64(), job)]).map(drop)
        }

        /// Up to `most` jobs that are due, the longest due first, which are then the caller's.
        fn due(&self, most: usize) -> Result<Vec<Bytes>> {
            let due = ZRange::score(..=self.now()).limit(0, most);
            self.store.transaction(["jobs"], |tx| {
                let jobs = tx.zrange("jobs", due)?;
                tx.zrem("jobs", &jobs)?;
                Ok(jobs)
            })
        }

        /// When the next job is due: what a worker sleeps until.
        fn next(&self) -> Result<Option<Duration>> {
            let first = self.store.zrange_withscores("jobs", ZRange::rank(..1))?;
            Ok(first.first().map(|(_, at)| Duration::from_secs_f64((at - self.now()).max(0.0))))
        }
    }

    let (clock, store) = on_a_clock();
    let jobs = Jobs { clock: clock.clone(), store: store.clone() };
    jobs.later("mail", 5 * MINUTE)?;
    jobs.later("report", MINUTE)?;
    jobs.later("clean up", HOUR)?;
    assert!(jobs.due(10)?.is_empty());
    assert!(jobs.next()?.is_some_and(|wait| wait.abs_diff(MINUTE) < Duration::from_millis(1)));

    clock.advance(MINUTE);
    assert_eq!(jobs.due(10)?, ["report"]);
    assert!(jobs.due(10)?.is_empty(), "it has been taken");
    // It failed: once more in two minutes.
    jobs.later("report", 2 * MINUTE)?;
    clock.advance(10 * MINUTE);
    assert_eq!(jobs.due(1)?, ["report"]);
    assert_eq!(jobs.due(1)?, ["mail"]);

    // Eight workers at once: each job is one worker's.
    for n in 0..400 {
        jobs.later(&format!("job:{n}"), SECOND)?;
    }
    clock.advance(SECOND);
    let jobs = &jobs;
    let taken: Vec<Bytes> = std::thread::scope(|scope| {
        let worker = || {
            let mut taken = Vec::new();
            loop {
                match jobs.due(7).expect("the queue holds sorted sets alone") {
                    due if due.is_empty() => return taken,
                    due => taken.extend(due),
                }
            }
        };
        let workers: Vec<_> = (0..8).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no worker panics")).collect()
    });
    assert_eq!((taken.len(), taken.iter().collect::<BTreeSet<_>>().len()), (400, 400));
    assert_eq!(store.zrange("jobs", ZRange::rank(..))?, ["clean up"]);
    Ok(())
}
