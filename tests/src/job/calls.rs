//! Many `tools/list` requests, so many at a time, each with the token that is good when it leaves.
//!
//! A [`Call`] is a pure machine like the job itself: it asks the session for a grant, sends, and takes a refusal to
//! the session. Who makes several at a time needs a thread or a future for each, and nothing more.

use http::header::AUTHORIZATION;
use http::Response;
use mcp_authz_core::failure::{Failure, Kind, Remedy};
use mcp_authz_core::scope::ScopeSet;

use super::framing::Enough;
use super::machine::{ECHOED, Happened, Held, MOST_REFUSALS, echoes};
use super::mcp::{Ask, Heard, Mcp, Outgoing};
use super::options::Repeat;
use super::outcome::{Counts, Fault, Outcome};
use super::{Errand, Event, Refusal};

/// How a call ended.
pub type Ended = Result<(), Outcome>;

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
    counts: Counts,
    failed: Option<Outcome>,
}

/// What a call does next.
#[derive(Debug)]
pub enum Next {
    /// Do this and step the call with what came of it.
    Do(Errand),
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
        let out = out.map_err(|fault| self.ended(Err(fault.into()))).ok()?;
        Some(Call {
            mcp: self.mcp.clone(),
            url: self.url.clone(),
            scopes: self.scopes.clone(),
            may_ask: self.may_ask,
            authorized: self.authorized,
            out,
            held: None,
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
        (self.mcp, self.counts, self.failed)
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
                Next::Do(Errand::Acquire { scopes: self.scopes.clone(), may_ask: false })
            }
            (Awaits::Start, Happened::Start) => self.send(),
            // Without a token the server's refusal names what it wants.
            (Awaits::Grant, Happened::Settled(Err(failure)))
                if failure.kind() == Kind::ReauthorizationRequired && self.may_ask =>
            {
                self.send()
            }
            (Awaits::Grant | Awaits::Relief, Happened::Settled(Ok(held))) if held.covers => {
                self.held = Some(held);
                self.send()
            }
            (Awaits::Grant | Awaits::Relief, Happened::Settled(settled)) => {
                let outside = || Failure::new(Kind::OriginMismatch, "USE-07").with_subject(&self.url);
                let failure = settled.err().unwrap_or_else(|| outside().into());
                Next::End(Err(failure.into()))
            }
            (Awaits::Answer, Happened::Answered(response)) => self.answered(response),
            (Awaits::Answer, Happened::Unreachable(why)) => {
                failed(Fault::unanswered(why, &self.url))
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
        Next::Do(Errand::Send { request, enough: Enough::new(self.out.id) })
    }

    fn answered(&mut self, response: Response<Vec<u8>>) -> Next {
        let ask = Ask::Tools { cursor: None };
        match self.mcp.read(&ask, self.out.id, &response) {
            Heard::Refused => self.refused(response),
            Heard::Tools { .. } => Next::End(Ok(())),
            Heard::Fault(mut fault) => {
                let token = self.held.as_ref().map(|held| &held.token);
                if echoes(token, response.body()) {
                    ECHOED.clone_into(&mut fault.text);
                }
                failed(fault)
            }
            Heard::SessionLost => {
                let text = "the server forgot its session while calls were under way";
                failed(Fault::new("mcp_session_lost", text, "TRANS-19", Remedy::Retry { after: None }))
            }
            _ => {
                let text = "the stream ended before the answer to tools/list";
                failed(Fault::new("mcp_lost", text, "TRANS-17", Remedy::Retry { after: None }))
            }
        }
    }

    fn refused(&mut self, response: Response<Vec<u8>>) -> Next {
        if self.refusals >= MOST_REFUSALS {
            return Next::End(Err(Failure::new(Kind::StepUpLimit, "STEP-09").into()));
        }
        let (head, _) = response.into_parts();
        let again = self.refusals > 0;
        self.refusals = self.refusals.saturating_add(1);
        self.awaits = Awaits::Relief;
        Next::Do(Errand::Challenge(Refusal {
            epoch: self.held.as_ref().map(|held| held.epoch),
            status: head.status,
            headers: head.headers,
            operation: Ask::Tools { cursor: None }.operation(),
            again,
            may_ask: self.may_ask,
        }))
    }
}

fn failed(fault: Fault) -> Next {
    Next::End(Err(fault.into()))
}

fn confused() -> Next {
    Next::End(Err(Outcome::setup("the program answered an errand with an event of another kind")))
}
