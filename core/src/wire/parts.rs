//! The raw text rule: a URL cut into its parts without being changed (SEC-03, SEC-04).
//!
//! Decides whether a text is a URL that every parser reads alike. It is judged before any parser
//! sees it, because the ordinary one removes tabs and line ends, turns `\` into `/` and decodes
//! escapes in hosts. Refuses to decide where the URL may lead.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::alphabet::table_of_bytes;
use crate::kind::Kind;

/// Most bytes of a URL that a server named.
pub const LONGEST_URL: usize = 2048;

/// A URL cut into its parts, each a piece of the raw text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    pub(super) https: bool,
    /// As written; IPv6 in brackets.
    pub(super) host: &'a str,
    pub(super) address: Option<IpAddr>,
    /// The written port, or the scheme's.
    pub(super) port: u16,
    /// May be empty.
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// Applies the raw text rule. `own_host` is a host the person gave, which needs no shape.
    pub(super) fn read(raw: &'a str, own_host: &str) -> Result<Self, Kind> {
        if raw.len() > LONGEST_URL {
            return Err(Kind::UrlTooLong);
        }
        let seen = Marks::of(raw.as_bytes());
        if !seen.are_url_text(raw.as_bytes()) {
            return Err(Kind::UrlMalformed);
        }
        let (https, rest) = split_scheme(raw)?;
        let end = rest.bytes().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
        let (authority, rest) = rest.split_at(end.unwrap_or(rest.len()));
        if seen.has(Marks::AT) && authority.contains('@') {
            return Err(Kind::UrlUserinfo);
        }
        let (host, port) = split_port(authority)?;
        let address = read_host(raw, host, own_host)?;
        let port = match port {
            Some(port) => read_port(port)?,
            None => default_port(https),
        };
        if seen.has(Marks::FRAGMENT) {
            return Err(Kind::UrlFragment);
        }
        let (path, query) = match seen.has(Marks::QUERY).then(|| rest.split_once('?')).flatten() {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        // A parser rewrites dot segments in the path and apostrophes in the query.
        let quoted = || query.is_some_and(|query| query.contains('\''));
        if has_dot_segment(path) || (seen.has(Marks::APOSTROPHE) && quoted()) {
            return Err(Kind::UrlNotCanonical);
        }
        Ok(Self { https, host, address, port, path, query })
    }

    pub(super) fn is_loopback(&self) -> bool {
        match self.address {
            Some(address) => address.is_loopback(),
            None => self.host.eq_ignore_ascii_case("localhost"),
        }
    }

    pub(super) fn same_origin(&self, other: &Parts<'_>) -> bool {
        self.https == other.https
            && self.port == other.port
            && self.host.eq_ignore_ascii_case(other.host)
    }
}

/// The bytes of a text that call for a closer look. Ordinary URLs hold none of them, and are read
/// once.
#[derive(Clone, Copy)]
struct Marks(u8);

impl Marks {
    /// A byte that no URL holds.
    const FOREIGN: Self = Self(1);
    const ESCAPE: Self = Self(1 << 1);
    const AT: Self = Self(1 << 2);
    const FRAGMENT: Self = Self(1 << 3);
    const QUERY: Self = Self(1 << 4);
    const APOSTROPHE: Self = Self(1 << 5);
    /// A byte that is neither a dot nor one of a host's label.
    const UNNAMED: Self = Self(1 << 6);

    fn of(text: &[u8]) -> Self {
        let mark = |byte: u8| MARKS.get(usize::from(byte)).map_or(0, |mark| mark.0);
        Self(text.iter().fold(0, |seen, byte| seen | mark(*byte)))
    }

    const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    /// Returns true if a text that holds these is one of URLs.
    fn are_url_text(self, text: &[u8]) -> bool {
        !self.has(Self::FOREIGN) && (!self.has(Self::ESCAPE) || has_whole_escapes(text))
    }

    const fn on(byte: u8) -> Self {
        let found = match byte {
            b'%' => Self::ESCAPE.0,
            b'@' => Self::AT.0,
            b'#' => Self::FRAGMENT.0,
            b'?' => Self::QUERY.0,
            b'\'' => Self::APOSTROPHE.0,
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => Self::FOREIGN.0,
            0x21..=0x7E => 0,
            _ => Self::FOREIGN.0,
        };
        let named = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        Self(if named { found } else { found | Self::UNNAMED.0 })
    }
}

/// The marks on each byte.
static MARKS: [Marks; 256] = table_of_bytes!(Marks, Marks::on);

