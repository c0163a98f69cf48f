//! Which endpoint a URL is. Endpoints are recognised even where nothing is served, so that the log of a test
//! says what was looked for.

use url::Url;

use super::settings::{PrmPlace, Settings};

/// The endpoint that a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// The MCP endpoint.
    Mcp,
    /// Where HTTP+SSE messages are posted.
    Messages,
    /// Protected resource metadata with the MCP path inserted.
    PrmPath,
    /// Protected resource metadata of the bare origin.
    PrmRoot,
    /// Protected resource metadata that only a challenge can tell.
    PrmCustom,
    /// RFC 8414 metadata of an issuer.
    AsOauth,
    /// OpenID Connect metadata, well-known part before the issuer's path.
    AsOidcInserted,
    /// OpenID Connect metadata, well-known part after the issuer's path.
    AsOidc,
    /// Metadata at the root of a host whose issuer has a path: somebody else's document.
    AsRoot,
    /// Dynamic client registration.
    Register,
    /// The authorization endpoint.
    Authorize,
    /// Where the consent form goes.
    Consent,
    /// The token endpoint.
    Token,
    /// Token revocation.
    Revoke,
    /// None of these.
    Other,
}

/// An endpoint, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) endpoint: Endpoint,
    pub(crate) server: Option<usize>,
}

const PRM: &str = "/.well-known/oauth-protected-resource";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OIDC: &str = "/.well-known/openid-configuration";

/// Where HTTP+SSE messages go, after the MCP URL's path.
pub(crate) const MESSAGES: &str = "/messages";

pub(crate) fn route(settings: &Settings, url: &Url) -> Route {
    let resource = resource_endpoint(settings, url);
    if let Some(endpoint) = resource {
        return Route { endpoint, server: None };
    }
    for (index, server) in settings.servers().enumerate() {
        if let Some(endpoint) = server_endpoint(&server.issuer, server.base(), url) {
            return Route { endpoint, server: Some(index) };
        }
    }
    for (index, server) in settings.servers().enumerate() {
        let same = Url::parse(&server.issuer).is_ok_and(|issuer| issuer.origin() == url.origin());
        if same && matches!(url.path(), OAUTH | OIDC) {
            return Route { endpoint: Endpoint::AsRoot, server: Some(index) };
        }
    }
    Route { endpoint: Endpoint::Other, server: None }
}

fn resource_endpoint(settings: &Settings, url: &Url) -> Option<Endpoint> {
    let mcp = Url::parse(&settings.mcp_url).ok().filter(|mcp| mcp.origin() == url.origin())?;
    let (path, mcp_path) = (url.path(), mcp.path().trim_end_matches('/'));
    if path == mcp.path() && (mcp.query().is_none() || url.query() == mcp.query()) {
        return Some(Endpoint::Mcp);
    }
    let other = settings.mcp.sse_endpoint.as_ref().and_then(|other| other.split('?').next());
    if path.strip_prefix(mcp_path) == Some(MESSAGES) || other == Some(path) {
        return Some(Endpoint::Messages);
    }
    if settings
        .prm
        .places
        .iter()
        .any(|place| matches!(place, PrmPlace::Custom(custom) if custom == path))
    {
        return Some(Endpoint::PrmCustom);
    }
    match path.strip_prefix(PRM) {
        Some("") | Some("/") if mcp_path.is_empty() => Some(Endpoint::PrmPath),
        Some("") => Some(Endpoint::PrmRoot),
        Some(rest) if rest == mcp.path() => Some(Endpoint::PrmPath),
        _ => None,
    }
}

fn server_endpoint(issuer: &str, base: &str, url: &Url) -> Option<Endpoint> {
    if let Some(endpoint) = below(base, url).and_then(|rest| match rest {
        "/authorize" => Some(Endpoint::Authorize),
        "/consent" => Some(Endpoint::Consent),
        "/token" => Some(Endpoint::Token),
        "/register" => Some(Endpoint::Register),
        "/revoke" => Some(Endpoint::Revoke),
        _ => None,
    }) {
        return Some(endpoint);
    }
    let issuer = Url::parse(issuer).ok().filter(|issuer| issuer.origin() == url.origin())?;
    let (path, tenant) = (url.path(), issuer.path().trim_end_matches('/'));
    if path.strip_prefix(OAUTH) == Some(tenant) {
        Some(Endpoint::AsOauth)
    } else if path.strip_prefix(tenant) == Some(OIDC) {
        Some(Endpoint::AsOidc)
    } else if path.strip_prefix(OIDC) == Some(tenant) {
        Some(Endpoint::AsOidcInserted)
    } else {
        None
    }
}

/// The path of `url` below `base`.
fn below<'a>(base: &str, url: &'a Url) -> Option<&'a str> {
    let base = Url::parse(base).ok().filter(|base| base.origin() == url.origin())?;
    url.path().strip_prefix(base.path().trim_end_matches('/'))
}

/// The URL of the protected resource metadata at a place.
pub(crate) fn prm_url(settings: &Settings, place: &PrmPlace) -> Option<String> {
    let mcp = Url::parse(&settings.mcp_url).ok()?;
    let origin = mcp.origin().ascii_serialization();
    let path = mcp.path().trim_start_matches('/');
    Some(match place {
        PrmPlace::Path if path.is_empty() => format!("{origin}{PRM}"),
        PrmPlace::Path => match mcp.query() {
            Some(query) => format!("{origin}{PRM}/{path}?{query}"),
            None => format!("{origin}{PRM}/{path}"),
        },
        PrmPlace::Root => format!("{origin}{PRM}"),
        PrmPlace::Custom(custom) => format!("{origin}{custom}"),
    })
}
