//! Opening a directory: the manifest, the base, the files of units in order. What a crash leaves is put right (a torn tail
//! is cut, leftovers are removed); anything else that is wrong is refused, by file and offset, and nothing is changed.

use super::frame::{self, Header};
use super::fs::{self, Disk, File, Source, create_over, failed};
use super::manifest::{self, Manifest, PREFIX, Part, Which};
use super::mutant::Mutant;
use super::read::{Item, Reader};
use crate::effect::Unit;
use crate::error::Corrupt;
use crate::{Error, Result};
use std::io::Read;
use std::sync::Arc;

/// How a directory is opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Refuses commands that are under no checksum.
    pub strict: bool,
    pub mutant: Mutant,
}

/// What takes what is found.
pub trait Loader {
    /// A snapshot, from its first byte on. Answers how many bytes it has; commands may follow.
    fn base(&mut self, input: &mut dyn Read) -> Result<u64>;
    /// The units that come next are those of this file.
    fn units_of(&mut self, _name: &str) {}
    /// A unit, or what is wrong with it.
    fn unit(&mut self, unit: Unit) -> Result<(), String>;
}

/// What was found in a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Units that were in the files, base not counted.
    pub units: u64,
    pub frames: u64,
    /// Units under no checksum: a real server wrote them.
    pub unverified: u64,
    /// A torn tail that was cut: its file, where, and how many bytes it had.
    pub torn: Option<(String, u64, u64)>,
    /// Leftovers that were removed.
    pub swept: Vec<String>,
    /// Bytes of the base.
    pub base_size: u64,
    /// The files, in their order, as far as they were read.
    pub parts: Vec<PartReport>,
}

/// What was found in one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartReport {
    pub name: String,
    pub size: u64,
    pub units: u64,
    pub frames: u64,
    pub unverified: u64,
    /// Where the last whole unit ended.
    pub good: u64,
    /// The last unit's number.
    pub lsn: u64,
}

/// What a look at a directory found.
pub struct Inspected {
    /// Which files count; `None`: it has no log.
    pub manifest: Option<Manifest>,
    pub report: Report,
    /// The first thing that is wrong, a torn tail not counted.
    pub fault: Option<Error>,
}

/// An open directory, at the end of its log.
pub struct Found {
    pub disk: Arc<dyn Disk>,
    pub manifest: Manifest,
    /// The last file of units.
    pub file: Box<dyn File>,
    /// Where it ends, with the chain's value there and the last unit's number.
    pub size: u64,
    pub chain: u32,
    pub lsn: u64,
    pub report: Report,
    pub mutant: Mutant,
}

/// Opens a directory that the caller has locked.
pub fn open(disk: Arc<dyn Disk>, options: Options, loader: &mut dyn Loader) -> Result<Found> {
    let names = disk.list().map_err(failed("listing", "the directory"))?;
    let Some(manifest) = read_manifest(&*disk, &names)? else {
        let mut report = Report::default();
        begin_anew(&*disk, &names, &mut report)?;
        return with_new_file(disk, Manifest::new(PREFIX), 0, report, options.mutant);
    };
    let mut opening = Opening { disk: &*disk, options, loader, report: Report::default(), lsn: None };
    opening.read_base(&manifest)?;
    let end = opening.read_incrs(&manifest)?;
    refuse_strays(&*disk, &manifest, &names)?;
    let (report, lsn) = (opening.report, opening.lsn.unwrap_or(0));
    if options.mutant != Mutant::SweptEarly {
        disk.sync_names().map_err(failed("syncing", "the directory"))?;
    }
    let mut found = match end {
        Some(end) => settle(Arc::clone(&disk), manifest, end, lsn, report, options.mutant)?,
        None => with_new_file(Arc::clone(&disk), manifest, lsn, report, options.mutant)?,
    };
    found.report.swept = sweep(&*disk, &found.manifest);
    Ok(found)
}

/// Reads the files of a log again, all of which were written to their end, and changes nothing.
pub(super) fn read(disk: &dyn Disk, manifest: &Manifest, loader: &mut dyn Loader) -> Result<()> {
    let options = Options::default();
    let mut opening = Opening { disk, options, loader, report: Report::default(), lsn: None };
    opening.read_base(manifest)?;
    opening.read_incrs(manifest)?;
    match opening.report.torn {
        None => Ok(()),
        Some((file, at, _)) => Err(corrupt(&file, at, "units that were written are not there".into())),
    }
}

