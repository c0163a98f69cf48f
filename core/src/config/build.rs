//! Checks what was collected and makes a configuration of it.

use core::time::Duration;
use std::sync::Arc;

use http::HeaderValue;

use super::builder::{ConfigBuilder, RedirectSetting};
use super::{Config, DEFAULT_ACCOUNT, Document, IssuerSettings, Profile, Redirect, Times, invalid};
use crate::failure::Failure;
use crate::granted::Area;
use crate::scope::ScopeSet;
use crate::wire::client_document::ClientDocumentUrl;
use crate::wire::form::is_reserved_parameter;
use crate::wire::redirect::RedirectUri;
use crate::wire::registration::ClientMetadata;
use crate::wire::url::{McpUrl, Reach};

impl ConfigBuilder {
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
        self.check_parameters()?;
        let document = self.document()?;
        let scopes = read_scopes("scopes", self.scopes.as_deref())?;
        let default_scopes = read_scopes("default_scopes", self.default_scopes.as_deref())?;
        let protocol_version = HeaderValue::try_from(self.protocol_version)
            .map_err(|_| invalid("protocol_version", "DISC-13"))?;
        let areas = areas(&mcp, &self.prefixes, strict)?;
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
            strict_proxy: self.strict_proxy,
            protocol_version,
            times: self.times.within_limits(),
            areas,
            mcp,
        }))
    }

    fn check_parameters(&self) -> Result<(), Failure> {
        let mut parameters = self.issuers.iter().flat_map(|settings| &settings.parameters);
        if parameters.any(|(name, _)| is_reserved_parameter(name)) {
            return Err(invalid("authorization_parameter", "AUTHZ-09"));
        }
        Ok(())
    }

    fn document(&self) -> Result<Option<Document>, Failure> {
        let Some((url, uris, forced)) = &self.document else { return Ok(None) };
        let url = ClientDocumentUrl::read(url)?;
        let uris = uris.iter().map(|uri| RedirectUri::read(uri, self.private_scheme));
        Ok(Some(Document { url, redirect_uris: uris.collect::<Result<_, _>>()?, forced: *forced }))
    }

    /// The redirect setting and its URI, which has some port if the real one is not known yet.
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

impl Times {
    fn within_limits(self) -> Self {
        Self {
            connect: self.connect.min(Duration::from_secs(60)),
            request: self.request.min(Duration::from_secs(300)),
            callback: self.callback.min(Duration::from_secs(24 * 3600)),
            ahead: self.ahead,
        }
    }
}

fn read_scopes(setting: &str, scopes: Option<&[String]>) -> Result<Option<ScopeSet>, Failure> {
    let read = |scopes: &[String]| ScopeSet::from_tokens(scopes.iter().map(String::as_str));
    scopes.map(read).transpose().map_err(|_| invalid(setting, "SCOPE-11"))
}

/// The token areas of a server that has shown metadata, and of one that is its own authorization
/// server (USE-07, D4).
fn areas(mcp: &McpUrl, prefixes: &[String], strict: bool) -> Result<[Arc<Area>; 2], Failure> {
    if prefixes.iter().any(|prefix| !prefix.starts_with('/')) {
        return Err(invalid("token_prefix", "USE-07"));
    }
    let area = |first: &str| {
        let prefixes = prefixes.iter().map(String::as_str);
        Arc::new(Area::new(mcp.origin(), core::iter::once(first).chain(prefixes)))
    };
    Ok([area(mcp.path()), area(if strict { mcp.path() } else { "/" })])
}

/// The name of a client if neither it nor its program was given a name.
const NAMELESS: &str = "MCP client";

/// The client's name is the one that the host has set, or the program's name.
fn named(metadata: ClientMetadata, program: Option<String>) -> ClientMetadata {
    if !metadata.client_name.is_empty() {
        return metadata;
    }
    let client_name =
        program.filter(|name| !name.is_empty()).unwrap_or_else(|| NAMELESS.to_owned());
    ClientMetadata { client_name, ..metadata }
}
