//! `replay`: shows the steps of a trace, and whether this program takes them as they were taken.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use mcp_authz_core::failure::{Remedy, escaped};
use mcp_authz_driver::trace::{Differs, LARGEST, Replay, ReplayError, Replayed};
use serde_json::json;

use crate::fault::Fault;
use crate::say::Say;

/// Replays a whole file. Nothing is sent, and nothing is read but the file.
pub(super) fn run(path: &Path, say: &Say) -> Result<(), Fault> {
    let unread = |error: io::Error| {
        let sentence = format!("{}: {error}", path.display());
        Fault::new("trace_unread", &sentence, Remedy::Configure)
    };
    let file = File::open(path).map_err(unread)?;
    // A trace is no larger; its last line may be beyond.
    let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1024);
    let mut lines = BufReader::new(file.take(limit));
    let (mut replay, mut line) = (Replay::new(), Vec::new());
    let (mut steps, mut diverged) = (0u64, None);
    while lines.read_until(b'\n', &mut line).map_err(unread)? > 0 {
        let replayed = replay.line(&String::from_utf8_lossy(&line)).map_err(broken)?;
        line.clear();
        show(&replayed, say);
        steps += u64::from(replayed.step.is_some());
        match &replayed.differs {
            Some(Differs::Effects(place)) => return Err(differs(&replayed, place)),
            Some(Differs::Recording(_)) => {
                diverged.get_or_insert(replayed);
            }
            None => {}
        }
    }
    if let Some(replayed) = diverged {
        return Err(lost(&replayed));
    }
    replay.end().map_err(broken)?;
    say.done(
        format!("{steps} steps replay to the same effects"),
        &json!({"event": "replayed", "steps": steps}),
    );
    Ok(())
}

/// One step: its time, what was given, and the effects below it.
fn show(replayed: &Replayed, say: &Say) {
    let Replayed { session, step, at, given, effects, differs } = replayed;
    let mut text = match (session, step) {
        (Some(session), Some(step)) => {
            let (seconds, millis) = (at / 1000, at % 1000);
            format!("+{seconds}.{millis:03} s  {session}.{step}  {given}")
        }
        _ => given.clone(),
    };
    for effect in effects {
        text.push_str("\n    ");
        text.push_str(effect);
    }
    let same = differs.is_none();
    if let Some(place) = differs.as_ref().map(place) {
        text.push_str(&format!("\n    differs: {place}"));
    }
    say.result(
        text,
        &json!({
            "event": if step.is_some() { "step" } else { "trace" },
            "session": session,
            "step": step,
            "at": at,
            "given": given,
            "effects": effects,
            "same": same,
            "differs": differs.as_ref().map(place),
        }),
    );
}

/// The place that differs; a file says it, so it is escaped.
fn place(differs: &Differs) -> String {
    match differs {
        Differs::Effects(place) | Differs::Recording(place) => escaped(place),
    }
}

fn named(replayed: &Replayed) -> String {
    match (replayed.session, replayed.step) {
        (Some(session), Some(step)) => format!("step {step} of session {session}"),
        _ => "a session".to_owned(),
    }
}

/// The first step that this program takes otherwise.
fn differs(replayed: &Replayed, place: &str) -> Fault {
    let sentence = format!(
        "{} has other effects here than in the trace, at {place}: the file was changed, or another \
         version of the program wrote it",
        named(replayed)
    );
    Fault::new("trace_differs", &sentence, Remedy::Report)
}

/// The first step at which the recording lost something.
fn lost(replayed: &Replayed) -> Fault {
    let place = replayed.differs.as_ref().map(place).unwrap_or_default();
    let sentence = format!(
        "{} was recorded with placeholders that changed what happened, at {place}: what follows may \
         not be what the recorded program did",
        named(replayed)
    );
    Fault::new("trace_diverged", &sentence, Remedy::Report)
}

fn broken(error: ReplayError) -> Fault {
    Fault::new(error.code(), &error.to_string(), Remedy::Configure)
}
