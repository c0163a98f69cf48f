use http::header::{AUTHORIZATION, ORIGIN};

use super::super::rpc;
use super::*;

const URL: &str = "https://mcp.example/mcp";

fn manner(wire: Wire, version: &str, session: Option<&str>) -> Manner {
    let session = session.map(|id| {
        let mut id = HeaderValue::from_str(id).unwrap();
        id.set_sensitive(true);
        id
    });
    Manner { wire, version: version.to_owned(), session }
}

fn header<'a>(request: &'a Request<Vec<u8>>, name: &str) -> Option<&'a str> {
    request.headers().get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn each_message_is_a_post_that_accepts_both_forms_trans_01_trans_02_trans_34() {
    for manner in [
        manner(Wire::Modern, MODERN, None),
        manner(Wire::Session, "2025-11-25", Some("s")),
        manner(Wire::HttpSse, "2024-11-05", None),
    ] {
        let message = rpc::message(Some(1), "tools/list", &Value::Null).unwrap();
        let request = manner.post(URL, &message, Vec::new()).unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), URL);
        assert_eq!(header(&request, "accept"), Some("application/json, text/event-stream"));
        assert_eq!(header(&request, "content-type"), Some("application/json"));
        let headers = request.headers();
        assert!(!headers.contains_key(ORIGIN) && !headers.contains_key(AUTHORIZATION));
        assert_eq!(serde_json::from_slice::<Value>(request.body()).unwrap(), message);
    }
}

#[test]
fn the_version_is_named_from_2025_06_18_on_but_not_to_initialize_trans_08_trans_10() {
    for (wire, version, named) in [
        (Wire::Modern, MODERN, true),
        (Wire::Session, "2025-11-25", true),
        (Wire::Session, "2025-06-18", true),
        (Wire::Session, "2025-03-26", false),
        (Wire::HttpSse, "2024-11-05", false),
    ] {
        let manner = manner(wire, version, Some("s"));
        let list = rpc::message(Some(1), "tools/list", &Value::Null).unwrap();
        let requests = [
            manner.post(URL, &list, Vec::new()).unwrap(),
            manner.get(URL, None).unwrap(),
            manner.delete(URL).unwrap(),
        ];
        for request in requests {
            let sent = header(&request, "mcp-protocol-version");
            assert_eq!(sent, named.then_some(version), "{wire:?} {}", request.method());
        }
        if wire == Wire::Session {
            let hello = rpc::message(Some(1), "initialize", &Value::Null).unwrap();
            let hello = manner.post(URL, &hello, Vec::new()).unwrap();
            assert_eq!(header(&hello, "mcp-protocol-version"), None);
            assert_eq!(header(&hello, "mcp-session-id"), None, "TRANS-19");
        }
    }
}

#[test]
fn session_ids_go_with_every_request_of_their_era_alone_trans_16_trans_18_trans_26() {
    let list = rpc::message(Some(1), "tools/list", &Value::Null).unwrap();
    let after = HeaderValue::from_static("7-3");
    for (wire, expected) in
        [(Wire::Session, Some("s")), (Wire::Modern, None), (Wire::HttpSse, None)]
    {
        let manner = manner(wire, MODERN, Some("s"));
        for request in [
            manner.post(URL, &list, Vec::new()).unwrap(),
            manner.get(URL, Some(&after)).unwrap(),
            manner.delete(URL).unwrap(),
        ] {
            assert_eq!(header(&request, "mcp-session-id"), expected);
        }
    }
    let get = manner(Wire::Session, "2025-11-25", Some("secret")).get(URL, Some(&after)).unwrap();
    assert_eq!(header(&get, "last-event-id"), Some("7-3"));
    assert_eq!(header(&get, "accept"), Some("text/event-stream"));
    assert!(!format!("{get:?}").contains("secret"));
}

#[test]
fn modern_headers_say_what_the_body_says_trans_11_trans_12() {
    let manner = manner(Wire::Modern, MODERN, None);
    for (method, params, name) in [
        ("server/discover", json!({}), None),
        ("tools/list", json!({"name": "no"}), None),
        ("tools/call", json!({"name": "whoami"}), Some("whoami")),
        ("tools/call", json!({"name": " padded "}), Some("=?base64?IHBhZGRlZCA=?=")),
        ("prompts/get", json!({"name": "Zürich"}), Some("=?base64?WsO8cmljaA==?=")),
        ("resources/read", json!({"uri": "file:///a"}), Some("file:///a")),
    ] {
        let message = rpc::message(Some(1), method, &params).unwrap();
        let mirrored =
            vec![(HeaderName::from_static("mcp-param-x"), HeaderValue::from_static("y"))];
        let request = manner.post(URL, &message, mirrored).unwrap();
        assert_eq!(header(&request, "mcp-method"), Some(method));
        assert_eq!(header(&request, "mcp-name"), name, "{method}");
        assert_eq!(header(&request, "mcp-param-x"), Some("y"));
    }
    let message = rpc::message(None, "bad\nmethod", &Value::Null).unwrap();
    assert_eq!(manner.post(URL, &message, Vec::new()).unwrap_err().code(), "config_invalid");
}

#[test]
fn each_modern_request_says_who_asks_trans_10_trans_15() {
    let settings = Settings::new("n", "1").capabilities(json!({"roots": {}}));
    let params = json!({"name": "t", "_meta": {"progressToken": 7}});
    let params = with_meta(&params, MODERN, &settings).unwrap();
    let meta = &params["_meta"];
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], MODERN);
    assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({"roots": {}}));
    assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "n");
    assert_eq!(meta["progressToken"], 7, "the caller's own stays");
    assert!(with_meta(&Value::Null, MODERN, &settings).is_ok());
    let another = json!({"_meta": {
        "io.modelcontextprotocol/protocolVersion": "1900-01-01",
        "io.modelcontextprotocol/clientCapabilities": {"sampling": {}},
        "io.modelcontextprotocol/clientInfo": {"name": "another"},
    }});
    let meta = with_meta(&another, MODERN, &settings).unwrap()["_meta"].take();
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], MODERN, "the header says the same");
    assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({"sampling": {}}));
    assert_eq!(meta["io.modelcontextprotocol/clientInfo"], json!({"name": "another"}));
    for bad in [json!([]), json!({"_meta": 7})] {
        assert_eq!(with_meta(&bad, MODERN, &settings).unwrap_err().code(), "config_invalid");
    }
}

#[test]
fn operations_name_what_is_attempted_step_10() {
    let named = json!({"name": "t", "uri": "file:///a"});
    assert_eq!(operation("tools/call", &named), "tools/call t");
    assert_eq!(operation("resources/read", &named), "resources/read file:///a");
    assert_eq!(operation("tools/list", &named), "tools/list");
}
