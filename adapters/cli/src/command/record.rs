//! `record`: runs another command, and writes a trace of the sessions that it has.

use std::path::PathBuf;

use clap::Parser as _;
use serde_json::json;

use crate::arguments::{Cli, Command, Record};
use crate::fault::Fault;
use crate::say::Say;
use crate::trace;

/// Begins the trace, and gives the command that is to be run.
pub(super) fn begin(record: &Record, config: Option<PathBuf>) -> Result<Cli, Fault> {
    let words = ["mcp-authz"].into_iter().chain(record.command.iter().map(String::as_str));
    // What is wrong with the words is told as if they stood alone.
    let inner = Cli::try_parse_from(words).unwrap_or_else(|error| error.exit());
    if matches!(inner.command, Command::Record(_) | Command::Replay { .. }) {
        return Err(Fault::usage("record runs a command that has sessions of its own"));
    }
    trace::begin(&record.file)?;
    Ok(Cli { config: inner.config.or(config), ..inner })
}

/// Says where the trace is, and whether all of it is there.
pub(super) fn end(record: &Record, say: &Say) {
    let file = record.file.display();
    let whole = trace::is_whole();
    let text = match whole {
        true => format!("the trace is in {file}; show it with: mcp-authz replay {file}"),
        false => {
            format!("the trace in {file} ends early: it could not be written, or grew too large")
        }
    };
    say.aside(
        mcp_authz_core::failure::escaped(&text),
        &json!({"event": "trace", "file": record.file, "whole": whole}),
    );
}
