//! What comes over the pipe: long lines, broken ones, arrays, and its end.

use std::path::Path;

use serde_json::{Value, json};

use crate::host::{Host, Start};
use crate::server::{Era, Server};

fn before<'a>(server: &'a Server, store: &'a Path) -> Start<'a> {
    Start { url: &server.url, store, browser: Path::new("/nonexistent"), more: &[] }
}

#[test]
fn long_broken_and_wrong_lines_are_answered_and_the_next_one_is_read() {
    let server = Server::start(Era::Legacy);
    let store = tempfile::tempdir().unwrap();
    let mut host = Host::initialized(&before(&server, store.path()), "2025-11-25", json!({}));
    let nameless = |host: &mut Host| {
        host.expect("an error", |it| it["id"].is_null() && it.get("error").is_some())
    };
    host.write(b"{\"jsonrpc\":\n\xff\xfe\n");
    for _ in 0..2 {
        assert_eq!(nameless(&mut host)["error"]["code"], -32700);
    }
    host.write(&vec![b'x'; 16 * 1024 * 1024 + 1]);
    assert_eq!(nameless(&mut host)["error"]["code"], -32600);
    host.write(b"the rest of it\n\n \r\n");
    // The longest line that may be goes to the server and back.
    let mut message =
        json!({"jsonrpc": "2.0", "id": "big", "method": "x/echo", "params": {"text": ""}});
    let room = 16 * 1024 * 1024 - message.to_string().len() - 100;
    message["params"]["text"] = json!("y".repeat(room));
    host.say(&message);
    let back = host.answer(&json!("big"));
    assert_eq!(
        back["result"]["echo"]["text"].as_str().map(str::len),
        Some(room),
        "{:.300}",
        back.to_string()
    );
    // A longer answer of the server's is an error of its call alone.
    let error = host.ask("x/huge", json!({}));
    assert_eq!(error["error"]["data"]["code"], "limit_exceeded", "{error}");
    host.say(&json!({"jsonrpc": "2.0", "id": 1, "method": "m", "params": [1]}));
    assert_eq!(host.answer(&json!(1))["error"]["code"], -32602);
    host.say(&json!([{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}]));
    assert_eq!(nameless(&mut host)["error"]["code"], -32600, "arrays went with 2025-06-18");
    assert_eq!(host.ask("tools/list", json!({}))["result"]["tools"][0]["name"], "work");
}

#[test]
fn an_id_in_use_is_refused_and_a_text_is_no_number() {
    let server = Server::start(Era::Legacy);
    let store = tempfile::tempdir().unwrap();
    let mut host = Host::initialized(&before(&server, store.path()), "2025-11-25", json!({}));
    let waits = json!({"name": "work", "arguments": {"waits": true}});
    host.say(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": waits}));
    host.say(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}));
    assert_eq!(host.answer(&json!(1))["error"]["code"], -32600);
    host.say(&json!({"jsonrpc": "2.0", "id": "1", "method": "tools/list"}));
    assert!(host.answer(&json!("1"))["result"]["tools"].is_array());
}

#[test]
fn an_array_is_answered_as_one_in_2025_03_26() {
    let server = Server::start(Era::Legacy);
    let store = tempfile::tempdir().unwrap();
    let mut host = Host::initialized(&before(&server, store.path()), "2025-03-26", json!({}));
    let call = |id: u64, method: &str| json!({"jsonrpc": "2.0", "id": id, "method": method});
    let told = json!({"jsonrpc": "2.0", "method": "notifications/x"});
    host.say(&json!([call(1, "tools/list"), told, call(2, "prompts/list"), 7]));
    let answers = host.expect("an array", Value::is_array);
    let mut ids: Vec<String> =
        answers.as_array().unwrap().iter().map(|it| it["id"].to_string()).collect();
    ids.sort();
    assert_eq!(ids, ["1", "2", "null"], "{answers}");
    host.say(&json!([told]));
    host.say(&json!([]));
    let refused = host.expect("an error", |it| it["id"].is_null());
    assert_eq!(refused["error"]["code"], -32600);
    assert!(host.rest().is_empty());
}

