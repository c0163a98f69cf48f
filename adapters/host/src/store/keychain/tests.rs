use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::thread;

use keyring_core::Error;
use mcp_authz_core::effect::{Bytes, Holder, Spend};
use tempfile::TempDir;

use self::backend::{Backend, Item};
use super::*;
use crate::store::document;

mod backend;

/// Waited for in vain.
const SHORT: Duration = Duration::from_millis(100);
const SECRET: &str = "canary-59a1f7";

fn key() -> Key {
    named("k")
}

fn named(name: &str) -> Key {
    Key { kind: RecordKind::Grant, name: name.to_owned() }
}

fn stem() -> String {
    names::stem(&key())
}

/// A record of this size that is unlike that of any other generation.
fn sized(generation: u64, size: usize) -> Record {
    let bytes = format!("{generation} {SECRET} ").into_bytes().into_iter().cycle().take(size);
    Record { generation, bytes: Bytes(bytes.collect()) }
}

struct Place {
    backend: Backend,
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { backend: Backend::default(), folder: tempfile::tempdir().unwrap() }
    }

    /// As on Windows.
    fn narrow() -> Self {
        let place = Self::new();
        place.backend.state().limit = Some(2_560);
        place
    }

    fn open(&self) -> Keychain {
        Keychain::open("service", self.backend.store(), self.folder.path()).unwrap()
    }

    fn failure(&self, limit: Duration) -> StoreError {
        let (store, folder) = (self.backend.store(), self.folder.path());
        Keychain::open_within(limit, "service", store, folder).unwrap_err()
    }

    fn put_aside(&self, name: &str, collection: u32, secret: &[u8]) {
        let item = Item { name: name.to_owned(), collection, secret: secret.to_vec() };
        self.backend.state().items.push(item);
    }

    /// The bytes of all files below the folder.
    fn on_disk(&self) -> Vec<u8> {
        let mut folders = vec![self.folder.path().to_owned()];
        let mut bytes = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path: PathBuf = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    bytes.extend(path.to_string_lossy().bytes());
                    bytes.extend(fs::read(path).unwrap());
                }
            }
        }
        bytes
    }
}

fn load(store: &Keychain) -> Stored {
    store.perform(StoreRequest::Load { key: key() })
}

fn swap(store: &Keychain, expected: Option<u64>, record: Record) -> Stored {
    store.perform(StoreRequest::Swap { key: key(), expected, record })
}

fn intend(store: &Keychain, generation: u64) -> Stored {
    let spend = Spend::Refresh { generation, attempt: 0 };
    store.perform(StoreRequest::Intend { key: key(), spend, holder: Holder(1) })
}

fn unavailable() -> Stored {
    Stored::Failed(Kind::StoreUnavailable)
}

#[cfg(feature = "contract")]
mod contract {
    use super::*;
    use crate::contract;

