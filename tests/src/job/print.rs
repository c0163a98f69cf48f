//! The output: aligned lines for people, or one JSON object a line.
//!
//! Nothing in a [`Step`] depends on time, and no query, body or token is ever put into one, so that the output
//! of two runtimes can be compared line by line and pasted into a bug report. Words of servers are escaped.

mod ending;
mod notes;
mod show;
mod tally;

pub(crate) use ending::of_arguments;
pub use show::Show;

use http::Method;
use mcp_authz_core::config::Times;
use mcp_authz_core::effect::{Forgotten, Revoked, Visit, Why};
use mcp_authz_core::failure::{Kind, escaped};
use serde_json::{Value, json};

use super::options::Repeat;
use super::report::Held;

/// The name by which the last step is recognised.
const ENDING: &str = "outcome";

/// How steps are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line; the last one has `outcome` where the others have `step`.
    Json,
}

/// One thing that happened, fit to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    key: &'static str,
    name: &'static str,
    members: Vec<(&'static str, Value)>,
    human: Human,
}

#[derive(Clone, Debug, PartialEq)]
enum Human {
    /// The first half of a row.
    Asked(String),
    /// The second half: a status or a code.
    Came(String),
    Line(String),
    /// A heading, and pairs below it.
    Block(String, Vec<(&'static str, String)>),
}

/// A moment at which a request was out that must not be made twice.
#[derive(Clone, Copy, Debug)]
struct Moment {
    name: &'static str,
    words: &'static str,
}

impl Step {
    pub(crate) fn new(name: &'static str, line: impl Into<String>) -> Self {
        Self { key: "step", name, members: Vec::new(), human: Human::Line(line.into()) }
    }

    #[must_use]
    pub(crate) fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.members.push((key, value.into()));
        self
    }

    fn human(mut self, human: Human) -> Self {
        self.human = human;
        self
    }

    /// The embedded server is up.
    #[must_use]
    pub fn server(mcp_url: &str) -> Self {
        Self::new("server", format!("an MCP server of our own at {}", bare(mcp_url)))
            .with("url", bare(mcp_url))
    }

    /// The page that the person is about to see, and for what. The URL itself is not shown: it holds `state`.
    pub(crate) fn visit(visit: &Visit) -> Self {
        let previous = visit.previous_issuer.as_deref().map(escaped);
        let mut rows = vec![
            ("for", bare(&visit.resource)),
            ("scope", or_nothing(visit.scopes.as_str())),
            ("client", escaped(&visit.client_id)),
        ];
        rows.extend(visit.hosts().into_iter().map(|(name, host)| (name, escaped(host))));
        rows.push(("returns to", bare(&visit.redirect_uri)));
        rows.extend(previous.clone().map(|previous| ("was at", previous)));
        let seen = if visit.reissued { ", shown before" } else { "" };
        Self::new("visit", "")
            .with("issuer", escaped(&visit.issuer))
            .with("previous_issuer", previous)
            .with("resource", bare(&visit.resource))
            .with("scope", visit.scopes.as_str())
            .with("client_id", escaped(&visit.client_id))
            .with("authorization_host", escaped(&visit.authorization_host))
            .with("token_host", escaped(&visit.token_host))
            .with("registration_host", visit.registration_host.as_deref().map(escaped))
            .with("revocation_host", visit.revocation_host.as_deref().map(escaped))
            .with("redirect_uri", bare(&visit.redirect_uri))
            .with("reissued", visit.reissued)
            .human(Human::Block(format!("log in at {}{seen}", escaped(&visit.issuer)), rows))
    }

    /// The page itself, for the person's own browser. The one step whose URL is whole: it holds `state`, which is
    /// worth nothing to anybody who cannot also answer at the redirect URI. `paste`: whether the address that the
    /// person ends up at is read from standard input.
    #[must_use]
    pub(crate) fn open(visit: &Visit, paste: bool) -> Self {
        let wait = Times::default().callback.as_secs();
        let line = format!("waiting up to {} minutes for a login; Ctrl-C stops", wait.div_ceil(60));
        Self::new("open", line).with("url", visit.url()).with("paste", paste).with("wait_s", wait)
    }

    /// A request leaves. Only the path of the URL is shown: queries hold codes and states.
    pub(crate) fn request(purpose: &str, method: &Method, url: &str, token: bool) -> Self {
        let url = bare(url);
        let with = if token { ", with token" } else { "" };
        Self::new("request", "")
            .with("purpose", purpose)
            .with("method", method.as_str())
            .with("url", url.as_str())
            .with("token", token)
            .human(Human::Asked(format!("{:<6} {purpose:<26} {url}{with}", method.as_str())))
    }

    pub(crate) fn answer(purpose: &str, status: u16) -> Self {
        Self::new("answer", "")
            .with("purpose", purpose)
            .with("status", status)
            .human(Human::Came(status.to_string()))
    }

    pub(crate) fn lost(purpose: &str, code: &str) -> Self {
        Self::new("lost", "")
            .with("purpose", purpose)
            .with("code", code)
            .human(Human::Came(code.to_owned()))
    }

    /// A request that did not come back.
    pub(crate) fn unanswered(purpose: &str, why: Why) -> Self {
        Self::lost(purpose, why.kind().code())
            .with("why", why.name())
            .human(Human::Came(why.name().to_owned()))
    }

    pub(crate) fn granted(name: &'static str, held: &Held) -> Self {
        let scopes = match &held.scopes {
            Some(scopes) => or_nothing(scopes),
            None => "nobody named any".to_owned(),
        };
        let new = if name == "held" { "a grant is held" } else { "granted" };
        Self::new(name, format!("{new} by {}; scope: {scopes}", held.issuer))
            .with("epoch", held.epoch.0)
            .with("issuer", held.issuer.as_str())
            .with("resource", held.resource.as_deref())
            .with("scope", held.scopes.as_deref())
    }

    pub(crate) fn wire(era: &str, version: &str) -> Self {
        let version = escaped(version);
        Self::new("wire", format!("{era} wire, protocol version {version}"))
            .with("era", era)
            .with("version", version.as_str())
    }

    /// A refresh that only this program wants.
    #[must_use]
    pub fn refresh() -> Self {
        Self::new(
            "forced_refresh",
            "telling the session that its token was refused, to see it refresh",
        )
    }

    /// How far a log-out came.
    #[must_use]
    pub fn logged_out(forgotten: &Forgotten) -> Self {
        let (revoked, line) = match &forgotten.revoked {
            Revoked::Nothing => ("nothing", "logged out; there was nothing to give back"),
            Revoked::NotOffered => ("not_offered", "logged out; the server takes no tokens back"),
            Revoked::Done => ("done", "logged out; the server has taken the tokens back"),
            Revoked::Failed(failure) => {
                (failure.kind().code(), "logged out; the server may still honour the tokens")
            }
        };
        let removed = forgotten.unremoved.map_or("done", Kind::code);
        Self::new("logged_out", line).with("revoked", revoked).with("removed", removed)
    }

    pub(crate) fn tools(names: &[String]) -> Self {
        let list = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Self::new("tools", format!("tools: {list}")).with("tools", json!(names))
    }

    /// Many calls are about to be made.
    #[must_use]
    pub fn calls(repeat: Repeat) -> Self {
        let (calls, parallel) = (repeat.calls.get(), repeat.parallel.get());
        let line = match (calls, parallel) {
            (1, _) => "tools/list once more".to_owned(),
            (_, 1) => format!("tools/list {calls} times more, one at a time"),
            _ => format!("tools/list {calls} times more, {parallel} at a time"),
        };
        Self::new("calls", line).with("calls", calls).with("parallel", parallel)
    }

    /// The MCP server is about to be asked for the first time.
    #[must_use]
    pub fn connecting(mcp_url: &str) -> Self {
        let url = bare(mcp_url);
        Self::new("connecting", format!("connecting to {url}")).with("url", url.as_str())
    }

    pub(crate) fn calling(name: &str) -> Self {
        Self::new("calling", format!("calling {name}")).with("tool", name)
    }

    pub(crate) fn called(name: &str, error: bool, text: &str) -> Self {
        let sign = if error { "failed with" } else { "says" };
        Self::new("called", format!("{name} {sign}: {text}"))
            .with("tool", name)
            .with("error", error)
            .with("text", text)
    }

    pub(crate) fn arrived(url: &str) -> Self {
        Self::new("arrived", "the person is sent back to the client")
            .with("redirect_uri", bare(url))
    }

    pub(crate) fn stuck(why: &str) -> Self {
        Self::new("person_stuck", format!("the person cannot go on: {why}")).with("why", why)
    }

    /// Returns true if this is a failure of that kind.
    fn says(&self, kind: Kind) -> bool {
        self.members.iter().any(|(name, value)| *name == "code" && *value == kind.code())
    }

    fn at_moment(mut self, moment: Moment) -> Self {
        if let Human::Block(_, rows) = &mut self.human {
            rows.insert(0, ("moment", moment.words.to_owned()));
        }
        self.with("moment", moment.name)
    }

    /// The step as a JSON object on one line.
    #[must_use]
    pub fn json(&self) -> String {
        let mut line = format!("{{\"{}\":{}", self.key, Value::from(self.name));
        for (key, value) in self.members.iter().filter(|(_, value)| !value.is_null()) {
            line.push_str(&format!(",\"{key}\":{value}"));
        }
        line.push('}');
        line
    }
}

/// A URL without user, query and fragment, escaped.
pub(crate) fn bare(url: &str) -> String {
    let Ok(mut url) = url::Url::parse(url) else {
        return escaped(url.split(['?', '#']).next().unwrap_or_default());
    };
    url.set_query(None);
    url.set_fragment(None);
    // Both fail only where there is no authority, and then there is nothing to remove.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    escaped(url.as_str())
}

fn or_nothing(scopes: &str) -> String {
    if scopes.is_empty() { "none by name".to_owned() } else { scopes.to_owned() }
}

#[cfg(test)]
mod tests;
