//! The listener: what a client and a socket see of it.
#![cfg(all(feature = "server", unix))]

mod support;

use larder::server::{Config, Server};
use larder::{Profile, Reply, Store};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use support::client::Client;

fn path() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("larder-listener-{}-{}.sock", std::process::id(), NUMBER.fetch_add(1, Relaxed));
    std::env::temp_dir().join(name)
}

fn serve_with(config: Config) -> (Store, Server) {
    let store = Store::builder().profile(Profile::V7_0).build().unwrap();
    let server = Server::bind(&store, config.unix_socket(path())).unwrap();
    (store, server)
}

fn serve() -> (Store, Server) {
    serve_with(Config::new())
}

fn connect(server: &Server) -> Client {
    Client::connect(server.unix_socket().unwrap()).unwrap()
}

/// What a raw conversation is answered, up to the end of the connection.
fn converse(server: &Server, bytes: &[u8]) -> String {
    let mut client = connect(server);
    client.send_raw(bytes).unwrap();
    String::from_utf8_lossy(&client.read_to_end().unwrap()).into_owned()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

#[test]
fn pipelines_and_inline_lines() {
    let (_, server) = serve();
    let said = b"SET k \"a b\"\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n\r\n*0\r\nPING\nQUIT\r\nPING\r\n";
    assert_eq!(converse(&server, said), "+OK\r\n$3\r\na b\r\n+PONG\r\n+OK\r\n");
}

/// A turn is a thousand commands: what was left of a longer pipeline once waited until the client said more.
#[test]
fn a_pipeline_longer_than_a_turn() {
    let (_, server) = serve();
    let said = format!("{}QUIT\r\n", "PING\r\n".repeat(10_000));
    assert_eq!(converse(&server, said.as_bytes()), format!("{}+OK\r\n", "+PONG\r\n".repeat(10_000)));
    let mut client = connect(&server);
    client.send_raw("PING\r\n".repeat(3000).as_bytes()).unwrap();
    for _ in 0..3000 {
        assert_eq!(client.next().unwrap(), Reply::Simple("PONG".into()));
    }
}

#[test]
fn a_request_in_pieces_of_every_size() {
    let (_, server) = serve();
    let said =
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\nGET k\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\nQUIT\r\n";
    for piece in [1, 2, 3, 5, 7, 11, 40] {
        let mut client = connect(&server);
        for bytes in said.chunks(piece) {
            client.send_raw(bytes).unwrap();
            std::thread::yield_now();
        }
        let replies = client.read_to_end().unwrap();
        assert_eq!(replies, b"+OK\r\n$5\r\nhello\r\n$5\r\nhello\r\n+OK\r\n", "pieces of {piece}");
    }
}

/// Recorded from redis-server 7.0.15.
#[test]
fn what_is_no_request_ends_the_connection() {
    let (store, server) = serve();
    for (said, replied) in [
        ("*1\r\n$4\r\nPING\r\n*x\r\nPING\r\n", "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n"),
        ("SET a \"b\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"),
        ("*1\r\n$536870913\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        ("*1\r\nPING\r\n", "-ERR Protocol error: expected '$', got 'P'\r\n"),
    ] {
        assert_eq!(converse(&server, said.as_bytes()), replied, "{said:?}");
    }
    store.execute(["CONFIG", "SET", "requirepass", "secret"]).unwrap();
    let refused = |what| format!("-ERR Protocol error: unauthenticated {what} length\r\n");
    assert_eq!(converse(&server, b"*11\r\n"), refused("multibulk"));
    assert_eq!(converse(&server, b"*2\r\n$16385\r\n"), refused("bulk"));
}

#[test]
fn a_password_is_asked_for() {
    let (_, server) = serve_with(Config::new().password("secret"));
    let said =
        b"GET a\r\nHELLO 3\r\nAUTH wrong\r\nNOSUCH\r\nAUTH secret\r\nPING\r\nRESET\r\nPING\r\nQUIT\r\n";
    let replies = converse(&server, said);
    let codes: Vec<&str> = replies.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(
        codes,
        ["-NOAUTH", "-NOAUTH", "-WRONGPASS", "-ERR", "+OK", "+PONG", "+RESET", "-NOAUTH", "+OK"]
    );
    let mut client = connect(&server);
    let reply = client.run(&["HELLO", "3", "AUTH", "default", "secret", "SETNAME", "me"]);
    assert!(matches!(reply, Reply::Map(_)));
    assert_eq!(client.run(&["CLIENT", "GETNAME"]), Reply::bulk("me"));
}

/// Who cannot sign in reaches nothing but what lets one sign in.
#[test]
fn strangers_reach_nothing() {
    let (_, server) = serve_with(Config::new().password("secret"));
    let mut client = connect(&server);
    let mut tried = 0;
    for row in larder::rows().flat_map(|row| {
        if row.subcommands().is_empty() { std::slice::from_ref(row) } else { row.subcommands() }
    }) {
        if row.flags.has(larder::row::NO_AUTH) || row.since > (7, 0, 255) {
            continue;
        }
        let mut words: Vec<&str> = row.name.split('|').collect();
        words.resize((row.arity.unsigned_abs() as usize).max(words.len()), "1");
        let Reply::Error(error) = client.run(&words) else { panic!("{} was run", row.name) };
        // As from the server of reference: DEBUG, which nobody may run there, says so first.
        let error = error.to_string();
        let refused = match row.name.starts_with("DEBUG") {
            true => error.starts_with("ERR DEBUG command not allowed."),
            false => error.ends_with("NOAUTH Authentication required."),
        };
        assert!(refused, "{}: {error}", row.name);
        tried += 1;
    }
    println!("{tried} commands refused to strangers");
    assert!(tried > 200);
}

#[test]
fn messages_in_both_protocols() {
    let (store, server) = serve();
    for version in ["2", "3"] {
        let mut client = connect(&server);
        client.run(&["HELLO", version]);
        client.send_raw(b"SUBSCRIBE a b\r\n").unwrap();
        let mark = if version == "3" { '>' } else { '*' };
        for (n, channel) in ["a", "b"].iter().enumerate() {
            client.next().unwrap();
            let expected = format!("{mark}3\r\n$9\r\nsubscribe\r\n$1\r\n{channel}\r\n:{}\r\n", n + 1);
            assert_eq!(String::from_utf8_lossy(&client.raw), expected);
        }
        store.publish("b", "hi").unwrap();
        client.next().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&client.raw),
            format!("{mark}3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$2\r\nhi\r\n")
        );
        if version == "3" {
            // 7.0.15 sends what a command publishes to its own session ahead of the reply.
            assert!(matches!(client.run(&["PUBLISH", "a", "me"]), Reply::Push(_)));
            assert_eq!(client.next().unwrap(), Reply::Integer(1));
        } else {
            assert!(matches!(client.run(&["GET", "a"]), Reply::Error(_)));
        }
    }
}

