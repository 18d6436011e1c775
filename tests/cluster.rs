//! A store that answers as a cluster of one node. Replies recorded from redis-server 7.0.15 with `cluster-enabled yes` and
//! all slots assigned to it.
#![cfg(all(feature = "server", unix))]

mod support;

use larder::server::{Config, Server};
use larder::{Profile, Reply, Store};
use support::client::Client;

fn serve() -> (Store, Server) {
    let name = format!("larder-cluster-{}-{:?}.sock", std::process::id(), std::thread::current().id());
    let store = Store::builder().profile(Profile::V7_0).build().unwrap();
    let config = Config::new().port(0).unix_socket(std::env::temp_dir().join(name)).cluster();
    let server = Server::bind(&store, config).unwrap();
    (store, server)
}

fn connect(server: &Server) -> Client {
    Client::connect(server.unix_socket().unwrap()).unwrap()
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

const CROSSES: &str = "CROSSSLOT Keys in request don't hash to the same slot";

#[test]
fn what_a_cluster_refuses() {
    let (_, server) = serve();
    let mut client = connect(&server);
    for (line, told) in [
        ("MSET a 1 b 2", CROSSES),
        ("MGET a b", CROSSES),
        ("RENAME a b", CROSSES),
        ("COPY a b", CROSSES),
        ("SINTERSTORE a b c", CROSSES),
        ("XREAD STREAMS a b 0 0", CROSSES),
        ("GEORADIUS k 1 1 1 m STORE b", CROSSES),
        ("WATCH a b", CROSSES),
        ("SSUBSCRIBE a b", CROSSES),
        ("SELECT 1", "ERR SELECT is not allowed in cluster mode"),
        ("SWAPDB 0 1", "ERR SWAPDB is not allowed in cluster mode"),
        ("MOVE a 1", "ERR MOVE is not allowed in cluster mode"),
        ("COPY a {a}b DB 1", "ERR Copying to another database is not allowed in cluster mode"),
        ("SORT l BY w_*", "ERR BY option of SORT denied in Cluster mode."),
        ("SORT l GET #", "ERR GET option of SORT denied in Cluster mode."),
        ("CLUSTER COUNTKEYSINSLOT 16384", "ERR Invalid slot"),
        ("CLUSTER GETKEYSINSLOT 5 -1", "ERR Invalid slot or number of keys"),
        ("CLUSTER GETKEYSINSLOT x 1", "ERR value is not an integer or out of range"),
    ] {
        let reply = client.run(&words(line));
        assert_eq!(reply.error().map(ToString::to_string).as_deref(), Some(told), "{line}");
    }
    for line in ["READONLY", "READWRITE", "ASKING", "SELECT 0", "MSET {a}1 1 {a}2 2", "WATCH {a}1 {a}2"] {
        assert_eq!(client.run(&words(line)), Reply::OK, "{line}");
    }
    assert_eq!(client.run(&words("SORT l BY nosort")), Reply::Array(vec![]));
    assert_eq!(client.run(&words("PUBLISH a b")), Reply::Integer(0));
}

#[test]
fn transactions_keep_to_one_slot() {
    let (store, server) = serve();
    let mut client = connect(&server);
    let mut run = |line: &str| match client.run(&words(line)) {
        Reply::Error(error) => error.to_string(),
        other => format!("{other:?}"),
    };
    let queued = format!("{:?}", Reply::Simple("QUEUED".into()));
    assert_eq!(run("MULTI"), format!("{:?}", Reply::OK));
    assert_eq!((run("SET a 1"), run("SET b 2")), (queued.clone(), queued.clone()));
    assert_eq!(run("EXEC"), CROSSES);
    run("MULTI");
    assert_eq!((run("MGET a b"), run("SET a 1")), (CROSSES.into(), queued.clone()));
    assert_eq!(run("EXEC"), "EXECABORT Transaction discarded because of previous errors.");
    assert_eq!(store.get("a").unwrap(), None);
    run("MULTI");
    run("SET {a}1 1");
    run("SET {a}2 2");
    assert_eq!(run("EXEC"), format!("{:?}", Reply::Array(vec![Reply::OK, Reply::OK])));
}

#[test]
fn what_a_client_of_clusters_asks() {
    let (store, server) = serve();
    let mut client = connect(&server);
    let Reply::Bulk(id) = client.run(&words("CLUSTER MYID")) else { panic!() };
    assert_eq!(id.len(), 40);
    let port = i64::from(server.port().unwrap());
    let int = Reply::Integer;
    let node = |host: &str| vec![Reply::bulk(host), int(port), Reply::Bulk(id.clone()), Reply::Array(vec![])];
    let range = |host| Reply::Array(vec![Reply::Array(vec![int(0), int(16383), Reply::Array(node(host))])]);
    assert_eq!(client.run(&words("CLUSTER SLOTS")), range(""));
    assert_eq!(client.run(&words("CONFIG SET cluster-announce-ip 10.0.0.1")), Reply::OK);
    assert_eq!(client.run(&words("CLUSTER SLOTS")), range("10.0.0.1"));
    let nodes = format!(
        "{} 10.0.0.1:{port}@{} myself,master - 0 0 0 connected 0-16383\n",
        id.to_string_lossy(),
        port + 10_000
    );
    assert_eq!(client.run(&words("CLUSTER NODES")), Reply::bulk(nodes));
    assert_eq!(client.run(&words("CLUSTER KEYSLOT {a}b")), int(15495));
    store.set("{a}1", "1").unwrap();
    store.set("{a}2", "1").unwrap();
    store.set("other", "1").unwrap();
    assert_eq!(client.run(&words("CLUSTER COUNTKEYSINSLOT 15495")), int(2));
    assert_eq!(client.run(&words("CLUSTER GETKEYSINSLOT 15495 1")), Reply::Array(vec![Reply::bulk("{a}1")]));
    let Reply::Bulk(info) = client.run(&words("CLUSTER INFO")) else { panic!() };
    assert!(info.to_string_lossy().starts_with("cluster_state:ok\r\ncluster_slots_assigned:16384\r\n"));
    let Reply::Bulk(info) = client.run(&words("INFO")) else { panic!() };
    let info = info.to_string_lossy();
    assert!(info.contains("redis_mode:cluster\r\n") && info.contains("cluster_enabled:1\r\n"));
    let Reply::Map(hello) = client.run(&words("HELLO 3")) else { panic!() };
    assert!(hello.contains(&(Reply::bulk("mode"), Reply::bulk("cluster"))));
    let Reply::Array(shards) = client.run(&words("CLUSTER SHARDS")) else { panic!() };
    assert!(matches!(&shards[..], [Reply::Map(pairs)] if pairs.len() == 2));
}

/// Where a client came by TCP the node is at the address that it came to.
#[test]
fn the_address_that_a_client_came_to() {
    use std::io::{Read, Write};
    let (_, server) = serve();
    let mut stream = std::net::TcpStream::connect(server.addr().unwrap()).unwrap();
    stream.write_all(b"CLUSTER SLOTS\r\nQUIT\r\n").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    let head = format!(
        "*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$9\r\n127.0.0.1\r\n:{}\r\n$40\r\n",
        server.port().unwrap()
    );
    assert!(said.starts_with(&head), "{said}");
}
