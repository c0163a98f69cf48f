//! One type for everything that must never be seen: tokens, codes, verifiers, client secrets.
//!
//! Decides how a secret is held, compared and shown; refuses to decide where one may go. Only the
//! snapshot and the record writers may serialise one, through `written`.

use core::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use zeroize::{Zeroize, Zeroizing};

/// Text that no log, error, note or trace may contain.
///
/// `Debug` is redacted, and there is no `Display` and no `Serialize`. Equality takes constant time.
/// The memory is overwritten when the last clone is dropped.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes ownership of secret text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself. Every use of this is a place to review.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        // The last holder wipes it.
        if let Some(text) = Arc::get_mut(&mut self.0) {
            text.zeroize();
        }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        same(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl Eq for Secret {}

/// An access token, held once for everything that reads or sends it, after the scheme that it is
/// sent with (RFC 6750 §2.1). It is shown, compared and wiped like every [`Secret`].
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(Secret);

impl AccessToken {
    const SCHEME: &'static str = "Bearer ";

    /// Copies the token.
    #[must_use]
    pub fn new(token: &str) -> Self {
        let text = Zeroizing::new([Self::SCHEME, token].concat());
        Self(Secret::new(text.as_str()))
    }

    /// The token alone. Every use of this is a place to review.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose().strip_prefix(Self::SCHEME).unwrap_or_default()
    }

    /// The value of the `Authorization` header, marked sensitive: this very text, wiped when the last
    /// clone of either is dropped. `None` if no header may hold it.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        struct Sent(Secret);
        impl AsRef<[u8]> for Sent {
            fn as_ref(&self) -> &[u8] {
                self.0.expose().as_bytes()
            }
        }
        let text = Bytes::from_owner(Sent(self.0.clone()));
        let mut header = HeaderValue::from_maybe_shared(text).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

/// Compares two byte strings in a time that depends on their lengths only (ISS-04, SEC-11).
///
/// The only comparison of secret material in this crate, so that there is one place to review.
#[must_use]
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let difference = left.iter().zip(right).fold(0u8, |seen, (a, b)| seen | (a ^ b));
    core::hint::black_box(difference) == 0
}

/// Serde form of a secret for the two modules that may write one out: snapshots and records.
pub(crate) mod written {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Secret;

    pub(crate) fn serialize<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        Box::<str>::deserialize(from).map(Secret::new)
    }
}

/// `written` for a secret that may be absent.
pub(crate) mod written_option {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Written;

    pub(crate) fn serialize<S: Serializer, T: Written>(
        secret: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => to.serialize_some(secret.text()),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: Written>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        Ok(Option::<Box<str>>::deserialize(from)?.map(T::read))
    }
}

/// A secret that `written_option` writes and reads.
pub(crate) trait Written {
    fn text(&self) -> &str;
    fn read(text: Box<str>) -> Self;
}

impl Written for Secret {
    fn text(&self) -> &str {
        self.expose()
    }

    fn read(text: Box<str>) -> Self {
        Self::new(text)
    }
}

impl Written for AccessToken {
    fn text(&self) -> &str {
        self.expose()
    }

    fn read(text: Box<str>) -> Self {
        Self::new(&text)
    }
}

/// `written` for a list.
pub(crate) mod written_list {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Secret;

    pub(crate) fn serialize<S: Serializer>(secrets: &[Secret], to: S) -> Result<S::Ok, S::Error> {
        secrets.iter().map(Secret::expose).collect::<Vec<_>>().serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Secret>, D::Error> {
        Ok(Vec::<Box<str>>::deserialize(from)?.into_iter().map(Secret::new).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_tok_18() {
        assert_eq!(format!("{:?}", Secret::new("AT-CANARY")), "Secret(..)");
        let token = AccessToken::new("AT-CANARY");
        assert_eq!(format!("{token:?} {:?}", token.header()), "AccessToken(..) Some(Sensitive)");
    }

    #[test]
    fn a_token_and_its_header_are_one_text_use_01() {
        let token = AccessToken::new("AT");
        let header = token.header().unwrap();
        assert_eq!((token.expose(), header.as_bytes()), ("AT", &b"Bearer AT"[..]));
        assert!(core::ptr::eq(token.0.expose().as_bytes(), header.clone().as_bytes()));
        assert_eq!(AccessToken::new("a\nb").header(), None);
    }

    #[test]
    fn comparison_refuses_every_prefix_host_201() {
        let full = b"abcdefgh";
        for cut in 0..full.len() {
            assert!(!same(&full[..cut], full));
        }
        assert!(same(full, full));
        assert!(!same(b"abcdefgi", full));
    }
}
