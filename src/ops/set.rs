//! What the set commands mean.
