//! The meaning of an answer of a token endpoint, whatever its words and its form.

use http::{Response, StatusCode};
use serde_json::Value;

use super::Broken;
use crate::model::Answer;

/// The meaning of an answer of a token endpoint.
#[derive(Clone, Debug)]
pub(super) struct Meant {
    status: StatusCode,
    /// The tokens that it grants.
    granted: Option<Value>,
    /// The server's own reason, which its words may hide.
    error: Option<String>,
    /// Its words do.
    reworded: bool,
}

impl Meant {
    /// `words` says that refusals of refresh tokens are put in other words.
    pub(super) fn of(answer: &Answer, words: bool) -> Self {
        let Answer { status, granted, error, .. } = answer;
        let reworded = words && error.as_deref() == Some("invalid_grant");
        Self { status: *status, granted: granted.clone(), error: error.clone(), reworded }
    }

    /// A server that cannot answer now.
    pub(super) const fn unavailable() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            granted: None,
            error: None,
            reworded: false,
        }
    }

    pub(super) fn access_token(&self) -> Option<&str> {
        self.granted.as_ref()?["access_token"].as_str()
    }

    pub(super) fn refresh_token(&self) -> Option<&str> {
        self.granted.as_ref()?["refresh_token"].as_str()
    }

    /// It says nothing about what was sent.
    pub(super) fn passes(&self) -> bool {
        self.status.is_server_error()
    }

    /// The code or token that was sent is refused for good, in whatever words (REF-08, REF-90).
    pub(super) fn refused(&self) -> bool {
        self.granted.is_none() && !self.passes()
    }

    /// It is refused for good, and not as the RFC has it.
    pub(super) const fn reworded(&self) -> bool {
        self.reworded
    }

    /// It is no success.
    pub(super) fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// The server knows of no good refresh token like that.
    pub(super) fn rejected(&self) -> bool {
        self.error.as_deref() == Some("invalid_grant")
    }

    /// The answer into which a broken driver turns the answer to a refresh; `odd` says that tokens
    /// come in an odd form.
    pub(super) fn misheard(&self, broken: Broken, odd: bool) -> Option<Response<Vec<u8>>> {
        let (status, body) = match broken {
            Broken::WordsUnheard if self.reworded => (503, Vec::new()),
            Broken::FormUnread if self.granted.is_some() && odd => (200, Vec::new()),
            _ => return None,
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
        Some(response)
    }
}
