//! The server's own messages, which belong to no call: a standing stream in the legacy revisions, a
//! subscription in 2026-07-28.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use mcp_authz_tokio::driver::tasks::Messages;
use mcp_authz_tokio::driver::transport::TransportError;
use mcp_authz_tokio::driver::transport::codes::NO_METHOD;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::bridge::calls::{pass_on, put};
use crate::bridge::hub::Hub;
use crate::bridge::link::Up;
use crate::bridge::message::Said;
use crate::bridge::{era, message};
use crate::say::log;

/// The first pause after a stream that ended, and the longest.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a connection is waited for at a time.
const PATIENCE: Duration = Duration::from_secs(3600);

/// How a stream ended.
enum End {
    /// The server offers none.
    Unoffered,
    /// The host wants to hear of something else.
    Changed,
    /// Nothing comes any more.
    Over,
    Failed(TransportError),
}

/// Passes on the server's own messages for as long as the bridge lives.
pub(crate) async fn to_server(hub: Arc<Hub>) {
    let (mut pause, mut is_said, mut before) = (PAUSE, false, None);
    loop {
        let Ok(up) = hub.link.ready(PATIENCE, false).await else {
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            continue;
        };
        let mut heard = false;
        let end = match up.modern {
            true => subscribed(&hub, &up, &mut before, &mut heard).await,
            false => standing(&hub, &up, &mut heard).await,
        };
        if heard {
            (pause, is_said) = (PAUSE, false);
        }
        match end {
            // The program ends.
            End::Failed(TransportError::Closed) => return,
            // A subscription may be wanted later; a stream that is not offered never comes.
            End::Unoffered if up.modern => {
                before = None;
                hub.listens.notified().await;
            }
            End::Unoffered => return,
            End::Changed => {}
            end => {
                if let (End::Failed(error), false) = (end, is_said) {
                    log(format_args!("the server's own messages are interrupted: {error}"));
                    is_said = true;
                }
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            }
        }
        hub.set_again(&up).await;
    }
}

/// Reads the stream of a session. The end of it withdraws the questions that came on it.
async fn standing(hub: &Arc<Hub>, up: &Arc<Up>, heard: &mut bool) -> End {
    let mut messages = match up.transport.listen().await {
        Ok(Some(messages)) => messages,
        Ok(None) => return End::Unoffered,
        Err(error) => return End::Failed(error),
    };
    hub.set_again(up).await;
    let mut questions = JoinSet::new();
    while let Some(message) = messages.next().await {
        let message = match message {
            Ok(message) => message::said(message),
            Err(error) => return End::Failed(error),
        };
        *heard = true;
        match message {
            Said::Notification { method, params } => pass_on(hub, &method, params).await,
            Said::Request { id, method, params } => {
                questions.spawn(put(hub, up, id, &method, params).await);
            }
            Said::Response(_) => {}
        }
        while questions.try_join_next().is_some() {}
    }
    End::Over
}

/// Subscribes to what a legacy host is told unasked. The subscription before it is read until the
/// server has acknowledged this one, so that nothing is missed between them.
async fn subscribed(
    hub: &Arc<Hub>,
    up: &Up,
    before: &mut Option<Messages>,
    heard: &mut bool,
) -> End {
    let resources: Vec<String> = hub.state().resources.iter().cloned().collect();
    let Some(filter) = era::filter(&up.capabilities(), &resources) else { return End::Unoffered };
    let mut messages = up.transport.request("subscriptions/listen", filter);
    loop {
        let message = tokio::select! {
            message = messages.next() => message,
            earlier = next_of(before) => {
                match earlier {
                    Some(Ok(message)) => told(hub, message::said(message)).await,
                    _ => *before = None,
                }
                continue;
            }
            () = hub.listens.notified() => {
                *before = Some(messages);
                return End::Changed;
            }
        };
        let message = match message {
            Some(Ok(message)) => message::said(message),
            Some(Err(error)) => return End::Failed(error),
            None => return End::Over,
        };
        match message {
            Said::Response(Err(error)) if error.get("code") == Some(&NO_METHOD.into()) => {
                return End::Unoffered;
            }
            Said::Response(_) | Said::Request { .. } => return End::Over,
            notification => {
                (*heard, *before) = (true, None);
                told(hub, notification).await;
            }
        }
    }
}

/// The next message of a subscription, if there is one at all.
async fn next_of(messages: &mut Option<Messages>) -> Option<Result<Value, TransportError>> {
    match messages {
        Some(messages) => messages.next().await,
        None => core::future::pending().await,
    }
}

/// Tells a host that has subscribed to nothing.
async fn told(hub: &Arc<Hub>, message: Said) {
    if let Said::Notification { method, params } = message
        && method != "notifications/subscriptions/acknowledged"
    {
        pass_on(hub, &method, era::unsubscribed(params)).await;
    }
}
