//! What the hash commands mean.
