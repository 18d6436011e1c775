//! GET and SET on a million entries, larder beside its peers.

use crate::common::{Key, Rng, SEED, Zipf, at, header, key, table};
use crate::peers::{All, Engine, Visit};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

#[derive(Clone, Copy, PartialEq)]
enum Op {
    Look,
    Take,
    Put,
    Mix,
}

/// Calls between two looks at the clock: short, so that what else the machine does meets all engines alike.
const PART: usize = 50_000;

struct Round<'a> {
    op: Op,
    threads: usize,
    order: &'a [Key],
    at: usize,
    costs: &'a mut BTreeMap<&'static str, Vec<f64>>,
}

impl Visit for Round<'_> {
    fn visit<E: Engine>(&mut self, engine: &E) {
        let calls = PART * self.threads;
        let from = self.at % (self.order.len() - calls);
        self.at += calls;
        let began = Instant::now();
        if self.threads == 1 {
            black_box(run(engine, self.op, &self.order[from..from + PART]));
        } else {
            std::thread::scope(|scope| {
                for part in self.order[from..from + calls].chunks(PART) {
                    let op = self.op;
                    scope.spawn(move || black_box(run(engine, op, part)));
                }
            });
        }
        let cost = began.elapsed().as_nanos() as f64 / calls as f64;
        self.costs.entry(E::NAME).or_default().push(cost);
    }
}

#[inline(never)]
fn run<E: Engine>(engine: &E, op: Op, order: &[Key]) -> u64 {
    let value = black_box([b'w'; 32]);
    let mut sum = 0;
    match op {
        Op::Look => order.iter().for_each(|key| sum += engine.look(key)),
        Op::Take => order.iter().for_each(|key| sum += engine.take(key)),
        Op::Put => order.iter().for_each(|key| engine.put(key, &value)),
        Op::Mix => order.iter().enumerate().for_each(|(i, key)| match i % 10 {
            9 => engine.put(key, &value),
            _ => sum += engine.look(key),
        }),
    }
    sum
}

/// `hot [entries] [rounds]`
pub fn main(args: &[String]) {
    let number = |i: usize, or: usize| args.get(i).and_then(|arg| arg.parse().ok()).unwrap_or(or);
    let (entries, rounds) = (number(0, 1_000_000), number(1, 41));
    header(&format!(
        "hot: {entries} entries, keys of 16 bytes, values of 32; ns per call, {rounds} interleaved rounds of {PART} calls"
    ));
    let all = All::filled(entries);
    let (mut rng, zipf) = (Rng::new(SEED), Zipf::new(entries));
    let uniform: Vec<Key> = (0..2_000_000).map(|_| key(rng.below(entries))).collect();
    let zipfian: Vec<Key> = (0..2_000_000).map(|_| key(zipf.draw(&mut rng))).collect();
    let ops = [
        (Op::Look, "GET in place (get_with)"),
        (Op::Take, "GET owned (get)"),
        (Op::Put, "SET over an entry"),
        (Op::Mix, "90 % GET in place, 10 % SET"),
    ];
    for threads in [1, 2] {
        for (order, chance) in [(&uniform, "uniform"), (&zipfian, "zipf 0.99")] {
            for (op, name) in ops {
                let mut costs = BTreeMap::new();
                let mut from = 0;
                for turn in 0..rounds {
                    let mut round = Round { op, threads, order, at: from, costs: &mut costs };
                    all.each(turn, &mut round);
                    from = round.at;
                }
                println!("\n{name}, {chance}, {threads} thread{}", if threads == 1 { "" } else { "s" });
                show(costs);
            }
        }
    }
}

fn show(mut costs: BTreeMap<&'static str, Vec<f64>>) {
    costs.values_mut().for_each(|costs| costs.sort_by(f64::total_cmp));
    let larder = costs.get("larder").map_or(1.0, |costs| at(costs, 0.5));
    let mut sorted: Vec<_> = costs.iter().collect();
    sorted.sort_by(|a, b| at(a.1, 0.5).total_cmp(&at(b.1, 0.5)));
    let row = |(name, costs): (&&str, &Vec<f64>)| {
        let spread = format!("{:.0}..{:.0}", at(costs, 0.25), at(costs, 0.75));
        vec![
            name.to_string(),
            format!("{:.0}", at(costs, 0.5)),
            spread,
            format!("{:.2}", at(costs, 0.5) / larder),
        ]
    };
    let rows: Vec<_> = sorted.into_iter().map(row).collect();
    table(&["engine", "median ns", "quartiles", "ratio to larder"], &rows);
    if let Some(bare) = costs.get("bare table (floor)") {
        let ratio = larder / at(bare, 0.5);
        println!("larder is at {ratio:.2} of the floor (target 1.25: {})", crate::common::yes(ratio <= 1.25));
    }
}
