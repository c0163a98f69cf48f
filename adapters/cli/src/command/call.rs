//! `call`: one call of a tool, with its progress.

use mcp_authz_core::failure::escaped;
use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::say::Say;
use crate::server::Server;

/// The arguments of the call, from the words of the command line.
pub(super) fn arguments(words: &[String]) -> Result<Value, Fault> {
    if let [whole] = words
        && whole.trim_start().starts_with('{')
    {
        let read = serde_json::from_str(whole);
        return read.map_err(|error| Fault::usage(&format!("the arguments are no JSON: {error}")));
    }
    let mut members = Map::new();
    for word in words {
        let Some((name, value)) = word.split_once('=') else {
            return Err(Fault::usage(&format!("{word} is neither NAME=VALUE nor a JSON object")));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        if members.insert(name.to_owned(), value).is_some() {
            return Err(Fault::usage(&format!("{name} is given twice")));
        }
    }
    Ok(Value::Object(members))
}

/// Calls the tool and shows what it says.
pub(super) async fn run(server: &Server, tool: &str, arguments: Value) -> Result<(), Fault> {
    show(&server.call(tool, arguments).await?, &server.say)
}

/// Shows what a tool says.
pub(super) fn show(result: &Value, say: &Say) -> Result<(), Fault> {
    say.result(readable(result), &json!({"event": "result", "result": result}));
    match result.get("isError") {
        Some(Value::Bool(true)) => Err(Fault::tool()),
        _ => Ok(()),
    }
}

/// The content of a result for people: texts as they are, line by line, and the rest named.
fn readable(result: &Value) -> String {
    let text = |value: &Value, member: &str| {
        value.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let lines = |text: &str| text.lines().map(escaped).collect::<Vec<_>>().join("\n");
    let blocks = result.get("content").and_then(Value::as_array);
    let mut shown: Vec<String> = Vec::new();
    for block in blocks.into_iter().flatten() {
        shown.push(match text(block, "type").as_str() {
            "text" => lines(&text(block, "text")),
            "resource_link" => format!("[link: {}]", escaped(&text(block, "uri"))),
            kind => {
                let size = text(block, "data").len();
                let media = text(block, "mimeType");
                format!(
                    "[{} {}, {size} characters in base64; --json shows it]",
                    escaped(kind),
                    escaped(&media)
                )
            }
        });
    }
    if shown.is_empty()
        && let Some(structured) = result.get("structuredContent")
    {
        shown.push(format!("{structured:#}"));
    }
    shown.join("\n")
}
