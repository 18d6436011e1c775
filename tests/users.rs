//! Users without a listener: files of them, the log of what was refused, and what becomes of sessions.

use larder::{Error, Profile, Reply, Session, Store};
use std::fs;
use std::path::{Path, PathBuf};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("larder-users-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.0.join("users.acl");
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(file: &Path, profile: Profile) -> Result<Store, Error> {
    Store::builder().background(false).profile(profile).acl_file(file).build()
}

fn ask(session: &mut Session, line: &str) -> Reply {
    session.execute(line.split(' ')).unwrap()
}

fn lines(reply: Reply) -> Vec<String> {
    let Reply::Array(items) = reply else { panic!("no list: {reply:?}") };
    let text =
        |item| if let Reply::Bulk(bytes) = item { bytes.to_string_lossy().into_owned() } else { panic!() };
    items.into_iter().map(text).collect()
}

const GOOD: &str = "user a on nopass +get\nuser d on nopass +@all (~a +get) &x\n\n   user e   on \n";

#[test]
fn a_file_is_read_and_written_as_the_server_does() {
    let folder = Folder::new("file");
    let file = folder.file(GOOD);
    let store = open(&file, Profile::V7_0).unwrap();
    let mut session = store.session();
    let listed = [
        "user a on nopass resetchannels -@all +get",
        "user d on nopass resetchannels &x +@all (~a resetchannels -@all +get)",
        "user default on nopass ~* &* +@all",
        "user e on resetchannels -@all",
    ];
    assert_eq!(lines(ask(&mut session, "ACL LIST")), listed);
    assert_eq!(ask(&mut session, "ACL SAVE"), Reply::OK);
    assert_eq!(fs::read_to_string(&file).unwrap(), listed.join("\n") + "\n");
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "nothing is left beside it");
    folder.file("user z on\n");
    assert_eq!(ask(&mut session, "ACL LOAD"), Reply::OK);
    assert_eq!(lines(ask(&mut session, "ACL USERS")), ["default", "z"]);
    assert_eq!(
        ask(&mut session, "CONFIG GET aclfile"),
        Reply::Map(vec![(Reply::bulk("aclfile"), Reply::bulk(file.display().to_string()))])
    );
}

/// As redis-server 7.0.15 answers.
#[test]
fn every_wrong_line_is_told_and_nothing_changes() {
    let folder = Folder::new("wrong");
    let file = folder.file("user a on\n");
    let store = open(&file, Profile::V7_0).unwrap();
    let mut session = store.session();
    folder.file(
        "user a on nopass +get\nnouser x\nuser\nuser \"b\nuser b +nope ~a nopass\nuser b +nope +nope2\nuser a on\n\
         user c (+get ~x\n# comment\nuser d on\n\nuser e   on\nuser default on nopass ~* +@all\nuser c2 ~* ~a\n\
         user c3 #ab\nuser \"c 4\" on\n",
    );
    let path = file.display();
    let expected = format!(
        "ERR {path}:2 should start with user keyword followed by the username. {path}:3 should start with user keyword \
         followed by the username. {path}:5: Error in applying operation '+nope': Unknown command or category name in \
         ACL. WARNING: Duplicate user 'b' found on line 6. WARNING: Duplicate user 'a' found on line 7. {path}:8: \
         Unmatched parenthesis in selector definition.{path}:9 should start with user keyword followed by the username. \
         {path}:14: Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any \
         effect. Try 'resetkeys' to start with an empty list of patterns. {path}:15: The password hash must be exactly \
         64 characters and contain only lowercase hexadecimal characters. {path}:16: Syntax error. WARNING: ACL errors \
         detected, no change to the previously active ACL rules was performed"
    );
    let Reply::Error(error) = ask(&mut session, "ACL LOAD") else { panic!("it loads") };
    assert_eq!(error.to_string(), expected);
    assert_eq!(lines(ask(&mut session, "ACL USERS")), ["a", "default"]);
    assert!(matches!(open(&file, Profile::V7_0), Err(Error::Config(_))), "no store of it either");
    fs::remove_file(&file).unwrap();
    let Reply::Error(error) = ask(&mut session, "ACL LOAD") else { panic!("it loads") };
    assert_eq!(
        error.to_string(),
        format!("ERR Error loading ACLs, opening file '{path}': No such file or directory")
    );
    fs::remove_dir_all(&folder.0).unwrap();
    let Reply::Error(error) = ask(&mut session, "ACL SAVE") else { panic!("it saves") };
    assert!(error.to_string().starts_with("ERR There was an error trying to save the ACLs."));
}

