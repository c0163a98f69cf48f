//! Asking a proxy for a tunnel to a server, as bytes to send and bytes that come.

use http::HeaderValue;
use mcp_authz_core::effect::Why;
use memchr::memmem;
use zeroize::Zeroizing;

use super::Proxy;

/// Longest answer of a proxy to the request for a tunnel.
const LONGEST_ANSWER: usize = 16 * 1024;

impl Proxy {
    /// The request for a tunnel to a server. Nothing of the request for the server is in it.
    #[must_use]
    pub fn ask(&self, host: &str, port: u16, user_agent: &HeaderValue) -> Zeroizing<Vec<u8>> {
        let ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        let authorization = self.authorization();
        let fields =
            [("User-Agent", Some(user_agent)), ("Proxy-Authorization", authorization.as_ref())];
        // At its final size, so that no copy of the password stays behind where it grew out of.
        let length =
            fields.iter().filter_map(|(name, value)| Some(name.len() + value.as_ref()?.len()));
        let length =
            length.fold(ask.len(), |all, field| all.saturating_add(field).saturating_add(4));
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.saturating_add(2)));
        bytes.extend_from_slice(ask.as_bytes());
        for (name, value) in fields {
            let Some(value) = value else { continue };
            for part in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

/// The answer to the request for a tunnel, as it comes.
#[derive(Debug, Default)]
pub struct Tunnel {
    answer: Vec<u8>,
}

impl Tunnel {
    /// Takes in the next bytes, none at the end of the connection. Returns true once the tunnel is
    /// open, and false while there is more to come.
    ///
    /// # Errors
    /// [`Why::Proxy`], [`Why::ProxyPassword`] or [`Why::ProxyFailed`]: there is no tunnel.
    pub fn see(&mut self, bytes: &[u8]) -> Result<bool, Why> {
        self.answer.extend_from_slice(bytes);
        let end = memmem::find(&self.answer, b"\r\n\r\n").map(|at| at.saturating_add(4));
        match (end, status(&self.answer)) {
            (Some(_), Some([b'4', b'0', b'7'])) => Err(Why::ProxyPassword),
            // The server speaks only after it was greeted: not a byte may follow the head.
            (Some(end), Some([b'2', ..])) if end == self.answer.len() => Ok(true),
            (Some(_), Some([b'5', ..])) => Err(Why::ProxyFailed),
            (Some(_), _) => Err(Why::Proxy),
            (None, _) if bytes.is_empty() || self.answer.len() > LONGEST_ANSWER => Err(Why::Proxy),
            (None, _) => Ok(false),
        }
    }
}

/// The digits of an answer's status.
fn status(answer: &[u8]) -> Option<[u8; 3]> {
    let line = answer.strip_prefix(b"HTTP/1.0 ").or_else(|| answer.strip_prefix(b"HTTP/1.1 "))?;
    match *line {
        [a, b, c, b' ' | b'\r', ..] if [a, b, c].iter().all(u8::is_ascii_digit) => Some([a, b, c]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_success_opens_a_tunnel() {
        for (answer, open) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Ok(true)),
            ("HTTP/1.0 200\r\n\r\n", Ok(true)),
            ("HTTP/1.1 200 OK\r\n", Ok(false)),
            ("HTTP/1.1 200 OK\r\n\r\nhello", Err(Why::Proxy)),
            ("HTTP/1.1 407 No\r\n\r\n", Err(Why::ProxyPassword)),
            ("HTTP/1.1 407 No\r\ncontent-length: 2\r\n\r\nno", Err(Why::ProxyPassword)),
            ("HTTP/1.1 403 No\r\n\r\n", Err(Why::Proxy)),
            ("HTTP/1.1 502 No\r\n\r\n", Err(Why::ProxyFailed)),
            ("HTTP/1.1 2000 x\r\n\r\n", Err(Why::Proxy)),
            ("SSH-2.0-x\r\n\r\n", Err(Why::Proxy)),
            ("", Err(Why::Proxy)),
        ] {
            assert_eq!(Tunnel::default().see(answer.as_bytes()), open, "{answer}");
        }
        let mut tunnel = Tunnel::default();
        for piece in ["HTTP/1.1 2", "00 OK\r\n\r"] {
            assert_eq!(tunnel.see(piece.as_bytes()), Ok(false));
        }
        assert_eq!(tunnel.see(b"\n"), Ok(true));
        let mut endless = Tunnel::default();
        let fields = (0..20).map(|_| endless.see(&[b'x'; 1024])).find(Result::is_err);
        assert_eq!(fields, Some(Err(Why::Proxy)));
    }
}
