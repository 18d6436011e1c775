//! The binary under the name `redis-server`: it takes that program's arguments, so that what starts a server by its name
//! need not be told of another.

use crate::redis_conf::{self, Directive, wrong};
use crate::serve::{self, Log};
use larder::Profile;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const USAGE: &str = "\
Usage: redis-server [FILE] [--DIRECTIVE VALUE ...] [-]
       redis-server -       directives from standard input
       redis-server -v, --version
       redis-server -h, --help

This is larder under another name: `larder serve --help` tells more.
";

/// Set for the process that a `daemonize yes` leaves behind.
const IS_DAEMON: &str = "LARDER_IS_DAEMON";

/// Whether the binary was called by this name.
pub fn is_called(program: Option<&OsString>) -> bool {
    let name = program.and_then(|program| Path::new(program).file_stem());
    name.is_some_and(|name| name == "redis-server")
}

/// Serves until SHUTDOWN or a signal.
pub fn run(args: Vec<String>) -> io::Result<()> {
    match args.first().map(String::as_str) {
        Some("-v" | "--version") => return say(&version()),
        Some("-h" | "--help") => return say(USAGE),
        _ => {}
    }
    let given = Given::read(&args)?;
    let mut own = Own::default();
    let directives = own.take(given.directives()?)?;
    let file = given.file.as_deref().map(fs::canonicalize).transpose()?;
    if own.daemonize && std::env::var_os(IS_DAEMON).is_none() {
        return leave_behind(&args, given.stdin.as_deref());
    }
    if let Some(folder) = &own.folder {
        let told = |why: io::Error| io::Error::new(why.kind(), format!("can't chdir to '{folder}': {why}"));
        std::env::set_current_dir(folder).map_err(told)?;
    }
    let log = ServerLog::open(own.log.as_deref())?;
    let pid_file = own.pid_file();
    if let Some(path) = &pid_file {
        fs::write(path, format!("{}\n", std::process::id()))?;
    }
    let done = serve::run_by(directives, file, &log);
    if let Some(path) = &pid_file {
        let _ = fs::remove_file(path); // somebody else may have removed it
    }
    done
}

fn say(text: &str) -> io::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())
}

fn version() -> String {
    let version = Profile::default().version_text();
    format!("Redis server v={version} sha=00000000:0 malloc=libc bits={} build=larder\n", usize::BITS)
}

/// What stands on the command line.
#[derive(Default)]
struct Given {
    file: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    options: Vec<Directive>,
}

impl Given {
    fn read(args: &[String]) -> io::Result<Given> {
        let mut given = Given::default();
        for (at, arg) in args.iter().enumerate() {
            match arg.strip_prefix("--") {
                Some(name) if !name.is_empty() => given.options.push(Directive {
                    name: name.to_ascii_lowercase(),
                    args: Vec::new(),
                    place: format!("'{arg}'"),
                }),
                _ if arg == "-" && given.stdin.is_none() && at + 1 == args.len() => {
                    let mut text = Vec::new();
                    io::Read::read_to_end(&mut io::stdin().lock(), &mut text)?;
                    given.stdin = Some(text);
                }
                _ => match given.options.last_mut() {
                    Some(option) => option.args.push(arg.clone().into_bytes()),
                    None if at == 0 => given.file = Some(arg.into()),
                    None => return Err(wrong(arg, "unexpected argument")),
                },
            }
        }
        Ok(given)
    }

    /// The file's directives, then those of standard input, then those of the command line: the last one counts.
    fn directives(&self) -> io::Result<Vec<Directive>> {
        let mut all = match &self.file {
            Some(file) => redis_conf::read_file(file)?,
            None => Vec::new(),
        };
        if let Some(text) = &self.stdin {
            all.extend(redis_conf::read_text(text, "standard input")?);
        }
        let copied = self.options.iter().map(|option| Directive {
            name: option.name.clone(),
            args: option.args.clone(),
            place: option.place.clone(),
        });
        all.extend(copied);
        Ok(all)
    }
}

/// Directives that concern the process.
#[derive(Default)]
struct Own {
    daemonize: bool,
    pid: Option<String>,
    log: Option<String>,
    folder: Option<String>,
}

impl Own {
    /// Takes its own out of all directives.
    fn take(&mut self, directives: Vec<Directive>) -> io::Result<Vec<Directive>> {
        let mut others = Vec::new();
        for directive in directives {
            let value = directive.args.first().map(|arg| String::from_utf8_lossy(arg).into_owned());
            let value = value.filter(|value| !value.is_empty());
            match directive.name.as_str() {
                "daemonize" => self.daemonize = is_yes(&directive, value.as_deref())?,
                "pidfile" => self.pid = value,
                "logfile" => self.log = value,
                "dir" if !serve::has_flag("dir") => self.folder = value,
                _ => others.push(directive),
            }
        }
        Ok(others)
    }

    fn pid_file(&self) -> Option<PathBuf> {
        let usual = self.daemonize.then(|| "/var/run/redis.pid".to_string());
        self.pid.clone().or(usual).map(PathBuf::from)
    }
}

fn is_yes(directive: &Directive, value: Option<&str>) -> io::Result<bool> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        Some("yes") => Ok(true),
        Some("no") => Ok(false),
        _ => Err(wrong(&directive.place, "argument must be 'yes' or 'no'")),
    }
}

/// Starts the same again in the background, and is done.
fn leave_behind(args: &[String], stdin: Option<&[u8]>) -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        command.arg0("redis-server").process_group(0);
    }
    command.args(args).env(IS_DAEMON, "1").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    match (child.stdin.take(), stdin) {
        (Some(mut pipe), Some(text)) => pipe.write_all(text),
        _ => Ok(()),
    }
}

/// What a server says of itself, on standard output or in a file.
struct ServerLog(Mutex<Option<File>>);

impl ServerLog {
    fn open(path: Option<&str>) -> io::Result<ServerLog> {
        let open = |path| OpenOptions::new().create(true).append(true).open(path);
        path.map(open).transpose().map(|file| ServerLog(Mutex::new(file)))
    }
}

impl Log for ServerLog {
    fn say(&self, text: &str) {
        let line = format!("{}:M {} * {text}\n", std::process::id(), date(SystemTime::now()));
        let mut file = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // A log that can't be written to is no reason to serve nobody.
        let _ = match &mut *file {
            Some(file) => file.write_all(line.as_bytes()),
            None => say(&line),
        };
    }

    fn is_ready(&self, places: &[String]) {
        self.say("Server initialized");
        for place in places {
            self.say(&format!("The server is now ready to accept connections at {place}"));
        }
        self.say("Ready to accept connections");
    }
}

/// A moment as a server's log has it, in universal time: `24 Nov 2026 20:49:11.659`.
fn date(now: SystemTime) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (mut days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let (day, millis) = (days + 1, since.subsec_millis());
    format!("{day:02} {} {year} {hour:02}:{minute:02}:{second:02}.{millis:03}", MONTHS[month])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_as_a_log_has_them() {
        let at = |secs, millis| date(UNIX_EPOCH + Duration::from_secs(secs) + Duration::from_millis(millis));
        assert_eq!(at(0, 0), "01 Jan 1970 00:00:00.000");
        assert_eq!(at(951_827_696, 5), "29 Feb 2000 12:34:56.005");
        assert_eq!(at(1_795_553_352, 698), "24 Nov 2026 20:49:12.698");
    }
}
