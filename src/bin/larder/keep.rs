//! Stores in directories, as the command line asks for them.

use crate::disk::{Watched, bytes_to_load};
use crate::progress::{Bar, Progress};
use clap::{Args, ValueEnum};
use larder::log::real::Directory;
use larder::{Builder, Error, Fsync, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a store is kept.
#[derive(Debug, Clone, Args)]
pub struct Keep {
    /// Keep the store in a directory: what is there is loaded, and every write is logged there
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// When writes reach the disk: before their reply, once a second (the default), when the system sees fit
    #[arg(long, value_name = "WHEN", requires = "dir")]
    pub fsync: Option<When>,
}

/// A policy by Redis's name for it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum When {
    Always,
    #[value(name = "everysec")]
    EverySecond,
    No,
}

impl Keep {
    /// The store that was asked for, in a directory or in memory. What was put right at opening is told on standard error.
    pub fn open(&self, builder: Builder) -> Result<Store, String> {
        let in_memory = builder.clone().build().map_err(|error| plain(&error))?;
        let Some(path) = &self.dir else { return Ok(in_memory) };
        let fsync = match self.fsync {
            Some(When::Always) => Fsync::Always,
            Some(When::No) => Fsync::No,
            Some(When::EverySecond) | None => Fsync::EverySecond,
        };
        let store = open(builder.fsync(fsync), path).map_err(|error| about(path, &error))?;
        if let Some((file, at, bytes)) = store.log_report().and_then(|report| report.torn) {
            eprintln!(
                "larder: {}: its last {bytes} bytes, from byte {at} on, were no whole write, as after a crash: cut off",
                path.join(file).display()
            );
        }
        Ok(store)
    }
}

fn open(builder: Builder, path: &Path) -> larder::Result<Store> {
    let directory = Directory::at(path)
        .map_err(|error| Error::Io(error.kind(), format!("{}: {error}", path.display()).into()))?;
    let progress = Progress::of(bytes_to_load(path));
    let _bar = Bar::show("loading", &progress);
    builder.open_on(Arc::new(Watched::new(directory, &progress)), path.to_path_buf())
}

/// An error without Redis's code word.
pub fn plain(error: &Error) -> String {
    let text = error.to_string();
    text.strip_prefix("ERR ").unwrap_or(&text).to_owned()
}

/// The same, which says what it is about.
pub fn about(path: &Path, error: &Error) -> String {
    let (path, said) = (path.display().to_string(), plain(error));
    match error {
        Error::Locked => format!("{path}: the directory is open in another process"),
        _ if said.contains(&path) => said,
        _ => format!("{path}: {said}"),
    }
}
