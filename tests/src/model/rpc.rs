//! JSON-RPC and the little that this MCP server can do.

use serde_json::{Value, json};

use super::bearer::{Caller, Wish};

pub(crate) const PARSE: i64 = -32700;
pub(crate) const INVALID: i64 = -32600;
pub(crate) const NO_METHOD: i64 = -32601;
pub(crate) const BAD_PARAMS: i64 = -32602;
/// The code without meaning that older servers use for transport errors; it must not look like a modern one.
pub(crate) const TRANSPORT: i64 = -32000;

/// An error response.
pub(crate) fn error(id: Option<&Value>, code: i64, message: &str, data: Option<Value>) -> Value {
    let mut error = json!({"code": code, "message": message});
    if let (Some(data), Some(object)) = (data, error.as_object_mut()) {
        object.insert("data".to_owned(), data);
    }
    json!({"jsonrpc": "2.0", "id": id, "error": error})
}

pub(crate) fn result(id: Option<&Value>, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

pub(crate) fn method(message: &Value) -> Option<&str> {
    message.get("method")?.as_str()
}

/// A message that awaits an answer.
pub(crate) fn is_request(message: &Value) -> bool {
    method(message).is_some()
        && message.get("id").is_some_and(|id| id.is_string() || id.is_number())
}

/// A message at all.
pub(crate) fn is_message(message: &Value) -> bool {
    let version = message.get("jsonrpc").and_then(Value::as_str) == Some("2.0");
    let response = message.get("result").is_some() || message.get("error").is_some();
    version && (method(message).is_some() != response)
}

pub(crate) fn wish(message: &Value) -> Wish<'_> {
    let method = method(message).unwrap_or_default();
    let tool = (method == "tools/call")
        .then(|| message.pointer("/params/name").and_then(Value::as_str))
        .flatten();
    Wish { method, tool }
}

/// The answer to a request that needs no session state.
pub(crate) fn execute(
    caller: &Caller,
    message: &Value,
    more_tools: &[Value],
    modern: bool,
) -> Value {
    let id = message.get("id");
    let outcome = match method(message).unwrap_or_default() {
        "ping" if !modern => Ok(json!({})),
        "tools/list" => Ok(list(more_tools, modern)),
        "tools/call" => call(caller, message, more_tools),
        _ => Err((NO_METHOD, "no such method")),
    };
    match outcome {
        Ok(mut value) => {
            if let (true, Some(object)) = (modern, value.as_object_mut()) {
                object.insert("resultType".to_owned(), json!("complete"));
            }
            result(id, value)
        }
        Err((code, text)) => error(id, code, text, None),
    }
}

pub(crate) fn server_info() -> Value {
    json!({"name": "mcp-authz-model", "version": "1"})
}

/// The messages before the response to a call of the tool `count`, which is on no list: one
/// notification for each number up to the one that is asked for.
pub(crate) fn progress(message: &Value) -> Vec<Value> {
    let counts = message.pointer("/params/name").and_then(Value::as_str) == Some("count");
    let upto = message.pointer("/params/arguments/upto").and_then(Value::as_u64);
    (0..upto.filter(|_| counts && is_request(message)).unwrap_or_default())
        .map(|number| {
            let params = json!({"progressToken": 1, "progress": number});
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
        })
        .collect()
}

fn list(more_tools: &[Value], modern: bool) -> Value {
    let nothing = json!({"type": "object", "properties": {}});
    let text =
        json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
    let mut list = json!({"tools": [
        {"name": "echo", "description": "Says back the text", "inputSchema": text},
        {"name": "whoami", "description": "Tells who is authorized for what", "inputSchema": nothing},
        {"name": "test-tool", "description": "Does nothing", "inputSchema": nothing},
        {"name": "admin", "description": "Does nothing, but may need more scope", "inputSchema": nothing},
    ]});
    if let Some(tools) = list.get_mut("tools").and_then(Value::as_array_mut) {
        tools.extend_from_slice(more_tools);
    }
    if let (true, Some(object)) = (modern, list.as_object_mut()) {
        object.insert("ttlMs".to_owned(), json!(0));
        object.insert("cacheScope".to_owned(), json!("private"));
    }
    list
}

fn call(
    caller: &Caller,
    message: &Value,
    more_tools: &[Value],
) -> Result<Value, (i64, &'static str)> {
    let name = message
        .pointer("/params/name")
        .and_then(Value::as_str)
        .ok_or((BAD_PARAMS, "no tool name"))?;
    let text = match name {
        "echo" => message
            .pointer("/params/arguments/text")
            .and_then(Value::as_str)
            .ok_or((BAD_PARAMS, "echo needs a text"))?
            .to_owned(),
        "whoami" => {
            json!({"subject": caller.subject, "client": caller.client, "scopes": caller.scopes})
                .to_string()
        }
        "test-tool" => "test".to_owned(),
        "admin" | "count" => "done".to_owned(),
        other if more_tools.iter().any(|tool| tool.get("name").is_some_and(|n| n == other)) => {
            "done".to_owned()
        }
        _ => return Err((BAD_PARAMS, "no such tool")),
    };
    Ok(json!({"content": [{"type": "text", "text": text}]}))
}
