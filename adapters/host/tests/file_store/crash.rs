//! A save, and the making of an intent, that is killed or refused at each of its system calls in
//! turn: every call once for each error, once for a kill, and once for a disk that is pulled out.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use mcp_authz_core::effect::{Holder, Spend, StoreRequest, Stored};
use mcp_authz_driver::ports::Store;
use mcp_authz_host::store::FileStore;

use crate::child::{NEW, OLD, Work, key, record, swap};
use crate::trace::{self, Run};

const ERRORS: [&str; 7] = ["EIO", "ENOSPC", "EDQUOT", "EINTR", "EACCES", "EROFS", "EMFILE"];
/// The one call of a save that no system refuses, and nobody looks whether one does.
const CANNOT_FAIL: &str = "geteuid";
/// The calls that reach a disk.
const DISK: [&str; 11] = [
    "openat",
    "read",
    "write",
    "statx",
    "newfstatat",
    "getdents64",
    "fsync",
    "renameat",
    "renameat2",
    "unlinkat",
    "close",
];
/// Two runs at once keep two processors busy.
const AT_ONCE: usize = 2;

/// A folder with the old record in it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::open(folder.path()).unwrap();
        assert_eq!(store.perform(swap(None, OLD)), Stored::Swapped);
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn count(&self, part: &str) -> usize {
        let names = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().contains(part)).count()
    }
}

/// Runs a job for the place of each call of some work, and of the one after it, in an undisturbed
/// run.
fn at_each_call(work: Work, job: impl Fn(usize, &Run) + Sync) {
    let undisturbed = trace::run(work, Place::new().path(), &[]);
    let count = undisturbed.work().len();
    assert!(count > 15, "{:#?}", undisturbed.work());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place > count {
                        return;
                    }
                    job(place, &undisturbed);
                }
            });
        }
    });
}

/// Checks the state after any end of a save: the record is the old or the new one, at most one new
/// file is left, nobody is locked out, and the next save works and tidies up.
fn after_a_save(place: &Place, how: &str) -> u64 {
    assert!(place.count(".new-") <= 1, "{how}");
    let store = FileStore::open(place.path()).unwrap();
    let load = || store.perform(StoreRequest::Load { key: key() });
    let Stored::Loaded(Some(found)) = load() else { panic!("{how}: the record is gone") };
    assert!([record(OLD), record(NEW)].contains(&found), "{how}: {found:?}");
    assert_eq!(place.count(".damaged-"), 0, "{how}");
    let lease = StoreRequest::Lease { key: key(), holder: Holder(1) };
    assert_eq!(store.perform(lease), Stored::Leased, "{how}");
    let next = swap(Some(found.generation), (3, "the next one"));
    assert_eq!(store.perform(next), Stored::Swapped, "{how}");
    assert_eq!(load(), Stored::Loaded(Some(record((3, "the next one")))), "{how}");
    assert_eq!(place.count(".new-"), 0, "{how}");
    found.generation
}

#[test]
fn a_save_killed_before_or_after_any_call_leaves_the_old_or_the_new_record_host_283() {
    at_each_call(Work::Save, |place, undisturbed| {
        let folder = Place::new();
        let how = killed_at(Work::Save, &folder, place, undisturbed);
        let renamed = undisturbed.calls[..place].iter().any(|call| is_the_save(call));
        let expected = if renamed { NEW.0 } else { OLD.0 };
        assert_eq!(after_a_save(&folder, &how), expected, "{how}");
    });
}

