use serde_json::json;

use super::*;

fn heard(status: u16, response: Option<Value>) -> Heard {
    Heard { status: StatusCode::from_u16(status).unwrap(), response, session: None, said: None }
}

fn result(result: Value) -> Option<Value> {
    Some(json!({"jsonrpc": "2.0", "id": 1, "result": result}))
}

fn error(code: i64, data: Value) -> Option<Value> {
    Some(json!({"id": 1, "error": {"code": code, "message": "m", "data": data}}))
}

fn settings() -> Settings {
    Settings::new("n", "1")
}

fn opening() -> Opening {
    Opening::new(&settings(), &Memory::default())
}

/// An opening that has got as far as `initialize`.
fn initializing() -> Opening {
    let mut opening = opening();
    opening.hear(Ask::Discover, heard(400, None)).unwrap();
    assert_eq!(opening.ask(), Some(Ask::Initialize));
    opening
}

#[test]
fn the_era_is_what_the_answer_to_the_first_request_says_trans_27_trans_28() {
    let supported = |list: &[&str]| json!({"supported": list});
    for (status, response, wire, ask) in [
        (200, result(json!({"supportedVersions": ["2026-07-28"]})), Wire::Modern, None),
        (200, result(json!({})), Wire::Modern, None),
        (
            200,
            result(json!({"supportedVersions": ["2025-06-18"]})),
            Wire::Session,
            Some(Ask::Initialize),
        ),
        (400, error(-32020, Value::Null), Wire::Modern, None),
        (400, error(-32021, Value::Null), Wire::Modern, None),
        (
            400,
            error(-32022, supported(&["2025-06-18", "2025-11-25"])),
            Wire::Session,
            Some(Ask::Initialize),
        ),
        (404, error(-32601, Value::Null), Wire::Session, Some(Ask::Initialize)),
        (200, error(-32601, Value::Null), Wire::Session, Some(Ask::Initialize)),
        (500, error(-32601, Value::Null), Wire::Session, Some(Ask::Initialize)),
        (400, error(-32000, Value::Null), Wire::Session, Some(Ask::Initialize)),
        (400, error(-32600, Value::Null), Wire::Session, Some(Ask::Initialize)),
        (400, None, Wire::Session, Some(Ask::Initialize)),
        (404, None, Wire::Session, Some(Ask::Initialize)),
        (405, None, Wire::Session, Some(Ask::Initialize)),
        (406, None, Wire::Session, Some(Ask::Initialize)),
        (200, None, Wire::Session, Some(Ask::Initialize)),
    ] {
        let mut opening = opening();
        assert_eq!(opening.ask(), Some(Ask::Discover));
        opening.hear(Ask::Discover, heard(status, response.clone())).unwrap();
        assert_eq!((opening.manner().wire, opening.ask()), (wire, ask), "{status} {response:?}");
    }
}

#[test]
fn a_server_that_knows_neither_discovery_nor_initialize_is_modern_trans_91() {
    let both = json!({"supported": [MODERN]});
    for status in [200, 400, 404, 500] {
        for refused in [
            error(-32601, Value::Null),
            error(-32020, Value::Null),
            error(-32021, Value::Null),
            error(-32022, Value::Null),
            error(-32022, both.clone()),
        ] {
            let mut opening = opening();
            opening.hear(Ask::Discover, heard(status, error(-32601, Value::Null))).unwrap();
            assert_eq!(opening.ask(), Some(Ask::Initialize));
            opening.hear(Ask::Initialize, heard(status, refused.clone())).unwrap();
            let found = (opening.ask(), opening.manner().wire, opening.manner().version.as_str());
            assert_eq!(found, (None, Wire::Modern, MODERN), "{status} {refused:?}");
        }
        // One that names older revisions alone is taken at its word.
        let mut named = opening();
        named.hear(Ask::Discover, heard(status, error(-32601, Value::Null))).unwrap();
        let older = error(-32022, json!({"supported": ["2025-03-26"]}));
        named.hear(Ask::Initialize, heard(400, older)).unwrap();
        let found = (named.ask(), named.manner().version.as_str());
        assert_eq!(found, (Some(Ask::Initialize), "2025-03-26"), "{status}");
    }
    // One that has no endpoint for `initialize` may speak HTTP+SSE.
    let mut older = opening();
    older.hear(Ask::Discover, heard(500, error(-32601, Value::Null))).unwrap();
    older.hear(Ask::Initialize, heard(404, None)).unwrap();
    assert_eq!(older.ask(), Some(Ask::Stream));
    // To anything else it means what it says.
    let other = initializing().hear(Ask::Initialize, heard(200, error(-32601, Value::Null)));
    assert_eq!(other.unwrap_err().code(), "mcp_error");
}

