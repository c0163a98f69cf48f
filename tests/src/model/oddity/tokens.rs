//! Token endpoints that answer oddly, and tokens with odd lives.

use mcp_authz_core::failure::Kind;

use super::{End, Oddity, short};
use crate::model::{ExpiresIn, RefreshIssue, Rotation, ScopeEcho, Settings};

/// Changes the token endpoint of each authorization server.
fn tokens(settings: &mut Settings, change: impl Fn(&mut crate::model::Tokens)) {
    for server in settings.servers_mut() {
        change(&mut server.tokens);
    }
}

pub(super) const ALL: &[Oddity] = &[
    Oddity::lets_in("short-rotating", "rotates refresh tokens every three seconds", short)
        .then(End::Renews),
    Oddity::lets_in("short-static", "keeps one refresh token for ever", |settings| {
        short(settings);
        tokens(settings, |tokens| tokens.rotation = Rotation::Off);
    })
    .then(End::Renews),
    Oddity::lets_in(
        "short-no-refresh",
        "issues short tokens without a refresh token",
        |settings| {
            short(settings);
            tokens(settings, |tokens| tokens.refresh = RefreshIssue::Never);
        },
    )
    .then(End::LogsIn),
    Oddity::lets_in(
        "short-refresh-dies",
        "lets the refresh token end with the access token",
        |settings| {
            short(settings);
            tokens(settings, |tokens| tokens.refresh_life_ms = Some(3000));
        },
    )
    .then(End::LogsIn),
    Oddity::lets_in("refused-with-422", "refuses a refresh with 422", |settings| {
        short(settings);
        tokens(settings, |tokens| {
            tokens.refresh_life_ms = Some(3000);
            tokens.error_status = Some(422);
        });
    })
    .then(End::LogsIn),
    Oddity::lets_in("refused-with-200", "refuses a refresh with 200", |settings| {
        short(settings);
        tokens(settings, |tokens| {
            tokens.refresh_life_ms = Some(3000);
            tokens.error_status = Some(200);
        });
    })
    .then(End::LogsIn),
    Oddity::lets_in("short-untold", "issues short tokens and does not say so", |settings| {
        short(settings);
        tokens(settings, |tokens| tokens.expires_in = ExpiresIn::Absent);
    })
    .then(End::Renews),
    Oddity::lets_in("refresh-ends-access", "ends the old access token at a refresh", |settings| {
        short(settings);
        tokens(settings, |tokens| tokens.refresh_ends_access = true);
    })
    .then(End::Renews),
    Oddity::lets_in("expires-in-text", "writes expires_in as a text", |settings| {
        tokens(settings, |tokens| tokens.expires_in = ExpiresIn::Text);
    }),
    Oddity::lets_in("expires-in-float", "writes expires_in as 3600.0", |settings| {
        tokens(settings, |tokens| tokens.expires_in = ExpiresIn::Float);
    }),
    Oddity::lets_in("expires-in-nonsense", "writes expires_in as \"soon\"", |settings| {
        tokens(settings, |tokens| tokens.expires_in = ExpiresIn::Nonsense);
    }),
    Oddity::lets_in("token-type-lower", "writes token_type in lower case", |settings| {
        tokens(settings, |tokens| tokens.token_type = Some("bearer".to_owned()));
    }),
    Oddity::fails(
        "token-type-other",
        "issues tokens of another type",
        Kind::TokenTypeUnsupported,
        |settings| tokens(settings, |tokens| tokens.token_type = Some("mac".to_owned())),
    ),
    Oddity::lets_in("scope-commas", "names the granted scopes with commas", |settings| {
        tokens(settings, |tokens| tokens.scope = ScopeEcho::Commas);
    }),
    Oddity::lets_in("scope-array", "names the granted scopes in an array", |settings| {
        tokens(settings, |tokens| tokens.scope = ScopeEcho::Array);
    }),
    Oddity::lets_in("scope-wider", "grants more than was asked for", |settings| {
        tokens(settings, |tokens| tokens.scope = ScopeEcho::Wider("mcp:admin".to_owned()));
    }),
    Oddity::lets_in("long-token", "issues tokens of 5,000 characters", |settings| {
        tokens(settings, |tokens| tokens.length = 5000);
    }),
];
