//! How each action is carried out.

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use mcp_authz_core::effect::{Reply, Spend, StoreRequest, Stored, Why};
use mcp_authz_core::granted::Usable;
use mcp_authz_core::input::{Challenge, Refusal};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::time::Monotonic;
use mcp_authz_core::{Granted, Input};
use url::form_urlencoded;

use super::action::{Action, Fate, Outage, Person};
use super::ledger::Life;
use super::meant::Meant;
use super::process::{Item, Running, Work};
use super::world::{Slot, World, bound};
use super::{Broken, Check, Rule, broken};
use crate::model::Body;

/// Pieces of work, or wakings, that one action may lead to.
const MOST_WORK: usize = 400;
/// Pieces of work after which something is spent, if anything is.
const MOST_STAGES: usize = 12;

impl World {
    /// One action.
    pub(super) fn act(&mut self, action: Action) -> Check<()> {
        match action {
            Action::Acquire { caller, may_ask, named } => self.acquire(caller, may_ask, named),
            Action::Use { caller, held, may_ask } => {
                self.use_token(caller, held, may_ask).map(|_| ())
            }
            Action::Cancel { caller } => self.cancel(caller),
            Action::Answer { process, work, fate } => {
                match self.running(process).and_then(|running| running.take(work)) {
                    Some(item) => self.decide(process, item, fate),
                    None => Ok(()),
                }
            }
            Action::Run { process, most } => {
                (0..most).try_for_each(|_| self.work_once(process).map(|_| ()))
            }
            Action::RunAll => self.work_all(),
            Action::UntilSpending { process } => self.work_until_spending(process),
            Action::Person { process, does } => self.person(process, does),
            Action::NextDeadline => self.reach_next_deadline().map(|_| ()),
            Action::Pass { seconds } => self.pass(seconds * 1000),
            Action::Sleep { seconds } => {
                self.now += seconds * 1000;
                self.slept += seconds * 1000;
                self.pass(0)
            }
            Action::Wake { process } => self.give(process, Input::Wake),
            Action::Kill { process, done } => self.kill(process, done),
            Action::KillAmid { done } => {
                let amid = |slot: &Slot| slot.running.as_ref().is_some_and(Running::amid);
                match self.slots.iter().position(amid) {
                    Some(process) => self.kill(process, done),
                    None => Ok(()),
                }
            }
            Action::Restart { process, from_snapshot } => self.restart(process, from_snapshot),
            Action::Snapshot { process } => {
                self.write_snapshot(process);
                Ok(())
            }
            Action::Move { process } => {
                self.write_snapshot(process);
                self.kill(process, 0xff)?;
                self.restart(process, true)
            }
            Action::LogOut { process } => self.log_out(process),
            Action::WallClock { seconds } => {
                self.wall_shift = seconds;
                Ok(())
            }
            Action::Store { fails } => {
                self.set_store(fails);
                Ok(())
            }
            Action::Servers { outage } => {
                self.outage = outage;
                Ok(())
            }
            Action::RevokeAccess => {
                self.model.revoke_access_tokens();
                Ok(())
            }
            Action::RevokeAll => {
                self.model.revoke_all();
                self.ledger.revoke_all();
                Ok(())
            }
        }
    }

    /// Decides the fate of a piece of work. Work that was done before cannot be undone.
    pub(super) fn decide(&mut self, process: usize, mut item: Item, fate: Fate) -> Check<()> {
        if self.broken == Some(Broken::Unanswered) {
            return Ok(());
        }
        let fate = match (self.in_outage(&item, fate), &item.work) {
            // A process that lives hears in the end of the work that it has had done.
            (
                Fate::DroppedAfter,
                Work::Store {
                    request: StoreRequest::Lease { .. } | StoreRequest::Intend { .. },
                    ..
                },
            )
            | (Fate::DroppedBefore, Work::Store { stored: Some(_), .. }) => Fate::Held,
            (fate, _) => fate,
        };
        if matches!(fate, Fate::Answered | Fate::Held | Fate::LostAfter | Fate::DroppedAfter) {
            self.carry_out(&mut item);
            if let Some(life) = self.running(process).map(|running| running.life) {
                self.withdrawn(life, &item);
            }
            self.notice(process, &item);
        }
        if fate == Fate::Held {
            if let Some(running) = self.running(process) {
                running.out.push(item);
            }
            return Ok(());
        }
        let input = match item.work {
            Work::Call { purpose, ticket, sent, reply, .. } => {
                let done = reply.is_some();
                let (reply, meant) = match (fate, reply) {
                    (Fate::Answered, Some(reply)) => reply,
                    (Fate::Unsent, None) => (Reply::NotSent(self.unsent()), Meant::unavailable()),
                    (Fate::Unserved, None) => (Reply::Answered(status(503)), Meant::unavailable()),
                    _ => (Reply::MaybeSent(Why::Broken), Meant::unavailable()),
                };
                if matches!(fate, Fate::DroppedBefore | Fate::DroppedAfter) {
                    if let Some(sent) = &sent {
                        self.ledger.unknown(sent);
                    }
                    self.say(|| format!("process {process}: {} is lost", purpose.name()));
                    return Ok(());
                }
                self.say(|| {
                    let acted = if done { "the server acted" } else { "the server did not act" };
                    format!("process {process}: {} ends: {reply:?}, {acted}", purpose.name())
                });
                self.reply(process, sent.as_ref(), &reply, &meant);
                ticket.answer(self.misheard(purpose, reply, &meant))
            }
            Work::Store { request, ticket, stored } => match (fate, stored) {
                (Fate::DroppedBefore | Fate::DroppedAfter, _) => return Ok(()),
                (Fate::Answered, Some(stored)) => {
                    self.say(|| format!("process {process}: the store says {stored:?}"));
                    ticket.answer(stored)
                }
                (_, done) => {
                    let done = if done.is_some() { ", though it is done" } else { "" };
                    self.say(|| format!("process {process}: {request:?} fails{done}"));
                    ticket.answer(Stored::Failed(self.store_failure()))
                }
            },
            Work::Listen { port, ticket } => match fate {
                Fate::DroppedBefore | Fate::DroppedAfter => return Ok(()),
                fate => {
                    let well = fate == Fate::Answered;
                    self.reached.exhausted += usize::from(self.odd.exhausted && !well);
                    ticket.answer(bound(well, self.odd.exhausted, port))
                }
            },
        };
        self.give(process, input)
    }