    /// Keeps what it stands on.
    #[derive(Debug)]
    struct Standing(Keychain, #[expect(dead_code, reason = "removed in the end")] TempDir);

    impl Store for Standing {
        fn perform(&self, request: StoreRequest) -> Stored {
            self.0.perform(request)
        }

        fn list(&self, kind: RecordKind) -> Result<Vec<(Key, Record)>, Kind> {
            self.0.list(kind)
        }
    }

    #[test]
    fn a_keychain_keeps_the_promises_of_a_store_host_240_host_286_host_300() {
        contract::in_process(|| {
            let folder = tempfile::tempdir().unwrap();
            let backend = keyring_core::mock::Store::new().unwrap();
            Standing(Keychain::open("service", backend, folder.path()).unwrap(), folder)
        });
    }

    #[test]
    fn a_keychain_with_little_room_keeps_them_too_host_293() {
        contract::in_process(|| {
            let place = Place::narrow();
            Standing(place.open(), place.folder)
        });
    }
}

#[test]
fn a_keychain_that_refuses_is_unavailable_from_the_start_host_292() {
    let faults: [fn() -> Error; 3] = [
        || Error::NoStorageAccess("locked".into()),
        || Error::PlatformFailure("denied".into()),
        || Error::NotSupportedByStore("absent".into()),
    ];
    for fault in faults {
        let place = Place::new();
        place.backend.state().fault = Some(fault);
        let error = place.failure(LIMIT);
        assert_eq!(error.kind(), Kind::StoreUnavailable);
        assert!(error.to_string().contains("unlock"), "{error}");
    }
    let none = tempfile::tempdir().unwrap();
    let error = Keychain::open_default("service", none.path()).unwrap_err();
    assert_eq!(error.kind(), Kind::StoreUnavailable);
}

#[test]
fn a_prompt_that_nobody_answers_is_given_up_host_292() {
    let place = Place::new();
    place.backend.state().prompt = true;
    assert_eq!(place.failure(SHORT).kind(), Kind::StoreUnavailable);
    place.backend.answer_prompt();
    drop(place.open());
}

#[test]
fn every_operation_ends_though_the_prompt_stays_open_host_292() {
    let place = Place::new();
    let mut store = place.open();
    assert_eq!(swap(&store, None, sized(1, 40)), Stored::Swapped);
    place.backend.state().prompt = true;
    store.worker.limit = SHORT;
    assert_eq!(load(&store), unavailable());
    assert_eq!(swap(&store, Some(1), sized(2, 40)), unavailable());
    assert_eq!(store.list(RecordKind::Grant).unwrap_err(), Kind::StoreUnavailable);
    assert_eq!(intend(&store, 1), unavailable());
    let canary = SECRET.as_bytes();
    let on_disk = place.on_disk();
    assert!(!on_disk.windows(canary.len()).any(|bytes| bytes == canary), "no plain file instead");

    place.backend.answer_prompt();
    store.worker.limit = LIMIT;
    assert_eq!(load(&store), Stored::Loaded(Some(sized(1, 40))), "what was given up is not made");
    assert_eq!(intend(&store, 1), Stored::Intended, "a failed intent is none");
    assert_eq!(swap(&store, Some(1), sized(2, 40)), Stored::Swapped);
}

#[test]
fn a_swap_that_was_given_up_is_not_made_when_the_prompt_is_answered_host_292() {
    for size in [40, 6_000] {
        let place = Place::narrow();
        let mut store = place.open();
        assert_eq!(swap(&store, None, sized(1, 40)), Stored::Swapped);
        place.backend.state().prompt = true;
        store.worker.limit = SHORT;
        assert_eq!(swap(&store, Some(1), sized(2, size)), unavailable());
        place.backend.answer_prompt();
        store.worker.limit = LIMIT;
        assert_eq!(load(&store), Stored::Loaded(Some(sized(1, 40))));
        assert_eq!(place.backend.items().len(), 1, "nothing is left of it");
        assert_eq!(swap(&store, Some(1), sized(2, size)), Stored::Swapped);
    }
}

#[test]
fn a_keychain_that_fails_later_is_unavailable_and_works_again_host_292() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(swap(&store, None, sized(1, 40)), Stored::Swapped);
    let faults: [fn() -> Error; 3] = [
        || Error::NoStorageAccess("locked".into()),
        || Error::Invalid("name".to_owned(), "changed its mind".to_owned()),
        || panic!("a backend may have bugs"),
    ];
    for fault in faults {
        place.backend.state().fault = Some(fault);
        assert_eq!(load(&store), unavailable());
        assert_eq!(swap(&store, Some(1), sized(2, 40)), unavailable());
        assert_eq!(store.list(RecordKind::Grant).unwrap_err(), Kind::StoreUnavailable);
        place.backend.heal();
        assert_eq!(load(&store), Stored::Loaded(Some(sized(1, 40))));
    }
}

#[test]
fn a_service_needs_a_name_that_the_keychain_takes() {
    let place = Place::new();
    let open = |service: &str| {
        Keychain::open(service, place.backend.store(), place.folder.path()).map(drop)
    };
    assert_eq!(open("").unwrap_err().kind(), Kind::ConfigInvalid);
    place.backend.state().fault =
        Some(|| Error::Invalid("service".to_owned(), "too long".to_owned()));
    let error = open("service").unwrap_err();
    assert_eq!(error.kind(), Kind::ConfigInvalid);
    assert!(error.to_string().contains("name"), "{error}");
}

#[test]
fn nothing_is_left_of_the_probe() {
    let place = Place::narrow();
    drop(place.open());
    assert_eq!(place.backend.items(), Vec::new());
}

