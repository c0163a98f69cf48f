//! The end of a flow: what it brought is published, and everybody who waited for it is settled.

use std::sync::Arc;

use crate::effect::{Page, Parties, Settlement, Told};
use crate::failure::{Failure, Kind};
use crate::machine::StateName;
use crate::note::Note;
use crate::record::merge::{Occasion, Word, merge};
use crate::session::flow::took;
use crate::session::lanes::{Cause, Flow, Goal, Lane, Lease, LoginGoal, Stage};
use crate::session::refusal::unhelped;
use crate::session::waiters::{Waiting, Want};
use crate::session::{Now, Session};

impl Session {
    /// A flow is over. What it brought is published, its callers hear of it, its work is given up.
    pub(super) fn end(
        &mut self,
        lane: Lane,
        mut flow: Box<Flow>,
        result: Result<(), Failure>,
        now: &mut Now,
    ) {
        if let Err(failure) = &result
            && self.marks(&mut flow, failure)
        {
            self.give_up_unfinished(&mut flow, now);
            flow.stage = None;
            flow.ground.verdict = result.err().map(Into::into);
            return self.resume(lane, flow, now);
        }
        let lease = self.lease(&mut flow);
        match flow.goal {
            Goal::Login(_) => self.withdraw_code(&mut flow),
            Goal::Forget => self.unknown_is_past(|session, lease| session.owe(lease, None)),
            _ => {}
        }
        if let Some(listener) = flow.listener.take() {
            now.out.told.push(Told::Abandon(listener));
        }
        if result.is_err() {
            self.give_up_unfinished(&mut flow, now);
        }
        let result = result.and_then(|()| {
            self.install(&mut flow, now);
            flow.ground.verdict.take().map_or(Ok(()), |verdict| Err(verdict.into()))
        });
        let result = result.map_err(|failure| Self::mended(&flow, failure));
        let end = if result.is_ok() { StateName::Done } else { StateName::Failed };
        took(&mut flow, end, now);
        for (arrival, parties) in flow.arrivals.drain(..) {
            now.out.told.push(Told::Page { arrival, page: page(&result, parties) });
        }
        if let Err(failure) = &result
            && matches!(flow.goal, Goal::Forget)
        {
            self.body.memory.unread_to_forget(failure.kind());
        }
        self.remember_visit(&flow, &result);
        if result.is_ok() && matches!(flow.goal, Goal::Relist) {
            self.still_refused(now);
        }
        let joined = |waiting: &&mut Waiting| waiting.lane == Some(lane);
        for waiting in self.waiters.iter_mut().filter(joined) {
            let want = &mut waiting.want;
            want.flows = want.flows.saturating_add(1);
            let login = result.is_ok() && lane == Lane::Person;
            want.logins = want.logins.saturating_add(u8::from(login));
        }
        let again = matches!(flow.goal, Goal::Recall) && self.body.memory.recalled;
        if matches!(flow.goal, Goal::Recall) {
            self.body.memory.was_read();
        }
        if let Err(failure) = &result
            && again
            && !matches!(failure.kind(), Kind::StoreVersion | Kind::Cancelled)
        {
            // It was read once, and a store that is down now stops no login.
            now.note(Note::Store { kind: failure.kind() });
        } else if let Err(failure) = result {
            now.note(Note::Failed { kind: failure.kind(), rule: failure.rule() });
            let failure = self.hinted(&flow, failure);
            let failure = failure.with_evidence(core::mem::take(&mut flow.evidence));
            return self.failed(lane, flow, failure, lease, now);
        }
        if let Some((failed, failure)) = flow.untold.take().map(|untold| *untold) {
            self.fail(lane, &failed, failure, flow.ground.unsaved, now);
        }
        self.release(lane, lease, now);
    }

    fn release(&mut self, lane: Lane, lease: Option<Lease>, now: &mut Now) {
        if let Some(lease) = lease {
            self.launch(lane, Flow::new(Goal::Release(lease)), now);
        }
    }

