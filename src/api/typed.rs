//! Values of any serde type, behind the feature `typed`.
//!
//! A value is encoded before the store is locked and decoded after it is released (inside a transaction its own locks
//! are held, of course), so a type's own serialization code never runs under a lock of the store.

use super::frugal::Frugal;
use super::{Scope, SetOptions, Store};
use crate::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// How values become bytes and come back. [`Bincode`] is the default; `Json` and `MessagePack` are there behind
/// their features; a program can bring its own.
///
/// ```
/// use larder::{Codec, Error, Result, Store};
/// use serde::{Serialize, de::DeserializeOwned};
///
/// /// JSON over several lines.
/// #[derive(Clone, Copy)]
/// struct Lines;
/// impl Codec for Lines {
///     fn encode<T: Serialize + ?Sized>(&self, value: &T) -> Result<Vec<u8>> {
///         serde_json::to_vec_pretty(value).map_err(|why| Error::Encode(why.to_string()))
///     }
///     fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T> {
///         serde_json::from_slice(bytes).map_err(|why| Error::Decode(why.to_string()))
///     }
/// }
///
/// let store = Store::new();
/// store.typed(Lines).set("k", &vec![1, 2])?;
/// assert_eq!(store.get("k")?.unwrap(), "[\n  1,\n  2\n]");
/// # Ok::<(), larder::Error>(())
/// ```
pub trait Codec {
    /// The value as bytes; [`Error::Encode`] says why not.
    fn encode<T: Serialize + ?Sized>(&self, value: &T) -> Result<Vec<u8>>;
    /// The value that all of `bytes` are; [`Error::Decode`] says why they are none.
    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T>;
}

/// The compact binary format of `bincode` 2 (its standard configuration). It does not describe itself: a value must
/// be read as the type it was written as, and a changed type reads old values only by luck.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bincode;

impl Codec for Bincode {
    fn encode<T: Serialize + ?Sized>(&self, value: &T) -> Result<Vec<u8>> {
        bincode::serde::encode_to_vec(value, bincode::config::standard()).map_err(not_encoded)
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T> {
        let as_type = Frugal(PhantomData::<T>);
        let decoded = bincode::serde::seed_decode_from_slice(as_type, bytes, bincode::config::standard());
        let (value, used) = decoded.map_err(not_decoded::<T>)?;
        match bytes.len() - used {
            0 => Ok(value),
            left => Err(not_decoded::<T>(format_args!("{left} bytes are left over"))),
        }
    }
}

/// JSON: readable by every other program, and forgiving when a type grows. Feature `typed-json`.
#[cfg(feature = "typed-json")]
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

#[cfg(feature = "typed-json")]
impl Codec for Json {
    fn encode<T: Serialize + ?Sized>(&self, value: &T) -> Result<Vec<u8>> {
        serde_json::to_vec(value).map_err(not_encoded)
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T> {
        serde_json::from_slice(bytes).map_err(not_decoded::<T>)
    }
}

/// MessagePack with field names: nearly as small as bincode, readable elsewhere, forgiving when a type grows. Feature
/// `typed-messagepack`.
#[cfg(feature = "typed-messagepack")]
#[derive(Debug, Clone, Copy, Default)]
pub struct MessagePack;

#[cfg(feature = "typed-messagepack")]
impl Codec for MessagePack {
    fn encode<T: Serialize + ?Sized>(&self, value: &T) -> Result<Vec<u8>> {
        rmp_serde::to_vec_named(value).map_err(not_encoded)
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T> {
        let mut rest = bytes;
        let value = rmp_serde::from_read(&mut rest).map_err(not_decoded::<T>)?;
        match rest.len() {
            0 => Ok(value),
            left => Err(not_decoded::<T>(format_args!("{left} bytes are left over"))),
        }
    }
}

fn not_encoded(why: impl std::fmt::Display) -> Error {
    Error::Encode(why.to_string())
}

/// Names the type that was asked for: the bytes alone can't say what they are.
fn not_decoded<T>(why: impl std::fmt::Display) -> Error {
    Error::Decode(format!("as {}: {why}", std::any::type_name::<T>()))
}

/// A store's keys as values of serde types in one codec, from [`Store::typed`].
pub struct Typed<'s, S: Scope, C: Codec> {
    store: &'s Store<S>,
    codec: C,
}

impl<S: Scope, C: Codec> Typed<'_, S, C> {
    /// SET: puts a value at `key`, whatever it held; a TTL it had is gone.
    ///
    /// Errors: [`Error::Encode`] if the value has no form in this codec; then nothing changed.
    pub fn set<T: Serialize + ?Sized>(&self, key: impl AsRef<[u8]>, value: &T) -> Result<()> {
        self.store.set(key, self.codec.encode(value)?)
    }

    /// SET with options: [`Store::set_with`] with an encoded value. Answers whether it was put.
    ///
    /// Errors: [`Error::Encode`] if the value does not encode.
    pub fn set_with<T: Serialize + ?Sized>(
        &self,
        key: impl AsRef<[u8]>,
        value: &T,
        options: SetOptions,
    ) -> Result<bool> {
        self.store.set_with(key, self.codec.encode(value)?, options)
    }

    /// GET: the value at `key`, or `None` for no key.
    ///
    /// Errors: [`Error::Decode`] if what is stored is no `T`, and [`Error::WrongType`] if it is no string; what is
    /// stored stays as it is.
    pub fn get<T: DeserializeOwned>(&self, key: impl AsRef<[u8]>) -> Result<Option<T>> {
        self.store.get(key)?.map(|bytes| self.codec.decode(&bytes)).transpose()
    }

