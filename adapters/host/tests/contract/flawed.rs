//! Stores with one flaw each.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, MutexGuard};
use std::thread;

use mcp_authz_core::effect::{Bytes, Holder, Key, Record, RecordKind, Spend, StoreRequest, Stored};
use mcp_authz_core::failure::Kind;
use mcp_authz_driver::ports::Store;
use mcp_authz_host::contract;
use mcp_authz_host::store::MemoryStore;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    SwapsWithoutLooking,
    LooksThenSwaps,
    HidesTheWinner,
    RoundsGenerations,
    CountsGenerations,
    ReadsBytesAsText,
    CutsLongRecords,
    FoldsCase,
    EndsNamesAtNul,
    ForgetsKinds,
    ListsOnlyGrants,
    ListsTwice,
    ShowsRecords,
    SharesLeases,
    RefusesTheHolder,
    LocksRecordsByLease,
    LetsStrangersRelease,
    LetsIntentsBeMadeAgain,
    ReleasesIntentsToo,
    LetsStrangersWithdraw,
    KeepsLeasesOfTheGone,
    KeepsMakersOfTheGone,
    LeavesForEverybody,
    KeepsOldIntents,
    DropsAllIntents,
    DropsIntentsOnConflict,
    HasOneLease,
    SpendsWhatIsOver,
    LooksThenIntends,
    LooksThenLeases,
}

use Flaw::*;

/// Each flaw, and the promise that it breaks.
const FLAWS: &[(Flaw, &str)] = &[
    (SwapsWithoutLooking, "a_swap_names_the_generation_it_replaces"),
    (LooksThenSwaps, "no_update_is_lost_between_threads"),
    (HidesTheWinner, "a_conflict_shows_what_is_there"),
    (RoundsGenerations, "generations_are_kept_as_given"),
    (CountsGenerations, "generations_are_kept_as_given"),
    (ReadsBytesAsText, "any_bytes_come_back"),
    (CutsLongRecords, "any_bytes_come_back"),
    (FoldsCase, "keys_are_distinct_host_286"),
    (EndsNamesAtNul, "keys_are_distinct_host_286"),
    (ForgetsKinds, "keys_are_distinct_host_286"),
    (ListsOnlyGrants, "every_record_of_a_kind_is_listed"),
    (ListsTwice, "every_record_of_a_kind_is_listed"),
    (ShowsRecords, "debug_shows_no_bytes_host_300"),
    (SharesLeases, "a_lease_has_one_holder"),
    (RefusesTheHolder, "a_lease_has_one_holder"),
    (LocksRecordsByLease, "a_lease_keeps_nobody_from_the_record"),
    (LetsStrangersRelease, "only_the_holder_gives_a_lease_back"),
    (LetsIntentsBeMadeAgain, "an_intent_is_made_once"),
    (ReleasesIntentsToo, "an_intent_is_made_once"),
    (LetsStrangersWithdraw, "only_the_maker_withdraws_an_intent"),
    (KeepsLeasesOfTheGone, "who_leaves_has_no_lease_and_lives_no_more"),
    (KeepsMakersOfTheGone, "who_leaves_has_no_lease_and_lives_no_more"),
    (LeavesForEverybody, "who_leaves_has_no_lease_and_lives_no_more"),
    (KeepsOldIntents, "a_swap_removes_older_refresh_intents_only"),
    (DropsAllIntents, "a_swap_removes_older_refresh_intents_only"),
    (DropsIntentsOnConflict, "a_swap_removes_older_refresh_intents_only"),
    (SpendsWhatIsOver, "a_superseded_generation_is_spent_by_nobody_host_240"),
    (LooksThenSwaps, "one_of_many_swaps_wins"),
    (LooksThenIntends, "one_of_many_intents_wins_host_240"),
    (LooksThenLeases, "one_of_many_leases_wins"),
    (HasOneLease, "marks_of_one_key_are_no_other_s_host_286"),
];

