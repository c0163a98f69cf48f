//! What a run cost: counted from what the session tells, and added to the last step.

use mcp_authz_core::effect::{Purpose, Visit};
use mcp_authz_core::note::Note;

use super::{Human, Step};

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
}

impl Tally {
    pub(super) fn note(&mut self, note: &Note) {
        let count = match note {
            Note::Asked { purpose: Purpose::CodeExchange | Purpose::Refresh, .. } => {
                &mut self.token_requests
            }
            Note::Answered { purpose: Purpose::Refresh, status: 200 } => &mut self.refreshes,
            Note::Adopted => &mut self.adopted,
            _ => return,
        };
        *count = count.saturating_add(1);
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
        if let Human::Block(_, rows) = &mut step.human {
            let at = rows.iter().position(|(name, _)| *name == "next").unwrap_or(rows.len());
            rows.splice(at..at, self.words().map(|words| ("tokens", words)));
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
