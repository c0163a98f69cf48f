//! Many `tools/list` requests, so many at a time, each with the token that is good when it leaves.
//!
//! A [`Call`] is a pure machine like the job itself: it asks the session for a grant, sends, and takes a refusal to
//! the session. Who makes several at a time needs a thread or a future for each, and nothing more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Response;
use http::header::AUTHORIZATION;
use mcp_authz_core::failure::{Failure, Kind, Remedy};
use mcp_authz_core::input::{Epoch, Had, Refusal};
use mcp_authz_core::scope::ScopeSet;

use super::framing::Enough;
use super::machine::{ECHOED, Happened, Held, MOST_REFUSALS, echoes};
use super::mcp::{Ask, Heard, Mcp, Outgoing};
use super::options::Repeat;
use super::outcome::{Counts, Fault, Outcome};
use super::{Errand, Event};

/// How a call ended.
pub type Ended = Result<(), Box<Outcome>>;

/// The calls that are still to be made, and what came of the others.
#[derive(Debug)]
pub struct Calls {
    repeat: Repeat,
    begun: usize,
    mcp: Mcp,
    url: String,
    scopes: ScopeSet,
    may_ask: bool,
    /// Whether a token goes with them: a server that asks for no authorization gets none.
    authorized: bool,
    /// The newest epoch with which a call succeeded; zero for none.
    accepted: Arc<AtomicU64>,
    counts: Counts,
    failed: Option<Box<Outcome>>,
}

/// What a call does next.
#[derive(Debug)]
pub enum Next {
    /// Do this and step the call with what came of it.
    Do(Box<Errand>),
    /// It is over: tell [`Calls::ended`].
    End(Ended),
}

impl Calls {
    pub(crate) fn new(repeat: Repeat, mcp: Mcp, url: &str) -> Self {
        Self {
            repeat,
            begun: 0,
            mcp,
            url: url.to_owned(),
            scopes: ScopeSet::empty(),
            may_ask: false,
            authorized: false,
            accepted: Arc::default(),
            counts: Counts::default(),
            failed: None,
        }
    }

    pub(crate) fn with_token(self, scopes: ScopeSet, may_ask: bool) -> Self {
        Self { scopes, may_ask, authorized: true, ..self }
    }

    /// How many may be under way at a time.
    #[must_use]
    pub const fn at_once(&self) -> usize {
        self.repeat.parallel.get()
    }

    /// The next call; none once all are begun, or one has failed.
    pub fn begin(&mut self) -> Option<Call> {
        if self.begun >= self.repeat.calls.get() || self.failed.is_some() {
            return None;
        }
        self.begun = self.begun.saturating_add(1);
        let ask = Ask::Tools { cursor: None };
        let out = self.mcp.request(&ask);
        let out = out.map_err(|fault| self.ended(failed(fault))).ok()?;
        Some(Call {
            mcp: self.mcp.clone(),
            url: self.url.clone(),
            scopes: self.scopes.clone(),
            may_ask: self.may_ask,
            authorized: self.authorized,
            out,
            held: None,
            accepted: Arc::clone(&self.accepted),
            refusals: 0,
            awaits: Awaits::Start,
        })
    }

    /// Takes in how a call ended.
    pub fn ended(&mut self, ended: Ended) {
        self.counts.calls = self.counts.calls.saturating_add(1);
        if let Err(outcome) = ended {
            self.counts.failures = self.counts.failures.saturating_add(1);
            self.failed.get_or_insert(outcome);
        }
    }

    pub(crate) fn close(self) -> (Mcp, Counts, Option<Outcome>) {
        (self.mcp, self.counts, self.failed.map(|failed| *failed))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    Start,
    Grant,
    Answer,
    Relief,
}

/// One `tools/list`, from the token it goes with to its answer.
#[derive(Debug)]
pub struct Call {
    mcp: Mcp,
    url: String,
    scopes: ScopeSet,
    may_ask: bool,
    authorized: bool,
    /// Repeated as it is, under the same JSON-RPC id (TRANS-35).
    out: Outgoing,
    held: Option<Held>,
    accepted: Arc<AtomicU64>,
    refusals: usize,
    awaits: Awaits,
}

impl Call {
    /// Takes in what happened, [`Event::Start`] first, and says what to do next.
    pub fn step(&mut self, event: Event) -> Next {
        match Happened::of(event, &self.url) {
            Some(happened) => self.on(happened),
            None => confused(),
        }
    }

