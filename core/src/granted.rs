//! The published truth: an access token, what it is for, and how long it is believed.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use http::HeaderValue;
use http::uri::{Authority, Scheme, Uri};

use crate::input::Epoch;
use crate::scope::ScopeSet;
use crate::secret::AccessToken;
use crate::time::{Monotonic, Timestamp};
pub use crate::wire::one_way::reads_one_way;

/// A grant that callers may use. It is immutable; a newer one replaces it whole.
#[derive(Clone)]
pub struct Granted {
    pub(crate) epoch: Epoch,
    pub(crate) header: HeaderValue,
    pub(crate) token: AccessToken,
    pub(crate) issuer: Arc<str>,
    pub(crate) resource: Option<Arc<str>>,
    pub(crate) scopes: Option<Arc<ScopeSet>>,
    pub(crate) life: Life,
    /// The result of [`Life::fresh`], computed once.
    pub(crate) fresh: Fresh,
    pub(crate) area: Arc<Area>,
    pub(crate) unsaved: bool,
    /// True if the token is fresh but was refused. It is not handed out without asking the session.
    pub(crate) retired: bool,
}

/// How long an access token is believed. The clock that reaches the end first decides (HOST-313,
/// HOST-314).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// The server named no lifetime: the token is used until it is refused (HOST-205).
    Unknown,
    /// The server named a lifetime.
    Until {
        /// The end by the wall clock; `None` if that clock was broken when the token came.
        wall: Option<Timestamp>,
        /// The end by the monotonic clock of this process.
        mono: Monotonic,
        /// The time before the end in which a new token is fetched while this one stays in use.
        ahead: Duration,
    },
}

impl Life {
    /// Returns true if the lifetime is over.
    #[must_use]
    #[inline]
    pub(crate) fn expired(&self, wall: Timestamp, mono: Monotonic) -> bool {
        self.within(Duration::ZERO, wall, mono)
    }

    /// Returns true if a refresh ahead of expiry is due, or the lifetime is over.
    #[must_use]
    #[inline]
    pub(crate) fn ageing(&self, wall: Timestamp, mono: Monotonic) -> bool {
        match self {
            Self::Unknown => false,
            Self::Until { ahead, .. } => self.within(*ahead, wall, mono),
        }
    }

    /// The moment, by each clock, before which the lifetime is certainly neither over nor ageing.
    #[must_use]
    #[inline]
    pub(crate) fn fresh(&self) -> Fresh {
        match self {
            Self::Unknown => Fresh { wall: None, mono: None },
            Self::Until { wall, mono, ahead } => {
                let seconds = i64::try_from(ahead.as_secs()).unwrap_or(i64::MAX);
                let wall = wall.map(|at| at.unix().saturating_sub(seconds));
                let mono = mono.millis().saturating_sub(millis(*ahead));
                let mono = Some(Monotonic::from_millis(mono));
                Fresh { wall: wall.map(Timestamp::from_unix), mono }
            }
        }
    }

    /// Returns true if at most `margin` of the lifetime is left. It calculates in whole numbers,
    /// since every request of a caller passes here.
    #[inline]
    fn within(&self, margin: Duration, now: Timestamp, mono_now: Monotonic) -> bool {
        match self {
            Self::Unknown => false,
            Self::Until { wall, mono, .. } => {
                let left = |wall: Timestamp| wall.unix().saturating_sub(now.unix());
                let seconds = i64::try_from(margin.as_secs()).unwrap_or(i64::MAX);
                mono.millis().saturating_sub(mono_now.millis()) <= millis(margin)
                    || wall.is_some_and(|wall| left(wall) <= seconds && now.plausible())
            }
        }
    }
}

#[inline]
fn millis(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000).saturating_add(u64::from(time.subsec_millis()))
}

/// The moments before which a token is fresh. A clock compares itself with a moment more cheaply
/// than it gives a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// The moment by the wall clock.
    pub wall: Option<Timestamp>,
    /// The moment by the monotonic clock.
    pub mono: Option<Monotonic>,
}