#[test]
fn a_record_is_split_where_an_entry_takes_no_more_host_293() {
    let place = Place::narrow();
    let store = place.open();
    let mut before = None;
    // About the size of one entry, of two, and down again.
    let sizes = [10, 2_300, 2_400, 2_500, 2_560, 4_000, 4_900, 5_100, 40_000, 2_600, 10];
    for (size, generation) in sizes.into_iter().zip(1..) {
        assert_eq!(swap(&store, before, sized(generation, size)), Stored::Swapped, "{size}");
        assert_eq!(load(&store), Stored::Loaded(Some(sized(generation, size))));
        assert_eq!(load(&place.open()), Stored::Loaded(Some(sized(generation, size))));
        let items = place.backend.items();
        let others: BTreeSet<_> = items
            .iter()
            .filter_map(|item| item.name.strip_prefix(&format!("{}.", stem())))
            .filter(|part| !part.starts_with(&format!("{generation}.")))
            .collect();
        assert!(others.is_empty(), "parts of other generations are left: {others:?}");
        before = Some(generation);
    }
    assert_eq!(place.backend.items().len(), 1);
}

#[test]
fn what_is_too_large_is_refused_before_anything_is_replaced_host_293() {
    let place = Place::narrow();
    let store = place.open();
    assert_eq!(swap(&store, None, sized(1, 5_000)), Stored::Swapped);
    let before = place.backend.items();
    let too_large = Stored::Failed(Kind::StoreTooLarge);
    assert_eq!(swap(&store, Some(1), sized(2, 513 * 1024)), too_large);
    assert_eq!(place.backend.items(), before);

    // The platform takes less than it did.
    for (limit, cut) in [(Some(2_000), None), (None, Some(2_000))] {
        place.backend.state().limit = limit;
        place.backend.state().cut = cut;
        assert_eq!(swap(&store, Some(1), sized(2, 9_000)), too_large);
        assert_eq!(place.backend.items(), before, "nothing is left of it");
        assert_eq!(load(&store), Stored::Loaded(Some(sized(1, 5_000))));
    }
}

#[test]
fn a_platform_that_takes_less_or_cuts_is_measured_host_293() {
    for (limit, cut) in [(Some(2_559), None), (None, Some(2_559)), (Some(1_024), Some(1_024))] {
        let place = Place::new();
        place.backend.state().limit = limit;
        place.backend.state().cut = cut;
        let store = place.open();
        assert_eq!(swap(&store, None, sized(1, 9_000)), Stored::Swapped);
        assert_eq!(load(&store), Stored::Loaded(Some(sized(1, 9_000))));
    }
    for (limit, cut) in [(Some(1_000), None), (None, Some(1_000)), (None, Some(0))] {
        let place = Place::new();
        place.backend.state().limit = limit;
        place.backend.state().cut = cut;
        assert_eq!(place.failure(LIMIT).kind(), Kind::StoreUnavailable);
    }
}

/// The keychain dies after every number of calls, and with it the process.
#[test]
fn a_crash_at_any_call_leaves_the_old_record_or_the_new_one_host_293() {
    for (old, new) in [(10, 20), (10, 6_000), (6_000, 10), (6_000, 9_000), (9_000, 6_000)] {
        let mut calls = 0;
        loop {
            let place = Place::narrow();
            let store = place.open();
            assert_eq!(swap(&store, None, sized(1, old)), Stored::Swapped);
            place.backend.state().left = Some(calls);
            let answer = swap(&store, Some(1), sized(2, new));
            drop(store);
            let died = place.backend.state().left == Some(0);
            place.backend.heal();

            let store = place.open();
            let held = match load(&store) {
                Stored::Loaded(Some(record)) if record == sized(1, old) => Some(1),
                Stored::Loaded(Some(record)) if record == sized(2, new) => Some(2),
                other => panic!("{old} to {new}, dead after {calls} calls: {other:?}"),
            };
            if answer == Stored::Swapped {
                assert_eq!(held, Some(2), "{old} to {new}, dead after {calls} calls");
            }
            for (size, next) in [(7_000, 3), (10, 4)] {
                let expected = if next == 3 { held } else { Some(3) };
                assert_eq!(swap(&store, expected, sized(next, size)), Stored::Swapped);
            }
            let names: Vec<_> = place.backend.items().into_iter().map(|item| item.name).collect();
            assert_eq!(names, [stem()], "{old} to {new}, dead after {calls} calls");
            if !died {
                break;
            }
            calls += 1;
        }
        assert!(calls > 3, "{old} to {new} was over after {calls} calls");
    }
}

