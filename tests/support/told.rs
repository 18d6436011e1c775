//! What a snapshot tells, written down for comparison, and a store's content written down the same way by its own look.

use larder::ds::stream_block::Block;
use larder::keyspace::Keyspace;
use larder::keyspace::entry::Entry;
use larder::keyspace::snapshot::{Named, Sink};
use larder::value::stream::{Groups, Head};
use larder::value::{Hash, List, Set, StrRef, Stream, ZSet};
use larder::{Kind, Result, StreamId};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A key of a database.
pub type Place = (usize, Vec<u8>);

/// A value in the order that counts, with its deadline.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub deadline: Option<u64>,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    String(Vec<u8>),
    List(Vec<Vec<u8>>),
    Set(Vec<Vec<u8>>),
    Hash(Vec<(Vec<u8>, Vec<u8>, Option<u64>)>),
    ZSet(Vec<(Vec<u8>, u64)>),
    Stream(Head, Vec<(StreamId, Vec<Vec<u8>>)>, String),
}

impl Content {
    fn sorted(mut self) -> Content {
        match &mut self {
            Content::Set(members) => members.sort(),
            Content::Hash(fields) => fields.sort(),
            Content::ZSet(members) => members.sort(),
            _ => {}
        }
        self
    }

    fn len(&self) -> usize {
        match self {
            Content::List(items) | Content::Set(items) => items.len(),
            Content::Hash(fields) => fields.len(),
            Content::ZSet(members) => members.len(),
            _ => 0,
        }
    }
}

/// What a store holds, expired or not.
pub fn held(keyspace: &Keyspace) -> BTreeMap<Place, Told> {
    let all = RefCell::new(BTreeMap::new());
    keyspace.each_space(|db, space| {
        for entry in space.table.iter() {
            let told = Told { deadline: entry.deadline(), content: content(entry).sorted() };
            assert!(all.borrow_mut().insert((db, entry.key().to_vec()), told).is_none());
        }
        0
    });
    all.into_inner()
}

fn content(entry: &Entry) -> Content {
    let view = || entry.view();
    match view().kind() {
        Kind::String => Content::String(view().string().unwrap().with(<[u8]>::to_vec)),
        Kind::List => {
            Content::List(view().collection::<List>().unwrap().iter().map(<[u8]>::to_vec).collect())
        }
        Kind::Set => {
            let set = view().collection::<Set>().unwrap();
            Content::Set(set.iter().map(|member| member.with(<[u8]>::to_vec)).collect())
        }
        Kind::Hash => {
            let hash = view().collection::<Hash>().unwrap();
            let pairs = hash.pairs().into_iter();
            Content::Hash(pairs.map(|(f, v)| (f.to_vec(), v.to_vec(), hash.deadline(f))).collect())
        }
        Kind::ZSet => {
            let set = view().collection::<ZSet>().unwrap();
            Content::ZSet(set.iter().map(|(member, score)| (member.to_vec(), score.to_bits())).collect())
        }
        Kind::Stream => {
            let stream = view().collection::<Stream>().unwrap();
            let texts = |entry: larder::ds::stream_block::EntryRef<'_>| {
                entry.fields().flat_map(|(f, v)| [f.to_vec(), v.to_vec()]).collect()
            };
            let entries = stream.iter().map(|entry| (entry.id, texts(entry))).collect();
            Content::Stream(stream.head(), entries, groups(stream.all_groups()))
        }
        other => panic!("{other:?}"),
    }
}

fn groups(groups: &Groups) -> String {
    let mut lines = String::new();
    for (name, group) in groups.iter() {
        let pending = group.pending_from(StreamId::MIN).map(|(id, p)| {
            (id, p.time, p.count, String::from_utf8_lossy(group.name(p.consumer)).into_owned())
        });
        let consumers = group.consumers().map(|c| {
            (
                String::from_utf8_lossy(c.name()).into_owned(),
                c.times(),
                c.ids_from(StreamId::MIN).collect::<Vec<_>>(),
            )
        });
        let (pending, consumers) = (pending.collect::<Vec<_>>(), consumers.collect::<Vec<_>>());
        lines += &format!("{name:?} {:?} {:?} {pending:?} {consumers:?}\n", group.last(), group.read());
    }
    lines
}

