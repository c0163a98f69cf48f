//! The fields of an event, as the standard reads each line of the stream.

use std::borrow::Cow;

/// Longest identifier that is remembered: it goes back in a header (HOST-263). A longer one is as if
/// it were not there, as the standard has it for one with NUL: a refusal would only lead to a new
/// connection on which the same event comes again.
pub const LONGEST_ID: usize = 4096;
/// The pauses before reconnecting that a server may wish for, in milliseconds (HOST-264).
const PAUSES: core::ops::RangeInclusive<u64> = 100..=60_000;
pub(super) const REPLACEMENT: &str = "\u{fffd}";
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line without the mark that may begin the stream.
pub(super) fn unmarked(line: &[u8], begun: bool) -> &[u8] {
    if begun { line } else { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) }
}

/// The text as the standard's decoder reads it; none if that is longer than `most`.
fn read_lossy(bytes: &[u8], most: usize) -> Option<String> {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push_str(REPLACEMENT);
        }
        if text.len() > most {
            return None;
        }
    }
    Some(text)
}

/// The value, if the line is this field; a line without a colon is a field without a value.
pub(super) fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)? {
        [b':', b' ', value @ ..] | [b':', value @ ..] | value @ [] => Some(value),
        _ => None,
    }
}

pub(super) fn read_id(value: &[u8]) -> Option<Cow<'_, str>> {
    if value.len() > LONGEST_ID || value.contains(&0) {
        return None;
    }
    Some(String::from_utf8_lossy(value)).filter(|id| id.len() <= LONGEST_ID)
}

pub(super) fn read_kind(value: &[u8], most: usize) -> Option<Cow<'static, str>> {
    let kind = match value {
        b"" => Cow::Borrowed(""),
        b"message" => Cow::Borrowed("message"),
        b"endpoint" => Cow::Borrowed("endpoint"),
        _ => Cow::Owned(read_lossy(value, most)?),
    };
    Some(kind).filter(|kind| kind.len() <= most)
}

pub(super) fn read_pause(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let wish = core::str::from_utf8(value).ok()?.parse().unwrap_or(u64::MAX);
    Some(wish.clamp(*PAUSES.start(), *PAUSES.end()))
}
