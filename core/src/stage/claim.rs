//! The right to spend a one-time credential: one caller has it, among those of all processes.
//!
//! [`Claim`] gets the lease of a grant's record and reads the record once more, so that a token
//! that another process has renewed is adopted instead of spent. [`Intent`] records durably that a
//! refresh token or a code is about to be sent. A process that comes after a crash finds this
//! record, and a lost lock cannot admit two senders (REF-17, HOST-240). [`Release`] gives both
//! back. Refuses to decide whether a record is newer, and what an unknown outcome does to a grant.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::effect::{Holder, Key, Spend, StoreRequest, Stored};
use crate::failure::{Failure, Kind, Switch};
use crate::machine::{
    Cx, Machine, MachineName, Row, Signal, SignalName as On, State, StateName as At, Table, Turn,
    confused,
};
use crate::note::Note;
use crate::record::{Grant, Held};
use crate::stage::recall;
use crate::time::{Awaited, Monotonic};

/// How long a lease that others hold is waited for (HOST-238).
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The first pause before it is asked for again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause: the lease of a process that was killed is taken within a second (HOST-239).
const LONGEST_PAUSE: Duration = Duration::from_millis(320);
/// The pause before a look at a credential that another process is spending.
const ELSEWHERE_PAUSE: Duration = Duration::from_secs(1);
/// The pause before the second sending of a token that an ended process may have sent.
const RECOVERY_PAUSE: Duration = Duration::from_secs(1);

/// Gets the lease of a grant's record and reads it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claim {
    key: Key,
    phase: Phase,
    /// How often the lease was asked for.
    asked: u32,
    /// The moment after which the lease is no longer asked for.
    ends: Monotonic,
    /// True if the store does not have the token, as far as anybody knows. The token is then spent
    /// even if the store fails.
    alone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Start,
    /// As `Start`, but another process is spending the credential.
    Elsewhere,
    Lease,
    Pause,
    Grant,
}

impl Claim {
    pub(crate) const fn new(key: Key, ends: Monotonic, elsewhere: bool, alone: bool) -> Self {
        let phase = if elsewhere { Phase::Elsewhere } else { Phase::Start };
        Self { key, phase, asked: 0, ends, alone }
    }

    pub(crate) fn shift(&mut self, shift: impl Fn(&mut Monotonic)) {
        shift(&mut self.ends);
    }

    /// The lease that is being asked for, if it is.
    pub(crate) fn asks_for(&self) -> Option<&Key> {
        (self.phase == Phase::Lease).then_some(&self.key)
    }

    fn lease(mut self, cx: &mut Cx<'_>) -> Turn<Self> {
        self.phase = Phase::Lease;
        self.asked = self.asked.saturating_add(1);
        let holder = cx.holder;
        let parked = cx.store(StoreRequest::Lease { key: self.key.clone(), holder });
        Turn::Wait(self, parked)
    }

    fn pause(mut self, pause: Duration, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        if self.ends <= cx.mono {
            return Err(Failure::new(Kind::StoreLocked, "HOST-238"));
        }
        self.phase = Phase::Pause;
        let parked = cx.pause(pause);
        Ok(Turn::Wait(self, parked))
    }

    /// Pauses for a time that is partly random. Otherwise all that wait would ask at the same
    /// moments.
    fn busy(self, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        let growth = 2u32.saturating_pow(self.asked.saturating_sub(1).min(16));
        let pause = FIRST_PAUSE.saturating_mul(growth).min(LONGEST_PAUSE);
        let chance = u32::from(cx.draw.chance() % 128);
        self.pause(pause.saturating_sub(pause.saturating_mul(chance) / 256), cx)
    }

    fn look(mut self, cx: &mut Cx<'_>) -> Turn<Self> {
        self.phase = Phase::Grant;
        let parked = cx.store(StoreRequest::Load { key: self.key.clone() });
        Turn::Wait(self, parked)
    }

    fn leased(self, stored: Stored, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        match stored {
            Stored::Leased => Ok(self.look(cx)),
            Stored::Busy => self.busy(cx),
            Stored::Failed(Kind::StoreLockUnsupported) if cx.config.unlocked_refresh => {
                cx.lenient(Switch::UnlockedRefresh, "store");
                Ok(self.look(cx))
            }
            Stored::Failed(Kind::StoreLockUnsupported) => {
                let failure = Failure::new(Kind::StoreLockUnsupported, "HOST-288");
                Err(failure.with_switch(Switch::UnlockedRefresh))
            }
            Stored::Failed(kind) => self.unanswered(kind, cx),
            _ => Err(confused(cx)),
        }
    }

    fn unanswered(self, kind: Kind, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        if self.alone {
            cx.note(Note::Store { kind });
            return Ok(Turn::Done(None));
        }
        Err(Failure::new(kind, "BIND-09"))
    }

    fn looked(self, stored: Stored, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        if let Stored::Failed(kind) = stored
            && kind != Kind::StoreCorrupt
        {
            return self.unanswered(kind, cx);
        }
        let record = recall::loaded(stored, cx)?;
        Ok(Turn::Done(recall::read(record, &self.key, cx)?))
    }
}

