//! The guessed addresses of metadata, in the order in which they are asked (RFC 9728 §3.1, RFC 8414
//! §3.1, OpenID Connect Discovery §4, LEG-01 to LEG-03).
//!
//! Decides the addresses only; the discovery stage decides when to go on to the next one.

use serde::{Deserialize, Serialize};

use super::mcp_url::McpUrl;
use super::reach::Reach;
use super::server_metadata::ServerMetadata;
use super::url::ServerUrl;
use crate::failure::Failure;

const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

/// Where protected resource metadata came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Place {
    /// The address the challenge named.
    Pointer,
    /// The well-known address with the MCP URL's path.
    Path,
    /// The same without the slash at the path's end (AMB-04).
    PathWithoutSlash,
    /// The well-known address of the origin.
    Root,
}

/// Which document describes an authorization server, and how its address is made (ASM-20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DocumentKind {
    /// RFC 8414, the well-known part before the issuer's path.
    OAuth,
    /// OpenID Connect, the well-known part before the issuer's path.
    OpenIdInserted,
    /// OpenID Connect, the well-known part after the issuer's path.
    OpenId,
}

/// The addresses of protected resource metadata that are worth a guess, best first
/// (PRM-02, DISC-04, DISC-07, AMB-04).
pub fn resource_candidates(mcp: &McpUrl) -> impl Iterator<Item = (Place, String)> {
    [Place::Path, Place::PathWithoutSlash, Place::Root]
        .into_iter()
        .filter_map(move |place| Some((place, resource_candidate(mcp, place)?)))
}

/// One of [`resource_candidates`], `None` if it would repeat another one.
#[must_use]
pub fn resource_candidate(mcp: &McpUrl, place: Place) -> Option<String> {
    let path = if mcp.path() == "/" { "" } else { mcp.path() };
    let path = match place {
        Place::Path if path.is_empty() && mcp.query().is_none() => return None,
        Place::Path => path,
        Place::PathWithoutSlash => path.strip_suffix('/')?,
        Place::Root => return Some([mcp.origin(), RESOURCE].concat()),
        Place::Pointer => return None,
    };
    Some(match mcp.query() {
        Some(query) => [mcp.origin(), RESOURCE, path, "?", query].concat(),
        None => [mcp.origin(), RESOURCE, path].concat(),
    })
}

/// The addresses of an issuer's metadata, in the order of ASM-01 and ASM-02. An issuer with a
/// path is never looked for at the root of its host (ASM-04).
pub fn server_candidates(issuer: &ServerUrl) -> impl Iterator<Item = (DocumentKind, String)> {
    [DocumentKind::OAuth, DocumentKind::OpenIdInserted, DocumentKind::OpenId]
        .into_iter()
        .filter_map(move |kind| Some((kind, server_candidate(issuer, kind)?)))
}

/// One of [`server_candidates`], `None` if it would repeat another one.
#[must_use]
pub fn server_candidate(issuer: &ServerUrl, kind: DocumentKind) -> Option<String> {
    let path = issuer.path();
    let path = path.strip_suffix('/').unwrap_or(path);
    match kind {
        DocumentKind::OAuth => Some([issuer.origin(), OAUTH, path].concat()),
        DocumentKind::OpenIdInserted if path.is_empty() => None,
        DocumentKind::OpenIdInserted => Some([issuer.origin(), OPENID, path].concat()),
        DocumentKind::OpenId => Some([issuer.origin(), path, OPENID].concat()),
    }
}

/// The authorization base URL of revision 2025-03-26: the MCP URL's origin (LEG-01).
#[must_use]
pub fn legacy_base(mcp: &McpUrl) -> String {
    mcp.origin().to_owned()
}

/// The only address where a server of revision 2025-03-26 has metadata (LEG-02).
#[must_use]
pub fn legacy_metadata(mcp: &McpUrl) -> String {
    [mcp.origin(), OAUTH].concat()
}

/// A server of revision 2025-03-26 that has no metadata: the default endpoints (LEG-03). It is only
/// for a server that definitely has neither document (LEG-04, LEG-05).
///
/// # Errors
/// As [`ServerUrl::read`], which an MCP URL's own origin passes.
pub fn legacy_server(mcp: &McpUrl, reach: &Reach) -> Result<ServerMetadata, Failure> {
    let endpoint =
        |path: &str, field| ServerUrl::read_endpoint(&[mcp.origin(), path].concat(), field, reach);
    let authorization = endpoint("/authorize", "authorization_endpoint")?;
    let token = endpoint("/token", "token_endpoint")?;
    Ok(ServerMetadata {
        registration_endpoint: Some(endpoint("/register", "registration_endpoint")?),
        ..ServerMetadata::undescribed(mcp.origin().into(), authorization, token)
    })
}

#[cfg(test)]
mod tests;
