//! The pages that were shown to the person lately. Success does not wipe them out, so that no
//! server can keep a person clicking (STEP-09, STEP-10, HOST-245, HOST-247, HOST-249).

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
/// The most step-ups for one operation.
const MOST_FOR_OPERATION: usize = 2;
/// The most step-ups for the resource.
const MOST_FOR_RESOURCE: usize = 3;
/// The most pages that refusals open for the resource, whatever the issuers.
const MOST_PAGES: usize = 3;
/// The most entries that are kept; the oldest gives way.
const MOST_ENTRIES: usize = 64;

/// The pages shown in the last ten minutes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct History {
    step_ups: Rare<Vec<StepUp>>,
    refusals: Vec<Login>,
}

/// A step-up that was asked of the person, and how it ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct StepUp {
    operation: Arc<str>,
    scopes: ScopeSet,
    at: Monotonic,
    declined: bool,
    granted: bool,
}

/// A login that a refusal has started, and not a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Login {
    issuer: Arc<str>,
    at: Monotonic,
}

impl History {
    /// Applies `shift` to the time of every page.
    pub(crate) fn shift(&mut self, shift: impl Fn(&mut Monotonic)) {
        self.step_ups.if_there(|all| all.iter_mut().for_each(|step_up| shift(&mut step_up.at)));
        self.refusals.iter_mut().for_each(|login| shift(&mut login.at));
    }

    /// Drops the pages that no longer count.
    fn prune(&mut self, now: Monotonic) {
        self.step_ups.if_there(|all| all.retain(|step_up| step_up.at.until(now) < MEMORY));
        self.refusals.retain(|login| login.at.until(now) < MEMORY);
    }

    /// Checks that a page may be opened for a step-up.
    ///
    /// # Errors
    /// `step_up_declined` for scopes that the person declined, `step_up_limit` if there were too
    /// many step-ups.
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

    /// Returns true if a step-up for this operation succeeded with these scopes, which then did not
    /// help.
    pub(crate) fn stepped_up(&self, operation: &str, scopes: &ScopeSet, now: Monotonic) -> bool {
        self.step_ups.iter().any(|old| {
            old.granted
                && *old.operation == *operation
                && old.at.until(now) < MEMORY
                && old.scopes.covers(scopes)
        })
    }

    /// Remembers that a step-up begins.
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

    /// Remembers how the step-up that began last has ended. A step-up that failed in another way
    /// may never have shown a page, and says nothing about the one before it.
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

    /// Checks that a page of this issuer may be opened because the server refused a request.
    /// `served` is the time at which the refused token came, if the server had let requests in with
    /// it and its life is over.
    ///
    /// # Errors
    /// `reauthorization_required` if a page of this issuer was opened less than ten minutes ago,
    /// unless the token that came of it has served. The same if three pages of any issuers were
    /// opened: a resource may name another issuer each time (HOST-323). Only a caller who asks for
    /// a login gets the next page.
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
        // A page that brought nothing was declined or closed.
        let last = self.refusals.iter().rfind(|login| *login.issuer == *issuer);
        if last.is_some_and(|last| served.is_none_or(|minted| minted < last.at)) {
            return refuse("STEP-12");
        }
        Ok(())
    }

    /// Remembers that a refusal has opened a page of this issuer.
    pub(crate) fn opened(&mut self, issuer: &Arc<str>, now: Monotonic) {
        let login = Login { issuer: Arc::clone(issuer), at: now };
        push_within(MOST_ENTRIES, &mut self.refusals, login);
    }

    /// The issuers that the history names.
    pub(crate) fn issuers(&mut self) -> impl Iterator<Item = &mut Arc<str>> {
        self.refusals.iter_mut().map(|login| &mut login.issuer)
    }

    /// Frees empty parts.
    pub(crate) fn tidy(&mut self) {
        self.step_ups.tidy();
        self.refusals.shrink_to_fit();
    }
}