#[test]
fn what_is_not_ours_is_reported_and_left_alone_host_294() {
    let corrupt = Stored::Failed(Kind::StoreCorrupt);
    let others = document::write(&named("other"), &sized(1, 40)).0.clone();
    let own = document::write(&key(), &sized(1, 40)).0.clone();
    let mut flipped = own.clone();
    flipped[100] ^= 1;
    let foreign: [&[u8]; 6] = [b"", b"hunter2", b"{}", &others, &flipped, &own[..own.len() - 1]];
    for secret in foreign {
        let place = Place::new();
        place.put_aside(&stem(), 0, secret);
        let before = place.backend.items();
        let store = place.open();
        for _ in 0..2 {
            assert_eq!(load(&store), corrupt);
            assert_eq!(swap(&store, None, sized(1, 40)), corrupt);
            assert_eq!(swap(&store, Some(1), sized(2, 40)), corrupt);
            assert_eq!(intend(&store, 1), corrupt);
        }
        assert_eq!(store.list(RecordKind::Grant), Ok(Vec::new()));
        assert_eq!(place.backend.items(), before);
    }
}

#[test]
fn parts_that_are_missing_or_changed_are_reported_and_left_alone_host_294() {
    let whole = Place::narrow();
    assert_eq!(swap(&whole.open(), None, sized(1, 6_000)), Stored::Swapped);
    let items = whole.backend.items();
    assert_eq!(items.len(), 4, "a head and three parts");
    for place in 0..items.len() {
        let mut missing = items.clone();
        missing.remove(place);
        let mut changed = items.clone();
        changed[place].secret[100] ^= 1;
        let mut cut = items.clone();
        cut[place].secret.pop();
        for damaged in [missing, changed, cut] {
            let other = Place::narrow();
            other.backend.state().items.clone_from(&damaged);
            let store = other.open();
            let expected = if damaged.len() == 3 && place == 0 {
                Stored::Loaded(None)
            } else {
                Stored::Failed(Kind::StoreCorrupt)
            };
            assert_eq!(load(&store), expected, "{place}");
            if expected != Stored::Loaded(None) {
                assert_eq!(swap(&store, Some(1), sized(2, 10)), expected, "{place}");
                assert_eq!(other.backend.items(), damaged);
            }
        }
    }
}

#[test]
fn what_a_newer_version_wrote_is_left_alone_host_272() {
    for newer in [
        document::with_version("999", b"whatever it is"),
        document::with_magic_and_version(parts::MAGIC, "999", b"whatever it is"),
    ] {
        let place = Place::new();
        place.put_aside(&stem(), 0, &newer);
        let before = place.backend.items();
        let store = place.open();
        assert_eq!(load(&store), Stored::Failed(Kind::StoreVersion));
        assert_eq!(swap(&store, None, sized(1, 40)), Stored::Failed(Kind::StoreVersion));
        // Nor if an older copy is there.
        place.put_aside(&stem(), 1, &document::write(&key(), &sized(1, 40)).0);
        assert_eq!(swap(&store, Some(1), sized(2, 40)), Stored::Failed(Kind::StoreVersion));
        assert_eq!(place.backend.items()[0], before[0]);
    }
}

/// The entries that an interrupted migration leaves: an older record in one collection, a newer in
/// another.
fn migrated(older: usize, newer: usize) -> Place {
    let one = Place::narrow();
    assert_eq!(swap(&one.open(), None, sized(5, older)), Stored::Swapped);
    let other = Place::narrow();
    assert_eq!(swap(&other.open(), None, sized(6, newer)), Stored::Swapped);
    for mut item in other.backend.items() {
        item.collection = 1;
        one.backend.state().items.push(item);
    }
    one
}

#[test]
fn of_two_entries_the_higher_generation_wins_host_295() {
    for (older, newer) in [(10, 10), (10, 6_000), (6_000, 10), (6_000, 9_000)] {
        let place = migrated(older, newer);
        let store = place.open();
        assert_eq!(load(&store), Stored::Loaded(Some(sized(6, newer))));
        let left = place.backend.items();
        assert!(left.iter().all(|item| item.collection == 1), "the other one is gone: {left:?}");
        assert_eq!(swap(&store, Some(6), sized(7, 10)), Stored::Swapped);
        assert_eq!(place.backend.items().len(), 1);

        let place = migrated(older, newer);
        let store = place.open();
        let conflict = Stored::Conflict(Some(sized(6, newer)));
        assert_eq!(swap(&store, Some(5), sized(7, 10)), conflict, "the loser is not swapped");
        assert_eq!(swap(&store, Some(6), sized(7, 10)), Stored::Swapped);
        assert_eq!(load(&store), Stored::Loaded(Some(sized(7, 10))));
    }
}

