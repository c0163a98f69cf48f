//! Settles the callers that can be settled now, and starts the flows that the others need.

use std::sync::Arc;

use crate::effect::{Settlement, Told};
use crate::failure::{Failure, Kind};
use crate::flow::errands::Task;
use crate::flow::login::Cause;
use crate::flow::{Course, Errand, Login, Refresh};
use crate::session::lanes::{Flow, Lane};
use crate::session::plan::{Chore, Chores, Standing, Start, Verdict, next_chore, verdict};
use crate::session::waiters::Waiting;
use crate::session::waiters::Want;
use crate::session::{Now, Session};
use crate::time::Monotonic;

impl Session {
    /// Settles the callers it can and starts the flows that the others need, until nothing changes.
    pub(super) fn settle(&mut self, now: &mut Now) {
        // This goes first, since a refresh could find an intent of this session's own.
        self.give_back_first(now);
        let mut at = 0;
        while at < self.waiters.len() {
            at = self.serve(at, now);
        }
        self.run_chores(now);
        self.tell_forgotten(now);
        self.tell_saved(now);
    }

    /// Settles one caller, or has it wait for a flow. Returns the index of the next caller.
    fn serve(&mut self, at: usize, now: &mut Now) -> usize {
        let Some(waiting) = self.waiters.get(at) else { return at };
        if waiting.lane == Some(Lane::Background) && self.untold() {
            return at.saturating_add(1);
        }
        match verdict(waiting.want.wish(), self.standing(&waiting.want, now)) {
            Verdict::Use => {
                let waiting = self.waiters.remove(at);
                self.grant(&waiting, now);
                if waiting.lane == Some(Lane::Person) {
                    self.orphan();
                }
                at
            }
            Verdict::Fail(kind, rule) => {
                let failure = self.body.memory.in_words(Failure::new(kind, rule), now.mono);
                self.turn_away(at, failure, now)
            }
            Verdict::Await(lane, start) => match waiting.want.enough(lane) {
                Some(failure) => self.turn_away(at, failure, now),
                None => self.have_wait(at, lane, start, now),
            },
        }
    }

    /// A caller gets a failure that includes the words of its own refusal. Returns the index of the
    /// next caller.
    fn turn_away(&mut self, at: usize, failure: Failure, now: &mut Now) -> usize {
        let Waiting { id, want, .. } = self.waiters.remove(at);
        self.refuse(id, want.named.explain(failure), now);
        at
    }

    /// A caller waits for a lane, whose flow is started if the lane is free. Returns the index of
    /// the next caller.
    fn have_wait(&mut self, at: usize, lane: Lane, start: Start, now: &mut Now) -> usize {
        let next = at.saturating_add(1);
        let Some(Waiting { id, want, .. }) = self.waiters.get(at).filter(|_| self.free(lane))
        else {
            self.join(at, lane);
            return next;
        };
        let id = *id;
        let course = match start {
            Start::Recall => Course::Errand(Errand::new(Task::ReadAll)),
            Start::Refresh => Course::Refresh(want.refresh()),
            Start::Relist => Course::Errand(Errand::new(Task::Relist)),
            Start::Login => Course::Login(Login::new(want.login())),
        };
        if let Err(failure) = self.may_start(&course, now.mono) {
            self.waiters.remove(at);
            self.refuse(id, failure, now);
            return at;
        }
        self.join(at, lane);
        // A flow that ends at once changes everybody's verdict.
        if self.launch(lane, Flow::new(course), now) { 0 } else { next }
    }

    /// Owed leases are given back before the callers' flows start.
    fn give_back_first(&mut self, now: &mut Now) {
        self.owe_what_is_saved();
        let owed = self.chores(now.mono).give_back.filter(|at| *at <= now.mono);
        if owed.is_some() && self.free(Lane::Background) {
            self.run_chore(Chore::GiveBack, now);
        }
    }

    /// A lane that no caller needs runs the chores that are left, one after the other.
    fn run_chores(&mut self, now: &mut Now) {
        self.owe_what_is_saved();
        while self.free(Lane::Background) && now.may_step() {
            let ahead = self.ageing(now).then_some(now.mono);
            let chores = Chores { refresh_ahead: ahead, ..self.chores(now.mono) };
            match next_chore(chores, now.mono) {
                Some((at, chore)) if at <= now.mono => self.run_chore(chore, now),
                _ => return,
            }
            self.owe_what_is_saved();
        }
    }

    /// Starts the flow of a chore.
    fn run_chore(&mut self, chore: Chore, now: &mut Now) {
        match chore {
            Chore::GiveBack => self.give_back_owed(now),
            Chore::Revoke => self.give_back(now),
            Chore::Forget => self.forget_again(now),
            Chore::Save => self.save_again(now),
            // A refresh whose token is dead writes that down, and sends nothing.
            Chore::MarkDead | Chore::RefreshAhead => {
                let refresh = Refresh::Start { pointer: None };
                self.launch(Lane::Background, Flow::new(Course::Refresh(refresh)), now);
            }
        }
    }

    /// The chores that are left for the store and for log-outs.
    fn chores(&self, now: Monotonic) -> Chores {
        let (memory, persistent) = (&self.body.memory, self.config.persistent);
        let revokes = !self.body.log_out.to_revoke.is_empty();
        Chores {
            give_back: self.owed.next(now).filter(|_| persistent),
            revoke: revokes.then_some(now),
            forget: memory.forget_at(now).filter(|_| persistent),
            save: memory.save_at(now).filter(|_| persistent),
            mark_dead: memory.mark_dead_at(now).filter(|_| persistent),
            refresh_ahead: None,
        }
    }

