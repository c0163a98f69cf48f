//! The session's part of a refresh: it hands the results of stages to the flow, and makes the
//! stages that the flow's states run.
//!
//! Memory takes in a result first; the flow then decides what follows.

use std::sync::Arc;

use crate::config::ResourceParameter::{Omitted, Replaced};
use crate::effect::{Holder, Spend};
use crate::failure::{Failure, Kind, Remedy};
use crate::flow::refresh::{Claim, Met, Read, Refresh, Refused};
use crate::flow::{Course, End, bug};
use crate::machine::SignalName;
use crate::note::Note;
use crate::record::merge::{Brings, Replaces};
use crate::record::{Grant, Held};
use crate::session::lanes::Flow;
use crate::session::{Now, Session};
use crate::stage::claim::{self, Certainty, Intended, Intent};
use crate::stage::discovery::{Discovery, Looked};
use crate::stage::recall::Recall;
use crate::stage::token::{self, Minted, Token};
use crate::stage::vault::{Save, Write};
use crate::stage::{Brought, Stage};
use crate::wire::token::{TokenRefusal, Tokens};

impl Session {
    /// Takes in the result of a stage of a refresh. Returns the end of the flow, if the flow ends
    /// with it.
    pub(super) fn refresh_met(
        &mut self,
        flow: &mut Flow,
        brought: Brought,
        now: &mut Now,
    ) -> Option<End> {
        if self.overtaken(flow) {
            let recorded = self.overtaken_by(brought);
            return self.refresh_on(flow, Met::Overtaken(recorded), now);
        }
        let met = match brought {
            Brought::Looked(Looked::Moved { to }) => Err(self.moved_away(&to, now)),
            Brought::Looked(_) => Ok(Met::Listed),
            Brought::Claimed(found) => Ok(Met::Read(self.read(found, false, now))),
            Brought::Recalled(found) => Ok(Met::Read(self.read(found.grant, true, now))),
            Brought::Intended(intended) => Ok(Met::Intended(intended)),
            Brought::Minted(Minted::Tokens(tokens)) => self.renewed(Ok(*tokens), now),
            Brought::Minted(Minted::Refused(refusal)) => {
                let refusal = self.named(flow, *refusal, now);
                if refusal.brought() {
                    self.renewed(Err(refusal), now)
                } else {
                    self.not_renewed(refusal, now)
                }
            }
            Brought::Saved(saved) => Ok(Met::Saved(self.saved(flow, saved, now))),
            _ => Err(bug()),
        };
        match met {
            Ok(met) => self.refresh_on(flow, met, now),
            Err(failure) => self.fails(flow, failure, now),
        }
    }

    /// Hands an event to a refresh. Returns the end of the flow, if the flow ends with it.
    pub(super) fn refresh_on(&mut self, flow: &mut Flow, met: Met, now: &mut Now) -> Option<End> {
        let known = self.known(now.mono);
        match &mut flow.course {
            Course::Refresh(refresh) => refresh.on(met, known),
            other => Some(other.fail(bug())),
        }
    }

    /// Returns true if a login or a late answer has replaced the grant that a refresh was for. The
    /// edge that the flow takes is then noted as overtaken.
    fn overtaken(&self, flow: &mut Flow) -> bool {
        let memory = &self.body.memory;
        let news = (flow.logins, flow.epoch) != (memory.logins, memory.epoch);
        if let (true, Some((_, on))) = (news, &mut flow.leaving) {
            *on = SignalName::Overtaken;
        }
        news
    }

    /// Takes in the result of a refresh that was overtaken. Returns the intent that was recorded. A
    /// record that was saved may have been written over a newer one, which is then saved again.
    fn overtaken_by(&mut self, brought: Brought) -> Option<Spend> {
        match brought {
            Brought::Intended(Intended::Recorded(spend) | Intended::Unrecorded(spend, _)) => {
                Some(spend)
            }
            Brought::Saved(saved) => {
                for write in &saved.written {
                    if let Write::Grant(older, _) = write {
                        self.body.memory.written_over(older);
                    }
                }
                self.body.memory.custody().save_soon();
                None
            }
            _ => None,
        }
    }