#[test]
fn a_first_save_killed_at_any_call_leaves_the_new_record_or_none_host_283() {
    let undisturbed = {
        let outer = tempfile::tempdir().unwrap();
        trace::run(Work::SaveFirst, &outer.path().join("one/two"), &[])
    };
    for place in 0..=undisturbed.work().len() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("one/two");
        let inject = undisturbed.at(place, "signal=KILL");
        let killed = trace::run(Work::SaveFirst, &folder, &[inject]);
        let how = format!("killed before {}", undisturbed.calls[place]);
        assert_eq!((killed.said, killed.calls.len()), (None, place + 1), "{how}");
        let store = FileStore::open(&folder).unwrap_or_else(|error| panic!("{how}: {error}"));
        let renamed = undisturbed.calls[..place].iter().any(|call| is_the_save(call));
        let (found, generation) =
            if renamed { (Some(record(NEW)), Some(NEW.0)) } else { (None, None) };
        let load = StoreRequest::Load { key: key() };
        assert_eq!(store.perform(load), Stored::Loaded(found), "{how}");
        let next = swap(generation, (3, "the next one"));
        assert_eq!(store.perform(next), Stored::Swapped, "{how}");
    }
}

#[test]
fn a_save_whose_calls_fail_in_turn_says_so_and_loses_nothing_host_281() {
    at_each_call(Work::Save, |place, undisturbed| {
        if trace::name(&undisturbed.calls[place]) == CANNOT_FAIL {
            return;
        }
        for error in ERRORS {
            let folder = Place::new();
            let (said, how) = refused_at(Work::Save, &folder, place, undisturbed, error);
            let generation = after_a_save(&folder, &how);
            assert!(error != "EINTR" || said == "Swapped", "{how}: an interrupted call goes on");
            if said == "Swapped" {
                assert_eq!(generation, NEW.0, "{how}");
                continue;
            }
            let name = trace::name(&undisturbed.calls[place]);
            let code = match error {
                _ if name == "getrandom" => "entropy_unavailable",
                "ENOSPC" | "EDQUOT" | "EMFILE" | "ENFILE" | "ENOMEM" => "machine_exhausted",
                _ => "store_unavailable",
            };
            assert_eq!(said, code, "{how}");
            let renamed = undisturbed.calls[..place].iter().any(|call| is_the_save(call));
            assert_eq!(generation, if renamed { NEW.0 } else { OLD.0 }, "{how}");
        }
    });
}

#[test]
fn a_save_whose_calls_all_fail_from_any_call_on_loses_nothing_host_281() {
    for error in ["EIO", "ENOSPC", "EROFS"] {
        at_each_call(Work::Save, |place, undisturbed| {
            let folder = Place::new();
            let inject = DISK.map(|name| undisturbed.from(place, name, &format!("error={error}")));
            // Even its last words are a write.
            let _lost = trace::run(Work::Save, folder.path(), &inject);
            after_a_save(&folder, &format!("{error} from {} on", undisturbed.calls[place]));
        });
    }
}

/// Only the first `fsync` tells what is durable: one that follows a failed one says nothing about
/// the data that the first has lost.
#[test]
fn a_failed_fsync_is_a_failed_save_and_is_not_tried_again_host_282() {
    let undisturbed = trace::run(Work::Save, Place::new().path(), &[]);
    let is_sync = |call: &String| call.starts_with("fsync(");
    let places = 0..undisturbed.work().len();
    let syncs: Vec<usize> = places.filter(|place| is_sync(&undisturbed.calls[*place])).collect();
    assert_eq!(syncs.len(), 2, "the file's and the folder's: {:#?}", undisturbed.work());
    for place in syncs {
        let folder = Place::new();
        let inject = undisturbed.at(place, "error=EIO");
        let run = trace::run(Work::Save, folder.path(), &[inject]);
        assert_eq!(run.said.as_deref(), Some("store_unavailable"));
        let mut after = run.calls[place + 1..].iter();
        assert!(!after.any(|call| is_sync(call) || is_the_save(call)), "{:#?}", run.work());
        after_a_save(&folder, "a failed fsync");
    }
}

