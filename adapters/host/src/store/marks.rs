//! Leases and intents on disk, for every store whose records themselves are elsewhere or beside
//! them.
//!
//! A lease is a kernel lock on a file that stays for ever. An intent is the exclusive creation of a
//! file; its maker holds that file's lock for as long as it lives, which is how others know whether
//! anybody may still report the outcome. Neither looks at the age of a file or at a process id.
//!
//! The intent alone decides whether a credential may be spent: if somebody removes a lease file, so
//! that a second process gets a lease on a new one, the creation still has one winner (HOST-240).
//!
//! Where there are no Unix file descriptors, folders are not checked for foreign owners and names
//! are not made durable.

use core::fmt;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_authz_core::effect::{Holder, Key, Spend, Stored};
use mcp_authz_core::failure::Kind;

use crate::store::error::StoreError;
use crate::store::folder::{Folder, all_but_newest};
use crate::store::lock::{self, Held};
use crate::store::names;

/// Intents of authorization codes that are kept for a record although their makers have gone without a
/// word of how they ended. They prevent a second sending after a restart, and no login is restored from
/// among the older ones.
const CODES: usize = 16;
/// How often an intent is tried again because another one's came or went in between.
const TRIES: usize = 16;

/// The leases and intents of one folder.
pub struct Marks {
    folder: Arc<Folder>,
    kept: Mutex<Kept>,
}

/// The leases and intents that this process holds. The locks end when these values do.
#[derive(Default)]
struct Kept {
    leases: BTreeMap<Key, (Holder, Held)>,
    intents: BTreeMap<(Key, Spend), (Holder, Held)>,
}

