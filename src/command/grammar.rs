//! A command's syntax, parsed from the one line that its row carries.
//!
//! Every row states how its command is written, in the notation of Redis's documentation:
//!
//! ```text
//! SET key value [NX|XX] [GET] [EX seconds|PX milliseconds|KEEPTTL]
//! HSET key field value [field value ...]
//! XREADGROUP <GROUP group consumer> [COUNT count] ...
//! ```
//!
//! - The leading UPPER-CASE words are the command's name (two for a subcommand); a lower-case word is an argument; any
//!   other word is a literal token. So a command whose first argument is a token writes it as a group: `<GROUP group>`.
//! - `[..]` is optional, `<..>` and `(..)` group. Inside any of the three `|` separates whole sequences; at the top
//!   level it only joins its two neighbours.
//! - `...` repeats the item before it; as the last thing inside brackets it repeats all they hold. `x [x ...]` is one
//!   repeating `x`, for sequences too: `field value [field value ...]`.
//! - A token goes with the required item after it (`EX seconds` is one argument that has a token). A group that begins
//!   with a token is a block which that token introduces (`[LIMIT offset count]`).
//!
//! The tree has the shape of COMMAND DOCS' `arguments`, and is read by that reply, the shell's hints, the fuzz
//! dictionary and the random command generator. Nothing on the path of a command's execution reads it.
//!
//! Parsing never fails outright: a mistake is kept in [`Grammar::error`], and a test over all rows looks there.

use std::borrow::Cow;

/// Groups nest no deeper than this.
const MAX_DEPTH: usize = 16;

/// How a command is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Grammar {
    /// `SET`, or `OBJECT|ENCODING`.
    pub name: String,
    /// What follows the name.
    pub args: Vec<Arg>,
    /// The first mistake in the notation.
    pub error: Option<&'static str>,
}

/// One argument, or a group of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Arg {
    /// The word of the notation; for groups and tokens, made from what they hold.
    pub name: Cow<'static, str>,
    /// What stands there.
    pub kind: Kind,
    /// The literal that introduces it; for [`Kind::Token`], the literal itself.
    pub token: Option<&'static str>,
    /// It may be left out.
    pub optional: bool,
    /// It may be given more than once.
    pub multiple: bool,
    /// Each repetition carries the token again.
    pub multiple_token: bool,
}

/// What an argument is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// The name of a key.
    Key,
    /// Any bytes.
    String,
    /// A glob pattern.
    Pattern,
    /// A 64-bit integer.
    Integer,
    /// A floating point number.
    Double,
    /// A point in time.
    UnixTime,
    /// Nothing but its token.
    Token,
    /// One of these.
    OneOf(Vec<Arg>),
    /// All of these, in order.
    Block(Vec<Arg>),
}

impl Kind {
    /// The name COMMAND DOCS gives it.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Key => "key",
            Kind::String => "string",
            Kind::Pattern => "pattern",
            Kind::Integer => "integer",
            Kind::Double => "double",
            Kind::UnixTime => "unix-time",
            Kind::Token => "pure-token",
            Kind::OneOf(_) => "oneof",
            Kind::Block(_) => "block",
        }
    }

    /// The one table from an argument's name to its type. What is not listed is a string.
    fn of(name: &str, command: &str) -> Kind {
        match name {
            "key" | "key1" | "key2" | "newkey" | "destkey" | "sourcekey" | "source" | "destination" => {
                Kind::Key
            }
            "pattern" => Kind::Pattern,
            "unix-time-seconds" | "unix-time-milliseconds" | "timestamp" => Kind::UnixTime,
            "seconds" | "milliseconds" | "count" | "offset" | "index" | "index1" | "index2" | "start"
            | "stop" | "end" | "cursor" | "db" | "destination-db" | "numkeys" | "numfields" | "bit"
            | "len" | "min-match-len" | "decrement" | "rank" | "limit" | "samples" => Kind::Integer,
            "value" if matches!(command, "SETBIT" | "BITFIELD") => Kind::Integer,
            "increment" if command.ends_with("FLOAT") => Kind::Double,
            "increment" => Kind::Integer,
            "score" | "weight" | "timeout" | "longitude" | "latitude" | "radius" | "width" | "height" => {
                Kind::Double
            }
            "min" | "max" if !command.ends_with("LEX") && !command.ends_with("LEXCOUNT") => Kind::Double,
            _ => Kind::String,
        }
    }
}

