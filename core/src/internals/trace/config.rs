//! A configuration, as the settings that give it.

use core::time::Duration;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::{
    ClientMetadata, Config, ConfigBuilder, IssuerSettings, Method, PreRegistered, Profile,
    Redirect, ResourceParameter, Times,
};
use crate::failure::Failure;
use crate::scope::ScopeSet;
use crate::secret::Secret;
use crate::wire::redirect::LoopbackHost;

/// The settings of a configuration. Absent members have their defaults.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Setup {
    /// The MCP URL.
    pub mcp_url: String,
    /// The account, unless it is the one without a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// True for no leniency at all.
    pub strict: bool,
    /// The setting about servers of 2025-03-26.
    pub legacy: Option<bool>,
    /// The host of a listener of ours, its port and its path.
    pub loopback: Option<(LoopbackHost, Option<u16>, String)>,
    /// A redirect URI that somebody else serves.
    pub redirect_uri: Option<String>,
    /// The metadata that the client registers.
    pub metadata: ClientMetadata,
    /// The token that the registration endpoint wants.
    pub initial_access_token: Option<String>,
    /// The client ID metadata document: its URL, its redirect URIs, and whether it is forced.
    pub document: Option<(String, Vec<String>, bool)>,
    /// Credentials that were agreed upon beforehand.
    pub clients: Vec<Known>,
    /// The settings of single issuers.
    pub issuers: Vec<AtIssuer>,
    /// The preferred issuer.
    pub preferred_issuer: Option<String>,
    /// The scopes to ask for.
    pub scopes: Option<String>,
    /// The scopes to ask for where the server names none.
    pub default_scopes: Option<String>,
    /// Endpoints that no document names.
    pub endpoints: Option<Listed>,
    /// The hosts that may be spoken to without TLS.
    pub plain_http: Vec<String>,
    /// The hosts that may have private addresses.
    pub private_hosts: Vec<String>,
    /// More paths that the token may go to.
    pub prefixes: Vec<String>,
    /// The revision that metadata requests name.
    pub protocol_version: String,
    /// Milliseconds to connect, for a request and for the person, and those before expiry.
    pub times: (u64, u64, u64, Option<u64>),
    /// The client may register.
    pub registration: bool,
    /// The registration names scopes.
    pub register_scopes: bool,
    /// The stored grant is replaced by a new login.
    pub login_anew: bool,
    /// Refresh tokens are wanted.
    pub refresh_tokens: bool,
    /// There is a credential store.
    pub persistent: bool,
    /// Refreshes go on without a lock.
    pub unlocked_refresh: bool,
    /// Strict may go through a proxy.
    pub strict_proxy: bool,
}

/// Credentials that were agreed upon beforehand.
#[derive(Clone, Serialize, Deserialize)]
pub struct Known {
    /// The issuer that they are for.
    pub issuer: Option<String>,
    /// The client identifier.
    pub client_id: String,
    /// The client secret.
    pub secret: Option<String>,
    /// The authentication method.
    pub method: Option<Method>,
}

/// The settings of one issuer.
#[derive(Clone, Serialize, Deserialize)]
pub struct AtIssuer {
    /// The issuer.
    pub issuer: String,
    /// It need not list PKCE.
    pub pkce_unlisted: bool,
    /// Its endpoints may be on unrelated hosts.
    pub split_endpoints: bool,
    /// The issuer that its document names.
    pub pin: Option<String>,
    /// The `resource` parameter is left out.
    pub resource_omitted: bool,
    /// The substitute for the `resource` parameter.
    pub resource: Option<String>,
    /// More authorization parameters.
    pub parameters: Vec<(String, String)>,
    /// `prompt=consent` goes with `offline_access`.
    pub consent_for_offline: bool,
    /// The authentication method.
    pub client_auth: Option<Method>,
    /// A refresh names scopes.
    pub scope_on_refresh: bool,
}

