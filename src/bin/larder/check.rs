//! `larder check`: what is in files, what is wrong with them, and how that is cut off.

use crate::disk::{ReadOnly, Single, Watched};
use crate::keep::plain;
use crate::progress::{Bar, Progress};
use crate::survey::{Survey, grouped};
use crate::{FAILED, FINE, USAGE, fix};
use clap::Parser;
use larder::Error;
use larder::log::fs::{Disk, lock_soon};
use larder::log::open::{Inspected, inspect};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

const NOTES: &str = "\
What can be checked: a snapshot (dump.rdb), a single append-only file, a directory with a log (of larder, or a real
server's data directory or its appendonlydir). Files are read from end to end, in little memory, and never changed
without --fix. A directory that another process of larder has open is not judged: its end is being written.

Checked are all checksums there are, the form of every value and command, and that the files of a directory fit each
other. The first fault is named by file and offset. A log's torn end, as a crash leaves it, is a fault here; a store
that is opened there cuts it off by itself.

--fix copies each file that it changes to FILE.before-fix first. Then it cuts a log off at the fault, with all that
was logged later (later files are renamed to FILE.before-fix); of a snapshot it keeps the entries before the fault.
It refuses where only a snapshot's checksum tells that something is wrong, and where a log's base or manifest is
damaged: what comes after would be built on something else than it was written for.

Exit status: 0 nothing is wrong; 1 something is; 2 it could not be read, or the options are wrong. After --fix: 0 if
nothing is wrong any more.

Examples:
  larder check dump.rdb
  larder check /var/lib/redis
  larder check --fix data";

/// Says what is in a file or directory, and the first thing that is wrong there.
#[derive(Debug, Parser)]
#[command(name = "larder check", version, after_help = NOTES, max_term_width = 110)]
struct Options {
    /// A snapshot, an append-only file, or a directory
    #[arg(value_name = "FILE|DIR")]
    path: PathBuf,

    /// Cuts off what is wrong, after copying it
    #[arg(long)]
    fix: bool,
}

/// Something that is checked as one.
pub struct Target {
    pub path: PathBuf,
    /// A directory with a manifest, or else a file.
    pub is_log: bool,
}

/// What was found.
pub struct Found {
    pub survey: Survey,
    pub inspected: Inspected,
}

impl Found {
    pub fn is_good(&self) -> bool {
        self.inspected.fault.is_none() && self.inspected.report.torn.is_none()
    }
}

/// Checks, and answers the exit status.
pub fn run(args: impl Iterator<Item = OsString>) -> i32 {
    let options = Options::parse_from(std::iter::once("larder check".into()).chain(args));
    let targets = match targets(&options.path) {
        Ok(targets) => targets,
        Err(why) => return unread(&options.path, &why),
    };
    targets.iter().map(|target| one(target, options.fix)).max().unwrap_or(USAGE)
}

fn one(target: &Target, fix: bool) -> i32 {
    let found = match look(target) {
        Ok(found) => found,
        Err(why) => return unread(&target.path, &why),
    };
    say(&describe(target, &found));
    if found.is_good() {
        return FINE;
    }
    if !fix {
        return FAILED;
    }
    let done = match fix::fix(target, &found) {
        Ok(done) => done,
        Err(why) => {
            say(&format!("  not fixed: {why}\n"));
            return FAILED;
        }
    };
    done.iter().for_each(|line| say(&format!("  {line}\n")));
    one(target, false)
}

fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes()); // nobody reading is no harm
}

fn unread(path: &Path, why: &str) -> i32 {
    let shown = path.display().to_string();
    match why.contains(&shown) {
        true => eprintln!("larder: {why}"),
        false => eprintln!("larder: {shown}: {why}"),
    }
    USAGE
}

