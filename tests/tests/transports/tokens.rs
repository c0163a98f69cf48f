//! Tokens that are replaced while nobody looks.

use std::sync::{Arc, Barrier};
use std::thread;

use mcp_authz_driver::transport::{Kind, TransportError};
use mcp_authz_tests::model::{AnswerForm, Endpoint, Era, Literal, Seen};
use serde_json::json;

use crate::faces::Make;
use crate::world::{World, echo, method_of, settings};

fn worlds() -> [World; 3] {
    [
        World::revision("2026-07-28", |_| {}),
        World::revision("2025-11-25", |at| at.mcp.answers = AnswerForm::EventStream),
        World::revision("2025-11-25", |at| at.mcp.era = Era::HttpSse),
    ]
}

pub(crate) fn a_revoked_or_expired_token_is_replaced_unnoticed_use_05_trans_35(make: Make) {
    for world in worlds() {
        let face = world.connected(make);
        let tokens = world.count(Endpoint::Token);
        world.lock().revoke_access_tokens();
        echo(&*face, "revoked");
        world.served.advance(24 * 3600 * 1000);
        echo(&*face, "expired");
        assert_eq!(world.count(Endpoint::Token) - tokens, 2);
        world.lock().revoke_all();
        // The person was asked a moment ago, and is not asked again by itself.
        let error = face.call("tools/list", json!({})).unwrap_err();
        assert_eq!((error.code(), error.maybe_executed()), ("reauthorization_required", false));
        assert_eq!(world.visits(), 1);
    }
}

pub(crate) fn a_refused_request_goes_again_as_it_was_trans_35(make: Make) {
    for world in worlds() {
        let face = world.connected(make);
        echo(&*face, "before");
        world.lock().clear_seen();
        world.lock().revoke_access_tokens();
        echo(&*face, "refused");
        let called = |seen: &&Seen| method_of(seen) == Some("tools/call");
        let seen: Vec<Seen> = world.lock().seen().iter().filter(called).cloned().collect();
        let [refused, again] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(refused.status, 401);
        assert_eq!((&refused.method, &refused.path), (&again.method, &again.path));
        assert_eq!((&refused.query.0, &refused.json), (&again.query.0, &again.json));
        let [first, second] = [refused, again].map(|seen| {
            let mut headers = seen.headers.clone();
            (headers.remove("authorization"), headers)
        });
        assert_ne!(first.0, second.0);
        assert_eq!(first.1, second.1);
    }
}

pub(crate) fn a_400_is_a_refusal_only_with_a_challenge_trans_20(make: Make) {
    for world in worlds() {
        let face = world.connected(make);
        let posts = match face.kind() {
            Kind::HttpSse => Endpoint::Messages,
            _ => Endpoint::Mcp,
        };
        echo(&*face, "before");
        let tokens = world.count(Endpoint::Token);
        let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"m"}}"#;
        world.lock().inject(posts, 1, Literal::json(400, error));
        assert_eq!(face.call("tools/list", json!({})).unwrap_err().code(), "mcp_error");
        assert_eq!(world.count(Endpoint::Token), tokens, "no token could mend that");
        let challenge = r#"Bearer error="invalid_token""#;
        let refused = Literal::json(400, error).header("www-authenticate", challenge);
        world.lock().inject(posts, 1, refused);
        let error = face.call("tools/list", json!({})).unwrap_err();
        assert!(
            matches!(error, TransportError::Authorization(_)),
            "the session's to judge: {error}"
        );
        echo(&*face, "and it goes on");
    }
}

pub(crate) fn more_scope_is_asked_for_unnoticed(make: Make) {
    for world in worlds() {
        let face = world.connected(make);
        let result = face.call("tools/call", json!({"name": "admin"})).unwrap();
        assert_eq!(result["content"][0]["text"], "done");
        assert_eq!(world.visits(), 2, "one login and one step-up");
        assert_eq!(
            world.asked("initialize") + world.asked("server/discover"),
            match face.kind() {
                mcp_authz_driver::transport::Kind::HttpSse => 2,
                _ if face.protocol_version() == "2026-07-28" => 1,
                _ => 2,
            }
        );
    }
}