    /// The time at which a free lane is to be woken for a chore.
    pub(super) fn chore_due(&self) -> Option<Monotonic> {
        let now = self.body.mono;
        let free = self.free(Lane::Background).then(|| next_chore(self.chores(now), now));
        free.flatten().map(|(at, _)| at)
    }

    /// Returns true if the callers that wait for machines must not hear of a failure yet. They hear
    /// of it as soon as it is durable (REF-91), or as soon as the store has been asked once more
    /// (REF-08).
    fn untold(&self) -> bool {
        let refused = |flow: &Flow| flow.course.refresh().is_some_and(Refresh::refused);
        self.body.background.as_ref().is_some_and(|flow| flow.untold.is_some() || refused(flow))
    }

    /// Readers of the published grant must see whether it is saved, even those that never ask the
    /// session.
    fn tell_saved(&mut self, now: &mut Now) {
        let memory = &mut self.body.memory;
        if memory.published.as_ref().is_some_and(|granted| granted.unsaved != memory.unsaved()) {
            memory.republish(&self.config);
            now.out.told.push(Told::Publish(memory.published.clone()));
        }
    }

    /// Returns true if no flow runs in this lane.
    pub(super) const fn free(&self, lane: Lane) -> bool {
        match lane {
            Lane::Background => self.body.background.is_none(),
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

    /// Has a caller wait for a lane. A login that only marks its registration takes no more
    /// callers.
    pub(super) fn join(&mut self, at: usize, lane: Lane) {
        let marking = self.body.person.as_ref().is_some_and(|flow| flow.marks());
        if lane == Lane::Person && marking {
            return;
        }
        let before = self.waiters.get_mut(at).and_then(|waiting| waiting.lane.replace(lane));
        if before == Some(Lane::Person) && lane != Lane::Person {
            // The flow that the caller waits for now may serve it.
            self.orphan();
        }
        if lane == Lane::Person
            && let Some(flow) = &mut self.body.person
        {
            flow.orphaned = false;
        }
    }

    /// Checks that a flow may start. A step-up is counted when it starts, and not again for callers
    /// that join it.
    fn may_start(&mut self, course: &Course, mono: Monotonic) -> Result<(), Failure> {
        match course.login().map(|login| &login.why) {
            Some(why) if why.cause == Cause::StepUp => {
                let scopes = why.challenged.clone().unwrap_or_default();
                self.body.history.may_step_up(&why.operation, &scopes, mono)
            }
            _ => Ok(()),
        }
    }

    /// Settles a caller with the published grant.
    fn grant(&mut self, waiting: &Waiting, now: &mut Now) {
        let memory = &self.body.memory;
        let had = waiting.want.has(memory.current(), memory.found);
        let waiter = waiting.id;
        let outcome = match &memory.published {
            Some(granted) => Ok(Arc::clone(granted)),
            None => Err(Arc::new(Failure::new(Kind::ReauthorizationRequired, "STEP-12"))),
        };
        let unsaved = memory.unsaved();
        now.out.told.push(Told::Settle(Settlement { waiter, outcome, unsaved, had }));
    }

    /// The state of things for a want, as the verdict needs it.
    pub(super) fn standing(&self, want: &Want, now: &Now) -> Standing {
        let memory = &self.body.memory;
        let granted = memory.published.as_ref();
        // While a login at another issuer is under way, the held grant is for the old one
        // (BIND-06).
        let person = self.body.person.as_ref().and_then(|flow| flow.course.login());
        let place = person.and_then(Login::place);
        let moved = place.is_some_and(|place| place.previous_issuer.is_some());
        // A refresh has just been tried for this token, and the token that it brought was refused.
        // The grant of another process's login is not such a token.
        let useless = matches!(want.cause, Cause::Asked | Cause::Named)
            && want.newer_than.is_some_and(|over| memory.current() <= Some(over));
        // A caller that follows the advice to log in is not made to refresh once more (REF-90).
        let in_vain = want.cause == Cause::Named && memory.doubted();
        Standing {
            recalled: memory.recalled || !self.config.persistent,
            unread: self.unread(want),
            current: memory.current(),
            live: granted.is_some_and(|granted| !granted.life().expired(now.wall, now.mono)),
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

    /// Returns true if the store should be read again before a person is asked. A record that this
    /// session could not save or remove there is newer than the one it would find.
    fn unread(&self, want: &Want) -> bool {
        let memory = &self.body.memory;
        let joins = want.may_ask && self.body.person.is_some();
        self.config.persistent
            && memory.recalled
            && want.reads == memory.reads
            && !joins
            && !memory.unsaved()
            && !memory.forgetting()
    }

    /// Returns true if a refresh ahead of time is due. Callers keep using the live token meanwhile.
    /// Once the token's life is over the next caller starts the refresh: a session that nobody asks
    /// sends nothing for hours on end.
    fn ageing(&self, now: &Now) -> bool {
        let memory = &self.body.memory;
        memory.ageing(now.wall, now.mono)
            && memory.published.as_ref().is_some_and(|it| !it.life().expired(now.wall, now.mono))
            && memory.rested(now.mono)
            && memory.refreshable(&self.config, now.wall, now.mono)
    }
}