    /// HSET: puts a value into a field of the hash at `key`. Answers whether the field is new.
    ///
    /// Errors: [`Error::Encode`] if the value has no form in this codec, [`Error::WrongType`] if the key holds no
    /// hash; then nothing changed.
    pub fn hset<T: Serialize + ?Sized>(
        &self,
        key: impl AsRef<[u8]>,
        field: impl AsRef<[u8]>,
        value: &T,
    ) -> Result<bool> {
        let value = self.codec.encode(value)?;
        Ok(self.store.hset(key, [(field.as_ref(), value)])? == 1)
    }

    /// HGET: the value in a field of the hash at `key`, or `None` for no key or no field.
    ///
    /// Errors: [`Error::Decode`] if what is stored is no `T`, and [`Error::WrongType`] if the key holds no hash; what
    /// is stored stays as it is.
    pub fn hget<T: DeserializeOwned>(
        &self,
        key: impl AsRef<[u8]>,
        field: impl AsRef<[u8]>,
    ) -> Result<Option<T>> {
        self.store.hget(key, field)?.map(|bytes| self.codec.decode(&bytes)).transpose()
    }
}

impl<S: Scope> Store<S> {
    /// The same keys as values of serde types, in a codec of choice.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// # #[cfg(feature = "typed-json")] {
    /// store.typed(larder::Json).set("point", &(1, 2))?;
    /// assert_eq!(store.get("point")?.unwrap(), "[1,2]");
    /// assert_eq!(store.typed(larder::Json).get::<(i32, i32)>("point")?, Some((1, 2)));
    /// # }
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn typed<C: Codec>(&self, codec: C) -> Typed<'_, S, C> {
        Typed { store: self, codec }
    }

    /// Puts a value of any serde type at `key`, by [`Bincode`]; a TTL it had is gone.
    ///
    /// Errors: [`Error::Encode`] if the value has no form in the codec; then nothing changed.
    ///
    /// ```
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Debug, PartialEq, Serialize, Deserialize)]
    /// struct User {
    ///     name: String,
    ///     age: u32,
    /// }
    ///
    /// let store = larder::Store::new();
    /// let ada = User { name: "Ada".into(), age: 36 };
    /// store.set_typed("user:1", &ada)?;
    /// assert_eq!(store.get_typed("user:1")?, Some(ada));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SET")]
    pub fn set_typed<T: Serialize + ?Sized>(&self, key: impl AsRef<[u8]>, value: &T) -> Result<()> {
        self.typed(Bincode).set(key, value)
    }

    /// [`Store::set_typed`] with the options of SET. Answers whether the value was put.
    ///
    /// ```
    /// use larder::{SetOptions, Store};
    /// use std::time::Duration;
    ///
    /// let store = Store::new();
    /// let options = SetOptions::new().ex(Duration::from_secs(60)).nx();
    /// assert!(store.set_typed_with("pair", &(1, "one".to_string()), options)?);
    /// assert!(!store.set_typed_with("pair", &(2, "two".to_string()), options)?);
    /// assert_eq!(store.get_typed::<(i32, String)>("pair")?.unwrap().0, 1);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "SET")]
    pub fn set_typed_with<T: Serialize + ?Sized>(
        &self,
        key: impl AsRef<[u8]>,
        value: &T,
        options: SetOptions,
    ) -> Result<bool> {
        self.typed(Bincode).set_with(key, value, options)
    }

    /// The value that [`Store::set_typed`] put at `key`, or `None` for no key.
    ///
    /// Errors: [`Error::Decode`] if what is stored is no `T`, and [`Error::WrongType`] if it is no string; what is
    /// stored stays as it is.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("k", "no number")?;
    /// assert!(matches!(store.get_typed::<u8>("k"), Err(larder::Error::Decode(_))));
    /// assert_eq!(store.get_typed::<u8>("nosuch")?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "GET")]
    pub fn get_typed<T: DeserializeOwned>(&self, key: impl AsRef<[u8]>) -> Result<Option<T>> {
        self.typed(Bincode).get(key)
    }

    /// Puts a value of any serde type into a field of the hash at `key`, by [`Bincode`]. Answers whether the field is
    /// new. Errors: as [`Store::set_typed`], and [`Error::WrongType`] if the key holds no hash.
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// assert!(store.hset_typed("user:1", "scores", &vec![1.5, 2.0])?);
    /// assert_eq!(store.hget_typed("user:1", "scores")?, Some(vec![1.5, 2.0]));
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "HSET")]
    pub fn hset_typed<T: Serialize + ?Sized>(
        &self,
        key: impl AsRef<[u8]>,
        field: impl AsRef<[u8]>,
        value: &T,
    ) -> Result<bool> {
        self.typed(Bincode).hset(key, field, value)
    }

    /// The value that [`Store::hset_typed`] put into a field, or `None` for no key or no field. Errors: as
    /// [`Store::get_typed`].
    #[doc(alias = "HGET")]
    pub fn hget_typed<T: DeserializeOwned>(
        &self,
        key: impl AsRef<[u8]>,
        field: impl AsRef<[u8]>,
    ) -> Result<Option<T>> {
        self.typed(Bincode).hget(key, field)
    }
}
