//! Stores that several processes share, with one flaw each, and one with none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use mcp_authz_core::effect::{Holder, Key, Record, Spend, StoreRequest, Stored};
use mcp_authz_driver::ports::Store;
use mcp_authz_host::contract;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    /// Each process changes the file as if it were alone.
    LocksNothing,
    /// A lease is whatever the file says, whether its holder lives or not.
    TrustsTheDead,
    /// A lease is anybody's whose holder is another process.
    StealsLeases,
    /// The file is written in place.
    WritesInPlace,
    /// Two openings in one process take each other for one.
    KnowsProcessesOnly,
}

use Flaw::*;

/// The holders of this process, whichever opening they came through.
static HERE: Mutex<BTreeSet<(PathBuf, Holder)>> = Mutex::new(BTreeSet::new());

/// Everything in one file, under one lock; a holder lives as long as the lock on its own file.
#[derive(Debug)]
struct Plain {
    flaw: Flaw,
    folder: PathBuf,
    alive: Mutex<BTreeMap<Holder, File>>,
}

#[derive(Default, Serialize, Deserialize)]
struct Kept {
    records: Vec<(Key, Record)>,
    leases: Vec<(Key, Holder)>,
    intents: Vec<(Key, Spend, Holder)>,
}

impl Plain {
    fn open(flaw: Flaw, folder: &Path) -> Self {
        Self { flaw, folder: folder.to_owned(), alive: Mutex::default() }
    }

    fn read(&self) -> Kept {
        let text = fs::read(self.folder.join("kept")).unwrap_or_default();
        if text.is_empty() && self.flaw != WritesInPlace {
            return Kept::default();
        }
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn write(&self, kept: &Kept) {
        let text = serde_json::to_vec(kept).unwrap();
        if self.flaw == WritesInPlace {
            let pieces = text.chunks(1);
            let mut file = File::create(self.folder.join("kept")).unwrap();
            for piece in pieces {
                std::io::Write::write_all(&mut file, piece).unwrap();
                thread::yield_now();
            }
            return;
        }
        let new = self.folder.join(format!("new-{}", std::process::id()));
        let new = if self.flaw == LocksNothing {
            new.with_extension(format!("{:?}", thread::current().id()))
        } else {
            new
        };
        fs::write(&new, text).unwrap();
        fs::rename(&new, self.folder.join("kept")).unwrap();
    }

    fn lives(&self, holder: Holder) -> bool {
        let path = self.folder.join(format!("holder-{}", holder.0));
        File::open(path).is_ok_and(|file| file.try_lock_shared().is_err())
    }

    fn appear(&self, holder: Holder) {
        self.alive.lock().unwrap().entry(holder).or_insert_with(|| {
            let file = File::create(self.folder.join(format!("holder-{}", holder.0))).unwrap();
            file.lock().unwrap();
            HERE.lock().unwrap().insert((self.folder.clone(), holder));
            file
        });
    }

    fn change(&self, kept: &mut Kept, request: StoreRequest) -> Stored {
        let held = |kept: &Kept, key: &Key| {
            let of_key = kept.records.iter().find(|(of, _)| of == key);
            of_key.map(|(_, record)| record.clone())
        };
        match request {
            StoreRequest::Load { key } => Stored::Loaded(held(kept, &key)),
            StoreRequest::Swap { key, expected, record } => {
                let old = held(kept, &key);
                if old.as_ref().map(|old| old.generation) != expected {
                    return Stored::Conflict(old);
                }
                kept.records.retain(|(of, _)| *of != key);
                kept.records.push((key, record));
                Stored::Swapped
            }
            StoreRequest::Lease { key, holder } => {
                let other = |(of, by): &(Key, Holder)| {
                    let there = self.lives(*by) || self.flaw == TrustsTheDead;
                    let own = || HERE.lock().unwrap().contains(&(self.folder.clone(), *by));
                    let own = self.flaw == KnowsProcessesOnly && own();
                    *of == key && *by != holder && there && !own && self.flaw != StealsLeases
                };
                if kept.leases.iter().any(other) {
                    return Stored::Busy;
                }
                self.appear(holder);
                kept.leases.retain(|(of, _)| *of != key);
                kept.leases.push((key, holder));
                Stored::Leased
            }
            StoreRequest::Intend { key, spend, holder } => {
                let of_spend = |(of, made, _): &&(Key, Spend, Holder)| *of == key && *made == spend;
                if let Some((.., by)) = kept.intents.iter().find(of_spend) {
                    return Stored::Standing { made_by_the_living: self.lives(*by) };
                }
                self.appear(holder);
                kept.intents.push((key, spend, holder));
                Stored::Intended
            }
            StoreRequest::Release { key, holder, withdraw } => {
                kept.leases.retain(|(of, by)| *of != key || *by != holder);
                kept.intents.retain(|(of, spend, by)| {
                    *of != key || *by != holder || Some(spend) != withdraw.as_ref()
                });
                Stored::Released
            }
            StoreRequest::Leave { holder } => {
                self.alive.lock().unwrap().retain(|held, _| held.session() != holder.session());
                Stored::Released
            }
        }
    }
}

impl Store for Plain {
    fn perform(&self, request: StoreRequest) -> Stored {
        let lock = File::create(self.folder.join("lock")).unwrap();
        if self.flaw != LocksNothing {
            lock.lock().unwrap();
        }
        let mut kept = self.read();
        let reads = matches!(request, StoreRequest::Load { .. });
        let stored = self.change(&mut kept, request);
        if !reads {
            self.write(&kept);
        }
        stored
    }
}

fn held(test: &str, flaw: Flaw) {
    let entry = contract::entry(module_path!(), test);
    contract::across_processes(&entry, |place| Plain::open(flaw, place));
}

#[test]
fn a_plain_file_under_a_lock_keeps_the_promises() {
    held("a_plain_file_under_a_lock_keeps_the_promises", None);
}

#[test]
#[should_panic(expected = "a lost update is a lost refresh token")]
fn lost_updates_are_found_out() {
    held("lost_updates_are_found_out", LocksNothing);
}

#[test]
#[should_panic(expected = "so that a crash locks nobody out")]
fn leases_of_the_dead_are_found_out_host_239() {
    held("leases_of_the_dead_are_found_out_host_239", TrustsTheDead);
}

#[test]
#[should_panic(expected = "a lease has one holder, and every process has it in turn")]
fn stolen_leases_are_found_out() {
    held("stolen_leases_are_found_out", StealsLeases);
}

#[test]
#[should_panic(expected = "the record is the old or the new")]
fn half_written_records_are_found_out_host_283() {
    held("half_written_records_are_found_out_host_283", WritesInPlace);
}

#[test]
#[should_panic(expected = "exclude each other as two processes do")]
fn locks_that_are_a_process_s_are_found_out() {
    held("locks_that_are_a_process_s_are_found_out", KnowsProcessesOnly);
}