#[test]
fn sessions_of_users_who_are_no_more_end() {
    for (profile, spared) in [(Profile::V7_0, false), (Profile::V7_4, true)] {
        let folder = Folder::new(if spared { "spared" } else { "ended" });
        let file = folder.file("user a on nopass +@all ~*\nuser b on nopass +@all ~*\n");
        let store = open(&file, profile).unwrap();
        let (mut main, mut a, mut b) = (store.session(), store.session(), store.session());
        assert_eq!(ask(&mut a, "AUTH a x"), Reply::OK);
        assert_eq!(ask(&mut b, "AUTH b x"), Reply::OK);
        folder.file("user a on nopass +@all ~*\nuser b on nopass +@all ~k*\n");
        assert_eq!(ask(&mut main, "ACL LOAD"), Reply::OK);
        assert_eq!(a.execute(["GET", "k"]).is_ok(), spared, "{profile:?}");
        assert!(matches!(b.execute(["GET", "k"]), Err(Error::Disconnected(_))));
    }
}

#[test]
fn the_log_counts_what_is_alike() {
    let store = Store::builder().background(false).profile(Profile::V7_2).build().unwrap();
    let (mut main, mut u) = (store.session(), store.session());
    ask(&mut main, "ACL SETUSER u on nopass +get +mget +multi +exec +publish ~k*");
    ask(&mut u, "AUTH u x");
    for line in
        ["GET x", "GET x", "SET k v", "MGET k1 y", "PUBLISH c m", "MULTI", "GET x", "EXEC", "AUTH nobody x"]
    {
        ask(&mut u, line);
    }
    let Reply::Array(entries) = ask(&mut main, "ACL LOG") else { panic!() };
    let told: Vec<String> = entries.iter().map(|entry| shown(entry, 5)).collect();
    assert_eq!(
        told,
        [
            "1 auth toplevel AUTH nobody",
            "1 key multi x u",
            "1 channel toplevel c u",
            "1 key toplevel y u",
            "1 command toplevel set u",
            "2 key toplevel x u",
        ]
    );
    let Reply::Map(newest) = &entries[0] else { panic!() };
    assert_eq!(newest.len(), 10);
    assert_eq!(newest[7], (Reply::bulk("entry-id"), Reply::Integer(5)));
    assert!(matches!(&newest[6].1, Reply::Bulk(line) if line.to_string_lossy().contains(" user=u ")));
    ask(&mut main, "CONFIG SET acllog-max-len 2");
    ask(&mut u, "GET z");
    let Reply::Array(entries) = ask(&mut main, "ACL LOG") else { panic!() };
    assert_eq!(entries.len(), 2);
    ask(&mut main, "ACL LOG RESET");
    assert_eq!(ask(&mut main, "ACL LOG"), Reply::Array(Vec::new()));
}

fn shown(entry: &Reply, facts: usize) -> String {
    let Reply::Map(pairs) = entry else { panic!() };
    let words = pairs.iter().take(facts).map(|(_, value)| match value {
        Reply::Bulk(bytes) => bytes.to_string_lossy().into_owned(),
        Reply::Integer(n) => n.to_string(),
        other => format!("{other:?}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_category_can_be_taken_and_given_back() {
    let store = Store::builder().background(false).build().unwrap();
    let mut session = store.session();
    for category in lines(ask(&mut session, "ACL CAT")) {
        let commands = lines(ask(&mut session, &format!("ACL CAT {category}")));
        assert!(!commands.is_empty() || category == "scripting", "{category}");
        ask(&mut session, "ACL SETUSER u reset on nopass allkeys allchannels");
        ask(&mut session, &format!("ACL SETUSER u +@{category}"));
        let Reply::Map(facts) = ask(&mut session, "ACL GETUSER u") else { panic!() };
        assert_eq!(facts[2].1, Reply::bulk(format!("-@all +@{category}")));
        ask(&mut session, &format!("ACL SETUSER u +@all -@{category}"));
        let Reply::Map(facts) = ask(&mut session, "ACL GETUSER u") else { panic!() };
        assert_eq!(facts[2].1, Reply::bulk(format!("+@all -@{category}")));
    }
}

#[test]
fn a_right_taken_from_the_default_user_is_taken_from_sessions() {
    let store = Store::builder().background(false).build().unwrap();
    let (mut main, mut other) = (store.session(), store.session());
    ask(&mut main, "ACL SETUSER default -set");
    assert!(matches!(ask(&mut other, "SET k v"), Reply::Error(_)));
    assert!(matches!(store.execute(["SET", "k", "v"]).unwrap(), Reply::Error(_)));
    assert_eq!(ask(&mut other, "GET k"), Reply::Null);
    store.set("k", "typed calls ask nobody").unwrap();
    ask(&mut main, "ACL SETUSER default +set");
    assert_eq!(ask(&mut other, "SET k v"), Reply::OK);
}

#[test]
fn passwords_drawn_are_not_alike() {
    let store = Store::builder().background(false).seed(7).build().unwrap();
    let mut session = store.session();
    let mut draw = || match ask(&mut session, "ACL GENPASS") {
        Reply::Bulk(password) => password.to_string_lossy().into_owned(),
        other => panic!("{other:?}"),
    };
    let (a, b) = (draw(), draw());
    assert!(a.len() == 64 && a.bytes().all(|byte| byte.is_ascii_hexdigit()) && a != b);
}
