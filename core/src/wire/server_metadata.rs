//! Authorization server metadata (RFC 8414, OpenID Connect Discovery, ASM rows).
//!
//! Decides what a document says, and in a second step whether this client may use it: its issuer
//! must be the one that was asked for, PKCE must be there, and the endpoints must belong together.
//! Each leniency that was needed is named. Refuses to decide how to become a client there.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::authorize::differ_by_slash;
use super::client_auth::Methods;
use super::json::{List, Value};
use super::members::{Member, Named, members};
use super::parts::Parts;
use super::reach::Reach;
use super::shape::{Shape, over_limit};
use super::url::ServerUrl;
use crate::failure::{Failure, Kind, Remedy, Switch};

const SHAPE: Shape = Shape { kind: Kind::AsMetadataInvalid, rule: "ASM-10" };

/// The description of an authorization server by itself, as far as this client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerMetadata {
    /// The issuer exactly as received: the expected `iss`, and the key of all that is stored
    /// (BIND-01).
    pub issuer: Arc<str>,
    /// The endpoint that the person goes to.
    pub authorization_endpoint: ServerUrl,
    /// The endpoint that codes and refresh tokens go to.
    pub token_endpoint: ServerUrl,
    /// RFC 7591, if offered and usable.
    pub registration_endpoint: Option<ServerUrl>,
    /// RFC 7009, if offered and usable.
    pub revocation_endpoint: Option<ServerUrl>,
    /// `token_endpoint_auth_methods_supported`; absent means HTTP Basic (ASM-13).
    pub methods: Option<Methods>,
    /// True if `scopes_supported` has `offline_access` (SCOPE-07); nothing else is read of that
    /// list (SCOPE-09).
    pub scopes_offline_access: bool,
    /// True if the server promises `iss` in responses (ISS-08).
    pub iss_promised: bool,
    /// True if client ID metadata documents are supported (CIMD-02).
    pub client_documents: bool,
    /// `grant_types_supported`; absent means code and implicit (ASM-13).
    pub grant_types: Option<GrantTypes>,
    /// True if `response_types_supported` has `code`; `None` if it is not there.
    pub code_flow: Option<bool>,
    /// True if only pushed authorization requests are taken (PAR-01).
    pub par_required: bool,
    /// True if an asymmetric DPoP algorithm is listed; `None` if there is no list (DPOP-01).
    pub dpop: Option<bool>,
    /// The resources the server issues tokens for, if it says so (PRM-18).
    pub protected_resources: Option<Vec<Box<str>>>,
    /// The methods of PKCE that it lists.
    pub pkce: Pkce,
}

/// The grants this client uses, as listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantTypes {
    /// `authorization_code`.
    pub code: bool,
    /// `refresh_token`.
    pub refresh: bool,
}

/// The content of `code_challenge_methods_supported`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pkce {
    /// S256 is listed.
    Listed,
    /// There is no list (ASM-11).
    Unlisted,
    /// There is a list without S256 (ASM-12).
    WithoutS256,
}

members! {
    /// The members of a document that are read.
    Document {
        issuer,
        authorization_endpoint,
        token_endpoint,
        registration_endpoint,
        revocation_endpoint,
        token_endpoint_auth_methods_supported,
        scopes_supported,
        authorization_response_iss_parameter_supported,
        client_id_metadata_document_supported,
        grant_types_supported,
        response_types_supported,
        require_pushed_authorization_requests,
        dpop_signing_alg_values_supported,
        protected_resources,
        code_challenge_methods_supported,
    }
}

