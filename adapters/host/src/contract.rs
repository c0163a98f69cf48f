//! The promises of a credential store, as tests that any store can be held against.
//!
//! [`in_process`] runs everything that one process can see. [`across_processes`] runs the rest: the
//! test binary starts itself again, and some of those processes are killed or stopped. A store of
//! one's own needs one test for each:
//!
//! ```no_run
//! # use std::path::Path;
//! # use mcp_authz_host::{contract, store::MemoryStore};
//! # #[derive(Debug)] struct Mine;
//! # impl Mine { fn open(_: &Path) -> MemoryStore { MemoryStore::new() } }
//! # fn a_new_folder() -> std::path::PathBuf { std::env::temp_dir() }
//! #[test]
//! fn keeps_the_promises_of_a_store() {
//!     contract::in_process(|| Mine::open(&a_new_folder()));
//! }
//!
//! #[test]
//! fn keeps_them_between_processes() {
//!     let entry = contract::entry(module_path!(), "keeps_them_between_processes");
//!     contract::across_processes(&entry, |place| Mine::open(place));
//! }
//! ```
//!
//! Each promise is a function of its own as well, for a store that cannot keep one of them and says
//! so. A broken one panics with what was asked, what was to come, what came, and what the promise
//! is for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests; they live in a library so that every store runs the same ones"
)]

use core::fmt;
use core::time::Duration;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use mcp_authz_core::effect::{Bytes, Holder, Key, Record, RecordKind, Spend, StoreRequest, Stored};
use mcp_authz_driver::ports::Store;

pub mod marks;
mod processes;
pub mod races;
pub mod records;

pub use processes::{across_processes, entry};

/// A store whose debugging output can be looked at.
pub trait Subject: Store + fmt::Debug {}

impl<S: Store + fmt::Debug> Subject for S {}

/// One promise; it is given a store without records, leases or intents.
pub type Promise = fn(&dyn Subject);

/// Every promise that one process can see, by name.
pub const PROMISES: &[(&str, Promise)] = &[
    ("a_swap_names_the_generation_it_replaces", records::a_swap_names_the_generation_it_replaces),
    ("a_conflict_shows_what_is_there", records::a_conflict_shows_what_is_there),
    ("generations_are_kept_as_given", records::generations_are_kept_as_given),
    ("any_bytes_come_back", records::any_bytes_come_back),
    ("keys_are_distinct_host_286", records::keys_are_distinct_host_286),
    ("every_record_of_a_kind_is_listed", records::every_record_of_a_kind_is_listed),
    ("debug_shows_no_bytes_host_300", records::debug_shows_no_bytes_host_300),
    ("a_lease_has_one_holder", marks::a_lease_has_one_holder),
    ("a_lease_keeps_nobody_from_the_record", marks::a_lease_keeps_nobody_from_the_record),
    ("only_the_holder_gives_a_lease_back", marks::only_the_holder_gives_a_lease_back),
    ("an_intent_is_made_once", marks::an_intent_is_made_once),
    ("only_the_maker_withdraws_an_intent", marks::only_the_maker_withdraws_an_intent),
    ("who_leaves_has_no_lease_and_lives_no_more", marks::who_leaves_has_no_lease_and_lives_no_more),
    ("a_swap_removes_older_refresh_intents_only", marks::a_swap_removes_older_refresh_intents_only),
    (
        "a_superseded_generation_is_spent_by_nobody_host_240",
        marks::a_superseded_generation_is_spent_by_nobody_host_240,
    ),
    ("marks_of_one_key_are_no_other_s_host_286", marks::marks_of_one_key_are_no_other_s_host_286),
    ("no_update_is_lost_between_threads", races::no_update_is_lost_between_threads),
    ("one_of_many_swaps_wins", races::one_of_many_swaps_wins),
    ("one_of_many_intents_wins_host_240", races::one_of_many_intents_wins_host_240),
    ("one_of_many_leases_wins", races::one_of_many_leases_wins),
];

/// How long one promise may take. Far more than any needs: it is there so that a store that waits
/// for ever is found out, not so that a slow one is.
const HANGS_AFTER: Duration = Duration::from_secs(300);

/// Holds a store against every promise of [`PROMISES`]. `make` gives a new and empty one each time.
///
/// # Panics
/// With the promise that was broken.
pub fn in_process<S: Subject>(make: impl Fn() -> S) {
    for (name, promise) in PROMISES {
        let store = make();
        bounded(name, move || promise(&store));
    }
}

/// Runs a promise on a thread of its name, and not for ever.
fn bounded(name: &str, promise: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let running = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            promise();
            let _heard = done.send(());
        })
        .expect("a thread can be started");
    match ended.recv_timeout(HANGS_AFTER) {
        Err(RecvTimeoutError::Timeout) => {
            panic!("{name} has not ended: no operation of a store waits for another holder")
        }
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(told) = running.join() {
                let told = told.downcast_ref::<String>().map_or("see above", String::as_str);
                panic!("{name}: {told}");
            }
        }
    }
}

/// Performs an operation and compares the answer. `purpose` says what the promise is for.
#[track_caller]
fn expect(store: &dyn Subject, request: StoreRequest, expected: &Stored, purpose: &str) {
    let asked = format!("{request:?}");
    let came = store.perform(request);
    // The bytes are not shown, so a difference in them alone has to be named.
    let unlike =
        if format!("{came:?}") == format!("{expected:?}") { ", of other bytes" } else { "" };
    assert!(
        came == *expected,
        "{purpose}: {asked} was to be answered {expected:?}, and was answered {came:?}{unlike}"
    );
}

fn key(name: &str) -> Key {
    Key { kind: RecordKind::Grant, name: name.to_owned() }
}

fn record(generation: u64, bytes: &[u8]) -> Record {
    Record { generation, bytes: Bytes(bytes.to_vec()) }
}

fn load(key: &Key) -> StoreRequest {
    StoreRequest::Load { key: key.clone() }
}

fn swap(key: &Key, expected: Option<u64>, record: Record) -> StoreRequest {
    StoreRequest::Swap { key: key.clone(), expected, record }
}

fn lease(key: &Key, holder: Holder) -> StoreRequest {
    StoreRequest::Lease { key: key.clone(), holder }
}

fn intend(key: &Key, spend: &Spend, holder: Holder) -> StoreRequest {
    StoreRequest::Intend { key: key.clone(), spend: spend.clone(), holder }
}

fn release(key: &Key, holder: Holder, withdraw: Option<&Spend>) -> StoreRequest {
    StoreRequest::Release { key: key.clone(), holder, withdraw: withdraw.cloned() }
}

const fn leave(holder: Holder) -> StoreRequest {
    StoreRequest::Leave { holder }
}

const fn refresh(generation: u64, attempt: u8) -> Spend {
    Spend::Refresh { generation, attempt }
}

fn code(login: &str) -> Spend {
    Spend::Code { login: login.to_owned() }
}

const fn standing(made_by_the_living: bool) -> Stored {
    Stored::Standing { made_by_the_living }
}