impl Marks {
    /// Opens the folder, and makes it if it is not there, for its owner alone.
    ///
    /// # Errors
    /// The error says what is in the way, with its code and what helps; show it to the person.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Ok(Self::within(Arc::new(Folder::open(folder)?)))
    }

    pub(crate) fn within(folder: Arc<Folder>) -> Self {
        Self { folder, kept: Mutex::default() }
    }

    /// Performs `StoreRequest::Lease`.
    pub fn lease(&self, key: &Key, holder: Holder) -> Stored {
        match self.kept().leases.entry(key.clone()) {
            Entry::Occupied(mut held) if holder.succeeds(held.get().0) => {
                held.get_mut().0 = holder;
                Stored::Leased
            }
            Entry::Occupied(_) => Stored::Busy,
            Entry::Vacant(free) => match self.take(&lease_name(key)) {
                Ok(Some(held)) => {
                    free.insert((holder, held));
                    Stored::Leased
                }
                Ok(None) => Stored::Busy,
                Err(error) => Stored::Failed(error.kind()),
            },
        }
    }

    /// Performs `StoreRequest::Intend`.
    ///
    /// Intents of superseded generations are removed. So a store that is told
    /// [`Stored::Intended`] must look at its record once more, and [`release`](Self::release) the
    /// intent if the generation is not the record's any longer: somebody without a lease, who
    /// loaded the record before the swap, would spend the same refresh token again.
    pub fn intend(&self, key: &Key, spend: &Spend, holder: Holder) -> Stored {
        self.try_intend(key, spend, holder).unwrap_or_else(|error| Stored::Failed(error.kind()))
    }

    /// As [`intend`](Self::intend), with the look at the record's generation: whoever lost its
    /// lease may come so late that the intent it would have met was removed with its generation
    /// (HOST-240). The intent is made first, since a swap is visible before it removes any.
    pub(crate) fn intend_in_time(
        &self,
        key: &Key,
        spend: &Spend,
        holder: Holder,
        generation: impl FnOnce() -> Result<Option<u64>, Kind>,
    ) -> Stored {
        let answer = self.intend(key, spend, holder);
        let Spend::Refresh { generation: spent, .. } = spend else { return answer };
        let undecided = [Stored::Intended, Stored::Standing { made_by_the_living: false }];
        if !undecided.contains(&answer) {
            return answer;
        }
        let late = generation().map(|held| held.is_some_and(|held| held > *spent));
        if late == Ok(false) {
            return answer;
        }
        if answer == Stored::Intended
            && let Err(error) = self.withdraw(key, spend, holder)
        {
            return Stored::Failed(error.kind());
        }
        late.map_or_else(Stored::Failed, |_| Stored::Standing { made_by_the_living: true })
    }

    /// Performs `StoreRequest::Release`.
    pub fn release(&self, key: &Key, holder: Holder, withdraw: Option<&Spend>) -> Stored {
        let withdrawn = withdraw.map_or(Ok(()), |spend| self.withdraw(key, spend, holder));
        let mut kept = self.kept();
        if kept.leases.get(key).is_some_and(|(by, _)| *by == holder) {
            kept.leases.remove(key);
        }
        match withdrawn {
            Ok(()) => Stored::Released,
            Err(error) => Stored::Failed(error.kind()),
        }
    }

    /// Removes an intent of this holder's.
    fn withdraw(&self, key: &Key, spend: &Spend, holder: Holder) -> Result<(), StoreError> {
        match self.kept().intents.entry((key.clone(), spend.clone())) {
            Entry::Occupied(made) if made.get().0 == holder => {
                let removed = self.folder.remove(&intent_name(key, spend));
                made.remove();
                removed
            }
            _ => Ok(()),
        }
    }

    /// Performs `StoreRequest::Leave`.
    pub fn leave(&self, holder: Holder) -> Stored {
        let mut kept = self.kept();
        let of_another = |by: &Holder| by.session() != holder.session();
        kept.leases.retain(|_, (by, _)| of_another(by));
        kept.intents.retain(|_, (by, _)| of_another(by));
        Stored::Released
    }

    /// Removes what a swap has made needless: the refresh intents of generations below the new one,
    /// and code intents beyond the newest whose makers are gone. With no `expected` generation the
    /// record begins anew, and will have again the generations that refresh intents of the dead are
    /// about: those are removed, too. To be called after the swap is durable. Files that cannot be
    /// removed now are removed after a later swap.
    pub fn swapped(&self, key: &Key, expected: Option<u64>, generation: u64) {
        let stem = names::stem(key);
        for name in self.folder.names().unwrap_or_default() {
            match Found::read(&stem, &name) {
                Some(Found::Refresh(of)) if of < generation => {
                    let _next_time = self.folder.remove(&name);
                }
                Some(Found::Refresh(_)) if expected.is_none() => self.sweep(&name),
                Some(Found::Unpublished) => self.sweep(&name),
                _ => {}
            }
        }
        self.sweep_codes(&stem);
        // Last, since a file without its lock looks like a refresh whose maker died.
        let older = |spend: &Spend| matches!(spend, Spend::Refresh { generation: of, .. } if *of < generation);
        self.kept().intents.retain(|(of, spend), _| of != key || !older(spend));
    }

    /// Removes a record's code intents beyond the newest whose makers are gone.
    fn sweep_codes(&self, stem: &str) {
        let names = self.folder.names().unwrap_or_default().into_iter();
        let codes = names.filter(|name| matches!(Found::read(stem, name), Some(Found::Code)));
        // The times only choose among those whose makers are gone.
        let open = |name: &str| self.folder.find(name).ok().flatten();
        all_but_newest(CODES, codes, open).for_each(|name| self.sweep(&name));
    }

    /// Removes a file unless somebody holds its lock.
    fn sweep(&self, name: &str) {
        if let Ok(Some(file)) = self.folder.find(name)
            && let Ok(Some(_held)) = Held::take(file)
        {
            let _next_time = self.folder.remove(name);
        }
    }

    fn try_intend(&self, key: &Key, spend: &Spend, holder: Holder) -> Result<Stored, StoreError> {
        let name = intent_name(key, spend);
        for _ in 0..TRIES {
            if let Some(file) = self.folder.find(&name)? {
                let alone = lock::is_free(&file).map_err(|error| self.not_locked(&name, error))?;
                return Ok(Stored::Standing { made_by_the_living: !alone });
            }
            if let Some(held) = self.make(key, &name)? {
                self.kept().intents.insert((key.clone(), spend.clone()), (holder, held));
                // No swap follows a login that fails.
                if matches!(spend, Spend::Code { .. }) {
                    self.sweep_codes(&names::stem(key));
                }
                return Ok(Stored::Intended);
            }
        }
        Err(StoreError::new(Kind::StoreLocked, &self.folder.path_of(&name)))
    }

    /// Creates an intent, durably, unless another was quicker. It is locked before it has its name,
    /// so that nobody finds it without its maker.
    fn make(&self, key: &Key, name: &str) -> Result<Option<Held>, StoreError> {
        let random =
            names::random().map_err(|kind| StoreError::new(kind, &self.folder.path_of(name)))?;
        let unpublished = unpublished_name(key, &random);
        let Some(held) = self.take_new(&unpublished)? else { return Ok(None) };
        let path = self.folder.path_of(&unpublished);
        let published = held
            .file()
            .sync_all()
            .map_err(|error| StoreError::io(&path, error))
            .and_then(|()| self.folder.publish(&unpublished, name));
        if !matches!(published, Ok(true)) {
            let _swept_later = self.folder.remove(&unpublished);
            return published.map(|_| None);
        }
        if let Err(error) = self.folder.sync() {
            // Nothing is spent on an intent that may not outlive us.
            let _stands_without_a_maker = self.folder.remove(name);
            return Err(error);
        }
        Ok(Some(held))
    }

    fn take_new(&self, name: &str) -> Result<Option<Held>, StoreError> {
        let file = self.folder.create(name)?;
        let taken = Held::take(file).map_err(|error| self.not_locked(name, error));
        if taken.is_err() {
            let _swept_later = self.folder.remove(name);
        }
        taken
    }

    fn take(&self, name: &str) -> Result<Option<Held>, StoreError> {
        let file = self.folder.open_or_create(name)?;
        Held::take(file).map_err(|error| self.not_locked(name, error))
    }

    fn not_locked(&self, name: &str, error: std::io::Error) -> StoreError {
        StoreError::lock(&self.folder.path_of(name), error)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Marks").field("folder", &self.folder).finish_non_exhaustive()
    }
}

fn lease_name(key: &Key) -> String {
    format!("{}.lease", names::stem(key))
}

fn intent_name(key: &Key, spend: &Spend) -> String {
    format!("{}.spend-{}", names::stem(key), spend.name())
}

fn unpublished_name(key: &Key, random: &str) -> String {
    format!("{}.unpublished-{random}", names::stem(key))
}

/// The meaning of a file for a record, by its name.
enum Found {
    Refresh(u64),
    Code,
    Unpublished,
}

impl Found {
    fn read(stem: &str, name: &str) -> Option<Self> {
        let rest = name.strip_prefix(stem)?.strip_prefix('.')?;
        if rest.starts_with("unpublished-") {
            return Some(Self::Unpublished);
        }
        let spend = rest.strip_prefix("spend-")?;
        if spend.starts_with("code-") {
            return Some(Self::Code);
        }
        let (generation, _attempt) = spend.strip_prefix("refresh-")?.split_once('-')?;
        generation.parse().ok().map(Self::Refresh)
    }
}

#[cfg(test)]
mod tests;