/// Endpoints that no document names.
#[derive(Clone, Serialize, Deserialize)]
pub struct Listed {
    /// The issuer.
    pub issuer: String,
    /// Where the person goes.
    pub authorization: String,
    /// Where tokens come from.
    pub token: String,
    /// Where clients register.
    pub registration: Option<String>,
    /// Where tokens are given back.
    pub revocation: Option<String>,
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn in_millis(times: &Times) -> (u64, u64, u64, Option<u64>) {
    let Times { connect, request, callback, ahead } = *times;
    (millis(connect), millis(request), millis(callback), ahead.map(millis))
}

impl Setup {
    /// The settings of a configuration. A deployment's own rule about URLs is not among them.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let (loopback, redirect_uri) = match &config.redirect {
            Redirect::Loopback { host, port, path } => (Some((*host, *port, path.clone())), None),
            Redirect::Fixed(uri) => (None, Some(uri.as_str().to_owned())),
        };
        let text = |hosts: &[Box<str>]| hosts.iter().map(|host| host.to_string()).collect();
        let scopes = |set: &Option<ScopeSet>| set.as_ref().map(|set| set.as_str().to_owned());
        Self {
            mcp_url: config.mcp.url().as_str().to_owned(),
            account: Some(config.account())
                .filter(|name| *name != crate::config::DEFAULT_ACCOUNT)
                .map(str::to_owned),
            strict: config.strict(),
            legacy: legacy(config, loopback.is_some()),
            loopback,
            redirect_uri,
            metadata: config.metadata.clone(),
            initial_access_token: config.initial_access_token.as_ref().map(exposed),
            document: config.document.as_ref().map(|document| {
                let uris = document.redirect_uris.iter().map(ToString::to_string).collect();
                (document.url.as_str().to_owned(), uris, document.forced)
            }),
            clients: config.clients.iter().map(Known::of).collect(),
            issuers: config.issuers.iter().map(AtIssuer::of).collect(),
            preferred_issuer: config.preferred_issuer.as_deref().map(str::to_owned),
            scopes: scopes(&config.scopes),
            default_scopes: scopes(&config.default_scopes),
            endpoints: Listed::of(config),
            plain_http: text(&config.reach.plain_http),
            private_hosts: text(&config.reach.private),
            prefixes: config.area(false).added_paths().collect(),
            protocol_version: String::from_utf8_lossy(config.protocol_version.as_bytes()).into(),
            times: in_millis(&config.times),
            registration: config.registration,
            register_scopes: config.register_scopes,
            login_anew: config.login_anew,
            refresh_tokens: config.refresh_tokens,
            persistent: config.persistent,
            unlocked_refresh: config.unlocked_refresh,
            strict_proxy: config.strict_proxy,
        }
    }

    /// The configuration of these settings.
    ///
    /// # Errors
    /// The failure of the first setting that is refused.
    pub fn build(&self) -> Result<Arc<Config>, Failure> {
        let (connect, request, callback, ahead) = self.times;
        let mut builder = Config::builder(&self.mcp_url)
            .client_metadata(self.metadata.clone())
            .dynamic_registration(self.registration)
            .register_scopes(self.register_scopes)
            .login_anew(self.login_anew)
            .refresh_tokens(self.refresh_tokens)
            .persistent(self.persistent)
            .protocol_version(&self.protocol_version)
            .times(Times {
                connect: Duration::from_millis(connect),
                request: Duration::from_millis(request),
                callback: Duration::from_millis(callback),
                ahead: ahead.map(Duration::from_millis),
            });
        if self.strict {
            builder = builder.profile(Profile::Strict);
        }
        if let Some(name) = &self.account {
            builder = builder.account(name);
        }
        if let Some(allowed) = self.legacy {
            builder = builder.legacy_servers(allowed);
        }
        if let Some(token) = &self.initial_access_token {
            builder = builder.initial_access_token(Secret::new(token.as_str()));
        }
        self.lenient(self.scoped(self.clients(self.redirected(builder)))).build()
    }

    fn redirected(&self, mut builder: ConfigBuilder) -> ConfigBuilder {
        if let Some((host, port, path)) = &self.loopback {
            builder = builder.redirect_loopback(*host, *port, path);
        }
        if let Some(uri) = &self.redirect_uri {
            builder = builder.redirect_uri(uri);
        }
        if let Some((url, uris, forced)) = &self.document {
            let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
            builder = builder.client_document(url, &uris);
            if *forced {
                builder = builder.client_document_forced();
            }
        }
        // No other scheme was let in without the switch.
        let ours = |uri: &String| uri.starts_with("http");
        let document = self.document.iter().flat_map(|(_, uris, _)| uris);
        if !self.redirect_uri.iter().chain(document).all(ours) {
            builder = builder.danger().allow_private_scheme().done();
        }
        builder
    }

    fn clients(&self, mut builder: ConfigBuilder) -> ConfigBuilder {
        for client in &self.clients {
            builder = builder.pre_registered(PreRegistered {
                issuer: client.issuer.clone(),
                client_id: client.client_id.clone(),
                secret: client.secret.as_deref().map(Secret::new),
                method: client.method,
            });
        }
        if let Some(issuer) = &self.preferred_issuer {
            builder = builder.prefer_issuer(issuer);
        }
        if let Some(at) = &self.endpoints {
            builder = builder
                .endpoints_issuer(&at.issuer)
                .authorization_endpoint(&at.authorization)
                .token_endpoint(&at.token);
            if let Some(url) = &at.registration {
                builder = builder.registration_endpoint(url);
            }
            if let Some(url) = &at.revocation {
                builder = builder.revocation_endpoint(url);
            }
        }
        builder
    }

    fn scoped(&self, mut builder: ConfigBuilder) -> ConfigBuilder {
        fn tokens(text: &str) -> Vec<&str> {
            text.split(' ').filter(|token| !token.is_empty()).collect()
        }
        if let Some(scopes) = &self.scopes {
            builder = builder.scopes(&tokens(scopes));
        }
        if let Some(scopes) = &self.default_scopes {
            builder = builder.default_scopes(&tokens(scopes));
        }
        self.prefixes.iter().fold(builder, |builder, path| builder.token_prefix(path))
    }

    fn lenient(&self, mut builder: ConfigBuilder) -> ConfigBuilder {
        for at in &self.issuers {
            builder = at.apply(builder);
        }
        let mut danger = builder.danger();
        for host in &self.plain_http {
            danger = danger.allow_plain_http(host);
        }
        for host in &self.private_hosts {
            danger = danger.allow_private_address(host);
        }
        if self.unlocked_refresh {
            danger = danger.allow_unlocked_refresh();
        }
        if self.strict_proxy {
            danger = danger.allow_strict_proxy();
        }
        danger.done()
    }
}

