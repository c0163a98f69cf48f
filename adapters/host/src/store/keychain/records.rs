//! Records as entries of the keychain. Everything here runs on the worker's thread.
//!
//! A record is one entry, or a head and parts (see [`parts`](super::parts)). The parts of a new
//! generation are written first, then the head is replaced, then the parts of the old one go: at
//! whichever call the process ends, the head is the old one or the new one, and its parts are there.
//! Which sets of parts there may be is noted in the folder, so that the next swap finds what a crash
//! left.

use core::time::Duration;
use std::sync::Arc;

use mcp_authz_core::effect::{Bytes, Key, Record, RecordKind, Stored};
use mcp_authz_core::failure::Kind;

use super::entries::{Copy, Entries};
use super::parts::{self, Head};
use super::worker::Wanted;
use crate::store::alone::Alone;
use crate::store::folder::Folder;
use crate::store::{StoreError, document, names};

/// The largest document that is split.
const MOST: usize = 512 * 1024;
/// Sizes that are tried for one entry, the largest first. Windows takes 2,560 bytes.
const PIECES: &[usize] = if cfg!(windows) { &[2_560, 1_024] } else { &[16 * 1024, 2_560, 1_024] };
/// Noted in the folder: there is, or was, such a record in the keychain.
const KEPT: &str = "kept";
/// Noted in the folder: there may be parts of that generation.
const PARTS: &str = "parts-";

pub(super) struct Records {
    pub(super) entries: Entries,
    pub(super) folder: Arc<Folder>,
    /// How much one entry takes.
    pub(super) piece: usize,
    /// How long a swap waits for others of the same record.
    pub(super) patience: Duration,
}

/// A record that was read whole, and where from.
struct Held {
    key: Key,
    record: Record,
    entry: Copy,
    head: Option<Head>,
}

/// The entries under a record's name.
#[derive(Default)]
struct Found {
    /// The one of the highest generation.
    best: Option<Held>,
    /// Others of ours for the same key (HOST-295).
    surplus: Vec<Held>,
    /// Why another one is not believed.
    damaged: Option<Kind>,
}

impl Found {
    /// # Errors
    /// If there is something, and none of it can be used.
    fn usable(self) -> Result<Option<Held>, Kind> {
        match (self.best, self.damaged) {
            // Nothing is saved over what a newer version wrote.
            (_, Some(Kind::StoreVersion)) => Err(Kind::StoreVersion),
            (None, Some(kind)) => Err(kind),
            (best, _) => Ok(best),
        }
    }
}

impl Records {
    pub(super) fn load(&self, key: &Key) -> Result<Option<Record>, Kind> {
        let stem = names::stem(key);
        let held = self.find(&stem)?;
        if held.is_some() {
            let _listed_another_time = self.note(&format!("{stem}.{KEPT}"));
        }
        Ok(held.map(|held| held.record))
    }

    pub(super) fn swap(
        &self,
        key: &Key,
        expected: Option<u64>,
        new: &Record,
        wanted: &Wanted,
    ) -> Result<Stored, Kind> {
        let stem = names::stem(key);
        let content = document::write(key, new);
        if content.0.len() > MOST {
            return Err(Kind::StoreTooLarge);
        }
        let alone = self.alone(&stem)?;
        let held = self.settle(&stem)?.usable()?;
        let old = held.as_ref().map(|held| held.record.generation);
        if old != expected {
            return Ok(Stored::Conflict(held.map(|held| held.record)));
        }
        if old >= Some(new.generation) {
            // Its parts would be written over those that are there.
            return Err(Kind::StoreConflict);
        }
        let live = held.as_ref().and_then(|held| held.head.as_ref());
        self.sweep(&stem, live);
        self.note(&format!("{stem}.{KEPT}"))?;
        let ready = self.write_parts(&stem, new.generation, &content).and_then(|head| {
            alone.check(&self.folder).map_err(|error| error.kind())?;
            // If nobody waits, it was answered as failed, and is left at that.
            if wanted.still() { Ok(head) } else { Err(Kind::StoreUnavailable) }
        });
        let head = match ready {
            Ok(head) => head,
            Err(kind) => {
                self.sweep(&stem, live);
                return Err(kind);
            }
        };
        // If this fails, nobody knows which entry is there now; the next swap clears up.
        self.switch(&stem, held.as_ref(), &head.as_ref().map_or(content, Head::write))?;
        if let Some(old) = live.map(|head| head.generation) {
            let _next_time = self.clear(&stem, old);
        }
        self.sweep(&stem, head.as_ref());
        Ok(Stored::Swapped)
    }