#[test]
fn a_blocked_client_is_served_and_one_that_goes_takes_nothing() {
    let (store, server) = serve();
    let mut client = connect(&server);
    assert_eq!(client.run_for(&["BLPOP", "q", "0"], Duration::from_millis(20)), None);
    store.rpush("q", ["a"]).unwrap();
    assert_eq!(client.read_for(Duration::from_secs(5)).unwrap(), Reply::bulks(["q", "a"]));
    assert_eq!(client.run_for(&["BLPOP", "q", "0"], Duration::from_millis(20)), None);
    drop(client);
    until("the connection ends", || server.connections() == 0);
    store.rpush("q", ["b"]).unwrap();
    assert_eq!(store.llen("q").unwrap(), 1);
    let mut client = connect(&server);
    assert_eq!(client.run(&["BLPOP", "none", "0.05"]), Reply::NullArray);
}

#[test]
fn replies_left_out() {
    let (_, server) = serve();
    let said =
        b"CLIENT REPLY SKIP\r\nPING\r\nECHO one\r\nCLIENT REPLY OFF\r\nPING\r\nCLIENT REPLY ON\r\nQUIT\r\n";
    assert_eq!(converse(&server, said), "$3\r\none\r\n+OK\r\n+OK\r\n");
}

#[test]
fn monitors_see_commands_without_passwords() {
    let (_, server) = serve();
    let (mut monitor, mut client) = (connect(&server), connect(&server));
    assert_eq!(monitor.run(&["MONITOR"]), Reply::OK);
    client.run(&["SET", "a", "x\"\n"]);
    client.run(&["AUTH", "default", "secret"]);
    client.run(&["CONFIG", "GET", "port"]);
    for command in [&["MULTI"][..], &["GET", "a"], &["EXEC"]] {
        client.run(command);
    }
    let path = server.unix_socket().unwrap().display().to_string();
    for expected in [
        "\"SET\" \"a\" \"x\\\"\\n\"",
        "\"AUTH\" \"(redacted)\" \"(redacted)\"",
        "\"MULTI\"",
        "\"GET\" \"a\"",
        "\"EXEC\"",
    ] {
        let Reply::Simple(line) = monitor.next().unwrap() else { panic!("a line") };
        let (_, told) = line.split_once(' ').unwrap();
        assert_eq!(told, format!("[0 unix:{path}] {expected}"));
    }
}

