//! Set commands as calls.
