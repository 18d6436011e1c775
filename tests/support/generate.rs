//! Random commands from the rows' grammar: few keys of all types, values near every boundary, and mistakes.

use super::rng::Rng;
use super::rows::Row;
use larder::grammar::{Arg, Kind};
use std::collections::BTreeSet;

pub type Words = Vec<Vec<u8>>;

/// What all commands of a run share.
pub struct Style {
    /// The families of keys.
    pub families: Vec<char>,
    /// Where a manual clock stands, in ms: deadlines come true soon after. Without one they never do, or have already.
    pub now: Option<u64>,
}

impl Style {
    /// For these rows.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Style {
        let families: BTreeSet<char> = rows.into_iter().filter_map(|row| row.family).chain(['s']).collect();
        Style { families: families.into_iter().collect(), now: None }
    }
}

/// A command of the row, with its mistakes.
pub fn command(row: &Row, style: &Style, rng: &mut Rng) -> Words {
    let mut words: Words = row.name.split('|').map(|w| cased(w, rng)).collect();
    let named = words.len();
    let mut maker = Maker { family: row.family, style, rng, words: &mut words, streams: None };
    maker.sequence(&row.grammar.args);
    if rng.chance(6) {
        spoil(&mut words, named, rng);
    }
    tame(&row.name, style, &mut words);
    words
}

/// Upper case mostly.
fn cased(word: &str, rng: &mut Rng) -> Vec<u8> {
    match rng.below(10) {
        0 => word.to_ascii_lowercase().into_bytes(),
        1 => word.bytes().map(|b| if rng.chance(50) { b.to_ascii_lowercase() } else { b }).collect(),
        _ => word.as_bytes().to_vec(),
    }
}

/// Breaks a command: an argument lost, one too many, or nonsense in one's place.
fn spoil(words: &mut Words, named: usize, rng: &mut Rng) {
    let nonsense: [&[u8]; 6] = [b"", b"nonsense", b"\x00\xff", b"99999999999999999999", b"0x10", b" 7"];
    let at = named + rng.below(words.len() - named + 1);
    match rng.below(3) {
        0 if at < words.len() => drop(words.remove(at)),
        1 if at < words.len() => words[at] = rng.pick(&nonsense).to_vec(),
        _ => words.push(rng.pick(&nonsense).to_vec()),
    }
}

/// Keeps commands from storing what Redis leaves open (see `compare::loosened`), and from taking gigabytes: sizes just
/// under a limit are left to transcripts, those over it stay.
fn tame(name: &str, style: &Style, words: &mut Words) {
    let has = |words: &Words, word: &str| words.iter().any(|w| w.eq_ignore_ascii_case(word.as_bytes()));
    if name == "SORT" && has(words, "BY") && has(words, "STORE") {
        words.retain(|w| !w.eq_ignore_ascii_case(b"ALPHA"));
    }
    match name {
        // Nobody waits; and without a manual clock two engines make two ids, and do not wait alike.
        "XREAD" | "XREADGROUP" if style.now.is_none() => drop_waits(words),
        "XREAD" | "XREADGROUP" => shorten_waits(words),
        // A key that lives for milliseconds is gone in one engine before it is in the other.
        "RESTORE" if style.now.is_none() => lengthen(words.get_mut(2)),
        "BZPOPMIN" | "BZPOPMAX" => shorten_wait(words.last_mut()),
        "BZMPOP" => shorten_wait(words.get_mut(1)),
        "XADD" if style.now.is_none() => {
            words.iter_mut().filter(|w| *w == b"*").for_each(|w| *w = b"9-*".to_vec())
        }
        _ => {}
    }
    let (low, high) = match name {
        "SETRANGE" => (100_000, (512 << 20) - 100),
        "SETBIT" => (100_000, (1 << 32) - 1),
        "BITFIELD" => (100_000, (1 << 32) - 1),
        _ if name.contains("RAND") => (i64::MIN, -200),
        _ => return,
    };
    for word in words.iter_mut().skip(2) {
        let number =
            std::str::from_utf8(word).ok().and_then(|w| w.trim_start_matches('#').parse::<i64>().ok());
        if number.is_some_and(|n| (low..=high).contains(&n)) {
            *word = if low < 0 { b"-7".to_vec() } else { b"7".to_vec() };
        }
    }
}

/// A wait for what is not there takes next to no time.
fn shorten_wait(timeout: Option<&mut Vec<u8>>) {
    let refused: [&[u8]; 4] = [b"", b"-1", b"abc", b"nan"];
    if let Some(timeout) = timeout.filter(|word| !refused.contains(&word.as_slice())) {
        *timeout = b"0.001".to_vec();
    }
}

