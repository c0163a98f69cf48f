//! HTTP+SSE of 2024-11-05.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use mcp_authz_core::Config;
use mcp_authz_core::config::Profile;
use mcp_authz_core::failure::Kind;
use mcp_authz_driver::ports::Common;
use mcp_authz_rmcp::{Auto, Error, HttpSse};
use mcp_authz_tests::model::{Endpoint, Era, Settings};
use mcp_authz_tests::serve::{Served, embedded_revision};
use mcp_authz_tokio::Client;

use crate::common::{Person, TOOLS, call, echo, serve, session, session_with, tools};

pub(crate) fn older(adjust: impl FnOnce(&mut Settings)) -> Served {
    let served = embedded_revision("2025-11-25", |settings| {
        settings.mcp.era = Era::HttpSse;
        adjust(settings);
    });
    served.unwrap()
}

fn posts(served: &Served) -> usize {
    served.lock().seen_at(Endpoint::Messages).count()
}

#[tokio::test]
async fn lists_and_calls_tools_trans_31() {
    let served = older(|_| {});
    let person = Person::default();
    let transport = HttpSse::new(session(&served, &person));
    let service = serve(transport).await.unwrap();
    assert_eq!(tools(&service).await, TOOLS);
    assert_eq!(echo(&service, "hello").await.unwrap(), "hello");
    // More scope, on the wire that names it least.
    assert_eq!(call(&service, "admin").await.unwrap(), "done");
    service.cancel().await.unwrap();
    assert_eq!(person.visits(), 2);
    let model = served.lock();
    let bare = model.seen().iter().filter(|seen| {
        matches!(seen.endpoint, Endpoint::Mcp | Endpoint::Messages) && !seen.authorized()
    });
    // The stream alone, before anybody knew what it wants.
    assert_eq!(bare.map(|seen| seen.method.as_str()).collect::<Vec<_>>(), ["GET"]);
}

#[tokio::test]
async fn a_foreign_endpoint_is_refused_trans_33() {
    for endpoint in ["https://evil.example/m", "//evil.example/m", "http://127.0.0.1:1/m"] {
        let served = older(|settings| settings.mcp.sse_endpoint = Some(endpoint.to_owned()));
        let transport = HttpSse::new(session(&served, &Person::default()));
        let error = serve(transport).await.unwrap_err();
        let found = Error::within(&error).unwrap();
        assert_eq!(found.failure().unwrap().kind(), Kind::OriginMismatch, "{endpoint}: {error}");
        assert_eq!(posts(&served), 0, "nothing posted");
    }
}

#[tokio::test]
async fn an_announced_endpoint_is_in_the_area_for_its_stream_trans_33_host_261() {
    let announcing =
        || older(|at| at.mcp.sse_endpoint = Some("/elsewhere?sessionId={session}".to_owned()));
    let served = announcing();
    let transport = HttpSse::new(session(&served, &Person::default()));
    let service = serve(transport).await.unwrap();
    assert_eq!(echo(&service, "outside of /mcp").await.unwrap(), "outside of /mcp");
    let posts = |served: &Served| {
        let model = served.lock();
        let posts = model.seen_at(Endpoint::Messages).filter(|seen| seen.path == "/elsewhere");
        posts.filter(|seen| seen.authorized()).count()
    };
    assert_eq!(posts(&served), 3, "initialize, initialized and the call");

    let served = announcing();
    let strict = session_with(&served, &Person::default(), |to| to.profile(Profile::Strict));
    let error = serve(HttpSse::new(strict)).await.unwrap_err();
    let failure = Error::within(&error).unwrap().failure().unwrap().kind();
    assert_eq!((failure, posts(&served)), (Kind::OriginMismatch, 0));
}

#[tokio::test]
async fn another_first_event_is_no_http_sse_trans_30() {
    // A standing stream of Streamable HTTP names no endpoint.
    let served = embedded_revision("2025-11-25", |_| {}).unwrap();
    let transport = HttpSse::new(session(&served, &Person::default()));
    let error = serve(transport).await.unwrap_err();
    assert!(matches!(Error::within(&error), Some(Error::Status { .. })), "{error:?}");
}

#[tokio::test]
async fn the_end_of_the_stream_is_the_end_of_the_service() {
    for cut in [false, true] {
        let served = older(|_| {});
        let transport = HttpSse::new(session(&served, &Person::default()));
        let service = serve(transport).await.unwrap();
        assert_eq!(tools(&service).await, TOOLS);
        served.lock().close_streams(cut);
        let ended = tokio::time::timeout(core::time::Duration::from_secs(20), service.waiting());
        ended.await.expect("it ends").unwrap();
    }
}

#[tokio::test]
async fn a_revoked_token_is_renewed_and_the_stream_is_left_alone_host_267() {
    let served = older(|_| {});
    let person = Person::default();
    let transport = HttpSse::new(session(&served, &person));
    let service = serve(transport).await.unwrap();
    served.lock().revoke_access_tokens();
    served.lock().clear_seen();
    assert_eq!(tools(&service).await, TOOLS);
    let model = served.lock();
    assert_eq!(model.count(Endpoint::Token), 1);
    assert_eq!(model.seen_at(Endpoint::Mcp).count(), 0, "no new stream");
    assert_eq!(person.visits(), 1);
}

/// One request's line and body.
fn request(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, body))
}

/// A server of HTTP+SSE that has much to say before it takes a message.
fn talkative(listener: &TcpListener) {
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    let mut events = None;
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let Some((first, body)) = request(&stream) else { continue };
        let head =
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n";
        if first.starts_with("GET /sse") {
            write!(stream, "{head}event: endpoint\ndata: /sse/messages\n\n").unwrap();
            events = Some(stream);
            continue;
        }
        let Some(events) = &mut events else {
            let refused = "HTTP/1.1 405 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            write!(stream, "{refused}").unwrap();
            continue;
        };
        for _ in 0..100 {
            let _gone = write!(events, "data: {notification}\n\n");
        }
        std::thread::sleep(core::time::Duration::from_millis(200));
        let accepted = "HTTP/1.1 202 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        write!(stream, "{accepted}").unwrap();
        let message: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let result = match message["method"].as_str().unwrap() {
            "initialize" => serde_json::json!({
                "protocolVersion": "2024-11-05",
                "capabilities": {},
                "serverInfo": {"name": "m", "version": "1"},
            }),
            "tools/list" => serde_json::json!({"tools": []}),
            _ => continue,
        };
        let id = &message["id"];
        let response = serde_json::json!({"jsonrpc": "2.0", "id": id, "result": result});
        let _gone = write!(events, "data: {response}\n\n");
    }
}

#[tokio::test]
async fn a_server_that_talks_before_it_listens_holds_nothing_up() {
    for auto in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/sse", listener.local_addr().unwrap());
        std::thread::spawn(move || talkative(&listener));
        let common = Common { observer: Arc::new(Person::default()), ..Common::default() };
        let config = Config::builder(&url).build().unwrap();
        let session = Client::builder().build().unwrap().session(config, common);
        let served = async {
            let service = if auto {
                serve(Auto::new(session, None)).await.unwrap()
            } else {
                serve(HttpSse::new(session)).await.unwrap()
            };
            assert!(tools(&service).await.is_empty());
        };
        let within = core::time::Duration::from_secs(20);
        tokio::time::timeout(within, served).await.unwrap_or_else(|_| panic!("auto: {auto}"));
    }
}
