//! The stream type against a naive one: entries over many blocks, groups with what is pending, and each step taken back.

use larder::value::stream::{Keep, StreamUndo, Trim};
use larder::value::stream_group::{Group, Pending};
use larder::value::{Collection, Edit, Stream};
use larder::{Error, MkStream, Profile, Store, StreamId, XAddOptions, XTrim};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    entries: BTreeMap<StreamId, Fields>,
    last: StreamId,
    deleted: StreamId,
    added: u64,
    groups: BTreeMap<u8, ModelGroup>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct ModelGroup {
    last: StreamId,
    pending: BTreeMap<StreamId, (u8, u64, u64)>,
    consumers: BTreeSet<u8>,
}

#[derive(Clone, Debug)]
enum Op {
    Append(u64, u64, Fields),
    /// The entry so far from the front, or an id that is not there.
    Delete(Vec<usize>),
    Trim(Keep, bool, u64),
    Create(u8),
    Destroy(u8),
    Position(u8, usize),
    AddConsumer(u8, u8),
    RemoveConsumer(u8, u8),
    Deliver(u8, u8, usize, u64),
    Acknowledge(u8, usize),
}

fn fields() -> impl Strategy<Value = Fields> {
    let text = prop_oneof![
        4 => (0u8..4).prop_map(|n| format!("f{n}").into_bytes()),
        2 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        1 => (0usize..300).prop_map(|n| vec![b'x'; n]),
    ];
    let usual = text.clone().prop_map(|value| vec![(b"type".to_vec(), value)]);
    let any = prop::collection::vec(((0u8..3).prop_map(|n| vec![b'a' + n]), text), 1..4);
    prop_oneof![3 => usual, 1 => any]
}

fn op() -> impl Strategy<Value = Op> {
    let keep = prop_oneof![
        (0u64..40).prop_map(Keep::Len),
        (0u64..60, 0u64..3).prop_map(|(ms, seq)| Keep::From(StreamId::new(ms, seq)))
    ];
    let (group, consumer) = (0u8..3, 0u8..3);
    prop_oneof![
        12 => (0u64..3, 0u64..3, fields()).prop_map(|(ms, seq, fields)| Op::Append(ms, seq, fields)),
        4 => prop::collection::vec(0usize..50, 1..4).prop_map(Op::Delete),
        1 => (keep, any::<bool>(), 0u64..20).prop_map(|(keep, approx, limit)| Op::Trim(keep, approx, limit)),
        2 => group.clone().prop_map(Op::Create),
        1 => group.clone().prop_map(Op::Destroy),
        1 => (group.clone(), 0usize..50).prop_map(|(group, at)| Op::Position(group, at)),
        2 => (group.clone(), consumer.clone()).prop_map(|(group, name)| Op::AddConsumer(group, name)),
        1 => (group.clone(), consumer.clone()).prop_map(|(group, name)| Op::RemoveConsumer(group, name)),
        6 => (group.clone(), consumer, 0usize..50, 0u64..9)
            .prop_map(|(group, name, at, time)| Op::Deliver(group, name, at, time)),
        3 => (group, 0usize..50).prop_map(|(group, at)| Op::Acknowledge(group, at)),
    ]
}

/// A store whose blocks are small.
fn store(entries: i64, bytes: i64) -> Store {
    let store = Store::builder().profile(Profile::V7_0).seed(3).background(false).build().unwrap();
    let rules = &store.keyspace().rules;
    rules.stream_node_max_entries.set(entries);
    rules.stream_node_max_bytes.set(bytes);
    store
}

impl Model {
    fn nth(&self, at: usize) -> StreamId {
        self.entries.keys().nth(at).copied().unwrap_or(StreamId::new(1_000_000, at as u64))
    }

    fn remove_all(&mut self, ids: impl IntoIterator<Item = StreamId>) -> u64 {
        ids.into_iter().filter(|id| self.entries.remove(id).is_some()).count() as u64
    }
}