/// A store that is sound but for its flaw.
struct Flawed {
    flaw: Flaw,
    kept: Mutex<Kept>,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    records: BTreeMap<Key, Record>,
    leases: BTreeMap<Key, Holder>,
    intents: BTreeMap<(Key, Spend), Option<Holder>>,
}

impl fmt::Debug for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.kept.lock().unwrap();
        let first = kept.records.values().next().filter(|_| self.flaw == ShowsRecords);
        write!(f, "Flawed({:?})", first.map(|record| record.bytes.0.clone()))
    }
}

impl Flawed {
    fn key(&self, key: Key) -> Key {
        let Key { kind, name } = key;
        match self.flaw {
            FoldsCase => Key { kind, name: name.to_lowercase() },
            EndsNamesAtNul => {
                let end = name.find('\0').unwrap_or(name.len());
                Key { kind, name: name[..end].to_owned() }
            }
            ForgetsKinds => Key { kind: RecordKind::Grant, name },
            _ => Key { kind, name },
        }
    }

    fn swap(&self, key: Key, expected: Option<u64>, mut record: Record) -> Stored {
        let mut kept = self.kept.lock().unwrap();
        let held = kept.records.get(&key).cloned();
        let old = held.as_ref().map(|held| held.generation);
        if old != expected && self.flaw != SwapsWithoutLooking {
            if self.flaw == DropsIntentsOnConflict {
                kept.intents.retain(|(of, _), _| *of != key);
            }
            return Stored::Conflict(held.filter(|_| self.flaw != HidesTheWinner));
        }
        if self.flaw == LooksThenSwaps {
            kept = self.look_away(kept);
        }
        if self.flaw == LocksRecordsByLease && kept.leases.contains_key(&key) {
            return Stored::Failed(Kind::StoreLocked);
        }
        let new = record.generation;
        kept.intents.retain(|(of, spend), _| match spend {
            _ if *of != key || self.flaw == KeepsOldIntents => true,
            Spend::Refresh { generation, .. } => *generation >= new && self.flaw != DropsAllIntents,
            Spend::Code { .. } => self.flaw != DropsAllIntents,
        });
        match self.flaw {
            #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
            #[expect(clippy::cast_sign_loss, reason = "the flaw")]
            RoundsGenerations => record.generation = new as f64 as u64,
            CountsGenerations => record.generation = old.map_or(1, |old| old.saturating_add(1)),
            ReadsBytesAsText => {
                let text = String::from_utf8_lossy(&record.bytes.0).into_owned();
                record.bytes = Bytes(text.into_bytes());
            }
            CutsLongRecords => record.bytes.0.truncate(2_560),
            _ => {}
        }
        kept.records.insert(key, record);
        Stored::Swapped
    }

    /// Lets others in between a look and what is done about it.
    fn look_away<'a>(&'a self, kept: MutexGuard<'a, Kept>) -> MutexGuard<'a, Kept> {
        drop(kept);
        thread::sleep(Duration::from_millis(2));
        self.kept.lock().unwrap()
    }

    fn lease(&self, key: Key, holder: Holder) -> Stored {
        let key = if self.flaw == HasOneLease && key.name.len() > 3 {
            Key { name: "long".to_owned(), ..key }
        } else {
            key
        };
        let mut kept = self.kept.lock().unwrap();
        match kept.leases.get(&key) {
            Some(held) if *held == holder && self.flaw == RefusesTheHolder => Stored::Busy,
            Some(held) if *held != holder && self.flaw != SharesLeases => Stored::Busy,
            _ => {
                if self.flaw == LooksThenLeases {
                    kept = self.look_away(kept);
                }
                kept.leases.insert(key, holder);
                Stored::Leased
            }
        }
    }

