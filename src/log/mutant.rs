//! Wrong protocols: each leaves out or misplaces one step of the right one. They exist so that tests can show that the
//! step matters, which is to say that they would notice if it were lost.

/// Which step is wrong; none outside tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[doc(hidden)]
pub enum Mutant {
    #[default]
    None,
    /// The new file's name is not made safe before the manifest names it.
    NewFileUnnamed,
    /// The manifest names the new file before the old one is synced.
    PublishedEarly,
    /// The old file is never synced when it stops being last.
    OldFileUnsynced,
    /// Writes are acknowledged when they are written, not when they are synced.
    AcknowledgedEarly,
    /// A sync that failed is tried again, and believed.
    SyncRetried,
    /// The manifest's content is not synced before it is renamed.
    ManifestUnsynced,
    /// The manifest's new name is not made safe.
    ManifestUnnamed,
    /// The base's content is not synced before it is renamed.
    BaseUnsynced,
    /// Old files are removed before the manifest without them is safe.
    RemovedEarly,
    /// What came after the cut is written to the old file.
    CutForgotten,
    /// A torn tail is left where it is, and written behind.
    TailKept,
    /// After a short write the half is left where it is.
    HalfKept,
    /// Leftovers are removed at open before the manifest that does not name them is safe.
    SweptEarly,
    /// What was read is taken to be safe after a sync, though an earlier process may have seen a sync of it fail.
    Believed,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Mutant; 14] = [
        Mutant::NewFileUnnamed,
        Mutant::PublishedEarly,
        Mutant::OldFileUnsynced,
        Mutant::AcknowledgedEarly,
        Mutant::SyncRetried,
        Mutant::ManifestUnsynced,
        Mutant::ManifestUnnamed,
        Mutant::BaseUnsynced,
        Mutant::RemovedEarly,
        Mutant::CutForgotten,
        Mutant::TailKept,
        Mutant::HalfKept,
        Mutant::SweptEarly,
        Mutant::Believed,
    ];
}
