//! Access control: random rules and random commands, what each engine allows compared. Each pair is asked three ways: by
//! ACL DRYRUN, by running the command as the user (queued in MULTI where it would do harm), and by what ACL LOG then says.

use crate::server::Server;
use crate::support::client::Client;
use crate::support::embedded;
use crate::support::generate::{self, Style, Words};
use crate::support::rng::Rng;
use crate::support::rows::{Row, rows};
use crate::support::text;
use larder::{Clock, Profile, Protocol, Reply, Session, Store};

const JUDGE: (u8, u8, u8) = (7, 0, 15);

/// Commands that are queued instead of run: they would wait, end the engine, or change more than keys.
const HARMFUL: &[&str] = &[
    "ACL",
    "BLMOVE",
    "BLMPOP",
    "BLPOP",
    "BRPOP",
    "BRPOPLPUSH",
    "BZMPOP",
    "BZPOPMAX",
    "BZPOPMIN",
    "CLIENT",
    "CONFIG",
    "DEBUG",
    "DISCARD",
    "EXEC",
    "MONITOR",
    "MULTI",
    "PSUBSCRIBE",
    "QUIT",
    "RESET",
    "SHUTDOWN",
    "SSUBSCRIBE",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "PUNSUBSCRIBE",
    "SUNSUBSCRIBE",
    "WAIT",
    "XREAD",
    "XREADGROUP",
    "HELLO",
    "AUTH",
];

const PATTERNS: &[&str] = &["[!s]*", "s*", "h*", "z?", "[stl]*", "x0", "?1", "p*", "l*", "none", "t*", "*0"];
const CHANNELS: &[&str] = &["[^s]*", "s*", "none", "?0", "h1", "z*"];

/// One engine with what it takes to ask it.
trait Side {
    /// As the default user.
    fn ask(&mut self, words: &[Vec<u8>]) -> Reply;
    /// In a fresh session that has signed in as the user.
    fn run_as_user(&mut self, commands: &[Words]) -> Vec<Reply>;
}

struct Real {
    server: Server,
    control: Client,
}

impl Side for Real {
    fn ask(&mut self, words: &[Vec<u8>]) -> Reply {
        self.control.run(words)
    }

    fn run_as_user(&mut self, commands: &[Words]) -> Vec<Reply> {
        let Ok(mut client) = Client::connect(&self.server.socket()) else { return Vec::new() };
        client.run(&["AUTH", "u", "x"]);
        up_to_refusal(commands, |words| client.run(words))
    }
}

struct Embedded {
    store: Store,
    control: Session,
}

impl Side for Embedded {
    fn ask(&mut self, words: &[Vec<u8>]) -> Reply {
        embedded::execute(&mut self.control, words)
    }

    fn run_as_user(&mut self, commands: &[Words]) -> Vec<Reply> {
        let mut session = self.store.session();
        session.set_protocol(Protocol::Resp2);
        embedded::execute(&mut session, &split("AUTH u x"));
        up_to_refusal(commands, |words| embedded::execute(&mut session, words))
    }
}

/// Runs commands until one is refused: what MULTI was to keep from harm must not run without it.
fn up_to_refusal(commands: &[Words], mut run: impl FnMut(&Words) -> Reply) -> Vec<Reply> {
    let mut replies = Vec::new();
    for words in commands {
        replies.push(run(words));
        if let Some(Reply::Error(_)) = replies.last() {
            break;
        }
    }
    replies
}

