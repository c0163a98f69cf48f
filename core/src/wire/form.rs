//! `application/x-www-form-urlencoded`, both ways (RFC 6749 Appendix B, AUTHZ-02, ISS-01).
//!
//! Spaces are written as `%20`, which form decoders and percent decoders read alike (CAUTH-05).
//! Nothing is decoded twice.

use std::borrow::Cow;

use crate::alphabet::Alphabet;

/// Parameters that are ours alone. A host may not add them (AUTHZ-09), and a server's endpoint may
/// not hold them.
const RESERVED: [&str; 20] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "resource",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
    "response_mode",
    "dpop_jkt",
    "grant_type",
    "code",
    "code_verifier",
    "refresh_token",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "iss",
];

/// A text that cannot be decoded: it has an escape without two hex digits, or bytes that are no
/// UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Undecodable;

/// Appends `name=value`, with an ampersand before it unless it is the first.
pub(super) fn append(form: &mut String, name: &str, value: &str) {
    if !form.is_empty() && !form.ends_with(['?', '&']) {
        form.push('&');
    }
    encode(form, name);
    form.push('=');
    encode(form, value);
}

/// Appends a text with everything but unreserved characters escaped.
pub(super) fn encode(to: &mut String, text: &str) {
    let mut rest = text;
    while !rest.is_empty() {
        // Only ASCII is unreserved, so that a run of either kind ends between characters.
        let (plain, others) = split_run(rest, true);
        to.push_str(plain);
        let (reserved, after) = split_run(others, false);
        for byte in reserved.bytes() {
            to.push('%');
            to.push(hex(byte >> 4));
            to.push(hex(byte & 15));
        }
        rest = after;
    }
}

/// The unreserved bytes, or the others, that a text begins with; and the rest.
fn split_run(text: &str, unreserved: bool) -> (&str, &str) {
    let ends = |byte| Alphabet::UNRESERVED.has(byte) != unreserved;
    let length = text.bytes().position(ends).unwrap_or(text.len());
    text.split_at_checked(length).unwrap_or((text, ""))
}

fn hex(nibble: u8) -> char {
    b"0123456789ABCDEF".get(usize::from(nibble)).map_or('0', |digit| char::from(*digit))
}

/// The names and values of a query or form, undecoded; empty pieces are skipped.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|piece| !piece.is_empty())
        .map(|piece| piece.split_once('=').unwrap_or((piece, "")))
}

/// A name or value, decoded once: `+` is a space.
pub(super) fn decoded(text: &str) -> Result<Cow<'_, str>, Undecodable> {
    decode(text, true)
}

/// A text with percent escapes decoded and nothing else.
pub(super) fn percent_decoded(text: &str) -> Result<Cow<'_, str>, Undecodable> {
    decode(text, false)
}

fn decode(text: &str, plus: bool) -> Result<Cow<'_, str>, Undecodable> {
    let coded = |byte: u8| byte == b'%' || (plus && byte == b'+');
    if !text.bytes().any(coded) {
        return Ok(Cow::Borrowed(text));
    }
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' if plus => b' ',
            b'%' => {
                let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
                    return Err(Undecodable);
                };
                u8::try_from(high << 4 | low).map_err(|_| Undecodable)?
            }
            plain => plain,
        });
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| Undecodable)
}

/// Returns true if a parameter is ours alone, so that a configuration may not add it (AUTHZ-09,
/// HOST-166).
#[must_use]
pub(crate) fn is_reserved_parameter(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// Returns true if an undecoded name may not stand in an endpoint's query. Such a name is ours
/// alone, or could hide the page from the person (HOST-017).
pub(super) fn is_reserved_in_endpoint(name: &str) -> bool {
    decoded(name).is_ok_and(|name| is_reserved_parameter(&name) || name == "prompt")
}

#[cfg(test)]
mod tests;
