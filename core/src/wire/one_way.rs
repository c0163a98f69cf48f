//! A check that a URL names one resource to every reader (HOST-258, HOST-328).
//!
//! Decides by the text as it is written: a parser would mend dot segments, tabs and missing slashes
//! before anybody could look at them. Refuses to decide where the URL may lead.

/// The most escapes within escapes that are read. A text with more of them is refused.
const DEEPEST: usize = 4;

/// Returns true if every reader finds the same path in a URL or a reference to one. A reader may
/// undo escapes any number of times, cut parameters off a segment, end at a zero byte, or take
/// overlong UTF-8 for the character it spells. If readers found several paths, a proxy and the
/// server behind it could disagree about who is asked.
#[must_use]
pub fn reads_one_way(reference: &str) -> bool {
    let head = reference.split(['?', '#']).next().unwrap_or_default();
    let Some(path) = path(head) else { return false };
    let hidden = |byte: u8| byte.is_ascii_control() || byte == b'\\';
    if head.starts_with(' ') || head.bytes().any(hidden) || !escapes_are_whole(path) {
        return false;
    }
    let mut read = path.as_bytes().to_vec();
    for _ in 0..DEEPEST {
        if read.split(|byte| *byte == b'/').any(is_dots) || overlong(&read) {
            return false;
        }
        match unescaped(&read) {
            Some(next) if next.len() < read.len() => read = next,
            same => return same.is_some(),
        }
    }
    false
}

/// The path of a reference without query and fragment. `None` if the slashes after a scheme or the
/// authority after them are missing, which a browser's parser would mend.
fn path(head: &str) -> Option<&str> {
    let rest = match head.split_once(':') {
        Some((scheme, rest)) if !scheme.contains('/') => rest.starts_with("//").then_some(rest)?,
        _ => head,
    };
    let Some(authority) = rest.strip_prefix("//") else { return Some(rest) };
    match authority.find('/') {
        Some(0) => None,
        Some(end) => authority.get(end..),
        None => Some(""),
    }
}

/// Returns true if each `%` begins an escape. Others, such as `%u002e`, are escapes to some
/// readers.
fn escapes_are_whole(path: &str) -> bool {
    let whole = |rest: &str| {
        rest.as_bytes()
            .first_chunk()
            .is_some_and(|[high, low]| high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
    };
    path.split('%').skip(1).all(whole)
}

/// Returns true for a segment of dots, as it is or without its parameters or spaces.
fn is_dots(segment: &[u8]) -> bool {
    let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
    name.contains(&b'.') && name.iter().all(|byte| matches!(byte, b'.' | b' '))
}

/// Returns true if a character has more bytes of UTF-8 than it needs: `C0 AE` is a dot to a lenient
/// reader.
fn overlong(read: &[u8]) -> bool {
    read.iter().zip(read.iter().skip(1).chain(&[0])).any(|pair| {
        matches!(
            pair,
            (0xC0 | 0xC1, _)
                | (0xE0, 0x80..=0x9F)
                | (0xF0, 0x80..=0x8F)
                | (0xF8, 0x80..=0x87)
                | (0xFC, 0x80..=0x83)
        )
    })
}

/// Undoes one layer of escapes; `None` if one stood for a dot, a slash, a backslash or a control
/// character.
fn unescaped(read: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut out = Vec::with_capacity(read.len());
    let mut rest = read;
    while let [first, more @ ..] = rest {
        let pair = more.split_first_chunk().filter(|_| *first == b'%');
        let escape = pair.and_then(|([high, low], after)| {
            let byte = digit(*high)?.checked_mul(16)?.checked_add(digit(*low)?)?;
            Some((u8::try_from(byte).ok()?, after))
        });
        let (byte, after) = escape.unwrap_or((*first, more));
        if escape.is_some() && (byte.is_ascii_control() || matches!(byte, b'.' | b'/' | b'\\')) {
            return None;
        }
        out.push(byte);
        rest = after;
    }
    Some(out)
}
