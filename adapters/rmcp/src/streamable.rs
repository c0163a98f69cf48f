//! Streamable HTTP: what rmcp's transport asks of an HTTP client, done with the session.
//!
//! rmcp keeps the MCP session and its streams, decides what is sent when, and reads the messages;
//! here is what stands between, and nothing of OAuth. Sections TRANS-01 to TRANS-28.

use core::time::Duration;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::BoxStream;
use http::header::RETRY_AFTER;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use mcp_authz_core::effect::{Limits, Why};
use mcp_authz_core::failure::{Kind, Remedy};
use mcp_authz_driver::clock::System;
use mcp_authz_driver::exchange::ExchangeError;
use mcp_authz_driver::reading::whole_async;
use mcp_authz_driver::transport::codes::{NO_METHOD, NO_SESSION, only_modern};
use mcp_authz_driver::transport::{fits, words};
use mcp_authz_tokio::AuthSession;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorData, RequestId,
    ServerJsonRpcMessage,
};
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, HttpStatusError, SseError, StreamableHttpClient, StreamableHttpError,
    StreamableHttpPostResponse, StreamableHttpResponseLimits,
};
use sse_stream::Sse;

use crate::Error;
use crate::doubt::Doubt;
use crate::events::{Body, Events};
use crate::pace::Pace;
use crate::wire::{self, EVENT_STREAM, JSON, Wire};

type Failed = StreamableHttpError<Error>;
type Answered = Result<StreamableHttpPostResponse, Failed>;
type Headers = HashMap<HeaderName, HeaderValue>;
type Stream = BoxStream<'static, Result<Sse, SseError>>;

/// An HTTP client for rmcp's [`StreamableHttpClientTransport`] that sends with a session's token.
///
/// One client may serve any number of transports, all of them to the session's own server: to any
/// other URL nothing is sent (`origin_mismatch`).
///
/// [`StreamableHttpClientTransport`]: rmcp::transport::StreamableHttpClientTransport
#[derive(Clone, Debug)]
pub struct StreamableHttp {
    wire: Wire,
    pace: Pace,
    doubt: Doubt,
    /// True if `initialize` also finds out whether this is the right wire.
    probing: bool,
}

impl StreamableHttp {
    /// Sends with this session's token.
    #[must_use]
    pub fn new(session: AuthSession) -> Self {
        Self {
            wire: Wire::new(session),
            pace: Pace::default(),
            doubt: Doubt::default(),
            probing: false,
        }
    }

    /// Sets whether a person may be bothered; the default is yes. A session's end bothers nobody.
    #[must_use]
    pub const fn may_ask(mut self, may_ask: bool) -> Self {
        self.wire.may_ask = may_ask;
        self
    }

