//! Random commands: what the live store holds must be what its effects, replayed, give, and what its directory, opened
//! again, gives: log alone, and base with what came after. The manual clock moves between
//! commands and past every deadline before the last replay.
//!
//! `EFFECTS=20000 cargo test --test effects` runs more sequences, `EFFECTS_SEED=7` others.

mod support;

use larder::{Clock, Profile, Reply, Session, Store};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::generate::{self, Style, Words};
use support::rng::Rng;
use support::rows::{Row, rows};
use support::sim::Sim;
use support::{embedded, text};

/// Sequences in a usual run, and steps in each.
const SEQUENCES: u64 = 2000;
const STEPS: usize = 60;

/// Later than every deadline of a sequence but those out of any clock's reach.
const LATER: Duration = Duration::from_secs(200 * 365 * 86_400);

#[derive(Clone)]
enum Step {
    Run(Words),
    Advance(Duration),
    /// Active expiry's turn.
    Tick,
    /// The log gets a new base.
    Rewrite,
}

/// How a sequence is run.
#[derive(Clone, Copy)]
struct Mode {
    profile: Profile,
    small: bool,
}

impl Mode {
    fn of(seed: u64) -> Mode {
        let profiles = [Profile::V7_0, Profile::V7_2, Profile::V7_4, Profile::V8_0];
        Mode { profile: profiles[(seed % 4) as usize], small: (seed / 4).is_multiple_of(2) }
    }

    fn store(self, clock: &Clock) -> Store {
        self.configured(embedded::store(clock, self.profile))
    }

    /// A store kept in a directory.
    fn kept(self, clock: &Clock, sim: &Sim) -> Result<Store, String> {
        Ok(self.configured(embedded::kept(clock, self.profile, sim).map_err(|e| format!("opening: {e}"))?))
    }

    fn configured(self, store: Store) -> Store {
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
        for (name, value) in settings.into_iter().filter(|_| self.small) {
            embedded::configure(&store, name, value).unwrap();
        }
        store
    }
}

/// The rows that hold or move data.
fn data_rows(profile: Profile) -> Vec<Row> {
    let (major, minor) = profile.version();
    let mut rows = rows((major, minor, 99)).unwrap();
    let others = ["SWAPDB", "FLUSHALL", "FLUSHDB", "SELECT"];
    rows.retain(|row| {
        let groups = [
            "string",
            "bitmap",
            "hyperloglog",
            "hash",
            "list",
            "set",
            "sorted-set",
            "geo",
            "stream",
            "generic",
        ];
        let holds = groups.contains(&row.group);
        (holds || others.contains(&&*row.name)) && !row.name.ends_with("|HELP")
    });
    rows
}

fn sequence(seed: u64, rows: &[Row]) -> Vec<Step> {
    let mut rng = Rng::new(seed);
    let mut style = Style::of(rows);
    let mut now = millis(Clock::manual().now());
    let half: Vec<&Row> = rows.iter().filter(|_| rng.chance(50)).collect();
    let mut steps = Vec::new();
    while steps.len() < STEPS {
        style.now = Some(now);
        steps.push(match rng.below(100) {
            0..=14 => {
                let by = rng.below(20_000) as u64;
                now += by;
                Step::Advance(Duration::from_millis(by))
            }
            15 => Step::Tick,
            16 if rng.chance(30) => Step::Rewrite,
            16 => Step::Tick,
            17..=18 => line("MULTI"),
            19..=21 => line("EXEC"),
            22 => line("DISCARD"),
            23..=24 => line("SELECT 0"),
            _ => match half[rng.below(half.len())] {
                row if row.name.starts_with("FLUSH") && rng.chance(90) => continue,
                row => Step::Run(generate::command(row, &style, &mut rng)),
            },
        });
    }
    steps
}

