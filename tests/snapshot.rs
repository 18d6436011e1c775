//! A snapshot is the store as it was at its cut, whatever is done while it is taken.
//!
//! Random commands of all types before the cut, then between the slices of the walk, which is stepped by hand: all in one
//! thread, from seeds. `SNAPSHOTS=20000 cargo test --test snapshot` runs more sequences, `SNAPSHOTS_SEED=7` others.

mod support;

use larder::keyspace::snapshot::{Sizes, Snapshot};
use larder::{Clock, Profile, Store};
use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};
use support::generate::{self, Style, Words};
use support::rng::Rng;
use support::rows::{Row, rows};
use support::told::{Ledger, Place, Told, held};
use support::{embedded, text};

/// Sequences in a usual run, and the steps in each.
const SEQUENCES: u64 = 1500;
const BEFORE: usize = 50;
const MEANWHILE: usize = 60;

#[derive(Clone)]
enum Step {
    Run(Words),
    /// Calls in a transaction that is taken back.
    Fail(Vec<Words>),
    Advance(Duration),
    Tick,
    /// So many slices of the walk.
    Walk(usize),
    /// The snapshot is dropped and another begun.
    Again,
}

struct Plan {
    seed: u64,
    before: Vec<Step>,
    meanwhile: Vec<Step>,
}

fn data_rows() -> Vec<Row> {
    let mut rows = rows((8, 0, 99)).unwrap();
    let others = ["SWAPDB", "FLUSHALL", "FLUSHDB", "SELECT"];
    let groups =
        ["string", "bitmap", "hyperloglog", "hash", "list", "set", "sorted-set", "geo", "stream", "generic"];
    rows.retain(|row| {
        (groups.contains(&row.group) || others.contains(&&*row.name)) && !row.name.ends_with("|HELP")
    });
    rows
}

fn store(seed: u64, clock: &Clock) -> Store {
    let builder = Store::builder().clock(clock.clone()).seed(7).background(false).profile(Profile::V8_0);
    let store = builder.shards([1, 2, 64][(seed % 3) as usize]).build().unwrap();
    let settings = [
        ("hash-max-listpack-entries", "4"),
        ("hash-max-listpack-value", "16"),
        ("set-max-intset-entries", "4"),
        ("set-max-listpack-entries", "6"),
        ("list-max-listpack-size", "3"),
        ("hll-sparse-max-bytes", "100"),
        ("zset-max-listpack-entries", "5"),
        ("stream-node-max-entries", "3"),
    ];
    settings.iter().for_each(|(name, value)| embedded::configure(&store, name, value).unwrap());
    store
}

fn sizes(seed: u64) -> Sizes {
    let pick = |n: u64, of: &[usize]| of[(seed / n) as usize % of.len()];
    Sizes {
        entries: pick(3, &[1, 2, 7, 64]),
        bytes: pick(12, &[1, 200, 30_000]),
        small: pick(36, &[0, 0, 300, 4096]),
    }
}

