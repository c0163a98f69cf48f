//! The HTTP port on hyper: one connection for each request.

use core::fmt;
use core::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use http::header::{HOST, HeaderValue, USER_AGENT};
use http::response::Parts;
use http::uri::Scheme;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use mcp_authz_core::effect::{Limits, Reply, Why};
use mcp_authz_driver::head;
use mcp_authz_driver::ports::AsyncHttp;
use smol_hyper::rt::FuturesIo;

use crate::dial::{Connection, Dialler};

/// hyper's smallest buffer, below which it panics.
const SMALLEST_BUFFER: usize = 8 * 1024;

/// Sends through hyper. Clones share the TLS sessions.
#[derive(Clone)]
pub struct HyperHttp {
    dialler: Arc<Dialler>,
    user_agent: HeaderValue,
}

impl HyperHttp {
    pub(crate) fn new(dialler: Dialler, user_agent: HeaderValue) -> Self {
        Self { dialler: Arc::new(dialler), user_agent }
    }

    async fn run(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
        enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
    ) -> Reply {
        let connection = match self.dialler.connect(request.uri(), limits).await {
            Ok(connection) => connection,
            Err(why) => return Reply::NotSent(why),
        };
        let Some(request) = self.origin_form(request) else {
            return Reply::NotSent(Why::Resolve);
        };
        match converse(connection, request, limits, enough).await {
            Ok(answer) => Reply::Answered(answer),
            Err(why) => Reply::MaybeSent(why),
        }
    }

    /// As it stands on the wire: the path in the first line, the authority in a field.
    fn origin_form(&self, request: Request<Vec<u8>>) -> Option<Request<Full<Bytes>>> {
        let (mut head, body) = request.into_parts();
        let authority = head.uri.authority()?.as_str();
        let default = if head.uri.scheme() == Some(&Scheme::HTTP) { ":80" } else { ":443" };
        let host = authority.strip_suffix(default).unwrap_or(authority);
        head.headers.insert(HOST, HeaderValue::try_from(host).ok()?);
        if !head.headers.contains_key(USER_AGENT) {
            head.headers.insert(USER_AGENT, self.user_agent.clone());
        }
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = Uri::try_from(path).ok()?;
        Some(Request::from_parts(head, Full::new(Bytes::from(body))))
    }

    async fn within(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
        enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
    ) -> Reply {
        let whole = self.run(request, limits, enough);
        // Whether it was sent by then is anybody's guess.
        let timed_out = Reply::MaybeSent(Why::Timeout);
        async_std::future::timeout(limits.total, whole).await.unwrap_or(timed_out)
    }
}

impl AsyncHttp for HyperHttp {
    async fn send(&self, request: Request<Vec<u8>>, limits: &Limits) -> Reply {
        self.within(request, limits, &mut |_, _| false).await
    }

    async fn exchange(
        &self,
        request: Request<Vec<u8>>,
        limits: &Limits,
        enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
    ) -> Reply {
        self.within(request, limits, enough).await
    }
}

impl fmt::Debug for HyperHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HyperHttp")
    }
}

async fn converse(
    connection: Connection,
    request: Request<Full<Bytes>>,
    limits: &Limits,
    enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
) -> Result<Response<Vec<u8>>, Why> {
    let handshake = http1::Builder::new()
        .max_headers(limits.fields)
        .max_header_size(limits.head)
        .max_buf_size(limits.head.max(SMALLEST_BUFFER))
        .handshake(FuturesIo::new(connection))
        .await;
    let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
    let exchange = async move {
        let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let (head, body) = answer.into_parts();
        head::check(&head, limits)?;
        let body = read(&head, body, limits.body, enough).await?;
        Ok(Response::from_parts(head, body))
    };
    // The connection moves the bytes and may end before the last of them is read. Both are dropped
    // at the end, and the socket with them.
    match select(pin!(exchange), pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        Either::Right((_, exchange)) => exchange.await,
    }
}

async fn read(
    head: &Parts,
    mut body: Incoming,
    limit: usize,
    enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
) -> Result<Vec<u8>, Why> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        // Trailers say nothing that anybody asked for.
        let Ok(piece) = frame.into_data() else { continue };
        if read.len().saturating_add(piece.len()) > limit {
            return Err(Why::BodyTooLarge);
        }
        read.extend_from_slice(&piece);
        if enough(head, &piece) {
            break;
        }
    }
    Ok(read)
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
