//! The HTTP port on reqwest.

use core::error::Error;
use core::fmt;
use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::response::Parts;
use http::{Method, Request, Response};
use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::{Limits, Reply, Why};
use mcp_authz_driver::dial::{self, Lookup};
use mcp_authz_driver::head;
use mcp_authz_driver::ports::AsyncHttp;
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
    pub(crate) ready_made: Option<Client>,
}

struct Shared {
    settings: Settings,
    clients: Mutex<HashMap<Terms, Client>>,
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

impl ReqwestHttp {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { shared: Arc::new(Shared { settings, clients: Mutex::default() }) }
    }

    /// Makes one client, to see whether the settings go together.
    pub(crate) fn check(&self) -> Result<(), reqwest::Error> {
        let terms = Terms { addresses: 0, connect: Duration::ZERO, fields: 1, reuse: false };
        self.shared.settings.make(terms, Addresses::Public).map(|_| ())
    }

    fn client(&self, limits: &Limits, reuse: bool) -> Result<Client, Why> {
        if let Some(client) = &self.shared.settings.ready_made {
            return Ok(client.clone());
        }
        let terms = Terms {
            addresses: limits.addresses as u8,
            connect: limits.connect.min(limits.total),
            fields: limits.fields,
            reuse,
        };
        let mut clients = self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&terms) {
            return Ok(client.clone());
        }
        if clients.len() >= MOST_CLIENTS {
            clients.clear();
        }
        let made = self.shared.settings.make(terms, limits.addresses).map_err(|_| Why::Tls)?;
        clients.insert(terms, made.clone());
        Ok(made)
    }

    async fn run(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
        reuse: bool,
        enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
    ) -> Reply {
        let client = dial::check_literal(request.uri(), limits.addresses)
            .and_then(|()| self.client(limits, reuse));
        let client = match client {
            Ok(client) => client,
            Err(why) => return Reply::NotSent(why),
        };
        let bodiless = request.body().is_empty()
            && !matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
        let request = if bodiless {
            reqwest::Request::try_from(request.map(|_| reqwest::Body::default()))
        } else {
            reqwest::Request::try_from(request)
        };
        let Ok(request) = request else { return Reply::NotSent(Why::Resolve) };
        let whole = converse(&client, request, limits, enough);
        // Whether it was sent by then is anybody's guess.
        let timed_out = Reply::MaybeSent(Why::Timeout);
        tokio::time::timeout(limits.total, whole).await.unwrap_or(timed_out)
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

async fn converse(
    client: &Client,
    request: reqwest::Request,
    limits: &Limits,
    enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
) -> Reply {
    let asked = request.url().clone();
    let mut answer = match client.execute(request).await {
        Ok(answer) => answer,
        Err(error) => return unanswered(&error),
    };
    // Only a ready-made client can have gone elsewhere.
    if *answer.url() != asked {
        return Reply::MaybeSent(Why::Redirected);
    }
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = answer.status();
    head.version = answer.version();
    head.headers = core::mem::take(answer.headers_mut());
    if let Err(why) = head::check(&head, limits) {
        return Reply::MaybeSent(why);
    }
    let mut body = Vec::new();
    loop {
        let piece = match answer.chunk().await {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(error) => return Reply::MaybeSent(broken(&error)),
        };
        if body.len().saturating_add(piece.len()) > limits.body {
            return Reply::MaybeSent(Why::BodyTooLarge);
        }
        body.extend_from_slice(&piece);
        if enough(&head, &piece) {
            break;
        }
    }
    Reply::Answered(Response::from_parts(head, body))
}

impl AsyncHttp for ReqwestHttp {
    async fn send(&self, request: Request<Vec<u8>>, limits: &Limits) -> Reply {
        self.run(request, limits, false, &mut |_, _| false).await
    }

    async fn exchange(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
        enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
    ) -> Reply {
        self.run(request, limits, true, enough).await
    }
}

impl fmt::Debug for ReqwestHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReqwestHttp")
    }
}

/// There is no head: either nothing was sent, or nobody knows.
fn unanswered(error: &reqwest::Error) -> Reply {
    if let Some(Undialled(why)) = cause(error) {
        return Reply::NotSent(*why);
    }
    if !error.is_connect() {
        return Reply::MaybeSent(broken(error));
    }
    Reply::NotSent(if error.is_timeout() {
        Why::Timeout
    } else if cause::<rustls::Error>(error).is_some() {
        Why::Tls
    } else {
        Why::Connect
    })
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