/// Reads the body of a metadata document that [`classify`](super::metadata::classify) found.
///
/// The second value holds the failures of values that were dropped, such as optional endpoints that
/// may not be used. A flow that needs one of them ends with that failure, whose subject begins with
/// the field's name.
///
/// # Errors
/// `as_metadata_invalid`, `limit_exceeded`, the code of the JSON fault, or the code of a needed
/// endpoint's URL. End the attempt; no other candidate is asked (ASM-08).
pub fn read_server_metadata(
    body: &[u8],
    reach: &Reach,
) -> Result<(ServerMetadata, Vec<Failure>), Failure> {
    let found = Document::read(body)
        .map_err(|fault| fault.failure(Kind::AsMetadataInvalid, "server metadata"))?;
    let mut dropped = Vec::new();
    let metadata = ServerMetadata {
        issuer: read_document_issuer(found.issuer)?,
        authorization_endpoint: needed(found.authorization_endpoint, reach)?,
        token_endpoint: needed(found.token_endpoint, reach)?,
        registration_endpoint: optional(found.registration_endpoint, reach, &mut dropped),
        revocation_endpoint: optional(found.revocation_endpoint, reach, &mut dropped),
        methods: SHAPE.list(found.token_endpoint_auth_methods_supported)?.map(Methods::read),
        scopes_offline_access: loose_list(found.scopes_supported, &mut dropped)?
            .is_some_and(|list| list.has_text("offline_access")),
        iss_promised: SHAPE.flag(found.authorization_response_iss_parameter_supported)?,
        client_documents: SHAPE.flag(found.client_id_metadata_document_supported)?,
        grant_types: SHAPE.list(found.grant_types_supported)?.map(|list| GrantTypes {
            code: list.has_text("authorization_code"),
            refresh: list.has_text("refresh_token"),
        }),
        code_flow: SHAPE.list(found.response_types_supported)?.map(|list| list.has_text("code")),
        par_required: SHAPE.flag(found.require_pushed_authorization_requests)?,
        dpop: SHAPE.list(found.dpop_signing_alg_values_supported)?.map(lists_asymmetric),
        protected_resources: loose_list(found.protected_resources, &mut dropped)?
            .map(|list| list.iter().filter_map(Value::text).map(Into::into).collect()),
        pkce: match SHAPE.list(found.code_challenge_methods_supported)? {
            None => Pkce::Unlisted,
            Some(list) if list.has_text("S256") => Pkce::Listed,
            Some(_) => Pkce::WithoutS256,
        },
    };
    Ok((metadata, dropped))
}

fn read_document_issuer(member: Member<'_>) -> Result<Arc<str>, Failure> {
    SHAPE
        .text(member)?
        .filter(|issuer| !issuer.is_empty() && !issuer.contains(['?', '#']))
        .map(Into::into)
        .ok_or_else(|| SHAPE.invalid(member.name))
}

fn needed(member: Member<'_>, reach: &Reach) -> Result<ServerUrl, Failure> {
    let text = SHAPE.text(member)?.ok_or_else(|| SHAPE.invalid(member.name))?;
    ServerUrl::read_endpoint(&text, member.name, reach)
}

/// An endpoint that the flow may do without; a bad one is never used.
fn optional(member: Member<'_>, reach: &Reach, dropped: &mut Vec<Failure>) -> Option<ServerUrl> {
    member.value?;
    needed(member, reach).map_err(|failure| dropped.push(failure)).ok()
}

/// A list that is of little use. If it is over the limit, the list is dropped, and not the
/// document.
fn loose_list<'a>(
    member: Member<'a>,
    dropped: &mut Vec<Failure>,
) -> Result<Option<List<'a>>, Failure> {
    match member.value {
        Some(Value::List(list)) if list.over_limit() => {
            dropped.push(over_limit(member.name));
            Ok(None)
        }
        _ => SHAPE.list(member),
    }
}

/// Returns true if an asymmetric algorithm is listed: `none` and MACs sign nothing (HOST-318).
fn lists_asymmetric(list: List<'_>) -> bool {
    const ASYMMETRIC: [&str; 11] = [
        "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA",
        "Ed25519",
    ];
    ASYMMETRIC.into_iter().any(|algorithm| list.has_text(algorithm))
}

/// The rules that a document is checked against.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerRules<'a> {
    /// The issuer the document was asked for, exactly as it was listed.
    pub expected_issuer: &'a str,
    /// True for no leniency at all.
    pub strict: bool,
    /// True if the expected issuer is our own invention: the base URL of LEG-06.
    pub legacy: bool,
    /// The document issuer that the caller accepts for this listed one (BIND-12, D13).
    pub pin: Option<&'a str>,
    /// True if the issuer need not list PKCE methods (D1).
    pub pkce_unlisted: bool,
    /// True if the issuer's endpoints may be on unrelated hosts (D5).
    pub split_endpoints: bool,
    /// The resource that a token is wanted for. It must be among those that the server lists, if it
    /// lists any (PRM-18).
    pub resource: Option<&'a str>,
}

