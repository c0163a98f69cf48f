//! What a person configures, checked once, before anything is sent.
//!
//! Dangerous openings are gathered behind [`Builder::danger`], each bound to one issuer or host.

mod endpoints;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use http::{HeaderValue, Uri};

use self::endpoints::Endpoints;

use crate::effect::LoopbackHost;
use crate::failure::{Failure, Kind};
use crate::granted::{Area, read_one_way, same_origin};
use crate::scope::ScopeSet;
use crate::secret::Secret;
use crate::wire::authorize::is_reserved_parameter;
use crate::wire::client_auth::Method;
use crate::wire::client_document::ClientDocumentUrl;
use crate::wire::metadata::ServerMetadata;
use crate::wire::redirect::RedirectUri;
use crate::wire::registration::ClientMetadata;
pub use crate::wire::url::scheme_missing;
use crate::wire::url::{McpUrl, Reach, UrlPolicy};

/// How tolerant the client is of servers that deviate (design decisions D1 to D15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// What honest servers need, and nothing else.
    #[default]
    Standard,
    /// No leniency at all; the named switches are refused too.
    Strict,
}

/// Where the authorization server sends the person back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
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
    /// The authentication method, if one was agreed upon: used whatever the server lists. It goes
    /// before [`Builder::client_auth_method`].
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
    /// A refresh names the scopes that were asked for.
    pub(crate) scope_on_refresh: bool,
}

/// What stands in for the `resource` parameter at one issuer (D8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResourceParameter {
    Omitted,
    Replaced(Arc<str>),
}

/// Time limits. A caller may lower each; [`Builder::build`] cuts what is over the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// To connect.
    pub connect: Duration,
    /// For one request.
    pub request: Duration,
    /// For the person and the callback (AUTHZ-11).
    pub callback: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(30),
            callback: Duration::from_secs(300),
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
    /// Somebody has said no to them, and is not to be told to say yes.
    pub(crate) legacy_refused: bool,
    /// The authorization server that the person has described (DISC-11, ASM-21).
    pub(crate) server: Option<Box<ServerMetadata>>,
    pub(crate) redirect: Redirect,
    /// Its redirect set, to be shared, unless the port is a part of it that is not known yet.
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
    pub(crate) protocol_version: HeaderValue,
    pub(crate) times: Times,
    /// The token areas of a server that has shown metadata, and of one that is its own
    /// authorization server.
    areas: [Arc<Area>; 2],
}

/// Shows what it is for and how strict; a URL's query, a client's secret and a token stay out.
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
    /// Starts a configuration for one MCP URL; everything else has a sound default.
    #[must_use]
    pub fn builder(mcp_url: &str) -> Builder {
        Builder::new(mcp_url)
    }

    /// The MCP URL in its canonical form (RES-04).
    #[must_use]
    pub fn mcp_url(&self) -> &str {
        self.mcp.canonical()
    }

    /// Whether a request goes to the origin of the MCP URL: before there is a token, and with it a
    /// token area, only answers from there are the MCP server's.
    #[must_use]
    pub fn at_home(&self, uri: &Uri) -> bool {
        same_origin(uri, self.mcp.origin())
    }

    /// Whether a request may carry the token because its URL was announced as the `endpoint` of an
    /// authorized HTTP+SSE stream of the MCP server: one of the same origin, whose path cannot be
    /// read in two ways. Not in Strict, where only the token area counts (D4, HOST-261).
    #[must_use]
    pub fn covers_announced(&self, uri: &Uri) -> bool {
        !self.strict() && same_origin(uri, self.mcp.origin()) && read_one_way(uri)
    }

    /// The account this session is for.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Whether records are kept in a store.
    #[must_use]
    pub const fn persistent(&self) -> bool {
        self.persistent
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

    /// The credentials for an issuer. Those without one belong to the first issuer that was `met`,
    /// or a resource could have them sent to whom it likes by naming another (HOST-163).
    pub(crate) fn client_for(&self, issuer: &str, met: Option<&str>) -> Option<&PreRegistered> {
        let named = |client: &&PreRegistered| client.issuer.as_deref() == Some(issuer);
        let unnamed = |client: &&PreRegistered| {
            client.issuer.is_none() && met.is_none_or(|met| met == issuer)
        };
        self.clients.iter().find(named).or_else(|| self.clients.iter().find(unnamed))
    }
}

