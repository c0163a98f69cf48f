//! Protected resource metadata (RFC 9728, PRM rows, D4).
//!
//! Decides what the document says and whether it is about the MCP URL at all. Refuses to decide
//! which of its authorization servers to use.

use std::sync::Arc;

use super::json::{List, Value, read_members};
use super::mcp_url::McpUrl;
use super::parts::Parts;
use super::reach::Reach;
use super::shape::{Shape, over_limit};
use super::url::ServerUrl;
use super::well_known::Place;
use crate::failure::{Failure, Kind, Switch};
use crate::scope::{LONGEST_SCOPE, ScopeFault, ScopeSet};

const SHAPE: Shape = Shape { kind: Kind::PrmInvalid, rule: "PRM-04" };

/// What a protected resource says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceMetadata {
    /// The resource identifier exactly as received: the value of every `resource` parameter
    /// (RES-03).
    pub resource: Arc<str>,
    /// The issuers listed, exactly as received, none judged yet (PRM-09).
    pub authorization_servers: Vec<Box<str>>,
    /// The scopes the resource knows; no ceiling and no promise (PRM-12).
    pub scopes_supported: Option<ScopeSet>,
    /// Whether tokens in the header are among its methods, or it lists none (PRM-13).
    pub lists_header_method: bool,
    /// It wants DPoP-bound tokens (PRM-14).
    pub dpop_required: bool,
    /// It wants certificate-bound tokens (PRM-14).
    pub mtls_bound: bool,
    /// What was dropped on the way, to be noted.
    pub dropped: Vec<Failure>,
}

