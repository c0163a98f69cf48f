//! The end of a flow: its grant is published, and every caller that waited for it is settled.

use std::sync::Arc;

use crate::effect::{Page, Parties, Settlement, Told};
use crate::failure::{Failure, Kind, Switch};
use crate::flow::errands::{Lease, Task};
use crate::flow::login::{Cause, Login};
use crate::flow::{Course, End, Ended, Gain, Kept, Tried, Turn};
use crate::machine::StateName;
use crate::note::Note;
use crate::record::merge::{Occasion, Replaces, Word, merge};
use crate::record::{Grant, Held};
use crate::session::flow::took;
use crate::session::lanes::{Flow, Lane, Untold};
use crate::session::refusal::unhelped;
use crate::session::waiters::{Waiting, Want};
use crate::session::{Now, Session};
use crate::stage::Stage;

impl Session {
    /// Ends a flow. Its grant is published, its callers hear of it, and its unfinished work is
    /// given up.
    pub(super) fn end(&mut self, lane: Lane, mut flow: Box<Flow>, end: End, now: &mut Now) {
        let End { turn, tried, ended: Ended { gain, failure } } = end;
        let lease = turn.and_then(|turn| self.lease(&flow, (turn, tried), &gain));
        self.settle_marks(&mut flow, &gain);
        now.out.told.extend(flow.listener.take().map(Told::Abandon));
        self.give_up_unfinished(&mut flow, now);
        let unreleased = matches!(gain, Gain::Released(Kept::Unsaved));
        let failure = match (gain, failure) {
            (Gain::Nothing, Some(failure)) => Some(failure),
            (gain, failure) => self.install(&flow, gain, failure, now),
        };
        let failure = failure.map(|failure| Self::mended(&flow, failure));
        let to = if failure.is_none() { StateName::Done } else { StateName::Failed };
        took(&mut flow, to, now);
        for (arrival, parties) in flow.arrivals.drain(..) {
            now.out.told.push(Told::Page { arrival, page: page(failure.as_ref(), parties) });
        }
        self.conclude(lane, &flow, failure.as_ref(), now);
        match failure {
            Some(failure) if !self.read_before(&flow, &failure, now) => {
                now.note(Note::Failed { kind: failure.kind(), rule: failure.rule() });
                let failure = self.hinted(&flow, failure);
                let failure = failure.with_evidence(core::mem::take(&mut flow.evidence));
                let failure = self.with_proxy(failure);
                self.failed(lane, Untold { flow, tried, failure }, lease, now);
            }
            _ => {
                if let Some(untold) = flow.untold.take() {
                    self.fail(lane, &untold, unreleased, now);
                }
                self.release(lane, lease, now);
            }
        }
    }

    /// A request went through this proxy.
    pub(super) fn went_through(&mut self, proxy: &Arc<str>, now: &mut Now) {
        if self.body.memory.went_through(proxy) {
            now.note(Note::Proxied { proxy: Arc::clone(proxy) });
            if self.config.strict() && self.config.may_use_proxy() {
                let subject = proxy.to_string();
                now.note(Note::Lenient { switch: Switch::StrictProxy, subject });
            }
        }
    }

    /// A failure that is about the proxy names it, and the switch that would let Strict use it.
    pub(super) fn with_proxy(&self, failure: Failure) -> Failure {
        let failure = failure.naming_proxy(self.body.memory.learnt.proxy.as_deref());
        match failure.kind() {
            Kind::ProxyForbidden => failure.with_switch(Switch::StrictProxy),
            _ => failure,
        }
    }

    /// Settles the intent that stands in the store for a flow's credential: it is taken back, or
    /// stands on.
    fn settle_marks(&mut self, flow: &mut Flow, gain: &Gain) {
        match &flow.course {
            Course::Login(_) => {
                let came = match gain {
                    Gain::Brought { kept, .. } => Some(*kept),
                    _ => None,
                };
                self.withdraw_code(flow, came);
            }
            Course::Errand(errand) if errand.forgets() => {
                self.owed.unknown_is_past(Kept::Saved);
            }
            _ => {}
        }
    }

    /// Notes that a flow has ended, for log-outs, limits and callers.
    fn conclude(&mut self, lane: Lane, flow: &Flow, failure: Option<&Failure>, now: &mut Now) {
        match (&flow.course, failure) {
            (Course::Login(login), _) => self.remember_visit(login, failure),
            (Course::Errand(errand), _) if matches!(errand.task, Task::ReadAll) => {
                self.body.memory.was_read();
            }
            (Course::Errand(errand), Some(failure)) if errand.forgets() => {
                self.body.memory.log_outs().unread_to_forget(failure.kind());
            }
            (Course::Errand(errand), None) if matches!(errand.task, Task::Relist) => {
                self.still_refused(now);
            }
            _ => {}
        }
        let login = u8::from(failure.is_none() && lane == Lane::Person);
        let joined = |waiting: &&mut Waiting| waiting.lane == Some(lane);
        for waiting in self.waiters.iter_mut().filter(joined) {
            let want = &mut waiting.want;
            want.flows = want.flows.saturating_add(1);
            want.logins = want.logins.saturating_add(login);
        }
    }

