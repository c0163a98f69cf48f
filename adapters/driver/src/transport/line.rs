//! What the engine needs of a session, async or blocking.

use core::future::Future;
use core::pin::Pin;
use core::time::Duration;

use http::Response;

use super::era::Memory;
use crate::exchange::{Exchange, ExchangeError};
use crate::ports::AsyncBody;

/// Something that is done aside.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A session. The futures of a blocking one block where they are polled.
pub(crate) trait Line: Send + Sync + 'static {
    /// A body, as it comes.
    type Body: AsyncBody;

    /// The MCP URL.
    fn url(&self) -> &str;

    /// What is remembered of the server.
    fn memory(&self) -> &Memory;

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