pub(crate) fn a_hundred_calls_during_a_rotation_and_one_token_request(make: Make) {
    for world in worlds() {
        let face = world.connected(make);
        echo(&*face, "before");
        let tokens = world.count(Endpoint::Token);
        let gate = Barrier::new(101);
        thread::scope(|scope| {
            for number in 0..100 {
                let (face, gate) = (Arc::clone(&face), &gate);
                scope.spawn(move || {
                    gate.wait();
                    echo(&*face, &number.to_string());
                });
            }
            world.lock().revoke_access_tokens();
            gate.wait();
        });
        assert_eq!(world.count(Endpoint::Token) - tokens, 1);
        assert_eq!(world.visits(), 1);
    }
}

pub(crate) fn where_nobody_may_be_asked_an_error_says_so(make: Make) {
    for world in worlds() {
        let error = world.session(make).connect(settings().may_ask(false)).err().unwrap();
        assert_eq!(error.code(), "reauthorization_required");
        assert!(!error.maybe_executed());
        assert_eq!(world.visits(), 0);
    }
}

pub(crate) fn the_token_goes_with_every_request_use_01(make: Make) {
    for world in worlds() {
        let face = world.connected(make);
        echo(&*face, "x");
        face.notify("notifications/roots/list_changed", json!({})).unwrap();
        let _none = face.listen().unwrap();
        face.close().unwrap();
        let model = world.lock();
        let of_the_server = |endpoint| matches!(endpoint, Endpoint::Mcp | Endpoint::Messages);
        for (number, seen) in model.seen().iter().filter(|s| of_the_server(s.endpoint)).enumerate()
        {
            assert!(number == 0 || seen.authorized(), "{} {}", seen.method, seen.path);
        }
    }
}

pub(crate) fn a_person_is_asked_for_one_request_alone_if_that_is_wanted_step_02(make: Make) {
    for world in worlds() {
        let session = world.session(make);
        session.log_in();
        let face = session.connect(settings().may_ask(false)).unwrap();
        let admin = || json!({"name": "admin"});
        let error = face.call("tools/call", admin()).unwrap_err();
        assert_eq!(error.code(), "reauthorization_required");
        let refused = face.request_asking("tools/call", admin(), false).find_map(Result::err);
        assert_eq!(refused.unwrap().code(), "reauthorization_required");
        assert_eq!(world.visits(), 1, "the login");
        let messages: Result<Vec<_>, _> =
            face.request_asking("tools/call", admin(), true).collect();
        assert_eq!(messages.unwrap().last().unwrap()["result"]["content"][0]["text"], "done");
        assert_eq!(world.visits(), 2);
        // And the other way round.
        world.lock().revoke_all();
        let face = session.connect(settings().revision(&face.protocol_version()).may_ask(false));
        assert_eq!(face.err().unwrap().code(), "reauthorization_required");
        assert_eq!(world.visits(), 2);
    }
}

pub(crate) fn a_programs_headers_go_to_the_mcp_server_alone_host_259(make: Make) {
    for world in worlds() {
        let session = world.session(make);
        let settings = settings().header("X-Key", "c4n4ry").unwrap();
        let face = session.connect(settings).unwrap();
        echo(&*face, "one");
        face.close().unwrap();
        let model = world.lock();
        for seen in model.seen() {
            let at_mcp = matches!(seen.endpoint, Endpoint::Mcp | Endpoint::Messages);
            // The session's own look at what the server wants is none of the connection's requests.
            assert!(at_mcp || !seen.headers.contains_key("x-key"), "{:?}", seen.endpoint);
            let called = seen.rpc() == Some("tools/call");
            assert!(!called || seen.headers["x-key"] == "c4n4ry", "{:?}", seen.headers);
        }
        assert!(model.seen().iter().any(|seen| seen.rpc() == Some("tools/call")));
    }
}