    pub(crate) fn on(&mut self, happened: Happened) -> Next {
        match (self.awaits, happened) {
            (Awaits::Start, Happened::Start) if self.authorized => {
                self.awaits = Awaits::Grant;
                errand(Errand::Acquire { scopes: self.scopes.clone(), may_ask: false })
            }
            (Awaits::Start, Happened::Start) => self.send(),
            // Without a token the server's refusal names what it wants.
            (Awaits::Grant, Happened::Settled(Err(failure)))
                if failure.mended_by_login() && self.may_ask =>
            {
                self.send()
            }
            (Awaits::Grant | Awaits::Relief, Happened::Settled(Ok(held))) if held.covers => {
                self.held = Some(held);
                self.send()
            }
            (Awaits::Grant | Awaits::Relief, Happened::Settled(settled)) => {
                let outside =
                    || Failure::new(Kind::OriginMismatch, "USE-07").with_subject(&self.url);
                let failure = settled.err().unwrap_or_else(|| outside().into());
                Next::End(failed(failure))
            }
            (Awaits::Answer, Happened::Answered(response)) => self.answered(response),
            (Awaits::Answer, Happened::Unreachable(why)) => {
                Next::End(failed(Fault::unanswered(why, &self.url)))
            }
            _ => confused(),
        }
    }

    fn send(&mut self) -> Next {
        let mut request = self.out.request.clone();
        if let Some(held) = &self.held {
            request.headers_mut().insert(AUTHORIZATION, held.header.clone());
        }
        self.awaits = Awaits::Answer;
        errand(Errand::Send { request, enough: Enough::new(self.out.id) })
    }

    fn answered(&mut self, response: Response<Vec<u8>>) -> Next {
        let ask = Ask::Tools { cursor: None };
        match self.mcp.read(&ask, self.out.id, &response) {
            Heard::Refused => self.refused(response),
            Heard::Tools { .. } => {
                if let Some(held) = &self.held {
                    self.accepted.fetch_max(held.epoch.0, Ordering::Relaxed);
                }
                Next::End(Ok(()))
            }
            Heard::Fault(mut fault) => {
                let token = self.held.as_ref().map(|held| &held.token);
                if echoes(token, response.body()) {
                    ECHOED.clone_into(&mut fault.text);
                }
                Next::End(failed(fault))
            }
            Heard::SessionLost => Next::End(failed(passing(
                "mcp_session_lost",
                "TRANS-19",
                "the server forgot its session",
            ))),
            _ => {
                let text = "the stream ended before the answer to tools/list";
                Next::End(failed(passing("mcp_lost", "TRANS-17", text)))
            }
        }
    }

    fn refused(&mut self, response: Response<Vec<u8>>) -> Next {
        if self.refusals >= MOST_REFUSALS {
            return Next::End(failed(Failure::new(Kind::StepUpLimit, "STEP-09")));
        }
        let (head, _) = response.into_parts();
        let again = self.held.as_ref().filter(|_| self.refusals > 0);
        let had = again.map_or_else(Had::default, |held| held.had);
        let accepted = self.accepted.load(Ordering::Relaxed);
        self.refusals = self.refusals.saturating_add(1);
        self.awaits = Awaits::Relief;
        errand(Errand::Challenge(Refusal {
            epoch: self.held.as_ref().map(|held| held.epoch),
            status: head.status,
            headers: head.headers,
            operation: Ask::Tools { cursor: None }.operation(),
            accepted: (accepted > 0).then_some(Epoch(accepted)),
            had,
            may_ask: self.may_ask,
        }))
    }
}

fn errand(errand: Errand) -> Next {
    Next::Do(Box::new(errand))
}

/// What may go better next time.
fn passing(code: &'static str, rule: &'static str, text: &str) -> Fault {
    Fault::new(code, text, rule, Remedy::Retry { after: None })
}

fn failed(outcome: impl Into<Outcome>) -> Ended {
    Err(Box::new(outcome.into()))
}

fn confused() -> Next {
    let why = "the program answered an errand with an event of another kind";
    Next::End(failed(Outcome::setup(why)))
}
