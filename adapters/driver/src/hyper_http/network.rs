//! The one thing that a runtime has to add: TCP streams. It has timers already.

use core::future::Future;
use core::net::SocketAddr;
use core::pin::pin;
use core::time::Duration;
use std::io;

use futures_util::future::{Either, select};
use futures_util::io::{AsyncRead, AsyncWrite};

use crate::ports::Runtime;

/// A runtime that opens TCP streams.
pub trait Network: Runtime + Clone {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Connects to this very address.
    fn dial(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// The result of the work if it ends within this time.
pub(super) async fn within<T>(
    runtime: &impl Runtime,
    time: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    match select(pin!(work), pin!(runtime.sleep(time))).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}
