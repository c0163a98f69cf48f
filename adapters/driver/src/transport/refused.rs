//! Answers that are no success: whether the session is lost, and the words that say so.

use http::{HeaderValue, Response, StatusCode};
use mcp_authz_core::failure::{escaped, redacted};
use mcp_authz_core::secret::Secret;
use serde_json::Value;

use super::answer::{self, Form};
use super::codes::NO_SESSION;
use super::error::{RpcError, TransportError};
use super::rpc;
use crate::exchange::Sent;

/// Bytes of a text that are looked at.
const LOOKED_AT: usize = 8 * 1024;

/// An answer that is no success.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    /// The JSON-RPC error in it.
    pub(crate) response: Option<Value>,
    /// Its other words, fit to be shown.
    pub(crate) said: Option<String>,
}

/// Tells whether an answer means that the session is gone, and so that the request was not executed
/// (TRANS-19, TRANS-90).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It does not.
    None,
    /// It says so by its status.
    Gone,
    /// It says so by its code, which has other meanings too.
    Told,
    /// It says that something is wrong with the request, and a session that is gone may be it.
    Perhaps,
}

impl Refused {
    /// Reads an answer.
    pub(crate) fn read<B>(answer: &Response<B>, body: &[u8], limit: usize) -> Self {
        let response = rpc::failure(body, limit);
        let said = if response.is_some() { None } else { words(answer, body) };
        Self { status: answer.status(), response, said }
    }

    /// An answer whose body is not looked at.
    pub(crate) const fn bare(status: StatusCode) -> Self {
        Self { status, response: None, said: None }
    }

    /// The meaning of the answer for the session whose id the request carried.
    pub(crate) fn loss(&self) -> Loss {
        let code = self.response.as_ref().map(rpc::code);
        let about_the_caller = matches!(
            self.status,
            StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_MANY_REQUESTS
        );
        match (self.status, code) {
            (status, _) if is_gone(status) => Loss::Gone,
            (status, Some(NO_SESSION)) if status.is_client_error() && !about_the_caller => {
                Loss::Told
            }
            (StatusCode::BAD_REQUEST, None) => Loss::Perhaps,
            _ => Loss::None,
        }
    }

    /// The answer as an error.
    pub(crate) fn error(self) -> TransportError {
        match self.response.as_ref().and_then(|response| response.get("error")) {
            Some(error) => TransportError::Rpc(RpcError::read(error)),
            None => TransportError::Status { status: self.status, said: self.said },
        }
    }
}

/// Returns true if the status says that the session or stream of the request is gone.
pub(crate) const fn is_gone(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

/// The words of an answer that is no success, as far as they are meant for people and are not a page:
/// escaped, cut, and without what went with the request and is said back. For an answer that came
/// through a session; its body is `body`.
#[must_use]
pub fn words<B>(answer: &Response<B>, body: &[u8]) -> Option<String> {
    let body = body.get(..LOOKED_AT).unwrap_or(body);
    let words = match answer::form(answer.headers()) {
        Form::Json => {
            let read: Value = serde_json::from_slice(body).ok()?;
            let word = |member: &str| read.get(member).and_then(Value::as_str);
            let told = ["error_description", "message", "detail", "title"].into_iter();
            let nested = read.pointer("/error/message").and_then(Value::as_str);
            let words = [word("error"), nested.or_else(|| told.filter_map(word).next())];
            let words: Vec<&str> = words.into_iter().flatten().chain(read.as_str()).collect();
            words.join(": ")
        }
        Form::Other if answer::is_plain(answer.headers()) => {
            String::from_utf8_lossy(body).trim().to_owned()
        }
        Form::Other | Form::Events => return None,
    };
    let secrets: Vec<Secret> = Sent::of(answer.extensions()).iter().filter_map(secret).collect();
    let words = redacted(words, &secrets.iter().collect::<Vec<_>>());
    (!words.is_empty() && !words.starts_with('<')).then(|| escaped(&words))
}

/// The part of an `Authorization` or `Mcp-Session-Id` value that is secret.
fn secret(value: &HeaderValue) -> Option<Secret> {
    let value = value.to_str().ok()?;
    Some(Secret::new(value.rsplit(' ').next().unwrap_or(value)))
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::*;

    fn refused(status: u16, media: &'static str, body: &str) -> Refused {
        let answer = Response::builder().status(status).header(CONTENT_TYPE, media);
        let sent = Sent::new([HeaderValue::from_static("Bearer s3cr+t")]);
        Refused::read(&answer.extension(sent).body(()).unwrap(), body.as_bytes(), 4096)
    }

    #[test]
    fn a_lost_session_is_told_in_many_words_trans_19_trans_90() {
        let code = |code: i64| format!(r#"{{"error":{{"code":{code},"message":"m"}}}}"#);
        for (status, body, loss) in [
            (404, String::new(), Loss::Gone),
            (404, code(-32601), Loss::Gone),
            (410, String::new(), Loss::Gone),
            (410, code(-32001), Loss::Gone),
            (400, code(-32001), Loss::Told),
            (405, code(-32001), Loss::Told),
            (422, code(-32001), Loss::Told),
            (400, String::new(), Loss::Perhaps),
            (400, "<p>".to_owned(), Loss::Perhaps),
            (400, r#"{"error":"no"}"#.to_owned(), Loss::Perhaps),
            (400, code(-32000), Loss::None),
            (401, code(-32001), Loss::None),
            (403, code(-32001), Loss::None),
            (408, code(-32001), Loss::None),
            (429, code(-32001), Loss::None),
            (500, code(-32001), Loss::None),
            (502, String::new(), Loss::None),
            (405, String::new(), Loss::None),
        ] {
            assert_eq!(refused(status, "application/json", &body).loss(), loss, "{status} {body}");
        }
    }

    #[test]
    fn the_servers_words_are_kept_escaped_and_cut_trans_90() {
        const JSON: &str = "application/json; charset=utf-8";
        for (media, body, said) in [
            ("text/plain", "No valid session\n", Some("No valid session")),
            ("text/plain", "a\u{1b}[31m", Some("a\\u{1b}[31m")),
            (JSON, r#"{"error":"e","message":"m"}"#, Some("e: m")),
            (JSON, r#"{"error":"e","error_description":"d","message":"m"}"#, Some("e: d")),
            (JSON, r#"{"detail":"d"}"#, Some("d")),
            (JSON, r#""text""#, Some("text")),
            (JSON, r#"{"error":{"message":"m"}}"#, Some("m")),
            (
                JSON,
                r#"{"message":"not s3cr+t, nor s3cr%2Bt or s3cr%2bt"}"#,
                Some("not [redacted], nor [redacted] or [redacted]"),
            ),
            (JSON, "<p>page</p>", None),
            (JSON, "{}", None),
            ("text/html", "<p>page</p>", None),
            ("text/plain", "<p>page</p>", None),
            ("text/plain", "", None),
        ] {
            assert_eq!(refused(400, media, body).said.as_deref(), said, "{body}");
        }
        let long = refused(400, "text/plain", &"x".repeat(1 << 20)).said.unwrap();
        assert!(long.len() < 1000);
    }
}