/// What there is to check at a path: a file; a directory's log and the snapshot beside it.
pub fn targets(path: &Path) -> Result<Vec<Target>, String> {
    let about = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !about.is_dir() {
        return Ok(vec![Target { path: path.to_path_buf(), is_log: false }]);
    }
    let inner = path.join("appendonlydir");
    let names = |path: &Path| ReadOnly::new(path).list().map_err(|error| error.to_string());
    let is_log = |names: &[String]| {
        let parts = [".aof.manifest", ".incr.aof", ".base.rdb", ".base.aof"];
        names.iter().any(|name| !name.starts_with("temp-") && parts.iter().any(|part| name.ends_with(part)))
    };
    let here = names(path)?;
    let mut targets = Vec::new();
    if inner.is_dir() && is_log(&names(&inner)?) {
        targets.push(Target { path: inner, is_log: true });
    } else if is_log(&here) {
        targets.push(Target { path: path.to_path_buf(), is_log: true });
    }
    if here.iter().any(|name| name == "dump.rdb") {
        targets.push(Target { path: path.join("dump.rdb"), is_log: false });
    }
    if targets.is_empty() { Err("neither a log nor a dump.rdb is in it".into()) } else { Ok(targets) }
}

/// The disk that a target is read from.
pub fn disk_of(target: &Target, progress: &std::sync::Arc<Progress>) -> Result<Watched, String> {
    let said = |error: std::io::Error| error.to_string();
    if target.is_log {
        progress.total.store(crate::disk::bytes_to_load(&target.path), std::sync::atomic::Ordering::Relaxed);
        return Ok(Watched::new(ReadOnly::new(&target.path), progress));
    }
    let size = std::fs::metadata(&target.path).map_err(said)?.len();
    progress.total.store(size, std::sync::atomic::Ordering::Relaxed);
    Ok(Watched::new(Single::new(&target.path).map_err(said)?, progress))
}

fn look(target: &Target) -> Result<Found, String> {
    let progress = Progress::of(0);
    let disk = disk_of(target, &progress)?;
    if !lock_soon(&disk).map_err(|error| error.to_string())? {
        return Err("the directory is open in another process".into());
    }
    let _bar = Bar::show("checking", &progress);
    let mut survey = Survey::default();
    let inspected =
        inspect(&disk, larder::log::Options::default(), &mut survey).map_err(|error| plain(&error))?;
    Ok(Found { survey, inspected })
}

/// Everything there is to say.
fn describe(target: &Target, found: &Found) -> String {
    let Found { survey, inspected } = found;
    let mut out = format!("{}\n", target.path.display());
    if let Some(snapshot) = &survey.snapshot {
        let base = inspected.manifest.as_ref().and_then(|manifest| manifest.base.as_ref());
        if let Some(base) = base.filter(|_| target.is_log) {
            out += &format!("  {}\n", base.name);
        }
        out += &snapshot.lines();
    }
    for part in &inspected.report.parts {
        let commands = survey.commands.iter().find(|commands| commands.file == part.name);
        if part.units > 0 || target.is_log && survey.snapshot.is_none() || part.name.ends_with(".aof") {
            let (size, units, frames) = (grouped(part.size), grouped(part.units), grouped(part.frames));
            let bare = match part.unverified {
                0 => String::new(),
                bare => format!(", {} under no checksum", grouped(bare)),
            };
            out +=
                &format!("  {}\n  log of {size} bytes: {units} units in {frames} frames{bare}\n", part.name);
        }
        out += &commands.map(|commands| commands.lines()).unwrap_or_default();
    }
    let timed = survey.snapshot.as_ref().is_some_and(|snapshot| snapshot.timed_fields > 0);
    if timed || survey.commands.iter().any(|commands| commands.times_fields()) {
        out += "  fields have deadlines: of real servers, Redis from 7.4 and Valkey from 9 can load it\n";
    }
    out + &verdict(target, inspected)
}

fn verdict(target: &Target, inspected: &Inspected) -> String {
    let place = |file: &str| match target.is_log {
        true => target.path.join(file).display().to_string(),
        false => target.path.display().to_string(),
    };
    if let Some(fault) = &inspected.fault {
        return match fault {
            Error::Corrupt(fault) => {
                let file = fault.file.as_deref().and_then(Path::to_str).unwrap_or_default();
                format!("  FAULT {} at byte {}: {}\n", place(file), fault.offset, fault.what)
            }
            other => format!("  FAULT {}\n", plain(other)),
        };
    }
    match &inspected.report.torn {
        Some((file, at, bytes)) => {
            let file = place(file);
            format!(
                "  FAULT {file} at byte {at}: its last {bytes} bytes are no whole write, as after a crash\n"
            )
        }
        None => "  good\n".into(),
    }
}
