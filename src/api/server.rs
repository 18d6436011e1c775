//! Server commands as calls.
