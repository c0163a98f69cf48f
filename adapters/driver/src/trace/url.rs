//! URLs and their parts, placeholder by placeholder, so that whatever is cut from a URL or joined to
//! it is mapped alike. The text around the parts is kept byte by byte: no parser mends it.

use super::forms::{decoded, encoded};
use super::mapping::{Mapping, escape, odd_character};
use super::names::{Rule, rule_of};
use super::words::{LABELS, SCHEMES, SEGMENTS};

impl Mapping {
    /// A URL or another text of unknown shape.
    pub(super) fn value(&mut self, kind: &'static str, text: &str) -> String {
        match absolute(text) {
            Some((scheme, rest)) => self.absolute(scheme, rest),
            None => self.hide(kind, text),
        }
    }

    /// A URL, a reference to one, or whatever stands where a URL should.
    pub(super) fn url(&mut self, text: &str) -> String {
        if let Some((scheme, rest)) = absolute(text) {
            return self.absolute(scheme, rest);
        }
        if let Some(rest) = text.strip_prefix("//") {
            return format!("//{}", self.authority_and_path(rest));
        }
        if text.starts_with(['/', '?', '#']) {
            return self.path_and_query(text);
        }
        self.words(text)
    }

    fn absolute(&mut self, scheme: &str, rest: &str) -> String {
        format!("{}://{}", self.scheme(scheme), self.authority_and_path(rest))
    }

