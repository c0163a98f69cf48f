//! A complete MCP authorization server and protected MCP endpoint as a pure function.
//!
//! A request and the time go in, an answer comes out; bodies that take time are numbered streams that
//! [`Model::poll`] hands out. There is no clock, no I/O, no thread and no random number in here: identifiers,
//! codes and tokens are hashes of a seed and a counter, so equal inputs give equal answers.
//!
//! The default is strict. It refuses whatever the specifications let a server refuse, because a client that
//! passes here passes everywhere; each leniency and each fault of real servers is a field of [`Settings`].
//!
//! It does not verify signatures (no `private_key_jwt`, no DPoP), push authorization requests,
//! issue ID tokens or fetch client metadata documents.

// A refusal is an answer like any other; boxing it would serve nobody here.
#![allow(clippy::result_large_err)]

mod answer;
mod authorize;
mod bearer;
mod client;
mod grant;
mod http_sse;
mod log;
mod mcp;
mod metadata;
mod modern;
mod oddity;
mod params;
mod refusals;
mod registration;
mod route;
mod rpc;
mod server;
mod settings;
mod sloppy;
mod stream;
mod token;
mod tokens;
mod visit;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use sha2::{Digest as _, Sha256};

pub use answer::{Answer, Body, Piece, StreamId};
pub use log::Seen;
pub use oddity::{End, Oddity};
pub use params::Params;
pub use route::Endpoint;
pub use server::{
    ApplicationType, AuthMethod, Callback, ClientDocuments, Consent, IssMode, Metadata,
    MetadataPlace, Pkce, Preregistered, Registration, RegistrationMode, ResourceRule, Server,
    StateEcho,
};
pub use settings::{
    Absent, AnswerForm, Challenge, ChallengeForm, Cut, Discover, Era, Gate, LostBody, LostSession,
    Mcp, Prm, PrmPlace, REVISIONS, Redirect, Settings, StepUp, StepUpScope,
};
pub use tokens::{ExpiresIn, RefreshIssue, Rotation, ScopeEcho, Sloppiness, Tokens};

use params::Call;
use route::Route;

/// The server: settings and what has happened so far.
#[derive(Debug)]
pub struct Model {
    settings: Settings,
    counter: u64,
    /// The number of the authorization server the resource trusts now.
    current: usize,
    clients: client::Clients,
    /// Code exchanges that have found their client forgotten.
    forgotten: usize,
    /// Code exchanges, and refreshes that were answered by 503.
    exchanges: usize,
    outages: usize,
    pending: BTreeMap<String, authorize::Pending>,
    grants: grant::Grants,
    transport: mcp::Transport,
    streams: stream::Streams,
    faults: Vec<(Endpoint, usize, Fault)>,
    seen: Vec<Seen>,
}

/// A fault of an endpoint, see [`Model::fail`].
#[derive(Clone, Debug)]
pub enum Fault {
    /// This answer comes, and the request is not looked at.
    Literal(Literal),
    /// The connection goes before the request is looked at.
    Dropped,
    /// The request is carried out, but the connection goes without an answer.
    Lost,
    /// The request is carried out, but the connection goes after that many bytes of the body.
    Truncated(usize),
}

/// An answer told byte for byte.
#[derive(Clone, Debug)]
pub struct Literal {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Literal {
    /// An answer without headers and body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// A JSON answer; the text need not be JSON.
    pub fn json(status: u16, body: &str) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: body.as_bytes().to_vec() }
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn answer(self) -> Answer {
        let mut answer =
            Answer::new(StatusCode::from_u16(self.status).unwrap_or_default(), self.body);
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (
                http::HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_bytes(value.as_bytes()),
            ) {
                answer.headers.append(name, value);
            }
        }
        answer
    }
}

impl Model {
    /// A server that has seen nothing yet.
    pub fn new(settings: Settings) -> Self {
        let mut model = Self {
            settings,
            counter: 0,
            current: 0,
            clients: client::Clients::default(),
            forgotten: 0,
            exchanges: 0,
            outages: 0,
            pending: BTreeMap::new(),
            grants: grant::Grants::default(),
            transport: mcp::Transport::default(),
            streams: stream::Streams::default(),
            faults: Vec::new(),
            seen: Vec::new(),
        };
        model.adopt_preregistered();
        model
    }

