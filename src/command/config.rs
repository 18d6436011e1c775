//! CONFIG: the thresholds that can be changed while the store runs, and facts about it that clients read.
//!
//! Parameters are a short list of what is true here. A fact has one possible value: setting it to that value is fine,
//! to another is refused. Old names (`*-ziplist-*`) are parameters of their own that share their setting.

use super::args::Args;
use super::config_file::rewrite;
use super::help;
use super::reply::Reply;
use super::row::{ADMIN, Flags, Group, Hold, LOADING, NOSCRIPT, Row, Run, STALE};
use super::session::Session;
use crate::acl::{Acl, CAN_HASH, Fault};
use crate::clients::{OutputLimit, Settings};
use crate::ds::glob;
use crate::keyspace::{Keyspace, Work};
use crate::limits::Setting;
use crate::pubsub::events::Notices;
use crate::sync::RwLock;
use crate::{Error, Result, num, ops};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

const COMMON: Flags = ADMIN.or(NOSCRIPT).or(LOADING).or(STALE);

/// CONFIG's subcommands.
pub(super) const SUBCOMMANDS: &[Row] = &[
    Row::new("CONFIG GET pattern [pattern ...]", -3, COMMON, Group::Server, Run::Session(get))
        .named("CONFIG|GET")
        .since(2, 0, 0)
        .doc(
            "Answers the parameters whose names match, with their values",
            "O(n*m) for n parameters, m patterns",
        ),
    Row::new(
        "CONFIG SET parameter value [parameter value ...]",
        -4,
        COMMON,
        Group::Server,
        Run::Session(set),
    )
    .named("CONFIG|SET")
    .since(2, 0, 0)
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
    .doc("Changes parameters: all of them, or none if one is refused", "O(n) in parameters given"),
    Row::new("CONFIG RESETSTAT", 2, COMMON, Group::Server, Run::Work(reset_stat))
        .named("CONFIG|RESETSTAT")
        .since(2, 0, 0)
        .hold(Hold::Walk)
        .doc("Sets the counters that INFO shows back to zero", "O(1)"),
    Row::new("CONFIG REWRITE", 2, COMMON, Group::Server, Run::Session(rewrite))
        .named("CONFIG|REWRITE")
        .since(2, 8, 0)
        .doc("Writes the parameters into the file that the server was configured from", "O(n) in its lines"),
    help::row("CONFIG HELP", "CONFIG|HELP", Group::Server),
];

/// How a parameter's value is written.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    /// An integer from 0 on.
    Count,
    /// An integer of 32 bits.
    Int,
    /// Bytes, with an optional unit; at least so many.
    Memory(i64),
}

