//! Short links, as somebody wrote them for a Redis server.

use redis::{Commands, ConnectionLike, ExistenceCheck, RedisResult, SetExpiry, SetOptions};

pub fn run() -> RedisResult<Vec<String>> {
    let mut connection = redis::Client::open("redis://127.0.0.1/")?.get_connection()?;
    let first = shorten(&mut connection, "https://example.org/a/long/way")?;
    let again = shorten(&mut connection, "https://example.org/a/long/way")?;
    let other = shorten(&mut connection, "https://example.org/elsewhere")?;
    for code in [&first, &first, &other] {
        follow(&mut connection, code)?;
    }
    let nobody = follow(&mut connection, "none")?;
    let mut told = vec![format!("{first} {again} {other} {nobody:?}")];
    for (code, visits) in most_visited(&mut connection, 10)? {
        told.push(format!("{code} {visits}"));
    }
    Ok(told)
}

/// A code for an address, the same one for a day.
fn shorten(connection: &mut impl Commands, address: &str) -> RedisResult<String> {
    let number: i64 = connection.incr("links:last", 1)?;
    let code = format!("{number:04x}");
    let day =
        SetOptions::default().conditional_set(ExistenceCheck::NX).with_expiration(SetExpiry::EX(86_400));
    if connection.set_options::<_, _, Option<String>>(format!("address:{address}"), &code, day)?.is_none() {
        return connection.get(format!("address:{address}"));
    }
    let () = connection.set(format!("link:{code}"), address)?;
    Ok(code)
}

/// Where a code leads. The visit is counted.
fn follow<C: ConnectionLike + Commands>(connection: &mut C, code: &str) -> RedisResult<Option<String>> {
    let Some(address) = connection.get::<_, Option<String>>(format!("link:{code}"))? else { return Ok(None) };
    let mut counted = redis::pipe();
    counted.atomic().zincr("visits", code, 1).ignore().rpush("log", &address).ignore();
    counted.query::<()>(connection)?;
    Ok(Some(address))
}

fn most_visited(connection: &mut impl Commands, count: isize) -> RedisResult<Vec<(String, f64)>> {
    connection.zrevrange_withscores("visits", 0, count - 1)
}
