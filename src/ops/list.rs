//! What the list commands mean.
