//! Connecting: look up, ask the rule about each address, dial, shake hands. Whatever fails here is
//! certainly unsent.

use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::sync::Arc;

use async_std::net::TcpStream;
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use futures_util::io::{AsyncRead, AsyncWrite};
use http::Uri;
use http::uri::Scheme;
use mcp_authz_core::effect::{Limits, Why};
use mcp_authz_driver::dial::{self, Lookup};
use rustls::pki_types::ServerName;

/// Dials.
pub(crate) struct Dialler {
    pub(crate) lookup: Arc<dyn Lookup>,
    pub(crate) tls: Arc<rustls::ClientConfig>,
}

/// A connection, with TLS or without.
pub(crate) enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Dialler {
    pub(crate) async fn connect(&self, uri: &Uri, limits: &Limits) -> Result<Connection, Why> {
        let time = limits.connect.min(limits.total);
        let connect = self.connect_at_leisure(uri, limits);
        async_std::future::timeout(time, connect).await.unwrap_or(Err(Why::Timeout))
    }

    async fn connect_at_leisure(&self, uri: &Uri, limits: &Limits) -> Result<Connection, Why> {
        let host = uri.host().ok_or(Why::Resolve)?.to_owned();
        let (lookup, rule, name) = (Arc::clone(&self.lookup), limits.addresses, host.clone());
        let look = move || dial::permitted(&*lookup, &name, rule);
        let addresses = async_std::task::spawn_blocking(look).await?;
        let port = dial::port(uri);
        // One dead address must not use up the time of the next.
        let share = limits.connect / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let mut failed = Why::Connect;
        for address in addresses {
            let dialled = TcpStream::connect(SocketAddr::new(address, port));
            match async_std::future::timeout(share, dialled).await {
                Ok(Ok(stream)) => return self.shake_hands(uri, &host, stream).await,
                Ok(Err(_)) => failed = Why::Connect,
                Err(_) => failed = Why::Timeout,
            }
        }
        Err(failed)
    }

    async fn shake_hands(
        &self,
        uri: &Uri,
        host: &str,
        stream: TcpStream,
    ) -> Result<Connection, Why> {
        let _slower = stream.set_nodelay(true);
        if uri.scheme() == Some(&Scheme::HTTP) {
            return Ok(Connection::Plain(stream));
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(|_| Why::Tls)?;
        let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await;
        tls.map(|tls| Connection::Tls(Box::new(tls))).map_err(|_| Why::Tls)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_close(cx),
            Self::Tls(stream) => Pin::new(stream).poll_close(cx),
        }
    }
}