/// Returns true for the bytes 0x21 to 0x7E without `\ " < > ^ { | }` and backtick, each `%` with
/// two hex digits.
pub(super) fn is_url_text(text: &[u8]) -> bool {
    Marks::of(text).are_url_text(text)
}

fn has_whole_escapes(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'%').skip(1).all(|after| {
        matches!(after, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
    })
}

/// Takes the scheme off. There is a list of two allowed schemes, and none of bad ones (HOST-003).
fn split_scheme(raw: &str) -> Result<(bool, &str), Kind> {
    for (prefix, https) in [("https://", true), ("http://", false)] {
        if let Some((head, rest)) = raw.split_at_checked(prefix.len())
            && head.eq_ignore_ascii_case(prefix)
        {
            return Ok((https, rest));
        }
    }
    let Some((scheme, _)) = raw.split_once(':') else {
        return Err(Kind::UrlMalformed);
    };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let ours = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    Err(if is_scheme && !ours { Kind::UrlScheme } else { Kind::UrlMalformed })
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), Kind> {
    if authority.is_empty() {
        return Err(Kind::UrlMalformed);
    }
    if authority.starts_with('[') {
        let end = authority.find(']').ok_or(Kind::UrlMalformed)?.saturating_add(1);
        let (host, rest) = authority.split_at(end);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(Kind::UrlMalformed),
        };
    }
    Ok(match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    })
}

fn read_port(text: &str) -> Result<u16, Kind> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) || text == "0" {
        return Err(Kind::UrlPort);
    }
    if text.starts_with('0') {
        return Err(Kind::UrlNotCanonical);
    }
    text.parse().map_err(|_| Kind::UrlPort)
}

pub(super) const fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// The address of a host that is one; `None` for a name.
fn read_host(raw: &str, host: &str, own_host: &str) -> Result<Option<IpAddr>, Kind> {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = inner.parse().map_err(|_| Kind::UrlMalformed)?;
        survives_parsing(raw, host)?;
        return Ok(Some(IpAddr::V6(address)));
    }
    let mut last: &[u8] = &[];
    let mut punycode = false;
    let mut labels = !Marks::of(host.as_bytes()).has(Marks::UNNAMED);
    for label in host.as_bytes().split(|byte| *byte == b'.') {
        labels &= !matches!(label, [] | [b'-', ..] | [.., b'-']);
        punycode |= matches!(label, [b'x' | b'X', b'n' | b'N', b'-', b'-', ..]);
        last = label;
    }
    let own = || !host.is_empty() && host.eq_ignore_ascii_case(own_host);
    if !labels && !own() {
        return Err(Kind::UrlHost);
    }
    if is_number(last) {
        // Any other spelling than four plain decimals means the address to a parser only.
        return match host.parse::<Ipv4Addr>() {
            Ok(address) => Ok(Some(IpAddr::V4(address))),
            Err(_) => Err(survives_parsing(raw, host).err().unwrap_or(Kind::UrlHost)),
        };
    }
    if punycode {
        survives_parsing(raw, host)?;
    }
    Ok(None)
}

/// Checks that the ordinary parser writes the host as it stands. It is asked only where it could
/// differ.
fn survives_parsing(raw: &str, host: &str) -> Result<(), Kind> {
    let parsed = url::Url::parse(raw).map_err(|_| Kind::UrlHost)?;
    match parsed.host_str() {
        Some(written) if written.eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(Kind::UrlNotCanonical),
    }
}

fn is_number(label: &[u8]) -> bool {
    match label {
        [b'0', b'x' | b'X', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        _ => !label.is_empty() && label.iter().all(u8::is_ascii_digit),
    }
}

fn has_dot_segment(path: &str) -> bool {
    path.as_bytes().split(|byte| *byte == b'/').any(is_dot_segment)
}

fn is_dot_segment(segment: &[u8]) -> bool {
    // Plain segments are by far the most common; only dots and their escapes go further.
    if !matches!(segment, [b'.' | b'%', ..]) {
        return false;
    }
    let mut dots = 0usize;
    let mut rest = segment;
    while !rest.is_empty() {
        rest = match rest {
            [b'%', b'2', b'e' | b'E', after @ ..] | [b'.', after @ ..] => after,
            _ => return false,
        };
        dots = dots.saturating_add(1);
    }
    dots <= 2
}

/// Returns true if a list of hosts holds one, without regard to case or brackets.
pub(super) fn lists_host(hosts: &[Box<str>], host: &str) -> bool {
    fn bare(host: &str) -> &str {
        host.trim_start_matches('[').trim_end_matches(']')
    }
    hosts.iter().any(|listed| bare(listed).eq_ignore_ascii_case(bare(host)))
}

#[cfg(test)]
mod tests;