    /// Returns true if the failed flow only read the store again, after an earlier reading. A store
    /// that is down now stops no login.
    fn read_before(&mut self, flow: &Flow, failure: &Failure, now: &mut Now) -> bool {
        let reads = flow.course.errand().is_some_and(|it| matches!(it.task, Task::ReadAll));
        let minor = !matches!(failure.kind(), Kind::StoreVersion | Kind::Cancelled);
        let before = reads && minor && self.body.memory.recalled;
        if before {
            now.note(Note::Store { kind: failure.kind() });
        }
        before
    }

    /// Gives the lease of an ended flow back, if there is one.
    fn release(&mut self, lane: Lane, lease: Option<Lease>, now: &mut Now) {
        if let Some(lease) = lease {
            self.launch(lane, Flow::errand(Task::GiveBack(lease)), now);
        }
    }

    /// A flow has failed. The intent that it has recorded in the store is taken back first: the
    /// program may end as soon as it is told, and the next one would find that the token may have
    /// been sent (REF-91).
    fn failed(&mut self, lane: Lane, untold: Untold, lease: Option<Lease>, now: &mut Now) {
        match lease {
            Some(lease) if lease.withdraw.is_some() => {
                let mut release = Flow::errand(Task::GiveBack(lease));
                release.untold = Some(Box::new(untold));
                self.launch(lane, release, now);
            }
            lease => {
                self.fail(lane, &untold, false, now);
                self.release(lane, lease, now);
            }
        }
    }

    /// The lease that a flow asked for, and the intent that is withdrawn with it. The intent of a
    /// token that was spent stands while the token's answer is out, while the store does not have
    /// the grant that came, or while the record of a dead token does not say so: it keeps other
    /// processes from spending the token again.
    fn lease(&mut self, flow: &Flow, (turn, tried): (Turn, Tried), gain: &Gain) -> Option<Lease> {
        let holder = self.holder?;
        let held = self.body.memory.grant.as_ref();
        // The intent does not stand where only this process had the token: it would meet its own
        // intent the next time.
        let unsaved = match gain {
            Gain::Brought { held: came, kept: Kept::Unsaved, .. } => {
                let token = &came.value.refresh_token;
                held.is_none_or(|held| held.value.refresh_token != *token)
                    && !self.body.memory.alone()
            }
            _ => false,
        };
        let out = matches!(flow.stage, Some(Stage::Token(_)));
        // The server has refused the token as dead, and the record does not say so yet: no copy of
        // the record sends it once more (REF-08, HOST-228).
        let unmarked = tried == Tried::Refused && self.body.memory.unmarked();
        // The mark may stand although the store said that it failed.
        let mut lease = Lease { key: turn.key, holder, withdraw: turn.mark };
        if lease.withdraw.is_some() {
            if unsaved {
                self.owed.owe_once_saved(lease.clone());
            }
            if out || unmarked {
                // The grant of a later login may have the number that the intent names.
                self.owed.stands(lease.clone());
            }
        }
        lease.withdraw.take_if(|_| out || unmarked || unsaved);
        Some(lease)
    }

    /// Gives up the work that is still out when a flow ends, since nobody waits for it any more.
    pub(super) fn give_up_unfinished(&mut self, flow: &mut Flow, now: &mut Now) {
        if let Some(parking) = flow.parking.take()
            && let Some(ticket) = parking.ticket
        {
            self.await_late_mark(flow, ticket);
            now.out.told.push(Told::Abandon(ticket));
        }
    }

    /// Publishes the grant that a flow brought. Returns the failure that the flow's callers hear of
    /// all the same, if there is one.
    fn install(
        &mut self,
        flow: &Flow,
        gain: Gain,
        failure: Option<Failure>,
        now: &mut Now,
    ) -> Option<Failure> {
        let (held, replaces, kept) = match gain {
            Gain::Brought { held, replaces, kept } => (held, replaces, kept),
            Gain::Adopted => {
                if self.body.memory.unpublished() {
                    self.publish(true, now);
                }
                return failure;
            }
            Gain::Nothing | Gain::Released(_) => {
                let read = flow.course.errand().is_some_and(|it| matches!(it.task, Task::ReadAll));
                if read {
                    self.publish_what_was_read(now);
                }
                return failure;
            }
        };
        match &flow.course {
            Course::Errand(errand) if errand.forgets() => {
                self.emptied(held, kept);
                return failure;
            }
            Course::Errand(_) => {
                let memory = &mut self.body.memory;
                if memory.saved(held, kept, now.mono) && memory.unpublished() {
                    self.publish(false, now);
                }
                return failure;
            }
            _ => {}
        }
        if let Err(failure) = held.value.recheck(&self.config.reach) {
            // The flow was restored under other switches. Its grant is in the store, and of no use
            // here.
            return Some(failure);
        }
        match &flow.course {
            Course::Login(login) => self.install_login(login, held, (replaces, kept), failure, now),
            _ => {
                let failure = self.install_grant(held, (replaces, kept), false, failure, now);
                self.body.memory.refresh_ended(now.mono);
                failure
            }
        }
    }

