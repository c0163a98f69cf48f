//! URLs that a server named, and the rules they meet before anything is sent there.
//!
//! Decides whether the raw text is a URL this client uses at all (SEC-01 to SEC-05, the raw text
//! rule), and keeps that text: issuers and resources are compared and sent as they were received.
//! Refuses to decide which server to trust.

use core::fmt;
use core::net::IpAddr;
use std::sync::Arc;

use http::header::LOCATION;
use http::{HeaderMap, Method, Request, Uri};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::form::{self, is_reserved_in_endpoint};
pub use super::mcp_url::{McpUrl, scheme_missing};
pub use super::parts::LONGEST_URL;
use super::parts::{Parts, is_url_text};
pub use super::reach::{Reach, UrlPolicy};
use crate::address::Addresses;
use crate::failure::{Failure, Kind};

/// A URL that a server named and that passed every rule: the raw text, with its parts marked.
#[derive(Clone)]
pub struct ServerUrl {
    raw: Arc<str>,
    port: u16,
    host_end: u16,
    path_start: u16,
    path_end: u16,
}

impl ServerUrl {
    /// Reads a URL out of a header or document: the raw text rule, then the transport rule
    /// (SEC-01, SEC-02), then the address rule (SEC-05).
    ///
    /// # Errors
    /// The code of the first rule broken, `field` as its subject and the switch that would help.
    /// Drop the value if the flow can do without it, else end the flow.
    pub fn read(raw: &str, field: &'static str, reach: &Reach) -> Result<Self, Failure> {
        let parts = Parts::read(raw, reach.own_host()).map_err(|kind| refused(kind, field))?;
        reach.admit(&parts).map_err(|blocked| blocked.failure(field, &parts))?;
        Ok(Self::keep(raw, &parts))
    }

    /// Reads an endpoint out of server metadata (ASM-16, ASM-18).
    ///
    /// # Errors
    /// As [`ServerUrl::read`]; also `url_reserved_query` if its query names a parameter of the
    /// protocol, which the built request would carry twice (HOST-016, HOST-017).
    pub fn read_endpoint(raw: &str, field: &'static str, reach: &Reach) -> Result<Self, Failure> {
        let url = Self::read(raw, field, reach)?;
        let reserved = url
            .query()
            .is_some_and(|query| form::pairs(query).any(|(name, _)| is_reserved_in_endpoint(name)));
        if reserved {
            return Err(Failure::new(Kind::UrlReservedQuery, "AUTHZ-02").with_subject(field));
        }
        Ok(url)
    }

    /// Reads an issuer identifier: no query, no fragment, nothing under `/.well-known/`. Otherwise
    /// the issuer check could be talked out of its expected value (PRM-09, HOST-114).
    ///
    /// # Errors
    /// As [`ServerUrl::read`]; `no_authorization_server` for a URL that is no issuer. Skip the
    /// entry and note it.
    pub fn read_issuer(raw: &str, field: &'static str, reach: &Reach) -> Result<Self, Failure> {
        let url = Self::read(raw, field, reach)?;
        if url.query().is_some() {
            return Err(
                Failure::new(Kind::NoAuthorizationServer, "PRM-09").with_subject(&url.named(field))
            );
        }
        if names_well_known(url.path()) {
            return Err(Failure::new(Kind::NoAuthorizationServer, "HOST-114")
                .with_subject(&url.named(field)));
        }
        Ok(url)
    }

    /// Applies the rules again to a URL out of a record: the configuration may have changed.
    ///
    /// # Errors
    /// As [`ServerUrl::read`]. The record may not be used before discovery has run again.
    pub fn recheck(&self, field: &'static str, reach: &Reach) -> Result<(), Failure> {
        reach.admit(&self.parts()).map_err(|blocked| blocked.failure(field, &self.parts()))?;
        Ok(())
    }

    fn keep(raw: &str, parts: &Parts<'_>) -> Self {
        let host_start = if parts.https { 8usize } else { 7 };
        let query = parts.query.map_or(0, |query| query.len().saturating_add(1));
        let path_end = raw.len().saturating_sub(query);
        // No mark is beyond LONGEST_URL.
        let mark = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        Self {
            port: parts.port,
            host_end: mark(host_start.saturating_add(parts.host.len())),
            path_start: mark(path_end.saturating_sub(parts.path.len())),
            path_end: mark(path_end),
            raw: raw.into(),
        }
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        Parts {
            https: self.https(),
            host: self.host_str(),
            address: self.address(),
            port: self.port,
            path: self.path(),
            query: self.query(),
        }
    }

    fn slice(&self, from: usize, to: usize) -> &str {
        self.raw.get(from..to).unwrap_or_default()
    }

