//! How a job ends, and what can be done about it.

use std::sync::Arc;

use mcp_authz_core::effect::Why;
use mcp_authz_core::failure::{Failure, Kind, Remedy, escaped};
use url::Url;

/// How a job ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// `tools/list` was answered, and a token went with it.
    Authorized(Summary),
    /// `tools/list` was answered without any token: the server asks for none.
    Open(Summary),
    /// Something stood in the way.
    Failed(Trouble),
}

impl Outcome {
    /// Nothing was begun, because the program itself could not: no socket, no certificate store.
    #[must_use]
    pub fn setup(why: &str) -> Self {
        Self::Failed(Trouble::Mcp(Fault::new("setup", why, "", Remedy::Configure)))
    }

    /// The credential store cannot be used, for this reason, which says what helps.
    #[must_use]
    pub fn store(kind: Kind, why: &str) -> Self {
        Self::Failed(Trouble::Mcp(Fault::new(kind.code(), why, "", kind.remedy())))
    }

    /// The headless person could not go on, for this reason.
    #[must_use]
    pub fn stuck(why: &str) -> Self {
        let text =
            format!("the program cannot log in by itself: {why}; a person can, with --browser");
        Self::Failed(Trouble::Mcp(Fault::new("person_stuck", &text, "", Remedy::AskUser)))
    }

    /// The exit status of the program: 0 only if the tools were listed.
    #[must_use]
    pub const fn exit_status(&self) -> u8 {
        match self {
            Self::Authorized(_) | Self::Open(_) => 0,
            Self::Failed(_) => 1,
        }
    }
}

impl From<Fault> for Outcome {
    fn from(fault: Fault) -> Self {
        Self::Failed(Trouble::Mcp(fault))
    }
}

impl From<Arc<Failure>> for Outcome {
    fn from(failure: Arc<Failure>) -> Self {
        Self::Failed(Trouble::Authorization(failure))
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Arc::new(failure).into()
    }
}

/// The findings and actions of a successful job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// `modern` or `legacy`.
    pub era: &'static str,
    /// The protocol version spoken.
    pub version: String,
    /// The tools, escaped.
    pub tools: Vec<String>,
    /// The tools called, escaped.
    pub called: Vec<String>,
    /// The issuer of the token.
    pub issuer: Option<String>,
    /// The resource the token is for.
    pub resource: Option<String>,
    /// The scopes granted; `None` if nobody named any.
    pub scopes: Option<String>,
    /// True if a refresh was forced.
    pub refreshed: bool,
    /// True if a refusal for want of scope was overcome.
    pub stepped_up: bool,
    /// The scopes that this added, as far as they are known.
    pub added: Vec<String>,
}

/// The failure that stood in the way.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The authorization failed.
    Authorization(Arc<Failure>),
    /// The MCP server, or the way to it, failed.
    Mcp(Fault),
}

/// Counts of the calls, if the command line asked for a number of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many have ended.
    pub calls: usize,
    /// How many of these without an answer.
    pub failures: usize,
}

/// A failure that is none of authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Stable and machine-readable.
    pub code: &'static str,
    /// One sentence for people, fit to be shown.
    pub text: String,
    /// The requirement it upholds, or nothing.
    pub rule: &'static str,
    /// The remedy: the action that may mend it.
    pub remedy: Remedy,
    /// Why there was no answer, if that is what went wrong.
    pub why: Option<Why>,
}

impl Fault {
    /// The text is escaped and cut here.
    pub(crate) fn new(code: &'static str, text: &str, rule: &'static str, remedy: Remedy) -> Self {
        Self { code, text: escaped(text), rule, remedy, why: None }
    }

    /// The server at this URL did not answer.
    pub(crate) fn unanswered(why: Why, url: &str) -> Self {
        let fault = Self::new(why.kind().code(), &unanswered(why, url), "", why.remedy());
        Self { why: Some(why), ..fault }
    }

    /// An error of the MCP client, with the rule behind its code.
    pub(crate) fn mcp(code: &'static str, text: &str, remedy: Remedy) -> Self {
        let rule = match code {
            "mcp_lost" => "TRANS-17",
            "mcp_session_lost" => "TRANS-19",
            "mcp_session_id" => "TRANS-18",
            "mcp_malformed" => "TRANS-04",
            "mcp_status" => "TRANS-20",
            "mcp_version" => "TRANS-09",
            "mcp_no_endpoint" => "TRANS-30",
            "transient" => "REF-09",
            "redirect_refused" => {
                let text = format!(
                    "{text}: a redirect, which no token may follow; give the URL it leads to"
                );
                return Self::new(code, &text, "USE-04", remedy);
            }
            _ => "",
        };
        Self::new(code, text, rule, remedy)
    }

    /// The server does what no MCP server may do.
    pub(crate) fn server(code: &'static str, text: &str, rule: &'static str) -> Self {
        Self::new(code, text, rule, Remedy::Report)
    }
}

/// The reason in a sentence that names the place; not escaped.
pub(crate) fn unanswered(why: Why, url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let host = parsed.as_ref().and_then(Url::host_str).unwrap_or(url);
    let port = parsed.as_ref().and_then(Url::port_or_known_default);
    let place = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    match why {
        Why::Resolve => format!("{host} is not known: check the URL"),
        Why::Connect => format!("nothing listens at {place}"),
        Why::Broken => format!("{place} broke the connection off, or does not speak HTTP"),
        Why::Timeout => format!("{place} took too long"),
        why => format!("{} ({place})", why.sentence()),
    }
}
