//! Running a flow: stage after stage, until one waits or the goal is reached.

use std::sync::Arc;

use crate::effect::{Holder, Key, Spend, Told};
use crate::failure::{Failure, Fault, Kind};
use crate::machine::{Cx, Parked, Signal, SignalName, StateName};
use crate::note::{Edge, Note};
use crate::record::{Class, Document, Grant, Way};
use crate::secret::Secret;
use crate::session::lanes::{Brought, Cause, Flow, Goal, Lane, Moved, Parking, Stage};
use crate::session::plan::{Step, next_step};
use crate::session::{Now, Session};
use crate::stage::authorization::{self, Authorization};
use crate::stage::claim::{self, Certainty, Claim, Intent, Release};
use crate::stage::discovery::{self, Discovery, Found, Looked};
use crate::stage::recall::Recall;
use crate::stage::registration::Registration;
use crate::stage::revocation::Revocation;
use crate::stage::token::{self, Token};
use crate::stage::vault::{Save, Write};
use crate::time::Awaited;
use crate::wire::url::ServerUrl;

impl Session {
    /// Starts a flow in a free lane. Answers whether it has ended already.
    pub(super) fn start(&mut self, lane: Lane, goal: Goal, now: &mut Now) -> bool {
        self.launch(lane, Flow::new(goal), now)
    }

    pub(super) fn launch(&mut self, lane: Lane, mut flow: Box<Flow>, now: &mut Now) -> bool {
        flow.ground.logins = self.body.memory.logins;
        flow.ground.epoch = self.body.memory.epoch;
        flow.leaving = Some((StateName::Start, SignalName::Begin));
        self.resume(lane, flow, now);
        self.lane(lane).is_none()
    }

    /// Starts the next stage of a flow that waits for nothing.
    pub(super) fn resume(&mut self, lane: Lane, mut flow: Box<Flow>, now: &mut Now) {
        let prepared = self.prepare(&mut flow, now);
        if let Some(flow) = self.go_on(lane, flow, prepared, now) {
            self.run(lane, flow, Signal::Begin, now);
        }
    }

    /// Gives a flow's stage a signal, and goes on from stage to stage until one waits.
    pub(super) fn run(&mut self, lane: Lane, mut flow: Box<Flow>, signal: Signal, now: &mut Now) {
        let mut signal = signal;
        loop {
            let from = flow.state();
            let stage = flow.stage.take().filter(|_| now.may_step());
            let Some(stage) = stage else {
                return self.end(lane, flow, Err(fault(now)), now);
            };
            let brought = match self.step(stage, signal, &mut flow, now) {
                Ok(Moved::Wait(stage, parked)) => return self.wait(lane, flow, stage, parked, now),
                Ok(Moved::Done(brought)) => {
                    flow.leaving = Some((from, brought.name()));
                    Ok(brought)
                }
                Err(failure) => {
                    flow.leaving = Some((from, SignalName::Failed));
                    unlisted(&flow, failure, now)
                }
            };
            let absorbed = brought.and_then(|brought| {
                flow.parking = None;
                self.absorb(&mut flow, brought, now)
            });
            let prepared = match absorbed {
                Ok(()) => self.prepare(&mut flow, now),
                Err(failure) => Err(failure),
            };
            match self.go_on(lane, flow, prepared, now) {
                Some(on) => flow = on,
                None => return,
            }
            signal = Signal::Begin;
        }
    }