#[test]
fn clients_see_and_end_each_other() {
    let (_, server) = serve();
    let (mut one, mut other) = (connect(&server), connect(&server));
    one.run(&["CLIENT", "SETNAME", "one"]);
    let Reply::Integer(id) = other.run(&["CLIENT", "ID"]) else { panic!("a number") };
    other.run(&["SELECT", "3"]);
    let Reply::Bulk(list) = one.run(&["CLIENT", "LIST"]) else { panic!("a text") };
    let list = list.to_string_lossy().into_owned();
    assert!(list.contains("name=one") && list.contains("cmd=client|list") && list.contains("db=3"), "{list}");
    assert_eq!(one.run(&["CLIENT", "KILL", "ID", &id.to_string()]), Reply::Integer(1));
    assert!(matches!(other.run(&["PING"]), Reply::Error(_)));
    let mut blocked = connect(&server);
    let Reply::Integer(id) = blocked.run(&["CLIENT", "ID"]) else { panic!("a number") };
    assert_eq!(blocked.run_for(&["BLPOP", "q", "0"], Duration::from_millis(20)), None);
    assert_eq!(one.run(&["CLIENT", "UNBLOCK", &id.to_string(), "ERROR"]), Reply::Integer(1));
    assert!(matches!(blocked.read_for(Duration::from_secs(5)), Some(Reply::Error(_))));
    assert_eq!(one.run(&["CLIENT", "KILL", "SKIPME", "no", "TYPE", "normal"]), Reply::Integer(2));
    until("all are ended", || server.connections() == 0);
}