/// Reads a directory to its end or to its first fault, and changes nothing. A file that can't be read is an error.
pub fn inspect(disk: &dyn Disk, options: Options, loader: &mut dyn Loader) -> Result<Inspected> {
    let names = disk.list().map_err(failed("listing", "the directory"))?;
    let mut opening = Opening { disk, options, loader, report: Report::default(), lsn: None };
    let mut manifest = None;
    let looked = opening.look(&names, &mut manifest);
    let fault = match looked {
        Err(error @ (Error::Corrupt(_) | Error::Unsupported(_))) => Some(error),
        looked => looked.map(|()| None)?,
    };
    Ok(Inspected { manifest, report: opening.report, fault })
}

/// Whether a directory has a log.
pub fn has_log(disk: &dyn Disk) -> Result<bool> {
    let names = disk.list().map_err(failed("listing", "the directory"))?;
    Ok(names.iter().any(|name| Manifest::prefix_of(name).is_some()))
}

// ---- reading

fn read_manifest(disk: &dyn Disk, names: &[String]) -> Result<Option<Manifest>> {
    let mut found = names.iter().filter(|name| Manifest::prefix_of(name).is_some());
    let Some(name) = found.next() else { return Ok(None) };
    if let Some(other) = found.next() {
        return Err(corrupt(name, 0, format!("{other} is a manifest too")));
    }
    let file = disk.open(name).map_err(failed("opening", name))?;
    let text = fs::read_small(&*file, manifest::MOST).map_err(failed("reading", name))?;
    Manifest::parse(Manifest::prefix_of(name).unwrap_or(PREFIX), &text).map(Some)
}

/// Where the last file ends.
struct End {
    file: Box<dyn File>,
    doubtful: (u64, u64),
    good: u64,
    size: u64,
    chain: u32,
}

struct Opening<'o> {
    disk: &'o dyn Disk,
    options: Options,
    loader: &'o mut dyn Loader,
    report: Report,
    lsn: Option<u64>,
}

impl Opening<'_> {
    fn look(&mut self, names: &[String], found: &mut Option<Manifest>) -> Result<()> {
        let Some(manifest) = read_manifest(self.disk, names)? else {
            return leftovers(self.disk, names).map(drop);
        };
        let manifest = found.insert(manifest);
        self.read_base(manifest)?;
        self.read_incrs(manifest)?;
        refuse_strays(self.disk, manifest, names)
    }

    fn open_part(&self, part: &Part) -> Result<Box<dyn File>> {
        self.disk.open(&part.name).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                corrupt(&part.name, 0, "the manifest names it, and it is not there".into())
            }
            _ => failed("opening", &part.name)(error),
        })
    }

    fn read_base(&mut self, manifest: &Manifest) -> Result<()> {
        let Some(part) = &manifest.base else { return Ok(()) };
        let file = self.open_part(part)?;
        let mut magic = [0; 5];
        let len = file.read_at(0, &mut magic).map_err(failed("reading", &part.name))?;
        let from = match &magic[..len] {
            b"REDIS" | b"VALKE" => self
                .loader
                .base(&mut Source::new(&*file, 0))
                .map_err(|error| error.in_file(part.name.as_ref()))?,
            _ => 0,
        };
        let mut reader = Reader::new(&*file, from, part.seq, None).map_err(failed("reading", &part.name))?;
        self.report.base_size = reader.size();
        match self.read_all(&mut reader, &part.name)? {
            None if len > 0 => Ok(()),
            None => Err(corrupt(&part.name, 0, "it is empty".into())),
            Some(bad) => Err(corrupt(&part.name, reader.pos(), bad.why)),
        }
    }

    fn read_incrs(&mut self, manifest: &Manifest) -> Result<Option<End>> {
        for (number, part) in manifest.incrs.iter().enumerate() {
            let file = self.open_part(part)?;
            let is_last = number + 1 == manifest.incrs.len();
            let reader = self.read_incr(part, &*file, manifest.checked, is_last)?;
            if is_last {
                let Reader { good, chain, doubtful, .. } = reader;
                let size = reader.size();
                return Ok(Some(End { file, doubtful, good, size, chain }));
            }
        }
        Ok(None)
    }

    /// Reads a file to its end, or to where it is torn.
    fn read_incr<'f>(
        &mut self,
        part: &Part,
        file: &'f dyn File,
        ours: bool,
        is_last: bool,
    ) -> Result<Reader<'f>> {
        let mut reader = Reader::new(file, 0, part.seq, self.lsn).map_err(failed("reading", &part.name))?;
        // A manifest with our checksum names files of our making only.
        reader.ours = ours;
        let bad = self.read_all(&mut reader, &part.name)?;
        self.lsn = reader.lsn.or(self.lsn);
        if let Some(bad) = bad {
            let torn = is_last && reader.is_torn(&bad).map_err(failed("reading", &part.name))?;
            if !torn {
                let why = format!("{}; units are good up to number {}", bad.why, reader.last_lsn());
                return Err(corrupt(&part.name, reader.pos(), why));
            }
            self.report.torn = Some((part.name.clone(), reader.good, reader.size() - reader.good));
        }
        if self.options.strict && reader.unverified > 0 {
            return Err(corrupt(&part.name, reader.good, "commands that are under no checksum".into()));
        }
        Ok(reader)
    }

    fn read_all(&mut self, reader: &mut Reader<'_>, name: &str) -> Result<Option<super::read::Bad>> {
        let loader = &mut *self.loader;
        loader.units_of(name);
        let bad = loop {
            match reader.step(&mut |unit| loader.unit(unit)).map_err(failed("reading", name))? {
                Item::Good => {}
                Item::End => break None,
                Item::Bad(bad) => break Some(bad),
            }
        };
        self.report.units += reader.units;
        self.report.frames += reader.frames;
        self.report.unverified += reader.unverified;
        self.report.parts.push(PartReport {
            name: name.to_string(),
            size: reader.size(),
            units: reader.units,
            frames: reader.frames,
            unverified: reader.unverified,
            good: reader.good,
            lsn: reader.last_lsn(),
        });
        Ok(bad)
    }
}

