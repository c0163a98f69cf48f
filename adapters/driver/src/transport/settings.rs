//! The settings by which a program describes itself and the connection it wants.

use core::fmt;
use core::time::Duration;

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Request};
use mcp_authz_core::effect::Limits;
use serde_json::{Value, json};

use super::error::TransportError;
use crate::exchange;

/// Which transport a connection uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Streamable HTTP, of 2025-03-26 and later.
    StreamableHttp,
    /// HTTP+SSE of 2024-11-05, for servers that speak nothing newer (TRANS-32).
    HttpSse,
}

/// Which transport a program wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Choice {
    /// The newest that the server answers to (TRANS-27, TRANS-30).
    #[default]
    Auto,
    /// Streamable HTTP or nothing.
    StreamableHttp,
    /// HTTP+SSE; nothing else is tried.
    HttpSse,
}

/// How long and how large things may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of one event, and of one answer that is no stream (HOST-262). 4 MiB unless said.
    pub event: usize,
    /// How long a stream or a body may be silent before it counts as broken. 5 minutes unless said.
    pub idle: Duration,
    /// How long the head of an answer may take, and the first event of HTTP+SSE. 5 minutes unless
    /// said, since a server that answers with plain JSON says nothing before its tool is done.
    pub head: Duration,
    /// How long the response to a request may take on its stream, whatever else comes on it: a
    /// server that keeps its stream alive could keep whoever waits for ever. One hour unless said,
    /// since tools may take their time. The server is told that nobody waits any more.
    pub response: Duration,
    /// How often in a row a stream is taken up again without anything new coming of it (HOST-265).
    /// 12 unless said, which is about five minutes.
    pub reconnects: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            event: 4 * 1024 * 1024,
            idle: Duration::from_secs(300),
            head: Duration::from_secs(300),
            response: Duration::from_secs(3600),
            reconnects: 12,
        }
    }
}

/// A program's description of itself, and of the connection it wants.
#[derive(Clone)]
pub struct Settings {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) capabilities: Value,
    pub(crate) choice: Choice,
    pub(crate) revision: Option<String>,
    pub(crate) may_ask: bool,
    pub(crate) repeat_reads: bool,
    pub(crate) bounds: Bounds,
    limits: Limits,
    headers: HeaderMap,
    info: Option<Value>,
}