/// The answer to a caller that wants to use a grant as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usable {
    /// The caller may use it.
    Fresh,
    /// The caller may use it, and the session should hear that the token ages.
    Ageing,
    /// The session has to be asked; it may hand out this very grant all the same.
    No,
}

impl Granted {
    /// The epoch of this token. Name it in the challenge when a request with this token is refused.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The value of the `Authorization` header, marked sensitive (RFC 6750 §2.1).
    #[must_use]
    pub const fn authorization(&self) -> &HeaderValue {
        &self.header
    }

    /// The access token alone.
    #[must_use]
    pub const fn access_token(&self) -> &AccessToken {
        &self.token
    }

    /// The issuer, as its own metadata document writes it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The resource the token was asked for, exactly as it was sent; `None` if it was left out.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.resource.as_deref()
    }

    /// The scopes granted; `None` if nobody named any (SCOPE-12).
    #[must_use]
    pub fn scopes(&self) -> Option<&ScopeSet> {
        self.scopes.as_deref()
    }

    /// Says if a caller that needs these scopes may use the token as it is.
    #[must_use]
    #[inline]
    pub fn usable(&self, scopes: &ScopeSet, wall: Timestamp, mono: Monotonic) -> Usable {
        if !self.serves(scopes) {
            return Usable::No;
        }
        // A token that does not age yet is not over either.
        match self.life.ageing(wall, mono) {
            false => Usable::Fresh,
            true if self.life.expired(wall, mono) => Usable::No,
            true => Usable::Ageing,
        }
    }

    /// Returns true if a caller that needs these scopes may use the token for as long as it lives.
    #[inline]
    fn serves(&self, scopes: &ScopeSet) -> bool {
        let covers = || self.scopes.as_ref().is_some_and(|held| held.covers(scopes));
        !self.retired && (scopes.is_empty() || covers())
    }

    /// Returns true if the store has refused the record, so that the grant lives in memory only
    /// (HOST-229).
    #[must_use]
    pub const fn unsaved(&self) -> bool {
        self.unsaved
    }

    /// The moments before which a caller that needs these scopes may certainly use the token as it
    /// is. `None` if the token does not serve such a caller, however long it lives. This is cheaper
    /// than [`Granted::usable`], which decides the cases that are left.
    #[must_use]
    #[inline]
    pub fn fresh_for(&self, scopes: &ScopeSet) -> Option<Fresh> {
        self.serves(scopes).then_some(self.fresh)
    }

    /// How long the token is believed.
    #[must_use]
    pub const fn life(&self) -> Life {
        self.life
    }

    /// Returns true if a request to this URI may carry the token, being within the token area
    /// (USE-07, D4).
    #[must_use]
    #[inline]
    pub fn covers(&self, uri: &Uri) -> bool {
        self.area.covers_uri(uri)
    }

    /// The URL of a path and query at the MCP server's own origin, whether or not it is covered.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.area.origin)
    }
}

impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Granted")
            .field("epoch", &self.epoch)
            .field("issuer", &self.issuer)
            .field("scopes", &self.scopes)
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

/// The token area: the only URLs that ever see the token (USE-07, D4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    /// Scheme and authority, lower case, without a default port.
    origin: Arc<str>,
    https: bool,
    authority: Box<str>,
    prefixes: Vec<Prefix>,
}

/// A path that covers itself and what lies below it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Prefix {
    /// Without a slash at its end.
    path: Box<str>,
    plain: bool,
}

