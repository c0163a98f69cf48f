//! Reads `WWW-Authenticate` (RFC 9110 §11.6.1, RFC 6750 §3, RFC 9728 §5.1).
//!
//! Decides which one challenge counts and what it says; refuses to decide what to do about it. It
//! is a tokenizer, not a search: text inside quotes is text, and parameters of other schemes are
//! theirs. It is linear, bounded and without allocation, since every answer of a hostile server
//! passes here.

use core::fmt;
use std::borrow::Cow;

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

use crate::alphabet::Alphabet;
use crate::failure::Kind;
use crate::scope::{ScopeFault, ScopeSet};

/// Most field lines that are read.
pub const MOST_LINES: usize = 8;
/// Most bytes of one field line.
pub const LONGEST_LINE: usize = 8192;
/// Most challenges in one answer.
pub const MOST_CHALLENGES: usize = 16;
/// Most parameters of one challenge.
pub const MOST_PARAMETERS: usize = 32;

/// The schemes of this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449.
    Dpop,
}

/// The one challenge that counts. All text is the server's and untrusted (WWW-15).
#[derive(Clone, Copy)]
pub struct Challenge<'a> {
    /// The scheme of the challenge.
    pub scheme: Scheme,
    /// `realm`, which is of use to people only.
    pub realm: Option<Text<'a>>,
    /// `scope`, undivided; [`Challenge::scopes`] reads it.
    pub scope: Option<Text<'a>>,
    /// `error`; [`Challenge::error_is`] compares it.
    pub error: Option<Text<'a>>,
    /// `error_description`, for developers.
    pub error_description: Option<Text<'a>>,
    /// `error_uri`, never fetched.
    pub error_uri: Option<Text<'a>>,
    /// `resource_metadata`, not yet judged as a URL (WWW-14).
    pub resource_metadata: Option<Text<'a>>,
    faults: Faults,
    /// Fields whose values do not count, one bit each.
    dropped: u8,
}

impl<'a> Challenge<'a> {
    const fn new(scheme: Scheme) -> Self {
        Self {
            scheme,
            realm: None,
            scope: None,
            error: None,
            error_description: None,
            error_uri: None,
            resource_metadata: None,
            faults: Faults::NONE,
            dropped: 0,
        }
    }

    /// The scopes asked for; `None` if none is named.
    ///
    /// A fault is a reason to drop the value and note it, not the challenge (WWW-09, HOST-095 to
    /// HOST-097).
    #[must_use]
    pub fn scopes(&self) -> Option<Result<ScopeSet, ScopeFault>> {
        let text = self.scope?;
        let set = match text.plain() {
            Some(text) => ScopeSet::read(text),
            None => ScopeSet::read(&text.read()),
        };
        Some(set).filter(|set| set.as_ref().map_or(true, |set| !set.is_empty()))
    }

    /// Returns true if `error` is this code (RFC 6750 §3.1).
    #[must_use]
    pub fn error_is(&self, code: &str) -> bool {
        self.error.is_some_and(|error| error.eq_str(code))
    }

    /// The oddities of the field, each as kind and rule of a note: values named twice, values
    /// outside their alphabet, limits passed, pointers that contradict each other.
    pub fn faults(&self) -> impl Iterator<Item = (Kind, &'static str)> + use<> {
        let faults = self.faults;
        Faults::ALL
            .into_iter()
            .filter(move |(fault, _, _)| faults.has(*fault))
            .map(|(_, kind, rule)| (kind, rule))
    }

    fn slot(&mut self, name: &[u8]) -> Option<Slot<'_, 'a>> {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        // The names are sorted by how often they come; unknown ones are ignored (WWW-08).
        Some(if is("resource_metadata") {
            (&mut self.resource_metadata, 1, Alphabet::STRICT)
        } else if is("scope") {
            // The scope is judged when it is read, so that the note can tell alphabet from limit.
            (&mut self.scope, 1 << 1, Alphabet::ANY)
        } else if is("error") {
            (&mut self.error, 1 << 2, Alphabet::STRICT_OR_SPACE)
        } else if is("error_description") {
            (&mut self.error_description, 1 << 3, Alphabet::PRINTABLE)
        } else if is("realm") {
            (&mut self.realm, 1 << 4, Alphabet::PRINTABLE)
        } else if is("error_uri") {
            (&mut self.error_uri, 1 << 5, Alphabet::STRICT)
        } else {
            return None;
        })
    }

    fn take(&mut self, name: &[u8], value: Text<'a>) {
        let Some((slot, bit, allowed)) = self.slot(name) else { return };
        let repeated = slot.replace(value).is_some();
        if repeated {
            self.faults = self.faults.with(Faults::REPEATED);
            self.dropped |= bit;
        }
        if !value.spelled_in(allowed) {
            self.faults = self.faults.with(Faults::ALPHABET);
            self.dropped |= bit;
        }
    }

