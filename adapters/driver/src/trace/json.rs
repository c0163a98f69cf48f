//! Documents, whole or damaged: names and values are replaced where they stand, and everything
//! between them is kept byte by byte. A document that cannot be read stays one that cannot be read.

use super::mapping::Mapping;
use super::names::{Rule, UNKNOWN, rule_of};
use super::words::is_word;

impl Mapping {
    /// A body or a record.
    pub(super) fn document(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut reader = Reader {
            made: Vec::with_capacity(bytes.len()),
            rest: bytes,
            rule: UNKNOWN,
            outer: Vec::new(),
            work: bytes.len().saturating_mul(MOST_WORK),
        };
        while let Some(byte) = reader.rest.first() {
            match byte {
                b'"' => reader.string(self),
                b'{' | b'[' => reader.opens(),
                b'}' | b']' => reader.closes(),
                byte if is_bare(*byte) => reader.bare(self),
                _ => reader.pass(1),
            }
        }
        reader.made
    }
}

/// The number of times that each byte may be looked at. A string without an end is searched to the end of
/// the document, and a hostile one has many.
const MOST_WORK: usize = 16;

struct Reader<'a> {
    made: Vec<u8>,
    rest: &'a [u8],
    /// The rule of the last member's name.
    rule: Rule,
    /// The rules of the members around it.
    outer: Vec<Rule>,
    /// How many bytes may still be looked at in search of the ends of strings.
    work: usize,
}

impl<'a> Reader<'a> {
    /// Takes so many bytes.
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }

    /// Keeps so many bytes.
    fn pass(&mut self, length: usize) {
        let kept = self.take(length);
        self.made.extend_from_slice(kept);
    }

    fn opens(&mut self) {
        self.outer.push(self.rule);
        self.pass(1);
    }

    /// What comes after a list or an object belongs to the member that it was in.
    fn closes(&mut self) {
        self.rule = self.outer.pop().unwrap_or(UNKNOWN);
        self.pass(1);
    }

    fn string(&mut self, mapping: &mut Mapping) {
        let found = if self.work == 0 { None } else { string_length(self.rest) };
        self.work = self.work.saturating_sub(found.unwrap_or(self.rest.len()));
        let Some(length) = found else { return self.pass(1) };
        let quoted = self.take(length);
        let is_name = after_space(self.rest).first() == Some(&b':');
        let Ok(text) = serde_json::from_slice::<String>(quoted) else {
            // The quotes stay, and what is odd between them.
            let inner = quoted.get(1..length.saturating_sub(1)).unwrap_or_default();
            self.made.push(b'"');
            let hidden = odd_words(mapping, inner);
            self.made.extend_from_slice(&hidden);
            self.made.push(b'"');
            return;
        };
        let made = if is_name {
            let rule = rule_of(&text);
            self.rule = rule.unwrap_or(UNKNOWN);
            if rule.is_some() { text } else { mapping.hide("member", &text) }
        } else {
            mapping.by_rule(self.rule, &text)
        };
        let written = serde_json::to_vec(&made).unwrap_or_default();
        self.made.extend_from_slice(&written);
    }

    /// A number or a word without quotes.
    fn bare(&mut self, mapping: &mut Mapping) {
        let length = self.rest.iter().take_while(|byte| is_bare(**byte)).count();
        let bare = self.take(length);
        let number = matches!(bare, [b'0'..=b'9', ..] | [b'-', b'0'..=b'9', ..])
            && bare.iter().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte));
        if number && self.rule == Rule::Number {
            self.made.extend_from_slice(bare);
        } else if number {
            self.made.extend(bare.iter().map(|byte| match byte {
                b'1'..=b'9' => b'1',
                other => *other,
            }));
        } else {
            let hidden = odd_words(mapping, bare);
            self.made.extend_from_slice(&hidden);
        }
    }
}

/// Words that are no JSON: those of the protocols are kept.
fn odd_words(mapping: &mut Mapping, bytes: &[u8]) -> Vec<u8> {
    let mut made = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(byte) = rest.first() {
        let length = rest.iter().take_while(|byte| is_of_word(**byte)).count();
        let (word, after) = rest.split_at_checked(length.max(1)).unwrap_or((rest, &[]));
        rest = after;
        if length == 0 {
            made.push(*byte);
            continue;
        }
        match core::str::from_utf8(word) {
            Ok(text) if is_word(text) => made.extend_from_slice(word),
            Ok(text) => made.extend_from_slice(mapping.hide("x", text).as_bytes()),
            Err(_) => {
                let text = String::from_utf8_lossy(word).replace(char::REPLACEMENT_CHARACTER, "");
                made.extend_from_slice(mapping.hide("x", &text).as_bytes());
                made.push(0xFF);
            }
        }
    }
    made
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte >= 0x80
}

fn is_bare(byte: u8) -> bool {
    is_of_word(byte) || byte == b'+' || byte == b'.'
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

fn after_space(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    text.get(spaces.count()..).unwrap_or_default()
}
