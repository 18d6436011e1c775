//! A storm of deadlines: how many dead keys are held while it lasts, and what a reader feels; beside a thread that wakes as
//! often as the reaper and does nothing, and an empty loop: what this machine alone makes of both.

use crate::common::{Rng, SEED, Tail, at, header, key, table, yes};
use larder::{SetOptions, Store};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often the control wakes, and for how long each control of a GET spins: about as long as that takes.
const MILLISECOND: Duration = Duration::from_millis(1);
const SPIN: Duration = Duration::from_nanos(1500);

/// When keys die.
struct Deaths {
    began: Instant,
    /// Ascending, from `began` on.
    deadlines: Vec<Duration>,
}

impl Deaths {
    fn dead(&self, at: Duration) -> usize {
        self.deadlines.partition_point(|deadline| *deadline <= at)
    }

    fn live(&self, at: Duration) -> usize {
        self.deadlines.len() - self.dead(at)
    }
}

/// Shares of dead keys among the live ones.
#[derive(Default)]
struct Shares {
    /// While at least a thousandth of the keys lives: fewer say nothing about a share.
    all: Vec<f64>,
    /// While at least a hundredth does: a millisecond of deadlines is a ninth of that.
    early: Vec<f64>,
    most: usize,
}

impl Shares {
    fn add(&mut self, dead: usize, live: usize, keys: usize) {
        self.most = self.most.max(dead);
        let share = dead as f64 / live.max(1) as f64 * 100.0;
        if live > keys / 1000 {
            self.all.push(share);
        }
        if live > keys / 100 {
            self.early.push(share);
        }
    }

    fn worst(&self) -> f64 {
        self.all.iter().copied().fold(0.0, f64::max)
    }

    /// Name, mean, p99 and worst of all, worst of the early ones, the most dead keys at once and their milliseconds.
    fn row(&mut self, name: &str, keys: usize) -> Vec<String> {
        self.all.sort_by(f64::total_cmp);
        let mean = self.all.iter().sum::<f64>() / self.all.len() as f64;
        let early = self.early.iter().copied().fold(0.0, f64::max);
        let shares = [mean, at(&self.all, 0.99), self.worst(), early].map(|share| format!("{share:.3}"));
        let most = [self.most.to_string(), format!("{:.1}", self.most as f64 / (keys as f64 / 9000.0))];
        std::iter::once(name.to_string()).chain(shares).chain(most).collect()
    }

    const HEAD: [&str; 7] = [
        "dead keys held, % of the live",
        "mean",
        "p99",
        "worst",
        "worst to 1/100",
        "most",
        "ms of deadlines",
    ];
}

/// `expiry [keys]`
pub fn main(args: &[String]) {
    let keys: usize = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    header(&format!("expiry: {keys} keys whose deadlines are spread over 9 s, one reader all along"));
    let (store, mut rng) = (Store::new(), Rng::new(SEED));
    let held = || store.keyspace().each_space(|_, space| space.table.len());
    let deaths = load(&store, keys, &mut rng);
    let (began, last) = (deaths.began, deaths.deadlines[keys - 1]);
    println!("loaded in {:.1} s, {} keys held", began.elapsed().as_secs_f64(), held());
    let (mut shares, mut gone, ended) = (Shares::default(), None, AtomicBool::new(false));
    let [mut gets, mut spins] = [10_000_000; 2].map(Tail::with_room);
    let mut control = std::thread::scope(|scope| {
        let control = scope.spawn(|| idle(&deaths, &ended));
        while began.elapsed() < last + Duration::from_secs(3) && gone.is_none() {
            for _ in 0..2500 {
                let wanted = key(rng.below(keys));
                gets.time(|| drop(store.get(wanted)));
                spins.time(spin);
            }
            // The count takes a while: whatever died before it began must be gone, whatever dies during it may be.
            let live = deaths.live(began.elapsed());
            let dead = held().saturating_sub(live);
            if live > 0 {
                shares.add(dead, live, keys);
            } else if dead == 0 {
                gone = Some(began.elapsed());
            }
        }
        ended.store(true, Relaxed);
        control.join().expect("it only counts")
    });
    let (worst, idle) = (shares.worst(), control.worst());
    table(&Shares::HEAD, &[shares.row("larder", keys), control.row("idle thread (control)", keys)]);
    println!("worst {worst:.3} % (target 1 %: {}), by the control {idle:.3} %", yes(worst < 1.0));
    match gone {
        Some(gone) => {
            let lag = gone.saturating_sub(last).as_millis();
            println!("all gone {lag} ms after the last deadline (target 100: {})", yes(lag <= 100));
        }
        None => println!("NOT all gone 3 s after the last deadline: {} held", held()),
    }
    let (gets, spins) = (gets.done(), spins.done());
    table(&Tail::HEAD, &[gets.row("GET meanwhile"), spins.row("empty loop (control)")]);
    let worst = at(&gets.cpu, 1.0);
    println!(
        "worst GET of {} by the thread's own processor time: {worst:.0} us (target 1000: {})",
        gets.cpu.len(),
        yes(worst <= 1000.0)
    );
}

fn load(store: &Store, keys: usize, rng: &mut Rng) -> Deaths {
    let (began, lead) = (Instant::now(), Duration::from_secs(4));
    let mut deadlines: Vec<Duration> = Vec::with_capacity(keys);
    for i in 0..keys {
        let at = lead + Duration::from_millis(rng.below(9000) as u64);
        let ttl = at.saturating_sub(began.elapsed()).max(MILLISECOND);
        let _ = store.set_with(key(i), [b'v'; 32], SetOptions::new().px(ttl));
        deadlines.push(began.elapsed() + ttl);
    }
    deadlines.sort();
    Deaths { began, deadlines }
}

/// A reaper that takes no time: it holds what dies until it wakes, and that alone.
fn idle(deaths: &Deaths, ended: &AtomicBool) -> Shares {
    let (mut shares, mut woke) = (Shares::default(), Duration::ZERO);
    while !ended.load(Relaxed) {
        sleep(MILLISECOND);
        let now = deaths.began.elapsed();
        // What died in the millisecond itself it was not late for.
        let due = (woke + MILLISECOND).min(now);
        if deaths.dead(now) > 0 {
            shares.add(deaths.dead(now) - deaths.dead(due), deaths.live(now), deaths.deadlines.len());
        }
        woke = now;
    }
    shares
}

fn spin() {
    let began = Instant::now();
    while began.elapsed() < SPIN {
        std::hint::spin_loop();
    }
}
