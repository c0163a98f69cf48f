//! The model's answers, and the few shapes that most of them have.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

/// An answer to one request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers, without those of the framing.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
    /// Milliseconds to wait before anything is sent.
    pub delay_ms: u64,
    /// The error code it carries (OAuth, Bearer or JSON-RPC), for logs and tests; it is not on the wire by itself.
    pub error: Option<String>,
    /// The tokens it grants, as they are meant, whatever is wrong with the body; for tests, like the error.
    pub granted: Option<Value>,
}

/// The body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// To be had piece by piece from [`Model::poll`](super::Model::poll).
    Stream(StreamId),
    /// The connection goes without an answer; status and headers mean nothing.
    Dropped,
}

/// Names a stream of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// One piece of a stream, as [`Model::poll`](super::Model::poll) gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The next bytes.
    Chunk(Vec<u8>),
    /// Nothing before this time (milliseconds since the Unix epoch); it may come earlier if somebody speaks.
    NotBefore(u64),
    /// The end, in good order.
    End,
    /// The connection goes.
    Cut,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Body::Whole(body.into()),
            delay_ms: 0,
            error: None,
            granted: None,
        }
    }

    pub(crate) fn empty(status: StatusCode) -> Self {
        Self::new(status, Vec::new())
    }

    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        Self::new(status, body.to_string()).header(CONTENT_TYPE, "application/json")
    }

    pub(crate) fn html(status: StatusCode, title: &str, content: &str) -> Self {
        let page = format!(
            "<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1>{content}</body></html>\n"
        );
        Self::new(status, page).header(CONTENT_TYPE, "text/html; charset=utf-8")
    }

    pub(crate) fn redirect(status: StatusCode, to: &str) -> Self {
        Self::empty(status).header(LOCATION, to)
    }

    /// The error shape of RFC 6749 and RFC 7591.
    pub(crate) fn refusal(status: StatusCode, code: &str, description: &str) -> Self {
        Self::json(status, &json!({"error": code, "error_description": description}))
            .header(CACHE_CONTROL, "no-store")
            .because(code)
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            self.headers.append(name, value);
        }
        self
    }

    pub(crate) fn because(mut self, error: &str) -> Self {
        self.error = Some(error.to_owned());
        self
    }
}

/// Lays members over a JSON object; `null` removes one.
pub(crate) fn lay_over(mut document: Value, members: &[(String, Value)]) -> Value {
    if let Value::Object(object) = &mut document {
        for (name, value) in members {
            if value.is_null() {
                object.remove(name);
            } else {
                object.insert(name.clone(), value.clone());
            }
        }
    }
    document
}
