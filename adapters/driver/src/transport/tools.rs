//! Tools as a program uses them: the whole list, and a call with a typed result.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::engine::Engine;
use super::error::TransportError;
use super::line::Line;

/// Pages of one list that are asked for.
const MOST_PAGES: usize = 256;
/// Tools of one list that are taken.
const MOST_TOOLS: usize = 10_000;

/// A tool that a server offers (`tools/list`). Its texts are the server's own, and never to be trusted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tool {
    /// The name that [`Transport::call_tool`](super::Transport::call_tool) takes.
    pub name: String,
    /// The name for people, if it has one.
    pub title: Option<String>,
    /// The purpose, in the server's words.
    pub description: Option<String>,
    /// The JSON schema of its arguments; null if the server gave none.
    pub input_schema: Value,
    /// The whole entry of the list, as the server wrote it.
    pub raw: Value,
}

impl Tool {
    /// An entry of a list; `None` if it has no name, so that nobody could call it.
    fn read(raw: Value) -> Option<Self> {
        let text = |member: &str| raw.get(member).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            name: text("name").filter(|name| !name.is_empty())?,
            title: text("title"),
            description: text("description"),
            input_schema: raw.get("inputSchema").cloned().unwrap_or_default(),
            raw,
        })
    }
}

/// The outcome of a tool (`tools/call`), as the server wrote it: never to be trusted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ToolResult {
    /// True if the tool itself says that it failed; its content then tells why.
    pub is_error: bool,
    /// The structured content, if there is some (2025-06-18 and later).
    pub structured: Option<Value>,
    /// The whole result.
    pub raw: Value,
}

impl ToolResult {
    fn read(raw: Value) -> Self {
        Self {
            is_error: raw.get("isError") == Some(&Value::Bool(true)),
            structured: raw.get("structuredContent").filter(|it| !it.is_null()).cloned(),
            raw,
        }
    }

    /// The text of its content: every text block, a line apart. Empty if it has none.
    #[must_use]
    pub fn text(&self) -> String {
        let blocks = self.raw.get("content").and_then(Value::as_array);
        let text = |block: &Value| match block.get("type").and_then(Value::as_str) {
            Some("text") => block.get("text").and_then(Value::as_str).map(str::to_owned),
            _ => None,
        };
        blocks.into_iter().flatten().filter_map(text).collect::<Vec<_>>().join("\n")
    }
}

impl<L: Line> Engine<L> {
    /// The tools of all pages. A list that leads back to a page that it had is refused, since it would
    /// never end.
    pub(crate) async fn tools(self: &Arc<Self>) -> Result<Vec<Tool>, TransportError> {
        let (mut tools, mut cursors, mut params) = (Vec::new(), HashSet::new(), json!({}));
        for _ in 0..MOST_PAGES {
            let mut page = self.call("tools/list", params).await?;
            let listed = page.get_mut("tools").map(Value::take);
            let Some(Value::Array(listed)) = listed else {
                return Err(TransportError::Malformed("a page of tools has no list of them"));
            };
            tools.extend(listed.into_iter().filter_map(Tool::read));
            if tools.len() > MOST_TOOLS {
                return Err(TransportError::Malformed("it lists more than 10,000 tools"));
            }
            let Some(cursor) = page.get("nextCursor").and_then(Value::as_str) else {
                return Ok(tools);
            };
            if !cursors.insert(cursor.to_owned()) {
                break;
            }
            params = json!({ "cursor": cursor });
        }
        Err(TransportError::Malformed("the pages of tools never end"))
    }

    /// Calls a tool. Its arguments are an object, or null for none.
    pub(crate) async fn call_tool(
        self: &Arc<Self>,
        name: &str,
        arguments: Value,
    ) -> Result<ToolResult, TransportError> {
        let arguments = match arguments {
            Value::Null => Map::new(),
            Value::Object(arguments) => arguments,
            _ => return Err(TransportError::Invalid("a tool's arguments are a JSON object")),
        };
        let result =
            self.call("tools/call", json!({ "name": name, "arguments": arguments })).await?;
        Ok(ToolResult::read(result))
    }
}
