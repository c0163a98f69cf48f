//! The HTTP port on hyper, for every async runtime: HTTP/1.1 over connections that are dialled here.
//!
//! An adapter adds a [`Network`], which opens TCP streams; looking up, the address rule, TLS, the
//! proxy and the connections that are kept are the same for all of them. Nothing is followed, kept
//! or decompressed, and no feature of another HTTP client is turned on for the rest of a program.

mod body;
mod connect;
mod idle;
mod proxy;

use core::fmt;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::pin;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use http::uri::Scheme;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use mcp_authz_core::effect::{Limits, Reply, Why};

use crate::client::{BuildError, Settings};
use crate::dial::{self, Lookup};
use crate::ports::{AsyncHttp, Opened, Runtime, Unanswered};
use crate::{head, reading, tls};

pub use body::HyperBody;
pub use futures_util::io::{AsyncRead, AsyncWrite};
pub use proxy::Proxy;

use connect::Line;
use idle::{Idle, Terms};

/// A runtime that opens TCP streams.
pub trait Network: Runtime + Clone {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Connects to this very address.
    fn dial(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Sends through hyper. Clones share their connections and TLS sessions.
pub struct HyperHttp<N> {
    shared: Arc<Shared<N>>,
}

pub(crate) struct Shared<N> {
    network: N,
    lookup: Arc<dyn Lookup>,
    tls: Arc<rustls::ClientConfig>,
    user_agent: HeaderValue,
    proxy: Option<Proxy>,
    idle: Idle,
}

impl<N> Clone for HyperHttp<N> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<N: Network> HyperHttp<N> {
    /// A port on this runtime. Nothing is dialled yet.
    ///
    /// # Errors
    /// [`BuildError`]: the roots or the proxy cannot be used.
    pub fn new(network: N, settings: Settings) -> Result<Self, BuildError> {
        let Settings { lookup, roots, user_agent, proxy } = settings;
        let proxy = proxy.map(|url| Proxy::parse(&url).ok_or(BuildError::Proxy)).transpose()?;
        let mut tls = tls::client_config(&roots)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let (tls, idle) = (Arc::new(tls), Idle::default());
        Ok(Self { shared: Arc::new(Shared { network, lookup, tls, user_agent, proxy, idle }) })
    }

    async fn run(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
        reuse: bool,
    ) -> Opened<HyperBody<N>> {
        let unsent = |why| Unanswered { why, sent: false };
        let shared = &self.shared;
        dial::check_literal(request.uri(), limits.addresses).map_err(unsent)?;
        let target = request.uri().clone();
        let terms = Terms::of(&target, limits).ok_or(unsent(Why::Resolve))?;
        let mut request = shared.dressed(request).ok_or(unsent(Why::Resolve))?;
        while reuse && let Some(line) = shared.kept(&terms).await {
            match self.converse(line, request, limits, Some(terms.clone())).await {
                // It died while nobody used it: as good as none.
                Err(Failed { request: Some(unread), .. }) => request = *unread,
                answer => return answer.map_err(Failed::unanswered),
            }
        }
        let line = shared.connect(&target, limits).await.map_err(unsent)?;
        let terms = reuse.then_some(terms);
        self.converse(line, request, limits, terms).await.map_err(Failed::unanswered)
    }

    /// One request and the head of its answer. The connection is kept under these terms once the
    /// body is read.
    async fn converse(
        &self,
        mut line: Line,
        request: Request<Full<Bytes>>,
        limits: &Limits,
        terms: Option<Terms>,
    ) -> Result<Response<HyperBody<N>>, Failed> {
        let answer = line.sender.try_send_request(request).await;
        let answer: Response<Incoming> = answer.map_err(|mut error| Failed {
            request: error.take_message().map(Box::new),
            why: broken(error.error()),
        })?;
        let (head, body) = answer.into_parts();
        let refused = |why| Failed { request: None, why };
        if head.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED && self.shared.proxy.is_some() {
            return Err(refused(Why::Proxy));
        }
        head::check(&head, limits).map_err(refused)?;
        let back = terms.map(|terms| (Arc::clone(&self.shared), terms));
        let network = self.shared.network.clone();
        Ok(Response::from_parts(head, HyperBody::new(body, line, network, back)))
    }
}

/// There is no answer. The request is here if it certainly did not leave.
struct Failed {
    request: Option<Box<Request<Full<Bytes>>>>,
    why: Why,
}

impl Failed {
    fn unanswered(self) -> Unanswered {
        let sent = self.request.is_none() && self.why != Why::Proxy;
        Unanswered { why: self.why, sent }
    }
}

impl<N: Network> AsyncHttp for HyperHttp<N> {
    type Body = HyperBody<N>;

    async fn send(&self, request: Request<Vec<u8>>, limits: &Limits) -> Reply {
        let open = self.within(request, limits, false);
        reading::to_its_end_async(open, limits, &mut |_, _| false).await
    }

    async fn open(&self, request: Request<Vec<u8>>, limits: &Limits) -> Opened<HyperBody<N>> {
        self.within(request, limits, true).await
    }
}

impl<N: Network> HyperHttp<N> {
    async fn within(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
        reuse: bool,
    ) -> Opened<HyperBody<N>> {
        // Boxed: with dialling and hyper in it, it is larger than every caller's stack should have
        // to hold.
        let run = Box::pin(self.run(request, limits, reuse));
        let answer = within(&self.shared.network, limits.total, run).await;
        // Whether it was sent by then is anybody's guess.
        answer.unwrap_or(Err(Unanswered { why: Why::Timeout, sent: true }))
    }
}

impl<N> fmt::Debug for HyperHttp<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HyperHttp")
    }
}

impl<N> Shared<N> {
    /// The request as it stands on the wire: the path in the first line and the authority in a field,
    /// or the whole URL for a proxy that has to read it.
    fn dressed(&self, request: Request<Vec<u8>>) -> Option<Request<Full<Bytes>>> {
        let (mut head, body) = request.into_parts();
        let host = head.uri.host()?;
        let plain = head.uri.scheme() == Some(&Scheme::HTTP);
        let default = if plain { 80 } else { 443 };
        let authority = match head.uri.port_u16() {
            Some(port) if port != default => format!("{host}:{port}"),
            _ => host.to_owned(),
        };
        head.headers.insert(HOST, HeaderValue::try_from(&authority).ok()?);
        if !head.headers.contains_key(USER_AGENT) {
            head.headers.insert(USER_AGENT, self.user_agent.clone());
        }
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let line = match self.proxy.as_ref().filter(|_| plain) {
            Some(proxy) => {
                if let Some(authorization) = proxy.authorization() {
                    head.headers.insert(PROXY_AUTHORIZATION, authorization.clone());
                }
                format!("http://{authority}{path}")
            }
            None => path.to_owned(),
        };
        head.uri = Uri::try_from(line).ok()?;
        Some(Request::from_parts(head, Full::new(Bytes::from(body))))
    }
}

/// What comes of it in this time, if anything.
async fn within<T>(
    runtime: &impl Runtime,
    time: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    match select(pin!(work), pin!(runtime.sleep(time))).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}

fn broken(error: &hyper::Error) -> Why {
    // hyper has a predicate for this, but only for those who also build its server.
    if error.is_parse() && error.to_string().contains("too large") {
        Why::HeadTooLarge
    } else if error.is_parse() {
        Why::HeadMalformed
    } else {
        Why::Broken
    }
}
