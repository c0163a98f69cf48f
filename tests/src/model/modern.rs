//! The MCP endpoint of 2026-07-28: no sessions, each request says for itself what it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

use super::Model;
use super::answer::Answer;
use super::bearer::Caller;
use super::mcp::{VERSION, refused};
use super::params::Call;
use super::rpc;

pub(crate) const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const META_SERVER: &str = "io.modelcontextprotocol/serverInfo";

const HEADER_MISMATCH: i64 = -32020;
const MISSING_CAPABILITY: i64 = -32021;
const UNSUPPORTED_VERSION: i64 = -32022;

impl Model {
    pub(crate) fn modern(&mut self, call: &Call<'_>, caller: &Caller, message: &Value) -> Answer {
        if !rpc::is_message(message) || rpc::method(message).is_none() {
            return refused(
                StatusCode::BAD_REQUEST,
                rpc::INVALID,
                "not a JSON-RPC request or notification",
            );
        }
        if let Err(answer) = self.check_modern(call, message) {
            return answer;
        }
        if !rpc::is_request(message) {
            return Answer::empty(StatusCode::ACCEPTED);
        }
        let replies = match rpc::method(message) {
            Some("server/discover") => vec![self.discovered(message)],
            _ => self.replies(caller, message, true),
        };
        let unknown = |reply: &Value| {
            reply.pointer("/error/code").and_then(Value::as_i64) == Some(rpc::NO_METHOD)
        };
        match replies.as_slice() {
            [reply] if unknown(reply) => {
                Answer::json(StatusCode::NOT_FOUND, reply).because("-32601")
            }
            _ => self.replied(call, replies, None, true),
        }
    }

    fn check_modern(&self, call: &Call<'_>, message: &Value) -> Result<(), Answer> {
        let id = message.get("id");
        let bad = |code: i64, text: &str, data: Option<Value>| {
            let reply = rpc::error(id, code, text, data);
            Err(Answer::json(StatusCode::BAD_REQUEST, &reply).because(&code.to_string()))
        };
        let supported = &self.settings.mcp.modern_versions;
        let Some(header) = call.text(VERSION) else {
            return bad(HEADER_MISMATCH, "MCP-Protocol-Version is missing", None);
        };
        let meta = |key: &str| message.pointer("/params/_meta").and_then(|meta| meta.get(key));
        let Some(named) = meta(META_VERSION).and_then(Value::as_str) else {
            return bad(rpc::BAD_PARAMS, "_meta has no protocol version", None);
        };
        if named != header {
            return bad(HEADER_MISMATCH, "MCP-Protocol-Version differs from _meta", None);
        }
        if !supported.iter().any(|known| known == header) {
            let data = json!({"supported": supported, "requested": header});
            return bad(UNSUPPORTED_VERSION, "unsupported protocol version", Some(data));
        }
        let Some(capabilities) = meta(META_CAPABILITIES).filter(|value| value.is_object()) else {
            return bad(rpc::BAD_PARAMS, "_meta has no client capabilities", None);
        };
        let method = rpc::method(message);
        if call.text("mcp-method") != method {
            return bad(HEADER_MISMATCH, "Mcp-Method differs from the method", None);
        }
        let target = match method {
            Some("tools/call" | "prompts/get") => Some("/params/name"),
            Some("resources/read") => Some("/params/uri"),
            _ => None,
        };
        if let Some(target) = target {
            let named = call.text("mcp-name").and_then(unwrapped);
            if named.is_none()
                || named.as_deref() != message.pointer(target).and_then(Value::as_str)
            {
                return bad(HEADER_MISMATCH, "Mcp-Name differs from the parameters", None);
            }
        }
        if method == Some("tools/call") && !self.mirrored(call, message) {
            return bad(HEADER_MISMATCH, "Mcp-Param headers differ from the arguments", None);
        }
        if let (Some("tools/call"), Some(needed)) = (method, &self.settings.mcp.capability)
            && capabilities.get(needed).is_none()
        {
            let data = json!({"requiredCapabilities": {needed: {}}});
            return bad(MISSING_CAPABILITY, "a client capability is missing", Some(data));
        }
        Ok(())
    }

    /// Returns true if the headers of a call say the same as its annotated arguments.
    fn mirrored(&self, call: &Call<'_>, message: &Value) -> bool {
        let name = message.pointer("/params/name");
        let tool = self.settings.mcp.more_tools.iter().find(|tool| tool.get("name") == name);
        let parameters = tool.and_then(|tool| tool.pointer("/inputSchema/properties"));
        parameters.and_then(Value::as_object).into_iter().flatten().all(|(parameter, schema)| {
            let Some(header) = schema.get("x-mcp-header").and_then(Value::as_str) else {
                return true;
            };
            let sent = call.text(format!("mcp-param-{}", header.to_lowercase()));
            let argument = message.pointer("/params/arguments").and_then(|all| all.get(parameter));
            match argument.filter(|argument| !argument.is_null()) {
                Some(Value::String(text)) => sent.and_then(unwrapped).as_ref() == Some(text),
                Some(other) => sent == Some(other.to_string().as_str()),
                None => sent.is_none(),
            }
        })
    }

    fn discovered(&self, message: &Value) -> Value {
        let result = json!({
            "resultType": "complete",
            "supportedVersions": self.settings.mcp.modern_versions,
            "capabilities": {"tools": {}},
            "ttlMs": 0,
            "cacheScope": "public",
            "_meta": {META_SERVER: rpc::server_info()},
        });
        rpc::result(message.get("id"), result)
    }
}

/// A header value out of its base64 wrapping, if it has one.
fn unwrapped(value: &str) -> Option<String> {
    match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(wrapped) => String::from_utf8(STANDARD.decode(wrapped).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}
