//! JSON-RPC messages: making them, telling them apart, finding them in a body.

use serde_json::{Map, Value, json};

use super::error::TransportError;
use super::weight::{Unread, weigh};

/// The kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Request,
    Notification,
    Response,
}

/// The kind of a message; nothing if it is no message.
pub(crate) fn sort(message: &Value) -> Option<Sort> {
    let answers = message.get("result").is_some() || message.get("error").is_some();
    match (message.get("method").is_some_and(Value::is_string), answers) {
        (true, false) if message.get("id").is_some_and(|id| !id.is_null()) => Some(Sort::Request),
        (true, false) => Some(Sort::Notification),
        (false, true) => Some(Sort::Response),
        _ => None,
    }
}

/// Returns true if the message is the response to that request.
pub(crate) fn answers(message: &Value, id: u64) -> bool {
    sort(message) == Some(Sort::Response) && message.get("id").and_then(Value::as_u64) == Some(id)
}

/// Returns true if the message is a response, and to another request than this one. One without an
/// id may be to any.
pub(crate) fn is_of_another(message: &Value, id: u64) -> bool {
    sort(message) == Some(Sort::Response) && !is_nameless(message) && !answers(message, id)
}

/// A request, or a notification without an id. `params` is an object or nothing.
pub(crate) fn message(
    id: Option<u64>,
    method: &str,
    params: &Value,
) -> Result<Value, TransportError> {
    let mut message = Map::new();
    message.insert("jsonrpc".to_owned(), json!("2.0"));
    message.extend(id.map(|id| ("id".to_owned(), json!(id))));
    message.insert("method".to_owned(), json!(method));
    match params {
        Value::Null => {}
        Value::Object(_) => {
            message.insert("params".to_owned(), params.clone());
        }
        _ => return Err(TransportError::Invalid("the parameters of a request are an object")),
    }
    Ok(Value::Object(message))
}

/// The answer to a request of the server's.
pub(crate) fn response(id: &Value, outcome: Result<Value, Value>) -> Value {
    match outcome {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
    }
}

/// The answer to a request of the server's that nobody hears: a sign of life, or an error that says
/// it cannot be done.
pub(crate) fn declined(request: &Value) -> Value {
    let id = request.get("id").unwrap_or(&Value::Null);
    if request.get("method").and_then(Value::as_str) == Some("ping") {
        return response(id, Ok(json!({})));
    }
    response(id, Err(json!({"code": -32601, "message": "this client answers no requests"})))
}

/// Returns true if nobody waits for the message to arrive: a sign of life, a refusal or a
/// cancellation.
#[cfg(feature = "async")]
pub(crate) fn is_courtesy(message: &Value) -> bool {
    match message.get("method") {
        Some(method) => method == "notifications/cancelled",
        None => message.get("result").is_none_or(|result| *result == json!({})),
    }
}

/// The messages in one JSON text: one, or in 2025-03-26 an array of them. As values they may take
/// no more than `limit` bytes (HOST-322).
pub(crate) fn messages(text: &[u8], limit: usize) -> Result<Vec<Value>, TransportError> {
    let text = unmarked(text);
    weigh(text, limit).map_err(unread)?;
    let read = serde_json::from_slice(text).map_err(|_| unread(Unread::Malformed))?;
    let messages = match read {
        Value::Array(messages) => messages,
        message => vec![message],
    };
    if messages.iter().all(|message| sort(message).is_some()) {
        return Ok(messages);
    }
    Err(TransportError::Malformed("it is no JSON-RPC message"))
}

