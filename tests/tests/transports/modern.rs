//! What only the revision 2026-07-28 has.

use mcp_authz_tests::model::{AnswerForm, Cut};
use serde_json::{Value, json};

use crate::faces::Make;
use crate::world::{World, counted, counting, echo, echoing, header, method_of, settings};

fn tool(name: &str, annotation: &str, kind: &str) -> Value {
    json!({"name": name, "inputSchema": {"type": "object", "properties": {
        "region": {"type": kind, "x-mcp-header": annotation},
    }}})
}

pub(crate) fn annotated_arguments_are_headers_trans_13_trans_14(make: Make) {
    let world = World::revision("2026-07-28", |at| {
        at.mcp.more_tools = vec![tool("query", "Region", "string")];
    });
    let face = world.connected(make);
    let call = |region: Value| {
        let params = json!({"name": "query", "arguments": {"region": region}});
        face.call("tools/call", params).unwrap()
    };
    let last = || {
        let seen = world.let_in().pop().unwrap();
        header(&seen, "mcp-param-region").map(str::to_owned)
    };
    // Nothing is known of the tool yet: the server says so, and the list is read.
    call(json!("eu"));
    assert_eq!((world.asked("tools/list"), world.asked("tools/call")), (1, 2));
    assert_eq!(last().as_deref(), Some("eu"));
    call(json!("Zürich"));
    assert_eq!(last().as_deref(), Some("=?base64?WsO8cmljaA==?="));
    call(Value::Null);
    assert_eq!(last(), None);
    assert_eq!(world.asked("tools/list"), 1, "it is known now");
    // The tool changes.
    world.lock().set(|at| at.mcp.more_tools = vec![tool("query", "Zone", "string")]);
    call(json!("eu"));
    assert_eq!((last(), world.asked("tools/list")), (None, 2));
    let seen = world.let_in().pop().unwrap();
    assert_eq!(header(&seen, "mcp-param-zone"), Some("eu"));
    // A server that is never content is asked twice and no more.
    world.lock().set(|at| at.mcp.more_tools = vec![tool("query", "bad name", "string")]);
    let before = world.asked("tools/call");
    let params = json!({"name": "query", "arguments": {"region": "eu"}});
    let error = face.call("tools/call", params).unwrap_err();
    assert_eq!((error.code(), world.asked("tools/call") - before), ("mcp_error", 2));
}

pub(crate) fn a_tool_with_invalid_annotations_is_not_listed_trans_13(make: Make) {
    let world = World::revision("2026-07-28", |at| {
        at.mcp.more_tools = vec![tool("good", "Region", "string"), tool("bad", "Region", "number")];
    });
    let face = world.connected(make);
    let list = face.call("tools/list", json!({})).unwrap();
    let named =
        |name: &str| list["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == name);
    assert!(named("good") && named("echo") && !named("bad"));
    let dropped = face.dropped_tools();
    assert_eq!(dropped.len(), 1);
    assert_eq!(dropped[0].name, "bad");
    assert!(!dropped[0].reason.is_empty());
}

pub(crate) fn ten_thousand_events_in_one_answer(make: Make) {
    let world = World::revision("2026-07-28", |at| at.mcp.chunk_bytes = Some(61));
    let face = world.connected(make);
    let messages = face.request("tools/call", counting(10_000)).map(Result::unwrap);
    counted(messages, 10_000);
}

pub(crate) fn a_broken_stream_loses_its_request_trans_17(make: Make) {
    let world = World::revision("2026-07-28", |at| {
        at.mcp.answers = AnswerForm::EventStream;
        at.mcp.get_stream = true;
    });
    let face = world.session(make).connect(settings().repeat_reads(true)).unwrap();
    for cut in [Cut::InsideEvent, Cut::BeforeAnswer, Cut::EndBeforeAnswer] {
        world.lock().set(|at| at.mcp.cut = cut);
        let before = world.let_in().len();
        let error = face.call("tools/call", echoing("x")).unwrap_err();
        assert_eq!((error.code(), error.maybe_executed()), ("mcp_lost", true), "{cut:?}");
        assert_eq!(world.let_in().len() - before, 1, "it is neither resumed nor repeated");
        world.lock().set(|at| at.mcp.cut = Cut::Never);
        echo(&*face, "the next one is well");
    }
}

pub(crate) fn a_lost_list_is_asked_for_again_under_a_fresh_id_trans_17(make: Make) {
    for repeat in [true, false] {
        let world = World::revision("2026-07-28", |at| at.mcp.answers = AnswerForm::EventStream);
        let face = world.session(make).connect(settings().repeat_reads(repeat)).unwrap();
        world.lock().set(|at| {
            at.mcp.cut = Cut::InsideEvent;
            at.mcp.cuts = 1;
        });
        let list = face.call("tools/list", json!({}));
        assert_eq!(list.is_ok(), repeat);
        let ids: Vec<Value> = world
            .let_in()
            .into_iter()
            .filter(|seen| method_of(seen) == Some("tools/list"))
            .map(|seen| seen.json.unwrap()["id"].clone())
            .collect();
        assert_eq!(ids.len(), 1 + usize::from(repeat));
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
    }
}

pub(crate) fn no_response_is_sent_trans_03(make: Make) {
    let world = World::revision("2026-07-28", |_| {});
    let face = world.connected(make);
    let error = face.respond(&json!(1), Ok(json!({}))).unwrap_err();
    assert_eq!(error.code(), "mcp_unsupported");
    assert_eq!(world.let_in().len(), 1, "the greeting");
    let error = face.call("tools/list", json!([1])).unwrap_err();
    assert_eq!(error.code(), "config_invalid");
}
