//! The facts that the head of an answer tells about its body.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::error::TransportError;
use super::manner::SESSION;

/// The kinds of content that a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A stream of events.
    Events,
    /// One JSON text.
    Json,
    /// Neither.
    Other,
}

fn essence(headers: &HeaderMap) -> &str {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim()
}

/// Returns true if a body is text for people.
pub(crate) fn is_plain(headers: &HeaderMap) -> bool {
    essence(headers).eq_ignore_ascii_case("text/plain")
}

/// By the media type, without parameters and whatever its case (TRANS-04).
pub(crate) fn form(headers: &HeaderMap) -> Form {
    let essence = essence(headers);
    if essence.eq_ignore_ascii_case("text/event-stream") {
        Form::Events
    } else if essence.eq_ignore_ascii_case("application/json") {
        Form::Json
    } else {
        Form::Other
    }
}

/// Returns true if the server has no such endpoint, as far as a status can say (TRANS-30):
/// 2025-03-26 and 2025-06-18 let every such answer lead to HTTP+SSE, and nobody knows yet which is
/// spoken.
pub(crate) fn no_such_endpoint(status: StatusCode) -> bool {
    let about_the_caller = matches!(
        status,
        StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::PROXY_AUTHENTICATION_REQUIRED
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
    );
    status.is_client_error() && !about_the_caller
}

/// The session id of an answer to `initialize`, kept out of logs (TRANS-18, TRANS-26). Of two neither
/// is taken: somebody on the way may see the other one (HOST-266).
pub(crate) fn session_id(headers: &HeaderMap) -> Result<Option<HeaderValue>, TransportError> {
    const LONGEST: usize = 4096;
    let mut ids = headers.get_all(SESSION).iter();
    let Some(id) = ids.next() else { return Ok(None) };
    let bytes = id.as_bytes();
    // Of two, neither: the server may mean the one, and something on the way the other.
    let good = ids.next().is_none()
        && (1..=LONGEST).contains(&bytes.len())
        && bytes.iter().all(|byte| matches!(byte, 0x21..=0x7e));
    if !good {
        return Err(TransportError::SessionId);
    }
    let mut id = id.clone();
    id.set_sensitive(true);
    Ok(Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_with_parameters_and_in_any_case_trans_04() {
        for (media, expected) in [
            ("application/json", Form::Json),
            ("Application/JSON; charset=utf-8", Form::Json),
            ("text/event-stream", Form::Events),
            ("TEXT/Event-Stream;charset=utf-8", Form::Events),
            ("text/html", Form::Other),
            ("application/json-seq", Form::Other),
            ("", Form::Other),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media))]);
            assert_eq!(form(&headers), expected, "{media}");
        }
        assert_eq!(form(&HeaderMap::new()), Form::Other);
    }

    #[test]
    fn only_what_no_caller_could_mend_means_no_endpoint_trans_27_trans_30() {
        for status in [400, 404, 405, 406, 415, 422] {
            assert!(no_such_endpoint(StatusCode::from_u16(status).unwrap()), "{status}");
        }
        for status in [200, 301, 401, 403, 408, 429, 500, 503] {
            assert!(!no_such_endpoint(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }

    #[test]
    fn session_ids_are_visible_ascii_and_kept_secret_trans_18_trans_26_host_266() {
        let read = |id: &[u8]| {
            let value = HeaderValue::from_bytes(id).unwrap();
            session_id(&HeaderMap::from_iter([(SESSION, value)]))
        };
        let id = read(b"a~!1").unwrap().unwrap();
        assert!(id.is_sensitive() && !format!("{id:?}").contains("a~!1"));
        assert!(session_id(&HeaderMap::new()).unwrap().is_none());
        for second in ["a", "b"] {
            let mut two = HeaderMap::new();
            two.append(SESSION, HeaderValue::from_static("a"));
            two.append(SESSION, HeaderValue::from_str(second).unwrap());
            assert_eq!(session_id(&two).unwrap_err().code(), "mcp_session_id");
        }
        let long = vec![b'x'; 10 * 1024];
        for bad in [&b""[..], b"a b", b"a\xfc", b"a\tb", &long] {
            assert_eq!(read(bad).unwrap_err().code(), "mcp_session_id");
        }
        for second in ["a", "b", ""] {
            let mut headers = HeaderMap::new();
            for id in ["a", second] {
                headers.append(SESSION, HeaderValue::from_static(id));
            }
            assert_eq!(session_id(&headers).unwrap_err().code(), "mcp_session_id");
        }
    }
}