    /// The record of a log-out is emptied, or the store would not have it so.
    fn emptied(&mut self, held: Held<Grant>, kept: Kept) {
        match kept {
            Kept::Saved => self.body.memory.log_outs().forgot(held),
            Kept::Unsaved => self.body.memory.log_outs().forget_another_first(),
        }
    }

    /// Publishes the grant that was read from the store, if it is new and may be used.
    fn publish_what_was_read(&mut self, now: &mut Now) {
        let memory = &self.body.memory;
        let usable = memory
            .grant
            .as_ref()
            .is_some_and(|held| held.value.access_token.is_some() && !held.value.rejected);
        let news = memory.unpublished() && !memory.brought_back();
        if usable && news && memory.ours(&self.config, now.wall) {
            self.publish(true, now);
        }
    }

    /// Publishes the grant of a login, unless the store has brought it already.
    fn install_login(
        &mut self,
        login: &Login,
        mut held: Held<Grant>,
        (replaces, kept): (Replaces, Kept),
        failure: Option<Failure>,
        now: &mut Now,
    ) -> Option<Failure> {
        // The store may have brought this very login, perhaps renewed, before all was saved. A
        // refresh that has begun since then is a refresh of it.
        let published = !self.body.memory.unpublished();
        let here = self.body.memory.grant.as_ref().is_some_and(|ours| {
            merge(&held, ours, Occasion::LoginEnds { published }) == Word::Theirs
        });
        self.body.memory.logged_in(!here);
        let client = login.member().and_then(|member| member.enrolled.client.as_ref());
        if !self.config.persistent {
            let binding = self.binding(login);
            self.body.memory.bind(binding);
            if let Some(client) = client {
                self.body.memory.client_succeeded(&client.value.credentials.client_id);
            }
        }
        let overwritten = self.catch_up(&mut held, now);
        // The store may have been read meanwhile, and have brought another client.
        if let Some(client) = client
            && self.body.memory.client(&client.value.credentials.client_id).is_none()
        {
            self.body.memory.remember_client(client.clone());
        }
        if here {
            self.body.memory.issued_before_it_was_read();
            return failure;
        }
        self.body.memory.superseded();
        self.install_grant(held, (replaces, kept), overwritten, failure, now)
    }

    /// Publishes a grant that the server has issued to a login or a refresh.
    fn install_grant(
        &mut self,
        held: Held<Grant>,
        (replaces, kept): (Replaces, Kept),
        overwritten: bool,
        failure: Option<Failure>,
        now: &mut Now,
    ) -> Option<Failure> {
        let has_token = held.value.access_token.is_some();
        self.body.memory.issued(held, replaces);
        self.body.memory.issued_now(kept, now.mono);
        if overwritten && self.config.persistent {
            self.body.memory.custody().save_soon();
        }
        if has_token && self.body.memory.brought_back() {
            // A new epoch would restart the refresh for every caller, endlessly.
            return Some(failure.unwrap_or_else(unhelped));
        }
        if has_token {
            self.publish(false, now);
        }
        failure
    }

    /// Publishes the held token. `found` says that it comes out of the store.
    pub(super) fn publish(&mut self, found: bool, now: &mut Now) {
        let chance = now.draw.chance();
        self.body.memory.publish(&self.config, found, (now.wall, now.mono), chance);
        let published = self.body.memory.published.clone();
        now.out.told.push(Told::Publish(published));
    }

    /// Notes how a step-up has ended, for the limits.
    fn remember_visit(&mut self, login: &Login, failure: Option<&Failure>) {
        if login.why.cause == Cause::StepUp {
            let declined = failure.is_some_and(declined);
            self.body.history.step_up_ends(&login.why.operation, failure.is_none(), declined);
        }
    }

    /// The issuer is still listed, so nothing explains why a fresh token was refused.
    pub(super) fn still_refused(&mut self, now: &mut Now) {
        let again: Vec<_> = self.waiters.extract_if(.., |waiting| waiting.want.again).collect();
        for waiting in again {
            self.refuse(waiting.id, waiting.want.named.explain(unhelped()), now);
        }
    }

