//! What the string commands mean.

use crate::keyspace::{Expiry, Key, Work};
use crate::value::StrRef;
use crate::{Bytes, Result};

/// GET.
#[inline]
pub fn get(work: &Work<'_>, key: &Key<'_>) -> Result<Option<Bytes>> {
    Ok(work.string(key)?.map(StrRef::to_bytes))
}

/// SET without options.
#[inline]
pub fn set_plain(work: &mut Work<'_>, key: &Key<'_>, value: &[u8]) -> Result<()> {
    work.put_string(key, value, Expiry::Clear)?;
    work.effect(&[b"SET", key.bytes, value]);
    work.touch(key, "set");
    Ok(())
}
