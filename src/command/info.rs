//! INFO: what is true of the store, under the names that Redis has for it. Fields whose subject does not exist in a
//! process (allocator, output buffers, forks, ...) are left out.

use super::args::Args;
use super::cluster;
use super::reply::Reply;
use super::row::{Group, Hold, LOADING, Row, Run, STALE};
use crate::acl::Why;
use crate::keyspace::Work;
use crate::log::{Health, Log};
use crate::pubsub::Topic;
use crate::{Bytes, Result, clock, ops};
use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

/// INFO's row.
pub(super) const ROW: Row =
    Row::new("INFO [section ...]", -1, LOADING.or(STALE), Group::Server, Run::Work(info))
        .hold(Hold::Walk)
        .categories(&["@dangerous"])
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .doc("Tells about the store, by section or all", "O(s) in shards and databases");

/// A section: writes its fields.
type Section = fn(&mut Work<'_>, &mut String);

/// All sections, in the order of Redis.
const SECTIONS: [(&str, Section); 13] = [
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("CPU", cpu),
    ("Modules", |_, _| ()),
    ("Commandstats", command_stats),
    ("Errorstats", error_stats),
    ("Latencystats", latency_stats),
    ("Cluster", |work, out| field(out, "cluster_enabled", u8::from(cluster::is_on(work.keyspace())))),
    ("Keyspace", keyspace),
];

fn info(work: &mut Work<'_>, args: &Args<'_>) -> Result<Reply> {
    let asked = args.rest(1);
    let wanted = |section: &str| {
        let names = |word: &&[u8]| word.eq_ignore_ascii_case(section.as_bytes());
        asked.iter().any(names) || asked.iter().any(|word| is_every_section(word))
    };
    let by_default = asked.is_empty() || asked.iter().any(|word| word.eq_ignore_ascii_case(b"default"));
    let mut text = String::new();
    for (name, write) in SECTIONS {
        if by_default && !matches!(name, "Commandstats" | "Latencystats") || wanted(name) {
            let gap = if text.is_empty() { "" } else { "\r\n" };
            let _ = write!(text, "{gap}# {name}\r\n");
            write(work, &mut text);
        }
    }
    Ok(Reply::Verbatim(*b"txt", Bytes::from(text.into_bytes())))
}

fn is_every_section(word: &[u8]) -> bool {
    ["all", "everything"].iter().any(|all| word.eq_ignore_ascii_case(all.as_bytes()))
}

fn field(out: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = write!(out, "{name}:{value}\r\n");
}

fn server(work: &mut Work<'_>, out: &mut String) {
    let keyspace = work.keyspace();
    let up = keyspace.clock.now_ms().saturating_sub(keyspace.started_ms) / 1000;
    field(out, "redis_version", keyspace.rules.profile.version_text());
    field(out, "redis_mode", if cluster::is_on(keyspace) { "cluster" } else { "standalone" });
    field(out, "os", format_args!("{} {}", std::env::consts::OS, std::env::consts::ARCH));
    field(out, "arch_bits", usize::BITS);
    field(out, "process_id", std::process::id());
    field(out, "process_supervised", "no");
    field(out, "run_id", &keyspace.clients.ids.run);
    field(out, "tcp_port", keyspace.clients.settings.port.load(Relaxed));
    field(out, "server_time_usec", keyspace.clock.now_us());
    field(out, "uptime_in_seconds", up);
    field(out, "uptime_in_days", up / 86_400);
    field(out, "hz", 10);
    field(out, "configured_hz", 10);
    field(out, "executable", std::env::current_exe().unwrap_or_default().display());
    field(out, "config_file", &*keyspace.clients.settings.file.read());
}

fn clients(work: &mut Work<'_>, out: &mut String) {
    field(out, "connected_clients", work.keyspace().counts.open_sessions.load(Relaxed));
    field(out, "cluster_connections", 0);
    field(out, "maxclients", work.keyspace().clients.settings.max_clients.load(Relaxed));
    field(out, "blocked_clients", work.keyspace().blocked_sessions());
    field(out, "tracking_clients", work.keyspace().clients.tracking.counts()[0]);
}

fn memory(work: &mut Work<'_>, out: &mut String) {
    let used = work.keyspace().overhead() + ops::server::memory_used(work);
    let most = work.rules().maxmemory.count();
    field(out, "used_memory", used);
    field(out, "used_memory_human", human(used));
    field(out, "maxmemory", most);
    field(out, "maxmemory_human", human(most));
    field(out, "maxmemory_policy", "noeviction");
}

/// Bytes as people read them: `1.50M`.
fn human(bytes: usize) -> String {
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut value = bytes as f64;
    for unit in ["K", "M", "G", "T"] {
        value /= 1024.0;
        if value < 1024.0 || unit == "T" {
            return format!("{value:.2}{unit}");
        }
    }
    String::new()
}

fn persistence(work: &mut Work<'_>, out: &mut String) {
    let keyspace = work.keyspace();
    field(out, "loading", u8::from(keyspace.loading.load(Relaxed)));
    field(out, "async_loading", 0);
    let Some(durable) = keyspace.durable() else {
        field(out, "rdb_bgsave_in_progress", 0);
        field(out, "aof_enabled", 0);
        field(out, "aof_rewrite_in_progress", 0);
        return field(out, "aof_rewrite_scheduled", 0);
    };
    let (saves, log) = (&durable.saves, durable.log.as_deref());
    let status = |failed: bool| if failed { "err" } else { "ok" };
    let (done, total) = saves.progress.lock().as_ref().map_or((0, 0), |p| (p.done(), p.total()));
    let (saving, rewriting) = (saves.running.load(Relaxed), log.is_some_and(Log::is_rewriting));
    field(out, "current_save_keys_processed", if saving || rewriting { done } else { 0 });
    field(out, "current_save_keys_total", if saving || rewriting { total } else { 0 });
    field(out, "rdb_changes_since_last_save", saves.changes.load(Relaxed));
    field(out, "rdb_bgsave_in_progress", u8::from(saving));
    field(out, "rdb_last_save_time", saves.last_ms.load(Relaxed) / 1000);
    field(out, "rdb_last_bgsave_status", status(saves.failed.load(Relaxed)));
    field(out, "aof_enabled", u8::from(log.is_some()));
    field(out, "aof_rewrite_in_progress", u8::from(rewriting));
    field(out, "aof_rewrite_scheduled", u8::from(saves.rewrite_waits.load(Relaxed)));
    field(out, "aof_last_bgrewrite_status", status(saves.rewrite_failed.load(Relaxed)));
    let Some(log) = log else { return };
    let sizes = log.sizes();
    field(out, "aof_last_write_status", status(log.health() != Health::Fine));
    field(out, "aof_current_size", sizes.base + sizes.log);
    field(out, "aof_base_size", durable.size_then.load(Relaxed));
    field(out, "aof_buffer_length", sizes.buffered);
    field(out, "aof_pending_bio_fsync", 0);
}

fn stats(work: &mut Work<'_>, out: &mut String) {
    let totals = ops::server::totals(work);
    let counts = &work.keyspace().counts;
    field(out, "total_connections_received", counts.sessions.load(Relaxed));
    field(out, "total_commands_processed", counts.commands.load(Relaxed));
    let traffic = &work.keyspace().clients.traffic;
    field(out, "total_net_input_bytes", traffic.input.load(Relaxed));
    field(out, "total_net_output_bytes", traffic.output.load(Relaxed));
    field(out, "rejected_connections", traffic.rejected.load(Relaxed));
    field(out, "expired_keys", totals.expired);
    field(out, "evicted_keys", 0);
    field(out, "keyspace_hits", totals.hits);
    field(out, "keyspace_misses", totals.misses);
    field(out, "lost_wait_results", work.keyspace().lost_results());
    let broker = &work.keyspace().broker;
    field(out, "pubsub_channels", broker.count(Topic::Channel));
    field(out, "pubsub_patterns", broker.count(Topic::Pattern));
    field(out, "pubsubshard_channels", broker.count(Topic::Shard));
    if work.keyspace().rules.profile.has((7, 2)) {
        let reasons =
            [("auth", Why::Auth), ("cmd", Why::Command), ("key", Why::Key), ("channel", Why::Channel)];
        for (name, why) in reasons {
            field(out, &format!("acl_access_denied_{name}"), work.keyspace().acl.log.count(why));
        }
    }
    let [_, keys, items, prefixes] = work.keyspace().clients.tracking.counts();
    field(out, "tracking_total_keys", keys);
    field(out, "tracking_total_items", items);
    field(out, "tracking_total_prefixes", prefixes);
    field(out, "total_error_replies", counts.errors.lock().values().sum::<u64>());
    field(out, "total_reads_processed", traffic.reads.load(Relaxed));
    field(out, "total_writes_processed", traffic.writes.load(Relaxed));
}

fn replication(work: &mut Work<'_>, out: &mut String) {
    field(out, "role", "master");
    field(out, "connected_slaves", 0);
    field(out, "master_failover_state", "no-failover");
    field(out, "master_replid", &*work.keyspace().clients.ids.history.lock());
    field(out, "master_replid2", "0".repeat(40));
    field(out, "master_repl_offset", 0);
    field(out, "second_repl_offset", -1);
    field(out, "repl_backlog_active", 0);
}

fn cpu(_: &mut Work<'_>, out: &mut String) {
    if let Some([user, system]) = clock::cpu_times() {
        field(out, "used_cpu_sys", format_args!("{:.6}", system.as_secs_f64()));
        field(out, "used_cpu_user", format_args!("{:.6}", user.as_secs_f64()));
    }
}

fn command_stats(work: &mut Work<'_>, out: &mut String) {
    for (name, stat) in work.keyspace().clients.stats.all() {
        let mean = stat.micros as f64 / stat.calls.max(1) as f64;
        let (calls, micros, rejected, failed) = (stat.calls, stat.micros, stat.rejected, stat.failed);
        let told = format!("calls={calls},usec={micros},usec_per_call={mean:.2}");
        let told = format!("{told},rejected_calls={rejected},failed_calls={failed}");
        field(out, &format!("cmdstat_{}", name.to_ascii_lowercase()), told);
    }
}

/// How long commands take, by percentiles: the longest time of the range in which each lies.
fn latency_stats(work: &mut Work<'_>, out: &mut String) {
    let clients = &work.keyspace().clients;
    if !clients.settings.tracks_latency.load(Relaxed) {
        return;
    }
    let percentiles = clients.settings.percentiles.read().clone();
    for (name, stat) in clients.stats.all().iter().filter(|(_, stat)| stat.calls > 0) {
        let one = |percentile: &f64| format!("p{percentile}={:.3}", stat.percentile(*percentile) as f64);
        let told: Vec<String> = percentiles.iter().map(one).collect();
        field(out, &format!("latency_percentiles_usec_{}", name.to_ascii_lowercase()), told.join(","));
    }
}

fn error_stats(work: &mut Work<'_>, out: &mut String) {
    for (code, count) in work.keyspace().counts.errors.lock().iter() {
        field(out, &format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

fn keyspace(work: &mut Work<'_>, out: &mut String) {
    for db in 0..work.keyspace().databases {
        let size = work.on_db(db, |work| ops::server::db_size(work));
        if size.keys > 0 {
            let (keys, expires, ttl) = (size.keys, size.expires, size.mean_ttl);
            field(out, &format!("db{db}"), format_args!("keys={keys},expires={expires},avg_ttl={ttl}"));
        }
    }
}
