//! Groups of a stream: how far each has read, who reads for it, and what was delivered and not yet acknowledged.
//!
//! A pending entry stands twice: in the group's list by id, with its consumer, the time and the number of its
//! deliveries, and in the list of its consumer, by id alone. Consumers go by numbers in there, which are never given twice
//! in one group; a second index finds a number by its name.

use super::Edit;
use super::stream::{Counted, Stream, StreamUndo};
use super::stream_id::StreamId;
use crate::ds::ordered::Ordered;
use crate::ds::size_class;

/// A group of consumers.
#[derive(Default)]
pub struct Group {
    last: StreamId,
    read: Option<u64>,
    pending: Ordered<StreamId, Pending>,
    consumers: Ordered<u64, Consumer>,
    names: Ordered<Box<[u8]>, u64>,
    /// The number of the next new consumer.
    next: u64,
    /// Heap bytes that consumers own, and names.
    heap: usize,
}

/// An entry that was delivered and not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// The consumer's number.
    pub consumer: u64,
    /// When it was delivered last, in ms since 1970.
    pub time: u64,
    /// How often it was delivered.
    pub count: u64,
}

/// Who reads for a group.
#[derive(Clone)]
pub struct Consumer {
    name: Box<[u8]>,
    times: Times,
    pending: Ordered<StreamId, ()>,
}

/// When a consumer was heard of, in ms since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When it last asked for something.
    pub seen: u64,
    /// When it last got something.
    pub active: Option<u64>,
}

/// How to take a change of a group back.
pub enum GroupUndo {
    Position(StreamId, Option<u64>),
    Pending(StreamId, Option<Pending>),
    /// A consumer was added.
    Added(u64),
    /// A consumer without pending entries was removed.
    Removed(u64, Box<Consumer>),
    Times(u64, Times),
}

impl Clone for Group {
    fn clone(&self) -> Self {
        let mut copy = Group {
            last: self.last,
            read: self.read,
            pending: self.pending.clone(),
            consumers: self.consumers.clone(),
            names: self.names.clone(),
            next: self.next,
            heap: 0,
        };
        copy.heap = copy.consumers.iter().map(|(_, consumer)| consumer.mem()).sum();
        copy
    }
}

impl Consumer {
    /// Heap bytes it owns, with its name in the index.
    fn mem(&self) -> usize {
        2 * size_class(self.name.len()) + self.pending.mem()
    }

    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// When it was heard of.
    pub fn times(&self) -> Times {
        self.times
    }

    /// How many entries it has not acknowledged.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Their ids from one on.
    pub fn ids_from(&self, id: StreamId) -> impl Iterator<Item = StreamId> {
        self.pending.iter_from(&id).map(|(id, _)| *id)
    }
}

impl Group {
    /// A group that has read up to an id; `read` is how many entries that makes, where it is known.
    pub fn new(last: StreamId, read: Option<u64>) -> Group {
        Group { last, read, ..Group::default() }
    }

    /// Heap bytes it owns, by the size-class model.
    pub fn mem(&self) -> usize {
        self.pending.mem() + self.consumers.mem() + self.names.mem() + self.heap
    }

    /// The same from scratch.
    pub fn recount(&self) -> usize {
        let consumers =
            self.consumers.iter().map(|(_, c)| 2 * size_class(c.name.len()) + c.pending.recount());
        self.pending.recount() + self.consumers.recount() + self.names.recount() + consumers.sum::<usize>()
    }

    /// About how many allocations freeing it takes.
    pub fn weight(&self) -> usize {
        1 + 2 * self.consumers.len() + 2 * self.pending.weight()
    }

    /// The last id that was delivered.
    pub fn last(&self) -> StreamId {
        self.last
    }

    /// How many entries were delivered up to there, where that is known.
    pub fn read(&self) -> Option<u64> {
        self.read
    }

    /// How many entries are pending.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The pending entry of an id.
    pub fn get(&self, id: StreamId) -> Option<Pending> {
        self.pending.get(&id).copied()
    }

    /// The pending entries from an id on.
    pub fn pending_from(&self, id: StreamId) -> impl Iterator<Item = (StreamId, Pending)> {
        self.pending.iter_from(&id).map(|(id, pending)| (*id, *pending))
    }

    /// The ids of the first and the last pending entry.
    pub fn pending_ends(&self) -> Option<(StreamId, StreamId)> {
        Some((*self.pending.first()?.0, *self.pending.last()?.0))
    }

    /// A consumer's number.
    pub fn number(&self, name: &[u8]) -> Option<u64> {
        self.names.get(name).copied()
    }

    /// The consumer of a name.
    pub fn consumer(&self, name: &[u8]) -> Option<&Consumer> {
        self.consumers.get(&self.number(name)?)
    }

    /// The name of the consumer with this number.
    pub fn name(&self, number: u64) -> &[u8] {
        self.consumers.get(&number).map_or(&[], Consumer::name)
    }

    /// All consumers by their names.
    pub fn consumers(&self) -> impl ExactSizeIterator<Item = &Consumer> {
        let items = self.names.iter().filter_map(|(_, number)| self.consumers.get(number));
        Counted { left: self.names.len(), items }
    }

    /// Changes a consumer, minding the bytes it owns.
    fn with_consumer<R>(&mut self, number: u64, change: impl FnOnce(&mut Consumer) -> R) -> Option<R> {
        let consumer = self.consumers.get_mut(&number)?;
        let before = consumer.pending.mem();
        let answer = change(consumer);
        self.heap = self.heap + consumer.pending.mem() - before;
        Some(answer)
    }

