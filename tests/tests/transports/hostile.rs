//! What a server should not do.

use core::time::Duration;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use http::Method;
use mcp_authz_driver::transport::Bounds;
use mcp_authz_tests::model::{AnswerForm, Endpoint, Era, Literal};
use serde_json::json;

use crate::faces::Make;
use crate::world::{World, bounds, echo, echoing, gets, method_of, settings};

pub(crate) fn what_came_before_a_bad_event_counts(make: Make) {
    let world = World::revision("2025-11-25", |_| {});
    let face = world.connected(make);
    let told = r#"{"jsonrpc":"2.0","method":"m"}"#;
    let initialized = world.let_in().into_iter().rfind(|seen| method_of(seen).is_some());
    assert_eq!(method_of(&initialized.unwrap()), Some("notifications/initialized"));
    // `server/discover` was 1, `initialize` 2.
    let answered = r#"{"jsonrpc":"2.0","id":3,"result":{"n":7}}"#;
    let body = format!("data: {told}\n\ndata: {answered}\n\ndata: bye\n\n");
    let events = |body: &str| Literal {
        headers: vec![("content-type".to_owned(), "text/event-stream".to_owned())],
        ..Literal::json(200, body)
    };
    world.lock().inject(Endpoint::Mcp, 1, events(&body));
    assert_eq!(face.call("tools/call", echoing("x")).unwrap(), json!({"n": 7}));
    let body = format!("data: {told}\n\ndata: bye\n\n");
    world.lock().inject(Endpoint::Mcp, 1, events(&body));
    let all: Vec<_> = face.request("tools/call", echoing("x")).collect();
    assert_eq!(all.len(), 2);
    assert!(all[0].is_ok());
    assert_eq!(all[1].as_ref().unwrap_err().code(), "mcp_malformed", "an error is the last item");
}

pub(crate) fn a_flood_of_requests_is_no_flood_of_tasks(make: Make) {
    let world = World::revision("2025-11-25", |_| {});
    let face = world.connected(make);
    let mut all: Vec<_> = (1000..3000)
        .map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "sampling/createMessage"}))
        .collect();
    all.push(json!({"jsonrpc": "2.0", "id": null, "error": {"code": 1, "message": "no"}}));
    world.lock().inject(Endpoint::Mcp, 1, Literal::json(200, &json!(all).to_string()));
    let error = face.call("tools/call", echoing("x")).unwrap_err();
    assert_eq!(error.code(), "mcp_error");
    thread::sleep(Duration::from_millis(500));
    let answers = world.let_in().iter().filter(|seen| method_of(seen).is_none()).count();
    assert!((1..1000).contains(&answers), "{answers}");
    echo(&*face, "and it goes on");
}

