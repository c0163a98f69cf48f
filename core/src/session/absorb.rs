//! What a stage brings home, and what it means for the flow it was part of.
//!
//! Decides what may follow from a document, a client, a code, tokens or a refusal; refuses to decide
//! who hears of it.

use std::sync::Arc;

use crate::failure::{Failure, Kind, Remedy, Switch};
use crate::machine::SignalName;
use crate::note::{Choice, Note};
use crate::record::fill::fill;
use crate::record::merge::Brings;
use crate::record::{Binding, FORMAT, Grant, Held, Unknown, Way};
use crate::scope::ScopeSet;
use crate::session::flow::{fault, missing};
use crate::session::lanes::{Brought, Cause, Flow, Goal, LoginGoal};
use crate::session::scopes::{self, Named};
use crate::session::{Now, Session};
use crate::stage::claim::{Intended, Released};
use crate::stage::discovery::{Found, Looked};
use crate::stage::recall::Recalled;
use crate::stage::registration::Enrolled;
use crate::stage::revocation::Given;
use crate::stage::token::Minted;
use crate::stage::vault::Write;
use crate::wire::token::{ErrorCode, TokenRefusal, Tokens};

impl Session {
    /// Takes in what a stage brought home.
    pub(super) fn absorb(
        &mut self,
        flow: &mut Flow,
        brought: Brought,
        now: &mut Now,
    ) -> Result<(), Failure> {
        let memory = &self.body.memory;
        let news = (flow.ground.logins, flow.ground.epoch) != (memory.logins, memory.epoch);
        if matches!(flow.goal, Goal::Refresh(_)) && news {
            if let Some((_, on)) = &mut flow.leaving {
                *on = SignalName::Overtaken;
            }
            self.overtaken(flow, &brought);
            return Ok(());
        }
        match brought {
            Brought::Recalled(found) => return self.recalled(flow, found, now),
            Brought::Looked(Looked::StillListed) => flow.ground.relisted = true,
            Brought::Looked(Looked::Moved { to }) => {
                self.body.memory.issuer_moved(now.mono);
                return Err(Failure::new(Kind::IssuerChanged, "BIND-05").with_subject(&to));
            }
            Brought::Looked(Looked::Found(found)) => return self.found(flow, found, now),
            Brought::Enrolled(enrolled) => self.enrolled(flow, enrolled),
            Brought::Claimed(grant) => {
                flow.ground.looked = true;
                self.looked(flow, grant, now);
                if !flow.ground.adopted && self.body.memory.dead() {
                    self.give_up_token(flow, "REF-08", now)?;
                }
            }
            Brought::Intended(intended) => return self.intended(flow, intended, now),
            Brought::Released(Released(given)) => {
                flow.ground.kept = true;
                flow.ground.unsaved = !given;
                if let (false, Goal::Release(lease)) = (given, &flow.goal) {
                    self.owe(lease.clone(), Some(now.mono));
                }
            }
            Brought::Given(Given(result)) => {
                flow.ground.kept = true;
                self.given_back(flow, result);
            }
            Brought::Approved(approved) => {
                flow.ground.login = self.config.persistent.then(|| approved.login());
                flow.ground.approved = Some(approved);
            }
            Brought::Minted(Minted::Tokens(tokens)) => return self.minted(flow, &tokens, now),
            Brought::Minted(Minted::Refused(refusal)) => {
                let refusal = self.named(flow, *refusal, now);
                return self.refused(flow, refusal, now);
            }
            Brought::Saved(saved) => self.saved(flow, saved, now),
        }
        Ok(())
    }

    /// A login or a late answer has replaced the grant that a refresh was for. Whatever the refresh
    /// brings, a refusal included, is about a grant that is no longer held.
    pub(super) fn overtaken(&mut self, flow: &mut Flow, brought: &Brought) {
        let ground = &mut flow.ground;
        ground.relisted = true;
        ground.looked = true;
        ground.adopted = true;
        ground.minted = None;
        ground.verdict = None;
        if let Brought::Intended(Intended::Recorded(spend) | Intended::Unrecorded(spend, _)) =
            brought
        {
            // It is what was recorded last that is taken back.
            ground.intent = Some(spend.clone());
        }
        if let Brought::Saved(saved) = brought {
            let grants = saved.written.iter().filter_map(|write| match write {
                Write::Grant(held, _) => Some(held),
                _ => None,
            });
            grants.for_each(|older| self.body.memory.written_over(older));
            self.body.memory.save_soon();
        }
    }

