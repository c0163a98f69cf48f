//! The values that each member of a token answer may have (TOK-08, TOK-11, TOK-19).

use core::time::Duration;

use crate::failure::{Failure, Kind};
use crate::scope::{ScopeFault, ScopeSet};
use crate::secret::Secret;
use crate::wire::json::Value;
use crate::wire::members::Member;

/// Most bytes of one token.
pub const LONGEST_TOKEN: usize = 32 * 1024;
/// Longest lifetime that is believed: ten years.
pub const LONGEST_LIFETIME: Duration = Duration::from_secs(315_360_000);

/// Returns true for an empty text, which counts as absent (TOK-90).
pub(super) fn is_empty(value: Value<'_>) -> bool {
    value.text().is_some_and(|text| text.is_empty())
}

/// Returns true for 0x21 to 0x7E only: nothing that could end a header line (TOK-11, HOST-207).
pub(super) fn is_token(text: &str) -> bool {
    (1..=LONGEST_TOKEN).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, 0x21..=0x7E))
}

/// Reads a refresh token. An unusable one counts as none, so that it cannot replace a good one
/// (HOST-213).
pub(super) fn read_refresh_token(member: Member<'_>, notes: &mut Vec<Failure>) -> Option<Secret> {
    let text = member.value?.text();
    if let Some(token) = text.as_ref().filter(|token| is_token(token)) {
        return Some(Secret::new(token.as_ref()));
    }
    if text.is_none_or(|text| !text.is_empty()) {
        notes.push(Failure::new(Kind::TokenMalformed, "TOK-11").with_subject(member.name));
    }
    None
}

/// Reads a number or a string of digits; everything else is unknown (TOK-08, HOST-202 to HOST-205).
pub(super) fn read_lifetime(value: Value<'_>) -> Option<Duration> {
    let seconds = match value {
        Value::Number(text) => text.parse::<f64>().ok()?,
        Value::Text(text) => {
            let text = text.read();
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if !digits {
                return None;
            }
            text.parse::<f64>().ok()?
        }
        _ => return None,
    };
    // A cast of a float saturates, and cuts fractions.
    Some(Duration::from_secs(seconds as u64).min(LONGEST_LIFETIME))
}

/// Reads the scopes, which are never a reason to refuse tokens: an unreadable scope is cut, with a
/// note (HOST-212).
pub(super) fn read_scope(value: Value<'_>, notes: &mut Vec<Failure>) -> Option<ScopeSet> {
    let mut set = ScopeSet::empty();
    let mut fault = None;
    let mut add = |token: &str| match set.insert(token) {
        Err(found) if !token.is_empty() => fault = Some(found),
        _ => {}
    };
    match value {
        Value::Text(text) => {
            let text = text.read();
            let separator = if text.contains(' ') { ' ' } else { ',' };
            text.split(separator).for_each(&mut add);
        }
        Value::List(list) => {
            for text in list.iter().filter_map(Value::text) {
                text.split(' ').for_each(&mut add);
            }
        }
        _ => fault = Some(ScopeFault::Alphabet),
    }
    if let Some(fault) = fault {
        let kind = match fault {
            ScopeFault::Limit => Kind::LimitExceeded,
            ScopeFault::Alphabet => Kind::TokenResponseInvalid,
        };
        notes.push(Failure::new(kind, "TOK-19").with_subject("scope"));
    }
    Some(set).filter(|set| !set.is_empty())
}
