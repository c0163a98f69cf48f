//! Credentials for as long as the process lives.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mcp_authz_core::effect::{Key, Record, StoreRequest, Stored};
use mcp_authz_driver::ports::Store;

/// Records in memory, swapped by generation as every store does. Clones are the same store.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<BTreeMap<Key, Record>>>);

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for Memory {
    fn perform(&self, request: StoreRequest) -> Stored {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match request {
            StoreRequest::Load { key } => Stored::Loaded(records.get(&key).cloned()),
            StoreRequest::Swap { key, expected, record } => {
                let held = records.get(&key);
                if held.map(|held| held.generation) != expected {
                    return Stored::Conflict(held.cloned());
                }
                let generation = expected.unwrap_or(0).saturating_add(1);
                records.insert(key, Record { generation, bytes: record });
                Stored::Swapped(generation)
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

    fn swap(expected: Option<u64>, bytes: &[u8]) -> StoreRequest {
        let key = Key { kind: RecordKind::Grant, name: "k".to_owned() };
        StoreRequest::Swap { key, expected, record: Bytes(bytes.to_vec()) }
    }

    fn load() -> StoreRequest {
        StoreRequest::Load { key: swap(None, b"").key().clone() }
    }

    #[test]
    fn a_swap_names_the_generation_it_replaces() {
        let store = Memory::new();
        assert_eq!(store.perform(load()), Stored::Loaded(None));
        assert_eq!(store.perform(swap(Some(1), b"x")), Stored::Conflict(None));
        assert_eq!(store.perform(swap(None, b"a")), Stored::Swapped(1));
        let held = Record { generation: 1, bytes: Bytes(b"a".to_vec()) };
        assert_eq!(store.perform(swap(None, b"b")), Stored::Conflict(Some(held.clone())));
        assert_eq!(store.perform(load()), Stored::Loaded(Some(held)));
        assert_eq!(store.perform(swap(Some(1), b"b")), Stored::Swapped(2));
    }

    #[test]
    fn of_two_that_swap_the_same_generation_one_succeeds() {
        let store = Memory::new();
        let swapped = |store: Memory| {
            thread::spawn(move || matches!(store.perform(swap(None, b"x")), Stored::Swapped(1)))
        };
        let threads: Vec<_> = (0..8).map(|_| swapped(store.clone())).collect();
        let won = threads.into_iter().map(|thread| thread.join().unwrap());
        assert_eq!(won.filter(|won| *won).count(), 1);
    }
}
