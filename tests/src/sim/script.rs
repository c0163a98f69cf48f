//! The words of a script: what is expected next, and what is answered.

use http::{Method, Request, Response, StatusCode};
use mcp_authz_core::effect::{Limits, Page, Parties, Reply, Ticket, Visit, Why};
use mcp_authz_core::failure::Failure;
use mcp_authz_core::input::{ArrivalId, Epoch, WaiterId};
use mcp_authz_core::note::Note;
use mcp_authz_core::{Granted, Input};
use std::sync::Arc;
use url::Url;

use super::Sim;
use crate::model::{Answer, Body, Model, Piece};

/// A request that the session has sent and that waits for its answer.
#[derive(Debug)]
pub struct Asked<'a> {
    sim: &'a mut Sim,
    request: Request<Vec<u8>>,
    limits: Limits,
    ticket: Ticket<Reply>,
}

/// A page that the session has shown.
#[derive(Debug)]
pub struct Visited<'a> {
    sim: &'a mut Sim,
    visit: Visit,
}

impl Sim {
    /// Moves the clock to a second of the script, waking the session at each deadline on the way.
    pub fn at(&mut self, seconds: u64) -> &mut Self {
        self.at_ms(seconds * 1000)
    }

    /// As [`Sim::at`], in milliseconds.
    pub fn at_ms(&mut self, millis: u64) -> &mut Self {
        while let Some(deadline) = self.session.deadline() {
            let due = deadline.at.millis().saturating_sub(1_000_000);
            if due > millis {
                break;
            }
            self.wait_until(deadline.at);
        }
        self.now = self.now.max(millis);
        self.give(Input::Wake);
        self
    }

