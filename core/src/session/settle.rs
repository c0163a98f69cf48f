//! Who is settled now, and what is started for the others.

use std::sync::Arc;

use crate::effect::{Settlement, Told};
use crate::failure::{Failure, Kind};
use crate::session::lanes::{self, Cause, Flow, Goal, Lane};
use crate::session::plan::{Standing, Start, Verdict, verdict};
use crate::session::waiters::Waiting;
use crate::session::waiters::Want;
use crate::session::{Now, Session};
use crate::time::Monotonic;

impl Session {
    /// Settles whom it can and starts what the others need, until nothing changes.
    pub(super) fn settle(&mut self, now: &mut Now) {
        // First, since a refresh could find an intent of this session's own.
        self.give_back_owed(now);
        let mut at = 0;
        while let Some(waiting) = self.waiters.get(at) {
            if waiting.lane == Some(Lane::Machine) && self.untold() {
                at = at.saturating_add(1);
                continue;
            }
            match verdict(waiting.want.wish(), self.standing(&waiting.want, now)) {
                Verdict::Use => {
                    let waiting = self.waiters.remove(at);
                    let lane = waiting.lane;
                    self.grant(&waiting, now);
                    if lane == Some(Lane::Person) {
                        self.orphan();
                    }
                }
                Verdict::Fail(kind, rule) => {
                    let Waiting { id, want, .. } = self.waiters.remove(at);
                    let failure = self.body.memory.in_words(Failure::new(kind, rule), now.mono);
                    self.refuse(id, want.named.explain(failure), now);
                }
                Verdict::Await(lane, start) => {
                    if let Some(failure) = waiting.want.enough(lane) {
                        let Waiting { id, want, .. } = self.waiters.remove(at);
                        self.refuse(id, want.named.explain(failure), now);
                        continue;
                    }
                    if self.free(lane) {
                        let id = waiting.id;
                        let goal = match start {
                            Start::Recall => Goal::Recall,
                            Start::Refresh => Goal::Refresh(waiting.want.refresh()),
                            Start::Relist => Goal::Relist,
                            Start::Login => Goal::Login(waiting.want.login()),
                        };
                        if let Err(failure) = self.may_start(&goal, now.mono) {
                            self.waiters.remove(at);
                            self.refuse(id, failure, now);
                            continue;
                        }
                        self.join(at, lane);
                        // A flow that ends at once changes everybody's verdict.
                        let ended = self.start(lane, goal, now);
                        at = if ended { 0 } else { at.saturating_add(1) };
                    } else {
                        self.join(at, lane);
                        at = at.saturating_add(1);
                    }
                }
            }
        }
        self.give_back_owed(now);
        self.give_back(now);
        self.forget_again(now);
        self.save_again(now);
        self.refresh_ahead(now);
        self.tell_forgotten(now);
        self.tell_saved(now);
        self.give_back_owed(now);
    }

    /// Whether those who wait for machines are told of a failure as soon as it is durable (REF-91), or
    /// as soon as the store has been asked once more (REF-08).
    fn untold(&self) -> bool {
        let refused = |flow: &Flow| matches!(flow.goal, Goal::Refresh(_)) && flow.ground.refused;
        self.body.machine.as_ref().is_some_and(|flow| flow.untold.is_some() || refused(flow))
    }

    /// Who uses what is published without asking the session is to know whether it is saved.
    fn tell_saved(&mut self, now: &mut Now) {
        let memory = &mut self.body.memory;
        if memory.published.as_ref().is_some_and(|granted| granted.unsaved != memory.unsaved) {
            memory.republish(&self.config);
            now.out.told.push(Told::Publish(memory.published.clone()));
        }
    }

    pub(super) const fn free(&self, lane: Lane) -> bool {
        match lane {
            Lane::Machine => self.body.machine.is_none(),
            Lane::Person => self.body.person.is_none(),
        }
    }

    /// A login whose last caller was served in another way shows no page any more.
    fn orphan(&mut self) {
        if !self.waiters.iter().any(|waiting| waiting.lane == Some(Lane::Person))
            && let Some(flow) = &mut self.body.person
        {
            flow.orphaned = true;
        }
    }