    pub(super) fn recalled(
        &mut self,
        flow: &mut Flow,
        found: Recalled,
        now: &mut Now,
    ) -> Result<(), Failure> {
        flow.ground.looked = true;
        match flow.goal {
            Goal::Recall => {
                self.body.memory.recall(found, &self.config);
                self.forget_what_was_found(now);
            }
            Goal::Forget => {
                self.forget_found(found, now);
                // What is to be given back goes first.
                if self.body.log_out.to_revoke.is_empty()
                    && let Some(held) = self.body.memory.parting.to_forget.first().cloned()
                {
                    flow.ground.forgets(held);
                }
            }
            // A copy of this login, taken up by another process, has ended before it (HOST-184).
            Goal::Login(_)
                if found
                    .grant
                    .as_ref()
                    .is_some_and(|held| held.value.login == flow.ground.login) =>
            {
                return Err(Failure::new(Kind::CallbackUsed, "TOK-04"));
            }
            Goal::Login(_) => {}
            _ => self.looked(flow, found.grant, now),
        }
        Ok(())
    }

    /// A look before a refresh, or after its refusal: only a record that is newer than ours is
    /// taken over (REF-06, HOST-224).
    pub(super) fn looked(&mut self, flow: &mut Flow, found: Option<Held<Grant>>, now: &mut Now) {
        let look = self.body.memory.look(found, flow.ground.refused, now.wall);
        flow.ground.seen_at = look.seen_at;
        match look.brings {
            // The same tokens under another number say nothing new about a refusal.
            Brings::Nothing if flow.ground.refused => {
                if self.body.memory.dead() {
                    self.body.memory.reject();
                    now.note(Note::Rejected);
                } else {
                    // It was refused in other words: there is nothing to write (REF-90).
                    flow.ground.kept = true;
                }
                return;
            }
            Brings::Nothing => return,
            Brings::Refusal => {
                // It is not sent once more (REF-08).
                let failure = || Failure::new(Kind::ReauthorizationRequired, "REF-08");
                flow.ground.refused = true;
                flow.ground.verdict.get_or_insert_with(|| failure().into());
            }
            Brings::Token => {
                now.note(Note::Adopted);
                flow.ground.adopted = true;
                flow.ground.verdict = None;
            }
            Brings::RefreshToken => {
                flow.ground.refused = false;
                flow.ground.verdict = None;
            }
        }
        flow.ground.intent = None;
    }

    /// Whether a one-time credential may be sent now.
    fn intended(
        &mut self,
        flow: &mut Flow,
        intended: Intended,
        now: &mut Now,
    ) -> Result<(), Failure> {
        let login = matches!(flow.goal, Goal::Login(_));
        match intended {
            Intended::Recorded(spend) => {
                flow.ground.elsewhere |= login && flow.restored;
                flow.ground.intent = Some(spend);
            }
            // A copy of this login, taken up by another process, was faster (HOST-184).
            Intended::Elsewhere if login => {
                return Err(Failure::new(Kind::CallbackUsed, "TOK-04"));
            }
            Intended::Exhausted if login => {
                return Err(Failure::new(Kind::OutcomeUnknown, "TOK-04"));
            }
            Intended::Unrecorded(spend, kind) => {
                flow.ground.asked = Some(spend);
                return Err(Failure::new(kind, "REF-17"));
            }
            Intended::Unclaimed => flow.ground.unclaim(),
            Intended::Elsewhere => {
                flow.ground.looked = false;
                flow.ground.elsewhere = true;
            }
            Intended::Exhausted => self.give_up_token(flow, "HOST-228", now)?,
        }
        Ok(())
    }

    /// The refresh token that is held is never sent again: its record is marked so.
    fn give_up_token(
        &mut self,
        flow: &mut Flow,
        rule: &'static str,
        now: &mut Now,
    ) -> Result<(), Failure> {
        if !self.body.memory.reject() {
            return Err(missing());
        }
        now.note(Note::Rejected);
        flow.ground.refused = true;
        flow.ground.verdict = Some(Failure::new(Kind::ReauthorizationRequired, rule).into());
        Ok(())
    }

