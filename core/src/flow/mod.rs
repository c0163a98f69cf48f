//! The flows: machines like the stages, one size up. A flow runs one stage at a time. The result of
//! the stage uses up the flow's state, and the next state follows, or the flow is over.
//!
//! Each flow is an enum of states with exactly their data, and a table of its edges. It decides the
//! order of its states. It knows no message and no document, and changes nothing but itself: the
//! session understands a result before a flow hears of it, and does the work that a new state
//! stands for.

pub(crate) mod errands;
pub(crate) mod login;
pub(crate) mod refresh;

use serde::{Deserialize, Serialize};

use crate::effect::{Key, Spend};
use crate::failure::{Failure, Kind};
use crate::names::{MachineName, StateName};
use crate::record::merge::Replaces;
use crate::record::{Document, Grant, Held};
use crate::time::Monotonic;

pub(crate) use errands::Errand;
pub(crate) use login::Login;
pub(crate) use refresh::Refresh;

/// One of the flows, in its state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Course {
    /// It gets a grant from a person.
    Login(Login),
    /// It gets a new access token for the refresh token.
    Refresh(Refresh),
    /// It does a task that no caller waits for, or that takes one stage.
    Errand(Errand),
}

impl Course {
    /// The name of the flow.
    pub(crate) const fn name(&self) -> MachineName {
        match self {
            Self::Login(_) => login::TABLE.flow,
            Self::Refresh(_) => refresh::TABLE.flow,
            Self::Errand(errand) => errand.table().flow,
        }
    }

    /// The state of the flow, as its table names it.
    pub(crate) const fn state(&self) -> StateName {
        match self {
            Self::Login(login) => login.state(),
            Self::Refresh(refresh) => refresh.state(),
            Self::Errand(errand) => errand.state(),
        }
    }

    /// The login, if it is one.
    pub(crate) fn login(&self) -> Option<&Login> {
        match self {
            Self::Login(login) => Some(login),
            _ => None,
        }
    }

    /// The refresh, if it is one.
    pub(crate) const fn refresh(&self) -> Option<&Refresh> {
        match self {
            Self::Refresh(refresh) => Some(refresh),
            _ => None,
        }
    }

    /// The errand, if it is one.
    pub(crate) const fn errand(&self) -> Option<&Errand> {
        match self {
            Self::Errand(errand) => Some(errand),
            _ => None,
        }
    }

    /// The grant that it has brought, or empties, and has not handed over yet.
    pub(crate) fn held(&self) -> Option<&Held<Grant>> {
        match self {
            Self::Login(login) => login.held(),
            Self::Refresh(refresh) => refresh.held(),
            Self::Errand(errand) => errand.held(),
        }
    }

    /// Applies `shift` to every deadline.
    pub(crate) fn shift(&mut self, shift: impl Fn(&mut Monotonic)) {
        if let Self::Refresh(refresh) = self
            && let Some(turn) = refresh.turn_mut()
        {
            shift(&mut turn.ends);
        }
    }

    /// Ends the flow where it is, with this failure.
    pub(crate) fn fail(&mut self, failure: Failure) -> End {
        match self {
            Self::Login(login) => login.over(Ended::failed(failure)),
            Self::Refresh(refresh) => refresh.over(Ended::failed(failure)),
            Self::Errand(errand) => errand.over(Ended::failed(failure)),
        }
    }
}

/// The part of the session that a flow may know when it meets an event. The flow's next state is
/// made of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    /// True if there is a store.
    pub(crate) store: bool,
    /// The grant that is held.
    pub(crate) grant: Option<&'a Held<Grant>>,
    /// True if the grant's refresh token is certainly in the store.
    pub(crate) shared: bool,
    /// The moment until which a lease that others hold is waited for from now on.
    pub(crate) patience: Monotonic,
}

impl Known<'_> {
    /// The right to spend the held refresh token, which is yet to be had.
    fn turn(&self, mark: Option<Spend>) -> Option<Turn> {
        let key = self.grant?.value.key();
        Some(Turn { key, ends: self.patience, mark })
    }

    /// The intent to be recorded before the refresh token is sent. It names the generation under
    /// which the store was seen to have the token. Otherwise it names the one under which the token
    /// would be there, if a write that was given up gets there after all.
    fn spend(&self, seen_at: Option<u64>) -> Option<Spend> {
        let held = self.grant?;
        let unseen = || held.generation.unwrap_or(0).saturating_add(u64::from(!self.shared));
        Some(Spend::Refresh { generation: seen_at.unwrap_or_else(unseen), attempt: 0 })
    }
}

/// The right to spend a refresh token, among all processes. The flow has it, or has asked for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Turn {
    /// The record whose lease it is.
    pub(crate) key: Key,
    /// The moment until which it is waited for.
    pub(crate) ends: Monotonic,
    /// The intent that the store was asked to record last, if it still stands.
    pub(crate) mark: Option<Spend>,
}