    pub(super) fn join(&mut self, at: usize, lane: Lane) {
        let marking = self.body.person.as_ref().is_some_and(|flow| flow.marking());
        if lane == Lane::Person && marking {
            return;
        }
        if let Some(waiting) = self.waiters.get_mut(at) {
            waiting.lane = Some(lane);
        }
        if lane == Lane::Person
            && let Some(flow) = &mut self.body.person
        {
            flow.orphaned = false;
        }
    }

    /// A step-up is counted when it starts, and not again for those who join it.
    pub(super) fn may_start(&mut self, goal: &Goal, mono: Monotonic) -> Result<(), Failure> {
        match goal {
            Goal::Login(login) if login.cause == Cause::StepUp => {
                let scopes = login.challenged.clone().unwrap_or_default();
                self.body.history.may_step_up(&login.operation, &scopes, mono)
            }
            _ => Ok(()),
        }
    }

    fn grant(&mut self, waiting: &Waiting, now: &mut Now) {
        let memory = &self.body.memory;
        let had = waiting.want.has(memory.current(), memory.found);
        let waiter = waiting.id;
        let outcome = match &memory.published {
            Some(granted) => Ok(Arc::clone(granted)),
            None => Err(Arc::new(Failure::new(Kind::ReauthorizationRequired, "STEP-12"))),
        };
        let unsaved = memory.unsaved;
        now.out.told.push(Told::Settle(Settlement { waiter, outcome, unsaved, had }));
    }

    pub(super) fn standing(&self, want: &Want, now: &Now) -> Standing {
        let memory = &self.body.memory;
        let granted = memory.published.as_ref();
        // While a login at another issuer is under way, what is held is for the old one (BIND-06).
        let moved =
            self.body.person.as_ref().is_some_and(|flow| flow.ground.previous_issuer.is_some());
        // A refresh has just been tried for this token, and what it brought was refused. What another
        // process has logged in for is none of that.
        let useless = matches!(want.cause, Cause::Asked | Cause::Named)
            && want.over.is_some_and(|over| memory.current() <= Some(over));
        // Whoever follows the advice to log in is not made to refresh once more (REF-90).
        let in_vain = want.cause == Cause::Named && memory.doubted();
        Standing {
            recalled: memory.recalled || !self.config.persistent,
            unread: self.unread(want),
            current: memory.current(),
            live: granted.is_some_and(|granted| !granted.life().over(now.wall, now.mono)),
            renewed: memory.current() > want.since && !memory.found,
            covers: memory.requested().is_some_and(|asked| asked.covers(&want.scopes))
                || want.scopes.is_empty(),
            refreshable: !(moved || useless || in_vain)
                && memory.refreshable(&self.config, now.wall, now.mono),
            rested: memory.rested(now.mono),
            moved: moved || memory.moved_lately(now.mono),
            minted: memory.newly_minted(now.mono) && !memory.found && !memory.unrenewable(now.mono),
        }
    }

    /// Whether the store should be read again before a person is asked. What this session could not
    /// save or remove there is newer than what it would find.
    fn unread(&self, want: &Want) -> bool {
        let memory = &self.body.memory;
        let joins = want.may_ask && self.body.person.is_some();
        self.config.persistent
            && memory.recalled
            && want.reads == memory.reads
            && !joins
            && !memory.unsaved
            && !memory.forgetting()
    }

    /// Starts a refresh ahead of time; callers keep using the live token meanwhile. Once it is over
    /// the next caller starts one: a session that nobody asks sends nothing for hours on end.
    pub(super) fn refresh_ahead(&mut self, now: &mut Now) {
        let memory = &self.body.memory;
        if self.body.machine.is_none()
            && memory.ageing(now.wall, now.mono)
            && memory.published.as_ref().is_some_and(|it| !it.life().over(now.wall, now.mono))
            && memory.rested(now.mono)
            && memory.refreshable(&self.config, now.wall, now.mono)
        {
            self.start(Lane::Machine, Goal::Refresh(lanes::RefreshGoal::default()), now);
        }
    }
}