    /// Makes an id pending, or not; answers what it was.
    fn put_pending(&mut self, id: StreamId, pending: Option<Pending>) -> Option<Pending> {
        let old = match pending {
            Some(pending) => self.pending.insert(id, pending),
            None => self.pending.remove(&id).map(|(_, pending)| pending),
        };
        let (was, is) = (old.map(|old| old.consumer), pending.map(|new| new.consumer));
        if was != is {
            was.and_then(|number| self.with_consumer(number, |c| c.pending.remove(&id)));
            is.and_then(|number| self.with_consumer(number, |c| c.pending.insert(id, ())));
        }
        old
    }

    fn insert_consumer(&mut self, number: u64, consumer: Consumer) {
        self.heap += consumer.mem();
        self.names.insert(consumer.name.clone(), number);
        self.consumers.insert(number, consumer);
    }

    fn take_consumer(&mut self, number: u64) -> Option<Consumer> {
        let (_, consumer) = self.consumers.remove(&number)?;
        self.names.remove(&*consumer.name);
        self.heap -= consumer.mem();
        Some(consumer)
    }

    pub(super) fn undo(&mut self, step: GroupUndo) {
        match step {
            GroupUndo::Position(last, read) => (self.last, self.read) = (last, read),
            GroupUndo::Pending(id, pending) => drop(self.put_pending(id, pending)),
            GroupUndo::Added(number) => drop(self.take_consumer(number)),
            GroupUndo::Removed(number, consumer) => self.insert_consumer(number, *consumer),
            GroupUndo::Times(number, times) => drop(self.with_consumer(number, |c| c.times = times)),
        }
    }
}

impl Edit<'_, Stream> {
    /// Adds a group, unless there is one of this name.
    pub fn create_group(&mut self, name: &[u8], last: StreamId, read: Option<u64>) -> bool {
        let is_new = self.value.group(name).is_none();
        if is_new {
            self.value.put_group(name, Some(Group::new(last, read)));
            self.note(|| StreamUndo::Group(name.into(), None));
        }
        is_new
    }

    /// Removes a group. Answers whether it was there.
    pub fn destroy_group(&mut self, name: &[u8]) -> bool {
        let Some(group) = self.value.put_group(name, None) else { return false };
        self.note(|| StreamUndo::Group(name.into(), Some(Box::new(group))));
        true
    }

    /// Opens a group for change.
    pub fn with_group<R>(&mut self, name: &[u8], change: impl FnOnce(&mut GroupEdit<'_>) -> R) -> Option<R> {
        self.value.keep_groups();
        let Stream { groups, groups_mem, .. } = &mut *self.value;
        let group = groups.get_mut(name)?;
        let before = group.mem();
        let answer = change(&mut GroupEdit { group, name, undo: self.undo.as_deref_mut() });
        *groups_mem = *groups_mem + group.mem() - before;
        Some(answer)
    }
}

/// A group open for change.
pub struct GroupEdit<'a> {
    group: &'a mut Group,
    name: &'a [u8],
    undo: Option<&'a mut Vec<StreamUndo>>,
}

impl GroupEdit<'_> {
    /// The group as it is.
    pub fn group(&self) -> &Group {
        self.group
    }

    fn note(&mut self, step: impl FnOnce() -> GroupUndo) {
        if let Some(undo) = &mut self.undo {
            undo.push(StreamUndo::InGroup(self.name.into(), step()));
        }
    }

    /// Sets how far the group has read.
    pub fn set_position(&mut self, last: StreamId, read: Option<u64>) {
        let old = GroupUndo::Position(self.group.last, self.group.read);
        (self.group.last, self.group.read) = (last, read);
        self.note(|| old);
    }

    /// Makes an id pending, or not; the consumer must be there. Answers whether it was pending.
    pub fn set_pending(&mut self, id: StreamId, pending: Option<Pending>) -> bool {
        let old = self.group.put_pending(id, pending);
        if old.is_some() || pending.is_some() {
            self.note(|| GroupUndo::Pending(id, old));
        }
        old.is_some()
    }

    /// Makes ids pending for one consumer, which must be there.
    pub fn deliver(&mut self, ids: &[StreamId], pending: Pending) {
        for id in ids {
            let old = self.group.pending.insert(*id, pending);
            if let Some(old) = old.filter(|old| old.consumer != pending.consumer) {
                self.group.with_consumer(old.consumer, |c| c.pending.remove(id));
            }
            self.note(|| GroupUndo::Pending(*id, old));
        }
        self.group.with_consumer(pending.consumer, |consumer| {
            for id in ids {
                consumer.pending.insert(*id, ());
            }
        });
    }

    /// Adds a consumer, whose name must be new. Answers its number.
    pub fn add_consumer(&mut self, name: &[u8], now: u64) -> u64 {
        let number = self.group.next;
        self.group.next += 1;
        let times = Times { seen: now, active: None };
        self.group.insert_consumer(number, Consumer { name: name.into(), times, pending: Ordered::new() });
        self.note(|| GroupUndo::Added(number));
        number
    }

    /// Removes a consumer and forgets what it had pending. Answers how much that was.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let number = self.group.number(name)?;
        let ids: Vec<StreamId> = self.group.consumer(name)?.ids_from(StreamId::MIN).collect();
        for id in &ids {
            self.set_pending(*id, None);
        }
        let consumer = self.group.take_consumer(number)?;
        self.note(|| GroupUndo::Removed(number, Box::new(consumer)));
        Some(ids.len())
    }

    /// Notes when a consumer was heard of.
    pub fn set_times(&mut self, number: u64, times: Times) {
        if let Some(old) = self.group.with_consumer(number, |c| std::mem::replace(&mut c.times, times)) {
            self.note(|| GroupUndo::Times(number, old));
        }
    }

    /// When a consumer was heard of.
    pub fn times(&self, number: u64) -> Option<Times> {
        self.group.consumers.get(&number).map(Consumer::times)
    }
}