fn apply(edit: &mut Edit<'_, Stream>, model: &mut Model, op: Op) {
    match op {
        Op::Append(ms, seq, fields) => append(edit, model, ms, seq, fields),
        Op::Delete(at) => {
            let ids: Vec<StreamId> = at.into_iter().map(|at| model.nth(at)).collect();
            let there = ids.iter().filter(|id| model.entries.contains_key(id)).max().copied();
            model.deleted = model.deleted.max(there.unwrap_or_default());
            assert_eq!(edit.delete(&ids) as u64, model.remove_all(ids));
        }
        Op::Trim(keep, approx, limit) => {
            trim(edit, model, Trim { keep, approx, limit: if approx { limit } else { 0 } })
        }
        Op::Create(group) => {
            let is_new = !model.groups.contains_key(&group);
            assert_eq!(edit.create_group(&[group], model.last, None), is_new);
            let last = model.last;
            model.groups.entry(group).or_insert_with(|| ModelGroup { last, ..ModelGroup::default() });
        }
        Op::Destroy(group) => assert_eq!(edit.destroy_group(&[group]), model.groups.remove(&group).is_some()),
        Op::Position(group, at) => {
            let id = model.nth(at);
            let done = edit.with_group(&[group], |group| group.set_position(id, Some(at as u64)));
            assert_eq!(done.is_some(), model.groups.get_mut(&group).map(|group| group.last = id).is_some());
        }
        Op::AddConsumer(group, name) => add_consumer(edit, model, group, name),
        Op::RemoveConsumer(group, name) => {
            let gone = edit.with_group(&[group], |group| group.remove_consumer(&[name])).flatten();
            let theirs = model.groups.get_mut(&group).and_then(|group| {
                let before = group.pending.len();
                group.pending.retain(|_, (consumer, ..)| *consumer != name);
                group.consumers.remove(&name).then_some(before - group.pending.len())
            });
            assert_eq!(gone, theirs);
        }
        Op::Deliver(group, name, at, time) => {
            add_consumer(edit, model, group, name);
            let id = model.nth(at);
            let Some(theirs) = model.groups.get_mut(&group) else { return };
            let was = theirs.pending.insert(id, (name, time, 1 + time)).is_some();
            let done = edit.with_group(&[group], |group| {
                let consumer = group.group().number(&[name]).unwrap();
                group.set_pending(id, Some(Pending { consumer, time, count: 1 + time }))
            });
            assert_eq!(done, Some(was));
        }
        Op::Acknowledge(group, at) => {
            let id = model.groups.get(&group).and_then(|group| group.pending.keys().nth(at).copied());
            let id = id.unwrap_or(model.nth(at));
            let theirs = model.groups.get_mut(&group).map(|group| group.pending.remove(&id).is_some());
            assert_eq!(edit.with_group(&[group], |group| group.set_pending(id, None)), theirs);
        }
    }
}

fn append(edit: &mut Edit<'_, Stream>, model: &mut Model, ms: u64, seq: u64, fields: Fields) {
    let last = model.last;
    let id =
        if ms == 0 { StreamId::new(last.ms, last.seq + 1 + seq) } else { StreamId::new(last.ms + ms, seq) };
    let pairs: Vec<(&[u8], &[u8])> = fields.iter().map(|(field, value)| (&**field, &**value)).collect();
    edit.append(id, &pairs);
    model.entries.insert(id, fields);
    (model.last, model.added) = (id, model.added + 1);
}

fn add_consumer(edit: &mut Edit<'_, Stream>, model: &mut Model, group: u8, name: u8) {
    let is_new = model.groups.get_mut(&group).is_some_and(|group| group.consumers.insert(name));
    if is_new {
        edit.with_group(&[group], |group| group.add_consumer(&[name], 7)).unwrap();
    }
}

fn trim(edit: &mut Edit<'_, Stream>, model: &mut Model, trim: Trim) {
    let over: Vec<StreamId> = match trim.keep {
        Keep::Len(most) => {
            let over = model.entries.len().saturating_sub(most as usize);
            model.entries.keys().take(over).copied().collect()
        }
        Keep::From(id) => model.entries.range(..id).map(|(id, _)| *id).collect(),
    };
    let gone = edit.trim(trim) as usize;
    if trim.approx {
        assert!(gone <= over.len() && (trim.limit == 0 || gone <= trim.limit as usize));
    } else {
        assert_eq!(gone, over.len());
    }
    assert_eq!(model.remove_all(over.into_iter().take(gone)), gone as u64);
}