    /// Other limits on a request and the head of its answer than [`limits`]. The limit on a body is
    /// in rmcp's configuration of the transport.
    ///
    /// [`limits`]: mcp_authz_driver::exchange::limits
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.wire.limits = limits;
        self
    }

    #[cfg(feature = "http-sse")]
    pub(crate) const fn probing(mut self) -> Self {
        self.probing = true;
        self
    }

    #[cfg(feature = "http-sse")]
    pub(crate) fn wire(&self) -> Wire {
        self.wire.clone()
    }

    async fn post(
        &self,
        url: &str,
        message: &ClientJsonRpcMessage,
        session_id: Option<&str>,
        custom: Headers,
        limits: StreamableHttpResponseLimits,
    ) -> Answered {
        let mut request = wire::post(url, message).map_err(Failed::Client)?;
        wire::dress(request.headers_mut(), session_id, custom)
            .map_err(Failed::ReservedHeaderConflict)?;
        let largest = limits.max_json_response_size.max(limits.max_error_response_size);
        let operation = wire::operation(message);
        let may_ask = !wire::is_courtesy(message);
        let answer = self.wire.open(request, operation.as_deref(), may_ask, largest).await;
        let answer = answer.map_err(|error| Failed::Client(undiscovered(message, error)))?;
        let (head, body) = answer.into_parts();
        let posted = Posted { message, session_id, limits, within: self.wire.limits.total };
        match head.status {
            StatusCode::ACCEPTED | StatusCode::NO_CONTENT => {
                Ok(StreamableHttpPostResponse::Accepted)
            }
            status if session_id.is_some() && is_gone(status) => Err(Failed::SessionExpired),
            status if status.is_success() => {
                if posted.asks().is_some() && session_id.is_some() {
                    self.doubt.ends();
                }
                posted.read(&head.headers, body).await
            }
            _ => posted.refused(head, body, self).await,
        }
    }

    async fn stream(
        &self,
        url: &str,
        session_id: Option<&str>,
        last_event_id: Option<&str>,
        custom: Headers,
        largest: usize,
    ) -> Result<Stream, Failed> {
        let mut request = wire::get(url).map_err(Failed::Client)?;
        wire::dress(request.headers_mut(), session_id, custom)
            .map_err(Failed::ReservedHeaderConflict)?;
        if let Some(id) = last_event_id {
            wire::resume(request.headers_mut(), id).map_err(Failed::ReservedHeaderConflict)?;
        }
        let pause = self.pace.wait(session_id, last_event_id, Instant::now());
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let answer = self.wire.open(request, None, true, largest).await.map_err(hopeless)?;
        let (head, body) = answer.into_parts();
        match head.status {
            StatusCode::METHOD_NOT_ALLOWED => Err(Failed::ServerDoesNotSupportSse),
            status if session_id.is_some() && is_gone(status) => Err(Failed::SessionExpired),
            status if !status.is_success() => Err(status_error(status, &head.headers)
                .unwrap_or(Failed::Client(Error::Status { status, said: None }))),
            _ if wire::is(&head.headers, EVENT_STREAM) => Ok(Events::new(body, largest).boxed()),
            _ => Err(unexpected_type(&head.headers)),
        }
    }

    /// A goodbye that is refused, or that there is nobody to hear, is as good as one that was heard
    /// (TRANS-21).
    async fn end(&self, url: &str, session_id: &str, custom: Headers) -> Result<(), Failed> {
        let mut request = wire::request(Method::DELETE, url, Vec::new()).map_err(Failed::Client)?;
        wire::dress(request.headers_mut(), Some(session_id), custom)
            .map_err(Failed::ReservedHeaderConflict)?;
        let largest = StreamableHttpResponseLimits::default().max_error_response_size;
        let answer = self.wire.open(request, None, false, largest).await;
        match answer.map_err(Failed::Client)?.status() {
            status if status.is_success() || is_gone(status) => Ok(()),
            StatusCode::METHOD_NOT_ALLOWED => Ok(()),
            status => Err(Failed::Client(Error::Status { status, said: None })),
        }
    }
}

/// A message that was posted, and how its answer is read.
struct Posted<'a> {
    message: &'a ClientJsonRpcMessage,
    session_id: Option<&'a str>,
    limits: StreamableHttpResponseLimits,
    within: Duration,
}

