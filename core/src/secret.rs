//! One type for everything that must never be seen: tokens, codes, verifiers, client secrets.
//!
//! Decides how a secret is held, compared and shown; refuses to decide where one may go. Only the
//! snapshot and the record writers may serialise one, through `written`.

use core::fmt;
use std::sync::Arc;

use zeroize::Zeroize;

/// Text that no log, error, note or trace may contain.
///
/// `Debug` is redacted, there is no `Display` and no `Serialize`, equality takes constant time and
/// the memory is
/// overwritten when the last clone is dropped.
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

/// Compares two byte strings in a time that depends on their lengths only (ISS-04, SEC-11).
///
/// The only comparison of secret material in this crate, so that there is one place to review.
#[must_use]
pub fn same(left: &[u8], right: &[u8]) -> bool {
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

    use super::Secret;

    pub(crate) fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => to.serialize_some(secret.expose()),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<Box<str>>::deserialize(from)?.map(Secret::new))
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
