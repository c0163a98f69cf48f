//! The rule for the IP addresses that a request may be sent to (SEC-05, D6).
//!
//! The rule travels in each call's limits and is asked by the adapter about every address it is
//! about to dial, so that no name and no spelling can go round it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// The addresses that may be dialled for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Addresses {
    /// Any address, for the MCP URL's own origin as the person gave it.
    Any,
    /// Public addresses only, for a URL that a server named.
    Public,
    /// Public and loopback addresses, for a URL with a loopback name that a server on loopback
    /// named.
    Loopback,
    /// Public, loopback and private-use addresses, for a host that the caller switched them on for.
    /// Link-local, multicast and the rest stay refused (HOST-043).
    Private,
}

impl Addresses {
    /// Returns true if an address may be dialled. An IPv6 address that stands for an IPv4 one is
    /// judged by the inner address.
    #[must_use]
    pub fn allow(self, address: IpAddr) -> bool {
        match (self, class(address)) {
            (Self::Any, _) | (_, Class::Public) => true,
            (Self::Loopback, class) => class == Class::Loopback,
            (Self::Private, class) => matches!(class, Class::Loopback | Class::Private),
            (Self::Public, _) => false,
        }
    }
}

/// Names that mean this machine or its network, whatever a resolver says (HOST-036; RFC 6761).
const SPECIAL_NAMES: &[&str] = &["localhost", "internal"];
/// Names that mean the network that whoever looks them up is in (RFC 6762, RFC 8375). A proxy would
/// look them up in its own.
const LOCAL_NAMES: &[&str] = &["local", "home.arpa"];

/// Returns true for names that mean this machine or its network, whatever a resolver says: those of
/// a single label too. A final dot changes nothing.
#[must_use]
pub(crate) fn is_special_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    !host.contains('.') || SPECIAL_NAMES.iter().any(|special| is_within(host, special))
}

/// Returns true for names that are left to no proxy: special ones, and those of a local network.
#[must_use]
pub(crate) fn is_local_name(host: &str) -> bool {
    let bare = host.strip_suffix('.').unwrap_or(host);
    is_special_name(host) || LOCAL_NAMES.iter().any(|local| is_within(bare, local))
}

/// Returns true for a name and everything below it.
fn is_within(host: &str, parent: &str) -> bool {
    let Some(at) = host.len().checked_sub(parent.len()) else { return false };
    let (Some(below), Some(end)) = (host.get(..at), host.get(at..)) else { return false };
    end.eq_ignore_ascii_case(parent) && (below.is_empty() || below.ends_with('.'))
}

/// Returns true if a host, as a URL writes it, is this machine: `localhost`, every name below it,
/// and the loopback addresses. No request to it goes through a proxy.
#[must_use]
pub(crate) fn is_loopback_host(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse() {
        Ok(address) => class(address) == Class::Loopback,
        Err(_) => is_within(host.strip_suffix('.').unwrap_or(host), "localhost"),
    }
}

/// The use of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Reachable by everyone.
    Public,
    /// This machine.
    Loopback,
    /// A private network: 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7.
    Private,
    /// Everything else: link-local, multicast, documentation, reserved, unspecified.
    Special,
}

/// Sorts an address into its [`Class`] (RFC 6890 and its registries).
#[must_use]
pub(crate) fn class(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    }
}

fn class_v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [127, ..] => Class::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Class::Private,
        [0, ..]
        | [169, 254, ..]
        | [192, 0, 0, _]
        | [192, 0, 2, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [224..=255, ..] => Class::Special,
        _ => Class::Public,
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    if address.is_loopback() {
        return Class::Loopback;
    }
    let [a, b, c, d, e, f, g, h] = address.segments();
    let [g1, g2] = g.to_be_bytes();
    let [h1, h2] = h.to_be_bytes();
    let inner = Ipv4Addr::new(g1, g2, h1, h2);
    match [a, b, c, d, e, f] {
        // NAT64 with the well-known prefix reaches the inner IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0] => class_v4(inner),
        // A mapped or compatible spelling is a way round a filter, never a way to a public host.
        [0, 0, 0, 0, 0, _] => Class::Special,
        [0xfc00..=0xfdff, ..] => Class::Private,
        // 6to4 and Teredo carry an inner address of the sender's choice.
        [0x2001, 0x0000..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x2002, ..] => Class::Special,
        [0x3fff, 0x0000..=0x0fff, ..] => Class::Special,
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Special,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Class {
        class(text.parse().unwrap())
    }

    #[test]
    fn every_special_range_is_refused_sec_05_host_033() {
        for (text, expected) in [
            ("10.0.0.1", Class::Private),
            ("172.16.0.1", Class::Private),
            ("192.168.0.1", Class::Private),
            ("100.64.0.1", Class::Private),
            ("127.0.0.1", Class::Loopback),
            ("0.0.0.0", Class::Special),
            ("169.254.169.254", Class::Special),
            ("192.0.2.1", Class::Special),
            ("198.18.0.1", Class::Special),
            ("224.0.0.1", Class::Special),
            ("240.0.0.1", Class::Special),
            ("255.255.255.255", Class::Special),
            ("::", Class::Special),
            ("::1", Class::Loopback),
            ("fe80::1", Class::Special),
            ("fc00::1", Class::Private),
            ("ff02::1", Class::Special),
            ("2001:db8::1", Class::Special),
            ("93.184.216.34", Class::Public),
            ("172.32.0.1", Class::Public),
            ("2606:2800:220:1::1", Class::Public),
        ] {
            assert_eq!(of(text), expected, "{text}");
            assert_eq!(Addresses::Public.allow(text.parse().unwrap()), expected == Class::Public);
        }
    }

    #[test]
    fn embedded_addresses_are_judged_by_the_inner_one_host_035() {
        for blocked in [
            "::ffff:127.0.0.1",
            "::ffff:a9fe:a9fe",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "::127.0.0.1",
            "2001:0::1",
        ] {
            assert!(!Addresses::Public.allow(blocked.parse().unwrap()), "{blocked}");
        }
        assert!(Addresses::Public.allow("64:ff9b::5db8:d822".parse().unwrap()));
    }

    #[test]
    fn special_names_and_loopback_are_known_by_their_text_host_036() {
        for (host, special) in [
            ("localhost", true),
            ("x.LOCALHOST", true),
            ("localhost.", true),
            ("metadata.google.internal", true),
            ("metadata", true),
            ("printer.local", true),
            ("nas.home.arpa", true),
            ("as.example", false),
            ("notlocalhost.example", false),
            ("mylocal.example", false),
            ("xlocal.org", false),
            ("arpa.home.org", false),
        ] {
            assert_eq!(is_local_name(host), special, "{host}");
            let at_home = host == "printer.local" || host == "nas.home.arpa";
            assert_eq!(is_special_name(host), special && !at_home, "{host}");
        }
        for (host, here) in [
            ("localhost", true),
            ("a.b.localhost", true),
            ("127.8.9.1", true),
            ("[::1]", true),
            ("localhost.example", false),
            ("10.0.0.1", false),
            ("[::2]", false),
        ] {
            assert_eq!(is_loopback_host(host), here, "{host}");
        }
    }

    #[test]
    fn the_private_switch_keeps_link_local_refused_host_043() {
        assert!(Addresses::Private.allow("10.0.0.9".parse().unwrap()));
        assert!(!Addresses::Private.allow("169.254.169.254".parse().unwrap()));
        assert!(!Addresses::Loopback.allow("10.0.0.9".parse().unwrap()));
        assert!(Addresses::Loopback.allow("127.0.0.1".parse().unwrap()));
    }
}
