use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ORIGIN};
use serde_json::json;

use super::*;

const URL: &str = "https://mcp.example/mcp";

fn http(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Vec<u8>> {
    let builder =
        headers.iter().fold(Response::builder().status(status), |builder, (name, value)| {
            builder.header(*name, *value)
        });
    builder.body(body.as_bytes().to_vec()).unwrap()
}

fn typed(status: u16, body: &Value) -> Response<Vec<u8>> {
    http(status, &[("content-type", "application/json")], &body.to_string())
}

fn result(id: Option<u64>, result: Value) -> Response<Vec<u8>> {
    typed(200, &json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn error(status: u16, code: i64, data: Value) -> Response<Vec<u8>> {
    typed(
        status,
        &json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": "no", "data": data}}),
    )
}

fn list() -> Ask {
    Ask::Tools { cursor: None }
}

/// A legacy connection that is open, with or without a session.
fn legacy(version: &str, session: Option<&str>) -> Mcp {
    let mut mcp = Mcp::new(URL, Hint::Legacy, None);
    let id = mcp.request(&Ask::Initialize).unwrap().id;
    let mut answer = result(id, json!({"protocolVersion": version}));
    answer.headers_mut().extend(session.map(|id| (SESSION, HeaderValue::from_str(id).unwrap())));
    assert_eq!(mcp.read(&Ask::Initialize, id, &answer), Heard::Moved);
    assert_eq!(mcp.opening(), Some(Ask::Initialized));
    assert_eq!(mcp.read(&Ask::Initialized, None, &http(202, &[], "")), Heard::Moved);
    mcp
}

fn body(out: &Outgoing) -> Value {
    serde_json::from_slice(out.request.body()).unwrap()
}

fn fault(heard: Heard) -> Fault {
    match heard {
        Heard::Fault(fault) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_message_is_a_post_that_accepts_both_forms_trans_01_trans_02_trans_03_trans_34() {
    for mut mcp in [Mcp::new(URL, Hint::Modern, None), legacy("2025-11-25", Some("s"))] {
        for ask in [list(), Ask::Call { tool: "whoami".to_owned() }] {
            let out = mcp.request(&ask).unwrap();
            let headers = out.request.headers();
            assert_eq!(out.request.method(), Method::POST);
            assert_eq!(out.request.uri(), URL);
            assert_eq!(headers[ACCEPT], "application/json, text/event-stream");
            assert_eq!(headers[CONTENT_TYPE], "application/json");
            assert!(!headers.contains_key(ORIGIN) && !headers.contains_key(AUTHORIZATION));
            assert_eq!(body(&out)["jsonrpc"], "2.0");
            assert_eq!(body(&out)["method"], ask.method());
            assert_eq!(body(&out)["id"].as_u64(), out.id);
        }
    }
}

#[test]
fn modern_headers_say_what_the_body_says_trans_10_trans_11_trans_12_trans_15_trans_16() {
    let mut mcp = Mcp::new(URL, Hint::Modern, None);
    for (ask, name) in [
        (Ask::Discover, None),
        (list(), None),
        (Ask::Call { tool: "whoami".to_owned() }, Some("whoami")),
        (Ask::Call { tool: " padded ".to_owned() }, Some("=?base64?IHBhZGRlZCA=?=")),
    ] {
        let out = mcp.request(&ask).unwrap();
        let (headers, body) = (out.request.headers(), body(&out));
        let meta = &body["params"]["_meta"];
        assert_eq!(headers["mcp-protocol-version"], "2026-07-28");
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
        assert!(meta["io.modelcontextprotocol/clientCapabilities"].is_object());
        assert!(meta["io.modelcontextprotocol/clientInfo"]["name"].is_string());
        assert_eq!(headers["mcp-method"], body["method"].as_str().unwrap());
        assert_eq!(headers.get("mcp-name").map(|value| value.to_str().unwrap()), name);
        let mut answer = result(out.id, json!({"tools": []}));
        answer.headers_mut().insert(SESSION, HeaderValue::from_static("ignored"));
        let _ = mcp.read(&ask, out.id, &answer);
        assert!(
            !mcp.in_session()
                && !mcp.request(&list()).unwrap().request.headers().contains_key(SESSION)
        );
    }
}

#[test]
fn the_negotiated_version_is_named_after_initialize_trans_08() {
    let first = Mcp::new(URL, Hint::Legacy, None).request(&Ask::Initialize).unwrap();
    assert!(!first.request.headers().contains_key("mcp-protocol-version"));
    assert_eq!(body(&first)["params"]["protocolVersion"], "2025-11-25");
    for (version, header) in [
        ("2025-11-25", Some("2025-11-25")),
        ("2025-06-18", Some("2025-06-18")),
        ("2025-03-26", None),
        ("2024-11-05", None),
    ] {
        let mut mcp = legacy(version, None);
        for ask in [Ask::Initialized, list(), Ask::Bye] {
            let out = mcp.request(&ask).unwrap();
            let sent = out.request.headers().get("mcp-protocol-version");
            assert_eq!(sent.map(|value| value.to_str().unwrap()), header, "{version} {ask:?}");
            assert!(!out.request.headers().contains_key("mcp-method"));
        }
    }
}

#[test]
fn the_era_is_what_the_answer_to_the_first_request_says_trans_27_trans_28() {
    let html = |status| http(status, &[("content-type", "text/html")], "<p>no</p>");
    let supported = |list: &[&str]| json!({"supported": list});
    for (answer, era, opening) in [
        (result(Some(1), json!({"supportedVersions": ["2026-07-28"]})), "modern", None),
        (result(Some(1), json!({})), "modern", None),
        (
            result(Some(1), json!({"supportedVersions": ["2025-06-18"]})),
            "legacy",
            Some(Ask::Initialize),
        ),
        (error(400, -32020, Value::Null), "modern", None),
        (error(400, -32021, Value::Null), "modern", None),
        (
            error(400, -32022, supported(&["2025-06-18", "2025-11-25"])),
            "legacy",
            Some(Ask::Initialize),
        ),
        (error(404, -32601, Value::Null), "modern", None),
        (error(200, -32601, Value::Null), "legacy", Some(Ask::Initialize)),
        (error(400, -32000, Value::Null), "legacy", Some(Ask::Initialize)),
        (error(400, -32600, Value::Null), "legacy", Some(Ask::Initialize)),
        (html(400), "legacy", Some(Ask::Initialize)),
        (html(404), "legacy", Some(Ask::Initialize)),
        (http(405, &[], ""), "legacy", Some(Ask::Initialize)),
        (http(400, &[], ""), "legacy", Some(Ask::Initialize)),
        (html(200), "legacy", Some(Ask::Initialize)),
    ] {
        let mut mcp = Mcp::new(URL, Hint::Auto, None);
        assert_eq!(mcp.opening(), Some(Ask::Discover));
        let out = mcp.request(&Ask::Discover).unwrap();
        let mut answer = answer;
        if let Ok(mut body) = serde_json::from_slice::<Value>(answer.body())
            && body["id"].is_null()
            && answer.status() == StatusCode::OK
        {
            body["id"] = json!(out.id);
            *answer.body_mut() = body.to_string().into_bytes();
        }
        assert_eq!(mcp.read(&Ask::Discover, out.id, &answer), Heard::Moved, "{answer:?}");
        assert_eq!((mcp.era(), mcp.opening()), (era, opening), "{answer:?}");
    }
}

#[test]
fn a_refusal_never_decides_the_era_disc_18() {
    let challenge = ("www-authenticate", "Bearer error=\"invalid_request\"");
    for answer in [
        http(401, &[], ""),
        http(403, &[], ""),
        http(400, &[challenge], ""),
        error(401, -32022, json!([])),
    ] {
        let mut mcp = Mcp::new(URL, Hint::Auto, None);
        let id = mcp.request(&Ask::Discover).unwrap().id;
        assert_eq!(mcp.read(&Ask::Discover, id, &answer), Heard::Refused);
        assert_eq!(mcp.opening(), Some(Ask::Discover));
    }
}

#[test]
fn versions_that_nobody_shares_end_it_trans_09() {
    for data in
        [json!({"supported": ["1999-01-01"]}), json!({"supported": ["2026-07-28"]}), Value::Null]
    {
        let mut mcp = Mcp::new(URL, Hint::Modern, None);
        let id = mcp.request(&list()).unwrap().id;
        assert_eq!(fault(mcp.read(&list(), id, &error(400, -32022, data))).code, "mcp_version");
    }
    let mut mcp = Mcp::new(URL, Hint::Legacy, None);
    let id = mcp.request(&Ask::Initialize).unwrap().id;
    let answer = result(id, json!({"protocolVersion": "1999-01-01"}));
    assert_eq!(fault(mcp.read(&Ask::Initialize, id, &answer)).code, "mcp_version");
}

#[test]
fn a_version_named_by_the_server_is_taken_up_once() {
    let mut mcp = Mcp::new(URL, Hint::Legacy, Some("2025-11-25"));
    let refusal = |id: Option<u64>, version: &str| {
        let error = json!({"code": -32602, "message": "version", "data": {"supported": [version]}});
        typed(200, &json!({"jsonrpc": "2.0", "id": id, "error": error}))
    };
    let id = mcp.request(&Ask::Initialize).unwrap().id;
    assert_eq!(mcp.read(&Ask::Initialize, id, &refusal(id, "2025-03-26")), Heard::Moved);
    let again = mcp.request(&Ask::Initialize).unwrap();
    assert_eq!(body(&again)["params"]["protocolVersion"], "2025-03-26");
    assert_eq!(
        fault(mcp.read(&Ask::Initialize, again.id, &refusal(again.id, "2025-06-18"))).code,
        "mcp_version"
    );
}

#[test]
fn a_version_to_begin_with_decides_the_era() {
    for (hint, version, era, opening) in [
        (Hint::Auto, "2026-07-28", "modern", None),
        (Hint::Auto, "2025-06-18", "legacy", Some(Ask::Initialize)),
        (Hint::Modern, "2027-01-01", "modern", None),
        (Hint::Legacy, "2025-03-26", "legacy", Some(Ask::Initialize)),
    ] {
        let mcp = Mcp::new(URL, hint, Some(version));
        assert_eq!((mcp.era(), mcp.opening(), mcp.version()), (era, opening, version));
    }
}

#[test]
fn session_ids_go_with_every_later_request_trans_18_trans_26() {
    let mut mcp = legacy("2025-06-18", Some("a~!1"));
    for ask in [Ask::Initialized, list(), Ask::Bye] {
        let out = mcp.request(&ask).unwrap();
        assert_eq!(out.request.headers()[SESSION], "a~!1");
        assert!(out.request.headers()[SESSION].is_sensitive());
    }
    for bad in ["a b", "", "a\u{fc}"] {
        let mut mcp = Mcp::new(URL, Hint::Legacy, None);
        let id = mcp.request(&Ask::Initialize).unwrap().id;
        let mut answer = result(id, json!({"protocolVersion": "2025-06-18"}));
        answer.headers_mut().insert(SESSION, HeaderValue::from_bytes(bad.as_bytes()).unwrap());
        assert_eq!(fault(mcp.read(&Ask::Initialize, id, &answer)).rule, "TRANS-18", "{bad:?}");
    }
}

#[test]
fn a_lost_session_begins_anew_a_few_times_trans_19() {
    let mut mcp = legacy("2025-06-18", Some("old"));
    for _ in 0..2 {
        let id = mcp.request(&list()).unwrap().id;
        assert_eq!(mcp.read(&list(), id, &http(404, &[], "")), Heard::SessionLost);
        let out = mcp.request(&Ask::Initialize).unwrap();
        assert!(!out.request.headers().contains_key(SESSION));
        let mut answer = result(out.id, json!({"protocolVersion": "2025-06-18"}));
        answer.headers_mut().insert(SESSION, HeaderValue::from_static("new"));
        assert_eq!(mcp.read(&Ask::Initialize, out.id, &answer), Heard::Moved);
    }
    let id = mcp.request(&list()).unwrap().id;
    assert_eq!(fault(mcp.read(&list(), id, &http(404, &[], ""))).rule, "TRANS-19");
    // Without a session a 404 is just that.
    let mut mcp = legacy("2025-06-18", None);
    let id = mcp.request(&list()).unwrap().id;
    assert_eq!(fault(mcp.read(&list(), id, &http(404, &[], ""))).code, "mcp_status");
}

#[test]
fn a_session_is_lost_in_other_words_trans_90() {
    let lost = || error(400, -32001, Value::Null);
    let answers: [(fn() -> Response<Vec<u8>>, bool); 8] = [
        (|| http(410, &[], ""), true),
        (|| http(400, &[], "No valid session ID provided"), true),
        (|| error(400, -32001, Value::Null), true),
        (|| error(422, -32001, Value::Null), true),
        (|| error(400, -32000, Value::Null), false),
        (|| error(408, -32001, Value::Null), false),
        (|| error(429, -32001, Value::Null), false),
        (|| http(409, &[], "busy"), false),
    ];
    for (answer, means_it) in answers {
        let mut mcp = legacy("2025-06-18", Some("old"));
        let id = mcp.request(&list()).unwrap().id;
        let heard = mcp.read(&list(), id, &answer());
        assert_eq!(heard == Heard::SessionLost, means_it, "{:?}", answer());
    }
    // A bare 400 may mean the request: one new session, and no more.
    let mut mcp = legacy("2025-06-18", Some("old"));
    for (round, answer) in [http(400, &[], "no"), http(400, &[], "no"), lost()].iter().enumerate() {
        let id = mcp.request(&list()).unwrap().id;
        let heard = mcp.read(&list(), id, answer);
        assert_eq!(heard == Heard::SessionLost, round != 1, "{round}");
        if round == 0 {
            let id = mcp.request(&Ask::Initialize).unwrap().id;
            let mut answer = result(id, json!({ "protocolVersion": "2025-06-18" }));
            answer.headers_mut().insert(SESSION, HeaderValue::from_static("new"));
            mcp.read(&Ask::Initialize, id, &answer);
        }
    }
}

#[test]
fn protocol_errors_are_no_refusals_trans_20() {
    let mut mcp = legacy("2025-06-18", Some("s"));
    let id = mcp.request(&list()).unwrap().id;
    assert_eq!(fault(mcp.read(&list(), id, &error(400, -32000, Value::Null))).code, "mcp_error");
    let mut mcp = legacy("2025-06-18", None);
    let id = mcp.request(&list()).unwrap().id;
    assert_eq!(fault(mcp.read(&list(), id, &http(400, &[], "Bad Request"))).code, "mcp_status");
}

#[test]
fn notifications_are_accepted_with_or_without_a_body_trans_05() {
    for status in [200, 202, 204] {
        let mut mcp = Mcp { stage: Stage::Notify, ..legacy("2025-06-18", None) };
        let out = mcp.request(&Ask::Initialized).unwrap();
        assert!(out.id.is_none() && body(&out).get("id").is_none());
        assert_eq!(mcp.read(&Ask::Initialized, None, &http(status, &[], "")), Heard::Moved);
        assert_eq!(mcp.opening(), None);
    }
}

#[test]
fn the_end_of_a_session_is_a_delete_whatever_it_is_answered_trans_21() {
    for status in [200, 204, 401, 404, 405] {
        let mut mcp = legacy("2025-06-18", Some("s"));
        let out = mcp.request(&Ask::Bye).unwrap();
        assert_eq!((out.request.method(), out.id), (&Method::DELETE, None));
        assert!(out.request.body().is_empty());
        assert_eq!(mcp.read(&Ask::Bye, None, &http(status, &[], "")), Heard::Ended);
        assert!(!mcp.in_session());
    }
}

#[test]
fn tools_and_their_pages_are_read() {
    let mut mcp = Mcp::new(URL, Hint::Modern, None);
    let id = mcp.request(&list()).unwrap().id;
    let answer = json!({"nextCursor": "p2", "tools": [
        {"name": "plain", "inputSchema": {"type": "object"}},
        {"name": "full", "inputSchema": {"required": ["text"]}},
        {"title": "nameless"}, 7,
    ]});
    let tools = vec![
        Tool { name: "plain".to_owned(), plain: true },
        Tool { name: "full".to_owned(), plain: false },
    ];
    assert_eq!(
        mcp.read(&list(), id, &result(id, answer)),
        Heard::Tools { tools, next: Some("p2".to_owned()) }
    );
    let next = mcp.request(&Ask::Tools { cursor: Some("p2".to_owned()) }).unwrap();
    assert_eq!(body(&next)["params"]["cursor"], "p2");
    for bad in [json!({}), json!({"tools": {}}), json!(null), json!([])] {
        let id = mcp.request(&list()).unwrap().id;
        assert_eq!(fault(mcp.read(&list(), id, &result(id, bad))).code, "mcp_malformed");
    }
}

#[test]
fn results_of_tools_are_read() {
    let call = Ask::Call { tool: "t".to_owned() };
    let content =
        json!([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]);
    for (answer, error, text) in [
        (json!({"content": content}), false, "a b"),
        (json!({"content": [], "isError": true}), true, ""),
        (json!({"resultType": "complete"}), false, ""),
        (
            json!({"resultType": "input_required"}),
            true,
            "the tool wants input that this program does not give",
        ),
    ] {
        let mut mcp = Mcp::new(URL, Hint::Modern, None);
        let id = mcp.request(&call).unwrap().id;
        let heard = Heard::Called { error, text: text.to_owned() };
        assert_eq!(mcp.read(&call, id, &result(id, answer)), heard);
    }
}

#[test]
fn answers_that_are_none_say_what_to_do() {
    for (answer, code, remedy) in [
        (http(302, &[("location", "https://evil.example/")], ""), "redirect_refused", "configure"),
        (http(503, &[], "{}"), "transient", "retry"),
        (http(429, &[], ""), "transient", "retry"),
        (error(503, -32000, Value::Null), "transient", "retry"),
        (http(418, &[], ""), "mcp_status", "report"),
        (http(200, &[("content-type", "text/html")], "<p>"), "mcp_malformed", "report"),
        (http(200, &[("content-type", "application/json")], "{"), "mcp_malformed", "report"),
    ] {
        let mut mcp = Mcp::new(URL, Hint::Modern, None);
        let id = mcp.request(&list()).unwrap().id;
        let fault = fault(mcp.read(&list(), id, &answer));
        assert_eq!((fault.code, fault.remedy.name()), (code, remedy), "{answer:?}");
    }
    let mut mcp = Mcp::new(URL, Hint::Legacy, None);
    let id = mcp.request(&Ask::Initialize).unwrap().id;
    assert_eq!(fault(mcp.read(&Ask::Initialize, id, &http(405, &[], ""))).rule, "TRANS-30");
}

#[test]
fn a_stream_that_ends_early_is_known_as_such_trans_17() {
    let mut mcp = Mcp::new(URL, Hint::Modern, None);
    let id = mcp.request(&list()).unwrap().id;
    let answer =
        http(200, &[("content-type", "text/event-stream")], ": hello\n\ndata: {\"jsonrpc\"");
    assert_eq!(mcp.read(&list(), id, &answer), Heard::Lost);
    assert_ne!(mcp.request(&list()).unwrap().id, id);
}
