//! The cost of a run: counted from the session's notes and visits, and added to the last step.

use std::mem;

use mcp_authz_core::effect::{Purpose, Visit, Why};
use mcp_authz_core::failure::Kind;
use mcp_authz_core::note::{Edge, Note};
use mcp_authz_core::note::{MachineName, StateName};

use super::{Human, Moment, Step};

/// The one moment at which a crash costs a login: the server may have replaced the token, and what it
/// answered is gone.
const REFRESH_CUT_OFF: Moment = Moment {
    name: "refresh_cut_off",
    words: "a program was killed after it sent the refresh token and before it had saved what came for it; tried once \
            more, and the server does not take that token again",
};

/// The same, with nobody killed.
const REFRESH_UNANSWERED: Moment = Moment {
    name: "refresh_unanswered",
    words: "the refresh token was sent and no answer came; tried once more, and the server does not take that token \
            again",
};

/// Returns true if a refresh token may have reached the server, whose answer did not come back.
fn unanswered(note: &Note) -> bool {
    let Note::Lost { purpose: Purpose::Refresh, why } = note else { return false };
    let unsent = [Why::Resolve, Why::Connect, Why::AddressBlocked, Why::Tls, Why::PlainHttp];
    !unsent.contains(why) && !matches!(why.kind(), Kind::ProxyRefused | Kind::ProxyForbidden)
}

/// Returns true if a recovery begins: a refresh token is sent once more.
pub(super) fn cut_off(note: &Note) -> bool {
    let recovery = |edge: &Edge| {
        (edge.machine, edge.from, edge.to)
            == (MachineName::Intent, StateName::Recorded, StateName::Pause)
    };
    matches!(note, Note::Step(edge) if recovery(edge))
}

/// Says whether another program has the lease of a record that was asked for; nothing if the note
/// is not about a lease.
fn lease(note: &Note) -> Option<bool> {
    let Note::Step(Edge { machine: MachineName::Claim, from: StateName::Lease, to, .. }) = note
    else {
        return None;
    };
    Some(*to == StateName::Pause)
}

/// Counts of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Requests to a token endpoint, answered or not.
    token_requests: usize,
    /// Pages shown to a person.
    logins: usize,
    /// Refreshes that brought a token.
    refreshes: usize,
    /// Records taken over from another process.
    adopted: usize,
    /// Another program has the lease, which was said.
    waits: bool,
    /// A process that is gone had said that it would send the refresh token, and not what came of it.
    cut_off: bool,
    /// The refresh token was sent, or may have been, and no answer came.
    unanswered: bool,
}

impl Tally {
    /// Takes it in, and says whether a wait for another program begins with it.
    pub(super) fn note(&mut self, note: &Note) -> bool {
        if let Some(waits) = lease(note) {
            return !mem::replace(&mut self.waits, waits) && waits;
        }
        self.count(note);
        false
    }

    fn count(&mut self, note: &Note) {
        self.cut_off |= cut_off(note);
        self.unanswered |= unanswered(note);
        let count = match note {
            Note::Asked { purpose: Purpose::CodeExchange | Purpose::Refresh, .. } => {
                &mut self.token_requests
            }
            Note::Answered { purpose: Purpose::Refresh, status: 200..=299 } => &mut self.refreshes,
            Note::Adopted => &mut self.adopted,
            _ => return,
        };
        *count = count.saturating_add(1);
    }

    pub(super) const fn has_asked(&self) -> bool {
        self.token_requests > 0 || self.adopted > 0
    }

    pub(super) fn visit(&mut self, visit: &Visit) {
        self.logins = self.logins.saturating_add(usize::from(!visit.reissued));
    }

    /// The last step, with the counts in it.
    pub(super) fn add_to(&self, last: &Step) -> Step {
        let mut step = last
            .clone()
            .with("token_requests", self.token_requests)
            .with("logins", self.logins)
            .with("refreshes", self.refreshes)
            .with("adopted", self.adopted);
        let moments = [(self.cut_off, REFRESH_CUT_OFF), (self.unanswered, REFRESH_UNANSWERED)];
        if let Some((_, moment)) = moments.into_iter().find(|(hit, _)| *hit)
            && step.says(Kind::ReauthorizationRequired)
        {
            step = step.at_moment(moment);
        }
        if let Human::Block(_, rows) = &mut step.human {
            let at = rows.iter().position(|(name, _)| *name == "next").unwrap_or(rows.len());
            let kept = || (step.name == "authorized").then(|| "as they were kept".to_owned());
            rows.splice(at..at, self.words().or_else(kept).map(|words| ("tokens", words)));
        }
        step
    }

    /// Where the tokens came from; nothing if no token was asked for.
    fn words(&self) -> Option<String> {
        let parts = [
            (self.logins, "login", "logins"),
            (self.refreshes, "refresh", "refreshes"),
            (self.adopted, "taken over from another program", "taken over from other programs"),
        ];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
            .collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}
