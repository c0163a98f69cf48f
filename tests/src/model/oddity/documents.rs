//! Metadata in odd places, or with odd contents.

use mcp_authz_core::failure::Kind;
use serde_json::json;

use super::Oddity;
use crate::model::{Absent, MetadataPlace, Pkce, PrmPlace, Redirect};

pub(super) const ALL: &[Oddity] = &[
    Oddity::lets_in("prm-root", "publishes its resource metadata at the bare origin", |settings| {
        settings.prm.places = vec![PrmPlace::Root];
    }),
    Oddity::lets_in(
        "prm-root-unnamed",
        "publishes its resource metadata at the bare origin and does not point there",
        |settings| {
            settings.prm.places = vec![PrmPlace::Root];
            settings.challenge.resource_metadata = false;
        },
    ),
    Oddity::lets_in(
        "prm-custom",
        "publishes its resource metadata where only it knows",
        |settings| {
            settings.prm.places = vec![PrmPlace::Custom("/about/oauth".to_owned())];
        },
    ),
    Oddity::lets_in("prm-redirect", "redirects to its resource metadata", |settings| {
        settings.prm.redirect = Redirect::SameOrigin(1);
    }),
    Oddity::fails(
        "prm-foreign",
        "describes another resource",
        Kind::ResourceMismatch,
        |settings| settings.prm.resource = Some("https://other.example/mcp".to_owned()),
    ),
    Oddity::fails(
        "prm-no-servers",
        "names no authorization server",
        Kind::NoAuthorizationServer,
        |settings| settings.prm.authorization_servers = Some(Vec::new()),
    ),
    Oddity::lets_in(
        "web-page-everywhere",
        "answers every unknown address with its web application",
        |settings| settings.absent = Absent::Everything,
    ),
    Oddity::lets_in("openid-only", "publishes OpenID Connect metadata only", |settings| {
        for server in settings.servers_mut() {
            server.metadata.at = vec![MetadataPlace::Oidc];
        }
    }),
    Oddity::lets_in("metadata-redirect", "redirects to the server's metadata", |settings| {
        settings.server.metadata.redirect = Redirect::SameOrigin(1);
    }),
    Oddity::fails(
        "issuer-other",
        "calls itself by another name than the resource does",
        Kind::IssuerMismatch,
        |settings| {
            settings.server.metadata.issuer = Some("https://another.example".to_owned());
        },
    ),
    Oddity::fails("pkce-unlisted", "does not announce PKCE", Kind::PkceUnsupported, |settings| {
        settings.server.metadata.pkce = Pkce::Absent
    }),
    Oddity::fails("pkce-plain", "announces plain PKCE only", Kind::PkceUnsupported, |settings| {
        settings.server.metadata.pkce = Pkce::PlainOnly;
    }),
    Oddity::fails(
        "par-required",
        "wants pushed authorization requests",
        Kind::ParRequired,
        |settings| {
            settings.server.metadata.members =
                vec![("require_pushed_authorization_requests".to_owned(), json!(true))];
        },
    ),
];
