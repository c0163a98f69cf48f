//! Who waits, and for what.

use std::sync::Arc;

use crate::input::{Epoch, WaiterId};
use crate::scope::ScopeSet;
use crate::session::lanes::{Cause, Lane, LoginGoal, RefreshGoal};
use crate::session::plan::Wish;
use crate::wire::url::ServerUrl;

/// One caller that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) id: WaiterId,
    pub(crate) want: Want,
    /// The lane it waits for, if its flow has begun.
    pub(crate) lane: Option<Lane>,
}

/// What a caller wants.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    pub(crate) cause: Cause,
    pub(crate) may_ask: bool,
    /// Scopes that must have been asked for.
    pub(crate) scopes: ScopeSet,
    /// Scopes that the caller itself named.
    pub(crate) wanted: ScopeSet,
    /// The refused epoch.
    pub(crate) over: Option<Epoch>,
    /// The newest epoch when it began to wait.
    pub(crate) since: Option<Epoch>,
    /// Logins that succeeded while it waited, and did not serve it.
    pub(crate) logins: u8,
    /// It was refused with a fresh token (BIND-05).
    pub(crate) again: bool,
    /// How often the store had been read when it began to wait.
    pub(crate) reads: u64,
    pub(crate) pointer: Option<ServerUrl>,
    pub(crate) challenged: Option<ScopeSet>,
    pub(crate) operation: Arc<str>,
}

impl Want {
    pub(crate) const fn wish(&self) -> Wish {
        Wish {
            over: self.over,
            since: self.since,
            step_up: matches!(self.cause, Cause::StepUp),
            again: self.again,
            may_ask: self.may_ask,
        }
    }

    pub(crate) fn refresh(&self) -> RefreshGoal {
        RefreshGoal { pointer: self.pointer.clone() }
    }

    pub(crate) fn login(&self) -> LoginGoal {
        LoginGoal {
            cause: self.cause,
            pointer: self.pointer.clone(),
            wanted: self.wanted.clone(),
            challenged: self.challenged.clone(),
            operation: self.operation.clone(),
        }
    }
}