/// A text without its byte order mark.
pub(crate) fn unmarked(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

pub(crate) const fn unread(why: Unread) -> TransportError {
    match why {
        Unread::Malformed => TransportError::Malformed("it is not well-formed JSON"),
        Unread::TooHeavy => TransportError::TooLarge,
    }
}

/// The error response in the body of an HTTP error, whose id may well be missing. It is one only
/// with a code: OAuth's errors are texts.
pub(crate) fn failure(body: &[u8], limit: usize) -> Option<Value> {
    weigh(body, limit).ok()?;
    let body: Value = serde_json::from_slice(body).ok()?;
    body.pointer("/error/code").and_then(Value::as_i64).map(|_| body)
}

/// Returns true for an error response without an id, as to a request that could not be read.
pub(crate) fn is_nameless(message: &Value) -> bool {
    message.get("error").is_some() && message.get("id").is_none_or(Value::is_null)
}

/// The code of an error response; 0 for a result.
pub(crate) fn code(message: &Value) -> i64 {
    message.pointer("/error/code").and_then(Value::as_i64).unwrap_or_default()
}

/// The same response under the id that was asked with: servers leave it out of an HTTP error.
pub(crate) fn under(mut message: Value, id: u64) -> Value {
    if let Some(members) = message.as_object_mut() {
        members.insert("id".to_owned(), json!(id));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        for (message, expected) in [
            (json!({"id": 1, "method": "ping"}), Some(Sort::Request)),
            (json!({"id": "a", "method": "ping"}), Some(Sort::Request)),
            (json!({"id": null, "method": "ping"}), Some(Sort::Notification)),
            (json!({"method": "ping"}), Some(Sort::Notification)),
            (json!({"id": 1, "result": {}}), Some(Sort::Response)),
            (json!({"id": null, "error": {}}), Some(Sort::Response)),
            (json!({"id": 1, "method": "ping", "result": {}}), None),
            (json!({"id": 1}), None),
            (json!([]), None),
            (json!("ping"), None),
        ] {
            assert_eq!(sort(&message), expected, "{message}");
        }
        assert!(answers(&json!({"id": 7, "result": {}}), 7));
        for other in [json!({"id": 8, "result": {}}), json!({"id": "7", "result": {}})] {
            assert!(!answers(&other, 7), "{other}");
        }
        assert!(!answers(&json!({"id": 7, "method": "ping"}), 7), "the server's own request 7");
        assert!(is_of_another(&json!({"id": 8, "result": {}}), 7));
        for message in [
            json!({"id": 7, "result": {}}),
            json!({"id": null, "error": {}}),
            json!({"id": 8, "method": "ping"}),
        ] {
            assert!(!is_of_another(&message, 7), "{message}");
        }
    }

    #[cfg(feature = "async")]
    #[test]
    fn a_courtesy_is_told_from_what_somebody_wants() {
        for (message, expected) in [
            (json!({"id": 1, "method": "ping"}), false),
            (json!({"method": "notifications/initialized"}), false),
            (json!({"method": "notifications/cancelled"}), true),
            (json!({"id": 1, "result": {}}), true),
            (json!({"id": 1, "error": {"code": -32601}}), true),
            (json!({"id": 1, "result": {"action": "accept"}}), false),
        ] {
            assert_eq!(is_courtesy(&message), expected, "{message}");
        }
    }

    #[test]
    fn a_body_holds_one_message_or_an_array_trans_03() {
        let one = br#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
        assert_eq!(messages(one, 4096).unwrap().len(), 1);
        let many = br#"[{"id":1,"result":{}},{"method":"m"}]"#;
        assert_eq!(messages(many, 4096).unwrap().len(), 2);
        for bad in [&b"{"[..], b"", b"<p>", b"7", b"[7]", br#"{"id":1}"#] {
            assert_eq!(messages(bad, 4096).unwrap_err().code(), "mcp_malformed");
        }
        assert!(message(Some(1), "m", &json!([1])).is_err());
    }

    #[test]
    fn an_error_is_one_of_json_rpc_only_with_a_code() {
        assert!(failure(br#"{"error":{"code":-32020,"message":"x"}}"#, 4096).is_some());
        for other in [&br#"{"error":"invalid_token"}"#[..], br#"{"error":{}}"#, b"", b"<p>"] {
            assert!(failure(other, 4096).is_none());
        }
    }
}
