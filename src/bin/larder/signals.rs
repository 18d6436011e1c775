//! An interrupt, or a request to terminate, stops the server as SHUTDOWN does.

use larder::Store;
use std::io;

#[cfg(unix)]
pub fn stop_by(store: &Store) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let store = store.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    drop(entered);
    std::thread::Builder::new().name("larder-signals".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        // There is nobody to tell if the listener has stopped by itself meanwhile.
        let _ = store.session().execute(["SHUTDOWN"]);
    })?;
    Ok(())
}

#[cfg(not(unix))]
pub fn stop_by(_: &Store) -> io::Result<()> {
    Ok(())
}
