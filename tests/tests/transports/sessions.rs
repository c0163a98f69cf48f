//! Sessions of the revisions before 2026-07-28.

use std::sync::Arc;
use std::thread;

use http::Method;
use mcp_authz_driver::transport::TransportError;
use mcp_authz_tests::model::{AnswerForm, Endpoint, Fault, Literal};
use serde_json::json;

use crate::faces::Make;
use crate::world::{World, counting, echo, echoing, header, method_of, settings};

pub(crate) fn a_forgotten_session_is_begun_anew_once_for_everybody_trans_19(make: Make) {
    let world = World::revision("2025-11-25", |_| {});
    let face = world.connected(make);
    echo(&*face, "before");
    let tokens = world.count(Endpoint::Token);
    for round in 1..=3 {
        world.lock().forget_sessions();
        thread::scope(|scope| {
            for number in 0..10 {
                let face = Arc::clone(&face);
                scope.spawn(move || echo(&*face, &number.to_string()));
            }
        });
        assert_eq!(world.asked("initialize"), 1 + round);
        assert_eq!(face.openings(), u64::try_from(1 + round).unwrap());
        assert_eq!(world.asked("notifications/initialized"), 1 + round);
    }
    assert_eq!(world.count(Endpoint::Token), tokens, "the same token throughout");
    let seen = world.let_in();
    let anew = seen.iter().filter(|seen| method_of(seen) == Some("initialize"));
    assert!(anew.into_iter().all(|seen| header(seen, "mcp-session-id").is_none()));
}

pub(crate) fn a_server_that_forgets_for_ever_is_given_up_trans_19(make: Make) {
    let world = World::revision("2025-11-25", |_| {});
    let face = world.connected(make);
    let before = world.let_in().len();
    world.lock().fail(Endpoint::Mcp, usize::MAX, Fault::Literal(Literal::status(404)));
    let error = face.call("tools/call", echoing("x")).unwrap_err();
    assert!(!error.maybe_executed(), "{error}");
    assert!(world.let_in().len() - before < 10);
    world.lock().heal();
    echo(&*face, "it is well again");
}

pub(crate) fn a_closed_session_is_deleted_trans_21(make: Make) {
    for (fault, expected) in [(None, 204), (Some(405), 405), (Some(404), 404)] {
        let world = World::revision("2025-06-18", |_| {});
        let face = world.connected(make);
        if let Some(status) = fault {
            world.lock().fail(Endpoint::Mcp, 1, Fault::Literal(Literal::status(status)));
        }
        face.close().unwrap();
        let seen = world.let_in();
        let last = seen.last().unwrap();
        assert_eq!((&last.method, last.status), (&Method::DELETE, expected));
        assert!(last.authorized() && header(last, "mcp-session-id").is_some());
        let error = face.call("ping", json!({})).unwrap_err();
        assert_eq!(error.code(), "mcp_closed");
    }
    let world = World::revision("2026-07-28", |_| {});
    world.connected(make).close().unwrap();
    assert!(world.let_in().iter().all(|seen| seen.method == Method::POST), "TRANS-16");
}

pub(crate) fn no_person_is_asked_for_a_farewell_trans_21(make: Make) {
    let world = World::revision("2025-06-18", |_| {});
    let face = world.connected(make);
    world.lock().revoke_all();
    let error = face.close().unwrap_err();
    assert!(matches!(error, TransportError::Authorization(_)), "{error}");
    assert_eq!(world.visits(), 1, "for the login");
}

pub(crate) fn another_user_gets_another_session_trans_26(make: Make) {
    let world = World::revision("2025-11-25", |_| {});
    let session = world.session(make);
    let face = session.connect(settings()).unwrap();
    echo(&*face, "alice");
    session.forget();
    world.lock().set(|at| at.subject = "bob".to_owned());
    session.log_in();
    let who = face.call("tools/call", json!({"name": "whoami"})).unwrap();
    assert!(who["content"][0]["text"].as_str().unwrap().contains("bob"));
    let seen = world.let_in();
    let ids: Vec<_> = seen.iter().filter_map(|seen| header(seen, "mcp-session-id")).collect();
    let first = ids[0];
    assert_ne!(ids.last(), Some(&first));
    let refused = seen.iter().any(|seen| seen.status == 404);
    assert!(!refused, "bob's token never went with alice's session");
}

pub(crate) fn whoever_goes_away_cancels_trans_24(make: Make) {
    for revision in ["2025-11-25", "2026-07-28"] {
        let world = World::revision(revision, |at| at.mcp.answers = AnswerForm::EventStream);
        let face = world.connected(make);
        let mut messages = face.request("tools/call", counting(2000));
        messages.next().unwrap().unwrap();
        drop(messages);
        drop(face.request("tools/call", counting(7)));
        echo(&*face, "others go on");
        let cancelled = |model: &mcp_authz_tests::model::Model| {
            let mut seen = model.seen_at(Endpoint::Mcp);
            seen.any(|seen| method_of(seen) == Some("notifications/cancelled"))
        };
        if revision == "2025-11-25" {
            world.until("the server is told", cancelled);
        }
        let told: Vec<_> = world
            .let_in()
            .into_iter()
            .filter(|seen| method_of(seen) == Some("notifications/cancelled"))
            .collect();
        assert_eq!(told.len(), usize::from(revision == "2025-11-25"), "what was never sent is not");
        let called = world.let_in();
        let called = called.iter().find(|seen| method_of(seen) == Some("tools/call")).unwrap();
        for told in told {
            assert_eq!(
                told.json.unwrap()["params"]["requestId"],
                called.json.as_ref().unwrap()["id"]
            );
        }
    }
}

const NAMELESS: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}"#;
const ANOTHERS: &str = r#"{"jsonrpc":"2.0","id":987654,"result":{}}"#;

pub(crate) fn errors_of_the_server_are_told_apart(make: Make) {
    for revision in ["2025-11-25", "2026-07-28"] {
        let world = World::revision(revision, |_| {});
        let face = world.session(make).connect(settings()).unwrap();
        let unknown = face.call("no/such", json!({})).unwrap_err();
        assert!(
            matches!(&unknown, TransportError::Rpc(error) if error.code == -32601),
            "TRANS-28: {unknown}"
        );
        let shown = face.request("no/such", json!({})).last().unwrap().unwrap();
        assert_eq!(shown["error"]["code"], -32601, "a response is shown as it is");
        for (fault, code, executed) in [
            (Fault::Literal(Literal::status(503)), "transient", true),
            (Fault::Literal(Literal::status(418)), "mcp_status", false),
            (Fault::Literal(Literal::json(200, "{")), "mcp_malformed", true),
            (Fault::Literal(Literal::json(200, "[7]")), "mcp_malformed", true),
            (Fault::Literal(Literal::json(200, NAMELESS)), "mcp_error", true),
            (Fault::Literal(Literal::json(200, ANOTHERS)), "mcp_malformed", true),
            (Fault::Literal(Literal::status(202)), "mcp_malformed", true),
            (Fault::Lost, "mcp_lost", true),
        ] {
            world.lock().fail(Endpoint::Mcp, 1, fault.clone());
            let error = face.call("tools/call", echoing("x")).unwrap_err();
            let found = (error.code(), error.maybe_executed());
            assert_eq!(found, (code, executed), "{revision} {fault:?}");
        }
        echo(&*face, "and it goes on");
    }
}