#[test]
fn a_pause_holds_what_it_says() {
    let (_, server) = serve();
    let (mut one, mut other) = (connect(&server), connect(&server));
    one.run(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    assert_eq!(other.run(&["GET", "k"]), Reply::Null);
    assert_eq!(other.run_for(&["SET", "k", "v"], Duration::from_millis(20)), None);
    assert_eq!(one.run(&["CLIENT", "UNPAUSE"]), Reply::OK);
    assert_eq!(other.read_for(Duration::from_secs(5)), Some(Reply::OK));
    let start = Instant::now();
    one.run(&["CLIENT", "PAUSE", "50"]);
    assert_eq!(other.run(&["PING"]), Reply::Simple("PONG".into()));
    assert!(start.elapsed() >= Duration::from_millis(45));
}

#[test]
fn limits_of_clients_and_of_idleness() {
    let (store, server) = serve_with(Config::new().max_clients(2));
    let (mut one, two) = (connect(&server), connect(&server));
    assert_eq!(one.run(&["PING"]), Reply::Simple("PONG".into()));
    until("both are in", || server.connections() == 2);
    assert_eq!(converse(&server, b""), "-ERR max number of clients reached\r\n");
    drop(two);
    until("one has gone", || server.connections() == 1);
    assert_eq!(connect(&server).run(&["PING"]), Reply::Simple("PONG".into()));
    one.run(&["CONFIG", "SET", "timeout", "1"]);
    until("the idle end", || server.connections() == 0);
    drop(store);
}

#[test]
fn a_reader_that_never_reads_is_not_answered_for_ever() {
    let (store, server) = serve();
    store.set("big", vec![b'x'; 1 << 20]).unwrap();
    let mut slow = connect(&server);
    slow.send_raw(&b"GET big\r\n".repeat(1000)).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let waiting = store.keyspace().clients.traffic.backlog.load(Relaxed);
    assert!((1 << 20..70 << 20).contains(&waiting), "{waiting} bytes wait");
    assert_eq!(connect(&server).run(&["PING"]), Reply::Simple("PONG".into()));
    connect(&server).run(&["CONFIG", "SET", "client-output-buffer-limit", "normal 10mb 0 0"]);
    until("it is ended", || server.connections() == 0);
    assert_eq!(store.keyspace().clients.traffic.backlog.load(Relaxed), 0);
}

#[test]
fn debug_is_for_who_may() {
    let refused = |server: &Server| matches!(connect(server).run(&["DEBUG", "SLEEP", "0"]), Reply::Error(_));
    assert!(refused(&serve().1));
    assert!(!refused(&serve_with(Config::new().debug_commands()).1));
}

#[test]
fn tcp_at_a_free_port_and_shutdown() {
    let store = Store::new();
    let server = Server::bind(&store, Config::new().port(0)).unwrap();
    let addr = server.addr().unwrap();
    assert!(addr.ip().is_loopback());
    let mut client = TcpStream::connect(addr).unwrap();
    client.write_all(b"SET k v\r\nSHUTDOWN NOSAVE\r\n").unwrap();
    let mut replies = String::new();
    client.read_to_string(&mut replies).unwrap();
    assert_eq!(replies, "+OK\r\n");
    server.wait();
    assert_eq!(store.get("k").unwrap().unwrap(), "v");
    drop(TcpListener::bind(addr).expect("the port is free again"));
    assert!(matches!(store.execute(["SHUTDOWN"]).unwrap(), Reply::Error(_)));
}

#[test]
fn every_word_of_shutdown_ends_the_server() {
    for words in ["", "SAVE", "NOSAVE", "NOW", "FORCE", "NOSAVE NOW FORCE"] {
        let (store, server) = serve();
        let heard = converse(&server, format!("SHUTDOWN ABORT\r\nSHUTDOWN {words}\r\n").as_bytes());
        assert_eq!(heard, "-ERR No shutdown in progress.\r\n");
        server.wait();
        store.set("k", words).expect("the store goes on without it");
    }
}

#[test]
fn nothing_is_left_of_a_server() {
    let store = Store::new();
    let at = path();
    for round in 0..20 {
        let server = Server::bind(&store, Config::new().unix_socket(&at).threads(1 + round % 2)).unwrap();
        let mut clients: Vec<Client> = (0..5).map(|_| connect(&server)).collect();
        clients.iter_mut().for_each(|client| drop(client.run(&["SET", "k", "v"])));
        assert_eq!(clients[0].run_for(&["BLPOP", "q", "0"], Duration::from_millis(1)), None);
        clients[1].run(&["SUBSCRIBE", "news"]);
        server.stop();
        assert!(!Path::new(&at).exists());
        assert_eq!(store.keyspace().clients.traffic.connections.load(Relaxed), 0);
        assert_eq!(store.publish("news", "x").unwrap(), 0);
        assert_eq!(store.rpush("q", ["x"]).unwrap(), 1);
        store.del(["q"]).unwrap();
    }
    assert!(threads() < 60, "{} threads", threads());
}

#[test]
fn configurations_that_cannot_be_served() {
    let store = Store::new();
    assert!(Server::bind(&store, Config::new()).is_err());
    assert!(Server::bind(&store, Config::new().unix_socket("/no/such/folder/x.sock")).is_err());
    let server = Server::bind(&store, Config::new().port(0)).unwrap();
    assert!(Server::bind(&store, Config::new().port(server.port().unwrap())).is_err());
}
