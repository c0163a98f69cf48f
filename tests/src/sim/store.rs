//! The credential store of the simulator: a map, compare-and-swap by generation, and failures on
//! demand.

use std::collections::BTreeMap;

use mcp_authz_core::effect::{Bytes, Holder, Key, Record, RecordKind, Spend, StoreRequest, Stored};
use mcp_authz_core::failure::Kind;

/// The process beside the simulator's.
const ANOTHER: Holder = Holder(1);

/// Records, leases and intents in memory.
#[derive(Debug, Default)]
pub struct Store {
    records: BTreeMap<Key, Record>,
    leases: BTreeMap<Key, Holder>,
    /// With their makers, while these are there.
    intents: BTreeMap<(Key, Spend), Option<Holder>>,
    failing: Option<Kind>,
    silent: bool,
    muted: Option<RecordKind>,
    /// An operation, by the first word of its line in the log, that is answered so, or not at all.
    instead: Option<(&'static str, Option<Stored>)>,
    contended: usize,
    log: Vec<String>,
}

impl Store {
    /// Performs one operation; `None` if the store does not answer at all.
    pub fn perform(&mut self, request: StoreRequest) -> Option<Stored> {
        self.log.push(match &request {
            StoreRequest::Load { key } => format!("load {:?}", key.kind),
            StoreRequest::Swap { key, expected, .. } => format!("swap {:?} {expected:?}", key.kind),
            StoreRequest::Lease { key, .. } => format!("lease {:?}", key.kind),
            StoreRequest::Intend { spend, .. } => format!("intend {}", spend.name()),
            StoreRequest::Release { withdraw, .. } => {
                format!("release {:?}", withdraw.as_ref().map(Spend::name))
            }
            StoreRequest::Leave { .. } => "leave".to_owned(),
        });
        if let (Some((operation, answer)), Some(line)) = (&self.instead, self.log.last())
            && line.split(' ').next() == Some(*operation)
        {
            return answer.clone();
        }
        if self.silent || kind(&request).is_some_and(|kind| self.muted == Some(kind)) {
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
                if found.map(|record| record.generation) != expected {
                    return Some(Stored::Conflict(found.cloned()));
                }
                let (new, last) = (record.generation, Some(u64::MAX));
                assert!(expected.is_none_or(|old| old < new) || expected == last, "it fell");
                assert!(expected != last || Some(new) == last, "the largest generation fell");
                self.intents.retain(|(of, spend), _| {
                    let older = |generation| *of == key && generation < record.generation;
                    !matches!(spend, Spend::Refresh { generation, .. } if older(*generation))
                });
                self.records.insert(key, record);
                Stored::Swapped
            }
            StoreRequest::Lease { key, holder } => {
                let held = self.leases.entry(key).or_insert(holder);
                if holder.succeeds(*held) {
                    *held = holder;
                    Stored::Leased
                } else {
                    Stored::Busy
                }
            }
            StoreRequest::Intend { key, spend, holder } => {
                let held = self.records.get(&key).map(|held| held.generation);
                let of = |spend: &Spend| match spend {
                    Spend::Refresh { generation, .. } => Some(*generation),
                    Spend::Code { .. } => None,
                };
                let over = of(&spend).is_some_and(|of| held > Some(of));
                match self.intents.get(&(key.clone(), spend.clone())) {
                    Some(made) => Stored::Standing { made_by_the_living: made.is_some() },
                    None if over => Stored::Standing { made_by_the_living: true },
                    None => {
                        self.intents.insert((key, spend), Some(holder));
                        Stored::Intended
                    }
                }
            }
            StoreRequest::Release { key, holder, withdraw } => {
                if let Some(spend) = withdraw {
                    let intent = (key.clone(), spend);
                    if self.intents.get(&intent) == Some(&Some(holder)) {
                        self.intents.remove(&intent);
                    }
                }
                if self.leases.get(&key) == Some(&holder) {
                    self.leases.remove(&key);
                }
                Stored::Released
            }
            StoreRequest::Leave { holder } => {
                self.leave(|held| held.session() == holder.session());
                Stored::Released
            }
        })
    }

    /// The process of the simulator's session is gone.
    pub fn kill_ours(&mut self) {
        self.leave(|holder| holder.session() != ANOTHER.session());
    }

    /// Every process is gone.
    pub fn kill_everybody(&mut self) {
        self.leave(|_| true);
    }

    fn leave(&mut self, gone: impl Fn(&Holder) -> bool) {
        self.leases.retain(|_, held| !gone(held));
        for maker in self.intents.values_mut() {
            *maker = maker.filter(|maker| !gone(maker));
        }
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

    /// This operation (`lease`, `intend`, `release`, ...) is answered so from here on, or, with `None`,
    /// not at all.
    pub fn answer(&mut self, operation: &'static str, answer: Option<Stored>) {
        self.instead = Some((operation, answer));
    }

    /// Every operation is answered as it should be.
    pub fn heal(&mut self) {
        (self.failing, self.silent, self.muted, self.instead) = (None, false, None, None);
    }

    /// Another process takes the lease of every grant, or gives it back.
    pub fn lease_elsewhere(&mut self, taken: bool) {
        self.leases.retain(|_, holder| *holder != ANOTHER);
        if taken {
            let grants = self.records.keys().filter(|key| key.kind == RecordKind::Grant);
            self.leases.extend(grants.map(|key| (key.clone(), ANOTHER)));
        }
    }

    /// Another process has recorded that it spends the refresh token of every grant as it stands; it
    /// is still there, or not.
    pub fn intend_elsewhere(&mut self, attempt: u8, alive: bool) {
        for (key, record) in self.records.iter().filter(|(key, _)| key.kind == RecordKind::Grant) {
            let spend = Spend::Refresh { generation: record.generation, attempt };
            self.intents.insert((key.clone(), spend), alive.then_some(ANOTHER));
        }
    }

    /// How many intents stand.
    #[must_use]
    pub fn intents(&self) -> usize {
        self.intents.len()
    }

    /// How many leases are taken.
    #[must_use]
    pub fn leases(&self) -> usize {
        self.leases.len()
    }

    /// Before each of the next swaps another process is faster.
    pub const fn contend(&mut self, times: usize) {
        self.contended = times;
    }

    /// The operations that were asked of it so far.
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
            record.generation = record.generation.saturating_add(1);
        }
    }

    /// Gives every record of a kind this generation.
    pub fn number(&mut self, kind: RecordKind, generation: u64) {
        for (_, record) in self.records.iter_mut().filter(|(key, _)| key.kind == kind) {
            record.generation = generation;
        }
    }

    /// The generations of the records of a kind.
    #[must_use]
    pub fn numbers(&self, kind: RecordKind) -> Vec<u64> {
        let of_kind = self.records.iter().filter(|(key, _)| key.kind == kind);
        of_kind.map(|(_, record)| record.generation).collect()
    }

    /// Every record, as a backup takes it.
    #[must_use]
    pub fn backup(&self) -> BTreeMap<Key, Record> {
        self.records.clone()
    }

    /// Somebody puts a backup back; what came since is gone.
    pub fn put_back(&mut self, backup: BTreeMap<Key, Record>) {
        self.records = backup;
    }

    /// Replaces the bytes of every record of a kind.
    pub fn damage(&mut self, kind: RecordKind, bytes: &[u8]) {
        for (_, record) in self.records.iter_mut().filter(|(key, _)| key.kind == kind) {
            record.bytes = Bytes(bytes.to_vec());
        }
    }
}

/// Which kind of record a request is about; `None` for what concerns all of them.
const fn kind(request: &StoreRequest) -> Option<RecordKind> {
    match request {
        StoreRequest::Load { key }
        | StoreRequest::Swap { key, .. }
        | StoreRequest::Lease { key, .. }
        | StoreRequest::Intend { key, .. }
        | StoreRequest::Release { key, .. } => Some(key.kind),
        StoreRequest::Leave { .. } => None,
    }
}
