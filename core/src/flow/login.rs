//! The login: a flow that gets a grant from a person.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::effect::Spend;
use crate::flow::{End, Ended, Known, Tried};
use crate::names::{MachineName as Stage, SignalName as On, StateName as At};
use crate::record::{Grant, Held};
use crate::scope::ScopeSet;
use crate::table::{FlowTable, Row};
use crate::wire::url::ServerUrl;

pub(crate) use state::{Grown, Left, Member, Met, Place, Registration, State};

mod state;

/// A login: why a person is asked, and how far it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) why: Why,
    pub(crate) state: State,
}

/// The cause of a login, and what came with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Why {
    pub(crate) cause: Cause,
    /// The URL that the challenge named for the resource's metadata.
    pub(crate) pointer: Option<ServerUrl>,
    /// The scopes that the caller named.
    pub(crate) wanted: ScopeSet,
    /// The scopes that the challenge named.
    pub(crate) challenged: Option<ScopeSet>,
    /// The operation that was refused, for the limits of step-up.
    pub(crate) operation: Arc<str>,
}

/// Why a person is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cause {
    /// A caller asked for a grant.
    Asked,
    /// A caller asked for a login by name, and no request has gone before it (D18).
    Named,
    /// The server refused a request for want of a good token.
    Refused,
    /// The server refused a request after it had let others in with a token whose life is over now.
    Expired,
    /// The server refused a request for want of scope.
    StepUp,
}

impl Login {
    pub(crate) const fn new(why: Why) -> Self {
        Self { why, state: State::Start }
    }

    /// The state of the flow, as its table names it.
    pub(crate) const fn state(&self) -> At {
        match &self.state {
            State::Start => At::Start,
            State::Finding => At::Finding,
            State::Enrolling { .. } => At::Enrolling,
            State::SavingClient { .. } => At::SavingClient,
            State::Asking { .. } => At::Asking,
            State::Noting { .. } => At::Noting,
            State::Looking { .. } => At::Looking,
            State::Exchanging { .. } => At::Exchanging,
            State::Saving { .. } => At::Saving,
            State::Marking { .. } => At::Marking,
            State::Over { .. } | State::Spent => At::Done,
        }
    }

    /// The grant that came, and is not saved yet.
    pub(crate) const fn held(&self) -> Option<&Held<Grant>> {
        match &self.state {
            State::Saving { held, .. } => Some(held),
            _ => None,
        }
    }

    /// The place where the person is sent, once that is known.
    pub(crate) fn place(&self) -> Option<&Place> {
        match &self.state {
            State::Enrolling { place, .. } | State::Over { left: Left::Place(place) } => {
                Some(place)
            }
            _ => self.member().map(|member| &member.place),
        }
    }

    /// The client that it has become, once it is one.
    pub(crate) const fn member(&self) -> Option<&Member> {
        match &self.state {
            State::SavingClient { member }
            | State::Asking { member }
            | State::Noting { member, .. }
            | State::Looking { member, .. }
            | State::Exchanging { member, .. }
            | State::Saving { member, .. }
            | State::Marking { member, .. }
            | State::Over { left: Left::Member(member, _) } => Some(member),
            _ => None,
        }
    }

    /// The name that tells this login from others in the records, once the person has agreed.
    pub(crate) const fn name(&self) -> Option<&Arc<str>> {
        match &self.state {
            State::Noting { login, .. } => Some(login),
            State::Looking { code, .. }
            | State::Exchanging { code, .. }
            | State::Saving { code, .. }
            | State::Marking { code, .. }
            | State::Over { left: Left::Member(_, code) } => code.login.as_ref(),
            _ => None,
        }
    }

    /// Takes the intent that stands in the store for its code.
    pub(crate) fn take_mark(&mut self) -> Option<Spend> {
        match &mut self.state {
            State::Looking { code, .. }
            | State::Exchanging { code, .. }
            | State::Saving { code, .. }
            | State::Marking { code, .. }
            | State::Over { left: Left::Member(_, code) } => code.mark.take(),
            _ => None,
        }
    }

    /// Returns true if a restart costs it the right to send.
    pub(crate) const fn loses_its_turn(&self) -> bool {
        matches!(self.state, State::Looking { .. })
    }