pub(crate) fn an_opening_that_is_never_answered_ends(make: Make) {
    for (era, answers) in [(Era::HttpSse, AnswerForm::Json), (Era::Legacy, AnswerForm::EventStream)]
    {
        let world = World::revision("2025-11-25", |at| {
            at.mcp.era = era;
            at.mcp.answers = answers;
        });
        let session = world.session(make);
        session.log_in();
        world.lock().set(|at| at.mcp.stream_delay_ms = 600_000);
        let bounds = Bounds { head: Duration::from_secs(1), ..bounds() };
        let begun = Instant::now();
        let error = session.connect(settings().bounds(bounds)).err().unwrap();
        assert_eq!(error.code(), "mcp_lost", "{error}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    }
}

pub(crate) fn nothing_of_one_user_goes_on_as_another_trans_26(make: Make) {
    let world = World::revision("2025-11-25", |at| at.mcp.get_stream = true);
    let session = world.session(make);
    let face = session.connect(settings()).unwrap();
    let mut own = face.listen().unwrap().unwrap();
    session.forget();
    world.lock().set(|at| at.subject = "bob".to_owned());
    session.log_in();
    world.lock().close_streams(true);
    assert_eq!(own.next().unwrap().unwrap_err().code(), "mcp_session_lost");
    assert_eq!(gets(&world), 1, "bob does not take up the stream of alice");
    let asked = world.let_in().len();
    let error = face.respond(&json!(1), Ok(json!({}))).unwrap_err();
    assert_eq!(error.code(), "mcp_session_lost", "what alice was asked, bob does not answer");
    face.close().unwrap();
    let seen = world.let_in();
    assert!(seen.iter().all(|seen| seen.method != Method::DELETE));
    assert_eq!(seen.len(), asked);
}

pub(crate) fn what_nobody_reads_is_not_heaped_up(make: Make) {
    let world = World::revision("2025-11-25", |at| at.mcp.era = Era::HttpSse);
    let face = world.connected(make);
    for again in [false, true] {
        let mut unread = face.listen().unwrap().unwrap();
        for number in 0..600 {
            let message = json!({"jsonrpc": "2.0", "method": "m", "params": {"n": number}});
            world.lock().push(&message);
        }
        let caller = thread::spawn({
            let face = Arc::clone(&face);
            move || echo(&*face, "x")
        });
        thread::sleep(Duration::from_millis(500));
        assert!(!caller.is_finished(), "the stream stands still");
        if again {
            // Whoever listens now is not held up by who listened before.
            let mut next = face.listen().unwrap().unwrap();
            let rest = thread::spawn(move || next.next().unwrap().unwrap());
            assert!(rest.join().unwrap()["params"]["n"].as_u64().unwrap() >= 256);
            drop(face.listen());
        } else {
            for number in 0..600 {
                assert_eq!(unread.next().unwrap().unwrap()["params"]["n"], number);
            }
        }
        caller.join().unwrap();
    }
}

pub(crate) fn a_response_that_never_comes_is_not_awaited_for_ever_trans_24(make: Make) {
    for era in [Era::HttpSse, Era::Legacy, Era::Modern] {
        let revision = if era == Era::Modern { "2026-07-28" } else { "2025-11-25" };
        let world = World::revision(revision, |at| {
            at.mcp.era = era;
            at.mcp.answers = AnswerForm::EventStream;
        });
        let bounds = Bounds { response: Duration::from_millis(300), ..bounds() };
        let face = world.session(make).connect(settings().bounds(bounds)).unwrap();
        world.lock().set(|at| at.mcp.stream_delay_ms = 600_000);
        let begun = Instant::now();
        let error = face.call("tools/call", echoing("x")).unwrap_err();
        assert_eq!((error.code(), error.maybe_executed()), ("mcp_lost", true), "{era:?}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        if era != Era::Modern {
            let told = Some("notifications/cancelled");
            world.until("the server is told", |model| {
                model.seen().iter().any(|seen| method_of(seen) == told)
            });
        }
        if era != Era::HttpSse {
            // On the one stream the late response stands before all others.
            world.lock().set(|at| at.mcp.stream_delay_ms = 0);
            echo(&*face, "and it goes on");
        }
    }
}

pub(crate) fn what_nobody_waits_for_asks_nobody(make: Make) {
    let world = World::revision("2025-11-25", |at| at.mcp.era = Era::HttpSse);
    let face = world.connected(make);
    // The stream is open already, and the answer is not let in.
    let more = r#"Bearer error="insufficient_scope", scope="mcp:admin""#;
    let refused = Literal::status(403).header("www-authenticate", more);
    world.lock().inject(Endpoint::Messages, 1, refused);
    world.lock().push(&json!({"jsonrpc": "2.0", "id": 7, "method": "ping"}));
    world.until("it is answered", |model| {
        model.seen_at(Endpoint::Messages).any(|seen| seen.status == 403)
    });
    thread::sleep(Duration::from_millis(500));
    assert_eq!(world.visits(), 1, "a server cannot have pages opened at will");
    echo(&*face, "and it goes on");
}

pub(crate) fn a_call_that_a_close_cuts_off_may_have_been_executed(make: Make) {
    let world = World::revision("2025-11-25", |at| at.mcp.era = Era::HttpSse);
    let face = world.connected(make);
    world.lock().set(|at| at.mcp.stream_delay_ms = 600_000);
    let caller = thread::spawn({
        let face = Arc::clone(&face);
        move || face.call("tools/call", echoing("x")).unwrap_err()
    });
    world.until("it is asked", |model| {
        model.seen_at(Endpoint::Messages).any(|seen| method_of(seen) == Some("tools/call"))
    });
    face.close().unwrap();
    let error = caller.join().unwrap();
    assert!(error.maybe_executed(), "{error}");
    assert_eq!(face.call("ping", json!({})).unwrap_err().code(), "mcp_closed");
}
