//! Small flows, for tasks that no caller waits for or that take one stage.

use serde::{Deserialize, Serialize};

use crate::effect::{Holder, Key, Spend};
use crate::flow::{End, Ended, Gain, Kept, Tried, Written, bug};
use crate::names::{MachineName as Stage, SignalName as On, StateName as At};
use crate::record::merge::Replaces;
use crate::record::{Grant, Held};
use crate::stage::revocation;
use crate::stage::vault::Write;
use crate::table::{FlowTable, Row};

/// An errand, and how far it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Errand {
    pub(crate) task: Task,
    phase: Phase,
}

/// The task of an errand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// It learns what the store knows.
    ReadAll,
    /// It sees whether the bound issuer is still listed, after a refresh that did not help
    /// (BIND-05).
    Relist,
    /// It writes records for an event outside a flow. `held` is the grant among them.
    SaveAgain { writes: Vec<Write>, held: Held<Grant> },
    /// It gives a lease back, once the callers that waited for the lease's flow are settled.
    GiveBack(Lease),
    /// It gives the tokens of a log-out back to the server.
    Revoke(Box<revocation::Ask>),
    /// It reads the records that a log-out is to empty.
    Forget,
    /// It writes this emptied grant over the grant that was logged out of.
    Empty { emptied: Held<Grant> },
}

/// How far an errand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Start,
    UnderWay,
    Over,
}

/// A lease to be given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The record whose lease it is.
    pub(crate) key: Key,
    /// The name under which the lease was taken.
    pub(crate) holder: Holder,
    /// The intent that is withdrawn with it, of a credential whose outcome is known.
    pub(crate) withdraw: Option<Spend>,
}

/// An event that an errand meets.
#[derive(Debug)]
pub(crate) enum Met {
    /// The flow begins.
    Begin,
    /// Everything was read. For a log-out, the event holds the emptied grant that is to be written
    /// now, if there is one.
    Read(Option<Held<Grant>>),
    /// The issuer is still listed, or nobody can say so now (STEP-12).
    Listed,
    /// The records were written, or the store would not have them.
    Saved(Written),
    /// A lease was given back, or the store would not have it.
    Released(Kept),
    /// The server has answered about the tokens, or could not be reached.
    GivenBack,
}

impl Errand {
    pub(crate) const fn new(task: Task) -> Self {
        Self { task, phase: Phase::Start }
    }

    /// The table of the errand's task.
    pub(crate) const fn table(&self) -> &'static FlowTable {
        match self.task {
            Task::ReadAll => &READ_ALL,
            Task::Relist => &RELIST,
            Task::SaveAgain { .. } => &SAVE_AGAIN,
            Task::GiveBack(_) => &GIVE_BACK,
            Task::Revoke(_) => &REVOKE,
            Task::Forget | Task::Empty { .. } => &FORGET,
        }
    }

    /// The state of the flow, as its table names it.
    pub(crate) const fn state(&self) -> At {
        match (self.phase, &self.task) {
            (Phase::Start, _) => At::Start,
            (Phase::Over, _) => At::Done,
            (Phase::UnderWay, Task::ReadAll | Task::Forget) => At::Reading,
            (Phase::UnderWay, Task::Relist) => At::Listing,
            (Phase::UnderWay, Task::SaveAgain { .. }) => At::Saving,
            (Phase::UnderWay, Task::GiveBack(_)) => At::Releasing,
            (Phase::UnderWay, Task::Revoke(_)) => At::Revoking,
            (Phase::UnderWay, Task::Empty { .. }) => At::Emptying,
        }
    }

    /// The grant that it writes.
    pub(crate) const fn held(&self) -> Option<&Held<Grant>> {
        match &self.task {
            Task::SaveAgain { held, .. } | Task::Empty { emptied: held } => Some(held),
            _ => None,
        }
    }

    /// Returns true if it is about a log-out, or gives a lease back. A further log-out leaves such
    /// an errand alone.
    pub(crate) const fn tidies(&self) -> bool {
        matches!(self.task, Task::Forget | Task::Empty { .. } | Task::GiveBack(_) | Task::Revoke(_))
    }

    /// Returns true if it empties the records of a log-out.
    pub(crate) const fn forgets(&self) -> bool {
        matches!(self.task, Task::Forget | Task::Empty { .. })
    }

    /// Ends the flow where it is.
    pub(crate) fn over(&mut self, ended: Ended) -> End {
        self.phase = Phase::Over;
        End { turn: None, tried: Tried::Nothing, ended }
    }

    /// Takes in an event. Returns the end of the flow, if the flow ends with it.
    pub(crate) fn on(&mut self, met: Met) -> Option<End> {
        let gain = match (self.phase, &self.task, met) {
            (Phase::Start, _, Met::Begin) => {
                self.phase = Phase::UnderWay;
                return None;
            }
            (Phase::UnderWay, Task::Forget, Met::Read(Some(emptied))) => {
                self.task = Task::Empty { emptied };
                return None;
            }
            (Phase::UnderWay, Task::ReadAll | Task::Forget, Met::Read(_))
            | (Phase::UnderWay, Task::Relist, Met::Listed)
            | (Phase::UnderWay, Task::Revoke(_), Met::GivenBack) => Gain::Nothing,
            (Phase::UnderWay, Task::GiveBack(_), Met::Released(kept)) => Gain::Released(kept),
            (
                Phase::UnderWay,
                Task::SaveAgain { held, .. } | Task::Empty { emptied: held },
                Met::Saved(saved),
            ) => {
                let ended = saved.ends(held.clone(), Replaces::Anything, None);
                return Some(self.over(ended));
            }
            _ => return Some(self.over(Ended::failed(bug()))),
        };
        Some(self.over(Ended::with(gain)))
    }
}