/// Checks a document against the rules (ASM-07 to ASM-17, D1, D3, D5, D13) and returns the
/// leniencies that were used, each to be noted.
///
/// # Errors
/// `issuer_mismatch`, `response_type_unsupported`, `pkce_unsupported`, `endpoints_incoherent`,
/// `par_required`, or in strict mode `resource_mismatch`. End the attempt before anything is sent
/// there; the failure names the switch that would help, if there is one.
pub fn check_server_metadata(
    metadata: &ServerMetadata,
    rules: &ServerRules<'_>,
) -> Result<Vec<Switch>, Failure> {
    let mut used = Vec::new();
    used.extend(check_issuer(&metadata.issuer, rules)?);
    check_flow(metadata)?;
    used.extend(check_pkce(metadata, rules)?);
    used.extend(check_endpoints(metadata, rules)?);
    if metadata.par_required {
        return Err(about(metadata, Kind::ParRequired, "PAR-01"));
    }
    if let (Some(resource), Some(listed), true) =
        (rules.resource, &metadata.protected_resources, rules.strict)
        && !listed.iter().any(|one| **one == *resource)
    {
        return Err(about(metadata, Kind::ResourceMismatch, "PRM-18"));
    }
    Ok(used)
}

impl ServerMetadata {
    /// A server that no document describes: its endpoints, and nothing else (LEG-03, DISC-11).
    pub(crate) const fn undescribed(
        issuer: Arc<str>,
        authorization_endpoint: ServerUrl,
        token_endpoint: ServerUrl,
    ) -> Self {
        Self {
            issuer,
            authorization_endpoint,
            token_endpoint,
            registration_endpoint: None,
            revocation_endpoint: None,
            methods: None,
            scopes_offline_access: false,
            iss_promised: false,
            client_documents: false,
            grant_types: None,
            code_flow: None,
            par_required: false,
            dpop: None,
            protected_resources: None,
            pkce: Pkce::Unlisted,
        }
    }

    /// Returns true if the server lists its resources and this one is not among them. This is a
    /// warning only, except in strict mode (PRM-18).
    #[must_use]
    pub fn omits_resource(&self, resource: &str) -> bool {
        let listed = self.protected_resources.as_ref();
        listed.is_some_and(|listed| !listed.iter().any(|one| **one == *resource))
    }
}

fn about(metadata: &ServerMetadata, kind: Kind, rule: &'static str) -> Failure {
    Failure::new(kind, rule).with_subject(&metadata.issuer)
}

/// Compares the issuer character by character: any tolerance here would let one tenant stand for
/// another (HOST-128).
fn check_issuer(found: &str, rules: &ServerRules<'_>) -> Result<Option<Switch>, Failure> {
    let expected = rules.expected_issuer;
    if found == expected {
        return Ok(None);
    }
    let bare_origin = |url: &str| {
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        !rest.is_empty() && !rest.strip_suffix('/').unwrap_or(rest).contains('/')
    };
    let slash = differ_by_slash(found, expected) && bare_origin(expected) && bare_origin(found);
    if slash && (!rules.strict || rules.legacy) {
        return Ok(Some(Switch::IssuerSlash));
    }
    if rules.pin == Some(found) && !rules.strict {
        return Ok(Some(Switch::IssuerPin));
    }
    let failure = Failure::new(Kind::IssuerMismatch, "ASM-07");
    // A server's text may hold a password; only a text that reads as a URL is shown, and can be
    // pinned.
    let Ok(parts) = Parts::read(found, "") else {
        return Err(failure.with_pair("no URL", expected).with_remedy(Remedy::Report));
    };
    let failure = failure.with_pair(found, expected);
    Err(if rules.strict && slash {
        failure.with_switch(Switch::IssuerSlash)
    } else if rules.strict {
        failure
    } else {
        let pair = [expected, found];
        let failure = failure.with_switch_for(Switch::IssuerPin, &pair);
        match preset(parts.host) {
            Some(Switch::Cognito) => failure.with_switch_for(Switch::Cognito, &pair),
            _ => failure,
        }
    })
}

/// The one switch for everything that a server with known deviations needs.
fn preset(host: &str) -> Option<Switch> {
    let ends = |end: &str| {
        let cut = host.len().checked_sub(end.len()).and_then(|at| host.split_at_checked(at));
        cut.is_some_and(|(_, tail)| tail.eq_ignore_ascii_case(end))
    };
    let begins = |start: &str| {
        let cut = host.split_at_checked(start.len());
        cut.is_some_and(|(head, _)| head.eq_ignore_ascii_case(start))
    };
    if host.eq_ignore_ascii_case("login.microsoftonline.com") {
        Some(Switch::Entra)
    } else if begins("cognito-idp.") && ends(".amazonaws.com") {
        Some(Switch::Cognito)
    } else {
        None
    }
}

fn check_flow(metadata: &ServerMetadata) -> Result<(), Failure> {
    if metadata.code_flow == Some(false) {
        return Err(about(metadata, Kind::ResponseTypeUnsupported, "ASM-10"));
    }
    if metadata.grant_types.is_some_and(|grants| !grants.code) {
        return Err(about(metadata, Kind::ResponseTypeUnsupported, "ASM-15"));
    }
    Ok(())
}

