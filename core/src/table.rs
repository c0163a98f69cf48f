//! Transition tables of stages and flows: what each state awaits or runs, and where each signal may
//! lead.

use crate::names::{MachineName, SignalName, StateName};
use crate::time::Awaited;

/// One stage's states and edges.
#[derive(Debug)]
pub struct Table {
    /// The name of the machine.
    pub machine: MachineName,
    /// Its purpose, in a few words.
    pub purpose: &'static str,
    /// Every state but `Start`, `Done` and `Failed`, and what it awaits.
    pub states: &'static [State],
    /// Every edge, grouped by where it starts.
    pub rows: &'static [Row],
}

/// A waiting state.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// Its name: a noun for what is awaited.
    pub name: StateName,
    /// The kind of effect it waits for.
    pub awaits: Awaited,
}

/// The edges of one state on one signal.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The state that the edges leave.
    pub from: StateName,
    /// The signal.
    pub on: SignalName,
    /// The states that the edges reach.
    pub targets: &'static [StateName],
}

impl Table {
    /// The row for a state and a signal.
    #[must_use]
    pub fn row(&self, from: StateName, on: SignalName) -> Option<&'static Row> {
        self.rows.iter().find(|row| row.from == from && row.on == on)
    }
}

/// One flow's states and edges: each state runs a stage, and goes on with the result of that stage.
#[derive(Debug)]
pub struct FlowTable {
    /// The name of the machine.
    pub flow: MachineName,
    /// Its purpose, in a few words.
    pub purpose: &'static str,
    /// Every state but `Start`, `Done` and `Failed`, and the stage it runs.
    pub states: &'static [(StateName, MachineName)],
    /// Every edge, grouped by where it starts.
    pub rows: &'static [Row],
}

impl SignalName {
    /// The signals a flow's state must expect, by the stage it runs: the stage's result, its
    /// failure, and a restart. A stage whose result says how it ended has no failure of its own to
    /// expect.
    #[must_use]
    pub const fn met_after(stage: MachineName) -> &'static [Self] {
        match stage {
            MachineName::Recall => &[Self::Recalled, Self::Failed, Self::Resumed],
            MachineName::Discovery => &[Self::Looked, Self::Failed, Self::Resumed],
            MachineName::Registration => &[Self::Enrolled, Self::Failed, Self::Resumed],
            MachineName::Authorization => &[Self::Approved, Self::Failed, Self::Resumed],
            MachineName::Claim => &[Self::Claimed, Self::Failed, Self::Resumed],
            MachineName::Intent => &[Self::Intended, Self::Resumed],
            MachineName::Token => &[Self::Minted, Self::Resumed],
            MachineName::Save => &[Self::Saved, Self::Resumed],
            MachineName::Release => &[Self::Released, Self::Resumed],
            MachineName::Revocation => &[Self::Given, Self::Resumed],
            _ => &[],
        }
    }

    /// The signals a state can meet, by what it awaits: its effect's answer, the deadline, and a
    /// restart.
    #[must_use]
    pub const fn met_while(awaited: Awaited) -> &'static [Self] {
        match awaited {
            Awaited::Call => &[Self::Reply, Self::Expired, Self::Resumed],
            Awaited::Listen => &[Self::Bound, Self::Expired, Self::Resumed],
            Awaited::Store => &[Self::Stored, Self::Expired, Self::Resumed],
            Awaited::Sign => &[Self::Signed, Self::Expired, Self::Resumed],
            Awaited::Pause => &[Self::Expired, Self::Resumed],
            // The answer to an attempt that was given up may still come during the pause.
            Awaited::Backoff => &[Self::Reply, Self::Expired, Self::Resumed],
            // After a restart the listener is bound anew while the person is still away.
            Awaited::Person => {
                &[Self::Callback, Self::Unshown, Self::Bound, Self::Expired, Self::Resumed]
            }
        }
    }
}
