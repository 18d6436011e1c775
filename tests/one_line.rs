//! A program that was written for `redis::Client` is moved onto larder for its tests by changing one line: the one that opens
//! its connection. `one_line/before.rs` is the program, `one_line/after.rs` what its tests run.
#![cfg(feature = "redis")]

#[path = "one_line/after.rs"]
mod after;
#[path = "one_line/before.rs"]
#[expect(dead_code, reason = "it runs where a server is")]
mod before;

#[test]
fn one_line_differs() {
    let (before, after) = (include_str!("one_line/before.rs"), include_str!("one_line/after.rs"));
    assert_eq!(before.lines().count(), after.lines().count());
    let changed: Vec<_> =
        before.lines().zip(after.lines()).filter(|(before, after)| before != after).collect();
    let was = r#"    let mut connection = redis::Client::open("redis://127.0.0.1/")?.get_connection()?;"#;
    let is = "    let mut connection = larder::redis::Connection::new(&larder::Store::new());";
    assert_eq!(changed, [(was, is)]);
}

#[test]
fn and_it_runs() {
    let told = after::run().unwrap();
    assert_eq!(told, ["0001 0001 0003 None", "0001 2", "0003 1"]);
}
