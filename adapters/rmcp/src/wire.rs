//! One request over the session: headers, limits, and what the answer's head says.

use std::collections::HashMap;
use std::sync::Arc;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use mcp_authz_core::effect::Limits;
use mcp_authz_core::failure::Kind;
use mcp_authz_driver::exchange::{self, Exchange};
use mcp_authz_tokio::AuthSession;
use rmcp::model::{ClientJsonRpcMessage, ClientNotification, ClientRequest, ClientResult};
use rmcp::transport::common::http_header::{HEADER_LAST_EVENT_ID, HEADER_SESSION_ID};

use crate::Error;
use crate::events::Body;

pub(crate) const JSON: &str = "application/json";
pub(crate) const EVENT_STREAM: &str = "text/event-stream";
pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Longest session id that is taken (HOST-266).
const LONGEST_ID: usize = 1024;

/// Sends with the token.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    pub(crate) session: AuthSession,
    pub(crate) may_ask: bool,
    pub(crate) limits: Limits,
}

impl Wire {
    pub(crate) fn new(session: AuthSession) -> Self {
        Self { session, may_ask: true, limits: exchange::limits() }
    }

    /// Sends a request and returns with the head of its answer, after whatever login, refresh or
    /// step-up it took. `largest` bounds a body that is announced.
    pub(crate) async fn open(
        &self,
        request: Request<Vec<u8>>,
        operation: Option<&str>,
        may_ask: bool,
        largest: usize,
    ) -> Result<Response<Body>, Error> {
        let limits = Limits { body: largest, ..self.limits };
        let mut exchange = Exchange::new(request).may_ask(may_ask && self.may_ask).limits(limits);
        if let Some(operation) = operation {
            exchange = exchange.operation(operation);
        }
        self.session.open(exchange).await.map_err(Error::Exchange)
    }
}

/// A request to that URL.
pub(crate) fn request(method: Method, url: &str, body: Vec<u8>) -> Result<Request<Vec<u8>>, Error> {
    let uri: Uri = url.parse().map_err(|_| Error::failed(Kind::UrlMalformed, "TRANS-01"))?;
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    Ok(request)
}

/// A message on its way.
pub(crate) fn post(url: &str, message: &ClientJsonRpcMessage) -> Result<Request<Vec<u8>>, Error> {
    // Only a message that the program made up by hand cannot be written.
    let body =
        serde_json::to_vec(message).map_err(|_| Error::failed(Kind::ConfigInvalid, "TRANS-03"))?;
    let mut request = request(Method::POST, url, body)?;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    Ok(request)
}

/// A request for an event stream.
pub(crate) fn get(url: &str) -> Result<Request<Vec<u8>>, Error> {
    let mut request = request(Method::GET, url, Vec::new())?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static(EVENT_STREAM));
    Ok(request)
}

/// Puts rmcp's headers on; the error is the name of one that is not its caller's to set.
pub(crate) fn dress(
    headers: &mut HeaderMap,
    session_id: Option<&str>,
    custom: HashMap<HeaderName, HeaderValue>,
) -> Result<(), String> {
    for (name, value) in custom {
        if name == ACCEPT || name == AUTHORIZATION || name == SESSION_ID || name == LAST_EVENT_ID {
            return Err(name.to_string());
        }
        headers.insert(name, value);
    }
    if let Some(id) = session_id {
        // It came in a header.
        let mut id = HeaderValue::from_str(id).map_err(|_| HEADER_SESSION_ID.to_owned())?;
        id.set_sensitive(true);
        headers.insert(SESSION_ID, id);
    }
    Ok(())
}

/// Names the event to resume after.
pub(crate) fn resume(headers: &mut HeaderMap, after: &str) -> Result<(), String> {
    let id = HeaderValue::from_str(after).map_err(|_| HEADER_LAST_EVENT_ID.to_owned())?;
    headers.insert(LAST_EVENT_ID, id);
    Ok(())
}

/// The session id that the server names; an error if it may not be sent back (TRANS-18), or if
/// there are two (HOST-266).
pub(crate) fn session_id(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let mut ids = headers.get_all(SESSION_ID).iter();
    let Some(id) = ids.next() else { return Ok(None) };
    let alone = ids.next().is_none();
    let id = id.to_str().ok().filter(|id| {
        alone && {
            (1..=LONGEST_ID).contains(&id.len())
                && id.bytes().all(|byte| matches!(byte, b'!'..=b'~'))
        }
    });
    match id {
        Some(id) => Ok(Some(id.to_owned())),
        None => Err(Error::failed(Kind::LimitExceeded, "HOST-266")),
    }
}

/// Returns true if a body is of that type, whatever its parameters (TRANS-04).
pub(crate) fn is(headers: &HeaderMap, media_type: &str) -> bool {
    let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = named.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(media_type)
}

/// Returns true if nobody waits for the message to arrive: a sign of life, a refusal or a
/// cancellation. No person is asked for such a message, or a server could have pages opened
/// whenever it likes.
pub(crate) const fn is_courtesy(message: &ClientJsonRpcMessage) -> bool {
    match message {
        ClientJsonRpcMessage::Response(response) => {
            matches!(response.result, ClientResult::EmptyResult(_))
        }
        ClientJsonRpcMessage::Error(_) => true,
        ClientJsonRpcMessage::Notification(told) => {
            matches!(told.notification, ClientNotification::CancelledNotification(_))
        }
        ClientJsonRpcMessage::Request(_) => false,
    }
}

/// The name of the operation, so that the retry limits count per operation (STEP-10).
pub(crate) fn operation(message: &ClientJsonRpcMessage) -> Option<Arc<str>> {
    let ClientJsonRpcMessage::Request(request) = message else { return None };
    let method = request.request.method();
    let of = match &request.request {
        ClientRequest::CallToolRequest(call) => Some(call.params.name.as_ref()),
        ClientRequest::GetPromptRequest(get) => Some(get.params.name.as_ref()),
        ClientRequest::ReadResourceRequest(read) => Some(read.params.uri.as_ref()),
        _ => None,
    };
    Some(match of {
        Some(of) => format!("{method} {of}").into(),
        None => method.into(),
    })
}
