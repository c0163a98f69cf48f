//! What is wrong with a server, by the rules of the library: the failures that end a login, the notes of
//! a session, and what the documents leave out.

use std::sync::Arc;

use mcp_authz_core::failure::{Failure, Kind, Mend, Remedy, Switch, escaped};
use mcp_authz_core::note::Note;
use mcp_authz_tokio::driver::rules;
use serde_json::{Value, json};

use crate::fault;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// No login comes of it as it is.
    Broken,
    /// It works here, and need not with another client.
    Weak,
    /// It works, and could be better.
    Note,
}

impl Severity {
    /// The stable name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Weak => "weak",
            Self::Note => "note",
        }
    }
}

/// One thing that a server's author should hear. Every text is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// The id of the rule.
    pub(super) rule: &'static str,
    /// The stable code of the failure, if it is one of a failure.
    pub(super) code: Option<&'static str>,
    /// One sentence without its full stop.
    pub(super) text: String,
    /// The URL, field or value at fault.
    pub(super) at: Option<String>,
    /// The server's own words about it.
    pub(super) said: Option<String>,
    /// The options that accept it, as they are written.
    pub(super) options: Vec<String>,
    /// What else may mend it, on the client's side.
    pub(super) mends: Vec<String>,
}

impl Finding {
    /// One of what a document or an answer leaves out.
    pub(super) fn new(severity: Severity, rule: &'static str, text: &str) -> Self {
        Self {
            severity,
            rule,
            code: None,
            text: escaped(text),
            at: None,
            said: None,
            options: Vec::new(),
            mends: Vec::new(),
        }
    }

    /// The same, about this URL, field or value.
    pub(super) fn at(self, at: &str) -> Self {
        Self { at: Some(escaped(at)), ..self }
    }

    /// The failure that ended a round.
    pub(super) fn failed(failure: &Failure) -> Self {
        let said = failure.said().map(|said| {
            let words = said.description.as_deref().unwrap_or_default();
            format!("{} {words}", said.error).trim_end().to_owned()
        });
        let text = match failure.hint() {
            Some(hint) => format!("{}: {hint}", failure.sentence()),
            None => failure.sentence().to_owned(),
        };
        let where_it_was = || failure.purpose().map(|purpose| purpose.name().to_owned());
        Self {
            code: Some(failure.code()),
            at: failure.subject().map(str::to_owned).or_else(where_it_was),
            said,
            options: fault::openings(failure).collect(),
            mends: mends(failure),
            ..Self::new(Severity::Broken, failure.rule(), &text)
        }
    }

    /// A switch was turned on, for this issuer or host.
    pub(super) fn let_off(switch: Switch, of: &str) -> Self {
        let (rule, text) = leniency(switch);
        let finding = Self::new(Severity::Weak, rule, text);
        if of.is_empty() { finding } else { finding.at(of) }
    }

    /// The finding that a note is; `None` for notes of what is in order.
    pub(super) fn noted(note: &Note) -> Option<Self> {
        match note {
            Note::Dropped { kind, rule, subject } => Some(Self {
                code: Some(kind.code()),
                ..Self::new(Severity::Weak, rule, &format!("not used: {}", kind.sentence()))
                    .at(subject)
            }),
            Note::Lenient { switch, subject } => Some(Self::let_off(*switch, subject)),
            Note::Renewed { missing, .. } if !missing.is_empty() => {
                let text = "scopes that were asked for are missing from the token";
                Some(Self::new(Severity::Weak, "SCOPE-13", text).at(missing.as_str()))
            }
            Note::Renewed { unasked, .. } if !unasked.is_empty() => {
                let text = "the token has scopes that nobody asked for";
                Some(Self::new(Severity::Weak, "HOST-211", text).at(unasked.as_str()))
            }
            _ => None,
        }
    }

    /// The sentence of its rule, if it is one of the list.
    pub(super) fn sentence(&self) -> Option<String> {
        rules::sentence(self.rule)
    }

    /// For programs.
    pub(super) fn line(&self) -> Value {
        json!({
            "event": "finding",
            "severity": self.severity.name(),
            "rule": self.rule,
            "rule_text": self.sentence(),
            "code": self.code,
            "text": self.text,
            "at": self.at,
            "server_said": self.said,
            "options": self.options,
            "mends": self.mends,
        })
    }

    /// Returns true if it is of this kind.
    pub(super) fn is(&self, kind: Kind) -> bool {
        self.code == Some(kind.code())
    }
}

/// What may mend a failure on the client's side, beside switches.
fn mends(failure: &Failure) -> Vec<String> {
    let client = (failure.remedy() == Remedy::Register).then(|| fault::advice(Remedy::Register));
    let settings = failure.mends().iter().map(|mend: &Mend| fault::mended(mend));
    let advice = failure.advice().map(str::to_owned);
    advice.into_iter().chain(client).chain(settings).collect()
}

/// The rule that a leniency bends, and what the server does.
const fn leniency(switch: Switch) -> (&'static str, &'static str) {
    match switch {
        Switch::PkceUnlisted => ("ASM-11", "the server lists no PKCE methods, and is let off that"),
        Switch::LegacyServers => {
            ("LEG-03", "no metadata is published: the endpoints are the default ones of 2025-03-26")
        }
        Switch::IssuerSlash => ("AMB-05", "the listed issuer and the document's differ by a slash"),
        Switch::ParentResource => (
            "PRM-07",
            "the resource metadata names a parent of the MCP URL, not the MCP URL itself",
        ),
        Switch::SplitEndpoints => {
            ("ASM-17", "the endpoints are on unrelated hosts, and the server is let off that")
        }
        Switch::PrivateAddress => {
            ("SEC-05", "the host has a private address, which a switch allows")
        }
        Switch::PlainHttp => {
            ("SEC-01", "the host is spoken to in plain http, which a switch allows")
        }
        Switch::MissingTokenType => ("TOK-06", "the token answer has no token_type"),
        Switch::ResourceParameter | Switch::Entra => {
            ("RES-01", "the server is sent no resource parameter, or another one")
        }
        Switch::IssuerPin => (
            "BIND-12",
            "the document names another issuer than the resource lists; the pair is pinned",
        ),
        Switch::UnlistedNone | Switch::UnlistedMethod => {
            ("CAUTH-02", "the client uses an authentication method that the server does not list")
        }
        Switch::UnlockedRefresh => {
            ("HOST-288", "tokens are renewed although the store cannot be locked")
        }
        Switch::StrictProxy => ("SEC-07", "a proxy looks names up"),
        _ => ("ASM-10", "the server needs a leniency"),
    }
}

/// Findings without repetitions, the worst first. A leniency is not told beside the failure that it
/// has avoided, which names the same rule.
pub(super) fn sorted(all: Vec<Finding>) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::with_capacity(all.len());
    for finding in all {
        let same = |one: &&mut Finding| {
            one.rule == finding.rule && one.code == finding.code && one.at == finding.at
        };
        let told = kept.iter().any(|one| {
            one.severity == Severity::Broken && one.rule == finding.rule && finding.code.is_none()
        });
        match kept.iter_mut().find(same) {
            Some(one) => one.severity = one.severity.min(finding.severity),
            None if !told => kept.push(finding),
            None => {}
        }
    }
    kept.sort_by_key(|finding| finding.severity);
    kept
}

/// A failure of a login, with the same words.
impl From<&Arc<Failure>> for Finding {
    fn from(failure: &Arc<Failure>) -> Self {
        Self::failed(failure)
    }
}