    fn intend(&self, key: Key, spend: Spend, holder: Holder) -> Stored {
        let mut kept = self.kept.lock().unwrap();
        let held = kept.records.get(&key).map(|held| held.generation);
        let over = matches!(spend, Spend::Refresh { generation, .. } if held > Some(generation));
        match kept.intents.get(&(key.clone(), spend.clone())) {
            Some(made) if self.flaw != LetsIntentsBeMadeAgain => {
                Stored::Standing { made_by_the_living: made.is_some() }
            }
            None if over && self.flaw != SpendsWhatIsOver => {
                Stored::Standing { made_by_the_living: true }
            }
            _ => {
                if self.flaw == LooksThenIntends {
                    kept = self.look_away(kept);
                }
                kept.intents.insert((key, spend), Some(holder));
                Stored::Intended
            }
        }
    }

    fn release(&self, key: &Key, holder: Holder, withdraw: Option<&Spend>) -> Stored {
        let mut kept = self.kept.lock().unwrap();
        let flaw = self.flaw;
        kept.intents.retain(|(of, spend), made| {
            let own = *made == Some(holder) || flaw == LetsStrangersWithdraw;
            let named = withdraw == Some(spend) || flaw == ReleasesIntentsToo;
            !(of == key && own && named)
        });
        kept.leases.retain(|of, held| of != key || *held != holder && flaw != LetsStrangersRelease);
        Stored::Released
    }

    fn leave(&self, holder: Holder) -> Stored {
        let mut kept = self.kept.lock().unwrap();
        let gone =
            |held: Holder| held.session() == holder.session() || self.flaw == LeavesForEverybody;
        if self.flaw != KeepsLeasesOfTheGone {
            kept.leases.retain(|_, held| !gone(*held));
        }
        if self.flaw != KeepsMakersOfTheGone {
            for made in kept.intents.values_mut() {
                *made = made.filter(|made| !gone(*made));
            }
        }
        Stored::Released
    }
}

impl Store for Flawed {
    fn perform(&self, request: StoreRequest) -> Stored {
        match request {
            StoreRequest::Load { key } => {
                let key = self.key(key);
                Stored::Loaded(self.kept.lock().unwrap().records.get(&key).cloned())
            }
            StoreRequest::Swap { key, expected, record } => {
                self.swap(self.key(key), expected, record)
            }
            StoreRequest::Lease { key, holder } => self.lease(key, holder),
            StoreRequest::Intend { key, spend, holder } => self.intend(key, spend, holder),
            StoreRequest::Release { key, holder, withdraw } => {
                self.release(&key, holder, withdraw.as_ref())
            }
            StoreRequest::Leave { holder } => self.leave(holder),
        }
    }

    fn list(&self, kind: RecordKind) -> Result<Vec<(Key, Record)>, Kind> {
        let kept = self.kept.lock().unwrap();
        let mut listed: Vec<_> = kept.records.clone().into_iter().collect();
        listed.retain(|(key, _)| key.kind == kind);
        match self.flaw {
            ListsOnlyGrants if kind != RecordKind::Grant => listed.clear(),
            ListsTwice => listed.extend(listed.first().cloned()),
            _ => {}
        }
        Ok(listed)
    }
}

fn broken(name: &str, subject: &dyn contract::Subject) -> bool {
    let mut promises = contract::PROMISES.iter();
    let (_, promise) = promises.find(|(of, _)| *of == name).unwrap();
    panic::catch_unwind(AssertUnwindSafe(|| promise(subject))).is_err()
}

#[test]
fn a_store_that_breaks_a_promise_is_found_out() {
    for (flaw, promise) in FLAWS {
        let store = Flawed { flaw: *flaw, kept: Mutex::default() };
        assert!(broken(promise, &store), "{flaw:?} breaks {promise}");
    }
}

#[test]
fn every_promise_has_a_flaw_that_breaks_it() {
    for (name, _) in contract::PROMISES {
        assert!(FLAWS.iter().any(|(_, promise)| promise == name), "no flaw breaks {name}");
        assert!(!broken(name, &MemoryStore::new()), "{name} can be held alone");
    }
}

#[test]
#[should_panic(expected = "a_swap_names_the_generation_it_replaces: a swap succeeds only over")]
fn the_panic_names_the_promise_and_what_it_is_for() {
    contract::in_process(|| Flawed { flaw: SwapsWithoutLooking, kept: Mutex::default() });
}
