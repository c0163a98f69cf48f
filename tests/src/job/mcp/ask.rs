//! What is asked of an MCP server, written as a request.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Request};
use mcp_authz_core::failure::Remedy;
use serde_json::{Map, Value, json};

use super::super::framing;
use super::super::outcome::Fault;
use super::{Mcp, SESSION};

const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// One thing to ask of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Which wire it speaks.
    Discover,
    Initialize,
    Initialized,
    Tools {
        cursor: Option<String>,
    },
    Call {
        tool: String,
    },
    /// The end of the session.
    Bye,
}

impl Ask {
    /// The JSON-RPC method, or what stands for it.
    pub(crate) const fn method(&self) -> &'static str {
        match self {
            Self::Discover => "server/discover",
            Self::Initialize => "initialize",
            Self::Initialized => "notifications/initialized",
            Self::Tools { .. } => "tools/list",
            Self::Call { .. } => "tools/call",
            Self::Bye => "session_end",
        }
    }

    /// What retry limits are counted by (STEP-10).
    pub(crate) fn operation(&self) -> String {
        match self {
            Self::Call { tool } => format!("tools/call {tool}"),
            other => other.method().to_owned(),
        }
    }
}

/// A request on its way, without a token.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) request: Request<Vec<u8>>,
    /// The JSON-RPC id of the answer, if there will be one.
    pub(crate) id: Option<u64>,
}

impl Mcp {
    /// The request for one thing, with a new JSON-RPC id.
    pub(crate) fn request(&mut self, ask: &Ask) -> Result<Outgoing, Fault> {
        let id = (!matches!(ask, Ask::Initialized | Ask::Bye)).then(|| {
            self.last_id = self.last_id.saturating_add(1);
            self.last_id
        });
        let method = if matches!(ask, Ask::Bye) { Method::DELETE } else { Method::POST };
        let body = match ask {
            Ask::Bye => Vec::new(),
            ask => self.message(ask, id).to_string().into_bytes(),
        };
        let mut request =
            Request::builder().method(method).uri(&self.url).body(body).map_err(|_| {
                Fault::new(
                    "url_malformed",
                    "the MCP URL cannot be asked",
                    "RES-04",
                    Remedy::Configure,
                )
            })?;
        let headers = request.headers_mut();
        if !matches!(ask, Ask::Bye) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        }
        let unwritable = || {
            Fault::new("usage", "this text cannot be a header value", "TRANS-11", Remedy::Configure)
        };
        if self.modern || (*ask != Ask::Initialize && self.version.as_str() > "2025-03-26") {
            headers
                .insert(VERSION, HeaderValue::from_str(&self.version).map_err(|_| unwritable())?);
        }
        if self.modern {
            headers.insert(METHOD, HeaderValue::from_static(ask.method()));
            if let Ask::Call { tool } = ask {
                headers.insert(NAME, framing::spelled(tool).ok_or_else(unwritable)?);
            }
        }
        if let Some(session) = self.session.as_ref().filter(|_| *ask != Ask::Initialize) {
            headers.insert(SESSION, session.clone());
        }
        Ok(Outgoing { request, id })
    }

    fn message(&self, ask: &Ask, id: Option<u64>) -> Value {
        let client = json!({"name": "mcp-authz-example", "version": env!("CARGO_PKG_VERSION")});
        let mut params = match ask {
            Ask::Initialize => {
                json!({"protocolVersion": self.version, "capabilities": {}, "clientInfo": client})
            }
            Ask::Tools { cursor: Some(cursor) } => json!({"cursor": cursor}),
            Ask::Call { tool } => json!({"name": tool, "arguments": {}}),
            Ask::Discover | Ask::Initialized | Ask::Tools { cursor: None } | Ask::Bye => json!({}),
        };
        if let (true, Some(params)) = (self.modern, params.as_object_mut()) {
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": self.version,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": client,
            });
            params.insert("_meta".to_owned(), meta);
        }
        let mut message = Map::new();
        message.insert("jsonrpc".to_owned(), json!("2.0"));
        message.extend(id.map(|id| ("id".to_owned(), json!(id))));
        message.insert("method".to_owned(), json!(ask.method()));
        if params.as_object().is_some_and(|params| !params.is_empty()) {
            message.insert("params".to_owned(), params);
        }
        Value::Object(message)
    }
}
