//! Makes a trace of sessions while they run.
//!
//! Beside each session runs a second core, its shadow, which is given the same inputs with placeholders
//! in them. The shadow's configuration, inputs and effects are what is written.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use mcp_authz_core::config::Config;
use mcp_authz_core::effect::Effects;
use mcp_authz_core::input::Input;
use mcp_authz_core::internals::trace::{Given, Setup, mark, written};
use mcp_authz_core::session::{Env, Session, Snapshot};
use serde::Serialize;

use super::lines::{FORMAT, Head, Line, Step};
use super::mapping::Mapping;
use crate::ports::{Recorder, Steps};

/// Most bytes of a trace: nothing more is recorded after them.
pub const LARGEST: usize = 64 * 1024 * 1024;

/// A trace in the making, of any number of sessions. Clones record into the same one.
#[derive(Clone)]
pub struct Recording {
    shared: Arc<Mutex<Shared>>,
}

/// Writes one line.
pub(super) type Write = dyn FnMut(&str) -> io::Result<()> + Send;

struct Shared {
    mapping: Mapping,
    sessions: u64,
    write: Box<Write>,
    /// Most bytes, and how many there are.
    limit: usize,
    bytes: usize,
    /// Nothing more is written.
    stopped: bool,
}

impl Recording {
    /// A trace by this program, line by line. A line that cannot be written is the last one.
    pub fn new(program: &str, write: impl FnMut(&str) -> io::Result<()> + Send + 'static) -> Self {
        Self::within(LARGEST, program, Box::new(write))
    }

    /// A trace of so many bytes at most.
    pub(super) fn within(limit: usize, program: &str, write: Box<Write>) -> Self {
        let (mapping, sessions, bytes, stopped) = (Mapping::default(), 0, 0, false);
        let mut shared = Shared { mapping, sessions, write, limit, bytes, stopped };
        shared.line(&Head { trace: FORMAT, program: program.to_owned() });
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// Returns true if something is missing at the end: a line could not be written, or the trace is
    /// as large as it may be.
    #[must_use]
    pub fn stopped(&self) -> bool {
        lock(&self.shared).stopped
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn line(&mut self, line: &impl Serialize) {
        // Writing to memory cannot fail for these types.
        let Ok(mut text) = serde_json::to_string(line) else { return };
        if self.stopped {
            return;
        }
        self.bytes = self.bytes.saturating_add(text.len()).saturating_add(1);
        if self.bytes > self.limit {
            self.stopped = true;
            let stopped = Line::Stopped { stopped: "limit".to_owned() };
            text = serde_json::to_string(&stopped).unwrap_or_default();
        }
        text.push('\n');
        if (self.write)(&text).is_err() {
            self.stopped = true;
        }
    }
}

impl Recorder for Recording {
    fn begin(&self, config: &Config) -> Box<dyn Steps> {
        let mut shared = lock(&self.shared);
        shared.sessions = shared.sessions.saturating_add(1);
        let number = shared.sessions;
        let setup = shared.mapping.setup(Setup::of(config));
        let session = match setup.build() {
            Ok(config) => {
                shared.line(&Line::Begins { session: number, setup: Box::new(setup) });
                Some(Session::new(config))
            }
            Err(failure) => {
                shared.line(&Line::Lost { session: number, lost: failure.code().to_owned() });
                None
            }
        };
        Box::new(Shadow { shared: Arc::clone(&self.shared), number, steps: 0, session, next: None })
    }
}

/// A session with placeholders beside the real one.
struct Shadow {
    shared: Arc<Mutex<Shared>>,
    number: u64,
    steps: u64,
    /// `None` if it cannot be recorded.
    session: Option<Session>,
    /// The step whose effects are still to come.
    next: Option<Step>,
}

impl Shadow {
    fn begin(&mut self, env: &Env) -> Step {
        Step {
            session: self.number,
            step: self.steps.saturating_add(1),
            wall: env.wall.unix(),
            mono: env.mono.millis(),
            mark: mark(env),
            input: None,
            restored: None,
            effects: None,
            diverged: None,
        }
    }
}

impl Steps for Shadow {
    fn given(&mut self, env: &Env, input: &Input) {
        let mut shared = lock(&self.shared);
        if shared.stopped || self.session.is_none() {
            return;
        }
        let input = shared.mapping.given(Given::of(input));
        drop(shared);
        self.next = Some(Step { input: Some(input), ..self.begin(env) });
    }

    fn restored(&mut self, env: &Env, from: &Snapshot) {
        let mut shared = lock(&self.shared);
        if shared.stopped || self.session.is_none() {
            return;
        }
        let value = shared.mapping.snapshot(serde_json::to_value(from).unwrap_or_default());
        drop(shared);
        self.next = Some(Step { restored: Some(value), ..self.begin(env) });
    }

    fn done(&mut self, effects: &Effects) {
        let Some(mut step) = self.next.take() else { return };
        self.steps = step.step;
        let taken = self.session.as_mut().ok_or("session").and_then(|it| super::take(it, &step));
        let mut shared = lock(&self.shared);
        match taken {
            Ok(shadow) => {
                let shadow = written(&shadow);
                step.diverged = shared.mapping.compare(&written(effects), &shadow).err();
                step.effects = Some(shadow);
            }
            Err(why) => step.diverged = Some(why.to_owned()),
        }
        shared.line(&Line::Step(Box::new(step)));
    }
}