    /// A flow has failed. What it has recorded in the store is taken back first: the program may end
    /// as soon as it is told, and the next one would find that the token may have been sent (REF-91).
    fn failed(
        &mut self,
        lane: Lane,
        flow: Box<Flow>,
        failure: Failure,
        lease: Option<Lease>,
        now: &mut Now,
    ) {
        match lease {
            Some(lease) if lease.withdraw.is_some() => {
                let mut release = Flow::new(Goal::Release(lease));
                release.untold = Some(Box::new((flow, failure)));
                self.launch(lane, release, now);
            }
            lease => {
                self.fail(lane, &flow, failure, false, now);
                self.release(lane, lease, now);
            }
        }
    }

    /// The lease that a flow asked for, and what is withdrawn with it. The intent of a token that was
    /// spent stands while the store does not have what came for it, or while it is out: it keeps other
    /// processes from spending it again.
    fn lease(&mut self, flow: &mut Flow) -> Option<Lease> {
        let key = flow.ground.claimed.take()?;
        let holder = self.holder?;
        let held = self.body.memory.grant.as_ref();
        let rotated = flow.ground.minted.as_ref().is_some_and(|minted| {
            held.is_none_or(|held| held.value.refresh_token != minted.value.refresh_token)
        });
        let out = matches!(flow.stage, Some(Stage::Token(_)));
        // Not where only this process had the token: it would meet its own intent the next time.
        let unsaved = rotated && flow.ground.unsaved && !self.body.memory.alone();
        // It may stand although the store said that it failed.
        let intent = flow.ground.intent.take().or_else(|| flow.ground.asked.take());
        if unsaved && let Some(intent) = intent.clone() {
            self.owe_once_saved(Lease { key: key.clone(), holder, withdraw: Some(intent) });
        }
        if out && let Some(intent) = intent.clone() {
            // What a later login brings may have the number that it names.
            self.stands(Lease { key: key.clone(), holder, withdraw: Some(intent) });
        }
        let withdraw = intent.filter(|_| !out && !unsaved);
        Some(Lease { key, holder, withdraw })
    }

    /// Work that is still out when a flow ends is nobody's any more.
    pub(super) fn give_up_unfinished(&mut self, flow: &mut Flow, now: &mut Now) {
        if let Some(parking) = flow.parking.take()
            && let Some(ticket) = parking.ticket
        {
            self.await_late_mark(flow, ticket);
            now.out.told.push(Told::Abandon(ticket));
        }
    }

