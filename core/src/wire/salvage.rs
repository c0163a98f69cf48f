//! Reads the top-level members of a damaged answer (D19, HOST-320).
//!
//! An answer to a one-shot request cannot be asked for again. So its members are read before its
//! faults are judged. Decides which of the members asked for stand at the top of the first JSON
//! object, where an ordinary parser gives up; refuses to read a web page, to look into a nested
//! object, and to say what a member may be used for.
//!
//! A quote that cannot begin or end a string, and a bracket that cannot open, count as noise. So one
//! wrong byte costs the member it stands in and no other.

use super::json::value_at;
use super::members::Members;

/// The number of times that each byte may be looked at.
const MOST_WORK: usize = 16;

/// The readable part of an answer.
pub(super) struct Salvaged<'a, const N: usize> {
    /// The members; one that came twice with different values has no value.
    pub(super) members: Members<'a, N>,
    /// True if the object's end was read: the answer was not cut.
    pub(super) whole: bool,
    /// True if nothing inside the object was noise: a member that was not found is absent.
    pub(super) certain: bool,
}

/// Reads the first object of a body; `None` if there is none or it is part of a web page.
pub(super) fn salvage<'a, const N: usize>(
    body: &'a [u8],
    names: &[&'static str; N],
) -> Option<Salvaged<'a, N>> {
    let mut reader = Reader {
        body,
        at: 0,
        open: Vec::new(),
        before: b'{',
        begun: false,
        ended: false,
        certain: true,
        work: body.len().saturating_mul(MOST_WORK),
        members: Members::none(),
    };
    let braced = body.iter().position(|byte| *byte == b'{').unwrap_or(body.len());
    while !reader.ended && reader.at < body.len() {
        if reader.at < braced && is_markup(reader.rest()) {
            return None;
        }
        reader.step(names);
    }
    let Reader { open, begun, certain, members, .. } = reader;
    begun.then_some(Salvaged { members, whole: open.is_empty(), certain })
}

struct Reader<'a, const N: usize> {
    body: &'a [u8],
    at: usize,
    /// The containers that are open, by their brackets.
    open: Vec<u8>,
    /// The last thing that was read: a structural byte, `v` for a value, `?` for noise.
    before: u8,
    begun: bool,
    ended: bool,
    certain: bool,
    /// The number of bytes that may still be looked at. The text after a quote without an end is
    /// looked at again and again.
    work: usize,
    members: Members<'a, N>,
}

