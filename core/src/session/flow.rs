//! Runs a flow: stage after stage, until one waits or the flow is over.

use crate::effect::{Holder, Told, Work};
use crate::failure::{Failure, Fault};
use crate::flow::{Course, End, Known, bug, errands, login, refresh};
use crate::machine::{Cx, Parked, Signal, SignalName, StateName};
use crate::note::{Edge, Note};
use crate::secret::Secret;
use crate::session::lanes::{Flow, Lane, Parking};
use crate::session::{Now, Session};
use crate::stage::claim::PATIENCE;
use crate::stage::discovery::Looked;
use crate::stage::{Brought, Moved, Stage};
use crate::time::{Awaited, Monotonic};

impl Session {
    /// Starts a flow in a free lane. Returns true if it has ended already.
    pub(super) fn launch(&mut self, lane: Lane, mut flow: Box<Flow>, now: &mut Now) -> bool {
        flow.logins = self.body.memory.logins;
        flow.epoch = self.body.memory.epoch;
        flow.leaving = Some((StateName::Start, SignalName::Begin));
        let known = self.known(now.mono);
        let end = match &mut flow.course {
            Course::Login(login) => login.on(login::Met::Begin, known),
            Course::Refresh(refresh) => refresh.on(refresh::Met::Begin, known),
            Course::Errand(errand) => errand.on(errands::Met::Begin),
        };
        self.go_on(lane, flow, end, now);
        self.lane(lane).is_none()
    }

    /// Goes on with a flow that waits for nothing, or that is over.
    pub(super) fn go_on(&mut self, lane: Lane, flow: Box<Flow>, end: Option<End>, now: &mut Now) {
        if let Some(flow) = self.enter_state(lane, flow, end, now) {
            self.run(lane, flow, Signal::Begin, now);
        }
    }

    /// A restart has cost a flow the right to send, which it claims anew.
    pub(super) fn claim_again(&mut self, lane: Lane, mut flow: Box<Flow>, now: &mut Now) {
        flow.leaving = Some((flow.state(), SignalName::Resumed));
        flow.stage = None;
        flow.parking = None;
        let end = match flow.course {
            Course::Login(_) => self.login_on(&mut flow, login::Met::Resumed, now),
            _ => self.refresh_on(&mut flow, refresh::Met::Resumed, now),
        };
        self.go_on(lane, flow, end, now);
    }

    /// Ends a flow from outside.
    pub(super) fn stop(
        &mut self,
        lane: Lane,
        mut flow: Box<Flow>,
        failure: Failure,
        now: &mut Now,
    ) {
        let end = self.fails(&mut flow, failure, now);
        self.go_on(lane, flow, end, now);
    }

    /// Gives a flow's stage a signal, and goes on from stage to stage until one waits.
    pub(super) fn run(&mut self, lane: Lane, mut flow: Box<Flow>, signal: Signal, now: &mut Now) {
        let mut signal = signal;
        loop {
            let from = flow.state();
            let Some(stage) = flow.stage.take().filter(|_| now.may_step()) else {
                now.note(Note::Fault(Fault::MissingGround));
                let end = flow.course.fail(bug());
                return self.end(lane, flow, end, now);
            };
            let end = match self.step(stage, signal, &mut flow, now) {
                Ok(Moved::Wait(stage, parked)) => return self.wait(lane, flow, stage, parked, now),
                Ok(Moved::Done(brought)) => {
                    flow.leaving = Some((from, brought.name()));
                    flow.parking = None;
                    self.absorb(&mut flow, brought, now)
                }
                Err(failure) => {
                    flow.leaving = Some((from, SignalName::Failed));
                    self.stage_failed(&mut flow, failure, now)
                }
            };
            match self.enter_state(lane, flow, end, now) {
                Some(on) => flow = on,
                None => return,
            }
            signal = Signal::Begin;
        }
    }

    /// Makes the stage that a flow's new state runs, and notes the edge that led there. Returns the
    /// flow, if it goes on.
    fn enter_state(
        &mut self,
        lane: Lane,
        mut flow: Box<Flow>,
        mut end: Option<End>,
        now: &mut Now,
    ) -> Option<Box<Flow>> {
        loop {
            if let Some(end) = end {
                self.end(lane, flow, end, now);
                return None;
            }
            match self.stage_of(&mut flow, now) {
                Ok(stage) => {
                    flow.stage = Some(stage);
                    let to = flow.state();
                    took(&mut flow, to, now);
                    return Some(flow);
                }
                Err(failure) => end = self.fails(&mut flow, failure, now),
            }
        }
    }

    /// The stage that the state of a flow runs.
    fn stage_of(&mut self, flow: &mut Flow, now: &mut Now) -> Result<Stage, Failure> {
        match flow.course {
            Course::Login(_) => self.stage_of_login(flow, now),
            Course::Refresh(_) => self.stage_of_refresh(flow, now),
            Course::Errand(_) => self.stage_of_errand(flow),
        }
    }