/// Reads the body of a metadata document that [`classify`](super::metadata::classify) found.
///
/// # Errors
/// `prm_invalid`, `limit_exceeded`, or the code of the JSON fault. End the flow; never fall
/// through to weaker discovery (DISC-10).
pub fn read_resource_metadata(body: &[u8]) -> Result<ResourceMetadata, Failure> {
    const NAMES: [&str; 6] = [
        "resource",
        "authorization_servers",
        "scopes_supported",
        "bearer_methods_supported",
        "dpop_bound_access_tokens_required",
        "tls_client_certificate_bound_access_tokens",
    ];
    let members = read_members(body, &NAMES)
        .and_then(|members| members.unique())
        .map_err(|fault| fault.failure(Kind::PrmInvalid, "protected resource metadata"))?;
    let [resource, servers, scopes, methods, dpop, mtls] = members;
    let mut dropped = Vec::new();
    let resource = SHAPE.text(resource, "resource")?.ok_or_else(|| SHAPE.invalid("resource"))?;
    let mut authorization_servers = Vec::new();
    if let Some(list) = SHAPE.list(servers, "authorization_servers")? {
        for value in list.iter() {
            match value.text() {
                Some(issuer) => authorization_servers.push(issuer.into()),
                None => dropped.push(no_server("PRM-09")),
            }
        }
    }
    let scopes_supported = match scopes {
        None => None,
        Some(Value::List(list)) => read_scopes(list, &mut dropped),
        Some(_) => return Err(SHAPE.invalid("scopes_supported")),
    };
    let methods = SHAPE.list(methods, "bearer_methods_supported")?;
    Ok(ResourceMetadata {
        resource: resource.into(),
        authorization_servers,
        scopes_supported,
        lists_header_method: methods.is_none_or(|list| list.has_text("header")),
        dpop_required: SHAPE.flag(dpop, "dpop_bound_access_tokens_required")?,
        mtls_bound: SHAPE.flag(mtls, "tls_client_certificate_bound_access_tokens")?,
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
    /// `no_authorization_server` if none is listed, or what is wrong with the first one if none is
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
    /// It is the identifier that was asked for.
    Exact,
    /// It is a parent of it, or differs by a trailing slash (D4); to be noted.
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
    // Fragment, user name and a query that is not ours make it no identifier (HOST-111).
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

/// Same origin, and a path that is the MCP URL's or ends at one of its segment boundaries.
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
mod tests {
    use super::*;
    use crate::wire::url::tests::{public, reach};

    fn kind(body: &str) -> &'static str {
        read_resource_metadata(body.as_bytes()).err().map_or("ok", |failure| failure.kind().code())
    }

    fn read(members: &str) -> ResourceMetadata {
        let body = format!("{{\"resource\":\"https://mcp.example/mcp\",{members}}}");
        read_resource_metadata(body.as_bytes()).unwrap()
    }

    #[test]
    fn documents_prm_03_prm_04_prm_16_host_077_to_host_086_host_111() {
        for (body, expected) in [
            (r#"{"resource":"https://mcp.example/mcp"}"#, "ok"),
            (r#"{"resource":"x","resource_name#fr":"y","signed_metadata":"z","u":{}}"#, "ok"),
            (r#"{"resource":"x","authorization_server":"https://evil.example"}"#, "ok"),
            (r#"{}"#, "prm_invalid"),
            (r#"{"resource":null}"#, "prm_invalid"),
            (r#"{"resource":["x"]}"#, "prm_invalid"),
            (r#"{"resource":1}"#, "prm_invalid"),
            (r#"[]"#, "prm_invalid"),
            (r#""x""#, "prm_invalid"),
            (r#"null"#, "prm_invalid"),
            (r#"{"resource":"x","authorization_servers":{}}"#, "prm_invalid"),
            (r#"{"resource":"x","scopes_supported":"a b"}"#, "prm_invalid"),
            (r#"{"resource":"x","dpop_bound_access_tokens_required":"true"}"#, "prm_invalid"),
            (r#"{"resource":"x","resource":"y"}"#, "json_duplicate_key"),
            (r#"{"resource":"x"}x"#, "json_malformed"),
            ("<html>", "json_malformed"),
        ] {
            assert_eq!(kind(body), expected, "{body}");
        }
        let many = vec!["\"https://as.example\""; 5000].join(",");
        let body = format!("{{\"resource\":\"x\",\"authorization_servers\":[{many}]}}");
        assert_eq!(kind(&body), "limit_exceeded");
    }

    #[test]
    fn strings_are_kept_as_they_came_prm_17_res_03() {
        let body = br#"{"resource":"HTTPS:\/\/MCP.example:443\/caf\u00e9"}"#;
        let found = read_resource_metadata(body).unwrap();
        assert_eq!(&*found.resource, "HTTPS://MCP.example:443/café");
    }

    #[test]
    fn scopes_are_bounded_host_084_host_085_prm_12() {
        let long = "x".repeat(300);
        let names =
            |count: usize| (0..count).map(|i| format!("\"s{i}\"")).collect::<Vec<_>>().join(",");
        for (list, scopes, notes) in [
            (r#""a","b""#.to_owned(), Some("a b"), 0),
            (String::new(), None, 0),
            (format!("\"a\",\"{long}\",\"b\""), Some("a b"), 1),
            (r#""a",1,"b c","d""#.to_owned(), Some("a d"), 2),
            (names(257), None, 1),
            (names(65), None, 1),
        ] {
            let found = read(&format!("\"scopes_supported\":[{list}]"));
            assert_eq!(found.scopes_supported.as_ref().map(ScopeSet::as_str), scopes, "{list}");
            assert_eq!(found.dropped.len(), notes);
        }
        assert_eq!(
            read(&format!("\"scopes_supported\":[{}]", names(257))).dropped[0].kind(),
            Kind::LimitExceeded
        );
    }

    #[test]
    fn token_requirements_are_read_prm_13_prm_14_host_121_host_122() {
        let plain = read(r#""x":1"#);
        assert!(plain.lists_header_method && !plain.dpop_required && !plain.mtls_bound);
        let odd = read(
            r#""bearer_methods_supported":["query","body"],"dpop_bound_access_tokens_required":true,
               "tls_client_certificate_bound_access_tokens":true"#,
        );
        assert!(!odd.lists_header_method && odd.dpop_required && odd.mtls_bound);
        assert!(read(r#""bearer_methods_supported":["header"]"#).lists_header_method);
    }

    #[test]
    fn bad_servers_are_skipped_prm_08_prm_09_host_112_to_host_115_host_033() {
        for (list, expected, skipped) in [
            (r#"["https://as.example"]"#, Ok(1), 0),
            (r#"["http://169.254.169.254","https://as.example"]"#, Ok(1), 1),
            (
                r#"["https://as.example/#x","https://as.example/?x","https://as2.example/t"]"#,
                Ok(1),
                2,
            ),
            ("null", Err(Kind::NoAuthorizationServer), 0),
            ("[]", Err(Kind::NoAuthorizationServer), 0),
            (r#"[""]"#, Err(Kind::NoAuthorizationServer), 0),
            ("[1]", Err(Kind::NoAuthorizationServer), 0),
            (
                r#"["https://as.example/.well-known/oauth-authorization-server"]"#,
                Err(Kind::NoAuthorizationServer),
                1,
            ),
            (r#"["https://10.0.0.1"]"#, Err(Kind::AddressBlocked), 1),
            (r#"["https://2130706433/"]"#, Err(Kind::UrlNotCanonical), 1),
            (r#"["javascript:x"]"#, Err(Kind::UrlScheme), 1),
        ] {
            let found = read(&format!("\"authorization_servers\":{list}"));
            let mut notes = Vec::new();
            let usable = found.usable_servers(&public(), &mut notes);
            let usable = usable.map(|list| list.len()).map_err(|failure| failure.kind());
            assert_eq!((usable, notes.len()), (expected, skipped), "{list}");
        }
        let found = read(r#""authorization_servers":["http://127.0.0.1:9090"]"#);
        let local = reach("http://127.0.0.1:8080/mcp");
        assert!(found.usable_servers(&local, &mut Vec::new()).is_ok());
    }

    #[test]
    fn the_document_must_be_about_the_mcp_url_prm_05_to_prm_07_host_107_to_host_111_amb_03() {
        use Place::{Path, PathWithoutSlash, Pointer, Root};
        const EXACT: &str = "exact";
        const PARENT: &str = "parent";
        const OTHER: &str = "resource_mismatch";
        const BAD: &str = "prm_invalid";
        let mcp = "https://mcp.example/mcp";
        let tenant = "https://host.example/tenant-a/mcp";
        for (mcp, place, resource, standard, strict) in [
            (mcp, Path, "https://mcp.example/mcp", EXACT, EXACT),
            (mcp, Pointer, "https://mcp.example/mcp", EXACT, EXACT),
            (mcp, Path, "https://mcp.example/mcp/", PARENT, OTHER),
            (mcp, Path, "https://mcp.example/", PARENT, OTHER),
            (mcp, Path, "https://mcp.example", PARENT, OTHER),
            (mcp, Pointer, "https://mcp.example", PARENT, OTHER),
            (mcp, Root, "https://mcp.example", EXACT, EXACT),
            (mcp, Root, "https://mcp.example/mcp", EXACT, EXACT),
            (mcp, Path, "https://mcp.example:443/mcp", PARENT, OTHER),
            (mcp, Pointer, "https://evil.example/mcp", OTHER, OTHER),
            (mcp, Path, "https://mcp.example.evil.example/mcp", OTHER, OTHER),
            (mcp, Path, "https://mcp.example:8443/mcp", OTHER, OTHER),
            (mcp, Path, "http://mcp.example/mcp", OTHER, OTHER),
            (mcp, Path, "https://mcp.example/mc", OTHER, OTHER),
            (mcp, Path, "https://mcp.example/mcp2", OTHER, OTHER),
            (mcp, Path, "https://mcp.example/MCP", OTHER, OTHER),
            (mcp, Path, "https://mcp.example/mcp/child", OTHER, OTHER),
            (mcp, Path, "https://mcp.example//", OTHER, OTHER),
            (mcp, Path, "https://mcp.example/mcp#x", BAD, BAD),
            (mcp, Path, "https://mcp.example/mcp?x", BAD, BAD),
            (mcp, Path, "https://user@mcp.example/mcp", BAD, BAD),
            (mcp, Path, "https://mcp.example/x/../mcp", BAD, BAD),
            (mcp, Path, "mcp.example", BAD, BAD),
            (mcp, Path, "", BAD, BAD),
            (tenant, Path, "https://host.example/tenant-b/mcp", OTHER, OTHER),
            (tenant, Path, "https://host.example/tenant-a", PARENT, OTHER),
            ("https://h.example/api2", Path, "https://h.example/api", OTHER, OTHER),
            ("https://h.example/mcp/", PathWithoutSlash, "https://h.example/mcp", EXACT, EXACT),
            ("https://h.example/mcp/", Path, "https://h.example/mcp", PARENT, OTHER),
            ("https://h.example", Root, "https://h.example/", EXACT, EXACT),
            ("https://h.example/mcp?t=1", Path, "https://h.example/mcp?t=1", EXACT, EXACT),
            ("https://h.example/mcp?t=1", Path, "https://h.example/mcp", PARENT, OTHER),
            ("https://h.example/mcp?t=1", Path, "https://h.example/mcp?t=2", BAD, BAD),
        ] {
            let mcp = McpUrl::parse(mcp, &[], false).unwrap();
            for (mode, expected) in [(false, standard), (true, strict)] {
                let found = match check_resource(resource, &mcp, place, mode) {
                    Ok(Match::Exact) => EXACT,
                    Ok(Match::Parent) => PARENT,
                    Err(failure) => failure.kind().code(),
                };
                assert_eq!(found, expected, "{resource:?} for {mcp:?}, strict: {mode}");
            }
        }
    }
}