    /// Remembers that the resource names another issuer, and returns the failure that says so.
    pub(super) fn moved_away(&mut self, to: &str, now: &Now) -> Failure {
        self.body.memory.issuer_moved(now.mono);
        Failure::new(Kind::IssuerChanged, "BIND-05").with_subject(to)
    }

    /// The grant's record was read before its refresh token is spent, or after the server refused
    /// that token.
    fn read(&mut self, found: Option<Held<Grant>>, refused: bool, now: &mut Now) -> Read {
        let look = self.body.memory.look(found, refused, now.wall);
        if look.brings == Brings::Token {
            now.note(Note::Adopted);
        }
        Read { brings: look.brings, seen_at: look.seen_at, dead: self.body.memory.dead() }
    }

    /// The tokens that answer a refresh, or that came with its refusal, go into the held grant.
    fn renewed(
        &mut self,
        answer: Result<Tokens, TokenRefusal>,
        now: &mut Now,
    ) -> Result<Met, Failure> {
        let replaces = self.body.memory.spending();
        let Held { value, generation } = self.body.memory.grant.clone().ok_or_else(bug)?;
        let value = self.filled_by(value, answer.as_ref(), false, now).ok_or_else(bug)?;
        let then = answer.err().map(|refusal| refusal.failure);
        Ok(Met::Came { held: Held { value, generation }, replaces, then })
    }

    /// The server would not renew the grant. Its client is unknown, the grant is dead, or the
    /// server refuses in words of its own (REG-21, REF-08, REF-90).
    fn not_renewed(&mut self, refusal: TokenRefusal, now: &mut Now) -> Result<Met, Failure> {
        let (definite, unknown) = (refusal.definite(), refusal.client_unknown());
        let failure = refusal.failure;
        let Some(held) = &self.body.memory.grant else { return Err(failure) };
        let rejected =
            matches!(failure.kind(), Kind::GrantRejected | Kind::ReauthorizationRequired);
        if !(unknown || rejected || definite) {
            return Err(self.unclear(failure));
        }
        let token = held.value.refresh_token.clone();
        if rejected {
            self.body.memory.refused_dead(token);
        } else {
            self.body.memory.not_renewed(failure.said(), now.mono);
        }
        Ok(Met::Refused(match () {
            () if unknown => self.client_refused(failure),
            () if rejected => {
                if !self.config.persistent {
                    self.reject(now);
                }
                Refused::Dead(failure)
            }
            () => Refused::InWords(failure.with_remedy(Remedy::AskUser)),
        }))
    }

    /// The server does not know the client of the grant any more, or refuses to hear it (REG-21).
    fn client_refused(&mut self, failure: Failure) -> Refused {
        let memory = &mut self.body.memory;
        let Some(grant) = memory.grant.as_ref().map(|held| &held.value) else {
            return Refused::Unmarked(failure);
        };
        let (issuer, id) = (grant.issuer.clone(), grant.client_id.clone());
        match memory.stale_client(&issuer, &id).filter(|_| self.config.persistent) {
            // The next process must not send it either. The callers that wait hear of the failure
            // when that is written.
            Some(stale) => Refused::Client(stale, failure.with_remedy(Remedy::AskUser)),
            None => {
                memory.forget_client(&issuer, &id);
                Refused::Unmarked(failure)
            }
        }
    }

    /// Judges a refusal that may pass. The server may mean the third in a row (REF-90).
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

    /// Marks the held grant as rejected: its refresh token is never sent again, and its record must
    /// say so.
    fn reject(&mut self, now: &mut Now) {
        self.body.memory.reject();
        now.note(Note::Rejected);
    }

    /// The stage that the state of a refresh runs.
    pub(super) fn stage_of_refresh(
        &mut self,
        flow: &mut Flow,
        now: &mut Now,
    ) -> Result<Stage, Failure> {
        let Course::Refresh(refresh) = &mut flow.course else { return Err(bug()) };
        let stage = self.stage_for(refresh, now)?;
        refresh.sends();
        Ok(stage)
    }

