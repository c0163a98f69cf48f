//! The job of an example: what to ask the MCP server for next, and what is told of what came.
//!
//! The MCP client is the product's, or an SDK's over it. The work that is left is to choose, to
//! keep what the end will tell, and to show no token that a server repeats. Every loop is bounded
//! by a number of ours (STEP-16).

use std::collections::VecDeque;
use std::mem;

use http::{HeaderMap, StatusCode};
use mcp_authz_core::effect::Why;
use mcp_authz_core::failure::{Remedy, escaped};
use mcp_authz_core::granted::Granted;
use mcp_authz_core::input::{Epoch, Had, Refusal};
use mcp_authz_core::secret::AccessToken;
use serde_json::{Value, json};

use super::options::{MODERN, Options, Repeat, Target};
use super::outcome::{Counts, Fault, Outcome, Summary};
use super::print::{Step, bare};

/// Most pages of one tool list.
const MOST_PAGES: usize = 16;
/// Most tools that are called unasked.
const MOST_CALLS: usize = 4;
/// The text that stands for words of a server that hold a token.
const ECHOED: &str = "(repeats the access token: not shown)";

/// The next thing to do.
#[derive(Debug)]
pub enum Goal {
    /// A page of the list of tools: `tools/list` with these parameters, see [`Report::listed`].
    List(Value),
    /// `tools/call` of this tool, without arguments, see [`Report::called`].
    Call(String),
    /// `tools/list` so often, so many at a time, see [`Report::counted`].
    Repeat(Repeat),
    /// Nothing of the MCP server: the session is to hear this refusal, which no server spoke, and replaces a token
    /// that is still good.
    Refresh(Box<Refusal>),
}

/// The parts of a grant that are kept.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) epoch: Epoch,
    pub(crate) issuer: String,
    pub(crate) resource: Option<String>,
    pub(crate) scopes: Option<String>,
}

impl Held {
    fn of(granted: &Granted) -> Self {
        Self {
            epoch: granted.epoch(),
            issuer: escaped(granted.issuer()),
            resource: granted.resource().map(bare),
            scopes: granted.scopes().map(ToString::to_string),
        }
    }
}

/// A step that is still to be done.
#[derive(Clone, Debug)]
enum Plan {
    List(Value),
    Call(String),
    Repeat(Repeat),
    Refresh,
}

/// The options that count once the tools are known.
#[derive(Clone, Debug)]
struct Wish {
    embedded: bool,
    call: Option<String>,
    refresh: bool,
    repeat: Option<Repeat>,
}

impl Wish {
    fn of(options: &Options) -> Self {
        Self {
            embedded: matches!(options.target, Target::Embedded(_)),
            call: options.call.clone(),
            refresh: options.refresh,
            repeat: options.repeat,
        }
    }

    /// A demonstration uses the old token, replaces it, uses the new one.
    fn plan(&self, tools: &[Tool]) -> VecDeque<Plan> {
        if let Some(repeat) = self.repeat {
            return VecDeque::from([Plan::Repeat(repeat)]);
        }
        let mut calls: VecDeque<String> = self.call.iter().cloned().collect();
        if self.embedded && calls.is_empty() {
            let plain = tools.iter().filter(|tool| tool.plain).take(MOST_CALLS);
            calls.extend(plain.map(|tool| tool.name.clone()));
        }
        let mut plan: VecDeque<Plan> = calls.pop_front().map(Plan::Call).into_iter().collect();
        if self.embedded || self.refresh {
            plan.push_back(Plan::Refresh);
        }
        plan.extend(calls.into_iter().map(Plan::Call));
        plan
    }
}

/// A tool as `tools/list` has it.
#[derive(Clone, Debug)]
struct Tool {
    name: String,
    /// True if it can be called without arguments.
    plain: bool,
}

impl Tool {
    fn read(tool: &Value) -> Option<Self> {
        let required = tool.pointer("/inputSchema/required").and_then(Value::as_array);
        let name = tool.get("name")?.as_str()?.to_owned();
        Some(Self { name, plain: required.is_none_or(Vec::is_empty) })
    }
}

/// The job, and what the end will tell of it.
#[derive(Debug)]
pub struct Report {
    url: String,
    wish: Wish,
    plan: VecDeque<Plan>,
    planned: bool,
    tools: Vec<Tool>,
    cursors: Vec<String>,
    held: Option<Held>,
    tokens: Vec<AccessToken>,
    summary: Summary,
    counts: Counts,
}