impl Posted<'_> {
    /// Notifications and responses await nothing, so whatever came is welcome (TRANS-05).
    const fn request_id(&self) -> Option<&RequestId> {
        match self.message {
            ClientJsonRpcMessage::Request(request) => Some(&request.id),
            _ => None,
        }
    }

    const fn asks(&self) -> Option<&ClientRequest> {
        match self.message {
            ClientJsonRpcMessage::Request(request) => Some(&request.request),
            _ => None,
        }
    }

    async fn whole(&self, body: Body) -> Result<Vec<u8>, Failed> {
        let limit = self.limits.max_json_response_size;
        let clock = System::new();
        let whole = whole_async(body, limit, self.within, Duration::MAX, &clock).await;
        whole.map_err(|why| match why {
            Why::BodyTooLarge => Failed::ResponseBodyTooLarge { max_size: limit },
            why => Failed::Client(Error::Broken(why)),
        })
    }

    /// The same of an answer in JSON, unless its values would take more than it may have bytes
    /// (HOST-322).
    async fn whole_json(&self, body: Body) -> Result<Vec<u8>, Failed> {
        let limit = self.limits.max_json_response_size;
        let body = self.whole(body).await?;
        if fits(&body, limit) {
            Ok(body)
        } else {
            Err(Failed::ResponseBodyTooLarge { max_size: limit })
        }
    }

    async fn read(&self, headers: &HeaderMap, body: Body) -> Answered {
        if self.request_id().is_none() && !wire::is(headers, EVENT_STREAM) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        let session_id = wire::session_id(headers).map_err(Failed::Client)?;
        if wire::is(headers, EVENT_STREAM) {
            let events = Events::new(body, self.limits.max_sse_event_size).boxed();
            return Ok(StreamableHttpPostResponse::Sse(events, session_id));
        }
        if !wire::is(headers, JSON) {
            return Err(unexpected_type(headers));
        }
        let body = self.whole_json(body).await?;
        Ok(StreamableHttpPostResponse::Json(serde_json::from_slice(&body)?, session_id))
    }

    /// An answer that is no success: an error of MCP is its caller's to hear, whatever the status.
    async fn refused(&self, head: Parts, body: Body, client: &StreamableHttp) -> Answered {
        let status = head.status;
        // An answer that came through the session with one of these is no matter of MCP.
        let authorization = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let json = wire::is(&head.headers, JSON);
        let readable = json && !authorization && status != StatusCode::TOO_MANY_REQUESTS;
        let body = if readable {
            self.whole_json(body).await?
        } else {
            self.whole(body).await.unwrap_or_default()
        };
        let error = if readable { error(&body) } else { None };
        if let Some(session) = self.session_id.filter(|_| !self.begins())
            && may_be_lost(status, error.as_ref())
            && client.doubt.counts(session)
        {
            return Err(Failed::SessionExpired);
        }
        if let Some(error) = status_error(status, &head.headers).filter(|_| error.is_none()) {
            return Err(error);
        }
        let said = words(&Response::from_parts(head, ()), &body);
        let failed = Failed::Client(Error::Status { status, said });
        match (self.asks(), error) {
            (Some(ClientRequest::InitializeRequest(_)), Some(error))
                if client.probing && names_no_wire(status, &error) =>
            {
                Err(failed)
            }
            (Some(_), Some(error)) => Ok(self.answer(error)),
            // A server that knows no discovery: rmcp goes on with `initialize`.
            (Some(ClientRequest::DiscoverRequest(_)), None)
                if self.session_id.is_none() && status.is_client_error() && !authorization =>
            {
                let text: Cow<'static, str> =
                    format!("server/discover was answered with {status}").into();
                Ok(self.answer(ErrorData::invalid_request(text, None)))
            }
            _ => Err(failed),
        }
    }

    /// Returns true if the message begins a session, in which nothing has worked yet.
    const fn begins(&self) -> bool {
        matches!(
            self.message,
            ClientJsonRpcMessage::Notification(told)
                if matches!(told.notification, ClientNotification::InitializedNotification(_))
        )
    }

    /// Servers that could not read a request name no identifier in their error; it answers this one
    /// all the same.
    fn answer(&self, error: ErrorData) -> StreamableHttpPostResponse {
        let message = ServerJsonRpcMessage::error(error, self.request_id().cloned());
        StreamableHttpPostResponse::Json(message, None)
    }
}

/// The error of MCP in a body.
fn error(body: &[u8]) -> Option<ErrorData> {
    match serde_json::from_slice(body) {
        Ok(ServerJsonRpcMessage::Error(error)) => Some(error.error),
        _ => None,
    }
}