/// The table of [`Task::ReadAll`].
pub(crate) const READ_ALL: FlowTable = FlowTable {
    flow: Stage::ReadAll,
    purpose: "learns what the store knows",
    states: &[(At::Reading, Stage::Recall)],
    rows: &[
        Row { from: At::Start, on: On::Begin, targets: &[At::Reading] },
        Row { from: At::Reading, on: On::Recalled, targets: &[At::Done] },
        Row { from: At::Reading, on: On::Failed, targets: &[At::Failed] },
        Row { from: At::Reading, on: On::Resumed, targets: &[At::Reading] },
    ],
};

/// The table of [`Task::Relist`].
pub(crate) const RELIST: FlowTable = FlowTable {
    flow: Stage::Relist,
    purpose: "sees whether the issuer is still listed",
    states: &[(At::Listing, Stage::Discovery)],
    rows: &[
        Row { from: At::Start, on: On::Begin, targets: &[At::Listing] },
        Row { from: At::Listing, on: On::Looked, targets: &[At::Done, At::Failed] },
        Row { from: At::Listing, on: On::Failed, targets: &[At::Done, At::Failed] },
        Row { from: At::Listing, on: On::Resumed, targets: &[At::Listing] },
    ],
};

/// The table of [`Task::SaveAgain`].
pub(crate) const SAVE_AGAIN: FlowTable = FlowTable {
    flow: Stage::SaveAgain,
    purpose: "writes records outside a login or refresh",
    states: &[(At::Saving, Stage::Save)],
    rows: &[
        Row { from: At::Start, on: On::Begin, targets: &[At::Saving] },
        Row { from: At::Saving, on: On::Saved, targets: &[At::Done] },
        Row { from: At::Saving, on: On::Resumed, targets: &[At::Saving] },
    ],
};

/// The table of [`Task::GiveBack`].
pub(crate) const GIVE_BACK: FlowTable = FlowTable {
    flow: Stage::GiveBack,
    purpose: "gives a lease or an intent back to the store",
    states: &[(At::Releasing, Stage::Release)],
    rows: &[
        Row { from: At::Start, on: On::Begin, targets: &[At::Releasing] },
        Row { from: At::Releasing, on: On::Released, targets: &[At::Done] },
        Row { from: At::Releasing, on: On::Resumed, targets: &[At::Releasing] },
    ],
};

/// The table of [`Task::Revoke`].
pub(crate) const REVOKE: FlowTable = FlowTable {
    flow: Stage::Revoke,
    purpose: "gives the tokens of a log-out back to the server",
    states: &[(At::Revoking, Stage::Revocation)],
    rows: &[
        Row { from: At::Start, on: On::Begin, targets: &[At::Revoking] },
        Row { from: At::Revoking, on: On::Given, targets: &[At::Done] },
        Row { from: At::Revoking, on: On::Resumed, targets: &[At::Revoking] },
    ],
};

/// The table of [`Task::Forget`] and [`Task::Empty`].
pub(crate) const FORGET: FlowTable = FlowTable {
    flow: Stage::Forget,
    purpose: "empties the record of a log-out",
    states: &[(At::Reading, Stage::Recall), (At::Emptying, Stage::Save)],
    rows: &[
        Row { from: At::Start, on: On::Begin, targets: &[At::Reading, At::Emptying] },
        Row { from: At::Reading, on: On::Recalled, targets: &[At::Emptying, At::Done] },
        Row { from: At::Reading, on: On::Failed, targets: &[At::Failed] },
        Row { from: At::Emptying, on: On::Saved, targets: &[At::Done] },
        Row { from: At::Reading, on: On::Resumed, targets: &[At::Reading] },
        Row { from: At::Emptying, on: On::Resumed, targets: &[At::Emptying] },
    ],
};
