//! The shell as its user meets it: the built binary, over its standard input. What redis-cli prints was recorded from
//! redis-cli and redis-server 7.0.15.
#![cfg(feature = "cli")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

const PROFILE: &[&str] = &["--profile", "7.0"];

/// Runs the shell with these arguments and this input.
fn larder(args: &[&str], input: &[u8]) -> Output {
    let profile = if args.contains(&"--profile") { &[] } else { PROFILE };
    let mut child = Command::new(env!("CARGO_BIN_EXE_larder"))
        .args(profile)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the shell starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // Written beside the reading, or both sides could wait for each other; a shell that ends early does not mind.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the shell ends");
    writer.join().expect("written");
    output
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// What stands on standard output, and the status.
fn run(args: &[&str], input: &str) -> (String, i32) {
    let output = larder(args, input.as_bytes());
    (text(&output.stdout).to_owned(), output.status.code().expect("a status"))
}

/// A recorded transcript: the lines that were piped in, and what redis-cli printed with each option.
#[test]
fn prints_what_redis_cli_prints_into_a_pipe() {
    let lines = include_str!("fixtures/shell/lines.txt");
    for (args, expected) in [
        (&[][..], include_str!("fixtures/shell/raw.txt")),
        (&["--raw"], include_str!("fixtures/shell/raw.txt")),
        (&["--no-raw"], include_str!("fixtures/shell/no-raw.txt")),
        (&["--json"], include_str!("fixtures/shell/json.txt")),
        (&["--json", "-2"], include_str!("fixtures/shell/json2.txt")),
        (&["--csv"], include_str!("fixtures/shell/csv.txt")),
        (&["-3", "--no-raw"], include_str!("fixtures/shell/resp3.txt")),
    ] {
        let (found, status) = run(args, lines);
        assert_eq!(found, expected, "{args:?}");
        assert_eq!(status, 1, "some lines are wrong");
    }
}

/// A command with several channels has several replies, and what one publishes to oneself comes too.
#[test]
fn prints_confirmations_and_messages() {
    let (found, status) = run(&["-3"], "SUBSCRIBE a b\nPUBLISH a hi\nPING\n");
    assert_eq!(found, "subscribe\na\n1\nsubscribe\nb\n2\n1\nmessage\na\nhi\nPONG\n");
    assert_eq!(status, 0);
}

#[test]
fn the_lines_of_the_seeds_print_what_redis_cli_prints() {
    let mut compared = 0;
    for document in include_str!("fixtures/seeds/lines.txt").split("\n== ").skip(1) {
        let steps: Vec<&str> = document.split("\n> ").skip(1).collect();
        let lines: Vec<&str> = steps.iter().filter_map(|step| step.lines().next()).collect();
        let input: String = lines.iter().map(|line| format!("{line}\nECHO ----\n")).collect();
        let (output, _) = run(&["--no-raw"], &input);
        let replies: Vec<&str> = output.split("\"----\"\n").collect();
        assert_eq!(replies.len(), lines.len() + 1);
        for (step, reply) in steps.iter().zip(replies) {
            let line = step.lines().next().unwrap_or_default();
            let expected: Vec<&str> =
                step.lines().skip(1).filter_map(|line| line.strip_prefix("< ")).collect();
            assert!(!expected.is_empty(), "{line} has its reply");
            assert_eq!(in_order(line, reply.lines().collect()), in_order(line, expected), "{line}");
            compared += 1;
        }
    }
    assert!(compared >= 51, "{compared} lines");
}

/// The lines of a reply; without numbers, and sorted, where Redis promises no order.
fn in_order<'a>(command: &str, mut lines: Vec<&'a str>) -> Vec<&'a str> {
    const UNORDERED: [&str; 5] = ["SMEMBERS", "SINTER", "SUNION", "SDIFF", "KEYS"];
    if command.split(' ').next().is_some_and(|name| UNORDERED.contains(&name)) {
        lines = lines.into_iter().map(|line| line.split_once(") ").map_or(line, |(_, item)| item)).collect();
        lines.sort_unstable();
    }
    lines
}

