//! A record that is larger than the platform takes: a head that says how many parts there are, and
//! the parts, each under a name of its own.
//!
//! ```text
//! mcp-authz parts 1 <SHA-256 of everything else, 64 hexadecimal digits>
//! generation 7
//! parts 3
//! length 6144
//! tag <32 hexadecimal digits, with which each part begins>
//! sum <SHA-256 of the whole document, 64 hexadecimal digits>
//! ```

use mcp_authz_core::effect::Bytes;
use mcp_authz_core::failure::Kind;
use sha2::{Digest, Sha256};

use crate::store::{document, names};

pub(super) const MAGIC: &str = "mcp-authz parts ";
/// The length of the tag that each part begins with. Two sets of one generation are told apart by
/// their tags.
const TAG: usize = 32;

/// The head of a record in parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) generation: u64,
    parts: usize,
    length: usize,
    tag: String,
    sum: String,
}

impl Head {
    /// For a document that is to be split into parts of at most this size.
    pub(super) fn new(generation: u64, content: &Bytes, piece: usize) -> Result<Self, Kind> {
        let (tag, length) = (names::random()?, content.0.len());
        let parts = length.div_ceil(piece.saturating_sub(TAG).max(1));
        Ok(Self { generation, parts, length, tag, sum: sum(&content.0) })
    }

    /// The parts, in order.
    pub(super) fn split(&self, content: &Bytes, piece: usize) -> Vec<Bytes> {
        let pieces = content.0.chunks(piece.saturating_sub(TAG).max(1));
        pieces.map(|piece| Bytes([self.tag.as_bytes(), piece].concat())).collect()
    }

    pub(super) const fn count(&self) -> usize {
        self.parts
    }

    /// The content of a part, if it is one of this head's.
    pub(super) fn own<'a>(&self, part: &'a Bytes) -> Option<&'a [u8]> {
        part.0.strip_prefix(self.tag.as_bytes())
    }

    /// Puts the parts together; `None` if one is missing, cut or another's.
    pub(super) fn join(&self, parts: &[Bytes]) -> Option<Bytes> {
        let mut content = Bytes(Vec::with_capacity(self.length));
        for part in parts {
            let piece = self.own(part)?;
            // Never beyond what was set aside: a vector that grows leaves copies of secrets behind.
            if content.0.len().saturating_add(piece.len()) > self.length {
                return None;
            }
            content.0.extend_from_slice(piece);
        }
        (content.0.len() == self.length && sum(&content.0) == self.sum).then_some(content)
    }

    pub(super) fn write(&self) -> Bytes {
        let Self { generation, parts, length, tag, sum } = self;
        let body = format!(
            "generation {generation}\nparts {parts}\nlength {length}\ntag {tag}\nsum {sum}\n"
        );
        document::seal(MAGIC, &[body.as_bytes()])
    }

    /// # Errors
    /// `store_corrupt`, also for one that speaks of more than `most` bytes, or `store_version`.
    pub(super) fn read(content: &[u8], most: usize) -> Result<Self, Kind> {
        let body = document::unseal(MAGIC, content)?;
        let head = Self::of(body).ok_or(Kind::StoreCorrupt)?;
        let sound = head.length <= most && head.parts <= most && head.tag.len() == TAG;
        if sound { Ok(head) } else { Err(Kind::StoreCorrupt) }
    }

    fn of(body: &[u8]) -> Option<Self> {
        let (generation, rest) = document::line(body, "generation ")?;
        let (parts, rest) = document::line(rest, "parts ")?;
        let (length, rest) = document::line(rest, "length ")?;
        let (tag, rest) = document::line(rest, "tag ")?;
        let (sum, rest) = document::line(rest, "sum ")?;
        rest.is_empty().then_some(())?;
        Some(Self {
            generation: generation.parse().ok()?,
            parts: parts.parse().ok()?,
            length: length.parse().ok()?,
            tag: tag.to_owned(),
            sum: sum.to_owned(),
        })
    }
}

/// Returns true if an entry looks like a part, of whichever set.
pub(super) fn is_part(content: &Bytes) -> bool {
    content.0.get(..TAG).is_some_and(names::is_hex)
}

fn sum(content: &[u8]) -> String {
    names::hex(&Sha256::digest(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> Bytes {
        Bytes((0..=u8::MAX).cycle().take(1_000).collect())
    }

    #[test]
    fn what_was_split_is_joined_host_293() {
        for piece in [0, 33, 40, 999, 1_031, 1_032, 1_033, 5_000] {
            let head = Head::new(7, &content(), piece).unwrap();
            let parts = head.split(&content(), piece);
            assert_eq!(parts.len(), head.count());
            assert!(parts.iter().all(|part| part.0.len() <= piece.max(TAG + 1)));
            assert_eq!(head.join(&parts), Some(content()));
            assert_eq!(Head::read(&head.write().0, 1_000), Ok(head));
        }
    }

    #[test]
    fn parts_that_are_missing_changed_or_another_s_are_not_joined_host_293_host_294() {
        let head = Head::new(7, &content(), 132).unwrap();
        let parts = head.split(&content(), 132);
        let other = Head::new(7, &content(), 132).unwrap().split(&content(), 132);
        for (index, stranger) in other.iter().enumerate() {
            let mut missing = parts.clone();
            missing.remove(index);
            let mut twice = parts.clone();
            twice.insert(index, parts[index].clone());
            let mut mixed = parts.clone();
            mixed[index] = stranger.clone();
            let mut cut = parts.clone();
            cut[index].0.pop();
            let mut changed = parts.clone();
            *changed[index].0.last_mut().unwrap() ^= 1;
            for parts in [missing, twice, mixed, cut, changed] {
                assert_eq!(head.join(&parts), None, "{index}");
            }
        }
        let mut swapped = parts;
        swapped.swap(0, 1);
        assert_eq!(head.join(&swapped), None);
    }

    #[test]
    fn a_head_that_was_changed_is_none_host_294() {
        let whole = Head::new(7, &content(), 132).unwrap().write();
        for bit in 0..whole.0.len() * 8 {
            let mut flipped = whole.0.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::read(&flipped, 1_000), Err(Kind::StoreCorrupt), "{bit}");
        }
        for length in 0..whole.0.len() {
            assert_eq!(Head::read(&whole.0[..length], 1_000), Err(Kind::StoreCorrupt), "{length}");
        }
        assert_eq!(Head::read(&whole.0, 999), Err(Kind::StoreCorrupt));
    }
}
