//! Replies as the crate `redis` has them.

use crate::adapter::resp::Encoder;
use crate::{FloatStyle, Protocol, Reply};
use ::redis::{RedisResult, Value, parse_redis_value};

/// A reply as the crate has it. What is rare goes by its bytes: some of the crate's kinds differ with its features, others
/// can be made no other way.
pub(super) fn value(reply: Reply) -> RedisResult<Value> {
    let all = |items: Vec<Reply>| items.into_iter().map(value).collect::<RedisResult<Vec<Value>>>();
    Ok(match reply {
        Reply::Null | Reply::NullArray => Value::Nil,
        Reply::Integer(n) => Value::Int(n),
        Reply::Bulk(bytes) => Value::BulkString(bytes.into()),
        Reply::Simple(text) if text == "OK" => Value::Okay,
        Reply::Simple(text) => Value::SimpleString(text.into_owned()),
        Reply::Array(items) => Value::Array(all(items)?),
        Reply::Set(items) => Value::Set(all(items)?),
        Reply::Map(pairs) => {
            let pairs = pairs.into_iter().map(|(name, of)| Ok((value(name)?, value(of)?)));
            Value::Map(pairs.collect::<RedisResult<Vec<_>>>()?)
        }
        Reply::Double(number) => Value::Double(number),
        Reply::Boolean(yes) => Value::Boolean(yes),
        other => {
            let mut bytes = Vec::new();
            let floats = FloatStyle::default();
            Encoder { out: &mut bytes, protocol: Protocol::Resp3, floats }.reply(&other);
            return parse_redis_value(&bytes);
        }
    })
}
