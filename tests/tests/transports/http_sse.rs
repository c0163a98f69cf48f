//! HTTP+SSE of 2024-11-05.

use std::sync::Arc;
use std::thread;

use mcp_authz_core::config::Profile;
use mcp_authz_tests::model::{Endpoint, Era, Settings};
use mcp_authz_tests::serve;
use serde_json::json;

use crate::faces::Make;
use crate::world::{World, counting, echo, echoing, gets, settings};

fn old(adjust: impl FnOnce(&mut Settings)) -> World {
    World::revision("2025-11-25", |at| {
        at.mcp.era = Era::HttpSse;
        adjust(at);
    })
}

pub(crate) fn answers_find_their_requests(make: Make) {
    let world = old(|at| at.mcp.chunk_bytes = Some(13));
    let face = world.connected(make);
    thread::scope(|scope| {
        for number in 0..20 {
            let face = Arc::clone(&face);
            scope.spawn(move || echo(&*face, &format!("number {number}")));
        }
    });
    assert_eq!(gets(&world), 1, "over one stream");
    face.close().unwrap();
    assert_eq!(face.call("ping", json!({})).unwrap_err().code(), "mcp_closed");
}

pub(crate) fn ten_thousand_events_on_one_stream(make: Make) {
    let world = old(|_| {});
    let face = world.connected(make);
    let mut strays = face.listen().unwrap().unwrap();
    let reader = thread::spawn(move || {
        for number in 0..10_000u64 {
            let message = strays.next().unwrap().unwrap();
            assert_eq!(message["params"]["progress"], number);
        }
        strays
    });
    let result = face.call("tools/call", counting(10_000)).unwrap();
    assert_eq!(result["content"][0]["text"], "done");
    let strays = reader.join().unwrap();
    // Whoever does not listen any more is in nobody's way.
    drop(strays);
    face.call("tools/call", counting(1_000)).unwrap();
}

pub(crate) fn a_broken_stream_is_told_and_opened_anew(make: Make) {
    for cut in [true, false] {
        let world = old(|at| at.mcp.stream_delay_ms = 0);
        let face = world.connected(make);
        let mut strays = face.listen().unwrap().unwrap();
        world.lock().set(|at| at.mcp.stream_delay_ms = 600_000);
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let face = Arc::clone(&face);
                thread::spawn(move || face.call("tools/call", echoing("x")).unwrap_err())
            })
            .collect();
        world.until("they are asked", |model| {
            let posts = model.seen_at(Endpoint::Messages);
            posts.filter(|seen| crate::world::method_of(seen) == Some("tools/call")).count() == 3
        });
        // The answers that are due in ten minutes go with the stream.
        world.lock().break_streams(cut);
        for waiting in waiting {
            let error = waiting.join().unwrap();
            assert_eq!((error.code(), error.maybe_executed()), ("mcp_lost", true), "{cut}");
        }
        assert_eq!(strays.next().unwrap().unwrap_err().code(), "mcp_lost");
        assert!(strays.next().is_none());
        world.lock().set(|at| at.mcp.stream_delay_ms = 0);
        echo(&*face, "the next one opens another");
        assert_eq!(gets(&world), 2);
        assert_eq!(world.visits(), 1);
    }
}

pub(crate) fn a_forgotten_stream_is_opened_anew(make: Make) {
    let world = old(|_| {});
    let face = world.connected(make);
    world.lock().forget_sessions();
    echo(&*face, "it was not executed, so it is sent again");
    assert_eq!(gets(&world), 2);
    world.lock().forget_sessions();
    face.notify("notifications/roots/list_changed", json!({})).unwrap();
    assert_eq!(gets(&world), 3);
}

pub(crate) fn what_nobody_hears_is_declined(make: Make) {
    let world = old(|_| {});
    let face = world.connected(make);
    for (id, method) in [(901, "ping"), (902, "sampling/createMessage")] {
        world.lock().push(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {}}));
        world.until("it is answered", |model| {
            let mut posts = model.seen_at(Endpoint::Messages);
            posts.any(|seen| seen.json.as_ref().is_some_and(|json| json["id"] == id))
        });
        let model = world.lock();
        let mut posts = model.seen_at(Endpoint::Messages);
        let answer = posts.find_map(|seen| seen.json.clone().filter(|json| json["id"] == id));
        let answer = answer.unwrap();
        assert_eq!(answer.get("result").is_some(), method == "ping", "{answer}");
    }
    let mut heard = face.listen().unwrap().unwrap();
    world.lock().push(&json!({"jsonrpc": "2.0", "id": 903, "method": "ping"}));
    assert_eq!(heard.next().unwrap().unwrap()["id"], 903, "it is the listener's to answer");
    face.respond(&json!(903), Ok(json!({}))).unwrap();
}

pub(crate) fn an_endpoint_of_another_origin_gets_nothing_trans_33_host_261(make: Make) {
    let elsewhere = serve::embedded(|at| at.gate.open = true).unwrap();
    let other = elsewhere.mcp_url().to_owned();
    let relative = other.trim_start_matches("http:").to_owned();
    for endpoint in [other, relative] {
        let world = old(|at| at.mcp.sse_endpoint = Some(endpoint.clone()));
        let error = world.session(make).connect(settings()).err().unwrap();
        assert_eq!(error.code(), "origin_mismatch", "{endpoint}");
        assert_eq!(world.count(Endpoint::Messages), 0);
    }
    assert_eq!(elsewhere.lock().seen().len(), 0);
}

pub(crate) fn an_announced_endpoint_is_in_the_area_for_its_stream_trans_33_host_261(make: Make) {
    let announcing =
        || old(|at| at.mcp.sse_endpoint = Some("/post?sessionId={session}".to_owned()));
    let world = announcing();
    let face = world.connected(make);
    echo(&*face, "outside of /mcp");
    // Also with a token that has to be replaced for it.
    world.lock().revoke_access_tokens();
    echo(&*face, "again");
    assert!(world.lock().seen_at(Endpoint::Messages).all(|seen| seen.path == "/post"));
    assert!(world.lock().seen_at(Endpoint::Messages).all(|seen| seen.authorized()));
    let world = announcing();
    let strict = world.config().profile(Profile::Strict).build().unwrap();
    let error = make(world.common(), strict).connect(settings()).err().unwrap();
    assert_eq!(error.code(), "origin_mismatch");
    assert_eq!(world.count(Endpoint::Messages), 0);
}

pub(crate) fn an_endpoint_that_two_readers_read_in_two_ways_gets_nothing_host_328(make: Make) {
    for endpoint in [
        "/post/../post?sessionId={session}",
        "/mcp/..;/post?sessionId={session}",
        "/mcp/%252e%252e/post?sessionId={session}",
        "/mcp/..%00/post?sessionId={session}",
        "/mcp/%c0%ae%c0%ae/post?sessionId={session}",
        "http:/post?sessionId={session}",
    ] {
        let world = old(|at| at.mcp.sse_endpoint = Some(endpoint.to_owned()));
        let error = world.session(make).connect(settings()).err().map(|error| error.code());
        assert_eq!(error, Some("origin_mismatch"), "{endpoint}");
        // The stream alone was asked for, with the token or before it.
        assert!(world.lock().seen().iter().all(|seen| !seen.path.contains("post")), "{endpoint}");
    }
    let plain = "/post;v=1/a%20b?sessionId={session}&to=/../x";
    let world = old(|at| at.mcp.sse_endpoint = Some(plain.to_owned()));
    echo(&*world.connected(make), "posted where it was announced");
}
