//! [`Transport`]: an MCP connection, for tasks and for threads.

use core::fmt;
use core::future::Future;
use core::time::Duration;
use std::sync::Arc;

use http::Response;
use serde_json::Value;

use super::engine::Engine;
use super::era::Memory;
use super::error::TransportError;
use super::line::{Line, Task};
use super::mirror::DroppedTool;
use super::settings::{Kind, Settings};
use super::tools::{Tool, ToolResult};
use crate::clock::Clock;
use crate::exchange::{Exchange, ExchangeError};
use crate::faces::faces;
use crate::loops::Loop;
use crate::manager::AuthorizationManager;
use crate::parked::block_on;
#[cfg(feature = "async")]
use crate::ports::{AsyncHttp, AsyncListener, Runtime};
use crate::ports::{Http, Listener};
use crate::session::AuthSession;
use crate::session::engine::{self, Waited};
#[cfg(feature = "async")]
use crate::tasks::Tasks;
use crate::threads::Threads;

/// A session as the engine of a connection needs it.
pub(crate) struct Over<S: Loop>(pub(crate) AuthSession<S>);

impl<S: Loop> Line for Over<S> {
    type Body = Waited<S>;

    fn url(&self) -> &str {
        self.0.mcp_url()
    }

    fn memory(&self) -> &Memory {
        &self.0.shared().kept().memory
    }

    fn clock(&self) -> &dyn Clock {
        self.0.shared().kept().clock()
    }

    async fn open(&self, exchange: Exchange) -> Result<Response<Waited<S>>, ExchangeError> {
        let answer = engine::open(self.0.shared(), None, exchange).await?;
        Ok(answer.map(Waited))
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        self.0.shared().sleep(time)
    }

    async fn finish(&self, body: Waited<S>) {
        self.0.shared().finish(body.0).await;
    }

    fn spawn(&self, task: Task) {
        self.0.shared().spawn(task);
    }
}

/// An MCP connection over an authorized session, whichever transport and revision the server speaks.
///
/// Clones are handles to the same connection, for as many tasks or threads as wish. Tokens are
/// renewed, and a person is asked where that is allowed, without a caller noticing; a session that the
/// server forgot is begun anew; a stream that breaks goes on where it broke, as far as the revision
/// can do that (TRANS). With HTTP+SSE one thread reads for all the threads that call; a stream on
/// which the server says nothing keeps it for [`Bounds::idle`](super::Bounds::idle) after the
/// connection was closed.
pub struct Transport<S: Loop> {
    engine: Arc<Engine<Over<S>>>,
}

impl<S: Loop> Clone for Transport<S> {
    fn clone(&self) -> Self {
        Self { engine: Arc::clone(&self.engine) }
    }
}

impl<S: Loop> fmt::Debug for Transport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("kind", &self.kind())
            .field("protocol_version", &self.protocol_version())
            .finish_non_exhaustive()
    }
}

impl<S: Loop> Transport<S> {
    /// Asks for something and gives everything the server sends for it, notifications and requests
    /// included, ending with the response. It is sent when the first message is asked for, and
    /// cancelled if it is dropped before its end. With HTTP+SSE only the response can be told to be
    /// for this request; the rest is what [`Transport::listen`] gives.
    #[must_use]
    pub fn request(&self, method: &str, params: Value) -> S::Messages {
        self.engine.request(method, params, self.engine.settings.may_ask).into()
    }

    /// The same as [`Transport::request`], for which a person may be asked (or not) whatever the
    /// settings of the connection say: for a program that asks at moments of its own choice. If the
    /// server wants a login, the session shows its page for this request alone.
    #[must_use]
    pub fn request_asking(&self, method: &str, params: Value, may_ask: bool) -> S::Messages {
        self.engine.request(method, params, may_ask).into()
    }

    /// How often the connection was opened: once at first, and once more for each session that the
    /// server forgot. A new session knows nothing of the subscriptions and the log level of the one
    /// before it.
    #[must_use]
    pub fn openings(&self) -> u64 {
        self.engine.link().number
    }

    /// The session whose tokens the connection uses, to log out or to look at the grant.
    #[must_use]
    pub fn session(&self) -> AuthSession<S> {
        self.engine.line.0.clone()
    }

