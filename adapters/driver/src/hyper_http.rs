//! The HTTP port on hyper, for every async runtime: HTTP/1.1 over connections that are dialled here.
//!
//! An adapter adds a [`Network`], which opens TCP streams; looking up, the address rule, TLS, the
//! proxy and the connections that are kept are the same for all of them. Nothing is followed, kept
//! or decompressed, and no feature of another HTTP client is turned on for the rest of a program.

mod body;
mod connect;
mod idle;
mod line;
mod network;

use core::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use http::uri::Scheme;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use mcp_authz_core::effect::{Limits, Reply, Why};

use crate::client::settings::{BuildError, Settings};
use crate::ports::{AsyncHttp, Opened, Unanswered};
use crate::proxy::Proxy;
use crate::{dial, head, reading};

pub use body::HyperBody;
pub use futures_util::io::{AsyncRead, AsyncWrite};
pub use network::Network;

use connect::Connector;
use idle::{Idle, Terms};
use line::{Line, broken};
use network::within;

/// Sends through hyper. Clones share their connections and TLS sessions.
pub struct HyperHttp<N> {
    shared: Arc<Shared<N>>,
}

struct Shared<N> {
    connector: Connector<N>,
    /// Apart from the connector, since bodies give their connections back to it.
    idle: Arc<Idle<N>>,
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
        let connector = Connector::new(network.clone(), settings)?;
        let idle = Arc::new(Idle::new(network));
        Ok(Self { shared: Arc::new(Shared { connector, idle }) })
    }

    async fn run(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
        reuse: bool,
    ) -> Opened<HyperBody<N>> {
        let unsent = |why| Unanswered { why, sent: false };
        let shared = &self.shared;
        let proxy = shared.connector.routes.judge(request.uri(), limits).map_err(unsent)?;
        let target = request.uri().clone();
        let terms = Terms::of(&target, limits).ok_or(unsent(Why::Resolve))?;
        let mut request = self.dressed(request, proxy).ok_or(unsent(Why::Resolve))?;
        while reuse && let Some(line) = shared.idle.take(&terms).await {
            match self.converse(line, request, limits, Some(terms.clone())).await {
                // It died while nobody used it: as good as none.
                Err(Failed { request: Some(unread), .. }) => request = *unread,
                answer => return answer.map_err(Failed::unanswered),
            }
        }
        let line = shared.connector.connect(&target, proxy, limits).await.map_err(unsent)?;
        let terms = reuse.then_some(terms);
        self.converse(line, request, limits, terms).await.map_err(Failed::unanswered)
    }

    /// The request as it stands on the wire: the path in the first line and the authority in a field,
    /// or the whole URL for a proxy that has to read it.
    fn dressed(
        &self,
        request: Request<Vec<u8>>,
        proxy: Option<&Proxy>,
    ) -> Option<Request<Full<Bytes>>> {
        let connector = &self.shared.connector;
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
            head.headers.insert(USER_AGENT, connector.user_agent.clone());
        }
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let line = match proxy.filter(|_| plain) {
            Some(proxy) => {
                if let Some(authorization) = proxy.authorization() {
                    head.headers.insert(PROXY_AUTHORIZATION, authorization);
                }
                format!("http://{authority}{path}")
            }
            None => path.to_owned(),
        };
        head.uri = Uri::try_from(line).ok()?;
        Some(Request::from_parts(head, Full::new(Bytes::from(body))))
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
        let Shared { connector, idle } = &*self.shared;
        let refused = |why| Failed { request: None, why };
        if head.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED && line.proxied {
            return Err(refused(Why::ProxyPassword));
        }
        head::check(&head, limits).map_err(refused)?;
        let back = terms.map(|terms| (Arc::clone(idle), terms));
        let network = connector.network.clone();
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
        let sent = self.request.is_none() && !dial::is_about_proxy(self.why);
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

    fn proxy(&self, uri: &Uri) -> Option<Arc<str>> {
        self.shared.connector.routes.of(uri).map(|proxy| Arc::clone(proxy.name()))
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
        let answer = within(&self.shared.connector.network, limits.total, run).await;
        // Nobody knows whether it was sent by then, so it counts as sent.
        answer.unwrap_or(Err(Unanswered { why: Why::Timeout, sent: true }))
    }
}

impl<N> fmt::Debug for HyperHttp<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HyperHttp")
    }
}
