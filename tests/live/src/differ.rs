//! The differential run: the same random commands to larder and to redis-server, replies and state compared; what
//! differs is shrunk to a shortest sequence.
//!
//! A run is a row of episodes of some hundred commands, each on empty engines, so that a difference is found near its
//! cause. Every episode leaves half of the commands out (the next one the other half): commands that undo each other
//! meet less often, and rare states come up. One episode in three speaks RESP3; in every other pair of episodes the
//! encodings change after a few elements.

use crate::compare::Pair;
use crate::rules::{Rule, Rules};
use crate::server::Server;
use crate::shrink::shrink;
use crate::support::client::Client;
use crate::support::generate::{self, Style, Words};
use crate::support::rng::Rng;
use crate::support::rows::{Row, rows};
use crate::support::text;
use larder::Reply;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Commands in an episode, and between two comparisons of the whole state.
const EPISODE: usize = 400;
const CHECK_EVERY: usize = 200;

/// The judge's version: later commands it can't judge.
const JUDGE: (u8, u8, u8) = (7, 0, 15);

/// How an episode is run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mode {
    pub resp3: bool,
    /// Encodings change after a few elements.
    pub small: bool,
}

impl Mode {
    /// Settings with the values of this mode.
    pub fn settings(self) -> [(&'static str, &'static str); 8] {
        let pick = |usual, small| if self.small { small } else { usual };
        [
            ("hash-max-listpack-entries", pick("128", "4")),
            ("hash-max-listpack-value", pick("64", "16")),
            ("set-max-intset-entries", pick("512", "4")),
            ("list-max-listpack-size", pick("-2", "3")),
            ("stream-node-max-entries", pick("100", "3")),
            ("stream-node-max-bytes", pick("4096", "300")),
            ("zset-max-listpack-entries", pick("128", "4")),
            ("zset-max-listpack-value", pick("64", "16")),
        ]
    }
}

/// One side of the run. Sessions are numbered; each has its own database and transaction.
pub trait Engine {
    /// Empty, with fresh sessions.
    fn fresh(&mut self, mode: Mode) -> Result<(), String>;
    fn run(&mut self, session: usize, words: &[Vec<u8>]) -> Reply;
    /// Removes the dead keys of the session's database, which DBSIZE and DEBUG DIGEST count until someone looks at them.
    fn sweep(&mut self, session: usize);
}

/// A real server as a side.
pub struct RealServer {
    server: Server,
    sessions: Vec<Client>,
    /// It keeps a setting of its own.
    configured: bool,
}

impl RealServer {
    pub fn start() -> Result<RealServer, String> {
        RealServer::configured(None)
    }

    /// A server with one setting (`name=value`) changed: a difference that the run must find.
    pub fn configured(setting: Option<&str>) -> Result<RealServer, String> {
        let server = Server::start()?;
        if let Some((name, value)) = setting.and_then(|s| s.split_once('=')) {
            Client::connect(&server.socket())?.run(&["CONFIG", "SET", name, value]);
        }
        Ok(RealServer { server, sessions: Vec::new(), configured: setting.is_some() })
    }
}

impl Engine for RealServer {
    fn fresh(&mut self, mode: Mode) -> Result<(), String> {
        self.sessions = (0..3).map(|_| Client::connect(&self.server.socket())).collect::<Result<_, _>>()?;
        for session in &mut self.sessions {
            if mode.resp3 {
                session.run(&["HELLO", "3"]);
            }
        }
        for (name, value) in mode.settings().into_iter().filter(|_| !self.configured) {
            self.sessions[0].run(&["CONFIG", "SET", name, value]);
        }
        self.sessions[0].run(&["FLUSHALL"]);
        Ok(())
    }

    fn run(&mut self, session: usize, words: &[Vec<u8>]) -> Reply {
        self.sessions[session].run(words)
    }

    /// SCAN looks at every key (and KEYS does not).
    fn sweep(&mut self, session: usize) {
        self.sessions[session].run(&["SCAN", "0", "COUNT", "1000000"]);
    }
}

#[derive(Clone, Debug)]
pub struct Step {
    pub session: usize,
    /// The row's name.
    pub name: String,
    pub words: Words,
}

/// Where two engines parted.
#[derive(Debug)]
pub struct Difference {
    pub at: usize,
    pub what: String,
}

