//! The bytes that grammars allow, a bit for each grammar in one table.
//!
//! Decides of which characters a text may be made; refuses to decide what the text means. A look
//! into a table costs the same for every byte, and a login has a few thousand bytes to judge.

/// A set of bytes that some grammar names.
#[derive(Clone, Copy)]
pub(crate) struct Alphabet(u8);

impl Alphabet {
    /// The bytes that stand for themselves in a form or a URL (RFC 3986 §2.3).
    pub(crate) const UNRESERVED: Self = Self(1);
    /// The bytes of a token of a header (RFC 9110 §5.6.2).
    pub(crate) const TOKEN: Self = Self(1 << 1);
    /// 0x21, 0x23-0x5B, 0x5D-0x7E (RFC 6749 §3.3, RFC 6750 §3).
    pub(crate) const STRICT: Self = Self(1 << 2);
    /// The same and spaces.
    pub(crate) const STRICT_OR_SPACE: Self = Self(1 << 3);
    /// 0x20 to 0x7E: nothing that moves a terminal may pass.
    pub(crate) const PRINTABLE: Self = Self(1 << 4);
    /// Every byte there is.
    pub(crate) const ANY: Self = Self(1 << 5);

    pub(crate) fn has(self, byte: u8) -> bool {
        sets_of(byte) & self.0 != 0
    }

    /// Returns true if a text is made of these bytes only.
    pub(crate) fn spells(self, text: &[u8]) -> bool {
        text.iter().fold(self.0, |sets, byte| sets & sets_of(*byte)) != 0
    }
}

/// A table with an entry for each byte, as a constant function gives it.
macro_rules! table_of_bytes {
    ($entry:ty, $judge:path) => {{
        let mut table = [$judge(0); 256];
        let mut rest: &mut [$entry] = &mut table;
        let mut byte = 0u8;
        while let Some((entry, after)) = rest.split_first_mut() {
            *entry = $judge(byte);
            byte = byte.wrapping_add(1);
            rest = after;
        }
        table
    }};
}
pub(crate) use table_of_bytes;

/// The sets that each byte is in.
static SETS: [u8; 256] = table_of_bytes!(u8, judged);

fn sets_of(byte: u8) -> u8 {
    SETS.get(usize::from(byte)).copied().unwrap_or_default()
}

const fn judged(byte: u8) -> u8 {
    let plain = byte.is_ascii_alphanumeric();
    let unreserved = plain || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let token = plain
        || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.')
        || matches!(byte, b'^' | b'_' | b'`' | b'|' | b'~');
    let strict = matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
    let printable = matches!(byte, 0x20..=0x7E);
    let mut sets = Alphabet::ANY.0;
    if unreserved {
        sets |= Alphabet::UNRESERVED.0;
    }
    if token {
        sets |= Alphabet::TOKEN.0;
    }
    if strict {
        sets |= Alphabet::STRICT.0;
    }
    if strict || byte == b' ' {
        sets |= Alphabet::STRICT_OR_SPACE.0;
    }
    if printable {
        sets |= Alphabet::PRINTABLE.0;
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alphabet_is_the_one_of_its_grammar_www_09_scope_11_authz_02() {
        for byte in 0..=u8::MAX {
            let plain = byte.is_ascii_alphanumeric();
            let strict = (0x21..=0x7E).contains(&byte) && byte != b'"' && byte != b'\\';
            for (alphabet, expected) in [
                (Alphabet::UNRESERVED, plain || b"-._~".contains(&byte)),
                (Alphabet::TOKEN, plain || b"!#$%&'*+-.^_`|~".contains(&byte)),
                (Alphabet::STRICT, strict),
                (Alphabet::STRICT_OR_SPACE, strict || byte == b' '),
                (Alphabet::PRINTABLE, (0x20..=0x7E).contains(&byte)),
                (Alphabet::ANY, true),
            ] {
                assert_eq!(alphabet.has(byte), expected, "{byte}");
                assert_eq!(alphabet.spells(&[b'a', byte, b'a']), expected, "{byte}");
            }
        }
    }
}
