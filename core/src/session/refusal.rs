//! What a refusal by the MCP server means: who wants what now (STEP, WWW).

use crate::effect::Told;
use std::sync::Arc;

use crate::failure::{Failure, Kind, Said, escaped};
use crate::input::{Challenge, Epoch};
use crate::note::Note;
use crate::scope::ScopeSet;
use crate::secret::Secret;
use crate::session::lanes::Cause;
use crate::session::waiters::{Named, Want};
use crate::session::{Now, Session, scopes};
use crate::time::Monotonic;
use crate::wire::challenge::{self as wire, Text, read_challenge, wants_dpop_alone};
use crate::wire::redact::{names_secret, redacted, without_secrets};
use crate::wire::url::ServerUrl;

/// Refreshes that one request is given (STEP-90).
const MOST_RENEWALS: u8 = 2;
/// Grants of any kind that one request is given after refusals (STEP-16).
const MOST_GRANTS: u8 = 6;

/// Why a token may be refused that was good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Worn {
    /// It was accepted while it lived, and its life is over.
    Served,
    /// Its life is over, or it was accepted before.
    Perhaps,
}

impl Session {
    /// A refusal by the MCP server: what kind of want it makes, or that nothing helps.
    pub(super) fn challenge(&mut self, challenge: Challenge, now: &mut Now) {
        let Challenge { waiter, refusal } = challenge;
        let current = self.body.memory.current();
        let read = read_challenge(&refusal.headers, false);
        if let Some(read) = &read {
            for (kind, rule) in read.faults() {
                let subject = "WWW-Authenticate".to_owned();
                now.note(Note::Dropped { kind, rule, subject });
            }
        }
        let insufficient = read.as_ref().is_some_and(|read| read.error_is("insufficient_scope"));
        let held = self.body.memory.secrets(&self.config);
        let held: Vec<&Secret> = held.iter().collect();
        let mut challenged = read.as_ref().and_then(|read| read.scopes()?.ok());
        if let Some(clean) = challenged.as_ref().and_then(|scopes| without_secrets(scopes, &held)) {
            now.note(secret_named("scope"));
            challenged = Some(clean).filter(|scopes| !scopes.is_empty());
        }
        if !self.config.refresh_tokens
            && let Some(scopes) = &mut challenged
            && scopes.contains("offline_access")
        {
            // Nobody wants the refresh token that it stands for (SCOPE-10, REF-15).
            *scopes = scopes::without_offline(scopes);
            let subject = "offline_access".to_owned();
            now.note(Note::Dropped { kind: Kind::LimitExceeded, rule: "SCOPE-10", subject });
        }
        let pointer = read.as_ref().and_then(|read| {
            let text = read.resource_metadata.as_ref()?.to_string();
            if names_secret(&text, &held) {
                now.note(secret_named("resource_metadata"));
                return None;
            }
            match ServerUrl::read(&text, "resource_metadata", &self.config.reach) {
                Ok(url) => Some(url),
                Err(failure) => {
                    let subject = failure.subject().unwrap_or_default().to_owned();
                    let (kind, rule) = (failure.kind(), failure.rule());
                    now.note(Note::Dropped { kind, rule, subject });
                    None
                }
            }
        });
        let outdated = refusal.epoch < current;
        // No page and no refresh brings a token of another type.
        if refusal.status == 401 && !outdated && wants_dpop_alone(&refusal.headers) {
            return self.refuse(waiter, Failure::new(Kind::DpopRequired, "DPOP-18"), now);
        }
        // Without a token there was nothing to refuse: what it says leads to a login.
        let bare = refusal.status == 401 && refusal.may_ask && refusal.epoch.is_none();
        let read_aloud = read.as_ref().filter(|_| !bare);
        let named = words(read_aloud, refusal.status.as_u16(), &held);
        let worn = self.worn(refusal.accepted, now);
        let mut cause = match refusal.status.as_u16() {
            // More scope is asked for with a token; without one a login names it (STEP-91).
            401 | 403 if insufficient && (refusal.status == 403 || refusal.epoch.is_some()) => {
                Cause::StepUp
            }
            401 if worn == Some(Worn::Served) => Cause::Expired,
            401 => Cause::Refused,
            status => {
                let rule = if status == 403 { "STEP-11" } else { "STEP-14" };
                let failure = named.explain(Failure::new(Kind::Forbidden, rule));
                return self.refuse(waiter, failure, now);
            }
        };
        // The caller has had a fresh token for this very request, and it did not help (STEP-12), unless
        // its life was over or others had used it up before this request's turn came (STEP-90).
        let had = refusal.had;
        let unauthorized = refusal.status == 401 && !outdated && cause != Cause::StepUp;
        if unauthorized && had.fresh_token() && self.lacks(challenged.as_ref()) {
            // It is scope that the fresh token lacks, in other words (STEP-91).
            cause = Cause::StepUp;
        }
        let refused = unauthorized && cause != Cause::StepUp;
        if refused && refusal.epoch.is_some() {
            let memory = &mut self.body.memory;
            let token = memory.published.as_ref().map(|granted| granted.access_token().clone());
            memory.learnt.refused = token;
        }
        if (refused && worn.is_some() && had.renewals >= MOST_RENEWALS) || had.grants >= MOST_GRANTS
        {
            let failure = named.explain(Failure::new(Kind::GrantUnstable, "STEP-90"));
            return self.refuse(waiter, failure, now);
        }
        let again = refused && had.fresh_token() && worn.is_none();
        if again {
            self.retire(now);
            if pointer.is_some() || !self.body.memory.may_have_moved() {
                return self.refuse(waiter, named.explain(unhelped()), now);
            }
        }
        let mut want = Want {
            cause,
            may_ask: refusal.may_ask,
            scopes: ScopeSet::empty(),
            wanted: ScopeSet::empty(),
            over: refusal.epoch,
            since: current,
            had,
            flows: 0,
            logins: 0,
            again,
            reads: self.body.memory.reads,
            pointer,
            challenged,
            named,
            operation: refusal.operation.into(),
        };
        if cause == Cause::StepUp {
            match self.step_up(&want, now.mono) {
                Ok(scopes) => want.scopes = scopes,
                // What it lacks has been asked for since, perhaps for somebody else.
                Err(_) if outdated => {}
                Err(failure) => return self.refuse(waiter, want.named.explain(failure), now),
            }
        }
        self.park(waiter, want);
    }

