//! Connecting: look up, ask the rule about each address, dial, shake hands. Whatever fails here is
//! certainly unsent.

use core::convert::Infallible;
use core::net::{IpAddr, SocketAddr};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_channel::oneshot;
use futures_rustls::TlsConnector;
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use futures_util::io::{AsyncRead, AsyncWrite};
use futures_util::stream::FuturesUnordered;
use http::Uri;
use http::uri::Scheme;
use http_body_util::Full;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::{Limits, Why};
use rustls::pki_types::ServerName;
use smol_hyper::rt::FuturesIo;

use super::{Network, Shared, broken, within};
use crate::dial::{self, Greeted, Lookup};

/// hyper's smallest buffer, below which it panics.
const SMALLEST_BUFFER: usize = 8 * 1024;
/// How long an address is waited for before the next is dialled beside it (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);

/// A connection that is ready for requests. A task of the runtime moves its bytes, and ends with it.
pub(super) struct Line {
    pub(super) sender: SendRequest<Full<Bytes>>,
    /// Dropped with it, this ends the task and closes the socket.
    _held: oneshot::Sender<Infallible>,
}

/// Bytes both ways, whatever lies between.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

type Stream = Box<dyn Duplex>;

impl<N: Network> Shared<N> {
    /// A new connection to where this URL leads.
    pub(super) async fn connect(&self, uri: &Uri, limits: &Limits) -> Result<Line, Why> {
        let time = limits.connect.min(limits.total);
        let stream = within(&self.network, time, self.stream(uri, limits.addresses)).await;
        let handshake = http1::Builder::new()
            .max_headers(limits.fields)
            .max_header_size(limits.head)
            .max_buf_size(limits.head.max(SMALLEST_BUFFER))
            .handshake(FuturesIo::new(stream.ok_or(Why::Timeout)??))
            .await;
        let (sender, connection) = handshake.map_err(|error| broken(&error))?;
        let (held, dropped) = oneshot::channel::<Infallible>();
        self.network.spawn(moves(connection, dropped));
        Ok(Line { sender, _held: held })
    }

    async fn stream(&self, uri: &Uri, rule: Addresses) -> Result<Stream, Why> {
        let host = uri.host().ok_or(Why::Resolve)?;
        let port = dial::port(uri);
        let plain = uri.scheme() == Some(&Scheme::HTTP);
        let stream = match &self.proxy {
            Some(proxy) => {
                // Where the proxy is, is the person's own choice; servers are what the rule is about.
                let dialled = self.dial(proxy.host(), proxy.port(), Addresses::Any).await;
                let mut stream = dialled.map_err(|_| Why::Proxy)?;
                if proxy.https() {
                    let tls = self.shake_hands(proxy.host(), stream).await;
                    stream = tls.map_err(|_| Why::Proxy)?;
                }
                if plain {
                    return Ok(stream);
                }
                proxy.tunnel(&mut stream, host, port, &self.user_agent).await?;
                stream
            }
            None => self.dial(host, port, rule).await?,
        };
        if plain { Ok(stream) } else { self.shake_hands(host, stream).await }
    }

    /// Connects to the first address that answers.
    async fn dial(&self, host: &str, port: u16, rule: Addresses) -> Result<Stream, Why> {
        let look = looks_up(Arc::clone(&self.lookup), host.to_owned(), rule);
        let addresses = self.network.blocking(look).await.ok_or(Why::Resolve)??;
        self.dial_any(addresses, port).await.map(|stream| -> Stream { Box::new(stream) })
    }

    /// One dead address must not use up the time of the next.
    async fn dial_any(&self, addresses: Vec<IpAddr>, port: u16) -> Result<N::Stream, Why> {
        let mut rest = addresses.into_iter();
        let mut dialling = FuturesUnordered::new();
        let mut failed = Why::Connect;
        loop {
            if let Some(address) = rest.next() {
                dialling.push(self.network.dial(SocketAddr::new(address, port)));
            }
            let outcome = if rest.len() == 0 {
                dialling.next().await
            } else {
                match select(dialling.next(), pin!(self.network.sleep(HEAD_START))).await {
                    Either::Left((outcome, _)) => outcome,
                    Either::Right(_) => continue,
                }
            };
            match outcome {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => failed = dial::unconnected(&error),
                None => return Err(failed),
            }
        }
    }

    /// After the connection stands, nothing that goes wrong is taken for a dead port (HOST-332).
    async fn shake_hands(&self, host: &str, stream: Stream) -> Result<Stream, Why> {
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare).map_err(|_| Why::Tls)?;
        let watched = Watched { stream, greeted: Greeted::default() };
        let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, watched).into_fallible();
        let tls = tls.await.map_err(|(_, watched)| watched.greeted.why())?;
        Ok(Box::new(tls))
    }
}

// Both apart from where they are used: a closure or a future made there would be bound to lifetimes
// that it has nothing of.

fn looks_up(
    lookup: Arc<dyn Lookup>,
    host: String,
    rule: Addresses,
) -> impl FnOnce() -> Result<Vec<IpAddr>, Why> + Send + 'static {
    move || dial::permitted(&*lookup, &host, rule)
}

/// Moves the bytes of a connection until it ends or nobody holds it.
async fn moves(
    connection: Connection<FuturesIo<Stream>, Full<Bytes>>,
    dropped: oneshot::Receiver<Infallible>,
) {
    // How it ended is seen by whoever reads what it moved.
    let _seen_there = select(Box::pin(connection), dropped).await;
}

/// Sees whether the peer begins with plain http.
struct Watched {
    stream: Stream,
    greeted: Greeted,
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let length = ready!(Pin::new(&mut this.stream).poll_read(cx, into))?;
        this.greeted.see(into.get(..length).unwrap_or_default());
        Poll::Ready(Ok(length))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_close(cx)
    }
}
