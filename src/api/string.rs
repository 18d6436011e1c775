//! String commands as calls.

use super::{Scope, Store};
use crate::ops::string as ops;
use crate::sync::BodyMark;
use crate::value::View;
use crate::{Bytes, Result};

impl<S: Scope> Store<S> {
    /// GET: the string at `key`, or `None`.
    ///
    /// Errors: [`Error::WrongType`](crate::Error::WrongType) if the key holds another type. O(1).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("k", "v")?;
    /// assert_eq!(store.get("k")?.as_deref(), Some(&b"v"[..]));
    /// assert!(store.get("missing")?.is_none());
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[doc(alias = "GET")]
    #[inline]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.look(key, ops::get)
    }

    /// GET without a copy: runs `body` on the bytes in place, under the shard's shared lock. Keep it short; any
    /// call on a store from inside answers [`Error::Reentrant`](crate::Error::Reentrant).
    ///
    /// ```
    /// # let store = larder::Store::new();
    /// store.set("k", "hello")?;
    /// let length = store.get_with("k", |bytes| bytes.map_or(0, <[u8]>::len))?;
    /// assert_eq!(length, 5);
    /// # Ok::<(), larder::Error>(())
    /// ```
    #[inline]
    pub fn get_with<R>(&self, key: impl AsRef<[u8]>, body: impl FnOnce(Option<&[u8]>) -> R) -> Result<R> {
        self.look(key, |view| {
            let string = view.map(View::string).transpose()?;
            let _mark = BodyMark::set();
            Ok(match string {
                Some(string) => string.with(|bytes| body(Some(bytes))),
                None => body(None),
            })
        })
    }

    /// SET: puts `value` at `key`, whatever it held; a TTL it had is gone.
    #[doc(alias = "SET")]
    #[inline]
    pub fn set(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        let value = value.as_ref();
        self.write(key, |work, key| ops::set_plain(work, key, value))
    }
}
