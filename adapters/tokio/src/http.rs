//! The HTTP port on reqwest.

use core::error::Error;
use core::fmt;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Method, Request, Response};
use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::{Limits, Reply, Why};
use mcp_authz_driver::dial::{self, Lookup};
use mcp_authz_driver::ports::{AsyncBody, AsyncHttp, Opened, Unanswered};
use mcp_authz_driver::{head, reading};
use reqwest::{Client, ClientBuilder, redirect, retry};

use crate::dial::{Guarded, Undialled};

/// Clients that are kept; a program has a handful of limits, not a handful per request.
const MOST_CLIENTS: usize = 16;

/// Connections of callers' own requests that are kept for the next: as many as a busy program has
/// under way at once, or every wave of requests begins with handshakes. They end after a while.
const MOST_IDLE: usize = 256;

/// What a program adds to a client before our own settings are made.
pub(crate) type Configure = Arc<dyn Fn(ClientBuilder) -> ClientBuilder + Send + Sync>;

/// Sends through reqwest. Clones share their connections.
#[derive(Clone)]
pub struct ReqwestHttp {
    shared: Arc<Shared>,
}

pub(crate) struct Settings {
    pub(crate) lookup: Arc<dyn Lookup>,
    pub(crate) tls: rustls::ClientConfig,
    pub(crate) configure: Configure,
    pub(crate) proxy: Option<(reqwest::Proxy, String)>,
}

enum Shared {
    /// Clients of ours, each for its terms.
    Made { settings: Box<Settings>, clients: Mutex<HashMap<Terms, Client>> },
    /// A client of the program's own, for everything.
    Ready(Client),
}

/// What one client is made for: the address rule is its resolver's, so connections made under one
/// rule never serve a request under another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Terms {
    addresses: u8,
    connect: Duration,
    fields: usize,
    reuse: bool,
}

/// Sends everything through this client as it is. Its resolver, redirects, proxies, cookies and
/// connection limits are beyond reach: names are not judged by the addresses they lead to, and an
/// answer whose URL is another than was asked for is refused only after the client went there.
impl From<Client> for ReqwestHttp {
    fn from(client: Client) -> Self {
        Self { shared: Arc::new(Shared::Ready(client)) }
    }
}

impl ReqwestHttp {
    /// Makes one client, to see whether the settings go together.
    pub(crate) fn new(settings: Settings) -> Result<Self, reqwest::Error> {
        let terms = Terms { addresses: 0, connect: Duration::ZERO, fields: 1, reuse: false };
        settings.make(terms, Addresses::Public)?;
        let (settings, clients) = (Box::new(settings), Mutex::default());
        Ok(Self { shared: Arc::new(Shared::Made { settings, clients }) })
    }

    fn client(&self, limits: &Limits, reuse: bool) -> Result<Client, Why> {
        let (settings, clients) = match &*self.shared {
            Shared::Made { settings, clients } => (settings, clients),
            Shared::Ready(client) => return Ok(client.clone()),
        };
        let terms = Terms {
            addresses: limits.addresses as u8,
            connect: limits.connect.min(limits.total),
            fields: limits.fields,
            reuse,
        };
        let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&terms) {
            return Ok(client.clone());
        }
        if clients.len() >= MOST_CLIENTS {
            clients.clear();
        }
        let made = settings.make(terms, limits.addresses).map_err(|_| Why::Tls)?;
        clients.insert(terms, made.clone());
        Ok(made)
    }

    async fn open(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
        reuse: bool,
    ) -> Opened<ReqwestBody> {
        let unsent = |why| Unanswered { why, sent: false };
        dial::check_literal(request.uri(), limits.addresses).map_err(unsent)?;
        let client = self.client(limits, reuse).map_err(unsent)?;
        let bodiless = request.body().is_empty()
            && !matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
        let request = if bodiless {
            reqwest::Request::try_from(request.map(|_| reqwest::Body::default()))
        } else {
            reqwest::Request::try_from(request)
        };
        let request = request.map_err(|_| unsent(Why::Resolve))?;
        let answered = tokio::time::timeout(limits.total, answer(&client, request, limits)).await;
        // Whether it was sent by then is anybody's guess.
        answered.unwrap_or(Err(Unanswered { why: Why::Timeout, sent: true }))
    }
}

