//! The first request of an MCP session, as its transport would send it, and the answer to it
//! (DISC-01, TRANS-27, D18).
//!
//! Decides whether an answer is a refusal, an MCP endpoint's, or something else's; a refusal is
//! read by [`challenge`](super::challenge). The request asks for `server/discover`, which begins no
//! session that would have to be ended.

use core::time::Duration;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};

use super::json::Value;
use super::members::{Named, members};
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

/// The kinds of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// A 401 of a server that wants a token.
    Refused,
    /// An answer of an MCP endpoint, which wants no token for this.
    Served,
    /// A page of a web site.
    Page,
    /// A server that cannot answer now, and how long it asks to wait.
    Busy(Option<Duration>),
    /// Any other answer.
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

members! {
    /// The member by which an answer is known as one of JSON-RPC.
    Message { jsonrpc }
}

fn is_json_rpc(body: &[u8]) -> bool {
    let version = Message::read(body).ok().and_then(|message| message.jsonrpc.value);
    version.and_then(Value::text).is_some_and(|version| version == "2.0")
}

#[cfg(test)]
mod tests;