    fn scheme(&mut self, scheme: &str) -> String {
        if SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) {
            return scheme.to_owned();
        }
        let labels = scheme.split('.').map(|label| self.label(label)).collect::<Vec<_>>();
        labels.join(".")
    }

    fn authority_and_path(&mut self, text: &str) -> String {
        let end = text.find(['/', '?', '#', '\\']).unwrap_or(text.len());
        let (authority, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (format!("{}@", self.words(user)), place),
            None => (String::new(), authority),
        };
        [user, self.place(place), self.path_and_query(rest)].concat()
    }

    /// A host, with its port if there is one.
    pub(super) fn place(&mut self, text: &str) -> String {
        if text.starts_with('[') {
            let end = text.find(']').map_or(text.len(), |end| end.saturating_add(1));
            let (literal, rest) = text.split_at_checked(end).unwrap_or((text, ""));
            let inner = literal.trim_matches(['[', ']']);
            if inner.parse::<core::net::Ipv6Addr>().is_ok() {
                return [literal.to_owned(), self.port(rest)].concat();
            }
            return self.words(text);
        }
        let end = text.find(':').unwrap_or(text.len());
        let (host, port) = text.split_at_checked(end).unwrap_or((text, ""));
        [self.host(host), self.port(port)].concat()
    }

    /// A port is kept, with its colon.
    fn port(&mut self, text: &str) -> String {
        let digits = text.strip_prefix(':').unwrap_or(text);
        if digits.len() <= 6 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.to_owned();
        }
        self.words(text)
    }

    /// A host, label by label. An address is kept, in whatever spelling.
    fn host(&mut self, host: &str) -> String {
        let bare = host.strip_suffix('.').unwrap_or(host);
        let last = bare.rsplit('.').next().unwrap_or_default();
        if is_number(last) && bare.split('.').all(is_number) && bare.split('.').count() <= 4 {
            return host.to_owned();
        }
        if is_number(last) {
            // It is taken for an address because of its last label.
            let head = bare.strip_suffix(last).unwrap_or_default();
            let tail = host.strip_prefix(head).unwrap_or_default();
            return [self.labels(head), tail.to_owned()].concat();
        }
        self.labels(host)
    }

    fn labels(&mut self, host: &str) -> String {
        let labels = host.split('.').map(|label| {
            let inner = label.trim_matches('-');
            let known = LABELS.contains(&inner.to_ascii_lowercase().as_str());
            if inner.is_empty() || known {
                return label.to_owned();
            }
            let at = label.find(inner).unwrap_or_default();
            let (before, rest) = label.split_at_checked(at).unwrap_or_default();
            let after = rest.get(inner.len()..).unwrap_or_default();
            [before, &self.label(inner), after].concat()
        });
        labels.collect::<Vec<_>>().join(".")
    }

    /// A path, and what comes after it.
    pub(super) fn path_and_query(&mut self, text: &str) -> String {
        let end = text.find(['?', '#']).unwrap_or(text.len());
        let (path, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        let (query, fragment) = match rest.split_once('#') {
            Some((query, fragment)) => (query, format!("#{}", self.words(fragment))),
            None => (rest, String::new()),
        };
        let query = match query.strip_prefix('?') {
            Some(query) => format!("?{}", self.query(query)),
            None => String::new(),
        };
        let mut segments = String::with_capacity(path.len());
        for piece in path.split_inclusive(['/', '\\']) {
            let segment = piece.trim_end_matches(['/', '\\']);
            segments.push_str(&self.segment(segment));
            segments.push_str(piece.get(segment.len()..).unwrap_or_default());
        }
        [segments, query, fragment].concat()
    }

    /// A segment: its text, and its parameters after semicolons.
    fn segment(&mut self, segment: &str) -> String {
        let parts = segment.split(';').map(|part| {
            let known = SEGMENTS.contains(&part.to_ascii_lowercase().as_str());
            if known || is_dots(part) { part.to_owned() } else { self.hide("path", part) }
        });
        parts.collect::<Vec<_>>().join(";")
    }

    /// A query or a form, name by name and value by value.
    pub(super) fn query(&mut self, query: &str) -> String {
        let pieces = query.split('&').map(|piece| match piece.split_once('=') {
            Some((name, value)) => {
                let (name, rule) = self.parameter(name);
                [name, self.parameter_value(rule, value)].join("=")
            }
            None => self.parameter(piece).0,
        });
        pieces.collect::<Vec<_>>().join("&")
    }

    fn parameter(&mut self, name: &str) -> (String, Rule) {
        match decoded(name).as_deref().and_then(rule_of) {
            Some(rule) => (name.to_owned(), rule),
            None => (self.hide("name", name), super::names::UNKNOWN),
        }
    }

    /// A value is decoded first, so that it is mapped as it is elsewhere.
    fn parameter_value(&mut self, rule: Rule, value: &str) -> String {
        match decoded(value) {
            Some(text) if text == value => self.by_rule(rule, value),
            Some(text) => encoded(&self.by_rule(rule, &text)),
            None => self.hide("x", value),
        }
    }

    /// A text of which each word has a placeholder of its own.
    pub(super) fn words(&mut self, text: &str) -> String {
        let mut made = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            if let Some((unit, length)) = escape(rest) {
                made.push_str(&unit);
                rest = rest.get(length..).unwrap_or_default();
                continue;
            }
            let end = rest.find(|inner| !is_of_word(inner)).unwrap_or(rest.len());
            let (word, after) = rest.split_at_checked(end).unwrap_or_default();
            if word.is_empty() {
                push_odd(&mut made, next);
                rest = rest.get(next.len_utf8()..).unwrap_or_default();
            } else {
                made.push_str(&self.word("x", word));
                rest = after;
            }
        }
        made
    }
}

/// Adds a character that is no part of a word.
pub(super) fn push_odd(made: &mut String, character: char) {
    match character.is_ascii() {
        true => made.push(character),
        false => made.push_str(&odd_character(character)),
    }
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-')
}

/// A scheme and what comes after `://`, if a text begins so.
fn absolute(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hex {
        // What is longer than an address can be is none, and may be anything.
        Some(digits) => digits.len() <= 8 && digits.bytes().all(|it| it.is_ascii_hexdigit()),
        None => (1..=10).contains(&label.len()) && label.bytes().all(|it| it.is_ascii_digit()),
    }
}

/// Returns true for what a reader may take for dots, as it is or behind escapes.
fn is_dots(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let dot = |text: &str| {
            let (_, length) = escape(text)?;
            let whole = text.get(..length)?.to_ascii_lowercase();
            (whole.ends_with("2e") || whole.ends_with("20")).then_some(length)
        };
        let length = match rest.starts_with(['.', ' ']) {
            true => Some(1),
            false => dot(rest),
        };
        let Some(after) = length.and_then(|length| rest.get(length..)) else { return false };
        rest = after;
    }
    true
}