fn line(words: &str) -> Step {
    Step::Run(words.split(' ').map(|w| w.as_bytes().to_vec()).collect())
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Runs the steps and answers what is wrong afterwards, and how many replies were no errors.
fn play(steps: &[Step], mode: Mode) -> Result<usize, String> {
    let (clock, sim) = (Clock::manual(), Sim::default());
    let live = mode.kept(&clock, &sim)?;
    live.keyspace().record_effects(true);
    let mut session: Session = live.session();
    let mut good = 0;
    for step in steps {
        match step {
            Step::Run(words) => {
                let reply = embedded::execute(&mut session, words);
                good += usize::from(!matches!(reply, Reply::Error(_)));
            }
            Step::Advance(by) => clock.advance(*by),
            Step::Tick => live.tick(),
            Step::Rewrite => live.rewrite_log().map_err(|e| format!("a new base: {e}"))?,
        }
    }
    let (used, recount) = (live.memory_used(), live.keyspace().memory_recount());
    if used != recount {
        return Err(format!("{used} bytes are counted, {recount} are there"));
    }
    let units = live.keyspace().take_effects();
    let load = |copy: &Store| larder::replay(copy, &units).map_err(|e| format!("replay: {e}"));
    let early = Clock::manual_at(UNIX_EPOCH);
    let copy = mode.store(&early);
    load(&copy)?;
    early.set(clock.now());
    agree("replayed", &live, &copy)?;
    live.flush().map_err(|e| format!("flush: {e}"))?;
    let early = Clock::manual_at(UNIX_EPOCH);
    let copy = mode.kept(&early, &sim.copy())?;
    early.set(clock.now());
    agree("reopened", &live, &copy)?;
    clock.advance(LATER);
    let late = mode.store(&clock);
    load(&late)?;
    agree("replayed after every deadline", &live, &late)?;
    agree("reopened after every deadline", &live, &mode.kept(&clock, &sim.copy())?)?;
    Ok(good)
}

fn agree(when: &str, live: &Store, copy: &Store) -> Result<(), String> {
    if live.digest().unwrap() == copy.digest().unwrap() {
        return Ok(());
    }
    let (a, b) = (embedded::picture(live)?, embedded::picture(copy)?);
    let only = |x: &[String], y: &[String]| {
        x.iter().filter(|line| !y.contains(line)).cloned().collect::<Vec<_>>().join("\n          ")
    };
    Err(format!("{when}\n  live    {}\n  effects {}", only(&a, &b), only(&b, &a)))
}

/// Leaves out every step without which it still goes wrong.
fn shortest(mut steps: Vec<Step>, mode: Mode) -> (Vec<Step>, String) {
    let mut at = steps.len();
    while at > 0 {
        at -= 1;
        let mut fewer = steps.clone();
        fewer.remove(at);
        if play(&fewer, mode).is_err() {
            steps = fewer;
            at = at.min(steps.len());
        }
    }
    let why = play(&steps, mode).err().unwrap_or_default();
    (steps, why)
}

fn shown(step: &Step) -> String {
    match step {
        Step::Run(words) => format!("> {}", text::line(words)),
        Step::Advance(by) => format!("@ advance {}ms", by.as_millis()),
        Step::Tick => "@ tick".into(),
        Step::Rewrite => "@ rewrite".into(),
    }
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

#[test]
fn effects_replayed_give_the_live_store() {
    let (count, first) = (number("EFFECTS", SEQUENCES), number("EFFECTS_SEED", 1) << 32);
    let by_mode: Vec<Vec<Row>> = (0..4).map(|n| data_rows(Mode::of(n).profile)).collect();
    let (mut good, mut wrong) = (0, Vec::new());
    for seed in first..first + count {
        let (mode, rows) = (Mode::of(seed), &by_mode[(seed % 4) as usize]);
        let steps = sequence(seed, rows);
        match play(&steps, mode) {
            Ok(n) => good += n,
            Err(_) => {
                let (steps, why) = shortest(steps, mode);
                let lines: Vec<String> = steps.iter().map(shown).collect();
                let profile = mode.profile.version_text();
                wrong.push(format!(
                    "seed {seed}, profile {profile}, small {}\n{}\n{why}",
                    mode.small,
                    lines.join("\n")
                ));
            }
        }
        if wrong.len() >= 10 {
            break;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    println!("{count} sequences, {good} commands that did what they were asked");
    assert!(good as u64 > count * STEPS as u64 / 3, "only {good} commands did something");
}

/// BITOP's effect names its sources, and a replay reads them without looking at the clock. A source that had expired,
/// but that nobody had removed, was absent to the live command and there for the replay.
#[test]
fn bitop_removes_its_expired_sources_first() {
    let steps: Vec<Step> = [line("SET a abc PX 5"), line("SET b d"), Step::Advance(Duration::from_millis(5))]
        .into_iter()
        .chain([line("BITOP OR c a b")])
        .collect();
    assert_eq!(play(&steps, Mode::of(0)), Ok(3));
}
