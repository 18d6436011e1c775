//! What the generic commands mean.