impl Grammar {
    /// Reads one row's syntax line.
    pub fn parse(syntax: &'static str) -> Grammar {
        let mut parser = Parser { rest: syntax, name: String::new(), error: None };
        parser.command_name();
        let mut alternatives = parser.body(None, 0).alternatives;
        let args = fuse(alternatives.pop().unwrap_or_default());
        Grammar { name: parser.name, args, error: parser.error }
    }

    /// The arity that follows from the syntax, as COMMAND INFO counts: the name included, negative for "at least".
    /// Words of a subcommand's name count one each.
    pub fn arity(&self) -> i64 {
        let name = self.name.split('|').count() as i64;
        let (least, open) = span(&self.args);
        if open { -(name + least) } else { name + least }
    }

    /// Calls `each` with every literal token.
    pub fn tokens(&self, each: &mut dyn FnMut(&'static str)) {
        fn walk(args: &[Arg], each: &mut dyn FnMut(&'static str)) {
            for arg in args {
                arg.token.into_iter().for_each(&mut *each);
                walk(arg.children(), each);
            }
        }
        walk(&self.args, each);
    }

    /// What may still follow, given the words typed after the command's name: the shell's hint.
    pub fn hint<W: AsRef<[u8]>>(&self, typed: &[W]) -> String {
        let words: Vec<&[u8]> = typed.iter().map(AsRef::as_ref).collect();
        let mut left = Vec::new();
        let used = follow(&self.args, &words, &mut left);
        if used < words.len() { String::new() } else { left.join(" ") }
    }
}

/// The fewest words `args` take, and whether they can take more.
fn span(args: &[Arg]) -> (i64, bool) {
    args.iter().fold((0, false), |(least, open), arg| {
        let (n, more) = arg.span();
        (least + n, open || more)
    })
}

impl Arg {
    fn value(word: &'static str, command: &str) -> Arg {
        Arg::new(Cow::Borrowed(word), Kind::of(word, command), None)
    }

    fn literal(word: &'static str) -> Arg {
        Arg::new(Cow::Owned(word.to_ascii_lowercase()), Kind::Token, Some(word))
    }

    fn new(name: Cow<'static, str>, kind: Kind, token: Option<&'static str>) -> Arg {
        Arg { name, kind, token, optional: false, multiple: false, multiple_token: false }
    }

    fn group(children: Vec<Arg>, kind: fn(Vec<Arg>) -> Kind, token: Option<&'static str>) -> Arg {
        let names: Vec<&str> = children.iter().map(|c| c.name.as_ref()).collect();
        Arg::new(Cow::Owned(names.join("_")), kind(children), token)
    }

    /// The same argument, given one or more times.
    fn repeated(self) -> Arg {
        if self.multiple || self.optional {
            return Arg { multiple: true, ..Arg::group(vec![self], Kind::Block, None) };
        }
        Arg { multiple: true, multiple_token: self.token.is_some(), ..self }
    }

    /// What a group holds; nothing for the others.
    pub fn children(&self) -> &[Arg] {
        match &self.kind {
            Kind::OneOf(children) | Kind::Block(children) => children,
            _ => &[],
        }
    }

    fn span(&self) -> (i64, bool) {
        let (body, open) = match &self.kind {
            Kind::Token => (0, false),
            Kind::Block(children) => span(children),
            Kind::OneOf(children) => {
                let spans: Vec<_> = children.iter().map(Arg::span).collect();
                let least = spans.iter().map(|s| s.0).min().unwrap_or(0);
                (least, spans.iter().any(|s| s.1 || s.0 != least))
            }
            _ => (1, false),
        };
        if self.optional {
            return (0, true);
        }
        (body + i64::from(self.token.is_some()), open || self.multiple)
    }

    /// The argument in the notation it was read from.
    pub fn render(&self) -> String {
        let once = self.once();
        match (self.optional, self.multiple) {
            (false, false) => once,
            (true, false) if self.token.is_none() && matches!(self.kind, Kind::OneOf(_)) => {
                format!("[{}]", alternatives(self.children()))
            }
            (true, false) => format!("[{once}]"),
            (false, true) => format!("{once} {}", self.again()),
            (true, true) => format!("[{once} {}]", self.again()),
        }
    }

    /// One occurrence, token included.
    fn once(&self) -> String {
        match self.token {
            Some(token) if self.kind == Kind::Token => token.to_string(),
            Some(token) => format!("{token} {}", self.body()),
            None => self.body(),
        }
    }

    fn body(&self) -> String {
        match &self.kind {
            Kind::Block(children) => render(children),
            Kind::OneOf(children) => format!("<{}>", alternatives(children)),
            _ => self.name.to_string(),
        }
    }

    /// The repetition after the first occurrence.
    fn again(&self) -> String {
        if self.multiple_token {
            format!("[{} ...]", self.once())
        } else if self.kind == Kind::Token {
            "...".to_string()
        } else {
            format!("[{} ...]", self.body())
        }
    }

    /// Whether `word` can be the first of this argument.
    fn opens_with(&self, word: &[u8]) -> bool {
        match (self.token, &self.kind) {
            (Some(token), _) => token.as_bytes().eq_ignore_ascii_case(word),
            (None, Kind::OneOf(children)) => children.iter().any(|c| c.opens_with(word)),
            (None, Kind::Block(children)) => opens_any(children, word),
            _ => true,
        }
    }

    /// A value that is recognised by its place, not by a token.
    fn is_positional(&self) -> bool {
        self.token.is_none() && !matches!(self.kind, Kind::OneOf(_) | Kind::Block(_))
    }

    /// Consumes the words of this argument, all repetitions included, and says how many; what is still
    /// missing goes to `left`. `ends` tells a word that belongs to what comes after.
    fn follow(&self, words: &[&[u8]], left: &mut Vec<String>, ends: &dyn Fn(&[u8]) -> bool) -> usize {
        let mut used = self.follow_once(words, left, true);
        while self.multiple && used > 0 && used < words.len() && !ends(words[used]) {
            if self.multiple_token && !self.opens_with(words[used]) {
                break;
            }
            let n = self.follow_once(&words[used..], left, self.multiple_token);
            if n == 0 {
                break;
            }
            used += n;
        }
        if self.multiple && used == words.len() {
            left.push(self.again());
        }
        used
    }

    fn follow_once(&self, words: &[&[u8]], left: &mut Vec<String>, with_token: bool) -> usize {
        let token = usize::from(with_token && self.token.is_some());
        if words.len() < token {
            return 0;
        }
        let rest = &words[token..];
        token
            + match &self.kind {
                Kind::Token => 0,
                Kind::Block(children) => follow(children, rest, left),
                Kind::OneOf(children) => {
                    let chosen = rest.first().and_then(|w| children.iter().find(|c| c.opens_with(w)));
                    match chosen {
                        Some(child) => child.follow(rest, left, &|_| false),
                        None if rest.is_empty() => {
                            left.push(self.body());
                            0
                        }
                        None => 0,
                    }
                }
                _ if rest.is_empty() => {
                    left.push(self.body());
                    0
                }
                _ => 1,
            }
    }
}

/// Whether `word` can be the first of the sequence.
fn opens_any(args: &[Arg], word: &[u8]) -> bool {
    let leading = args.iter().take_while(|a| a.optional).count();
    args.iter().take(leading + 1).any(|a| a.opens_with(word))
}

/// Arguments in the notation they were read from.
fn render(args: &[Arg]) -> String {
    args.iter().map(Arg::render).collect::<Vec<_>>().join(" ")
}

fn alternatives(options: &[Arg]) -> String {
    options.iter().map(Arg::render).collect::<Vec<_>>().join("|")
}

/// Lays `words` along the sequence: required arguments in order, a run of optional ones in any order. Answers how many
/// words fitted; what could still follow goes to `left`.
fn follow(args: &[Arg], words: &[&[u8]], left: &mut Vec<String>) -> usize {
    let (mut used, mut at) = (0, 0);
    while at < args.len() {
        let later = &args[at + 1..];
        let ends = |word: &[u8]| later.iter().any(|a| !a.is_positional() && a.opens_with(word));
        if used == words.len() {
            left.push(args[at].render());
            at += 1;
        } else if !args[at].optional {
            used += args[at].follow(&words[used..], left, &ends);
            at += 1;
        } else {
            let run = args[at..].iter().take_while(|a| a.optional).count();
            used += follow_options(&args[at..at + run], &words[used..], left);
            at += run;
        }
    }
    used
}

/// Optional arguments, each at most once, in any order.
fn follow_options(options: &[Arg], words: &[&[u8]], left: &mut Vec<String>) -> usize {
    let mut open: Vec<&Arg> = options.iter().collect();
    let mut used = 0;
    while used < words.len() {
        let by_token = open.iter().position(|a| !a.is_positional() && a.opens_with(words[used]));
        let Some(i) = by_token.or_else(|| open.iter().position(|a| a.opens_with(words[used]))) else { break };
        let option = open.remove(i);
        let ends = |word: &[u8]| open.iter().any(|a| !a.is_positional() && a.opens_with(word));
        used += option.follow(&words[used..], left, &ends).max(1);
    }
    if used >= words.len() {
        left.extend(open.into_iter().map(Arg::render));
    }
    used.min(words.len())
}

/// Joins each bare token with the required item after it.
fn fuse(sequence: Vec<Arg>) -> Vec<Arg> {
    let mut out: Vec<Arg> = Vec::new();
    for arg in sequence {
        let waiting = matches!(out.last(), Some(a) if a.kind == Kind::Token && !a.optional && !a.multiple);
        if waiting && arg.token.is_none() && !arg.optional {
            let token = out.pop().and_then(|t| t.token);
            out.push(Arg { token, ..arg });
        } else {
            out.push(arg);
        }
    }
    out
}

/// One argument out of a group's sequence.
fn collapse(mut sequence: Vec<Arg>) -> Arg {
    let led = matches!(sequence.first(), Some(a) if a.kind == Kind::Token && !a.optional && !a.multiple);
    if led && sequence.len() > 2 {
        let token = sequence.remove(0).token;
        return Arg::group(fuse(sequence), Kind::Block, token);
    }
    let mut fused = fuse(sequence);
    match fused.pop() {
        Some(only) if fused.is_empty() => only,
        last => Arg::group(fused.into_iter().chain(last).collect(), Kind::Block, None),
    }
}

fn choose(alternatives: Vec<Vec<Arg>>) -> Arg {
    let mut options: Vec<Arg> = alternatives.into_iter().map(collapse).collect();
    match options.pop() {
        Some(only) if options.is_empty() => only,
        last => Arg::group(options.into_iter().chain(last).collect(), Kind::OneOf, None),
    }
}

/// What stands between two brackets.
#[derive(Default)]
struct Body {
    alternatives: Vec<Vec<Arg>>,
    /// It ended in `...`.
    repeats: bool,
}

struct Parser {
    rest: &'static str,
    name: String,
    error: Option<&'static str>,
}

const SPECIAL: [char; 7] = ['[', ']', '<', '>', '(', ')', '|'];

/// A literal has no lower-case letter; an argument's name starts with one.
fn is_literal(word: &str) -> bool {
    !word.starts_with(|c: char| c.is_ascii_lowercase())
}

impl Parser {
    /// The next bracket, bar, `...` or word, without taking it.
    fn peek(&mut self) -> Option<&'static str> {
        self.rest = self.rest.trim_start();
        let rest = self.rest;
        let first = rest.chars().next()?;
        if rest.starts_with("...") {
            return Some(&rest[..3]);
        }
        if SPECIAL.contains(&first) {
            return Some(&rest[..1]);
        }
        let end = rest.find(|c: char| c.is_whitespace() || SPECIAL.contains(&c)).unwrap_or(rest.len());
        let end = rest[..end].find("...").unwrap_or(end);
        Some(&rest[..end])
    }

    fn take(&mut self) -> Option<&'static str> {
        let word = self.peek()?;
        self.rest = &self.rest[word.len()..];
        Some(word)
    }

