//! Notes of what the session did and why, step by step: the log line, the trace, and the proof that
//! the transition tables are true. No note holds a secret, a query or a body.

use core::fmt;
use std::sync::Arc;

use http::Method;

use crate::failure::{Fault, Kind, Switch};
pub use crate::names::{MachineName, SignalName, StateName};
use crate::outcome::Why;
use crate::purpose::Purpose;
use crate::scope::ScopeSet;

/// One thing the session did, decided or noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A stage moved: an edge of its table was taken.
    Step(Edge),
    /// A request leaves.
    Asked {
        /// The purpose of the request.
        purpose: Purpose,
        /// The HTTP method.
        method: Method,
        /// The URL without its query.
        url: Shown,
    },
    /// A request came back.
    Answered {
        /// The purpose of the request.
        purpose: Purpose,
        /// The HTTP status.
        status: u16,
    },
    /// A request did not come back.
    Lost {
        /// The purpose of the request.
        purpose: Purpose,
        /// The reason for the missing answer.
        why: Why,
    },
    /// Requests go through a proxy, told of the first one and whenever it is another proxy than
    /// before. The proxy looks names up: literal addresses and special names are judged here, and
    /// where other names lead is not.
    Proxied {
        /// Its host and port.
        proxy: Arc<str>,
    },
    /// Something a server named was not used.
    Dropped {
        /// The code of the rule it broke.
        kind: Kind,
        /// The rule.
        rule: &'static str,
        /// The field or URL, escaped.
        subject: String,
    },
    /// A leniency was used that Strict does not know.
    Lenient {
        /// The switch that allows it.
        switch: Switch,
        /// The issuer, the resource or the host that it was used for.
        subject: String,
    },
    /// A choice among what was on offer.
    Chose(Choice),
    /// The old access token was replaced.
    Renewed {
        /// Scopes that were asked for and are missing by name from the answer (SCOPE-13).
        missing: ScopeSet,
        /// Scopes that came without being asked for (HOST-211).
        unasked: ScopeSet,
    },
    /// A newer record of another process was taken over (REF-06).
    Adopted,
    /// A refresh token was refused; its record is kept and never used again (D10).
    Rejected,
    /// The store did not give or keep a record; the session goes on from memory.
    Store {
        /// The store's reason.
        kind: Kind,
    },
    /// A callback was refused, and the login goes on waiting (ISS-05).
    Stray {
        /// The code of the rule it broke.
        kind: Kind,
        /// The rule.
        rule: &'static str,
    },
    /// A callback of this login does not come from the login's issuer. The login goes on waiting
    /// for a better one, and may be cancelled (ISS-90).
    Untrusted {
        /// The code of the rule it broke.
        kind: Kind,
        /// The rule.
        rule: &'static str,
    },
    /// An answer came after its work had been given up.
    Late {
        /// True if the answer held tokens, which are saved all the same (HOST-241).
        kept: bool,
    },
    /// A flow ended without success; its callers are settled with the same failure.
    Failed {
        /// The failure's code.
        kind: Kind,
        /// The failure's rule.
        rule: &'static str,
    },
    /// A rule of the machine did not hold. This is a bug of ours: please report it.
    Fault(Fault),
}

/// One edge of a transition table, as it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    /// The machine that the table is of.
    pub machine: MachineName,
    /// The state that it leaves.
    pub from: StateName,
    /// The signal.
    pub on: SignalName,
    /// The state that it reaches, or `Done` or `Failed`.
    pub to: StateName,
}

/// A choice among what was on offer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice {
    /// The protected resource, which names its authorization servers.
    Resource {
        /// The resource identifier, without a query (HOST-304).
        resource: Arc<str>,
    },
    /// The authorization server, and the document that describes it.
    Server {
        /// The issuer as the resource lists it.
        issuer: Arc<str>,
        /// Where its metadata came from; `None` for the default endpoints of 2025-03-26.
        document: Option<Shown>,
    },
    /// The way to be a client there (REG-01).
    Client(ClientWay),
    /// The scopes to ask for, and their source (SCOPE-02 to 08).
    Scopes {
        /// The scopes that are asked for; empty if none is asked for by name.
        scopes: ScopeSet,
        /// The source of these scopes.
        source: ScopeSource,
    },
    /// The bound issuer is no longer listed (BIND-03).
    IssuerChanged {
        /// The issuer of the record so far.
        from: Arc<str>,
        /// The one that is listed now.
        to: Arc<str>,
    },
}