impl Report {
    /// Of the job that these options ask for, at this MCP URL: the one given, or the embedded server's.
    #[must_use]
    pub fn new(options: &Options, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            wish: Wish::of(options),
            plan: VecDeque::from([Plan::List(json!({}))]),
            planned: false,
            tools: Vec::new(),
            cursors: Vec::new(),
            held: None,
            tokens: Vec::new(),
            summary: Summary::default(),
            counts: Counts::default(),
        }
    }

    /// The next thing to do; nothing at the end.
    pub fn next_goal(&mut self) -> Option<Goal> {
        Some(match self.plan.pop_front()? {
            Plan::List(page) => Goal::List(page),
            Plan::Call(tool) => Goal::Call(tool),
            Plan::Repeat(repeat) => Goal::Repeat(repeat),
            Plan::Refresh => match &self.held {
                Some(held) => {
                    let refusal = refresh(held.epoch);
                    self.summary.refreshed = true;
                    self.plan.push_front(Plan::List(json!({})));
                    Goal::Refresh(Box::new(refusal))
                }
                // A server that asks for no token has none to replace.
                None => return self.next_goal(),
            },
        })
    }

    /// A token that must not be shown, whoever repeats it.
    pub fn knows(&mut self, token: &AccessToken) {
        if self.tokens.last().is_none_or(|last| last.expose() != token.expose()) {
            self.tokens.push(token.clone());
        }
    }

    /// The grant that the session has now; nothing is said of one that is known. `stored`: it was there before this
    /// run asked for one.
    pub fn holds(&mut self, granted: &Granted, stored: bool) -> Option<Step> {
        self.knows(granted.access_token());
        self.hold(Held::of(granted), stored)
    }

    fn hold(&mut self, held: Held, stored: bool) -> Option<Step> {
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
        let name = if stored && before.is_none() { "held" } else { "granted" };
        let step = Step::granted(name, &held);
        self.summary.issuer = Some(held.issuer.clone());
        self.summary.resource = held.resource.clone();
        self.summary.scopes = held.scopes.clone();
        self.held = Some(held);
        Some(step)
    }

    /// The protocol version that client and server have agreed upon.
    pub fn speaks(&mut self, version: &str) -> Step {
        self.summary.era = if version >= MODERN { "modern" } else { "legacy" };
        version.clone_into(&mut self.summary.version);
        Step::wire(self.summary.era, version)
    }

    /// The result of `tools/list`: a page, or the last one, of which there is something to show.
    ///
    /// # Errors
    /// It is no list of tools, or the list has no end.
    pub fn listed(&mut self, result: &Value) -> Result<Option<Step>, Fault> {
        let Some(tools) = result.get("tools").and_then(Value::as_array) else {
            let text = "tools/list gave no list of tools";
            return Err(Fault::mcp("mcp_malformed", text, Remedy::Report));
        };
        self.tools.extend(tools.iter().filter_map(Tool::read));
        if let Some(next) = result.get("nextCursor").and_then(Value::as_str) {
            if self.cursors.iter().any(|known| known == next) || self.cursors.len() >= MOST_PAGES {
                let text = "the list of tools does not end";
                return Err(Fault::server("mcp_endless_list", text, "STEP-16"));
            }
            self.cursors.push(next.to_owned());
            self.plan.push_front(Plan::List(json!({"cursor": next})));
            return Ok(None);
        }
        self.cursors.clear();
        let tools = mem::take(&mut self.tools);
        self.summary.tools = tools.iter().map(|tool| self.shown(&tool.name)).collect();
        if !mem::replace(&mut self.planned, true) {
            self.plan = self.wish.plan(&tools);
        }
        Ok(Some(Step::tools(&self.summary.tools)))
    }

    /// A tool is about to be called.
    #[must_use]
    pub fn calling(&self, tool: &str) -> Step {
        Step::calling(&self.shown(tool))
    }

    /// The result of `tools/call`.
    pub fn called(&mut self, tool: &str, result: &Value) -> Step {
        let complete = result.get("resultType").and_then(Value::as_str);
        let (error, text) = if complete.is_some_and(|kind| kind != "complete") {
            (true, "the tool wants input that this program does not give".to_owned())
        } else {
            let parts = result.get("content").and_then(Value::as_array).into_iter().flatten();
            let texts: Vec<&str> =
                parts.filter_map(|part| part.get("text")?.as_str()).take(4).collect();
            (result.get("isError").and_then(Value::as_bool).unwrap_or_default(), texts.join(" "))
        };
        let (name, text) = (self.shown(tool), self.shown(&text));
        self.summary.called.push(name.clone());
        Step::called(&name, error, &text)
    }

    /// One of many calls has ended.
    pub fn counted(&mut self, failed: bool) {
        self.counts.calls = self.counts.calls.saturating_add(1);
        self.counts.failures = self.counts.failures.saturating_add(usize::from(failed));
    }

    /// No answer came, for this reason.
    #[must_use]
    pub fn unanswered(&self, why: Why) -> Outcome {
        Fault::unanswered(why, &self.url).into()
    }

    /// The MCP client says that it failed: its stable code, its words, what they quote of the server, uncut, and its
    /// advice.
    #[must_use]
    pub fn failed(&self, code: &'static str, text: &str, quoted: &str, remedy: Remedy) -> Outcome {
        let echoes = self.echoes(text) || self.echoes(quoted);
        Fault::mcp(code, if echoes { ECHOED } else { text }, remedy).into()
    }

    /// The end: what stood in the way, or what was done.
    pub fn end(&mut self, failed: Option<Outcome>) -> (Step, Outcome) {
        let summary = mem::take(&mut self.summary);
        let outcome = match failed {
            Some(failed) => failed,
            None if self.held.is_some() => Outcome::Authorized(summary),
            None => Outcome::Open(summary),
        };
        (Step::ending(&outcome, self.counts), outcome)
    }

    /// Words of a server, or none of them if they repeat a token.
    fn shown(&self, text: &str) -> String {
        if self.echoes(text) { ECHOED.to_owned() } else { escaped(text) }
    }

    fn echoes(&self, text: &str) -> bool {
        let among = |token: &AccessToken| {
            let token = token.expose();
            !token.is_empty() && text.contains(token)
        };
        self.tokens.iter().any(among)
    }
}

/// A refusal that no server spoke.
fn refresh(epoch: Epoch) -> Refusal {
    Refusal {
        epoch: Some(epoch),
        status: StatusCode::UNAUTHORIZED,
        headers: HeaderMap::new(),
        operation: "refresh".to_owned(),
        accepted: None,
        had: Had::default(),
        may_ask: false,
    }
}

#[cfg(test)]
mod tests;
