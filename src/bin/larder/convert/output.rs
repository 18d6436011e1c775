//! What `larder convert` writes: a file, standard output, a directory.

use super::{Form, Sink, io_error, is_standard};
use crate::commands::Commands;
use crate::jsonl::Lines;
use larder::log::fs::{lock_soon, put_file};
use larder::log::manifest::{Manifest, PREFIX};
use larder::log::real::Directory;
use larder::log::{Effect, Mutant, Unit, frame};
use larder::rdb::{Datum, FieldTtls, Head, Keyed, Writer};
use larder::value::{Hash, Value, View};
use larder::{Bytes, Error, Profile};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

type Fill<'f> = dyn FnMut(&mut dyn Sink) -> larder::Result<()> + 'f;

/// Writes what `fill` gives to a sink that is made here, where its file is.
pub(super) fn write(
    path: &Path,
    to: Form,
    ttls: FieldTtls,
    mut fill: impl FnMut(&mut dyn Sink) -> larder::Result<()>,
) -> larder::Result<()> {
    if is_standard(path) {
        let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
        return write_to(&mut out, to, ttls, &mut fill).and_then(|()| out.flush().map_err(io_error));
    }
    if to == Form::Dir {
        let made = !path.exists();
        let written = write_dir(path, &mut fill);
        if written.is_err() && made {
            let _ = fs::remove_dir_all(path); // it is of no use to anybody
        }
        return written;
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::Config("the path has no file name that is text".into()))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = Directory::at(parent).map_err(io_error)?;
    put_file(&directory, name, Mutant::None, |out| write_to(out, to, ttls, &mut fill)).map(drop)
}

fn write_to(out: &mut dyn Write, to: Form, ttls: FieldTtls, fill: &mut Fill<'_>) -> larder::Result<()> {
    let mut sink: Box<dyn Sink + '_> = match to {
        Form::Rdb => Box::new(Snapshot::begin(out, ttls)?),
        Form::Jsonl => Box::new(Lines(out)),
        _ => Box::new(Commands::new(out)),
    };
    fill(&mut *sink)?;
    sink.finish()
}

/// A directory: a base, deadlines of fields as commands behind it, and a manifest.
fn write_dir(path: &Path, fill: &mut Fill<'_>) -> larder::Result<()> {
    let directory = Directory::at(path).map_err(io_error)?;
    if !lock_soon(&directory).map_err(io_error)? {
        return Err(Error::Locked);
    }
    let mut manifest = Manifest::new(PREFIX);
    let part = manifest.base_part(1);
    put_file(&directory, &part.name, Mutant::None, |out| {
        let mut sink = Snapshot::begin(out, FieldTtls::Drop)?;
        fill(&mut sink)?;
        let units = std::mem::take(&mut sink.timed);
        let out = sink.writer.finish()?;
        frame::write_units(part.seq, &units, out).map_err(io_error)
    })?;
    manifest.base = Some(part);
    let text = manifest.text();
    put_file(&directory, &manifest.name(), Mutant::None, |out| {
        out.write_all(text.as_bytes()).map_err(io_error)
    })?;
    Ok(())
}

/// Writes a snapshot.
struct Snapshot<W> {
    writer: Writer<W>,
    db: Option<u64>,
    ttls: FieldTtls,
    /// What sets deadlines of fields, where the snapshot leaves them out and they have another place.
    timed: Vec<Unit>,
}

impl<W: Write> Snapshot<W> {
    fn begin(out: W, ttls: FieldTtls) -> larder::Result<Self> {
        let mut writer = Writer::new(out, ttls);
        let version = Profile::default().version();
        let version = format!("{}.{}.0", version.0, version.1);
        writer.header(&[("redis-ver", version.as_bytes()), ("redis-bits", b"64"), ("aof-base", b"0")])?;
        Ok(Snapshot { writer, db: None, ttls, timed: Vec::new() })
    }

    fn note_deadlines(&mut self, db: u64, key: &[u8], value: &Value) -> larder::Result<()> {
        if self.ttls != FieldTtls::Drop || !matches!(value, Value::Hash(_)) {
            return Ok(());
        }
        let hash = View::Boxed(value).collection::<Hash>()?;
        if hash.first_deadline().is_none() {
            return Ok(());
        }
        let timed = hash.pairs().into_iter().filter_map(|(field, _)| Some((field, hash.deadline(field)?)));
        self.timed.extend(timed.map(|(field, at)| {
            let at = at.to_string();
            let words: [&[u8]; 6] = [b"HPEXPIREAT", key, at.as_bytes(), b"FIELDS", b"1", field];
            vec![Effect { db: db as usize, args: words.iter().map(|word| Bytes::from(*word)).collect() }]
        }));
        Ok(())
    }
}

impl<W: Write> Sink for Snapshot<W> {
    fn entry(&mut self, db: u64, key: &Keyed<'_>) -> larder::Result<()> {
        if self.db != Some(db) {
            self.db = Some(db);
            // How many keys there will be nobody knows yet: only a hint.
            self.writer.select(db, 0, 0)?;
        }
        let head = Head { key: key.key, deadline: key.deadline, idle: key.idle, freq: key.freq };
        match &key.value {
            Datum::Int(n) => self.writer.integer(&head, *n),
            Datum::Str(text) => self.writer.string(&head, text),
            Datum::Value(value) => {
                self.note_deadlines(db, key.key, value)?;
                self.writer.value(&head, value, 0).map(drop)
            }
        }
    }

    fn function(&mut self, code: &[u8]) -> larder::Result<()> {
        self.writer.function(code)
    }

    fn finish(self: Box<Self>) -> larder::Result<()> {
        self.writer.finish().map(drop)
    }
}
