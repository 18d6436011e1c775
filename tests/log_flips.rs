//! A bit flipped anywhere in a log or a base: it is found and named by file and offset, or it is in the log's last frame,
//! and what is loaded then is what was there before it. Nothing wrong is ever served.
//!
//! `POSITIONS=10000 MEGABYTES=10 cargo test --release --test log_flips` is the full figure.

mod support;

use larder::log::fs::{Disk, File};
use larder::{Error, Fsync, Store};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Result};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use support::parallel::trials;
use support::rng::Rng;

type Files = Arc<BTreeMap<String, Arc<Vec<u8>>>>;

/// Files in memory, of which one reads with a bit flipped.
struct Flipped {
    files: Files,
    name: String,
    at: u64,
    bit: u8,
}

struct Reading {
    bytes: Arc<Vec<u8>>,
    flip: Option<(u64, u8)>,
}

fn refused<T>() -> Result<T> {
    Err(ErrorKind::PermissionDenied.into())
}

impl Disk for Flipped {
    fn create(&self, _: &str) -> Result<Box<dyn File>> {
        refused()
    }

    fn open(&self, name: &str) -> Result<Box<dyn File>> {
        let bytes = self.files.get(name).ok_or(ErrorKind::NotFound)?;
        let flip = Some((self.at, self.bit)).filter(|_| name == self.name);
        Ok(Box::new(Reading { bytes: Arc::clone(bytes), flip }))
    }

    fn rename(&self, _: &str, _: &str) -> Result<()> {
        refused()
    }

    fn unlink(&self, _: &str) -> Result<()> {
        refused()
    }

    fn list(&self) -> Result<Vec<String>> {
        Ok(self.files.keys().cloned().collect())
    }

    fn sync_names(&self) -> Result<()> {
        refused()
    }

    fn lock(&self) -> Result<bool> {
        Ok(true)
    }
}

impl File for Reading {
    fn append(&self, _: &[u8]) -> Result<usize> {
        refused()
    }

    fn renew(&self, _: u64, _: &[u8]) -> Result<()> {
        refused()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        let rest = self.bytes.get(offset as usize..).unwrap_or_default();
        let read = rest.len().min(into.len());
        into[..read].copy_from_slice(&rest[..read]);
        if let Some((at, bit)) = self.flip
            && let Some(byte) = at.checked_sub(offset).and_then(|at| into[..read].get_mut(at as usize))
        {
            *byte ^= 1 << bit;
        }
        Ok(read)
    }

    fn size(&self) -> Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn sync(&self) -> Result<()> {
        refused()
    }

    fn cut(&self, _: u64) -> Result<()> {
        refused()
    }
}

fn number(name: &str, or: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
}

fn value(n: usize) -> String {
    format!("{:064}", n * 7919)
}

/// A base and a log of about so many bytes each: numbered keys, and how many of them are in the base.
fn directory(bytes: usize) -> (Files, usize) {
    let path = std::env::temp_dir().join(format!("larder-flips-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    let store = Store::builder().dir(&path).fsync(Fsync::No).auto_rewrite(0, 0).open().unwrap();
    let in_base = bytes / 80;
    (0..in_base).for_each(|n| store.set(format!("key:{n:08}"), value(n)).unwrap());
    store.rewrite_log().unwrap();
    for n in in_base..in_base + bytes / 110 {
        store.set(format!("key:{n:08}"), value(n)).unwrap();
        if n.is_multiple_of(500) {
            store.flush().unwrap();
        }
    }
    store.close().unwrap();
    drop(store);
    let files = std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|file| !file.ends_with("larder.lock"));
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let files = files.map(|file| (name(&file), Arc::new(std::fs::read(&file).unwrap()))).collect();
    std::fs::remove_dir_all(&path).unwrap();
    (Arc::new(files), in_base)
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let (positions, bytes) = (number("POSITIONS", 60) as u64, number("MEGABYTES", 1) * 1_000_000);
    let (files, in_base) = directory(bytes);
    let names: Vec<&String> = files.keys().filter(|name| !name.ends_with(".manifest")).collect();
    let (found, torn) = (AtomicU64::new(0), AtomicU64::new(0));
    trials(positions, |trial| {
        let mut rng = Rng::new(trial + 1);
        let name = names[trial as usize % names.len()].clone();
        let at = rng.below(files[&name].len()) as u64;
        let disk = Flipped { files: Arc::clone(&files), name, at, bit: rng.below(8) as u8 };
        match judge(&disk, in_base) {
            Judged::Found => found.fetch_add(1, Relaxed),
            Judged::Torn => torn.fetch_add(1, Relaxed),
        };
        true
    });
    let sizes: Vec<usize> = names.iter().map(|name| files[*name].len()).collect();
    println!(
        "{positions} flipped bits in a base and a log of {sizes:?} bytes: {} named by file and offset, {} in the last frame, \
         none served",
        found.into_inner(),
        torn.into_inner()
    );
}

enum Judged {
    Found,
    Torn,
}

fn judge(disk: &Flipped, in_base: usize) -> Judged {
    let Flipped { name, at, bit, .. } = disk;
    let place = format!("{name}, byte {at}, bit {bit}");
    let store = Store::builder().background(false).build().unwrap();
    let seen = store.load_log(disk).unwrap();
    match (seen.fault, seen.report.torn) {
        (Some(Error::Corrupt(fault)), _) => {
            assert_eq!(fault.file.as_deref(), Some(Path::new(name)), "{place}: {fault}");
            assert!(fault.offset <= disk.files[name].len() as u64, "{place}: {fault}");
            if name.ends_with(".aof") {
                // A frame is named by its start.
                assert!(fault.offset <= *at && *at - fault.offset < 200_000, "{place}: {fault}");
            }
            Judged::Found
        }
        // A version that is not known, or a type of a module.
        (Some(Error::Unsupported(why)), _) => {
            assert!(why.contains(name.as_str()), "{place}: {why}");
            Judged::Found
        }
        (None, Some((file, good, _))) => {
            assert!(file == *name && good <= *at, "{place}: torn at {good}");
            let there = in_base + seen.report.units as usize;
            assert_eq!(store.dbsize().unwrap(), there as u64, "{place}");
            for n in (0..there).step_by(97).chain([there - 1]) {
                assert_eq!(store.get(format!("key:{n:08}")).unwrap().unwrap(), value(n).as_str(), "{place}");
            }
            Judged::Torn
        }
        (fault, _) => panic!("{place}: {fault:?}"),
    }
}
