//! An interrupt, or a request to terminate, stops the server as SHUTDOWN does.

use larder::{Reply, Store};
use std::io;

/// Where SHUTDOWN fails, the disk is full, say, the server goes on, as a real one does.
#[cfg(unix)]
pub fn stop_by(store: &Store) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupts, mut ends) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
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
    std::thread::Builder::new().name("larder-signals".into()).spawn(move || runtime.block_on(watch)).map(drop)
}

#[cfg(not(unix))]
pub fn stop_by(_: &Store) -> io::Result<()> {
    Ok(())
}