impl Turn {
    /// The same right, under which the next intent counts as a first attempt.
    fn anew(mut self) -> Self {
        if let Some(Spend::Refresh { attempt, .. }) = &mut self.mark {
            *attempt = 0;
        }
        self
    }
}

/// The outcome of an event for a flow.
#[derive(Debug)]
#[must_use]
#[expect(clippy::large_enum_variant, reason = "moved once, never stored")]
pub(crate) enum Next<F> {
    /// It goes on in this state.
    Run(F),
    /// It is over. Its last state holds what is known of it all the same.
    Over(F, End),
}

impl<F> Next<F> {
    /// Puts the state in its place. Returns the end of the flow, if it is over.
    fn enter(self, at: &mut F) -> Option<End> {
        let (state, end) = match self {
            Self::Run(state) => (state, None),
            Self::Over(state, end) => (state, Some(end)),
        };
        *at = state;
        end
    }
}

/// The end of a flow.
#[derive(Debug)]
pub(crate) struct End {
    /// The right that it had, or had asked for.
    pub(crate) turn: Option<Turn>,
    /// How far a refresh token went.
    pub(crate) tried: Tried,
    /// The result, and the failure.
    pub(crate) ended: Ended,
}

/// The result of a flow, and its failure.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The result of the flow.
    pub(crate) gain: Gain,
    /// Why its callers get nothing all the same.
    pub(crate) failure: Option<Failure>,
}

impl Ended {
    /// A flow that ended with this result.
    pub(crate) const fn with(gain: Gain) -> Self {
        Self { gain, failure: None }
    }

    /// A flow that ended with this failure, and no result.
    pub(crate) const fn failed(failure: Failure) -> Self {
        Self { gain: Gain::Nothing, failure: Some(failure) }
    }
}

/// The result of a flow.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once, never stored")]
pub(crate) enum Gain {
    Nothing,
    /// A grant of another process, which memory has taken over by now.
    Adopted,
    /// A grant, and the records of other processes that it may be written over.
    Brought {
        held: Held<Grant>,
        replaces: Replaces,
        kept: Kept,
    },
    /// A lease was given back, or the store would not have it.
    Released(Kept),
}

/// Says whether the store has a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kept {
    /// The store has it, or there is no store.
    #[default]
    Saved,
    /// The store has refused it, or has not said that it has it.
    Unsaved,
}

impl Kept {
    /// Returns true if the store does not have it.
    pub(crate) const fn unsaved(self) -> bool {
        matches!(self, Self::Unsaved)
    }
}

/// How far a flow has gone with a refresh token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Tried {
    /// It was not sent.
    #[default]
    Nothing,
    /// It was sent.
    Sent,
    /// It was refused.
    Refused,
}

/// The outcome of records that a flow wrote.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once, never stored")]
pub(crate) enum Written {
    /// The store has them, or has refused them.
    Ours { held: Option<Held<Grant>>, kept: Kept },
    /// Another process's record stands there, of a login that was logged out of here. Ours goes
    /// over it as soon as the store is asked again.
    Blocked,
    /// Another process has a newer grant, which memory has taken over.
    Adopted,
    /// Another process was told that the grant is dead, or has logged out.
    Dead,
    /// A newer grant is held by now, and is saved next.
    Passed,
}

impl Written {
    /// The outcome where there is no store to write to.
    const NOWHERE: Self = Self::Ours { held: None, kept: Kept::Saved };

    /// The end of a flow that has saved the grant that came.
    fn ends(self, held: Held<Grant>, replaces: Replaces, failure: Option<Failure>) -> Ended {
        match self {
            Self::Ours { held: written, kept } => {
                let gain = Gain::Brought { held: written.unwrap_or(held), replaces, kept };
                Ended { gain, failure }
            }
            Self::Blocked => {
                let gain =
                    Gain::Brought { held, replaces: Replaces::Anything, kept: Kept::Unsaved };
                Ended { gain, failure }
            }
            Self::Adopted => Ended::with(Gain::Adopted),
            Self::Dead => Ended::failed(failure.unwrap_or_else(|| dead("REF-08"))),
            Self::Passed => Ended::with(Gain::Nothing),
        }
    }
}

/// The failure that a flow ends in once its records are written. A restart keeps its kind alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Deferred {
    kind: Kind,
    #[serde(skip)]
    failure: Option<Failure>,
}

impl From<Failure> for Deferred {
    fn from(failure: Failure) -> Self {
        Self { kind: failure.kind(), failure: Some(failure) }
    }
}

impl From<Deferred> for Failure {
    fn from(verdict: Deferred) -> Self {
        verdict.failure.unwrap_or_else(|| Self::new(verdict.kind, "REF-91"))
    }
}

/// The failure of a grant that is dead: a login is needed.
fn dead(rule: &'static str) -> Failure {
    Failure::new(Kind::ReauthorizationRequired, rule)
}

/// The failure of a flow that came to a state whose data it does not have: a bug of ours.
pub(crate) fn bug() -> Failure {
    Failure::new(Kind::Transient, "STEP-16")
}