#[test]
fn the_lower_generation_is_removed_only_after_a_good_read_back_host_295() {
    for calls in 0.. {
        let place = migrated(10, 6_000);
        let store = place.open();
        place.backend.state().left = Some(calls);
        let answer = load(&store);
        place.backend.heal();
        let older = place.backend.items().iter().any(|item| item.collection == 0);
        if answer == Stored::Loaded(Some(sized(6, 6_000))) {
            break;
        }
        assert_eq!(answer, unavailable());
        let again = place.open();
        assert_eq!(load(&again), Stored::Loaded(Some(sized(6, 6_000))));
        // One look is three calls for the two heads, and three for the parts.
        assert!(older || calls > 12, "removed after {calls} calls");
    }
}

#[test]
fn what_changes_between_two_looks_is_no_good_read_back_host_295() {
    let place = migrated(10, 10);
    let store = place.open();
    let mut items = place.backend.items();
    let newer = items.iter_mut().find(|item| item.collection == 1).unwrap();
    newer.secret = document::write(&key(), &sized(7, 10)).0.clone();
    // A look is three calls. The first is without the lock, then come the two that are compared.
    place.backend.state().then = Some((6, items));
    assert_eq!(load(&store), Stored::Failed(Kind::StoreConflict));
    assert_eq!(place.backend.items().len(), 2, "nothing is removed");
    assert_eq!(load(&store), Stored::Loaded(Some(sized(7, 10))));
    assert_eq!(place.backend.items().len(), 1);
}

#[test]
fn a_stranger_beside_our_entry_is_left_alone_host_294_host_295() {
    let place = Place::new();
    let store = place.open();
    assert_eq!(swap(&store, None, sized(1, 40)), Stored::Swapped);
    place.put_aside(&stem(), 1, b"hunter2");
    assert_eq!(load(&store), Stored::Loaded(Some(sized(1, 40))));
    assert_eq!(swap(&store, Some(1), sized(2, 40)), Stored::Swapped);
    assert_eq!(load(&store), Stored::Loaded(Some(sized(2, 40))));
    let items = place.backend.items();
    assert_eq!((items.len(), items[1].secret.as_slice()), (2, b"hunter2".as_slice()));
}

#[test]
fn a_generation_that_does_not_grow_is_refused() {
    let place = Place::narrow();
    let store = place.open();
    assert_eq!(swap(&store, None, sized(4, 6_000)), Stored::Swapped);
    for generation in [0, 3, 4] {
        let answer = swap(&store, Some(4), sized(generation, 6_000));
        assert_eq!(answer, Stored::Failed(Kind::StoreConflict));
    }
    assert_eq!(load(&store), Stored::Loaded(Some(sized(4, 6_000))));
}

#[test]
fn two_openings_lose_no_update_between_them() {
    let place = Place::narrow();
    let stores = [place.open(), place.open()];
    thread::scope(|scope| {
        for store in &stores {
            scope.spawn(|| {
                let mut made = 0;
                while made < 20 {
                    let Stored::Loaded(held) = load(store) else { panic!("it can be read") };
                    let expected = held.map(|held| held.generation);
                    let next = sized(expected.unwrap_or(0) + 1, 5_000);
                    match swap(store, expected, next) {
                        Stored::Swapped => made += 1,
                        Stored::Conflict(_) => {}
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    assert_eq!(load(&stores[0]), Stored::Loaded(Some(sized(40, 5_000))));
}

#[test]
fn services_share_no_leases_and_no_list() {
    let folder = tempfile::tempdir().unwrap();
    let open =
        |service| Keychain::open(service, Backend::default().store(), folder.path()).unwrap();
    let (one, other) = (open("one"), open("other"));
    assert_eq!(swap(&one, None, sized(1, 40)), Stored::Swapped);
    assert_eq!(intend(&one, 1), Stored::Intended);
    assert_eq!(intend(&other, 1), Stored::Intended);
    assert_eq!(one.list(RecordKind::Grant).unwrap().len(), 1);
    assert_eq!(other.list(RecordKind::Grant).unwrap().len(), 0);
}

#[test]
fn a_lost_folder_costs_the_list_until_a_record_is_read_again() {
    let place = Place::new();
    assert_eq!(swap(&place.open(), None, sized(1, 40)), Stored::Swapped);
    fs::remove_dir_all(place.folder.path()).unwrap();
    let store = place.open();
    assert_eq!(store.list(RecordKind::Grant), Ok(Vec::new()));
    assert_eq!(load(&store), Stored::Loaded(Some(sized(1, 40))));
    assert_eq!(store.list(RecordKind::Grant), Ok(vec![(key(), sized(1, 40))]));
    assert_eq!(store.list(RecordKind::Client), Ok(Vec::new()));
}