    /// Takes down what the store knows of the process.
    fn notice(&mut self, process: usize, item: &Item) {
        let Work::Store { request, stored: Some(stored), .. } = &item.work else { return };
        let StoreRequest::Intend { spend: Spend::Code { .. }, .. } = request else { return };
        let recorded = matches!(stored, Stored::Intended | Stored::Standing { .. });
        if let Some(running) = self.running(process) {
            running.code_recorded |= recorded;
        }
    }

    /// Takes down that the store no longer has what a process had recorded there.
    pub(super) fn withdrawn(&mut self, life: Life, item: &Item) {
        if let Work::Store { request, stored: Some(Stored::Released), .. } = &item.work
            && let StoreRequest::Release { withdraw: Some(Spend::Refresh { .. }), .. } = request
        {
            self.ledger.withdrawn(life);
        }
    }

    /// The fate into which an outage turns a fate.
    fn in_outage(&self, item: &Item, fate: Fate) -> Fate {
        let done = matches!(&item.work, Work::Call { reply: Some(_), .. });
        if fate != Fate::Answered || done || !matches!(item.work, Work::Call { .. }) {
            return fate;
        }
        match self.outage {
            Outage::Over => fate,
            Outage::Unreachable => Fate::Unsent,
            Outage::BreaksBefore => Fate::LostBefore,
            Outage::BreaksAfter => Fate::LostAfter,
            Outage::Unavailable => Fate::Unserved,
        }
    }

    /// The server or the store does what was asked, once.
    pub(super) fn carry_out(&mut self, item: &mut Item) {
        match &mut item.work {
            Work::Call { request, purpose, reply: reply @ None, .. } => {
                *reply = Some(self.serve(request, *purpose));
            }
            Work::Store { request, stored: stored @ None, .. } => {
                *stored = Some(self.keep(request.clone()));
            }
            _ => {}
        }
    }

    /// The oldest work of a process is done and answered; `false` if there is none.
    pub(super) fn work_once(&mut self, process: usize) -> Check<bool> {
        match self.running(process).and_then(Running::take_oldest) {
            Some(item) => self.decide(process, item, Fate::Answered).map(|()| true),
            None => Ok(false),
        }
    }

    /// Work of a process is done until it has sent a code or a refresh token.
    fn work_until_spending(&mut self, process: usize) -> Check<()> {
        for _ in 0..MOST_STAGES {
            if self.running(process).is_some_and(|running| running.spends()) {
                break;
            }
            if !self.work_once(process)? {
                break;
            }
        }
        Ok(())
    }

    /// All work is done and answered, until none is left that anybody waits for.
    pub(super) fn work_all(&mut self) -> Check<()> {
        for _ in 0..MOST_WORK {
            let mut worked = false;
            for process in 0..self.slots.len() {
                worked |= self.work_once(process)?;
            }
            if !worked {
                return Ok(());
            }
        }
        broken(Rule::Bounded, "the work of one moment does not end".to_owned())
    }

    /// The person does something about the page shown last.
    pub(super) fn person(&mut self, process: usize, does: Person) -> Check<()> {
        let Some(visit) = self.running(process).and_then(|running| running.visits.last().cloned())
        else {
            return Ok(());
        };
        let query = visit.url().split_once('?').map_or("", |(_, query)| query);
        let state = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state");
        let state = state.map(|(_, state)| state.into_owned()).unwrap_or_default();
        let redirect = &visit.redirect_uri;
        match does {
            Person::Approves | Person::ArrivesTwice => {
                let now = self.wall_ms();
                let Some(url) = self.model.visit(visit.url(), now) else { return Ok(()) };
                self.arrive(process, url.clone())?;
                if does == Person::ArrivesTwice { self.arrive(process, url) } else { Ok(()) }
            }
            Person::Declines => {
                self.arrive(process, format!("{redirect}?error=access_denied&state={state}"))
            }
            Person::Strays => self.arrive(process, format!("{redirect}?code=theirs&state=theirs")),
        }
    }

