//! Sessions that are lost, servers that are gone, and tools that are left out.

use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::host::{Host, Start};
use crate::server::{Era, Server};

fn before<'a>(url: &'a str, store: &'a Path, more: &'a [&'a str]) -> Start<'a> {
    Start { url, store, browser: Path::new("/nonexistent"), more }
}

#[test]
fn a_call_that_was_out_when_its_session_was_lost_fails_and_is_not_sent_again_host_254() {
    let server = Server::start(Era::Legacy);
    let store = tempfile::tempdir().unwrap();
    let mut host =
        Host::initialized(&before(&server.url, store.path(), &[]), "2025-11-25", json!({}));
    let lost = host.ask("tools/call", json!({"name": "work", "arguments": {"loses": true}}));
    let error = &lost["error"];
    assert_eq!(error["data"]["code"], "mcp_session_lost", "{lost}");
    assert_eq!((&error["data"]["maybeExecuted"], &error["code"]), (&json!(true), &json!(-32010)));
    assert_eq!(server.all("tools/call").len(), 1);
    // The next call begins another session, for the same host.
    assert_eq!(host.ask("tools/list", json!({}))["result"]["tools"][0]["name"], "work");
    assert_eq!((server.all("tools/call").len(), server.all("initialize").len()), (1, 2));
    assert_eq!(server.all("initialize")[1]["params"]["clientInfo"]["title"], "The host");
}

#[test]
fn a_new_session_has_the_log_level_and_the_subscriptions_of_the_one_before() {
    let server = Server::start(Era::Legacy);
    let store = tempfile::tempdir().unwrap();
    let mut host =
        Host::initialized(&before(&server.url, store.path(), &[]), "2025-11-25", json!({}));
    server.wait("a stream", |state| state.streams() == 1);
    host.ask("logging/setLevel", json!({"level": "error"}));
    host.ask("resources/subscribe", json!({"uri": "file:///a"}));
    host.ask("resources/subscribe", json!({"uri": "file:///b"}));
    host.ask("resources/unsubscribe", json!({"uri": "file:///a"}));
    server.forget();
    assert_eq!(host.ask("tools/list", json!({}))["result"]["tools"][0]["name"], "work");
    assert_eq!(server.all("logging/setLevel").len(), 2);
    let uris: Vec<Value> = server
        .all("resources/subscribe")
        .iter()
        .map(|subscribed| subscribed["params"]["uri"].clone())
        .collect();
    assert_eq!(uris, ["file:///a", "file:///b", "file:///b"]);
    // The lists may be others now; and the server's own messages come again.
    host.notified("notifications/tools/list_changed");
    server.wait("a stream", |state| state.streams() == 1);
    server.push("notifications/resources/updated");
    host.notified("notifications/resources/updated");
}

#[test]
fn a_server_that_is_not_there_is_named_and_found_when_it_is() {
    let store = tempfile::tempdir().unwrap();
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/mcp");
    let mut host = Host::start(&before(&url, store.path(), &[]));
    let error = host.initialize("2025-11-25", json!({}))["error"].clone();
    assert_eq!(error["data"]["code"], "mcp_lost", "{error}");
    assert_eq!(
        (&error["data"]["remedy"], &error["data"]["server"]),
        (&json!("retry"), &json!(url))
    );
    assert_eq!(host.ask("ping", json!({}))["result"], json!({}));
}

#[test]
fn a_server_that_says_nothing_is_named_in_time() {
    let store = tempfile::tempdir().unwrap();
    // It takes connections and never answers.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/mcp", silent.local_addr().unwrap());
    let mut host = Host::start(&before(&url, store.path(), &[]));
    let error = host.initialize("2025-11-25", json!({}))["error"].clone();
    assert_eq!(error["data"]["code"], "no_answer", "{error}");
    assert!(error["message"].as_str().unwrap().contains(&url), "{error}");
    let (status, rest, log) = host.close();
    assert_eq!((status, rest), (Some(0), Vec::new()), "{log}");
}

#[test]
fn ignored_tools_are_on_no_list_and_are_not_called() {
    let server = Server::start(Era::Legacy);
    let store = tempfile::tempdir().unwrap();
    let more = ["--ignore-tool", "DELETE*", "--ignore-tool", "none"];
    let mut host =
        Host::initialized(&before(&server.url, store.path(), &more), "2025-11-25", json!({}));
    let listed = host.ask("tools/list", json!({}));
    let names: Vec<&Value> =
        listed["result"]["tools"].as_array().unwrap().iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["work"]);
    let refused = host.ask("tools/call", json!({"name": "delete_all"}));
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    assert!(server.all("tools/call").is_empty());
}

#[test]
fn a_header_of_the_persons_is_on_every_request() {
    let server = Server::start(Era::Legacy);
    let store = tempfile::tempdir().unwrap();
    let more = ["--header", "X-Key:${BRIDGE_KEY}", "--header", "X-Tenant: a b"];
    let mut host =
        Host::initialized(&before(&server.url, store.path(), &more), "2025-11-25", json!({}));
    server.wait("a stream", |state| state.streams() == 1);
    host.ask("tools/list", json!({}));
    drop(host.close());
    for headers in &server.state().headers {
        assert_eq!((&*headers["x-key"], &*headers["x-tenant"]), ("c4n4ry key", "a b"));
    }
    assert_eq!(server.state().ended, 1, "the farewell has it, too");
}
