//! The meaning of a refusal by the MCP server, and what its caller waits for now (STEP, WWW).

use crate::effect::Told;
use std::sync::Arc;

use crate::failure::{Failure, Kind, Said, escaped};
use crate::flow::login::Cause;
use crate::input::{Challenge, Epoch, Refusal};
use crate::note::Note;
use crate::scope::ScopeSet;
use crate::secret::Secret;
use crate::session::waiters::{Named, Want};
use crate::session::{Now, Session, scopes};
use crate::time::Monotonic;
use crate::wire::challenge::{self as wire, Text, read_challenge, wants_dpop_alone};
use crate::wire::redact::{names_secret, redacted, without_secrets};
use crate::wire::url::ServerUrl;

/// The most refreshes that one request is given (STEP-90).
const MOST_RENEWALS: u8 = 2;
/// The most grants of any kind that one request is given after refusals (STEP-16).
const MOST_GRANTS: u8 = 6;

/// Why the server may refuse a token that was good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Worn {
    /// The server accepted the token while it lived, and its life is over.
    Served,
    /// The token's life is over, or the server accepted it before.
    Perhaps,
}

/// The parts of a challenge that may be used.
struct Heard {
    /// True if its error is `insufficient_scope`.
    insufficient: bool,
    /// The scopes that it names.
    scopes: Option<ScopeSet>,
    /// The URL of the resource's metadata.
    pointer: Option<ServerUrl>,
    /// Its words, for the person.
    named: Named,
}

