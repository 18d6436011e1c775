//! What the benchmarks share: keys, chance, the machine's description, tables, and what the allocator says.

use std::fmt::Write;
use std::time::{Duration, Instant};

/// Every benchmark draws from this seed.
pub const SEED: u64 = 0x5EED_1A2D;

pub type Key = [u8; 16];

/// The key of this number: 16 bytes.
pub fn key(i: usize) -> Key {
    let mut key = *b"key:000000000000";
    let mut rest = i;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// A small, fast source of chance.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed | 1)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.draw()) * n as u128) >> 64) as usize
    }

    fn unit(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Ranks by Zipf's law with exponent 0.99, as YCSB draws them, scattered over the keys.
pub struct Zipf {
    n: usize,
    zeta: f64,
    eta: f64,
    alpha: f64,
    half: f64,
}

impl Zipf {
    const THETA: f64 = 0.99;

    pub fn new(n: usize) -> Zipf {
        let zeta = |n: usize| (1..=n).map(|i| (i as f64).powf(-Self::THETA)).sum::<f64>();
        let (zeta_n, zeta_2) = (zeta(n), zeta(2));
        let eta = (1.0 - (2.0 / n as f64).powf(1.0 - Self::THETA)) / (1.0 - zeta_2 / zeta_n);
        Zipf { n, zeta: zeta_n, eta, alpha: 1.0 / (1.0 - Self::THETA), half: 0.5f64.powf(Self::THETA) }
    }

    pub fn draw(&self, rng: &mut Rng) -> usize {
        let u = rng.unit();
        let uz = u * self.zeta;
        let rank = match uz {
            uz if uz < 1.0 => 0,
            uz if uz < 1.0 + self.half => 1,
            _ => (self.n as f64 * (self.eta * u - self.eta + 1.0).powf(self.alpha)) as usize,
        };
        (rank.min(self.n - 1) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize % self.n
    }
}

/// Says what was measured where.
pub fn header(what: &str) {
    let run = |program: &str, arg: &str| {
        let output = std::process::Command::new(program).arg(arg).output();
        output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_string()).unwrap_or_default()
    };
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("\t: unknown");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("# {what}");
    println!(
        "# machine: {cores} cores, {}, kernel {}",
        model.trim_start_matches([' ', '\t', ':']),
        run("uname", "-r")
    );
    println!("# compiler: {}; allocator: the system's (glibc); seed: {SEED:#x}", run("rustc", "--version"));
    if cfg!(debug_assertions) {
        println!("# THIS IS A DEBUG BUILD: use --release");
        std::process::exit(2);
    }
}

/// Prints rows under a head, columns aligned.
pub fn table(head: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let mut line = String::new();
        for (i, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let _ = if i == 0 { write!(line, "{cell:<width$}") } else { write!(line, "  {cell:>width$}") };
        }
        println!("{}", line.trim_end());
    };
    line(head.to_vec());
    println!("{}", "-".repeat(widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)));
    rows.iter().for_each(|row| line(row.iter().map(String::as_str).collect()));
}

/// The sorted sample's value at a share of it.
pub fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// Bytes the allocator has handed out, as it counts them itself (block heads included).
pub fn allocated() -> usize {
    // SAFETY: asks for numbers only.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}

/// Processor time this thread has used.
pub fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The costs of many single calls, each timed by the wall and by the thread's processor time.
pub struct Tail {
    pub wall: Vec<f64>,
    pub cpu: Vec<f64>,
}

impl Tail {
    /// Room for so many calls.
    pub fn with_room(calls: usize) -> Tail {
        Tail { wall: Vec::with_capacity(calls), cpu: Vec::with_capacity(calls) }
    }

    /// Times `calls` calls one by one.
    pub fn of(calls: usize, mut call: impl FnMut(usize)) -> Tail {
        let mut tail = Tail::with_room(calls);
        (0..calls).for_each(|i| tail.time(|| call(i)));
        tail.done()
    }

    /// Times one call.
    pub fn time(&mut self, call: impl FnOnce()) {
        let (wall, cpu) = (Instant::now(), thread_cpu());
        call();
        self.cpu.push((thread_cpu() - cpu).as_nanos() as f64 / 1000.0);
        self.wall.push(wall.elapsed().as_nanos() as f64 / 1000.0);
    }

    /// Ready to be read.
    pub fn done(mut self) -> Tail {
        self.wall.sort_by(f64::total_cmp);
        self.cpu.sort_by(f64::total_cmp);
        self
    }

    /// Name, median, p99.99 and worst by the wall, p99.99 and worst by processor time; in microseconds.
    pub fn row(&self, name: &str) -> Vec<String> {
        let cells = [at(&self.wall, 0.5), at(&self.wall, 0.9999), at(&self.wall, 1.0)];
        let cells = cells.into_iter().chain([at(&self.cpu, 0.9999), at(&self.cpu, 1.0)]);
        std::iter::once(name.to_string()).chain(cells.map(|us| format!("{us:.1}"))).collect()
    }

    pub const HEAD: [&str; 6] =
        ["us per call", "median", "p99.99 wall", "worst wall", "p99.99 cpu", "worst cpu"];
}

pub fn yes(met: bool) -> String {
    if met { "met" } else { "NOT MET" }.to_string()
}