/// Headers that the transport, the session or the HTTP client sets.
const TAKEN: [HeaderName; 18] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::HOST,
    HeaderName::from_static("dpop"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
/// Of more headers than these the server's own limits are met first.
const MOST_HEADERS: usize = 64;

impl Settings {
    /// A client of this name and version, without capabilities, that takes whatever the server
    /// speaks. A person may be asked if the server wants a login.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            capabilities: json!({}),
            choice: Choice::Auto,
            revision: None,
            may_ask: true,
            repeat_reads: false,
            bounds: Bounds::default(),
            limits: exchange::limits(),
            headers: HeaderMap::new(),
            info: None,
        }
    }

    /// Adds a header to every request of the connection, as some servers want for a key or a tenant
    /// beside the token. It goes to the MCP server alone: no request for metadata, a registration or
    /// a token has it, and no other origin. The value is treated as a secret.
    ///
    /// # Errors
    /// [`TransportError::Invalid`] if it is no header, one that is set for you (such as
    /// `Authorization`, `Content-Type` and all of `Mcp-*`), one that is there already, or one too
    /// many.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, TransportError> {
        let name = HeaderName::try_from(name)
            .map_err(|_| TransportError::Invalid("a header's name is letters, digits and -"))?;
        let value = HeaderValue::try_from(value);
        let mut value = value
            .map_err(|_| TransportError::Invalid("a header's value is one line of plain text"))?;
        if TAKEN.contains(&name) || name.as_str().starts_with("mcp-") {
            return Err(TransportError::Invalid("this header is set for you"));
        }
        if self.headers.len() >= MOST_HEADERS {
            return Err(TransportError::Invalid("there are too many headers"));
        }
        value.set_sensitive(true);
        if self.headers.insert(name, value).is_some() {
            return Err(TransportError::Invalid("this header is given twice"));
        }
        Ok(self)
    }

    /// Puts the program's own headers on a request, never in place of another.
    pub(crate) fn add_headers(&self, request: &mut Request<Vec<u8>>) {
        for (name, value) in &self.headers {
            request.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }

    /// The client's capabilities for the server, as the protocol writes them: an object.
    #[must_use]
    pub fn capabilities(mut self, capabilities: Value) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// The whole of `clientInfo`, in place of a name and a version: for a program that stands in for
    /// another client.
    #[must_use]
    pub fn client_info(mut self, info: Value) -> Self {
        self.info = Some(info);
        self
    }

    /// Which transport to use.
    #[must_use]
    pub const fn transport(mut self, choice: Choice) -> Self {
        self.choice = choice;
        self
    }

    /// Which protocol revision to ask for, as in `2025-06-18`, without finding out first what the
    /// server speaks. One that the server names instead is taken up if it is known.
    #[must_use]
    pub fn revision(mut self, revision: &str) -> Self {
        self.revision = Some(revision.to_owned());
        self
    }

    /// Sets whether a person may be asked, now and in every later request. For a message that is
    /// sent in nobody's name, as a cancellation or the answer to a `ping`, nobody is asked, or a
    /// server could have pages opened whenever it likes.
    #[must_use]
    pub const fn may_ask(mut self, may_ask: bool) -> Self {
        self.may_ask = may_ask;
        self
    }

    /// Sets whether requests that only read (the lists, `resources/read`, `prompts/get`) are sent
    /// once more, under a fresh id, when the stream of their answer breaks and cannot be resumed
    /// (TRANS-17). The default is no.
    #[must_use]
    pub const fn repeat_reads(mut self, repeat: bool) -> Self {
        self.repeat_reads = repeat;
        self
    }

    /// Other bounds.
    #[must_use]
    pub const fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Other limits on each request than [`limits`](exchange::limits); how long it may take and what
    /// its body may hold are bounds.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The limits of one request.
    pub(crate) const fn within(&self) -> Limits {
        Limits { total: self.bounds.head, body: self.bounds.event, ..self.limits }
    }

    pub(crate) fn info(&self) -> Value {
        let named = || json!({"name": self.name, "version": self.version});
        self.info.clone().unwrap_or_else(named)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("choice", &self.choice)
            .field("revision", &self.revision)
            .field("may_ask", &self.may_ask)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_client_is_described_as_it_describes_itself() {
        let settings = Settings::new("n", "1");
        assert_eq!(settings.info(), json!({"name": "n", "version": "1"}));
        let info = json!({"name": "host", "version": "2", "title": "Host"});
        assert_eq!(settings.client_info(info.clone()).info(), info);
    }

    #[test]
    fn a_header_of_the_programs_goes_on_requests_and_in_no_text_host_259() {
        let settings = Settings::new("n", "1").header("X-Api-Key", "c4n4ry").unwrap();
        assert!(!format!("{settings:?}").contains("c4n4ry"));
        let mut request = Request::new(Vec::new());
        request.headers_mut().insert("x-other", HeaderValue::from_static("kept"));
        settings.add_headers(&mut request);
        assert_eq!(request.headers()["x-api-key"], "c4n4ry");
        assert!(request.headers()["x-api-key"].is_sensitive());
        assert_eq!(request.headers().len(), 2);
    }

    #[test]
    fn a_header_that_is_set_already_or_is_none_is_refused_host_259() {
        for (name, value) in [
            ("Authorization", "Bearer x"),
            ("authorization", "x"),
            ("Host", "x"),
            ("Content-Length", "1"),
            ("Content-Type", "text/plain"),
            ("Accept", "*/*"),
            ("Transfer-Encoding", "chunked"),
            ("Mcp-Session-Id", "x"),
            ("MCP-Protocol-Version", "x"),
            ("Mcp-Param-Region", "x"),
            ("DPoP", "x"),
            ("", "x"),
            ("a b", "x"),
            ("a:b", "x"),
            ("x-key", "a\r\nHost: b"),
            ("x-key", "a\0"),
        ] {
            let refused = Settings::new("n", "1").header(name, value).unwrap_err();
            assert_eq!(refused.code(), "config_invalid", "{name}: {value}");
        }
        let twice = Settings::new("n", "1").header("x-key", "1").unwrap();
        assert!(twice.header("X-KEY", "2").is_err());
    }
}
