//! JSON-RPC messages: telling those of the host apart, and making others.

use mcp_authz_tokio::driver::transport::fits;
use serde_json::{Map, Value, json};

/// It is no JSON (JSON-RPC 2.0, section 5.1).
pub(crate) const PARSE: i64 = -32700;
/// It is no message, or none that may come now.
pub(crate) const INVALID: i64 = -32600;
/// The parameters are not such as this method takes.
pub(crate) const PARAMS: i64 = -32602;
/// An error of the bridge's own, with `data` that says what to do. The number has no other meaning in
/// any revision, nor in the SDKs, which use -32000 and -32001 for errors of theirs.
pub(crate) const BRIDGE: i64 = -32010;

/// The longest line, either way, without its end.
pub(crate) const LONGEST: usize = 16 * 1024 * 1024;
/// The memory that a message may take as values, either way: twice what it may be long as a text.
pub(crate) const HEAVIEST: usize = 2 * LONGEST;

/// One message of the host's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    Request(Request),
    Notification {
        method: String,
        params: Value,
    },
    Answer {
        id: Value,
        outcome: Result<Value, Value>,
    },
    Invalid {
        id: Value,
        code: i64,
        why: &'static str,
    },
    /// An error that belongs to no request.
    Ignored,
}

/// A request of the host's. Its parameters are an object, or null.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) id: Value,
    pub(crate) method: String,
    pub(crate) params: Value,
}

/// The messages of one line: one, or the entries of an array.
#[derive(Debug, PartialEq)]
pub(crate) enum Told {
    One(Heard),
    Many(Vec<Heard>),
}

/// Reads a line.
pub(crate) fn read(line: &[u8]) -> Told {
    let invalid = |code, why| Told::One(Heard::Invalid { id: Value::Null, code, why });
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    if !fits(line, HEAVIEST) {
        return invalid(INVALID, "the message would take too much memory");
    }
    match serde_json::from_slice(line) {
        Ok(Value::Array(entries)) => Told::Many(entries.into_iter().map(hear).collect()),
        Ok(message) => Told::One(hear(message)),
        Err(_) => invalid(PARSE, "this line is no JSON"),
    }
}

/// Tells what a message is.
fn hear(message: Value) -> Heard {
    let invalid =
        |id: Option<Value>, code, why| Heard::Invalid { id: id.unwrap_or_default(), code, why };
    let Value::Object(mut message) = message else {
        return invalid(None, INVALID, "this is no JSON-RPC message");
    };
    let id = message.remove("id").filter(|id| !id.is_null());
    if id.as_ref().is_some_and(|id| !id.is_string() && !id.is_number()) {
        return invalid(None, INVALID, "an id is a string or a number");
    }
    if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return invalid(id, INVALID, "jsonrpc is \"2.0\"");
    }
    let params = message.remove("params").unwrap_or_default();
    let (result, error) = (message.remove("result"), message.remove("error"));
    // Many write both members, and null into the one that is not there.
    let error = error.filter(|error| !error.is_null());
    let result = result.filter(|result| error.is_none() || !result.is_null());
    match (message.remove("method"), id, result, error) {
        (Some(Value::String(_)), id, None, None) if !params.is_object() && !params.is_null() => {
            invalid(id, PARAMS, "the parameters of an MCP message are an object")
        }
        (Some(Value::String(method)), Some(id), None, None) => {
            Heard::Request(Request { id, method, params })
        }
        (Some(Value::String(method)), None, None, None) => Heard::Notification { method, params },
        (None, Some(id), Some(result), None) => Heard::Answer { id, outcome: Ok(result) },
        (None, Some(id), None, Some(error)) => Heard::Answer { id, outcome: Err(error) },
        // A response is never answered: its id may be that of a request of the host's own. Whoever asked
        // is told that there is no answer.
        (None, Some(id), Some(_), Some(_)) => Heard::Answer {
            id,
            outcome: Err(self::error(BRIDGE, "the host's answer is none", None)),
        },
        (None, None, _, Some(_)) => Heard::Ignored,
        (_, id, ..) => invalid(id, INVALID, "this is no JSON-RPC message"),
    }
}

/// A message with parameters, if there are some.
fn message(id: Option<Value>, method: &str, params: Value) -> Value {
    let mut message = Map::new();
    message.insert("jsonrpc".to_owned(), json!("2.0"));
    message.extend(id.map(|id| ("id".to_owned(), id)));
    message.insert("method".to_owned(), json!(method));
    if !params.is_null() {
        message.insert("params".to_owned(), params);
    }
    Value::Object(message)
}

/// A request to the host.
pub(crate) fn request(id: u64, method: &str, params: Value) -> Value {
    message(Some(json!(id)), method, params)
}