    /// The next request must be this one. The URL may leave out `https://mcp.example`.
    #[track_caller]
    pub fn expect_call(&mut self, method: Method, url: &str) -> Asked<'_> {
        let Some(call) = self.next_call() else {
            panic!("no request is out; expected {method} {url}");
        };
        let (request, limits, ticket) = call.split();
        let full =
            if url.starts_with('/') { format!("https://mcp.example{url}") } else { url.to_owned() };
        assert_eq!(
            (request.method(), request.uri().to_string()),
            (&method, full),
            "the next request"
        );
        Asked { sim: self, request, limits, ticket }
    }

    /// No request is out.
    #[track_caller]
    pub fn expect_no_call(&mut self) {
        let out: Vec<String> = self.calls.iter().map(|(_, call)| format!("{call:?}")).collect();
        assert!(out.is_empty(), "requests are out: {out:?}");
    }

    /// A page was shown; the oldest that has not been seen yet.
    #[track_caller]
    pub fn expect_visit(&mut self) -> Visited<'_> {
        let visit = self.visits.pop_front().expect("a page is shown to the person");
        let ours = visit.redirect_uri.starts_with("http://127.0.0.1");
        assert!(!ours || self.listens(), "a page is shown whose answer nobody listens for");
        Visited { sim: self, visit }
    }

    /// The oldest page that has not been seen yet, if there is one.
    pub fn next_visit(&mut self) -> Option<Visited<'_>> {
        let visit = self.visits.pop_front()?;
        Some(Visited { sim: self, visit })
    }

    /// No page was shown.
    #[track_caller]
    pub fn expect_no_visit(&self) {
        assert!(self.visits.is_empty(), "a page was shown: {:?}", self.visits);
    }

    /// The outcome that the caller was told, once it is settled.
    #[must_use]
    pub fn outcome(&self, waiter: WaiterId) -> Option<&Result<Arc<Granted>, Arc<Failure>>> {
        self.settled.get(&waiter).map(|settlement| &settlement.outcome)
    }

    /// The caller has a grant.
    #[track_caller]
    pub fn expect_granted(&self, waiter: WaiterId) -> Arc<Granted> {
        match self.settled.get(&waiter).map(|settlement| &settlement.outcome) {
            Some(Ok(granted)) => Arc::clone(granted),
            Some(Err(failure)) => panic!("the caller was refused: {failure}"),
            None => panic!("the caller still waits; the session waits for {:?}", self.waits_for()),
        }
    }

    /// The failure of a caller, whatever it is.
    #[track_caller]
    pub fn failed(&self, waiter: WaiterId) -> Arc<Failure> {
        match self.settled.get(&waiter).map(|settlement| &settlement.outcome) {
            Some(Err(failure)) => Arc::clone(failure),
            other => panic!("the caller has not failed: {other:?}"),
        }
    }

    /// The caller has a failure with this code.
    #[track_caller]
    pub fn expect_failed(&self, waiter: WaiterId, code: &str) -> Arc<Failure> {
        match self.settled.get(&waiter).map(|settlement| &settlement.outcome) {
            Some(Err(failure)) => {
                assert_eq!(failure.kind().code(), code, "{failure}");
                Arc::clone(failure)
            }
            Some(Ok(granted)) => panic!("the caller has a grant: {granted:?}"),
            None => panic!("the caller still waits; the session waits for {:?}", self.waits_for()),
        }
    }

    /// The caller is not settled yet.
    #[track_caller]
    pub fn expect_waiting(&self, waiter: WaiterId) {
        let settled = self.settled.get(&waiter);
        assert!(settled.is_none(), "the caller is settled: {settled:?}");
    }

    /// Returns true if the store had refused the record when the caller was settled.
    #[must_use]
    pub fn unsaved(&self, waiter: WaiterId) -> bool {
        self.settled.get(&waiter).is_some_and(|settlement| settlement.unsaved)
    }

    /// The page that the arrival was answered with.
    #[must_use]
    pub fn page(&self, arrival: ArrivalId) -> Option<Page> {
        self.pages.iter().find(|(of, _)| *of == arrival).map(|(_, page)| page.clone())
    }

    /// Between whom a page has to say that the login was; by hand, what the scripts call the servers.
    ///
    /// # Panics
    /// If the model has a URL that names no host.
    #[must_use]
    pub fn parties(&self) -> Parties {
        let host = |text: &str| Url::parse(text).ok()?.host_str().map(str::to_owned);
        let issuer = self
            .model
            .as_ref()
            .map_or("https://as.example", |model| model.settings().server.issuer.as_str());
        Parties {
            program: "MCP client".to_owned(),
            resource: host(self.config.mcp_url()).expect("the MCP URL names a host"),
            issuer: host(issuer).expect("the issuer names a host"),
        }
    }

    /// The arrival was answered so. After a restart its browser is gone.
    #[track_caller]
    pub fn expect_page(&self, arrival: ArrivalId, expected: Page) {
        let page = self.page(arrival);
        if !(self.restarts && page.is_none()) {
            assert_eq!(page, Some(expected));
        }
    }

    /// A note with this text among it was made.
    #[track_caller]
    pub fn expect_note(&self, text: &str) {
        let found = self.notes.iter().any(|note| note.to_string().contains(text));
        let notes: Vec<String> = self
            .notes
            .iter()
            .filter(|note| !matches!(note, Note::Step(_)))
            .map(ToString::to_string)
            .collect();
        assert!(found, "no note says {text:?}: {notes:#?}");
    }

    /// How many requests went to URLs that end so.
    #[must_use]
    pub fn count(&self, end: &str) -> usize {
        self.requests.iter().filter(|request| request.ends_with(end)).count()
    }

    /// The event that the session waits for.
    #[must_use]
    pub fn waits_for(&self) -> Option<mcp_authz_core::time::Awaited> {
        self.session.deadline().map(|deadline| deadline.reason)
    }

    /// Returns true if a port is open for callbacks.
    #[must_use]
    pub fn listens(&self) -> bool {
        !self.listening.is_empty()
    }

    /// Sends a request to the model's MCP endpoint with the published token, as a caller would.
    pub fn use_tool(&mut self, method: &str, name: &str) -> Response<Vec<u8>> {
        let body = serde_json::json!({
            "jsonrpc": "2.0", "id": 1, "method": method,
            "params": { "name": name, "arguments": {}, "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            }},
        });
        let mut request = Request::new(body.to_string().into_bytes());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.config.mcp_url().parse().expect("the MCP URL is a URI");
        let headers = request.headers_mut();
        let mut set = |name: &'static str, value: &str| {
            headers.insert(name, value.parse().expect("a header"));
        };
        set("content-type", "application/json");
        set("accept", "application/json, text/event-stream");
        set("mcp-protocol-version", "2026-07-28");
        set("mcp-method", method);
        set("mcp-name", name);
        if let Some(granted) = &self.published {
            headers.insert("authorization", granted.authorization().clone());
        }
        let now = self.wall_ms();
        match model_reply(self.model(), &request, now) {
            Reply::Answered(response) => response,
            lost => panic!("the MCP endpoint did not answer: {lost:?}"),
        }
    }

    /// Calls a tool of the model as a client does: a refusal becomes a challenge, which the
    /// session may settle later.
    pub fn call_tool(&mut self, name: &str, again: bool) -> Result<(), WaiterId> {
        let epoch = self.published.as_ref().map(|granted| granted.epoch());
        let response = self.use_tool("tools/call", name);
        // An older server answers this modern request with a protocol error: it was let in.
        if !matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            self.accept();
            return Ok(());
        }
        Err(self.refused_by(&response, epoch, name, again))
    }

    /// Hands a refusal to the session.
    pub fn refused_by(
        &mut self,
        response: &Response<Vec<u8>>,
        epoch: Option<Epoch>,
        operation: &str,
        again: bool,
    ) -> WaiterId {
        let challenge = response
            .headers()
            .get(http::header::WWW_AUTHENTICATE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        self.refused_with(epoch, response.status().as_u16(), &challenge, operation, again, true)
    }

    /// Takes a login through: the model serves, the person says yes, the model serves.
    #[track_caller]
    pub fn log_in(&mut self) {
        self.serve();
        self.expect_visit().approve();
        self.serve();
    }
}

