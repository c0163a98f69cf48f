//! The steps of a job: what follows what, and where it ends.
//!
//! Every loop is bounded by a number of ours: pages, refusals of one request, requests in all (STEP-16).

mod answers;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use mcp_authz_core::effect::{Settlement, Why};
use mcp_authz_core::failure::{Failure, Kind, escaped};
use mcp_authz_core::granted::Granted;
use mcp_authz_core::input::{Epoch, Had, Refusal};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::secret::AccessToken;

use super::calls::Calls;
use super::framing::Enough;
use super::mcp::{Ask, Mcp, Outgoing, Tool};
use super::options::{Options, Repeat, Target, Who};
use super::outcome::{Counts, Outcome, Summary};
use super::print::{Step, bare};
use super::report::Goal;
use super::{Action, Errand, Event, Turn};
pub(crate) use answers::{ECHOED, MOST_REFUSALS, echoes};

/// Most requests to the MCP server in one job, whatever it answers.
const MOST_REQUESTS: usize = 64;
/// Most tools that are called unasked.
const MOST_CALLS: usize = 4;

/// What the job keeps of a grant.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) epoch: Epoch,
    pub(crate) header: HeaderValue,
    pub(crate) token: AccessToken,
    /// Whether the token may go to the MCP URL (USE-07).
    pub(crate) covers: bool,
    pub(crate) issuer: String,
    pub(crate) resource: Option<String>,
    pub(crate) scopes: Option<String>,
    /// What the request that it was given for has had by then.
    pub(crate) had: Had,
}

impl Held {
    pub(crate) fn of(granted: &Granted, had: Had, url: &str) -> Self {
        Self {
            had,
            epoch: granted.epoch(),
            header: granted.authorization().clone(),
            token: granted.access_token().clone(),
            covers: granted.area().covers(url),
            issuer: escaped(granted.issuer()),
            resource: granted.resource().map(bare),
            scopes: granted.scopes().map(ToString::to_string),
        }
    }
}

/// An [`Event`] whose grant is looked into.
#[derive(Debug)]
pub(crate) enum Happened {
    Start,
    Answered(Response<Vec<u8>>),
    Unreachable(Why),
    Settled(Result<Held, Arc<Failure>>),
}

impl Happened {
    /// `None` for what is not of one request.
    pub(crate) fn of(event: Event, url: &str) -> Option<Self> {
        Some(match event {
            Event::Start => Self::Start,
            Event::Answered(response) => Self::Answered(response),
            Event::Unreachable(why) => Self::Unreachable(why),
            Event::Settled(Settlement { outcome, had, .. }) => {
                Self::Settled(outcome.map(|granted| Held::of(&granted, had, url)))
            }
            Event::Called(_) => return None,
        })
    }
}

/// What the command line wants done once the tools are known.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    embedded: bool,
    call: Option<String>,
    refresh: bool,
    repeat: Option<Repeat>,
}

impl Wish {
    pub(crate) fn of(options: &Options) -> Self {
        Self {
            embedded: matches!(options.target, Target::Embedded(_)),
            call: options.call.clone(),
            refresh: options.refresh,
            repeat: options.repeat,
        }
    }

    /// A demonstration uses the old token, replaces it, uses the new one.
    pub(crate) fn goals(&self, tools: &[Tool], held: bool) -> VecDeque<Goal> {
        if let Some(repeat) = self.repeat {
            return VecDeque::from([Goal::Repeat(repeat), Goal::Bye]);
        }
        let mut calls: VecDeque<String> = self.call.iter().cloned().collect();
        if self.embedded && calls.is_empty() {
            calls.extend(
                tools
                    .iter()
                    .filter(|tool| tool.plain)
                    .take(MOST_CALLS)
                    .map(|tool| tool.name.clone()),
            );
        }
        let mut goals: VecDeque<Goal> = calls.pop_front().map(Goal::Call).into_iter().collect();
        if (self.embedded || self.refresh) && held {
            goals.extend([Goal::Refresh, Goal::List]);
        }
        goals.extend(calls.into_iter().map(Goal::Call));
        goals.push_back(Goal::Bye);
        goals
    }
}

/// What the next event answers.
#[derive(Debug, Default)]
enum Awaits {
    Start,
    /// What is held from before.
    Grant,
    Answer(InHand),
    /// A settlement after the refusal of the request in hand.
    Relief(InHand, StatusCode),
    /// A settlement after the refusal that was made up to force a refresh.
    Refresh,
    Calls,
    #[default]
    Nothing,
}

