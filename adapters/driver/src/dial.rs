//! Which addresses a host name leads to, and which of them may be dialled (SEC-05, SEC-07).
//!
//! The rule is asked about the very addresses that are dialled afterwards: a name is looked up once
//! per connection, so a second answer cannot slip in between (DNS rebinding, HOST-037 to HOST-039).

use core::net::{IpAddr, Ipv4Addr};
use std::io::{self, ErrorKind};
use std::net::{ToSocketAddrs, UdpSocket};

use http::Uri;
use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::Why;
use mcp_authz_core::failure::Kind;

/// Looks up names. Blocks; async adapters call it on the blocking pool.
pub trait Lookup: Send + Sync + 'static {
    /// The addresses of a host name, in the order in which they are to be tried.
    ///
    /// # Errors
    /// Whatever the resolver says; the request is not sent then.
    fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Lookup for System {
    fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = (host, 0).to_socket_addrs().map_err(|error| {
            // A resolver that gets no socket says that there is no such name.
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
            socket.err().filter(exhausted).unwrap_or(error)
        });
        Ok(found?.map(|address| address.ip()).collect())
    }
}

/// Returns true if this machine has run out of descriptors, memory or disk space: nothing is wrong
/// then with the host that was dialled, and waiting for it mends nothing.
#[must_use]
pub fn exhausted(error: &io::Error) -> bool {
    use ErrorKind::{OutOfMemory, QuotaExceeded, StorageFull};
    // ENFILE, EMFILE; ERROR_TOO_MANY_OPEN_FILES, WSAEMFILE, WSAENOBUFS.
    let codes: &[i32] = if cfg!(windows) { &[4, 10_024, 10_055] } else { &[23, 24] };
    matches!(error.kind(), OutOfMemory | QuotaExceeded | StorageFull)
        || error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// Why there is no connection, if one of these errors, the outer one first, says that this machine has
/// run out of something.
#[must_use]
pub fn exhausted_by(error: &(dyn core::error::Error + 'static)) -> Option<Why> {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(exhausted) {
            return Some(Why::Exhausted);
        }
        // An I/O error hides the one that it was made of.
        let inner = io.and_then(io::Error::get_ref);
        next = inner.map_or_else(|| error.source(), |inner| Some(inner));
    }
    None
}

/// The host of a URL as an IP address, if it is written as one. Resolvers never see those, so they
/// are asked about here.
#[must_use]
pub fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Refuses a URL whose host is a literal that may not be dialled.
///
/// # Errors
/// [`Why::AddressBlocked`], or [`Why::Resolve`] if there is no host at all; nothing is to be sent.
pub fn check_literal(uri: &Uri, rule: Addresses) -> Result<(), Why> {
    match literal(uri.host().ok_or(Why::Resolve)?) {
        Some(address) if !rule.allow(address) => Err(Why::AddressBlocked),
        _ => Ok(()),
    }
}

/// The addresses to dial for a host: a literal itself, or what the look-up says, without those that
/// the rule refuses.
///
/// # Errors
/// [`Why::Resolve`] if there is no address, [`Why::AddressBlocked`] if none of them may be dialled,
/// [`Why::Exhausted`] if this machine could not ask.
pub fn permitted(lookup: &dyn Lookup, host: &str, rule: Addresses) -> Result<Vec<IpAddr>, Why> {
    let found = match literal(host) {
        Some(address) => vec![address],
        None => lookup
            .lookup(host)
            .map_err(|error| if exhausted(&error) { Why::Exhausted } else { Why::Resolve })?,
    };
    if found.is_empty() {
        return Err(Why::Resolve);
    }
    let allowed: Vec<_> = found.into_iter().filter(|address| rule.allow(*address)).collect();
    if allowed.is_empty() { Err(Why::AddressBlocked) } else { Ok(allowed) }
}

/// Why no connection came about, by what the system says of an address.
#[must_use]
pub fn unconnected(error: &io::Error) -> Why {
    match error.kind() {
        _ if exhausted(error) => Why::Exhausted,
        io::ErrorKind::TimedOut => Why::Timeout,
        _ => Why::Connect,
    }
}

/// Returns true if nothing was sent for a reason that lies with the proxy.
#[must_use]
pub const fn is_about_proxy(why: Why) -> bool {
    matches!(why.kind(), Kind::ProxyRefused | Kind::ProxyForbidden)
}

