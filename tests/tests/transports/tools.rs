//! Tools as a program uses them: the list of all pages, and a call with a typed result.

use std::sync::Arc;

use mcp_authz_tests::model::{Endpoint, Literal};
use serde_json::{Value, json};

use crate::faces::{Face, Make};
use crate::world::{World, method_of};

/// A connection that has made two requests, so that the next one is the third.
fn connected(world: &World, make: Make) -> Arc<dyn Face> {
    let face = world.connected(make);
    // `server/discover` was 1, `initialize` 2.
    assert_eq!(face.protocol_version(), "2025-11-25");
    face
}

/// The server answers the request of this number so.
fn answers(world: &World, id: u64, result: &Value) {
    let answer = json!({ "jsonrpc": "2.0", "id": id, "result": result });
    world.lock().inject(Endpoint::Mcp, 1, Literal::json(200, &answer.to_string()));
}

pub(crate) fn tools_of_all_pages_are_listed(make: Make) {
    let world = World::revision("2025-11-25", |_| {});
    let face = connected(&world, make);
    let echo = json!({
        "name": "echo", "title": "Echo", "description": "Says it again.",
        "inputSchema": { "type": "object" }, "_meta": { "vendor": 1 },
    });
    answers(&world, 3, &json!({ "tools": [echo, { "title": "no name" }], "nextCursor": "p2" }));
    answers(&world, 4, &json!({ "tools": [], "nextCursor": "" }));
    answers(&world, 5, &json!({ "tools": [{ "name": "add" }] }));
    let tools = face.list_tools().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["echo", "add"], "an empty cursor is one, too");
    assert_eq!(tools[0].title.as_deref(), Some("Echo"));
    assert_eq!(tools[0].description.as_deref(), Some("Says it again."));
    assert_eq!(tools[0].input_schema, json!({ "type": "object" }));
    assert_eq!(tools[0].raw, echo);
    assert_eq!(tools[1].input_schema, Value::Null);
    let seen = world.let_in();
    let lists = seen.iter().filter(|seen| method_of(seen) == Some("tools/list"));
    let asked: Vec<_> =
        lists.map(|seen| seen.json.as_ref().unwrap()["params"]["cursor"].clone()).collect();
    assert_eq!(asked, [Value::Null, json!("p2"), json!("")]);
}

pub(crate) fn a_list_that_never_ends_is_refused(make: Make) {
    let world = World::revision("2025-11-25", |_| {});
    let face = connected(&world, make);
    answers(&world, 3, &json!({ "tools": [{ "name": "a" }], "nextCursor": "again" }));
    answers(&world, 4, &json!({ "tools": [{ "name": "b" }], "nextCursor": "again" }));
    assert_eq!(face.list_tools().unwrap_err().code(), "mcp_malformed");
    answers(&world, 5, &json!({ "tools": "none" }));
    assert_eq!(face.list_tools().unwrap_err().code(), "mcp_malformed");
    let many: Vec<_> = (0..2_000).map(|n| json!({ "name": format!("t{n}") })).collect();
    for id in 6..=11 {
        answers(&world, id, &json!({ "tools": many, "nextCursor": format!("p{id}") }));
    }
    assert_eq!(face.list_tools().unwrap_err().code(), "mcp_malformed");
}

pub(crate) fn a_tool_is_called_by_name(make: Make) {
    let world = World::revision("2025-11-25", |_| {});
    let face = connected(&world, make);
    let said = face.call_tool("echo", json!({ "text": "hello" })).unwrap();
    assert!(!said.is_error);
    assert!(said.text().contains("hello"), "{said:?}");
    let content = json!([
        { "type": "text", "text": "one" },
        { "type": "image", "data": "AA==", "mimeType": "image/png" },
        { "type": "text", "text": "two" },
    ]);
    let result = json!({ "content": content, "structuredContent": { "n": 2 }, "isError": true });
    answers(&world, 4, &result);
    let failed = face.call_tool("echo", Value::Null).unwrap();
    assert!(failed.is_error);
    assert_eq!(
        (failed.text().as_str(), &failed.structured),
        ("one\ntwo", &Some(json!({ "n": 2 })))
    );
    assert_eq!(failed.raw, result);
    let asked = world.let_in().len();
    let invalid = face.call_tool("echo", json!([1])).unwrap_err();
    assert_eq!(invalid.code(), "config_invalid");
    assert_eq!(world.let_in().len(), asked, "nothing is sent");
    answers(&world, 5, &json!({}));
    let empty = face.call_tool("echo", json!({})).unwrap();
    assert_eq!((empty.is_error, empty.text().as_str(), empty.structured), (false, "", None));
}