    /// Settles the callers that waited for a flow that failed. `unreleased` says that the store has
    /// not taken back the intent that the flow had recorded there.
    fn fail(&mut self, lane: Lane, untold: &Untold, unreleased: bool, now: &mut Now) {
        let Untold { flow, tried, failure } = untold;
        let refresh = flow.course.refresh().is_some();
        if refresh {
            // If the store let no request be sent, the next caller may try at once.
            if *tried != Tried::Nothing {
                self.body.memory.refresh_ended(now.mono);
            }
            self.body.memory.postpone_ahead(now.mono);
        }
        let relist = flow.course.errand().is_some_and(|it| matches!(it.task, Task::Relist));
        let mendable = (refresh || relist) && self.mendable(*tried, failure.kind(), now);
        let failure = Arc::new(step_up_declined(flow, failure.clone()));
        let memory = &self.body.memory;
        let granted = memory.published.as_ref().filter(|_| refresh);
        let live = granted.filter(|granted| !granted.life().expired(now.wall, now.mono));
        let serves = |want: &Want| !(mendable && want.may_ask) && serves(flow, want);
        let served: Vec<_> = self
            .waiters
            .extract_if(.., |waiting| waiting.lane == Some(lane) && serves(&waiting.want))
            .collect();
        for waiting in self.waiters.iter_mut() {
            waiting.want.again &= !mendable;
        }
        for Waiting { id: waiter, want, .. } in served {
            let outcome = match live {
                Some(granted) if want.newer_than.is_none_or(|over| granted.epoch() > over) => {
                    Ok(Arc::clone(granted))
                }
                // The reason why the list could not be read is not the reason why the request was
                // refused.
                _ if relist && !mendable => Err(Arc::new(want.named.explain(unhelped()))),
                _ if mendable && failure.kind() != Kind::IssuerChanged => {
                    Err(Arc::new(reauthorize(&failure)))
                }
                _ => Err(Arc::clone(&failure)),
            };
            let unsaved = memory.unsaved() || unreleased;
            let had = want.has(memory.current(), memory.found);
            now.out.told.push(Told::Settle(Settlement { waiter, outcome, unsaved, had }));
        }
    }

    /// Returns true if a person can mend the failure of a refresh. The callers that may ask a
    /// person then hear nothing of it. No caller gets a page for a network that is down (REF-09).
    fn mendable(&self, tried: Tried, kind: Kind, now: &Now) -> bool {
        let refused = tried == Tried::Refused
            || matches!(
                kind,
                Kind::GrantRejected
                    | Kind::ReauthorizationRequired
                    | Kind::ClientRejected
                    | Kind::IssuerChanged
            );
        // Where the same refresh could be sent again, those callers would wait for it for ever.
        refused && !self.body.memory.refreshable(&self.config, now.wall, now.mono)
    }
}

/// The page for the browser that brought the callback.
fn page(failure: Option<&Failure>, parties: Parties) -> Page {
    match failure {
        None => Page::Authorized(parties),
        Some(failure) if declined(failure) => Page::Denied(parties),
        Some(failure) => Page::Failed { parties, kind: failure.kind(), remedy: failure.remedy() },
    }
}

/// The failure of a refused refresh for a caller that may not ask a person, in the server's own
/// words.
pub(super) fn reauthorize(failure: &Failure) -> Failure {
    if failure.kind() == Kind::ClientRejected {
        return failure.clone();
    }
    let rule = if failure.kind() == Kind::GrantRejected { "REF-08" } else { "REF-90" };
    let told = Failure::new(Kind::ReauthorizationRequired, rule);
    let told = told.with_evidence(failure.evidence().to_vec());
    failure.said().cloned().into_iter().fold(told, Failure::with_said)
}

/// Returns true if a login was for this caller too. A caller that joined a page for other scopes is
/// not settled with that page's refusal.
pub(super) fn serves(flow: &Flow, want: &Want) -> bool {
    let Some(login) = flow.course.login() else { return true };
    let cause = login.why.cause;
    (cause == want.cause || cause != Cause::StepUp)
        && login.place().is_none_or(|place| place.scopes.covers(&want.scopes))
}

/// A step-up that a person refused is the refusal of that request only (HOST-249).
pub(super) fn step_up_declined(flow: &Flow, failure: Failure) -> Failure {
    let step_up = flow.course.login().is_some_and(|login| login.why.cause == Cause::StepUp);
    if step_up && declined(&failure) {
        return Failure::new(Kind::StepUpDeclined, "STEP-06")
            .with_evidence(failure.evidence().to_vec());
    }
    failure
}

/// Returns true if the person said no, and not the server for a reason of its own (STEP-15).
pub(super) fn declined(failure: &Failure) -> bool {
    failure.kind() == Kind::AuthorizationDenied
        && failure.said().is_some_and(|said| said.error == "access_denied")
}
