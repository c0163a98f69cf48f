//! Connecting: look up, ask the rule about each address, dial, shake hands. Whatever fails here is
//! certainly unsent.

use core::net::{IpAddr, SocketAddr};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use futures_rustls::TlsConnector;
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use futures_util::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use futures_util::stream::FuturesUnordered;
use http::uri::Scheme;
use http::{HeaderValue, Uri};
use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::{Limits, Why};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::line::Line;
use super::network::{Network, within};
use crate::client::settings::{BuildError, Settings};
use crate::dial::{self, Greeted, Lookup};
use crate::proxy::{Proxy, Routes, Tunnel};
use crate::tls;

/// How long an address is waited for before the next is dialled beside it (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);

/// The parts and settings with which every connection is made.
pub(super) struct Connector<N> {
    pub(super) network: N,
    lookup: Arc<dyn Lookup>,
    tls: Arc<ClientConfig>,
    pub(super) user_agent: HeaderValue,
    pub(super) routes: Routes,
}

/// Bytes both ways, whatever lies between.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

type Stream = Box<dyn Duplex>;

impl<N: Network> Connector<N> {
    pub(super) fn new(network: N, settings: Settings) -> Result<Self, BuildError> {
        let mut tls = tls::client_config(&settings.trusted()?)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let user_agent = settings.user_agent_field()?;
        let Settings { lookup, proxies, .. } = settings;
        let routes = proxies.routes()?;
        Ok(Self { network, lookup, tls: Arc::new(tls), user_agent, routes })
    }

    /// A new connection to where this URL leads.
    pub(super) async fn connect(
        &self,
        uri: &Uri,
        proxy: Option<&Proxy>,
        limits: &Limits,
    ) -> Result<Line, Why> {
        let time = limits.connect.min(limits.total);
        let stream = within(&self.network, time, self.stream(uri, proxy, limits.addresses)).await;
        let mut line = Line::over(stream.ok_or(Why::Timeout)??, &self.network, limits).await?;
        line.proxied = proxy.is_some() && uri.scheme() == Some(&Scheme::HTTP);
        Ok(line)
    }

    async fn stream(
        &self,
        uri: &Uri,
        proxy: Option<&Proxy>,
        rule: Addresses,
    ) -> Result<Stream, Why> {
        let host = uri.host().ok_or(Why::Resolve)?;
        let port = dial::port(uri);
        let plain = uri.scheme() == Some(&Scheme::HTTP);
        let stream = match proxy {
            Some(proxy) => {
                // Where the proxy is, is the person's own choice; servers are what the rule is about.
                let dialled = self.dial(proxy.host(), proxy.port(), Addresses::Any).await;
                let mut stream = dialled.map_err(dial::to_proxy)?;
                if proxy.https() {
                    let tls = self.shake_hands(proxy.host(), stream).await;
                    stream = tls.map_err(|_| Why::Proxy)?;
                }
                if plain {
                    return Ok(stream);
                }
                let ask = proxy.ask(host, port, &self.user_agent);
                tunnel(&mut stream, &ask).await?;
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

/// Asks a proxy for a tunnel, and waits until it is open.
async fn tunnel(stream: &mut Stream, ask: &[u8]) -> Result<(), Why> {
    stream.write_all(ask).await.map_err(|_| Why::Proxy)?;
    stream.flush().await.map_err(|_| Why::Proxy)?;
    let mut tunnel = Tunnel::default();
    let mut piece = [0; 1024];
    loop {
        let length = stream.read(&mut piece).await.map_err(|_| Why::Proxy)?;
        if tunnel.see(piece.get(..length).unwrap_or_default())? {
            return Ok(());
        }
    }
}

/// Apart from where it is used: a closure made there would be bound to lifetimes that it has nothing
/// of.
fn looks_up(
    lookup: Arc<dyn Lookup>,
    host: String,
    rule: Addresses,
) -> impl FnOnce() -> Result<Vec<IpAddr>, Why> + Send + 'static {
    move || dial::permitted(&*lookup, &host, rule)
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
