//! Which wire the server speaks: what is asked, and what each answer means for it (TRANS-27..30).
//!
//! 401 and 403 never decide it: the session has dealt with them before an answer comes here.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::{HeaderValue, StatusCode};
use mcp_authz_core::failure::{Failure, Kind, Remedy};
use serde_json::Value;

use super::answer::no_such_endpoint;
use super::codes::{HEADER_MISMATCH, MISSING_CAPABILITY, NO_METHOD, UNSUPPORTED_VERSION};
use super::error::TransportError;
use super::manner::{LEGACY, MODERN, Manner, Wire};
use super::rpc;
use super::settings::{Choice, Settings};

/// The question that is to be asked next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// `server/discover`.
    Discover,
    /// `initialize`.
    Initialize,
    /// `notifications/initialized`.
    Initialized,
    /// The stream of HTTP+SSE.
    Stream,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) status: StatusCode,
    /// The JSON-RPC response, if the body was one.
    pub(crate) response: Option<Value>,
    /// The session id, if one came.
    pub(crate) session: Option<HeaderValue>,
    /// The words of a refusal.
    pub(crate) said: Option<String>,
}

impl Ask {
    /// A server that lets nobody discover it may yet be spoken to in a revision that the program
    /// names (TRANS-91).
    pub(crate) fn refused(self, error: TransportError) -> TransportError {
        const HINT: &str = "no token opens server/discover, as with servers of older revisions: name \
                            the revision with Settings::revision, as in \"2025-11-25\"";
        let failure = match (self, error) {
            (Self::Discover, TransportError::Authorization(failure))
                if matches!(failure.kind(), Kind::UnauthorizedAfterRefresh | Kind::Forbidden) =>
            {
                Arc::unwrap_or_clone(failure)
            }
            (Self::Discover, TransportError::Status { status: StatusCode::UNAUTHORIZED, .. }) => {
                Failure::new(Kind::UnauthorizedAfterRefresh, "TRANS-91")
            }
            (Self::Discover, TransportError::Status { status: StatusCode::FORBIDDEN, .. }) => {
                Failure::new(Kind::Forbidden, "TRANS-91")
            }
            (_, error) => return error,
        };
        let failure = failure.with_remedy(Remedy::Configure).with_hint(HINT);
        TransportError::Authorization(Arc::new(failure))
    }
}

/// The facts that were found out about a server.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    wire: Wire,
    version: String,
}

/// The facts about a server that are remembered between connections (TRANS-29), and how often its
/// user has gone. A session without a connection has none of them.
#[derive(Debug, Default)]
pub(crate) struct Memory(OnceLock<Box<Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    known: Mutex<Option<Known>>,
    farewells: AtomicU64,
}

impl Memory {
    fn held(&self) -> &Remembered {
        self.0.get_or_init(Box::default)
    }

