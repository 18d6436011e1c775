//! Snapshots: what saving and loading cost here, and what redis-server's SAVE costs and its start on the same file.

use crate::common::{header, key, table, yes};
use larder::Store;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs of each measurement; the best counts, as a machine only ever adds.
const ROUNDS: usize = 3;

/// `rdb [keys]`
pub fn main(args: &[String]) {
    let keys: usize = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(5_000_000);
    header(&format!(
        "rdb: {keys} strings of 32 bytes under keys of 16, uncompressed, file synced; best of {ROUNDS}"
    ));
    let folder = std::env::temp_dir().join(format!("versus-rdb-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the files");
    let (ours, path) = (larder_side(keys, &folder), folder.join("dump.rdb"));
    let theirs = redis_side(&folder);
    let size = fs::metadata(&path).map_or(0, |file| file.len());
    println!("the file: {:.0} MB", size as f64 / 1e6);
    let theirs = theirs.unwrap_or_else(|why| {
        println!("no redis-server to compare with: {why}");
        Times { save: f64::NAN, load: f64::NAN }
    });
    let row = |what: &str, theirs: f64, ours: f64, target: f64| {
        let ratio = theirs / ours;
        let cells =
            [format!("{theirs:.2}"), format!("{ours:.2}"), format!("{ratio:.1}"), format!("{target:.0}")];
        std::iter::once(what.to_string()).chain(cells).chain([yes(ratio >= target)]).collect::<Vec<_>>()
    };
    let rows = [row("save", theirs.save, ours.save, 2.0), row("load", theirs.load, ours.load, 3.0)];
    table(&["seconds", "Redis", "larder", "times faster", "target", ""], &rows);
    let _ = fs::remove_dir_all(&folder);
}

struct Times {
    save: f64,
    load: f64,
}

/// How long something takes, and its answer.
pub fn seconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let began = Instant::now();
    let done = work();
    (began.elapsed().as_secs_f64(), done)
}

fn larder_side(keys: usize, folder: &Path) -> Times {
    let path = folder.join("dump.rdb");
    let (mut save, mut load) = (f64::MAX, f64::MAX);
    let store = Store::new();
    (0..keys).for_each(|i| drop(store.set(key(i), [b'v'; 32])));
    let before = reset_peak();
    for _ in 0..ROUNDS {
        let file = File::create(&path).expect("a file");
        let (took, file) = seconds(|| {
            let file = store.save_rdb(file).expect("the disk has room");
            file.sync_all().map(|()| file)
        });
        file.expect("the disk takes it");
        save = save.min(took);
    }
    println!("memory: {before} MB hold the store, {} MB at most while it is saved", peak());
    drop(store);
    let empty = reset_peak();
    for _ in 0..ROUNDS {
        let store = Store::new();
        let (took, loaded) = seconds(|| store.load_rdb_file(&path).expect("it was just written"));
        assert_eq!(loaded.keys, keys as u64);
        load = load.min(took);
    }
    println!("memory: {empty} MB before a load, {} MB at most in it", peak());
    Times { save, load }
}

/// Lets the peak begin anew, and answers what is resident, in MB.
pub fn reset_peak() -> u64 {
    let _ = fs::write("/proc/self/clear_refs", "5");
    status("VmRSS:")
}

/// The most that was resident since, in MB.
pub fn peak() -> u64 {
    status("VmHWM:")
}

fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// A server on the folder; it ends with this.
pub struct Server(Child, PathBuf);

impl Server {
    /// Starts one, with further options.
    pub fn start(folder: &Path, more: &[&str]) -> std::io::Result<Server> {
        let socket = folder.join("redis.sock");
        let child = Command::new("redis-server")
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--appendonly",
                "no",
                "--rdbcompression",
                "no",
                "--unixsocket",
            ])
            .arg(&socket)
            .arg("--dir")
            .arg(folder)
            .args(more)
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Server(child, socket))
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.1
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// One command of one word, and the first line of its answer.
    fn ask(&self, command: &str) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(&self.1)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    }

    /// Waits until it has loaded its file.
    pub fn wait(&self) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(60) {
            if self.ask("PING").is_ok_and(|line| line.starts_with("+PONG")) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err("it does not answer".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn redis_side(folder: &Path) -> Result<Times, String> {
    let (mut save, mut load) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS.min(2) {
        let (took, server) = seconds(|| {
            let server = Server::start(folder, &[]).map_err(|e| e.to_string())?;
            server.wait().map(|()| server)
        });
        let server = server?;
        load = load.min(took);
        let (took, said) = seconds(|| server.ask("SAVE"));
        if !said.map_err(|e| e.to_string())?.starts_with("+OK") {
            return Err("it does not save".into());
        }
        save = save.min(took);
    }
    Ok(Times { save, load })
}
