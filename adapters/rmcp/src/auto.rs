//! Streamable HTTP, and HTTP+SSE for servers that speak no other (TRANS-30).
//!
//! Which of the two it is shows at `initialize`: if that is answered with 400, 404 or 405, and not
//! by a server of the newest revision, the URL is asked for an event stream. A refusal for want of
//! authorization decides nothing: it is overcome first, on the wire it came on.

use core::fmt;
use std::pin::Pin;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mcp_authz_core::effect::Limits;
use mcp_authz_tokio::AuthSession;
use rmcp::RoleClient;
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransportConfig, StreamableHttpError,
};
use rmcp::transport::worker::{
    Worker, WorkerConfig, WorkerContext, WorkerQuitReason, WorkerSendRequest,
};
use rmcp::transport::{StreamableHttpClientTransport, Transport as _, WorkerTransport};
use tokio::task::JoinError;

use crate::http_sse::HttpSse;
use crate::streamable::{StreamableHttp, leaves_open};
use crate::{Error, at};

type Failed = StreamableHttpError<Error>;
type Sending = Pin<Box<dyn Future<Output = Result<(), Failed>> + Send>>;

/// An rmcp transport that finds out what the server speaks.
///
/// Serve it as it is, or with rmcp's `Auto` lifecycle to try the newest revision first.
pub struct Auto {
    client: StreamableHttp,
    config: StreamableHttpClientTransportConfig,
}

impl Auto {
    /// A transport to the session's server; the configuration's own URL is not looked at.
    #[must_use]
    pub fn new(session: AuthSession, config: Option<StreamableHttpClientTransportConfig>) -> Self {
        let config = at(session.mcp_url(), config);
        Self { client: StreamableHttp::new(session).probing(), config }
    }

    /// Sets whether a person may be bothered; the default is yes. A session's end bothers nobody.
    #[must_use]
    pub fn may_ask(self, may_ask: bool) -> Self {
        Self { client: self.client.may_ask(may_ask), ..self }
    }

    /// Other limits on a request and the head of its answer than [`limits`].
    ///
    /// [`limits`]: mcp_authz_driver::exchange::limits
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { client: self.client.limits(limits), ..self }
    }
}

/// The configuration may hold what is nobody's to see.
impl fmt::Debug for Auto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auto")
    }
}

/// The wire in use.
enum Inner {
    Streamable(StreamableHttpClientTransport<StreamableHttp>),
    HttpSse(WorkerTransport<HttpSse>),
}

impl Inner {
    fn send(&mut self, message: ClientJsonRpcMessage) -> Sending {
        match self {
            Self::Streamable(transport) => Box::pin(transport.send(message)),
            Self::HttpSse(transport) => {
                let sending = transport.send(message);
                Box::pin(async move { sending.await.map_err(Failed::Client) })
            }
        }
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        match self {
            Self::Streamable(transport) => transport.receive().await,
            Self::HttpSse(transport) => transport.receive().await,
        }
    }

    /// Ends the session, if there is one.
    async fn close(&mut self) {
        // A caller that closes the session is done with it, so an error of the end is dropped.
        match self {
            Self::Streamable(transport) => drop(transport.close().await),
            Self::HttpSse(transport) => drop(transport.close().await),
        }
    }
}

impl Auto {
    /// Sends `initialize`, and decides.
    async fn initialize(
        &self,
        inner: &mut Inner,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Failed> {
        let Err(refused) = inner.send(message.clone()).await else { return Ok(()) };
        let open = matches!(&refused, Failed::Client(Error::Status { status, .. }) if leaves_open(*status));
        if !open || !matches!(inner, Inner::Streamable(_)) {
            return Err(refused);
        }
        let wire = self.client.wire();
        let older = HttpSse::over(wire, self.config.max_sse_event_size);
        let mut older = Inner::HttpSse(WorkerTransport::spawn(older));
        match older.send(message).await {
            Ok(()) => {
                *inner = older;
                Ok(())
            }
            // It speaks neither, and the first answer says more about that.
            Err(Failed::Client(Error::NoEndpoint | Error::Status { .. })) => Err(refused),
            Err(error) => Err(error),
        }
    }

    async fn pump(
        &self,
        inner: &mut Inner,
        context: &mut WorkerContext<Self>,
    ) -> WorkerQuitReason<Failed> {
        let mut sending = FuturesUnordered::new();
        let handler = context.to_handler_tx.clone();
        // The message that waits for room at the handler. The handler may itself wait for something
        // to be sent.
        let mut waiting = None;
        loop {
            let message = tokio::select! {
                           Some(()) = sending.next() => continue,
                           next = context.recv_from_handler() => {
                               let WorkerSendRequest { message, responder, .. } = match next {
                                   Ok(next) => next,
                                   Err(gone) => return gone,
                               };
                               if is_initialize(&message) {
                                   let _nobody_waits = responder.send(self.initialize(inner, message).await);
                               } else {
                                   let sent = inner.send(message);
                                   sending.push(async move {
                                       let _nobody_waits = responder.send(sent.await);
                                   });
                               }
                               continue;
                           }
                           room = handler.reserve(), if waiting.is_some() => {
                               let Ok(room) = room else { return WorkerQuitReason::HandlerTerminated };
                               if let Some(message) = waiting.take() {
            room.send(message);
            }
                               continue;
                           }
                           message = inner.receive(), if waiting.is_none() => message,
                       };
            let Some(message) = message else {
                // The stream ended with the error of a message that was sent; its sender is still
                // to hear it.
                while sending.next().await.is_some() {}
                return WorkerQuitReason::TransportClosed;
            };
            waiting = Some(message);
        }
    }
}

const fn is_initialize(message: &ClientJsonRpcMessage) -> bool {
    matches!(
        message,
        ClientJsonRpcMessage::Request(request)
            if matches!(request.request, ClientRequest::InitializeRequest(_))
    )
}

impl Worker for Auto {
    type Error = Failed;
    type Role = RoleClient;

    fn err_closed() -> Failed {
        Failed::TransportChannelClosed
    }

    fn err_join(error: JoinError) -> Failed {
        Failed::TokioJoinError(error)
    }

    fn config(&self) -> WorkerConfig {
        let mut config = WorkerConfig::default();
        config.name = Some("Auto".to_owned());
        config.channel_buffer_capacity = self.config.channel_buffer_capacity;
        config
    }

    async fn run(self, mut context: WorkerContext<Self>) -> Result<(), WorkerQuitReason<Failed>> {
        let cancelled = context.cancellation_token.clone();
        let (client, config) = (self.client.clone(), self.config.clone());
        let mut inner =
            Inner::Streamable(StreamableHttpClientTransport::with_client(client, config));
        let quit = tokio::select! {
            () = cancelled.cancelled() => WorkerQuitReason::Cancelled,
            quit = self.pump(&mut inner, &mut context) => quit,
        };
        inner.close().await;
        Err(quit)
    }
}
