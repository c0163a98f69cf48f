//! The interface of a session, async or blocking, that the engine needs.

use core::future::Future;
use core::pin::Pin;
use core::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::Response;
use mcp_authz_core::effect::Why;
use mcp_authz_core::time::Monotonic;
use serde_json::Value;

use super::era::Memory;
use super::error::TransportError;
use crate::clock::Clock;
use crate::exchange::{Exchange, ExchangeError};
use crate::ports::AsyncBody;

/// Something that is done aside.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The server's messages, as they come.
pub(crate) type Messages = BoxStream<'static, Result<Value, TransportError>>;

/// A session. The futures of a blocking one block where they are polled.
pub(crate) trait Line: Send + Sync + 'static {
    /// A body, as it comes.
    type Body: AsyncBody;

    /// The MCP URL.
    fn url(&self) -> &str;

    /// The facts that are remembered about the server.
    fn memory(&self) -> &Memory;

    /// The session's clock.
    fn clock(&self) -> &dyn Clock;

    /// The time by that clock.
    fn now(&self) -> Monotonic {
        self.clock().mono()
    }

    /// Sends a request with the token, and again after a refusal that could be healed.
    fn open(
        &self,
        exchange: Exchange,
    ) -> impl Future<Output = Result<Response<Self::Body>, ExchangeError>> + Send;

    /// Is ready after this time.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// Reads the end of a body of which nothing more is wanted, so that its connection can be used
    /// again. Nobody waits for it noticeably.
    fn finish(&self, body: Self::Body) -> impl Future<Output = ()> + Send;

    /// Does something aside; drops it if that cannot be done.
    fn spawn(&self, task: Task);
}

/// A time for all of something, and for each piece of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Within {
    until: Monotonic,
    idle: Duration,
}

impl Within {
    pub(crate) fn new(now: Monotonic, all: Duration, idle: Duration) -> Self {
        Self { until: now.after(all), idle }
    }

    /// The time that is left of it; nothing if it is over.
    pub(crate) const fn left(&self, now: Monotonic) -> Option<Duration> {
        let left = now.until(self.until);
        if left.is_zero() { None } else { Some(left) }
    }

    /// The next piece of a body, if it comes in time.
    pub(crate) async fn piece(
        &self,
        now: Monotonic,
        body: &mut impl AsyncBody,
    ) -> Result<Option<Bytes>, Why> {
        match self.left(now) {
            Some(left) => body.piece(left.min(self.idle)).await,
            None => Err(Why::Timeout),
        }
    }
}
