//! The MCP transport for async programs.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use http::Response;
use mcp_authz_core::time::Monotonic;
use serde_json::Value;

use super::AuthSession;
use crate::exchange::{Exchange, ExchangeError};
use crate::ports::{AsyncBody as _, AsyncHttp, AsyncListener, Runtime};
use crate::reading::Incoming;
use crate::transport::{
    self, DroppedTool, Engine, Kind, Line, Memory, Settings, Task, TransportError,
};

/// How long the end of a stream may follow its last message.
const A_MOMENT: Duration = Duration::from_secs(1);

pub(super) struct OnDemand<H: AsyncHttp, L: AsyncListener, R: Runtime>(
    pub(super) AuthSession<H, L, R>,
);

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> Line for OnDemand<H, L, R> {
    type Body = Incoming<H::Body>;

    fn url(&self) -> &str {
        self.0.shared().config.mcp_url()
    }

    fn memory(&self) -> &Memory {
        &self.0.shared().memory
    }

    fn now(&self) -> Monotonic {
        self.0.shared().clock().mono()
    }

    fn open(
        &self,
        exchange: Exchange,
    ) -> impl Future<Output = Result<Response<Self::Body>, ExchangeError>> + Send {
        self.0.open(exchange)
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        self.0.shared().ports.runtime.sleep(time)
    }

    async fn finish(&self, mut body: Self::Body) {
        self.spawn(Box::pin(async move {
            let _or_it_is_closed = body.piece(A_MOMENT).await;
        }));
    }

    fn spawn(&self, task: Task) {
        self.0.shared().ports.runtime.spawn(task);
    }
}

/// An MCP connection over an authorized session, whichever transport and revision the server speaks.
///
/// Clones are handles to the same connection, for as many tasks as wish. Tokens are renewed, and a
/// person is asked where that is allowed, without a caller noticing; a session that the server forgot
/// is begun anew; a stream that breaks goes on where it broke, as far as the revision can do that
/// (TRANS).
pub struct Transport<H: AsyncHttp, L: AsyncListener, R: Runtime> {
    engine: Arc<Engine<OnDemand<H, L, R>>>,
}

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> Clone for Transport<H, L, R> {
    fn clone(&self) -> Self {
        Self { engine: Arc::clone(&self.engine) }
    }
}

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> fmt::Debug for Transport<H, L, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("kind", &self.kind())
            .field("protocol_version", &self.protocol_version())
            .finish_non_exhaustive()
    }
}

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> Transport<H, L, R> {
    /// Finds out what the server speaks and opens the connection: with `server/discover`, or with
    /// `initialize` and `notifications/initialized`. What was found out is remembered in the session,
    /// so that the next connection over it, or over a clone of it, need not ask (TRANS-29).
    ///
    /// # Errors
    /// [`TransportError`] says what to do.
    pub async fn connect(
        session: AuthSession<H, L, R>,
        settings: Settings,
    ) -> Result<Self, TransportError> {
        Ok(Self { engine: Engine::connect(OnDemand(session), settings).await? })
    }

    /// Asks for something and waits for the result. What the server sends meanwhile is not shown;
    /// what it asks meanwhile is declined, a `ping` apart, which is answered. A future that is
    /// dropped before its end cancels the request.
    ///
    /// # Errors
    /// [`TransportError`]; a JSON-RPC error is [`TransportError::Rpc`].
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, TransportError> {
        self.engine.call(method, params).await
    }

    /// Asks for something and gives everything the server sends for it, notifications and requests
    /// included, ending with the response. It is sent when the stream is first polled, and cancelled
    /// if the stream is dropped before its end. With HTTP+SSE only the response can be told to be
    /// for this request; the rest is what [`Transport::listen`] gives.
    #[must_use]
    pub fn request(&self, method: &str, params: Value) -> Messages {
        Messages(self.engine.request(method, params))
    }

    /// Tells the server something.
    ///
    /// # Errors
    /// [`TransportError`]; it was not taken.
    pub async fn notify(&self, method: &str, params: Value) -> Result<(), TransportError> {
        self.engine.notify(method, params).await
    }

    /// Answers a request that the server made, with a result or a JSON-RPC error object.
    ///
    /// # Errors
    /// [`TransportError::Unsupported`] in revisions without such requests (TRANS-03);
    /// [`TransportError::SessionLost`] if the session is gone in which it was asked.
    pub async fn respond(
        &self,
        id: &Value,
        outcome: Result<Value, Value>,
    ) -> Result<(), TransportError> {
        self.engine.respond(id, outcome).await
    }

    /// What the server sends for no request in particular; nothing if it offers no such stream, as
    /// in the modern revision, which has the request `subscriptions/listen` for that. It is taken up
    /// again when it breaks. With HTTP+SSE read it or drop it: what is left unread stops everything
    /// else on that connection, and a later call of this ends the earlier stream.
    ///
    /// # Errors
    /// [`TransportError`], also within the stream.
    pub async fn listen(&self) -> Result<Option<Messages>, TransportError> {
        Ok(self.engine.listen().await?.map(Messages))
    }

    /// Ends the connection for every handle; what is under way goes on, but with HTTP+SSE is lost with
    /// its stream. No person is asked for it (TRANS-21), and a server that ends no sessions is none the worse. Without it the server keeps the
    /// session until it forgets it.
    ///
    /// # Errors
    /// [`TransportError`]: the server may keep the session until it forgets it. It is closed all the
    /// same.
    pub async fn close(&self) -> Result<(), TransportError> {
        self.engine.close().await
    }

    /// What the server said of itself: the result of `initialize` or `server/discover`. Null for a
    /// modern server that does not know the latter.
    #[must_use]
    pub fn server(&self) -> Arc<Value> {
        Arc::clone(&self.engine.link().server)
    }

    /// The protocol revision that is spoken.
    #[must_use]
    pub fn protocol_version(&self) -> String {
        self.engine.link().manner.version.clone()
    }

    /// The transport that is used.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.engine.kind()
    }

    /// Tools that were taken off the lists so far because their annotations break the rules
    /// (TRANS-13).
    #[must_use]
    pub fn dropped_tools(&self) -> Vec<DroppedTool> {
        self.engine.dropped_tools()
    }
}

/// What the server sends, message by message. An error is the last item. A wait for the next one
/// that is given up loses nothing.
pub struct Messages(pub(super) transport::Messages);

impl Stream for Messages {
    type Item = Result<Value, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Messages")
    }
}