impl Area {
    /// An area of these paths at an origin that is written as above.
    pub(crate) fn new<'a>(origin: &str, prefixes: impl IntoIterator<Item = &'a str>) -> Self {
        let (scheme, authority) = origin.split_once("://").unwrap_or_default();
        let prefixes = prefixes.into_iter().map(|prefix| {
            let path = prefix.strip_suffix('/').unwrap_or(prefix);
            Prefix { path: path.into(), plain: written_plainly(path) }
        });
        Self {
            origin: origin.into(),
            https: scheme == "https",
            authority: authority.into(),
            prefixes: prefixes.collect(),
        }
    }

    /// The paths after the first one, as a configuration may add them.
    pub(crate) fn added_paths(&self) -> impl Iterator<Item = String> {
        self.prefixes.iter().skip(1).map(|prefix| format!("{}/", prefix.path))
    }

    /// Returns true if a request to this absolute URL may carry the token. The URL must be of the
    /// same origin, under a prefix at a segment boundary, and without text that two servers could
    /// read in two ways (HOST-257, HOST-258, HOST-328).
    fn covers(&self, url: &str) -> bool {
        let Ok(parsed) = url::Url::parse(url) else {
            return false;
        };
        let path = parsed.path();
        parsed_origin_is(&parsed, &self.origin)
            && reads_one_way(url)
            && self.prefixes.iter().any(|prefix| prefix.rest(path).is_some())
    }

    /// The same for a parsed URI. A URI that is written plainly, as nearly all are, is judged
    /// without an allocation.
    #[inline]
    fn covers_uri(&self, uri: &Uri) -> bool {
        self.covers_plainly(uri) || self.covers_closely(uri)
    }

    /// Returns true if a plain look shows that the URI is covered. Every request of a caller passes
    /// here, so only the part of the path after a prefix is read letter by letter.
    #[inline]
    fn covers_plainly(&self, uri: &Uri) -> bool {
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return false,
        };
        let authority = uri.authority().map(Authority::as_str);
        if https != self.https || authority != Some(&*self.authority) {
            return false;
        }
        let path = uri.path();
        // The compiler inlines this loop, but not a call of `any`.
        for prefix in &self.prefixes {
            if let Some(rest) = prefix.rest(path).filter(|_| prefix.plain)
                && (rest.is_empty() || written_plainly(rest))
            {
                return true;
            }
        }
        false
    }

    #[cold]
    fn covers_closely(&self, uri: &Uri) -> bool {
        let path = uri.path();
        let plainly = origin_is(uri, &self.origin)
            && written_plainly(path)
            && self.prefixes.iter().any(|prefix| prefix.rest(path).is_some());
        plainly || self.covers(&uri.to_string())
    }
}

impl Prefix {
    /// The part of a path after this prefix: nothing, or a text that begins with a slash.
    #[inline]
    fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&*self.path)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }
}

/// Returns true if a request to this URI goes to the origin, without a password in its URL.
pub(crate) fn same_origin(uri: &Uri, origin: &str) -> bool {
    let parsed = || url::Url::parse(&uri.to_string());
    origin_is(uri, origin) || parsed().is_ok_and(|url| parsed_origin_is(&url, origin))
}

fn parsed_origin_is(url: &url::Url, origin: &str) -> bool {
    url.username().is_empty()
        && url.password().is_none()
        && url.origin().ascii_serialization() == *origin
}

/// Compares letter for letter, except for case and a default port.
fn origin_is(uri: &Uri, origin: &str) -> bool {
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return false;
    };
    let held = origin.strip_prefix(scheme.as_str()).and_then(|rest| rest.strip_prefix("://"));
    let Some(held) = held else { return false };
    let default = if *scheme == Scheme::HTTPS { ":443" } else { ":80" };
    let authority = authority.as_str();
    authority == held
        || authority.strip_suffix(default).unwrap_or(authority).eq_ignore_ascii_case(held)
}

/// Returns true if every parser reads the path as it stands: it has no escapes, nothing that is
/// escaped later, and no segment that begins with a dot.
fn written_plainly(path: &str) -> bool {
    let mut before = 0;
    path.bytes().all(|byte| {
        let hidden = before == b'/' && byte == b'.';
        before = byte;
        !hidden && PLAIN.get(usize::from(byte)).is_some_and(|plain| *plain)
    })
}