    /// Takes the edge to the next stage, or to the end; the flow, if it goes on.
    fn go_on(
        &mut self,
        lane: Lane,
        mut flow: Box<Flow>,
        prepared: Result<Option<Stage>, Failure>,
        now: &mut Now,
    ) -> Option<Box<Flow>> {
        match prepared {
            Ok(Some(stage)) => {
                flow.stage = Some(stage);
                let to = flow.state();
                took(&mut flow, to, now);
                return Some(flow);
            }
            Ok(None) => self.end(lane, flow, Ok(()), now),
            Err(failure) => self.end(lane, flow, Err(failure), now),
        }
        None
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
            if matches!(work, crate::effect::Work::Listen(_)) {
                // One that could not be had, or that another takes the place of.
                let before = flow.listener.replace(work.id());
                now.out.told.extend(before.map(Told::Abandon));
            }
            now.out.work.push(work);
        }
        *self.lane(lane) = Some(flow);
    }

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

    /// As whom this session takes leases in this process: drawn when it takes the first.
    fn holder_of_leases(&mut self, now: &mut Now) -> Holder {
        *self.holder.get_or_insert_with(|| Holder::drawn(now.draw.number()))
    }

    /// The next stage of a flow, made of what is known; `None` when the goal is reached.
    fn prepare(&mut self, flow: &mut Flow, now: &mut Now) -> Result<Option<Stage>, Failure> {
        let config = Arc::clone(&self.config);
        let memory = &self.body.memory;
        let held = || memory.grant.as_ref().ok_or_else(missing);
        Ok(Some(match next_step(&flow.goal, &flow.ground, config.persistent) {
            Step::End => return Ok(None),
            Step::Recall => Stage::Recall(Recall::all(config.mcp_url(), config.account())),
            Step::Claim => {
                let (key, alone) = (held()?.value.key(), memory.alone());
                if flow.ground.claimed.is_none() {
                    // What the store does late about an earlier claim leaves this one alone.
                    self.holder = self.holder.map(Holder::next);
                }
                let ground = &mut flow.ground;
                let ends = *ground.claim_ends.get_or_insert(now.mono.after(claim::PATIENCE));
                let elsewhere = core::mem::take(&mut ground.elsewhere);
                ground.claimed = Some(key.clone());
                Stage::Claim(Claim::new(key, ends, elsewhere, alone))
            }
            Step::Intend => {
                let (key, spend) = self.spending(flow)?;
                flow.ground.asked = Some(spend.clone());
                let certainty = match &spend {
                    Spend::Refresh { .. } if !self.body.memory.alone() => Certainty::Needed,
                    Spend::Code { .. } if flow.restored => Certainty::Needed,
                    _ => Certainty::Wanted,
                };
                Stage::Intent(Intent::new(key, spend, certainty))
            }
            Step::Release => {
                let Goal::Release(lease) = &flow.goal else { return Err(fault(now)) };
                Stage::Release(Release::new(
                    lease.key.clone(),
                    lease.holder,
                    lease.withdraw.clone(),
                ))
            }
            Step::Revoke => {
                let Goal::Revoke(ask) = &flow.goal else { return Err(fault(now)) };
                Stage::Revocation(Revocation::new(ask.as_ref().clone()))
            }
            Step::Look if matches!(flow.goal, Goal::Login(_)) => {
                Stage::Recall(Recall::again(self.spending(flow)?.0))
            }
            Step::Look => Stage::Recall(Recall::again(held()?.value.key())),
            Step::Relist => {
                let pointer = match &flow.goal {
                    Goal::Refresh(goal) => goal.pointer.clone(),
                    _ => None,
                };
                Stage::Discovery(Discovery::new(self.discovery(pointer, None)))
            }
            Step::Discover => {
                let Goal::Login(goal) = &flow.goal else { return Err(fault(now)) };
                let pointer = goal.pointer.clone();
                Stage::Discovery(Discovery::new(self.discovery(pointer, Some(goal.cause))))
            }
            Step::Enroll => Stage::Registration(Registration::new(self.enrolment(flow)?)),
            Step::KeepClient => {
                let enrolled = flow.ground.enrolled.as_ref().ok_or_else(missing)?;
                let client = enrolled.client.clone().ok_or_else(missing)?;
                Stage::Save(Save::new(vec![Write::Client(client, false)]))
            }
            Step::Authorize if flow.orphaned => {
                return Err(Failure::new(Kind::Cancelled, "HOST-195"));
            }
            Step::Authorize => {
                let visit = self.authorization(flow)?;
                self.count_visit(flow, &visit, now);
                Stage::Authorization(Authorization::new(visit))
            }
            Step::Exchange => {
                let found = flow.ground.found.as_ref().ok_or_else(missing)?;
                let enrolled = flow.ground.enrolled.as_ref().ok_or_else(missing)?;
                let approved = flow.ground.approved.take().ok_or_else(missing)?;
                found.server.token_endpoint.recheck("token_endpoint", &config.reach)?;
                Stage::Token(Token::new(token::Ask {
                    spend: token::Spent::Code {
                        approved,
                        redirect_uri: enrolled.redirect.uri.clone(),
                    },
                    endpoint: found.server.token_endpoint.clone(),
                    credentials: enrolled.credentials.clone(),
                    resource_parameter: self.resource_parameter(found),
                    scope: None,
                }))
            }
            Step::Refresh => {
                let grant = &held()?.value;
                let credentials = memory.credentials(&config, now.wall).ok_or_else(missing)?;
                let refresh_token = grant.refresh_token.clone().ok_or_else(missing)?;
                // It may have been restored by another road than the records (SEC-05).
                grant.token_endpoint.recheck("token_endpoint", &config.reach)?;
                flow.ground.spent = true;
                let ask = token::Ask::refresh(grant, refresh_token, credentials);
                let ask = self.as_configured(ask, grant);
                Stage::Token(match flow.ground.intent {
                    Some(Spend::Refresh { attempt: 1.., .. }) => Token::recovering(ask),
                    _ => Token::new(ask),
                })
            }
            Step::Keep => {
                let writes = self.writes(flow);
                // What was to be written was dropped: restored under other switches (SEC-05).
                if writes.is_empty() {
                    return Ok(None);
                }
                Stage::Save(Save::new(writes))
            }
        }))
    }

    /// What the flow is about to spend, and whose record it is in or will lead to.
    pub(super) fn spending(&self, flow: &Flow) -> Result<(Key, Spend), Failure> {
        if let Goal::Login(_) = &flow.goal {
            let template = self.login_template(flow).ok_or_else(missing)?;
            let login = template.login.as_deref().ok_or_else(missing)?.to_owned();
            return Ok((template.key(), Spend::Code { login }));
        }
        let held = self.body.memory.grant.as_ref().ok_or_else(missing)?;
        if let Some(generation) = flow.ground.seen_at {
            return Ok((held.value.key(), Spend::Refresh { generation, attempt: 0 }));
        }
        let generation = held.generation.unwrap_or(0);
        // Where it would be, if a write that was given up gets there after all.
        let generation = generation.saturating_add(u64::from(!self.body.memory.shared()));
        Ok((held.value.key(), Spend::Refresh { generation, attempt: 0 }))
    }

    /// The search of a login with this cause, or only whether the issuer is still listed.
    fn discovery(
        &self,
        pointer: Option<crate::wire::url::ServerUrl>,
        login: Option<Cause>,
    ) -> discovery::Ask {
        let binding = self.body.memory.binding.as_ref().map(|held| &held.value);
        let shown = self.body.memory.shown_metadata;
        discovery::Ask {
            pointer,
            bound: binding.map(|binding| binding.listed.clone()),
            pinned: shown || binding.is_some_and(|binding| binding.class == Class::Resource),
            listing_only: login.is_none(),
            // It has wanted a login before, or wants one now.
            refused: binding.is_some() || !matches!(login, Some(Cause::Asked | Cause::Named)),
            knocks: login == Some(Cause::Named) && binding.is_none() && !shown,
        }
    }

    fn authorization(&self, flow: &Flow) -> Result<authorization::Ask, Failure> {
        let ground = &flow.ground;
        let found = ground.found.as_ref().ok_or_else(missing)?;
        let enrolled = ground.enrolled.as_ref().ok_or_else(missing)?;
        let server = &found.server;
        let dynamic = enrolled.way == Way::Dynamic;
        let registered = server.registration_endpoint.as_ref().filter(|_| dynamic);
        let token_host: Arc<str> = server.token_endpoint.host_str().into();
        let host = |at: &ServerUrl| match at.host_str() {
            same if *same == *token_host => Arc::clone(&token_host),
            other => other.into(),
        };
        Ok(authorization::Ask {
            endpoint: server.authorization_endpoint.clone(),
            registration_host: registered.map(host),
            revocation_host: server.revocation_endpoint.as_ref().map(host),
            token_host: Arc::clone(&token_host),
            issuer: server.issuer.clone(),
            listed: found.listed.clone(),
            previous_issuer: ground.previous_issuer.clone(),
            iss_promised: server.iss_promised,
            legacy: found.class == Class::Legacy,
            client_id: enrolled.credentials.client_id.clone(),
            redirect_uri: enrolled.redirect.uri.clone(),
            listen: enrolled.redirect.listen.clone(),
            bound: flow.listener.is_some(),
            resource: self.resource(found),
            resource_parameter: self.resource_parameter(found),
            scopes: ground.scopes.clone(),
        })
    }

    /// The resource of keys and records: the metadata's own string, or the canonical MCP URL.
    pub(super) fn resource(&self, found: &Found) -> Arc<str> {
        found.resource.clone().unwrap_or_else(|| Arc::clone(&self.config.name))
    }

    /// The resource as it is sent (RES-03, D8).
    pub(super) fn resource_parameter(&self, found: &Found) -> Option<Arc<str>> {
        use crate::config::ResourceParameter::{Omitted, Replaced};
        let mut settings = self.config.settings(&found.listed, &found.server.issuer);
        match settings.find_map(|settings| settings.resource.as_ref()) {
            Some(Omitted) => None,
            Some(Replaced(other)) => Some(other.clone()),
            None => Some(self.resource(found)),
        }
    }

    /// The refresh of a grant by today's settings: a switch holds for what was granted before it was
    /// given, too (D8).
    fn as_configured(&self, mut ask: token::Ask, grant: &Grant) -> token::Ask {
        use crate::config::ResourceParameter::{Omitted, Replaced};
        let binding = self.body.memory.binding.as_ref().map(|held| &held.value);
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
        ask
    }

    /// Counts a page that is about to be shown, for the limits.
    pub(super) fn count_visit(&mut self, flow: &Flow, visit: &authorization::Ask, now: &Now) {
        let Goal::Login(goal) = &flow.goal else { return };
        let history = &mut self.body.history;
        match goal.cause {
            Cause::Asked | Cause::Named => {}
            Cause::Refused | Cause::Expired => history.opened(&visit.issuer, now.mono),
            Cause::StepUp => history.step_up_begins(&goal.operation, &visit.scopes, now.mono),
        }
    }
}

/// A server that cannot say now whether the issuer is still listed stops no refresh (STEP-12).
fn unlisted(flow: &Flow, failure: Failure, now: &mut Now) -> Result<Brought, Failure> {
    if !(flow.relisting() && failure.remedy().retryable()) {
        return Err(failure);
    }
    let subject = failure.subject().unwrap_or_default().to_owned();
    now.note(Note::Dropped { kind: failure.kind(), rule: failure.rule(), subject });
    Ok(Brought::Looked(Looked::StillListed))
}

/// Notes the edge that a flow has taken, unless it was moved from outside.
pub(super) fn took(flow: &mut Flow, to: StateName, now: &mut Now) {
    if let Some((from, on)) = flow.leaving.take() {
        now.note(Note::Step(Edge { machine: flow.name(), from, on, to }));
    }
}

/// A flow came to a step whose ground it had not laid: a bug of ours.
pub(super) fn fault(now: &mut Now) -> Failure {
    now.note(Note::Fault(Fault::MissingGround));
    missing()
}

pub(super) fn missing() -> Failure {
    Failure::new(Kind::Transient, "STEP-16")
}
