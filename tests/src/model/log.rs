//! The requests that the model has seen, for assertions and for a server's log.

use std::fmt;

use http::{HeaderMap, Method};
use serde_json::Value;

use super::params::Params;
use super::route::Endpoint;

/// One request and how it was answered. Its `Debug` and `Display` show no parameter and no header: both hold secrets.
#[derive(Clone)]
pub struct Seen {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The method.
    pub method: Method,
    /// Scheme, host and port.
    pub origin: String,
    /// The path.
    pub path: String,
    /// The endpoint that it was for.
    pub endpoint: Endpoint,
    /// Which authorization server's, if one's; the first is 0.
    pub server: Option<usize>,
    /// The query.
    pub query: Params,
    /// The form in the body, if it was one.
    pub form: Params,
    /// The JSON in the body, if it was.
    pub json: Option<Value>,
    /// The headers.
    pub headers: HeaderMap,
    /// The status answered; 0 if the connection was dropped.
    pub status: u16,
    /// The error code answered.
    pub error: Option<String>,
}

impl Seen {
    /// A query or form parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.get(name).or_else(|| self.form.get(name))
    }

    /// The JSON-RPC method.
    pub fn rpc(&self) -> Option<&str> {
        self.json.as_ref()?.get("method")?.as_str()
    }

    /// Returns true if an `Authorization` header came along.
    pub fn authorized(&self) -> bool {
        self.headers.contains_key(http::header::AUTHORIZATION)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, endpoint) = (self.method.as_str(), format!("{:?}", self.endpoint));
        write!(f, "{method:<6} {:<3} {endpoint:<14} {}{}", self.status, self.origin, self.path)?;
        // Escaped: both are the client's words, and a log line stays one line.
        for word in [self.rpc(), self.form.get("grant_type")].into_iter().flatten() {
            write!(f, "  {}", word.escape_debug())?;
        }
        if let Some(error) = &self.error {
            write!(f, "  -> {error}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
