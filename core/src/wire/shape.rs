//! The shape of an answer before anything in it is believed: not compressed, and each member of the
//! type it must have.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::json::{List, Value};
use super::members::Member;
use crate::failure::{Failure, Kind};

/// Returns true if the body is compressed although identity was asked for; nothing is ever
/// inflated.
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

/// Reads members of the types a document must have. A wrong type is never read as absent
/// (HOST-086).
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) rule: &'static str,
}

impl Shape {
    pub(super) fn invalid(self, field: &str) -> Failure {
        Failure::new(self.kind, self.rule).with_subject(field)
    }

    pub(super) fn text(self, member: Member<'_>) -> Result<Option<Cow<'_, str>>, Failure> {
        member.value.map(|it| it.text().ok_or_else(|| self.invalid(member.name))).transpose()
    }

    pub(super) fn flag(self, member: Member<'_>) -> Result<bool, Failure> {
        match member.value {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(self.invalid(member.name)),
        }
    }

    /// Reads a list; one over the limit is a failure of its own.
    pub(super) fn list(self, member: Member<'_>) -> Result<Option<List<'_>>, Failure> {
        match member.value {
            None => Ok(None),
            Some(Value::List(list)) if list.over_limit() => Err(over_limit(member.name)),
            Some(Value::List(list)) => Ok(Some(list)),
            Some(_) => Err(self.invalid(member.name)),
        }
    }
}

/// The failure of a list with more elements than are read.
pub(super) fn over_limit(field: &str) -> Failure {
    Failure::new(Kind::LimitExceeded, "HOST-084").with_subject(field)
}