    /// Answers one request. `request.uri()` must be absolute; `now_ms` is the time in milliseconds since the Unix
    /// epoch and must not go back by more than the caller wants tokens to live longer.
    pub fn handle(&mut self, request: &Request<Vec<u8>>, now_ms: u64) -> Answer {
        let Some(call) = Call::read(request, now_ms) else {
            return Answer::empty(StatusCode::BAD_REQUEST).because("not an absolute URI");
        };
        let route = route::route(&self.settings, &call.url);
        let mut answer = match self.next_fault(route.endpoint) {
            Some(Fault::Literal(literal)) => literal.answer().because("injected"),
            Some(Fault::Dropped) => dropped(),
            Some(Fault::Lost) => {
                self.dispatch(&call, request.body(), route);
                dropped()
            }
            Some(Fault::Truncated(keep)) => {
                let answer = self.dispatch(&call, request.body(), route);
                self.truncate(answer, keep)
            }
            None => self.dispatch(&call, request.body(), route),
        };
        answer.delay_ms = self.settings.delays.get(&route.endpoint).copied().unwrap_or_default();
        self.note(&call, route, &answer);
        answer
    }

    fn dispatch(&mut self, call: &Call<'_>, body: &[u8], route: Route) -> Answer {
        let server = route.server.unwrap_or_default();
        match route.endpoint {
            Endpoint::Mcp => self.mcp(call, body),
            Endpoint::Messages => self.messages(call, body),
            Endpoint::PrmPath | Endpoint::PrmRoot | Endpoint::PrmCustom => {
                self.prm(call, route.endpoint)
            }
            Endpoint::AsOauth | Endpoint::AsOidcInserted | Endpoint::AsOidc => {
                self.as_metadata(call, route.endpoint, server)
            }
            Endpoint::Register => self.register(call, body, server),
            Endpoint::Authorize => self.authorize(call, server),
            Endpoint::Consent => self.consent(call, server),
            Endpoint::Token => self.token(call, server),
            Endpoint::Revoke => self.revoke(call, server),
            Endpoint::AsRoot | Endpoint::Other => self.absent(),
        }
    }

    /// The next piece of a stream. A stream that has ended, or never was, is at its end.
    pub fn poll(&mut self, stream: StreamId, now_ms: u64) -> Piece {
        self.streams.poll(stream, now_ms)
    }

