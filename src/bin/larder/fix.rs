//! `larder check --fix`: what is wrong is copied, then cut off.

use crate::check::{Found, Target};
use larder::Error;
use larder::log::Mutant;
use larder::log::fs::{Disk, lock_soon, put_file};
use larder::log::manifest::Manifest;
use larder::log::real::Directory;
use larder::rdb::crc64;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Cuts off what is wrong, and says what was done.
pub fn fix(target: &Target, found: &Found) -> Result<Vec<String>, String> {
    let said = |error: io::Error| error.to_string();
    let (file, at) = place(found)?;
    if !target.is_log {
        return match at {
            Some(at) => cut(&target.path, at).map(|line| vec![line]).map_err(said),
            None => rescue(&target.path, found),
        };
    }
    let directory = Directory::at(&target.path).map_err(said)?;
    if !lock_soon(&directory).map_err(said)? {
        return Err("the directory is open in another process".into());
    }
    let at = at
        .ok_or("the base is damaged, and the log after it was written for what it held: take another copy")?;
    cut_log(&target.path, &directory, found, &file, at).map_err(said)
}

/// The file that is to be cut, and where; of a snapshot that is damaged itself the place is not told.
fn place(found: &Found) -> Result<(String, Option<u64>), String> {
    let report = &found.inspected.report;
    if let Some((file, at, _)) = &report.torn {
        return Ok((file.clone(), Some(*at)));
    }
    let fault = match &found.inspected.fault {
        Some(Error::Corrupt(fault)) => fault,
        Some(other) => return Err(format!("it is not damaged, but can't be used here: {other}")),
        None => return Err("nothing is wrong".into()),
    };
    let file = fault.file.as_deref().and_then(Path::to_str).unwrap_or_default().to_owned();
    if file.ends_with(".manifest") {
        return Err("the manifest is what is wrong: nothing can be cut off".into());
    }
    let part = report.parts.iter().find(|part| part.name == file);
    if part.is_none() && found.survey.snapshot.is_none() {
        return Err("the file is not there, or its beginning is not: take another copy".into());
    }
    Ok((file, part.map(|part| part.good)))
}

/// A name for a copy that nothing has yet.
fn spare(path: &Path) -> io::Result<PathBuf> {
    let name = |number: usize| {
        let mut name = path.as_os_str().to_owned();
        name.push(".before-fix");
        if number > 1 {
            name.push(format!("-{number}"));
        }
        PathBuf::from(name)
    };
    (1..1000)
        .map(name)
        .find(|path| !path.exists())
        .ok_or_else(|| io::Error::other("there are a thousand copies"))
}

fn copy(path: &Path) -> io::Result<PathBuf> {
    let spare = spare(path)?;
    io::copy(&mut File::open(path)?, &mut OpenOptions::new().write(true).create_new(true).open(&spare)?)?;
    File::open(&spare)?.sync_all()?;
    Ok(spare)
}

/// Cuts a file off.
fn cut(path: &Path, at: u64) -> io::Result<String> {
    let copied = copy(path)?;
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(at)?;
    file.sync_all()?;
    Ok(format!("{} is cut off at byte {at}; as it was: {}", path.display(), copied.display()))
}

/// Cuts a log off in one of its files; what is in later ones is left out.
fn cut_log(path: &Path, disk: &Directory, found: &Found, file: &str, at: u64) -> io::Result<Vec<String>> {
    let mut done = vec![cut(&path.join(file), at)?];
    let Some(mut manifest) = found.inspected.manifest.clone() else { return Ok(done) };
    let number = |manifest: &Manifest| manifest.incrs.iter().position(|part| part.name == file);
    // A cut in the commands behind a base leaves out all files of units; one at a file's very start that file too.
    let keep = number(&manifest).map_or(0, |number| if at == 0 { number } else { number + 1 });
    let left_out = manifest.incrs.split_off(keep.min(manifest.incrs.len()));
    if left_out.is_empty() {
        return Ok(done);
    }
    let name = manifest.name();
    let copied = copy(&path.join(&name))?;
    let text = manifest.text();
    put_file(disk, &name, Mutant::None, |out| {
        out.write_all(text.as_bytes()).map_err(|error| Error::Io(error.kind(), error.to_string().into()))
    })
    .map_err(io::Error::other)?;
    done.push(format!(
        "{} names no later files; as it was: {}",
        path.join(&name).display(),
        copied.display()
    ));
    for part in left_out {
        let (from, to) = (path.join(&part.name), spare(&path.join(&part.name))?);
        std::fs::rename(&from, &to)?;
        done.push(format!("{} is left out, and now {}", from.display(), to.display()));
    }
    disk.sync_names()?;
    Ok(done)
}

/// Keeps the entries of a snapshot that stand before its fault.
fn rescue(path: &Path, found: &Found) -> Result<Vec<String>, String> {
    const END: u8 = 255;
    let snapshot = found.survey.snapshot.as_ref().filter(|snapshot| snapshot.keys() > 0);
    let snapshot = snapshot.ok_or("no entry of it can be read")?;
    // The end mark stands where it should, and the eight bytes after it are those of another file.
    let mut next = [0];
    let read = File::open(path).and_then(|file| file.read_at(&mut next, snapshot.good)).unwrap_or(0);
    if read == 1 && next == [END] && snapshot.stopped == snapshot.good + 9 {
        return Err("only its checksum is wrong: nobody can tell which of its entries are".into());
    }
    let rescued = || {
        let copied = copy(path)?;
        let temporary = spare(path)?;
        let mut out = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        let (mut input, mut sum, mut buffer) = (File::open(path)?.take(snapshot.good), 0, vec![0; 1 << 16]);
        loop {
            let read = input.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            sum = crc64(sum, &buffer[..read]);
            out.write_all(&buffer[..read])?;
        }
        out.write_all(&[END])?;
        if snapshot.version >= 5 {
            out.write_all(&crc64(sum, &[END]).to_le_bytes())?;
        }
        out.sync_all()?;
        std::fs::rename(&temporary, path)?;
        Ok(format!(
            "{} keeps the {} keys before byte {}; as it was: {}",
            path.display(),
            snapshot.keys(),
            snapshot.good,
            copied.display()
        ))
    };
    rescued().map(|line| vec![line]).map_err(|error: io::Error| error.to_string())
}