    /// Publishes what a flow brought.
    pub(super) fn install(&mut self, flow: &mut Flow, now: &mut Now) {
        let config = Arc::clone(&self.config);
        if matches!(flow.goal, Goal::Recall) {
            let usable = self
                .body
                .memory
                .grant
                .as_ref()
                .is_some_and(|held| held.value.access_token.is_some() && !held.value.rejected);
            let news = self.body.memory.unpublished() && !self.body.memory.brought_back();
            if usable && news && self.body.memory.ours(&config, now.wall) {
                self.publish(true, now);
            }
            return;
        }
        let refreshed = matches!(flow.goal, Goal::Refresh(_));
        let Some(mut minted) = flow.ground.minted.take() else {
            if flow.ground.adopted && self.body.memory.unpublished() {
                self.publish(true, now);
            }
            return;
        };
        // Reading the store has brought this very login, and it was perhaps renewed, before all was
        // saved. A refresh that has begun since then is a refresh of it.
        let login = matches!(flow.goal, Goal::Login(_));
        let published = !self.body.memory.unpublished();
        let here = self.body.memory.grant.as_ref().is_some_and(|held| {
            login && merge(&minted, held, Occasion::LoginEnds { published }) == Word::Theirs
        });
        match flow.goal {
            Goal::Forget if flow.ground.unsaved => {
                return self.body.memory.forget_another_first();
            }
            Goal::Forget => return self.body.memory.forgot(minted),
            Goal::Keep(_) => return self.kept(minted, flow.ground.unsaved, now),
            _ => {}
        }
        if let Err(failure) = minted.value.recheck(&config.reach) {
            // Restored under other switches: it is in the store, and of no use here.
            flow.ground.verdict = Some(failure.into());
            return;
        }
        if login {
            self.body.memory.logged_in(!here);
        }
        if login && !config.persistent {
            let binding = self.binding(flow);
            self.body.memory.bind(binding);
            let client = flow.ground.enrolled.as_ref().and_then(|it| it.client.as_ref());
            let id = client.map(|held| held.value.credentials.client_id.clone());
            id.iter().for_each(|id| self.body.memory.client_succeeded(id));
        }
        let overwritten = login && self.catch_up(&mut minted, now);
        // Reading the store meanwhile may have brought another one.
        if login
            && let Some(client) = flow.ground.enrolled.as_ref().and_then(|it| it.client.clone())
            && self.body.memory.client(&client.value.credentials.client_id).is_none()
        {
            self.body.memory.remember_client(client);
        }
        let has_token = minted.value.access_token.is_some();
        if here {
            return self.body.memory.issued_before_it_was_read();
        }
        if login {
            self.body.memory.superseded();
        }
        self.body.memory.issued(minted, core::mem::take(&mut flow.ground.over));
        self.body.memory.issued_now(flow.ground.unsaved, now.mono);
        if overwritten && config.persistent {
            self.body.memory.save_soon();
        }
        if refreshed {
            self.body.memory.refresh_ended(now.mono);
        }
        if has_token && self.body.memory.brought_back() {
            // Under a new epoch its callers would go round for ever.
            flow.ground.verdict.get_or_insert_with(|| unhelped().into());
        } else if has_token {
            self.publish(false, now);
        }
    }

    /// Publishes the token that is held; `found` says that it comes out of the store.
    pub(super) fn publish(&mut self, found: bool, now: &mut Now) {
        let [chance] = now.draw.bytes();
        self.body.memory.publish(&self.config, found, (now.wall, now.mono), chance);
        let published = self.body.memory.published.clone();
        now.out.told.push(Told::Publish(published));
    }

    /// Writes down how a visit to the person has ended.
    pub(super) fn remember_visit(&mut self, flow: &Flow, result: &Result<(), Failure>) {
        if let Goal::Login(LoginGoal { cause: Cause::StepUp, operation, .. }) = &flow.goal {
            let declined = result.as_ref().is_err_and(declined);
            self.body.history.step_up_ends(operation, result.is_ok(), declined);
        }
    }

    /// The issuer is still listed, so nothing explains why a fresh token was refused.
    pub(super) fn still_refused(&mut self, now: &mut Now) {
        let again: Vec<_> = self.waiters.extract_if(.., |waiting| waiting.want.again).collect();
        for waiting in again {
            self.refuse(waiting.id, waiting.want.named.explain(unhelped()), now);
        }
    }

