//! Tokens that are replaced while nobody looks.

use std::sync::{Arc, Barrier};
use std::thread;

use mcp_authz_tests::model::{AnswerForm, Endpoint, Era};
use serde_json::json;

use crate::faces::Make;
use crate::world::{World, echo, settings};

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