/// Returns true if the status says that the session is gone.
const fn is_gone(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

/// Returns true if the answer may mean that the session is gone, in words that mean other things
/// too (TRANS-90).
fn may_be_lost(status: StatusCode, error: Option<&ErrorData>) -> bool {
    let about_the_caller = matches!(
        status,
        StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
    );
    match error {
        Some(error) => {
            i64::from(error.code.0) == NO_SESSION && status.is_client_error() && !about_the_caller
        }
        None => status == StatusCode::BAD_REQUEST,
    }
}

/// A server that lets nobody discover it may yet be spoken to as one of an older revision (TRANS-91).
fn undiscovered(message: &ClientJsonRpcMessage, error: Error) -> Error {
    const HINT: &str = "no token opens server/discover, as with servers of older revisions: serve with \
                        ClientLifecycleMode::Initialize";
    let discovers = matches!(
        message,
        ClientJsonRpcMessage::Request(request)
            if matches!(request.request, ClientRequest::DiscoverRequest(_))
    );
    match error {
        Error::Exchange(ExchangeError::Refused { failure, answer })
            if discovers
                && matches!(failure.kind(), Kind::UnauthorizedAfterRefresh | Kind::Forbidden) =>
        {
            let failure = Arc::unwrap_or_clone(failure);
            let failure = Arc::new(failure.with_remedy(Remedy::Configure).with_hint(HINT));
            Error::Exchange(ExchangeError::Refused { failure, answer })
        }
        error => error,
    }
}

/// Returns true if the answer to `initialize` leaves open that the server speaks HTTP+SSE
/// (TRANS-30).
fn names_no_wire(status: StatusCode, error: &ErrorData) -> bool {
    let modern = only_modern(error.code.0.into())
        || (status == StatusCode::NOT_FOUND && i64::from(error.code.0) == NO_METHOD);
    leaves_open(status) && !modern
}

/// Returns true if a server that does not speak Streamable HTTP may have answered so (TRANS-30).
pub(crate) const fn leaves_open(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
    )
}

/// The failures that rmcp has a name of its own for: the server is overloaded, or broken.
fn status_error(status: StatusCode, headers: &HeaderMap) -> Option<Failed> {
    if status != StatusCode::TOO_MANY_REQUESTS && !status.is_server_error() {
        return None;
    }
    let after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    Some(Failed::HttpStatus(HttpStatusError::new(status.as_u16(), after.map(str::to_owned))))
}

fn unexpected_type(headers: &HeaderMap) -> Failed {
    let named = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Failed::UnexpectedContentType(named.map(mcp_authz_core::failure::escaped))
}

/// A stream that no grant opens is not tried again: rmcp stops at this error alone.
fn hopeless(error: Error) -> Failed {
    let lost = matches!(error, Error::Broken(_) | Error::Exchange(ExchangeError::Lost { .. }));
    match error.failure().filter(|_| !lost) {
        Some(failure) if !matches!(failure.remedy(), Remedy::Retry { .. }) => {
            Failed::AuthRequired(AuthRequiredError::new(failure.to_string()))
        }
        _ => Failed::Client(error),
    }
}

/// The token is the session's to attach; another one beside it would let the server choose.
fn refuse(token: Option<String>) -> Result<(), Failed> {
    match token {
        None => Ok(()),
        Some(_) => Err(Failed::Client(Error::failed(Kind::ConfigInvalid, "HOST-259"))),
    }
}

impl StreamableHttpClient for StreamableHttp {
    type Error = Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: Headers,
    ) -> Answered {
        refuse(auth_header)?;
        let limits = StreamableHttpResponseLimits::default();
        self.post(&uri, &message, session_id.as_deref(), custom_headers, limits).await
    }

    async fn post_message_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: Headers,
        max_sse_event_size: usize,
    ) -> Answered {
        refuse(auth_header)?;
        let mut limits = StreamableHttpResponseLimits::default();
        limits.max_sse_event_size = max_sse_event_size;
        self.post(&uri, &message, session_id.as_deref(), custom_headers, limits).await
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: Headers,
        limits: StreamableHttpResponseLimits,
    ) -> Answered {
        refuse(auth_header)?;
        self.post(&uri, &message, session_id.as_deref(), custom_headers, limits).await
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        auth_header: Option<String>,
        custom_headers: Headers,
    ) -> Result<(), Failed> {
        refuse(auth_header)?;
        self.end(&uri, &session_id, custom_headers).await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: Headers,
    ) -> Result<Stream, Failed> {
        let largest = StreamableHttpResponseLimits::default().max_sse_event_size;
        self.get_stream_with_max_sse_event_size(
            uri,
            session_id,
            last_event_id,
            auth_header,
            custom_headers,
            largest,
        )
        .await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: Headers,
        max_sse_event_size: usize,
    ) -> Result<Stream, Failed> {
        refuse(auth_header)?;
        let (session_id, last) = (session_id.as_deref(), last_event_id.as_deref());
        self.stream(&uri, session_id, last, custom_headers, max_sse_event_size).await
    }
}