#[test]
fn a_refusal_or_an_outage_never_decides_the_era_disc_18() {
    for status in [401, 403, 408, 429, 500, 503, 302] {
        let mut opening = opening();
        let error = opening.hear(Ask::Discover, heard(status, None)).unwrap_err();
        assert!(matches!(error, TransportError::Status { .. }), "{status}");
        assert_eq!(opening.ask(), Some(Ask::Discover));
    }
    let refused = error(-32022, json!([]));
    assert!(opening().hear(Ask::Discover, heard(401, refused)).is_err());
}

#[test]
fn initialize_agrees_on_a_version_trans_09() {
    for version in LEGACY {
        let mut opening = initializing();
        let agreed = result(json!({"protocolVersion": version}));
        opening.hear(Ask::Initialize, heard(200, agreed)).unwrap();
        assert_eq!(opening.ask(), Some(Ask::Initialized));
        opening.hear(Ask::Initialized, heard(202, None)).unwrap();
        assert_eq!((opening.ask(), opening.finish().0.version.as_str()), (None, version));
    }
    let unknown = result(json!({"protocolVersion": "1999-01-01"}));
    let error = initializing().hear(Ask::Initialize, heard(200, unknown)).unwrap_err();
    assert_eq!(error.code(), "mcp_version");
}

#[test]
fn notifications_are_accepted_with_or_without_a_body_trans_05() {
    for status in [200, 202, 204] {
        let mut opening = initializing();
        let agreed = result(json!({"protocolVersion": "2025-06-18"}));
        opening.hear(Ask::Initialize, heard(200, agreed)).unwrap();
        opening.hear(Ask::Initialized, heard(status, None)).unwrap();
        assert_eq!(opening.ask(), None);
    }
}

#[test]
fn a_session_id_is_kept_where_sessions_are_trans_16_trans_18() {
    let id = HeaderValue::from_static("s");
    let with = |status, response| Heard { session: Some(id.clone()), ..heard(status, response) };
    let mut opening = initializing();
    let agreed = || result(json!({"protocolVersion": "2025-06-18"}));
    opening.hear(Ask::Initialize, with(200, agreed())).unwrap();
    assert_eq!(opening.manner().session, Some(id.clone()));
    let mut modern = self::opening();
    modern.hear(Ask::Discover, with(200, result(json!({})))).unwrap();
    assert_eq!(modern.manner().session, None);
}

#[test]
fn a_version_named_by_the_server_is_taken_up_once() {
    let named = |version: &str| error(-32602, json!({"supported": [version]}));
    let mut opening = initializing();
    opening.hear(Ask::Initialize, heard(200, named("2025-03-26"))).unwrap();
    assert_eq!(opening.manner().version, "2025-03-26");
    let refused = opening.hear(Ask::Initialize, heard(200, named("2025-06-18"))).unwrap_err();
    assert_eq!(refused.code(), "mcp_version");
    for data in [json!({"supported": ["1999-01-01"]}), json!({"supported": [MODERN]}), json!(null)]
    {
        let refused = self::opening().hear(Ask::Discover, heard(400, error(-32022, data)));
        assert_eq!(refused.unwrap_err().code(), "mcp_version");
    }
}

