//! Set values.

/// A boxed set.
#[derive(Clone, Default)]
pub struct Set {}

impl Set {
    /// Heap bytes it owns, by the size-class model.
    pub fn mem(&self) -> usize {
        0
    }

    /// The same from scratch.
    pub fn recount(&self) -> usize {
        0
    }

    /// About how many allocations freeing it takes.
    pub fn weight(&self) -> usize {
        0
    }
}