/// The setting that made a configuration allow servers of 2025-03-26, or refuse them.
fn legacy(config: &Config, listens: bool) -> Option<bool> {
    match (config.strict(), config.legacy, config.legacy_refused) {
        (true, ..) => None,
        (_, true, _) => (!listens).then_some(true),
        (_, false, refused) => refused.then_some(false),
    }
}

/// A secret as it is.
fn exposed(secret: &Secret) -> String {
    secret.expose().to_owned()
}

impl Known {
    fn of(client: &PreRegistered) -> Self {
        Self {
            issuer: client.issuer.clone(),
            client_id: client.client_id.clone(),
            secret: client.secret.as_ref().map(exposed),
            method: client.method,
        }
    }
}

impl Listed {
    fn of(config: &Config) -> Option<Self> {
        let server = config.server.as_ref()?;
        let text = |url: &crate::wire::url::ServerUrl| url.as_str().to_owned();
        Some(Self {
            issuer: server.issuer.to_string(),
            authorization: text(&server.authorization_endpoint),
            token: text(&server.token_endpoint),
            registration: server.registration_endpoint.as_ref().map(text),
            revocation: server.revocation_endpoint.as_ref().map(text),
        })
    }
}

impl AtIssuer {
    fn of(at: &IssuerSettings) -> Self {
        Self {
            issuer: at.issuer.to_string(),
            pkce_unlisted: at.pkce_unlisted,
            split_endpoints: at.split_endpoints,
            pin: at.pin.as_deref().map(str::to_owned),
            resource_omitted: at.resource == Some(ResourceParameter::Omitted),
            resource: match &at.resource {
                Some(ResourceParameter::Replaced(other)) => Some(other.to_string()),
                _ => None,
            },
            parameters: at
                .parameters
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            consent_for_offline: at.consent_for_offline,
            client_auth: at.client_auth,
            scope_on_refresh: at.scope_on_refresh,
        }
    }

    fn apply(&self, mut builder: ConfigBuilder) -> ConfigBuilder {
        let issuer = &self.issuer;
        for (name, value) in &self.parameters {
            builder = builder.authorization_parameter(issuer, name, value);
        }
        if self.consent_for_offline {
            builder = builder.consent_for_offline_access(issuer);
        }
        if let Some(method) = self.client_auth {
            builder = builder.client_auth_method(issuer, method);
        }
        let mut danger = builder.danger();
        if self.scope_on_refresh {
            danger = danger.entra(issuer);
        }
        if self.pkce_unlisted {
            danger = danger.allow_unlisted_pkce(issuer);
        }
        if self.split_endpoints {
            danger = danger.allow_split_endpoints(issuer);
        }
        if let Some(document) = &self.pin {
            danger = danger.pin_issuer(issuer, document);
        }
        danger = match &self.resource {
            Some(other) => danger.replace_resource(issuer, other),
            None if self.resource_omitted => danger.omit_resource(issuer),
            None => danger,
        };
        danger.done()
    }
}
