//! The MCP wires: sessions, versions, streams.

use mcp_authz_tests::model::*;
use serde_json::{Value, json};

use crate::client::*;

#[test]
fn legacy_sessions_and_versions() {
    let mut client = Client::new(Settings::revision("2025-11-25"));
    client.login();
    client.initialize("2099-01-01");
    assert_eq!(client.version, "2025-11-25", "the newest known version is offered");
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let bearer = ("authorization", format!("Bearer {}", client.access_token));
    let session = ("mcp-session-id", client.session.clone().unwrap());
    let version = ("mcp-protocol-version", "2025-11-25".to_owned());
    let status = |client: &mut Client, body: &Value, headers: &[(&'static str, String)]| {
        let mut all = accept();
        all.push(bearer.clone());
        all.extend_from_slice(headers);
        client.post_json(MCP, body, &all).status
    };
    let all = [session.clone(), version.clone()];
    assert_eq!(status(&mut client, &ping, &all), 200);
    assert_eq!(status(&mut client, &ping, std::slice::from_ref(&version)), 400, "no session");
    assert_eq!(status(&mut client, &ping, std::slice::from_ref(&session)), 400, "no version");
    assert_eq!(status(&mut client, &ping, &[("mcp-session-id", "x".into()), version.clone()]), 404);
    assert_eq!(
        status(&mut client, &ping, &[session.clone(), ("mcp-protocol-version", "1".into())]),
        400
    );
    assert_eq!(status(&mut client, &json!([ping]), &all), 400, "no batches");
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(status(&mut client, &initialized, &all), 202);
    let mut headers = vec![bearer.clone(), session.clone(), version.clone()];
    assert_eq!(client.send("GET", MCP, &headers, Vec::new()).status, 405);
    assert_eq!(client.send("DELETE", MCP, &headers, Vec::new()).status, 204);
    assert_eq!(status(&mut client, &ping, &all), 404);
    headers.push(("origin", "https://evil.example".into()));
    assert_eq!(client.send("DELETE", MCP, &headers, Vec::new()).status, 403);
}

#[test]
fn batches_in_the_first_revision() {
    let mut client = Client::new(Settings::revision("2025-03-26"));
    client.login();
    client.initialize("2025-03-26");
    let ping = |id: u32| json!({"jsonrpc": "2.0", "id": id, "method": "ping"});
    let mut headers = accept();
    headers.push(("authorization", format!("Bearer {}", client.access_token)));
    headers.push(("mcp-session-id", client.session.clone().unwrap()));
    let answer = client.post_json(MCP, &json!([ping(1), ping(2)]), &headers);
    assert_eq!(answer.json().as_array().map(Vec::len), Some(2));
}

#[test]
fn modern_requests_refused() {
    let good = modern("tools/call", json!({"name": "echo", "arguments": {"text": "x"}}));
    let headers = |changes: &[(&str, Option<&str>)]| {
        let mut headers = accept();
        for (name, value) in [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "echo"),
        ] {
            let changed = changes.iter().find(|(changed, _)| *changed == name);
            let value = changed.map_or(Some(value), |(_, value)| *value);
            headers.extend(value.map(|value| (name, value.to_owned())));
        }
        headers
    };
    let mut strange = good.clone();
    strange["params"]["_meta"][VERSION_KEY] = json!("2031-01-01");
    let mut without = good.clone();
    without["params"]["_meta"] = json!({VERSION_KEY: "2026-07-28"});
    let unknown = modern("tools/dance", json!({}));
    let table = vec![
        ("no version header", &good, headers(&[("mcp-protocol-version", None)]), 400, -32020),
        (
            "other version header",
            &good,
            headers(&[("mcp-protocol-version", Some("2025-11-25"))]),
            400,
            -32020,
        ),
        (
            "unsupported",
            &strange,
            headers(&[("mcp-protocol-version", Some("2031-01-01"))]),
            400,
            -32022,
        ),
        ("no capabilities", &without, headers(&[]), 400, -32602),
        ("no method header", &good, headers(&[("mcp-method", None)]), 400, -32020),
        ("other name header", &good, headers(&[("mcp-name", Some("whoami"))]), 400, -32020),
        ("unknown method", &unknown, headers(&[("mcp-method", Some("tools/dance"))]), 404, -32601),
        ("wrapped name", &good, headers(&[("mcp-name", Some("=?base64?ZWNobw==?="))]), 200, 0),
    ];
    for (name, body, mut headers, status, code) in table {
        let mut client = Client::new(Settings::revision("2026-07-28"));
        client.login();
        headers.push(("authorization", format!("Bearer {}", client.access_token)));
        let answer = client.post_json(MCP, body, &headers);
        let found = answer.json()["error"]["code"].as_i64().unwrap_or_default();
        assert_eq!((answer.status, found), (status, code), "{name}");
    }
    let mut settings = Settings::revision("2026-07-28");
    settings.mcp.capability = Some("elicitation".into());
    let mut client = Client::new(settings);
    client.login();
    let answer = client.mcp("tools/call", json!({"name": "echo", "arguments": {"text": "x"}}));
    assert_eq!((answer.status, answer.error.as_deref()), (400, Some("-32021")));
}