/// What was run, by command: how often, and how many replies were errors.
pub type Counts = BTreeMap<String, (usize, usize)>;

pub struct Run {
    pub rules: Rules,
    pub left: Box<dyn Engine>,
    pub right: Box<dyn Engine>,
    /// Whether the state is compared too, or the replies alone.
    pub states: bool,
}

impl Run {
    /// Plays a sequence on fresh engines.
    pub fn play(
        &mut self,
        steps: &[Step],
        mode: Mode,
        counts: &mut Counts,
    ) -> Result<Option<Difference>, String> {
        self.left.fresh(mode)?;
        self.right.fresh(mode)?;
        let mut pair = Pair::new(&self.rules, &mut *self.left, &mut *self.right);
        for (at, step) in steps.iter().enumerate() {
            let (reply, verdict) = pair.step(step);
            let count = counts.entry(step.name.clone()).or_default();
            count.0 += 1;
            count.1 += usize::from(matches!(reply, Reply::Error(_)));
            if let Err(what) = verdict {
                return Ok((!what.is_empty()).then_some(Difference { at, what }));
            }
            let last = at + 1 == steps.len();
            let due = self.states && (last || (at + 1) % CHECK_EVERY == 0);
            if due && let Err(what) = pair.same_state() {
                return Ok(Some(Difference { at, what }));
            }
        }
        Ok(None)
    }
}

/// Makes the sequences.
struct Episodes<'a> {
    rows: &'a [Row],
    rules: &'a Rules,
    rng: Rng,
    half: Vec<bool>,
    made: usize,
    style: Style,
}

impl Episodes<'_> {
    fn next(&mut self, n: usize) -> Vec<Step> {
        self.made += 1;
        if self.made % 2 == 1 {
            self.half = self.rows.iter().map(|_| self.rng.chance(50)).collect();
        } else {
            self.half.iter_mut().for_each(|on| *on = !*on);
        }
        let on: Vec<&Row> =
            self.rows.iter().zip(&self.half).filter(|(_, on)| **on).map(|(row, _)| row).collect();
        let mut in_multi = [false; 2];
        let mut steps = Vec::with_capacity(n);
        while steps.len() < n && !on.is_empty() {
            let session = usize::from(self.rng.chance(10));
            if let Some(word) = self.frame(&mut in_multi[session]) {
                steps.push(plain(session, word));
            } else if let Some(row) = self.choose(&on, in_multi[session]) {
                let words = generate::command(row, &self.style, &mut self.rng);
                steps.push(Step { session, name: row.name.clone(), words });
            }
        }
        steps
    }

    /// The words around transactions, and the way home to database 0.
    fn frame(&mut self, in_multi: &mut bool) -> Option<&'static str> {
        let (word, inside) = match (*in_multi, self.rng.below(100)) {
            (true, 0..=15) => ("EXEC", false),
            (true, 16..=18) => ("DISCARD", false),
            (true, 19) => ("MULTI", true),
            (false, 0..=1) => ("MULTI", true),
            (false, 2..=3) => ("SELECT 0", false),
            (false, 4) if self.rng.chance(10) => ("EXEC", false),
            (false, 5) if self.rng.chance(10) => ("DISCARD", false),
            _ => return None,
        };
        *in_multi = inside;
        Some(word)
    }

    /// A row, those that empty databases or leave them seldom.
    fn choose<'r>(&mut self, on: &[&'r Row], in_multi: bool) -> Option<&'r Row> {
        let row = on[self.rng.below(on.len())];
        let keep = match row.name.as_str() {
            "FLUSHALL" | "FLUSHDB" => 4,
            "SWAPDB" | "SELECT" => 15,
            "DEL" | "UNLINK" | "MOVE" => 40,
            "XGROUP|DESTROY" | "XGROUP|DELCONSUMER" => 20,
            _ if in_multi && self.rules.of(&row.name) == Rule::Random => 0,
            _ => 100,
        };
        self.rng.chance(keep).then_some(row)
    }
}

fn plain(session: usize, line: &str) -> Step {
    let words: Words = line.split(' ').map(|w| w.as_bytes().to_vec()).collect();
    Step { session, name: line.split(' ').next().unwrap_or_default().into(), words }
}

