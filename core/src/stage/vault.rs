//! Writing records through the store.
//!
//! Decides what a conflict and a refusal of the store mean; refuses to decide what is worth writing,
//! and whose grant counts.

use serde::{Deserialize, Serialize};

use crate::effect::{Record, StoreRequest, Stored};
use crate::failure::{Failure, Kind};
use crate::machine::{
    Cx, Machine, MachineName, Row, Signal, SignalName as On, State, StateName as At, Table, Turn,
    confused,
};
use crate::note::Note;
use crate::record::merge::{Occasion, Replaces, Word, merge, merge_unreadable};
use crate::record::{self, Binding, Client, Document, Grant, Held};
use crate::time::{Awaited, Timestamp};

/// A record to be written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Write {
    Binding(Held<Binding>),
    /// A client that was registered just now; or, with `true`, the client that got the grant beside
    /// it.
    Client(Held<Client>, bool),
    Grant(Held<Grant>, Replaces),
}

/// The decision of a write about the record that was there first.
#[expect(clippy::large_enum_variant, reason = "looked at once, never stored")]
enum Meeting {
    /// Ours is there already, by a write whose answer came too late. Another write would only take
    /// the record away from a process that has gone on from it.
    There,
    /// Ours takes its place.
    Over,
    /// Ours leaves it alone, for this reason.
    Leave(Kind),
    /// Ours gives way to it.
    Yield(Write),
}

impl Write {
    /// Judges the record that another process has written meanwhile. A record of a newer version is
    /// left alone (BIND-10). A grant that cannot be read is replaced only after a login or log-out,
    /// since nobody but a person can say that it is not wanted (HOST-269).
    fn meet(&self, record: &Record, floor: u64, wall: Timestamp) -> Meeting {
        let generation = Some(record.generation);
        let ours = || self.swap(record.generation);
        if floor < record.generation
            && matches!(ours(), StoreRequest::Swap { record: ours, .. } if ours == *record)
        {
            return Meeting::There;
        }
        match self {
            Self::Binding(held) => {
                let key = held.value.key();
                match record::read::<Binding>(&record.bytes, &key) {
                    Err(Kind::StoreVersion) => Meeting::Leave(Kind::StoreVersion),
                    _ => Meeting::Over,
                }
            }
            Self::Client(held, granted) => {
                let key = held.value.key();
                match record::read::<Client>(&record.bytes, &key) {
                    Err(Kind::StoreVersion) => Meeting::Leave(Kind::StoreVersion),
                    // Nobody knew of this registration when ours was made or marked, and one is
                    // enough.
                    Ok(value)
                        if !granted && value.usable(wall) && foreign(&held.value, &value, wall) =>
                    {
                        Meeting::Yield(Self::Client(Held { value, generation }, false))
                    }
                    _ => Meeting::Over,
                }
            }
            Self::Grant(held, replaces) => {
                let key = held.value.key();
                match record::read::<Grant>(&record.bytes, &key) {
                    Err(kind) => match merge_unreadable(kind, replaces) {
                        Ok(()) => Meeting::Over,
                        Err(kind) => Meeting::Leave(kind),
                    },
                    Ok(value) => {
                        let theirs = Held { value, generation };
                        match merge(held, &theirs, Occasion::Write { replaces, wall }) {
                            Word::Ours => Meeting::Over,
                            Word::Theirs => Meeting::Yield(Self::Grant(theirs, replaces.clone())),
                        }
                    }
                }
            }
        }
    }

    fn swap(&self, generation: u64) -> StoreRequest {
        match self {
            Self::Binding(held) => held.value.swap(held.generation, generation),
            Self::Client(held, _) => held.value.swap(held.generation, generation),
            Self::Grant(held, _) => held.value.swap(held.generation, generation),
        }
    }

    fn generation(&mut self) -> &mut Option<u64> {
        match self {
            Self::Binding(held) => &mut held.generation,
            Self::Client(held, _) => &mut held.generation,
            Self::Grant(held, _) => &mut held.generation,
        }
    }
}

/// Returns true if a registration is another one than ours, is none that ours took the place of,
/// and is in no doubt.
fn foreign(ours: &Client, theirs: &Client, wall: Timestamp) -> bool {
    let id = &theirs.credentials.client_id;
    ours.credentials.client_id != *id && ours.earlier(id).is_none() && !theirs.doubted(wall)
}

/// The records that were written, with their new generations, and the reason if one is not durable.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Saved {
    pub(crate) written: Vec<Write>,
    /// The grant of another process that ours gave way to.
    pub(crate) theirs: Option<Held<Grant>>,
    /// The store's reason, if it refused one.
    pub(crate) refused: Option<Kind>,
    /// True if the store has not answered about a record, which may get there yet.
    pub(crate) silent: bool,
}

/// Writes records, one after the other, in the order given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Save {
    started: bool,
    /// The last one is written next.
    waiting: Vec<Write>,
    conflicts: u8,
    /// A generation that the record had. A record that is made anew must be above it, since other
    /// processes compare what they hold by it.
    floor: u64,
    saved: Saved,
}

/// How often a record is written again because another process was faster.
const MOST_CONFLICTS: u8 = 3;

impl Save {
    pub(crate) fn new(mut writes: Vec<Write>) -> Self {
        writes.reverse();
        let saved = Saved {
            written: Vec::with_capacity(writes.len()),
            theirs: None,
            refused: None,
            silent: false,
        };
        Self { started: false, waiting: writes, conflicts: 0, floor: 0, saved }
    }

