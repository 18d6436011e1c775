//! larder: an embedded, in-process, Redis-compatible data-structure engine.
#![warn(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]

mod bytes;
mod command;
#[doc(hidden)]
pub mod digest;
#[doc(hidden)]
pub mod ds;
mod error;
#[doc(hidden)]
pub mod line;
mod longdouble;
mod num;

pub use bytes::Bytes;
#[doc(hidden)]
pub use command::grammar;
pub use command::{Form, Reply};
pub use error::{Error, Result};
pub use num::FloatStyle;