pub fn main(mut options: crate::Options) -> Result<bool, String> {
    let commands = options.number("--commands", 100_000)? as usize;
    let seed = options.number("--seed", 1)?;
    let most = options.number("--differences", 5)? as usize;
    let states = !options.flag("--replies-only");
    let only = options.value("--only").map(|o| o.to_ascii_uppercase());
    let setting = options.value("--self-config");
    let left: Box<dyn Engine> = match options.flag("--self") || setting.is_some() {
        true => Box::new(RealServer::configured(setting.as_deref())?),
        false => crate::embedded::engine()?,
    };
    let rules = Rules::read()?;
    let mut rows = rows(JUDGE)?;
    // The judge would wait.
    rows.retain(|row| {
        !matches!(
            &*row.name,
            "BLMOVE" | "BLMPOP" | "BLPOP" | "BRPOP" | "BRPOPLPUSH" | "BZMPOP" | "BZPOPMAX" | "BZPOPMIN"
        )
    });
    rows.retain(|row| rules.of(&row.name) != Rule::Skip);
    if let Some(only) = only {
        rows.retain(|row| only.split(',').any(|o| row.name == o || row.name.starts_with(&format!("{o}|"))));
    }
    let mut run = Run { rules, left, right: Box::new(RealServer::start()?), states };
    let begun = Instant::now();
    let (counts, differences) = episodes(&mut run, &rows, commands, seed, most)?;
    summary(&rows, &counts, differences, begun);
    Ok(differences == 0)
}

/// Plays episodes until the commands are used up or `most` differences of their own kind are shown. Answers what was
/// run and how many episodes differed.
fn episodes(
    run: &mut Run,
    rows: &[Row],
    commands: usize,
    seed: u64,
    most: usize,
) -> Result<(Counts, usize), String> {
    let rules = Rules::read()?;
    let style = Style::of(rows);
    let mut source = Episodes { rows, rules: &rules, rng: Rng::new(seed), half: Vec::new(), made: 0, style };
    let (mut counts, mut seen, mut differences, mut done) = (Counts::new(), BTreeSet::new(), 0, 0);
    while done < commands && seen.len() < most {
        let episode = source.made;
        let mut steps = source.next(EPISODE.min(commands - done));
        let mode = Mode { resp3: episode % 3 == 2, small: episode / 2 % 2 == 1 };
        done += steps.len().max(1);
        let Some(found) = run.play(&steps, mode, &mut counts)? else { continue };
        differences += 1;
        let what = found.what.split(['\n', ',']).next().unwrap_or_default();
        if seen.insert(format!("{} {what}", steps[found.at].name)) {
            steps.truncate(found.at + 1);
            let (shortest, found) = shrink(run, steps, mode, found)?;
            show(seed, episode, mode, &shortest, &found);
        }
    }
    Ok((counts, differences))
}

fn show(seed: u64, episode: usize, mode: Mode, steps: &[Step], found: &Difference) {
    let protocol = if mode.resp3 { "RESP3" } else { "RESP2" };
    let small = if mode.small { ", small thresholds" } else { "" };
    println!("DIFFERENCE (seed {seed}, episode {episode}, {protocol}{small})");
    for step in steps {
        let who = if step.session == 0 { "" } else { "2" };
        println!("  {who}> {}", text::line(&step.words));
    }
    println!("  {}\n", found.what.replace('\n', "\n  "));
}

fn summary(rows: &[Row], counts: &Counts, differences: usize, begun: Instant) {
    let cells: Vec<String> =
        counts.iter().map(|(name, (n, errors))| format!("{name} {n}/{errors}")).collect();
    for line in cells.chunks(5) {
        println!("{}", line.iter().map(|c| format!("{c:<28}")).collect::<String>().trim_end());
    }
    let missed: Vec<&str> =
        rows.iter().map(|r| r.name.as_str()).filter(|n| !counts.contains_key(*n)).collect();
    let (all, errors) = counts.values().fold((0, 0), |(a, e), (n, x)| (a + n, e + x));
    let rate = errors as f64 * 100.0 / all.max(1) as f64;
    println!("(command runs/errors)");
    if !missed.is_empty() {
        println!("never run: {}", missed.join(" "));
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{all} commands of {} rows, {errors} errors ({rate:.1} %), {differences} episodes differ, {seconds:.1} s",
        rows.len()
    );
}
