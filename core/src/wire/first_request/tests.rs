use super::*;
use crate::wire::url::tests::server_url;

#[test]
fn it_carries_no_token_and_begins_no_session_disc_01_trans_27() {
    let request = first_request(&server_url("https://mcp.example/mcp?x=1")).unwrap();
    assert_eq!((request.method(), request.uri().query()), (&Method::POST, Some("x=1")));
    assert!(!request.headers().contains_key("authorization"));
    let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
    assert_eq!(body["method"], request.headers()["mcp-method"].to_str().unwrap());
    let meta = &body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
    assert_eq!(meta, request.headers()["mcp-protocol-version"].to_str().unwrap());
}

#[test]
fn who_answers_disc_01() {
    let rpc = br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no session"}}"#;
    for (status, media, body, expected) in [
        (401, "", &b""[..], Answered::Refused),
        (401, "text/html", b"<html>", Answered::Refused),
        (401, "application/json", rpc, Answered::Refused),
        (200, "application/json", rpc, Answered::Served),
        (400, "application/json", rpc, Answered::Served),
        (404, "text/plain", rpc, Answered::Served),
        (500, "application/json", rpc, Answered::Served),
        (200, "Text/Event-Stream; charset=utf-8", b"", Answered::Served),
        (400, "text/event-stream", b"", Answered::Other),
        (200, "text/html; charset=utf-8", b"<html>", Answered::Page),
        (404, "text/html", b"<html>", Answered::Other),
        (403, "application/json", rpc, Answered::Other),
        (200, "application/json", b"{\"jsonrpc\":\"1.0\"}", Answered::Other),
        (200, "application/json", b"[]", Answered::Other),
        (200, "", b"", Answered::Other),
        (302, "text/html", b"", Answered::Other),
        (503, "text/html", b"", Answered::Busy(None)),
        (429, "", b"", Answered::Busy(None)),
    ] {
        let mut response = Response::new(body.to_vec());
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        response.headers_mut().insert(CONTENT_TYPE, media.parse().unwrap());
        let read = read_first_answer(&response, Timestamp::from_unix(0));
        assert_eq!(read, expected, "{status} {media}");
    }
}
