//! The two documents are checked against the configuration here. Leniencies that were used and
//! parts that are not used are noted.

use std::sync::Arc;

use crate::failure::{Failure, Kind, Setting, Switch};
use crate::machine::Cx;
use crate::note::{Choice, Note};
use crate::wire::metadata::{self, Match, ResourceMetadata, ServerMetadata, ServerRules};
use crate::wire::url::ServerUrl;
use crate::wire::well_known::Place;

/// Authorization servers tried from one document (D12).
const MOST_ISSUERS: usize = 4;

/// Reads protected resource metadata that came from this place, and checks that it is of the
/// resource.
pub(super) fn resource(
    body: &[u8],
    place: Place,
    cx: &mut Cx<'_>,
) -> Result<ResourceMetadata, Failure> {
    let config = cx.config;
    let mut read = metadata::read_resource_metadata(body)?;
    let matched = metadata::check_resource(&read.resource, &config.mcp, place, config.strict())?;
    if matched == Match::Parent {
        cx.lenient(Switch::ParentResource, without_query(&read.resource));
    }
    cx.shown_metadata = true;
    for failure in &read.dropped {
        cx.dropped(failure);
    }
    let scopes = read.scopes_supported.take();
    read.scopes_supported = cx.clean_scopes(scopes, Kind::PrmInvalid, "scopes_supported");
    read.authorization_servers
        .retain(|issuer| !cx.names_secret(issuer, Kind::PrmInvalid, "authorization_servers"));
    if read.dpop_required {
        return Err(Failure::new(Kind::DpopRequired, "PRM-14"));
    }
    if read.mtls_bound {
        return Err(Failure::new(Kind::ClientAuthUnsupported, "PRM-14")
            .with_subject("tls_client_certificate_bound_access_tokens"));
    }
    if !read.lists_header_method {
        let odd = Failure::new(Kind::PrmInvalid, "PRM-13");
        cx.dropped(&odd.with_subject("bearer_methods_supported"));
    }
    Ok(read)
}

/// The issuers worth asking, best first (PRM-10).
pub(super) fn issuers(
    read: &ResourceMetadata,
    bound: Option<&str>,
    cx: &mut Cx<'_>,
) -> Result<Vec<ServerUrl>, Failure> {
    let mut skipped = Vec::new();
    let usable = read.usable_servers(&cx.config.reach, &mut skipped);
    for failure in &skipped {
        cx.dropped(failure);
    }
    let mut issuers = usable.map_err(|failure| match failure.rule() {
        "PRM-08" => failure.with_setting(Setting::Endpoints, None),
        _ => failure,
    })?;
    if issuers.len() > 1 {
        issuers.sort_by_key(|issuer| rank(issuer, bound, cx));
        issuers.truncate(MOST_ISSUERS);
    }
    Ok(issuers)
}

fn rank(issuer: &ServerUrl, bound: Option<&str>, cx: &Cx<'_>) -> u8 {
    let text = Some(issuer.as_str());
    if text == bound {
        0
    } else if cx.config.clients.iter().any(|client| client.issuer.as_deref() == text) {
        1
    } else if text == cx.config.preferred_issuer.as_deref() {
        2
    } else {
        3
    }
}

/// Reads metadata of the authorization server that was `listed`; `legacy` if nobody has listed it.
/// The token is wanted for `resource`.
pub(super) fn server(
    body: &[u8],
    listed: &str,
    legacy: bool,
    resource: Option<&str>,
    cx: &mut Cx<'_>,
) -> Result<ServerMetadata, Failure> {
    let config = cx.config;
    let (server, dropped) = metadata::read_server_metadata(body, &config.reach)?;
    for failure in &dropped {
        cx.dropped(failure);
    }
    let settings = || config.settings(listed, &server.issuer);
    // A pin is named by the listed issuer alone: a document must not choose its own.
    let pinned = config.settings(listed, listed).find_map(|at| at.pin.as_deref());
    let rules = ServerRules {
        expected_issuer: listed,
        strict: config.strict(),
        legacy,
        pin: pinned,
        pkce_unlisted: settings().any(|at| at.pkce_unlisted),
        split_endpoints: settings().any(|at| at.split_endpoints),
        resource,
    };
    for switch in metadata::check_server_metadata(&server, &rules)? {
        cx.lenient(switch, listed);
    }
    if rules.resource.is_some_and(|resource| server.omits_resource(resource)) {
        let odd = Failure::new(Kind::ResourceMismatch, "PRM-18");
        cx.dropped(&odd.with_subject("protected_resources"));
    }
    Ok(server)
}

/// Notes the resource that the tokens will be for, without its query.
pub(super) fn chose(resource: &Arc<str>, cx: &mut Cx<'_>) {
    let shown = without_query(resource);
    let shown = if shown.len() == resource.len() { Arc::clone(resource) } else { Arc::from(shown) };
    cx.note(Note::Chose(Choice::Resource { resource: shown }));
}

/// A resource as a note may show it: its query may be a key (HOST-326).
fn without_query(resource: &str) -> &str {
    resource.split('?').next().unwrap_or_default()
}
