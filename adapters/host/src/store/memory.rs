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
pub struct Memory(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    records: BTreeMap<Key, Record>,
    leases: BTreeMap<Key, Holder>,
    /// With their makers, while these are there.
    intents: BTreeMap<(Key, Spend), Option<Holder>>,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for Memory {
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
                self.intents.retain(|(of, spend), _| {
                    let older = |generation: &u64| *of == key && *generation < new;
                    !matches!(spend, Spend::Refresh { generation, .. } if older(generation))
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
                if let Some(spend) = withdraw
                    && let Entry::Occupied(made) = self.intents.entry((key.clone(), spend))
                    && *made.get() == Some(holder)
                {
                    made.remove();
                }
                if self.leases.get(&key) == Some(&holder) {
                    self.leases.remove(&key);
                }
                Stored::Released
            }
            StoreRequest::Leave { holder } => {
                let of_another = |held: &Holder| held.session() != holder.session();
                self.leases.retain(|_, held| of_another(held));
                for maker in self.intents.values_mut() {
                    *maker = maker.filter(of_another);
                }
                Stored::Released
            }
        }
    }

    fn intend(&mut self, key: Key, spend: Spend, holder: Holder) -> Stored {
        let held = self.records.get(&key).map(|held| held.generation);
        let over = matches!(spend, Spend::Refresh { generation, .. } if held > Some(generation));
        match self.intents.entry((key, spend)) {
            Entry::Occupied(made) => Stored::Standing { made_by_the_living: made.get().is_some() },
            // The swap has removed the intent that this one would have met (HOST-240).
            Entry::Vacant(_) if over => Stored::Standing { made_by_the_living: true },
            Entry::Vacant(none) => {
                none.insert(Some(holder));
                Stored::Intended
            }
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
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
        let store = Memory::new();
        assert_eq!(store.perform(load()), Stored::Loaded(None));
        assert_eq!(store.perform(swap(Some(1), b"x")), Stored::Conflict(None));
        assert_eq!(store.perform(swap(None, b"a")), Stored::Swapped);
        let held = Record { generation: 1, bytes: Bytes(b"a".to_vec()) };
        assert_eq!(store.perform(swap(None, b"b")), Stored::Conflict(Some(held.clone())));
        assert_eq!(store.perform(load()), Stored::Loaded(Some(held)));
        assert_eq!(store.perform(swap(Some(1), b"b")), Stored::Swapped);
    }

    #[test]
    fn of_two_that_swap_the_same_generation_one_succeeds() {
        let store = Memory::new();
        let swapped = |store: Memory| {
            thread::spawn(move || matches!(store.perform(swap(None, b"x")), Stored::Swapped))
        };
        let threads: Vec<_> = (0..8).map(|_| swapped(store.clone())).collect();
        let won = threads.into_iter().map(|thread| thread.join().unwrap());
        assert_eq!(won.filter(|won| *won).count(), 1);
    }
}
