//! The session's part of a login: it hands the results of stages to the flow, and makes the records
//! that the flow writes.
//!
//! Memory takes in a result first; the flow then decides what follows.

use std::sync::Arc;

use crate::effect::Key;
use crate::failure::{Failure, Kind, Remedy};
use crate::flow::login::{Cause, Grown, Login, Member, Met, Place, Registration, State, Why};
use crate::flow::{Course, End, bug};
use crate::note::{Choice, Note};
use crate::record::merge::Replaces;
use crate::record::{Binding, Document, FORMAT, Grant, Held, Unknown, Way};
use crate::scope::ScopeSet;
use crate::session::lanes::Flow;
use crate::session::scopes::{self, Named};
use crate::session::{Now, Session};
use crate::stage::Brought;
use crate::stage::claim::Intended;
use crate::stage::discovery::{Found, Looked};
use crate::stage::registration::Enrolled;
use crate::stage::token::Minted;
use crate::stage::vault::{self, Write};
use crate::wire::token::{TokenRefusal, Tokens};

impl Session {
    /// Takes in the result of a stage of a login. Returns the end of the flow, if the flow ends
    /// with it.
    pub(super) fn login_met(
        &mut self,
        flow: &mut Flow,
        brought: Brought,
        now: &mut Now,
    ) -> Option<End> {
        let met = match brought {
            Brought::Looked(Looked::Found(found)) => self.found(flow, found, now),
            Brought::Looked(Looked::Moved { to }) => Err(self.moved_away(&to, now)),
            Brought::Enrolled(enrolled) => Ok(self.enrolled(flow, enrolled)),
            Brought::Approved(approved) => Ok(Met::Approved(approved)),
            Brought::Intended(intended) => code_intended(flow, intended),
            Brought::Recalled(found) => Ok(Met::Read(grown(flow, found.grant.as_ref()))),
            Brought::Minted(Minted::Tokens(tokens)) => self.granted_by_code(flow, Ok(*tokens), now),
            Brought::Minted(Minted::Refused(refusal)) => {
                let refusal = self.named(flow, *refusal, now);
                if refusal.brought() {
                    self.granted_by_code(flow, Err(refusal), now)
                } else {
                    self.code_refused(flow, refusal, now)
                }
            }
            Brought::Saved(saved) => Ok(self.login_saved(flow, saved, now)),
            _ => Err(bug()),
        };
        match met {
            Ok(met) => self.login_on(flow, met, now),
            Err(failure) => self.fails(flow, failure, now),
        }
    }

    /// Hands an event to a login. Returns the end of the flow, if the flow ends with it.
    pub(super) fn login_on(&mut self, flow: &mut Flow, met: Met, now: &mut Now) -> Option<End> {
        let known = self.known(now.mono);
        match &mut flow.course {
            Course::Login(login) => login.on(met, known),
            other => Some(other.fail(bug())),
        }
    }

    /// The authorization server is known. Checks that it may be used at all, and chooses the scopes
    /// to ask it for.
    fn found(&mut self, flow: &Flow, found: Box<Found>, now: &mut Now) -> Result<Met, Failure> {
        let why = &flow.course.login().ok_or_else(bug)?.why;
        let mut previous_issuer = None;
        if let Some(binding) = self.body.memory.binding.as_ref().map(|held| &held.value)
            && binding.listed != found.listed
        {
            self.moved(why, binding, &found)?;
            now.note(Note::Chose(Choice::IssuerChanged {
                from: binding.listed.clone(),
                to: found.listed.clone(),
            }));
            previous_issuer = Some(binding.listed.clone());
        }
        let issuer = found.server.issuer.clone();
        if matches!(why.cause, Cause::Refused | Cause::Expired) {
            let minted = self.body.memory.minted;
            let served = minted.filter(|_| why.cause == Cause::Expired);
            self.body.history.may_open(&issuer, served, now.mono)?;
        }
        let scopes = self.scopes(why, &found, now)?;
        if why.cause == Cause::StepUp {
            // The resource's own list was the last place where more scope could be named.
            let asked = self.body.memory.requested();
            if asked.is_some_and(|asked| asked.covers(&scopes)) {
                return Err(Failure::new(Kind::Forbidden, "STEP-07"));
            }
        }
        let scopes = Arc::new(scopes);
        Ok(Met::Found(Place { found, previous_issuer, scopes }))
    }

