//! Bytes of the MCP wire: finding one JSON-RPC answer in a body, and spelling header values.
//!
//! Reads whole bytes only. What cannot be resumed here is not kept either: the `id` and `retry` fields of
//! events are skipped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use serde_json::Value;

/// The largest answer of an MCP server that is worth reading.
pub const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// Knows when a body that is still arriving holds the answer, so that a stream that the server leaves open
/// need not be waited for. A JSON body is never enough before its end.
#[derive(Clone, Debug)]
pub struct Enough {
    id: Option<u64>,
    /// Bytes after the last whole event.
    tail: Vec<u8>,
    seen: usize,
    reached: bool,
}

impl Enough {
    pub(crate) const fn new(id: Option<u64>) -> Self {
        Self { id, tail: Vec::new(), seen: 0, reached: false }
    }

    /// Whether the answer is there, now that this next piece of the body has come.
    pub fn piece(&mut self, piece: &[u8]) -> bool {
        let Some(id) = self.id.filter(|_| !self.reached) else { return self.reached };
        let begins = |byte: &u8| !byte.is_ascii_whitespace();
        if self.tail.is_empty()
            && self.seen == 0
            && matches!(piece.iter().find(|b| begins(b)), Some(b'{' | b'['))
        {
            self.id = None;
            return false;
        }
        self.seen = self.seen.saturating_add(piece.len());
        self.tail.extend_from_slice(piece);
        // An event of many pieces is not read again for each of them.
        if piece.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            let (events, read) = events(&self.tail);
            self.tail.drain(..read);
            self.reached = events.iter().any(|data| find(data, id).is_some());
        }
        self.reached
    }

    /// The same, of the whole body so far, from its first byte on.
    pub fn reached(&mut self, so_far: &[u8]) -> bool {
        let new = so_far.get(self.seen..).unwrap_or_default();
        self.piece(new)
    }
}

/// Whether an event stream holds the JSON-RPC answer to `id`.
#[must_use]
pub fn is_answered(stream: &[u8], id: u64) -> bool {
    Enough::new(Some(id)).reached(stream)
}

/// Why there is no JSON-RPC answer in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// The stream ended before it came.
    Lost,
    /// The body is of a type, or has a shape, that no answer has.
    Malformed,
}

/// The JSON-RPC answer to `id`, wherever the content type says it is (TRANS-04).
pub(crate) fn answer(response: &Response<Vec<u8>>, id: u64) -> Result<Value, Absent> {
    match essence(response.headers()).as_str() {
        "text/event-stream" => {
            let (events, _) = events(response.body());
            events.iter().find_map(|data| find(data, id)).ok_or(Absent::Lost)
        }
        "application/json" => {
            let text = String::from_utf8_lossy(response.body());
            find(text.strip_prefix('\u{feff}').unwrap_or(&text), id).ok_or(Absent::Malformed)
        }
        _ => Err(Absent::Malformed),
    }
}

/// The JSON-RPC error of an HTTP error, whose id may well be missing, and whose type is often wrong.
pub(crate) fn error(response: &Response<Vec<u8>>) -> Option<Value> {
    let body: Value = match essence(response.headers()).as_str() {
        "text/event-stream" => {
            let (events, _) = events(response.body());
            events.iter().find_map(|data| serde_json::from_str(data).ok())?
        }
        _ => serde_json::from_slice(response.body()).ok()?,
    };
    body.get("error").filter(|error| error.is_object()).cloned()
}

/// The media type without parameters, in lower case.
pub(crate) fn essence(headers: &HeaderMap) -> String {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The answer to `id` in one JSON text, which is a message or, in 2025-03-26, an array of them.
fn find(text: &str, id: u64) -> Option<Value> {
    let ours = |message: &Value| {
        message.get("id").and_then(Value::as_u64) == Some(id)
            && (message.get("result").is_some() || message.get("error").is_some())
    };
    match serde_json::from_str(text).ok()? {
        Value::Array(messages) => messages.into_iter().find(ours),
        message => Some(message).filter(ours),
    }
}

/// The data of each complete event that is a message, and how many bytes those events take (TRANS-06,
/// TRANS-07). What follows the last blank line is left: it may go on.
fn events(bytes: &[u8]) -> (Vec<String>, usize) {
    let mut all = Vec::new();
    let (mut data, mut kind) = (None::<String>, String::new());
    let (mut read, mut at) = (0, 0);
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    at += bytes.len().saturating_sub(rest.len());
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        let (line, after) = rest.split_at(end);
        let taken = if after.starts_with(b"\r\n") { 2 } else { 1 };
        rest = after.get(taken..).unwrap_or_default();
        at = at.saturating_add(end).saturating_add(taken);
        if line.is_empty() {
            read = at;
            let message = matches!(kind.as_str(), "" | "message");
            kind.clear();
            all.extend(data.take().filter(|_| message));
            continue;
        }
        let line = String::from_utf8_lossy(line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => data = Some(value.to_owned()),
            },
            "event" => value.clone_into(&mut kind),
            _ => {}
        }
    }
    (all, read)
}

