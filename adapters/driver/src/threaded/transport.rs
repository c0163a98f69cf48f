//! The MCP transport for threads.

use core::fmt;
use core::future::{Future, ready};
use core::time::Duration;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use futures_util::StreamExt;
use http::Response;
use mcp_authz_core::effect::Why;
use mcp_authz_core::time::Monotonic;
use serde_json::Value;

use super::AuthSession;
use crate::exchange::{Exchange, ExchangeError};
use crate::ports::{AsyncBody, Body, Http, Listener};
use crate::reading::Incoming;
use crate::transport::{
    self, DroppedTool, Engine, Kind, Line, Memory, Settings, Sleep, Task, TransportError, block_on,
};

/// How long the end of a stream may follow its last message; the caller waits for it.
const A_MOMENT: Duration = Duration::from_millis(10);

struct OnThreads<H: Http, L: Listener>(AuthSession<H, L>);

/// A body whose futures block where they are polled.
struct Blocking(Incoming<Box<dyn Body>>);

impl AsyncBody for Blocking {
    async fn piece(&mut self, within: Duration) -> Result<Option<Bytes>, Why> {
        Body::piece(&mut self.0, within)
    }
}

impl<H: Http, L: Listener> Line for OnThreads<H, L> {
    type Body = Blocking;

    fn url(&self) -> &str {
        self.0.shared().config.mcp_url()
    }

    fn memory(&self) -> &Memory {
        &self.0.shared().memory
    }

    fn now(&self) -> Monotonic {
        self.0.shared().common.clock.mono()
    }

    fn open(
        &self,
        exchange: Exchange,
    ) -> impl Future<Output = Result<Response<Self::Body>, ExchangeError>> + Send {
        ready(self.0.open(exchange).map(|answer| answer.map(Blocking)))
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        Sleep::new(time)
    }

    async fn finish(&self, mut body: Self::Body) {
        let _or_it_is_closed = Body::piece(&mut body.0, A_MOMENT);
    }

    fn spawn(&self, task: Task) {
        let thread = thread::Builder::new().name("mcp-authz-transport".to_owned());
        // Without a thread the task is dropped, and whoever waits for it is told.
        let _dropped_with_the_error = thread.spawn(move || block_on(task));
    }
}

/// An MCP connection over an authorized session, whichever transport and revision the server speaks.
///
/// Clones are handles to the same connection, for as many threads as wish. Tokens are renewed, and a
/// person is asked where that is allowed, without a caller noticing; a session that the server forgot
/// is begun anew; a stream that breaks goes on where it broke, as far as the revision can do that
/// (TRANS). With HTTP+SSE one thread reads for all callers; a stream on which the server says nothing
/// keeps it for [`Bounds::idle`](crate::transport::Bounds::idle) after the connection was closed.
pub struct Transport<H: Http, L: Listener> {
    engine: Arc<Engine<OnThreads<H, L>>>,
}

impl<H: Http, L: Listener> Clone for Transport<H, L> {
    fn clone(&self) -> Self {
        Self { engine: Arc::clone(&self.engine) }
    }
}

impl<H: Http, L: Listener> fmt::Debug for Transport<H, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("kind", &self.kind())
            .field("protocol_version", &self.protocol_version())
            .finish_non_exhaustive()
    }
}

impl<H: Http, L: Listener> Transport<H, L> {
    /// Finds out what the server speaks and opens the connection: with `server/discover`, or with
    /// `initialize` and `notifications/initialized`. What was found out is remembered in the session,
    /// so that the next connection over it, or over a clone of it, need not ask (TRANS-29).
    ///
    /// # Errors
    /// [`TransportError`] says what to do.
    pub fn connect(session: AuthSession<H, L>, settings: Settings) -> Result<Self, TransportError> {
        Ok(Self { engine: block_on(Engine::connect(OnThreads(session), settings))? })
    }

    /// Asks for something and waits for the result. What the server sends meanwhile is not shown;
    /// what it asks meanwhile is declined, a `ping` apart, which is answered.
    ///
    /// # Errors
    /// [`TransportError`]; a JSON-RPC error is [`TransportError::Rpc`].
    pub fn call(&self, method: &str, params: Value) -> Result<Value, TransportError> {
        block_on(self.engine.call(method, params))
    }

    /// Asks for something and gives everything the server sends for it, notifications and requests
    /// included, ending with the response. It is sent when the first message is asked for, and
    /// cancelled if the iterator is dropped before its end. With HTTP+SSE only the response can be
    /// told to be for this request; the rest is what [`Transport::listen`] gives.
    #[must_use]
    pub fn request(&self, method: &str, params: Value) -> Messages {
        Messages(self.engine.request(method, params))
    }

    /// Tells the server something.
    ///
    /// # Errors
    /// [`TransportError`]; it was not taken.
    pub fn notify(&self, method: &str, params: Value) -> Result<(), TransportError> {
        block_on(self.engine.notify(method, params))
    }

    /// Answers a request that the server made, with a result or a JSON-RPC error object.
    ///
    /// # Errors
    /// [`TransportError::Unsupported`] in revisions without such requests (TRANS-03);
    /// [`TransportError::SessionLost`] if the session is gone in which it was asked.
    pub fn respond(&self, id: &Value, outcome: Result<Value, Value>) -> Result<(), TransportError> {
        block_on(self.engine.respond(id, outcome))
    }

    /// What the server sends for no request in particular; nothing if it offers no such stream, as
    /// in the modern revision, which has the request `subscriptions/listen` for that. It is taken up
    /// again when it breaks. With HTTP+SSE read it or drop it: what is left unread stops everything
    /// else on that connection, and a later call of this ends the earlier iterator.
    ///
    /// # Errors
    /// [`TransportError`], also within the iterator.
    pub fn listen(&self) -> Result<Option<Messages>, TransportError> {
        Ok(block_on(self.engine.listen())?.map(Messages))
    }

    /// Ends the connection for every handle; what is under way goes on, but with HTTP+SSE is lost with
    /// its stream. No person is asked for it (TRANS-21), and a server that ends no sessions is none the worse. Without it the server keeps the
    /// session until it forgets it.
    ///
    /// # Errors
    /// [`TransportError`]: the server may keep the session until it forgets it. It is closed all the
    /// same.
    pub fn close(&self) -> Result<(), TransportError> {
        block_on(self.engine.close())
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

/// What the server sends, message by message. An error is the last item.
pub struct Messages(transport::Messages);

impl Iterator for Messages {
    type Item = Result<Value, TransportError>;

    fn next(&mut self) -> Option<Self::Item> {
        block_on(self.0.next())
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Messages")
    }
}
