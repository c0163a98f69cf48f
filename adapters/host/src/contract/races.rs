//! The promises of a store to many threads at once.

use std::sync::Barrier;
use std::thread;

use mcp_authz_core::effect::{Holder, Key, StoreRequest, Stored};
use mcp_authz_driver::ports::Store;

use super::{Subject, intend, key, lease, load, record, refresh, swap};

const THREADS: u64 = 8;
const ROUNDS: u64 = 16;

/// Adds to the number in a record, by load and swap, as often as told.
pub(super) fn count_up(store: &dyn Store, key: &Key, times: u64) {
    let mut added = 0;
    while added < times {
        let held = match store.perform(load(key)) {
            Stored::Loaded(held) => held,
            other => panic!("a record that others write can be read; the load ended {other:?}"),
        };
        let number = held.as_ref().map_or(0, |held| read_number(&held.bytes.0));
        let before = held.as_ref().map(|held| held.generation);
        let next = record(before.unwrap_or(0) + 1, (number + 1).to_string().as_bytes());
        match store.perform(swap(key, before, next)) {
            Stored::Swapped => added += 1,
            Stored::Conflict(Some(_)) => {}
            other => panic!("a swap wins or shows who has won; this one ended {other:?}"),
        }
    }
}

/// The number that [`count_up`] has written.
pub(super) fn read_number(bytes: &[u8]) -> u64 {
    let text = core::str::from_utf8(bytes).ok();
    text.and_then(|text| text.parse().ok()).expect("a whole record comes back, never a part of one")
}

/// No thread writes over the additions of another.
pub fn no_update_is_lost_between_threads(store: &dyn Subject) {
    let key = key("k");
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| count_up(store, &key, ROUNDS));
        }
    });
    let Stored::Loaded(Some(held)) = store.perform(load(&key)) else {
        panic!("the record that {THREADS} threads have written is there");
    };
    let expected = THREADS * ROUNDS;
    let came = read_number(&held.bytes.0);
    assert_eq!(came, expected, "a lost update is a lost refresh token: {expected} additions");
    assert_eq!(held.generation, expected, "a swap raises the generation by what its record says");
}

/// Of many swaps of one generation one succeeds, and the losers see its record.
pub fn one_of_many_swaps_wins(store: &dyn Subject) {
    let key = key("k");
    let mut before = None;
    for round in 1..=ROUNDS {
        let answers = at_once(store, |thread| {
            swap(&key, before, record(round, format!("{round} by {thread}").as_bytes()))
        });
        let (won, lost): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| *answer == Stored::Swapped);
        assert_eq!(won.len(), 1, "of swaps of one generation one succeeds; the others: {lost:?}");
        let Stored::Loaded(Some(held)) = store.perform(load(&key)) else {
            panic!("the winner's record is there");
        };
        let conflict = Stored::Conflict(Some(held));
        for answer in lost {
            assert!(answer == conflict, "a loser sees the winner's record; it saw {answer:?}");
        }
        before = Some(round);
    }
}

/// Of many that make one intent one succeeds (HOST-240).
pub fn one_of_many_intents_wins_host_240(store: &dyn Subject) {
    let key = key("k");
    for round in 1..=ROUNDS {
        let answers = at_once(store, |thread| intend(&key, &refresh(round, 0), Holder(thread)));
        let won = answers.iter().filter(|answer| **answer == Stored::Intended).count();
        let lost = Stored::Standing { made_by_the_living: true };
        let others = answers.iter().filter(|answer| **answer == lost).count();
        assert!(
            won == 1 && won + others == answers.len(),
            "a one-time credential is spent once, and its spender lives: {answers:?}"
        );
    }
}

/// Of many that ask for one lease one gets it.
pub fn one_of_many_leases_wins(store: &dyn Subject) {
    for round in 1..=ROUNDS {
        let key = key(&format!("round {round}"));
        let answers = at_once(store, |thread| lease(&key, Holder(thread)));
        let won = answers.iter().filter(|answer| **answer == Stored::Leased).count();
        let others = answers.iter().filter(|answer| **answer == Stored::Busy).count();
        assert!(
            won == 1 && won + others == answers.len(),
            "a lease is one holder's, and the others hear so at once: {answers:?}"
        );
    }
}

/// Performs one operation on each of many threads, as close together as can be.
fn at_once(store: &dyn Subject, request: impl Fn(u64) -> StoreRequest) -> Vec<Stored> {
    let start = Barrier::new(usize::try_from(THREADS).unwrap());
    let start = &start;
    thread::scope(|scope| {
        let running: Vec<_> = (1..=THREADS)
            .map(|thread| {
                let request = request(thread);
                scope.spawn(move || {
                    start.wait();
                    store.perform(request)
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().expect("no operation panics")).collect()
    })
}
