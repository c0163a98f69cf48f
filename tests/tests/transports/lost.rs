//! A lost session in other words than 404 (TRANS-90).

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use http::Method;
use mcp_authz_driver::transport::TransportError;
use mcp_authz_tests::model::{Endpoint, Literal, LostBody, LostSession, Settings};
use serde_json::json;

use crate::faces::Make;
use crate::world::{World, echo, echoing, header, method_of, settings};

const SOMEBODY_ELSES: &str = "this session is somebody else's";

const fn lost(status: u16, body: LostBody) -> LostSession {
    LostSession::new(status, body)
}

/// All of them mean that the session is gone.
const WORDS: [LostSession; 11] = [
    lost(404, LostBody::Empty),
    lost(404, LostBody::Rpc(-32001)),
    lost(410, LostBody::Empty),
    lost(410, LostBody::Rpc(-32000)),
    lost(400, LostBody::Rpc(-32001)),
    lost(409, LostBody::Rpc(-32001)),
    lost(422, LostBody::Rpc(-32001)),
    lost(400, LostBody::Empty),
    lost(400, LostBody::Text("No valid session ID provided")),
    lost(400, LostBody::Json("unknown session")),
    lost(404, LostBody::Rpc(-32601)),
];

/// How often each text was sent that somebody had echoed.
fn sent(world: &World) -> BTreeMap<String, usize> {
    let mut sent = BTreeMap::new();
    for seen in world.let_in() {
        let text = seen.json.as_ref().and_then(|json| json.pointer("/params/arguments/text"));
        if let Some(text) = text {
            *sent.entry(text.to_string()).or_default() += 1;
        }
    }
    sent
}

pub(crate) fn a_lost_session_in_other_words_is_begun_anew_once_for_everybody_trans_90(make: Make) {
    for (number, words) in WORDS.into_iter().enumerate() {
        let revision = if number % 2 == 0 { "2025-03-26" } else { "2025-11-25" };
        let world = World::revision(revision, |at| {
            at.mcp.lost = words;
            at.mcp.get_stream = true;
        });
        let face = world.connected(make);
        let tokens = world.count(Endpoint::Token);
        for round in 1..=2 {
            world.lock().forget_sessions();
            thread::scope(|scope| {
                for number in 0..5 {
                    let face = Arc::clone(&face);
                    scope.spawn(move || echo(&*face, &format!("{round} {number}")));
                }
            });
            assert_eq!(world.asked("initialize"), 1 + round, "{words:?}");
        }
        assert!(sent(&world).values().all(|times| *times <= 2), "{words:?}");
        // A notification and the server's own stream find out as well.
        world.lock().forget_sessions();
        face.notify("notifications/roots/list_changed", json!({})).unwrap();
        assert_eq!(world.asked("initialize"), 4, "{words:?}");
        echo(&*face, "well again");
        world.lock().forget_sessions();
        assert!(face.listen().unwrap().is_some(), "{words:?}");
        assert_eq!(world.asked("initialize"), 5, "{words:?}");
        assert_eq!(world.count(Endpoint::Token), tokens, "the same token throughout");
        assert_eq!(world.visits(), 1, "for the login");
        let seen = world.let_in();
        let anew = seen.iter().filter(|seen| method_of(seen) == Some("initialize"));
        assert!(anew.into_iter().all(|seen| header(seen, "mcp-session-id").is_none()));
        // Nobody waits for a farewell that nobody hears.
        world.lock().forget_sessions();
        face.close().unwrap();
    }
}

