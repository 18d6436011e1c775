//! An interrupt, or a request to terminate, stops the server as SHUTDOWN does.

use larder::{Reply, Store};
use std::io;

/// What came since this was made is not lost.
#[cfg(unix)]
pub struct Signals {
    runtime: tokio::runtime::Runtime,
    interrupts: tokio::signal::unix::Signal,
    ends: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// From now on no signal ends the process by itself. To be made before anybody is served: who is, may send one.
    pub fn new() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (interrupts, ends) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        Ok(Signals { runtime, interrupts, ends })
    }

    /// Has them stop the servers of a store. Where SHUTDOWN fails, the disk is full, say, they go on, as a real one does.
    pub fn stop(self, store: &Store) -> io::Result<()> {
        let Signals { runtime, mut interrupts, mut ends } = self;
        let store = store.clone();
        let watch = async move {
            loop {
                tokio::select! {
                    _ = interrupts.recv() => {}
                    _ = ends.recv() => {}
                }
                match store.session().execute(["SHUTDOWN"]) {
                    Ok(Reply::Error(error)) | Err(error) => {
                        eprintln!("larder: the server goes on: {}", crate::keep::plain(&error))
                    }
                    Ok(_) => return,
                }
            }
        };
        let thread = std::thread::Builder::new().name("larder-signals".into());
        thread.spawn(move || runtime.block_on(watch)).map(drop)
    }
}

#[cfg(not(unix))]
pub struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub fn new() -> io::Result<Signals> {
        Ok(Signals)
    }

    pub fn stop(self, _: &Store) -> io::Result<()> {
        Ok(())
    }
}