    /// The authorization server is known: whether it may be used at all, and what to ask it for.
    pub(super) fn found(
        &mut self,
        flow: &mut Flow,
        found: Box<Found>,
        now: &mut Now,
    ) -> Result<(), Failure> {
        let Goal::Login(goal) = &flow.goal else { return Err(fault(now)) };
        if let Some(binding) = self.body.memory.binding.as_ref().map(|held| &held.value)
            && binding.listed != found.listed
        {
            self.moved(goal, binding, &found)?;
            now.note(Note::Chose(Choice::IssuerChanged {
                from: binding.listed.clone(),
                to: found.listed.clone(),
            }));
            flow.ground.previous_issuer = Some(binding.listed.clone());
        }
        let issuer = found.server.issuer.clone();
        if matches!(goal.cause, Cause::Refused | Cause::Expired) {
            let minted = self.body.memory.minted;
            let served = minted.filter(|_| goal.cause == Cause::Expired);
            self.body.history.may_open(&issuer, served, now.mono)?;
        }
        let scopes = self.scopes(goal, &found, now)?;
        if goal.cause == Cause::StepUp {
            // The resource's own list was the last place where more scope could be named.
            let asked = self.body.memory.requested();
            if asked.is_some_and(|asked| asked.covers(&scopes)) {
                return Err(Failure::new(Kind::Forbidden, "STEP-07"));
            }
        }
        flow.ground.scopes = scopes;
        flow.ground.found = Some(found);
        Ok(())
    }

    /// The resource names another authorization server than the record (BIND-03, D14).
    pub(super) fn moved(
        &self,
        goal: &LoginGoal,
        binding: &Binding,
        found: &Found,
    ) -> Result<(), Failure> {
        let changed = |rule| {
            Err(Failure::new(Kind::IssuerChanged, rule)
                .with_subject(&found.listed)
                .with_remedy(Remedy::AskUser))
        };
        if goal.cause == Cause::StepUp {
            return changed("HOST-251");
        }
        if self.config.strict() {
            return changed("D14");
        }
        let met = self.body.memory.met().map(|met| &**met);
        let elsewhere = self.config.client_for(&found.server.issuer, met).is_none();
        if binding.way == Way::PreRegistered && elsewhere {
            return changed("BIND-04");
        }
        Ok(())
    }

    pub(super) fn scopes(
        &self,
        goal: &LoginGoal,
        found: &Found,
        now: &mut Now,
    ) -> Result<ScopeSet, Failure> {
        let config = &self.config;
        let grant = self.body.memory.grant.as_ref().map(|held| &held.value);
        let same = grant.filter(|grant| grant.issuer == found.server.issuer);
        // What the first request was told, if no caller's own request was refused before (SCOPE-10).
        let told = found.challenged.as_ref().map(|scopes| match config.refresh_tokens {
            true => scopes.clone(),
            false => scopes::without_offline(scopes),
        });
        let named = Named {
            wanted: &goal.wanted,
            configured: config.scopes.as_ref(),
            challenged: goal.challenged.as_ref().or(told.as_ref()),
            resource: found.scopes_supported.as_ref(),
            default: config.default_scopes.as_ref(),
            before: [
                same.map(|grant| &*grant.requested),
                // What a server added by itself is not asked for; where nobody had named anything,
                // its choice is all there is to keep (AMB-14, HOST-211).
                same.filter(|grant| grant.requested.is_empty())
                    .and_then(|grant| grant.granted.as_deref()),
            ],
            step_up: goal.cause == Cause::StepUp,
            offline_listed: found.server.scopes_offline_access,
            offline_wanted: config.refresh_tokens,
        };
        let (scopes, source, dropped) = scopes::choose(&named)?;
        if dropped {
            let (kind, subject) = (Kind::LimitExceeded, "offline_access".to_owned());
            now.note(Note::Dropped { kind, rule: "SCOPE-10", subject });
        }
        now.note(Note::Chose(Choice::Scopes { scopes: scopes.clone(), source }));
        Ok(scopes)
    }

    pub(super) fn enrolled(&mut self, flow: &mut Flow, enrolled: Enrolled) {
        flow.ground.client_kept = false;
        if let Some(client) = &enrolled.client {
            self.body.memory.remember_client(client.clone());
        }
        if enrolled.way == Way::PreRegistered
            && let Some(found) = &flow.ground.found
        {
            self.body.memory.met_at(found.server.issuer.clone());
        }
        flow.ground.redirect = Some(enrolled.redirect.clone());
        flow.ground.enrolled = Some(enrolled);
    }

