//! The URL of the MCP endpoint as the person gave it.
//!
//! Decides its canonical form (RES-04) and whether it is on this machine (SEC-03). The person is
//! trusted: private addresses and any spelling of a host are fine here and nowhere else.

use core::fmt;

use url::{Host, Url};

use super::parts::{default_port, lists_host};
use crate::failure::{Failure, Kind, Switch};

/// The MCP URL: parsed, without user name, password and fragment, beside its canonical form.
#[derive(Clone, PartialEq, Eq)]
pub struct McpUrl {
    url: Url,
    canonical: Box<str>,
    origin: usize,
    loopback: bool,
}

impl McpUrl {
    /// Reads the URL a person gave. Scheme and host may be in any case; user name, password and
    /// fragment are dropped (RES-04, RES-05). `plain_http_hosts` are the hosts for which the
    /// caller switched plain http on (D6), ignored if `strict`.
    ///
    /// # Errors
    /// `config_invalid` if it is no http or https URL, with a hint where only the scheme is
    /// missing; `insecure_transport` for http to a host that is neither loopback nor switched on.
    /// Correct the configuration.
    pub fn parse(text: &str, plain_http_hosts: &[Box<str>], strict: bool) -> Result<Self, Failure> {
        let invalid = || Failure::new(Kind::ConfigInvalid, "RES-06").with_subject("MCP URL");
        let refused =
            |hint: &str| scheme_missing(text).unwrap_or_else(|| invalid().with_hint(hint));
        let mut url = Url::parse(text).map_err(|error| refused(unread(text, error)))?;
        if !matches!(url.scheme(), "https" | "http") {
            // Without the slashes it may be no scheme, but somebody's name.
            let hint = match text.contains("://") {
                true => &format!("its scheme is {}, write https", url.scheme()),
                false => NO_URL,
            };
            return Err(refused(hint));
        }
        // Only cannot-be-a-base URLs refuse these, and an http URL never is one.
        url.set_username("").map_err(|()| invalid())?;
        url.set_password(None).map_err(|()| invalid())?;
        url.set_fragment(None);
        let loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => {
                address.is_loopback()
                    || address.to_ipv4_mapped().is_some_and(|inner| inner.is_loopback())
            }
            Some(Host::Domain(name)) => name.trim_end_matches('.') == "localhost",
            None => return Err(invalid()),
        };
        let host = url.host_str().ok_or_else(invalid)?;
        let switched_on = !strict && lists_host(plain_http_hosts, host);
        if url.scheme() == "http" && !loopback && !switched_on {
            let failure = Failure::new(Kind::InsecureTransport, "SEC-01")
                .with_subject(&format!("MCP URL http://{host}"));
            let switch = Switch::PlainHttp;
            return Err(if strict { failure } else { failure.with_switch_for(switch, &[host]) });
        }
        let (canonical, origin) = canonical(&url);
        Ok(Self { canonical, origin, loopback, url })
    }

    /// The canonical form. It is the `resource` of a server without metadata, and the name of its
    /// records.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The parsed URL, without user name, password and fragment.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Scheme, host and port if it is not the scheme's own; no slash at the end (LEG-01).
    #[must_use]
    pub fn origin(&self) -> &str {
        self.canonical.get(..self.origin).unwrap_or_default()
    }

    /// The path, at least `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// The query without its question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.url.query()
    }

    /// The host in lower case; IPv6 in brackets.
    #[must_use]
    pub fn host_str(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The port, the scheme's own if none is written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.port().unwrap_or(default_port(self.is_https()))
    }

    /// Returns true if the scheme is https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Returns true if the host means this machine, in whatever spelling (SEC-03).
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// The URL as a note or an error may show it, without a query (HOST-304).
    #[must_use]
    pub fn shown(&self) -> &str {
        self.canonical.split('?').next().unwrap_or_default()
    }
}

impl fmt::Debug for McpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "McpUrl({})", self.shown())
    }
}

const NO_URL: &str = "it is no URL, write https://HOST/PATH";

/// The fault of a text that is no URL, in words that repeat nothing of it.
fn unread(text: &str, error: url::ParseError) -> &'static str {
    match error {
        _ if text.trim().is_empty() => "the text is empty, write https://HOST/PATH",
        url::ParseError::InvalidPort => "its port is no number up to 65535",
        url::ParseError::EmptyHost => "it names no host, write https://HOST/PATH",
        _ => NO_URL,
    }
}

/// The failure for a text that begins with a host where a URL begins with its scheme. It says what
/// to write. `None` for every other text. Neither a password nor a query is shown.
#[must_use]
pub fn scheme_missing(text: &str) -> Option<Failure> {
    let text = text.trim();
    let shown = text.split(['?', '#']).next().unwrap_or_default();
    let (authority, _) = shown.split_once('/').unwrap_or((shown, ""));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    // `mailto:somebody` and `file:` are schemes; a text that a number follows is a host.
    let numbered = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let host_like = host == "localhost" || host.contains('.') || host.starts_with('[');
    if !numbered || authority.contains('@') || !(host_like || port.is_some()) {
        return None;
    }
    let whole = Url::parse(&format!("https://{shown}")).ok()?;
    let here = match whole.host()? {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => name == "localhost",
    };
    let scheme = if here { "http" } else { "https" };
    let failure = Failure::new(Kind::ConfigInvalid, "RES-06").with_subject(shown);
    Some(failure.with_hint(&format!("the scheme is missing, write {scheme}://{shown}")))
}

/// The canonical form and the length of its origin. The parser has lowered scheme and host and
/// dropped a default port.
fn canonical(url: &Url) -> (Box<str>, usize) {
    let host = url.host_str().unwrap_or_default();
    let mut text = String::with_capacity(url.as_str().len());
    text.push_str(url.scheme());
    text.push_str("://");
    text.push_str(host);
    if let Some(port) = url.port() {
        text.push(':');
        text.push_str(&port.to_string());
    }
    let origin = text.len();
    if url.path() != "/" {
        text.push_str(url.path());
    }
    if let Some(query) = url.query() {
        text.push('?');
        text.push_str(query);
    }
    (text.into_boxed_str(), origin)
}

#[cfg(test)]
mod tests;