    /// The resource names another authorization server than the record does. Checks that a login
    /// may follow it there (BIND-03, D14).
    fn moved(&self, why: &Why, binding: &Binding, found: &Found) -> Result<(), Failure> {
        let changed = |rule| {
            Err(Failure::new(Kind::IssuerChanged, rule)
                .with_subject(&found.listed)
                .with_remedy(Remedy::AskUser))
        };
        if why.cause == Cause::StepUp {
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

    /// Chooses the scopes that a login asks for, and notes the choice.
    fn scopes(&self, why: &Why, found: &Found, now: &mut Now) -> Result<ScopeSet, Failure> {
        let config = &self.config;
        let grant = self.body.memory.grant.as_ref().map(|held| &held.value);
        let same = grant.filter(|grant| grant.issuer == found.server.issuer);
        // The challenge to the first request counts, if no caller's own request was refused before
        // (SCOPE-10).
        let told = found.challenged.as_ref().map(|scopes| match config.refresh_tokens {
            true => scopes.clone(),
            false => scopes::without_offline(scopes),
        });
        let named = Named {
            wanted: &why.wanted,
            configured: config.scopes.as_ref(),
            challenged: why.challenged.as_ref().or(told.as_ref()),
            resource: found.scopes_supported.as_ref(),
            default: config.default_scopes.as_ref(),
            before: [
                same.map(|grant| &*grant.requested),
                // Scopes that a server added by itself are not asked for. Where nobody had named
                // any, the server's choice is all there is to keep (AMB-14, HOST-211).
                same.filter(|grant| grant.requested.is_empty())
                    .and_then(|grant| grant.granted.as_deref()),
            ],
            step_up: why.cause == Cause::StepUp,
            offline_listed: found.server.scopes_offline_access,
            offline_wanted: config.refresh_tokens,
        };
        let (scopes, source, dropped) = scopes::choose(&named)?;
        if dropped {
            let (kind, subject) = (Kind::LimitExceeded, "offline_access".to_owned());
            now.note(Note::Dropped { kind, rule: "SCOPE-10", subject });
        }
        // The copy has no more room than it needs: it is kept for as long as the grant.
        let kept = scopes.clone();
        now.note(Note::Chose(Choice::Scopes { scopes, source }));
        Ok(kept)
    }

    /// The session has become a client of the server.
    fn enrolled(&mut self, flow: &Flow, enrolled: Enrolled) -> Met {
        if let Some(client) = &enrolled.client {
            self.body.memory.remember_client(client.clone());
        }
        if enrolled.way == Way::PreRegistered
            && let Some(place) = flow.course.login().and_then(Login::place)
        {
            self.body.memory.met_at(place.found.server.issuer.clone());
        }
        Met::Enrolled(enrolled)
    }

    /// Records were written: the registration alone, or everything that a login brought.
    fn login_saved(&mut self, flow: &Flow, saved: vault::Saved, now: &mut Now) -> Met {
        let Some(State::SavingClient { member }) = flow.course.login().map(|login| &login.state)
        else {
            return Met::Saved(self.saved(flow, saved, now));
        };
        let chosen = self.chosen_method(&member.place.found);
        self.body.memory.custody().store_said(saved.silent, saved.refused.is_some());
        let client = saved.written.into_iter().find_map(|write| match write {
            Write::Client(client, _) => Some(client),
            _ => None,
        });
        if let Some(client) = &client {
            self.body.memory.remember_client(client.clone());
        }
        Met::ClientSaved(client.map(|client| (client, chosen)))
    }

    /// The grant of a login, without its tokens (BIND-08).
    pub(super) fn login_template(&self, login: &Login) -> Option<Grant> {
        let Member { place, enrolled, .. } = login.member()?;
        let found = &place.found;
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
            login: login.name().cloned(),
            requested: Arc::clone(&place.scopes),
            granted: None,
            resource_parameter: self.resource_parameter(found),
            token_endpoint: found.server.token_endpoint.clone(),
            revocation_endpoint: found.server.revocation_endpoint.clone(),
            rejected: false,
            untyped: false,
            unknown: Unknown::default(),
        })
    }

