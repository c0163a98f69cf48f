use mcp_authz_core::address::Addresses;

use super::*;
use crate::exchange::limits;

#[test]
fn a_proxy_is_read_as_people_write_it() {
    let named = |text: &str| Proxy::new(text).ok().map(|proxy| proxy.to_string());
    for (text, read) in [
        ("http://proxy.example:3128", Some("http://proxy.example:3128")),
        ("proxy.example:3128", Some("http://proxy.example:3128")),
        ("u:c4n4ry@proxy.example:3128", Some("http://proxy.example:3128")),
        ("http://proxy.example", Some("http://proxy.example:80")),
        ("https://u:c4n4ry@[::1]/", Some("https://[::1]:443")),
        ("socks5://proxy.example", None),
        ("http://u:123/c4n4ry@proxy.example:3128", None),
        ("http://u:123?c4n4ry@proxy.example:3128", None),
        ("http://u:123#c4n4ry@proxy.example:3128", None),
        ("http://", None),
        ("", None),
    ] {
        assert_eq!(named(text).as_deref(), read, "{text}");
    }
    for proxy in [
        Proxy::new("http://a%40b:p%3A%25w@proxy.example").unwrap(),
        Proxy::new("http://u:x@proxy.example").unwrap().credentials("a@b", &Secret::new("p:%w")),
    ] {
        let wanted = format!("Basic {}", STANDARD.encode("a@b:p:%w"));
        assert_eq!(proxy.authorization().unwrap(), wanted.as_str());
        let said = format!("{proxy} {proxy:?} {:?} {:?}", proxy.authorization(), proxy.name());
        assert!(!said.contains("a@b") && !said.contains(&wanted), "{said}");
    }
}

/// All that a URL tells is judged before a proxy is asked, which judges nothing for us.
#[test]
fn literals_and_special_names_are_judged_before_a_proxy_is_asked_host_033_host_036() {
    let routes = Proxies::One(Proxy::new("p:1").unwrap().except("direct.internal")).routes();
    let routes = routes.unwrap();
    let judge = |url: &str, addresses, proxy| {
        let limits = Limits { addresses, proxy, ..limits() };
        let judged = routes.judge(&url.parse().unwrap(), &limits);
        judged.map(|proxy| proxy.is_some())
    };
    use Addresses::{Any, Loopback, Private, Public};
    for (url, rule, judged) in [
        ("https://as.example/", Public, Ok(true)),
        ("https://10.0.0.1/", Public, Err(Why::AddressBlocked)),
        ("https://[fd00::1]/", Public, Err(Why::AddressBlocked)),
        ("https://metadata.google.internal/", Public, Err(Why::AddressBlocked)),
        ("https://metadata/", Public, Err(Why::AddressBlocked)),
        ("https://printer.local/", Loopback, Err(Why::AddressBlocked)),
        ("https://127.0.0.1/", Public, Err(Why::AddressBlocked)),
        ("https://127.0.0.1/", Loopback, Ok(false)),
        ("https://localhost/", Public, Ok(false)),
        ("https://10.0.0.1/", Private, Ok(true)),
        ("https://as.corp.internal/", Private, Ok(true)),
        ("https://mcp.internal/", Any, Ok(true)),
        // The resolver here is asked about it, and then the rule about each address.
        ("https://direct.internal/", Public, Ok(false)),
    ] {
        assert_eq!(judge(url, rule, true), judged, "{url} {rule:?}");
        let strict = judged.and_then(|by| if by { Err(Why::ProxyForbidden) } else { Ok(by) });
        assert_eq!(judge(url, rule, false), strict, "{url} {rule:?}");
    }
}