    fn fail(&mut self, why: &'static str) {
        self.error.get_or_insert(why);
    }

    fn command_name(&mut self) {
        while let Some(word) = self.peek() {
            if !word.starts_with(|c: char| c.is_ascii_uppercase()) {
                break;
            }
            if !self.name.is_empty() {
                self.name.push('|');
            }
            self.name.push_str(word);
            self.take();
        }
        if self.name.is_empty() {
            self.fail("the line must start with the command's name");
        }
    }

    /// Sequences up to `close`, or to the end of the line at the top level.
    fn body(&mut self, close: Option<&str>, depth: usize) -> Body {
        let mut body = Body { alternatives: vec![Vec::new()], repeats: false };
        while let Some(word) = self.take() {
            let Some(sequence) = body.alternatives.last_mut() else { break };
            match word {
                _ if Some(word) == close => return self.checked(body),
                "]" | ">" | ")" => self.fail("a closing bracket does not fit"),
                "|" if close.is_some() => body.alternatives.push(Vec::new()),
                "|" => self.join(sequence, depth),
                "..." if close.is_some() && self.peek() == close => body.repeats = true,
                "..." => match sequence.pop() {
                    Some(arg) => sequence.push(arg.repeated()),
                    None => self.fail("'...' has nothing to repeat"),
                },
                _ => self.item(word, sequence, depth),
            }
        }
        if close.is_some() {
            self.fail("a bracket is not closed");
        }
        body
    }