pub(crate) fn what_is_no_lost_session_keeps_the_servers_text_trans_90(make: Make) {
    for (words, code, text) in [
        (lost(403, LostBody::Text(SOMEBODY_ELSES)), "forbidden", SOMEBODY_ELSES),
        (lost(403, LostBody::Rpc(-32001)), "forbidden", "Session not found"),
        (lost(403, LostBody::Json(SOMEBODY_ELSES)), "forbidden", SOMEBODY_ELSES),
        (lost(400, LostBody::Rpc(-32000)), "mcp_error", "Session not found"),
        (lost(408, LostBody::Rpc(-32001)), "mcp_error", "Session not found"),
        (lost(429, LostBody::Rpc(-32001)), "mcp_error", "Session not found"),
        (lost(500, LostBody::Rpc(-32001)), "mcp_error", "Session not found"),
        (lost(429, LostBody::Text("slowly")), "transient", "slowly"),
        (lost(409, LostBody::Text("busy\u{1b}[31m")), "mcp_status", "busy\\u{1b}[31m"),
        (lost(418, LostBody::Text("<p>tea</p>")), "mcp_status", "418"),
    ] {
        let world = World::revision("2025-11-25", |at| at.mcp.lost = words);
        let face = world.connected(make);
        echo(&*face, "before");
        let (tokens, asked) = (world.count(Endpoint::Token), world.asked("initialize"));
        world.lock().forget_sessions();
        let error = face.call("tools/call", echoing("x")).unwrap_err();
        assert_eq!(error.code(), code, "{words:?}: {error}");
        assert!(error.to_string().contains(text), "{words:?}: {error}");
        assert!(!error.to_string().contains("<p>"), "{error}");
        assert!(sent(&world).values().all(|times| *times == 1), "{words:?}");
        assert_eq!(world.asked("initialize"), asked, "{words:?}");
        assert_eq!((world.count(Endpoint::Token), world.visits()), (tokens, 1), "{words:?}");
    }
}

/// A server may say back what it was sent.
pub(crate) fn the_servers_text_holds_neither_the_token_nor_the_session_trans_90_trans_26(
    make: Make,
) {
    for status in [403, 409, 422] {
        let world = World::revision("2025-11-25", |_| {});
        let face = world.connected(make);
        echo(&*face, "x");
        let last = world.let_in().pop().unwrap();
        let session = header(&last, "mcp-session-id").unwrap().to_owned();
        let token = header(&last, "authorization").unwrap().to_owned();
        let token = token.strip_prefix("Bearer ").unwrap();
        let body = json!({"error": "no", "message": format!("not with {token} in {session}")});
        world.lock().inject(Endpoint::Mcp, 1, Literal::json(status, &body.to_string()));
        let error = face.call("tools/call", echoing("y")).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("not with [redacted] in [redacted]"), "{status}: {shown}");
        assert!(!shown.contains(token) && !shown.contains(&session), "{status}: {shown}");
    }
}

pub(crate) fn a_401_with_that_code_is_healed_and_the_session_goes_on_trans_90(make: Make) {
    for refreshes in [true, false] {
        let world = World::revision("2025-11-25", |at| at.challenge.rpc = Some(-32001));
        let session = world.session(make);
        // Asked for, so that a refusal may still lead to a page.
        session.log_in();
        let face = session.connect(settings()).unwrap();
        echo(&*face, "before");
        let tokens = world.count(Endpoint::Token);
        if refreshes {
            world.lock().revoke_access_tokens();
        } else {
            world.lock().revoke_all();
        }
        echo(&*face, "after");
        assert!(world.count(Endpoint::Token) > tokens);
        assert_eq!(world.asked("initialize"), 1, "the session is as it was");
        assert_eq!(world.visits(), if refreshes { 1 } else { 2 });
    }
    // Where the session is what is refused, no token helps; no session is begun for it either.
    let world = World::revision("2025-11-25", |at| at.mcp.lost = lost(401, LostBody::Rpc(-32001)));
    let face = world.connected(make);
    world.lock().forget_sessions();
    let error = face.call("tools/call", echoing("x")).unwrap_err();
    assert!(matches!(error, TransportError::Authorization(_)), "{error}");
    assert_eq!(world.asked("initialize"), 1);
}