#[test]
fn http_sse_comes_after_a_post_that_found_no_endpoint_trans_30() {
    for (status, response) in
        [(400, None), (404, None), (405, None), (422, None), (400, error(-32000, Value::Null))]
    {
        let mut opening = initializing();
        opening.hear(Ask::Initialize, heard(status, response)).unwrap();
        assert_eq!((opening.manner().wire, opening.ask()), (Wire::HttpSse, Some(Ask::Stream)));
        let none = StatusCode::METHOD_NOT_ALLOWED;
        let end = opening.no_stream(TransportError::Status { status: none, said: None });
        assert!(matches!(end, TransportError::NoEndpoint(first) if first.as_u16() == status));
        assert_eq!(opening.no_stream(TransportError::Endpoint).code(), "origin_mismatch");
        opening.streaming();
        let agreed = result(json!({"protocolVersion": "2024-11-05"}));
        opening.hear(Ask::Initialize, heard(200, agreed)).unwrap();
        assert_eq!(opening.ask(), Some(Ask::Initialized));
    }
    for (status, response, code) in [
        (401, None, "mcp_status"),
        (403, None, "mcp_status"),
        (500, None, "transient"),
        (200, None, "mcp_malformed"),
        (200, error(-32603, Value::Null), "mcp_error"),
    ] {
        let error = initializing().hear(Ask::Initialize, heard(status, response)).unwrap_err();
        assert_eq!(error.code(), code, "{status}");
    }
    for code in [-32020, -32021] {
        let mut opening = initializing();
        opening.hear(Ask::Initialize, heard(400, error(code, Value::Null))).unwrap();
        assert_eq!(opening.manner().wire, Wire::Modern, "TRANS-27");
    }
    let only = settings().transport(Choice::StreamableHttp);
    let mut opening = Opening::new(&only, &Memory::default());
    opening.hear(Ask::Discover, heard(404, None)).unwrap();
    let refused = opening.hear(Ask::Initialize, heard(404, None)).unwrap_err();
    assert_eq!(refused.code(), "mcp_no_endpoint");
}

#[test]
fn what_the_program_names_is_not_found_out() {
    for (settings, wire, ask, version) in [
        (settings().revision(MODERN), Wire::Modern, Ask::Discover, MODERN),
        (settings().revision("2027-01-01"), Wire::Modern, Ask::Discover, "2027-01-01"),
        (settings().revision("2025-06-18"), Wire::Session, Ask::Initialize, "2025-06-18"),
        (settings().transport(Choice::HttpSse), Wire::HttpSse, Ask::Stream, "2024-11-05"),
    ] {
        let opening = Opening::new(&settings, &Memory::default());
        let found = (opening.manner().wire, opening.ask(), opening.manner().version.as_str());
        assert_eq!(found, (wire, Some(ask), version));
    }
}

#[test]
fn what_was_found_out_is_remembered_trans_29() {
    let memory = Memory::default();
    for (wire, version, ask) in [
        (Wire::Session, "2025-06-18", Ask::Initialize),
        (Wire::HttpSse, "2024-11-05", Ask::Stream),
        (Wire::Modern, MODERN, Ask::Discover),
    ] {
        let manner = Manner { wire, version: version.to_owned(), session: None };
        memory.keep(&manner);
        let opening = Opening::new(&settings(), &memory);
        assert_eq!((opening.ask(), opening.manner().version.as_str()), (Some(ask), version));
    }
    let manner = Manner { wire: Wire::HttpSse, version: String::new(), session: None };
    memory.keep(&manner);
    let only = settings().transport(Choice::StreamableHttp);
    assert_eq!(Opening::new(&only, &memory).ask(), Some(Ask::Discover), "it is not allowed");
    memory.forget();
    assert!(memory.is_empty());
    assert_eq!(Opening::new(&settings(), &memory).ask(), Some(Ask::Discover));
}
