//! Takes our own secrets out of a peer's words, before any of them is kept (HOST-303, HOST-324).
//!
//! Decides where a text repeats a secret, in every encoding that this client writes: as it is, with
//! percent escapes in either case, as a form, and with the escapes of JSON and of HTML. Decides
//! also which of the things that a peer wants to be used name a secret (HOST-325). Refuses to
//! decide which secrets there are: the caller lists those that were sent and those that are held.

use std::borrow::Cow;

use crate::scope::ScopeSet;
use crate::secret::Secret;

/// A secret with fewer bytes than this can stand in any text by chance.
const SHORT: usize = 8;
/// The text that stands in the place of a secret.
const REDACTED: &str = "[redacted]";

/// The text without the secrets.
#[must_use]
pub fn redacted<'a>(text: impl Into<Cow<'a, str>>, secrets: &[&Secret]) -> Cow<'a, str> {
    let mut text = text.into();
    for secret in secrets.iter().map(|secret| secret.expose()) {
        if find(&text, secret).is_some() {
            text = Cow::Owned(without(&text, secret));
        }
    }
    text
}

/// Returns true if a text has a secret in it, in any encoding.
pub(crate) fn echoes(text: &str, secret: &str) -> bool {
    find(text, secret).is_some()
}

/// Returns true if a text that a server wants to be sent on, or shown, has a secret in it
/// (HOST-325). A short secret counts only if it is the whole text.
pub(crate) fn names_secret(text: &str, secrets: &[&Secret]) -> bool {
    secrets.iter().map(|secret| secret.expose()).any(|secret| match secret.len() {
        0 => false,
        1..SHORT => text == secret,
        _ => echoes(text, secret),
    })
}

/// The scopes that name no secret; `None` if there is nothing to leave out.
pub(crate) fn without_secrets(scopes: &ScopeSet, secrets: &[&Secret]) -> Option<ScopeSet> {
    let clean = |scope: &&str| !names_secret(scope, secrets);
    if scopes.iter().all(|scope| clean(&scope)) {
        return None;
    }
    Some(ScopeSet::from_tokens(scopes.iter().filter(clean)).unwrap_or_default())
}

fn without(text: &str, secret: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((start, end)) = find(rest, secret) {
        out.push_str(rest.get(..start).unwrap_or_default());
        out.push_str(REDACTED);
        rest = rest.get(end..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// The first place where a text repeats a secret.
fn find(text: &str, secret: &str) -> Option<(usize, usize)> {
    let (text_bytes, secret) = (text.as_bytes(), secret.as_bytes());
    let first = *secret.first()?;
    // Each byte of the secret takes at least one of the text, in whatever encoding.
    let last = text.len().checked_sub(secret.len())?;
    // Neither the secret's first byte nor an escape's is in the middle of a character.
    let begins = |byte: u8| byte == first || matches!(byte, b'%' | b'+' | b'\\' | b'&');
    text.bytes().take(last.saturating_add(1)).enumerate().find_map(|(start, byte)| {
        let length = begins(byte).then(|| repeats(text_bytes.get(start..)?, secret)).flatten()?;
        let end = start.saturating_add(length);
        text.is_char_boundary(end).then_some((start, end))
    })
}

/// The number of bytes of the text that spell the whole secret, if it begins so. Escapes may spell
/// the very characters that escapes are made of, so the text is read once with escapes before bare
/// characters, and once the other way.
fn repeats(text: &[u8], secret: &[u8]) -> Option<usize> {
    let spelt = |one: fn(&[u8], u8) -> Option<usize>| {
        secret
            .iter()
            .try_fold(0usize, |at, byte| Some(at.saturating_add(one(text.get(at..)?, *byte)?)))
    };
    spelt(|text, byte| bare(text, byte).or_else(|| escape(text, byte)))
        .or_else(|| spelt(|text, byte| escape(text, byte).or_else(|| bare(text, byte))))
}

fn bare(text: &[u8], byte: u8) -> Option<usize> {
    (text.first() == Some(&byte)).then_some(1)
}

/// The number of bytes of an escape that spell one byte of a secret.
fn escape(text: &[u8], byte: u8) -> Option<usize> {
    match text {
        [b'%', high, low, ..] if hex(&[*high, *low]) == Some(byte.into()) => Some(3),
        [b'+', ..] if byte == b' ' => Some(1),
        [b'\\', b'u', digits @ ..] if hex(digits.get(..4)?) == Some(byte.into()) => Some(6),
        [b'\\', found, ..] if *found == byte && byte.is_ascii_punctuation() => Some(2),
        [b'&', rest @ ..] => entity(rest, byte).map(|length| length.saturating_add(1)),
        _ => None,
    }
}

/// The length of a character reference behind its ampersand.
fn entity(text: &[u8], byte: u8) -> Option<usize> {
    let end = text.iter().take(8).position(|found| *found == b';')?;
    let name = text.get(..end)?;
    let means = match name {
        b"amp" => Some(u32::from(b'&')),
        b"lt" => Some(u32::from(b'<')),
        b"gt" => Some(u32::from(b'>')),
        b"quot" => Some(u32::from(b'"')),
        b"apos" => Some(u32::from(b'\'')),
        [b'#', b'x' | b'X', digits @ ..] => hex(digits),
        [b'#', digits @ ..] => core::str::from_utf8(digits).ok()?.parse().ok(),
        _ => None,
    };
    (means == Some(byte.into())).then(|| end.saturating_add(1))
}

fn hex(digits: &[u8]) -> Option<u32> {
    let number = |sum: u32, digit: &u8| Some(sum << 4 | char::from(*digit).to_digit(16)?);
    (1..=4).contains(&digits.len()).then(|| digits.iter().try_fold(0, number)).flatten()
}

#[cfg(test)]
mod tests;