pub(crate) fn what_carried_no_session_lost_none_trans_90(make: Make) {
    for words in [
        Literal::status(410),
        Literal::status(404),
        Literal::status(400),
        Literal::json(400, r#"{"error":{"code":-32001,"message":"m"}}"#),
    ] {
        let world = World::revision("2025-11-25", |at| at.mcp.sessions = false);
        let face = world.connected(make);
        echo(&*face, "before");
        world.lock().inject(Endpoint::Mcp, 1, words.clone());
        let error = face.call("tools/call", echoing("x")).unwrap_err();
        assert!(matches!(error.code(), "mcp_status" | "mcp_error"), "{error}");
        assert_eq!((world.asked("initialize"), world.visits()), (1, 1), "{words:?}");
        echo(&*face, "after");
    }
}

pub(crate) fn a_server_that_loses_every_session_gets_three_in_a_row_trans_90(make: Make) {
    for words in [WORDS[0], WORDS[2], WORDS[4], WORDS[8]] {
        let world = World::revision("2025-11-25", |at| {
            at.mcp.lost = words;
            at.mcp.session_uses = Some(1);
        });
        let face = world.connected(make);
        for number in 0..20 {
            let error = face.call("tools/call", echoing(&number.to_string())).unwrap_err();
            let text = error.to_string();
            assert!(
                matches!(error.code(), "mcp_session_lost" | "mcp_status" | "mcp_error"),
                "{text}"
            );
        }
        assert!(world.asked("initialize") <= 4, "{words:?}: {}", world.asked("initialize"));
        assert!(sent(&world).values().all(|times| *times <= 2), "{words:?}");
        world.lock().set(|at| at.mcp.session_uses = None);
        thread::sleep(Duration::from_secs(5));
        let again = face.call("tools/call", echoing("well again"));
        assert!(again.is_ok(), "{words:?}: {again:?}");
    }
}

pub(crate) fn a_bare_400_that_means_the_request_costs_one_session_trans_90(make: Make) {
    const NO: &str = "the argument is no good";
    for body in [LostBody::Text(NO), LostBody::Json(NO)] {
        let refused = ("test-tool".to_owned(), lost(400, body));
        let world = World::revision("2025-11-25", |at| at.mcp.refused_tool = Some(refused));
        let face = world.connected(make);
        echo(&*face, "before");
        let bad = || face.call("tools/call", json!({"name": "test-tool"})).unwrap_err();
        for (calls, sessions) in [(2, 2), (3, 2), (4, 2)] {
            let error = bad();
            assert_eq!((error.code(), error.maybe_executed()), ("mcp_status", false));
            assert!(error.to_string().contains(NO), "{error}");
            let called = world.asked("tools/call") - 1;
            assert_eq!((called, world.asked("initialize")), (calls, sessions));
        }
        echo(&*face, "the session goes on");
        assert_eq!(world.asked("initialize"), 2);
    }
    // With a code it says what it is.
    for (code, calls) in [(-32001, 2), (-32602, 1)] {
        let refused = ("test-tool".to_owned(), lost(400, LostBody::Rpc(code)));
        let world = World::revision("2025-11-25", |at| at.mcp.refused_tool = Some(refused));
        let face = world.connected(make);
        let error = face.call("tools/call", json!({"name": "test-tool"})).unwrap_err();
        assert!(matches!(&error, TransportError::Rpc(error) if error.code == code), "{error}");
        assert!(error.to_string().contains("Nothing comes of it"), "{error}");
        assert_eq!(world.asked("tools/call"), calls);
    }
}

pub(crate) fn a_stream_of_a_lost_session_is_not_taken_up_trans_90(make: Make) {
    for words in [lost(410, LostBody::Empty), lost(400, LostBody::Rpc(-32001)), WORDS[0]] {
        let world = World::revision("2025-11-25", |at: &mut Settings| {
            at.mcp.get_stream = true;
            at.mcp.lost = words;
        });
        let face = world.connected(make);
        let mut own = face.listen().unwrap().unwrap();
        world.lock().forget_sessions();
        world.lock().close_streams(true);
        let error = own.next().unwrap().unwrap_err();
        assert_eq!(
            (error.code(), error.maybe_executed()),
            ("mcp_session_lost", false),
            "{words:?}"
        );
        let gets = world.let_in().iter().filter(|seen| seen.method == Method::GET).count();
        assert_eq!(gets, 2);
        assert!(face.listen().unwrap().is_some(), "{words:?}");
    }
}

pub(crate) fn http_sse_streams_are_lost_in_other_words_trans_90(make: Make) {
    for (answer, gets) in [
        (Literal::status(410), 2),
        (Literal::json(400, r#"{"error":{"code":-32001,"message":"m"}}"#), 2),
        (Literal::json(400, r#"{"error":{"code":-32000,"message":"m"}}"#), 1),
    ] {
        let world = World::revision("2025-11-25", |at| {
            at.mcp.era = mcp_authz_tests::model::Era::HttpSse;
        });
        let face = world.session(make).connect(settings()).unwrap();
        world.lock().inject(Endpoint::Messages, 1, answer.clone());
        let called = face.call("tools/call", echoing("x"));
        assert_eq!(called.is_ok(), gets == 2, "{answer:?}: {called:?}");
        assert_eq!(crate::world::gets(&world), gets, "{answer:?}");
    }
}
