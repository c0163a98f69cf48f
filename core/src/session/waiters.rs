//! The callers that wait, and the grants that they wait for.

use std::sync::Arc;

use crate::failure::{Failure, Kind, Said};
use crate::flow::Refresh;
use crate::flow::login::{Cause, Why};
use crate::input::{Epoch, Had, WaiterId};
use crate::scope::ScopeSet;
use crate::session::lanes::Lane;
use crate::session::plan::Wish;
use crate::wire::url::ServerUrl;

/// The most logins that one caller sees succeed without being served by them.
const MOST_LOGINS: u8 = 3;
/// The most flows of any kind that one caller waits for.
const MOST_FLOWS: u8 = 12;

/// One caller that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) id: WaiterId,
    pub(crate) want: Want,
    /// The lane it waits for, if its flow has begun.
    pub(crate) lane: Option<Lane>,
}

/// The grant that a caller wants, and the reason why it wants it.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    /// The event that made it want a grant.
    pub(crate) cause: Cause,
    /// True if a person may be asked for it.
    pub(crate) may_ask: bool,
    /// Scopes that must have been asked for.
    pub(crate) scopes: ScopeSet,
    /// Scopes that the caller itself named.
    pub(crate) wanted: ScopeSet,
    /// The epoch that was refused: the grant must be newer.
    pub(crate) newer_than: Option<Epoch>,
    /// The newest epoch when it began to wait.
    pub(crate) since: Option<Epoch>,
    /// The renewals, logins and grants that its request had had when it was refused.
    pub(crate) had: Had,
    /// Flows that ended while it waited for them, and did not serve it.
    pub(crate) flows: u8,
    /// Logins among them that succeeded.
    pub(crate) logins: u8,
    /// True if it was refused with a fresh token (BIND-05).
    pub(crate) again: bool,
    /// How often the store had been read when it began to wait.
    pub(crate) reads: u64,
    /// The URL that the challenge named for the resource's metadata.
    pub(crate) pointer: Option<ServerUrl>,
    /// The scopes that the challenge named.
    pub(crate) challenged: Option<ScopeSet>,
    /// The words of the challenge.
    pub(crate) named: Named,
    /// The operation that was refused, for the limits of step-up.
    pub(crate) operation: Arc<str>,
}

/// The words of the challenge that refused a request: its error, and the scopes that it named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named(pub(crate) Option<Arc<(Option<Said>, Option<String>)>>);

impl Named {
    /// Adds these words to the failure that the request ends with (STEP-91).
    pub(crate) fn explain(&self, failure: Failure) -> Failure {
        let Some(named) = &self.0 else { return failure };
        if is_on_this_side(failure.kind()) {
            return failure;
        }
        let (said, scope) = &**named;
        let failure = match said {
            Some(said) if failure.said().is_none() => failure.with_said(said.clone()),
            _ => failure,
        };
        scope.iter().fold(failure, |failure, scope| failure.with_scope(scope))
    }
}

/// Returns true if the failure happened between this machine, the person and the authorization
/// server, so that the words of the refused request would only mislead.
const fn is_on_this_side(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::BrowserRefused
            | Kind::CallbackTimeout
            | Kind::Cancelled
            | Kind::ListenerUnavailable
            | Kind::NoRegistrationMethod
    )
}

impl Want {
    /// The part of the want that decides the verdict.
    pub(crate) const fn wish(&self) -> Wish {
        Wish {
            newer_than: self.newer_than,
            step_up: matches!(self.cause, Cause::StepUp),
            again: self.again,
            may_ask: self.may_ask,
        }
    }

    /// Why the caller is not made to wait for another flow; `None` if it may wait. Flows that
    /// succeed and never serve it would follow each other for ever (STEP-09, STEP-16, STEP-90).
    pub(crate) fn enough(&self, lane: Lane) -> Option<Failure> {
        let login = lane == Lane::Person;
        let refused = matches!(self.cause, Cause::Refused | Cause::Expired);
        match () {
            () if login && self.logins >= MOST_LOGINS => {
                Some(Failure::new(Kind::StepUpLimit, "STEP-09"))
            }
            () if (login && refused && self.had.logins > 0) || self.flows >= MOST_FLOWS => {
                Some(Failure::new(Kind::GrantUnstable, "STEP-90"))
            }
            () => None,
        }
    }

    /// The renewals, logins and grants that its request has had once it gets the grant of this
    /// epoch. The server may have issued that grant since the request was sent, or the store may
    /// have held it (`from_store`).
    pub(crate) fn has(&self, current: Option<Epoch>, from_store: bool) -> Had {
        let came = current > self.newer_than.or(self.since) && !from_store;
        let login = came && self.logins > 0;
        Had {
            renewals: self.had.renewals.saturating_add(u8::from(came && !login)),
            logins: self.had.logins.saturating_add(u8::from(login)),
            grants: self.had.grants.saturating_add(1),
        }
    }

    /// The refresh that would serve it, before it begins.
    pub(crate) fn refresh(&self) -> Refresh {
        Refresh::Start { pointer: self.pointer.clone() }
    }

    /// The cause of the login that would serve it.
    pub(crate) fn login(&self) -> Why {
        Why {
            cause: self.cause,
            pointer: self.pointer.clone(),
            wanted: self.wanted.clone(),
            challenged: self.challenged.clone(),
            operation: self.operation.clone(),
        }
    }
}