    /// A caller sends a request with a token, as a driver would; a refusal becomes a challenge.
    /// Answers whether it was let in.
    pub(super) fn use_token(&mut self, caller: usize, held: bool, may_ask: bool) -> Check<bool> {
        let process = self.home(caller);
        let (wall, now) = (self.wall(), self.now);
        if self.caller(caller).waiting.is_some() || self.outage != Outage::Over {
            return Ok(false);
        }
        let (own, repeats) = {
            let caller = self.caller(caller);
            (caller.held.take(), caller.repeats.take())
        };
        let Some(running) = self.running(process) else { return Ok(false) };
        let mono = Monotonic::from_millis(running.clock + now);
        let own = own.filter(|_| held || repeats.is_some());
        let usable =
            |granted: &&Arc<Granted>| granted.usable(&ScopeSet::empty(), wall, mono) != Usable::No;
        let granted = own.or_else(|| running.published.as_ref().filter(usable).cloned());
        let Some(granted) = granted else {
            return self.acquire(caller, may_ask, false).map(|()| false);
        };
        let response = self.ask_tool(&granted);
        let worn = self.model.settings().server.tokens.access_uses.is_some();
        if response.status() != StatusCode::UNAUTHORIZED {
            if let Some(running) = self.running(process) {
                running.accepted = running.accepted.max(Some(granted.epoch()));
            }
            return Ok(true);
        }
        self.say(|| format!("caller {caller} is refused with {:?}", granted.epoch()));
        self.reached.worn += usize::from(worn);
        let Some(running) = self.running(process) else { return Ok(false) };
        running.watch.refused(&granted);
        let accepted = running.accepted;
        running.unhelped |= repeats.is_some();
        let waiter = self.waits(caller, may_ask, true);
        let challenge = Challenge {
            waiter,
            refusal: Refusal {
                epoch: Some(granted.epoch())
                    .filter(|_| self.broken != Some(Broken::AnswerRepeated)),
                status: response.status(),
                headers: response.headers().clone(),
                operation: "tools/call echo".to_owned(),
                accepted,
                had: repeats.unwrap_or_default(),
                may_ask,
            },
        };
        self.give(process, Input::Challenge(challenge)).map(|()| false)
    }

    fn ask_tool(&mut self, granted: &Granted) -> Response<Vec<u8>> {
        let mut request =
            Request::new(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}".to_vec());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.config.mcp_url().parse().expect("the MCP URL is a URI");
        let headers = request.headers_mut();
        headers.insert("content-type", "application/json".parse().expect("a header"));
        headers.insert("authorization", granted.authorization().clone());
        let now = self.wall_ms();
        let answer = self.model.handle(&request, now);
        let bytes = if let Body::Whole(bytes) = answer.body { bytes } else { Vec::new() };
        let mut response = Response::new(bytes);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        response
    }

    fn cancel(&mut self, caller: usize) -> Check<()> {
        let process = self.home(caller);
        let Some(waiter) = self.caller(caller).waiting.take() else { return Ok(()) };
        let Some(running) = self.running(process) else { return Ok(()) };
        running.waiting.remove(&waiter);
        running.cancelled.insert(waiter);
        self.give(process, Input::Cancel(waiter))
    }

    /// Time passes to the earliest deadline, and whoever it belongs to is woken.
    pub(super) fn reach_next_deadline(&mut self) -> Check<bool> {
        let due = (0..self.slots.len()).filter_map(|process| self.due(process)).min();
        let Some(due) = due else { return Ok(false) };
        self.now = self.now.max(due);
        self.wake_due().map(|()| true)
    }

    fn wake_due(&mut self) -> Check<()> {
        if self.broken == Some(Broken::NeverWoken) {
            return Ok(());
        }
        for process in 0..self.slots.len() {
            if self.due(process).is_some_and(|due| due <= self.now) {
                self.give(process, Input::Wake)?;
            }
        }
        Ok(())
    }

    /// Time passes; every session is woken whenever it asked to be.
    pub(super) fn pass(&mut self, millis: u64) -> Check<()> {
        let until = self.now + millis;
        for slot in &mut self.slots {
            slot.running.iter_mut().for_each(|running| running.causes += 1);
        }
        for _ in 0..MOST_WORK {
            let due = (0..self.slots.len()).filter_map(|process| self.due(process)).min();
            let Some(due) = due.filter(|due| *due <= until) else {
                self.now = until;
                return Ok(());
            };
            self.now = self.now.max(due);
            if self.broken == Some(Broken::NeverWoken) {
                self.now = until;
                return Ok(());
            }
            self.wake_due()?;
        }
        broken(Rule::Bounded, "a session is woken without end".to_owned())
    }
}

fn status(status: u16) -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = status.try_into().unwrap_or_default();
    response
}