/// The account of a program that has one at each server and gives it no name. Nobody can ask for it
/// by name: a tenant who happens to be called so would be served the tokens of whoever named none
/// (HOST-299).
pub(crate) const DEFAULT_ACCOUNT: &str = "default";

/// Collects settings; nothing is checked before [`Builder::build`].
#[derive(Clone, Debug)]
pub struct Builder {
    /// As it was given, which may be with a password or a key in it (HOST-326).
    mcp_url: Secret,
    account: Option<String>,
    profile: Profile,
    legacy: Option<bool>,
    redirect: RedirectSetting,
    metadata: ClientMetadata,
    initial_access_token: Option<Secret>,
    program: Option<String>,
    registration: bool,
    register_scopes: bool,
    login_anew: bool,
    document: Option<(String, Vec<String>, bool)>,
    clients: Vec<PreRegistered>,
    issuers: Vec<IssuerSettings>,
    preferred_issuer: Option<String>,
    scopes: Option<Vec<String>>,
    default_scopes: Option<Vec<String>>,
    refresh_tokens: bool,
    private_scheme: bool,
    persistent: bool,
    unlocked_refresh: bool,
    protocol_version: String,
    times: Times,
    plain_http: Vec<Box<str>>,
    private_hosts: Vec<Box<str>>,
    prefixes: Vec<String>,
    policy: Option<Arc<dyn UrlPolicy>>,
    endpoints: Endpoints,
}

/// Everything as it is unless said.
impl From<&str> for Builder {
    fn from(mcp_url: &str) -> Self {
        Self::new(mcp_url)
    }
}

impl From<String> for Builder {
    fn from(mcp_url: String) -> Self {
        Self::new(&mcp_url)
    }
}

impl From<&String> for Builder {
    fn from(mcp_url: &String) -> Self {
        Self::new(mcp_url)
    }
}

#[derive(Clone, Debug)]
enum RedirectSetting {
    Ready(Redirect),
    Uri(String),
}

impl Builder {
    fn new(mcp_url: &str) -> Self {
        Self {
            mcp_url: Secret::new(mcp_url),
            account: None,
            profile: Profile::Standard,
            legacy: None,
            redirect: RedirectSetting::Ready(Redirect::default()),
            metadata: ClientMetadata::default(),
            initial_access_token: None,
            program: None,
            registration: true,
            register_scopes: false,
            login_anew: false,
            document: None,
            clients: Vec::new(),
            issuers: Vec::new(),
            preferred_issuer: None,
            scopes: None,
            default_scopes: None,
            refresh_tokens: true,
            private_scheme: false,
            persistent: false,
            unlocked_refresh: false,
            protocol_version: "2025-11-25".to_owned(),
            times: Times::default(),
            plain_http: Vec::new(),
            private_hosts: Vec::new(),
            prefixes: Vec::new(),
            policy: None,
            endpoints: Endpoints::default(),
        }
    }

    /// The account, for programs that hold several at one server. Neither empty nor `default`, which
    /// is the name of the account that is given none (HOST-299).
    #[must_use]
    pub fn account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// How tolerant to be.
    #[must_use]
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Whether servers of revision 2025-03-26 may be used (D2). The default is on with a loopback
    /// redirect, which only a program on the person's machine has, and off otherwise.
    #[must_use]
    pub const fn legacy_servers(mut self, allowed: bool) -> Self {
        self.legacy = Some(allowed);
        self
    }

    /// Listens on loopback for the callback: `127.0.0.1`, any free port, `/callback` unless said.
    #[must_use]
    pub fn redirect_loopback(mut self, host: LoopbackHost, port: Option<u16>, path: &str) -> Self {
        self.redirect =
            RedirectSetting::Ready(Redirect::Loopback { host, port, path: path.to_owned() });
        self
    }

    /// A redirect URI that somebody else serves.
    #[must_use]
    pub fn redirect_uri(mut self, uri: &str) -> Self {
        self.redirect = RedirectSetting::Uri(uri.to_owned());
        self
    }

