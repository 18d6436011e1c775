mod bare;
use std::hint::black_box;
use std::time::Instant;

fn keys(n: usize) -> Vec<[u8; 16]> {
    (0..n).map(|i| { let mut k = [0; 16]; k.copy_from_slice(format!("key:{i:012}").as_bytes()); k }).collect()
}
fn main() {
    let n: usize = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(1_000_000);
    let keys = keys(n);
    let mut x = 88172645463325252u64;
    let order: Vec<[u8; 16]> = (0..2_000_000).map(|_| { x ^= x << 13; x ^= x >> 7; x ^= x << 17; keys[(x % n as u64) as usize] }).collect();
    let value = [b'v'; 32];
    let bare = bare::Bare::new();
    let store = larder::Store::builder().seed(1).build().unwrap();
    let which = std::env::args().nth(2).unwrap_or_default();
    if which != "larder" { for k in &keys { bare.set(k, &value); } }
    if which != "bare" { for k in &keys { store.set(k, value).unwrap(); } }
    println!("memory per entry {:.1}", store.memory_used() as f64 / n as f64);
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let huge: u64 = smaps.lines().filter(|l| l.starts_with("AnonHuge")).map(|l| l.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()).sum();
    let rss: u64 = smaps.lines().filter(|l| l.starts_with("Rss")).map(|l| l.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()).sum();
    println!("huge {huge} kB of {rss}");
    for round in 0..4 {
        let t = Instant::now();
        let mut sum = 0u64;
        for k in &order { sum += bare.get(k, |v| v.map_or(0, |v| u64::from(v[7]))); }
        let bg = t.elapsed().as_nanos() as f64 / order.len() as f64;
        let t = Instant::now();
        for k in &order { sum += store.get_with(k, |v| v.map_or(0, |v| u64::from(v[7]))).unwrap(); }
        let lg = t.elapsed().as_nanos() as f64 / order.len() as f64;
        let t = Instant::now();
        for k in &order { sum += u64::from(store.get(k).unwrap().map_or(0, |v| v[7])); }
        let lgc = t.elapsed().as_nanos() as f64 / order.len() as f64;
        let t = Instant::now();
        for k in &order { bare.set(k, &value); }
        let bs = t.elapsed().as_nanos() as f64 / order.len() as f64;
        let t = Instant::now();
        for k in &order { store.set(k, value).unwrap(); }
        let ls = t.elapsed().as_nanos() as f64 / order.len() as f64;
        black_box(sum);
        println!("round {round}: get bare {bg:.0} larder get_with {lg:.0} ({:.2}x) get {lgc:.0} ({:.2}x) | set bare {bs:.0} larder {ls:.0} ({:.2}x)", lg/bg, lgc/bg, ls/bs);
    }
}
