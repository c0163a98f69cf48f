//! The promises of a store to several processes.
//!
//! The test binary runs itself again, with the place of the store in its environment and orders on
//! its standard input; see [`child`].

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use std::{env, fs, io, process, thread};

use mcp_authz_core::effect::{Holder, Key, RecordKind, Stored};

use self::child::{Child, Order};
use super::races::{count_up, read_number};
use super::{Subject, expect, intend, key, lease, load, record, refresh, release, standing, swap};

mod child;

const PROCESSES: u64 = 4;
/// The parent; its children are 1, 2, ….
const HERE: Holder = Holder(1_000);
const THERE: Holder = Holder(1);
/// How soon the next one has the lease of a holder that was killed (HOST-239).
const FREED_WITHIN: Duration = Duration::from_secs(1);

/// The name by which the test binary finds the test that calls [`across_processes`]; `module` is
/// that test's `module_path!()`.
#[must_use]
pub fn entry(module: &str, test: &str) -> String {
    match module.split_once("::") {
        Some((_, within)) => format!("{within}::{test}"),
        None => test.to_owned(),
    }
}

/// Holds a store against the promises that concern several processes.
///
/// `entry` is the [`entry`] of the test that calls this: the other processes are this very program,
/// run for that one test, and in them this function serves and does not return. `open` opens the
/// store at a place, which is a folder that exists, is empty at first, and is the same in all
/// processes that are to share the store. A store that is kept elsewhere takes its name as its own.
///
/// # Panics
/// With the promise that was broken; and if the test is not found by its entry.
pub fn across_processes<S: Subject>(entry: &str, open: impl Fn(&Path) -> S) {
    if let Some(place) = env::var_os(child::PLACE) {
        let place = PathBuf::from(place);
        child::serve(&open(&place.join(STORE)), &place);
        process::exit(0);
    }
    type Shared = fn(&dyn Subject, &World<'_>);
    let promises: [(&str, Shared); 8] = [
        ("no_update_is_lost_between_processes_host_285", no_update_is_lost),
        ("one_of_many_swaps_wins", one_of_many_swaps_wins),
        ("one_of_many_intents_wins_host_240", one_of_many_intents_wins),
        ("one_process_at_a_time_has_a_lease", one_at_a_time_has_a_lease),
        ("what_a_killed_holder_had_is_free_host_239", what_a_killed_holder_had_is_free),
        ("what_an_ended_holder_had_is_free", what_an_ended_holder_had_is_free),
        ("a_stopped_holder_keeps_its_lease_host_238", a_stopped_holder_keeps_its_lease),
        ("a_killed_writer_leaves_a_whole_record_host_283", a_killed_writer_leaves_a_whole_record),
    ];
    for (name, promise) in promises {
        eprintln!("the promise: {name}");
        let place = Place::new();
        promise(&open(&place.0.join(STORE)), &World { entry, place: &place.0 });
    }
    eprintln!("the promise: two_openings_are_two_holders");
    let place = Place::new();
    two_openings_are_two_holders(&open(&place.0.join(STORE)), &open(&place.0.join(STORE)));
}

/// Where the store is, within the place; beside it the processes leave marks of their own.
const STORE: &str = "store";

/// The test entry and the store's place, which are needed to start another process.
struct World<'a> {
    entry: &'a str,
    place: &'a Path,
}

impl World<'_> {
    fn child(&self) -> Child {
        Child::start(self.entry, self.place)
    }

    fn children(&self) -> Vec<Child> {
        (0..PROCESSES).map(|_| self.child()).collect()
    }
}

/// A folder of our own, removed in the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("mcp-authz-contract-{}-{count}", process::id());
            let folder = env::temp_dir().join(name);
            // One that is there already is of an earlier process of this number.
            match private_folder(&folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => panic!("a folder for temporary files is needed: {error}"),
            }
            private_folder(&folder.join(STORE)).expect("a folder can be made in one's own");
            return Self(folder);
        }
    }
}

/// Makes a folder for its owner alone, whatever others make theirs like.
fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