    fn known(&self) -> Option<Known> {
        let known = self.0.get()?.known.lock();
        known.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The user logs out: whoever comes next is to have a session of their own (TRANS-26).
    pub(crate) fn farewell(&self) {
        if let Some(held) = self.0.get() {
            held.farewells.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// How often users have gone, counted from the first time that this is asked.
    pub(crate) fn farewells(&self) -> u64 {
        self.held().farewells.load(Ordering::Acquire)
    }

    pub(crate) fn keep(&self, manner: &Manner) {
        let known = Known { wire: manner.wire, version: manner.version.clone() };
        *self.held().known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    pub(crate) fn forget(&self) {
        *self.held().known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.known().is_none()
    }
}

/// A connection that is being opened.
#[derive(Debug)]
pub(crate) struct Opening {
    ask: Option<Ask>,
    choice: Choice,
    manner: Manner,
    server: Value,
    /// A revision was named by the server and taken up; once is enough.
    corrected: bool,
    /// The status of the answer to `initialize` before HTTP+SSE was tried.
    refused: Option<StatusCode>,
    /// The server does not know `server/discover`, which says nothing of its era (TRANS-91).
    undiscovered: bool,
}

impl Opening {
    /// Begins where the settings say, or with what is known of the server, or by asking it.
    pub(crate) fn new(settings: &Settings, memory: &Memory) -> Self {
        let named = settings.revision.as_deref();
        let known = memory.known().filter(|known| named.is_none() && settings.allows(known.wire));
        let (wire, version) = match (settings.choice, named, known) {
            (Choice::HttpSse, ..) => (Wire::HttpSse, named.unwrap_or("2024-11-05").to_owned()),
            (_, Some(named), _) if named >= MODERN => (Wire::Modern, named.to_owned()),
            (_, Some(named), _) => (Wire::Session, named.to_owned()),
            (_, None, Some(known)) => (known.wire, known.version),
            (_, None, None) => (Wire::Modern, MODERN.to_owned()),
        };
        let manner = Manner { wire, version, session: None };
        Self::with(manner, settings.choice)
    }

    /// Opens again what was lost.
    pub(crate) fn again(manner: &Manner, settings: &Settings) -> Self {
        Self::with(Manner { session: None, ..manner.clone() }, settings.choice)
    }

    fn with(manner: Manner, choice: Choice) -> Self {
        let ask = match manner.wire {
            Wire::Modern => Ask::Discover,
            Wire::Session => Ask::Initialize,
            Wire::HttpSse => Ask::Stream,
        };
        let ask = Some(ask);
        Self {
            ask,
            choice,
            manner,
            server: Value::Null,
            corrected: false,
            refused: None,
            undiscovered: false,
        }
    }

    /// The next question; nothing when the connection is open.
    pub(crate) const fn ask(&self) -> Option<Ask> {
        self.ask
    }

    /// How to ask.
    pub(crate) const fn manner(&self) -> &Manner {
        &self.manner
    }

    /// The manner that was agreed, and the server's words about itself.
    pub(crate) fn finish(self) -> (Manner, Value) {
        (self.manner, self.server)
    }

    /// The stream of HTTP+SSE is there.
    pub(crate) const fn streaming(&mut self) {
        self.ask = Some(Ask::Initialize);
    }

    /// It is not. If it was tried because nothing else was there, then nothing is.
    pub(crate) fn no_stream(&self, error: TransportError) -> TransportError {
        match (self.refused, &error) {
            (Some(status), TransportError::Status { .. } | TransportError::Malformed(_)) => {
                TransportError::NoEndpoint(status)
            }
            _ => error,
        }
    }

    /// Takes an answer in; the next question follows from it.
    pub(crate) fn hear(&mut self, ask: Ask, heard: Heard) -> Result<(), TransportError> {
        let Heard { status, response, session, said } = heard;
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(TransportError::Status { status, said });
        }
        let error = response.as_ref().and_then(|response| response.get("error"));
        match (ask, &response, error) {
            (Ask::Initialized, ..) if status.is_success() => {
                self.ask = None;
                Ok(())
            }
            (_, Some(response), Some(error)) => {
                let code = rpc::code(response);
                self.erred(ask, status, code, error)
            }
            (Ask::Discover, Some(response), None) if status.is_success() => {
                self.discovered(response.get("result").unwrap_or(&Value::Null))
            }
            (Ask::Initialize, Some(response), None) if status.is_success() => {
                self.manner.session = session.filter(|_| self.manner.wire == Wire::Session);
                self.initialized(response.get("result").unwrap_or(&Value::Null))
            }
            _ => self.unanswered(ask, status, said),
        }
    }

    fn discovered(&mut self, result: &Value) -> Result<(), TransportError> {
        let supported = result.get("supportedVersions").and_then(Value::as_array);
        if let Some(supported) = supported
            && !supported.iter().any(|version| *version == *self.manner.version)
        {
            return self.correct(supported);
        }
        self.server = result.clone();
        self.ask = None;
        Ok(())
    }

    fn initialized(&mut self, result: &Value) -> Result<(), TransportError> {
        let version = result.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
        if version != self.manner.version && !LEGACY.contains(&version) {
            return Err(TransportError::Version(vec![shortened(version)]));
        }
        version.clone_into(&mut self.manner.version);
        self.server = result.clone();
        self.ask = Some(Ask::Initialized);
        Ok(())
    }

    /// A JSON-RPC error, whatever the status it came with.
    fn erred(
        &mut self,
        ask: Ask,
        status: StatusCode,
        code: i64,
        error: &Value,
    ) -> Result<(), TransportError> {
        let supported = error.pointer("/data/supported").and_then(Value::as_array);
        let missing = no_such_endpoint(status);
        match (ask, code) {
            (Ask::Discover, NO_METHOD) => {
                self.undiscovered = true;
                self.fall_back()
            }
            (
                Ask::Initialize,
                NO_METHOD | HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION,
            ) if self.undiscovered && !names_legacy_alone(supported) => self.open_modern(),
            (_, UNSUPPORTED_VERSION) => {
                self.correct(supported.map(Vec::as_slice).unwrap_or_default())
            }
            // A modern server is known by its errors; the next request tells what is wrong.
            (Ask::Discover, HEADER_MISMATCH | MISSING_CAPABILITY) if missing => self.open(),
            (Ask::Discover, _) if missing || status.is_success() => self.fall_back(),
            (Ask::Initialize, _) if supported.is_some_and(|versions| !versions.is_empty()) => {
                self.correct(supported.map(Vec::as_slice).unwrap_or_default())
            }
            (Ask::Initialize, HEADER_MISMATCH | MISSING_CAPABILITY) => self.go_modern(),
            (Ask::Initialize, _) if missing => self.try_stream(status),
            _ => Err(TransportError::Rpc(super::error::RpcError::read(error))),
        }
    }

    /// Neither a result nor a JSON-RPC error.
    fn unanswered(
        &mut self,
        ask: Ask,
        status: StatusCode,
        said: Option<String>,
    ) -> Result<(), TransportError> {
        let missing = no_such_endpoint(status);
        match ask {
            Ask::Discover if missing || status.is_success() => self.fall_back(),
            Ask::Initialize if missing => self.try_stream(status),
            _ if status.is_success() => {
                Err(TransportError::Malformed("it is no answer to the opening of a connection"))
            }
            _ => Err(TransportError::Status { status, said }),
        }
    }

    const fn open(&mut self) -> Result<(), TransportError> {
        self.ask = None;
        Ok(())
    }

    /// A modern server that cannot be discovered is spoken to all the same.
    fn open_modern(&mut self) -> Result<(), TransportError> {
        self.speak(Wire::Modern, MODERN);
        self.open()
    }

    fn fall_back(&mut self) -> Result<(), TransportError> {
        self.speak(Wire::Session, LEGACY[0]);
        Ok(())
    }

    fn go_modern(&mut self) -> Result<(), TransportError> {
        if self.corrected {
            return Err(TransportError::Version(Vec::new()));
        }
        self.corrected = true;
        self.speak(Wire::Modern, MODERN);
        Ok(())
    }

    fn try_stream(&mut self, status: StatusCode) -> Result<(), TransportError> {
        if self.choice == Choice::StreamableHttp || self.manner.wire == Wire::HttpSse {
            return Err(TransportError::NoEndpoint(status));
        }
        self.refused = Some(status);
        self.speak(Wire::HttpSse, "2024-11-05");
        Ok(())
    }

    /// Takes up the newest revision that both sides know; it decides the wire, too.
    fn correct(&mut self, supported: &[Value]) -> Result<(), TransportError> {
        let mut known = [MODERN].into_iter().chain(LEGACY);
        let common = known.find(|known| supported.iter().any(|version| version == known));
        let usable = |version: &&str| !self.corrected && *version != self.manner.version;
        let Some(version) = common.filter(usable) else {
            let named = supported.iter().take(8).filter_map(Value::as_str).map(shortened);
            return Err(TransportError::Version(named.collect()));
        };
        self.corrected = true;
        if self.manner.wire == Wire::HttpSse {
            version.clone_into(&mut self.manner.version);
            self.ask = Some(Ask::Initialize);
        } else {
            self.speak(if version == MODERN { Wire::Modern } else { Wire::Session }, version);
        }
        Ok(())
    }

    fn speak(&mut self, wire: Wire, version: &str) {
        self.manner = Manner { wire, version: version.to_owned(), session: None };
        self.ask = Some(match wire {
            Wire::Modern => Ask::Discover,
            Wire::Session => Ask::Initialize,
            Wire::HttpSse => Ask::Stream,
        });
    }
}

impl Settings {
    fn allows(&self, wire: Wire) -> bool {
        match self.choice {
            Choice::Auto => true,
            Choice::StreamableHttp => wire != Wire::HttpSse,
            Choice::HttpSse => wire == Wire::HttpSse,
        }
    }
}

/// Returns true if a server names revisions that begin with `initialize`, and no other that is
/// known.
fn names_legacy_alone(supported: Option<&Vec<Value>>) -> bool {
    let named = |known: &str| {
        supported.is_some_and(|supported| supported.iter().any(|version| version == known))
    };
    !named(MODERN) && LEGACY.into_iter().any(named)
}

/// The text that a server wrote where a revision belongs, cut to 32 characters.
fn shortened(version: &str) -> String {
    version.chars().take(32).collect()
}

#[cfg(test)]
#[path = "era/tests.rs"]
mod tests;
