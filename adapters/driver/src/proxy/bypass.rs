//! The hosts that are reached without a proxy, as `NO_PROXY` lists them.
//!
//! There is no standard. This is what curl, wget and most libraries agree on: a name stands for
//! itself and everything below it, with or without a dot before it; addresses are compared as
//! addresses. An entry that is none of these lists nothing, so that its hosts go through the proxy.

use core::net::IpAddr;

use crate::dial;

/// A list of hosts.
#[derive(Clone, Debug, Default)]
pub(super) struct Bypass(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    hosts: Hosts,
    /// The only port it is about.
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Hosts {
    All,
    /// A name and everything below it, in lower case.
    Name(String),
    /// Addresses that begin with the same bits.
    Network(IpAddr, u32),
}

impl Bypass {
    pub(super) fn read(list: &str) -> Self {
        let entries = list.split(|character: char| character == ',' || character.is_whitespace());
        Self(entries.filter_map(Entry::read).collect())
    }

    /// Returns true if this host, as a URL writes it, is on the list.
    pub(super) fn lists(&self, host: &str, port: u16) -> bool {
        let address = dial::literal(host).map(|address| address.to_canonical());
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        self.0.iter().any(|entry| {
            entry.port.is_none_or(|only| only == port)
                && match (&entry.hosts, address) {
                    (Hosts::All, _) => true,
                    (Hosts::Network(network, bits), Some(address)) => {
                        begins_alike(*network, address, *bits)
                    }
                    (Hosts::Name(parent), None) => {
                        let above = name.strip_suffix(parent.as_str());
                        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
                    }
                    _ => false,
                }
        })
    }
}

impl Entry {
    fn read(text: &str) -> Option<Self> {
        let everywhere = |hosts| Some(Self { hosts, port: None });
        if let Some(hosts) = Hosts::addresses(text) {
            return everywhere(hosts);
        }
        // A colon of an address is no colon before a port.
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text, None),
        };
        let hosts = Hosts::addresses(host).or_else(|| Hosts::names(host))?;
        Some(Self { hosts, port })
    }
}

impl Hosts {
    fn addresses(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let address = dial::literal(address)?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(all);
        (bits <= all).then_some(Self::Network(address, bits))
    }

    fn names(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let name = text.strip_prefix('*').unwrap_or(text);
        let name = name.strip_prefix('.').unwrap_or(name);
        let name = name.strip_suffix('.').unwrap_or(name);
        let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let fits = !name.is_empty() && name.bytes().all(usual);
        fits.then(|| Self::Name(name.to_ascii_lowercase()))
    }
}

/// Returns true if the first bits of two addresses of one family are the same.
fn begins_alike(one: IpAddr, other: IpAddr, bits: u32) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            let differ = one.to_bits() ^ other.to_bits();
            differ.leading_zeros() >= bits
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            let differ = one.to_bits() ^ other.to_bits();
            differ.leading_zeros() >= bits
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_listed_as_people_write_them() {
        for (list, host, listed) in [
            ("", "as.example", false),
            ("*", "as.example", true),
            ("as.example", "as.example", true),
            ("as.example", "AS.Example.", true),
            ("AS.example.", "as.example", true),
            ("example", "as.example", true),
            (".example", "as.example", true),
            ("*.corp.example", "a.b.corp.example", true),
            ("*.corp.example", "corp.example", true),
            ("corp.example", "notcorp.example", false),
            ("a.example,b.example", "b.example", true),
            (" a.example , b.example ", "b.example", true),
            ("a.example b.example", "b.example", true),
            ("as.example:443", "as.example", true),
            ("as.example:8443", "as.example", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1:443", "10.0.0.1", true),
            ("10.0.0.1:80", "10.0.0.1", false),
            ("10.0.0.0/8", "10.9.8.7", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/33", "10.0.0.1", false),
            ("0.0.0.0/0", "10.0.0.1", true),
            ("0.0.0.0/0", "as.example", false),
            ("fd00::/8", "[fd12::1]", true),
            ("[fd12::1]", "[fd12::1]", true),
            ("[fd12::1]:443", "[fd12::1]", true),
            ("fd12::1", "[fd12::2]", false),
            ("10.0.0.1", "[::ffff:10.0.0.1]", true),
            (".0.0.1", "10.0.0.1", false),
            ("as.example:port", "as.example", false),
            ("a/b", "b", false),
            ("*", "10.0.0.1", true),
        ] {
            assert_eq!(Bypass::read(list).lists(host, 443), listed, "{list} {host}");
        }
    }
}
