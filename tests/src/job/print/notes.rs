//! The session's notes as steps.

use mcp_authz_core::failure::escaped;
use mcp_authz_core::note::{Choice, Note};

use super::{Step, tally};

impl Step {
    pub(super) fn waiting() -> Self {
        Self::new("waiting", "another program replaces the token; waiting for what it gets")
    }

    /// The step that a note tells, if it is of interest here. Edges of tables are not, and late
    /// answers come at any time.
    #[must_use]
    pub fn note(note: &Note) -> Option<Self> {
        if tally::cut_off(note) {
            let line =
                "a program that was killed may have sent this refresh token; it is tried once more";
            return Some(Self::new("refresh_cut_off", line));
        }
        let line = escaped(&note.to_string());
        Some(match note {
            Note::Step(_) | Note::Late { .. } => return None,
            Note::Asked { purpose, method, url } => {
                Self::request(purpose.name(), method, &url.to_string(), false)
            }
            Note::Answered { purpose, status } => Self::answer(purpose.name(), *status),
            Note::Lost { purpose, why } => Self::unanswered(purpose.name(), *why),
            Note::Chose(choice) => Self::choice(choice, line),
            Note::Proxied { proxy } => Self::new("proxied", line).with("proxy", escaped(proxy)),
            Note::Dropped { kind, rule, subject } => Self::new("dropped", line)
                .with("code", kind.code())
                .with("rule", *rule)
                .with("subject", escaped(subject)),
            Note::Lenient { switch, subject } => Self::new("lenient", line)
                .with("switch", switch.name())
                .with("subject", escaped(subject)),
            Note::Renewed { missing, unasked } => Self::new("renewed", line)
                .with("missing", missing.as_str())
                .with("unasked", unasked.as_str()),
            Note::Stray { kind, rule } => {
                Self::new("stray", line).with("code", kind.code()).with("rule", *rule)
            }
            Note::Untrusted { kind, rule } => {
                Self::new("untrusted", line).with("code", kind.code()).with("rule", *rule)
            }
            Note::Failed { kind, rule } => {
                Self::new("gave_up", line).with("code", kind.code()).with("rule", *rule)
            }
            _ => Self::new("note", line.clone()).with("text", line),
        })
    }

    fn choice(choice: &Choice, line: String) -> Self {
        let step = Self::new("chose", line);
        match choice {
            Choice::Resource { resource } => {
                step.with("what", "resource").with("resource", escaped(resource))
            }
            Choice::Server { issuer, document } => step
                .with("what", "server")
                .with("issuer", escaped(issuer))
                .with("document", document.as_ref().map(|shown| escaped(&shown.to_string()))),
            Choice::Client(way) => step.with("what", "client").with("way", way.name()),
            Choice::Scopes { scopes, source } => step
                .with("what", "scopes")
                .with("scope", scopes.as_str())
                .with("source", source.name()),
            Choice::IssuerChanged { from, to } => {
                step.with("what", "issuer").with("from", escaped(from)).with("to", escaped(to))
            }
            _ => step.with("what", "other"),
        }
    }
}
