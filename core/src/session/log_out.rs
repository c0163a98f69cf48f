//! Log-out: the session drops the held grant at once, gives its tokens back to the server if it
//! takes them, and removes the grant from the store. The caller that logs out hears how far that
//! came (REVK, HOST-242).

use std::sync::Arc;

use crate::effect::{Forgotten, Told};
use crate::failure::{Failure, Kind};
use crate::flow::errands::Task;
use crate::flow::{Errand, Login};
use crate::record::Grant;
use crate::session::farewell::{Farewell, LogOut};
use crate::session::lanes::{Flow, Lane};
use crate::session::{Now, Session};
use crate::stage::recall::Recalled;
use crate::stage::revocation;
use crate::wire::client_auth::Credentials;

impl Session {
    /// Logs out. Nothing that is still out can bring the grant back (HOST-242).
    pub(super) fn forget(&mut self, now: &mut Now) {
        self.body.log_out.asked = true;
        self.part_with_the_held(now);
        // No caller that waited for a flow is settled with the dropped grant, live though it may
        // be.
        if self.body.memory.withdraw_published() {
            now.out.told.push(Told::Publish(None));
        }
        // These grants may be in the store by now, or may still reach it.
        let mut lost = Vec::new();
        for lane in [Lane::Person, Lane::Background] {
            // A log-out that is under way goes on, and so does an errand that gives a lease back.
            let other = |flow: &mut Box<Flow>| !flow.course.errand().is_some_and(Errand::tidies);
            if let Some(flow) = self.lane(lane).take_if(other) {
                lost.extend(flow.grants());
                self.part_with(&flow, now);
                let failure = Failure::new(Kind::Cancelled, "HOST-242");
                self.stop(lane, flow, failure, now);
            }
        }
        let errand = self.body.background.as_ref().and_then(|flow| flow.course.errand());
        let under_way = errand.is_some_and(Errand::forgets);
        // The grant in the store is dropped too, even if nobody has read it yet.
        self.body.memory.part_with(lost, self.config.persistent, under_way);
    }

    /// Has the held grant given back to the server, and every grant that a late answer may bring.
    fn part_with_the_held(&mut self, now: &Now) {
        let memory = &self.body.memory;
        let credentials = memory.credentials(&self.config, now.wall);
        if let Some(grant) = memory.grant.as_ref().map(|held| held.value.clone()) {
            let farewell = self.farewell(&grant, credentials);
            self.body.log_out.give_back(&farewell, &grant);
        }
        // Each late grant is given back by the client that asked for it, at that grant's own
        // endpoint. Both may differ from those of the held grant.
        for at in 0..self.late.len() {
            let Some(late) = self.late.get(at).filter(|late| late.forgotten.is_none()) else {
                continue;
            };
            let credentials = Some(late.stage.credentials().clone());
            let farewell = self.farewell(&late.template, credentials);
            if let Some(late) = self.late.get_mut(at) {
                late.forgotten = Some(farewell);
            }
        }
    }

    /// How the tokens of a grant are given back. An endpoint that the configuration names now goes
    /// before the grant's own (ASM-21).
    pub(super) fn farewell(&self, grant: &Grant, credentials: Option<Credentials>) -> Farewell {
        let named = self.config.server_of(&grant.issuer);
        let named = named.and_then(|server| server.revocation_endpoint.as_ref());
        match (named.or(grant.revocation_endpoint.as_ref()), credentials) {
            (Some(endpoint), Some(credentials)) => Farewell::Ask(Box::new(revocation::Ask {
                endpoint: endpoint.clone(),
                credentials,
                refresh_token: None,
                access_token: None,
            })),
            _ => Farewell::NotOffered,
        }
    }

