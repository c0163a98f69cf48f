//! The memory that a JSON text takes once it is read into values (HOST-322).
//!
//! A text of 4 MiB can be two million numbers of 32 bytes, or half a million objects of 600. It is
//! weighed before it is read, which takes no memory at all, and what is too heavy is not read.

use core::cell::Cell;
use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Places that an array has as soon as it has one.
const FIRST_PLACES: usize = 4;
/// The most entries that a map keeps in one node, which takes the memory for all of them at once.
const FIRST_ENTRIES: usize = 11;
const FIRST_NODE: usize = 16 + FIRST_ENTRIES * (size_of::<String>() + size_of::<Value>());
/// The further bytes of a map with more than one node: another node, and one above them.
const SECOND_NODE: usize = 2 * FIRST_NODE + 96;
/// The bytes that a further entry takes, since a node may be half empty.
const FURTHER_ENTRY: usize = FIRST_NODE / 4;

/// A text that was looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weighed {
    /// Bytes that its values take.
    pub(crate) bytes: usize,
    /// True if anything but responses is in it.
    pub(crate) asks: bool,
}

/// Why a text is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is no JSON.
    Malformed,
    /// Its values would take more than the limit.
    TooHeavy,
}

/// Weighs a text; its values may take so many bytes.
pub(crate) fn weigh(text: &[u8], limit: usize) -> Result<Weighed, Unread> {
    let (left, asks) = (Cell::new(Some(limit)), Cell::new(false));
    let mut reader = serde_json::Deserializer::from_slice(text);
    let scale = Scale { left: &left, asks: &asks, root: true, message: true };
    let read = scale.deserialize(&mut reader).and_then(|()| reader.end());
    match (left.get(), read) {
        (None, _) => Err(Unread::TooHeavy),
        (Some(_), Err(_)) => Err(Unread::Malformed),
        (Some(left), Ok(())) => Ok(Weighed { bytes: limit.saturating_sub(left), asks: asks.get() }),
    }
}

/// Returns true if the values of a JSON text take no more than so many bytes. A malformed text that
/// is not too heavy passes; its reader refuses it.
#[must_use]
pub fn fits(text: &[u8], limit: usize) -> bool {
    weigh(text, limit) != Err(Unread::TooHeavy)
}

#[derive(Clone, Copy)]
struct Scale<'a> {
    /// The bytes that may still come; `None` once more have come.
    left: &'a Cell<Option<usize>>,
    asks: &'a Cell<bool>,
    /// True if it is the whole text.
    root: bool,
    /// True if it is a message, if the text is one or an array of them.
    message: bool,
}

impl Scale<'_> {
    fn add<E: Error>(self, bytes: usize) -> Result<(), E> {
        self.left.set(self.left.get().and_then(|left| left.checked_sub(bytes)));
        if self.left.get().is_none() {
            return Err(E::custom("it is too heavy"));
        }
        Ok(())
    }

    const fn inside(self) -> Self {
        Self { root: false, message: false, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Scale<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

/// The name of a member.
struct Name<'a>(Scale<'a>);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<(), E> {
        if self.0.message && name == "method" {
            self.0.asks.set(true);
        }
        self.0.add(name.len())
    }
}

impl<'de> Visitor<'de> for Scale<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.add(text.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let (mut taken, mut places) = (0usize, 0usize);
        let element = Self { message: self.root, ..self.inside() };
        while elements.next_element_seed(element)?.is_some() {
            if taken == places {
                // An array that is full gets twice as many places.
                let more = places.max(FIRST_PLACES);
                self.add(more.saturating_mul(size_of::<Value>()))?;
                places = places.saturating_add(more);
            }
            taken = taken.saturating_add(1);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut entries = 0usize;
        while members.next_key_seed(Name(self))?.is_some() {
            self.add(match entries {
                0 => FIRST_NODE,
                FIRST_ENTRIES => SECOND_NODE,
                more if more > FIRST_ENTRIES => FURTHER_ENTRY,
                _ => 0,
            })?;
            entries = entries.saturating_add(1);
            members.next_value_seed(self.inside())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 512 * 1024;

    #[test]
    fn a_text_that_swells_is_refused_before_it_is_read_host_322() {
        for (element, heavy) in [
            ("0", true),
            ("[0]", true),
            ("{}", true),
            (r#"{"a":0}"#, true),
            (r#"{"":[{"":0}]}"#, true),
            ("0.00000000000000000000000000000000000001", false),
            (r#""""#, true),
        ] {
            let many = LIMIT / (element.len() + 1) - 1;
            let text = format!("[{}]", vec![element; many].join(","));
            assert!(text.len() <= LIMIT);
            let weighed = weigh(text.as_bytes(), LIMIT);
            assert_eq!(weighed == Err(Unread::TooHeavy), heavy, "{element}: {weighed:?}");
        }
        let plain = format!(r#"{{"result":"{}"}}"#, "x".repeat(LIMIT - 8 * 1024));
        let weighed = weigh(plain.as_bytes(), LIMIT).unwrap();
        assert!(weighed.bytes > LIMIT - 9 * 1024 && !weighed.asks);
        // Commas and braces in a text weigh no more than other characters.
        let quoted = format!("[\"{}\"]", "[{,".repeat(LIMIT / 3 - 100));
        assert!(weigh(quoted.as_bytes(), LIMIT).is_ok());
    }

    #[test]
    fn what_is_no_json_is_told_from_what_is_too_heavy() {
        for text in ["", "{", "[0,]", "[0] 1", "{\"a\"}", "nul", "\"\u{1}\""] {
            assert_eq!(weigh(text.as_bytes(), LIMIT), Err(Unread::Malformed), "{text}");
        }
        let deep = "[".repeat(10_000);
        assert_eq!(weigh(deep.as_bytes(), LIMIT), Err(Unread::Malformed));
        assert_eq!(weigh(b"[0,0,0", 3), Err(Unread::TooHeavy));
    }

    #[test]
    fn a_message_that_asks_is_told_from_a_response() {
        for (text, asks) in [
            (r#"{"id":1,"result":{"method":1}}"#, false),
            (r#"{"id":1,"method":"m"}"#, true),
            (r#"{"params":{},"method":"m"}"#, true),
            (r#"[{"id":1,"result":{}},{"method":"m"}]"#, true),
            (r#"[{"id":1,"result":{"method":"m"}}]"#, false),
            ("7", false),
        ] {
            assert_eq!(weigh(text.as_bytes(), LIMIT).unwrap().asks, asks, "{text}");
        }
    }
}