/// Letters, digits and `-._~/!$&'()*+,;=:@` (RFC 3986 §3.3).
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut rest: &[u8] = b"-._~/!$&'()*+,;=:@\
        abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    while let [byte, more @ ..] = rest {
        // A `const` cannot call `get_mut`; a byte is always within the table.
        #[allow(clippy::indexing_slicing, reason = "checked when it is compiled")]
        {
            plain[*byte as usize] = true;
        }
        rest = more;
    }
    plain
};

/// Returns true if the path of a URI names one resource to every server.
pub(crate) fn read_one_way(uri: &Uri) -> bool {
    written_plainly(uri.path()) || reads_one_way(&uri.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(prefix: &str) -> Area {
        Area::new("https://mcp.example", [prefix])
    }

    #[test]
    fn other_origins_never_match_host_257() {
        for url in [
            "https://evil.example/",
            "https://mcp.example:444/mcp",
            "http://mcp.example/mcp",
            "https://mcp.example.evil.example/mcp",
            "https://user@mcp.example/mcp",
            "/mcp",
        ] {
            assert!(!area("/").covers(url), "{url}");
        }
    }

    #[test]
    fn segment_boundaries_and_two_faced_paths_host_258_use_07() {
        let tenant = area("/tenant-a/mcp");
        for url in [
            "https://mcp.example/tenant-b/mcp",
            "https://mcp.example/tenant-a/mcp2",
            "https://mcp.example/tenant-a/mcp/../../tenant-b/mcp",
            "https://mcp.example/tenant-a/mcp%2f..%2f..%2ftenant-b",
            "https://mcp.example/tenant-a/mcp/%2E%2e/x",
            "https://mcp.example/tenant-a",
        ] {
            assert!(!tenant.covers(url), "{url}");
        }
        for url in [
            "https://mcp.example/tenant-a/mcp",
            "https://MCP.example:443/tenant-a/mcp?x=%2f",
            "https://mcp.example/tenant-a/mcp/messages",
        ] {
            assert!(tenant.covers(url), "{url}");
        }
    }

    #[test]
    fn a_path_that_two_readers_read_in_two_ways_is_not_covered_host_328() {
        let area = area("/mcp");
        for path in [
            "/mcp/..;/admin",
            "/mcp/..;v=1/admin",
            "/mcp/.;/admin",
            "/mcp/..%3b/admin",
            "/mcp/..%3B%2561/admin",
            "/mcp/%252e%252e/admin",
            "/mcp/%25252e%25252e/admin",
            "/mcp/%25%32%65%25%32%65/admin",
            "/mcp/..%252fadmin",
            "/mcp/..%255cadmin",
            "/mcp/..%00/admin",
            "/mcp/..%2500/admin",
            "/mcp/..%20/admin",
            "/mcp/x%0d%0a/admin",
            "/mcp/%c0%ae%c0%ae/admin",
            "/mcp/%C0%AE%c0%af",
            "/mcp/..%c1%9cadmin",
            "/mcp/%25c0%25ae%25c0%25ae/admin",
            "/mcp/%e0%80%ae%e0%80%ae/admin",
            "/mcp/%f0%80%80%ae/admin",
            "/mcp/%f8%80%80%80%ae/admin",
            "/mcp/%fc%80%80%80%80%ae/admin",
            "/mcp/%u002e%u002e/admin",
            "/mcp/%%32%65/admin",
            "/mcp/%2",
        ] {
            let url = format!("https://mcp.example{path}");
            assert!(!area.covers(&url), "{url}");
            let uri: Uri = url.parse().unwrap();
            assert!(!area.covers_uri(&uri), "{url}");
            assert!(!read_one_way(&uri), "{url}");
        }
        for url in [
            "https:mcp.example/mcp",
            "https:/mcp.example/mcp",
            "https:///mcp.example/mcp",
            "https:\\\\mcp.example/mcp",
            " https://mcp.example/mcp",
            "https://mcp.example/mcp/.. ",
            "https://mcp.example/mcp/.\t./mcp",
            "https://mcp.example/mcp/.\n/x",
        ] {
            assert!(!area.covers(url), "{url}");
        }
    }

    #[test]
    fn an_ordinary_path_is_covered_however_it_is_escaped_host_328() {
        for path in [
            "/mcp",
            "/mcp/",
            "/mcp/a%20b",
            "/mcp/tools;v=1/x",
            "/mcp/;v=1",
            "/mcp/a..b/v1.2",
            "/mcp/.well-known/x",
            "/mcp/..x;y",
            "/mcp/100%25",
            "/mcp/100%25%20sure",
            "/mcp/caf%C3%A9",
            "/mcp/caf%e9",
            "/mcp/%E2%82%AC/%F0%9F%98%80",
            "/mcp/%40scope/%7Euser/c%23",
            "/mcp/x?to=../..;/%252e%00&u=%c0%ae",
        ] {
            let url = format!("https://mcp.example{path}");
            assert!(area("/mcp").covers(&url), "{url}");
            let uri: Uri = url.parse().unwrap();
            assert!(area("/mcp").covers_uri(&uri), "{url}");
            assert!(read_one_way(&uri), "{url}");
        }
    }

    #[test]
    fn a_parsed_uri_is_judged_as_its_text_host_257_host_258_use_07() {
        let urls = [
            "https://mcp.example/tenant-a/mcp",
            "HTTPS://MCP.example:443/tenant-a/mcp/x?y=%2f",
            "https://mcp.example/tenant-a/mcp/a%20b",
            "https://mcp.example/tenant-a/mcp/%2e%2e/x",
            "https://mcp.example/tenant-a/mcp/../x",
            "https://mcp.example/tenant-a/mcp/./x",
            "https://mcp.example/tenant-a/mcp2",
            "https://mcp.example/tenant-a",
            "https://mcp.example",
            "https://mcp.example:80/tenant-a/mcp",
            "https://mcp.example:8443/tenant-a/mcp",
            "https://mcp.example:/tenant-a/mcp",
            "https://mcp.example.evil.example/tenant-a/mcp",
            "https://user@mcp.example/tenant-a/mcp",
            "http://mcp.example/tenant-a/mcp",
            "http://mcp.example:443/tenant-a/mcp",
            "/tenant-a/mcp",
        ];
        for area in [area("/"), area("/tenant-a/mcp"), area("/tenant-a/mcp/")] {
            for url in urls {
                let uri: Uri = url.parse().unwrap();
                assert_eq!(area.covers_uri(&uri), area.covers(url), "{url} {area:?}");
            }
        }
        assert!(area("/tenant-a/mcp").covers_uri(&Uri::from_static(urls[0])));
        // A prefix that is read in two ways itself covers nothing, not even letter for letter.
        for path in ["/mcp/%2561", "/mcp/..;/x", "/mcp/%2e%2e"] {
            let uri: Uri = format!("https://mcp.example{path}").parse().unwrap();
            assert_eq!(area(path).covers_uri(&uri), area(path).covers(&uri.to_string()), "{path}");
        }
        assert!(!area("/mcp/..;/x").covers_uri(&Uri::from_static("https://mcp.example/mcp/..;/x")));
    }

    /// The texts of many URLs: each head, followed by each pair of pieces.
    fn texts() -> impl Iterator<Item = String> {
        const HEADS: [&str; 20] = [
            "https://mcp.example",
            "https://mcp.example/mcp",
            "https://mcp.example/mcp/",
            "https://mcp.example/mcp/x",
            "http://mcp.example/mcp",
            "HTTPS://MCP.Example/mcp",
            "https://mcp.example:443/mcp",
            "https://mcp.example:8443/mcp",
            "https://mcp.example:/mcp",
            "https://mcp.example./mcp",
            "https://mcp.example.evil.example/mcp",
            "https://evil.example/mcp",
            "https://user@mcp.example/mcp",
            "https://@mcp.example/mcp",
            "https://mcp.example@evil.example/mcp",
            "https://mcp.example:443@evil.example/mcp",
            "ws://mcp.example/mcp",
            "https:mcp.example/mcp",
            "mcp.example",
            "/mcp",
        ];
        const PIECES: [&str; 31] = [
            "",
            "/",
            "/mcp",
            "mcp",
            "/MCP",
            "/x",
            "/.",
            "/..",
            "/..;",
            "/.;v=1",
            "/..x",
            "/x..",
            "/;..",
            "/%2e%2e",
            "/..%2f",
            "/%2E.",
            "/%c0%ae",
            "/%252e",
            "%",
            "\\",
            "/..\\",
            "//",
            "//evil.example",
            "/@",
            ":443",
            "?",
            "?..;/%2e",
            "#/..",
            "\t",
            " ",
            "/a%20b",
        ];
        let one = |head: &'static str| {
            let pairs = PIECES.iter().flat_map(|one| PIECES.iter().map(move |two| (one, two)));
            pairs.map(move |(one, two)| format!("{head}{one}{two}"))
        };
        HEADS.into_iter().flat_map(one)
    }

    /// Random texts of the characters that make paths, escapes and dot segments.
    fn random_texts() -> impl Iterator<Item = String> {
        const BYTES: &[u8] = b"/////....;%%2eE5cC0afF\\\t ?#@:mcpx-~!$&'()*+,=|^`{}\"<>[]\x7f";
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed >> 33).unwrap() % below
        };
        (0..10_000).map(move |_| {
            let mut text = format!("https://mcp.example{}", ["", "/", "/mcp", "/mcp/"][random(4)]);
            (0..random(12)).for_each(|_| text.push(char::from(BYTES[random(BYTES.len())])));
            text
        })
    }

    /// The plain look may say yes only where the close look does.
    #[test]
    fn a_plain_look_covers_no_more_than_a_close_one_host_257_host_258_host_328() {
        let areas = ["/", "/mcp/", "/mcp/x", "/mcp/..;/x"].map(area);
        let (mut plainly, mut judged) = (0, 0);
        for text in texts().chain(random_texts()) {
            let Ok(uri) = text.parse::<Uri>() else { continue };
            for area in &areas {
                let (plain, close) = (area.covers_plainly(&uri), area.covers(&text));
                assert!(close || !plain, "{text:?} {area:?}");
                assert!(close || !area.covers_uri(&uri), "{text:?} {area:?}");
                plainly += u32::from(plain);
                judged += 1;
            }
        }
        // Enough URLs were compared, and both answers came.
        assert!(plainly > 1_000 && judged > 10 * plainly, "{plainly} of {judged}");
    }

    #[test]
    fn whichever_clock_says_first_host_313_host_314() {
        let life = Life::Until {
            wall: Some(Timestamp::from_unix(1_000)),
            mono: Monotonic::from_millis(60_000),
            ahead: Duration::from_secs(10),
        };
        let at = |wall, mono| (Timestamp::from_unix(wall), Monotonic::from_millis(mono));
        for (wall, mono, ageing, over) in [
            (900, 10_000, false, false),
            (995, 10_000, true, false),
            (900, 55_000, true, false),
            (1_000, 10_000, true, true),
            (0, 60_000, true, true),
            (i64::MAX, 10_000, false, false),
        ] {
            let (wall, mono) = at(wall, mono);
            assert_eq!(life.ageing(wall, mono), ageing, "{wall:?} {mono:?}");
            let Fresh { wall: day, mono: moment } = life.fresh();
            let before = day.is_none_or(|day| wall < day) && moment.is_none_or(|at| mono < at);
            assert!(!(before && ageing), "{wall:?} {mono:?}");
            assert_eq!(life.expired(wall, mono), over, "{wall:?} {mono:?}");
        }
    }
}
