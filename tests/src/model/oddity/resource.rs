//! MCP endpoints that challenge or answer oddly.

use mcp_authz_core::failure::Kind;

use super::{End, Oddity};
use crate::model::{
    Absent, AnswerForm, ChallengeForm, Era, LostBody, LostSession, RegistrationMode, ResourceRule,
    Settings,
};

pub(super) const ALL: &[Oddity] = &[
    Oddity {
        name: "open",
        about: "wants no authorization",
        first: End::Open,
        again: Some(End::Open),
        later: None,
        change: |settings| settings.gate.open = true,
    },
    Oddity::lets_in("bare-401", "refuses with a bare 401", |settings| {
        settings.challenge.form = ChallengeForm::Bare;
    }),
    Oddity::lets_in("basic-challenge", "offers Basic before Bearer", |settings| {
        settings.challenge.form =
            ChallengeForm::Literal(vec!["Basic realm=\"staff\", Bearer".to_owned()]);
    }),
    Oddity::fails(
        "basic-only",
        "wants Basic authentication and has nothing of OAuth",
        Kind::DiscoveryFailed,
        |settings| {
            without_oauth(settings);
            settings.challenge.form =
                ChallengeForm::Literal(vec!["Basic realm=\"staff\"".to_owned()]);
        },
    ),
    Oddity::fails(
        "closed",
        "lets nobody in and says nothing, with a page for everything else",
        Kind::DiscoveryFailed,
        |settings| {
            without_oauth(settings);
            settings.challenge.form = ChallengeForm::Bare;
            settings.absent = Absent::Everything;
        },
    ),
    Oddity::fails("dpop-only", "takes DPoP-bound tokens alone", Kind::DpopRequired, |settings| {
        settings.challenge.form = ChallengeForm::Literal(vec!["DPoP algs=\"ES256\"".to_owned()]);
    }),
    Oddity::lets_in("handshake-open", "lets the handshake in without a token", |settings| {
        settings.gate.exempt =
            ["initialize", "notifications/", "server/discover"].map(str::to_owned).to_vec();
    }),
    Oddity::lets_in(
        "event-streams",
        "answers with event streams that can be resumed",
        |settings| {
            settings.mcp.era = Era::Legacy;
            settings.mcp.answers = AnswerForm::EventStream;
            settings.mcp.get_stream = true;
            settings.mcp.priming = true;
            settings.mcp.chunk_bytes = Some(7);
            settings.mcp.keep_alive = true;
        },
    ),
    Oddity::lets_in("no-sessions", "issues no session id", |settings| {
        settings.mcp.era = Era::Legacy;
        settings.mcp.sessions = false;
    }),
    Oddity::lets_in("session-lost-404", "loses a session and says so with 404", |settings| {
        loses(settings, 404, LostBody::Empty);
    }),
    Oddity::lets_in("session-lost-410", "loses a session and says so with 410", |settings| {
        loses(settings, 410, LostBody::Empty);
    }),
    Oddity::lets_in(
        "session-lost-400",
        "loses a session and says so with a bare 400",
        |settings| {
            loses(settings, 400, LostBody::Text("No valid session ID provided"));
        },
    ),
    Oddity::lets_in("session-lost-rpc", "loses a session and says so with -32001", |settings| {
        loses(settings, 422, LostBody::Rpc(-32001));
    }),
    Oddity::lets_in("resource-ignored", "does not look at the resource parameter", |settings| {
        for server in settings.servers_mut() {
            server.resource = ResourceRule::Ignored;
        }
    }),
];

/// The first session of each client is gone after the notification that opens it.
fn loses(settings: &mut Settings, status: u16, body: LostBody) {
    settings.mcp.era = Era::Legacy;
    settings.mcp.session_uses = Some(1);
    settings.mcp.short_sessions = 1;
    settings.mcp.lost = LostSession::new(status, body);
}

/// No document, and nobody to register at.
fn without_oauth(settings: &mut Settings) {
    settings.prm.places.clear();
    for server in settings.servers_mut() {
        server.metadata.at.clear();
        server.registration.mode = RegistrationMode::Closed;
    }
}