#[test]
fn both_eras_at_one_endpoint() {
    let mut client = Client::new(Settings::default());
    client.login();
    assert_eq!(client.mcp_status("server/discover", json!({})), 200);
    client.initialize("2025-06-18");
    assert_eq!(client.version, "2025-06-18");
    assert_eq!(client.mcp_status("tools/list", json!({})), 200);
}

#[test]
fn a_stream_that_breaks_is_resumed() {
    for cut in [Cut::InsideEvent, Cut::BeforeAnswer, Cut::EndBeforeAnswer] {
        let mut settings = Settings::revision("2025-11-25");
        settings.mcp.answers = AnswerForm::EventStream;
        settings.mcp.get_stream = true;
        settings.mcp.priming = true;
        settings.mcp.retry_ms = Some(5);
        settings.mcp.cut = cut;
        settings.mcp.cuts = 1;
        settings.mcp.chunk_bytes = Some(7);
        let mut client = Client::new(settings);
        client.login();
        client.initialize("2025-11-25");
        let broken =
            client.mcp("tools/call", json!({"name": "echo", "arguments": {"text": "hello"}}));
        assert!(broken.text.contains("retry: 5\n"), "{cut:?}");
        assert!(!broken.text.contains("hello\""), "{cut:?}: {}", broken.text);
        assert_eq!(
            broken.end,
            Some(if cut == Cut::EndBeforeAnswer { Piece::End } else { Piece::Cut })
        );
        let id = broken.text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
        let mut headers = client.session_headers();
        headers.push(("accept", "text/event-stream".into()));
        headers.push(("last-event-id", id));
        let resumed = client.send("GET", MCP, &headers, Vec::new());
        assert!(resumed.text.contains("hello"), "{cut:?}: {}", resumed.text);
        assert_eq!(resumed.end, Some(Piece::End));
    }
}

#[test]
fn http_sse_replies_on_the_stream() {
    let mut settings = Settings::revision("2025-03-26");
    settings.mcp.era = Era::HttpSse;
    let mut client = Client::new(settings);
    client.login();
    let bearer = ("authorization", format!("Bearer {}", client.access_token));
    assert_eq!(
        client
            .post_json(
                MCP,
                &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize"}),
                std::slice::from_ref(&bearer)
            )
            .status,
        405
    );
    let get = [bearer.clone(), ("accept", "text/event-stream".to_owned())];
    assert_eq!(client.send("GET", MCP, &get[1..], Vec::new()).status, 401);
    let opened = client.send("GET", MCP, &get, Vec::new());
    let path = opened.text.strip_prefix("event: endpoint\ndata: ").unwrap().trim().to_owned();
    let post = format!("https://mcp.example{path}");
    let list = json!({"jsonrpc": "2.0", "id": 4, "method": "tools/list"});
    assert_eq!(client.post_json(&post, &list, &[]).status, 401);
    assert_eq!(client.post_json(&post, &list, &[bearer]).status, 202);
    assert!(client.read(opened.stream.unwrap()).0.contains("\"id\":4"));
}

