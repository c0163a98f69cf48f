//! An HTTP proxy: requests to http servers are handed to it whole, to https servers it is asked for a
//! tunnel.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use http::HeaderValue;
use mcp_authz_core::effect::Why;
use url::Url;

/// Longest answer of a proxy to the request for a tunnel.
const LONGEST_ANSWER: usize = 16 * 1024;

/// An HTTP proxy, reached over plain http or TLS.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    https: bool,
    host: String,
    port: u16,
    authorization: Option<HeaderValue>,
}

impl Proxy {
    /// Reads `http://user:password@host:port`, or the same with https; user and password may be
    /// missing. `None` for every other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok().filter(Url::has_host);
        let url = url.or_else(|| Url::parse(&format!("http://{text}")).ok())?;
        let https = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let known = !url.username().is_empty() || url.password().is_some();
        let authorization = known.then(|| {
            let mut pair = decoded(url.username());
            pair.push(b':');
            pair.extend(decoded(url.password().unwrap_or_default()));
            let mut value =
                HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        Some(Self {
            https,
            host: url.host_str()?.to_owned(),
            port: url.port_or_known_default()?,
            authorization: authorization.flatten(),
        })
    }

    pub(super) const fn https(&self) -> bool {
        self.https
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) const fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// Asks for a tunnel to a server. Nothing of the request itself is in it.
    pub(super) async fn tunnel(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin + ?Sized),
        host: &str,
        port: u16,
        user_agent: &HeaderValue,
    ) -> Result<(), Why> {
        let ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        let mut ask = ask.into_bytes();
        let fields =
            [("User-Agent", Some(user_agent)), ("Proxy-Authorization", self.authorization())];
        for (name, value) in fields {
            let Some(value) = value else { continue };
            ask.extend_from_slice(name.as_bytes());
            ask.extend_from_slice(b": ");
            ask.extend_from_slice(value.as_bytes());
            ask.extend_from_slice(b"\r\n");
        }
        ask.extend_from_slice(b"\r\n");
        stream.write_all(&ask).await.map_err(|_| Why::Proxy)?;
        stream.flush().await.map_err(|_| Why::Proxy)?;
        let mut answer = Vec::new();
        let mut piece = [0; 1024];
        // The server speaks only after it was greeted: not a byte may follow the head.
        while !answer.ends_with(b"\r\n\r\n") {
            let length = stream.read(&mut piece).await.map_err(|_| Why::Proxy)?;
            answer.extend_from_slice(piece.get(..length).unwrap_or_default());
            if length == 0 || answer.len() > LONGEST_ANSWER {
                return Err(Why::Proxy);
            }
        }
        if opened(&answer) { Ok(()) } else { Err(Why::Proxy) }
    }
}

/// Returns true if an answer begins with a status of success.
fn opened(answer: &[u8]) -> bool {
    let line = answer.strip_prefix(b"HTTP/1.0 ").or_else(|| answer.strip_prefix(b"HTTP/1.1 "));
    matches!(line, Some([b'2', b'0'..=b'9', b'0'..=b'9', b' ' | b'\r', ..]))
}

/// Undoes the escapes of a user name or a password.
fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let digit =
            |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        if let (b'%', [high, low, after @ ..]) = (first, more)
            && let (Some(high), Some(low)) = (digit(high), digit(low))
        {
            out.push(high << 4 | low);
            rest = after;
        } else {
            out.push(*first);
            rest = more;
        }
    }
    out
}

/// Shows no password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "Proxy({scheme}://{}:{})", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_as_people_write_it() {
        let named = |text: &str| Proxy::parse(text).map(|proxy| format!("{proxy:?}"));
        for (text, read) in [
            ("http://proxy.example:3128", Some("Proxy(http://proxy.example:3128)")),
            ("proxy.example:3128", Some("Proxy(http://proxy.example:3128)")),
            ("http://proxy.example", Some("Proxy(http://proxy.example:80)")),
            ("https://u:c4n4ry@[::1]/", Some("Proxy(https://[::1]:443)")),
            ("socks5://proxy.example", None),
            ("", None),
        ] {
            assert_eq!(named(text).as_deref(), read, "{text}");
        }
        let proxy = Proxy::parse("http://a%40b:p%3A%25w@proxy.example").unwrap();
        let wanted = format!("Basic {}", STANDARD.encode("a@b:p:%w"));
        assert_eq!(proxy.authorization().unwrap(), wanted.as_str());
    }

    #[test]
    fn only_a_success_opens_a_tunnel() {
        for (answer, open) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.0 200\r\n\r\n", true),
            ("HTTP/1.1 407 No\r\n\r\n", false),
            ("HTTP/1.1 2000 x\r\n\r\n", false),
            ("SSH-2.0-x\r\n\r\n", false),
        ] {
            assert_eq!(opened(answer.as_bytes()), open, "{answer}");
        }
    }
}