impl Session {
    /// Takes in a refusal by the MCP server. The caller waits for a grant that helps, or hears that
    /// nothing helps.
    pub(super) fn challenge(&mut self, challenge: Challenge, now: &mut Now) {
        let Challenge { waiter, refusal } = challenge;
        let current = self.body.memory.current();
        let heard = self.hear(&refusal, now);
        let outdated = refusal.epoch < current;
        // No page and no refresh brings a token of another type.
        if refusal.status == 401 && !outdated && wants_dpop_alone(&refusal.headers) {
            return self.refuse(waiter, Failure::new(Kind::DpopRequired, "DPOP-18"), now);
        }
        let worn = self.worn(refusal.accepted, now);
        let judged = self.cause(&refusal, &heard, worn, outdated).and_then(|cause| {
            let refused = refusal.status == 401 && !outdated && cause != Cause::StepUp;
            Ok((cause, self.had_enough(&refusal, &heard, worn.filter(|_| refused), refused, now)?))
        });
        let Heard { pointer, scopes: challenged, named, .. } = heard;
        let (cause, again) = match judged {
            Ok(judged) => judged,
            Err(failure) => return self.refuse(waiter, named.explain(failure), now),
        };
        let mut want = Want {
            cause,
            may_ask: refusal.may_ask,
            scopes: ScopeSet::empty(),
            wanted: ScopeSet::empty(),
            newer_than: refusal.epoch,
            since: current,
            had: refusal.had,
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
                // The missing scopes have been asked for since, perhaps for another caller.
                Err(_) if outdated => {}
                Err(failure) => return self.refuse(waiter, want.named.explain(failure), now),
            }
        }
        self.park(waiter, want);
    }

    /// Reads the challenge, and notes the parts that are not used.
    fn hear(&self, refusal: &Refusal, now: &mut Now) -> Heard {
        let read = read_challenge(&refusal.headers, false);
        for (kind, rule) in read.iter().flat_map(|read| read.faults()) {
            let subject = "WWW-Authenticate".to_owned();
            now.note(Note::Dropped { kind, rule, subject });
        }
        let held = self.body.memory.secrets(&self.config);
        let held: Vec<&Secret> = held.iter().collect();
        let scopes = read.as_ref().and_then(|read| read.scopes()?.ok());
        let scopes = scopes.and_then(|scopes| self.wanted_scopes(scopes, &held, now));
        let pointer = read.as_ref().and_then(|read| self.pointer(read, &held, now));
        // A request without a token had nothing to be refused: its challenge leads to a login.
        let bare = refusal.status == 401 && refusal.may_ask && refusal.epoch.is_none();
        let named = words(read.as_ref().filter(|_| !bare), refusal.status.as_u16(), &held);
        let insufficient = read.as_ref().is_some_and(|read| read.error_is("insufficient_scope"));
        Heard { insufficient, scopes, pointer, named }
    }

    /// The scopes that a challenge names, without our secrets and without scopes that nobody wants.
    fn wanted_scopes(&self, scopes: ScopeSet, held: &[&Secret], now: &mut Now) -> Option<ScopeSet> {
        let mut scopes = match without_secrets(&scopes, held) {
            Some(clean) => {
                now.note(secret_named("scope"));
                Some(clean).filter(|scopes| !scopes.is_empty())?
            }
            None => scopes,
        };
        if !self.config.refresh_tokens && scopes.contains("offline_access") {
            // Nobody wants the refresh token that it stands for (SCOPE-10, REF-15).
            scopes = scopes::without_offline(&scopes);
            let subject = "offline_access".to_owned();
            now.note(Note::Dropped { kind: Kind::LimitExceeded, rule: "SCOPE-10", subject });
        }
        Some(scopes)
    }

    /// The URL that a challenge names for the resource's metadata, if it may be requested.
    fn pointer(
        &self,
        read: &wire::Challenge<'_>,
        held: &[&Secret],
        now: &mut Now,
    ) -> Option<ServerUrl> {
        let text = read.resource_metadata.as_ref()?.to_string();
        if names_secret(&text, held) {
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
    }

    /// The cause of the refusal.
    ///
    /// # Errors
    /// `forbidden` where no token could help.
    fn cause(
        &self,
        refusal: &Refusal,
        heard: &Heard,
        worn: Option<Worn>,
        outdated: bool,
    ) -> Result<Cause, Failure> {
        let (status, with_token) = (refusal.status.as_u16(), refusal.epoch.is_some());
        match status {
            // More scope is asked for with a token; without one a login names it (STEP-91).
            401 | 403 if heard.insufficient && (status == 403 || with_token) => Ok(Cause::StepUp),
            // The fresh token lacks scope, which the server says in other words (STEP-91).
            401 if !outdated && refusal.had.fresh_token() && self.lacks(heard.scopes.as_ref()) => {
                Ok(Cause::StepUp)
            }
            401 if worn == Some(Worn::Served) => Ok(Cause::Expired),
            401 => Ok(Cause::Refused),
            403 => Err(Failure::new(Kind::Forbidden, "STEP-11")),
            _ => Err(Failure::new(Kind::Forbidden, "STEP-14")),
        }
    }

    /// Checks that this request has not had all that helps. It has if its own fresh token was
    /// refused (STEP-12), unless that token's life was over or others had used it up before this
    /// request's turn came (STEP-90). Returns true if only a change of issuer could explain the
    /// refusal.
    ///
    /// # Errors
    /// `grant_unstable` after too many refreshes or grants, `unauthorized_after_refresh` if nothing
    /// more helps.
    fn had_enough(
        &mut self,
        refusal: &Refusal,
        heard: &Heard,
        worn: Option<Worn>,
        refused: bool,
        now: &mut Now,
    ) -> Result<bool, Failure> {
        let had = refusal.had;
        if refused && refusal.epoch.is_some() {
            self.body.memory.token_refused();
        }
        if (worn.is_some() && had.renewals >= MOST_RENEWALS) || had.grants >= MOST_GRANTS {
            return Err(Failure::new(Kind::GrantUnstable, "STEP-90"));
        }
        let again = refused && had.fresh_token() && worn.is_none();
        if again {
            self.retire(now);
            if heard.pointer.is_some() || !self.body.memory.may_have_moved() {
                return Err(unhelped());
            }
        }
        Ok(again)
    }

    /// Returns true if nobody has asked for these scopes yet, and they may be asked for. A host
    /// that fixed the scopes wants no others (SCOPE-06).
    fn lacks(&self, challenged: Option<&ScopeSet>) -> bool {
        let asked = self.body.memory.requested();
        self.config.scopes.is_none()
            && challenged.is_some_and(|scopes| asked.is_none_or(|asked| !asked.covers(scopes)))
    }

    /// Why the newest token may be refused for no fault of the server's, if there is a reason
    /// (STEP-90).
    fn worn(&self, accepted: Option<Epoch>, now: &Now) -> Option<Worn> {
        let granted = self.body.memory.published.as_ref()?;
        let served = accepted >= Some(granted.epoch());
        let over = granted.life().expired(now.wall, now.mono);
        match (over, served) {
            (true, true) => Some(Worn::Served),
            (false, false) => None,
            _ => Some(Worn::Perhaps),
        }
    }

    /// A fresh token was refused. From now on only callers that ask the session get it.
    pub(super) fn retire(&mut self, now: &mut Now) {
        if self.body.memory.useless(&self.config) {
            now.out.told.push(Told::Publish(self.body.memory.published.clone()));
        }
    }

    /// The scopes that a step-up must have asked for, or the reason why there is no step-up
    /// (STEP-07, STEP-08).
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

/// The words of the challenge for the person, without the secrets that the session holds (HOST-303,
/// HOST-325).
fn words(read: Option<&wire::Challenge<'_>>, status: u16, held: &[&Secret]) -> Named {
    let Some(read) = read else { return Named::default() };
    let shown = |text: Text<'_>| escaped(&redacted(text.read(), held));
    let description = read.error_description.map(shown);
    let said = read.error.map(shown).map(|error| Said { error, description, status: Some(status) });
    let scope = read.scope.map(shown);
    Named(Some(Arc::new((said, scope))).filter(|named| named.0.is_some() || named.1.is_some()))
}

/// The note that the server has named one of our secrets where it would be sent on. That field is
/// not used (HOST-325).
fn secret_named(field: &str) -> Note {
    Note::Dropped { kind: Kind::HeaderMalformed, rule: "HOST-325", subject: field.to_owned() }
}

/// The failure of a request that a fresh token did not help. Machines have tried all they can
/// (STEP-12).
pub(super) fn unhelped() -> Failure {
    Failure::new(Kind::UnauthorizedAfterRefresh, "STEP-12")
}
