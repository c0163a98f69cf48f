//! Credentials for as long as the process lives.

use core::fmt;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use mcp_authz_core::effect::{Holder, Key, Record, RecordKind, Spend, StoreRequest, Stored};
use mcp_authz_core::failure::Kind;
use mcp_authz_driver::ports::Store;

/// Records in memory, swapped by generation as every store does. Clones are the same store.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Kept>>);

/// Code intents that are kept for a record although their makers have gone.
const CODES: usize = 16;

#[derive(Default)]
struct Kept {
    records: BTreeMap<Key, Record>,
    leases: BTreeMap<Key, Holder>,
    /// Of each record in the order they were made, with their makers while these are there.
    intents: BTreeMap<Key, Vec<(Spend, Option<Holder>)>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemoryStore {
    fn perform(&self, request: StoreRequest) -> Stored {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).perform(request)
    }

    fn list(&self, kind: RecordKind) -> Result<Vec<(Key, Record)>, Kind> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_kind = kept.records.iter().filter(|(key, _)| key.kind == kind);
        Ok(of_kind.map(|(key, record)| (key.clone(), record.clone())).collect())
    }
}

impl Kept {
    fn perform(&mut self, request: StoreRequest) -> Stored {
        match request {
            StoreRequest::Load { key } => Stored::Loaded(self.records.get(&key).cloned()),
            StoreRequest::Swap { key, expected, record } => {
                let held = self.records.get(&key);
                if held.map(|held| held.generation) != expected {
                    return Stored::Conflict(held.cloned());
                }
                let new = record.generation;
                self.keep_intents(&key, |spend, _| {
                    !matches!(spend, Spend::Refresh { generation, .. } if *generation < new)
                });
                self.records.insert(key, record);
                Stored::Swapped
            }
            StoreRequest::Lease { key, holder } => match self.leases.entry(key) {
                Entry::Occupied(mut held) if holder.succeeds(*held.get()) => {
                    held.insert(holder);
                    Stored::Leased
                }
                Entry::Occupied(_) => Stored::Busy,
                Entry::Vacant(free) => {
                    free.insert(holder);
                    Stored::Leased
                }
            },
            StoreRequest::Intend { key, spend, holder } => self.intend(key, spend, holder),
            StoreRequest::Release { key, holder, withdraw } => {
                if let Some(withdrawn) = withdraw {
                    self.keep_intents(&key, |spend, maker| {
                        *spend != withdrawn || maker != Some(holder)
                    });
                }
                if self.leases.get(&key) == Some(&holder) {
                    self.leases.remove(&key);
                }
                Stored::Released
            }
            StoreRequest::Leave { holder } => {
                let of_another = |held: &Holder| held.session() != holder.session();
                self.leases.retain(|_, held| of_another(held));
                for (_, maker) in self.intents.values_mut().flatten() {
                    *maker = maker.filter(of_another);
                }
                Stored::Released
            }
        }
    }

    fn intend(&mut self, key: Key, spend: Spend, holder: Holder) -> Stored {
        let held = self.records.get(&key).map(|held| held.generation);
        let over = matches!(spend, Spend::Refresh { generation, .. } if held > Some(generation));
        let intents = self.intents.get(&key);
        let made = intents.and_then(|all| all.iter().find(|(of, _)| *of == spend));
        if let Some((_, maker)) = made {
            return Stored::Standing { made_by_the_living: maker.is_some() };
        }
        if over {
            // The swap has removed the intent that this one would have met (HOST-240).
            return Stored::Standing { made_by_the_living: true };
        }
        let of_the_dead = |spend: &Spend, maker: Option<Holder>| {
            maker.is_none() && matches!(spend, Spend::Code { .. })
        };
        let dead = intents.into_iter().flatten().filter(|(of, maker)| of_the_dead(of, *maker));
        let mut surplus = (dead.count() + 1).saturating_sub(CODES);
        self.keep_intents(&key, |spend, maker| {
            let goes = surplus > 0 && of_the_dead(spend, maker);
            surplus -= usize::from(goes);
            !goes
        });
        self.intents.entry(key).or_default().push((spend, Some(holder)));
        Stored::Intended
    }

    /// Keeps only these intents of a record.
    fn keep_intents(&mut self, key: &Key, mut keep: impl FnMut(&Spend, Option<Holder>) -> bool) {
        if let Some(all) = self.intents.get_mut(key) {
            all.retain(|(spend, maker)| keep(spend, *maker));
            if all.is_empty() {
                self.intents.remove(key);
            }
        }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use mcp_authz_core::effect::{Bytes, RecordKind};

    use super::*;

    fn key() -> Key {
        Key { kind: RecordKind::Grant, name: "k".to_owned() }
    }

    fn swap(expected: Option<u64>, bytes: &[u8]) -> StoreRequest {
        let generation = expected.unwrap_or(0) + 1;
        let record = Record { generation, bytes: Bytes(bytes.to_vec()) };
        StoreRequest::Swap { key: key(), expected, record }
    }

    fn load() -> StoreRequest {
        StoreRequest::Load { key: key() }
    }

    #[test]
    fn a_swap_names_the_generation_it_replaces() {
        let store = MemoryStore::new();
        assert_eq!(store.perform(load()), Stored::Loaded(None));
        assert_eq!(store.perform(swap(Some(1), b"x")), Stored::Conflict(None));
        assert_eq!(store.perform(swap(None, b"a")), Stored::Swapped);
        let held = Record { generation: 1, bytes: Bytes(b"a".to_vec()) };
        assert_eq!(store.perform(swap(None, b"b")), Stored::Conflict(Some(held.clone())));
        assert_eq!(store.perform(load()), Stored::Loaded(Some(held)));
        assert_eq!(store.perform(swap(Some(1), b"b")), Stored::Swapped);
    }

    /// An intent is kept until its maker says how it ended, and of those who never will, the newest.
    #[test]
    fn what_a_code_s_intent_takes_is_given_back_host_331() {
        let store = MemoryStore::new();
        let code = |login: u64| Spend::Code { login: format!("{login:032x}") };
        let intend = |login, holder| {
            store.perform(StoreRequest::Intend { key: key(), spend: code(login), holder })
        };
        let kept = || store.0.lock().unwrap().intents.values().map(Vec::len).sum::<usize>();
        for login in 0..100 {
            let (holder, withdraw) = (Holder(1), Some(code(login)));
            assert_eq!(intend(login, holder), Stored::Intended);
            store.perform(StoreRequest::Release { key: key(), holder, withdraw });
        }
        assert!(store.0.lock().unwrap().intents.is_empty());
        for login in 100..200 {
            assert_eq!(intend(login, Holder(login)), Stored::Intended);
            store.perform(StoreRequest::Leave { holder: Holder(login) });
        }
        assert_eq!(kept(), CODES);
        assert_eq!(intend(199, Holder(1)), Stored::Standing { made_by_the_living: false });
        for login in 200..240 {
            assert_eq!(intend(login, Holder(login)), Stored::Intended);
        }
        assert!(kept() >= 40, "none of the living goes");
    }

    #[test]
    fn of_two_that_swap_the_same_generation_one_succeeds() {
        let store = MemoryStore::new();
        let swapped = |store: MemoryStore| {
            thread::spawn(move || matches!(store.perform(swap(None, b"x")), Stored::Swapped))
        };
        let threads: Vec<_> = (0..8).map(|_| swapped(store.clone())).collect();
        let won = threads.into_iter().map(|thread| thread.join().unwrap());
        assert_eq!(won.filter(|won| *won).count(), 1);
    }
}
