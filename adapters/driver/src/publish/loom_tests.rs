//! The publication cell, in every interleaving.

use loom::sync::Mutex;
use loom::thread;

use super::*;

#[test]
fn loom_a_publication_is_seen_whole_or_not_at_all() {
    loom::model(|| {
        let cell = Arc::new(Cell::<[u64; 2]>::default());
        let writer = Arc::clone(&cell);
        let writer = thread::spawn(move || {
            writer.store(Some(Arc::new([1, 1])));
            writer.store(None);
            writer.store(Some(Arc::new([2, 2])));
        });
        if let Some(seen) = cell.load() {
            assert_eq!(seen[0], seen[1]);
        }
        writer.join().unwrap();
        assert_eq!(cell.load().as_deref(), Some(&[2, 2]));
    });
}

#[test]
fn loom_no_reader_gets_an_older_grant_after_a_newer_one() {
    loom::model(|| {
        let cell = Arc::new(Cell::<u64>::default());
        let writer = Arc::clone(&cell);
        let writer = thread::spawn(move || (1..=3).for_each(|at| writer.store(Some(Arc::new(at)))));
        let read = || cell.load().map_or(0, |seen| *seen);
        let (first, second, third) = (read(), read(), read());
        assert!(first <= second && second <= third);
        writer.join().unwrap();
    });
}

/// A settlement says what is published by then: its caller may look, and finds nothing older.
#[test]
fn loom_who_is_settled_finds_what_was_published_before() {
    loom::model(|| {
        let cell = Arc::new(Cell::<u64>::default());
        let mail = Arc::new(Mutex::new(0));
        let writer = (Arc::clone(&cell), Arc::clone(&mail));
        let writer = thread::spawn(move || {
            for epoch in 1..=2 {
                writer.0.store(Some(Arc::new(epoch)));
                *writer.1.lock().unwrap() = epoch;
            }
        });
        let settled = *mail.lock().unwrap();
        assert!(cell.load().map_or(0, |seen| *seen) >= settled);
        writer.join().unwrap();
    });
}

#[test]
fn loom_one_caller_nudges_at_a_time() {
    loom::model(|| {
        let published = Arc::new(Published::default());
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let published = Arc::clone(&published);
                thread::spawn(move || published.nudge(Monotonic::from_millis(7)))
            })
            .collect();
        let here = published.nudge(Monotonic::from_millis(7));
        let nudged = callers.into_iter().map(|caller| caller.join().unwrap()).chain([here]);
        assert_eq!(nudged.filter(|nudged| *nudged).count(), 1);
        assert!(!published.nudge(Monotonic::from_millis(1_000)));
        assert!(published.nudge(Monotonic::from_millis(1_007)));
    });
}