    /// Every record of a kind that is noted in the folder. Records that cannot be read are left
    /// out.
    pub(super) fn list(&self, kind: RecordKind) -> Result<Vec<(Key, Record)>, Kind> {
        let names = self.folder.names().map_err(|error| error.kind())?;
        let mut listed = Vec::new();
        for name in names {
            let stem = name.strip_suffix(KEPT).and_then(|stem| stem.strip_suffix('.'));
            let Some(stem) = stem.filter(|stem| names::is_stem(kind, stem)) else { continue };
            match self.find(stem) {
                Ok(held) => listed.extend(held.map(|held| (held.key, held.record))),
                Err(Kind::StoreCorrupt | Kind::StoreVersion) => {}
                Err(kind) => return Err(kind),
            }
        }
        Ok(listed)
    }

    fn find(&self, stem: &str) -> Result<Option<Held>, Kind> {
        let found = self.look(stem)?;
        if found.damaged.is_none() && found.surplus.is_empty() {
            return Ok(found.best);
        }
        // It may have been replaced while it was read; nobody replaces it under the lock.
        let _alone = self.alone(stem)?;
        self.settle(stem)?.usable()
    }

    /// Reads every entry of a record's name.
    fn look(&self, stem: &str) -> Result<Found, Kind> {
        let mut found = Found::default();
        for entry in self.entries.read(stem)? {
            let held = match self.assemble(stem, entry) {
                Ok(held) => held,
                Err(kind @ (Kind::StoreCorrupt | Kind::StoreVersion)) => {
                    if found.damaged != Some(Kind::StoreVersion) {
                        found.damaged = Some(kind);
                    }
                    continue;
                }
                Err(kind) => return Err(kind),
            };
            let generation = |held: &Held| held.record.generation;
            if found.best.as_ref().map(generation) < Some(generation(&held)) {
                found.surplus.extend(found.best.replace(held));
            } else {
                found.surplus.push(held);
            }
        }
        Ok(found)
    }

    /// Makes a record of an entry, with its parts if it is a head.
    fn assemble(&self, stem: &str, entry: Copy) -> Result<Held, Kind> {
        let (head, (key, record)) = if entry.content.0.starts_with(parts::MAGIC.as_bytes()) {
            let head = Head::read(&entry.content.0, MOST)?;
            let content = self.read_parts(stem, &head)?;
            let (key, record) = document::read(&content.0)?;
            if record.generation != head.generation {
                return Err(Kind::StoreCorrupt);
            }
            (Some(head), (key, record))
        } else {
            (None, document::read(&entry.content.0)?)
        };
        if names::stem(&key) != stem {
            return Err(Kind::StoreCorrupt);
        }
        Ok(Held { key, record, entry, head })
    }

    fn read_parts(&self, stem: &str, head: &Head) -> Result<Bytes, Kind> {
        let mut parts = Vec::with_capacity(head.count());
        for index in 0..head.count() {
            let copies = self.entries.read(&part_name(stem, head.generation, index))?;
            let own = copies.into_iter().find(|copy| head.own(&copy.content).is_some());
            parts.push(own.ok_or(Kind::StoreCorrupt)?.content);
        }
        head.join(&parts).ok_or(Kind::StoreCorrupt)
    }

    /// Looks under the lock, and removes entries of lower generations, once the best one has been
    /// read a second time. Entries that are not ours are left alone (HOST-294).
    fn settle(&self, stem: &str) -> Result<Found, Kind> {
        let first = self.look(stem)?;
        if first.surplus.is_empty() {
            return Ok(first);
        }
        let mut again = self.look(stem)?;
        let record = |found: &Found| found.best.as_ref().map(|held| held.record.clone());
        if record(&first) != record(&again) {
            return Err(Kind::StoreConflict);
        }
        let best = again.best.as_ref().and_then(|best| best.head.as_ref());
        let live = best.map(|head| head.generation);
        for old in again.surplus.drain(..) {
            let generation = old.head.as_ref().map(|head| head.generation);
            old.entry.remove()?;
            if let Some(generation) = generation.filter(|old| Some(*old) != live) {
                let _next_time = self.clear(stem, generation);
            }
        }
        Ok(again)
    }