    /// The name that a person sees when the server asks for consent; the program's unless said.
    #[must_use]
    pub fn client_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.metadata.client_name);
        self
    }

    /// The name of the program that runs, which is the client's name unless another one is said. The
    /// managers give that of the executable file.
    #[must_use]
    pub fn program(mut self, name: &str) -> Self {
        self.program = Some(name.to_owned());
        self
    }

    /// What the client says of itself when it registers, its name included.
    #[must_use]
    pub fn client_metadata(mut self, metadata: ClientMetadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// A token that the registration endpoint wants (RFC 7591 §3).
    #[must_use]
    pub fn initial_access_token(mut self, token: Secret) -> Self {
        self.initial_access_token = Some(token);
        self
    }

    /// Whether dynamic registration may be used; on by default (REG-04).
    #[must_use]
    pub const fn dynamic_registration(mut self, allowed: bool) -> Self {
        self.registration = allowed;
        self
    }

    /// Whether a registration names the scopes that will be asked for, `offline_access` among them
    /// where that is asked for; off by default, which leaves the choice to the server (REG-91). A
    /// stored registration that lacks one is replaced at the next login.
    #[must_use]
    pub const fn register_scopes(mut self, wanted: bool) -> Self {
        self.register_scopes = wanted;
        self
    }

    /// Whether the first grant is one of a new login, whatever the store has: for another person, or
    /// after something was changed at the server. What the store has stays there until the new one
    /// has come.
    #[must_use]
    pub const fn login_anew(mut self, wanted: bool) -> Self {
        self.login_anew = wanted;
        self
    }

    /// The URL of our Client ID Metadata Document and the redirect URIs it lists (empty if they
    /// are not known here).
    #[must_use]
    pub fn client_document(mut self, url: &str, redirect_uris: &[&str]) -> Self {
        let uris = redirect_uris.iter().map(|uri| (*uri).to_owned()).collect();
        self.document = Some((url.to_owned(), uris, false));
        self
    }

    /// Uses the metadata document even where the server does not say that it understands it
    /// (CIMD-02).
    #[must_use]
    pub fn client_document_forced(mut self) -> Self {
        if let Some((_, _, forced)) = &mut self.document {
            *forced = true;
        }
        self
    }

    /// Adds credentials that were agreed upon beforehand.
    #[must_use]
    pub fn pre_registered(mut self, client: PreRegistered) -> Self {
        self.clients.push(client);
        self
    }

    /// The issuer to choose where a resource lists several (D12).
    #[must_use]
    pub fn prefer_issuer(mut self, issuer: &str) -> Self {
        self.preferred_issuer = Some(issuer.to_owned());
        self
    }

    /// The scopes to ask for, whatever the server names (SCOPE-06).
    #[must_use]
    pub fn scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes = Some(scopes.iter().map(|scope| (*scope).to_owned()).collect());
        self
    }

    /// The scopes to ask for where the server names none (SCOPE-06).
    #[must_use]
    pub fn default_scopes(mut self, scopes: &[&str]) -> Self {
        self.default_scopes = Some(scopes.iter().map(|scope| (*scope).to_owned()).collect());
        self
    }

    /// Whether refresh tokens are wanted; on by default (REF-15).
    #[must_use]
    pub const fn refresh_tokens(mut self, wanted: bool) -> Self {
        self.refresh_tokens = wanted;
        self
    }

    /// Whether the driver has a credential store; off by default.
    #[must_use]
    pub const fn persistent(mut self, persistent: bool) -> Self {
        self.persistent = persistent;
        self
    }

    /// The MCP revision named on metadata requests (DISC-13).
    #[must_use]
    pub fn protocol_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.protocol_version);
        self
    }

    /// Adds a parameter to authorization requests at one issuer (AUTHZ-09).
    #[must_use]
    pub fn authorization_parameter(mut self, issuer: &str, name: &str, value: &str) -> Self {
        self.at_issuer(issuer, |at| at.parameters.push((name.into(), value.into())));
        self
    }

    /// The client authentication method at one issuer, for clients of every kind that have what it
    /// needs: asked for when registering, and used whatever the server lists or its answer says
    /// (CAUTH-02). A method that fails is not followed by another one by itself (CAUTH-13).
    #[must_use]
    pub fn client_auth_method(mut self, issuer: &str, method: Method) -> Self {
        self.at_issuer(issuer, |at| at.client_auth = Some(method));
        self
    }

    /// Adds `prompt=consent` at one issuer whenever `offline_access` is asked for (AUTHZ-10).
    #[must_use]
    pub fn consent_for_offline_access(mut self, issuer: &str) -> Self {
        self.at_issuer(issuer, |at| at.consent_for_offline = true);
        self
    }

    /// What Google needs to give a refresh token: `access_type=offline`, and `prompt=consent`, without
    /// which only the first login ever brings one.
    #[must_use]
    pub fn google(mut self, issuer: &str) -> Self {
        self.at_issuer(issuer, |at| {
            for (name, value) in [("access_type", "offline"), ("prompt", "consent")] {
                at.parameters.retain(|(held, _)| **held != *name);
                at.parameters.push((name.into(), value.into()));
            }
        });
        self
    }

    /// Adds a path of the MCP URL's own origin to which the token may go as well (USE-07).
    #[must_use]
    pub fn token_prefix(mut self, path: &str) -> Self {
        self.prefixes.push(path.to_owned());
        self
    }

    /// A deployment's own rule about URLs, beside ours: a server that authorizes for others lists
    /// the hosts it may be sent to (SEC-06).
    #[must_use]
    pub fn url_policy(mut self, policy: Arc<dyn UrlPolicy>) -> Self {
        self.policy = Some(policy);
        self
    }

    /// The authorization endpoint of the MCP server's authorization server, for one that no document
    /// describes; goes together with [`Builder::token_endpoint`]. No metadata of an authorization
    /// server is asked for then, and that of the resource says only what the tokens are for (DISC-11,
    /// ASM-21).
    ///
    /// The person vouches for the server, so that its endpoints may be on different hosts; each URL
    /// passes the rules that a document's URLs pass.
    #[must_use]
    pub fn authorization_endpoint(mut self, url: &str) -> Self {
        self.endpoints.authorization = Some(url.to_owned());
        self
    }

    /// The token endpoint; goes together with [`Builder::authorization_endpoint`].
    #[must_use]
    pub fn token_endpoint(mut self, url: &str) -> Self {
        self.endpoints.token = Some(url.to_owned());
        self
    }

    /// The registration endpoint of the server that [`Builder::authorization_endpoint`] describes;
    /// without one its client is known beforehand.
    #[must_use]
    pub fn registration_endpoint(mut self, url: &str) -> Self {
        self.endpoints.registration = Some(url.to_owned());
        self
    }

    /// The revocation endpoint of the server that [`Builder::authorization_endpoint`] describes.
    #[must_use]
    pub fn revocation_endpoint(mut self, url: &str) -> Self {
        self.endpoints.revocation = Some(url.to_owned());
        self
    }

    /// The issuer of the server that [`Builder::authorization_endpoint`] describes; that endpoint's
    /// origin unless said. An `iss` that comes with a callback is compared with it, and settings that
    /// are made for an issuer name it.
    #[must_use]
    pub fn endpoints_issuer(mut self, issuer: &str) -> Self {
        self.endpoints.issuer = Some(issuer.to_owned());
        self
    }

    /// Time limits.
    #[must_use]
    pub const fn times(mut self, times: Times) -> Self {
        self.times = times;
        self
    }

    /// The switches that weaken a check, gathered in one place.
    #[must_use]
    pub fn danger(self) -> Danger {
        Danger(self)
    }

    /// Changes the settings of one issuer, which are made if there are none.
    fn at_issuer(&mut self, issuer: &str, change: impl FnOnce(&mut IssuerSettings)) {
        if let Some(held) = self.issuers.iter_mut().find(|held| *held.issuer == *issuer) {
            return change(held);
        }
        let mut made = IssuerSettings { issuer: issuer.into(), ..Default::default() };
        change(&mut made);
        self.issuers.push(made);
    }

    /// Checks everything.
    ///
    /// # Errors
    /// `config_invalid` naming the setting, or the code of the URL rule that a URL breaks. Nothing
    /// was sent; change the setting.
    pub fn build(self) -> Result<Arc<Config>, Failure> {
        let strict = self.profile == Profile::Strict;
        let mcp = McpUrl::parse(self.mcp_url.expose(), &self.plain_http, strict)?;
        if self.account.as_deref().is_some_and(|name| matches!(name, "" | DEFAULT_ACCOUNT)) {
            return Err(invalid("account", "HOST-299"));
        }
        self.check_strict(strict)?;
        let (redirect, redirect_uri) = self.redirect()?;
        let legacy = self.legacy.unwrap_or(matches!(redirect, Redirect::Loopback { .. }));
        for settings in &self.issuers {
            let reserved = |(name, _): &&(Box<str>, Box<str>)| is_reserved_parameter(name);
            if settings.parameters.iter().find(reserved).is_some() {
                return Err(invalid("authorization_parameter", "AUTHZ-09"));
            }
        }
        let document = match self.document {
            Some((url, uris, forced)) => Some(Document {
                url: ClientDocumentUrl::read(&url)?,
                redirect_uris: uris
                    .iter()
                    .map(|uri| RedirectUri::read(uri, self.private_scheme))
                    .collect::<Result<_, _>>()?,
                forced,
            }),
            None => None,
        };
        let read = |name, scopes: Option<Vec<String>>| match scopes {
            Some(scopes) => ScopeSet::from_tokens(scopes.iter().map(String::as_str))
                .map(Some)
                .map_err(|_| invalid(name, "SCOPE-11")),
            None => Ok(None),
        };
        let scopes = read("scopes", self.scopes)?;
        let default_scopes = read("default_scopes", self.default_scopes)?;
        let protocol_version = HeaderValue::try_from(self.protocol_version)
            .map_err(|_| invalid("protocol_version", "DISC-13"))?;
        if self.prefixes.iter().any(|prefix| !prefix.starts_with('/')) {
            return Err(invalid("token_prefix", "USE-07"));
        }
        let area = |first: &str| {
            let prefixes = self.prefixes.iter().map(|prefix| Arc::from(prefix.as_str()));
            Arc::new(Area {
                origin: mcp.origin().into(),
                prefixes: core::iter::once(first.into()).chain(prefixes).collect(),
            })
        };
        let reach =
            Reach::new(&mcp, self.plain_http, self.private_hosts, strict).with_policy(self.policy);
        let server = self.endpoints.read(&reach, strict)?.map(Box::new);
        Ok(Arc::new(Config {
            name: mcp.canonical().into(),
            account: self.account.as_deref().unwrap_or(DEFAULT_ACCOUNT).into(),
            profile: self.profile,
            reach,
            legacy: legacy && !strict,
            legacy_refused: strict || self.legacy == Some(false),
            server,
            redirect,
            redirect_set: redirect_uri.set_key().into(),
            metadata: named(self.metadata, self.program),
            initial_access_token: self.initial_access_token,
            registration: self.registration,
            register_scopes: self.register_scopes,
            login_anew: self.login_anew,
            document,
            clients: self.clients,
            issuers: self.issuers,
            preferred_issuer: self.preferred_issuer.map(Into::into),
            scopes,
            default_scopes,
            refresh_tokens: self.refresh_tokens,
            persistent: self.persistent,
            unlocked_refresh: self.unlocked_refresh,
            protocol_version,
            times: Times {
                connect: self.times.connect.min(Duration::from_secs(60)),
                request: self.times.request.min(Duration::from_secs(300)),
                callback: self.times.callback.min(Duration::from_secs(24 * 3600)),
            },
            areas: [area(mcp.path()), area(if strict { mcp.path() } else { "/" })],
            mcp,
        }))
    }

    /// Where the person comes back to; the URI with some port, if that is not known yet.
    fn redirect(&self) -> Result<(Redirect, RedirectUri), Failure> {
        let redirect = match &self.redirect {
            RedirectSetting::Uri(uri) => {
                Redirect::Fixed(RedirectUri::read(uri, self.private_scheme)?)
            }
            RedirectSetting::Ready(redirect) => redirect.clone(),
        };
        let uri = match &redirect {
            Redirect::Fixed(uri) => uri.clone(),
            Redirect::Loopback { host, port, path } => {
                RedirectUri::loopback(*host, port.unwrap_or(1), path)
                    .map_err(|_| invalid("redirect_loopback", "NAT-02"))?
            }
        };
        Ok((redirect, uri))
    }

    /// Strict forbids every leniency, so a configuration that asks for one is a contradiction.
    fn check_strict(&self, strict: bool) -> Result<(), Failure> {
        let lenient = |settings: &IssuerSettings| {
            settings.pkce_unlisted
                || settings.split_endpoints
                || settings.pin.is_some()
                || settings.resource.is_some()
        };
        if strict
            && (self.issuers.iter().any(lenient)
                || self.legacy == Some(true)
                || self.private_scheme
                || self.unlocked_refresh
                || !self.prefixes.is_empty()
                || !self.plain_http.is_empty()
                || !self.private_hosts.is_empty())
        {
            return Err(invalid("danger", "BIND-12"));
        }
        Ok(())
    }
}

