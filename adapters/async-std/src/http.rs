//! The HTTP port on hyper: one connection for each request.

use core::fmt;
use core::future::Future;
use core::pin::{Pin, pin};
use core::time::Duration;
use std::sync::Arc;

use futures_util::future::{Either, select};
use http::header::{HOST, HeaderValue, USER_AGENT};
use http::uri::Scheme;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use mcp_authz_core::effect::{Limits, Reply, Why};
use mcp_authz_driver::ports::{AsyncBody, AsyncHttp, Opened, Unanswered};
use mcp_authz_driver::{head, reading};
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

    async fn run(&self, request: Request<Vec<u8>>, limits: &Limits) -> Opened<HyperBody> {
        let unsent = |why| Unanswered { why, sent: false };
        let connection = self.dialler.connect(request.uri(), limits).await.map_err(unsent)?;
        let request = self.origin_form(request).ok_or(unsent(Why::Resolve))?;
        let answer = converse(connection, request, limits).await;
        answer.map_err(|why| Unanswered { why, sent: true })
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
}

impl AsyncHttp for HyperHttp {
    type Body = HyperBody;

    async fn send(&self, request: Request<Vec<u8>>, limits: &Limits) -> Reply {
        reading::to_its_end_async(self.open(request, limits), limits, &mut |_, _| false).await
    }

    async fn open(&self, request: Request<Vec<u8>>, limits: &Limits) -> Opened<HyperBody> {
        // Boxed: with dialling and hyper in it, it is larger than every caller's stack should have
        // to hold.
        let run = Box::pin(self.run(request, limits));
        let answer = async_std::future::timeout(limits.total, run).await;
        // Whether it was sent by then is anybody's guess.
        answer.unwrap_or(Err(Unanswered { why: Why::Timeout, sent: true }))
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
) -> Result<Response<HyperBody>, Why> {
    let handshake = http1::Builder::new()
        .max_headers(limits.fields)
        .max_header_size(limits.head)
        .max_buf_size(limits.head.max(SMALLEST_BUFFER))
        .handshake(FuturesIo::new(connection))
        .await;
    let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
    let mut moving = Moving(Some(Box::pin(async move {
        // How it ended is seen by whoever reads what it moved.
        let _seen_there = connection.await;
    })));
    let answer = moving.along(sender.send_request(request)).await;
    let (head, body) = answer.map_err(|error| broken(&error))?.into_parts();
    head::check(&head, limits)?;
    Ok(Response::from_parts(head, HyperBody { body, moving, _sender: sender }))
}

/// The connection: it moves the bytes while somebody waits for them, and may end before the last of
/// them is read. Dropped, it closes its socket.
struct Moving(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Moving {
    async fn along<T>(&mut self, wait: impl Future<Output = T>) -> T {
        let wait = pin!(wait);
        let Some(connection) = &mut self.0 else { return wait.await };
        let wait = match select(wait, connection.as_mut()).await {
            Either::Left((done, _)) => return done,
            Either::Right(((), wait)) => wait,
        };
        self.0 = None;
        wait.await
    }
}

/// A body that hyper reads.
pub struct HyperBody {
    body: Incoming,
    moving: Moving,
    /// Held, since hyper ends a connection that nobody can use again.
    _sender: SendRequest<Full<Bytes>>,
}

impl AsyncBody for HyperBody {
    async fn piece(&mut self, within: Duration) -> Result<Option<Bytes>, Why> {
        let Self { body, moving, .. } = self;
        let next = async {
            while let Some(frame) = body.frame().await {
                // Trailers say nothing that anybody asked for.
                if let Ok(piece) = frame.map_err(|error| broken(&error))?.into_data() {
                    return Ok(Some(piece));
                }
            }
            Ok(None)
        };
        let piece = async_std::future::timeout(within, moving.along(next)).await;
        piece.unwrap_or(Err(Why::Timeout))
    }
}

impl fmt::Debug for HyperBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HyperBody")
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