    /// The text exactly as it was received; the only form that is compared or sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.raw
    }

    /// The host as written; IPv6 in brackets. Compare it without case.
    #[must_use]
    pub fn host_str(&self) -> &str {
        self.slice(if self.https() { 8 } else { 7 }, self.host_end.into())
    }

    /// Returns true for https: there are two schemes, and one has an S.
    fn https(&self) -> bool {
        matches!(self.raw.as_bytes().get(4), Some(b's' | b'S'))
    }

    /// The address of a host that passed the rules: four plain decimals, or the text in the
    /// brackets.
    fn address(&self) -> Option<IpAddr> {
        let host = self.host_str();
        let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        inner.unwrap_or(host).parse().ok()
    }

    /// The port, the scheme's own if none is written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Scheme and authority as written, without a slash.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.slice(0, self.path_start.into())
    }

    /// The path as written; empty or beginning with a slash.
    #[must_use]
    pub fn path(&self) -> &str {
        self.slice(self.path_start.into(), self.path_end.into())
    }

    /// The query without its question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.raw.get(usize::from(self.path_end).saturating_add(1)..)
    }

    /// Scheme, authority and path, which a note or an error may show (HOST-304).
    #[must_use]
    pub fn shown(&self) -> &str {
        self.slice(0, self.path_end.into())
    }

    /// The part to show, after the name of the field that held it.
    fn named(&self, field: &str) -> String {
        format!("{field} {}", self.shown())
    }

    /// Returns true if scheme, host and port are the same.
    #[must_use]
    pub fn same_origin(&self, other: &Self) -> bool {
        self.parts().same_origin(&other.parts())
    }

    /// Returns true if the host is a loopback literal or `localhost` (SEC-02).
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.parts().is_loopback()
    }

    /// The raw text, shared.
    #[must_use]
    pub(crate) fn text(&self) -> Arc<str> {
        Arc::clone(&self.raw)
    }

    /// The URL as a request's target.
    ///
    /// # Errors
    /// `url_malformed` if the HTTP library cannot take it; end the flow.
    pub(crate) fn uri(&self) -> Result<Uri, Failure> {
        Uri::try_from(&*self.raw)
            .map_err(|_| Failure::new(Kind::UrlMalformed, "SEC-04").with_subject(self.shown()))
    }

    /// A request to this URL.
    ///
    /// # Errors
    /// `url_malformed` if the HTTP library cannot take the URL; end the flow.
    pub(super) fn request(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Request<Vec<u8>>, Failure> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = self.uri()?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({})", self.shown())
    }
}

impl PartialEq for ServerUrl {
    /// Compares code point by code point; no spelling of a URL stands for another (PRM-17).
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Eq for ServerUrl {}

impl Serialize for ServerUrl {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.raw)
    }
}

impl<'de> Deserialize<'de> for ServerUrl {
    /// Keeps the raw text; [`ServerUrl::recheck`] asks the rules that depend on configuration.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<str>::deserialize(from)?;
        // The person's own host may have any shape, and the record kept it once already.
        let host = url::Url::parse(&raw).ok().and_then(|url| url.host_str().map(str::to_owned));
        let parts = Parts::read(&raw, host.as_deref().unwrap_or_default())
            .map_err(|kind| serde::de::Error::custom(kind.code()))?;
        Ok(Self::keep(&raw, &parts))
    }
}

/// The failure for a URL whose text cannot be shown.
fn refused(kind: Kind, field: &'static str) -> Failure {
    let rule = match kind {
        Kind::UrlScheme => "SEC-01",
        Kind::UrlNotCanonical => "SEC-03",
        _ => "SEC-04",
    };
    Failure::new(kind, rule).with_subject(field)
}

fn names_well_known(path: &str) -> bool {
    let named =
        |path: &str| path.split('/').any(|segment| segment.eq_ignore_ascii_case(".well-known"));
    named(path)
        || (path.contains('%') && form::percent_decoded(path).is_ok_and(|path| named(&path)))
}

impl Reach {
    /// The addresses that may be dialled for a URL that passed the rules.
    #[must_use]
    pub fn addresses(&self, url: &ServerUrl) -> Addresses {
        self.admit(&url.parts()).unwrap_or(Addresses::Public)
    }

    /// Returns true if a URL is on the MCP URL's own origin.
    #[must_use]
    pub fn is_own(&self, url: &ServerUrl) -> bool {
        self.owns(&url.parts())
    }
}

/// The URL that a redirected metadata request goes on to (SEC-09): the same origin only, and no URL
/// that the rules refuse. Requests with anything secret in them are never redirected (TOK-05).
///
/// # Errors
/// `cross_origin_redirect` for another origin, `redirect_refused` for a `Location` that cannot be
/// followed. End the flow.
pub fn resolve_redirect(
    from: &ServerUrl,
    headers: &HeaderMap,
    reach: &Reach,
) -> Result<ServerUrl, Failure> {
    const FIELD: &str = "Location";
    let refused = || Failure::new(Kind::RedirectRefused, "SEC-09").with_subject(from.shown());
    let mut fields = headers.get_all(LOCATION).iter();
    let (Some(location), None) = (fields.next(), fields.next()) else {
        return Err(refused());
    };
    let location = location.to_str().map_err(|_| refused())?;
    if location.is_empty() || location.len() > LONGEST_URL || !is_url_text(location.as_bytes()) {
        return Err(refused());
    }
    let base = url::Url::parse(from.as_str()).map_err(|_| refused())?;
    let target = base.join(location).map_err(|_| refused())?;
    if !matches!(target.scheme(), "https" | "http") {
        return Err(refused());
    }
    if target.origin() != base.origin() {
        return Err(Failure::new(Kind::CrossOriginRedirect, "SEC-09").with_subject(from.shown()));
    }
    // An absolute Location is judged as it stands, or the parser above would have repaired it.
    let absolute = location.split_once(':').is_some_and(|(scheme, _)| !scheme.contains('/'));
    let target = if absolute { location } else { target.as_str() };
    ServerUrl::read(target, FIELD, reach).map_err(|_| refused())
}

#[cfg(test)]
pub(super) mod tests;