    /// All requests so far, oldest first.
    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// How often an endpoint was asked.
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.seen_at(endpoint).count()
    }

    /// The requests to one endpoint, oldest first.
    pub fn seen_at(&self, endpoint: Endpoint) -> impl Iterator<Item = &Seen> {
        self.seen.iter().filter(move |seen| seen.endpoint == endpoint)
    }

    /// Empties the log of requests.
    pub fn clear_seen(&mut self) {
        self.seen.clear();
    }

    /// The settings now in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes settings while running. Codes and tokens that were issued stay as they were issued.
    pub fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.adopt_preregistered();
    }

    /// The next `times` requests to an endpoint go wrong. Several faults at one endpoint happen one after another.
    pub fn fail(&mut self, endpoint: Endpoint, times: usize, fault: Fault) {
        self.faults.push((endpoint, times, fault));
    }

    /// The next `times` requests to an endpoint get this answer.
    pub fn inject(&mut self, endpoint: Endpoint, times: usize, literal: Literal) {
        self.fail(endpoint, times, Fault::Literal(literal));
    }

    /// Forgets all faults that have not happened yet.
    pub fn heal(&mut self) {
        self.faults.clear();
    }

    /// Makes all access tokens invalid; refresh tokens stay.
    pub fn revoke_access_tokens(&mut self) {
        self.grants.revoke_access();
    }

    /// Makes everything that came of any consent invalid.
    pub fn revoke_all(&mut self) {
        self.grants.revoke_all();
    }

    /// Makes everything invalid that came of the consent behind this access or refresh token.
    pub fn revoke_family(&mut self, token: &str) {
        self.grants.revoke_family_of(token);
    }

    /// Forgets all clients that registered themselves.
    pub fn forget_clients(&mut self) {
        self.clients.forget_registered();
    }

    /// Forgets all MCP sessions: the next request of each is answered as [`Mcp::lost`] has it.
    pub fn forget_sessions(&mut self) {
        self.transport.forget();
    }

    /// The resource now trusts the next authorization server alone: metadata names it, tokens of the others are
    /// refused. Does nothing where there is none.
    pub fn migrate(&mut self) {
        let next = self.current.saturating_add(1);
        if self.settings.nth(next).is_some() {
            self.current = next;
        }
    }

    /// Sends a JSON-RPC message on all standing streams (GET streams and HTTP+SSE).
    pub fn push(&mut self, message: &serde_json::Value) {
        self.streams.push(message);
    }

    /// Ends all standing streams, in good order or not.
    pub fn close_streams(&mut self, cut: bool) {
        self.streams.close(cut, false);
    }

    /// The same, leaving unsaid what they still had to say.
    pub fn break_streams(&mut self, cut: bool) {
        self.streams.close(cut, true);
    }

    /// How many access tokens are good now.
    pub fn live_access_tokens(&self, now_ms: u64) -> usize {
        self.grants.live_access(now_ms)
    }

    /// How many refresh tokens are good now.
    pub fn live_refresh_tokens(&self, now_ms: u64) -> usize {
        self.grants.live_refresh(now_ms)
    }

    /// The number of the authorization server the resource trusts now.
    pub fn current_server(&self) -> usize {
        self.current
    }

    /// A new unguessable-looking string of 43 characters.
    fn fresh(&mut self, purpose: &str) -> String {
        self.counter = self.counter.wrapping_add(1);
        let mut hash = Sha256::new();
        hash.update(self.settings.seed.to_be_bytes());
        hash.update(self.counter.to_be_bytes());
        hash.update(purpose.as_bytes());
        URL_SAFE_NO_PAD.encode(hash.finalize())
    }

    fn server(&self, index: usize) -> Server {
        self.settings.nth(index).unwrap_or(&self.settings.server).clone()
    }

    fn next_fault(&mut self, endpoint: Endpoint) -> Option<Fault> {
        self.faults.retain(|(_, times, _)| *times > 0);
        let (_, times, fault) = self.faults.iter_mut().find(|(at, _, _)| *at == endpoint)?;
        *times = times.saturating_sub(1);
        Some(fault.clone())
    }

    fn truncate(&mut self, mut answer: Answer, keep: usize) -> Answer {
        if let Body::Whole(bytes) = &answer.body {
            let kept = bytes.get(..keep).unwrap_or(bytes).to_vec();
            answer.body = Body::Stream(self.streams.broken(kept));
        }
        answer
    }

    /// The answer for a path at which nothing is.
    fn absent(&self) -> Answer {
        match self.settings.absent {
            Absent::Html => {
                Answer::html(StatusCode::NOT_FOUND, "Not found", "<p>There is no such page.</p>")
            }
            Absent::Empty => Answer::empty(StatusCode::NOT_FOUND),
            Absent::Json => {
                Answer::json(StatusCode::NOT_FOUND, &serde_json::json!({"message": "not found"}))
            }
            Absent::Everything => {
                Answer::html(StatusCode::OK, "Our application", "<div id=\"root\"></div>")
            }
        }
    }

    fn note(&mut self, call: &Call<'_>, route: Route, answer: &Answer) {
        let headers: HeaderMap = call.headers.clone();
        self.seen.push(Seen {
            at_ms: call.now,
            method: call.method.clone(),
            origin: call.url.origin().ascii_serialization(),
            path: call.url.path().to_owned(),
            endpoint: route.endpoint,
            server: route.server,
            query: call.query.clone(),
            form: call.form.clone(),
            json: call.json.clone(),
            headers,
            status: if answer.body == Body::Dropped { 0 } else { answer.status.as_u16() },
            error: answer.error.clone(),
        });
    }
}

fn dropped() -> Answer {
    let mut answer = Answer::empty(StatusCode::OK).because("dropped");
    answer.body = Body::Dropped;
    answer
}