    /// A value named twice is no value, and neither is one outside its alphabet (HOST-092).
    fn close(mut self) -> Self {
        for (bit, slot) in [
            (1, &mut self.resource_metadata),
            (1 << 1, &mut self.scope),
            (1 << 2, &mut self.error),
            (1 << 3, &mut self.error_description),
            (1 << 4, &mut self.realm),
            (1 << 5, &mut self.error_uri),
        ] {
            if self.dropped & bit != 0 {
                *slot = None;
            }
        }
        self
    }
}

/// Where a parameter's value goes, its bit, and the bytes it may hold.
type Slot<'c, 'a> = (&'c mut Option<Text<'a>>, u8, Alphabet);

impl fmt::Debug for Challenge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// The oddities, as a set.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Faults(u8);

impl Faults {
    const NONE: Self = Self(0);
    const REPEATED: Self = Self(1);
    const ALPHABET: Self = Self(1 << 1);
    const LIMIT: Self = Self(1 << 2);
    const CONTRADICTION: Self = Self(1 << 3);
    const MALFORMED: Self = Self(1 << 4);

    const ALL: [(Self, Kind, &'static str); 5] = [
        (Self::REPEATED, Kind::HeaderMalformed, "WWW-08"),
        (Self::ALPHABET, Kind::HeaderMalformed, "WWW-09"),
        (Self::LIMIT, Kind::LimitExceeded, "WWW-16"),
        (Self::CONTRADICTION, Kind::HeaderMalformed, "WWW-11"),
        (Self::MALFORMED, Kind::HeaderMalformed, "WWW-07"),
    ];

    const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns true if any of `other` is in the set.
    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A parameter's value in place: a token, or a quoted string whose escapes are still written.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    /// The text, if it has no escapes and is UTF-8.
    #[must_use]
    pub fn plain(&self) -> Option<&'a str> {
        if self.escaped { None } else { core::str::from_utf8(self.raw).ok() }
    }

    fn bytes(self) -> impl Iterator<Item = u8> + use<'a> {
        let mut raw = self.raw.iter().copied();
        core::iter::from_fn(move || match raw.next() {
            Some(b'\\') if self.escaped => raw.next(),
            next => next,
        })
    }

    fn spelled_in(self, alphabet: Alphabet) -> bool {
        if self.escaped {
            self.bytes().all(|byte| alphabet.has(byte))
        } else {
            alphabet.spells(self.raw)
        }
    }

    /// The characters; a byte above 0x7F stands for itself (RFC 9110 §5.5).
    pub fn chars(self) -> impl Iterator<Item = char> + use<'a> {
        self.bytes().map(char::from)
    }

    /// Returns true if the text is this one, case-sensitively.
    #[must_use]
    pub fn eq_str(&self, other: &str) -> bool {
        if self.escaped { self.bytes().eq(other.bytes()) } else { self.raw == other.as_bytes() }
    }

    /// The text, copied only if it has escapes.
    #[must_use]
    pub fn read(&self) -> Cow<'a, str> {
        self.plain().map_or_else(|| Cow::Owned(self.chars().collect()), Cow::Borrowed)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.read())
    }
}

/// The challenge that counts: the first of a supported scheme, or the first of those that carries
/// `resource_metadata` (WWW-11). `dpop` says whether DPoP is supported beside Bearer.
///
/// `None` is "no challenge": a 401 starts discovery all the same (WWW-07, WWW-13).
#[must_use]
pub fn read_challenge(headers: &HeaderMap, dpop: bool) -> Option<Challenge<'_>> {
    let mut reader =
        Reader { dpop, open: Open::Nothing, best: None, count: 0, faults: Faults::NONE };
    for (index, line) in headers.get_all(WWW_AUTHENTICATE).iter().enumerate() {
        if index >= MOST_LINES {
            reader.note(Faults::LIMIT);
            break;
        }
        if line.len() > LONGEST_LINE {
            reader.note(Faults::LIMIT);
        } else if reader.line(Line { bytes: line.as_bytes(), at: 0 }).is_none() {
            // The challenge with the defect is dropped, those before it stay (HOST-093).
            reader.note(Faults::MALFORMED);
            reader.open = Open::Nothing;
        }
    }
    reader.finish()
}

/// Returns true if a refusal can be answered with a DPoP-bound token only, since no challenge is
/// for Bearer tokens (DPOP-18).
#[must_use]
pub fn wants_dpop_alone(headers: &HeaderMap) -> bool {
    read_challenge(headers, false).is_none() && read_challenge(headers, true).is_some()
}

/// The challenge whose parameters are being read.
enum Open<'a> {
    Nothing,
    /// A challenge of another scheme, or one beyond the limit of challenges.
    Foreign,
    Ours(Challenge<'a>, usize),
}

struct Reader<'a> {
    dpop: bool,
    open: Open<'a>,
    best: Option<Challenge<'a>>,
    count: usize,
    faults: Faults,
}

impl<'a> Reader<'a> {
    fn note(&mut self, fault: Faults) {
        self.faults = self.faults.with(fault);
    }