    /// The grant of a login, but for the tokens (BIND-08).
    pub(super) fn login_template(&self, flow: &Flow) -> Option<Grant> {
        let ground = &flow.ground;
        let found = ground.found.as_ref()?;
        let enrolled = ground.enrolled.as_ref()?;
        Some(Grant {
            format: FORMAT,
            issuer: found.server.issuer.clone(),
            resource: self.resource(found),
            client_id: enrolled.credentials.client_id.clone(),
            account: Arc::clone(&self.config.account),
            access_token: None,
            refresh_token: None,
            expires: None,
            lifetime: None,
            login: ground.login.clone(),
            requested: Arc::new(ground.scopes.clone()),
            granted: None,
            resource_parameter: self.resource_parameter(found),
            token_endpoint: found.server.token_endpoint.clone(),
            revocation_endpoint: found.server.revocation_endpoint.clone(),
            rejected: false,
            untyped: false,
            unknown: Unknown::default(),
        })
    }

    /// Tokens came. They are saved before anybody hears of them (REF-04).
    pub(super) fn minted(
        &mut self,
        flow: &mut Flow,
        tokens: &Tokens,
        now: &mut Now,
    ) -> Result<(), Failure> {
        let (template, generation) = self.place_for(flow)?;
        let login = matches!(flow.goal, Goal::Login(_));
        let value = self.filled(template, tokens, login, now);
        flow.ground.minted = Some(Held { value, generation });
        Ok(())
    }

    /// The grant that an answer goes into, and its number.
    fn place_for(&mut self, flow: &mut Flow) -> Result<(Grant, Option<u64>), Failure> {
        if matches!(flow.goal, Goal::Login(_)) {
            let template = self.login_template(flow).ok_or_else(missing)?;
            // A login for the grant that is held, or was, replaces its record.
            let generation = self.body.memory.generation_for(&template);
            return Ok((template, generation));
        }
        flow.ground.over = self.body.memory.spending();
        let held = self.body.memory.grant.as_ref().ok_or_else(missing)?;
        Ok((held.value.clone(), held.generation))
    }

    /// The grant that tokens make of a template; what is odd about them is noted (D7, HOST-320).
    pub(super) fn filled(
        &self,
        template: Grant,
        tokens: &Tokens,
        login: bool,
        now: &mut Now,
    ) -> Grant {
        odd(&tokens.notes, now);
        let grant = fill(template, tokens, login, now.wall);
        let named = grant.granted.clone().unwrap_or_else(|| grant.requested.clone());
        now.note(Note::Renewed {
            missing: grant.requested.without(&named),
            unasked: named.without(&grant.requested),
        });
        if !tokens.type_named && !self.config.strict() {
            let switch = Switch::MissingTokenType;
            now.note(Note::Lenient { switch, subject: grant.issuer.to_string() });
        }
        grant
    }

    /// The grant that a refusal leaves, if something came with it: what was sent is spent, and this is
    /// all there will ever be (D7, HOST-232).
    pub(super) fn salvaged(
        &self,
        template: Grant,
        refusal: &TokenRefusal,
        login: bool,
        now: &mut Now,
    ) -> Option<Grant> {
        if let Some(tokens) = &refusal.granted {
            // Strict will not use it.
            let grant = self.filled(template, tokens, login, now);
            return Some(Grant { untyped: true, ..grant });
        }
        let refresh_token = Some(refusal.rescued.clone()?);
        odd(&refusal.notes, now);
        Some(Grant { refresh_token, access_token: None, rejected: false, ..template })
    }

    /// The token endpoint refused. What that does to what is held (TOK-15, REF-08, REG-21).
    pub(super) fn refused(
        &mut self,
        flow: &mut Flow,
        refusal: TokenRefusal,
        now: &mut Now,
    ) -> Result<(), Failure> {
        let login = matches!(flow.goal, Goal::Login(_));
        if refusal.brought() {
            let (template, generation) = self.place_for(flow)?;
            let grant = self.salvaged(template, &refusal, login, now);
            flow.ground.minted = grant.map(|value| Held { value, generation });
            flow.ground.verdict = Some(refusal.failure.into());
            return Ok(());
        }
        let definite = refusal.definite();
        let TokenRefusal { failure, error, .. } = refusal;
        if login {
            return self.exchange_refused(flow, failure, error, now);
        }
        if self.body.memory.grant.is_none() {
            return Err(failure);
        }
        self.not_renewed(flow, failure, error, definite, now)
    }