/// A sink that writes down what it is told, and sees to it that nothing is told twice or short.
#[derive(Default)]
pub struct Ledger {
    all: BTreeMap<Place, Told>,
    db: Option<(usize, usize, usize)>,
    open: Option<(Vec<u8>, Told, usize)>,
}

impl Ledger {
    /// What was told.
    pub fn finish(mut self) -> BTreeMap<Place, Told> {
        self.close_db();
        self.all
    }

    fn close(&mut self) {
        let (Some((db, keys, _)), Some((key, mut told, count))) = (&mut self.db, self.open.take()) else {
            return;
        };
        if let Content::Stream(..) = told.content {
            assert_eq!(count, 0, "blocks are missing");
        } else {
            assert_eq!(told.content.len(), count, "of {key:?}");
        }
        told.content = told.content.sorted();
        *keys = keys.checked_sub(1).expect("more keys than were said");
        if let Some(old) = self.all.insert((*db, key.clone()), told) {
            panic!("{key:?} is told twice, first as {old:?}");
        }
    }

    fn close_db(&mut self) {
        self.close();
        if let Some((db, keys, deadlines)) = self.db.take() {
            assert_eq!(keys, 0, "keys of database {db} are missing");
            let told = self.all.iter().filter(|((of, _), told)| *of == db && told.deadline.is_some());
            assert_eq!(told.count(), deadlines);
        }
    }

    fn open(&mut self, key: &Named<'_>, content: Content, count: usize) -> Result<()> {
        self.close();
        self.open = Some((key.key.to_vec(), Told { deadline: key.deadline, content }, count));
        Ok(())
    }

    fn content(&mut self) -> &mut Content {
        &mut self.open.as_mut().expect("no key was begun").1.content
    }
}

impl Sink for Ledger {
    fn database(&mut self, db: usize, keys: usize, deadlines: usize) -> Result<()> {
        self.close_db();
        assert!(!self.all.keys().any(|(of, _)| *of == db));
        self.db = Some((db, keys, deadlines));
        Ok(())
    }

    fn string(&mut self, key: &Named<'_>, string: StrRef<'_>) -> Result<()> {
        self.open(key, Content::String(string.with(<[u8]>::to_vec)), 0)
    }

    fn begin(&mut self, key: &Named<'_>, kind: Kind, count: usize) -> Result<()> {
        let content = match kind {
            Kind::List => Content::List(Vec::new()),
            Kind::Set => Content::Set(Vec::new()),
            Kind::Hash => Content::Hash(Vec::new()),
            Kind::ZSet => Content::ZSet(Vec::new()),
            other => panic!("{other:?} is not begun so"),
        };
        self.open(key, content, count)
    }

    fn item(&mut self, item: &[u8]) -> Result<()> {
        match self.content() {
            Content::List(items) | Content::Set(items) => items.push(item.to_vec()),
            other => panic!("an item of {other:?}"),
        }
        Ok(())
    }

    fn pair(&mut self, field: &[u8], value: &[u8], deadline: Option<u64>) -> Result<()> {
        let Content::Hash(fields) = self.content() else { panic!("a field of no hash") };
        fields.push((field.to_vec(), value.to_vec(), deadline));
        Ok(())
    }

    fn scored(&mut self, member: &[u8], score: f64) -> Result<()> {
        let Content::ZSet(members) = self.content() else { panic!("a member of no sorted set") };
        members.push((member.to_vec(), score.to_bits()));
        Ok(())
    }

    fn stream(&mut self, key: &Named<'_>, head: &Head, blocks: usize) -> Result<()> {
        self.open(key, Content::Stream(*head, Vec::new(), "none told".into()), blocks)
    }

    fn block(&mut self, master: StreamId, block: &Block) -> Result<()> {
        let left = &mut self.open.as_mut().unwrap().2;
        *left = left.checked_sub(1).expect("more blocks than were said");
        let Content::Stream(_, entries, _) = self.content() else { panic!("a block of no stream") };
        for entry in block.entries(master).filter(|entry| !entry.is_deleted()) {
            entries.push((entry.id, entry.fields().flat_map(|(f, v)| [f.to_vec(), v.to_vec()]).collect()));
        }
        Ok(())
    }

    fn groups(&mut self, all: &Groups) -> Result<()> {
        let Content::Stream(_, _, text) = self.content() else { panic!("groups of no stream") };
        assert_eq!(text, "none told");
        *text = groups(all);
        Ok(())
    }
}
