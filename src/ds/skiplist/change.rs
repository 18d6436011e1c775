//! Changes of a skiplist by the member's score, with what they need loaded ahead.
use super::node::most;
use super::{Handle, Path, SLACK, SkipList, Step};

/// What [`SkipList::change`] is to do.
pub enum Change<M> {
    Nothing,
    Insert(f64, M),
    Rescore { old: f64, new: f64, member: M },
}

impl<M: Handle> SkipList<M> {
    /// Does what `settle` decides for a member. What the list will need for it is loaded while `settle` looks elsewhere:
    /// `new` is the score the member will have, as far as that is known, `old` asks for the one it seems to have.
    #[inline]
    pub fn change<E>(
        &mut self,
        bytes: &[u8],
        new: Option<f64>,
        old: impl FnOnce() -> Option<f64>,
        settle: impl FnOnce() -> Result<Change<M>, E>,
    ) -> Result<(), E> {
        let Some(top) = self.top else {
            if let Change::Insert(score, member) = settle()? {
                self.insert_first(score, member);
            }
            return Ok(());
        };
        let (mut source, mut target) = (Path::new(top), Path::new(top));
        new.into_iter().for_each(|score| target.approach(top, score, bytes));
        let old = old().filter(|old| new != Some(*old));
        old.into_iter().for_each(|score| source.approach(top, score, bytes));
        match settle()? {
            Change::Nothing => {}
            Change::Insert(score, member) => {
                if new != Some(score) {
                    target.approach(top, score, bytes);
                }
                self.insert_along(&mut target, score, member);
            }
            Change::Rescore { old: from, new: to, member } => {
                if new != Some(to) {
                    target.approach(top, to, bytes);
                }
                if old != Some(from) {
                    source.approach(top, from, bytes);
                }
                self.rescore_along(&mut source, &mut target, from, to, member);
            }
        }
        Ok(())
    }

    /// Gives an entry another score.
    pub fn rescore(&mut self, old: f64, new: f64, member: M) {
        let Some(top) = self.top else { return };
        let (mut source, mut target) = (Path::new(top), Path::new(top));
        target.approach(top, new, member.bytes());
        source.approach(top, old, member.bytes());
        self.rescore_along(&mut source, &mut target, old, new, member);
    }

    /// The same, given the ways to the leaf where the entry is and to that where it belongs: inside the leaf if they are
    /// one.
    fn rescore_along(&mut self, source: &mut Path<M>, target: &mut Path<M>, old: f64, new: f64, member: M) {
        debug_assert!(!new.is_nan());
        if !source.reach(old, member.bytes()) {
            return;
        }
        let Step { mut node, at } = source.0[0];
        if target.0[0].node == node {
            return self.rescore_inside(source, new, member);
        }
        let left = node.len() - 1;
        if left < most(0) / 4 || node.room() - left >= SLACK {
            self.take_entries(source, 1);
            return self.insert(new, member);
        }
        // Nodes stay what they are, so the way to the other leaf does too.
        self.len -= 1;
        self.count(source, |span| span - 1);
        node.close(at, 1);
        if at == 0 {
            self.renew_separators(source, 0);
        }
        self.insert_along(target, new, member);
    }

    /// Moves an entry inside its leaf: those between the two places move by one.
    fn rescore_inside(&self, path: &Path<M>, new: f64, member: M) {
        let Step { mut node, at } = path.0[0];
        let to = node.find(new, member.bytes()).unwrap_or_else(|i| i);
        // The entry itself is not among those it passes.
        let to = to - usize::from(to > at);
        if to < at {
            node.copy(to, &node, to + 1, at - to);
        } else {
            node.copy(at + 1, &node, at, to - at);
        }
        node.set_key(to, new, member);
        if at.min(to) == 0 {
            self.renew_separators(path, 0);
        }
    }
}
