//! What the answers of the MCP server, and the settlements of its refusals, mean for the job.

use std::mem;

use http::{Response, StatusCode};
use mcp_authz_core::effect::Why;
use mcp_authz_core::failure::{Failure, Kind, Remedy, escaped};
use mcp_authz_core::input::{Had, Refusal};
use mcp_authz_core::secret::AccessToken;

use super::super::mcp::{Ask, Heard, Tool};
use super::super::outcome::Fault;
use super::super::print::Step;
use super::super::{Action, Errand};
use super::{Awaits, Goal, Held, InHand, Job};

/// Most refusals of one request that are taken to the session (STEP-09).
pub(crate) const MOST_REFUSALS: usize = 7;
/// Most pages of one tool list.
const MOST_PAGES: usize = 16;
/// What stands for words of a server that hold a token.
pub(crate) const ECHOED: &str = "(repeats the access token: not shown)";

impl Job {
    pub(super) fn answered(
        &mut self,
        hand: InHand,
        response: Response<Vec<u8>>,
        said: &mut Vec<Step>,
    ) -> Action {
        said.push(Step::answer(hand.ask.method(), response.status().as_u16()));
        if response.status().is_success() {
            self.accepted = self.accepted.max(hand.sent_with);
        }
        let echoes = self.echoes(response.body());
        match self.mcp.read(&hand.ask, hand.out.id, &response) {
            Heard::Refused => self.refused(hand, response, said),
            Heard::Moved => {
                if self.mcp.opening().is_none() && !mem::replace(&mut self.announced, true) {
                    said.push(Step::wire(self.mcp.era(), self.mcp.version()));
                }
                self.advance(said)
            }
            Heard::SessionLost => {
                self.tools.clear();
                self.cursors.clear();
                said.push(Step::session_lost());
                self.advance(said)
            }
            Heard::Lost => self.answer_lost(&hand.ask, said),
            Heard::Tools { tools, next } => self.listed(tools, next, said),
            Heard::Called { error, text } => {
                let name = self.goals.pop_front().map(|goal| match goal {
                    Goal::Call(tool) => self.shown(&tool),
                    Goal::List | Goal::Repeat(_) | Goal::Refresh | Goal::Bye => String::new(),
                });
                let name = name.unwrap_or_default();
                let text = if echoes { ECHOED.to_owned() } else { escaped(&text) };
                said.push(Step::called(&name, error, &text));
                self.summary.called.push(name);
                self.advance(said)
            }
            Heard::Ended => {
                self.goals.clear();
                self.advance(said)
            }
            Heard::Fault(mut fault) => {
                if echoes {
                    ECHOED.clone_into(&mut fault.text);
                }
                self.conclude(fault.into(), said)
            }
        }
    }

    /// Hands a refusal to the session. It decides what helps; this only bounds how often it is asked.
    fn refused(
        &mut self,
        mut hand: InHand,
        response: Response<Vec<u8>>,
        said: &mut Vec<Step>,
    ) -> Action {
        if hand.refusals >= MOST_REFUSALS {
            return self.conclude(Failure::new(Kind::StepUpLimit, "STEP-09").into(), said);
        }
        let (head, _) = response.into_parts();
        let refusal = Refusal {
            epoch: hand.sent_with,
            status: head.status,
            headers: head.headers,
            operation: hand.ask.operation(),
            accepted: self.accepted,
            had: self
                .held
                .as_ref()
                .filter(|_| hand.refusals > 0)
                .map_or_else(Had::default, |it| it.had),
            may_ask: self.may_ask,
        };
        said.push(Step::challenge(
            refusal.status.as_u16(),
            &self.shown(&refusal.operation),
            hand.refusals > 0,
        ));
        hand.refusals = hand.refusals.saturating_add(1);
        self.awaits = Awaits::Relief(hand, refusal.status);
        Action::Do(Errand::Challenge(refusal))
    }

    pub(super) fn relieved(
        &mut self,
        hand: InHand,
        status: StatusCode,
        held: Held,
        said: &mut Vec<Step>,
    ) -> Action {
        if !held.covers {
            let failure = Failure::new(Kind::OriginMismatch, "USE-07").with_subject(&self.url);
            return self.conclude(failure.into(), said);
        }
        if status == StatusCode::FORBIDDEN {
            self.summary.stepped_up = true;
            let before = self.held.as_ref().and_then(|held| held.scopes.as_deref());
            let before: Vec<&str> = before.unwrap_or_default().split(' ').collect();
            let after = held.scopes.as_deref().unwrap_or_default().split_ascii_whitespace();
            let new = after.filter(|scope| !before.contains(scope)).map(str::to_owned);
            self.summary.added.extend(new);
        }
        self.hold(held, "granted", said);
        self.send(hand, said)
    }

    fn listed(&mut self, tools: Vec<Tool>, next: Option<String>, said: &mut Vec<Step>) -> Action {
        self.tools.extend(tools);
        if let Some(next) = next {
            if self.cursors.contains(&next) || self.cursors.len() >= MOST_PAGES {
                let fault =
                    Fault::server("mcp_endless_list", "the list of tools does not end", "STEP-16");
                return self.conclude(fault.into(), said);
            }
            self.cursors.push(next);
            return self.advance(said);
        }
        self.cursors.clear();
        self.goals.pop_front();
        let tools = mem::take(&mut self.tools);
        self.summary.tools = tools.iter().map(|tool| self.shown(&tool.name)).collect();
        said.push(Step::tools(&self.summary.tools));
        if !mem::replace(&mut self.planned, true) {
            self.goals.extend(self.wish.goals(&tools, self.held.is_some()));
        }
        self.advance(said)
    }

    /// A list may be asked for again; whether a call was carried out is not known, so it is not repeated
    /// (TRANS-17).
    fn answer_lost(&mut self, ask: &Ask, said: &mut Vec<Step>) -> Action {
        let text = format!("the stream ended before the answer to {}", ask.method());
        if matches!(ask, Ask::Call { .. }) || mem::replace(&mut self.lost, true) {
            let fault = Fault::new("mcp_lost", &text, "TRANS-17", Remedy::Retry { after: None });
            return self.conclude(fault.into(), said);
        }
        said.push(Step::lost(ask.method(), "mcp_lost"));
        self.advance(said)
    }

    pub(super) fn unreachable(&mut self, ask: &Ask, why: Why, said: &mut Vec<Step>) -> Action {
        said.push(Step::unanswered(ask.method(), why));
        if *ask == Ask::Bye {
            return self.finish();
        }
        Action::Finish(Fault::unanswered(why, &self.url).into())
    }

    /// Whether a server repeats a token to us. Its words are not shown then.
    fn echoes(&self, body: &[u8]) -> bool {
        echoes(&self.tokens, body)
    }

    fn shown(&self, text: &str) -> String {
        if self.echoes(text.as_bytes()) { ECHOED.to_owned() } else { escaped(text) }
    }
}

/// Whether one of these tokens is among the bytes.
pub(crate) fn echoes<'a>(tokens: impl IntoIterator<Item = &'a AccessToken>, body: &[u8]) -> bool {
    let among = |token: &AccessToken| {
        let token = token.expose().as_bytes();
        !token.is_empty() && body.windows(token.len()).any(|part| part == token)
    };
    tokens.into_iter().any(among)
}
