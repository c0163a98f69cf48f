//! One connection as hyper speaks on it, and what its errors mean.

use core::convert::Infallible;

use bytes::Bytes;
use futures_channel::oneshot;
use futures_util::future::select;
use futures_util::io::{AsyncRead, AsyncWrite};
use http_body_util::Full;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use mcp_authz_core::effect::{Limits, Why};
use smol_hyper::rt::FuturesIo;

use crate::ports::Runtime;

/// hyper's smallest buffer, below which it panics.
const SMALLEST_BUFFER: usize = 8 * 1024;

/// A connection that is ready for requests. A task of the runtime moves its bytes, and ends with it.
pub(super) struct Line {
    pub(super) sender: SendRequest<Full<Bytes>>,
    /// True if a proxy reads the requests and may answer them itself.
    pub(super) proxied: bool,
    /// Dropped with it, this ends the task and closes the socket.
    _held: oneshot::Sender<Infallible>,
}

impl Line {
    /// Over a stream whose peer speaks HTTP.
    pub(super) async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        runtime: &impl Runtime,
        limits: &Limits,
    ) -> Result<Self, Why> {
        let handshake = http1::Builder::new()
            .max_headers(limits.fields)
            .max_header_size(limits.head)
            .max_buf_size(limits.head.max(SMALLEST_BUFFER))
            .handshake(FuturesIo::new(stream))
            .await;
        let (sender, connection) = handshake.map_err(|error| broken(&error))?;
        let (held, dropped) = oneshot::channel::<Infallible>();
        runtime.spawn(moves(connection, dropped));
        Ok(Self { sender, proxied: false, _held: held })
    }
}

/// Moves the bytes of a connection until it ends or nobody holds it. Apart from where it is spawned:
/// a future made there would be bound to lifetimes that it has nothing of.
async fn moves<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    connection: Connection<FuturesIo<S>, Full<Bytes>>,
    dropped: oneshot::Receiver<Infallible>,
) {
    // How it ended is seen by whoever reads what it moved.
    let _seen_there = select(Box::pin(connection), dropped).await;
}

/// Why an answer did not come whole.
pub(super) fn broken(error: &hyper::Error) -> Why {
    // hyper has a predicate for this, but only for those who also build its server.
    if error.is_parse() && error.to_string().contains("too large") {
        Why::HeadTooLarge
    } else if error.is_parse() {
        Why::HeadMalformed
    } else {
        Why::Broken
    }
}
