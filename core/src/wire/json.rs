//! Reads requested members out of one JSON object (RFC 8259, DISC-19, SEC-19).
//!
//! Decides only whether the bytes are one well-formed, flat enough object, and whether a named
//! member comes twice; the reader of a member decides what it must be. It takes one pass, a flat
//! stack and no allocation: unknown members are skipped, and strings and numbers stay where they
//! are. Numbers keep their text, because a lifetime of 400 digits is an answer to be cut, not a
//! broken document.

use std::borrow::Cow;

use crate::failure::{Failure, Kind};

/// Deepest nesting of a document that is read.
pub(super) const DEEPEST: u32 = 32;
/// Most elements of an array that is read.
pub(super) const MOST_ELEMENTS: usize = 256;

/// Why a body is no object that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonFault {
    Malformed,
    TooDeep,
    Repeated,
    /// Well-formed, but something else than an object.
    NotAnObject,
}

impl JsonFault {
    /// The kind of failure; `other` for a document that is no object.
    pub(super) const fn kind(self, other: Kind) -> Kind {
        match self {
            Self::Malformed => Kind::JsonMalformed,
            Self::TooDeep => Kind::JsonTooDeep,
            Self::Repeated => Kind::JsonDuplicateKey,
            Self::NotAnObject => other,
        }
    }

    /// The failure; `other` is the kind for a document that is no object.
    pub(super) fn failure(self, other: Kind, subject: &str) -> Failure {
        let rule = if self == Self::TooDeep { "SEC-19" } else { "DISC-19" };
        Failure::new(self.kind(other), rule).with_subject(subject)
    }
}

/// One value, still in place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Bool(bool),
    /// The text of the number.
    Number(&'a str),
    Text(Text<'a>),
    List(List<'a>),
    /// From brace to brace.
    Object(&'a str),
    Null,
}

impl<'a> Value<'a> {
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text.read()),
            _ => None,
        }
    }
}

/// A string between its quotes, known to be well-formed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Text<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Text<'a> {
    pub(super) fn read(self) -> Cow<'a, str> {
        if self.escaped { Cow::Owned(unescaped(self.raw)) } else { Cow::Borrowed(self.raw) }
    }

    pub(super) fn is(self, other: &str) -> bool {
        if self.escaped { unescaped(self.raw) == other } else { self.raw == other }
    }
}

/// An array, known to be well-formed; read element by element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct List<'a> {
    /// From bracket to bracket.
    raw: &'a str,
}

impl<'a> List<'a> {
    /// The first [`MOST_ELEMENTS`] elements.
    pub(super) fn iter(self) -> impl Iterator<Item = Value<'a>> {
        self.all().take(MOST_ELEMENTS)
    }

    pub(super) fn over_limit(self) -> bool {
        // An element takes a byte and its comma another one, so a short list needs no count.
        self.raw.len() > 2 * MOST_ELEMENTS && self.all().nth(MOST_ELEMENTS).is_some()
    }

    pub(super) fn has_text(self, wanted: &str) -> bool {
        self.iter().any(|value| matches!(value, Value::Text(text) if text.is(wanted)))
    }

    fn all(self) -> impl Iterator<Item = Value<'a>> {
        let mut scanner = Scanner::new(self.raw);
        scanner.at = 1;
        core::iter::from_fn(move || {
            scanner.space();
            scanner.eat(b',');
            scanner.space();
            // At the closing bracket this is an error, which ends the list.
            scanner.value(0).ok()
        })
    }
}

/// The value that a text begins with, and its length.
pub(super) fn value_at(text: &[u8]) -> Option<(Value<'_>, usize)> {
    let text = core::str::from_utf8(text)
        .or_else(|fault| core::str::from_utf8(text.get(..fault.valid_up_to()).unwrap_or_default()));
    let mut scanner = Scanner::new(text.ok()?);
    let value = scanner.value(0).ok()?;
    Some((value, scanner.at))
}