    /// The server would not renew the grant: whether its client is unknown, the grant dead, or whether
    /// it refuses in words of its own (REG-21, REF-08, REF-90).
    fn not_renewed(
        &mut self,
        flow: &mut Flow,
        failure: Failure,
        error: Option<ErrorCode>,
        definite: bool,
        now: &mut Now,
    ) -> Result<(), Failure> {
        let client =
            matches!(error, Some(ErrorCode::InvalidClient | ErrorCode::UnauthorizedClient));
        let rejected =
            matches!(failure.kind(), Kind::GrantRejected | Kind::ReauthorizationRequired);
        if !(client || rejected || definite) {
            return Err(self.unclear(failure));
        }
        flow.ground.refused = true;
        let memory = &mut self.body.memory;
        let held = memory.grant.as_ref().ok_or_else(missing)?;
        if rejected {
            memory.refused_dead(held.value.refresh_token.clone());
        } else {
            memory.not_renewed(failure.said(), now.mono);
        }
        if client {
            return self.client_refused(flow, failure);
        }
        let failure = if rejected { failure } else { failure.with_remedy(Remedy::AskUser) };
        flow.ground.verdict = Some(failure.into());
        if self.config.persistent && !flow.ground.looked_again {
            // Another process may have spent it, and saved what it got (HOST-224).
            flow.ground.looked_again = true;
            flow.ground.looked = false;
        } else if rejected {
            self.body.memory.reject();
            now.note(Note::Rejected);
        } else {
            flow.ground.kept = true;
        }
        Ok(())
    }

    /// The server does not know the client of the grant any more, or would not hear it (REG-21).
    fn client_refused(&mut self, flow: &mut Flow, failure: Failure) -> Result<(), Failure> {
        let memory = &mut self.body.memory;
        let grant = &memory.grant.as_ref().ok_or_else(missing)?.value;
        let (issuer, id) = (grant.issuer.clone(), grant.client_id.clone());
        flow.ground.stale = memory.stale_client(&issuer, &id);
        if flow.ground.stale.is_none() || !self.config.persistent {
            memory.forget_client(&issuer, &id);
            return Err(failure);
        }
        // The next process is not to send it either. Those who wait hear of it when that is written.
        flow.ground.verdict = Some(failure.with_remedy(Remedy::AskUser).into());
        Ok(())
    }

    /// A refusal that may pass. The third in a row may be meant (REF-90).
    fn unclear(&mut self, failure: Failure) -> Failure {
        let status = failure.said().and_then(|said| said.status);
        let refused = status
            .is_some_and(|status| (400..500).contains(&status) && !matches!(status, 408 | 429));
        match refused {
            true if self.body.memory.refused_unclearly() => failure.with_remedy(Remedy::AskUser),
            true if !failure.remedy().retryable() => {
                failure.with_remedy(Remedy::Retry { after: None })
            }
            false if status.is_some() => {
                self.body.memory.answered_otherwise();
                failure
            }
            _ => failure,
        }
    }

    pub(super) fn exchange_refused(
        &mut self,
        flow: &mut Flow,
        failure: Failure,
        error: Option<ErrorCode>,
        now: &mut Now,
    ) -> Result<(), Failure> {
        let client =
            matches!(error, Some(ErrorCode::InvalidClient | ErrorCode::UnauthorizedClient));
        let Some(enrolled) = &flow.ground.enrolled else { return Err(failure) };
        if !client || enrolled.way != Way::Dynamic {
            return Err(failure);
        }
        let issuer = flow.ground.found.as_ref().map(|found| found.server.issuer.clone());
        let id = enrolled.credentials.client_id.clone();
        self.withdraw_code(flow);
        if let Some(issuer) = issuer {
            self.body.memory.forget_client(&issuer, &id);
        }
        if flow.ground.reregistered {
            return Err(failure);
        }
        // The server has forgotten the registration: one new one, and the person once more.
        now.note(Note::Failed { kind: failure.kind(), rule: failure.rule() });
        flow.ground.reregistered = true;
        flow.ground.enrolled = None;
        flow.ground.approved = None;
        flow.ground.intent = None;
        Ok(())
    }
}

/// Notes what was odd about an answer.
fn odd(oddities: &[Failure], now: &mut Now) {
    for failure in oddities {
        let subject = failure.subject().unwrap_or_default().to_owned();
        now.note(Note::Dropped { kind: failure.kind(), rule: failure.rule(), subject });
    }
}