/// A header value for any text (TRANS-12): as it is if it is plain, else in the base64 wrapping.
pub(crate) fn spelled(text: &str) -> Option<HeaderValue> {
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && text.trim() == text
        && !(text.starts_with("=?base64?") && text.ends_with("?="));
    if plain {
        return HeaderValue::from_str(text).ok();
    }
    HeaderValue::from_str(&format!("=?base64?{}?=", STANDARD.encode(text))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sse(body: &str) -> Response<Vec<u8>> {
        typed("text/event-stream", body)
    }

    fn typed(media: &str, body: &str) -> Response<Vec<u8>> {
        Response::builder().header(CONTENT_TYPE, media).body(body.as_bytes().to_vec()).unwrap()
    }

    const REPLY: &str = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;

    #[test]
    fn either_media_type_with_parameters_and_in_any_case_trans_04() {
        for media in ["application/json", "Application/JSON; charset=utf-8"] {
            assert!(answer(&typed(media, REPLY), 7).is_ok(), "{media}");
        }
        let stream = format!("data: {REPLY}\n\n");
        for media in ["text/event-stream", "TEXT/Event-Stream;charset=utf-8"] {
            assert!(answer(&typed(media, &stream), 7).is_ok(), "{media}");
        }
        for media in ["text/html", "application/json-seq", ""] {
            assert_eq!(answer(&typed(media, REPLY), 7), Err(Absent::Malformed), "{media}");
        }
    }

    #[test]
    fn event_streams_as_the_html_standard_has_them_trans_06_trans_07() {
        let (before, after) = REPLY.split_at(REPLY.find("\"id\"").unwrap());
        for body in [
            format!("data: {REPLY}\n\n"),
            format!("data:{REPLY}\r\n\r\n"),
            format!("data: {REPLY}\r\r"),
            format!("\u{feff}data: {REPLY}\n\n"),
            format!(": keep-alive\n\n:\n\nid: 1\ndata\n\nevent: message\ndata: {REPLY}\n\n"),
            format!("data: {before}\ndata: {after}\n\n"),
            format!("retry: soon\nid: a\0b\nnonsense\ndata: {REPLY}\n\n"),
            format!("data: {{\"id\":7,\"method\":\"ping\"}}\n\ndata: {REPLY}\n\n"),
            format!("data: [{{}}, {REPLY}]\n\n"),
        ] {
            assert!(answer(&sse(&body), 7).is_ok(), "{body:?}");
        }
        for body in [
            format!("data: {REPLY}\n"),
            format!("data: {REPLY}"),
            format!("event: other\ndata: {REPLY}\n\n"),
            format!("data: {}\n\n", REPLY.replace('7', "8")),
            format!("data: {before}\n\ndata: {after}\n\n"),
            String::new(),
        ] {
            assert_eq!(answer(&sse(&body), 7), Err(Absent::Lost), "{body:?}");
        }
    }

    #[test]
    fn enough_is_seen_wherever_the_chunks_end_trans_06() {
        for end in ["\n", "\r", "\r\n"] {
            let stream = format!("\u{feff}: hi{end}{end}data: 1{end}{end}data: {REPLY}{end}{end}");
            for step in 1..stream.len() {
                let mut enough = Enough::new(Some(7));
                let cuts = (step..stream.len()).step_by(step);
                let early = cuts.filter(|cut| enough.reached(&stream.as_bytes()[..*cut])).min();
                assert!(early.is_none_or(|cut| cut + end.len() > stream.len()), "{end:?} {step}");
                assert!(early.is_some() || enough.reached(stream.as_bytes()), "{end:?} {step}");
                let mut pieces = Enough::new(Some(7));
                let when = stream.as_bytes().chunks(step).position(|piece| pieces.piece(piece));
                assert!(
                    when.is_some_and(|when| (when + 1) * step + end.len() > stream.len()),
                    "{end:?} {step}"
                );
            }
        }
        assert!(!Enough::new(Some(7)).reached(format!("{REPLY}\n\ndata: {REPLY}\n\n").as_bytes()));
        assert!(is_answered(format!("data: {REPLY}\n\n").as_bytes(), 7));
    }

    #[test]
    fn header_values_are_plain_or_wrapped_trans_12() {
        for (text, value) in [
            ("whoami", "whoami"),
            ("a b", "a b"),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("Zürich", "=?base64?WsO8cmljaA==?="),
            ("=?base64?eA==?=", "=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
            ("a\r\nb", "=?base64?YQ0KYg==?="),
        ] {
            assert_eq!(spelled(text).unwrap(), value, "{text:?}");
        }
    }

    #[test]
    fn errors_are_read_whatever_their_id_and_type() {
        let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"no"}}"#;
        for media in ["application/json", "text/plain", ""] {
            let code = error(&typed(media, body))
                .and_then(|error| error.get("code").and_then(Value::as_i64));
            assert_eq!(code, Some(-32022), "{media}");
        }
        assert!(error(&typed("text/html", "<p>no")).is_none());
        assert!(error(&typed("application/json", r#"{"error":"invalid_token"}"#)).is_none());
    }
}