    /// Whether these are scopes that nobody has asked for yet, and that may be asked for: a caller who
    /// fixed the scopes wants no others (SCOPE-06).
    fn lacks(&self, challenged: Option<&ScopeSet>) -> bool {
        let asked = self.body.memory.requested();
        self.config.scopes.is_none()
            && challenged.is_some_and(|scopes| asked.is_none_or(|asked| !asked.covers(scopes)))
    }

    /// Whether the newest token may be refused for no fault of the server's (STEP-90).
    fn worn(&self, accepted: Option<Epoch>, now: &Now) -> Option<Worn> {
        let granted = self.body.memory.published.as_ref()?;
        let served = accepted >= Some(granted.epoch());
        let over = granted.life().over(now.wall, now.mono);
        match (over, served) {
            (true, true) => Some(Worn::Served),
            (false, false) => None,
            _ => Some(Worn::Perhaps),
        }
    }

    /// A fresh token was refused: from now on only those get it who ask the session.
    pub(super) fn retire(&mut self, now: &mut Now) {
        let memory = &mut self.body.memory;
        if memory.learnt.useless != memory.current() {
            memory.learnt.useless = memory.current();
            memory.republish(&self.config);
            now.out.told.push(Told::Publish(memory.published.clone()));
        }
    }

    /// What a step-up must have asked for, or why there is none (STEP-07, STEP-08).
    pub(super) fn step_up(&self, want: &Want, mono: Monotonic) -> Result<ScopeSet, Failure> {
        let scopes = want.challenged.clone().unwrap_or_default();
        let asked = self.body.memory.requested();
        let adds = match &want.challenged {
            Some(scopes) => asked.is_none_or(|asked| !asked.covers(scopes)),
            // The resource's own list may add something; that is known after discovery.
            None => true,
        };
        if !adds {
            let ineffective = self.body.history.stepped_up(&want.operation, &scopes, mono);
            let kind = if ineffective { Kind::StepUpIneffective } else { Kind::Forbidden };
            return Err(Failure::new(kind, "STEP-08"));
        }
        Ok(scopes)
    }
}

/// What the challenge says, for the person: its words without what the session holds in secret
/// (HOST-303, HOST-325).
fn words(read: Option<&wire::Challenge<'_>>, status: u16, held: &[&Secret]) -> Named {
    let Some(read) = read else { return Named::default() };
    let shown = |text: Text<'_>| escaped(&redacted(text.read(), held));
    let description = read.error_description.map(shown);
    let said = read.error.map(shown).map(|error| Said { error, description, status: Some(status) });
    let scope = read.scope.map(shown);
    Named(Some(Arc::new((said, scope))).filter(|named| named.0.is_some() || named.1.is_some()))
}

/// The server has named one of our secrets where it would be sent on: that is not used (HOST-325).
fn secret_named(field: &str) -> Note {
    Note::Dropped { kind: Kind::HeaderMalformed, rule: "HOST-325", subject: field.to_owned() }
}

/// A fresh token did not help; what could be tried by machines has been (STEP-12).
pub(super) fn unhelped() -> Failure {
    Failure::new(Kind::UnauthorizedAfterRefresh, "STEP-12")
}
