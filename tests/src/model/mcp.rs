//! The MCP endpoint of the revisions 2025-03-26 to 2025-11-25: sessions, versions, streams.

use std::collections::BTreeMap;

use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, ORIGIN};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Model;
use super::answer::{Answer, Body};
use super::bearer::{Caller, Wish};
use super::modern::META_VERSION;
use super::params::Call;
use super::rpc;
use super::settings::{AnswerForm, Cut, Era, Mcp};
use super::stream::{Event, Manner, Stop};

pub(crate) const VERSION: &str = "mcp-protocol-version";
const SESSION: &str = "mcp-session-id";
const LAST_EVENT: &str = "last-event-id";

/// The state that the MCP endpoint remembers.
#[derive(Debug, Default)]
pub(crate) struct Transport {
    sessions: BTreeMap<String, Session>,
    free: usize,
    authorized: usize,
    steps: usize,
    cuts: usize,
    /// Sessions that each client has opened.
    opened: BTreeMap<Option<String>, usize>,
}

#[derive(Clone, Debug)]
struct Session {
    version: String,
    subject: Option<String>,
    /// Messages that it is still good for, if they are counted.
    uses: Option<usize>,
}

impl Transport {
    pub(crate) fn knows(&self, session: &str) -> bool {
        self.sessions.contains_key(session)
    }

    pub(crate) fn open(
        &mut self,
        id: String,
        version: String,
        subject: Option<String>,
        uses: Option<usize>,
    ) {
        self.sessions.insert(id, Session { version, subject, uses });
    }

    /// How many messages the next session of a client is good for.
    fn uses(&mut self, client: Option<&str>, mcp: &Mcp) -> Option<usize> {
        let opened = self.opened.entry(client.map(str::to_owned)).or_default();
        *opened = opened.saturating_add(1);
        mcp.session_uses.filter(|_| *opened <= mcp.short_sessions)
    }

    pub(crate) fn forget(&mut self) {
        self.sessions.clear();
    }

    pub(crate) fn let_in_free(&mut self, free: usize) -> bool {
        let inside = self.free < free;
        self.free = self.free.saturating_add(1);
        inside
    }

    pub(crate) fn count_authorized(&mut self) -> usize {
        self.authorized = self.authorized.saturating_add(1);
        self.authorized
    }

    pub(crate) fn next_step(&mut self) -> usize {
        self.steps = self.steps.saturating_add(1);
        self.steps
    }
}

impl Model {
    pub(crate) fn mcp(&mut self, call: &Call<'_>, body: &[u8]) -> Answer {
        if let Err(answer) = self.check_origin(call) {
            return answer;
        }
        let caller = match self.admit_all(call) {
            Ok(caller) => caller,
            Err(answer) => return answer,
        };
        let era = self.settings.mcp.era;
        match *call.method {
            Method::POST if era == Era::HttpSse => not_allowed("GET"),
            Method::POST => match posted(call, body) {
                Ok(message) if rpc::method(&message) == Some("server/discover") => {
                    self.discover(call, &caller, &message)
                }
                Ok(message) if self.is_modern(call, &message) => {
                    self.modern(call, &caller, &message)
                }
                Ok(message) => self.legacy(call, &caller, &message),
                Err(answer) => answer,
            },
            Method::GET if era == Era::HttpSse => self.open_http_sse(call),
            Method::GET if era != Era::Modern && self.settings.mcp.get_stream => {
                self.open_stream(call, &caller)
            }
            Method::DELETE if era != Era::Modern && self.settings.mcp.sessions => {
                self.end_session(call, &caller)
            }
            _ => not_allowed("POST"),
        }
    }

