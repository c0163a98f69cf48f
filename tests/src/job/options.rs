//! The options of the command line, and the configuration of the session that follows from them.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use mcp_authz_core::config::{Config, ConfigBuilder, PreRegistered, Times};
use mcp_authz_core::scope::ScopeSet;

use super::print::Format;

/// The first revision of the modern wire.
pub(crate) const MODERN: &str = "2026-07-28";
/// The newest revision of the wire before it.
const NEWEST_LEGACY: &str = "2025-11-25";

/// Which MCP server to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One of our own, in this process.
    Embedded(Embedded),
    /// The one at this URL.
    Url(String),
}

/// The settings of the embedded server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// The revision it plays; `None` for the newest with both wires.
    pub revision: Option<String>,
    /// True if it offers dynamic registration. If not, it knows a client beforehand.
    pub registration: bool,
}

/// The person or program that agrees at the authorization server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The program itself, see [`person`](super::person).
    Headless,
    /// A person at a browser.
    Browser,
    /// Nobody may be asked.
    Nobody,
}

/// Which wire to begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Wire {
    /// Ask the server (TRANS-27).
    #[default]
    Auto,
    /// Stateless requests of 2026-07-28.
    Modern,
    /// `initialize`, as in all revisions before that.
    Legacy,
}

/// The transport that carries the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// Streamable HTTP, and HTTP+SSE for servers that speak no other (TRANS-30).
    #[default]
    Auto,
    /// Streamable HTTP.
    Http,
    /// HTTP+SSE of 2024-11-05.
    Sse,
}

/// Many requests of one kind, after the login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// How many in all.
    pub calls: NonZeroUsize,
    /// How many at a time.
    pub parallel: NonZeroUsize,
}

/// The whole command line.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which MCP server to use.
    pub target: Target,
    /// The person or program that agrees at the authorization server.
    pub person: Who,
    /// How steps are shown.
    pub format: Format,
    /// Scopes to ask for, whatever the server names.
    pub scopes: ScopeSet,
    /// The tool to call.
    pub call: Option<String>,
    /// True if a forced refresh is to be shown at a real server, too.
    pub refresh: bool,
    /// True if the program is to log out at the end.
    pub log_out: bool,
    /// List the tools this often instead of demonstrating anything.
    pub repeat: Option<Repeat>,
    /// The folder that credentials are kept in; without one they end with the program.
    pub store: Option<PathBuf>,
    /// The account, if there are several at one server.
    pub account: Option<String>,
    /// Which wire to begin with.
    pub wire: Wire,
    /// The transport that carries the messages.
    pub transport: Transport,
    /// For one request, of the session, of MCP and of the headless person alike.
    pub timeout: Duration,
}

impl Options {
    /// The configuration of the manager, for this MCP URL: the one given, or the embedded server's.
    #[must_use]
    pub fn config(&self, mcp_url: &str) -> ConfigBuilder {
        let mut builder = Config::builder(mcp_url).times(Times {
            connect: self.timeout.min(Times::default().connect),
            request: self.timeout,
            ..Times::default()
        });
        if !self.scopes.is_empty() {
            builder = builder.scopes(&self.scopes.iter().collect::<Vec<_>>());
        }
        if let Some(account) = &self.account {
            builder = builder.account(account);
        }
        if let Some(client_id) = self.known_client() {
            builder = builder.pre_registered(PreRegistered {
                issuer: None,
                client_id: client_id.to_owned(),
                secret: None,
                method: None,
            });
        }
        builder
    }

    /// The protocol revision to begin with; `None` to ask the server.
    #[must_use]
    pub const fn revision(&self) -> Option<&'static str> {
        match self.wire {
            Wire::Auto => None,
            Wire::Modern => Some(MODERN),
            Wire::Legacy => Some(NEWEST_LEGACY),
        }
    }

    /// Returns true if the person may paste the address they ended up at into standard input.
    #[must_use]
    pub fn pastes(&self, terminal: bool) -> bool {
        self.person == Who::Browser && terminal
    }

    /// The client that was agreed upon beforehand with an embedded server without registration.
    pub(crate) fn known_client(&self) -> Option<&'static str> {
        let closed = matches!(&self.target, Target::Embedded(Embedded { registration: false, .. }));
        closed.then_some("example-client")
    }
}
