//! HTTP+SSE of 2024-11-05: messages are posted to an endpoint that a stream has named, everything
//! the server says comes on that stream (TRANS-30 to TRANS-33).
//!
//! The endpoint decides where the token goes, and it is the server's to name: it must be of the
//! stream's own origin, and the session's token area stands above it.

use core::time::Duration;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::Request;
use mcp_authz_core::effect::Limits;
use mcp_authz_core::failure::{Failure, Kind};
use mcp_authz_driver::ports::AsyncBody as _;
use mcp_authz_tokio::AuthSession;
use rmcp::RoleClient;
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::worker::{
    Worker, WorkerConfig, WorkerContext, WorkerQuitReason, WorkerSendRequest,
};
use tokio::task::JoinError;
use url::Url;

use crate::Error;
use crate::events::Events;
use crate::wire::{self, EVENT_STREAM, Wire};

/// The largest event, unless said.
const LARGEST_EVENT: usize = 16 * 1024 * 1024;
/// The longest endpoint.
const LONGEST_ENDPOINT: usize = 8 * 1024;
/// How long the stream may take to name its endpoint.
const FIRST_EVENT: Duration = Duration::from_secs(30);
/// Most messages on their way at a time; one may wait for a person.
const MOST_AT_ONCE: usize = 16;
/// How long the end of an answer without a body is waited for, to keep its connection.
const LINGER: Duration = Duration::from_millis(100);
/// What an answer whose body nobody reads may announce.
const LARGEST_ANSWER: usize = 64 * 1024;

/// An rmcp transport over HTTP+SSE, with the session's token on the stream and on every message.
///
/// ```no_run
/// # use rmcp::ServiceExt as _;
/// # async fn serve(session: mcp_authz_tokio::AuthSession) -> Result<(), Box<dyn std::error::Error>> {
/// let transport = mcp_authz_rmcp::HttpSse::new("https://mcp.example/sse", session);
/// let service = rmcp::model::ClientConfig::default().serve(transport).await?;
/// # Ok(())
/// # }
/// ```
///
/// The stream is opened with the first message. When it ends the transport ends: this wire resumes
/// nothing.
#[derive(Clone, Debug)]
pub struct HttpSse {
    url: Arc<str>,
    wire: Wire,
    largest: usize,
}

impl HttpSse {
    /// A transport to the stream at this URL.
    #[must_use]
    pub fn new(url: &str, session: AuthSession) -> Self {
        Self::over(url.into(), Wire::new(session), LARGEST_EVENT)
    }

    pub(crate) const fn over(url: Arc<str>, wire: Wire, largest: usize) -> Self {
        Self { url, wire, largest }
    }

    /// Whether a person may be bothered; they may unless said.
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
    async fn connect(&self) -> Result<(Arc<str>, Events), Error> {
        let answer = self.wire.open(wire::get(&self.url)?, None, true, self.largest).await?;
        let (head, body) = answer.into_parts();
        if !head.status.is_success() {
            return Err(Error::Status(head.status));
        }
        if !wire::is(&head.headers, EVENT_STREAM) {
            return Err(Error::NoEndpoint);
        }
        let mut events = Events::new(body, self.largest);
        let first = tokio::time::timeout(FIRST_EVENT, events.next()).await;
        match first.map_err(|_| Error::NoEndpoint)?.ok_or(Error::NoEndpoint)? {
            Ok(event) if event.event.as_deref() == Some("endpoint") => {
                let named = event.data.unwrap_or_default();
                Ok((endpoint(&self.url, &named)?, events))
            }
            Ok(_) => Err(Error::NoEndpoint),
            Err(error) => Err(error),
        }
    }

    async fn send(&self, endpoint: &str, message: &ClientJsonRpcMessage) -> Result<(), Error> {
        let request: Request<Vec<u8>> = wire::post(endpoint, message)?;
        let operation = wire::operation(message);
        let answer = self.wire.open(request, operation.as_deref(), true, LARGEST_ANSWER).await?;
        let (head, mut body) = answer.into_parts();
        if !head.status.is_success() {
            return Err(Error::Status(head.status));
        }
        let _whatever_it_says = body.piece(LINGER).await;
        Ok(())
    }

    async fn deliver(&self, endpoint: Arc<str>, request: WorkerSendRequest<Self>) {
        let sent = self.send(&endpoint, &request.message).await;
        let _nobody_waits = request.responder.send(sent);
    }
}

/// Where messages go: of the stream's own origin, or nothing is sent there (TRANS-33, HOST-261).
fn endpoint(stream: &str, named: &str) -> Result<Arc<str>, Error> {
    let mismatch = || {
        let failure = Failure::new(Kind::OriginMismatch, "TRANS-33").with_subject(named);
        Error::Failed(Arc::new(failure))
    };
    if named.len() > LONGEST_ENDPOINT {
        return Err(Error::failed(Kind::UrlTooLong, "TRANS-33"));
    }
    let stream = Url::parse(stream).map_err(|_| mismatch())?;
    let mut endpoint = stream.join(named.trim()).map_err(|_| mismatch())?;
    let same = endpoint.origin().is_tuple() && endpoint.origin() == stream.origin();
    if !same || !endpoint.username().is_empty() || endpoint.password().is_some() {
        return Err(mismatch());
    }
    endpoint.set_fragment(None);
    Ok(String::from(endpoint).into())
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
        let (endpoint, mut events) = match connected {
            Ok(connected) => connected,
            Err(error) => {
                let context = error.to_string();
                let _nobody_waits = first.responder.send(Err(error));
                return Err(WorkerQuitReason::fatal(Error::Closed, context));
            }
        };
        let mut posts = FuturesUnordered::new();
        posts.push(self.deliver(Arc::clone(&endpoint), first));
        loop {
            let event = tokio::select! {
                () = cancelled.cancelled() => return Err(WorkerQuitReason::Cancelled),
                Some(()) = posts.next() => continue,
                next = context.recv_from_handler(), if posts.len() < MOST_AT_ONCE => {
                    posts.push(self.deliver(Arc::clone(&endpoint), next?));
                    continue;
                }
                event = events.next() => event,
            };
            let event = match event {
                Some(Ok(event)) => event,
                Some(Err(error)) => {
                    return Err(WorkerQuitReason::fatal(error, "reading the stream"));
                }
                None => return Err(WorkerQuitReason::TransportClosed),
            };
            // The endpoint is named once; later ones name nothing.
            if event.event.is_some() {
                continue;
            }
            let message = event.data.and_then(|data| serde_json::from_str(&data).ok());
            if let Some(message) = message {
                tokio::select! {
                    () = cancelled.cancelled() => return Err(WorkerQuitReason::Cancelled),
                    handed = context.send_to_handler(message) => handed?,
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "http_sse/tests.rs"]
mod tests;
