//! The process of an agent: what it keeps others from, what it waits for, and its end.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use mcp_authz_core::failure::Remedy;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde_json::json;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use super::conversation;
use super::door;
use super::keeper::Agent;
use super::place::Bound;
use super::rights::Door;
use crate::fault::Fault;
use crate::options::SECRET_VARIABLE;
use crate::relay::VARIABLE;
use crate::say::Say;

/// The time that requests which are out have at the end.
const GRACE: Duration = Duration::from_secs(10);

/// Serves a socket until a signal, a request or the end of the command ends it. Answers with the
/// status of the command.
pub(crate) async fn serve(
    bound: Bound,
    door: Door,
    agent: Arc<Agent>,
    command: &[OsString],
) -> Result<Option<ExitStatus>, Fault> {
    let path = bound.path().to_owned();
    let mut serving =
        tokio::spawn(door::keep(bound, door, Arc::clone(&agent), conversation::visit));
    let ended = tokio::select! {
        ended = until_end(command, &path) => ended,
        () = agent.stop.notified() => Ok(None),
        kept = &mut serving => {
            let why = kept.map_err(io::Error::from).and_then(|kept| kept).err();
            let why = why.map_or_else(|| "it ended".to_owned(), |why| why.to_string());
            return Err(Fault::new("socket_place", &format!("the socket failed: {why}"), Remedy::Report));
        }
    };
    let _was_not_yet = agent.ending.send_replace(true);
    if timeout(GRACE, &mut serving).await.is_err() {
        serving.abort();
    }
    agent.quiet(GRACE).await;
    ended
}

/// Waits for a signal that ends the process, or for the end of a command that has the socket in its
/// environment.
pub(crate) async fn until_end(
    command: &[OsString],
    socket: &Path,
) -> Result<Option<ExitStatus>, Fault> {
    let no_signals = |error: io::Error| {
        let text = format!("signals cannot be awaited: {error}");
        Fault::new("setup", &text, Remedy::Retry { after: None })
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(no_signals)?;
    let Some((program, words)) = command.split_first() else {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
        return Ok(None);
    };
    let started = Command::new(program)
        .args(words)
        .env(VARIABLE, socket)
        // What asks the agent needs no secret of its own, least of all in a sandbox.
        .env_remove(SECRET_VARIABLE)
        .spawn();
    let mut child = started.map_err(|error| {
        Fault::usage(&format!("{} cannot be started: {error}", program.display()))
    })?;
    loop {
        tokio::select! {
            ended = child.wait() => {
                return ended.map(Some).map_err(|error| {
                    Fault::new("setup", &error.to_string(), Remedy::Retry { after: None })
                });
            }
            // A terminal tells the command, too, which may go on.
            _ = interrupt.recv() => {}
            _ = terminate.recv() => pass_on(&child, Signal::TERM),
            _ = hang_up.recv() => pass_on(&child, Signal::HUP),
        }
    }
}

fn pass_on(child: &Child, signal: Signal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id.and_then(rustix::process::Pid::from_raw) {
        let _or_it_has_ended = rustix::process::kill_process(id, signal);
    }
}

/// Keeps tokens out of core dumps, and other processes of the same user out of this one's memory.
pub(crate) fn keep_to_oneself(say: &Say) {
    let limit = getrlimit(Resource::Core);
    // The hard limit stays, for commands that are started.
    let done = setrlimit(Resource::Core, Rlimit { current: Some(0), ..limit });
    #[cfg(target_os = "linux")]
    let done = done.and(rustix::process::set_dumpable_behavior(
        rustix::process::DumpableBehavior::NotDumpable,
    ));
    if let Err(errno) = done {
        let text = format!("core dumps could not be turned off: {}", io::Error::from(errno));
        say.aside(&text, &json!({"event": "dumpable", "text": text}));
    }
}