/// The ways to be a client of an authorization server, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientWay {
    /// Credentials agreed upon beforehand.
    PreRegistered,
    /// A Client ID Metadata Document.
    Document,
    /// A registration made earlier at this issuer.
    Stored,
    /// Dynamic registration, now.
    Dynamic,
}

impl ClientWay {
    /// A stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PreRegistered => "pre_registered",
            Self::Document => "client_document",
            Self::Stored => "stored_registration",
            Self::Dynamic => "dynamic_registration",
        }
    }
}

/// The source of the scopes of an authorization request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScopeSource {
    /// The caller, or the configuration, ahead of everything else.
    Host,
    /// The challenge of the refused request.
    Challenge,
    /// The protected resource metadata.
    Resource,
    /// The configuration's default.
    Default,
    /// Nobody: the parameter is left out.
    Nobody,
}

impl ScopeSource {
    /// A stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Challenge => "challenge",
            Self::Resource => "resource_metadata",
            Self::Default => "default",
            Self::Nobody => "nobody",
        }
    }
}

/// A URL that may be shown: scheme, authority and path, never a query (HOST-304).
#[derive(Clone, PartialEq, Eq)]
pub struct Shown(pub(crate) http::Uri);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = &self.0;
        match (uri.scheme_str(), uri.authority()) {
            (Some(scheme), Some(authority)) => {
                write!(f, "{scheme}://{authority}{}", uri.path())
            }
            _ => f.write_str(uri.path()),
        }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(edge) => {
                write!(f, "{}: {} -{}-> {}", edge.machine, edge.from, edge.on, edge.to)
            }
            Self::Asked { purpose, method, url } => {
                write!(f, "{method} {url} ({})", purpose.name())
            }
            Self::Answered { purpose, status } => write!(f, "{status} ({})", purpose.name()),
            Self::Lost { purpose, why } => {
                write!(f, "no answer: {} ({})", why.sentence(), purpose.name())
            }
            Self::Proxied { proxy } => {
                write!(f, "requests go through the proxy {proxy}, which looks names up")
            }
            Self::Dropped { kind, rule, subject } => {
                write!(f, "not used: {subject}, {} [{rule}]", kind.code())
            }
            Self::Lenient { switch, subject } => {
                write!(f, "lenient: {} for {subject}", switch.name())
            }
            Self::Chose(choice) => choice.fmt(f),
            Self::Renewed { missing, unasked } => {
                f.write_str("new access token")?;
                if !missing.is_empty() {
                    write!(f, ", without {missing}")?;
                }
                if !unasked.is_empty() {
                    write!(f, ", also with {unasked}")?;
                }
                Ok(())
            }
            Self::Adopted => f.write_str("took over a newer record of another process"),
            Self::Rejected => f.write_str("the refresh token was refused; kept, not used again"),
            Self::Store { kind } => write!(f, "store: {}; going on from memory", kind.code()),
            Self::Stray { kind, rule } => {
                write!(f, "callback refused: {} [{rule}]; still waiting", kind.code())
            }
            Self::Untrusted { kind, rule } => write!(
                f,
                "callback refused: {} [{rule}]; the server's answer cannot be trusted; still \
                 waiting for a better one, and may be cancelled",
                kind.code()
            ),
            Self::Late { kept: true } => f.write_str("a late answer brought tokens; saved"),
            Self::Late { kept: false } => f.write_str("a late answer was dropped"),
            Self::Failed { kind, rule } => write!(f, "failed: {} [{rule}]", kind.code()),
            Self::Fault(fault) => write!(f, "bug: {fault:?}"),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource { resource } => write!(f, "resource {resource}"),
            Self::Server { issuer, document: Some(document) } => {
                write!(f, "authorization server {issuer}, from {document}")
            }
            Self::Server { issuer, document: None } => {
                write!(f, "authorization server {issuer}, default endpoints of 2025-03-26")
            }
            Self::Client(way) => write!(f, "client by {}", way.name()),
            Self::Scopes { scopes, source } if scopes.is_empty() => {
                write!(f, "no scope by name ({})", source.name())
            }
            Self::Scopes { scopes, source } => write!(f, "scope {scopes} ({})", source.name()),
            Self::IssuerChanged { from, to } => write!(f, "issuer changed from {from} to {to}"),
        }
    }
}