impl Machine for Claim {
    type Output = Option<Held<Grant>>;

    const TABLE: &'static Table = &Table {
        machine: MachineName::Claim,
        purpose: "gets the lease of a grant's record, and reads it once more",
        states: &[
            State { name: At::Lease, awaits: Awaited::Store },
            State { name: At::Pause, awaits: Awaited::Pause },
            State { name: At::Grant, awaits: Awaited::Store },
        ],
        rows: &[
            Row { from: At::Start, on: On::Begin, targets: &[At::Lease, At::Pause, At::Failed] },
            Row {
                from: At::Lease,
                on: On::Stored,
                targets: &[At::Pause, At::Grant, At::Done, At::Failed],
            },
            Row { from: At::Lease, on: On::Expired, targets: &[At::Failed] },
            Row { from: At::Lease, on: On::Resumed, targets: &[At::Lease] },
            Row { from: At::Pause, on: On::Expired, targets: &[At::Lease] },
            Row { from: At::Pause, on: On::Resumed, targets: &[At::Lease] },
            Row { from: At::Grant, on: On::Stored, targets: &[At::Done, At::Failed] },
            Row { from: At::Grant, on: On::Expired, targets: &[At::Failed] },
            Row { from: At::Grant, on: On::Resumed, targets: &[At::Lease] },
        ],
    };

    fn state(&self) -> At {
        match self.phase {
            Phase::Start | Phase::Elsewhere => At::Start,
            Phase::Lease => At::Lease,
            Phase::Pause => At::Pause,
            Phase::Grant => At::Grant,
        }
    }

    fn on(self, signal: Signal, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        match (signal, self.phase) {
            (Signal::Begin, Phase::Elsewhere) => self.pause(ELSEWHERE_PAUSE, cx),
            // After a restart the lease is that of another process.
            (Signal::Begin | Signal::Resumed, _) | (Signal::Expired, Phase::Pause) => {
                Ok(self.lease(cx))
            }
            (Signal::Stored(stored), Phase::Lease) => self.leased(stored, cx),
            (Signal::Stored(stored), Phase::Grant) => self.looked(stored, cx),
            // A store that is silent may still do what it was asked before.
            (Signal::Expired, _) => Err(Failure::new(Kind::StoreUnavailable, "BIND-09")),
            _ => Err(confused(cx)),
        }
    }
}

/// Records that a one-time credential is about to be sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Intent {
    key: Key,
    spend: Spend,
    phase: Sending,
    certainty: Certainty,
}

/// The weight of the store's word before a sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Certainty {
    /// Nothing is sent without the store's word: it may be somebody else's turn, or a copy of the
    /// login in another process may have sent the code.
    Needed,
    /// The credential is sent even without the store's word: a code is worth nothing later, and a
    /// token that the store does not have is nobody else's.
    Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Sending {
    Start,
    Recorded,
    Pause,
}

/// The result of recording an intent.
#[derive(Clone, Debug)]
pub(crate) enum Intended {
    /// The intent is recorded, for this first sending or for the one recovery.
    Recorded(Spend),
    /// Another process is sending the credential now.
    Elsewhere,
    /// The store refused to record the intent, or has not answered: the intent may stand all the
    /// same.
    Unrecorded(Spend, Kind),
    /// The lease under which the credential was to be sent has gone with the process that had it.
    Unclaimed,
    /// The credential was sent as often as it may be, and nobody knows the outcome.
    Exhausted,
}

impl Intent {
    pub(crate) const fn new(key: Key, spend: Spend, certainty: Certainty) -> Self {
        Self { key, spend, phase: Sending::Start, certainty }
    }

    /// The intent of a refresh that is being recorded, if it is.
    pub(crate) fn records(&self) -> Option<(&Key, &Spend)> {
        let refresh = matches!(self.spend, Spend::Refresh { .. });
        (self.phase == Sending::Recorded && refresh).then_some((&self.key, &self.spend))
    }

    fn record(mut self, cx: &mut Cx<'_>) -> Turn<Self> {
        self.phase = Sending::Recorded;
        let holder = match &self.spend {
            Spend::Refresh { .. } => cx.holder,
            Spend::Code { .. } => cx.holder.of_codes(),
        };
        let (key, spend) = (self.key.clone(), self.spend.clone());
        let parked = cx.store(StoreRequest::Intend { key, spend, holder });
        Turn::Wait(self, parked)
    }

    /// The first sending was recorded by a process that is gone: nobody knows its outcome. The token
    /// is tried once more, under an intent of its own, after a moment in which the server may finish
    /// with the first (HOST-227, HOST-228).
    fn orphaned(mut self, cx: &mut Cx<'_>) -> Turn<Self> {
        match &mut self.spend {
            Spend::Refresh { attempt, .. } if *attempt == 0 => {
                *attempt = 1;
                self.phase = Sending::Pause;
                let parked = cx.pause(RECOVERY_PAUSE);
                Turn::Wait(self, parked)
            }
            _ => Turn::Done(Intended::Exhausted),
        }
    }