/// The switches that weaken a check, each bound to one issuer or host. `Strict` refuses them.
#[derive(Clone, Debug)]
pub struct Danger(Builder);

impl Danger {
    /// D1: this issuer need not list PKCE methods; S256 is sent all the same.
    #[must_use]
    pub fn allow_unlisted_pkce(mut self, issuer: &str) -> Self {
        self.0.at_issuer(issuer, |at| at.pkce_unlisted = true);
        self
    }

    /// D5: this issuer's endpoints may be on unrelated hosts.
    #[must_use]
    pub fn allow_split_endpoints(mut self, issuer: &str) -> Self {
        self.0.at_issuer(issuer, |at| at.split_endpoints = true);
        self
    }

    /// D13: the listed issuer may publish exactly this other issuer in its document (BIND-12).
    #[must_use]
    pub fn pin_issuer(mut self, listed: &str, document: &str) -> Self {
        self.0.at_issuer(listed, |at| at.pin = Some(document.into()));
        self
    }

    /// D8: the `resource` parameter is left out at this issuer.
    #[must_use]
    pub fn omit_resource(mut self, issuer: &str) -> Self {
        self.0.at_issuer(issuer, |at| at.resource = Some(ResourceParameter::Omitted));
        self
    }

    /// D8: the `resource` parameter is this one at this issuer.
    #[must_use]
    pub fn replace_resource(mut self, issuer: &str, resource: &str) -> Self {
        self.0.at_issuer(issuer, |at| {
            at.resource = Some(ResourceParameter::Replaced(resource.into()))
        });
        self
    }

