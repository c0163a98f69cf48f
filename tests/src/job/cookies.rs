//! The cookies of the headless person, by host. Paths and dates are not looked at: one login is too short for
//! them to matter.

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use url::Url;

const MOST: usize = 64;
const LONGEST: usize = 4096;

/// Cookies, and the hosts that set them.
#[derive(Clone, Default)]
pub(crate) struct Jar(Vec<Cookie>);

#[derive(Clone)]
struct Cookie {
    host: String,
    name: String,
    value: String,
    secure: bool,
}

impl Jar {
    /// Keeps what the answer of this URL sets, and forgets what it ends.
    pub(crate) fn keep(&mut self, url: &Url, headers: &HeaderMap) {
        let Some(host) = url.host_str() else { return };
        for line in headers.get_all(SET_COOKIE) {
            let Some(line) = line.to_str().ok().filter(|line| line.len() <= LONGEST) else {
                continue;
            };
            let mut parts = line.split(';');
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            let (name, value) = (name.trim(), value.trim());
            if name.is_empty() {
                continue;
            }
            let (mut secure, mut over) = (false, false);
            for attribute in parts {
                let (key, text) = attribute.split_once('=').unwrap_or((attribute, ""));
                let text = text.trim();
                match key.trim().to_ascii_lowercase().as_str() {
                    "secure" => secure = true,
                    "max-age" => over = text.parse::<i64>().is_ok_and(|age| age <= 0),
                    "expires" => over |= text.contains("1970"),
                    _ => {}
                }
            }
            self.0.retain(|held| !(held.host == host && held.name == name));
            if !over && self.0.len() < MOST {
                let (name, value) = (name.to_owned(), value.to_owned());
                self.0.push(Cookie { host: host.to_owned(), name, value, secure });
            }
        }
    }

    /// The `Cookie` header for a request to this URL.
    pub(crate) fn header(&self, url: &Url) -> Option<HeaderValue> {
        let host = url.host_str()?;
        let safe = url.scheme() == "https" || matches!(host, "127.0.0.1" | "[::1]" | "localhost");
        let held = self.0.iter().filter(|cookie| cookie.host == host && (safe || !cookie.secure));
        let pairs: Vec<String> =
            held.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        let mut value =
            HeaderValue::from_str(&pairs.join("; ")).ok().filter(|value| !value.is_empty())?;
        value.set_sensitive(true);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(jar: &mut Jar, url: &str, line: &str) {
        let headers = HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_str(line).unwrap())]);
        jar.keep(&Url::parse(url).unwrap(), &headers);
    }

    fn sent(jar: &Jar, url: &str) -> String {
        let value = jar.header(&Url::parse(url).unwrap());
        value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn cookies_go_back_to_their_host_alone() {
        let mut jar = Jar::default();
        set(&mut jar, "https://as.example/a", "sid=1; Path=/; HttpOnly; SameSite=Lax");
        set(&mut jar, "https://idp.example/", "sid=2; Domain=example");
        set(&mut jar, "https://as.example/b", "lang = de ; Secure");
        assert_eq!(sent(&jar, "https://as.example/consent"), "sid=1; lang=de");
        assert_eq!(sent(&jar, "http://as.example/"), "sid=1");
        assert_eq!(sent(&jar, "https://idp.example/"), "sid=2");
        assert_eq!(sent(&jar, "https://evil.example/"), "");
    }

    #[test]
    fn cookies_are_replaced_and_ended() {
        let mut jar = Jar::default();
        let url = "http://127.0.0.1:4000/";
        for line in [
            "a=1",
            "a=2; Secure",
            "b=x=y",
            "=3",
            "novalue",
            "c=1",
            "c=; Max-Age=0",
            "b2=1; max-age=soon",
        ] {
            set(&mut jar, url, line);
        }
        assert_eq!(sent(&jar, url), "a=2; b=x=y; b2=1");
        set(&mut jar, url, "a=; expires=Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(sent(&jar, url), "b=x=y; b2=1");
    }
}