    /// Has the grants of a flow given back, and the grant that its answer may still bring.
    fn part_with(&mut self, flow: &Flow, now: &mut Now) {
        let member = flow.course.login().and_then(Login::member);
        let enrolled = member.map(|member| member.enrolled.credentials.clone());
        let credentials = enrolled.or_else(|| self.body.memory.credentials(&self.config, now.wall));
        for held in flow.grants() {
            let farewell = self.farewell(&held.value, credentials.clone());
            self.body.log_out.give_back(&farewell, &held.value);
        }
        let Some(template) = self.template(flow) else { return };
        let farewell = self.farewell(&template, credentials);
        let ticket = flow.parking.as_ref().and_then(|parking| parking.ticket);
        if let Some(ticket) = ticket {
            self.await_late(flow, ticket, self.body.memory.epoch);
            if let Some(late) = self.late.iter_mut().find(|late| late.ticket == ticket) {
                late.forgotten = Some(farewell);
            }
        }
    }

    /// A log-out includes the grant that is found in the store, whoever put it there.
    pub(super) fn forget_found(&mut self, found: Recalled, now: &Now) {
        self.body.memory.recall_to_forget(found, &self.config);
        self.forget_what_was_found(now);
    }

    /// Does the same as [`forget_found`](Self::forget_found), where the store was read for another
    /// reason.
    pub(super) fn forget_what_was_found(&mut self, now: &Now) {
        let Some(held) = self.body.memory.found_to_forget() else { return };
        // The grant of a login that was logged out of has been given back already.
        if self.body.memory.welcome(&held.value) {
            self.part_with_the_held(now);
        }
        self.body.memory.forget_found(held);
    }

    /// Gives the next tokens back to the server. The record is removed after that, whatever the
    /// server says (REVK-05).
    pub(super) fn give_back(&mut self, now: &mut Now) {
        if let Some(ask) = self.body.log_out.to_revoke.first().cloned() {
            self.launch(Lane::Background, Flow::errand(Task::Revoke(Box::new(ask))), now);
        }
    }

    /// The server has taken tokens back, or has refused to.
    pub(super) fn given_back(&mut self, flow: &mut Flow, result: Result<(), Failure>) {
        let result = result.map_err(|failure| self.with_proxy(failure));
        let log_out = &mut self.body.log_out;
        if !log_out.to_revoke.is_empty() {
            log_out.to_revoke.remove(0);
        }
        match result {
            // These tokens came late, after the outcome of the log-out had been told.
            _ if !log_out.asked => {}
            Ok(()) => log_out.done = true,
            Err(failure) => {
                let evidence = core::mem::take(&mut flow.evidence);
                log_out.failed = Some(failure.kind());
                log_out.said = Some(Arc::new(failure.with_evidence(evidence)));
            }
        }
    }

    /// A log-out is tried until it has reached the store.
    pub(super) fn forget_again(&mut self, now: &mut Now) {
        let memory = &mut self.body.memory;
        memory.log_outs().postpone(now.mono);
        let first = memory.parting.to_forget.first().cloned();
        let task = match first.filter(|_| !memory.parting.forget_found) {
            Some(emptied) => Task::Empty { emptied },
            None => Task::Forget,
        };
        self.launch(Lane::Background, Flow::errand(task), now);
    }

    /// Says how a log-out ended, once everything has been tried.
    pub(super) fn tell_forgotten(&mut self, now: &mut Now) {
        let memory = &self.body.memory;
        let errand = self.body.background.as_ref().and_then(|flow| flow.course.errand());
        let trying =
            errand.is_some_and(|errand| errand.forgets() || matches!(errand.task, Task::Revoke(_)));
        let tried = !memory.forgetting() || memory.parting.forget_after.is_some();
        let log_out = &mut self.body.log_out;
        if log_out.asked && !trying && tried && log_out.to_revoke.is_empty() {
            log_out.asked = false;
            let revoked = log_out.revoked();
            let left = memory.forgetting();
            let unremoved =
                left.then(|| memory.parting.unforgotten.unwrap_or(Kind::StoreUnavailable));
            **log_out = LogOut::default();
            now.out.told.push(Told::Forgotten(Forgotten { revoked, unremoved }));
        }
    }
}
