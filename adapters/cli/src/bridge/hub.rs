//! The one place where the host, its calls and the server's questions meet.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use crate::bridge::desk::{Came, Desk, Outcome, Turn};
use crate::bridge::era::{self, Host};
use crate::bridge::hidden::Hidden;
use crate::bridge::lines::{Line, Out};
use crate::bridge::link::{Link, Up};
use crate::bridge::login::Login;
use crate::bridge::message::{self, Heard, INVALID, Request, Told};
use crate::bridge::{calls, listen, log};

/// Notifications of the host's that wait to be sent. Nobody waits for one, so those beyond are left
/// out rather than that the host's cancellations stay unread.
const NOTICES: usize = 256;
/// Entries of one array.
const MOST_ENTRIES: usize = 256;
/// Resources that a host subscribes to at a server whose session may be lost.
const MOST_RESOURCES: usize = 1024;

/// A running bridge.
pub(crate) struct Hub {
    pub(crate) link: Arc<Link>,
    pub(crate) login: Arc<Login>,
    pub(crate) out: Out,
    pub(crate) hidden: Hidden,
    /// Answer `initialize` with an error if a login is not done in time.
    pub(crate) strict: bool,
    /// Wakes those who listen to the server's own messages: what the host wants to hear has changed.
    pub(crate) listens: Notify,
    desk: Mutex<Desk>,
    state: Mutex<State>,
    notices: mpsc::Sender<(String, Value)>,
    /// The opening of the connection for which subscriptions and the log level are set.
    openings: AtomicU64,
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
    listening: bool,
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
        let (notices, waiting) = mpsc::channel(NOTICES);
        let hub = Arc::new(Self {
            link,
            login,
            out,
            hidden,
            strict,
            listens: Notify::new(),
            desk: Mutex::default(),
            state: Mutex::default(),
            notices,
            openings: AtomicU64::new(1),
        });
        tokio::spawn(notify(Arc::clone(&hub), waiting));
        hub
    }

    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The URL of the server, as it may be shown.
    pub(crate) fn url(&self) -> &str {
        &self.login.server().url
    }

    /// Takes in a line of the host's.
    pub(crate) async fn hear(self: &Arc<Self>, line: Line) {
        let told = match line {
            Line::Text(line) => message::read(&line),
            Line::TooLong => {
                let why = "this line is over 16 MiB";
                Told::One(Heard::Invalid { id: Value::Null, code: INVALID, why })
            }
        };
        match told {
            Told::One(heard) => self.take(heard, None).await,
            Told::Many(entries) => self.take_all(entries).await,
        }
    }

    async fn take(self: &Arc<Self>, heard: Heard, batch: Option<u64>) {
        match heard {
            Heard::Request(request) => {
                let came = self.desk().call(request, batch);
                match came {
                    Came::Run(turn) => self.run(turn),
                    Came::Parked | Came::Refused(None) => {}
                    Came::Refused(Some(answer)) => self.out.send(&answer).await,
                }
            }
            Heard::Notification { method, params } => self.noticed(&method, params).await,
            Heard::Answer { id, outcome } => {
                let _late_or_of_no_question = self.desk().answer(&id, outcome);
            }
            Heard::Invalid { id, code, why } => {
                let answer = message::answer(&id, Err(message::error(code, why, None)));
                let whole = self.desk().deliver(batch, answer);
                if let Some(whole) = whole {
                    self.out.send(&whole).await;
                }
            }
        }
    }

    /// Takes in an array, which the revisions have until 2025-03-26.
    async fn take_all(self: &Arc<Self>, entries: Vec<Heard>) {
        let spoken = matches!(self.state().phase, Phase::Legacy { version, .. }
            if version <= "2025-03-26");
        let why = match entries.len() {
            _ if !spoken => "the revision that is spoken has no arrays of messages",
            0 => "the array is empty",
            1..=MOST_ENTRIES => "",
            _ => "the array has more than 256 entries",
        };
        if !why.is_empty() {
            let refused = Heard::Invalid { id: Value::Null, code: INVALID, why };
            return Box::pin(self.take(refused, None)).await;
        }
        let is_answered =
            |heard: &&Heard| matches!(heard, Heard::Request(_) | Heard::Invalid { .. });
        let answered = entries.iter().filter(is_answered).count();
        let batch = (answered > 0).then(|| self.desk().batch(answered));
        for heard in entries {
            self.take(heard, batch).await;
        }
    }

    fn run(self: &Arc<Self>, turn: Turn) {
        let hub = Arc::clone(self);
        tokio::spawn(async move {
            let Turn { request, cancelled } = turn;
            let outcome = tokio::select! {
                outcome = calls::outcome(&hub, &request) => Some(outcome),
                Ok(()) = cancelled => None,
            };
            hub.ended(&request, outcome).await;
        });
    }

    async fn ended(self: &Arc<Self>, request: &Request, outcome: Option<Outcome>) {
        let begins = request.method == "initialize" && matches!(outcome, Some(Ok(_)));
        // Whoever has read the answer may use the id again, so that it is free before.
        let (answer, next) = self.desk().ended(&request.id, outcome);
        if let Some(answer) = answer {
            self.out.send(&answer).await;
        }
        if let Some(turn) = next {
            self.run(turn);
        }
        if begins {
            self.begun();
        }
    }

    /// `initialize` is answered. A host that was answered early hears of the lists once there are some.
    fn begun(self: &Arc<Self>) {
        if !matches!(self.state().phase, Phase::Legacy { early: true, .. }) {
            return;
        }
        let hub = Arc::clone(self);
        tokio::spawn(async move {
            while hub.link.ready(Duration::from_secs(3600)).await.is_err() {
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
            for method in era::changes(&Value::Null) {
                hub.out.send(&message::notification(method, Value::Null)).await;
            }
        });
    }

    async fn noticed(self: &Arc<Self>, method: &str, params: Value) {
        match method {
            "notifications/cancelled" => {
                let whole = params.get("requestId").and_then(|id| self.desk().cancel(id));
                if let Some(whole) = whole {
                    self.out.send(&whole).await;
                }
            }
            // The connection has said so for itself.
            "notifications/initialized" => {
                let listens = !core::mem::replace(&mut self.state().listening, true);
                if listens && matches!(self.state().phase, Phase::Legacy { .. }) {
                    tokio::spawn(listen::to_server(Arc::clone(self)));
                }
            }
            _ => {
                if self.notices.try_send((method.to_owned(), params)).is_err() {
                    log(
                        "the host sends notifications faster than the server takes them: one is left \
                         out",
                    );
                }
            }
        }
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

    /// The host that a modern request describes is the one to connect for.
    pub(crate) fn meets(&self, host: &Host) {
        let mut state = self.state();
        if state.phase == Phase::New {
            state.phase = Phase::Modern;
        }
        drop(state);
        self.link.connect(host);
    }
}

/// Sends the host's notifications, one after the other.
async fn notify(hub: Arc<Hub>, mut waiting: mpsc::Receiver<(String, Value)>) {
    while let Some((method, params)) = waiting.recv().await {
        let Some(up) = hub.link.up() else { continue };
        // 2026-07-28 has taken these away.
        let unknown = ["notifications/roots/list_changed", "notifications/progress"];
        if up.modern && unknown.contains(&&*method) {
            continue;
        }
        if let Err(error) = up.transport.notify(&method, params).await {
            let method = mcp_authz_core::failure::escaped(&method);
            log(format_args!("the server did not take {method}: {error}"));
        }
    }
}
