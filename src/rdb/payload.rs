//! One value by itself: what DUMP answers and RESTORE takes. Its type and its bytes as in a file, then the version (two
//! bytes) and the checksum of all before (eight).

use super::crc::crc64;
use super::reader::{Datum, Reader};
use super::source::Source;
use super::values::Built;
use super::writer::{FieldTtls, Head, Writer};
use crate::limits::Rules;
use crate::value::View;
use crate::{Error, Result};

/// Version and checksum.
const FOOTER: usize = 10;

/// A value as DUMP answers it; `None` if it is a hash whose fields have all expired by `now`. It is of version 10, but
/// that of a hash whose fields have deadlines, which only version 12 can say.
pub fn write(view: View<'_>, now: u64, field_ttls: FieldTtls) -> Result<Option<Vec<u8>>> {
    let mut writer = Writer::new(Vec::new(), field_ttls).bare();
    if !writer.view(&Head::default(), view, now)? {
        return Ok(None);
    }
    let (body, version) = writer.into_body()?;
    Ok(Some(seal(body, version)))
}

/// A body with its footer.
pub fn seal(mut body: Vec<u8>, version: u16) -> Vec<u8> {
    body.extend_from_slice(&version.to_le_bytes());
    let crc = crc64(0, &body);
    body.extend_from_slice(&crc.to_le_bytes());
    body
}

/// What of a payload is the value, if it is of a version up to `newest` and its checksum is right.
pub fn body(payload: &[u8], newest: u16) -> Option<&[u8]> {
    let (body, footer) = payload.split_at_checked(payload.len().checked_sub(FOOTER)?)?;
    let (version, crc) = footer.split_first_chunk::<2>()?;
    let summed = crc64(0, &payload[..payload.len() - 8]).to_le_bytes();
    (u16::from_le_bytes(*version) <= newest && summed == *crc).then_some(body)
}

/// Reads the value in a payload's body and has `body` take it. Bytes behind it are not minded, as Redis does not.
pub fn read<T>(bytes: &[u8], rules: &Rules, take: impl FnOnce(Datum<'_>) -> T) -> Result<T> {
    let mut reader = Reader::of(Source::new(bytes, bytes.len()), rules);
    let kind = reader.source.byte()?;
    match reader.value(kind)? {
        Built::Nothing => Err(Error::text("ERR Bad data format")),
        built => Ok(take(reader.lend(built))),
    }
}
