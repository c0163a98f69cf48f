//! HTTP+SSE of 2024-11-05: messages are posted to an endpoint that a stream has named, everything
//! the server says comes on that stream (TRANS-30 to TRANS-33).
//!
//! The wire is [`mcp_authz_tokio::HttpSse`]; here is what makes an rmcp transport of it.

use core::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use mcp_authz_core::effect::Limits;
use mcp_authz_core::failure::Kind;
use mcp_authz_driver::exchange::ExchangeError;
use mcp_authz_driver::transport::{Bounds, Settings, TransportError};
use mcp_authz_tokio::AuthSession;
use rmcp::RoleClient;
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::worker::{
    Worker, WorkerConfig, WorkerContext, WorkerQuitReason, WorkerSendRequest,
};
use tokio::task::JoinError;

use crate::Error;
use crate::wire::Wire;

/// The largest event, unless said.
const LARGEST_EVENT: usize = 16 * 1024 * 1024;
/// Most messages on their way at a time; one may wait for a person.
const MOST_AT_ONCE: usize = 16;

/// An rmcp transport over HTTP+SSE, with the session's token on the stream and on every message.
///
/// ```no_run
/// # use rmcp::ServiceExt as _;
/// # async fn serve(session: mcp_authz_tokio::AuthSession) -> Result<(), Box<dyn std::error::Error>> {
/// let transport = mcp_authz_rmcp::HttpSse::new(session);
/// let service = rmcp::model::ClientConfig::default().serve(transport).await?;
/// # Ok(())
/// # }
/// ```
///
/// The stream, at the session's own URL, is opened with the first message. When it ends the transport
/// ends: this wire resumes nothing.
#[derive(Clone, Debug)]
pub struct HttpSse {
    wire: Wire,
    largest: usize,
}

impl HttpSse {
    /// A transport to the session's server.
    #[must_use]
    pub fn new(session: AuthSession) -> Self {
        Self::over(Wire::new(session), LARGEST_EVENT)
    }

    pub(crate) const fn over(wire: Wire, largest: usize) -> Self {
        Self { wire, largest }
    }

    /// Sets whether a person may be bothered; the default is yes.
    #[must_use]
    pub const fn may_ask(mut self, may_ask: bool) -> Self {
        self.wire.may_ask = may_ask;
        self
    }

    /// Other limits on a request and the head of its answer than [`limits`].
    ///
    /// [`limits`]: mcp_authz_driver::exchange::limits
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.wire.limits = limits;
        self
    }

    /// The largest event that is taken, in bytes.
    #[must_use]
    pub const fn max_event_size(mut self, bytes: usize) -> Self {
        self.largest = bytes;
        self
    }

    /// Opens the stream and waits for its endpoint.
    async fn connect(&self) -> Result<mcp_authz_tokio::HttpSse, Error> {
        let Wire { session, may_ask, limits } = &self.wire;
        // However long the server has nothing to say, rmcp waits for it.
        let idle = Duration::MAX;
        let bounds = Bounds { event: self.largest, head: limits.total, idle, ..Bounds::default() };
        // The name and the version are rmcp's to say.
        let settings =
            Settings::new("", "").may_ask(*may_ask).bounds(bounds).limits(limits.clone());
        let opened = mcp_authz_tokio::HttpSse::open(session.clone(), settings).await;
        opened.map_err(|error| match error {
            TransportError::Malformed(_) => Error::NoEndpoint,
            error => told(error),
        })
    }
}

/// Posts a message, and tells whoever sent it what came of that.
fn deliver(
    stream: &mcp_authz_tokio::HttpSse,
    request: WorkerSendRequest<HttpSse>,
) -> impl Future<Output = ()> + Send + use<> {
    // Only a message that the program made up by hand cannot be written.
    let posted = serde_json::to_value::<ClientJsonRpcMessage>(request.message)
        .map(|message| stream.send(message).map(|sent| sent.map_err(told)));
    async move {
        let sent = match posted {
            Ok(posted) => posted.await,
            Err(_) => Err(Error::failed(Kind::ConfigInvalid, "TRANS-03")),
        };
        let _nobody_waits = request.responder.send(sent);
    }
}

/// The same error as the other wires tell it.
fn told(error: TransportError) -> Error {
    match error {
        TransportError::Authorization(failure) => Error::Failed(failure),
        TransportError::Drive(error) => Error::Exchange(ExchangeError::Drive(error)),
        TransportError::Lost { why, maybe_executed } => {
            Error::Exchange(ExchangeError::Lost { why, sent: maybe_executed })
        }
        TransportError::Status { status, said } => Error::Status { status, said },
        TransportError::Endpoint => Error::failed(Kind::OriginMismatch, "TRANS-33"),
        TransportError::TooLarge => Error::failed(Kind::LimitExceeded, "HOST-262"),
        TransportError::Invalid(_) => Error::failed(Kind::ConfigInvalid, "TRANS-01"),
        // The server does not know the stream any more, and there is no other on this transport.
        _ => Error::Closed,
    }
}

impl Worker for HttpSse {
    type Error = Error;
    type Role = RoleClient;

    fn err_closed() -> Error {
        Error::Closed
    }

    fn err_join(error: JoinError) -> Error {
        Error::Join(error)
    }

    fn config(&self) -> WorkerConfig {
        let mut config = WorkerConfig::default();
        config.name = Some("HttpSse".to_owned());
        config
    }

    async fn run(self, mut context: WorkerContext<Self>) -> Result<(), WorkerQuitReason<Error>> {
        let cancelled = context.cancellation_token.clone();
        let opened = async {
            let first = context.recv_from_handler().await?;
            Ok::<_, WorkerQuitReason<Error>>((self.connect().await, first))
        };
        let (connected, first) = tokio::select! {
            () = cancelled.cancelled() => return Err(WorkerQuitReason::Cancelled),
            opened = opened => opened?,
        };
        let mut stream = match connected {
            Ok(stream) => stream,
            Err(error) => {
                let context = error.to_string();
                let _nobody_waits = first.responder.send(Err(error));
                return Err(WorkerQuitReason::fatal(Error::Closed, context));
            }
        };
        let mut posts = FuturesUnordered::new();
        posts.push(deliver(&stream, first));
        let handler = context.to_handler_tx.clone();
        // The message that waits for room at the handler. The handler may itself wait for one of
        // the posts.
        let mut waiting = None;
        loop {
            let message = tokio::select! {
                           () = cancelled.cancelled() => return Err(WorkerQuitReason::Cancelled),
                           Some(()) = posts.next() => continue,
                           next = context.recv_from_handler(), if posts.len() < MOST_AT_ONCE => {
                               posts.push(deliver(&stream, next?));
                               continue;
                           }
                           room = handler.reserve(), if waiting.is_some() => {
                               let room = room.map_err(|_| WorkerQuitReason::HandlerTerminated)?;
                               if let Some(message) = waiting.take() {
            room.send(message);
            }
                               continue;
                           }
                           message = stream.next(), if waiting.is_none() => message,
                       };
            let message = match message {
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    return Err(WorkerQuitReason::fatal(told(error), "reading the stream"));
                }
                None => return Err(WorkerQuitReason::TransportClosed),
            };
            // Text that is no message is skipped: there is nobody to be told of it.
            waiting = serde_json::from_value(message).ok();
        }
    }
}
