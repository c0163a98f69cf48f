//! The settings of the model for the resource side (MCP endpoint, protected resource metadata,
//! challenges).
//!
//! Every deviation seen in the wild is one field here or in [`Server`]. The defaults are an honest, strict
//! server, so a test that changes one field tests that one deviation.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use super::route::Endpoint;
use super::server::{ApplicationType, IssMode, ResourceRule, Server};

/// The revisions that [`Settings::revision`] knows, oldest first.
pub const REVISIONS: [&str; 4] = ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];

/// The whole configuration of a [`Model`](super::Model).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where all identifiers, codes and tokens are derived from; two models with equal settings answer alike.
    pub seed: u64,
    /// The protected MCP endpoint, in the canonical spelling.
    pub mcp_url: String,
    /// The person who consents; shown by the `whoami` tool.
    pub subject: String,
    /// Protected resource metadata (RFC 9728).
    pub prm: Prm,
    /// The challenge in a refusal at the MCP endpoint.
    pub challenge: Challenge,
    /// The scopes that calls need.
    pub gate: Gate,
    /// The MCP transport.
    pub mcp: Mcp,
    /// The first authorization server.
    pub server: Server,
    /// Further authorization servers; [`Model::migrate`](super::Model::migrate) moves the resource to the next one.
    pub others: Vec<Server>,
    /// Move to the next authorization server after this many authorized MCP requests.
    pub migrate_after: Option<usize>,
    /// The answer to a request for a document that is not there.
    pub absent: Absent,
    /// Milliseconds each answer of an endpoint waits.
    pub delays: BTreeMap<Endpoint, u64>,
}

/// Protected resource metadata.
#[derive(Clone, Debug)]
pub struct Prm {
    /// Where the document can be had; the challenge points to the first place.
    pub places: Vec<PrmPlace>,
    /// `resource`, if it shall differ from what the first place calls for.
    pub resource: Option<String>,
    /// `authorization_servers`, if it shall differ from the issuer now responsible.
    pub authorization_servers: Option<Vec<String>>,
    /// `scopes_supported`; absent when empty.
    pub scopes: Vec<String>,
    /// Members laid over the document; `null` removes one.
    pub members: Vec<(String, Value)>,
    /// Redirects before the document.
    pub redirect: Redirect,
}

/// A place of the protected resource metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrmPlace {
    /// The well-known URL with the MCP path inserted.
    Path,
    /// The well-known URL of the bare origin; `resource` is then the origin, without a final slash.
    Root,
    /// This path on the MCP origin, which only a challenge can tell.
    Custom(String),
}

/// Redirects in front of a metadata document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Redirect {
    /// The document stands where it should.
    #[default]
    None,
    /// That many hops on the same origin, then the document.
    SameOrigin(u32),
    /// One hop to this URL.
    To(String),
}

/// `WWW-Authenticate` of the MCP endpoint.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// The shape of the header.
    pub form: ChallengeForm,
    /// True if `resource_metadata` is named (only where there is a place to name).
    pub resource_metadata: bool,
    /// The `resource_metadata` value, if it shall not be the first place.
    pub pointer: Option<String>,
    /// `scope` of a 401.
    pub scope: Option<String>,
    /// Which scopes a 403 names.
    pub step_up: StepUpScope,
    /// The code of a JSON-RPC error in the body, where OAuth's error would be.
    pub rpc: Option<i64>,
}

/// The shape of a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChallengeForm {
    /// An RFC 6750 Bearer challenge.
    Bearer,
    /// No `WWW-Authenticate` at all.
    Bare,
    /// Exactly these header lines.
    Literal(Vec<String>),
}

/// Which scopes an `insufficient_scope` refusal names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepUpScope {
    /// Only those the token lacks.
    Missing,
    /// All that the operation needs.
    Needed,
    /// None: the challenge has no `scope`.
    Unnamed,
}

/// Which scopes a call needs.
#[derive(Clone, Debug)]
pub struct Gate {
    /// No authorization at all.
    pub open: bool,
    /// JSON-RPC methods that need no token (an entry ending in `/` covers all methods it begins).
    pub exempt: Vec<String>,
    /// This many MCP requests are let in before the first challenge.
    pub free: usize,
    /// Needed for everything.
    pub base: Vec<String>,
    /// Needed per JSON-RPC method, besides `base`.
    pub methods: BTreeMap<String, Vec<String>>,
    /// Needed per tool, besides `base`.
    pub tools: BTreeMap<String, Vec<String>>,
    /// The way in which step-up after a refusal ends.
    pub step_up: StepUp,
}

/// How step-up ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepUp {
    /// A token with the scopes named is let in.
    Honest,
    /// Each refused call names a scope never named before. Only calls with needs under `methods` or `tools` are refused.
    Endless,
    /// Calls with needs under `methods` or `tools` are refused for ever, always naming the same scopes.
    Stuck,
}