    /// The record that a login leads to.
    pub(super) fn key_of_login(&self, login: &Login) -> Result<Key, Failure> {
        self.login_template(login).map(|template| template.key()).ok_or_else(bug)
    }

    /// The binding that a login makes.
    pub(super) fn binding(&self, login: &Login) -> Option<Held<Binding>> {
        let Member { place, enrolled, .. } = login.member()?;
        let found = &place.found;
        let before = self.body.memory.binding.as_ref();
        Some(Held {
            generation: before.and_then(|held| held.generation),
            value: Binding {
                format: FORMAT,
                mcp_url: Arc::clone(&self.config.name),
                account: Arc::clone(&self.config.account),
                class: found.class,
                listed: found.listed.clone(),
                issuer: found.server.issuer.clone(),
                resource: self.resource(found),
                client_id: enrolled.credentials.client_id.clone(),
                way: enrolled.way,
                method: enrolled.credentials.method,
                redirect_set: enrolled.redirect.set.clone(),
                unknown: before.map(|held| held.value.unknown.clone()).unwrap_or_default(),
            },
        })
    }

    /// The tokens that answer a code, or that came with its refusal, go into the grant of the login. A
    /// login for the grant that is held, or was, replaces that grant's record.
    fn granted_by_code(
        &self,
        flow: &Flow,
        answer: Result<Tokens, TokenRefusal>,
        now: &mut Now,
    ) -> Result<Met, Failure> {
        let login = flow.course.login().ok_or_else(bug)?;
        let template = self.login_template(login).ok_or_else(bug)?;
        let generation = self.body.memory.generation_for(&template);
        let value = self.filled_by(template, answer.as_ref(), true, now).ok_or_else(bug)?;
        let then = answer.err().map(|refusal| refusal.failure);
        Ok(Met::Came { held: Held { value, generation }, replaces: Replaces::Anything, then })
    }

    /// The token endpoint would not take the code (TOK-15, REG-21).
    fn code_refused(
        &mut self,
        flow: &mut Flow,
        refusal: TokenRefusal,
        now: &mut Now,
    ) -> Result<Met, Failure> {
        let unknown = refusal.client_unknown();
        let failure = refusal.failure;
        let member = flow.course.login().and_then(Login::member);
        let Some(member) = member.filter(|member| unknown && member.dynamic().is_some()) else {
            return Err(failure);
        };
        let issuer = member.place.found.server.issuer.clone();
        let id = member.enrolled.credentials.client_id.clone();
        let first = member.registration == Registration::First;
        self.withdraw_code(flow, None);
        self.body.memory.forget_client(&issuer, &id);
        if !first {
            return Err(failure);
        }
        // The server has forgotten the registration. The login registers once more, and asks the
        // person once more.
        now.note(Note::Failed { kind: failure.kind(), rule: failure.rule() });
        Ok(Met::Unregistered)
    }
}

/// Turns the store's answer about the intent of a code into the event that the login meets.
fn code_intended(flow: &Flow, intended: Intended) -> Result<Met, Failure> {
    match intended {
        Intended::Recorded(spend) if flow.restored => Ok(Met::RecordedAgain(spend)),
        Intended::Recorded(spend) => Ok(Met::Recorded(spend)),
        // A copy of this login, taken up by another process, was faster (HOST-184).
        Intended::Elsewhere => Err(Failure::new(Kind::CallbackUsed, "TOK-04")),
        Intended::Exhausted => Err(Failure::new(Kind::OutcomeUnknown, "TOK-04")),
        Intended::Unrecorded(_, kind) => Err(Failure::new(kind, "REF-17")),
        Intended::Unclaimed => Err(bug()),
    }
}

/// Says whether a copy of this login, taken up by another process, has ended before it (HOST-184).
fn grown(flow: &Flow, found: Option<&Held<Grant>>) -> Grown {
    let name = flow.course.login().and_then(Login::name);
    match found {
        Some(held) if held.value.login.as_ref() == name => Grown::Here,
        _ => Grown::NotYet,
    }
}
