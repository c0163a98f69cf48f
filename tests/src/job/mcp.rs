//! An MCP client over Streamable HTTP: requests out, answers in, both wire eras (TRANS).
//!
//! Decides which request opens the connection and what an answer means for it. Refuses to decide anything
//! about tokens: 401, 403 and a 400 with a challenge are handed back as they are and never decide the era
//! (DISC-18). HTTP+SSE of 2024-11-05 is not spoken.

mod ask;

use http::header::{HeaderName, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use mcp_authz_core::failure::Remedy;
use serde_json::Value;

use super::framing::{self, Absent};
use super::outcome::Fault;
pub(crate) use ask::{Ask, Outgoing};

/// The newest revision of the modern wire.
pub const MODERN: &str = "2026-07-28";
/// Revisions of the legacy wire, newest first. The last one has Streamable HTTP only by custom.
pub const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

const HEADER_MISMATCH: i64 = -32020;
const MISSING_CAPABILITY: i64 = -32021;
const UNSUPPORTED_VERSION: i64 = -32022;
const NO_METHOD: i64 = -32601;
const SESSION_LOST: i64 = -32001;

/// How often a lost session is begun anew.
const MOST_RESTARTS: u8 = 2;

/// Which wire to begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hint {
    /// Ask the server (TRANS-27).
    #[default]
    Auto,
    /// Stateless requests of 2026-07-28, no probing.
    Modern,
    /// `initialize`, no probing.
    Legacy,
}

/// A tool as `tools/list` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// Whether it can be called without arguments.
    pub(crate) plain: bool,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A matter of authorization.
    Refused,
    /// The connection has moved on: see [`Mcp::opening`].
    Moved,
    /// The session is gone and a new one begins (TRANS-19).
    SessionLost,
    /// The stream ended before the answer came.
    Lost,
    Tools {
        tools: Vec<Tool>,
        next: Option<String>,
    },
    Called {
        error: bool,
        text: String,
    },
    Ended,
    Fault(Fault),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Probe,
    Initialize,
    Notify,
    Open,
}

/// The connection to one MCP server.
#[derive(Clone, Debug)]
pub(crate) struct Mcp {
    url: String,
    stage: Stage,
    modern: bool,
    /// What is proposed, then what is spoken.
    version: String,
    /// A version was named by the server and taken up; once is enough.
    corrected: bool,
    session: Option<HeaderValue>,
    restarts: u8,
    last_id: u64,
}

impl Mcp {
    pub(crate) fn new(url: &str, hint: Hint, version: Option<&str>) -> Self {
        let hint = match (hint, version) {
            (Hint::Auto, Some(version)) if is_modern(version) => Hint::Modern,
            (Hint::Auto, Some(_)) => Hint::Legacy,
            (hint, _) => hint,
        };
        let (stage, modern) = match hint {
            Hint::Auto => (Stage::Probe, true),
            Hint::Modern => (Stage::Open, true),
            Hint::Legacy => (Stage::Initialize, false),
        };
        let newest = if modern { MODERN } else { LEGACY[0] };
        Self {
            url: url.to_owned(),
            stage,
            modern,
            version: version.unwrap_or(newest).to_owned(),
            corrected: false,
            session: None,
            restarts: 0,
            last_id: 0,
        }
    }

    pub(crate) const fn era(&self) -> &'static str {
        era(self.modern)
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Whether there is a session to end.
    pub(crate) const fn in_session(&self) -> bool {
        self.session.is_some()
    }

    /// What must be asked before anything else, or nothing.
    pub(crate) const fn opening(&self) -> Option<Ask> {
        match self.stage {
            Stage::Probe => Some(Ask::Discover),
            Stage::Initialize => Some(Ask::Initialize),
            Stage::Notify => Some(Ask::Initialized),
            Stage::Open => None,
        }
    }

    /// What the answer to a request means; the connection moves on accordingly.
    pub(crate) fn read(
        &mut self,
        ask: &Ask,
        id: Option<u64>,
        response: &Response<Vec<u8>>,
    ) -> Heard {
        let status = response.status();
        if *ask == Ask::Bye {
            self.session = None;
            return Heard::Ended;
        }
        if is_refused(response) {
            return Heard::Refused;
        }
        if self.session.is_some() && *ask != Ask::Initialize && self.is_lost(response) {
            return self.restart();
        }
        if !status.is_success() {
            return self.failed(ask, response);
        }
        let Some(id) = id else {
            self.stage = Stage::Open;
            return Heard::Moved;
        };
        match framing::answer(response, id) {
            Err(Absent::Lost) => Heard::Lost,
            Err(Absent::Malformed) if *ask == Ask::Discover => self.fall_back(),
            Err(Absent::Malformed) => {
                let text = format!("the answer to {} is no JSON-RPC answer", ask.method());
                Heard::Fault(Fault::server("mcp_malformed", &text, "TRANS-04"))
            }
            Ok(message) => match (message.get("result"), message.get("error")) {
                (Some(result), None) => self.succeeded(ask, result, response),
                (_, error) => self.erred(ask, error.unwrap_or(&Value::Null), status),
            },
        }
    }

