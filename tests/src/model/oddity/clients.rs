//! Registration, client authentication and consent with a will of their own.

use mcp_authz_core::failure::Kind;
use serde_json::json;

use super::{End, Oddity, SHORT_S, short};
use crate::model::{
    ApplicationType, AuthMethod, Consent, IssMode, RefreshIssue, RegistrationMode, ResourceRule,
    StateEcho,
};

pub(super) const ALL: &[Oddity] = &[
    Oddity::lets_in("secret-basic", "assigns a secret and client_secret_basic", |settings| {
        settings.server.registration.assigns = Some(AuthMethod::Basic);
    }),
    Oddity::lets_in("secret-post", "assigns a secret and client_secret_post", |settings| {
        settings.server.registration.assigns = Some(AuthMethod::Post);
    }),
    Oddity::lets_in("secret-post-first", "lists client_secret_post before Basic", |settings| {
        for server in settings.servers_mut() {
            server.auth_methods = vec![AuthMethod::Post, AuthMethod::Basic];
        }
    }),
    Oddity::lets_in("secret-unasked", "gives a secret to a public client", |settings| {
        settings.server.registration.secret_unasked = true;
    }),
    Oddity::lets_in("redirect-exact", "compares redirect URIs port and all", |settings| {
        short(settings);
        for server in settings.servers_mut() {
            server.exact_redirects = true;
            server.tokens.refresh = RefreshIssue::Never;
        }
    })
    .then(End::LogsIn),
    Oddity::lets_in("registered-200", "answers a registration with 200", |settings| {
        settings.server.registration.status = 200;
    }),
    Oddity::lets_in(
        "registered-with-nulls",
        "answers a registration with null for what it does not set",
        |settings| {
            settings.server.registration.members = ["client_uri", "logo_uri", "jwks", "scope"]
                .map(|name| (name.to_owned(), json!(null)))
                .to_vec();
        },
    ),
    Oddity::lets_in("application-type", "takes clients for web ones unless told", |settings| {
        settings.server.registration.application_type = ApplicationType::DefaultsToWeb;
    }),
    Oddity::fails(
        "registration-closed",
        "lets nobody register",
        Kind::NoRegistrationMethod,
        |settings| settings.server.registration.mode = RegistrationMode::Closed,
    ),
    Oddity::fails(
        "registration-refused",
        "refuses every registration",
        Kind::RegistrationFailed,
        |settings| {
            settings.server.registration.mode =
                RegistrationMode::Refuses("invalid_client_metadata".to_owned());
        },
    ),
    Oddity::lets_in(
        "registration-forgotten",
        "forgets a registration with its tokens, and tells the person alone",
        |settings| {
            short(settings);
            for server in settings.servers_mut() {
                server.registration.life_s = Some(SHORT_S);
                server.hides_unknown_clients = true;
            }
        },
    )
    .then(End::Stuck)
    .later(End::LogsIn),
    Oddity::lets_in("consent-form", "shows a page with a form", |settings| {
        settings.server.consent = Consent::Form;
    }),
    Oddity::fails(
        "consent-denied",
        "sends the person back with access_denied",
        Kind::AuthorizationDenied,
        |settings| settings.server.consent = Consent::Deny,
    ),
    Oddity::fails(
        "resource-refused",
        "refuses the resource parameter",
        Kind::AuthorizationDenied,
        |settings| {
            for server in settings.servers_mut() {
                server.resource = ResourceRule::Refused;
            }
        },
    ),
    Oddity::fails(
        "entra-resource",
        "refuses the resource parameter in the words of Microsoft Entra",
        Kind::AuthorizationDenied,
        |settings| {
            for server in settings.servers_mut() {
                server.resource = ResourceRule::RefusedByEntra;
            }
        },
    ),
    Oddity::fails("iss-missing", "promises iss and sends none", Kind::IssMissing, |settings| {
        settings.server.callback.iss = IssMode::Missing;
    }),
    Oddity::fails("iss-other", "sends the iss of another server", Kind::IssMismatch, |settings| {
        settings.server.callback.iss = IssMode::Wrong("https://other.example".to_owned());
    }),
    Oddity::lets_in("iss-unannounced", "sends iss without having said so", |settings| {
        settings.server.callback.iss = IssMode::SentUnadvertised;
    }),
    Oddity::lets_in("iss-absent", "sends no iss", |settings| {
        settings.server.callback.iss = IssMode::Absent;
    }),
    Oddity::lets_in("callback-more", "adds parameters of its own to the callback", |settings| {
        settings.server.callback.state = StateEcho::Same;
        settings.server.callback.extra = vec![
            ("session_state".to_owned(), "5e4f".to_owned()),
            ("scope".to_owned(), "x".to_owned()),
        ];
    }),
];
