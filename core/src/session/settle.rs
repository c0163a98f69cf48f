//! Who is settled now, and what is started for the others.

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
    /// Settles whom it can and starts what the others need, until nothing changes.
    pub(super) fn settle(&mut self, now: &mut Now) {
        // First, since a refresh could find an intent of this session's own.
        self.give_back_first(now);
        let mut at = 0;
        while at < self.waiters.len() {
            at = self.serve(at, now);
        }
        self.run_chores(now);
        self.tell_forgotten(now);
        self.tell_saved(now);
    }

    /// Settles one caller, or has it wait for a flow. Answers which caller is next.
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

    /// A caller gets nothing, and hears of what its refusal said.
    fn turn_away(&mut self, at: usize, failure: Failure, now: &mut Now) -> usize {
        let Waiting { id, want, .. } = self.waiters.remove(at);
        self.refuse(id, want.named.explain(failure), now);
        at
    }

    /// A caller waits for a lane, whose flow is started if it is free.
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

    /// What is to be given back goes before the callers' flows.
    fn give_back_first(&mut self, now: &mut Now) {
        self.owe_what_is_saved();
        let owed = self.chores(now.mono).give_back.filter(|at| *at <= now.mono);
        if owed.is_some() && self.free(Lane::Background) {
            self.run_chore(Chore::GiveBack, now);
        }
    }

    /// A lane that no caller needs does what is left, one thing after the other.
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

    fn run_chore(&mut self, chore: Chore, now: &mut Now) {
        match chore {
            Chore::GiveBack => self.give_back_owed(now),
            Chore::Revoke => self.give_back(now),
            Chore::Forget => self.forget_again(now),
            Chore::Save => self.save_again(now),
            Chore::RefreshAhead => {
                let refresh = Refresh::Start { pointer: None };
                self.launch(Lane::Background, Flow::new(Course::Refresh(refresh)), now);
            }
        }
    }

    /// What is left to do for the store and for log-outs.
    fn chores(&self, now: Monotonic) -> Chores {
        let (memory, persistent) = (&self.body.memory, self.config.persistent);
        let revokes = !self.body.log_out.to_revoke.is_empty();
        Chores {
            give_back: self.owed.next(now).filter(|_| persistent),
            revoke: revokes.then_some(now),
            forget: memory.forget_at(now).filter(|_| persistent),
            save: memory.save_at(now).filter(|_| persistent),
            refresh_ahead: None,
        }
    }

    /// When a free lane is to be woken for a chore.
    pub(super) fn chore_due(&self) -> Option<Monotonic> {
        let now = self.body.mono;
        let free = self.free(Lane::Background).then(|| next_chore(self.chores(now), now));
        free.flatten().map(|(at, _)| at)
    }

    /// Whether those who wait for machines are told of a failure as soon as it is durable (REF-91), or
    /// as soon as the store has been asked once more (REF-08).
    fn untold(&self) -> bool {
        let refused = |flow: &Flow| flow.course.refresh().is_some_and(Refresh::refused);
        self.body.background.as_ref().is_some_and(|flow| flow.untold.is_some() || refused(flow))
    }

    /// Who uses what is published without asking the session is to know whether it is saved.
    fn tell_saved(&mut self, now: &mut Now) {
        let memory = &mut self.body.memory;
        if memory.published.as_ref().is_some_and(|granted| granted.unsaved != memory.unsaved()) {
            memory.republish(&self.config);
            now.out.told.push(Told::Publish(memory.published.clone()));
        }
    }

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

    pub(super) fn join(&mut self, at: usize, lane: Lane) {
        let marking = self.body.person.as_ref().is_some_and(|flow| flow.marks());
        if lane == Lane::Person && marking {
            return;
        }
        let before = self.waiters.get_mut(at).and_then(|waiting| waiting.lane.replace(lane));
        if before == Some(Lane::Person) && lane != Lane::Person {
            // What it waits for now may serve it.
            self.orphan();
        }
        if lane == Lane::Person
            && let Some(flow) = &mut self.body.person
        {
            flow.orphaned = false;
        }
    }

    /// A step-up is counted when it starts, and not again for those who join it.
    fn may_start(&mut self, course: &Course, mono: Monotonic) -> Result<(), Failure> {
        match course.login().map(|login| &login.why) {
            Some(why) if why.cause == Cause::StepUp => {
                let scopes = why.challenged.clone().unwrap_or_default();
                self.body.history.may_step_up(&why.operation, &scopes, mono)
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
        let unsaved = memory.unsaved();
        now.out.told.push(Told::Settle(Settlement { waiter, outcome, unsaved, had }));
    }

    pub(super) fn standing(&self, want: &Want, now: &Now) -> Standing {
        let memory = &self.body.memory;
        let granted = memory.published.as_ref();
        // While a login at another issuer is under way, what is held is for the old one (BIND-06).
        let person = self.body.person.as_ref().and_then(|flow| flow.course.login());
        let place = person.and_then(Login::place);
        let moved = place.is_some_and(|place| place.previous_issuer.is_some());
        // A refresh has just been tried for this token, and what it brought was refused. What another
        // process has logged in for is none of that.
        let useless = matches!(want.cause, Cause::Asked | Cause::Named)
            && want.newer_than.is_some_and(|over| memory.current() <= Some(over));
        // Whoever follows the advice to log in is not made to refresh once more (REF-90).
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

    /// Whether the store should be read again before a person is asked. What this session could not
    /// save or remove there is newer than what it would find.
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

    /// Whether a refresh ahead of time is due; callers keep using the live token meanwhile. Once it is
    /// over the next caller starts one: a session that nobody asks sends nothing for hours on end.
    fn ageing(&self, now: &Now) -> bool {
        let memory = &self.body.memory;
        memory.ageing(now.wall, now.mono)
            && memory.published.as_ref().is_some_and(|it| !it.life().expired(now.wall, now.mono))
            && memory.rested(now.mono)
            && memory.refreshable(&self.config, now.wall, now.mono)
    }
}