impl<'a, const N: usize> Reader<'a, N> {
    fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    fn step(&mut self, names: &[&'static str; N]) {
        let rest = self.rest();
        match rest {
            [b' ' | b'\t' | b'\r' | b'\n', ..] => self.pass(1, self.before),
            [b'"', ..] => self.string(names),
            [bracket @ (b'{' | b'['), ..] => self.opens(*bracket),
            [bracket @ (b'}' | b']'), ..] => self.closes(*bracket),
            [mark @ (b',' | b':'), ..] => self.pass(1, *mark),
            _ => self.bare(),
        }
    }

    fn pass(&mut self, bytes: usize, before: u8) {
        self.at = self.at.saturating_add(bytes);
        self.before = before;
    }

    /// Takes a byte that means nothing here.
    fn noise(&mut self) {
        self.certain &= !self.begun;
        self.pass(1, b'?');
    }

    /// Takes a number or a word, if it stands where a value may.
    fn bare(&mut self) {
        let bare = bare(self.rest());
        match value_at(bare) {
            Some((_, length)) if length == bare.len() && self.before != b'?' => {
                self.pass(length, b'v');
            }
            _ => self.noise(),
        }
    }

    fn opens(&mut self, bracket: u8) {
        let next = after_space(self.rest().get(1..).unwrap_or_default());
        let listed = self.open.last() == Some(&b'[') && matches!(self.before, b',' | b'[');
        let fits = !self.begun || self.before == b':' || listed;
        let goes_on = match (bracket, next.first()) {
            (b'{', Some(b'}')) | (b'[', Some(b']' | b'"' | b'{' | b'[')) => true,
            (b'{', Some(b'"')) => key_length(next).is_some(),
            (b'[', Some(byte)) => is_bare(*byte),
            _ => false,
        };
        // Before the object a list may open that holds it.
        if !(fits && goes_on) || (bracket == b'[' && !self.begun) {
            return self.noise();
        }
        self.begun = true;
        self.open.push(bracket);
        self.pass(1, bracket);
    }

    fn closes(&mut self, bracket: u8) {
        let opened = if bracket == b'}' { b'{' } else { b'[' };
        let at = self.open.iter().rposition(|open| *open == opened);
        let Some(at) = at.filter(|at| bracket == b'}' || at.saturating_add(1) == self.open.len())
        else {
            return self.noise();
        };
        // Amid noise, or in a list, the object does not end while there is more of it.
        let more = !after_space(self.rest().get(1..).unwrap_or_default()).is_empty();
        if at == 0 && more && self.before == b'{' {
            // An object without members is not the one that is searched.
            self.open.clear();
            self.begun = false;
            return self.pass(1, b'?');
        }
        if at == 0 && more && (matches!(self.before, b'?' | b':' | b',') || self.open.len() > 1) {
            return self.noise();
        }
        self.certain &= at.saturating_add(1) == self.open.len();
        self.open.truncate(at);
        self.pass(1, bracket);
        if self.open.is_empty() {
            // An object that goes on with a member was not over.
            let next = after_space(self.rest());
            let next = next.strip_prefix(b",").map_or(next, after_space);
            if next.starts_with(b"\"") && key_length(next).is_some() {
                self.certain = false;
                self.open.push(b'{');
            } else {
                self.ended = true;
            }
        }
    }

    fn string(&mut self, names: &[&'static str; N]) {
        let rest = self.rest();
        let length = string_length(rest);
        let Some(left) = self.work.checked_sub(length.unwrap_or(rest.len())) else {
            self.certain = false;
            self.ended = true;
            self.open.push(b'{');
            return;
        };
        self.work = left;
        let Some(length) = length else { return self.noise() };
        let follows = after_space(rest.get(length..).unwrap_or_default()).first();
        match follows {
            Some(b':') => self.key(length, names),
            None | Some(b',' | b'}' | b']') if self.begun => {
                // A string where no value may stand is noise.
                let value = self.before == b':' || self.open.last() == Some(&b'[');
                self.certain &= value;
                self.pass(length, if value { b'v' } else { b'?' });
            }
            _ => self.noise(),
        }
    }

    /// Takes a string with a colon behind it: a member's name, whatever stands before it.
    fn key(&mut self, length: usize, names: &[&'static str; N]) {
        let rest = self.rest();
        let amid_noise = self.before == b'?';
        if !matches!(self.before, b'{' | b',') {
            self.certain = false;
        }
        if !self.begun {
            // The opening brace is lost.
            self.begun = true;
            self.certain = false;
        }
        // No member stands in a list: its bracket was noise.
        while self.open.last() == Some(&b'[') {
            self.open.pop();
            self.certain = false;
        }
        if self.open.is_empty() {
            self.open.push(b'{');
        }
        let after =
            after_space(rest.get(length..).unwrap_or_default()).get(1..).unwrap_or_default();
        self.pass(rest.len().saturating_sub(after.len()), b':');
        let quoted = rest.get(..length).unwrap_or_default();
        // Amid noise the backslash before a name's quote may be noise too.
        let name = names.iter().position(|name| {
            is_named(quoted, name) || (amid_noise && ends_with_name(quoted, name))
        });
        let Some(index) = name.filter(|_| self.open.len() == 1) else { return };
        let value = after_space(after);
        let own = match value {
            [b'"', ..] => value.get(..string_length(value).unwrap_or_default()).unwrap_or_default(),
            // A list or an object that comes twice is not compared.
            [b'[' | b'{', ..] if self.members.came(index) => &[],
            [b'[' | b'{', ..] => value,
            _ => bare(value),
        };
        match value_at(own) {
            Some((read, length)) => {
                self.members.found(index, Some(read));
                let skipped = after.len().saturating_sub(value.len());
                self.pass(skipped.saturating_add(length), b'v');
            }
            None => self.members.found(index, None),
        }
    }
}

/// The number or word that a text begins with.
fn bare(text: &[u8]) -> &[u8] {
    let length = text.iter().take_while(|byte| is_bare(**byte)).count();
    text.get(..length).unwrap_or_default()
}

fn after_space(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    text.get(spaces.count()..).unwrap_or_default()
}

const fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}

/// The length of a string with its quotes, whatever is between them.
fn string_length(text: &[u8]) -> Option<usize> {
    let mut bytes = text.iter().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at.saturating_add(1)),
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
    None
}

/// The length of a string that a colon follows.
fn key_length(text: &[u8]) -> Option<usize> {
    let length = string_length(text)?;
    after_space(text.get(length..)?).starts_with(b":").then_some(length)
}

fn is_named(quoted: &[u8], name: &str) -> bool {
    let read = value_at(quoted);
    read.is_some_and(|(value, _)| value.text().is_some_and(|text| text == name))
}

fn ends_with_name(quoted: &[u8], name: &str) -> bool {
    let inner = quoted.strip_suffix(b"\"").and_then(|text| text.strip_suffix(name.as_bytes()));
    inner.is_some_and(|before| before.ends_with(b"\\\""))
}

/// Returns true if a tag begins here.
fn is_markup(text: &[u8]) -> bool {
    matches!(text, [b'<', next, ..] if next.is_ascii_alphabetic() || b"/!?".contains(next))
}

#[cfg(test)]
mod tests;