impl Asked<'_> {
    /// The request.
    #[must_use]
    pub const fn request(&self) -> &Request<Vec<u8>> {
        &self.request
    }

    /// Its limits.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The value of a header; empty if it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        let value = self.request.headers().get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }

    /// The values of a form parameter of the body.
    #[must_use]
    pub fn form(&self, name: &str) -> Vec<String> {
        url::form_urlencoded::parse(self.request.body())
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .collect()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.request.body()).unwrap_or_default()
    }

    /// Answers with a status and nothing else.
    pub fn reply(self, status: u16) {
        self.respond(status, &[], b"");
    }

    /// Answers with a status and a JSON document.
    pub fn reply_json(self, status: u16, document: &serde_json::Value) {
        let body = document.to_string();
        self.respond(status, &[("content-type", "application/json")], body.as_bytes());
    }

    /// Answers with anything.
    pub fn respond(self, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(body.to_vec()).expect("the script's answer is one");
        self.sim.give(self.ticket.answer(Reply::Answered(response)));
    }

    /// Answers with a head and the beginning of a body.
    pub fn cut(self, status: u16, body: &[u8], why: Why) {
        let response = Response::builder().status(status).body(body.to_vec());
        let response = response.expect("the script's answer is one");
        self.sim.give(self.ticket.answer(Reply::cut(response, why)));
    }

    /// The request is lost before it is sent.
    pub fn not_sent(self, why: Why) {
        self.sim.give(self.ticket.answer(Reply::NotSent(why)));
    }

    /// The request is lost, and nobody knows whether it arrived.
    pub fn maybe_sent(self, why: Why) {
        self.sim.give(self.ticket.answer(Reply::MaybeSent(why)));
    }

    /// Keeps the right to answer for later.
    pub fn hold(self) -> (Request<Vec<u8>>, Ticket<Reply>) {
        (self.request, self.ticket)
    }
}

impl Visited<'_> {
    /// The page.
    #[must_use]
    pub const fn visit(&self) -> &Visit {
        &self.visit
    }

    /// A parameter of its URL, which must be there at most once.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<String> {
        let url = Url::parse(self.visit.url()).expect("the page has a URL");
        let mut values = url.query_pairs().filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value.into_owned());
        assert!(values.next().is_none(), "{name} is there twice");
        value
    }

    /// The person says yes at the model, and the browser arrives at the redirect URI.
    #[track_caller]
    pub fn approve(self) -> ArrivalId {
        self.approve_if_asked().expect("the model sends the browser back")
    }

    /// The same; nobody comes back from a page on which there is nothing to agree to.
    pub fn approve_if_asked(self) -> Option<ArrivalId> {
        let now = self.sim.wall_ms();
        let url = self.visit.url().to_owned();
        let back = self.sim.model().visit(&url, now)?;
        Some(self.sim.arrive(&back))
    }

    /// The browser arrives with a code, the right `state`, and what else is said.
    pub fn arrive_with_code(self, more: &str) -> ArrivalId {
        let (redirect, state) = self.ours();
        self.sim.arrive(&format!("{redirect}?code=CODE-CANARY&state={state}{more}"))
    }

    /// The browser arrives with the right `state` and this query.
    pub fn arrive_with(self, query: &str) -> ArrivalId {
        let (redirect, state) = self.ours();
        self.sim.arrive(&format!("{redirect}?state={state}&{query}"))
    }

    /// The redirect URI and the `state` of the request.
    #[must_use]
    pub fn ours(&self) -> (String, String) {
        let param = |name| self.param(name).unwrap_or_default();
        (param("redirect_uri"), param("state"))
    }
}

/// The model's answer, as an adapter would hand it in.
pub(super) fn model_reply(model: &mut Model, request: &Request<Vec<u8>>, now: u64) -> Reply {
    let Answer { status, headers, body, .. } = model.handle(request, now);
    let bytes = match body {
        Body::Whole(bytes) => bytes,
        Body::Dropped => return Reply::MaybeSent(Why::Broken),
        Body::Stream(stream) => {
            let mut bytes = Vec::new();
            loop {
                match model.poll(stream, now) {
                    Piece::Chunk(chunk) => bytes.extend(chunk),
                    Piece::NotBefore(_) | Piece::End => break bytes,
                    Piece::Cut => return Reply::MaybeSent(Why::Broken),
                }
            }
        }
    };
    let mut response = Response::new(bytes);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Reply::Answered(response)
}

impl Sim {
    /// Checks the rules that hold after every script: each caller was settled at most once, and
    /// nothing that was shown or noted holds one of the secrets.
    #[track_caller]
    pub fn finish(&self) {
        assert!(self.settled_twice.is_empty(), "settled twice: {:?}", self.settled_twice);
        for note in &self.notes {
            let text = format!("{note} {note:?}");
            assert!(!text.contains("CANARY"), "a secret is in a note: {text}");
        }
        for settlement in self.settled.values() {
            let text = format!("{settlement:?}");
            assert!(!text.contains("CANARY"), "a secret is in a settlement: {text}");
            if let Err(failure) = &settlement.outcome {
                assert!(!failure.to_string().contains("CANARY"), "a secret is in {failure}");
            }
        }
        let session = format!("{:?}", self.session);
        assert!(!session.contains("CANARY"), "a secret is in the session's Debug");
    }
}