    /// DNS rebinding is the one attack that this header stops.
    pub(crate) fn check_origin(&self, call: &Call<'_>) -> Result<(), Answer> {
        match call.text(ORIGIN) {
            Some(origin) if !self.settings.mcp.origins.iter().any(|known| known == origin) => {
                Err(Answer::json(StatusCode::FORBIDDEN, &json!({"error": "origin"}))
                    .because("origin"))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn admit_all(&mut self, call: &Call<'_>) -> Result<Caller, Answer> {
        let wishes: Vec<Wish<'_>> = match &call.json {
            Some(Value::Array(messages)) if !messages.is_empty() => {
                messages.iter().map(rpc::wish).collect()
            }
            Some(message) => vec![rpc::wish(message)],
            None => vec![Wish { method: "", tool: None }],
        };
        self.admit(call, &wishes)
    }

    pub(crate) fn is_modern(&self, call: &Call<'_>, message: &Value) -> bool {
        match self.settings.mcp.era {
            Era::Modern => true,
            Era::Legacy | Era::HttpSse => false,
            Era::Both => {
                let named = message
                    .pointer("/params/_meta")
                    .is_some_and(|meta| meta.get(META_VERSION).is_some());
                let known = |version: &str| {
                    self.settings.mcp.legacy_versions.iter().any(|known| known == version)
                };
                named || call.text(VERSION).is_some_and(|version| !known(version))
            }
        }
    }

    pub(crate) fn legacy(&mut self, call: &Call<'_>, caller: &Caller, posted: &Value) -> Answer {
        if rpc::method(posted) == Some("initialize") && rpc::is_request(posted) {
            return self.initialize(call, caller, posted);
        }
        let (session, version) = match self.session(call, caller) {
            Ok(found) => found,
            Err(answer) => return answer,
        };
        let messages = match posted {
            Value::Array(_) if version.as_str() > "2025-03-26" => {
                return refused(StatusCode::BAD_REQUEST, rpc::INVALID, "batches were removed");
            }
            Value::Array(messages) if messages.is_empty() => {
                return refused(StatusCode::BAD_REQUEST, rpc::INVALID, "an empty batch");
            }
            Value::Array(messages) => messages.as_slice(),
            message => std::slice::from_ref(message),
        };
        if !messages.iter().all(rpc::is_message) {
            return refused(StatusCode::BAD_REQUEST, rpc::INVALID, "not a JSON-RPC message");
        }
        if let Some(answer) = self.refused_tool(posted) {
            return answer;
        }
        let replies: Vec<Value> = messages
            .iter()
            .filter(|message| rpc::is_request(message))
            .flat_map(|message| self.replies(caller, message, false))
            .collect();
        if replies.is_empty() {
            return Answer::empty(StatusCode::ACCEPTED);
        }
        let history = self.settings.mcp.get_stream.then_some(session);
        if matches!(posted, Value::Array(_)) && self.settings.mcp.answers == AnswerForm::Json {
            return Answer::json(StatusCode::OK, &Value::Array(replies));
        }
        self.replied(call, replies, history, true)
    }

    /// Everything that is said to a request, the response last.
    pub(crate) fn replies(&self, caller: &Caller, message: &Value, modern: bool) -> Vec<Value> {
        let mut replies = rpc::progress(message);
        replies.push(rpc::execute(caller, message, &self.settings.mcp.more_tools, modern));
        replies
    }

    /// Replies in the form that the settings ask for.
    pub(crate) fn replied(
        &mut self,
        call: &Call<'_>,
        replies: Vec<Value>,
        history: Option<Option<String>>,
        breakable: bool,
    ) -> Answer {
        let error =
            replies.iter().find_map(|reply| reply.pointer("/error/code")).map(ToString::to_string);
        let mcp = &self.settings.mcp;
        let mut answer = match (mcp.answers, replies.as_slice()) {
            (AnswerForm::Json, [reply]) => Answer::json(StatusCode::OK, reply),
            _ => {
                let cut =
                    if breakable && self.transport.cuts < mcp.cuts { mcp.cut } else { Cut::Never };
                if cut != Cut::Never {
                    self.transport.cuts = self.transport.cuts.saturating_add(1);
                }
                let manner = Manner {
                    chunk: mcp.chunk_bytes,
                    message_at: call.now.saturating_add(mcp.stream_delay_ms),
                    keep_alive: mcp.keep_alive,
                    cut_inside: cut == Cut::InsideEvent,
                    cut_every: mcp.cut_every.filter(|_| history.is_some()),
                    stop_before: match cut {
                        Cut::BeforeAnswer => Some(Stop::Cut),
                        Cut::EndBeforeAnswer => Some(Stop::End),
                        Cut::Never | Cut::InsideEvent => None,
                    },
                };
                let mut events = Vec::new();
                if mcp.keep_alive {
                    events.push(Event::Comment("working"));
                }
                if mcp.priming && history.is_some() {
                    events.push(Event::Priming { retry_ms: mcp.retry_ms });
                }
                events.extend(replies.into_iter().map(Event::Message));
                let stream = self.streams.events(events, manner, history);
                event_stream(stream)
            }
        };
        answer.error = error;
        answer
    }

    fn initialize(&mut self, call: &Call<'_>, caller: &Caller, message: &Value) -> Answer {
        let asked = message.pointer("/params/protocolVersion").and_then(Value::as_str);
        let Some(asked) = asked else {
            let reply =
                rpc::error(message.get("id"), rpc::BAD_PARAMS, "protocolVersion is missing", None);
            return Answer::json(StatusCode::OK, &reply).because("-32602");
        };
        let versions = &self.settings.mcp.legacy_versions;
        let version = versions
            .iter()
            .find(|known| *known == asked)
            .or(versions.last())
            .cloned()
            .unwrap_or_default();
        let reply = initialized(message, &version);
        let session = self.settings.mcp.sessions.then(|| self.fresh("session"));
        let mut answer = self.replied(call, vec![reply], None, false);
        if let Some(id) = session {
            answer = answer.header(HeaderName::from_static(SESSION), &id);
            let uses = self.transport.uses(caller.client.as_deref(), &self.settings.mcp);
            self.transport.open(id, version, caller.subject.clone(), uses);
        }
        answer
    }

    /// The session of a request and the version spoken in it.
    fn session(
        &mut self,
        call: &Call<'_>,
        caller: &Caller,
    ) -> Result<(Option<String>, String), Answer> {
        let header = call.text(VERSION);
        let versions = &self.settings.mcp.legacy_versions;
        if let Some(header) = header
            && !versions.iter().any(|known| known == header)
        {
            return Err(refused(
                StatusCode::BAD_REQUEST,
                rpc::TRANSPORT,
                "Bad Request: Unsupported protocol version",
            ));
        }
        if !self.settings.mcp.sessions {
            let version = header.or(versions.first().map(String::as_str)).unwrap_or_default();
            if header.is_none() && version > "2025-03-26" {
                return Err(no_version());
            }
            return Ok((None, version.to_owned()));
        }
        let Some(id) = call.text(SESSION) else {
            return Err(refused(
                StatusCode::BAD_REQUEST,
                rpc::TRANSPORT,
                "Bad Request: Mcp-Session-Id is missing",
            ));
        };
        // A session id proves nothing: it is good only together with a token of the person who opened it.
        let session = self.transport.sessions.get_mut(id).and_then(|session| {
            let good = session.subject == caller.subject && session.uses != Some(0);
            session.uses = session.uses.map(|left| left.saturating_sub(1));
            good.then_some(&*session)
        });
        let Some(session) = session else {
            return Err(self.lost_session());
        };
        match header {
            Some(header) if header != session.version => Err(refused(
                StatusCode::BAD_REQUEST,
                rpc::TRANSPORT,
                "Bad Request: not the negotiated version",
            )),
            None if session.version.as_str() > "2025-03-26" => Err(no_version()),
            _ => Ok((Some(id.to_owned()), session.version.clone())),
        }
    }

    fn open_stream(&mut self, call: &Call<'_>, caller: &Caller) -> Answer {
        if !call.accepts("text/event-stream") {
            return Answer::empty(StatusCode::NOT_ACCEPTABLE).because("accept");
        }
        let session = match self.session(call, caller) {
            Ok((session, _)) => session,
            Err(answer) => return answer,
        };
        let Some(last) = call.text(LAST_EVENT) else {
            return event_stream(self.streams.standing(session));
        };
        let mcp = &self.settings.mcp;
        let manner =
            Manner { chunk: mcp.chunk_bytes, cut_every: mcp.cut_every, ..Manner::default() };
        match self.streams.resume(last, session.as_deref(), manner) {
            Some(stream) => event_stream(stream),
            None => {
                refused(StatusCode::BAD_REQUEST, rpc::TRANSPORT, "Bad Request: unknown event id")
            }
        }
    }

    fn end_session(&mut self, call: &Call<'_>, caller: &Caller) -> Answer {
        match self.session(call, caller) {
            Ok((id, _)) => {
                let id = id.unwrap_or_default();
                self.transport.sessions.remove(&id);
                self.streams.end_session(&id);
                Answer::empty(StatusCode::NO_CONTENT)
            }
            Err(answer) => answer,
        }
    }
}

pub(crate) fn initialized(message: &Value, version: &str) -> Value {
    let result = json!({
        "protocolVersion": version,
        "capabilities": {"tools": {}},
        "serverInfo": rpc::server_info(),
    });
    rpc::result(message.get("id"), result)
}

pub(crate) fn event_stream(stream: super::answer::StreamId) -> Answer {
    let mut answer = Answer::empty(StatusCode::OK)
        .header(CONTENT_TYPE, "text/event-stream")
        .header(CACHE_CONTROL, "no-store");
    answer.body = Body::Stream(stream);
    answer
}

/// The JSON of a POST, whose form both wires demand alike.
fn posted(call: &Call<'_>, body: &[u8]) -> Result<Value, Answer> {
    if call.media_type().as_deref() != Some("application/json") {
        return Err(Answer::empty(StatusCode::UNSUPPORTED_MEDIA_TYPE).because("content-type"));
    }
    if !call.headers.contains_key(ACCEPT)
        || !call.accepts("application/json")
        || !call.accepts("text/event-stream")
    {
        let text = "Not Acceptable: application/json and text/event-stream are both needed";
        return Err(refused(StatusCode::NOT_ACCEPTABLE, rpc::TRANSPORT, text));
    }
    call.json.clone().ok_or_else(|| unreadable(body))
}

pub(crate) fn unreadable(body: &[u8]) -> Answer {
    let text = if body.is_empty() { "the body is empty" } else { "the body is not JSON" };
    refused(StatusCode::BAD_REQUEST, rpc::PARSE, text)
}

pub(crate) fn refused(status: StatusCode, code: i64, text: &str) -> Answer {
    Answer::json(status, &rpc::error(None, code, text, None)).because(&code.to_string())
}

fn no_version() -> Answer {
    refused(StatusCode::BAD_REQUEST, rpc::TRANSPORT, "Bad Request: MCP-Protocol-Version is missing")
}

pub(crate) fn not_allowed(allowed: &str) -> Answer {
    Answer::empty(StatusCode::METHOD_NOT_ALLOWED).header(ALLOW, allowed)
}
