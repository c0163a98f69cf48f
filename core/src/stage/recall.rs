//! Reading records through the store.
//!
//! Decides in which order records are loaded, and what a refusal of the store means; refuses to
//! decide whether a record is to be used.

use serde::{Deserialize, Serialize};

use crate::effect::{Key, Record, StoreRequest, Stored};
use crate::failure::{Failure, Kind};
use crate::machine::{
    Cx, Machine, MachineName, Row, Signal, SignalName as On, State, StateName as At, Table, Turn,
    confused,
};
use crate::note::Note;
use crate::record::{self, Binding, Client, Document, Grant, Held, Way};
use crate::time::Awaited;

/// The records that a restart finds, or a look before a refresh.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Recalled {
    pub(crate) binding: Option<Held<Binding>>,
    pub(crate) client: Option<Held<Client>>,
    pub(crate) grant: Option<Held<Grant>>,
}

/// Reads the records of an MCP URL and account, or one grant again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Recall {
    started: bool,
    reading: Reading,
    found: Recalled,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Reading {
    Binding(Key),
    Client(Key),
    Grant(Key),
}

impl Recall {
    /// Everything that is known of an MCP URL and account.
    pub(crate) fn all(mcp_url: &str, account: &str) -> Self {
        Self::start(Reading::Binding(record::binding_key(mcp_url, account)))
    }

    /// A grant once more, to see whether another process has renewed it (REF-06).
    pub(crate) fn again(key: Key) -> Self {
        Self::start(Reading::Grant(key))
    }

    fn start(reading: Reading) -> Self {
        Self { started: false, reading, found: Recalled::default() }
    }

    fn load(self, cx: &mut Cx<'_>) -> Turn<Self> {
        let (Reading::Binding(key) | Reading::Client(key) | Reading::Grant(key)) = &self.reading;
        let parked = cx.store(StoreRequest::Load { key: key.clone() });
        Turn::Wait(Self { started: true, ..self }, parked)
    }

    /// Takes in one record and loads the next one, if there is one.
    fn take(mut self, stored: Stored, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        let record = loaded(stored, cx)?;
        let next = match &self.reading {
            Reading::Binding(key) => {
                self.found.binding = read(record, key, cx)?;
                self.found.binding.as_ref().map(|binding| after_binding(&binding.value))
            }
            Reading::Client(key) => {
                self.found.client = read(record, key, cx)?;
                self.found.binding.as_ref().map(|binding| grant_of(&binding.value))
            }
            Reading::Grant(key) => {
                self.found.grant = read(record, key, cx)?;
                None
            }
        };
        Ok(match next {
            Some(reading) => Self { reading, ..self }.load(cx),
            None => Turn::Done(self.found),
        })
    }
}

fn after_binding(binding: &Binding) -> Reading {
    if binding.way == Way::Dynamic {
        return Reading::Client(record::client_key(&binding.issuer, &binding.redirect_set));
    }
    grant_of(binding)
}

fn grant_of(binding: &Binding) -> Reading {
    Reading::Grant(record::grant_key(
        &binding.issuer,
        &binding.resource,
        &binding.client_id,
        &binding.account,
    ))
}

/// The record that a load brought. A record that the store cannot read is as good as none; the
/// store has set it aside (HOST-269).
pub(crate) fn loaded(stored: Stored, cx: &mut Cx<'_>) -> Result<Option<Record>, Failure> {
    match stored {
        Stored::Loaded(record) => Ok(record),
        Stored::Failed(Kind::StoreCorrupt) => {
            cx.note(Note::Store { kind: Kind::StoreCorrupt });
            Ok(None)
        }
        Stored::Failed(kind) => Err(Failure::new(kind, "BIND-09")),
        _ => Err(confused(cx)),
    }
}

/// A damaged record is as good as none, with a note; one of a newer format ends the flow, since a
/// login would overwrite what the newer version wrote.
pub(crate) fn read<T: Document>(
    record: Option<Record>,
    key: &Key,
    cx: &mut Cx<'_>,
) -> Result<Option<Held<T>>, Failure> {
    let Some(record) = record else {
        return Ok(None);
    };
    match record::read::<T>(&record.bytes, key).and_then(|value| {
        if value.sound(&cx.config.reach) { Ok(value) } else { Err(Kind::StoreCorrupt) }
    }) {
        Ok(value) => Ok(Some(Held { value, generation: Some(record.generation) })),
        Err(Kind::StoreVersion) => Err(Failure::new(Kind::StoreVersion, "BIND-10")),
        Err(kind) => {
            cx.note(Note::Store { kind });
            Ok(None)
        }
    }
}

impl Machine for Recall {
    type Output = Recalled;

    const TABLE: &'static Table = &Table {
        machine: MachineName::Recall,
        purpose: "reads the records of an MCP URL and account",
        states: &[
            State { name: At::Binding, awaits: Awaited::Store },
            State { name: At::Client, awaits: Awaited::Store },
            State { name: At::Grant, awaits: Awaited::Store },
        ],
        rows: &[
            Row { from: At::Start, on: On::Begin, targets: &[At::Binding, At::Grant] },
            Row {
                from: At::Binding,
                on: On::Stored,
                targets: &[At::Client, At::Grant, At::Done, At::Failed],
            },
            Row { from: At::Binding, on: On::Expired, targets: &[At::Failed] },
            Row { from: At::Binding, on: On::Resumed, targets: &[At::Binding] },
            Row { from: At::Client, on: On::Stored, targets: &[At::Grant, At::Failed] },
            Row { from: At::Client, on: On::Expired, targets: &[At::Failed] },
            Row { from: At::Client, on: On::Resumed, targets: &[At::Client] },
            Row { from: At::Grant, on: On::Stored, targets: &[At::Done, At::Failed] },
            Row { from: At::Grant, on: On::Expired, targets: &[At::Failed] },
            Row { from: At::Grant, on: On::Resumed, targets: &[At::Grant] },
        ],
    };

    fn state(&self) -> At {
        match self.reading {
            _ if !self.started => At::Start,
            Reading::Binding(_) => At::Binding,
            Reading::Client(_) => At::Client,
            Reading::Grant(_) => At::Grant,
        }
    }

    fn on(self, signal: Signal, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        match signal {
            Signal::Begin | Signal::Resumed => Ok(self.load(cx)),
            Signal::Stored(stored) => self.take(stored, cx),
            Signal::Expired => Err(Failure::new(Kind::StoreUnavailable, "BIND-09")),
            _ => Err(confused(cx)),
        }
    }
}
