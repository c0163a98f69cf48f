//! The first request of an MCP session, as its transport would send it, and who answers (DISC-01,
//! TRANS-27, D18).
//!
//! Decides whether an answer is a refusal, an MCP endpoint's, or something else's; a refusal is read
//! by [`challenge`](super::challenge). `server/discover` is asked, which begins no session that would
//! have to be ended.

use core::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};

use super::json::{Value, read_members};
use super::retry_after::read_retry_after;
use super::url::ServerUrl;
use crate::failure::Failure;
use crate::time::Timestamp;

const BODY: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"mcp-authz","version":"0"}}}}"#;

/// The request, without a token.
///
/// # Errors
/// `url_malformed` if the HTTP library refuses the URL; end the flow.
pub fn first_request(url: &ServerUrl) -> Result<Request<Vec<u8>>, Failure> {
    const FIELDS: [(HeaderName, &str); 5] = [
        (ACCEPT, "application/json, text/event-stream"),
        (ACCEPT_ENCODING, "identity"),
        (CONTENT_TYPE, "application/json"),
        (HeaderName::from_static("mcp-protocol-version"), "2026-07-28"),
        (HeaderName::from_static("mcp-method"), "server/discover"),
    ];
    let fields = FIELDS.map(|(name, value)| (name, HeaderValue::from_static(value)));
    url.request(Method::POST, HeaderMap::from_iter(fields), BODY.to_vec())
}

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Somebody who wants a token: 401.
    Refused,
    /// An MCP endpoint, which wants none for this.
    Served,
    /// A web site.
    Page,
    /// A server that cannot answer now, and how long it asks to wait.
    Busy(Option<Duration>),
    /// Nobody who could be told.
    Other,
}

/// Sorts the answer. An MCP endpoint speaks JSON-RPC even where it refuses this very method.
#[must_use]
pub fn read_first_answer(response: &Response<Vec<u8>>, now: Timestamp) -> Answered {
    let status = response.status().as_u16();
    let media = response.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let is = |wanted: &str| {
        let begins = media.get(..wanted.len());
        begins.is_some_and(|begins| begins.eq_ignore_ascii_case(wanted.as_bytes()))
    };
    let success = matches!(status, 200..=299);
    match status {
        401 => Answered::Refused,
        403 => Answered::Other,
        _ if is_json_rpc(response.body()) => Answered::Served,
        _ if success && is("text/event-stream") => Answered::Served,
        _ if success && is("text/html") => Answered::Page,
        408 | 429 | 500..=599 => Answered::Busy(read_retry_after(response.headers(), now)),
        _ => Answered::Other,
    }
}

fn is_json_rpc(body: &[u8]) -> bool {
    let version = read_members(body, &["jsonrpc"]).ok().and_then(|members| members.once(0));
    version.and_then(Value::text).is_some_and(|version| version == "2.0")
}

#[cfg(test)]
mod tests {
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
}
