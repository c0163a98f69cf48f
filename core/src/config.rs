//! The configuration, checked once, before anything is sent.
//!
//! Dangerous openings are gathered behind [`ConfigBuilder::danger`], each bound to one issuer or host.

mod build;
mod builder;
mod danger;
mod endpoints;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use http::{HeaderValue, Uri};

use crate::failure::{Failure, Kind};
use crate::granted::{Area, Granted, read_one_way, same_origin};
use crate::scope::ScopeSet;
use crate::secret::Secret;
pub use crate::wire::client_auth::Method;
use crate::wire::client_document::ClientDocumentUrl;
use crate::wire::metadata::ServerMetadata;
use crate::wire::redirect::LoopbackHost;
use crate::wire::redirect::RedirectUri;
pub use crate::wire::registration::ClientMetadata;
use crate::wire::url::{McpUrl, Reach};
pub use crate::wire::url::{UrlPolicy, scheme_missing};

pub use builder::ConfigBuilder;
pub use danger::Danger;

/// How tolerant the client is of servers that deviate (design decisions D1 to D15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// The leniencies that honest servers need, and no others.
    #[default]
    Standard,
    /// No leniency at all; the named switches are refused too.
    Strict,
}

/// Where the authorization server sends the person back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// A listener of ours on loopback, opened for each login (RFC 8252 §7.3).
    Loopback {
        /// How the URI writes the host.
        host: LoopbackHost,
        /// A fixed port, or any free one.
        port: Option<u16>,
        /// The path, starting with a slash.
        path: String,
    },
    /// A URI that somebody else serves; its arrivals are handed in as callbacks.
    Fixed(RedirectUri),
}

impl Default for Redirect {
    fn default() -> Self {
        Self::Loopback { host: LoopbackHost::V4, port: None, path: "/callback".to_owned() }
    }
}

/// Client credentials that were agreed upon beforehand, for one issuer (REG-05).
#[derive(Clone, Debug)]
pub struct PreRegistered {
    /// The issuer they belong to, exactly as its metadata writes it; `None` means the first issuer
    /// that is met, and is for programs that know a single server.
    pub issuer: Option<String>,
    /// The client identifier.
    pub client_id: String,
    /// The client secret, if there is one.
    pub secret: Option<Secret>,
    /// The authentication method, if one was agreed upon. It is used whatever the server lists, and
    /// goes before [`ConfigBuilder::client_auth_method`].
    pub method: Option<Method>,
}

/// Settings that hold for one issuer.
#[derive(Clone, Debug, Default)]
pub(crate) struct IssuerSettings {
    pub(crate) issuer: Box<str>,
    pub(crate) pkce_unlisted: bool,
    pub(crate) split_endpoints: bool,
    pub(crate) pin: Option<Box<str>>,
    pub(crate) resource: Option<ResourceParameter>,
    pub(crate) parameters: Vec<(Box<str>, Box<str>)>,
    pub(crate) consent_for_offline: bool,
    pub(crate) client_auth: Option<Method>,
    /// True if a refresh names the scopes that were asked for.
    pub(crate) scope_on_refresh: bool,
}

/// The substitute for the `resource` parameter at one issuer (D8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResourceParameter {
    Omitted,
    Replaced(Arc<str>),
}

/// Time limits. [`ConfigBuilder::build`] cuts a limit that is over its maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The time to connect.
    pub connect: Duration,
    /// The time for one request.
    pub request: Duration,
    /// The time for the person and the callback (AUTHZ-11).
    pub callback: Duration,
    /// How long before its end a token is renewed, but never before a quarter of its life is over.
    /// `None` for 30 s or the last quarter of its life, whichever is shorter.
    pub ahead: Option<Duration>,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(30),
            callback: Duration::from_secs(300),
            ahead: None,
        }
    }
}

/// The whole configuration of one session: one MCP URL, one account.
pub struct Config {
    pub(crate) mcp: McpUrl,
    /// The canonical MCP URL once more, to be shared.
    pub(crate) name: Arc<str>,
    pub(crate) account: Arc<str>,
    pub(crate) profile: Profile,
    pub(crate) reach: Reach,
    pub(crate) legacy: bool,
    /// True if legacy servers were refused by a setting or by Strict. A failure then does not
    /// suggest to allow them.
    pub(crate) legacy_refused: bool,
    /// The authorization server that the person has described (DISC-11, ASM-21).
    pub(crate) server: Option<Box<ServerMetadata>>,
    pub(crate) redirect: Redirect,
    /// The redirect set, to be shared. If the port is a part of the set and not known yet, this one
    /// is of no use.
    pub(crate) redirect_set: Arc<str>,
    pub(crate) metadata: ClientMetadata,
    pub(crate) initial_access_token: Option<Secret>,
    pub(crate) registration: bool,
    pub(crate) register_scopes: bool,
    pub(crate) login_anew: bool,
    pub(crate) document: Option<Document>,
    pub(crate) clients: Vec<PreRegistered>,
    pub(crate) issuers: Vec<IssuerSettings>,
    pub(crate) preferred_issuer: Option<Box<str>>,
    pub(crate) scopes: Option<ScopeSet>,
    pub(crate) default_scopes: Option<ScopeSet>,
    pub(crate) refresh_tokens: bool,
    pub(crate) persistent: bool,
    pub(crate) unlocked_refresh: bool,
    /// True if Strict may go through a proxy.
    pub(crate) strict_proxy: bool,
    pub(crate) protocol_version: HeaderValue,
    pub(crate) times: Times,
    /// The token areas of a server that has shown metadata, and of one that is its own
    /// authorization server.
    areas: [Arc<Area>; 2],
}

