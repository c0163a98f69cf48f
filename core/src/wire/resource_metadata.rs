//! Protected resource metadata (RFC 9728, PRM rows, D4).
//!
//! Decides what the document says and whether it is about the MCP URL at all. Refuses to decide
//! which of its authorization servers to use.

use std::sync::Arc;

use super::json::{List, Value};
use super::mcp_url::McpUrl;
use super::members::{Named, members};
use super::parts::Parts;
use super::reach::Reach;
use super::shape::{Shape, over_limit};
use super::url::ServerUrl;
use super::well_known::Place;
use crate::failure::{Failure, Kind, Switch};
use crate::scope::{LONGEST_SCOPE, ScopeFault, ScopeSet};

const SHAPE: Shape = Shape { kind: Kind::PrmInvalid, rule: "PRM-04" };

/// The description of a protected resource by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceMetadata {
    /// The resource identifier exactly as received: the value of every `resource` parameter
    /// (RES-03).
    pub resource: Arc<str>,
    /// The issuers listed, exactly as received, none judged yet (PRM-09).
    pub authorization_servers: Vec<Box<str>>,
    /// The scopes the resource knows; no ceiling and no promise (PRM-12).
    pub scopes_supported: Option<ScopeSet>,
    /// True if tokens in the header are among its methods, or it lists none (PRM-13).
    pub lists_header_method: bool,
    /// True if it wants DPoP-bound tokens (PRM-14).
    pub dpop_required: bool,
    /// True if it wants certificate-bound tokens (PRM-14).
    pub mtls_bound: bool,
    /// The values that were dropped on the way, to be noted.
    pub dropped: Vec<Failure>,
}

members! {
    /// The members of a document that are read.
    Document {
        resource,
        authorization_servers,
        scopes_supported,
        bearer_methods_supported,
        dpop_bound_access_tokens_required,
        tls_client_certificate_bound_access_tokens,
    }
}

/// Reads the body of a metadata document that [`classify`](super::metadata::classify) found.
///
/// # Errors
/// `prm_invalid`, `limit_exceeded`, or the code of the JSON fault. End the flow; never fall
/// through to weaker discovery (DISC-10).
pub fn read_resource_metadata(body: &[u8]) -> Result<ResourceMetadata, Failure> {
    let found = Document::read(body)
        .map_err(|fault| fault.failure(Kind::PrmInvalid, "protected resource metadata"))?;
    let mut dropped = Vec::new();
    let resource = SHAPE.text(found.resource)?.ok_or_else(|| SHAPE.invalid(found.resource.name))?;
    let mut authorization_servers = Vec::new();
    if let Some(list) = SHAPE.list(found.authorization_servers)? {
        for value in list.iter() {
            match value.text() {
                Some(issuer) => authorization_servers.push(issuer.into()),
                None => dropped.push(no_server("PRM-09")),
            }
        }
    }
    let scopes_supported = match found.scopes_supported.value {
        None => None,
        Some(Value::List(list)) => read_scopes(list, &mut dropped),
        Some(_) => return Err(SHAPE.invalid(found.scopes_supported.name)),
    };
    let methods = SHAPE.list(found.bearer_methods_supported)?;
    Ok(ResourceMetadata {
        resource: resource.into(),
        authorization_servers,
        scopes_supported,
        lists_header_method: methods.is_none_or(|list| list.has_text("header")),
        dpop_required: SHAPE.flag(found.dpop_bound_access_tokens_required)?,
        mtls_bound: SHAPE.flag(found.tls_client_certificate_bound_access_tokens)?,
        dropped,
    })
}

/// One bad scope is dropped, a list over a limit is dropped whole (HOST-084, HOST-085).
fn read_scopes(list: List<'_>, dropped: &mut Vec<Failure>) -> Option<ScopeSet> {
    const FIELD: &str = "scopes_supported";
    let bad = |kind| Failure::new(kind, "SCOPE-11").with_subject(FIELD);
    if list.over_limit() {
        dropped.push(over_limit(FIELD));
        return None;
    }
    let mut set = ScopeSet::empty();
    for value in list.iter() {
        let Some(token) = value.text() else {
            dropped.push(bad(Kind::PrmInvalid));
            continue;
        };
        match set.insert(&token) {
            Ok(()) => {}
            Err(ScopeFault::Limit) if token.len() <= LONGEST_SCOPE => {
                dropped.push(over_limit(FIELD));
                return None;
            }
            Err(ScopeFault::Limit) => dropped.push(bad(Kind::LimitExceeded)),
            Err(ScopeFault::Alphabet) => dropped.push(bad(Kind::PrmInvalid)),
        }
    }
    Some(set).filter(|set| !set.is_empty())
}

