//! Takes the steps of a trace again, offline, and compares the effects.

use core::fmt;
use std::collections::BTreeMap;

use mcp_authz_core::internals::trace::written;
use mcp_authz_core::session::Session;
use serde_json::Value;

use super::lines::{FORMAT, Head, Line, Step};
use super::shown;

/// Why a trace cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// The first line is not that of a trace.
    NotATrace,
    /// The trace is of a newer format.
    Version(u64),
    /// This line cannot be read.
    Malformed(usize),
    /// The last line has no end: the program that wrote it was stopped amid it.
    Truncated(usize),
    /// This line is about a session that has not begun.
    NoSession(usize),
    /// The configuration in this line is refused, with this code.
    Setup(usize, &'static str),
}

impl ReplayError {
    /// A stable name, in `snake_case`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotATrace => "trace_unknown",
            Self::Version(_) => "trace_version",
            Self::Malformed(_) => "trace_malformed",
            Self::Truncated(_) => "trace_truncated",
            Self::NoSession(_) => "trace_no_session",
            Self::Setup(..) => "trace_setup",
        }
    }
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotATrace => f.write_str("the file is no trace: its first line does not say so"),
            Self::Version(version) => write!(
                f,
                "the trace is of format {version}, and this program reads format {FORMAT}"
            ),
            Self::Malformed(line) => write!(f, "line {line} is no line of a trace"),
            Self::Truncated(line) => {
                write!(f, "line {line} breaks off: the trace has no more whole steps")
            }
            Self::NoSession(line) => {
                write!(f, "line {line} is about a session that has not begun")
            }
            Self::Setup(line, code) => {
                write!(f, "the configuration in line {line} is refused: {code}")
            }
        }
    }
}

impl core::error::Error for ReplayError {}

/// One line of a trace, replayed.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The number of its session; `None` for a line about the whole trace.
    pub session: Option<u64>,
    /// The number of the step within its session; `None` for a line that is no step.
    pub step: Option<u64>,
    /// Milliseconds since the session's first step.
    pub at: u64,
    /// The input in one line, or what the line says.
    pub given: String,
    /// The effects, one a line.
    pub effects: Vec<String>,
    /// The place where the effects are not those of the trace.
    pub differs: Option<Differs>,
}

/// A step that does not come out as the trace has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Differs {
    /// This core has other effects, from this place on.
    Effects(String),
    /// The trace itself says that its placeholders have lost something here.
    Recording(String),
}

/// Replays a trace, line by line.
#[derive(Default)]
pub struct Replay {
    begun: bool,
    lines: usize,
    sessions: BTreeMap<u64, Running>,
}

struct Running {
    session: Session,
    /// The monotonic clock of the first step.
    since: Option<u64>,
}

impl Replay {
    /// Nothing is replayed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replays one line, with the line end that it must have.
    ///
    /// # Errors
    /// [`ReplayError`]; the lines after this one make no sense.
    pub fn line(&mut self, line: &str) -> Result<Replayed, ReplayError> {
        self.lines = self.lines.saturating_add(1);
        if !self.begun {
            return self.head(line);
        }
        let Some(text) = line.strip_suffix('\n') else {
            return Err(ReplayError::Truncated(self.lines));
        };
        let read = serde_json::from_str(text).map_err(|_| ReplayError::Malformed(self.lines))?;
        match read {
            Line::Begins { session, setup } => {
                let config = setup
                    .build()
                    .map_err(|failure| ReplayError::Setup(self.lines, failure.code()))?;
                let given = format!("session {session} at {}", shown::shortened(&setup.mcp_url));
                let running = Running { session: Session::new(config), since: None };
                self.sessions.insert(session, running);
                Ok(Replayed { session: Some(session), ..said(given) })
            }
            Line::Step(step) => self.step(*step),
            Line::Lost { session, lost } => Ok(Replayed {
                session: Some(session),
                differs: Some(Differs::Recording(format!("setup: {lost}"))),
                ..said("the session could not be recorded".to_owned())
            }),
            Line::Stopped { .. } => Ok(said(
                "nothing more was recorded: the trace was as large as it may be".to_owned(),
            )),
        }
    }

    /// The trace has no more lines.
    ///
    /// # Errors
    /// [`ReplayError::NotATrace`] if it had none at all.
    pub const fn end(&self) -> Result<(), ReplayError> {
        if self.begun { Ok(()) } else { Err(ReplayError::NotATrace) }
    }

    fn head(&mut self, line: &str) -> Result<Replayed, ReplayError> {
        let head: Value = serde_json::from_str(line).map_err(|_| ReplayError::NotATrace)?;
        let format = head.get("trace").and_then(Value::as_u64).ok_or(ReplayError::NotATrace)?;
        if format != FORMAT {
            return Err(ReplayError::Version(format));
        }
        let head: Head = serde_json::from_value(head).map_err(|_| ReplayError::NotATrace)?;
        self.begun = true;
        Ok(said(format!("a trace by {}", shown::shortened(&head.program))))
    }

    fn step(&mut self, step: Step) -> Result<Replayed, ReplayError> {
        let line = self.lines;
        let running = self.sessions.get_mut(&step.session).ok_or(ReplayError::NoSession(line))?;
        let since = *running.since.get_or_insert(step.mono);
        let given = match &step.input {
            Some(given) => shown::given(given),
            None => "taken up from a snapshot".to_owned(),
        };
        let (effects, differs) = match super::take(&mut running.session, &step) {
            Ok(effects) => {
                let again = written(&effects);
                let differs = step
                    .effects
                    .as_ref()
                    .map_or(Some("effects".to_owned()), |told| difference(told, &again));
                (shown::effects(&effects, &again), differs)
            }
            // What the recording could not do cannot be done again.
            Err(why) => (Vec::new(), step.effects.is_some().then(|| why.to_owned())),
        };
        let differs = differs.map(Differs::Effects);
        Ok(Replayed {
            session: Some(step.session),
            step: Some(step.step),
            at: step.mono.saturating_sub(since),
            given,
            effects,
            differs: differs.or(step.diverged.map(Differs::Recording)),
        })
    }
}

fn said(given: String) -> Replayed {
    Replayed { session: None, step: None, at: 0, given, effects: Vec::new(), differs: None }
}

/// The first place where two values differ.
fn difference(one: &Value, other: &Value) -> Option<String> {
    let joined = |name: &str, rest: String| match rest.as_str() {
        "" => name.to_owned(),
        rest => format!("{name}.{rest}"),
    };
    match (one, other) {
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => one
            .iter()
            .zip(other.values())
            .find_map(|((name, one), other)| Some(joined(name, difference(one, other)?))),
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            one.iter().zip(other).enumerate().find_map(|(at, (one, other))| {
                Some(joined(&at.to_string(), difference(one, other)?))
            })
        }
        _ => (one != other).then(String::new),
    }
}