fn corrupt(file: &str, offset: u64, why: String) -> Error {
    Corrupt::at(offset, why).in_file(file.as_ref())
}

// ---- putting right

/// A directory without a manifest is new, unless files say that there was one. A crash while a new one was being made
/// leaves a first file without units.
fn begin_anew(disk: &dyn Disk, names: &[String], report: &mut Report) -> Result<()> {
    report.swept = leftovers(disk, names)?;
    report.swept.iter().try_for_each(|name| disk.unlink(name).map_err(failed("removing", name)))
}

/// What a log left that was never begun.
fn leftovers(disk: &dyn Disk, names: &[String]) -> Result<Vec<String>> {
    let manifest = Manifest::new(PREFIX);
    let mut left = Vec::new();
    for name in names.iter().filter(|name| is_part_of_a_log(name)) {
        let fresh = *name == manifest.incr_part(1).name && is_without_units(disk, name, 1)?;
        if !fresh {
            return Err(corrupt(&manifest.name(), 0, format!("it is not there, but {name} is")));
        }
        left.push(name.clone());
    }
    Ok(left)
}

fn is_part_of_a_log(name: &str) -> bool {
    let endings = [".incr.aof", ".base.rdb", ".base.aof"];
    !name.starts_with("temp-") && endings.iter().any(|ending| name.ends_with(ending))
}

/// A file of units beyond those the manifest names holds none after any crash: if it does, the manifest is an old one.
fn refuse_strays(disk: &dyn Disk, manifest: &Manifest, names: &[String]) -> Result<()> {
    let last = manifest.incrs.last().map_or(0, |part| part.seq);
    for name in names {
        if let Some((seq, Which::Incr)) = manifest.seq_of(name)
            && seq > last
            && !is_without_units(disk, name, seq)?
        {
            return Err(corrupt(
                &manifest.name(),
                0,
                format!("it does not name {name}, which holds later units"),
            ));
        }
    }
    Ok(())
}

fn is_without_units(disk: &dyn Disk, name: &str, seq: u64) -> Result<bool> {
    let file = disk.open(name).map_err(failed("opening", name))?;
    let mut reader = Reader::new(&*file, 0, seq, None).map_err(failed("reading", name))?;
    let mut units = 0u64;
    while reader
        .step(&mut |_| {
            units += 1;
            Ok(())
        })
        .map_err(failed("reading", name))?
        == Item::Good
    {}
    Ok(units == 0)
}

/// Cuts a torn tail, and makes sure that all that was read is safe: what is written next relies on it. A sync alone does
/// not: if one failed in the process before, the system may show bytes that it takes for clean and never wrote.
fn settle(
    disk: Arc<dyn Disk>,
    manifest: Manifest,
    end: End,
    lsn: u64,
    report: Report,
    mutant: Mutant,
) -> Result<Found> {
    let End { file, doubtful, good, size, chain } = end;
    let name = manifest.incrs.last().map_or("", |part| &*part.name);
    let mut at = good;
    if mutant == Mutant::TailKept {
        at = size;
    } else if good < size {
        file.cut(good).map_err(failed("cutting the torn tail of", name))?;
    }
    if mutant != Mutant::Believed {
        renew(&*file, doubtful).map_err(failed("writing", name))?;
    }
    file.sync().map_err(failed("syncing", name))?;
    Ok(Found { disk, manifest, file, size: at, chain, lsn, report, mutant })
}

