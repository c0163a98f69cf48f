//! Streams that break, and go on.

use core::time::Duration;
use std::time::Instant;

use http::Method;
use mcp_authz_driver::transport::Bounds;
use mcp_authz_tests::model::{AnswerForm, Cut, Endpoint, Settings};
use serde_json::json;

use crate::faces::Make;
use crate::world::{World, bounds, counted, counting, echo, echoing, gets, header, settings};

fn resumable(at: &mut Settings) {
    at.mcp.answers = AnswerForm::EventStream;
    at.mcp.get_stream = true;
    at.mcp.priming = true;
    at.mcp.retry_ms = Some(100);
}

pub(crate) fn a_stream_cut_inside_an_event_goes_on_trans_23(make: Make) {
    for cut in [Cut::InsideEvent, Cut::BeforeAnswer, Cut::EndBeforeAnswer] {
        let world = World::revision("2025-11-25", |at| {
            resumable(at);
            at.mcp.retry_ms = Some(300);
            at.mcp.cut = cut;
            at.mcp.cuts = 1;
            at.mcp.chunk_bytes = Some(7);
        });
        let face = world.connected(make);
        let begun = Instant::now();
        echo(&*face, "hello");
        assert!(begun.elapsed() >= Duration::from_millis(300), "the server's wish is respected");
        let seen = world.let_in();
        let resumed = seen.last().unwrap();
        assert_eq!(resumed.method, Method::GET);
        assert!(header(resumed, "last-event-id").is_some() && resumed.authorized());
        assert_eq!(header(resumed, "mcp-protocol-version"), Some("2025-11-25"));
        assert!(header(resumed, "mcp-session-id").is_some());
    }
}

pub(crate) fn ten_thousand_events_over_cuts_and_replaced_tokens_trans_23_trans_25_host_267(
    make: Make,
) {
    let world = World::revision("2025-11-25", |at| {
        resumable(at);
        at.mcp.cut_every = Some(900);
    });
    let face = world.connected(make);
    let logins = world.count(Endpoint::Token);
    let messages = face.request("tools/call", counting(10_000)).enumerate();
    let messages = messages.map(|(number, message)| {
        if number % 3000 == 1500 {
            world.lock().revoke_access_tokens();
        }
        message.unwrap()
    });
    counted(messages, 10_000);
    assert_eq!(gets(&world), 11, "each cut was followed by one resumption");
    assert_eq!(world.count(Endpoint::Token) - logins, 3, "a token for each that was revoked");
    assert_eq!(world.visits(), 1);
}

pub(crate) fn a_stream_without_identifiers_is_lost_trans_17(make: Make) {
    let world = World::revision("2025-06-18", |at| {
        at.mcp.answers = AnswerForm::EventStream;
        at.mcp.cut = Cut::BeforeAnswer;
        at.mcp.cuts = 1;
    });
    let face = world.connected(make);
    let error = face.call("tools/call", echoing("x")).unwrap_err();
    assert_eq!((error.code(), error.maybe_executed()), ("mcp_lost", true));
    assert_eq!(world.asked("tools/call"), 1, "it is not sent again by itself");
    echo(&*face, "the next one is well");
}

pub(crate) fn a_server_that_closes_every_stream_is_given_up_host_265(make: Make) {
    let world = World::revision("2025-11-25", |at| {
        resumable(at);
        at.mcp.cut = Cut::InsideEvent;
        // The resumed stream breaks inside its first message too.
        at.mcp.cut_every = Some(0);
    });
    let face = world.connected(make);
    let begun = Instant::now();
    let error = face.call("tools/call", echoing("x")).unwrap_err();
    assert_eq!((error.code(), error.maybe_executed()), ("mcp_lost", true));
    assert_eq!(gets(&world), 4, "as often as the program allows");
    assert!(begun.elapsed() >= Duration::from_millis(100 + 200 + 400 + 800), "waits grow");
}

pub(crate) fn the_servers_own_stream_goes_on_with_another_token_trans_22_trans_25(make: Make) {
    let world = World::revision("2025-11-25", |at| at.mcp.get_stream = true);
    let idle = Bounds { idle: Duration::from_secs(20), ..bounds() };
    let face = world.session(make).connect(settings().bounds(idle)).unwrap();
    let mut own = face.listen().unwrap().unwrap();
    let told = |number: u64| json!({"jsonrpc": "2.0", "method": "m", "params": {"n": number}});
    for round in 0..4u64 {
        for number in 0..50 {
            world.lock().push(&told(round * 50 + number));
        }
        for number in 0..50 {
            let message = own.next().unwrap().unwrap();
            assert_eq!(message["params"]["n"], round * 50 + number);
        }
        // The token was fine when the stream was opened.
        world.lock().revoke_access_tokens();
        world.lock().close_streams(round % 2 == 0);
        let resumed = usize::try_from(round).unwrap() + 2;
        if round < 3 {
            // Nobody reads the stream, so nobody finds out before the next is asked for.
            let reader = std::thread::spawn(move || {
                let first = own.next();
                (own, first)
            });
            world.until("it is opened again", |model| {
                let gets = model.seen_at(Endpoint::Mcp);
                gets.filter(|seen| seen.method == Method::GET && seen.status == 200).count()
                    == resumed
            });
            world.lock().push(&told(1_000));
            let (back, first) = reader.join().unwrap();
            own = back;
            assert_eq!(first.unwrap().unwrap()["params"]["n"], 1_000);
        }
    }
    assert_eq!(world.visits(), 1);
}

pub(crate) fn a_server_without_a_stream_of_its_own_trans_22(make: Make) {
    for revision in ["2025-11-25", "2026-07-28"] {
        let world = World::revision(revision, |_| {});
        let face = world.connected(make);
        assert!(face.listen().unwrap().is_none());
        echo(&*face, "x");
        let gets = world.let_in().iter().filter(|seen| seen.method == Method::GET).count();
        assert_eq!(gets, usize::from(revision == "2025-11-25"), "TRANS-16");
    }
}