    fn succeeded(&mut self, ask: &Ask, result: &Value, response: &Response<Vec<u8>>) -> Heard {
        match ask {
            Ask::Discover => self.discovered(result),
            Ask::Initialize => self.initialized(result, response),
            Ask::Tools { .. } => listed(result),
            Ask::Call { .. } => called(result),
            Ask::Initialized | Ask::Bye => Heard::Moved,
        }
    }

    fn discovered(&mut self, result: &Value) -> Heard {
        self.stage = Stage::Open;
        match result.get("supportedVersions").and_then(Value::as_array) {
            Some(supported) if !supported.iter().any(|version| *version == *self.version) => {
                self.correct(supported)
            }
            _ => Heard::Moved,
        }
    }

    fn initialized(&mut self, result: &Value, response: &Response<Vec<u8>>) -> Heard {
        let version = result.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
        if version != self.version && !LEGACY.contains(&version) {
            return Heard::Fault(unknown_version(version));
        }
        let session = response.headers().get(SESSION);
        if session.is_some_and(|id| {
            id.is_empty() || !id.as_bytes().iter().all(|byte| matches!(byte, 0x21..=0x7e))
        }) {
            let text = "the session id has characters that no session id may have";
            return Heard::Fault(Fault::server("mcp_session_id", text, "TRANS-18"));
        }
        self.session = session.cloned().map(|mut id| {
            id.set_sensitive(true);
            id
        });
        version.clone_into(&mut self.version);
        self.stage = Stage::Notify;
        Heard::Moved
    }

    /// Whether the session is gone, in whatever words (TRANS-90). A bare 400 may mean the request
    /// instead, and is taken for that once a new session has not helped.
    fn is_lost(&self, response: &Response<Vec<u8>>) -> bool {
        let error = framing::error(response).map(|error| code(&error));
        match response.status().as_u16() {
            404 | 410 => true,
            401 | 403 | 408 | 429 => false,
            400 if error.is_none() => self.restarts == 0,
            400..=499 => error == Some(SESSION_LOST),
            _ => false,
        }
    }

    fn restart(&mut self) -> Heard {
        self.session = None;
        self.stage = Stage::Initialize;
        self.restarts = self.restarts.saturating_add(1);
        if self.restarts > MOST_RESTARTS {
            let text = "the server forgets its sessions again and again";
            return Heard::Fault(Fault::server("mcp_session_lost", text, "TRANS-19"));
        }
        Heard::SessionLost
    }

    /// An HTTP error that is none of authorization.
    fn failed(&mut self, ask: &Ask, response: &Response<Vec<u8>>) -> Heard {
        let status = response.status();
        let error = framing::error(response);
        if let Some(error) = error.filter(|error| status.is_client_error() && code(error) != 0) {
            return self.erred(ask, &error, status);
        }
        let missing = matches!(
            status,
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
        );
        match ask {
            Ask::Discover if missing => self.fall_back(),
            Ask::Initialize if missing => {
                let text = format!(
                    "{} to initialize: there is no MCP endpoint at this URL, or one that speaks only HTTP+SSE of \
                     2024-11-05, which this program does not",
                    status.as_u16()
                );
                Heard::Fault(Fault::new("mcp_no_endpoint", &text, "TRANS-30", Remedy::Configure))
            }
            _ => Heard::Fault(unusable(status, ask)),
        }
    }

    /// A JSON-RPC error, whatever the status it came with.
    fn erred(&mut self, ask: &Ask, error: &Value, status: StatusCode) -> Heard {
        let code = code(error);
        let supported = error.pointer("/data/supported").and_then(Value::as_array);
        match (ask, code) {
            (_, UNSUPPORTED_VERSION) => match supported {
                Some(supported) => self.correct(supported),
                None => Heard::Fault(unknown_version("none that it names")),
            },
            // A modern server is recognised by its errors; the next request will tell what is wrong.
            (Ask::Discover, HEADER_MISMATCH | MISSING_CAPABILITY) => self.open(),
            (Ask::Discover, NO_METHOD) if status == StatusCode::NOT_FOUND => self.open(),
            (Ask::Discover, _) => self.fall_back(),
            (Ask::Initialize, _) if supported.is_some_and(|versions| !versions.is_empty()) => {
                self.correct(supported.map(Vec::as_slice).unwrap_or_default())
            }
            _ => {
                let said = error.get("message").and_then(Value::as_str).unwrap_or_default();
                let text = format!("{} was answered with error {code}: {said}", ask.method());
                Heard::Fault(Fault::server("mcp_error", &text, "TRANS-27"))
            }
        }
    }

