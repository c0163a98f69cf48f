//! The host: takes in its lines and brings each message to where it belongs.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::bridge::desk::{Came, Outcome, Turn};
use crate::bridge::hub::{Hub, Phase};
use crate::bridge::lines::Line;
use crate::bridge::message::{self, Heard, INVALID, Request, Told};
use crate::bridge::{calls, era, listen};
use crate::say::log;

/// Notifications of the host's that wait to be sent. Nobody waits for one, so those beyond are left
/// out rather than that the host's cancellations stay unread.
const NOTICES: usize = 256;
/// Entries of one array.
const MOST_ENTRIES: usize = 256;
/// How long a connection is waited for at a time, and how long after one that failed.
const PATIENCE: Duration = Duration::from_secs(3600);
const LOOK: Duration = Duration::from_secs(15);

/// The host application at the other end of the pipes.
pub(crate) struct Host {
    hub: Arc<Hub>,
    notices: mpsc::Sender<(String, Value)>,
}

impl Host {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        let (notices, waiting) = mpsc::channel(NOTICES);
        tokio::spawn(notify(Arc::clone(&hub), waiting));
        Self { hub, notices }
    }

    /// Takes in a line of the host's.
    pub(crate) async fn hear(&self, line: Line) {
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

    async fn take(&self, heard: Heard, batch: Option<u64>) {
        match heard {
            Heard::Request(request) => {
                let came = self.hub.desk().call(request, batch);
                match came {
                    Came::Run(turn) => run(Arc::clone(&self.hub), turn),
                    Came::Parked | Came::Refused(None) => {}
                    Came::Refused(Some(answer)) => {
                        self.hub.out.send(&answer).await;
                    }
                }
            }
            Heard::Notification { method, params } => self.noticed(&method, params).await,
            Heard::Answer { id, outcome } => {
                let _late_or_of_no_question = self.hub.desk().answer(&id, outcome);
            }
            Heard::Ignored => log("the host has sent an error that belongs to no request"),
            Heard::Invalid { id, code, why } => {
                let answer = message::answer(&id, Err(message::error(code, why, None)));
                let whole = self.hub.desk().deliver(batch, answer);
                if let Some(whole) = whole {
                    self.hub.out.send(&whole).await;
                }
            }
        }
    }

    /// Takes in an array, which the revisions have until 2025-03-26.
    async fn take_all(&self, entries: Vec<Heard>) {
        let spoken = matches!(self.hub.state().phase, Phase::Legacy { version, .. }
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
        let batch = (answered > 0).then(|| self.hub.desk().batch(answered));
        for heard in entries {
            self.take(heard, batch).await;
        }
    }

    async fn noticed(&self, method: &str, params: Value) {
        match method {
            "notifications/cancelled" => {
                let whole = params.get("requestId").and_then(|id| self.hub.desk().cancel(id));
                if let Some(whole) = whole {
                    self.hub.out.send(&whole).await;
                }
            }
            // The connection has said so for itself.
            "notifications/initialized" => {
                tokio::spawn(listens(Arc::clone(&self.hub)));
            }
            _ => {
                if self.notices.try_send((method.to_owned(), params)).is_err() {
                    log("a notification of the host's is left out: too many wait to be sent");
                }
            }
        }
    }
}

/// Brings a call to its end, aside; then the next one that waits has its turn.
fn run(hub: Arc<Hub>, turn: Turn) {
    tokio::spawn(async move {
        let Turn { request, cancelled } = turn;
        let outcome = tokio::select! {
            outcome = calls::outcome(&hub, &request) => Some(outcome),
            Ok(()) = cancelled => None,
        };
        ended(&hub, &request, outcome).await;
    });
}

async fn ended(hub: &Arc<Hub>, request: &Request, outcome: Option<Outcome>) {
    let begins = request.method == "initialize" && matches!(outcome, Some(Ok(_)));
    // Whoever has read the answer may use the id again, so that it is free before.
    let (answer, next) = hub.desk().ended(&request.id, outcome);
    if let Some(answer) = answer {
        hub.out.send(&answer).await;
    }
    if let Some(turn) = next {
        run(Arc::clone(hub), turn);
    }
    if begins && matches!(hub.state().phase, Phase::Legacy { early: true, .. }) {
        tokio::spawn(tell_of_lists(Arc::clone(hub)));
    }
}

/// The host has said that it is ready for the server's own messages.
async fn listens(hub: Arc<Hub>) {
    let legacy = matches!(hub.phase().await, Phase::Legacy { .. });
    if legacy && !core::mem::replace(&mut hub.state().listening, true) {
        listen::to_server(hub).await;
    }
}

/// Tells a host that was answered early of the lists, once there are some.
async fn tell_of_lists(hub: Arc<Hub>) {
    while hub.link.ready(PATIENCE, false).await.is_err() {
        tokio::time::sleep(LOOK).await;
    }
    for method in era::changes(&Value::Null) {
        hub.out.send(&message::notification(method, Value::Null)).await;
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
