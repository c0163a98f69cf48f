//! A record as it is kept: what it is, a checksum, whose it is, and its bytes.
//!
//! ```text
//! mcp-authz record 1 <SHA-256 of everything else, 64 hexadecimal digits>
//! kind grant
//! generation 7
//! key 25
//! <25 bytes of key>
//! <the record, to the end>
//! ```
//!
//! The checksum also covers the version: a flipped bit is damage and not another version. So every
//! version keeps the first line's form, and a whole file of a newer one is told from a damaged one.

use mcp_authz_core::effect::{Bytes, Key, Record, RecordKind};
use mcp_authz_core::failure::Kind;
use sha2::{Digest, Sha256};

use crate::store::names;

const MAGIC: &str = "mcp-authz record ";
const VERSION: &str = "1";

pub(crate) fn write(key: &Key, record: &Record) -> Bytes {
    let head = format!(
        "kind {}\ngeneration {}\nkey {}\n",
        names::word(key.kind),
        record.generation,
        key.name.len()
    );
    seal(MAGIC, &[head.as_bytes(), key.name.as_bytes(), b"\n", &record.bytes.0])
}

/// # Errors
/// `store_corrupt`, or `store_version` for what a newer version wrote.
pub(crate) fn read(content: &[u8]) -> Result<(Key, Record), Kind> {
    body_of(unseal(MAGIC, content)?).ok_or(Kind::StoreCorrupt)
}

/// A first line with a checksum, and then the body.
pub(crate) fn seal(magic: &str, body: &[&[u8]]) -> Bytes {
    let rest = || core::iter::once(b"\n".as_slice()).chain(body.iter().copied());
    let checksum = checksum(magic, VERSION.as_bytes(), rest());
    let start = [magic, VERSION, " ", &checksum].map(str::as_bytes);
    // In one piece from the start: a vector that grows leaves copies of secrets behind.
    let length = start.into_iter().chain(rest()).map(<[u8]>::len).sum();
    let mut content = Bytes(Vec::with_capacity(length));
    for part in start.into_iter().chain(rest()) {
        content.0.extend_from_slice(part);
    }
    content
}

/// The content after the first line.
///
/// # Errors
/// `store_corrupt`, or `store_version` for what a newer version wrote.
pub(crate) fn unseal<'a>(magic: &str, content: &'a [u8]) -> Result<&'a [u8], Kind> {
    let (version, body) = checked(magic, content).ok_or(Kind::StoreCorrupt)?;
    if version == VERSION.as_bytes() { Ok(body) } else { Err(Kind::StoreVersion) }
}

/// The version, and what follows the first line, if the checksum is right.
fn checked<'a>(magic: &str, content: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let rest = content.strip_prefix(magic.as_bytes())?;
    let (version, rest) = split(rest, b' ')?;
    let (told, rest) = rest.split_at_checked(64)?;
    let body = rest.strip_prefix(b"\n")?;
    (checksum(magic, version, [rest]).as_bytes() == told).then_some((version, body))
}

fn body_of(body: &[u8]) -> Option<(Key, Record)> {
    let (kind, rest) = line(body, "kind ")?;
    let (generation, rest) = line(rest, "generation ")?;
    let (length, rest) = line(rest, "key ")?;
    let kinds = [RecordKind::Binding, RecordKind::Client, RecordKind::Grant];
    let kind = kinds.into_iter().find(|known| names::word(*known) == kind)?;
    let (name, rest) = rest.split_at_checked(length.parse().ok()?)?;
    let bytes = rest.strip_prefix(b"\n")?;
    let key = Key { kind, name: core::str::from_utf8(name).ok()?.to_owned() };
    let record = Record { generation: generation.parse().ok()?, bytes: Bytes(bytes.to_vec()) };
    Some((key, record))
}

pub(crate) fn line<'a>(text: &'a [u8], label: &str) -> Option<(&'a str, &'a [u8])> {
    let (line, rest) = split(text, b'\n')?;
    let value = line.strip_prefix(label.as_bytes())?;
    Some((core::str::from_utf8(value).ok()?, rest))
}

fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let (before, from) = bytes.split_at_checked(bytes.iter().position(|byte| *byte == at)?)?;
    Some((before, from.get(1..)?))
}

fn checksum<'a>(magic: &str, version: &[u8], rest: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut sum = Sha256::new().chain_update(magic).chain_update(version).chain_update(b" ");
    for part in rest {
        sum.update(part);
    }
    names::hex(&sum.finalize())
}

#[cfg(test)]
pub(crate) fn with_version(version: &str, body: &[u8]) -> Vec<u8> {
    with_magic_and_version(MAGIC, version, body)
}

#[cfg(test)]
pub(crate) fn with_magic_and_version(magic: &str, version: &str, body: &[u8]) -> Vec<u8> {
    let sum = checksum(magic, version.as_bytes(), [b"\n", body]);
    [magic.as_bytes(), version.as_bytes(), b" ", sum.as_bytes(), b"\n", body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Key, Record) {
        let key = Key { kind: RecordKind::Grant, name: "[\"a\nb\",\"\u{e9}\"]".to_owned() };
        let record = Record { generation: 7, bytes: Bytes(b"{\"token\":\"\0\n\xff\"}".to_vec()) };
        (key, record)
    }

    #[test]
    fn what_was_written_is_read() {
        let empty = Record { generation: u64::MAX, bytes: Bytes(Vec::new()) };
        let nameless = Key { kind: RecordKind::Client, name: String::new() };
        for (key, record) in [sample(), (nameless, empty)] {
            assert_eq!(read(&write(&key, &record).0), Ok((key, record)));
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_damaged_host_270() {
        let (key, record) = sample();
        let whole = write(&key, &record);
        for length in 0..whole.0.len() {
            assert_eq!(read(&whole.0[..length]), Err(Kind::StoreCorrupt), "{length}");
        }
        let longer = [whole.0.as_slice(), b"x"].concat();
        assert_eq!(read(&longer), Err(Kind::StoreCorrupt));
    }

    #[test]
    fn any_flipped_bit_is_damage_host_271() {
        let (key, record) = sample();
        let whole = write(&key, &record);
        for bit in 0..whole.0.len() * 8 {
            let mut flipped = whole.0.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&flipped), Err(Kind::StoreCorrupt), "{bit}");
        }
    }

    #[test]
    fn a_newer_version_is_no_damage_host_272() {
        let newer = with_version("999", b"whatever it is");
        assert_eq!(read(&newer), Err(Kind::StoreVersion));
    }

    #[test]
    fn a_right_checksum_over_another_shape_is_damage_host_269() {
        let bodies: [&[u8]; 6] = [
            b"",
            b"{}",
            b"kind grant\ngeneration 1\nkey 0\n",
            b"kind other\ngeneration 1\nkey 0\n\n",
            b"kind grant\ngeneration -1\nkey 0\n\n",
            b"kind grant\ngeneration 1\nkey 99999999999999999999\n\n",
        ];
        for body in bodies {
            assert_eq!(read(&with_version(VERSION, body)), Err(Kind::StoreCorrupt), "{body:?}");
        }
    }
}