/// The same for what follows BLOCK.
fn shorten_waits(words: &mut Words) {
    for at in 1..words.len() {
        let waits = words[at - 1].eq_ignore_ascii_case(b"BLOCK");
        let n = std::str::from_utf8(&words[at]).ok().and_then(|word| word.parse::<i64>().ok());
        if waits && n.is_some_and(|n| n >= 0) {
            words[at] = b"1".to_vec();
        }
    }
}

/// A time to live is an hour at least.
fn lengthen(ttl: Option<&mut Vec<u8>>) {
    let short = |word: &&mut Vec<u8>| {
        std::str::from_utf8(word)
            .ok()
            .and_then(|w| w.parse().ok())
            .is_some_and(|n| (1..3_600_000).contains(&n))
    };
    if let Some(ttl) = ttl.filter(short) {
        *ttl = b"3600000".to_vec();
    }
}

/// Takes BLOCK and its word out.
fn drop_waits(words: &mut Words) {
    while let Some(at) = words.iter().position(|word| word.eq_ignore_ascii_case(b"BLOCK")) {
        words.drain(at..words.len().min(at + 2));
    }
}

/// What a real server dumped, and one that is damaged: what RESTORE is given.
const PAYLOADS: [&[u8]; 8] = [
    b"\x00\xc0\x0c\x0a\x00<*\xf8Q\\\x04\xbc\xd5",
    b"\x00\x05hello\x0a\x00cr\xdfve4 \x0a",
    b"\x12\x01\x02\xc3\x1e@^\x16^\x00\x00\x00\x05\x00\x81a\x02\x81b\x02\xdf\xf9\x02\xf2\xa0\x86\x01\x04\xe0Fx\xe0<\x00\x01H\xff\x0a\x00\xab\xfd\x8ah\x88\xe3C+",
    b"\x0b\x18\x04\x00\x00\x00\x04\x00\x00\x00\xfb\xff\xff\xff\x01\x00\x00\x00\x02\x00\x00\x00\xe0\x93\x04\x00\x0a\x00\x85f<DL\x15Ub",
    b"\x10\x12\x12\x00\x00\x00\x04\x00\x81f\x02\x81v\x02\x81n\x02*\x01\xff\x0a\x00\xff0\xe8\x7frb\xd9\x91",
    b"\x11\x1d\x1d\x00\x00\x00\x06\x00\x81b\x02\x84-inf\x05\x81a\x02\x831.5\x04\x81c\x02\x03\x01\xff\x0a\x00)p\xc5\x8f\xcd\xe6\xfc1",
    b"\x13\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01>>\x00\x00\x00\x18\x00\x02\x01\x01\x01\x01\x01\x81f\x02\x00\x01\x02\x01\x00\x01\x00\x01\x81v\x02\x04\x01\x03\x01\x00\x01\x01\x01\x81w\x02\x04\x01\x00\x01\x01\x01\xdf\xff\x02\x02\x01\x81g\x02\x07\x01\x81h\x02\x81x\x02\x08\x01\xff\x02\x02\x00\x01\x01\x01\x02\x03\x01\x01g\x01\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\xb1l\xaf\x0e\xa2\x01\x00\x00\x01\x02\x01c\xb1l\xaf\x0e\xa2\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x01d\xb1l\xaf\x0e\xa2\x01\x00\x00\x00\x0a\x00\x87\xd0z\x1d*\x8c\xa7~",
    b"\x00\x05hdllo\x0a\x00cr\xdfve4 \x0a",
];

struct Maker<'a> {
    family: Option<char>,
    style: &'a Style,
    rng: &'a mut Rng,
    words: &'a mut Words,
    /// So many keys stand behind STREAMS: as many ids go with them.
    streams: Option<usize>,
}

