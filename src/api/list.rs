//! List commands as calls.