    /// The server's words about itself: the result of `initialize` or `server/discover`. Null for a
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

faces! { Transport {
    /// Finds out what the server speaks and opens the connection: with `server/discover`, or with
    /// `initialize` and `notifications/initialized`. The session remembers what was found out, so
    /// that the next connection over it, or over a clone of it, need not ask (TRANS-29).
    ///
    /// # Errors
    /// [`TransportError`] says what to do.
    fn connect [session: AuthSession] (settings: Settings) -> Result<Self, TransportError> {
        connect(session, settings)
    }

    /// Asks for something and waits for the result. Messages that the server sends meanwhile are
    /// not shown; requests that it sends meanwhile are declined, except a `ping`, which is
    /// answered. A future that is dropped before its end cancels the request.
    ///
    /// # Errors
    /// [`TransportError`]; a JSON-RPC error is [`TransportError::Rpc`].
    fn call(&self, method: &str, params: Value) -> Result<Value, TransportError> {
        self.engine.call(method, params)
    }

    /// The tools that the server offers, from all pages of its list. Those that break the rules of
    /// parameters are left out ([`Transport::dropped_tools`]).
    ///
    /// # Errors
    /// [`TransportError`]; [`TransportError::Malformed`] if the list never ends.
    fn list_tools(&self) -> Result<Vec<Tool>, TransportError> {
        self.engine.tools()
    }

    /// Calls a tool with these arguments: a JSON object, or null for none. A tool that failed says so in
    /// its result ([`ToolResult::is_error`]).
    ///
    /// # Errors
    /// [`TransportError`]; a JSON-RPC error, such as for an unknown tool, is [`TransportError::Rpc`].
    fn call_tool(&self, name: &str, arguments: Value) -> Result<ToolResult, TransportError> {
        self.engine.call_tool(name, arguments)
    }

    /// Tells the server something.
    ///
    /// # Errors
    /// [`TransportError`]; it was not taken.
    fn notify(&self, method: &str, params: Value) -> Result<(), TransportError> {
        self.engine.notify(method, params)
    }

    /// Answers a request that the server made, with a result or a JSON-RPC error object.
    ///
    /// # Errors
    /// [`TransportError::Unsupported`] in revisions without such requests (TRANS-03);
    /// [`TransportError::SessionLost`] if the session is gone in which it was asked.
    fn respond(&self, id: &Value, outcome: Result<Value, Value>) -> Result<(), TransportError> {
        self.engine.respond(id, outcome)
    }

    /// The server's messages that belong to no request; nothing if it offers no such stream. The
    /// modern revision offers none; it has the request `subscriptions/listen` for that. The stream
    /// is taken up again when it breaks. With HTTP+SSE read it or drop it: a message that is left
    /// unread stops everything else on that connection, and a later call of this ends the earlier
    /// one.
    ///
    /// # Errors
    /// [`TransportError`], also among the messages.
    fn listen(&self) -> Result<Option<M>, TransportError> {
        listen(self)
    }

    /// Ends the connection for every handle; what is under way goes on, but with HTTP+SSE is lost with
    /// its stream. No person is asked for it (TRANS-21), and a server that ends no sessions is none the
    /// worse. Without it the server keeps the session until it forgets it.
    ///
    /// # Errors
    /// [`TransportError`]: the server may keep the session until it forgets it. It is closed all the
    /// same.
    fn close(&self) -> Result<(), TransportError> {
        self.engine.close()
    }
}}

pub(crate) async fn connect<S: Loop>(
    session: AuthSession<S>,
    settings: Settings,
) -> Result<Transport<S>, TransportError> {
    Ok(Transport { engine: Engine::connect(Over(session), settings).await? })
}

async fn listen<S: Loop>(transport: &Transport<S>) -> Result<Option<S::Messages>, TransportError> {
    Ok(transport.engine.listen().await?.map(S::Messages::from))
}

#[cfg(feature = "async")]
impl<H: AsyncHttp, L: AsyncListener, R: Runtime> AuthorizationManager<Tasks<H, L, R>> {
    /// Opens an MCP connection; see [`Transport::connect`]. If it needs a login, the manager's own person
    /// is asked, if the settings let it; without one that fails with `reauthorization_required`.
    ///
    /// # Errors
    /// [`TransportError`] says what to do.
    pub async fn connect(
        &self,
        settings: Settings,
    ) -> Result<Transport<Tasks<H, L, R>>, TransportError> {
        connect(self.session(), self.settings(settings)).await
    }
}

impl<H: Http, L: Listener> AuthorizationManager<Threads<H, L>> {
    /// Opens an MCP connection; see [`Transport::connect`]. If it needs a login, the manager's own person
    /// is asked, if the settings let it; without one that fails with `reauthorization_required`.
    ///
    /// # Errors
    /// [`TransportError`] says what to do.
    pub fn connect(&self, settings: Settings) -> Result<Transport<Threads<H, L>>, TransportError> {
        block_on(connect(self.session(), self.settings(settings)))
    }
}
