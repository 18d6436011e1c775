//! Hash commands as calls.