    /// Takes in the result of a stage. Returns the end of the flow, if the flow ends with it.
    fn absorb(&mut self, flow: &mut Flow, brought: Brought, now: &mut Now) -> Option<End> {
        match flow.course {
            Course::Login(_) => self.login_met(flow, brought, now),
            Course::Refresh(_) => self.refresh_met(flow, brought, now),
            Course::Errand(_) => self.errand_met(flow, brought, now),
        }
    }

    /// A server that cannot say now whether the issuer is still listed stops no refresh (STEP-12).
    fn stage_failed(&mut self, flow: &mut Flow, failure: Failure, now: &mut Now) -> Option<End> {
        if flow.state() != StateName::Listing || !failure.remedy().retryable() {
            return self.fails(flow, failure, now);
        }
        let subject = failure.subject().unwrap_or_default().to_owned();
        now.note(Note::Dropped { kind: failure.kind(), rule: failure.rule(), subject });
        flow.parking = None;
        self.absorb(flow, Brought::Looked(Looked::StillListed), now)
    }

    /// A flow fails. It is over, unless its failure says something of a registration that is to be
    /// written before anybody hears of the failure: a caller that hears of it may end the program.
    pub(super) fn fails(
        &mut self,
        flow: &mut Flow,
        failure: Failure,
        now: &mut Now,
    ) -> Option<End> {
        let Some(doubted) = self.doubts(flow, &failure) else {
            return Some(flow.course.fail(failure));
        };
        self.give_up_unfinished(flow, now);
        flow.stage = None;
        let known = self.known(now.mono);
        match &mut flow.course {
            Course::Login(login) => login.on(login::Met::Doubted(doubted, failure), known),
            other => Some(other.fail(failure)),
        }
    }

    /// A small view of the held grant, for flows.
    pub(super) fn known(&self, now: Monotonic) -> Known<'_> {
        Known {
            store: self.config.persistent,
            grant: self.body.memory.grant.as_ref(),
            shared: self.body.memory.shared(),
            patience: now.after(PATIENCE),
        }
    }

    /// A stage waits for its effect, and its flow stays in the lane.
    fn wait(
        &mut self,
        lane: Lane,
        mut flow: Box<Flow>,
        stage: Stage,
        parked: Parked,
        now: &mut Now,
    ) {
        flow.stage = Some(stage);
        // A stage that goes on waiting keeps the ticket it had, unless nothing is out.
        let before = flow.parking.take().and_then(|parking| parking.ticket);
        let kept = before.filter(|_| parked.awaited != Awaited::Pause);
        flow.parking = Some(Parking {
            awaited: parked.awaited,
            until: parked.until,
            ticket: parked.ticket.or(kept),
        });
        if let Some(work) = parked.work {
            if matches!(work, Work::Listen(_)) {
                // The earlier listener could not be had, or the new one takes its place.
                let before = flow.listener.replace(work.id());
                now.out.told.extend(before.map(Told::Abandon));
            }
            now.out.work.push(work);
        }
        *self.lane(lane) = Some(flow);
    }

    /// Gives a stage one signal, with its view of the session.
    fn step(
        &mut self,
        stage: Stage,
        signal: Signal,
        flow: &mut Flow,
        now: &mut Now,
    ) -> Result<Moved, Failure> {
        let heard = matches!(signal, Signal::Callback(_) | Signal::Reply(_));
        let held = if heard { self.body.memory.secrets(&self.config) } else { Vec::new() };
        let held: Vec<&Secret> = held.iter().collect();
        let leases = matches!(stage, Stage::Claim(_) | Stage::Intent(_));
        let holder = if leases { self.holder_of_leases(now) } else { Holder::NOBODY };
        let mut cx = Cx {
            config: &self.config,
            wall: now.wall,
            mono: now.mono,
            draw: &mut now.draw,
            told: &mut now.out.told,
            budget: &mut flow.budget,
            evidence: &mut flow.evidence,
            holder,
            secrets: &held,
            arrivals: &mut flow.arrivals,
            shown_metadata: false,
        };
        let moved = stage.step(signal, &mut cx).map_err(|failure| failure.without(&held));
        if cx.shown_metadata {
            self.body.memory.metadata_shown();
        }
        moved
    }

    /// The name under which this session takes leases in this process. It is drawn when the session
    /// takes the first.
    fn holder_of_leases(&mut self, now: &mut Now) -> Holder {
        *self.holder.get_or_insert_with(|| Holder::drawn(now.draw.number()))
    }
}

/// Notes the edge that a flow has taken, unless it was moved from outside.
pub(super) fn took(flow: &mut Flow, to: StateName, now: &mut Now) {
    if let Some((from, on)) = flow.leaving.take() {
        now.note(Note::Step(Edge { machine: flow.name(), from, on, to }));
    }
}