/// Shows the MCP URL, the account and the profile; a URL's query, a client's secret and a token
/// stay out.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("mcp_url", &self.mcp.shown())
            .field("account", &self.account)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

/// A Client ID Metadata Document of ours.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) url: ClientDocumentUrl,
    pub(crate) redirect_uris: Vec<RedirectUri>,
    pub(crate) forced: bool,
}

impl Config {
    /// The MCP URL in its canonical form (RES-04).
    #[must_use]
    pub fn mcp_url(&self) -> &str {
        self.mcp.canonical()
    }

    /// Returns true if a request may go to a URI (USE-07, D4, HOST-261).
    ///
    /// With a grant, the URI must be one that the grant covers, or one that was `announced` as the
    /// `endpoint` of an authorized HTTP+SSE stream of the MCP server. An announced URI must be of
    /// the same origin, and its path must not be read in two ways. In Strict only the token area
    /// counts, and no announcement. Without a grant, the URI must be at the origin of the MCP URL:
    /// only answers from there are the MCP server's.
    #[must_use]
    pub fn admits(&self, granted: Option<&Granted>, uri: &Uri, announced: bool) -> bool {
        let at_home = || same_origin(uri, self.mcp.origin());
        let as_told = || announced && !self.strict() && at_home() && read_one_way(uri);
        granted.map_or_else(at_home, |granted| granted.covers(uri) || as_told())
    }

    /// The account this session is for.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The redirect set of a URI, which is nearly always the one that all sessions share.
    pub(crate) fn redirect_set(&self, uri: &RedirectUri) -> Arc<str> {
        let set = uri.set_key();
        if *set == *self.redirect_set { Arc::clone(&self.redirect_set) } else { set.into() }
    }

    /// The token area (USE-07, D4); `own` for a server that is its own authorization server.
    pub(crate) const fn area(&self, own: bool) -> &Arc<Area> {
        let [resource, legacy] = &self.areas;
        if own { legacy } else { resource }
    }

    pub(crate) fn strict(&self) -> bool {
        self.profile == Profile::Strict
    }

    /// Returns true if requests may go through a proxy, which looks names up itself: nobody here can
    /// judge then where they lead (SEC-07). Strict wants to be told so.
    #[must_use]
    pub fn may_use_proxy(&self) -> bool {
        !self.strict() || self.strict_proxy
    }

    /// The settings for an issuer, which a person may name as it is listed or as its own document
    /// writes it (AMB-05, BIND-12).
    pub(crate) fn settings<'a>(
        &'a self,
        listed: &'a str,
        issuer: &'a str,
    ) -> impl Iterator<Item = &'a IssuerSettings> {
        let named = move |at: &&IssuerSettings| *at.issuer == *listed || *at.issuer == *issuer;
        self.issuers.iter().filter(named)
    }

    /// The authentication method that was chosen for an issuer (CAUTH-02).
    pub(crate) fn client_auth(&self, listed: &str, issuer: &str) -> Option<Method> {
        self.settings(listed, issuer).find_map(|at| at.client_auth)
    }

    /// The authorization server that the person has described, if it is this issuer. The
    /// description holds for earlier grants of that server, too.
    pub(crate) fn server_of(&self, issuer: &str) -> Option<&ServerMetadata> {
        self.server.as_deref().filter(|server| *server.issuer == *issuer)
    }

    /// The credentials for an issuer. Credentials without an issuer belong to the first issuer that
    /// was `met`. Otherwise a resource could have them sent to any issuer by naming it (HOST-163).
    pub(crate) fn client_for(&self, issuer: &str, met: Option<&str>) -> Option<&PreRegistered> {
        let named = |client: &&PreRegistered| client.issuer.as_deref() == Some(issuer);
        let unnamed = |client: &&PreRegistered| {
            client.issuer.is_none() && met.is_none_or(|met| met == issuer)
        };
        self.clients.iter().find(named).or_else(|| self.clients.iter().find(unnamed))
    }
}

/// The account of a program that has one at each server and gives it no name. Nobody can ask for it
/// by name: a tenant who happens to be called so would be served the tokens of the callers that
/// named none (HOST-299).
pub(crate) const DEFAULT_ACCOUNT: &str = "default";

/// The failure of a setting.
fn invalid(setting: &str, rule: &'static str) -> Failure {
    Failure::new(Kind::ConfigInvalid, rule).with_subject(setting)
}
