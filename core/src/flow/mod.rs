//! The flows: what a stage is, one size up. A flow runs one stage at a time; its state is spent by what
//! that stage brings, and what follows is the next state, or that the flow is over.
//!
//! Each flow is an enum of states with exactly their data, and a table of its edges. It decides what
//! follows what; it refuses to know a message or a document, and to change anything but itself: the
//! session has understood what came before a flow hears of it, and does what a new state stands for.

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
    /// A grant from a person.
    Login(Login),
    /// A new access token for the refresh token.
    Refresh(Refresh),
    /// What no caller waits for, or takes one stage.
    Errand(Errand),
}

impl Course {
    /// Which flow it is.
    pub(crate) const fn name(&self) -> MachineName {
        match self {
            Self::Login(_) => login::TABLE.flow,
            Self::Refresh(_) => refresh::TABLE.flow,
            Self::Errand(errand) => errand.table().flow,
        }
    }

    /// Where it is, by its table.
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

    /// Moves every deadline by what `shift` does to it.
    pub(crate) fn shift(&mut self, shift: impl Fn(&mut Monotonic)) {
        if let Self::Refresh(refresh) = self
            && let Some(turn) = refresh.turn_mut()
        {
            shift(&mut turn.ends);
        }
    }

    /// It fails where it is.
    pub(crate) fn fail(&mut self, failure: Failure) -> End {
        match self {
            Self::Login(login) => login.over(Ended::failed(failure)),
            Self::Refresh(refresh) => refresh.over(Ended::failed(failure)),
            Self::Errand(errand) => errand.over(Ended::failed(failure)),
        }
    }
}

/// What a flow may know of the session when its state is spent: what its next state is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    /// The records are kept.
    pub(crate) store: bool,
    /// The grant that is held.
    pub(crate) grant: Option<&'a Held<Grant>>,
    /// Its refresh token is certainly in the store.
    pub(crate) shared: bool,
    /// How long a lease that others hold is waited for from now on.
    pub(crate) patience: Monotonic,
}

impl Known<'_> {
    /// The right to spend what is held, that is yet to be had.
    fn turn(&self, mark: Option<Spend>) -> Option<Turn> {
        let key = self.grant?.value.key();
        Some(Turn { key, ends: self.patience, mark })
    }

    /// What is to be recorded before the refresh token is sent: the store was seen to have it under
    /// this number. Otherwise it is that under which it would be there, if a write that was given up
    /// gets there after all.
    fn spend(&self, seen_at: Option<u64>) -> Option<Spend> {
        let held = self.grant?;
        let unseen = || held.generation.unwrap_or(0).saturating_add(u64::from(!self.shared));
        Some(Spend::Refresh { generation: seen_at.unwrap_or_else(unseen), attempt: 0 })
    }
}

/// The right to spend a refresh token, among all processes: had, or asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Turn {
    /// The record whose lease it is.
    pub(crate) key: Key,
    /// How long it is waited for.
    pub(crate) ends: Monotonic,
    /// The intent that the store was asked to record last, as far as it stands.
    pub(crate) mark: Option<Spend>,
}

impl Turn {
    /// What is recorded from now on counts as a first attempt.
    fn anew(mut self) -> Self {
        if let Some(Spend::Refresh { attempt, .. }) = &mut self.mark {
            *attempt = 0;
        }
        self
    }
}

/// What becomes of a flow.
#[derive(Debug)]
#[must_use]
#[expect(clippy::large_enum_variant, reason = "moved once, never stored")]
pub(crate) enum Next<F> {
    /// It goes on in this state.
    Run(F),
    /// It is over; what is known of it all the same.
    Over(F, End),
}

/// What a flow leaves.
#[derive(Debug)]
pub(crate) struct End {
    /// The right that it had, or had asked for.
    pub(crate) turn: Option<Turn>,
    /// How far a refresh token went.
    pub(crate) tried: Tried,
    pub(crate) ended: Ended,
}

/// How a flow ended, and with what.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) gain: Gain,
    /// Why its callers get nothing all the same.
    pub(crate) failure: Option<Failure>,
}

impl Ended {
    pub(crate) const fn with(gain: Gain) -> Self {
        Self { gain, failure: None }
    }

    pub(crate) const fn failed(failure: Failure) -> Self {
        Self { gain: Gain::Nothing, failure: Some(failure) }
    }
}

/// What a flow has brought.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once, never stored")]
pub(crate) enum Gain {
    Nothing,
    /// A grant of another process, which memory has by now.
    Adopted,
    /// A grant, and which records of others it may be written over.
    Brought {
        held: Held<Grant>,
        replaces: Replaces,
        kept: Kept,
    },
    /// A lease was given back, or the store would not have it.
    Released(Kept),
}

/// Whether the store has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kept {
    /// It has, or there is no store.
    #[default]
    Saved,
    /// It has refused it, or has not said so.
    Unsaved,
}

impl Kept {
    pub(crate) const fn unsaved(self) -> bool {
        matches!(self, Self::Unsaved)
    }
}

/// How far a flow has gone with a refresh token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Tried {
    #[default]
    Nothing,
    /// It was sent.
    Sent,
    /// It was refused.
    Refused,
}

/// What became of records that a flow wrote.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "moved once, never stored")]
pub(crate) enum Written {
    /// The store has them, or has refused them.
    Ours { held: Option<Held<Grant>>, kept: Kept },
    /// Another process's record stands there and was logged out of here: ours goes over it as soon as
    /// the store is asked again.
    Blocked,
    /// Another process has a newer grant, which memory has taken over.
    Adopted,
    /// Another process was told that the grant is dead, or has logged out.
    Dead,
    /// A newer grant is held by now, which is saved next.
    Passed,
}

impl Written {
    /// How a flow ends that has saved what came.
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

/// A flow came to a state whose ground was not laid: a bug of ours.
pub(crate) fn bug() -> Failure {
    Failure::new(Kind::Transient, "STEP-16")
}