/// A notification to the host.
pub(crate) fn notification(method: &str, params: Value) -> Value {
    message(None, method, params)
}

/// The answer to a request of the host's.
pub(crate) fn answer(id: &Value, outcome: Result<Value, Value>) -> Value {
    match outcome {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
    }
}

/// An error.
pub(crate) fn error(code: i64, message: &str, data: Option<Value>) -> Value {
    let mut error = json!({"code": code, "message": message});
    if let (Some(data), Some(members)) = (data, error.as_object_mut()) {
        members.insert("data".to_owned(), data);
    }
    error
}

/// A message of the server's, taken apart.
pub(crate) enum Said {
    Request { id: Value, method: String, params: Value },
    Notification { method: String, params: Value },
    Response(Result<Value, Value>),
}

/// Tells what a message of the server's is. The transport gives nothing but messages.
pub(crate) fn said(mut message: Value) -> Said {
    let mut take = |member: &str| message.get_mut(member).map(Value::take);
    match take("method") {
        Some(Value::String(method)) => {
            let params = take("params").unwrap_or_default();
            match take("id").filter(|id| !id.is_null()) {
                Some(id) => Said::Request { id, method, params },
                None => Said::Notification { method, params },
            }
        }
        _ => Said::Response(match take("error") {
            Some(error) => Err(error),
            None => Ok(take("result").unwrap_or_default()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Heard {
        match read(line.as_bytes()) {
            Told::One(heard) => heard,
            Told::Many(_) => Heard::Invalid { id: Value::Null, code: 0, why: "an array" },
        }
    }

    #[test]
    fn messages_of_the_host_are_told_apart() {
        for id in [json!(1), json!("1"), json!(-1), json!(1.5)] {
            let line = json!({"jsonrpc": "2.0", "id": id, "method": "m", "params": {}});
            let (method, params) = ("m".to_owned(), json!({}));
            let expected = Heard::Request(Request { id, method, params });
            assert_eq!(one(&line.to_string()), expected);
        }
        let told = Heard::Notification { method: "n".to_owned(), params: Value::Null };
        assert_eq!(one(r#"{"jsonrpc":"2.0","method":"n"}"#), told);
        assert_eq!(one(r#"{"jsonrpc":"2.0","id":null,"method":"n"}"#), told);
        let answer = |outcome| Heard::Answer { id: json!(7), outcome };
        assert_eq!(one(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#), answer(Ok(json!({}))));
        assert_eq!(one(r#"{"jsonrpc":"2.0","id":7,"error":{}}"#), answer(Err(json!({}))));
        // As serializers write that have both members, and as no answer may be.
        let both = r#"{"jsonrpc":"2.0","id":7,"result":null,"error":{"code":1}}"#;
        assert_eq!(one(both), answer(Err(json!({"code": 1}))));
        let neither = one(r#"{"jsonrpc":"2.0","id":7,"result":1,"error":{}}"#);
        assert!(matches!(neither, Heard::Answer { outcome: Err(_), .. }), "{neither:?}");
        assert_eq!(one(r#"{"jsonrpc":"2.0","id":null,"error":{}}"#), Heard::Ignored);
        assert!(matches!(read(b"[{}, 7]"), Told::Many(entries) if entries.len() == 2));
    }

    #[test]
    fn what_is_no_message_is_answered_under_its_id_if_it_has_one() {
        for (line, code, id) in [
            ("{", PARSE, json!(null)),
            ("\u{1}", PARSE, json!(null)),
            ("7", INVALID, json!(null)),
            (r#""text""#, INVALID, json!(null)),
            ("{}", INVALID, json!(null)),
            (r#"{"jsonrpc":"1.0","id":3,"method":"m"}"#, INVALID, json!(3)),
            (r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, INVALID, json!(null)),
            (r#"{"jsonrpc":"2.0","id":3,"method":7}"#, INVALID, json!(3)),
            (r#"{"jsonrpc":"2.0","id":3,"method":"m","params":[1]}"#, PARAMS, json!(3)),
            (r#"{"jsonrpc":"2.0","id":3}"#, INVALID, json!(3)),
        ] {
            let Heard::Invalid { id: found, code: told, .. } = one(line) else {
                unreachable!("{line}")
            };
            assert_eq!((told, found), (code, id), "{line}");
        }
    }

    #[test]
    fn a_line_that_swells_is_not_read_host_322() {
        let swells = format!("[{}]", vec!["0"; 2 * 1024 * 1024].join(","));
        assert!(matches!(read(swells.as_bytes()), Told::One(Heard::Invalid { .. })));
        let deep = "[".repeat(100_000);
        assert!(matches!(read(deep.as_bytes()), Told::One(Heard::Invalid { .. })));
    }
}
