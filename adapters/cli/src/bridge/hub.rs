//! The parts that the calls of a host share: both sides of the bridge, and the state between them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};

use crate::bridge::desk::Desk;
use crate::bridge::era::{self, Host};
use crate::bridge::error::About;
use crate::bridge::hidden::Hidden;
use crate::bridge::lines::Out;
use crate::bridge::link::{Link, Up};
use crate::bridge::login::Login;
use crate::bridge::message::{self, Request};
use crate::say::log;

/// Resources that a host subscribes to at a server whose session may be lost.
const MOST_RESOURCES: usize = 1024;

/// Questions of the server's at a time, until their answers are delivered.
const MOST_ANSWERING: usize = 256;
/// Refusals of questions that are on their way.
const MOST_REFUSING: usize = 16;

/// A running bridge.
pub(crate) struct Hub {
    pub(crate) link: Arc<Link>,
    pub(crate) login: Arc<Login>,
    pub(crate) out: Out,
    pub(crate) hidden: Hidden,
    /// The server, as errors name it.
    pub(crate) about: About,
    /// Answer `initialize` with an error if a login is not done in time.
    pub(crate) strict: bool,
    /// Wakes calls that came before `initialize` was answered.
    started: Notify,
    /// Wakes those who listen to the server's own messages: what the host wants to hear has changed.
    pub(crate) listens: Notify,
    desk: Mutex<Desk>,
    state: Mutex<State>,
    /// The opening of the connection for which subscriptions and the log level are set.
    openings: AtomicU64,
    /// A place for each question of the server's that is out, or whose answer is on its way.
    pub(crate) answering: Arc<Semaphore>,
    /// A place for each question that is refused at once.
    pub(crate) refusing: Semaphore,
}

/// The state of the conversation with the host.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// The level of log messages that a legacy host has set.
    pub(crate) level: Option<Value>,
    /// The resources that a legacy host has subscribed to.
    pub(crate) resources: BTreeSet<String>,
    /// The host has said that it is ready, and the server's own messages are passed on.
    pub(crate) listening: bool,
}

/// How the host speaks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Phase {
    /// It has not said yet.
    #[default]
    New,
    /// It waits for the answer to `initialize`.
    Starting,
    /// It speaks a revision that begins with `initialize`.
    Legacy {
        version: &'static str,
        /// It was answered before anything was known of the server.
        early: bool,
    },
    /// Each of its requests describes it.
    Modern,
}

impl Hub {
    pub(crate) fn new(
        login: Arc<Login>,
        link: Arc<Link>,
        out: Out,
        hidden: Hidden,
        strict: bool,
    ) -> Arc<Self> {
        let about = About::new(&login.server().url, &login.server().options);
        Arc::new(Self {
            about,
            link,
            login,
            out,
            hidden,
            strict,
            started: Notify::new(),
            listens: Notify::new(),
            desk: Mutex::default(),
            state: Mutex::default(),
            openings: AtomicU64::new(1),
            answering: Arc::new(Semaphore::new(MOST_ANSWERING)),
            refusing: Semaphore::new(MOST_REFUSING),
        })
    }

    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way in which the host speaks, once `initialize` is answered: a script may send more without
    /// waiting for that.
    pub(crate) async fn phase(&self) -> Phase {
        loop {
            let started = self.started.notified();
            let phase = self.state().phase.clone();
            if phase != Phase::Starting {
                return phase;
            }
            started.await;
        }
    }

    /// The host speaks so from now on.
    pub(crate) fn speaks(&self, phase: Phase) {
        self.state().phase = phase;
        self.started.notify_waiters();
    }

    /// Notes what a legacy host has set in its session, to set it again in the next one.
    pub(crate) fn note_setting(&self, request: &Request) {
        let uri = || request.params.get("uri").and_then(Value::as_str).map(str::to_owned);
        let mut state = self.state();
        match (&*request.method, uri()) {
            ("logging/setLevel", _) => state.level = request.params.get("level").cloned(),
            ("resources/subscribe", Some(uri)) if state.resources.len() < MOST_RESOURCES => {
                state.resources.insert(uri);
            }
            ("resources/unsubscribe", Some(uri)) => {
                state.resources.remove(&uri);
            }
            _ => return,
        }
        drop(state);
        self.listens.notify_one();
    }

    /// Sets in a new session what the host had set in the one that the server has forgotten, and
    /// tells the host that lists may be others. Once for each session.
    pub(crate) async fn set_again(&self, up: &Up) {
        let now = up.transport.openings();
        if up.modern || self.openings.swap(now, Ordering::AcqRel) >= now {
            return;
        }
        log("the server has forgotten the session: a new one is begun");
        let (level, resources) = {
            let state = self.state();
            (state.level.clone(), state.resources.clone())
        };
        let levels = level.map(|level| ("logging/setLevel", json!({ "level": level })));
        let uris = resources.into_iter().map(|uri| ("resources/subscribe", json!({ "uri": uri })));
        for (method, params) in levels.into_iter().chain(uris) {
            if let Err(error) = up.transport.call(method, params).await {
                log(format_args!("{method} is not set again: {error}"));
            }
        }
        for method in era::changes(&up.capabilities()) {
            self.out.send(&message::notification(method, Value::Null)).await;
        }
    }

    /// A request describes the host that it comes from: the first such host is connected for. Later
    /// ones may be described otherwise, each for itself.
    pub(crate) fn meets(&self, host: &Host) {
        let mut state = self.state();
        if state.phase == Phase::New {
            state.phase = Phase::Modern;
        }
        drop(state);
        self.link.connect_unless_there(host);
    }
}
