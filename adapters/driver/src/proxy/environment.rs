//! The proxies that the environment names.

use std::ffi::OsString;

use super::bypass::Bypass;
use super::{Proxy, Routes};
use crate::client::BuildError;

/// A variable, and whether a CGI server fills it from a header of the request, which anybody may send
/// (CVE-2016-5385).
type Variable = (&'static str, bool);

/// Windows knows no lower case in the names of variables.
const HTTP: &[Variable] = &[("http_proxy", cfg!(windows)), ("HTTP_PROXY", true)];
const HTTPS: &[Variable] = &[("https_proxy", false), ("HTTPS_PROXY", false)];
const ALL: &[Variable] = &[("all_proxy", false), ("ALL_PROXY", false)];
const NONE: &[Variable] = &[("no_proxy", false), ("NO_PROXY", false)];

/// The proxies, by a function that knows the environment. An empty variable is as good as none.
pub(super) fn routes(
    variable: impl Fn(&'static str) -> Option<OsString>,
) -> Result<Routes, BuildError> {
    let cgi = variable("REQUEST_METHOD").is_some();
    let first = |names: &[Variable]| {
        names.iter().filter(|(_, from_header)| !(cgi && *from_header)).find_map(|(name, _)| {
            variable(name).filter(|value| !value.is_empty()).map(|value| (*name, value))
        })
    };
    let text = |(name, value): (&'static str, OsString)| {
        value.into_string().map_err(|_| BuildError::ProxyVariable(name))
    };
    let except = first(NONE).map(text).transpose()?;
    let except = except.as_deref().map(Bypass::read).unwrap_or_default();
    let proxy = |names: &[Variable]| -> Result<_, BuildError> {
        let Some((name, value)) = first(names).or_else(|| first(ALL)) else { return Ok(None) };
        let proxy = Proxy::new(&text((name, value))?);
        let proxy = proxy.map_err(|_| BuildError::ProxyVariable(name))?;
        Ok(Some(Proxy { except: except.clone(), ..proxy }))
    };
    Ok(Routes { http: proxy(HTTP)?, https: proxy(HTTPS)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP_URL: &str = "http://as.example/";
    const HTTPS_URL: &str = "https://as.example/";

    fn read(environment: &[(&str, &str)]) -> Result<Routes, BuildError> {
        let of = |name: &str| environment.iter().find(|(at, _)| *at == name);
        routes(|name| of(name).map(|(_, value)| value.into()))
    }

    fn of<'a>(routes: &'a Routes, url: &str) -> Option<&'a str> {
        routes.of(&url.parse().unwrap()).map(|proxy| &**proxy.name())
    }

    #[test]
    fn the_environment_names_proxies_as_for_curl() {
        for (environment, http, https) in [
            (&[][..], None, None),
            (&[("https_proxy", "http://a:1")], None, Some("a:1")),
            (&[("HTTPS_PROXY", "a:1")], None, Some("a:1")),
            (&[("https_proxy", "a:1"), ("HTTPS_PROXY", "b:2")], None, Some("a:1")),
            (&[("https_proxy", ""), ("HTTPS_PROXY", "b:2")], None, Some("b:2")),
            (&[("http_proxy", "a:1")], Some("a:1"), None),
            (&[("HTTP_PROXY", "a:1")], Some("a:1"), None),
            (&[("all_proxy", "a:1")], Some("a:1"), Some("a:1")),
            (&[("ALL_PROXY", "a:1"), ("http_proxy", "b:2")], Some("b:2"), Some("a:1")),
            (&[("ALL_PROXY", "a:1"), ("NO_PROXY", "as.example")], None, None),
            (
                &[("ALL_PROXY", "a:1"), ("no_proxy", "other"), ("NO_PROXY", "*")],
                Some("a:1"),
                Some("a:1"),
            ),
            (&[("ALL_PROXY", "a:1"), ("no_proxy", "as.example:443")], Some("a:1"), None),
        ] {
            let routes = read(environment).unwrap();
            let found = (of(&routes, HTTP_URL), of(&routes, HTTPS_URL));
            assert_eq!(found, (http, https), "{environment:?}");
        }
    }

    #[test]
    fn a_header_of_a_cgi_request_names_no_proxy() {
        let header = ("HTTP_PROXY", "evil:1");
        let cgi = ("REQUEST_METHOD", "GET");
        assert_eq!(of(&read(&[header]).unwrap(), HTTP_URL), Some("evil:1"));
        assert_eq!(of(&read(&[header, cgi]).unwrap(), HTTP_URL), None);
        let routes = read(&[header, cgi, ("ALL_PROXY", "a:1")]).unwrap();
        assert_eq!(of(&routes, HTTP_URL), Some("a:1"));
        if !cfg!(windows) {
            let routes = read(&[header, cgi, ("http_proxy", "b:2")]).unwrap();
            assert_eq!(of(&routes, HTTP_URL), Some("b:2"));
        }
    }

    #[test]
    fn a_variable_that_names_no_usable_proxy_is_named_and_not_shown() {
        for (name, value) in [
            ("ALL_PROXY", "socks5://u:c4n4ry@p:1080"),
            ("https_proxy", "http://u:c4n4ry@"),
            ("HTTP_PROXY", "ftp://u:c4n4ry@p"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert_eq!(error, BuildError::ProxyVariable(name));
            let said = format!("{error} {error:?} {}", error.failure().unwrap());
            assert!(said.contains(name) && !said.contains("c4n4ry"), "{said}");
        }
    }

    #[test]
    fn loopback_is_behind_no_proxy() {
        let routes = read(&[("ALL_PROXY", "a:1")]).unwrap();
        for host in ["localhost", "x.localhost", "127.0.0.1", "127.9.9.9:8080", "[::1]:1"] {
            assert_eq!(of(&routes, &format!("http://{host}/")), None, "{host}");
        }
        for host in ["10.0.0.1", "localhost.example", "[::2]"] {
            assert_eq!(of(&routes, &format!("https://{host}/")), Some("a:1"), "{host}");
        }
    }
}
