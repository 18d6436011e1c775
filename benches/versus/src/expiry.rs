//! A storm of deadlines: how many dead keys are held while it lasts, and what a reader feels.

use crate::common::{Rng, SEED, at, header, key, thread_cpu, yes};
use larder::{SetOptions, Store};
use std::time::{Duration, Instant};

/// `expiry [keys]`
pub fn main(args: &[String]) {
    let keys: usize = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    header(&format!("expiry: {keys} keys whose deadlines are spread over 9 s, one reader all along"));
    let store = Store::new();
    let held = || store.keyspace().each_space(|_, space| space.table.len());
    let mut rng = Rng::new(SEED);
    let (began, lead) = (Instant::now(), Duration::from_secs(4));
    let mut deadlines: Vec<Duration> = Vec::with_capacity(keys);
    for i in 0..keys {
        let at = lead + Duration::from_millis(rng.below(9000) as u64);
        let ttl = at.saturating_sub(began.elapsed()).max(Duration::from_millis(1));
        let _ = store.set_with(key(i), [b'v'; 32], SetOptions::new().px(ttl));
        deadlines.push(began.elapsed() + ttl);
    }
    deadlines.sort();
    let last = deadlines[keys - 1];
    println!("loaded in {:.1} s, {} keys held", began.elapsed().as_secs_f64(), held());
    let (mut shares, mut most, mut walls, mut worst_cpu) = (Vec::new(), 0, Vec::new(), Duration::ZERO);
    let mut gone = None;
    while began.elapsed() < last + Duration::from_secs(3) && gone.is_none() {
        for _ in 0..5000 {
            let wanted = key(rng.below(keys));
            let (wall, cpu) = (Instant::now(), thread_cpu());
            let _ = store.get(wanted);
            worst_cpu = worst_cpu.max(thread_cpu() - cpu);
            walls.push(wall.elapsed().as_nanos() as f64 / 1000.0);
        }
        // The count takes a while: whatever died before it began must be gone, whatever dies during it may be.
        let now = began.elapsed();
        let live = keys - deadlines.partition_point(|at| *at <= now);
        let dead = held().saturating_sub(live);
        most = most.max(dead);
        match live {
            0 if dead == 0 => gone = Some(began.elapsed()),
            0 => {}
            // The last thousandth of the keys says nothing about a share.
            live if live > keys / 1000 => shares.push(dead as f64 / live as f64),
            _ => {}
        }
    }
    shares.sort_by(f64::total_cmp);
    walls.sort_by(f64::total_cmp);
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let worst = at(&shares, 1.0);
    println!(
        "dead keys held, of the live: mean {:.3} %, p99 {:.3} %, worst {:.3} % (target 1 %: {})",
        mean * 100.0,
        at(&shares, 0.99) * 100.0,
        worst * 100.0,
        yes(worst < 0.01)
    );
    let a_ms = keys as f64 / 9000.0;
    println!("at most {most} dead keys held at any moment: {:.1} ms of deadlines", most as f64 / a_ms);
    match gone {
        Some(gone) => {
            let lag = gone.saturating_sub(last).as_millis();
            println!("all gone {lag} ms after the last deadline (target 100: {})", yes(lag <= 100));
        }
        None => println!("NOT all gone 3 s after the last deadline: {} held", held()),
    }
    println!(
        "GET meanwhile, {} calls, us: median {:.2}, p99.9 {:.1}, p99.99 {:.1}, worst {:.0} by the wall, {:.0} by the thread's own time (target 1000: {})",
        walls.len(),
        at(&walls, 0.5),
        at(&walls, 0.999),
        at(&walls, 0.9999),
        at(&walls, 1.0),
        worst_cpu.as_micros(),
        yes(worst_cpu.as_micros() <= 1000)
    );
}