/// Writes a part of a file again, piece by piece.
fn renew(file: &dyn File, (from, to): (u64, u64)) -> std::io::Result<()> {
    let mut piece = vec![0; 1 << 18];
    let mut at = from;
    while at < to {
        let most = usize::try_from(to - at).map_or(piece.len(), |left| left.min(piece.len()));
        let read = file.read_at(at, &mut piece[..most])?;
        if read == 0 {
            break;
        }
        file.renew(at, &piece[..read])?;
        at += read as u64;
    }
    Ok(())
}

/// Begins a log, or the first file of units after a base.
fn with_new_file(
    disk: Arc<dyn Disk>,
    mut manifest: Manifest,
    lsn: u64,
    report: Report,
    mutant: Mutant,
) -> Result<Found> {
    let part = manifest.incr_part(manifest.parts().map(|part| part.seq).max().unwrap_or(0) + 1);
    let start = NewFile::create(&*disk, &part).and_then(|file| file.begin(lsn))?;
    disk.sync_names().map_err(failed("syncing", "the directory"))?;
    manifest.incrs.push(part);
    publish(&*disk, &manifest, mutant).map_err(|unpublished| unpublished.error)?;
    let NewFile { file, size, chain, .. } = start;
    Ok(Found { disk, manifest, file, size, chain, lsn, report, mutant })
}

/// A file of units that no manifest names yet.
pub(super) struct NewFile {
    pub file: Box<dyn File>,
    pub name: String,
    pub size: u64,
    pub chain: u32,
}

impl NewFile {
    pub fn create(disk: &dyn Disk, part: &Part) -> Result<NewFile> {
        let file = create_over(disk, &part.name)?;
        Ok(NewFile { file, name: part.name.clone(), size: 0, chain: frame::chain_of(part.seq) })
    }

    /// Writes the frame that says where the numbers go on, and syncs it.
    pub fn begin(mut self, lsn: u64) -> Result<NewFile> {
        let header = Header::of(self.chain, false, lsn, &[]);
        let text = header.text();
        fs::append_all(&*self.file, text.as_bytes()).map_err(failed("writing", &self.name))?;
        self.file.sync().map_err(failed("syncing", &self.name))?;
        (self.size, self.chain) = (text.len() as u64, header.crc);
        Ok(self)
    }
}

/// A manifest that could not be published. Once it was renamed, a crash may bring either.
pub(super) struct Unpublished {
    pub renamed: bool,
    pub error: Error,
}

/// Puts a manifest in the place of the one before: a temporary file, synced, renamed, and the name synced.
pub(super) fn publish(disk: &dyn Disk, manifest: &Manifest, mutant: Mutant) -> Result<(), Unpublished> {
    let name = manifest.name();
    let temporary = Manifest::temporary(&name);
    let mut renamed = false;
    let mut put = || {
        let file = create_over(disk, &temporary)?;
        fs::append_all(&*file, manifest.text().as_bytes()).map_err(failed("writing", &temporary))?;
        if mutant != Mutant::ManifestUnsynced {
            file.sync().map_err(failed("syncing", &temporary))?;
        }
        disk.rename(&temporary, &name).map_err(failed("renaming", &temporary))?;
        renamed = true;
        match mutant {
            Mutant::ManifestUnnamed => Ok(()),
            _ => disk.sync_names().map_err(failed("syncing", "the directory")),
        }
    };
    put().map_err(|error| Unpublished { renamed, error })
}

/// Removes files of the log that the manifest does not name, and temporary ones. What can't be removed stays for the next
/// time.
pub(super) fn sweep(disk: &dyn Disk, manifest: &Manifest) -> Vec<String> {
    let names = disk.list().unwrap_or_default();
    let is_left = |name: &String| {
        let own = name.strip_prefix("temp-").unwrap_or(name);
        let temporary = own.len() < name.len() && (own == manifest.name() || manifest.seq_of(own).is_some());
        let part = manifest.seq_of(name).is_some() && !manifest.parts().any(|part| part.name == *name);
        temporary || part
    };
    names.into_iter().filter(is_left).filter(|name| disk.unlink(name).is_ok()).collect()
}