    fn stage_for(&mut self, refresh: &Refresh, now: &mut Now) -> Result<Stage, Failure> {
        Ok(match refresh {
            Refresh::Listing { pointer } => {
                Stage::Discovery(Discovery::new(self.discovery(Some(pointer.clone()), None)))
            }
            Refresh::Claiming { turn, claim, .. } => {
                if *claim == Claim::Anew {
                    self.holder = self.holder.map(Holder::next);
                }
                let elsewhere = *claim == Claim::Elsewhere;
                let alone = self.body.memory.alone();
                Stage::Claim(claim::Claim::new(turn.key.clone(), turn.ends, elsewhere, alone))
            }
            Refresh::Noting { turn, .. } => {
                let alone = self.body.memory.alone();
                let certainty = if alone { Certainty::Wanted } else { Certainty::Needed };
                let spend = turn.mark.clone().ok_or_else(bug)?;
                Stage::Intent(Intent::new(turn.key.clone(), spend, certainty))
            }
            Refresh::Sending { turn, .. } => {
                let mark = turn.as_ref().and_then(|turn| turn.mark.as_ref());
                let again = matches!(mark, Some(Spend::Refresh { attempt: 1.., .. }));
                let ask = self.ask_to_refresh(now)?;
                Stage::Token(if again { Token::recovering(ask) } else { Token::new(ask) })
            }
            Refresh::Looking { turn, .. } => Stage::Recall(Recall::again(turn.key.clone())),
            Refresh::Marking { client, .. } => Stage::Save(Save::client(client.clone())),
            Refresh::Rejecting { .. } => {
                if self.body.memory.grant.as_ref().is_some_and(|held| !held.value.rejected) {
                    self.reject(now);
                }
                let held = self.body.memory.grant.clone().ok_or_else(bug)?;
                let replaces = Replaces::Spent(held.value.refresh_token.iter().cloned().collect());
                Stage::Save(Save::new(self.writes_of_the_renewed(held, replaces)))
            }
            Refresh::Saving { held, replaces, .. } => {
                let writes = self.writes_of_the_renewed(held.clone(), replaces.clone());
                Stage::Save(Save::new(writes))
            }
            Refresh::Start { .. } | Refresh::Over => return Err(bug()),
        })
    }

    /// The writes of a renewed grant, and of the records that lead to it where the store has
    /// neither.
    fn writes_of_the_renewed(&self, held: Held<Grant>, replaces: Replaces) -> Vec<Write> {
        let mut writes = Vec::with_capacity(2);
        writes.push(Write::Grant(held, replaces));
        if self.body.memory.unsaved() {
            writes.extend(self.way_there(self.body.memory.binding.clone()));
        }
        writes
    }

    /// The request that refreshes the held grant, by today's settings. A switch also holds for a
    /// grant that came before the switch was given (D8).
    fn ask_to_refresh(&self, now: &Now) -> Result<token::Ask, Failure> {
        let memory = &self.body.memory;
        let grant = &memory.grant.as_ref().ok_or_else(bug)?.value;
        let credentials = memory.credentials(&self.config, now.wall).ok_or_else(bug)?;
        let refresh_token = grant.refresh_token.clone().ok_or_else(bug)?;
        // The endpoint may come from a snapshot, and not from the records (SEC-05).
        grant.token_endpoint.recheck("token_endpoint", &self.config.reach)?;
        let mut ask = token::Ask::refresh(grant, refresh_token, credentials);
        let binding = memory.binding.as_ref().map(|held| &held.value);
        let bound = binding.filter(|binding| binding.issuer == grant.issuer);
        let listed = bound.map_or(&grant.issuer, |binding| &binding.listed);
        if let Some(server) = self.config.server_of(&grant.issuer) {
            ask.endpoint = server.token_endpoint.clone();
        }
        for settings in self.config.settings(listed, &grant.issuer) {
            match &settings.resource {
                Some(Omitted) => ask.resource_parameter = None,
                Some(Replaced(other)) => ask.resource_parameter = Some(other.clone()),
                None => {}
            }
            if settings.scope_on_refresh {
                ask.scope = Some(Arc::clone(&grant.requested));
            }
        }
        Ok(ask)
    }
}