pub(super) struct Scanner<'a> {
    text: &'a str,
    pub(super) at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at = self.at.saturating_add(usize::from(found));
        found
    }

    fn skip_while(&mut self, inside: impl Fn(&u8) -> bool) -> usize {
        let length = self.rest().iter().take_while(|byte| inside(byte)).count();
        self.at = self.at.saturating_add(length);
        length
    }

    pub(super) fn space(&mut self) {
        if self.peek().is_some_and(|byte| byte <= b' ') {
            self.skip_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        }
    }

    pub(super) fn end(&mut self) -> Result<(), JsonFault> {
        self.space();
        if self.peek().is_none() { Ok(()) } else { Err(JsonFault::Malformed) }
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// A member's name and the colon after it.
    pub(super) fn key(&mut self) -> Result<Text<'a>, JsonFault> {
        let name = self.string()?;
        self.space();
        if !self.eat(b':') {
            return Err(JsonFault::Malformed);
        }
        self.space();
        Ok(name)
    }

    /// One value inside `outer` open containers.
    pub(super) fn value(&mut self, outer: u32) -> Result<Value<'a>, JsonFault> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'{') => {
                self.container(outer)?;
                Ok(Value::Object(self.since(start)))
            }
            Some(b'[') => {
                self.container(outer)?;
                Ok(Value::List(List { raw: self.since(start) }))
            }
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Null),
            _ => {
                self.number()?;
                Ok(Value::Number(self.since(start)))
            }
        }
    }

    fn literal(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, JsonFault> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(JsonFault::Malformed);
        }
        self.at = self.at.saturating_add(word.len());
        Ok(value)
    }

    fn number(&mut self) -> Result<(), JsonFault> {
        self.eat(b'-');
        if !self.eat(b'0') && self.skip_while(u8::is_ascii_digit) == 0 {
            return Err(JsonFault::Malformed);
        }
        if self.eat(b'.') && self.skip_while(u8::is_ascii_digit) == 0 {
            return Err(JsonFault::Malformed);
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            if self.skip_while(u8::is_ascii_digit) == 0 {
                return Err(JsonFault::Malformed);
            }
        }
        Ok(())
    }

    /// Skips one array or object. Open containers are bits of a word, so no nesting can exhaust
    /// the stack (HOST-076).
    fn container(&mut self, outer: u32) -> Result<(), JsonFault> {
        let mut depth = outer;
        let mut objects = 0u64;
        loop {
            let opens_object = self.peek() == Some(b'{');
            if opens_object || self.peek() == Some(b'[') {
                depth = depth.saturating_add(1);
                if depth > DEEPEST {
                    return Err(JsonFault::TooDeep);
                }
                objects = objects << 1 | u64::from(opens_object);
                self.at = self.at.saturating_add(1);
                self.space();
                if self.peek() != Some(if opens_object { b'}' } else { b']' }) {
                    if opens_object {
                        self.key()?;
                    }
                    continue;
                }
            } else {
                self.value(depth)?;
            }
            // A value has ended, or an empty container is about to.
            loop {
                if depth == outer {
                    return Ok(());
                }
                self.space();
                let in_object = objects & 1 == 1;
                if self.eat(if in_object { b'}' } else { b']' }) {
                    depth = depth.saturating_sub(1);
                    objects >>= 1;
                } else if self.eat(b',') {
                    self.space();
                    if in_object {
                        self.key()?;
                    }
                    break;
                } else {
                    return Err(JsonFault::Malformed);
                }
            }
        }
    }

    /// Reads a string. Its escapes are judged here, so that reading it later cannot fail.
    fn string(&mut self) -> Result<Text<'a>, JsonFault> {
        if !self.eat(b'"') {
            return Err(JsonFault::Malformed);
        }
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = self.at.saturating_add(plain_length(self.rest()));
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    let (_, length) = escape(self.rest()).ok_or(JsonFault::Malformed)?;
                    self.at = self.at.saturating_add(length);
                }
                _ => return Err(JsonFault::Malformed),
            }
        }
        let raw = self.since(start);
        self.at = self.at.saturating_add(1);
        Ok(Text { raw, escaped })
    }
}

/// The number of bytes before the first quote, backslash or control character.
fn plain_length(text: &[u8]) -> usize {
    // Most of a document is inside strings, so they are looked through a word at a time.
    let mut rest = text;
    while let Some((word, after)) = rest.split_first_chunk() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            let within = special.trailing_zeros() as usize / 8;
            return text.len().saturating_sub(rest.len()).saturating_add(within);
        }
        rest = after;
    }
    let plain = rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1F)).count();
    text.len().saturating_sub(rest.len()).saturating_add(plain)
}

/// A word whose lowest set bit is in the first byte that is a quote, a backslash or a control
/// character. The bits above it mean nothing. The word is zero if there is no such byte.
const fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGHS: u64 = ONES << 7;
    // A byte below `n` borrows when `n` is taken off. Exchanging 0x20 and 0x22 puts the quote next to
    // the control characters.
    let low = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    (low | backslash) & !word & HIGHS
}

/// The character an escape stands for and how many bytes it takes. Half a surrogate pair is
/// no character (HOST-081).
fn escape(text: &[u8]) -> Option<(char, usize)> {
    fn unit(text: &[u8]) -> Option<u32> {
        let [b'\\', b'u', digits @ ..] = text else { return None };
        digits
            .get(..4)?
            .iter()
            .try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
    }
    let plain = match text.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let high = unit(text)?;
            if !(0xD800..0xDC00).contains(&high) {
                return Some((char::from_u32(high)?, 6));
            }
            let low = unit(text.get(6..)?)?.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
            let high = high.checked_sub(0xD800)?;
            return Some((char::from_u32(0x1_0000 + (high << 10 | low))?, 12));
        }
        _ => return None,
    };
    Some((plain, 2))
}

fn unescaped(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        let (plain, coded) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(plain);
        let Some((character, length)) = escape(coded.as_bytes()) else { break };
        out.push(character);
        rest = coded.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