fn line(words: &str) -> Words {
    words.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// Large values under the keys that random commands use.
fn fill(rng: &mut Rng) -> Vec<Step> {
    let few = [30, 300, 3000][rng.below(3)];
    let n = rng.below(2);
    let numbered = |begin: &str, each: &dyn Fn(usize) -> String| {
        Step::Run(line(&(0..few).fold(begin.to_string(), |line, i| line + " " + &each(i))))
    };
    let mut steps = vec![
        numbered(&format!("SADD t{n}"), &|i| format!("e{i}")),
        numbered(&format!("HSET h{n}"), &|i| format!("f{i} value{i}")),
        numbered(&format!("ZADD z{n}"), &|i| format!("{} m{i}", i * 7 % 50)),
        numbered(&format!("RPUSH l{n}"), &|i| format!("element{i}")),
        Step::Run(line(&format!("SETRANGE s{n} {} x", 50 * few))),
    ];
    let add = |i: usize| Step::Run(line(&format!("XADD x{n} {}-1 f{} v{i}", i + 1, i % 3)));
    steps.extend((0..few / 10).map(add));
    steps.retain(|_| rng.chance(50));
    steps
}

/// A change somewhere in a large value, or in all of it.
fn in_large(rng: &mut Rng) -> Step {
    let (n, i, j) = (rng.below(2), rng.below(300), rng.below(3000));
    let pick = rng.pick(&[
        "SREM t# e@",
        "SADD t# e@ e^",
        "SPOP t# @",
        "HDEL h# f@",
        "HSET h# f@ new f^ other",
        "ZREM z# m@",
        "ZADD z# @ m^",
        "ZREMRANGEBYRANK z# @ ^",
        "ZREMRANGEBYRANK z# 0 -1",
        "ZPOPMAX z# 5",
        "LSET l# @ x",
        "LREM l# 0 element@",
        "LREM l# -1 element^",
        "LINSERT l# BEFORE element@ in",
        "LTRIM l# 3 -4",
        "LPOP l# @",
        "RPOP l# ^",
        "LPUSH l# a b",
        "RPUSH l# c",
        "LTRIM l# @ ^",
        "XDEL x# @-1",
        "XADD x# * f v",
        "XTRIM x# MAXLEN @",
        "XTRIM x# MINID @",
        "XGROUP CREATE x# g0 0",
        "XREADGROUP GROUP g0 c0 COUNT 3 STREAMS x# >",
        "XACK x# g0 @-1",
        "HPEXPIRE h# @ FIELDS 1 f@",
        "HPERSIST h# FIELDS 1 f@",
        "APPEND s# more",
        "SETRANGE s# @ y",
        "DEL t#",
        "DEL x#",
        "SINTERSTORE t# t0 t1",
        "ZUNIONSTORE z# 2 z0 z1",
        "COPY z# z2 REPLACE",
    ]);
    let text = pick.replace('#', &n.to_string()).replace('@', &i.to_string()).replace('^', &j.to_string());
    Step::Run(line(&text))
}

fn plan(seed: u64, rows: &[Row]) -> Plan {
    let mut rng = Rng::new(seed);
    let mut style = Style::of(rows);
    let mut now = Clock::manual().now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let half: Vec<&Row> = rows.iter().filter(|_| rng.chance(50)).collect();
    let mut random = |rng: &mut Rng| loop {
        style.now = Some(now);
        let command = |rng: &mut Rng| generate::command(half[rng.below(half.len())], &style, rng);
        return match rng.below(100) {
            0..=9 => {
                let by = rng.below(20_000) as u64;
                now += by;
                Step::Advance(Duration::from_millis(by))
            }
            10..=12 => Step::Tick,
            13..=15 => Step::Fail(
                (0..1 + rng.below(5))
                    .map(|_| match in_large(rng) {
                        Step::Run(words) if rng.chance(50) => words,
                        _ => command(rng),
                    })
                    .collect(),
            ),
            16..=17 => Step::Run(line("MULTI")),
            18..=20 => Step::Run(line("EXEC")),
            21 => Step::Run(line("DISCARD")),
            22 => Step::Run(line("SELECT 0")),
            23 => Step::Run(line(&format!("SWAPDB {} {}", rng.below(3), rng.below(3)))),
            24 => Step::Run(line(&format!(
                "MOVE {}{} {}",
                rng.pick(&["h", "l", "t", "z", "x", "s"]),
                rng.below(2),
                rng.below(3)
            ))),
            27..=40 => in_large(rng),
            25..=26 => Step::Run(line(&format!(
                "RENAME {a}{} {a}{}",
                rng.below(3),
                rng.below(3),
                a = rng.pick(&["h", "l", "t", "z", "x", "s"])
            ))),
            _ => {
                let words = command(rng);
                if words[0].to_ascii_uppercase().starts_with(b"FLUSH") && rng.chance(80) {
                    continue;
                }
                Step::Run(words)
            }
        };
    };
    let mut before = if rng.chance(60) { fill(&mut rng) } else { Vec::new() };
    before.extend((0..BEFORE).map(|_| random(&mut rng)));
    let mut meanwhile = Vec::new();
    for _ in 0..MEANWHILE {
        meanwhile.push(random(&mut rng));
        if rng.chance(60) {
            meanwhile.push(Step::Walk(1 + rng.below(4)));
        }
        if rng.chance(1) {
            meanwhile.push(Step::Again);
        }
    }
    Plan { seed, before, meanwhile }
}

/// A snapshot under way with what it must tell.
struct Taking {
    snapshot: Snapshot,
    ledger: Ledger,
    due: BTreeMap<Place, Told>,
}

impl Taking {
    fn begin(store: &Store, sizes: Sizes) -> Taking {
        let due = held(store.keyspace());
        let snapshot = store.keyspace().cut_by(sizes, || Ok(())).unwrap();
        assert_eq!(snapshot.progress().total(), due.len());
        assert!(store.keyspace().cut(|| Ok(())).is_err(), "one at a time");
        Taking { snapshot, ledger: Ledger::default(), due }
    }

    fn step(&mut self) -> bool {
        self.snapshot.step(&mut self.ledger).unwrap()
    }

    /// Walks to the end, and says what is wrong.
    fn finish(mut self) -> Result<(), String> {
        while self.step() {}
        let progress = self.snapshot.progress();
        assert_eq!(progress.done(), progress.total());
        assert_eq!(progress.held(), 0, "held at the end of the walk");
        drop(self.snapshot);
        let told = self.ledger.finish();
        let only = |a: &BTreeMap<Place, Told>, b: &BTreeMap<Place, Told>| {
            let lines = a.iter().filter(|(place, told)| b.get(place) != Some(told));
            let shown = lines
                .map(|(place, told)| format!("{place:?} {told:?}").chars().take(1500).collect::<String>());
            shown.collect::<Vec<_>>().join("\n    ")
        };
        match told == self.due {
            true => Ok(()),
            false => Err(format!("  due   {}\n  told  {}", only(&self.due, &told), only(&told, &self.due))),
        }
    }
}

fn play(plan: &Plan) -> Result<(), String> {
    let clock = Clock::manual();
    let (store, sizes) = (store(plan.seed, &clock), sizes(plan.seed));
    let mut session = store.session();
    let mut taking: Option<Taking> = None;
    for (at, step) in plan.before.iter().chain(&plan.meanwhile).enumerate() {
        if at == plan.before.len() {
            taking = Some(Taking::begin(&store, sizes));
        }
        match step {
            Step::Run(words) => drop(embedded::execute(&mut session, words)),
            Step::Fail(lines) => {
                let failed = store.transaction_all(|tx| -> larder::Result<()> {
                    for line in lines {
                        drop(support::typed::call(tx, line));
                    }
                    Err(larder::Error::abort("as asked"))
                });
                assert!(failed.is_err());
            }
            Step::Advance(by) => clock.advance(*by),
            Step::Tick => store.tick(),
            Step::Walk(slices) => {
                if let Some(taking) = &mut taking {
                    for _ in 0..*slices {
                        taking.step();
                    }
                }
            }
            Step::Again => {
                drop(taking.take());
                taking = Some(Taking::begin(&store, sizes));
            }
        }
    }
    if let Some(taking) = taking {
        taking.finish()?;
    }
    let (used, recount) = (store.memory_used(), store.keyspace().memory_recount());
    if used == recount { Ok(()) } else { Err(format!("{used} bytes are counted, {recount} are there")) }
}

/// A panic counts as a failure, so that it can be shortened too.
fn caught(plan: &Plan) -> Result<(), String> {
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| play(plan)));
    played.unwrap_or_else(|why| {
        let text = why.downcast_ref::<String>().cloned();
        Err(text.or(why.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
    })
}

/// Leaves out every step without which it still goes wrong.
fn shortest(mut plan: Plan) -> String {
    std::panic::set_hook(Box::new(|_| {}));
    for part in 0..2 {
        let mut at = [plan.before.len(), plan.meanwhile.len()][part];
        while at > 0 {
            at -= 1;
            let steps = |plan: &mut Plan| {
                if part == 0 { std::mem::take(&mut plan.before) } else { std::mem::take(&mut plan.meanwhile) }
            };
            let put =
                |plan: &mut Plan, steps| if part == 0 { plan.before = steps } else { plan.meanwhile = steps };
            let mut fewer = steps(&mut plan);
            let step = fewer.remove(at);
            put(&mut plan, fewer);
            if caught(&plan).is_ok() {
                let mut steps = steps(&mut plan);
                steps.insert(at, step);
                put(&mut plan, steps);
            }
        }
    }
    let why = caught(&plan).err().unwrap_or_default();
    drop(std::panic::take_hook());
    let shown = |steps: &[Step]| steps.iter().map(shown).collect::<Vec<_>>().join("\n");
    format!(
        "seed {} {:?}\n{}\n-- cut --\n{}\n{why}",
        plan.seed,
        sizes(plan.seed),
        shown(&plan.before),
        shown(&plan.meanwhile)
    )
}

fn shown(step: &Step) -> String {
    let cut = |words: &Words| text::line(words).chars().take(200).collect::<String>();
    match step {
        Step::Run(words) => format!("> {}", cut(words)),
        Step::Fail(lines) => format!("@ fail [{}]", lines.iter().map(cut).collect::<Vec<_>>().join("; ")),
        Step::Advance(by) => format!("@ advance {}ms", by.as_millis()),
        Step::Tick => "@ tick".into(),
        Step::Walk(slices) => format!("@ walk {slices}"),
        Step::Again => "@ again".into(),
    }
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

#[test]
fn a_snapshot_is_the_store_at_its_cut() {
    let (count, first) = (number("SNAPSHOTS", SEQUENCES), number("SNAPSHOTS_SEED", 1) << 32);
    let (rows, mut wrong) = (data_rows(), Vec::new());
    for seed in first..first + count {
        let plan = plan(seed, &rows);
        if caught(&plan).is_err() {
            wrong.push(shortest(plan));
        }
        if wrong.len() >= 3 {
            break;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    println!("{count} sequences");
}