    /// Writes a registration alone.
    pub(crate) fn client(client: Held<Client>) -> Self {
        Self::new(vec![Write::Client(client, false)])
    }

    /// The grants it writes or has written.
    pub(crate) fn grants(&self) -> impl Iterator<Item = &Held<Grant>> {
        self.waiting.iter().chain(&self.saved.written).filter_map(|write| match write {
            Write::Grant(held, _) => Some(held),
            _ => None,
        })
    }

    fn write(mut self, cx: &mut Cx<'_>) -> Turn<Self> {
        let next = self.next();
        match self.waiting.last() {
            Some(write) => {
                let parked = cx.store(write.swap(next));
                Turn::Wait(Self { started: true, ..self }, parked)
            }
            None => Turn::Done(self.saved),
        }
    }

    /// Writes after a restart. A login may be in the store already, and another process may have
    /// gone on from it.
    fn written_before(mut self, cx: &mut Cx<'_>) -> Turn<Self> {
        for write in &mut self.waiting {
            if let Write::Grant(_, replaces) = write
                && *replaces == Replaces::Anything
            {
                *replaces = Replaces::Useless { spent: Vec::new(), left: Vec::new() };
            }
        }
        self.write(cx)
    }

    /// The generation that the next write gives its record.
    fn next(&mut self) -> u64 {
        let held = self.waiting.last_mut().and_then(|write| *write.generation());
        held.unwrap_or(0).max(self.floor).saturating_add(1)
    }

    fn swapped(mut self, cx: &mut Cx<'_>) -> Turn<Self> {
        let generation = self.next();
        if let Some(write) = self.waiting.last_mut() {
            *write.generation() = Some(generation);
        }
        self.settled(cx)
    }

    /// Goes on with the next record, whatever became of this one.
    fn settled(mut self, cx: &mut Cx<'_>) -> Turn<Self> {
        self.saved.written.extend(self.waiting.pop());
        self.conflicts = 0;
        self.floor = 0;
        self.write(cx)
    }

    /// A record that the store will not keep lives on in memory (HOST-229).
    fn refused(mut self, kind: Kind, cx: &mut Cx<'_>) -> Turn<Self> {
        cx.note(Note::Store { kind });
        self.saved.refused = Some(kind);
        self.settled(cx)
    }

    /// Decides about a record that another process wrote first. Tokens that the server has just
    /// given are newer than the record they were made from, so they are written over that: a
    /// received rotation is never thrown away (HOST-241). A login or log-out of another process is
    /// no such record.
    fn conflict(mut self, found: Option<Record>, cx: &mut Cx<'_>) -> Turn<Self> {
        self.conflicts = self.conflicts.saturating_add(1);
        if self.conflicts > MOST_CONFLICTS {
            return self.refused(Kind::StoreConflict, cx);
        }
        let Some(write) = self.waiting.last_mut() else { return self.write(cx) };
        let floor = self.floor.max(write.generation().unwrap_or(0));
        match found.as_ref().map(|record| write.meet(record, floor, cx.wall)) {
            Some(Meeting::There) => {
                *write.generation() = found.map(|record| record.generation);
                self.settled(cx)
            }
            None | Some(Meeting::Over) => {
                if let (Write::Client(held, _), Some(record)) = (&mut *write, &found)
                    && let Ok(theirs) = record::read::<Client>(&record.bytes, &held.value.key())
                {
                    // A grant may name it (HOST-217).
                    held.value.keep(&theirs);
                }
                self.floor = floor;
                *write.generation() = found.map(|record| record.generation);
                self.write(cx)
            }
            Some(Meeting::Leave(kind)) => self.refused(kind, cx),
            Some(Meeting::Yield(theirs)) => {
                cx.note(Note::Adopted);
                self.waiting.pop();
                self.conflicts = 0;
                self.floor = 0;
                match theirs {
                    Write::Grant(held, _) => self.saved.theirs = Some(held),
                    other => self.saved.written.push(other),
                }
                self.write(cx)
            }
        }
    }
}

impl Machine for Save {
    type Output = Saved;

    const TABLE: &'static Table = &Table {
        machine: MachineName::Save,
        purpose: "writes records before anybody hears of them",
        states: &[State { name: At::Durable, awaits: Awaited::Store }],
        rows: &[
            Row { from: At::Start, on: On::Begin, targets: &[At::Durable] },
            Row { from: At::Durable, on: On::Stored, targets: &[At::Durable, At::Done] },
            Row { from: At::Durable, on: On::Expired, targets: &[At::Durable, At::Done] },
            Row { from: At::Durable, on: On::Resumed, targets: &[At::Durable] },
        ],
    };

    fn state(&self) -> At {
        if self.started { At::Durable } else { At::Start }
    }

    fn on(self, signal: Signal, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        Ok(match signal {
            Signal::Begin => self.write(cx),
            Signal::Resumed => self.written_before(cx),
            Signal::Stored(Stored::Swapped) => self.swapped(cx),
            Signal::Stored(Stored::Conflict(found)) => self.conflict(found, cx),
            Signal::Stored(Stored::Failed(kind)) => self.refused(kind, cx),
            Signal::Expired => {
                let saved = Saved { silent: true, ..self.saved };
                Self { saved, ..self }.refused(Kind::StoreUnavailable, cx)
            }
            _ => return Err(confused(cx)),
        })
    }
}
