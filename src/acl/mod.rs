//! Floor 2: access control. Who may run which commands on which keys and channels: users, their rules, and the log of what
//! was refused.
//!
//! It knows no rows: what can be named in a rule stands in a [`Catalog`], and a command that is to be run comes as a
//! [`Request`], its keys found. Locks here are innermost ones.
#![allow(missing_docs)]

mod catalog;
mod describe;
mod fault;
mod file;
mod log;
mod password;
mod rules;
mod selector;

pub use catalog::{Catalog, Command, Set};
pub use fault::Fault;
pub use log::{Context, Entry, Log};
pub use password::{CAN_HASH, random_hex};
pub use rules::Rules;
pub use selector::{Channels, Denied, Need, Request, Selector, Why};

use crate::Bytes;
use crate::sync::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed, Ordering::SeqCst};

/// The user that everybody is until he signs in as another.
pub const DEFAULT: &str = "default";

/// A user. Sessions hold him while his rules change.
pub struct User {
    pub name: Bytes,
    rules: RwLock<Arc<Rules>>,
    /// He may do everything, and is there: what is asked before every command.
    unlimited: AtomicBool,
    /// He signs in without a password.
    open: AtomicBool,
    gone: AtomicBool,
}

impl User {
    fn new(name: &[u8], rules: Rules) -> Arc<User> {
        // No lock is taken here: the first user is made where no other thread may have its turn, in a model neither.
        Arc::new(User {
            name: Bytes::from(name),
            unlimited: AtomicBool::new(rules.are_unlimited()),
            open: AtomicBool::new(rules.on && rules.nopass),
            gone: AtomicBool::new(false),
            rules: RwLock::new(Arc::new(rules)),
        })
    }

    fn set(&self, rules: Rules) {
        let mut kept = self.rules.write();
        self.unlimited.store(rules.are_unlimited(), Relaxed);
        self.open.store(rules.on && rules.nopass, Relaxed);
        *kept = Arc::new(rules);
    }

    /// He is no more: whoever still is he is asked.
    fn leave(&self) {
        self.gone.store(true, SeqCst);
        self.unlimited.store(false, SeqCst);
    }

    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read())
    }

    #[inline]
    pub fn is_unlimited(&self) -> bool {
        self.unlimited.load(Relaxed)
    }

    /// Whether he was deleted.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }
}

/// The users of a store.
pub struct Acl {
    /// The default user, who is always there.
    pub default: Arc<User>,
    users: Mutex<BTreeMap<Bytes, Arc<User>>>,
    pub log: Log,
    /// Entries kept of what was refused.
    pub log_len: AtomicI64,
    /// Whether new users may use every channel.
    pub all_channels: AtomicBool,
    /// What `requirepass` was last set to.
    required: RwLock<Vec<u8>>,
    /// Where LOAD reads and SAVE writes.
    pub file: RwLock<Option<PathBuf>>,
}

/// What SETUSER changed: a user, and his rules before if he was there.
pub struct Changed {
    pub user: Arc<User>,
    pub before: Option<Arc<Rules>>,
}

impl Default for Acl {
    fn default() -> Acl {
        let default = User::new(DEFAULT.as_bytes(), Rules::unlimited());
        let users = BTreeMap::from([(default.name.clone(), Arc::clone(&default))]);
        Acl {
            default,
            users: Mutex::new(users),
            log: Log::default(),
            log_len: AtomicI64::new(128),
            all_channels: AtomicBool::new(false),
            required: RwLock::default(),
            file: RwLock::default(),
        }
    }
}

impl Acl {
    /// All users, in the order of their names.
    pub fn users(&self) -> Vec<Arc<User>> {
        self.users.lock().values().cloned().collect()
    }

    pub fn user(&self, name: &[u8]) -> Option<Arc<User>> {
        self.users.lock().get(name).cloned()
    }

    /// Whether clients must sign in before they are anybody.
    pub fn asks_password(&self) -> bool {
        !self.default.open.load(Relaxed)
    }

    /// Changes a user's rules, or makes a user: all of the words, or none if one is wrong.
    pub fn set_user(&self, name: &[u8], words: &[&[u8]], catalog: &Catalog) -> Result<Changed, Fault> {
        let words = rules::merge(words)?;
        let mut users = self.users.lock();
        let known = users.get(name).cloned();
        let before = known.as_ref().map(|user| user.rules());
        let all_channels = self.all_channels.load(Relaxed);
        let mut rules = before.as_deref().cloned().unwrap_or_else(|| Rules::new(all_channels));
        for word in &words {
            rules.apply(word, catalog, all_channels).map_err(|why| why.of(word))?;
        }
        let user = match known {
            Some(user) => {
                user.set(rules);
                user
            }
            None => {
                let user = User::new(name, rules);
                users.insert(user.name.clone(), Arc::clone(&user));
                user
            }
        };
        Ok(Changed { user, before })
    }

    /// Deletes a user, who must not be the default one.
    pub fn remove(&self, name: &[u8]) -> Option<Arc<User>> {
        let user = self.users.lock().remove(name)?;
        user.leave();
        Some(user)
    }

    /// The user of a name and a password, if he may sign in.
    pub fn authenticate(&self, name: &[u8], password: &[u8]) -> Option<Arc<User>> {
        let user = self.user(name)?;
        user.rules().admit(password).then_some(user)
    }

    /// What `requirepass` says.
    pub fn required(&self) -> Vec<u8> {
        self.required.read().clone()
    }

    /// The setting `requirepass` where a file of users is in force: it is told when asked for, and does nothing.
    pub fn note_required(&self, password: &[u8]) {
        *self.required.write() = password.to_vec();
    }

    /// Makes this the one password of the default user; empty, he needs none.
    pub fn require(&self, password: &[u8]) -> Result<(), Fault> {
        let _users = self.users.lock();
        let mut rules = (*self.default.rules()).clone();
        rules.require(password)?;
        self.default.set(rules);
        *self.required.write() = password.to_vec();
        Ok(())
    }

    /// Puts other users in the place of all there are. Answers those who are no longer what they were.
    fn replace(&self, fresh: BTreeMap<Bytes, Rules>, spares_same: bool) -> Vec<Arc<User>> {
        let mut users = self.users.lock();
        let mut old = std::mem::take(&mut *users);
        old.remove(DEFAULT.as_bytes());
        self.default.set(fresh.get(DEFAULT.as_bytes()).cloned().unwrap_or_else(Rules::unlimited));
        users.insert(self.default.name.clone(), Arc::clone(&self.default));
        for (name, rules) in fresh.into_iter().filter(|(name, _)| *name != *DEFAULT.as_bytes()) {
            let same = old.get(&name).is_some_and(|user| spares_same && *user.rules() == rules);
            let user = if same { old.remove(&name) } else { None };
            users.insert(name.clone(), user.unwrap_or_else(|| User::new(&name, rules)));
        }
        let gone: Vec<Arc<User>> = old.into_values().collect();
        gone.iter().for_each(|user| user.leave());
        gone
    }
}