/// The MCP transport.
#[derive(Clone, Debug)]
pub struct Mcp {
    /// Which wire is spoken.
    pub era: Era,
    /// Versions of the legacy wire, oldest first.
    pub legacy_versions: Vec<String>,
    /// Versions of the modern wire.
    pub modern_versions: Vec<String>,
    /// True if `initialize` issues a session id, which is then demanded.
    pub sessions: bool,
    /// The answer to a session id that is not known.
    pub lost: LostSession,
    /// How many messages each session lives for; one is `notifications/initialized`.
    pub session_uses: Option<usize>,
    /// How many sessions of each client live so short; those after them live on.
    pub short_sessions: usize,
    /// A tool whose calls are always answered like this on the legacy wire.
    pub refused_tool: Option<(String, LostSession)>,
    /// The answer to `server/discover`.
    pub discover: Discover,
    /// The form of answers.
    pub answers: AnswerForm,
    /// True if GET opens a stream (legacy); resumption needs it.
    pub get_stream: bool,
    /// True if a POST stream begins with an empty event that has an id, so that it can be resumed.
    pub priming: bool,
    /// The `retry` field of priming events.
    pub retry_ms: Option<u64>,
    /// How POST streams break.
    pub cut: Cut,
    /// How many streams break; those after them do not.
    pub cuts: usize,
    /// Every stream that can be resumed breaks after this many messages, inside the next one.
    pub cut_every: Option<usize>,
    /// Streams come in chunks of at most this many bytes.
    pub chunk_bytes: Option<usize>,
    /// Milliseconds between opening a stream and its last event.
    pub stream_delay_ms: u64,
    /// A comment line before each event.
    pub keep_alive: bool,
    /// The `endpoint` event of HTTP+SSE, if it shall not be the usual one; `{session}` stands for the session. A path
    /// of the MCP origin is served.
    pub sse_endpoint: Option<String>,
    /// Further tools, as `tools/list` has them; they do nothing. The modern wire checks the headers that mirror
    /// their annotated parameters.
    pub more_tools: Vec<Value>,
    /// A client capability that modern `tools/call` demands (else -32021).
    pub capability: Option<String>,
    /// Values of `Origin` that are let in; any other is refused with 403.
    pub origins: Vec<String>,
}

/// How a server says that it does not know a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostSession {
    /// The status. A 401 has a challenge too.
    pub status: u16,
    /// The body.
    pub body: LostBody,
}

/// The body of the answer to a lost session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostBody {
    /// A JSON-RPC error of this code.
    Rpc(i64),
    /// A line of text.
    Text(&'static str),
    /// A JSON object with an `error` that is a text.
    Json(&'static str),
    /// Nothing.
    Empty,
}

impl LostSession {
    /// An answer of this status and body.
    #[must_use]
    pub const fn new(status: u16, body: LostBody) -> Self {
        Self { status, body }
    }
}

/// The answer to `server/discover`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discover {
    /// It is answered as the wire has it.
    Known,
    /// -32601 with this status, whatever the wire.
    Unknown(u16),
    /// This status to everybody, whatever their token; 401 with a challenge.
    Refused(u16),
}

/// Which wire the MCP endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// Streamable HTTP with `initialize`.
    Legacy,
    /// Stateless requests of 2026-07-28.
    Modern,
    /// Both.
    Both,
    /// HTTP+SSE of 2024-11-05 alone.
    HttpSse,
}

/// The form of an answer to a JSON-RPC request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerForm {
    /// `application/json`.
    Json,
    /// `text/event-stream`.
    EventStream,
}

/// How a POST stream breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Not at all.
    Never,
    /// The connection goes in the middle of the event that holds the answer.
    InsideEvent,
    /// The connection goes before that event.
    BeforeAnswer,
    /// The stream ends in good order before that event: the client is to poll.
    EndBeforeAnswer,
}

/// The answer to a request for a document that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// 404 with an HTML page.
    Html,
    /// 404 without a body.
    Empty,
    /// 404 with a JSON body.
    Json,
    /// 200 with an HTML page, as single-page applications answer everything.
    Everything,
}

impl Default for Settings {
    /// The newest revision with both wires.
    fn default() -> Self {
        let mut settings = Self::revision("2026-07-28");
        settings.mcp.era = Era::Both;
        settings
    }
}