fn read(stream: &Stream) -> Model {
    let owned = |fields: larder::ds::stream_block::Fields<'_>| {
        fields.map(|(f, v)| (f.to_vec(), v.to_vec())).collect()
    };
    let head = stream.head();
    let groups = stream.groups().map(|(name, group)| (name[0], read_group(group))).collect();
    Model {
        entries: stream.iter().map(|entry| (entry.id, owned(entry.fields()))).collect(),
        last: head.last,
        deleted: head.deleted,
        added: head.added,
        groups,
    }
}

fn read_group(group: &Group) -> ModelGroup {
    let pending = group.pending_from(StreamId::MIN);
    let pending = pending.map(|(id, p)| (id, (group.name(p.consumer)[0], p.time, p.count)));
    ModelGroup {
        last: group.last(),
        pending: pending.collect(),
        consumers: group.consumers().map(|consumer| consumer.name()[0]).collect(),
    }
}

fn check(stream: &Stream, model: &Model) {
    assert_eq!(&read(stream), model);
    assert_eq!(stream.mem(), stream.recount());
    let head = stream.head();
    assert_eq!(head.len, model.entries.len() as u64);
    assert_eq!(head.first, model.entries.keys().next().copied().unwrap_or_default());
    assert_eq!(stream.last_valid(), model.entries.keys().next_back().copied());
    let ids = |entries: Vec<StreamId>| entries;
    for at in [0, 1, model.entries.len() / 2, model.entries.len()] {
        let id = model.nth(at);
        assert_eq!(stream.get(id).is_some(), model.entries.contains_key(&id));
        let forwards: Vec<StreamId> = stream.range(id, StreamId::MAX).map(|entry| entry.id).collect();
        assert_eq!(forwards, ids(model.entries.range(id..).map(|(id, _)| *id).collect()));
        let back: Vec<StreamId> = stream.range_back(StreamId::MIN, id).map(|entry| entry.id).collect();
        assert_eq!(back, ids(model.entries.range(..=id).rev().map(|(id, _)| *id).collect()));
    }
    for (_, group) in stream.groups() {
        let ids: usize = group.consumers().map(|consumer| consumer.ids_from(StreamId::MIN).count()).sum();
        assert_eq!((ids, group.pending()), (group.pending(), group.pending_from(StreamId::MIN).count()));
        for consumer in group.consumers() {
            let number = group.number(consumer.name());
            let its = |id| group.get(id).map(|pending| pending.consumer) == number;
            assert!(consumer.ids_from(StreamId::MIN).all(its));
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_a_naive_stream_does(
        before in prop::collection::vec(op(), 0..60),
        after in prop::collection::vec(op(), 0..60),
        (entries, bytes) in (1i64..9, prop_oneof![Just(4096i64), 60i64..300, Just(0i64)]),
    ) {
        let store = store(entries, bytes);
        let rules = &store.keyspace().rules;
        let (mut stream, mut model) = (Stream::default(), Model::default());
        for op in before {
            apply(&mut Edit::new(&mut stream, rules, None), &mut model, op);
            check(&stream, &model);
        }
        let (was, copy, mut steps) = (model.clone(), stream.clone(), Vec::<StreamUndo>::new());
        check(&copy, &was);
        for op in after {
            apply(&mut Edit::new(&mut stream, rules, Some(&mut steps)), &mut model, op);
            check(&stream, &model);
        }
        for step in steps.into_iter().rev() {
            stream.undo(step, rules);
        }
        check(&stream, &was);
        assert!(stream.block_ids().eq(copy.block_ids()));
    }
}

/// 100 entries to a block, values of 8 and 16 bytes: at most what Redis needs for them.
#[test]
fn an_entry_of_two_fields_takes_under_36_bytes() {
    let store = Store::builder().background(false).build().unwrap();
    let before = store.memory_used();
    let count = 20_000;
    for n in 0..count {
        store.xadd("s", [("type", format!("{n:08}")), ("user", format!("{n:016}"))]).unwrap();
    }
    let each = (store.memory_used() - before) as f64 / f64::from(count);
    assert!(each < 36.0, "{each} bytes an entry");
}

#[test]
fn a_stream_stays_when_its_last_entry_goes() {
    let store = Store::new();
    let id = store.xadd("s", [("f", "v")]).unwrap();
    assert_eq!(store.xdel("s", [id]).unwrap(), 1);
    assert_eq!((store.xlen("s").unwrap(), store.exists(["s"]).unwrap()), (0, 1));
    assert_eq!(store.xinfo_stream("s").unwrap().last_generated_id, id);
    store.xadd("s", [("f", "v")]).unwrap();
    store.xtrim("s", XTrim::maxlen(0)).unwrap();
    assert_eq!((store.xlen("s").unwrap(), store.exists(["s"]).unwrap()), (0, 1));
}

#[test]
fn what_is_refused_makes_no_stream() {
    let store = Store::new();
    let zero = XAddOptions::new().id(StreamId::MIN);
    assert!(store.xadd_with("s", [("f", "v")], zero).is_err());
    assert_eq!(store.xadd("s", [("f", "v"); 0]), Err(Error::Arity("xadd".into())));
    assert!(store.xgroup_create("s", "g", StreamId::MIN, MkStream::No).is_err());
    assert_eq!(store.dbsize().unwrap(), 0);
    store.set("s", "x").unwrap();
    assert_eq!(store.xadd("s", [("f", "v")]), Err(Error::WrongType));
    assert_eq!(store.xgroup_create("s", "g", StreamId::MIN, MkStream::Yes), Err(Error::WrongType));
}

/// A group, its consumers and what they have pending come back when a body fails; so does a stream that was deleted.
#[test]
fn a_failed_body_leaves_groups_as_they_were() {
    let store = Store::builder().background(false).build().unwrap();
    for n in 0..300 {
        store.xadd("s", [("n", n.to_string())]).unwrap();
    }
    store.xgroup_create("s", "g", StreamId::MIN, MkStream::No).unwrap();
    store.xreadgroup("s", "g", "a").count(200).read().unwrap();
    let digest = store.digest().unwrap();
    let failed = store.transaction(["s", "t"], |tx| {
        let read = tx.xreadgroup("s", "g", "b").read()?;
        assert_eq!(read.len(), 100);
        tx.xack("s", "g", read.iter().map(|entry| entry.id).take(50))?;
        tx.xgroup_delconsumer("s", "g", "a")?;
        tx.xgroup_destroy("s", "g")?;
        tx.xgroup_create("t", "g", StreamId::MIN, MkStream::Yes)?;
        tx.xtrim("s", XTrim::maxlen(30))?;
        tx.xadd("s", [("n", "last")])?;
        tx.del(["s"])?;
        tx.xadd("s", [("other", "stream")])?;
        Err::<(), _>(Error::abort("as asked"))
    });
    assert!(failed.is_err());
    assert_eq!(store.digest().unwrap(), digest);
    assert_eq!(store.memory_used(), store.keyspace().memory_recount());
    assert_eq!(store.xreadgroup("s", "g", "b").read().unwrap().len(), 100);
}

/// COPY takes groups along, and the two go their own ways.
#[test]
fn a_copy_has_the_groups_too() {
    let store = Store::new();
    let id = store.xadd("s", [("f", "v")]).unwrap();
    store.xgroup_create("s", "g", StreamId::MIN, MkStream::No).unwrap();
    store.xreadgroup("s", "g", "a").read().unwrap();
    assert!(store.copy("s", "t").unwrap());
    assert_eq!(store.xack("t", "g", [id]).unwrap(), 1);
    assert_eq!(store.xpending("s", "g").unwrap().count, 1);
    assert_eq!(store.xpending("t", "g").unwrap().count, 0);
    assert_eq!(store.memory_used(), store.keyspace().memory_recount());
}

/// From 7.2 on a consumer is made, and seen, by asking; before, by getting something.
#[test]
fn asking_makes_a_consumer_from_7_2_on() {
    for (profile, made) in [(Profile::V7_0, 0), (Profile::V7_2, 1)] {
        let store = Store::builder().profile(profile).build().unwrap();
        store.xgroup_create("s", "g", StreamId::MIN, MkStream::Yes).unwrap();
        assert!(store.xreadgroup("s", "g", "a").read().unwrap().is_empty());
        let consumers = store.xinfo_consumers("s", "g").unwrap();
        assert_eq!(consumers.len(), made);
        assert!(consumers.iter().all(|consumer| consumer.inactive.is_none()));
    }
}
