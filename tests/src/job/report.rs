//! What is shown of the job where somebody else's MCP client does it.
//!
//! An SDK sends the requests and reads the answers itself; what is left to tell is what it was asked for and what
//! came of it. The steps and the end are those of a [`Job`](super::Job).

use std::collections::VecDeque;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use mcp_authz_core::effect::Why;
use mcp_authz_core::failure::{Failure, Kind, escaped};
use mcp_authz_core::granted::Granted;
use mcp_authz_core::input::{Epoch, Had, Refusal};
use mcp_authz_core::secret::AccessToken;

use super::machine::{ECHOED, Held, Wish, echoes};
use super::mcp::{Tool, era_of};
use super::options::{Options, Repeat};
use super::outcome::{Counts, Fault, Outcome, Summary};
use super::print::Step;

/// What to ask of the client next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The list of tools.
    List,
    /// The list so often, so many at a time.
    Repeat(Repeat),
    /// This tool, without arguments.
    Call(String),
    /// Nothing of the client, but of the session: a refresh, see [`Report::refresh`].
    Refresh,
    /// The end of its session.
    Bye,
}

/// Keeps what the end will tell.
#[derive(Debug)]
pub struct Report {
    url: String,
    wish: Wish,
    issuer: Option<String>,
    planned: bool,
    held: Option<Held>,
    tokens: Vec<AccessToken>,
    summary: Summary,
    counts: Counts,
}

impl Report {
    /// Of the job that these options ask for, at this MCP URL.
    #[must_use]
    pub fn new(options: &Options, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            wish: Wish::of(options),
            issuer: options.issuer.clone(),
            planned: false,
            held: None,
            tokens: Vec::new(),
            summary: Summary::default(),
            counts: Counts::default(),
        }
    }

    /// What the session held before anything was asked.
    pub fn found(&mut self, settled: Result<Arc<Granted>, Arc<Failure>>) -> Step {
        match settled.map(|granted| Held::of(&granted, Had::default(), &self.url)) {
            Ok(held) if held.covers => self.hold(held, "held"),
            Ok(_) => Step::nothing_held(Kind::OriginMismatch.code()),
            Err(failure) => Step::nothing_held(failure.kind().code()),
        }
    }

    /// The grant that the session has now; nothing is said of one that is known.
    pub fn holds(&mut self, granted: Option<&Granted>) -> Option<Step> {
        let held = Held::of(granted?, Had::default(), &self.url);
        let before = self.held.as_ref();
        if before.is_some_and(|before| before.epoch == held.epoch) {
            return None;
        }
        // More scope in mid-session is what a refusal has led to.
        if let Some(before) = before {
            let known: Vec<&str> = before.scopes.iter().flat_map(|list| list.split(' ')).collect();
            let now = held.scopes.as_deref().unwrap_or_default().split_ascii_whitespace();
            let added: Vec<_> = now.filter(|scope| !known.contains(scope)).collect();
            self.summary.stepped_up |= !added.is_empty();
            self.summary.added.extend(added.into_iter().map(str::to_owned));
        }
        Some(self.hold(held, "granted"))
    }

    fn hold(&mut self, held: Held, name: &'static str) -> Step {
        let step = Step::granted(name, &held);
        self.tokens.push(held.token.clone());
        self.summary.issuer = Some(held.issuer.clone());
        self.summary.resource = held.resource.clone();
        self.summary.scopes = held.scopes.clone();
        self.held = Some(held);
        step
    }

    /// The protocol version that client and server have agreed upon.
    pub fn speaks(&mut self, version: &str) -> Step {
        self.summary.era = era_of(version);
        version.clone_into(&mut self.summary.version);
        Step::wire(self.summary.era, version)
    }

    /// The tools: their names, and whether each can be called without arguments. After the first list this says what
    /// else to do.
    pub fn listed(&mut self, tools: Vec<(String, bool)>) -> (Step, VecDeque<Goal>) {
        let tools: Vec<_> = tools.into_iter().map(|(name, plain)| Tool { name, plain }).collect();
        self.summary.tools = tools.iter().map(|tool| self.shown(&tool.name)).collect();
        let goals = if core::mem::replace(&mut self.planned, true) {
            VecDeque::new()
        } else {
            self.wish.goals(&tools, self.held.is_some())
        };
        (Step::tools(&self.summary.tools), goals)
    }

    /// What a tool said.
    pub fn called(&mut self, tool: &str, error: bool, text: &str) -> Step {
        let (name, text) = (self.shown(tool), self.shown(text));
        self.summary.called.push(name.clone());
        Step::called(&name, error, &text)
    }

    /// Many requests are about to be made.
    #[must_use]
    pub fn calls(&self, repeat: Repeat) -> Step {
        Step::calls(repeat)
    }

    /// One of many has ended.
    pub fn counted(&mut self, failed: bool) {
        self.counts.calls = self.counts.calls.saturating_add(1);
        self.counts.failures = self.counts.failures.saturating_add(usize::from(failed));
    }

    /// A refusal that no server spoke: it makes the session replace a token that is still good.
    pub fn refresh(&mut self) -> Option<(Step, Refusal)> {
        let epoch: Epoch = self.held.as_ref()?.epoch;
        self.summary.refreshed = true;
        let refusal = Refusal {
            epoch: Some(epoch),
            status: StatusCode::UNAUTHORIZED,
            headers: HeaderMap::new(),
            operation: "refresh".to_owned(),
            accepted: None,
            had: Had::default(),
            may_ask: false,
        };
        Some((Step::refresh(), refusal))
    }

    /// No answer came, for this reason.
    #[must_use]
    pub fn unanswered(&self, why: Why) -> Outcome {
        Fault::unanswered(why, &self.url).into()
    }

    /// The client says that it failed, in these words.
    #[must_use]
    pub fn failed(&self, text: &str) -> Outcome {
        Fault::server("mcp_failed", &self.shown(text), "").into()
    }

    /// The end: what stood in the way, or what was done.
    #[must_use]
    pub fn end(self, failed: Option<Outcome>) -> (Step, Outcome) {
        let outcome = match failed {
            Some(failed) => failed,
            None if self.held.is_some() => Outcome::Authorized(self.summary),
            None => Outcome::Open(self.summary),
        };
        (Step::ending(&outcome, self.counts, self.issuer.as_deref()), outcome)
    }

    /// Words of a server, or none of them if they repeat a token.
    fn shown(&self, text: &str) -> String {
        if echoes(&self.tokens, text.as_bytes()) { ECHOED.to_owned() } else { escaped(text) }
    }
}