    fn checked(&mut self, body: Body) -> Body {
        if body.alternatives.iter().any(Vec::is_empty) {
            self.fail("an empty group or alternative");
        }
        body
    }

    /// `a|b` at the top level.
    fn join(&mut self, sequence: &mut Vec<Arg>, depth: usize) {
        let Some(left) = sequence.pop() else { return self.fail("'|' has nothing on its left") };
        let mut right = Vec::new();
        match self.take() {
            Some(word) => self.item(word, &mut right, depth),
            None => return self.fail("'|' has nothing on its right"),
        }
        let mut options = match left.kind {
            Kind::OneOf(options) if !left.optional && left.token.is_none() => options,
            _ => vec![left],
        };
        options.append(&mut right);
        sequence.push(Arg::group(options, Kind::OneOf, None));
    }

    fn item(&mut self, word: &'static str, sequence: &mut Vec<Arg>, depth: usize) {
        let close = match word {
            "[" => "]",
            "<" => ">",
            "(" => ")",
            _ if is_literal(word) => return sequence.push(Arg::literal(word)),
            _ => return sequence.push(Arg::value(word, &self.name)),
        };
        if depth == MAX_DEPTH {
            self.rest = "";
            return self.fail("groups nest too deeply");
        }
        let body = self.body(Some(close), depth + 1);
        self.group(body, word == "[", sequence);
    }