fn check_pkce(
    metadata: &ServerMetadata,
    rules: &ServerRules<'_>,
) -> Result<Option<Switch>, Failure> {
    match metadata.pkce {
        Pkce::Listed => Ok(None),
        Pkce::WithoutS256 => {
            Err(about(metadata, Kind::PkceUnsupported, "ASM-12").with_remedy(Remedy::Report))
        }
        Pkce::Unlisted if rules.pkce_unlisted && !rules.strict => Ok(Some(Switch::PkceUnlisted)),
        Pkce::Unlisted => {
            let failure = about(metadata, Kind::PkceUnsupported, "ASM-11");
            if rules.strict {
                return Err(failure);
            }
            let issuer = &*metadata.issuer;
            let failure = failure.with_switch_for(Switch::PkceUnlisted, &[issuer]);
            let host = Parts::read(issuer, "").ok().and_then(|parts| preset(parts.host));
            Err(match host {
                Some(Switch::Cognito) => {
                    let pair = [rules.expected_issuer, issuer];
                    failure.with_switch_for(Switch::Cognito, &pair)
                }
                Some(switch) => failure.with_switch_for(switch, &[issuer]),
                None => failure,
            })
        }
    }
}

/// Checks endpoints that a person has named against the rules that are left where there is no
/// document. They may be on different hosts, except in Strict.
///
/// # Errors
/// `endpoints_incoherent`. Correct the configuration.
pub(crate) fn check_given_endpoints(
    metadata: &ServerMetadata,
    strict: bool,
) -> Result<(), Failure> {
    let rules = ServerRules { strict, split_endpoints: true, ..ServerRules::default() };
    check_endpoints(metadata, &rules).map(|_| ())
}

/// Checks that the endpoints belong together: a document may be valid in itself and send the person
/// to one server and the code to another (HOST-146).
fn check_endpoints(
    metadata: &ServerMetadata,
    rules: &ServerRules<'_>,
) -> Result<Option<Switch>, Failure> {
    let authorization = metadata.authorization_endpoint.parts();
    let token = metadata.token_endpoint.parts();
    // The issuer equals one that passed the rules, whatever the shape of its host.
    let Ok(issuer) = Parts::read(&metadata.issuer, authorization.host) else {
        return Err(about(metadata, Kind::AsMetadataInvalid, "ASM-07"));
    };
    let optional = [&metadata.registration_endpoint, &metadata.revocation_endpoint];
    let coherent = if rules.strict {
        authorization.same_origin(&issuer)
            && token.same_origin(&issuer)
            && optional.into_iter().flatten().all(|url| url.parts().same_origin(&issuer))
    } else {
        authorization.host.eq_ignore_ascii_case(issuer.host)
            || authorization.same_origin(&token)
            || share_parent(&issuer, &authorization, &token)
    };
    if coherent {
        return Ok(None);
    }
    if rules.split_endpoints && !rules.strict {
        return Ok(Some(Switch::SplitEndpoints));
    }
    let failure = Failure::new(Kind::EndpointsIncoherent, "ASM-17").with_subject(&format!(
        "issuer on {}, authorization_endpoint on {}, token_endpoint on {}",
        issuer.host, authorization.host, token.host
    ));
    let issuer = [&*metadata.issuer];
    let switch = Switch::SplitEndpoints;
    Err(if rules.strict { failure } else { failure.with_switch_for(switch, &issuer) })
}

/// Returns true if three hosts end in the same two labels. This is approximate: a public suffix of
/// two labels passes, which is why the hosts are shown to the person as well (D5).
fn share_parent<'a>(issuer: &Parts<'a>, authorization: &Parts<'a>, token: &Parts<'a>) -> bool {
    let parts = [issuer, authorization, token];
    if parts.iter().any(|parts| parts.address.is_some()) {
        return false;
    }
    let parent = |parts: &Parts<'a>| -> Option<&'a str> {
        let mut dots = parts.host.rmatch_indices('.');
        dots.next()?;
        Some(match dots.next() {
            Some((dot, _)) => parts.host.get(dot.saturating_add(1)..)?,
            None => parts.host,
        })
    };
    let Some(wanted) = parent(issuer) else { return false };
    [authorization, token]
        .into_iter()
        .all(|parts| parent(parts).is_some_and(|parent| parent.eq_ignore_ascii_case(wanted)))
}

#[cfg(test)]
mod tests;