    /// Writes the parts of a document that one entry does not take; `None` if it does.
    fn write_parts(
        &self,
        stem: &str,
        generation: u64,
        content: &Bytes,
    ) -> Result<Option<Head>, Kind> {
        if content.0.len() <= self.piece {
            return Ok(None);
        }
        let head = Head::new(generation, content, self.piece)?;
        self.note(&format!("{stem}.{PARTS}{generation}"))?;
        for (part, index) in head.split(content, self.piece).iter().zip(0..) {
            let name = part_name(stem, generation, index);
            self.entries.write(&name, part)?;
            // A platform may cut what is too long, and say nothing (HOST-293).
            if !self.is_there(&name, part)? {
                return Err(Kind::StoreTooLarge);
            }
        }
        Ok(Some(head))
    }

    /// Replaces the entry that says what the record is.
    fn switch(&self, stem: &str, held: Option<&Held>, entry: &Bytes) -> Result<(), Kind> {
        match held {
            Some(held) => held.entry.replace(entry)?,
            None => self.entries.write(stem, entry)?,
        }
        if self.is_there(stem, entry)? { Ok(()) } else { Err(Kind::StoreUnavailable) }
    }

    fn is_there(&self, name: &str, content: &Bytes) -> Result<bool, Kind> {
        Ok(self.entries.read(name)?.iter().any(|copy| copy.content == *content))
    }

    /// Removes the parts that crashes left: all that are noted but those of the head that is there.
    fn sweep(&self, stem: &str, live: Option<&Head>) {
        let live = live.map(|head| head.generation);
        let start = format!("{stem}.{PARTS}");
        for name in self.folder.names().unwrap_or_default() {
            let generation = name.strip_prefix(&start).and_then(|of| of.parse().ok());
            if let Some(generation) = generation.filter(|of| Some(*of) != live)
                && self.clear(stem, generation).is_ok()
            {
                let _next_time = self.folder.remove(&name);
            }
        }
    }

    /// Removes the parts of one generation, the last one first: at whichever call this ends, those
    /// that are left are found by counting from the first.
    fn clear(&self, stem: &str, generation: u64) -> Result<(), Kind> {
        let mut there = Vec::new();
        for index in 0..MOST {
            let mut copies = self.entries.read(&part_name(stem, generation, index))?;
            copies.retain(|copy| parts::is_part(&copy.content));
            if copies.is_empty() {
                break;
            }
            there.push(copies);
        }
        there.into_iter().rev().flatten().try_for_each(Copy::remove)
    }

    /// Leaves a durable note in the folder, of a name and nothing else.
    fn note(&self, name: &str) -> Result<(), Kind> {
        let noted = || match self.folder.find(name)? {
            Some(_) => Ok(()),
            None => self.folder.open_or_create(name).and_then(|_| self.folder.sync()),
        };
        noted().map_err(|error: StoreError| error.kind())
    }

    fn alone(&self, stem: &str) -> Result<Alone, Kind> {
        Alone::wait(&self.folder, stem, self.patience).map_err(|error| error.kind())
    }
}

fn part_name(stem: &str, generation: u64, index: usize) -> String {
    format!("{stem}.{generation}.{index}")
}

/// Writes, reads back and removes an entry, and so learns whether the keychain is there and how
/// much one entry takes.
pub(super) fn probe(entries: &Entries) -> Result<usize, Kind> {
    let name = format!("probe-{}", names::random()?);
    for size in PIECES {
        let content = Bytes(b"mcp-authz probe ".iter().copied().cycle().take(*size).collect());
        match entries.write(&name, &content) {
            Err(Kind::StoreTooLarge) => continue,
            written => written?,
        }
        let mut copies = entries.read(&name)?;
        let copy = copies.pop().ok_or(Kind::StoreUnavailable)?;
        let whole = copy.content == content;
        copy.remove()?;
        if whole {
            return Ok(*size);
        }
    }
    Err(Kind::StoreUnavailable)
}
