//! The page a person is sent to, and the page that their browser comes back to.

use core::fmt;
use std::sync::Arc;

use crate::failure::{Failure, Kind, Remedy};
use crate::scope::ScopeSet;
use crate::secret::Secret;

/// A page for the person, and the facts to show beside it before it is opened (AUTHZ-14).
#[derive(Clone, PartialEq, Eq)]
pub struct Visit {
    pub(crate) url: Secret,
    /// The authorization server.
    pub issuer: Arc<str>,
    /// The authorization server of the record so far, if it was another (BIND-03).
    pub previous_issuer: Option<Arc<str>>,
    /// The resource the token is for.
    pub resource: Arc<str>,
    /// Host of the authorization endpoint, in punycode.
    pub authorization_host: String,
    /// Host of the token endpoint, in punycode.
    pub token_host: String,
    /// The scopes that are asked for.
    pub scopes: ScopeSet,
    /// Our client identifier there.
    pub client_id: Arc<str>,
    /// The redirect URI, where the answer will arrive.
    pub redirect_uri: String,
    /// Host of the endpoint where the program has registered itself, in punycode.
    pub registration_host: Option<Arc<str>>,
    /// Host of the endpoint that takes the tokens back at a log-out, in punycode.
    pub revocation_host: Option<Arc<str>>,
    /// True if the page was shown before, by this process or the one before it. Do not open it a
    /// second time.
    pub reissued: bool,
}

impl Visit {
    /// The authorization URL, for the person's browser and nothing else: it holds `state`.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.expose()
    }

    /// The resource as it may be shown: without its query, which may hold a key (HOST-326).
    #[must_use]
    pub fn shown_resource(&self) -> &str {
        self.resource.split(['?', '#']).next().unwrap_or_default()
    }

    /// Every host of the authorization server that gets something, after a name for its part
    /// (HOST-147). One host may stand there several times, with several parts.
    #[must_use]
    pub fn hosts(&self) -> Vec<(&'static str, &str)> {
        let mut hosts = vec![
            ("log-in", self.authorization_host.as_str()),
            ("tokens", self.token_host.as_str()),
        ];
        hosts.extend(self.registration_host.iter().map(|host| ("registration", &**host)));
        hosts.extend(self.revocation_host.iter().map(|host| ("log-out", &**host)));
        hosts
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit")
            .field("issuer", &self.issuer)
            .field("resource", &self.shown_resource())
            .field("scopes", &self.scopes.as_str())
            .field("reissued", &self.reissued)
            .finish_non_exhaustive()
    }
}

/// The listener's answer to one arrival. It never shows a byte of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// The login is complete.
    Authorized(Parties),
    /// The login goes on with another page, which [`Told::Open`](crate::effect::Told::Open) has
    /// shown: the server had forgotten the registration that the first one was for (REG-21).
    OneMoreStep(Parties),
    /// This arrival has the login's own `state`, but does not come from the login's issuer. It is
    /// not believed, and the login goes on waiting (ISS-90).
    Untrusted {
        /// The parties of the login.
        parties: Parties,
        /// The failure that ends the login if nothing better comes. Its subject names the issuer
        /// that was received, so a browser is shown its kind alone.
        failure: Arc<Failure>,
    },
    /// The person, or the server, said no.
    Denied(Parties),
    /// The login ended with a failure.
    Failed {
        /// The parties of the login.
        parties: Parties,
        /// The kind of the failure.
        kind: Kind,
        /// The remedy of the failure.
        remedy: Remedy,
    },
    /// This arrival belongs to no waiting login; the waiting one, if any, goes on. The page names
    /// no party, since any web page can send a browser here.
    Refused(Kind),
}

/// The parties of a login, as its page names them. The servers are hosts that the session itself
/// has verified, never a name that a server chose for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties {
    /// The name of the program: the client's name in the configuration, as the host wrote it. A page
    /// has to escape it.
    pub program: String,
    /// Host of the MCP server, in punycode.
    pub resource: String,
    /// Host of the authorization server's issuer, in punycode.
    pub issuer: String,
}

impl Page {
    /// The HTTP status for it.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Authorized(_) | Self::OneMoreStep(_) | Self::Denied(_) | Self::Failed { .. } => {
                200
            }
            Self::Untrusted { .. } | Self::Refused(_) => 400,
        }
    }
}