/// One parameter.
pub(super) enum Parameter<'a> {
    Setting(&'a Setting, Unit),
    /// A number within bounds.
    Number(&'a AtomicI64, i64, i64),
    /// `yes` or `no`.
    Flag(&'a AtomicBool),
    /// What the default user must say.
    Password(&'a Acl),
    /// Which channels new users may use: all, or none.
    Channels(&'a AtomicBool),
    /// How much may wait to be written to clients.
    OutputLimits(&'a Settings),
    /// Which keyspace events are told on channels.
    Events(&'a Notices),
    /// Any text.
    Text(&'a RwLock<String>),
    /// Which percentiles INFO tells.
    Percentiles(&'a Settings),
    /// What can't be otherwise; `true` if no server lets it be set while it runs.
    Fact(String, bool),
}

/// The second names of settings.
pub(super) const OLD_NAMES: [(&str, &str); 5] = [
    ("hash-max-listpack-entries", "hash-max-ziplist-entries"),
    ("hash-max-listpack-value", "hash-max-ziplist-value"),
    ("list-max-listpack-size", "list-max-ziplist-size"),
    ("zset-max-listpack-entries", "zset-max-ziplist-entries"),
    ("zset-max-listpack-value", "zset-max-ziplist-value"),
];

/// Every parameter that this store's profile knows.
pub(super) fn parameters(keyspace: &Keyspace) -> Vec<(&'static str, Parameter<'_>)> {
    let rules = &keyspace.rules;
    let mut all = Vec::new();
    for (name, setting) in rules.settings() {
        if name.starts_with("set-max-listpack") && !rules.profile.has((7, 2)) {
            continue;
        }
        let old = OLD_NAMES.iter().find(|(new, _)| *new == name).map(|(_, old)| *old);
        for name in std::iter::once(name).chain(old) {
            all.push((name, Parameter::Setting(setting, unit(name))));
        }
    }
    let databases = keyspace.databases.to_string();
    let logged = if keyspace.log().is_some() { "yes" } else { "no" };
    all.extend(of_clients(&keyspace.clients.settings));
    all.extend(of_users(&keyspace.acl));
    let max_keys = &keyspace.clients.tracking.max_keys;
    all.extend([
        ("appendonly", Parameter::Fact(logged.into(), false)),
        ("databases", Parameter::Fact(databases, true)),
        ("hz", Parameter::Fact("10".into(), false)),
        ("list-compress-depth", Parameter::Fact("0".into(), false)),
        ("maxmemory", Parameter::Setting(&rules.maxmemory, Unit::Memory(0))),
        ("maxmemory-policy", Parameter::Fact("noeviction".into(), false)),
        ("notify-keyspace-events", Parameter::Events(&keyspace.broker.notices)),
        ("save", Parameter::Fact(String::new(), false)),
        ("tracking-table-max-keys", Parameter::Number(max_keys, 0, i64::MAX)),
    ]);
    all
}

/// What concerns clients.
fn of_clients(settings: &Settings) -> Vec<(&'static str, Parameter<'_>)> {
    let number = Parameter::Number;
    let fact = |text: String| Parameter::Fact(text, true);
    let yes_or_no = |flag: &AtomicBool| if flag.load(Relaxed) { "yes" } else { "no" };
    let debug = yes_or_no(&settings.allows_debug);
    vec![
        ("bind", fact(settings.bind.read().clone())),
        ("cluster-announce-ip", Parameter::Text(&settings.announced)),
        ("cluster-enabled", fact(yes_or_no(&settings.cluster).into())),
        ("client-output-buffer-limit", Parameter::OutputLimits(settings)),
        ("client-query-buffer-limit", number(&settings.query_limit, 1 << 20, i64::MAX)),
        ("enable-debug-command", fact(debug.into())),
        ("latency-monitor-threshold", number(&settings.latency_threshold, 0, i64::MAX)),
        ("latency-tracking", Parameter::Flag(&settings.tracks_latency)),
        ("latency-tracking-info-percentiles", Parameter::Percentiles(settings)),
        ("maxclients", number(&settings.max_clients, 1, u32::MAX.into())),
        ("port", fact(settings.port.load(Relaxed).to_string())),
        ("protected-mode", Parameter::Flag(&settings.protected)),
        ("slowlog-log-slower-than", number(&settings.slower_than, -1, i64::MAX)),
        ("slowlog-max-len", number(&settings.slowlog_len, 0, i64::MAX)),
        ("tcp-keepalive", number(&settings.keepalive, 0, i32::MAX.into())),
        ("timeout", number(&settings.timeout, 0, i32::MAX.into())),
        ("tls-port", fact(settings.tls_port.load(Relaxed).to_string())),
        ("unixsocket", fact(settings.unix_socket.read().clone())),
    ]
}

/// What concerns users.
fn of_users(acl: &Acl) -> [(&'static str, Parameter<'_>); 4] {
    let file = acl.file.read().as_ref().map_or_else(String::new, |path| path.display().to_string());
    [
        ("acl-pubsub-default", Parameter::Channels(&acl.all_channels)),
        ("aclfile", Parameter::Fact(file, true)),
        ("acllog-max-len", Parameter::Number(&acl.log_len, 0, i64::MAX)),
        ("requirepass", Parameter::Password(acl)),
    ]
}

fn unit(name: &str) -> Unit {
    match name {
        "list-max-listpack-size" | "list-max-ziplist-size" => Unit::Int,
        "proto-max-bulk-len" => Unit::Memory(1 << 20),
        "hll-sparse-max-bytes" => Unit::Memory(0),
        "stream-node-max-bytes" => Unit::Memory(0),
        name if name.ends_with("-value") && !name.starts_with("set-") => Unit::Memory(0),
        _ => Unit::Count,
    }
}

impl Parameter<'_> {
    pub(super) fn value(&self) -> String {
        match self {
            Parameter::Setting(setting, _) => setting.get().to_string(),
            Parameter::Number(number, ..) => number.load(Relaxed).to_string(),
            Parameter::Flag(flag) => if flag.load(Relaxed) { "yes" } else { "no" }.into(),
            Parameter::Password(acl) => String::from_utf8_lossy(&acl.required()).into_owned(),
            Parameter::Channels(all) => {
                if all.load(Relaxed) { "allchannels" } else { "resetchannels" }.into()
            }
            Parameter::OutputLimits(settings) => output_limits(settings),
            Parameter::Events(notices) => notices.letters(),
            Parameter::Text(text) => text.read().clone(),
            Parameter::Percentiles(settings) => percentiles(settings),
            Parameter::Fact(value, _) => value.clone(),
        }
    }

    fn is_immutable(&self) -> bool {
        matches!(self, Parameter::Fact(_, true))
    }
}

fn get(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let found = parameters(session.store.keyspace()).into_iter().filter_map(|(name, parameter)| {
        // A plain name is answered as it was written.
        let exact = args.rest(2).iter().find(|word| word.eq_ignore_ascii_case(name.as_bytes()));
        let matched = exact.is_some()
            || args.rest(2).iter().any(|pattern| glob::matches_ignore_case(pattern, name.as_bytes()));
        let shown = exact.copied().unwrap_or(name.as_bytes());
        matched.then(|| (Reply::bulk(shown), Reply::bulk(parameter.value())))
    });
    Ok(Reply::Map(found.collect()))
}

/// A parameter as a command names it, with the value it asks for.
type Request<'a, 'p> = (&'a [u8], &'a Parameter<'p>, &'a [u8]);

fn set(session: &mut Session, args: &Args<'_>) -> Result<Reply> {
    let (pairs, rest) = args.rest(2).as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Error::Syntax);
    }
    let parameters = parameters(session.store.keyspace());
    let mut requests: Vec<Request<'_, '_>> = Vec::new();
    for [name, value] in pairs {
        let found = parameters.iter().find(|(n, _)| n.as_bytes().eq_ignore_ascii_case(name));
        let (_, parameter) = found.ok_or_else(|| unknown(name))?;
        if parameter.is_immutable() {
            return Err(refused(name, "can't set immutable config"));
        }
        if requests.iter().any(|(other, ..)| other.eq_ignore_ascii_case(name)) {
            return Err(refused(name, "duplicate parameter"));
        }
        requests.push((name, parameter, value));
    }
    let mut changes = Vec::new();
    for (name, parameter, value) in requests {
        changes.extend(check(parameter, value).map_err(|why| refused(name, &why))?);
    }
    changes.into_iter().for_each(Change::make);
    Ok(Reply::OK)
}

/// What setting a parameter changes.
enum Change<'a> {
    Setting(&'a Setting, i64),
    Events(&'a Notices, &'a [u8]),
    Number(&'a AtomicI64, i64),
    Flag(&'a AtomicBool, bool),
    Password(&'a Acl, &'a [u8]),
    OutputLimits(&'a Settings, [OutputLimit; 3]),
    Text(&'a RwLock<String>, String),
    Percentiles(&'a Settings, Vec<f64>),
}

impl Change<'_> {
    fn make(self) {
        match self {
            Change::Setting(setting, value) => setting.set(value),
            Change::Events(notices, letters) => notices.configure(letters),
            Change::Number(number, value) => number.store(value, Relaxed),
            Change::Flag(flag, on) => flag.store(on, Relaxed),
            Change::Password(acl, password) => {
                // That it can be hashed was seen before.
                let _ = acl.require(password);
            }
            Change::OutputLimits(settings, limits) => *settings.output_limits.write() = limits,
            Change::Text(text, new) => *text.write() = new,
            Change::Percentiles(settings, new) => *settings.percentiles.write() = new,
        }
    }
}

/// What setting a parameter changes, if the value will do.
fn check<'a>(parameter: &Parameter<'a>, value: &'a [u8]) -> Result<Option<Change<'a>>, String> {
    let (setting, number) = match parameter {
        Parameter::Fact(fact, _) if value.eq_ignore_ascii_case(fact.as_bytes()) => return Ok(None),
        Parameter::Fact(fact, _) => return Err(format!("this store has no other value than '{fact}'")),
        Parameter::Events(notices) => {
            let change = Notices::are_letters(value).then_some(Change::Events(notices, value));
            let why = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
            return change.map(Some).ok_or_else(|| why.into());
        }
        Parameter::Number(number, least, most) => {
            // Buffers are measured in bytes, with units; the rest is counted.
            let value = match *least == 1 << 20 {
                true => memory(value)?,
                false => Some(num::parse_i64(value).ok_or("argument couldn't be parsed into an integer")?),
            };
            return Ok(Some(Change::Number(number, within(value, *least, *most)?)));
        }
        Parameter::Flag(flag) => {
            let on = match value.to_ascii_lowercase().as_slice() {
                b"yes" => true,
                b"no" => false,
                _ => return Err("argument must be 'yes' or 'no'".into()),
            };
            return Ok(Some(Change::Flag(flag, on)));
        }
        Parameter::Password(_) if !CAN_HASH && !value.is_empty() => return Err(Fault::NoHash.to_string()),
        Parameter::Password(acl) => return Ok(Some(Change::Password(acl, value))),
        Parameter::Channels(all) => {
            let on = match value.to_ascii_lowercase().as_slice() {
                b"allchannels" => true,
                b"resetchannels" => false,
                _ => {
                    return Err("argument(s) must be one of the following: allchannels, resetchannels".into());
                }
            };
            return Ok(Some(Change::Flag(all, on)));
        }
        Parameter::Text(text) => {
            return Ok(Some(Change::Text(text, String::from_utf8_lossy(value).into_owned())));
        }
        Parameter::Percentiles(settings) => {
            return Ok(Some(Change::Percentiles(settings, read_percentiles(value)?)));
        }
        Parameter::OutputLimits(settings) => {
            return Ok(Some(Change::OutputLimits(settings, read_output_limits(settings, value)?)));
        }
        Parameter::Setting(setting, Unit::Memory(least)) => {
            (setting, within(memory(value)?, *least, i64::MAX))
        }
        Parameter::Setting(setting, unit) => {
            let number = num::parse_i64(value).ok_or("argument couldn't be parsed into an integer")?;
            let (least, most) =
                if let Unit::Int = unit { (i32::MIN.into(), i32::MAX.into()) } else { (0, i64::MAX) };
            (setting, within(Some(number), least, most))
        }
    };
    Ok(Some(Change::Setting(setting, number?)))
}

fn percentiles(settings: &Settings) -> String {
    settings.percentiles.read().iter().map(f64::to_string).collect::<Vec<_>>().join(" ")
}

fn read_percentiles(value: &[u8]) -> Result<Vec<f64>, String> {
    let words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let read = |word: &[u8]| {
        let number = num::parse_f64(word).ok_or("Invalid latency-tracking-info-percentiles parameters")?;
        let why = "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
        if (0.0..=100.0).contains(&number) { Ok(number) } else { Err(why.into()) }
    };
    words.map(read).collect()
}

/// The classes of clients, by the names CONFIG has for them.
const CLASSES: [&str; 3] = ["normal", "slave", "pubsub"];

fn output_limits(settings: &Settings) -> String {
    let limits = *settings.output_limits.read();
    let one = |(class, limit): (&str, OutputLimit)| {
        format!("{class} {} {} {}", limit.hard, limit.soft, limit.seconds)
    };
    CLASSES.into_iter().zip(limits).map(one).collect::<Vec<_>>().join(" ")
}

/// Limits of the classes that are named; the others stay.
fn read_output_limits(settings: &Settings, value: &[u8]) -> Result<[OutputLimit; 3], String> {
    let words: Vec<&[u8]> = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect();
    let (classes, rest) = words.as_chunks::<4>();
    if !rest.is_empty() {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    let mut limits = *settings.output_limits.read();
    for [class, hard, soft, seconds] in classes {
        let class = if class.eq_ignore_ascii_case(b"replica") { b"slave" } else { *class };
        let place = CLASSES.iter().position(|name| class.eq_ignore_ascii_case(name.as_bytes()));
        let place = place.ok_or("Invalid client class specified in buffer limit configuration.")?;
        let bytes = |word: &[u8]| memory(word).ok().flatten().and_then(|n| u64::try_from(n).ok());
        let seconds = num::parse_i64(seconds).and_then(|n| u64::try_from(n).ok());
        let (Some(hard), Some(soft), Some(seconds)) = (bytes(hard), bytes(soft), seconds) else {
            return Err("Error in hard, soft or soft_seconds setting in buffer limit configuration.".into());
        };
        limits[place] = OutputLimit { hard, soft, seconds };
    }
    Ok(limits)
}

fn within(number: Option<i64>, least: i64, most: i64) -> Result<i64, String> {
    let fits = number.filter(|n| (least..=most).contains(n));
    fits.ok_or_else(|| format!("argument must be between {least} and {most} inclusive"))
}

/// Bytes with an optional unit: `64`, `1k` (1000), `2mb` (2 * 1024 * 1024). `None` is too many.
pub(super) fn memory(text: &[u8]) -> Result<Option<i64>, String> {
    let (digits, unit) = text.split_at(text.iter().take_while(|b| b.is_ascii_digit()).count());
    let factor: i64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return Err("argument must be a memory value".into()),
    };
    let add = |n: i64, digit: &u8| n.checked_mul(10)?.checked_add(i64::from(digit - b'0'));
    Ok(digits.iter().try_fold(0, add).and_then(|n| n.checked_mul(factor)))
}

fn unknown(name: &[u8]) -> Error {
    let name = String::from_utf8_lossy(name);
    Error::owned(format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'"))
}

fn refused(name: &[u8], why: &str) -> Error {
    let name = String::from_utf8_lossy(name);
    Error::owned(format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}"))
}

fn reset_stat(work: &mut Work<'_>, _: &Args<'_>) -> Result<Reply> {
    ops::server::reset_stats(work);
    Ok(Reply::OK)
}
