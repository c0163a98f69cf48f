//! The checks on an answer's head that every adapter makes before it reads a byte of the body.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use mcp_authz_core::effect::{Limits, Why};

/// The content codings there are (RFC 9110 §8.4.1 and the registry).
const CODINGS: [&str; 11] = [
    "gzip",
    "x-gzip",
    "deflate",
    "compress",
    "x-compress",
    "br",
    "zstd",
    "dcb",
    "dcz",
    "exi",
    "pack200-gzip",
];

/// Checks that the head is within the limits, its length is one number, and its body is not
/// encoded.
///
/// # Errors
/// Why the answer is not read any further; the connection is to be closed.
pub fn check(head: &Parts, limits: &Limits) -> Result<(), Why> {
    let fields = &head.headers;
    let size = fields.iter().fold(0usize, |size, (name, value)| {
        size.saturating_add(name.as_str().len()).saturating_add(value.len()).saturating_add(4)
    });
    if fields.len() > limits.fields || size > limits.head {
        return Err(Why::HeadTooLarge);
    }
    let length = length(fields)?;
    let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if length.is_some_and(|length| length > limits.body as u64) && !bodiless {
        return Err(Why::BodyTooLarge);
    }
    // Identity was asked for. Nothing is ever inflated: 1 MiB can stand for 1 GiB (HOST-066). A name
    // that is no coding, such as `utf-8`, encodes nothing: its answer is read (HOST-320).
    let encoded = |value: &http::HeaderValue| {
        value.as_bytes().split(|byte| *byte == b',').any(|name| {
            CODINGS.iter().any(|coding| name.trim_ascii().eq_ignore_ascii_case(coding.as_bytes()))
        })
    };
    if fields.get_all(CONTENT_ENCODING).iter().any(encoded) {
        return Err(Why::Encoded);
    }
    Ok(())
}

/// One length, however often it is written: two readers that choose differently disagree about
/// where the next answer begins (HOST-063).
fn length(fields: &HeaderMap) -> Result<Option<u64>, Why> {
    let mut seen = None;
    for value in fields.get_all(CONTENT_LENGTH) {
        let text = value.to_str().map_err(|_| Why::HeadMalformed)?;
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Why::HeadMalformed);
        }
        let length: u64 = text.parse().map_err(|_| Why::HeadMalformed)?;
        if seen.replace(length).is_some_and(|before| before != length) {
            return Err(Why::HeadMalformed);
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use mcp_authz_core::address::Addresses;

    use super::*;

    fn check_with(fields: &[(&str, &str)]) -> Result<(), Why> {
        let limits = Limits {
            connect: Duration::ZERO,
            total: Duration::ZERO,
            head: 1024,
            fields: 8,
            body: 100,
            addresses: Addresses::Public,
            proxy: true,
        };
        let mut answer = http::Response::builder();
        for (name, value) in fields {
            answer = answer.header(*name, *value);
        }
        check(&answer.body(()).unwrap().into_parts().0, &limits)
    }

    #[test]
    fn lengths_host_063_host_064() {
        for (lengths, expected) in [
            (&["100"] as &[&str], Ok(())),
            (&["7", "7"], Ok(())),
            (&["101"], Err(Why::BodyTooLarge)),
            (&["99999999999999999999"], Err(Why::HeadMalformed)),
            (&["-1"], Err(Why::HeadMalformed)),
            (&["+1"], Err(Why::HeadMalformed)),
            (&["1,2"], Err(Why::HeadMalformed)),
            (&[""], Err(Why::HeadMalformed)),
            (&["7", "8"], Err(Why::HeadMalformed)),
        ] {
            let fields: Vec<_> = lengths.iter().map(|text| ("content-length", *text)).collect();
            assert_eq!(check_with(&fields), expected, "{lengths:?}");
        }
    }

    #[test]
    fn encodings_host_066_host_067() {
        for encoding in ["gzip", "gzip, gzip", "br", "zstd", "x-gzip", "identity, gzip"] {
            assert_eq!(check_with(&[("content-encoding", encoding)]), Err(Why::Encoded));
        }
        for plain in ["Identity", "", "utf-8"] {
            assert_eq!(check_with(&[("content-encoding", plain)]), Ok(()), "HOST-320: {plain}");
        }
    }

    #[test]
    fn heads_over_the_limit_host_069() {
        let long = "x".repeat(1024);
        assert_eq!(check_with(&[("a", &long)]), Err(Why::HeadTooLarge));
        assert_eq!(check_with(&[("a", "b"); 9]), Err(Why::HeadTooLarge));
        assert_eq!(check_with(&[("a", "b"); 8]), Ok(()));
    }
}