#[test]
fn a_command_as_arguments_runs_once_or_as_often_as_asked() {
    assert_eq!(run(&["--no-raw", "SET", "k", "v"], ""), ("OK\n".into(), 0));
    assert_eq!(run(&["--no-raw", "GET", "k"], ""), ("(nil)\n".into(), 0));
    assert_eq!(run(&["-r", "3", "INCR", "n"], ""), ("1\n2\n3\n".into(), 0));
    assert_eq!(run(&["--no-raw", "LRANGE", "l", "0", "-1"], ""), ("(empty array)\n".into(), 0));
    assert_eq!(run(&["-x", "APPEND", "k"], "abc\n"), ("4\n".into(), 0));
    let wrong = "ERR wrong number of arguments for 'get' command\n\n";
    assert_eq!(run(&["GET"], ""), (wrong.into(), 1));
    assert_eq!(
        run(&["-n", "3", "CLIENT", "INFO"], "").0.split(' ').find(|word| word.starts_with("db=")),
        Some("db=3")
    );
}

#[test]
fn what_cannot_be_done_is_said_at_once() {
    for (args, said) in [
        (&["--nosuch"][..], "unexpected argument '--nosuch'"),
        (&["--json", "--csv"], "cannot be used with"),
        (&["-r", "x", "PING"], "invalid digit"),
        (&["--profile", "6.2"], "possible values: 7.0, 7.2, 7.4, 8.0"),
        (&["-n", "16", "PING"], "larder: ERR DB index is out of range"),
        (&["--file", "no/such/file"], "larder: no/such/file: "),
        (&["--pipe=no/such/file"], "larder: no/such/file: "),
    ] {
        let output = larder(args, b"");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).contains(said), "{args:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn the_shells_own_words() {
    let (page, status) = run(&[], "help HSET\nhelp object encoding\nhelp @bitmap\nhelp\nhelp nosuch\n");
    for part in [
        "HSET key field value [field value ...]",
        "complexity: O(",
        "since: 2.0.0",
        "OBJECT ENCODING key",
        "BITCOUNT key [start end [BYTE|BIT]]",
        "help COMMAND",
        "@hash",
        "Nothing is known about NOSUCH",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert_eq!(status, 0);
    assert_eq!(run(&[], "SET k v\nQUIT\nGET k\n"), ("OK\n".into(), 0));
    assert_eq!(run(&[], "SET k v\nexit now\nGET k\n"), ("OK\n".into(), 0));
    assert_eq!(run(&[], "3 INCR n\n1 INCR n\n0 INCR n\n2\n").1, 1);
}

#[test]
fn a_line_may_be_long_and_lack_its_end() {
    let value = "x".repeat(3 << 20);
    let (output, status) = run(&[], &format!("SET k {value}\nSTRLEN k\r\nPING"));
    assert_eq!((output.as_str(), status), ("OK\n3145728\nPONG\n", 0));
}

/// Replies are not held back while the shell waits for the next line.
#[test]
fn answers_line_by_line() {
    use std::io::{BufRead, BufReader};
    let mut child = Command::new(env!("CARGO_BIN_EXE_larder"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the shell starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    for n in 1..=3 {
        // Half of the next line is there already.
        stdin.write_all(if n == 1 { b"INCR n\nINC" } else { b"R n\nINC" }).expect("written");
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a reply");
        assert_eq!(line, format!("{n}\n"));
    }
    drop(stdin);
    child.wait().expect("the shell ends");
}

// ---- --pipe

/// Output, errors and status of mass insertion; recorded from `redis-cli --pipe` where the server answers.
fn pipe(args: &[&str], input: &[u8]) -> (String, String, i32) {
    let output = larder(&[&["--pipe"], args].concat(), input);
    let status = output.status.code().expect("a status");
    (text(&output.stdout).to_owned(), text(&output.stderr).to_owned(), status)
}

fn closing(errors: u32, replies: u32) -> String {
    format!(
        "All data transferred. Waiting for the last reply...\nLast reply received from server.\n\
         errors: {errors}, replies: {replies}\n"
    )
}

#[test]
fn mass_insertion_ends_as_redis_cli_ends_it() {
    let wrong = "ERR unknown command 'FOO', with args beginning with: \n\
                 ERR wrong number of arguments for 'get' command\n";
    let abort = "ERR unknown command 'FOO', with args beginning with: \n\
                 EXECABORT Transaction discarded because of previous errors.\n";
    for (input, errors, replies, said) in [
        ("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*1\r\n$4\r\nPING\r\n", 0, 2, ""),
        ("SET a 1\r\nGET a\r\nFOO\r\nGET\r\n", 2, 4, wrong),
        ("", 0, 0, ""),
        ("\r\n\r\nPING\r\n", 0, 1, ""),
        ("*-1\r\nPING\r\n", 0, 1, ""),
        ("*0\r\nPING\r\n", 0, 1, ""),
        ("*1\r\n$4\r\nPINGxxPING\r\n", 0, 2, ""),
        ("PING", 0, 1, ""),
        ("MULTI\r\nFOO\r\nEXEC\r\n", 2, 3, abort),
    ] {
        let status = i32::from(errors > 0);
        assert_eq!(pipe(&[], input.as_bytes()), (closing(errors, replies), said.into(), status), "{input:?}");
    }
}

#[test]
fn mass_insertion_stops_where_no_request_begins() {
    for (input, said, byte, replies) in [
        ("PING\r\n*1\r\n+4\r\nPING\r\n", "ERR Protocol error: expected '$', got '+'", 6, 1),
        ("SET a \"b\r\nPING\r\n", "ERR Protocol error: unbalanced quotes in request", 0, 0),
        ("*1\r\n$-1\r\n", "ERR Protocol error: invalid bulk length", 0, 0),
        ("PING\r\n*2\r\n$4\r\nECHO\r\n$5\r\nhel", "ERR Protocol error: the last request is cut short", 6, 1),
    ] {
        let (output, errors, status) = pipe(&[], input.as_bytes());
        let place =
            format!("larder: no request begins at byte {byte} of the input; nothing from there on was run");
        assert_eq!(errors, format!("{said}\n{place}\n"), "{input:?}");
        let end =
            format!("All data transferred. Waiting for the last reply...\nerrors: 1, replies: {replies}\n");
        assert_eq!((output, status), (end, 1), "{input:?}");
    }
}

#[test]
fn a_request_may_be_larger_than_what_is_read_at_once() {
    let value = vec![b'\r'; 5 << 20];
    let mut input = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5242880\r\n".to_vec();
    input.extend(&value);
    input.extend(b"\r\n*2002\r\n$5\r\nRPUSH\r\n$1\r\nl\r\n");
    input.extend(
        b"$1000\r\n".iter().chain(&[b'x'; 1000]).chain(b"\r\n").copied().collect::<Vec<u8>>().repeat(2000),
    );
    let (output, errors, status) = pipe(&["STRLEN", "k"], &input);
    assert_eq!((output, errors, status), (closing(0, 2) + "5242880\n", String::new(), 0));
    assert_eq!(pipe(&["LLEN", "l"], &input).0, closing(0, 2) + "2000\n");
}

#[test]
fn commands_may_follow_mass_insertion() {
    let folder = std::env::temp_dir().join(format!("larder-shell-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (data, lines) = (folder.join("data"), folder.join("lines"));
    std::fs::write(&data, "SET a 1\r\nSET b 2\r\n").expect("written");
    std::fs::write(&lines, "GET a\nGET b\n").expect("written");
    let (data, lines) = (data.to_str().expect("UTF-8"), lines.to_str().expect("UTF-8"));
    let load = format!("--pipe={data}");
    assert_eq!(pipe(&["--file", lines, "DBSIZE"], b"SET a 1\r\nSET b 2\r\n").0, closing(0, 2) + "1\n2\n2\n");
    assert_eq!(run(&[&load], "GET b\n"), (closing(0, 2) + "2\n", 0));
    assert_eq!(run(&["--file", lines], "PING\n"), ("\n\n".into(), 0));
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn stats_end_with_what_was_done() {
    let output = larder(&["--stats"], b"SET a 1\nSET b 2\nSELECT 1\nSET c 3\nFOO\n");
    let stats = text(&output.stderr);
    let titles: Vec<&str> = stats.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(titles, ["keys", "memory", "commands", "time", "rate"]);
    assert!(stats.contains("keys      3\n") && stats.contains("commands  5 (1 errors)\n"), "{stats}");
}
