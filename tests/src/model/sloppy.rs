//! Token answers that say the right thing in a wrong form, and refusals in other words than the RFC's.

use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use serde_json::{Value, json};

use super::answer::{Answer, Body};
use super::tokens::{Sloppiness, Tokens};

/// How deep a needless member is.
const DEPTH: usize = 40;

/// Turns an answer of the token endpoint into the one that the settings demand.
pub(crate) fn as_told(rules: &Tokens, answer: Answer, refresh: bool) -> Answer {
    match (&answer.granted, answer.error.as_deref(), &rules.refresh_refusal) {
        (Some(document), ..) => {
            let document = document.clone();
            granted(rules, answer, &document)
        }
        (None, Some("invalid_grant"), Some((status, body))) if refresh => {
            Answer::json(code(*status), body).because("invalid_grant")
        }
        (None, Some(_), _) => match rules.error_status {
            Some(status) => Answer { status: code(status), ..answer },
            None => answer,
        },
        (None, None, _) => answer,
    }
}

/// A server that cannot answer now.
pub(crate) fn unavailable() -> Answer {
    let body = json!({"error": "temporarily_unavailable"});
    let answer = Answer::json(StatusCode::SERVICE_UNAVAILABLE, &body).header(RETRY_AFTER, "1");
    answer.because("temporarily_unavailable")
}

fn granted(rules: &Tokens, mut answer: Answer, document: &Value) -> Answer {
    answer.status = code(rules.status);
    let Some(sloppiness) = rules.sloppiness else { return answer };
    answer.body = Body::Whole(body(sloppiness, &document.to_string()));
    match sloppiness {
        Sloppiness::Encoding(name) => answer.header(CONTENT_ENCODING, name),
        _ => {
            answer.headers.remove(CONTENT_TYPE);
            answer.header(CONTENT_TYPE, "application/json;charset=UTF-8")
        }
    }
}

/// The object with this flaw; it ends in a brace, and holds a member at least.
fn body(sloppiness: Sloppiness, object: &str) -> Vec<u8> {
    let inner = object.get(1..object.len().saturating_sub(1)).unwrap_or_default();
    let with = |more: &[u8]| [b"{", inner.as_bytes(), b",", more, b"}"].concat();
    match sloppiness {
        Sloppiness::Encoding(_) => object.as_bytes().to_vec(),
        Sloppiness::NotUtf8 => with(b"\"name\":\"Jos\xe9\""),
        Sloppiness::Surrogate => with(br#""name":"\ud83d""#),
        Sloppiness::LineEnd => with(b"\"name\":\"a\r\nb\""),
        Sloppiness::Deep => {
            let deep = format!("\"vendor\":{}1{}", "{\"x\":".repeat(DEPTH), "}".repeat(DEPTH));
            with(deep.as_bytes())
        }
        Sloppiness::Followed(bytes) => [object.as_bytes(), bytes].concat(),
        Sloppiness::Twice => with(inner.as_bytes()),
    }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
