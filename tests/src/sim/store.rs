//! The credential store of the simulator: a map, compare-and-swap by generation, and failures on
//! demand.

use std::collections::BTreeMap;

use mcp_authz_core::effect::{Bytes, Key, Record, RecordKind, StoreRequest, Stored};
use mcp_authz_core::failure::Kind;

/// Records in memory.
#[derive(Debug, Default)]
pub struct Store {
    records: BTreeMap<Key, Record>,
    failing: Option<Kind>,
    silent: bool,
    muted: Option<RecordKind>,
    contended: usize,
    log: Vec<String>,
}

impl Store {
    /// Performs one operation; `None` if the store does not answer at all.
    pub fn perform(&mut self, request: StoreRequest) -> Option<Stored> {
        self.log.push(match &request {
            StoreRequest::Load { key } => format!("load {:?}", key.kind),
            StoreRequest::Swap { key, expected, .. } => format!("swap {:?} {expected:?}", key.kind),
        });
        if self.silent || self.muted == Some(request.key().kind) {
            return None;
        }
        if let Some(kind) = self.failing {
            return Some(Stored::Failed(kind));
        }
        Some(match request {
            StoreRequest::Load { key } => Stored::Loaded(self.records.get(&key).cloned()),
            StoreRequest::Swap { key, expected, record } => {
                if self.contended > 0 {
                    self.contended -= 1;
                    let theirs = self.records.entry(key.clone());
                    theirs
                        .or_insert(Record { generation: 0, bytes: Bytes(Vec::new()) })
                        .generation += 1;
                }
                let found = self.records.get(&key);
                if found.map(|record| record.generation) == expected {
                    let generation = expected.unwrap_or(0) + 1;
                    self.records.insert(key, Record { generation, bytes: record });
                    Stored::Swapped(generation)
                } else {
                    Stored::Conflict(found.cloned())
                }
            }
        })
    }

    /// Every operation fails with this kind from here on; `None` heals the store.
    pub const fn fail(&mut self, kind: Option<Kind>) {
        self.failing = kind;
    }

    /// The store answers nothing from here on.
    pub const fn silence(&mut self, silent: bool) {
        self.silent = silent;
    }

    /// The store answers nothing about records of this kind; `None` heals it.
    pub const fn mute(&mut self, kind: Option<RecordKind>) {
        self.muted = kind;
    }

    /// Before each of the next swaps another process is faster.
    pub const fn contend(&mut self, times: usize) {
        self.contended = times;
    }

    /// What was asked of it so far.
    #[must_use]
    pub fn log(&self) -> &[String] {
        &self.log
    }

    /// The records of a kind, as JSON.
    #[must_use]
    pub fn documents(&self, kind: RecordKind) -> Vec<serde_json::Value> {
        let of_kind = self.records.iter().filter(|(key, _)| key.kind == kind);
        of_kind.filter_map(|(_, record)| serde_json::from_slice(&record.bytes.0).ok()).collect()
    }

    /// Changes every record of a kind, as another process or an attacker might.
    pub fn change(&mut self, kind: RecordKind, change: impl Fn(&mut serde_json::Value)) {
        for (_, record) in self.records.iter_mut().filter(|(key, _)| key.kind == kind) {
            let mut value = serde_json::from_slice(&record.bytes.0).unwrap_or_default();
            change(&mut value);
            record.bytes = Bytes(value.to_string().into_bytes());
            record.generation += 1;
        }
    }

    /// Replaces the bytes of every record of a kind.
    pub fn damage(&mut self, kind: RecordKind, bytes: &[u8]) {
        for (_, record) in self.records.iter_mut().filter(|(key, _)| key.kind == kind) {
            record.bytes = Bytes(bytes.to_vec());
        }
    }
}
