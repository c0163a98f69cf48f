//! Proof Key for Code Exchange with S256, the only method that is used here (RFC 7636, PKCE-07).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::secret::Secret;

/// The name of the only challenge method that is ever sent.
pub const METHOD: &str = "S256";

/// A verifier of 43 unreserved characters from 32 random octets (RFC 7636 §4.1). Use it for one
/// authorization request (PKCE-05).
#[must_use]
pub fn verifier(random: [u8; 32]) -> Secret {
    Secret::new(URL_SAFE_NO_PAD.encode(random))
}

/// `base64url(SHA-256(ASCII(verifier)))` without padding (RFC 7636 §4.2).
#[must_use]
pub fn challenge(verifier: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose()))
}

#[cfg(test)]
mod tests;