#[test]
fn a_file_system_without_locks_is_named_and_nothing_is_saved_host_288() {
    for (work, answer) in [(Work::Save, "Swapped"), (Work::Intend, "Intended")] {
        let undisturbed = trace::run(work, Place::new().path(), &[]);
        assert_eq!(undisturbed.said.as_deref(), Some(answer));
        let is_lock = |call: &String| call.starts_with("flock(") && call.contains("LOCK_EX");
        let place = undisturbed.work().iter().position(is_lock).expect("there is a lock");
        for error in ["ENOLCK", "EOPNOTSUPP"] {
            let folder = Place::new();
            let (said, how) = refused_at(work, &folder, place, &undisturbed, error);
            assert_eq!(said, "store_lock_unsupported", "{how}");
            assert_eq!(after_a_save(&folder, &how), OLD.0, "{how}");
            assert_eq!(folder.count(".spend-"), 0, "{how}");
        }
    }
}

#[test]
fn a_maker_killed_before_or_after_any_call_leaves_its_intent_or_none_host_228_host_239() {
    at_each_call(Work::Intend, |place, undisturbed| {
        let folder = Place::new();
        let how = killed_at(Work::Intend, &folder, place, undisturbed);
        let made = undisturbed.calls[..place].iter().any(|call| is_the_intent(call));
        after_an_intent(&folder, Some(made), &how);
    });
}

#[test]
fn an_intent_whose_calls_fail_in_turn_stands_if_it_was_answered_host_281() {
    at_each_call(Work::Intend, |place, undisturbed| {
        if trace::name(&undisturbed.calls[place]) == CANNOT_FAIL {
            return;
        }
        for error in ERRORS {
            let folder = Place::new();
            let (said, how) = refused_at(Work::Intend, &folder, place, undisturbed, error);
            assert!(error != "EINTR" || said == "Intended", "{how}: an interrupted call goes on");
            after_an_intent(&folder, (said == "Intended").then_some(true), &how);
        }
    });
}

/// Kills a child before the call of a place, and says how.
fn killed_at(work: Work, folder: &Place, place: usize, undisturbed: &Run) -> String {
    let inject = undisturbed.at(place, "signal=KILL");
    let killed = trace::run(work, folder.path(), &[inject]);
    let how = format!("killed before {}", undisturbed.calls[place]);
    assert_eq!((killed.said, killed.calls.len()), (None, place + 1), "{how}");
    how
}

/// Lets the call of a place fail; tells what the child said, and how that was done.
fn refused_at(
    work: Work,
    folder: &Place,
    place: usize,
    undisturbed: &Run,
    error: &str,
) -> (String, String) {
    let inject = undisturbed.at(place, &format!("error={error}"));
    let run = trace::run(work, folder.path(), &[inject]);
    let how = format!("{error} from {}", undisturbed.calls[place]);
    assert!(run.calls[place].contains("(INJECTED)"), "{how}: {}", run.calls[place]);
    (run.said.unwrap_or_else(|| panic!("{how}: no answer")), how)
}

/// Nobody is locked out, and nothing is left for ever. `made` is whether it has to stand; if that is
/// not known, either will do.
fn after_an_intent(place: &Place, made: Option<bool>, how: &str) {
    let store = FileStore::open(place.path()).unwrap();
    let spend = Spend::Refresh { generation: 2, attempt: 0 };
    let holder = Holder(1);
    let answer = store.perform(StoreRequest::Intend { key: key(), spend, holder });
    let stands = Stored::Standing { made_by_the_living: false };
    match made {
        Some(true) => assert_eq!(answer, stands, "{how}"),
        Some(false) => assert_eq!(answer, Stored::Intended, "{how}"),
        None => assert!([stands, Stored::Intended].contains(&answer), "{how}: {answer:?}"),
    }
    assert_eq!(store.perform(swap(Some(OLD.0), (3, "the next one"))), Stored::Swapped, "{how}");
    assert_eq!(place.count(".spend-") + place.count(".unpublished-"), 0, "{how}");
}

fn is_the_save(call: &str) -> bool {
    call.starts_with("rename") && call.contains(".new-")
}

fn is_the_intent(call: &str) -> bool {
    call.starts_with("rename") && call.contains(".unpublished-")
}