impl Settings {
    fn make(&self, terms: Terms, rule: Addresses) -> Result<Client, reqwest::Error> {
        // First what the environment must not decide, then the program's wishes, then what is not
        // negotiable. Other crates' features may switch decompression or HTTP/2 on for everybody.
        let mut builder = (self.configure)(Client::builder().no_proxy());
        if let Some((proxy, _)) = &self.proxy {
            builder = builder.proxy(proxy.clone());
        }
        let guarded = Guarded {
            lookup: Arc::clone(&self.lookup),
            rule,
            proxy: self.proxy.as_ref().map(|(_, host)| host.clone()),
        };
        builder
            .tls_backend_preconfigured(self.tls.clone())
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .http1_only()
            .http1_max_headers(terms.fields)
            .connect_timeout(terms.connect)
            .pool_max_idle_per_host(if terms.reuse { MOST_IDLE } else { 0 })
            .dns_resolver(Arc::new(guarded))
            .build()
    }
}

async fn answer(
    client: &Client,
    request: reqwest::Request,
    limits: &Limits,
) -> Opened<ReqwestBody> {
    let asked = request.url().clone();
    let mut answer = client.execute(request).await.map_err(|error| unanswered(&error))?;
    let refused = |why| Unanswered { why, sent: true };
    // Only a ready-made client can have gone elsewhere.
    if *answer.url() != asked {
        return Err(refused(Why::Redirected));
    }
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = answer.status();
    head.version = answer.version();
    head.headers = core::mem::take(answer.headers_mut());
    head::check(&head, limits).map_err(refused)?;
    Ok(Response::from_parts(head, ReqwestBody(answer)))
}

/// A body that reqwest reads.
#[derive(Debug)]
pub struct ReqwestBody(reqwest::Response);

impl AsyncBody for ReqwestBody {
    async fn piece(&mut self, within: Duration) -> Result<Option<Bytes>, Why> {
        let piece = tokio::time::timeout(within, self.0.chunk()).await;
        piece.map_err(|_| Why::Timeout)?.map_err(|error| broken(&error))
    }
}

impl AsyncHttp for ReqwestHttp {
    type Body = ReqwestBody;

    async fn send(&self, request: Request<Vec<u8>>, limits: &Limits) -> Reply {
        let open = self.open(request, limits, false);
        reading::to_its_end_async(open, limits, &mut |_, _| false).await
    }

    async fn open(&self, request: Request<Vec<u8>>, limits: &Limits) -> Opened<ReqwestBody> {
        self.open(request, limits, true).await
    }
}

impl fmt::Debug for ReqwestHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReqwestHttp")
    }
}

/// There is no head: either nothing was sent, or nobody knows.
fn unanswered(error: &reqwest::Error) -> Unanswered {
    if let Some(Undialled(why)) = cause(error) {
        return Unanswered { why: *why, sent: false };
    }
    if !error.is_connect() {
        return Unanswered { why: broken(error), sent: true };
    }
    let why = if error.is_timeout() {
        Why::Timeout
    } else if cause::<rustls::Error>(error).is_some() {
        Why::Tls
    } else {
        Why::Connect
    };
    Unanswered { why, sent: false }
}

fn broken(error: &reqwest::Error) -> Why {
    match cause::<hyper::Error>(error) {
        _ if error.is_timeout() => Why::Timeout,
        // hyper has a predicate for this, but only for those who also build its server.
        Some(error) if error.to_string().contains("too large") => Why::HeadTooLarge,
        Some(error) if error.is_parse() => Why::HeadMalformed,
        _ => Why::Broken,
    }
}

/// The first error of a type on the way to the root, also within an I/O error, which hides its own.
fn cause<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