fn no_server(rule: &'static str) -> Failure {
    Failure::new(Kind::NoAuthorizationServer, rule).with_subject("authorization_servers")
}

impl ResourceMetadata {
    /// The listed issuers that can be used, in order; each unusable one is pushed to `skipped`
    /// to be noted (PRM-08, PRM-09, HOST-113).
    ///
    /// # Errors
    /// `no_authorization_server` if none is listed, or the failure of the first one if none is
    /// usable. Configure an authorization server or the switch that the failure names.
    pub fn usable_servers(
        &self,
        reach: &Reach,
        skipped: &mut Vec<Failure>,
    ) -> Result<Vec<ServerUrl>, Failure> {
        let mut usable = Vec::with_capacity(self.authorization_servers.len());
        let mut first = None;
        for issuer in self.authorization_servers.iter().filter(|issuer| !issuer.is_empty()) {
            match ServerUrl::read_issuer(issuer, "authorization_servers", reach) {
                Ok(issuer) => usable.push(issuer),
                Err(failure) => {
                    first.get_or_insert_with(|| failure.clone());
                    skipped.push(failure);
                }
            }
        }
        if usable.is_empty() {
            return Err(first.unwrap_or_else(|| no_server("PRM-08")));
        }
        Ok(usable)
    }
}

/// How a document's `resource` fits the MCP URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// The `resource` is the identifier that was asked for.
    Exact,
    /// The `resource` is a parent of that identifier, or differs by a trailing slash (D4); to be
    /// noted.
    Parent,
}

/// Checks that a document is about the MCP URL (PRM-05 to PRM-07, D4, AMB-03). `place` says where
/// it was found; `strict` wants identity.
///
/// # Errors
/// `prm_invalid` for a `resource` that is no identifier, `resource_mismatch` for one of another
/// resource. End the flow before any authorization server is asked (HOST-107).
pub fn check_resource(
    resource: &str,
    mcp: &McpUrl,
    place: Place,
    strict: bool,
) -> Result<Match, Failure> {
    let trimmed = || mcp.canonical().strip_suffix('/');
    let exact = resource == mcp.canonical()
        || resource == mcp.url().as_str()
        || (place == Place::Root && resource == mcp.origin())
        || (place == Place::PathWithoutSlash && Some(resource) == trimmed());
    if exact {
        return Ok(Match::Exact);
    }
    // A text with a fragment, a user name or a query that is not ours is no identifier (HOST-111).
    let parts = Parts::read(resource, mcp.host_str())
        .ok()
        .filter(|parts| parts.query.is_none() || parts.query == mcp.query())
        .ok_or_else(|| SHAPE.invalid("resource"))?;
    if !covers(&parts, mcp) {
        return Err(mismatch(&parts));
    }
    if strict {
        return Err(mismatch(&parts).with_switch(Switch::ParentResource));
    }
    Ok(Match::Parent)
}

/// Returns true for the same origin and a path that is the MCP URL's or ends at one of its segment
/// boundaries.
fn covers(parts: &Parts<'_>, mcp: &McpUrl) -> bool {
    let same_origin = parts.https == mcp.is_https()
        && parts.port == mcp.port()
        && parts.host.eq_ignore_ascii_case(mcp.host_str());
    let path = parts.path.strip_suffix('/').unwrap_or(parts.path);
    let rest = mcp.path().strip_prefix(path);
    same_origin && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn mismatch(parts: &Parts<'_>) -> Failure {
    let scheme = if parts.https { "https" } else { "http" };
    Failure::new(Kind::ResourceMismatch, "PRM-07")
        .with_subject(&format!("resource {scheme}://{}{}", parts.host, parts.path))
}

#[cfg(test)]
mod tests;