#[test]
fn hundreds_of_calls_at_once_are_all_answered_and_cancelling_overtakes_those_that_wait() {
    let server = Server::start(Era::Legacy);
    let store = tempfile::tempdir().unwrap();
    let mut host = Host::initialized(&before(&server, store.path()), "2025-11-25", json!({}));
    let waits = json!({"name": "work", "arguments": {"waits": true}});
    let stuck: Vec<Value> = (0..256).map(|_| host.send("tools/call", waits.clone())).collect();
    let parked: Vec<Value> = (0..50).map(|_| host.send("tools/list", json!({}))).collect();
    server.wait("256 calls", |state| {
        state.heard.iter().filter(|it| it["method"] == "tools/call").count() == 256
    });
    assert!(server.all("tools/list").is_empty(), "no more than 256 at a time");
    for id in &stuck {
        host.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    }
    for id in &parked {
        assert!(host.answer(id)["result"]["tools"].is_array());
    }
}

#[test]
fn the_end_of_the_input_ends_calls_the_session_and_the_program() {
    let server = Server::start(Era::Legacy);
    let store = tempfile::tempdir().unwrap();
    let mut host = Host::initialized(&before(&server, store.path()), "2025-11-25", json!({}));
    host.send("tools/call", json!({"name": "work", "arguments": {"waits": true}}));
    server.wait("a call", |state| state.heard.iter().any(|it| it["method"] == "tools/call"));
    // A last line need not have an end, and its answer is still written.
    host.write(br#"{"jsonrpc":"2.0","id":"last","method":"tools/list"}"#);
    let (status, rest, log) = host.close();
    assert_eq!(status, Some(0), "{log}");
    assert!(matches!(&rest[..], [last] if last["id"] == "last"), "{rest:?}");
    server.wait("the cancellation", |state| {
        state.heard.iter().any(|it| it["method"] == "notifications/cancelled")
    });
    assert_eq!(server.state().ended, 1);
}

#[test]
fn a_signal_ends_it_as_well() {
    let server = Server::start(Era::Legacy);
    let store = tempfile::tempdir().unwrap();
    let mut host = Host::initialized(&before(&server, store.path()), "2025-11-25", json!({}));
    host.ask("tools/list", json!({}));
    assert_eq!(host.terminate(), Some(0));
    assert_eq!(server.state().ended, 1);
}

#[test]
fn nothing_comes_before_a_host_has_begun_but_signs_of_life() {
    let server = Server::start(Era::Legacy);
    let store = tempfile::tempdir().unwrap();
    let mut host = Host::start(&before(&server, store.path()));
    assert_eq!(host.ask("ping", json!({}))["result"], json!({}));
    assert_eq!(host.ask("tools/list", json!({}))["error"]["code"], -32600);
    assert_eq!(host.ask("initialize", json!({}))["error"]["code"], -32602);
    assert!(server.state().heard.is_empty(), "nothing is sent before a host says who it is");
    assert!(host.initialize("2025-11-25", json!({})).get("result").is_some());
    assert_eq!(
        host.initialize("2025-11-25", json!({}))["error"]["code"],
        -32600,
        "it came already"
    );
}

#[test]
fn a_script_gets_its_answers_although_it_ends_at_once() {
    let server = Server::start(Era::Legacy);
    let store = tempfile::tempdir().unwrap();
    let mut host = Host::start(&before(&server, store.path()));
    let first = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-11-25"}});
    host.write(
        format!("{first}\n{}\n", json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}))
            .as_bytes(),
    );
    let (status, mut answers, log) = host.close();
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!(status, Some(0), "{log}");
    assert_eq!(answers[0]["result"]["serverInfo"]["name"], "legacy", "{answers:?}");
    assert_eq!(answers[1]["result"]["tools"][0]["name"], "work", "{answers:?}");
}

#[test]
fn a_host_that_does_not_read_slows_the_server_down_and_is_still_heard_host_322() {
    let server = Server::start(Era::Legacy);
    let store = tempfile::tempdir().unwrap();
    let mut host = Host::initialized(&before(&server, store.path()), "2025-11-25", json!({}));
    host.is_deaf(true);
    let ids: Vec<Value> = (0..4)
        .map(|_| host.send("tools/call", json!({"name": "work", "arguments": {"floods": true}})))
        .collect();
    // A gigabyte each; nobody has taken it in.
    server.wait("no room", |state| state.blocked == 4);
    for id in &ids {
        let params = json!({"requestId": id});
        host.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}));
    }
    let cancelled = |it: &&Value| it["method"] == "notifications/cancelled";
    server.wait("cancellations", |state| state.heard.iter().filter(cancelled).count() == 4);
    host.is_deaf(false);
    assert_eq!(host.ask("tools/list", json!({}))["result"]["tools"][0]["name"], "work");
}