#[test]
fn standing_streams_carry_pushed_messages() {
    let mut settings = Settings::revision("2025-11-25");
    settings.mcp.get_stream = true;
    let mut client = Client::new(settings);
    client.login();
    client.initialize("2025-11-25");
    let mut headers = client.session_headers();
    headers.push(("accept", "text/event-stream".into()));
    let opened = client.send("GET", MCP, &headers, Vec::new());
    assert_eq!(opened.end, None, "it stands");
    client.model.push(&json!({"jsonrpc": "2.0", "method": "notifications/message"}));
    let (text, end) = client.read(opened.stream.unwrap());
    assert!(text.contains("notifications/message") && end.is_none());
    client.model.close_streams(true);
    assert_eq!(client.read(opened.stream.unwrap()).1, Some(Piece::Cut));
}

#[test]
fn a_session_belongs_to_the_person_who_opened_it() {
    let mut client = Client::new(Settings::revision("2025-11-25"));
    client.login();
    assert_eq!(client.mcp_status("tools/list", json!({})), 200);
    client.model.set(|settings| settings.subject = "bob".into());
    assert_eq!(client.mcp_status("tools/list", json!({})), 404);
}

#[test]
fn a_lost_session_and_an_unknown_discovery_are_told_as_the_settings_say_trans_90_trans_91() {
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    for (status, body, said) in [
        (404, LostBody::Rpc(-32000), "-32000"),
        (410, LostBody::Empty, ""),
        (400, LostBody::Rpc(-32001), "-32001"),
        (400, LostBody::Text("no such session"), "no such session"),
        (403, LostBody::Json("not yours"), "not yours"),
        (401, LostBody::Rpc(-32001), "-32001"),
    ] {
        let mut settings = Settings::revision("2025-11-25");
        settings.mcp.lost = LostSession::new(status, body);
        settings.mcp.session_uses = Some(2);
        let mut client = Client::new(settings);
        client.login();
        client.initialize("2025-11-25");
        let mut headers = accept();
        headers.push(("authorization", format!("Bearer {}", client.access_token)));
        headers.push(("mcp-session-id", client.session.clone().unwrap()));
        headers.push(("mcp-protocol-version", "2025-11-25".to_owned()));
        let mut answers: Vec<_> = (0..4).map(|_| client.post_json(MCP, &ping, &headers)).collect();
        let last = answers.pop().unwrap();
        assert!(answers.iter().any(|answer| answer.status == 200), "it lives for a while");
        assert_eq!(last.status, status);
        assert!(last.text.contains(said), "{said}");
        assert_eq!(last.header("www-authenticate").is_some(), status == 401);
    }
    let discover = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover"});
    for (how, status) in [
        (Discover::Unknown(500), 500),
        (Discover::Unknown(200), 200),
        (Discover::Refused(401), 401),
        (Discover::Refused(403), 403),
        (Discover::Known, 400),
    ] {
        let mut settings = Settings::revision("2025-11-25");
        settings.mcp.discover = how;
        let mut client = Client::new(settings);
        client.login();
        let mut headers = accept();
        headers.push(("authorization", format!("Bearer {}", client.access_token)));
        let answer = client.post_json(MCP, &discover, &headers);
        assert_eq!(answer.status, status, "{how:?}");
        let unknown = answer.text.contains("-32601");
        assert_eq!(unknown, matches!(how, Discover::Unknown(_)));
    }
}
