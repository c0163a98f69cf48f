//! A host of each era before a server of each era.

use std::path::Path;

use mcp_authz_tests::model::{self, Settings};
use mcp_authz_tests::serve::{Served, embedded_revision};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::host::{Host, Start};
use crate::server::{Era, Server, State};

const META: &str = "io.modelcontextprotocol/";

fn capabilities() -> Value {
    json!({"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {"listChanged": true}})
}

fn before<'a>(server: &'a Server, store: &'a Path, more: &'a [&'a str]) -> Start<'a> {
    Start { url: &server.url, store, browser: Path::new("/nonexistent"), more }
}

/// What every host does, in whatever revision that begins with `initialize`.
fn script(era: Era, version: &str) {
    let server = Server::start(era);
    let store = tempfile::tempdir().unwrap();
    let mut host = Host::start(&before(&server, store.path(), &[]));

    let answer = host.initialize(version, capabilities());
    let result = &answer["result"];
    let name = if era == Era::Modern { "modern" } else { "legacy" };
    assert_eq!(result["serverInfo"]["name"], name, "{answer}");
    assert_eq!(
        (&result["protocolVersion"], &result["instructions"]),
        (&json!(version), &json!("be kind"))
    );
    assert_eq!(result["capabilities"]["tools"]["listChanged"], true);
    host.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));

    // The server hears of the host, and of nobody else.
    match era {
        Era::Legacy => {
            let heard = server.all("initialize").remove(0);
            assert_eq!(heard["params"]["capabilities"], capabilities());
            assert_eq!(heard["params"]["clientInfo"]["title"], "The host");
            assert_eq!(heard["params"]["protocolVersion"], version);
        }
        Era::Modern => {
            host.ask("x/any", json!({}));
            let heard = server.all("x/any").remove(0);
            let meta = |name: &str| heard["params"]["_meta"][format!("{META}{name}")].clone();
            assert_eq!(meta("clientCapabilities"), capabilities());
            assert_eq!(meta("clientInfo")["title"], "The host");
            assert_eq!(meta("protocolVersion"), "2026-07-28");
        }
    }

    let listed = host.ask("tools/list", json!({}));
    assert_eq!(listed["result"]["tools"][0]["name"], "work");
    assert_eq!(listed["result"]["unknown"], json!({"member": 1}), "unknown members stay");
    assert_eq!(listed["result"].get("resultType"), None);
    let said = host.ask("x/unknown", json!({"unknown": [1, {"a": null}], "text": "\u{e9}\n"}));
    assert_eq!(said["result"]["echo"]["unknown"], json!([1, {"a": null}]));
    assert_eq!(said["result"]["echo"]["text"], "\u{e9}\n");
    let refused = host.ask("prompts/list", json!({}));
    assert_eq!(refused["error"], json!({"code": -32601, "message": "no prompts"}), "as it is");

    // Progress comes under the host's own token.
    let id = host.send("tools/call", json!({"name": "work", "_meta": {"progressToken": "tok"}}));
    let progress = host.notified("notifications/progress");
    assert_eq!(progress["params"], json!({"progressToken": "tok", "progress": 1, "unknown": true}));
    assert_eq!(host.answer(&id)["result"]["content"][0]["text"], "done");

    // The server asks, in each way that there is.
    for (method, with, answer) in [
        (
            "sampling/createMessage",
            json!({"messages": [], "maxTokens": 7}),
            json!({"role": "assistant", "content": {"type": "text", "text": "hm"}, "model": "m"}),
        ),
        (
            "elicitation/create",
            json!({"mode": "form", "message": "who?", "requestedSchema": {}}),
            json!({"action": "accept", "content": {"name": "x"}}),
        ),
        (
            "elicitation/create",
            json!({"mode": "url", "message": "go", "url": "https://h/"}),
            json!({"action": "accept"}),
        ),
        ("roots/list", json!({}), json!({"roots": [{"uri": "file:///a"}]})),
    ] {
        let id = host.send(
            "tools/call",
            json!({"name": "work", "arguments": {"ask": method, "with": with}}),
        );
        let question = host.question(method);
        for (member, value) in with.as_object().unwrap() {
            assert_eq!(question["params"][member], *value, "{question}");
        }
        if with["mode"] == "url" && era == Era::Modern {
            assert!(question["params"]["elicitationId"].is_string(), "2025-11-25 has one");
        }
        host.say(&json!({"jsonrpc": "2.0", "id": question["id"], "result": answer}));
        let done = host.answer(&id);
        assert_eq!(done["result"]["told"]["result"], answer, "{done}");
        assert_eq!(done["result"]["arguments"]["ask"], method, "the call is what it was");
    }

    // A host that refuses: an error to a legacy server, a cancelled person to a modern one.
    let params = json!({"name": "work", "arguments": {"ask": "elicitation/create", "with": {}}});
    let id = host.send("tools/call", params);
    let question = host.question("elicitation/create");
    host.say(
        &json!({"jsonrpc": "2.0", "id": question["id"], "error": {"code": -1, "message": "no"}}),
    );
    let told = host.answer(&id)["result"]["told"].clone();
    match era {
        Era::Legacy => assert_eq!(told["error"]["code"], -1),
        Era::Modern => assert_eq!(told["result"], json!({"action": "cancel"})),
    }

    // A call that the host cancels is cancelled at the server, and never answered.
    let params =
        json!({"name": "work", "arguments": {"waits": true}, "_meta": {"progressToken": 5}});
    let id = host.send("tools/call", params);
    host.notified("notifications/progress");
    host.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    match era {
        Era::Modern => server.wait("the stream closes", |state| state.closed == 1),
        Era::Legacy => server.wait("a cancellation", |state| {
            let calls = state.heard.iter().rfind(|it| it["method"] == "tools/call").unwrap();
            state.heard.iter().any(|it| {
                it["method"] == "notifications/cancelled"
                    && it["params"]["requestId"] == calls["id"]
            })
        }),
    }

    // A question is withdrawn with the call that it was for.
    let params = json!({"name": "work", "arguments": {"ask": "roots/list", "with": {}}});
    let id = host.send("tools/call", params);
    let question = host.question("roots/list");
    host.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    assert_eq!(host.notified("notifications/cancelled")["params"]["requestId"], question["id"]);

    // Lists change, and resources, once they are subscribed to.
    let subscribed = host.ask("resources/subscribe", json!({"uri": "file:///a"}));
    assert!(subscribed.get("result").is_some(), "{subscribed}");
    match era {
        Era::Legacy => server.wait("a standing stream", |state| state.streams() > 0),
        Era::Modern => server.wait("a subscription", |state| {
            state.heard.iter().any(|it| {
                it["method"] == "subscriptions/listen"
                    && it["params"]["notifications"]
                        == json!({"toolsListChanged": true, "resourceSubscriptions": ["file:///a"]})
            })
        }),
    }
    // The one before it, if there was one, is closed by then or about to be.
    let subscriptions = |state: &State| {
        state.heard.iter().filter(|it| it["method"] == "subscriptions/listen").count().max(1)
    };
    server.wait("a stream", |state| state.streams() == subscriptions(state));
    server.push("notifications/tools/list_changed");
    let changed = host.notified("notifications/tools/list_changed");
    assert_eq!(changed["params"], json!({"n": 1}));

    // Log messages: a level is the session's, or goes on each request.
    let level = host.ask("logging/setLevel", json!({"level": "warning"}));
    assert!(level.get("result").is_some(), "{level}");
    match era {
        Era::Legacy => assert_eq!(server.all("logging/setLevel")[0]["params"]["level"], "warning"),
        Era::Modern => {
            host.ask("tools/call", json!({"name": "work"}));
            let call = server.all("tools/call").pop().unwrap();
            assert_eq!(call["params"]["_meta"][format!("{META}logLevel")], "warning");
        }
    }

    // It may have come on two subscriptions, of which one is taken up before the other ends.
    let mut rest = host.rest();
    rest.retain(|message| message["method"] != "notifications/tools/list_changed");
    assert!(rest.is_empty(), "nothing else is said: {rest:?}");
    let (status, rest, log) = host.close();
    assert_eq!((status, rest), (Some(0), Vec::new()), "{log}");
    assert_eq!(server.state().ended, usize::from(era == Era::Legacy), "the session is ended");
}

#[test]
fn a_host_of_2025_11_25_before_a_legacy_server() {
    script(Era::Legacy, "2025-11-25");
}

#[test]
fn a_host_of_2025_03_26_before_a_legacy_server() {
    script(Era::Legacy, "2025-03-26");
}

#[test]
fn a_host_of_2025_11_25_before_a_modern_server() {
    script(Era::Modern, "2025-11-25");
}

#[test]
fn a_host_of_2024_11_05_before_a_modern_server() {
    script(Era::Modern, "2024-11-05");
}

/// Parameters as every request of 2026-07-28 has them.
fn described(mut params: Value, version: &str) -> Value {
    params["_meta"][format!("{META}protocolVersion")] = json!(version);
    params["_meta"][format!("{META}clientCapabilities")] = json!({"roots": {}});
    params["_meta"][format!("{META}clientInfo")] = json!({"name": "new", "version": "1"});
    params
}

#[test]
fn a_modern_host_before_a_modern_server() {
    let server = Server::start(Era::Modern);
    let store = tempfile::tempdir().unwrap();
    let mut host = Host::start(&before(&server, store.path(), &[]));
    let modern = |params: Value| described(params, "2026-07-28");

    let found = host.ask("server/discover", modern(json!({})));
    assert_eq!(found["result"]["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(found["result"]["resultType"], "complete", "untouched");
    let refused = host.ask("tools/list", described(json!({}), "2031-01-01"));
    assert_eq!(refused["error"]["code"], -32022, "{refused}");
    assert_eq!(refused["error"]["data"]["supported"], json!(["2026-07-28"]));

    // Each request describes its client for itself.
    let mut other = modern(json!({"name": "work"}));
    other["_meta"][format!("{META}clientCapabilities")] = json!({"sampling": {}});
    host.ask("tools/call", other);
    let heard = server.all("tools/call").pop().unwrap();
    let meta = |name: &str| heard["params"]["_meta"][format!("{META}{name}")].clone();
    assert_eq!(meta("clientCapabilities"), json!({"sampling": {}}));
    assert_eq!(meta("clientInfo")["name"], "new");

    // The host answers input itself.
    let params = json!({"name": "work", "arguments": {"ask": "roots/list", "with": {}}});
    let first = host.ask("tools/call", modern(params.clone()));
    assert_eq!(first["result"]["resultType"], "input_required");
    let mut second = modern(params);
    second["requestState"] = first["result"]["requestState"].clone();
    second["inputResponses"] = json!({"it": {"roots": []}});
    let done = host.ask("tools/call", second);
    assert_eq!(done["result"]["told"]["result"], json!({"roots": []}), "{done}");

    // A subscription has the host's id, whatever the transport's is.
    let filter = json!({"notifications": {"toolsListChanged": true}});
    let id = host.send("subscriptions/listen", modern(filter));
    let mark = format!("{META}subscriptionId");
    let told = host.notified("notifications/subscriptions/acknowledged");
    assert_eq!(told["params"]["_meta"][&mark], id);
    server.wait("a stream", |state| state.streams() > 0);
    server.push("notifications/tools/list_changed");
    let told = host.notified("notifications/tools/list_changed");
    assert_eq!(told["params"]["_meta"][&mark], id);
    host.say(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    let (status, rest, log) = host.close();
    assert_eq!((status, rest), (Some(0), Vec::new()), "{log}");
}

#[test]
fn a_modern_host_before_a_legacy_server_learns_that_it_has_to_begin_otherwise() {
    let server = Server::start(Era::Legacy);
    let store = tempfile::tempdir().unwrap();
    let mut host = Host::start(&before(&server, store.path(), &[]));
    let answer = host.ask("server/discover", described(json!({}), "2026-07-28"));
    // No error by which a host would know a modern server: it must begin with initialize then.
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("begin with initialize"));
    let answer = host.initialize("2025-11-25", capabilities());
    assert_eq!(answer["result"]["serverInfo"]["name"], "legacy", "{answer}");
    assert_eq!(server.all("initialize").pop().unwrap()["params"]["capabilities"], capabilities());
    assert_eq!(host.ask("tools/list", json!({}))["result"]["tools"][0]["name"], "work");
}

#[test]
fn questions_on_the_standing_stream_are_answered_and_withdrawn_under_both_ids() {
    let server = Server::start(Era::Legacy);
    let store = tempfile::tempdir().unwrap();
    let mut host =
        Host::initialized(&before(&server, store.path(), &[]), "2025-11-25", capabilities());
    server.wait("a stream", |state| state.streams() > 0);
    server.put("same", "roots/list");
    let question = host.question("roots/list");
    assert_ne!(question["id"], "same");
    host.say(&json!({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": []}}));
    server.wait("the answer", |state| {
        state.heard.iter().any(|it| it["id"] == "same" && it["result"]["roots"] == json!([]))
    });
    // An answer to nothing is no message for the server.
    host.say(&json!({"jsonrpc": "2.0", "id": 4711, "result": {}}));
    let params = json!({"name": "work", "arguments": {"ask": "ping", "withdraws": true}});
    let id = host.send("tools/call", params);
    let question = host.question("ping");
    let told = host.notified("notifications/cancelled");
    assert_eq!(told["params"], json!({"requestId": question["id"], "reason": "never mind"}));
    host.answer(&id);
    assert!(server.state().heard.iter().all(|it| it["id"] != 4711));
    // What the host notifies is passed on, but for what the connection says itself.
    host.say(&json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}));
    server.wait("roots", |state| {
        state.heard.iter().any(|it| it["method"] == "notifications/roots/list_changed")
    });
    assert_eq!(server.all("notifications/initialized").len(), 1);
}

/// A host before a server of the model that wants no login.
fn before_model(adjust: impl FnOnce(&mut Settings)) -> (Served, TempDir, Host) {
    let served = embedded_revision("2025-11-25", |settings| {
        settings.gate.open = true;
        adjust(settings);
    });
    let (served, store) = (served.unwrap(), tempfile::tempdir().unwrap());
    let start = Start {
        url: served.mcp_url(),
        store: store.path(),
        browser: Path::new("/nonexistent"),
        more: &[],
    };
    let host = Host::initialized(&start, "2024-11-05", json!({}));
    (served, store, host)
}

#[test]
fn a_host_of_2024_11_05_before_a_server_of_http_sse() {
    let (served, _store, mut host) =
        before_model(|settings| settings.mcp.era = model::Era::HttpSse);
    let echo = json!({"name": "echo", "arguments": {"text": "hi"}});
    assert_eq!(host.ask("tools/call", echo.clone())["result"]["content"][0]["text"], "hi");
    let counted = host.ask("tools/call", json!({"name": "count", "arguments": {"upto": 3}}));
    assert_eq!(counted["result"]["content"][0]["text"], "done");
    for _ in 0..3 {
        host.notified("notifications/progress");
    }
    let changed = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
    served.lock().push(&changed);
    host.notified("notifications/tools/list_changed");
    // The server is gone for a moment, and its streams with it.
    served.lock().break_streams(true);
    let mut back = host.ask("tools/call", echo.clone());
    for _ in 0..20 {
        if back.get("result").is_some() {
            break;
        }
        back = host.ask("tools/call", echo.clone());
    }
    assert_eq!(back["result"]["content"][0]["text"], "hi", "{back}");
}

#[test]
fn a_stream_that_breaks_again_and_again_loses_the_host_nothing_trans_23() {
    let (_served, _store, mut host) = before_model(|settings| {
        settings.mcp.answers = model::AnswerForm::EventStream;
        settings.mcp.get_stream = true;
        settings.mcp.priming = true;
        settings.mcp.retry_ms = Some(1);
        settings.mcp.cut_every = Some(2);
    });
    let id = host.send("tools/call", json!({"name": "count", "arguments": {"upto": 9}}));
    for number in 0..9 {
        assert_eq!(host.notified("notifications/progress")["params"]["progress"], number);
    }
    assert_eq!(host.answer(&id)["result"]["content"][0]["text"], "done");
}