    fn unrecorded(self, kind: Kind, cx: &mut Cx<'_>) -> Turn<Self> {
        match (self.certainty, &self.spend) {
            (Certainty::Needed, Spend::Refresh { .. }) => {
                Turn::Done(Intended::Unrecorded(self.spend, kind))
            }
            (Certainty::Needed, Spend::Code { .. }) => {
                cx.note(Note::Store { kind });
                Turn::Done(Intended::Exhausted)
            }
            (Certainty::Wanted, _) => {
                cx.note(Note::Store { kind });
                Turn::Done(Intended::Recorded(self.spend))
            }
        }
    }

    fn answered(self, stored: Stored, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        match stored {
            Stored::Intended => Ok(Turn::Done(Intended::Recorded(self.spend))),
            Stored::Standing { made_by_the_living: true } => Ok(Turn::Done(Intended::Elsewhere)),
            Stored::Standing { made_by_the_living: false } => Ok(self.orphaned(cx)),
            Stored::Failed(kind) => Ok(self.unrecorded(kind, cx)),
            _ => Err(confused(cx)),
        }
    }
}

impl Machine for Intent {
    type Output = Intended;

    const TABLE: &'static Table = &Table {
        machine: MachineName::Intent,
        purpose: "records that a one-time credential is about to be sent",
        states: &[
            State { name: At::Recorded, awaits: Awaited::Store },
            State { name: At::Pause, awaits: Awaited::Pause },
        ],
        rows: &[
            Row { from: At::Start, on: On::Begin, targets: &[At::Recorded] },
            Row { from: At::Recorded, on: On::Stored, targets: &[At::Pause, At::Done] },
            Row { from: At::Recorded, on: On::Expired, targets: &[At::Done] },
            Row { from: At::Recorded, on: On::Resumed, targets: &[At::Recorded, At::Done] },
            Row { from: At::Pause, on: On::Expired, targets: &[At::Recorded] },
            Row { from: At::Pause, on: On::Resumed, targets: &[At::Done] },
        ],
    };

    fn state(&self) -> At {
        match self.phase {
            Sending::Start => At::Start,
            Sending::Recorded => At::Recorded,
            Sending::Pause => At::Pause,
        }
    }

    fn on(self, signal: Signal, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        match (signal, self.phase) {
            (Signal::Resumed, _) if matches!(self.spend, Spend::Refresh { .. }) => {
                Ok(Turn::Done(Intended::Unclaimed))
            }
            (Signal::Resumed, _) => Ok(Self { certainty: Certainty::Needed, ..self }.record(cx)),
            (Signal::Begin, _) | (Signal::Expired, Sending::Pause) => Ok(self.record(cx)),
            (Signal::Stored(stored), _) => self.answered(stored, cx),
            // A store that is silent may still do what it was asked before.
            (Signal::Expired, _) if matches!(self.spend, Spend::Refresh { .. }) => {
                Ok(Turn::Done(Intended::Unrecorded(self.spend, Kind::StoreUnavailable)))
            }
            (Signal::Expired, _) => Ok(self.unrecorded(Kind::StoreUnavailable, cx)),
            _ => Err(confused(cx)),
        }
    }
}

/// Gives the lease back, and withdraws the intent of a credential whose outcome is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Release {
    key: Key,
    holder: Holder,
    withdraw: Option<Spend>,
    started: bool,
}

/// True if everything is given back, as far as anybody can tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Released(pub(crate) bool);

impl Release {
    pub(crate) const fn new(key: Key, holder: Holder, withdraw: Option<Spend>) -> Self {
        Self { key, holder, withdraw, started: false }
    }
}

impl Machine for Release {
    type Output = Released;

    const TABLE: &'static Table = &Table {
        machine: MachineName::Release,
        purpose: "gives the lease back",
        states: &[State { name: At::Released, awaits: Awaited::Store }],
        rows: &[
            Row { from: At::Start, on: On::Begin, targets: &[At::Released] },
            Row { from: At::Released, on: On::Stored, targets: &[At::Done] },
            Row { from: At::Released, on: On::Expired, targets: &[At::Done] },
            Row { from: At::Released, on: On::Resumed, targets: &[At::Done] },
        ],
    };

    fn state(&self) -> At {
        if self.started { At::Released } else { At::Start }
    }

    fn on(self, signal: Signal, cx: &mut Cx<'_>) -> Result<Turn<Self>, Failure> {
        match signal {
            Signal::Begin => {
                let Self { key, holder, withdraw, .. } = self.clone();
                let parked = cx.store(StoreRequest::Release { key, holder, withdraw });
                Ok(Turn::Wait(Self { started: true, ..self }, parked))
            }
            Signal::Stored(Stored::Failed(kind)) => {
                cx.note(Note::Store { kind });
                Ok(Turn::Done(Released(false)))
            }
            Signal::Expired => {
                cx.note(Note::Store { kind: Kind::StoreUnavailable });
                Ok(Turn::Done(Released(false)))
            }
            // After a restart the lease was that of another process, and ended with it.
            Signal::Stored(_) | Signal::Resumed => Ok(Turn::Done(Released(true))),
            _ => Err(confused(cx)),
        }
    }
}