impl Maker<'_> {
    /// All arguments in order; a run of optional ones is sometimes shuffled.
    fn sequence(&mut self, args: &[Arg]) {
        let mut order: Vec<&Arg> = args.iter().collect();
        let options = args.iter().rev().take_while(|a| a.optional).count();
        if self.rng.chance(30) {
            self.rng.shuffle(&mut order[args.len() - options..]);
        }
        let mut counted = None;
        for arg in order {
            if arg.optional && !self.rng.chance(35) {
                continue;
            }
            if arg.name.starts_with("num") && arg.kind == Kind::Integer {
                counted = Some(self.words.len());
            }
            let before = self.words.len();
            self.argument(arg);
            let Some(place) = counted.filter(|_| arg.multiple) else { continue };
            if !self.rng.chance(10) {
                self.words[place] = (self.words.len() - before).to_string().into_bytes();
            }
            counted = None;
        }
    }

    fn argument(&mut self, arg: &Arg) {
        let times = match arg.multiple {
            true if self.family == Some('p') && arg.name == "element" && self.rng.chance(15) => 300,
            true if self.streams.is_some() && self.rng.chance(95) => self.streams.take().unwrap_or(1),
            true if self.rng.chance(1) => 150,
            true => 1 + self.rng.below(4),
            false => 1,
        };
        if arg.token == Some("STREAMS") {
            self.streams = Some(times);
        }
        for i in 0..times {
            if let Some(token) = arg.token
                && (i == 0 || arg.multiple_token)
            {
                let token = cased(token, self.rng);
                self.words.push(token);
            }
            self.body(arg, times);
        }
    }

    fn body(&mut self, arg: &Arg, times: usize) {
        match &arg.kind {
            Kind::Token => {}
            Kind::OneOf(children) => {
                let chosen = self.rng.below(children.len());
                self.argument(&children[chosen]);
            }
            Kind::Block(children) => self.sequence(children),
            _ => {
                let word = self.word(arg, times);
                self.words.push(word);
            }
        }
    }

    fn word(&mut self, arg: &Arg, times: usize) -> Vec<u8> {
        let name = match arg.name.as_ref() {
            "member1" | "member2" => "member",
            name => name,
        };
        if self.family == Some('x')
            && let Some(word) = self.of_stream(name)
        {
            return word;
        }
        match arg.kind {
            Kind::Key => self.key(),
            Kind::Integer => self.integer(name),
            Kind::UnixTime => self.deadline(name.contains("milli")),
            Kind::Double if matches!(name, "min" | "max") => self.score_end(),
            Kind::Double if name == "score" && self.rng.chance(85) => self.score(),
            Kind::Double => self.measure(name),
            Kind::Pattern => self.rng.pick(&PATTERNS).as_bytes().to_vec(),
            _ => self.string(name, times),
        }
    }

    /// `h0` is a hash most of the time: a command mostly takes keys of its own family.
    fn key(&mut self) -> Vec<u8> {
        let letter = match self.family {
            Some(letter) if self.rng.chance(80) => letter,
            _ => self.style.families[self.rng.below(self.style.families.len())],
        };
        match self.rng.below(60) {
            0 => Vec::new(),
            1 => b"\x00bin\xff".to_vec(),
            2 => b"missing".to_vec(),
            _ => format!("{letter}{}", self.rng.below(3)).into_bytes(),
        }
    }

    /// What stream commands have of their own. Times are now, long past or never: they differ between engines.
    fn of_stream(&mut self, name: &str) -> Option<Vec<u8>> {
        let word = match name {
            "id" if self.words[0].eq_ignore_ascii_case(b"XADD") => self.new_id(),
            "id" if self.words[0].eq_ignore_ascii_case(b"XREADGROUP") && self.rng.chance(60) => ">".into(),
            "id" if self.words[0].eq_ignore_ascii_case(b"XREAD") && self.rng.chance(10) => "$".into(),
            "threshold" if self.rng.chance(60) => self.rng.below(9).to_string(),
            "start" | "end" if self.rng.chance(30) => self.rng.pick(&["-", "+"]).into(),
            "start" | "end" if self.rng.chance(10) => format!("({}", self.stream_id()),
            "id" | "start" | "end" | "threshold" | "lastid" | "last-id" | "max-deleted-id" => {
                self.stream_id()
            }
            "group" if self.rng.chance(75) => "g0".into(),
            "group" => format!("g{}", self.rng.below(3)),
            "consumer" => format!("c{}", self.rng.below(3)),
            "min-idle-time" => self.rng.pick(&["0", "0", "0", "0", "1000000", "-1", "x"]).into(),
            "milliseconds" => self.rng.pick(&["0", "0", "2000000", "-1", "99999999999999"]).into(),
            "entries-read" | "entries-added" => (self.rng.below(14) as i64 - 2).to_string(),
            "field" => format!("f{}", self.rng.below(3)),
            _ => return None,
        };
        Some(word.into_bytes())
    }

    /// Mostly one that can be added.
    fn new_id(&mut self) -> String {
        match self.rng.below(10) {
            0..=5 => "9-*".into(),
            6..=7 => format!("{}-*", 1 + self.rng.below(9)),
            _ => self.stream_id(),
        }
    }

    fn stream_id(&mut self) -> String {
        let odd =
            ["0", "0-0", "18446744073709551615-18446744073709551615", "5-*", "x", "", "-1", "007-1", "1-x"];
        match self.rng.below(40) {
            0 => self.rng.pick(&odd).into(),
            1..=4 => self.rng.below(10).to_string(),
            5..=14 => format!("{}-{}", 1 + self.rng.below(9), self.rng.below(4)),
            _ => format!("9-{}", self.rng.below(16)),
        }
    }

    fn integer(&mut self, name: &str) -> Vec<u8> {
        if name.contains("seconds") {
            return self.span(name.contains("milli"));
        }
        if name == "ttl" {
            return if self.rng.chance(60) { b"0".to_vec() } else { self.span(true) };
        }
        let small = match name {
            "bit" => self.rng.below(2) as i64,
            "cursor" => 0,
            "db" | "destination-db" => self.rng.below(4) as i64,
            "index" if self.words.len() == 1 => self.rng.below(4) as i64,
            "index1" | "index2" => self.rng.below(4) as i64,
            "count" | "limit" | "numkeys" | "rank" => self.rng.below(8) as i64 - 2,
            "offset" if self.rng.chance(8) => return format!("#{}", self.rng.below(9)).into_bytes(),
            "offset" => self.rng.below(70) as i64 - 1,
            _ => self.rng.below(14) as i64 - 6,
        };
        let n = if self.rng.chance(93) { small.to_string() } else { self.rng.pick(&INTEGERS).to_string() };
        n.into_bytes()
    }

    /// A relative deadline that is past, out of range, or too far to come true in a run by the system's clock; no two alike.
    fn span(&mut self, milliseconds: bool) -> Vec<u8> {
        if self.style.now.is_some() && self.rng.chance(80) {
            let near = 1 + self.rng.below(if milliseconds { 100_000 } else { 100 });
            return near.to_string().into_bytes();
        }
        let far = 100_000 + self.rng.below(3_000_000) as i64;
        let far = if milliseconds { far * 1000 + self.rng.below(1000) as i64 } else { far };
        let text = match self.rng.below(20) {
            0 => "0".into(),
            1 => (-far).to_string(),
            2 => self
                .rng
                .pick(&["9223372036854775807", "-9223372036854775808", "9223372036854775", "x", ""])
                .into(),
            _ => far.to_string(),
        };
        text.into_bytes()
    }

    /// An absolute deadline, past or after the year 2100.
    fn deadline(&mut self, milliseconds: bool) -> Vec<u8> {
        if let Some(now) = self.style.now.filter(|_| self.rng.chance(80)) {
            let near = (now + self.rng.below(100_000) as u64).saturating_sub(10_000);
            return (if milliseconds { near } else { near / 1000 }).to_string().into_bytes();
        }
        let seconds = match self.rng.below(12) {
            0 => 1,
            1 => 1_000_000_000,
            2 => return self.rng.pick(&["0", "-1", "9223372036854775807", "abc"]).as_bytes().to_vec(),
            _ => 4_102_444_800 + self.rng.below(50_000_000) as i64,
        };
        let n = if milliseconds { seconds * 1000 + self.rng.below(1000) as i64 } else { seconds };
        n.to_string().into_bytes()
    }

    /// Places near each other and near the edges, lengths of any size.
    fn measure(&mut self, name: &str) -> Vec<u8> {
        let places: &[&str] = match name {
            "longitude" => &["180", "-180", "179.99", "-179.99", "0", "180.1", "13.361389", "15.087269"],
            "latitude" => &["85.05112878", "-85.05112878", "85", "0", "90", "38.115556", "37.502669"],
            "radius" | "width" | "height" => &["0", "1", "200", "5000", "20000", "-1", "1e9", "inf"],
            _ => return self.double(),
        };
        match self.rng.below(20) {
            0 => self.double(),
            1..=8 => places[self.rng.below(places.len())].as_bytes().to_vec(),
            9..=12 => (self.rng.below(2000) as f64 / 100.0).to_string().into_bytes(),
            _ => (self.rng.below(160) as i64 - 80).to_string().into_bytes(),
        }
    }

    fn double(&mut self) -> Vec<u8> {
        if self.rng.chance(40) {
            return format!("{}", self.rng.below(2000) as f64 / 8.0 - 100.0).into_bytes();
        }
        self.rng.pick(&DOUBLES).as_bytes().to_vec()
    }

    /// The end of a range: of places after ZRANGE and ZRANGESTORE mostly, else of scores.
    fn score_end(&mut self) -> Vec<u8> {
        let first = self.words.first().is_some_and(|word| {
            word.eq_ignore_ascii_case(b"ZRANGE") || word.eq_ignore_ascii_case(b"ZRANGESTORE")
        });
        match self.rng.below(12) {
            0 if first => self.lex_end(),
            0..=6 if first => self.integer("count"),
            0 => b"-inf".to_vec(),
            1 => b"+inf".to_vec(),
            2 => self.double(),
            3..=5 => [b"(".to_vec(), self.score()].concat(),
            _ => self.score(),
        }
    }

    /// A score near others.
    fn score(&mut self) -> Vec<u8> {
        // Ranges of bytes ask for equal scores: here most are.
        if self.words.get(1).is_some_and(|key| key.ends_with(b"2")) && self.rng.chance(95) {
            return b"1".to_vec();
        }
        let score = self.rng.below(9) as f64 / 2.0 - 1.0;
        score.to_string().into_bytes()
    }

    fn lex_end(&mut self) -> Vec<u8> {
        let mark = match self.rng.below(14) {
            0..=1 => return b"-".to_vec(),
            2..=3 => return b"+".to_vec(),
            4 => return self.string("member", 1),
            5..=8 => "(",
            _ => "[",
        };
        [mark.as_bytes().to_vec(), self.string("member", 1)].concat()
    }

    fn string(&mut self, name: &str, times: usize) -> Vec<u8> {
        match name {
            "subcommand" => {
                self.rng.pick(&["GETREG", "DECODE", "ENCODING", "TODENSE", "x"]).as_bytes().to_vec()
            }
            "element" if self.family == Some('p') => format!("e{}", self.rng.below(4000)).into_bytes(),
            "min" | "max" => self.lex_end(),
            "encoding" => self.rng.pick(&ENCODINGS).as_bytes().to_vec(),
            "type" => self
                .rng
                .pick(&["string", "hash", "list", "set", "zset", "stream", "HASH", "nosuch"])
                .as_bytes()
                .to_vec(),
            "field" if times > 20 => format!("f{}", self.rng.below(400)).into_bytes(),
            "field" => format!("f{}", self.rng.below(8)).into_bytes(),
            "member" | "element" | "pivot" if times > 20 => format!("m{}", self.rng.below(400)).into_bytes(),
            "member" | "element" | "pivot" if self.rng.chance(50) => {
                self.rng.below(8).to_string().into_bytes()
            }
            "member" | "element" | "pivot" if self.rng.chance(60) => {
                format!("m{}", self.rng.below(8)).into_bytes()
            }
            "num-matches" | "len" => self.integer("count"),
            "serialized-value" => self.rng.pick(&PAYLOADS).to_vec(),
            _ => self.value(),
        }
    }

    fn value(&mut self) -> Vec<u8> {
        match self.rng.below(12) {
            0..=4 => (self.rng.below(300) as i64 - 50).to_string().into_bytes(),
            5 => self.rng.pick(&INTEGERS).as_bytes().to_vec(),
            6 => self.double(),
            7 => vec![b'v'; [44, 45, 63, 64, 65, 100, 3000][self.rng.below(7)]],
            8 => b"\x00\xff\r\n\"bin\"".to_vec(),
            9 if self.rng.chance(50) => Vec::new(),
            _ => format!("v{}", self.rng.below(30)).into_bytes(),
        }
    }
}

const PATTERNS: [&str; 12] =
    ["*", "s*", "h?", "[a-m]*", "[^s]0", "nosuch", "*1", "\\*", "s*->f1", "h*->f1", "#", "m*"];

const INTEGERS: [&str; 22] = [
    "0",
    "-0",
    "+1",
    "01",
    " 1",
    "1 ",
    "1.0",
    "1e3",
    "",
    "abc",
    "-1",
    "127",
    "128",
    "-129",
    "32768",
    "2147483647",
    "-2147483649",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775809",
];

const DOUBLES: [&str; 20] = [
    "0",
    "-0",
    "1.5",
    "-0.1",
    "3.0",
    "1e10",
    "1e-7",
    "1e308",
    "-1e309",
    "inf",
    "-inf",
    "+inf",
    "nan",
    "Infinity",
    "0x1p3",
    "abc",
    "",
    " 1",
    "1.7976931348623157e308",
    "0.30000000000000004",
];

const ENCODINGS: [&str; 14] =
    ["u8", "i8", "u1", "i1", "u2", "i16", "u16", "i32", "u32", "u63", "i64", "u64", "i65", "x8"];
