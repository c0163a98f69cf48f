//! Small flows, for what no caller waits for or what takes one stage.

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

/// What an errand is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// To know what the store knows.
    ReadAll,
    /// To know whether the bound issuer is still listed, after a refresh that did not help (BIND-05).
    Relist,
    /// Records written, for what happened outside a flow, and the grant among them.
    SaveAgain { writes: Vec<Write>, held: Held<Grant> },
    /// A lease given back, once those who waited for its flow are settled.
    GiveBack(Lease),
    /// The tokens of a log-out given back to the server.
    Revoke(Box<revocation::Ask>),
    /// What the store has found for a log-out, to be emptied.
    Forget,
    /// This emptied grant written over what was logged out of.
    Empty { emptied: Held<Grant> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Start,
    UnderWay,
    Over,
}

/// A lease to be given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) key: Key,
    pub(crate) holder: Holder,
    /// The intent of a credential whose outcome is known.
    pub(crate) withdraw: Option<Spend>,
}

/// What an errand meets.
#[derive(Debug)]
pub(crate) enum Met {
    Begin,
    /// Everything was read; of a log-out, with the emptied grant that is to be written now, if one is.
    Read(Option<Held<Grant>>),
    /// The issuer is still listed, or nobody can say so now (STEP-12).
    Listed,
    Saved(Written),
    Released(Kept),
    GivenBack,
}

impl Errand {
    pub(crate) const fn new(task: Task) -> Self {
        Self { task, phase: Phase::Start }
    }

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

    /// Where it is, by its table.
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

    /// Whether it is about a log-out, or gives a lease back: a further log-out leaves it alone.
    pub(crate) const fn tidies(&self) -> bool {
        matches!(self.task, Task::Forget | Task::Empty { .. } | Task::GiveBack(_) | Task::Revoke(_))
    }

    /// Whether it empties the records of a log-out.
    pub(crate) const fn forgets(&self) -> bool {
        matches!(self.task, Task::Forget | Task::Empty { .. })
    }

    /// It ends where it is.
    pub(crate) fn over(&mut self, ended: Ended) -> End {
        self.phase = Phase::Over;
        End { turn: None, tried: Tried::Nothing, ended }
    }

    /// Spends the state.
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
