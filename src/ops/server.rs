//! What the server commands mean.