    /// Settles those who waited for a flow that failed; `unreleased` says that the store has not taken
    /// back what the flow had recorded there.
    fn fail(&mut self, lane: Lane, flow: &Flow, failure: Failure, unreleased: bool, now: &mut Now) {
        let refresh = matches!(flow.goal, Goal::Refresh(_));
        if refresh {
            // Where the store did not let it come to a request, the next caller may try at once.
            if flow.ground.spent {
                self.body.memory.refresh_ended(now.mono);
            }
            self.body.memory.postpone_ahead(now.mono);
        }
        // What a person can mend is put to those who may ask one; nobody else gets a page for a
        // network that is down (REF-09).
        let relist = matches!(flow.goal, Goal::Relist);
        let mendable = (refresh || relist)
            && (flow.ground.refused
                || matches!(
                    failure.kind(),
                    Kind::GrantRejected
                        | Kind::ReauthorizationRequired
                        | Kind::ClientRejected
                        | Kind::IssuerChanged
                ))
            // Where the same refresh could be sent again, they would wait for it for ever.
            && !self.body.memory.refreshable(&self.config, now.wall, now.mono);
        let failure = step_up_declined(flow, failure);
        let failure = Arc::new(failure);
        let memory = &self.body.memory;
        let live = memory
            .published
            .as_ref()
            .filter(|granted| refresh && !granted.life().over(now.wall, now.mono));
        let mut rest = Vec::with_capacity(self.waiters.len());
        for mut waiting in self.waiters.drain(..) {
            if waiting.lane != Some(lane)
                || (mendable && waiting.want.may_ask)
                || !serves(flow, &waiting.want)
            {
                waiting.want.again &= !mendable;
                rest.push(waiting);
                continue;
            }
            let over = waiting.want.over;
            let outcome = match live {
                Some(granted) if over.is_none_or(|over| granted.epoch() > over) => {
                    Ok(Arc::clone(granted))
                }
                // Why the list could not be read is not why the request was refused.
                _ if relist && !mendable => Err(Arc::new(waiting.want.named.explain(unhelped()))),
                _ if mendable && failure.kind() != Kind::IssuerChanged => {
                    Err(Arc::new(reauthorize(&failure)))
                }
                _ => Err(Arc::clone(&failure)),
            };
            let (waiter, unsaved) = (waiting.id, memory.unsaved || unreleased);
            let had = waiting.want.has(memory.current(), memory.found);
            now.out.told.push(Told::Settle(Settlement { waiter, outcome, unsaved, had }));
        }
        *self.waiters = rest;
    }
}

/// What the browser shows that brought the answer.
fn page(result: &Result<(), Failure>, parties: Parties) -> Page {
    match result {
        Ok(()) => Page::Authorized(parties),
        Err(failure) if failure.kind() == Kind::AuthorizationDenied => Page::Denied(parties),
        Err(failure) => Page::Failed { parties, kind: failure.kind(), remedy: failure.remedy() },
    }
}

/// A refused refresh, as a caller hears it who may not ask a person: in the server's own words.
pub(super) fn reauthorize(failure: &Failure) -> Failure {
    if failure.kind() == Kind::ClientRejected {
        return failure.clone();
    }
    let rule = if failure.kind() == Kind::GrantRejected { "REF-08" } else { "REF-90" };
    let told = Failure::new(Kind::ReauthorizationRequired, rule);
    let told = told.with_evidence(failure.evidence().to_vec());
    failure.said().cloned().into_iter().fold(told, Failure::with_said)
}

/// Whether a login was for this caller too. Whoever joined a page that was for other scopes is not
/// settled with its refusal.
pub(super) fn serves(flow: &Flow, want: &Want) -> bool {
    let Goal::Login(goal) = &flow.goal else { return true };
    let found = flow.ground.found.is_some();
    (goal.cause == want.cause || goal.cause != Cause::StepUp)
        && (!found || flow.ground.scopes.covers(&want.scopes))
}

/// A step-up that a person refused is the refusal of that request only (HOST-249).
pub(super) fn step_up_declined(flow: &Flow, failure: Failure) -> Failure {
    let step_up = matches!(&flow.goal, Goal::Login(goal) if goal.cause == Cause::StepUp);
    if step_up && declined(&failure) {
        return Failure::new(Kind::StepUpDeclined, "STEP-06")
            .with_evidence(failure.evidence().to_vec());
    }
    failure
}

/// Whether it was the person who said no, not the server for a reason of its own (STEP-15).
pub(super) fn declined(failure: &Failure) -> bool {
    failure.kind() == Kind::AuthorizationDenied
        && failure.said().is_some_and(|said| said.error == "access_denied")
}