    /// Returns true if a failure could still say something of its registration.
    pub(crate) const fn doubts(&self) -> bool {
        !matches!(self.state, State::Saving { .. } | State::Marking { .. })
    }

    /// Returns true if it has sent a code, which cannot be had again if its answer is not heard.
    pub(crate) const fn spends(&self) -> bool {
        matches!(
            self.state,
            State::Exchanging { .. } | State::Saving { .. } | State::Marking { .. }
        )
    }

    /// Ends the flow where it is.
    pub(crate) fn over(&mut self, ended: Ended) -> End {
        let left = core::mem::take(&mut self.state).left();
        self.state = State::Over { left };
        End { turn: None, tried: Tried::Nothing, ended }
    }

    /// Takes in an event. Returns the end of the flow, if the flow ends with it.
    pub(crate) fn on(&mut self, met: Met, known: Known<'_>) -> Option<End> {
        core::mem::take(&mut self.state).on(met, known).enter(&mut self.state)
    }
}

/// The table of a login.
pub(crate) const TABLE: FlowTable = FlowTable {
    flow: Stage::Login,
    purpose: "gets a grant from a person",
    states: &[
        (At::Finding, Stage::Discovery),
        (At::Enrolling, Stage::Registration),
        (At::SavingClient, Stage::Save),
        (At::Asking, Stage::Authorization),
        (At::Noting, Stage::Intent),
        (At::Looking, Stage::Recall),
        (At::Exchanging, Stage::Token),
        (At::Saving, Stage::Save),
        (At::Marking, Stage::Save),
    ],
    rows: &[
        Row { from: At::Start, on: On::Begin, targets: &[At::Finding] },
        Row { from: At::Finding, on: On::Looked, targets: &[At::Enrolling, At::Failed] },
        Row { from: At::Finding, on: On::Failed, targets: &[At::Failed] },
        Row {
            from: At::Enrolling,
            on: On::Enrolled,
            targets: &[At::SavingClient, At::Asking, At::Failed],
        },
        Row { from: At::Enrolling, on: On::Failed, targets: &[At::Failed] },
        Row { from: At::SavingClient, on: On::Saved, targets: &[At::Asking, At::Failed] },
        Row { from: At::Asking, on: On::Approved, targets: &[At::Noting, At::Exchanging] },
        Row { from: At::Asking, on: On::Failed, targets: &[At::Marking, At::Failed] },
        Row {
            from: At::Noting,
            on: On::Intended,
            targets: &[At::Exchanging, At::Looking, At::Marking, At::Failed],
        },
        // A copy of this login may have ended well before ours was taken up again (HOST-184).
        Row { from: At::Looking, on: On::Recalled, targets: &[At::Exchanging, At::Failed] },
        Row { from: At::Looking, on: On::Failed, targets: &[At::Marking, At::Failed] },
        Row { from: At::Looking, on: On::Resumed, targets: &[At::Noting] },
        // A client that the server has forgotten is registered once more (REG-21).
        Row {
            from: At::Exchanging,
            on: On::Minted,
            targets: &[At::Saving, At::Enrolling, At::Marking, At::Done, At::Failed],
        },
        Row { from: At::Saving, on: On::Saved, targets: &[At::Done, At::Failed] },
        // A failure tells whether the server knows the registration (REG-93).
        Row { from: At::Marking, on: On::Saved, targets: &[At::Failed] },
        Row { from: At::Finding, on: On::Resumed, targets: &[At::Finding] },
        Row { from: At::Enrolling, on: On::Resumed, targets: &[At::Enrolling] },
        Row { from: At::SavingClient, on: On::Resumed, targets: &[At::SavingClient] },
        Row { from: At::Asking, on: On::Resumed, targets: &[At::Asking] },
        Row { from: At::Noting, on: On::Resumed, targets: &[At::Noting] },
        Row { from: At::Exchanging, on: On::Resumed, targets: &[At::Exchanging] },
        Row { from: At::Saving, on: On::Resumed, targets: &[At::Saving] },
        Row { from: At::Marking, on: On::Resumed, targets: &[At::Marking] },
    ],
};