impl Drop for Place {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

fn no_update_is_lost(store: &dyn Subject, world: &World<'_>) {
    const TIMES: u64 = 50;
    let key = key("k");
    let mut children = world.children();
    for child in &mut children {
        child.order(&Order::Count { key: key.clone(), times: TIMES });
    }
    count_up(store, &key, TIMES);
    for child in &mut children {
        child.hear("Done", "additions of several processes come to an end");
    }
    let Stored::Loaded(Some(held)) = store.perform(load(&key)) else {
        panic!("the record that several processes have written is there");
    };
    let expected = (PROCESSES + 1) * TIMES;
    let came = read_number(&held.bytes.0);
    assert_eq!(came, expected, "a lost update is a lost refresh token: {expected} additions");
    assert_eq!(held.generation, expected, "a swap raises the generation by what its record says");
}

fn one_of_many_swaps_wins(store: &dyn Subject, world: &World<'_>) {
    let key = key("k");
    let mut children = world.children();
    for round in 1..=20 {
        let before = Some(round - 1).filter(|before| *before > 0);
        for (child, number) in children.iter_mut().zip(1_u64..) {
            let own = format!("{round} by {number}");
            child.order(&Order::Perform(swap(&key, before, record(round, own.as_bytes()))));
        }
        let answers: Vec<_> = children.iter_mut().map(Child::answer).collect();
        let Stored::Loaded(Some(held)) = store.perform(load(&key)) else {
            panic!("the winner's record is there");
        };
        let winner: usize = {
            let text = core::str::from_utf8(&held.bytes.0).unwrap_or_default();
            let number = text.strip_prefix(&format!("{round} by ")).and_then(|n| n.parse().ok());
            number.expect("the record is one that was written in this round")
        };
        let conflict = format!("{:?}", Stored::Conflict(Some(held)));
        for (answer, number) in answers.iter().zip(1..) {
            let expected = if number == winner { "Swapped" } else { &conflict };
            assert!(
                answer == expected,
                "of swaps of one generation one succeeds, and its record is there: \
                 {expected:?} was to come, and {answer:?} came"
            );
        }
    }
}

fn one_of_many_intents_wins(store: &dyn Subject, world: &World<'_>) {
    let key = key("k");
    let mut children = world.children();
    for round in 1..=20 {
        let spend = refresh(round, 0);
        for (child, number) in children.iter_mut().zip(1..) {
            child.order(&Order::Perform(intend(&key, &spend, Holder(number))));
        }
        let mut answers: Vec<_> = children.iter_mut().map(Child::answer).collect();
        answers.push(format!("{:?}", store.perform(intend(&key, &spend, HERE))));
        let won = answers.iter().filter(|answer| **answer == "Intended").count();
        let lost = format!("{:?}", standing(true));
        let others = answers.iter().filter(|answer| **answer == lost).count();
        assert!(
            won == 1 && won + others == answers.len(),
            "a one-time credential is spent once, and its spender lives: {answers:?}"
        );
    }
}

fn one_at_a_time_has_a_lease(store: &dyn Subject, world: &World<'_>) {
    const TIMES: u64 = 25;
    const WHY: &str = "a lease has one holder, and every process has it in turn";
    let key = key("k");
    let mut children = world.children();
    for (child, holder) in children.iter_mut().zip((1..).map(Holder)) {
        child.order(&Order::Turns { key: key.clone(), holder, times: TIMES });
    }
    assert!(child::take_turns(store, world.place, &key, HERE, TIMES), "{WHY}: two have had it");
    for child in &mut children {
        child.hear("Done", WHY);
    }
}

/// A child has a lease and has made an intent; it ends as told, without giving back either.
fn what_an_end_leaves(store: &dyn Subject, world: &World<'_>, end: impl FnOnce(Child)) {
    const FREE: &str = "a lease ends with its holder's process, so that a crash locks nobody out";
    let (own, spend) = (key("k"), refresh(4, 0));
    let other = Key { kind: RecordKind::Client, name: "k".to_owned() };
    let mut child = world.child();
    child.performs(lease(&own, THERE), &Stored::Leased, "a free lease can be had");
    child.performs(intend(&own, &spend, THERE), &Stored::Intended, "a first intent");
    expect(store, lease(&own, HERE), &Stored::Busy, "of two processes one has the lease");
    expect(store, intend(&own, &spend, HERE), &standing(true), "its maker lives");
    expect(store, release(&own, HERE, Some(&spend)), &Stored::Released, "nothing of ours is there");
    expect(store, lease(&own, HERE), &Stored::Busy, "a stranger's release changes nothing");
    expect(store, intend(&own, &spend, HERE), &standing(true), "a stranger withdraws nothing");
    expect(store, lease(&other, HERE), &Stored::Leased, "another record's lease is another");

    end(child);
    let since = Instant::now();
    loop {
        let came = store.perform(lease(&own, HERE));
        if came == Stored::Leased {
            break;
        }
        assert_eq!(came, Stored::Busy, "{FREE}");
        assert!(since.elapsed() < FREED_WITHIN, "{FREE}: it is still busy after {FREED_WITHIN:?}");
        thread::sleep(Duration::from_millis(5));
    }
    expect(
        store,
        intend(&own, &spend, HERE),
        &standing(false),
        "an intent outlives its maker, so that whoever comes after a crash knows of it",
    );
    let mut next = world.child();
    next.performs(lease(&own, Holder(2)), &Stored::Busy, "the next holder has it");
    next.performs(intend(&own, &spend, Holder(2)), &standing(false), "all others see the same");
}

fn what_a_killed_holder_had_is_free(store: &dyn Subject, world: &World<'_>) {
    what_an_end_leaves(store, world, Child::kill);
}

fn what_an_ended_holder_had_is_free(store: &dyn Subject, world: &World<'_>) {
    what_an_end_leaves(store, world, Child::end);
}

#[cfg(unix)]
fn a_stopped_holder_keeps_its_lease(store: &dyn Subject, world: &World<'_>) {
    const WHY: &str = "a stopped process goes on one day, and then two would refresh";
    let (key, spend) = (key("k"), refresh(4, 0));
    let mut child = world.child();
    child.performs(lease(&key, THERE), &Stored::Leased, "a free lease can be had");
    child.performs(intend(&key, &spend, THERE), &Stored::Intended, "a first intent");
    child.signal("-STOP");
    for _ in 0..20 {
        expect(store, lease(&key, HERE), &Stored::Busy, WHY);
        expect(store, intend(&key, &spend, HERE), &standing(true), WHY);
        thread::sleep(Duration::from_millis(25));
    }
    child.signal("-CONT");
    child.performs(lease(&key, THERE), &Stored::Leased, "the holder has what it had");
    child.performs(release(&key, THERE, Some(&spend)), &Stored::Released, "and gives it back");
    expect(store, lease(&key, HERE), &Stored::Leased, "what was given back can be had");
    expect(store, intend(&key, &spend, HERE), &Stored::Intended, "what was withdrawn is gone");
}

/// Nothing stops a process but the system.
#[cfg(not(unix))]
fn a_stopped_holder_keeps_its_lease(_: &dyn Subject, _: &World<'_>) {}

fn a_killed_writer_leaves_a_whole_record(store: &dyn Subject, world: &World<'_>) {
    const WHY: &str = "a process may be killed at any moment, and the record is the old or the new";
    let key = key("k");
    let generation = || match store.perform(load(&key)) {
        Stored::Loaded(held) => {
            let number = held.as_ref().map(|held| read_number(&held.bytes.0));
            let generation = held.map(|held| held.generation);
            assert_eq!(number, generation, "{WHY}: its bytes are of its generation");
            generation.unwrap_or(0)
        }
        other => panic!("{WHY}: the load was answered {other:?}"),
    };
    let mut written = 0;
    for round in 0..20 {
        let mut child = world.child();
        child.order(&Order::Count { key: key.clone(), times: u64::MAX });
        let (before, since) = (written, Instant::now());
        while written < before + 5 {
            written = generation();
            assert!(since.elapsed() < child::SILENT_AFTER, "a process of the suite writes nothing");
        }
        // The last read fell between two writes, so each round waits longer to meet another moment
        // of a write.
        thread::sleep(Duration::from_micros(round * 173));
        child.kill();
        assert!(generation() >= written, "{WHY}: what was read of {written} is older now");
        count_up(store, &key, 1);
        written = generation();
    }
}

/// One process that has opened the store twice is two holders like any others: locks that a system
/// gives to processes would let both in.
fn two_openings_are_two_holders(store: &dyn Subject, again: &dyn Subject) {
    const WHY: &str = "two openings in one process exclude each other as two processes do";
    let (key, spend) = (key("k"), refresh(1, 0));
    expect(store, lease(&key, HERE), &Stored::Leased, "a free lease can be had");
    expect(again, lease(&key, THERE), &Stored::Busy, WHY);
    expect(store, intend(&key, &spend, HERE), &Stored::Intended, "a first intent");
    expect(again, intend(&key, &spend, THERE), &standing(true), WHY);
    expect(again, release(&key, THERE, Some(&spend)), &Stored::Released, "nothing of its own");
    expect(again, lease(&key, THERE), &Stored::Busy, WHY);
    thread::scope(|scope| {
        scope.spawn(|| count_up(store, &key, 25));
        scope.spawn(|| count_up(again, &key, 25));
    });
    let expected = Stored::Loaded(Some(record(50, b"50")));
    expect(store, load(&key), &expected, "no update is lost between two openings");
    expect(store, release(&key, HERE, None), &Stored::Released, "given back");
    expect(again, lease(&key, THERE), &Stored::Leased, "what was given back can be had");
}
