//! `larder serve`, and the binary under the name `redis-server`: configuration by files, by standard input and by
//! arguments, signals, and what the process leaves behind.
#![cfg(all(feature = "cli", unix))]

mod support;

use larder::Reply;
use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use support::client::Client;

/// A folder of its own for each test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("larder-served-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Server(Child);

impl Server {
    /// Starts it, with a text on standard input.
    fn start(mut command: Command, stdin: &str) -> Server {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        Server(child)
    }

    /// Waits for its end, and answers what it said.
    fn end(mut self) -> Output {
        let mut child = std::mem::replace(&mut self.0, Command::new("true").spawn().unwrap());
        child.stdin.take();
        child.wait_with_output().unwrap()
    }

    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.arg("serve").args(args);
    command
}

fn redis_server(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.arg0("/usr/bin/redis-server").args(args);
    command
}

fn connect(socket: &Path) -> Client {
    let start = Instant::now();
    loop {
        match Client::connect(socket) {
            Ok(client) => return client,
            Err(why) if start.elapsed() > Duration::from_secs(20) => panic!("{why}"),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn config(client: &mut Client, name: &str) -> String {
    match client.run(&["CONFIG", "GET", name]) {
        Reply::Array(pair) if pair.len() == 2 => match &pair[1] {
            Reply::Bulk(value) => value.to_string_lossy().into_owned(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_file_of_directives_with_what_it_includes() {
    let folder = Folder::new();
    let socket = folder.path("s.sock");
    folder.write("more-1.conf", "slowlog-max-len 7\n");
    folder.write("more-2.conf", "rename-command FLUSHALL \"\"\nrename-command CONFIG settings\n");
    let file = folder.write(
        "redis.conf",
        &format!(
            "# a comment\n\nport 0\nUnixSocket {}\nunixsocketperm 700\ntimeout 5\nmaxclients 40\nsave 900 1\n\
             hash-max-listpack-entries 9\nclient-output-buffer-limit pubsub 1mb 2mb 3\nnotify-keyspace-events \"KEA\"\n\
             repl-backlog-size 1mb\nlogfile \"\"\ninclude {}/more-?.conf\nrequirepass \"se cret\"\n",
            socket.display(),
            folder.0.display()
        ),
    );
    let server = Server::start(serve(&[&file, "--timeout", "6"]), "");
    let mut client = connect(&socket);
    assert_eq!(
        client.run(&["PING"]).error().map(ToString::to_string).unwrap(),
        "NOAUTH Authentication required."
    );
    assert_eq!(client.run(&["AUTH", "se cret"]), Reply::OK);
    // Renamed commands are known by their new names alone.
    for gone in [&["FLUSHALL"][..], &["CONFIG", "GET", "port"]] {
        let told = client.run(gone).error().map(ToString::to_string).unwrap();
        assert!(told.starts_with("ERR unknown command"), "{told}");
    }
    let mut get = |name: &str| match client.run(&["Settings", "get", name]) {
        Reply::Array(pair) => pair[1].clone(),
        other => panic!("{other:?}"),
    };
    for (name, value) in [
        ("timeout", "6"), // the command line counts more
        ("maxclients", "40"),
        ("slowlog-max-len", "7"),
        ("hash-max-listpack-entries", "9"),
        ("client-output-buffer-limit", "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 2097152 3"),
        ("notify-keyspace-events", "AKE"),
    ] {
        assert_eq!(get(name), Reply::bulk(value), "{name}");
    }
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o700);
    server.signal("TERM");
    let said = server.end();
    assert!(said.status.success());
    assert!(!socket.exists());
    let passed_over = text(&said.stderr);
    for name in ["repl-backlog-size", "logfile"] {
        assert!(passed_over.contains(&format!("'{name}' does not apply here")), "{passed_over}");
    }
}

#[test]
fn mistakes_in_a_file_are_named() {
    let folder = Folder::new();
    for (line, told) in [
        ("foo bar", "line 2: 'foo': bad directive"),
        ("timeout", "line 2: wrong number of arguments"),
        ("slowlog-max-len x", "'slowlog-max-len': argument couldn't be parsed into an integer"),
        ("set \"a", "line 2: unbalanced quotes"),
        ("include /nosuch.conf", "can't open config file '/nosuch.conf'"),
        ("rename-command NOSUCH x", "no command NOSUCH that could be renamed"),
    ] {
        let file = folder.write("redis.conf", &format!("port 0\n{line}\n"));
        let said = Server::start(serve(&[&file]), "").end();
        assert!(!said.status.success(), "{line}");
        assert!(text(&said.stderr).contains(told), "{line}: {}", text(&said.stderr));
    }
}

#[test]
fn a_file_is_rewritten() {
    let folder = Folder::new();
    let socket = folder.path("s.sock");
    let head = format!("# mine\nport 0\nunixsocket {}\n", socket.display());
    let file = folder.write("redis.conf", &format!("{head}timeout 5 \nrename-command DEBUG \"\"\n"));
    let server = Server::start(serve(&[&file]), "");
    let mut client = connect(&socket);
    assert_eq!(client.run(&["CONFIG", "SET", "timeout", "9", "slowlog-max-len", "3"]), Reply::OK);
    assert_eq!(client.run(&["CONFIG", "REWRITE"]), Reply::OK);
    let expected = format!(
        "{head}timeout 9\nrename-command DEBUG \"\"\n# Generated by CONFIG REWRITE\nslowlog-max-len 3\n"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    assert!(client.run(&["INFO", "server"]).to_string_has(&format!("config_file:{file}")));
    drop(server);
    let _server = Server::start(serve(&[&file]), "");
    let mut client = connect(&socket);
    assert_eq!(config(&mut client, "slowlog-max-len"), "3");
    assert_eq!(config(&mut client, "timeout"), "9");
}

trait Has {
    fn to_string_has(&self, part: &str) -> bool;
}

impl Has for Reply {
    fn to_string_has(&self, part: &str) -> bool {
        matches!(self, Reply::Bulk(bytes) if bytes.to_string_lossy().contains(part))
    }
}

#[test]
fn directives_from_standard_input() {
    let folder = Folder::new();
    let socket = folder.path("s.sock");
    let given = format!("port 0\nunixsocket {}\nslowlog-max-len 11\n", socket.display());
    for command in [serve(&["-"]), redis_server(&["-"]), redis_server(&["--slowlog-max-len", "10", "-"])] {
        let last = if format!("{command:?}").contains("\"10\"") { "10" } else { "11" };
        let _server = Server::start(command, &given);
        assert_eq!(config(&mut connect(&socket), "slowlog-max-len"), last);
    }
}

#[test]
fn called_redis_server() {
    let folder = Folder::new();
    let socket = folder.path("s.sock");
    for (args, told) in [
        (&["-v"][..], "Redis server v="),
        (&["--version"], " bits=64 "),
        (&["-h"], "Usage: redis-server"),
        (&["--help"], "--DIRECTIVE VALUE"),
    ] {
        let said = Server::start(redis_server(args), "").end();
        assert!(said.status.success() && text(&said.stdout).contains(told), "{}", text(&said.stdout));
    }
    for (args, told) in [
        (&["--nosuch", "1"][..], "bad directive"),
        (&["--port"], "wrong number of arguments"),
        (&["--port", "abc"], "invalid value 'abc'"),
        (&["/nosuch.conf"], "can't open config file"),
    ] {
        let said = Server::start(redis_server(args), "").end();
        assert_eq!(said.status.code(), Some(1));
        assert!(text(&said.stderr).contains(told), "{args:?}: {}", text(&said.stderr));
    }
    let file = folder.write("redis.conf", "port 7000\nsave 60 1\n");
    let (log, pid) = (folder.path("log").display().to_string(), folder.path("pid").display().to_string());
    let (path, home) = (socket.display().to_string(), folder.0.display().to_string());
    let args = [
        &file,
        "--port",
        "0",
        "--unixsocket",
        &path,
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        &home,
        "--logfile",
        &log,
        "--pidfile",
        &pid,
        "--enable-debug-command",
        "yes",
        "--requirepass",
        "secret",
        "--loglevel",
        "verbose",
        "--profile",
        "7.0",
        "--daemonize",
        "no",
    ];
    let server = Server::start(redis_server(&args), "");
    let mut client = connect(&socket);
    assert_eq!(client.run(&["AUTH", "secret"]), Reply::OK);
    assert_eq!(client.run(&["DEBUG", "JMAP"]), Reply::OK);
    assert!(client.run(&["INFO", "server"]).to_string_has("redis_version:7.0.15"));
    assert_eq!(fs::read_to_string(&pid).unwrap().trim(), server.0.id().to_string());
    assert!(client.run(&["SHUTDOWN", "NOSAVE"]).error().is_some()); // the connection is gone
    assert!(server.end().status.success());
    assert!(fs::read_to_string(&log).unwrap().contains("Ready to accept connections"));
    assert!(!Path::new(&pid).exists() && !socket.exists());
}

#[test]
fn a_server_in_the_background() {
    let folder = Folder::new();
    let (socket, pid) = (folder.path("s.sock"), folder.path("pid"));
    let (path, pid_path) = (socket.display().to_string(), pid.display().to_string());
    let args = ["--port", "0", "--unixsocket", &path, "--daemonize", "yes", "--pidfile", &pid_path];
    assert!(Server::start(redis_server(&args), "").end().status.success());
    let mut client = connect(&socket);
    let number = fs::read_to_string(&pid).unwrap();
    assert!(client.run(&["INFO", "server"]).to_string_has(&format!("process_id:{}", number.trim())));
    let _ = client.run(&["SHUTDOWN"]);
    let start = Instant::now();
    while pid.exists() {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
}