    const fn open(&mut self) -> Heard {
        self.stage = Stage::Open;
        Heard::Moved
    }

    fn fall_back(&mut self) -> Heard {
        self.modern = false;
        self.stage = Stage::Initialize;
        LEGACY[0].clone_into(&mut self.version);
        Heard::Moved
    }

    /// Takes up the newest version that both sides know; it decides the wire, too.
    fn correct(&mut self, supported: &[Value]) -> Heard {
        let known = [MODERN].into_iter().chain(LEGACY);
        let common =
            known.into_iter().find(|known| supported.iter().any(|version| version == known));
        let Some(version) = common.filter(|version| !self.corrected && *version != self.version)
        else {
            let named: Vec<&str> = supported.iter().take(8).filter_map(Value::as_str).collect();
            return Heard::Fault(unknown_version(&named.join(", ")));
        };
        self.corrected = true;
        self.modern = is_modern(version);
        self.stage = if self.modern { Stage::Open } else { Stage::Initialize };
        version.clone_into(&mut self.version);
        Heard::Moved
    }
}

/// 400 is a refusal only with a challenge; without one it is the protocol's business (TRANS-20).
fn is_refused(response: &Response<Vec<u8>>) -> bool {
    match response.status() {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => true,
        StatusCode::BAD_REQUEST => response.headers().contains_key(WWW_AUTHENTICATE),
        _ => false,
    }
}

const fn era(modern: bool) -> &'static str {
    if modern { "modern" } else { "legacy" }
}

/// Which wire a protocol version is spoken on.
pub(crate) fn era_of(version: &str) -> &'static str {
    era(is_modern(version))
}

fn is_modern(version: &str) -> bool {
    version >= MODERN
}

fn code(error: &Value) -> i64 {
    error.get("code").and_then(Value::as_i64).unwrap_or_default()
}

fn listed(result: &Value) -> Heard {
    let Some(tools) = result.get("tools").and_then(Value::as_array) else {
        return Heard::Fault(Fault::server(
            "mcp_malformed",
            "tools/list gave no list of tools",
            "TRANS-04",
        ));
    };
    let tool = |tool: &Value| {
        let required = tool.pointer("/inputSchema/required").and_then(Value::as_array);
        Some(Tool {
            name: tool.get("name")?.as_str()?.to_owned(),
            plain: required.is_none_or(Vec::is_empty),
        })
    };
    let next = result.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
    Heard::Tools { tools: tools.iter().filter_map(tool).collect(), next }
}

fn called(result: &Value) -> Heard {
    if result.get("resultType").and_then(Value::as_str).is_some_and(|kind| kind != "complete") {
        return Heard::Called {
            error: true,
            text: "the tool wants input that this program does not give".to_owned(),
        };
    }
    let texts = result.get("content").and_then(Value::as_array).into_iter().flatten();
    let texts: Vec<&str> = texts.filter_map(|part| part.get("text")?.as_str()).take(4).collect();
    Heard::Called {
        error: result.get("isError").and_then(Value::as_bool).unwrap_or_default(),
        text: texts.join(" "),
    }
}

fn unknown_version(named: &str) -> Fault {
    let text = format!("no protocol version is known to both sides; the server's: {}", named);
    Fault::server("mcp_version", &text, "TRANS-09")
}

fn unusable(status: StatusCode, ask: &Ask) -> Fault {
    let mut text = format!("{} was answered with {}", ask.method(), status.as_u16());
    if *ask == Ask::Discover {
        text.push_str("; a server of 2025-11-25 or before is spared this question by --era legacy");
    }
    if status.is_redirection() {
        let text =
            format!("{text}: a redirect, which no token may follow; give the URL it leads to");
        return Fault::new("redirect_refused", &text, "USE-04", Remedy::Configure);
    }
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Fault::new("transient", &text, "REF-09", Remedy::Retry { after: None });
    }
    Fault::server("mcp_status", &text, "TRANS-20")
}

#[cfg(test)]
mod tests;