/// The request in hand: repeated as it is, under the same JSON-RPC id (TRANS-35).
#[derive(Debug)]
struct InHand {
    ask: Ask,
    out: Outgoing,
    sent_with: Option<Epoch>,
    refusals: usize,
}

/// One example's whole work, as a pure machine.
#[derive(Debug)]
pub struct Job {
    url: String,
    may_ask: bool,
    /// Who knows the client, if that was named.
    issuer: Option<String>,
    scopes: ScopeSet,
    wish: Wish,
    mcp: Mcp,
    announced: bool,
    awaits: Awaits,
    goals: VecDeque<Goal>,
    planned: bool,
    held: Option<Held>,
    /// The newest epoch with which a request succeeded.
    accepted: Option<Epoch>,
    tokens: Vec<AccessToken>,
    tools: Vec<Tool>,
    cursors: Vec<String>,
    lost: bool,
    sent: usize,
    summary: Summary,
    counts: Counts,
    verdict: Option<Outcome>,
}

impl Job {
    /// The job that these options ask for, at this MCP URL: the one given, or the embedded server's.
    #[must_use]
    pub fn new(options: &Options, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            may_ask: options.person != Who::Nobody,
            issuer: options.issuer.clone(),
            scopes: options.scopes.clone(),
            wish: Wish::of(options),
            mcp: Mcp::new(url, options.hint, options.protocol_version.as_deref()),
            announced: false,
            awaits: Awaits::Start,
            goals: VecDeque::from([Goal::List]),
            planned: false,
            held: None,
            accepted: None,
            tokens: Vec::new(),
            tools: Vec::new(),
            cursors: Vec::new(),
            lost: false,
            sent: 0,
            summary: Summary::default(),
            counts: Counts::default(),
            verdict: None,
        }
    }

    /// Takes in what happened and says what to do next. After [`Action::Finish`] there is nothing left to do.
    pub fn step(&mut self, event: Event) -> Turn<Action> {
        match event {
            Event::Called(calls) => self.called(calls),
            event => match Happened::of(event, &self.url) {
                Some(happened) => self.on(happened),
                None => self.turn(confused(), Vec::new()),
            },
        }
    }

    fn called(&mut self, calls: Box<Calls>) -> Turn<Action> {
        let mut said = Vec::new();
        let (mcp, counts, failed) = calls.close();
        self.mcp = mcp;
        self.counts = counts;
        let action = match (mem::take(&mut self.awaits), failed) {
            (Awaits::Calls, None) => self.advance(&mut said),
            (Awaits::Calls, Some(outcome)) => self.conclude(outcome, &mut said),
            _ => confused(),
        };
        self.turn(action, said)
    }

    pub(crate) fn on(&mut self, happened: Happened) -> Turn<Action> {
        let mut said = Vec::new();
        let action = match (mem::take(&mut self.awaits), happened) {
            (Awaits::Start, Happened::Start) => {
                self.awaits = Awaits::Grant;
                Action::Do(Errand::Acquire { scopes: self.scopes.clone(), may_ask: false })
            }
            (Awaits::Grant, Happened::Settled(settled)) => {
                match settled {
                    Ok(held) if held.covers => self.hold(held, "held", &mut said),
                    Ok(_) => said.push(Step::nothing_held(Kind::OriginMismatch.code())),
                    Err(failure) => said.push(Step::nothing_held(failure.kind().code())),
                }
                self.advance(&mut said)
            }
            (Awaits::Answer(hand), Happened::Answered(response)) => {
                self.answered(hand, response, &mut said)
            }
            (Awaits::Answer(hand), Happened::Unreachable(why)) => {
                self.unreachable(&hand.ask, why, &mut said)
            }
            (Awaits::Relief(hand, status), Happened::Settled(Ok(held))) => {
                self.relieved(hand, status, held, &mut said)
            }
            (Awaits::Refresh, Happened::Settled(Ok(held))) => {
                self.summary.refreshed = true;
                self.hold(held, "granted", &mut said);
                self.advance(&mut said)
            }
            (Awaits::Relief(..) | Awaits::Refresh, Happened::Settled(Err(failure))) => {
                self.conclude(failure.into(), &mut said)
            }
            _ => confused(),
        };
        self.turn(action, said)
    }

    fn turn(&self, action: Action, mut said: Vec<Step>) -> Turn<Action> {
        if let Action::Finish(outcome) = &action {
            said.push(Step::ending(outcome, self.counts, self.issuer.as_deref()));
        }
        Turn { said, action }
    }

    fn hold(&mut self, held: Held, name: &'static str, said: &mut Vec<Step>) {
        said.push(Step::granted(name, &held));
        self.tokens.push(held.token.clone());
        self.summary.issuer = Some(held.issuer.clone());
        self.summary.resource = held.resource.clone();
        self.summary.scopes = held.scopes.clone();
        self.held = Some(held);
    }

    /// The next thing to do, once nothing is in hand.
    fn advance(&mut self, said: &mut Vec<Step>) -> Action {
        let ask = match self.goals.front() {
            Some(Goal::Bye) if self.mcp.in_session() => Ask::Bye,
            Some(Goal::Bye) | None => return self.finish(),
            Some(Goal::Refresh) => return self.force_refresh(said),
            Some(Goal::Repeat(repeat)) => {
                let repeat = *repeat;
                return self.repeat(repeat, said);
            }
            Some(goal) => match (self.mcp.opening(), goal) {
                (Some(opening), _) => opening,
                (None, Goal::Call(tool)) => Ask::Call { tool: tool.clone() },
                (None, _) => Ask::Tools { cursor: self.cursors.last().cloned() },
            },
        };
        match self.mcp.request(&ask) {
            Ok(out) => self.send(InHand { ask, out, sent_with: None, refusals: 0 }, said),
            Err(fault) => self.conclude(fault.into(), said),
        }
    }

    fn send(&mut self, mut hand: InHand, said: &mut Vec<Step>) -> Action {
        self.sent = self.sent.saturating_add(1);
        if self.sent > MOST_REQUESTS {
            return Action::Finish(Failure::new(Kind::RequestBudget, "STEP-16").into());
        }
        let mut request = hand.out.request.clone();
        let held = self.held.as_ref().filter(|held| held.covers);
        hand.sent_with = held.map(|held| held.epoch);
        if let Some(held) = held {
            request.headers_mut().insert(AUTHORIZATION, held.header.clone());
        }
        said.push(Step::mcp_request(&hand.ask, request.method(), &self.url, held.is_some()));
        let enough = Enough::new(hand.out.id);
        self.awaits = Awaits::Answer(hand);
        Action::Do(Errand::Send { request, enough })
    }

    /// Each call asks the session for its token: the one in hand may not live as long as they take.
    fn repeat(&mut self, repeat: Repeat, said: &mut Vec<Step>) -> Action {
        self.goals.pop_front();
        said.push(Step::calls(repeat));
        self.awaits = Awaits::Calls;
        let calls = Calls::new(repeat, self.mcp.clone(), &self.url);
        Action::Call(Box::new(match &self.held {
            Some(_) => calls.with_token(self.scopes.clone(), self.may_ask),
            None => calls,
        }))
    }

    /// A refusal that no server spoke: it makes the session replace a token that is still good.
    fn force_refresh(&mut self, said: &mut Vec<Step>) -> Action {
        self.goals.pop_front();
        let Some(held) = &self.held else { return self.advance(said) };
        said.push(Step::refresh());
        self.awaits = Awaits::Refresh;
        Action::Do(Errand::Challenge(Refusal {
            epoch: Some(held.epoch),
            status: StatusCode::UNAUTHORIZED,
            headers: HeaderMap::new(),
            operation: "refresh".to_owned(),
            accepted: None,
            had: Had::default(),
            may_ask: false,
        }))
    }

    /// Ends the job, and the session before it (TRANS-21).
    fn conclude(&mut self, outcome: Outcome, said: &mut Vec<Step>) -> Action {
        if self.verdict.is_some() {
            return self.finish();
        }
        self.verdict = Some(outcome);
        self.goals = VecDeque::from([Goal::Bye]);
        self.advance(said)
    }

    fn finish(&mut self) -> Action {
        self.summary.era = self.mcp.era();
        self.mcp.version().clone_into(&mut self.summary.version);
        let summary = mem::take(&mut self.summary);
        Action::Finish(match self.verdict.take() {
            Some(verdict) => verdict,
            None if self.held.is_some() => Outcome::Authorized(summary),
            None => Outcome::Open(summary),
        })
    }
}

fn confused() -> Action {
    Action::Finish(Outcome::setup("the program answered an action with an event of another kind"))
}

#[cfg(test)]
mod tests;
