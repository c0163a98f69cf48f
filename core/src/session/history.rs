//! What was asked of the person lately. Success does not wipe it out, so that no server can keep a
//! person clicking (STEP-09, STEP-10, HOST-245, HOST-247, HOST-249).

use core::time::Duration;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bounded::push_within;
use crate::failure::{Failure, Kind};
use crate::rare::Rare;
use crate::scope::ScopeSet;
use crate::time::Monotonic;

/// How long a page that was shown counts.
const MEMORY: Duration = Duration::from_secs(600);
/// Step-ups for one operation.
const MOST_FOR_OPERATION: usize = 2;
/// Step-ups for the resource.
const MOST_FOR_RESOURCE: usize = 3;
/// Pages that refusals open for the resource, whatever the issuers.
const MOST_PAGES: usize = 3;
/// Entries kept; the oldest gives way.
const MOST_ENTRIES: usize = 64;

/// The pages shown in the last ten minutes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct History {
    step_ups: Rare<Vec<StepUp>>,
    refusals: Vec<Login>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StepUp {
    operation: Arc<str>,
    scopes: ScopeSet,
    at: Monotonic,
    declined: bool,
    granted: bool,
}

/// A login that a refusal had started, not a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Login {
    issuer: Arc<str>,
    at: Monotonic,
}

impl History {
    pub(crate) fn shift(&mut self, shift: impl Fn(&mut Monotonic)) {
        self.step_ups.if_there(|all| all.iter_mut().for_each(|step_up| shift(&mut step_up.at)));
        self.refusals.iter_mut().for_each(|login| shift(&mut login.at));
    }

    fn prune(&mut self, now: Monotonic) {
        self.step_ups.if_there(|all| all.retain(|step_up| step_up.at.until(now) < MEMORY));
        self.refusals.retain(|login| login.at.until(now) < MEMORY);
    }

    /// Whether a page may be opened for a step-up.
    ///
    /// # Errors
    /// `step_up_declined` for what was declined, `step_up_limit` when it is too often.
    pub(crate) fn may_step_up(
        &mut self,
        operation: &str,
        scopes: &ScopeSet,
        now: Monotonic,
    ) -> Result<(), Failure> {
        self.prune(now);
        let this = |step_up: &&StepUp| *step_up.operation == *operation;
        if self.step_ups.iter().filter(this).any(|old| old.declined && old.scopes.covers(scopes)) {
            return Err(Failure::new(Kind::StepUpDeclined, "STEP-10"));
        }
        if self.step_ups.iter().filter(this).count() >= MOST_FOR_OPERATION
            || self.step_ups.len() >= MOST_FOR_RESOURCE
        {
            return Err(Failure::new(Kind::StepUpLimit, "STEP-09"));
        }
        Ok(())
    }

    /// Whether a step-up for this operation succeeded with these scopes, which then did not help.
    pub(crate) fn stepped_up(&self, operation: &str, scopes: &ScopeSet, now: Monotonic) -> bool {
        self.step_ups.iter().any(|old| {
            old.granted
                && *old.operation == *operation
                && old.at.until(now) < MEMORY
                && old.scopes.covers(scopes)
        })
    }

    pub(crate) fn step_up_begins(&mut self, operation: &str, scopes: &ScopeSet, now: Monotonic) {
        let step_up = StepUp {
            operation: operation.into(),
            scopes: scopes.clone(),
            at: now,
            declined: false,
            granted: false,
        };
        push_within(MOST_ENTRIES, &mut self.step_ups, step_up);
    }

    /// How the step-up that began last has ended. One that failed in another way may never have
    /// shown a page, and says nothing about the one before it.
    pub(crate) fn step_up_ends(&mut self, operation: &str, granted: bool, declined: bool) {
        if !granted && !declined {
            return;
        }
        self.step_ups.if_there(|all| {
            let last = all.iter_mut().rev().find(|old| *old.operation == *operation);
            if let Some(step_up) = last {
                step_up.granted = granted;
                step_up.declined = declined;
            }
        });
    }

    /// Whether a page of this issuer may be opened because the server refused a request; `served`
    /// says when the token came that it had let requests in with, and whose life is over.
    ///
    /// # Errors
    /// `reauthorization_required` when one of this issuer was opened less than ten minutes ago, unless
    /// the token that came of it has served, or three of any: a resource may name another issuer each
    /// time (HOST-323).
    /// Only a caller who asks for a login gets the next one.
    pub(crate) fn may_open(
        &mut self,
        issuer: &str,
        served: Option<Monotonic>,
        now: Monotonic,
    ) -> Result<(), Failure> {
        self.prune(now);
        let refuse =
            |rule| Err(Failure::new(Kind::ReauthorizationRequired, rule).with_subject(issuer));
        if self.refusals.len() >= MOST_PAGES {
            return refuse("HOST-323");
        }
        // A page that nothing came of was turned down, or closed.
        let last = self.refusals.iter().rfind(|login| *login.issuer == *issuer);
        if last.is_some_and(|last| served.is_none_or(|minted| minted < last.at)) {
            return refuse("STEP-12");
        }
        Ok(())
    }

    pub(crate) fn opened(&mut self, issuer: &Arc<str>, now: Monotonic) {
        let login = Login { issuer: Arc::clone(issuer), at: now };
        push_within(MOST_ENTRIES, &mut self.refusals, login);
    }

    /// The issuers that it names.
    pub(crate) fn issuers(&mut self) -> impl Iterator<Item = &mut Arc<str>> {
        self.refusals.iter_mut().map(|login| &mut login.issuer)
    }

    pub(crate) fn tidy(&mut self) {
        self.step_ups.tidy();
        self.refusals.shrink_to_fit();
    }
}
