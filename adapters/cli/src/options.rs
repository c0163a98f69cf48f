//! The options that describe a server and the way to it: on the command line and, under the same
//! names, in the configuration file.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use mcp_authz_core::config::{Config, ConfigBuilder, PreRegistered, Profile, Times};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::secret::Secret;
use mcp_authz_tokio::LoopbackHost;
use mcp_authz_tokio::driver::transport::Choice;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::{Host, Url};

use crate::fault::Fault;

/// The environment variable with the client's secret: every process can read arguments.
pub(crate) const SECRET_VARIABLE: &str = "MCP_CLIENT_SECRET";

/// Declares the options once: as arguments, as members of the configuration file, and how those of
/// the file stand in for arguments that were not given.
macro_rules! options {
    ($($(#[$meta:meta])* $name:ident: $type:ty,)*) => {
        /// The settings of one server.
        #[derive(Args, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
        #[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
        pub(crate) struct Options {
            $($(#[$meta])* #[serde(skip_serializing_if = "is_unset")] pub(crate) $name: $type,)*
        }

        impl Options {
            /// Takes from `lower` what was not said here.
            pub(crate) fn or(self, lower: Self) -> Self {
                Self { $($name: Layer::or(self.$name, lower.$name),)* }
            }
        }
    };
}

/// A setting that another may stand in for.
trait Layer {
    fn or(self, lower: Self) -> Self;
}

impl<T> Layer for Option<T> {
    fn or(self, lower: Self) -> Self {
        Option::or(self, lower)
    }
}

impl<T> Layer for Vec<T> {
    fn or(self, lower: Self) -> Self {
        if self.is_empty() { lower } else { self }
    }
}

impl Layer for bool {
    fn or(self, lower: Self) -> Self {
        self || lower
    }
}

options! {
    /// The account, if you have several at one server
    #[arg(long, value_name = "NAME", help_heading = "Which grant")]
    account: Option<String>,
    /// Ask for this scope, whatever the server names; may be repeated
    #[arg(long, value_name = "SCOPE", help_heading = "Which grant")]
    scope: Vec<String>,
    /// Keep credentials in this folder in place of the data folder of your user
    #[arg(long, value_name = "DIR", help_heading = "Which grant")]
    store: Option<PathBuf>,
    /// Keep credentials in the keychain of the operating system
    #[arg(long, help_heading = "Which grant")]
    keychain: bool,

    /// Where the browser is sent back to; on loopback the program listens there
    #[arg(long, value_name = "URI", help_heading = "The login")]
    redirect: Option<String>,
    /// Nobody may be asked: fail where a person would be needed
    #[arg(long, help_heading = "The login")]
    no_login: bool,
    /// Print the page and open no browser, as is done over SSH
    #[arg(long, help_heading = "The login")]
    no_browser: bool,

    /// A client that the authorization server knows; its secret, if it has one, is read from the
    /// environment variable MCP_CLIENT_SECRET or from --client-secret-file
    #[arg(long, value_name = "ID", help_heading = "The client")]
    client_id: Option<String>,
    /// A file that holds the secret of --client-id and nothing else
    #[arg(long, value_name = "FILE", help_heading = "The client")]
    client_secret_file: Option<PathBuf>,
    /// The https URL of a client ID metadata document
    #[arg(long, value_name = "URL", help_heading = "The client")]
    client_document: Option<String>,
    /// The name that the program registers under
    #[arg(long, value_name = "NAME", help_heading = "The client")]
    client_name: Option<String>,
    /// The authorization server to prefer, and the only one to see --client-id
    #[arg(long, value_name = "ISSUER", help_heading = "The client")]
    issuer: Option<String>,
    /// Name the scopes that will be asked for when registering
    #[arg(long, help_heading = "The client")]
    register_scopes: bool,
    /// Register nowhere: only a client that is known, or has a document, is used
    #[arg(long, help_heading = "The client")]
    no_registration: bool,

    /// Where a person agrees, if no document says so; needs --token-endpoint
    #[arg(long, value_name = "URL", help_heading = "Endpoints that no document names")]
    authorization_endpoint: Option<String>,
    /// Where tokens come from
    #[arg(long, value_name = "URL", help_heading = "Endpoints that no document names")]
    token_endpoint: Option<String>,
    /// Where the client registers
    #[arg(long, value_name = "URL", help_heading = "Endpoints that no document names")]
    registration_endpoint: Option<String>,
    /// Where tokens are given back
    #[arg(long, value_name = "URL", help_heading = "Endpoints that no document names")]
    revocation_endpoint: Option<String>,

    /// The transport [default: auto]
    #[arg(long, value_enum, value_name = "KIND", help_heading = "The wire")]
    transport: Option<Wire>,
    /// The protocol revision to begin with, as 2025-11-25; unset, the server is asked
    #[arg(long, value_name = "REVISION", help_heading = "The wire")]
    protocol_version: Option<String>,
    /// Seconds that one request may take [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600), help_heading = "The wire")]
    timeout: Option<u64>,

    /// Send everything through this proxy; unset, the usual variables of the environment say
    #[arg(long, value_name = "URL", conflicts_with = "no_proxy", help_heading = "The network")]
    proxy: Option<String>,
    /// Use no proxy, whatever the environment says
    #[arg(long, help_heading = "The network")]
    no_proxy: bool,
    /// Trust the certificate authorities of this PEM file as well; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "The network")]
    add_roots: Vec<PathBuf>,
    /// Trust the certificate authorities of the operating system in place of Mozilla's list
    #[arg(long, help_heading = "The network")]
    platform_roots: bool,
    /// The User-Agent of every request
    #[arg(long, value_name = "TEXT", help_heading = "The network")]
    user_agent: Option<String>,

    /// Forbid every leniency
    #[arg(long, help_heading = "How strict to be")]
    strict: bool,
    /// Servers of 2025-03-26 that publish no metadata: on or off [default: on]
    #[arg(long, value_enum, value_name = "on|off", help_heading = "How strict to be")]
    legacy: Option<Switched>,
    /// This issuer need not announce PKCE; PKCE is used all the same
    #[arg(long, value_name = "ISSUER", help_heading = "How strict to be")]
    allow_unlisted_pkce: Vec<String>,
    /// The endpoints of this issuer may be on unrelated hosts
    #[arg(long, value_name = "ISSUER", help_heading = "How strict to be")]
    allow_split_endpoints: Vec<String>,
    /// Send this issuer no resource parameter
    #[arg(long, value_name = "ISSUER", help_heading = "How strict to be")]
    omit_resource: Vec<String>,
    /// Send this issuer another resource
    #[arg(long, num_args = 2, value_names = ["ISSUER", "RESOURCE"], help_heading = "How strict to be")]
    replace_resource: Vec<String>,
    /// An issuer that is listed by one name and calls itself by exactly this other
    #[arg(long, num_args = 2, value_names = ["LISTED", "DOCUMENT"], help_heading = "How strict to be")]
    pin_issuer: Vec<String>,
    /// Plain http, to this host
    #[arg(long, value_name = "HOST", help_heading = "How strict to be")]
    allow_plain_http: Vec<String>,
    /// Private addresses, for this host
    #[arg(long, value_name = "HOST", help_heading = "How strict to be")]
    allow_private_address: Vec<String>,
    /// Let --strict go through a proxy, which looks names up itself
    #[arg(long, help_heading = "How strict to be")]
    allow_strict_proxy: bool,
    /// Renew tokens although the store cannot keep other processes from it
    #[arg(long, help_heading = "How strict to be")]
    allow_unlocked_refresh: bool,
    /// Everything that Microsoft Entra needs, at this issuer
    #[arg(long, value_name = "ISSUER", help_heading = "How strict to be")]
    entra: Vec<String>,
    /// Everything that Google needs, at this issuer
    #[arg(long, value_name = "ISSUER", help_heading = "How strict to be")]
    google: Vec<String>,
    /// Everything that Amazon Cognito needs
    #[arg(long, num_args = 2, value_names = ["LISTED", "DOCUMENT"], help_heading = "How strict to be")]
    cognito: Vec<String>,

    /// The secret of --client-id, from the environment of a program that asked the agent
    #[arg(skip)]
    #[serde(skip)]
    asker_secret: Option<Carried>,
}

/// A client's secret on its way to the agent of the same user.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Carried(pub(crate) Secret);

impl Carried {
    /// The secret that the environment of this process holds.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no agent"))]
    pub(crate) fn from_environment() -> Option<Self> {
        let secret = std::env::var(SECRET_VARIABLE).ok().filter(|secret| !secret.is_empty());
        secret.map(|secret| Self(Secret::new(secret)))
    }
}

impl Serialize for Carried {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.expose().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Carried {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

/// Which transport carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wire {
    /// Streamable HTTP, and HTTP+SSE for servers that speak no other.
    Auto,
    /// Streamable HTTP.
    Http,
    /// HTTP+SSE of 2024-11-05.
    Sse,
}

impl From<Wire> for Choice {
    fn from(wire: Wire) -> Self {
        match wire {
            Wire::Auto => Self::Auto,
            Wire::Http => Self::StreamableHttp,
            Wire::Sse => Self::HttpSse,
        }
    }
}

/// A switch with two positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Switched {
    On,
    Off,
}

/// The options that take two values at a time.
pub(crate) const PAIRED: [&str; 3] = ["replace-resource", "pin-issuer", "cognito"];

/// The words of a command line that say the same as these members of the configuration file.
pub(crate) fn words(members: &Map<String, Value>) -> Vec<String> {
    let mut words = Vec::new();
    for (name, value) in members {
        let option = format!("--{name}");
        match value {
            Value::Bool(_) => words.push(option),
            Value::Array(values) => {
                let at_a_time = if PAIRED.contains(&name.as_str()) { 2 } else { 1 };
                for values in values.chunks(at_a_time) {
                    words.push(option.clone());
                    words.extend(values.iter().map(word));
                }
            }
            value => words.extend([option, word(value)]),
        }
    }
    words
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Options {
    /// The members of the configuration file that say the same.
    pub(crate) fn members(&self) -> Map<String, Value> {
        let members = serde_json::to_value(self).ok();
        // Paths that are no UTF-8 cannot be written down; nothing else can fail.
        members.as_ref().and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// The time that one request may take.
    pub(crate) fn request_time(&self) -> Duration {
        Duration::from_secs(self.timeout.unwrap_or(30))
    }

    /// The time limits of a session.
    pub(crate) fn times(&self) -> Times {
        let (times, request) = (Times::default(), self.request_time());
        Times { connect: request.min(times.connect), request, ..times }
    }

    /// The scopes that are to be asked for; empty if the server names them.
    pub(crate) fn scopes(&self) -> Result<ScopeSet, Fault> {
        let all = ScopeSet::read(&self.scope.join(" "));
        all.map_err(|_| Fault::usage("a --scope is printable ASCII without \" and \\"))
    }

    /// The configuration of a session at this MCP URL. `secret` looks into the environment.
    pub(crate) fn config(
        &self,
        mcp_url: &str,
        secret: impl Fn(&str) -> Option<String>,
    ) -> Result<ConfigBuilder, Fault> {
        let mut builder = Config::builder(mcp_url)
            .times(self.times())
            .program("mcp-authz")
            .register_scopes(self.register_scopes)
            .dynamic_registration(!self.no_registration);
        let scopes = self.scopes()?;
        if !scopes.is_empty() {
            builder = builder.scopes(&scopes.iter().collect::<Vec<_>>());
        }
        if let Some(account) = &self.account {
            builder = builder.account(account);
        }
        if let Some(name) = &self.client_name {
            builder = builder.client_name(name);
        }
        if let Some(version) = &self.protocol_version {
            builder = builder.protocol_version(version);
        }
        if let Some(uri) = &self.redirect {
            builder = redirected(builder, uri);
        }
        if let Some(client_id) = &self.client_id {
            builder = builder.pre_registered(PreRegistered {
                issuer: self.issuer.clone(),
                client_id: client_id.clone(),
                secret: self.client_secret(secret)?,
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
        builder = self.described(builder);
        if self.strict {
            builder = builder.profile(Profile::Strict);
        }
        if let Some(legacy) = self.legacy {
            builder = builder.legacy_servers(legacy == Switched::On);
        }
        self.lenient(builder)
    }

    fn client_secret(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Secret>, Fault> {
        let Some(path) = &self.client_secret_file else {
            if let Some(Carried(secret)) = &self.asker_secret {
                return Ok(Some(secret.clone()));
            }
            let secret = variable(SECRET_VARIABLE).filter(|secret| !secret.is_empty());
            return Ok(secret.map(Secret::new));
        };
        let unread = |error: &dyn std::fmt::Display| {
            Fault::usage(&format!("--client-secret-file {}: {error}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| unread(&error))?;
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(unread(&"the file is empty")),
            secret => Ok(Some(Secret::new(secret))),
        }
    }

    /// The authorization server as the person describes it, if they do.
    fn described(&self, mut builder: ConfigBuilder) -> ConfigBuilder {
        let mut any = false;
        type Set = fn(ConfigBuilder, &str) -> ConfigBuilder;
        let endpoints: [(&Option<String>, Set); 4] = [
            (&self.authorization_endpoint, ConfigBuilder::authorization_endpoint),
            (&self.token_endpoint, ConfigBuilder::token_endpoint),
            (&self.registration_endpoint, ConfigBuilder::registration_endpoint),
            (&self.revocation_endpoint, ConfigBuilder::revocation_endpoint),
        ];
        for (url, set) in endpoints {
            if let Some(url) = url {
                builder = set(builder, url);
                any = true;
            }
        }
        match &self.issuer {
            Some(issuer) if any => builder.endpoints_issuer(issuer),
            _ => builder,
        }
    }

    fn lenient(&self, builder: ConfigBuilder) -> Result<ConfigBuilder, Fault> {
        let mut danger = builder.danger();
        for issuer in &self.allow_unlisted_pkce {
            danger = danger.allow_unlisted_pkce(issuer);
        }
        for issuer in &self.allow_split_endpoints {
            danger = danger.allow_split_endpoints(issuer);
        }
        for issuer in &self.omit_resource {
            danger = danger.omit_resource(issuer);
        }
        for (issuer, resource) in pairs("--replace-resource", &self.replace_resource)? {
            danger = danger.replace_resource(issuer, resource);
        }
        for (listed, document) in pairs("--pin-issuer", &self.pin_issuer)? {
            danger = danger.pin_issuer(listed, document);
        }
        for (listed, document) in pairs("--cognito", &self.cognito)? {
            danger = danger.cognito(listed, document);
        }
        for host in &self.allow_plain_http {
            danger = danger.allow_plain_http(host);
        }
        for host in &self.allow_private_address {
            danger = danger.allow_private_address(host);
        }
        for issuer in &self.entra {
            danger = danger.entra(issuer);
        }
        if self.allow_strict_proxy {
            danger = danger.allow_strict_proxy();
        }
        if self.allow_unlocked_refresh {
            danger = danger.allow_unlocked_refresh();
        }
        Ok(self.google.iter().fold(danger.done(), |builder, issuer| builder.google(issuer)))
    }
}

/// The values of an option that takes two at a time.
fn pairs<'a>(
    option: &str,
    values: &'a [String],
) -> Result<impl Iterator<Item = (&'a str, &'a str)>, Fault> {
    let (pairs, rest) = values.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Fault::usage(&format!("{option} takes two values at a time")));
    }
    Ok(pairs.iter().map(|[one, other]| (one.as_str(), other.as_str())))
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

/// Returns true for a setting that nobody has made.
fn is_unset<T: Default + PartialEq>(setting: &T) -> bool {
    *setting == T::default()
}