    /// Reads one field line. A challenge may go on in the next one, which is the same as a comma.
    fn line(&mut self, mut line: Line<'a>) -> Option<()> {
        loop {
            line.skip(|byte| matches!(byte, b' ' | b'\t' | b','));
            if line.rest().is_empty() {
                return Some(());
            }
            let name = line.token()?;
            let after = line.at;
            line.skip_space();
            if line.eat(b'=') {
                line.skip_space();
                let value = line.value()?;
                self.parameter(name, value);
                continue;
            }
            let spaced = line.at > after;
            if !spaced && !matches!(line.peek(), None | Some(b',')) {
                return None;
            }
            self.scheme(name);
            if spaced {
                line.skip_token68();
            }
        }
    }

    fn scheme(&mut self, name: &[u8]) {
        self.settle();
        self.count = self.count.saturating_add(1);
        let scheme = if name.eq_ignore_ascii_case(b"Bearer") {
            Some(Scheme::Bearer)
        } else if self.dpop && name.eq_ignore_ascii_case(b"DPoP") {
            Some(Scheme::Dpop)
        } else {
            None
        };
        self.open = match scheme {
            Some(scheme) if self.count <= MOST_CHALLENGES => Open::Ours(Challenge::new(scheme), 0),
            _ => Open::Foreign,
        };
        if self.count > MOST_CHALLENGES {
            self.note(Faults::LIMIT);
        }
    }

    fn parameter(&mut self, name: &[u8], value: Text<'a>) {
        if let Open::Ours(challenge, count) = &mut self.open {
            *count = count.saturating_add(1);
            if *count > MOST_PARAMETERS {
                challenge.faults = challenge.faults.with(Faults::LIMIT);
            } else {
                challenge.take(name, value);
            }
        }
    }

    /// Ends the open challenge and keeps the better of it and the best so far.
    fn settle(&mut self) {
        let Open::Ours(challenge, _) = core::mem::replace(&mut self.open, Open::Nothing) else {
            return;
        };
        let challenge = challenge.close();
        let Some(best) = &self.best else {
            self.best = Some(challenge);
            return;
        };
        match (best.resource_metadata, challenge.resource_metadata) {
            (Some(held), Some(other)) if !held.bytes().eq(other.bytes()) => {
                self.note(Faults::CONTRADICTION);
            }
            (None, Some(_)) => self.best = Some(challenge),
            _ => {}
        }
    }

    fn finish(mut self) -> Option<Challenge<'a>> {
        self.settle();
        let mut best = self.best?;
        best.faults = best.faults.with(self.faults);
        if best.faults.has(Faults::CONTRADICTION) {
            best.resource_metadata = None;
        }
        Some(best)
    }
}

struct Line<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Line<'a> {
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at = self.at.saturating_add(usize::from(found));
        found
    }

    fn skip(&mut self, inside: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let end = rest.iter().position(|byte| !inside(*byte)).unwrap_or(rest.len());
        self.at = self.at.saturating_add(end);
        rest.get(..end).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        self.skip(|byte| matches!(byte, b' ' | b'\t'));
    }

    fn token(&mut self) -> Option<&'a [u8]> {
        Some(self.skip(|byte| Alphabet::TOKEN.has(byte))).filter(|token| !token.is_empty())
    }

    /// A quoted string, or whatever stands before the next comma or space: tokens, and the
    /// unquoted URLs that some servers send (WWW-06).
    fn value(&mut self) -> Option<Text<'a>> {
        if !self.eat(b'"') {
            let raw = self.skip(|byte| !matches!(byte, b' ' | b'\t' | b',' | b'"'));
            return (self.peek() != Some(b'"')).then_some(Text { raw, escaped: false });
        }
        let rest = self.rest();
        let mut escaped = false;
        let mut length = 0usize;
        loop {
            let unread = rest.get(length..)?;
            let plain = unread.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            length = length.saturating_add(plain);
            if unread.get(plain) == Some(&b'"') {
                break;
            }
            escaped = true;
            length = length.saturating_add(2);
        }
        self.at = self.at.saturating_add(length).saturating_add(1);
        // A quote must be followed by the end of its element, or the two ends of a value differ.
        if !matches!(self.peek(), None | Some(b',' | b' ' | b'\t')) {
            return None;
        }
        Some(Text { raw: rest.get(..length)?, escaped })
    }

    /// Skips the lone credential that some schemes have in place of parameters (HOST-100).
    fn skip_token68(&mut self) {
        let start = self.at;
        let body = |byte| Alphabet::UNRESERVED.has(byte) || matches!(byte, b'+' | b'/');
        let credential = self.skip(body);
        let slashed = credential.contains(&b'/');
        let padded = !self.skip(|byte| byte == b'=').is_empty();
        self.skip_space();
        // A text that could be a token is left alone: it is a parameter, or the next scheme of a
        // server that forgot a comma.
        let ends = matches!(self.peek(), None | Some(b','));
        if credential.is_empty() || !ends || !(padded || slashed) {
            self.at = start;
        }
    }
}

#[cfg(test)]
mod tests;
