//! Requests and their headers, as each revision wants them.

use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Request};
use serde_json::{Value, json};

use super::error::TransportError;
use super::mirror::spelled;
use super::settings::Settings;

pub(crate) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// The newest revision.
pub(crate) const MODERN: &str = "2026-07-28";
/// Those before it, newest first. The last one has Streamable HTTP only by custom.
pub(crate) const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// How a connection is spoken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Each request says for itself what it is.
    Modern,
    /// `initialize`, and perhaps a session.
    Session,
    /// Requests are posted to an endpoint, answers come on a stream.
    HttpSse,
}

/// The parts of a request beside its message.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) wire: Wire,
    pub(crate) version: String,
    pub(crate) session: Option<HeaderValue>,
}

impl Manner {
    /// A new message of the client's (TRANS-01, TRANS-02).
    pub(crate) fn post(
        &self,
        url: &str,
        message: &Value,
        mirrored: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Request<Vec<u8>>, TransportError> {
        let mut request = self.bare(Method::POST, url, message.to_string().into_bytes())?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let method = message.get("method").and_then(Value::as_str);
        if method == Some("initialize") {
            headers.remove(VERSION);
            headers.remove(SESSION);
        }
        if self.wire == Wire::Modern {
            let value = |text: &str| spelled(text).ok_or(TransportError::Invalid(NO_HEADER));
            if let Some(method) = method {
                let method = HeaderValue::from_str(method);
                headers.insert(METHOD, method.map_err(|_| TransportError::Invalid(NO_HEADER))?);
            }
            if let Some(name) = target(message) {
                headers.insert(NAME, value(name)?);
            }
            headers.extend(mirrored);
        }
        Ok(request)
    }

    /// The server's own stream, or one that goes on after an event (TRANS-22, TRANS-23).
    pub(crate) fn get(
        &self,
        url: &str,
        after: Option<&HeaderValue>,
    ) -> Result<Request<Vec<u8>>, TransportError> {
        let mut request = self.bare(Method::GET, url, Vec::new())?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        if let Some(after) = after {
            request.headers_mut().insert(LAST_EVENT, after.clone());
        }
        Ok(request)
    }

    /// The end of the session (TRANS-21).
    pub(crate) fn delete(&self, url: &str) -> Result<Request<Vec<u8>>, TransportError> {
        self.bare(Method::DELETE, url, Vec::new())
    }

    fn bare(
        &self,
        method: Method,
        url: &str,
        body: Vec<u8>,
    ) -> Result<Request<Vec<u8>>, TransportError> {
        let request = Request::builder().method(method).uri(url).body(body);
        let mut request =
            request.map_err(|_| TransportError::Invalid("the URL cannot be asked"))?;
        let headers = request.headers_mut();
        // The header came with 2025-06-18 (TRANS-08, TRANS-10).
        if self.wire != Wire::HttpSse && self.version.as_str() > "2025-03-26" {
            let version = HeaderValue::from_str(&self.version);
            let version = version.map_err(|_| TransportError::Invalid(NO_HEADER))?;
            headers.insert(VERSION, version);
        }
        if let (Wire::Session, Some(session)) = (self.wire, &self.session) {
            headers.insert(SESSION, session.clone());
        }
        Ok(request)
    }
}

const NO_HEADER: &str = "this text cannot be a header value";

/// The value that `Mcp-Name` repeats (TRANS-11).
fn target(message: &Value) -> Option<&str> {
    let member = match message.get("method")?.as_str()? {
        "tools/call" | "prompts/get" => "/params/name",
        "resources/read" => "/params/uri",
        _ => return None,
    };
    message.pointer(member)?.as_str()
}

/// Parameters with the members by which each modern request describes its client (TRANS-10,
/// TRANS-15). Other members that the caller put there stay, and so does the description of another
/// client, for which a program may stand in.
pub(crate) fn with_meta(
    params: &Value,
    version: &str,
    settings: &Settings,
) -> Result<Value, TransportError> {
    let mut params = match params {
        Value::Null => json!({}),
        Value::Object(_) => params.clone(),
        _ => return Err(TransportError::Invalid("the parameters of a request are an object")),
    };
    let members = params.as_object_mut().map(|params| {
        let meta = params.entry("_meta").or_insert_with(|| json!({}));
        if meta.is_null() {
            *meta = json!({});
        }
        meta
    });
    let meta = members
        .and_then(Value::as_object_mut)
        .ok_or(TransportError::Invalid("the `_meta` of a request is an object"))?;
    meta.insert("io.modelcontextprotocol/protocolVersion".to_owned(), json!(version));
    for (name, value) in
        [("clientCapabilities", &settings.capabilities), ("clientInfo", &settings.info())]
    {
        let described = meta.entry(format!("io.modelcontextprotocol/{name}"));
        described.or_insert_with(|| value.clone());
    }
    Ok(params)
}

/// The name by which the retry limits of authorization are counted (STEP-10).
pub(crate) fn operation(method: &str, params: &Value) -> String {
    let named = |member: &str| params.get(member).and_then(Value::as_str);
    match method {
        "tools/call" | "prompts/get" => format!("{method} {}", named("name").unwrap_or_default()),
        "resources/read" => format!("{method} {}", named("uri").unwrap_or_default()),
        _ => method.to_owned(),
    }
}

/// Returns true if a request only reads, so that it may be sent twice.
pub(crate) fn only_reads(method: &str) -> bool {
    matches!(
        method,
        "server/discover"
            | "tools/list"
            | "prompts/list"
            | "prompts/get"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
    )
}

#[cfg(test)]
mod tests;