    /// Adds a bracketed group to the sequence, as a repetition of the sequence's own tail where it is one.
    fn group(&mut self, mut body: Body, optional: bool, sequence: &mut Vec<Arg>) {
        if body.alternatives.iter().all(Vec::is_empty) {
            return;
        }
        if let [again] = body.alternatives.as_slice()
            && optional
            && body.repeats
            && sequence.ends_with(again)
        {
            sequence.truncate(sequence.len() - again.len());
            let items = body.alternatives.pop().unwrap_or_default();
            return sequence.push(collapse(items).repeated());
        }
        let arg = choose(body.alternatives);
        let arg = if body.repeats { arg.repeated() } else { arg };
        sequence.push(Arg { optional: optional || arg.optional, ..arg });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(syntax: &'static str) -> Grammar {
        let grammar = Grammar::parse(syntax);
        assert_eq!(grammar.error, None, "{syntax}");
        grammar
    }

    #[test]
    fn a_flat_command() {
        let g = parse("GETRANGE key start end");
        assert_eq!(g.name, "GETRANGE");
        let kinds: Vec<_> = g.args.iter().map(|a| (a.name.as_ref(), a.kind.name())).collect();
        assert_eq!(kinds, [("key", "key"), ("start", "integer"), ("end", "integer")]);
        assert_eq!(g.arity(), 4);
    }

    #[test]
    fn the_increment_of_a_float_command_is_a_double() {
        assert_eq!(parse("INCRBYFLOAT key increment").args[1].kind, Kind::Double);
        assert_eq!(parse("INCRBY key increment").args[1].kind, Kind::Integer);
    }

    #[test]
    fn set_with_all_its_options() {
        let g = parse(
            "SET key value [NX|XX] [GET] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]",
        );
        assert_eq!(g.args.len(), 5);
        assert_eq!(g.args[2].kind.name(), "oneof");
        assert!(g.args[2].optional && g.args[3].optional);
        assert_eq!((g.args[3].token, &g.args[3].kind), (Some("GET"), &Kind::Token));
        let expiry = g.args[4].children();
        assert_eq!(expiry.len(), 5);
        assert_eq!((expiry[0].token, expiry[0].kind.name()), (Some("EX"), "integer"));
        assert_eq!((expiry[2].token, expiry[2].kind.name()), (Some("EXAT"), "unix-time"));
        assert_eq!((expiry[4].token, expiry[4].kind.name()), (Some("KEEPTTL"), "pure-token"));
        assert_eq!(g.arity(), -3);
    }

    #[test]
    fn subcommands_have_two_words() {
        let g = parse("OBJECT ENCODING key");
        assert_eq!((g.name.as_str(), g.arity()), ("OBJECT|ENCODING", 3));
    }

    #[test]
    fn repetition_in_its_three_spellings() {
        for syntax in ["DEL key [key ...]", "DEL key ..."] {
            let g = parse(syntax);
            assert_eq!(g.args.len(), 1, "{syntax}");
            assert!(g.args[0].multiple && !g.args[0].optional);
            assert_eq!(g.arity(), -2);
        }
        let g = parse("HSET key field value [field value ...]");
        assert_eq!((g.args.len(), g.args[1].kind.name(), g.args[1].multiple), (2, "block", true));
        assert_eq!((g.args[1].name.as_ref(), g.arity()), ("field_value", -4));
        let g = parse("COMMAND INFO [command-name [command-name ...]]");
        assert!(g.args[0].optional && g.args[0].multiple);
    }

    #[test]
    fn a_token_repeats_only_where_it_is_written_again() {
        let g = parse(
            "SORT key [LIMIT offset count] [GET pattern [GET pattern ...]] [WEIGHTS weight [weight ...]]",
        );
        let limit = &g.args[1];
        assert_eq!((limit.token, limit.kind.name(), limit.children().len()), (Some("LIMIT"), "block", 2));
        let get = &g.args[2];
        assert!(get.multiple && get.multiple_token && get.optional);
        assert_eq!(get.token, Some("GET"));
        let weights = &g.args[3];
        assert!(weights.multiple && !weights.multiple_token);
        assert_eq!(weights.token, Some("WEIGHTS"));
    }

    #[test]
    fn groups_nest() {
        let g = parse(
            "BITFIELD key [<GET encoding offset | [OVERFLOW <WRAP|SAT|FAIL>] <SET encoding offset value | INCRBY encoding offset increment>> ...]",
        );
        let ops = &g.args[1];
        assert!(ops.optional && ops.multiple);
        let [get, write] = ops.children() else { panic!("two alternatives") };
        assert_eq!((get.token, get.children().len()), (Some("GET"), 2));
        assert_eq!(write.children()[0].token, Some("OVERFLOW"));
        assert_eq!(write.children()[1].children().len(), 2);
    }

    #[test]
    fn alternatives_at_the_top_level_join_neighbours() {
        let g = parse("BITOP <AND | OR | XOR | NOT> destkey key [key ...]");
        assert_eq!(g.args[0].children().len(), 4);
        let top = parse("X key a|B|c last");
        assert_eq!((top.args.len(), top.args[1].children().len()), (3, 3));
    }

    #[test]
    fn tokens_are_listed() {
        let mut seen = Vec::new();
        parse("SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]").tokens(&mut |t| seen.push(t));
        assert_eq!(seen, ["MATCH", "COUNT", "TYPE"]);
    }

    #[test]
    fn mistakes_are_told_not_panicked() {
        for bad in
            ["", "set key", "SET [key", "SET key]", "SET []", "SET ...", "SET <a|>", "SET |", "SET a|", "é"]
        {
            assert!(Grammar::parse(bad).error.is_some(), "{bad:?}");
        }
    }

    #[test]
    fn rendering_reads_back_as_the_same_tree() {
        for syntax in [
            "SET key value [NX|XX] [GET] [EX seconds|PX milliseconds|KEEPTTL]",
            "HSET key field value [field value ...]",
            "LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
            "SORT key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC|DESC] [ALPHA] [STORE destination]",
            "SINTERCARD numkeys key [key ...] [LIMIT limit]",
            "PING [message]",
        ] {
            let g = parse(syntax);
            let again: &'static str = format!("{} {}", g.name, render(&g.args)).leak();
            assert_eq!(parse(again), g, "{again}");
        }
    }

    #[test]
    fn hints_show_what_may_follow() {
        let set = parse("SET key value [NX|XX] [GET] [EX seconds|PX milliseconds]");
        let none: [&str; 0] = [];
        assert_eq!(set.hint(&none), "key value [NX|XX] [GET] [EX seconds|PX milliseconds]");
        assert_eq!(set.hint(&["k"]), "value [NX|XX] [GET] [EX seconds|PX milliseconds]");
        assert_eq!(set.hint(&["k", "v", "get"]), "[NX|XX] [EX seconds|PX milliseconds]");
        assert_eq!(set.hint(&["k", "v", "EX"]), "seconds [NX|XX] [GET]");
        assert_eq!(set.hint(&["k", "v", "bogus"]), "");
        let hset = parse("HSET key field value [field value ...]");
        assert_eq!(hset.hint(&["h"]), "field value [field value ...]");
        assert_eq!(hset.hint(&["h", "f"]), "value [field value ...]");
        assert_eq!(hset.hint(&["h", "f", "v"]), "[field value ...]");
        let card = parse("SINTERCARD numkeys key [key ...] [LIMIT limit]");
        assert_eq!(card.hint(&["2", "a", "b"]), "[key ...] [LIMIT limit]");
        assert_eq!(card.hint(&["2", "a", "b", "LIMIT"]), "limit");
    }
}
