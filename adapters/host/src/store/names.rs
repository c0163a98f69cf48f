//! The names of files. A key may hold anything, so only its digest is part of a name.

use core::fmt::Write;

use mcp_authz_core::effect::{Key, RecordKind};
use mcp_authz_core::failure::Kind;
use sha2::{Digest, Sha256};

/// The word for a kind, in names and in files.
pub(crate) const fn word(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Binding => "binding",
        RecordKind::Client => "client",
        RecordKind::Grant => "grant",
    }
}

/// The beginning of the name of every file of a record: distinct for distinct keys, whatever a file
/// system thinks of case and Unicode (HOST-286).
pub(crate) fn stem(key: &Key) -> String {
    let digest = Sha256::new()
        .chain_update(word(key.kind))
        .chain_update([0])
        .chain_update(&key.name)
        .finalize();
    format!("{}-{}", word(key.kind), hex(&digest))
}

/// Returns true if a file's name is that of a record of this kind.
pub(crate) fn is_stem(kind: RecordKind, name: &str) -> bool {
    let digest = name.strip_prefix(word(kind)).and_then(|rest| rest.strip_prefix('-'));
    digest.is_some_and(|digest| digest.len() == 64 && is_hex(digest.as_bytes()))
}

/// Returns true if [`hex`] could have written this.
pub(crate) fn is_hex(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _written = write!(digits, "{byte:02x}");
    }
    digits
}

/// Digits nobody can foresee.
///
/// # Errors
/// `entropy_unavailable`: nothing may be written then.
pub(crate) fn random() -> Result<String, Kind> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Kind::EntropyUnavailable)?;
    Ok(hex(&bytes))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn distinct_keys_have_distinct_harmless_names_host_286() {
        let long = "k".repeat(10 * 1024);
        let names =
            ["", "a", "A", "a/b", "../a", "..", "a\0", "\u{e9}", "e\u{301}", "\0", "/", &long];
        let kinds = [RecordKind::Binding, RecordKind::Client, RecordKind::Grant];
        let key = |kind, name: &str| Key { kind, name: name.to_owned() };
        let stems: BTreeSet<String> = kinds
            .iter()
            .flat_map(|kind| names.iter().map(|name| stem(&key(*kind, name))))
            .collect();
        assert_eq!(stems.len(), kinds.len() * names.len());
        for stem in stems {
            let harmless = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(stem.len() < 80 && stem.chars().all(harmless), "{stem}");
        }
    }
}
