//! A private redis-server: own folder, unix socket only, gone when dropped.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub struct Server {
    child: Child,
    folder: PathBuf,
}

static STARTED: AtomicU32 = AtomicU32::new(0);

impl Server {
    pub fn start() -> Result<Server, String> {
        let n = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("larder-live-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let child = Command::new("redis-server")
            .args(["--port", "0", "--unixsocket", "s", "--save", "", "--appendonly", "no"])
            .args(["--enable-debug-command", "yes", "--dir", "."])
            .current_dir(&folder)
            .env("LC_ALL", "C") // SORT ALPHA asks the locale.
            .stdout(Stdio::null())
            .spawn()
            .map_err(|e| format!("redis-server does not start: {e}"))?;
        let server = Server { child, folder };
        let patience = Instant::now() + Duration::from_secs(10);
        while std::os::unix::net::UnixStream::connect(server.socket()).is_err() {
            if Instant::now() > patience {
                return Err("redis-server does not answer".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    /// Where it runs, and saves.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("s")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
