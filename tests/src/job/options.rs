//! The options of the command line, and the configuration of the session that follows from them.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use mcp_authz_core::config::{Config, ConfigBuilder, PreRegistered, Profile, Times};
use mcp_authz_core::effect::LoopbackHost;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::secret::Secret;
use url::{Host, Url};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// Which wire to begin with.
    pub wire: Wire,
    /// The transport that carries the messages.
    pub transport: Transport,
    /// The protocol version to begin with.
    pub protocol_version: Option<String>,
    /// True if a pasted callback URL is read even if standard input is no terminal.
    pub paste: bool,
    /// For one request, of the session, of MCP and of the headless person alike.
    pub timeout: Duration,
    pub(crate) register_scopes: bool,
    pub(crate) account: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) client_document: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) endpoints: Endpoints,
    pub(crate) redirect: Option<String>,
    pub(crate) strict: bool,
    pub(crate) legacy: Option<bool>,
    pub(crate) leniencies: Vec<Leniency>,
}

/// An authorization server that no document describes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Endpoints {
    pub(crate) authorization: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) registration: Option<String>,
    pub(crate) revocation: Option<String>,
}

/// A switch that weakens a check, for one issuer or host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leniency {
    UnlistedPkce(String),
    SplitEndpoints(String),
    OmitResource(String),
    PinIssuer(String, String),
    Entra(String),
    PlainHttp(String),
    PrivateAddress(String),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: Target::Embedded(Embedded { revision: None, registration: true }),
            person: Who::Headless,
            format: Format::Human,
            scopes: ScopeSet::empty(),
            call: None,
            refresh: false,
            log_out: false,
            repeat: None,
            store: None,
            wire: Wire::Auto,
            transport: Transport::Auto,
            protocol_version: None,
            paste: false,
            timeout: Duration::from_secs(30),
            register_scopes: false,
            account: None,
            client_id: None,
            client_secret: None,
            client_document: None,
            issuer: None,
            endpoints: Endpoints::default(),
            redirect: None,
            strict: false,
            legacy: None,
            leniencies: Vec::new(),
        }
    }
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
        builder = builder.register_scopes(self.register_scopes);
        if !self.scopes.is_empty() {
            builder = builder.scopes(&self.scopes.iter().collect::<Vec<_>>());
        }
        if let Some(account) = &self.account {
            builder = builder.account(account);
        }
        if let Some(version) = &self.protocol_version {
            builder = builder.protocol_version(version);
        }
        if let Some(uri) = &self.redirect {
            builder = redirected(builder, uri);
        }
        if let Some(client_id) = self.known_client() {
            builder = builder.pre_registered(PreRegistered {
                issuer: self.issuer.clone(),
                client_id: client_id.to_owned(),
                secret: self.client_secret.clone(),
                method: None,
            });
        }
        if let Some(url) = &self.client_document {
            let uris: Vec<&str> = self.redirect.iter().map(String::as_str).collect();
            builder = builder.client_document(url, &uris);
        }
        if let Some(issuer) = &self.issuer {
            builder = builder.prefer_issuer(issuer);
        }
        builder = described(builder, &self.endpoints, self.issuer.as_deref());
        if self.strict {
            builder = builder.profile(Profile::Strict);
        }
        if let Some(legacy) = self.legacy {
            builder = builder.legacy_servers(legacy);
        }
        self.leniencies.iter().fold(builder, lenient)
    }

    /// The protocol revision to begin with; `None` to ask the server.
    #[must_use]
    pub fn revision(&self) -> Option<&str> {
        self.protocol_version.as_deref().or(match self.wire {
            Wire::Auto => None,
            Wire::Modern => Some(MODERN),
            Wire::Legacy => Some(NEWEST_LEGACY),
        })
    }

    /// Returns true if the person may paste the address they ended up at into standard input, which
    /// is a terminal or not. With a redirect URI of their own there may be no other way; otherwise
    /// other programs' input is left alone.
    #[must_use]
    pub fn pastes(&self, terminal: bool) -> bool {
        self.person == Who::Browser && (terminal || self.paste || self.redirect.is_some())
    }

    /// The client that was agreed upon beforehand. An embedded server without registration always knows one.
    pub(crate) fn known_client(&self) -> Option<&str> {
        let closed = matches!(&self.target, Target::Embedded(Embedded { registration: false, .. }));
        let document = self.client_document.is_some();
        self.client_id.as_deref().or((closed && !document).then_some("example-client"))
    }
}

/// The authorization server as the person describes it, if they do.
fn described(
    mut builder: ConfigBuilder,
    endpoints: &Endpoints,
    issuer: Option<&str>,
) -> ConfigBuilder {
    if *endpoints == Endpoints::default() {
        return builder;
    }
    if let Some(url) = &endpoints.authorization {
        builder = builder.authorization_endpoint(url);
    }
    if let Some(url) = &endpoints.token {
        builder = builder.token_endpoint(url);
    }
    if let Some(url) = &endpoints.registration {
        builder = builder.registration_endpoint(url);
    }
    if let Some(url) = &endpoints.revocation {
        builder = builder.revocation_endpoint(url);
    }
    match issuer {
        Some(issuer) => builder.endpoints_issuer(issuer),
        None => builder,
    }
}

fn lenient(builder: ConfigBuilder, leniency: &Leniency) -> ConfigBuilder {
    let danger = builder.danger();
    match leniency {
        Leniency::UnlistedPkce(issuer) => danger.allow_unlisted_pkce(issuer),
        Leniency::SplitEndpoints(issuer) => danger.allow_split_endpoints(issuer),
        Leniency::OmitResource(issuer) => danger.omit_resource(issuer),
        Leniency::PinIssuer(listed, document) => danger.pin_issuer(listed, document),
        Leniency::Entra(issuer) => danger.entra(issuer),
        Leniency::PlainHttp(host) => danger.allow_plain_http(host),
        Leniency::PrivateAddress(host) => danger.allow_private_address(host),
    }
    .done()
}

/// A loopback URI is listened on; any other is somebody else's.
fn redirected(builder: ConfigBuilder, uri: &str) -> ConfigBuilder {
    let Some(url) = Url::parse(uri).ok().filter(|url| url.scheme() == "http") else {
        return builder.redirect_uri(uri);
    };
    let host = match url.host() {
        Some(Host::Ipv4(ip)) if ip.octets() == [127, 0, 0, 1] => LoopbackHost::V4,
        Some(Host::Ipv6(ip)) if ip.is_loopback() => LoopbackHost::V6,
        Some(Host::Domain("localhost")) => LoopbackHost::Localhost,
        _ => return builder.redirect_uri(uri),
    };
    builder.redirect_loopback(host, url.port(), url.path())
}