    /// D6: plain http to this host.
    #[must_use]
    pub fn allow_plain_http(mut self, host: &str) -> Self {
        self.0.plain_http.push(host.into());
        self
    }

    /// D6: private addresses for this host; link-local ones stay refused.
    #[must_use]
    pub fn allow_private_address(mut self, host: &str) -> Self {
        self.0.private_hosts.push(host.into());
        self
    }

    /// NAT-04: redirect URIs with a private-use scheme.
    #[must_use]
    pub const fn allow_private_scheme(mut self) -> Self {
        self.0.private_scheme = true;
        self
    }

    /// HOST-288: refresh although the credential store cannot be locked. Two processes that refresh
    /// at the same moment may then lose the grant.
    #[must_use]
    pub const fn allow_unlocked_refresh(mut self) -> Self {
        self.0.unlocked_refresh = true;
        self
    }

    /// What Microsoft Entra needs: no `resource`, no PKCE list, and the scopes once more in each
    /// refresh.
    #[must_use]
    pub fn entra(mut self, issuer: &str) -> Self {
        self.0.at_issuer(issuer, |at| at.scope_on_refresh = true);
        self.omit_resource(issuer).allow_unlisted_pkce(issuer)
    }

    /// What Amazon Cognito needs: its document names the user pool whatever the resource lists, and
    /// no PKCE methods.
    #[must_use]
    pub fn cognito(self, listed: &str, document: &str) -> Self {
        self.pin_issuer(listed, document).allow_unlisted_pkce(document)
    }

    /// Back to the ordinary settings.
    #[must_use]
    pub fn done(self) -> Builder {
        self.0
    }
}

/// The name of a client of whose program nobody has said the name.
const NAMELESS: &str = "MCP client";

/// The client's name is the host's word, or the program's name.
fn named(metadata: ClientMetadata, program: Option<String>) -> ClientMetadata {
    if !metadata.client_name.is_empty() {
        return metadata;
    }
    let client_name =
        program.filter(|name| !name.is_empty()).unwrap_or_else(|| NAMELESS.to_owned());
    ClientMetadata { client_name, ..metadata }
}

fn invalid(setting: &str, rule: &'static str) -> Failure {
    Failure::new(Kind::ConfigInvalid, rule).with_subject(setting)
}