/// Why there is no connection to a proxy, by the reason that it would be for a server.
#[must_use]
pub const fn to_proxy(why: Why) -> Why {
    match why {
        Why::Timeout | Why::Exhausted => why,
        Why::Resolve | Why::Connect => Why::ProxyUnreached,
        _ => Why::Proxy,
    }
}

/// How an answer in plain http begins.
const PLAIN_HTTP: &[u8] = b"HTTP/";

/// How a peer begins that was greeted in TLS: what it said so far, compared with plain http.
#[derive(Debug, Default)]
pub struct Greeted {
    /// How many bytes were as they would be then; beyond the last once one was not.
    alike: usize,
}

impl Greeted {
    /// Sees the next bytes of the peer.
    pub fn see(&mut self, bytes: &[u8]) {
        let wanted = PLAIN_HTTP.get(self.alike..).unwrap_or_default();
        let length = wanted.len().min(bytes.len());
        let alike = wanted.get(..length) == bytes.get(..length);
        self.alike = if alike { self.alike.saturating_add(length) } else { usize::MAX };
    }

    /// Why there is no TLS with it. No record of TLS begins like that, so a handshake may have ended
    /// before all of it came.
    #[must_use]
    pub const fn why(&self) -> Why {
        if self.alike >= 2 && self.alike <= PLAIN_HTTP.len() { Why::PlainHttp } else { Why::Tls }
    }
}

/// The port of a URL: as written, or its scheme's.
#[must_use]
pub fn port(uri: &Uri) -> u16 {
    let default = if uri.scheme() == Some(&http::uri::Scheme::HTTP) { 80 } else { 443 };
    uri.port_u16().unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(&'static [&'static str]);

    impl Lookup for Fixed {
        fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Ok(self.0.iter().map(|text| text.parse().unwrap()).collect())
        }
    }

    #[test]
    fn only_permitted_addresses_are_left_host_037_host_038() {
        let of = |found, rule| permitted(&Fixed(found), "rebind.example", rule);
        assert_eq!(of(&["10.0.0.9"], Addresses::Public), Err(Why::AddressBlocked));
        assert_eq!(
            of(&["93.184.216.34", "127.0.0.1"], Addresses::Public),
            Ok(vec!["93.184.216.34".parse().unwrap()])
        );
        assert_eq!(of(&["127.0.0.1"], Addresses::Any), Ok(vec!["127.0.0.1".parse().unwrap()]));
        assert_eq!(of(&[], Addresses::Any), Err(Why::Resolve));
    }

    /// HTTP clients wrap what the system said, in errors of their own and in I/O errors.
    #[test]
    fn what_a_machine_lacks_is_found_inside_of_other_errors_host_281() {
        let full = || io::Error::from(ErrorKind::OutOfMemory);
        let dead = || io::Error::from(ErrorKind::ConnectionRefused);
        for (error, expected) in [
            (full(), Some(Why::Exhausted)),
            (io::Error::other(full()), Some(Why::Exhausted)),
            (io::Error::other(io::Error::other(full())), Some(Why::Exhausted)),
            (io::Error::other(dead()), None),
            (dead(), None),
        ] {
            assert_eq!(exhausted_by(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn plain_http_is_told_from_other_noise_host_332() {
        for (pieces, why) in [
            (&["HTTP/1.1 400 Bad Request"][..], Why::PlainHttp),
            (&["HT", "TP", "/1.0 400", "HTTP/"], Why::PlainHttp),
            (&["HT"], Why::PlainHttp),
            (&["HT", "ML"], Why::Tls),
            (&["HT", "ML", "HTTP/1.1"], Why::Tls),
            (&["220 mail.example"], Why::Tls),
            (&["\x15\x03\x01"], Why::Tls),
            (&["H"], Why::Tls),
            (&[], Why::Tls),
        ] {
            let mut greeted = Greeted::default();
            pieces.iter().for_each(|piece| greeted.see(piece.as_bytes()));
            assert_eq!(greeted.why(), why, "{pieces:?}");
        }
    }

    #[test]
    fn literals_never_reach_the_look_up_host_035() {
        let none = Fixed(&[]);
        for host in ["127.0.0.1", "[::1]", "169.254.169.254", "[::ffff:127.0.0.1]"] {
            assert_eq!(permitted(&none, host, Addresses::Public), Err(Why::AddressBlocked));
        }
        assert!(permitted(&none, "[2606:2800:220:1::1]", Addresses::Public).is_ok());
    }
}
