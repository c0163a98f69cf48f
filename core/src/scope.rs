//! Sets of scopes: order kept as first seen, each once, every token within its alphabet (SCOPE-11).

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::alphabet::Alphabet;

/// Most scopes in one set.
pub(crate) const MOST_SCOPES: usize = 64;
/// Most bytes in one scope.
pub(crate) const LONGEST_SCOPE: usize = 256;
/// Most bytes in a set as it is written.
pub(crate) const LONGEST_SET: usize = 4096;

/// A de-duplicated scope set in first-seen order, held as it is written on the wire: tokens joined
/// by single spaces (RFC 6749 §3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScopeSet(String);

/// Why a text is no scope set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeFault {
    /// A token has a character outside 0x21, 0x23-0x5B, 0x5D-0x7E.
    Alphabet,
    /// A token, the set or the number of tokens is over its limit.
    Limit,
}

impl ScopeSet {
    /// The empty set, which asks for nothing by name.
    #[must_use]
    pub const fn empty() -> Self {
        Self(String::new())
    }

    /// Reads a space-delimited list (RFC 6749 §3.3).
    ///
    /// # Errors
    /// [`ScopeFault`] for a character outside the alphabet or a list over the limits; the caller
    /// drops the whole value.
    pub fn read(text: &str) -> Result<Self, ScopeFault> {
        let mut set = Self::with_room(text.len());
        for token in tokens(text) {
            set.insert(token)?;
        }
        Ok(set)
    }

    /// An empty set with room for so many bytes, up to the limit.
    #[must_use]
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self(String::with_capacity(bytes.min(LONGEST_SET)))
    }

    /// Builds a set from single tokens.
    ///
    /// # Errors
    /// As [`ScopeSet::read`]; an empty token is outside the alphabet.
    pub fn from_tokens<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Result<Self, ScopeFault> {
        let mut set = Self::empty();
        for token in tokens {
            set.insert(token)?;
        }
        Ok(set)
    }

    /// Adds one token unless the set has it.
    ///
    /// # Errors
    /// As [`ScopeSet::read`]; the set is unchanged then.
    pub(crate) fn insert(&mut self, token: &str) -> Result<(), ScopeFault> {
        if !is_scope_token(token) {
            return Err(ScopeFault::Alphabet);
        }
        if self.contains(token) {
            return Ok(());
        }
        let length = self.0.len().saturating_add(1).saturating_add(token.len());
        if token.len() > LONGEST_SCOPE || length > LONGEST_SET || self.is_full() {
            return Err(ScopeFault::Limit);
        }
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(token);
        Ok(())
    }

    /// Returns true if the token is in the set. Tokens are case-sensitive and have no hierarchy
    /// (STEP-05).
    #[must_use]
    pub fn contains(&self, token: &str) -> bool {
        tokens(&self.0).any(|held| held == token)
    }

    /// Returns true if every token of `other` is in the set.
    #[must_use]
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.iter().all(|token| self.contains(token))
    }

    /// This set with the tokens of `other` after it (STEP-03).
    ///
    /// # Errors
    /// [`ScopeFault::Limit`] if the union passes the limits (HOST-256).
    pub(crate) fn union(&self, other: &Self) -> Result<Self, ScopeFault> {
        let mut all = Self::with_room(self.0.len().saturating_add(other.0.len()).saturating_add(1));
        all.0.push_str(&self.0);
        for token in other.iter() {
            all.insert(token)?;
        }
        Ok(all)
    }

    /// The tokens of this set that `other` lacks.
    #[must_use]
    pub(crate) fn without(&self, other: &Self) -> Self {
        let mut rest = Self::empty();
        for token in self.iter().filter(|token| !other.contains(token)) {
            if !rest.0.is_empty() {
                rest.0.push(' ');
            }
            rest.0.push_str(token);
        }
        rest
    }

    /// The tokens, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        tokens(&self.0)
    }

    /// The number of tokens.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    fn is_full(&self) -> bool {
        // Each token but the first takes at least two bytes, so a short set needs no count.
        self.0.len() >= 2 * MOST_SCOPES - 1 && self.len() >= MOST_SCOPES
    }

    /// Returns true if the set has no token; such a set is never sent (SCOPE-04).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The wire form: tokens joined by single spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A set that is read back from a record is held to the same alphabet and limits.
impl TryFrom<String> for ScopeSet {
    type Error = ScopeFault;

    fn try_from(text: String) -> Result<Self, ScopeFault> {
        Self::read(&text)
    }
}

impl From<ScopeSet> for String {
    fn from(set: ScopeSet) -> Self {
        set.0
    }
}

impl fmt::Display for ScopeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alphabet => "a scope holds a character that no scope may hold",
            Self::Limit => "a scope set is over its limit",
        })
    }
}

impl core::error::Error for ScopeFault {}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns true for one or more bytes of 0x21, 0x23-0x5B, 0x5D-0x7E (RFC 6749 §3.3).
fn is_scope_token(token: &str) -> bool {
    !token.is_empty() && Alphabet::STRICT.spells(token.as_bytes())
}

/// The pieces between spaces. They are short, so a search by bytes is over before one by words
/// begins.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    core::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = rest.bytes().position(|byte| byte == b' ').unwrap_or(rest.len());
            let (token, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            rest = after.get(1..).unwrap_or_default();
            if !token.is_empty() {
                return Some(token);
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_duplicates_scope_11() {
        let set = ScopeSet::read("b  a b c").unwrap();
        assert_eq!(set.as_str(), "b a c");
        assert_eq!(ScopeSet::read(set.as_str()).unwrap(), set);
        assert!(set.contains("a") && !set.contains("A"));
    }

    #[test]
    fn pieces_are_those_between_spaces_scope_11() {
        for text in ["", " ", "a", " a", "a ", "a b", "  é  b  ", "ab cd ef", "a\tb"] {
            let split: Vec<_> = text.split(' ').filter(|token| !token.is_empty()).collect();
            assert_eq!(tokens(text).collect::<Vec<_>>(), split, "{text:?}");
        }
    }

    #[test]
    fn alphabet_www_09() {
        for bad in ["re\"ad", "a\\b", "ü", "a\tb", "a\u{7f}"] {
            assert_eq!(ScopeSet::read(bad), Err(ScopeFault::Alphabet), "{bad:?}");
        }
    }

    #[test]
    fn limits_host_096() {
        let many: Vec<String> = (0..65).map(|i| format!("s{i}")).collect();
        assert_eq!(ScopeSet::read(&many.join(" ")), Err(ScopeFault::Limit));
        assert!(ScopeSet::read(&many[..64].join(" ")).is_ok());
        let letters: Vec<String> =
            ('!'..='~').filter(|it| *it != '"' && *it != '\\').map(String::from).collect();
        assert!(ScopeSet::read(&letters[..64].join(" ")).is_ok());
        assert_eq!(ScopeSet::read(&letters[..65].join(" ")), Err(ScopeFault::Limit));
        assert_eq!(ScopeSet::read(&"x".repeat(257)), Err(ScopeFault::Limit));
    }

    #[test]
    fn union_keeps_both_and_reasons_about_no_hierarchy_step_05() {
        let old = ScopeSet::read("files").unwrap();
        let new = ScopeSet::read("files:read files").unwrap();
        assert_eq!(old.union(&new).unwrap().as_str(), "files files:read");
        assert_eq!(new.without(&old).as_str(), "files:read");
        assert!(!old.covers(&new));
    }
}