impl Settings {
    /// An honest server of that revision at `https://mcp.example/mcp`, its authorization server at
    /// `https://as.example` (2025-03-26: on the MCP origin), a second one at `https://as2.example`.
    /// A name not in [`REVISIONS`] gives the newest.
    pub fn revision(name: &str) -> Self {
        let mut settings = Self::newest();
        let legacy = |count: usize| REVISIONS.iter().take(count).map(|v| (*v).to_owned()).collect();
        match name {
            "2025-03-26" => {
                settings.mcp.legacy_versions = legacy(1);
                settings.prm.places.clear();
                settings.challenge.resource_metadata = false;
            }
            "2025-06-18" => settings.mcp.legacy_versions = legacy(2),
            "2025-11-25" => {}
            _ => {
                settings.mcp.era = Era::Modern;
                return settings.at(
                    "https://mcp.example/mcp",
                    "https://as.example",
                    "https://as2.example",
                );
            }
        }
        settings.mcp.era = Era::Legacy;
        for server in settings.servers_mut() {
            server.callback.iss = IssMode::Absent;
            server.registration.application_type = ApplicationType::Ignored;
        }
        if name != "2025-11-25" {
            settings.challenge.scope = None;
            settings.prm.scopes.clear();
            settings.gate.base.clear();
            settings.gate.tools.clear();
            for server in settings.servers_mut() {
                server.scopes_supported.clear();
            }
        }
        if name == "2025-03-26" {
            for server in settings.servers_mut() {
                server.resource = ResourceRule::Optional;
            }
        }
        settings.at("https://mcp.example/mcp", "https://as.example", "https://as2.example")
    }

    fn newest() -> Self {
        let scope = || vec!["mcp:tools".to_owned()];
        let server = || Server {
            scopes_supported: vec!["mcp:tools".to_owned(), "mcp:admin".to_owned()],
            ..Server::new("https://as.example")
        };
        Self {
            seed: 1,
            mcp_url: String::new(),
            subject: "alice".to_owned(),
            prm: Prm {
                places: vec![PrmPlace::Path],
                resource: None,
                authorization_servers: None,
                scopes: scope(),
                members: Vec::new(),
                redirect: Redirect::None,
            },
            challenge: Challenge {
                form: ChallengeForm::Bearer,
                resource_metadata: true,
                pointer: None,
                scope: Some("mcp:tools".to_owned()),
                step_up: StepUpScope::Missing,
                rpc: None,
            },
            gate: Gate {
                open: false,
                exempt: Vec::new(),
                free: 0,
                base: scope(),
                methods: BTreeMap::new(),
                tools: BTreeMap::from([("admin".to_owned(), vec!["mcp:admin".to_owned()])]),
                step_up: StepUp::Honest,
            },
            mcp: Mcp {
                era: Era::Modern,
                legacy_versions: REVISIONS.iter().take(3).map(|v| (*v).to_owned()).collect(),
                modern_versions: vec!["2026-07-28".to_owned()],
                sessions: true,
                lost: LostSession::new(404, LostBody::Rpc(-32000)),
                session_uses: None,
                short_sessions: usize::MAX,
                refused_tool: None,
                discover: Discover::Known,
                answers: AnswerForm::Json,
                get_stream: false,
                priming: false,
                retry_ms: None,
                cut: Cut::Never,
                cuts: usize::MAX,
                cut_every: None,
                chunk_bytes: None,
                stream_delay_ms: 0,
                keep_alive: false,
                sse_endpoint: None,
                more_tools: Vec::new(),
                capability: None,
                origins: Vec::new(),
            },
            server: server(),
            others: vec![server()],
            migrate_after: None,
            absent: Absent::Html,
            delays: BTreeMap::new(),
        }
    }

    /// Moves everything to these places. Without protected resource metadata the first authorization server is
    /// the MCP origin itself, whatever `issuer` says.
    #[must_use]
    pub fn at(mut self, mcp_url: &str, issuer: &str, second_issuer: &str) -> Self {
        mcp_url.clone_into(&mut self.mcp_url);
        self.server.issuer =
            if self.prm.places.is_empty() { origin_of(mcp_url) } else { issuer.to_owned() };
        if let Some(second) = self.others.first_mut() {
            second_issuer.clone_into(&mut second.issuer);
        }
        self
    }

    /// No authorization server publishes metadata: what 2025-03-26 calls the default endpoints.
    #[must_use]
    pub fn without_as_metadata(mut self) -> Self {
        for server in self.servers_mut() {
            server.metadata.at.clear();
        }
        self
    }

    /// The resource identifier that tokens must be for.
    pub fn resource(&self) -> String {
        match (&self.prm.resource, self.prm.places.first()) {
            (Some(given), _) => given.clone(),
            (None, Some(PrmPlace::Root)) => origin_of(&self.mcp_url),
            (None, _) => self.mcp_url.clone(),
        }
    }

    /// An authorization server by number; the first is 0.
    pub fn nth(&self, index: usize) -> Option<&Server> {
        match index.checked_sub(1) {
            None => Some(&self.server),
            Some(other) => self.others.get(other),
        }
    }

    /// All authorization servers.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        std::iter::once(&self.server).chain(&self.others)
    }

    /// All authorization servers, to change a knob on each.
    pub fn servers_mut(&mut self) -> impl Iterator<Item = &mut Server> {
        std::iter::once(&mut self.server).chain(&mut self.others)
    }
}

/// Scheme, host and port of a URL, without a final slash.
pub(crate) fn origin_of(url: &str) -> String {
    Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}
