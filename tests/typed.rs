//! Values of serde types: there and back in every codec, and what does not decode.
#![cfg(feature = "typed")]

use larder::{Bincode, Codec, Error, Store};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    age: Option<u32>,
    tags: Vec<String>,
    scores: BTreeMap<String, f64>,
    role: Role,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Role {
    Guest,
    Member { since: u64 },
    Admin(Vec<u8>),
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![
        Just(Role::Guest),
        any::<u64>().prop_map(|since| Role::Member { since }),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Role::Admin),
    ]
}

fn user() -> impl Strategy<Value = User> {
    let tags = proptest::collection::vec(".{0,8}", 0..5);
    let scores = proptest::collection::btree_map(".{0,4}", (-1e6..1e6f64).prop_map(f64::trunc), 0..5);
    (".{0,20}", any::<Option<u32>>(), tags, scores, role()).prop_map(|(name, age, tags, scores, role)| User {
        name,
        age,
        tags,
        scores,
        role,
    })
}

fn there_and_back<C: Codec + Copy>(store: &Store, codec: C, user: &User) {
    store.typed(codec).set("k", user).unwrap();
    assert_eq!(store.typed(codec).get::<User>("k").unwrap().as_ref(), Some(user));
    store.del(["h"]).unwrap();
    assert!(store.typed(codec).hset("h", "f", user).unwrap());
    assert!(!store.typed(codec).hset("h", "f", user).unwrap());
    assert_eq!(store.typed(codec).hget::<User>("h", "f").unwrap().as_ref(), Some(user));
}

/// Bytes of any kind decode or are refused with the type's name; never a panic, never a change.
fn whatever_bytes<C: Codec + Copy>(store: &Store, codec: C, bytes: &[u8]) {
    store.set("k", bytes).unwrap();
    match store.typed(codec).get::<User>("k") {
        Ok(found) => assert!(found.is_some()),
        Err(Error::Decode(why)) => assert!(why.contains("User"), "{why}"),
        Err(other) => panic!("{other}"),
    }
    assert_eq!(store.get("k").unwrap().unwrap(), bytes);
}

proptest! {
    #[test]
    fn every_value_comes_back(user in user()) {
        let store = Store::new();
        there_and_back(&store, Bincode, &user);
        #[cfg(feature = "typed-json")]
        there_and_back(&store, larder::Json, &user);
        #[cfg(feature = "typed-messagepack")]
        there_and_back(&store, larder::MessagePack, &user);
    }

    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let store = Store::new();
        whatever_bytes(&store, Bincode, &bytes);
        #[cfg(feature = "typed-json")]
        whatever_bytes(&store, larder::Json, &bytes);
        #[cfg(feature = "typed-messagepack")]
        whatever_bytes(&store, larder::MessagePack, &bytes);
    }
}

#[test]
fn a_value_must_use_all_its_bytes() {
    let store = Store::new();
    store.set_typed("k", &(1u8, 2u8)).unwrap();
    let Err(Error::Decode(why)) = store.get_typed::<u8>("k") else { panic!("a pair is no number") };
    assert_eq!(why, "as u8: 1 bytes are left over");
    assert_eq!(store.get_typed::<(u8, u8)>("k").unwrap(), Some((1, 2)));
}

#[test]
fn what_does_not_encode_changes_nothing() {
    /// A sequence of unknown length, which bincode can't write.
    struct Unsized;
    impl Serialize for Unsized {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq([1u8].iter().filter(|_| true))
        }
    }
    let store = Store::new();
    store.set("k", "before").unwrap();
    assert!(matches!(store.set_typed("k", &Unsized), Err(Error::Encode(_))));
    assert_eq!(store.get("k").unwrap().unwrap(), "before");
}

#[test]
fn typed_values_are_undone_with_their_transaction() {
    let store = Store::new();
    store.set_typed("k", &1u32).unwrap();
    let failed: larder::Result<()> = store.transaction(["k"], |tx| {
        tx.set_typed("k", &2u32)?;
        assert_eq!(tx.get_typed::<u32>("k")?, Some(2));
        Err(Error::abort("no"))
    });
    assert!(failed.is_err());
    assert_eq!(store.get_typed::<u32>("k").unwrap(), Some(1));
}

#[test]
fn fields_that_do_not_decode_or_are_no_fields() {
    let store = Store::new();
    assert_eq!(store.hget_typed::<u8>("h", "f").unwrap(), None);
    store.hset("h", [("f", "text")]).unwrap();
    assert!(matches!(store.hget_typed::<u8>("h", "f"), Err(Error::Decode(_))));
    assert_eq!(store.hget("h", "f").unwrap().unwrap(), "text");
    assert_eq!(store.hget_typed::<u8>("h", "g").unwrap(), None);
    store.set("k", "").unwrap();
    assert_eq!(store.hset_typed("k", "f", &1u8), Err(Error::WrongType));
    assert_eq!(store.get_typed::<u8>("h"), Err(Error::WrongType));
}

/// bincode makes room by the length written before a string, ahead of the string's bytes: damaged ones ended the
/// process by asking for more memory than there is. Each of these claims 2^62 bytes or elements, and has none.
#[test]
fn a_damaged_length_asks_for_no_memory() {
    let claim = [&[0xfd_u8][..], &(1_u64 << 62).to_le_bytes()].concat();
    let store = Store::new();
    store.set("k", &claim).unwrap();
    let refused = |found: larder::Result<bool>| assert!(matches!(found, Err(Error::Decode(_))), "{found:?}");
    refused(store.get_typed::<String>("k").map(|found| found.is_some()));
    refused(store.get_typed::<User>("k").map(|found| found.is_some()));
    refused(store.get_typed::<Vec<String>>("k").map(|found| found.is_some()));
    refused(store.get_typed::<Vec<u64>>("k").map(|found| found.is_some()));
    refused(store.get_typed::<BTreeMap<String, u8>>("k").map(|found| found.is_some()));
    store.set("k", [&[2][..], &claim].concat()).unwrap();
    refused(store.get_typed::<Role>("k").map(|found| found.is_some()));
}