fn split(line: &str) -> Words {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

pub fn main(mut options: crate::Options) -> Result<bool, String> {
    let pairs = options.number("--pairs", 2000)? as usize;
    let seed = options.number("--seed", 1)?;
    let server = Server::start()?;
    let control = Client::connect(&server.socket())?;
    let store = embedded::store(&Clock::system(), Profile::V7_0);
    let mut own = store.session();
    own.set_protocol(Protocol::Resp2);
    let mut run = Run {
        real: Box::new(Real { server, control }),
        larder: Box::new(Embedded { store, control: own }),
        counts: Counts::default(),
    };
    let (rows, mut rng) = (rows(JUDGE)?, Rng::new(seed));
    let style = Style::of(&rows);
    for pair in 0..pairs {
        let rules = rules(&rows, &mut rng);
        let command = generate::command(&rows[rng.below(rows.len())], &style, &mut rng);
        if pair % 50 == 0 {
            run.both(&split("FLUSHALL"));
        }
        // The server finds no key in PFMERGE without sources, and lets everybody run it; larder does not.
        if command.len() == 2 && command[0].eq_ignore_ascii_case(b"PFMERGE") {
            continue;
        }
        if let Err(what) = run.pair(&rules, &command) {
            run.counts.differences += 1;
            println!("DIFFERENCE (seed {seed}, pair {pair})\n  rules   {}", text::line(&rules));
            println!("  command {}\n  {what}\n", text::line(&command));
        }
    }
    let Counts { refused_rules, allowed, denied, executed, differences } = run.counts;
    println!(
        "{pairs} pairs of rules and commands: {refused_rules} with rules that are refused, {allowed} allowed, {denied} \
         denied, {executed} also run, {differences} differences"
    );
    Ok(differences == 0)
}

#[derive(Default)]
struct Counts {
    refused_rules: usize,
    allowed: usize,
    denied: usize,
    executed: usize,
    differences: usize,
}

struct Run {
    real: Box<dyn Side>,
    larder: Box<dyn Side>,
    counts: Counts,
}

impl Run {
    fn both(&mut self, words: &[Vec<u8>]) -> (Reply, Reply) {
        (self.real.ask(words), self.larder.ask(words))
    }

    /// Both must answer the same.
    fn same(&mut self, words: &[Vec<u8>]) -> Result<Reply, String> {
        let (real, larder) = self.both(words);
        let (a, b) = (text::show(&real), text::show(&larder));
        if a == b { Ok(real) } else { Err(format!("> {}\n  redis  {a}\n  larder {b}", text::line(words))) }
    }

    fn pair(&mut self, rules: &Words, command: &Words) -> Result<(), String> {
        self.both(&split("ACL DELUSER u"));
        let mut set = split("ACL SETUSER u on nopass");
        set.extend(rules.iter().cloned());
        if self.same(&set)? != Reply::OK {
            self.counts.refused_rules += 1;
            return Ok(());
        }
        self.same_description()?;
        let mut dry = split("ACL DRYRUN u");
        dry.extend(command.iter().cloned());
        match self.same(&dry)? {
            Reply::Simple(_) => self.counts.allowed += 1,
            Reply::Bulk(_) => self.counts.denied += 1,
            _ => return Ok(()),
        }
        self.counts.executed += 1;
        self.executed(command)
    }

    /// What GETUSER shows, the rules on commands in any order: a server before 7.2 has none.
    fn same_description(&mut self) -> Result<(), String> {
        let (real, larder) = self.both(&split("ACL GETUSER u"));
        let words = |reply: &Reply| {
            let mut words: Vec<String> =
                text::show(reply).split([' ', '\n', '"']).map(str::to_string).collect();
            words.sort();
            words
        };
        if words(&real) == words(&larder) {
            return Ok(());
        }
        Err(format!("GETUSER\n  redis  {}\n  larder {}", text::show(&real), text::show(&larder)))
    }

    fn executed(&mut self, command: &Words) -> Result<(), String> {
        let name = String::from_utf8_lossy(&command[0]).to_ascii_uppercase();
        let harmful = HARMFUL.contains(&name.as_str());
        let commands = if harmful { vec![split("MULTI"), command.clone()] } else { vec![command.clone()] };
        self.both(&split("ACL LOG RESET"));
        let (real, larder) = (self.real.run_as_user(&commands), self.larder.run_as_user(&commands));
        let verdict = |replies: &[Reply]| -> Vec<String> {
            let refused =
                |reply: &Reply| matches!(reply, Reply::Error(why) if why.to_string().starts_with("NOPERM"));
            replies
                .iter()
                .map(|reply| if refused(reply) { text::show(reply) } else { "allowed".into() })
                .collect()
        };
        let (a, b) = (verdict(&real), verdict(&larder));
        if a != b {
            return Err(format!("as the user\n  redis  {a:?}\n  larder {b:?}"));
        }
        let (real, larder) = self.both(&split("ACL LOG"));
        let (a, b) = (noted(&real), noted(&larder));
        if a == b { Ok(()) } else { Err(format!("ACL LOG\n  redis  {a:?}\n  larder {b:?}")) }
    }
}

/// The entries of ACL LOG without times and clients.
fn noted(reply: &Reply) -> Vec<Vec<String>> {
    let Reply::Array(entries) = reply else { return Vec::new() };
    let words = |entry: &Reply| match entry {
        Reply::Array(words) => words.iter().take(10).map(text::show).collect(),
        _ => Vec::new(),
    };
    entries.iter().map(words).collect()
}

/// Rules of a user: some on commands, some on keys, some on channels, a selector or two.
fn rules(rows: &[Row], rng: &mut Rng) -> Words {
    let mut words = Words::new();
    match rng.below(4) {
        0 => {}
        1 => words.push(b"+@all".to_vec()),
        _ => some(rows, rng, &mut words),
    }
    some(rows, rng, &mut words);
    for _ in 0..rng.below(3) {
        let mut inner = Words::new();
        some(rows, rng, &mut inner);
        words.push([b"(", &inner.join(&b' ')[..], b")"].concat());
    }
    if rng.chance(3) {
        words.push(
            rng.pick(&["nope", "+nope", "-@nope", "%X~a", "clearselectors", "+get|", ")"])
                .as_bytes()
                .to_vec(),
        );
    }
    words
}

fn some(rows: &[Row], rng: &mut Rng, words: &mut Words) {
    for _ in 0..rng.below(5) {
        words.push(on_commands(rows, rng).into_bytes());
    }
    for _ in 0..rng.below(3) {
        let kind = rng.pick(&["~", "~", "%R~", "%W~", "%RW~"]);
        words.push(format!("{kind}{}", rng.pick(PATTERNS)).into_bytes());
    }
    if rng.chance(40) {
        words.push(format!("&{}", rng.pick(CHANNELS)).into_bytes());
    }
    if rng.chance(15) {
        words.push(
            rng.pick(&["allkeys", "resetkeys", "allchannels", "resetchannels", "-@all"]).as_bytes().to_vec(),
        );
    }
}

fn on_commands(rows: &[Row], rng: &mut Rng) -> String {
    const CATEGORIES: &[&str] = &[
        "keyspace",
        "read",
        "write",
        "set",
        "sortedset",
        "list",
        "hash",
        "string",
        "bitmap",
        "hyperloglog",
        "geo",
        "stream",
        "pubsub",
        "admin",
        "fast",
        "slow",
        "blocking",
        "dangerous",
        "connection",
        "transaction",
        "scripting",
        "all",
    ];
    let sign = if rng.chance(60) { '+' } else { '-' };
    let name = rows[rng.below(rows.len())].name.to_ascii_lowercase();
    match rng.below(10) {
        0..=4 => format!("{sign}@{}", rng.pick(CATEGORIES)),
        5 => format!("{sign}{}", name.split('|').next().unwrap_or_default()),
        6 => format!("+{name}|{}", rng.pick(&["s0", "h0", "get", "0"])),
        _ => format!("{sign}{name}"),
    }
}
