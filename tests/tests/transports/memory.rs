//! What a server can have a program hold (HOST-322). Counted on the thread that asks, where values are
//! made on every runtime.

use core::time::Duration;
use std::sync::Arc;
use std::thread;

use mcp_authz_driver::transport::Bounds;
use mcp_authz_tests::model::{Endpoint, Era, Literal};
use serde_json::json;

use crate::faces::{Face, Make};
use crate::world::{World, bounds, echo, echoing, settings};

const LIMIT: usize = 4 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;
const SIZE: usize = 3_800 * 1024;
/// What a text of that size takes while it comes, in a place that grows to twice what it was.
const READ: u64 = 3 * SIZE as u64;

/// A response with so much of that in it.
fn swelling(id: u64, element: &str, size: usize) -> String {
    let many = vec![element; size / (element.len() + 1)].join(",");
    json!({"jsonrpc": "2.0", "id": id, "result": {"x": "?"}})
        .to_string()
        .replace("\"?\"", &format!("[{many}]"))
}

fn literal(body: &str, as_event: bool) -> Literal {
    if !as_event {
        return Literal::json(200, body);
    }
    let headers = vec![("content-type".to_owned(), "text/event-stream".to_owned())];
    Literal { headers, ..Literal::json(200, &format!("data: {body}\n\n")) }
}

/// The most that a call held at a time, and how it ended.
fn held(face: &dyn Face) -> (u64, Result<(), String>) {
    let mut ended = None;
    let counted = allocation_counter::measure(|| {
        let called = face.call("tools/call", echoing("x"));
        ended = Some(called.map(drop).map_err(|error| error.code().to_owned()));
    });
    (counted.bytes_max, ended.unwrap())
}

pub(crate) fn an_answer_that_swells_costs_no_more_than_reading_it_host_322(make: Make) {
    for as_event in [false, true] {
        let world = World::revision("2025-11-25", |_| {});
        let face = world.connected(make);
        // `server/discover` was 1, `initialize` 2.
        let plain = json!({"jsonrpc": "2.0", "id": 3, "result": {"x": "x".repeat(SIZE)}});
        world.lock().inject(Endpoint::Mcp, 1, literal(&plain.to_string(), as_event));
        let (_, ended) = held(&*face);
        assert_eq!(ended, Ok(()), "one long text is well within the limit");
        for (id, element) in
            ["0", "{}", "[0]", r#"{"a":0}"#, r#"{"a":{"b":[]}}"#].into_iter().enumerate()
        {
            let body = swelling(id as u64 + 4, element, SIZE);
            assert!(body.len() < LIMIT);
            world.lock().inject(Endpoint::Mcp, 1, literal(&body, as_event));
            let (most, ended) = held(&*face);
            assert_eq!(ended, Err("limit_exceeded".to_owned()), "{element} {as_event}");
            assert!(most <= READ + MIB, "{element} {as_event}: {most}");
        }
        echo(&*face, "and it goes on");
        // Whoever wants more says so.
        let wide = Bounds { event: 128 * 1024 * 1024, ..bounds() };
        let face = world.session(make).connect(settings().bounds(wide)).unwrap();
        world.lock().inject(Endpoint::Mcp, 1, literal(&swelling(3, "0", SIZE), as_event));
        assert_eq!(held(&*face).1, Ok(()));
    }
}

/// An error that is refused by HTTP is read within the same bounds.
pub(crate) fn a_refusal_that_swells_is_not_read_host_322(make: Make) {
    let world = World::revision("2025-11-25", |_| {});
    let face = world.connected(make);
    let error = |inside: &str| {
        let body = json!({"error": {"code": -32603, "message": "m", "data": "?"}}).to_string();
        Literal::json(500, &body.replace("\"?\"", inside))
    };
    world.lock().inject(Endpoint::Mcp, 1, error(&format!("\"{}\"", "x".repeat(SIZE))));
    let (_, ended) = held(&*face);
    assert_eq!(ended, Err("mcp_error".to_owned()));
    world.lock().inject(
        Endpoint::Mcp,
        1,
        error(&format!("[{}]", vec!["0"; 1_900 * 1024].join(","))),
    );
    let (most, ended) = held(&*face);
    assert_eq!(ended, Err("transient".to_owned()));
    assert!(most <= READ + MIB, "{most}");
}

/// 256 messages may wait, but not 31 MiB in forty.
pub(crate) fn large_messages_that_nobody_reads_are_not_heaped_up_host_322(make: Make) {
    let world = World::revision("2025-11-25", |at| at.mcp.era = Era::HttpSse);
    let face = world.connected(make);
    let mut unread = face.listen().unwrap().unwrap();
    let text = "x".repeat(800 * 1024);
    for number in 0..40 {
        let params = json!({"n": number, "text": text});
        world.lock().push(&json!({"jsonrpc": "2.0", "method": "m", "params": params}));
    }
    let caller = thread::spawn({
        let face = Arc::clone(&face);
        move || echo(&*face, "x")
    });
    thread::sleep(Duration::from_secs(2));
    assert!(!caller.is_finished(), "the stream stands still");
    for number in 0..40 {
        assert_eq!(unread.next().unwrap().unwrap()["params"]["n"], number);
    }
    caller.join().unwrap();
    // What is too much for one message ends the stream.
    let many = vec![0; 1_900 * 1024];
    world.lock().push(&json!({"jsonrpc": "2.0", "method": "m", "params": {"many": many}}));
    assert_eq!(unread.next().unwrap().unwrap_err().code(), "limit_exceeded");
    echo(&*face, "the next one opens another");
}
