//! Token endpoints that answer oddly, and tokens with odd lives.

use mcp_authz_core::failure::Kind;
use serde_json::{Value, json};

use super::{End, Oddity, short};
use crate::model::{ExpiresIn, RefreshIssue, Rotation, ScopeEcho, Settings, Sloppiness};

/// Changes the token endpoint of each authorization server.
fn tokens(settings: &mut Settings, change: impl Fn(&mut crate::model::Tokens)) {
    for server in settings.servers_mut() {
        change(&mut server.tokens);
    }
}

/// Good tokens, in a form that is not; they are over soon, so that a refresh is answered in it, too.
fn sloppy(settings: &mut Settings, sloppiness: Sloppiness) {
    short(settings);
    tokens(settings, |tokens| tokens.sloppiness = Some(sloppiness));
}

/// The same with another status than 200.
fn granted_with(settings: &mut Settings, status: u16) {
    short(settings);
    tokens(settings, |tokens| tokens.status = status);
}

/// Refresh tokens end with the access tokens, and are refused in these words.
fn refused(settings: &mut Settings, status: u16, body: &Value) {
    short(settings);
    tokens(settings, |tokens| {
        tokens.refresh_life_ms = Some(3000);
        tokens.refresh_refusal = Some((status, body.clone()));
    });
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
    Oddity::lets_in("refused-ok-false", "refuses a refresh with 200 and ok:false", |settings| {
        refused(settings, 200, &json!({ "ok": false, "error": "invalid_refresh_token" }));
    })
    .then(End::LogsIn),
    Oddity::lets_in("refused-message", "refuses a refresh with 422 and a message", |settings| {
        refused(settings, 422, &json!({ "message": "Invalid Refresh Token: Not Found" }));
    })
    .then(End::LogsIn),
    Oddity::lets_in("refused-scope", "refuses a refresh as invalid_scope", |settings| {
        refused(settings, 400, &json!({ "error": "invalid_scope" }));
    })
    .then(End::LogsIn),
    Oddity::lets_in("refused-request", "refuses a refresh as invalid_request", |settings| {
        refused(settings, 400, &json!({ "error": "invalid_request" }));
    })
    .then(End::LogsIn),
    Oddity::lets_in("refused-client", "refuses a refresh as invalid_client", |settings| {
        refused(settings, 401, &json!({ "error": "invalid_client" }));
    })
    .then(End::LogsIn),
    Oddity::lets_in("granted-202", "grants tokens with 202", |settings| {
        granted_with(settings, 202);
    })
    .then(End::Renews),
    Oddity::lets_in("granted-203", "grants tokens with 203", |settings| {
        granted_with(settings, 203);
    })
    .then(End::Renews),
    Oddity::lets_in("token-encoding", "names an encoding that its tokens have not", |settings| {
        sloppy(settings, Sloppiness::Encoding("utf-8"));
    })
    .then(End::Renews),
    Oddity::lets_in("token-encoding-empty", "names an empty encoding for its tokens", |settings| {
        sloppy(settings, Sloppiness::Encoding(""));
    })
    .then(End::Renews),
    Oddity::lets_in(
        "token-not-utf8",
        "has a byte beside its tokens that is not UTF-8",
        |settings| {
            sloppy(settings, Sloppiness::NotUtf8);
        },
    )
    .then(End::Renews),
    Oddity::lets_in("token-surrogate", "has half a character beside its tokens", |settings| {
        sloppy(settings, Sloppiness::Surrogate);
    })
    .then(End::Renews),
    Oddity::lets_in("token-line-end", "has a line end as it is beside its tokens", |settings| {
        sloppy(settings, Sloppiness::LineEnd);
    })
    .then(End::Renews),
    Oddity::lets_in("token-deep", "has a member 40 deep beside its tokens", |settings| {
        sloppy(settings, Sloppiness::Deep);
    })
    .then(End::Renews),
    Oddity::lets_in("token-nul-after", "ends its tokens with NUL", |settings| {
        sloppy(settings, Sloppiness::Followed(b"\0"));
    })
    .then(End::Renews),
    Oddity::lets_in("token-text-after", "writes a remark behind its tokens", |settings| {
        sloppy(settings, Sloppiness::Followed(b"\n<!-- 12 ms -->"));
    })
    .then(End::Renews),
    Oddity::lets_in("token-twice", "says everything about its tokens twice", |settings| {
        sloppy(settings, Sloppiness::Twice);
    })
    .then(End::Renews),
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
