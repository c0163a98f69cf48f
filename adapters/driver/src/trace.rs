//! Traces: what sessions were given and what they did, as a file that replays.
//!
//! TODO
mod compare;
mod fields;
mod json;
mod lines;
mod mapping;
mod names;
mod parts;
mod recording;
mod replay;
mod setup;
mod shown;
mod snapshot;
mod url;

pub use lines::FORMAT;
pub use recording::{LARGEST, Recording};
pub use replay::{Differs, Replay, ReplayError, Replayed};

use std::sync::Arc;

use mcp_authz_core::effect::Effects;
use mcp_authz_core::session::{Env, Session, Snapshot};
use serde_json::Value;

/// A session taken up from a snapshot, under the configuration of another.
fn restored(
    session: &Session,
    snapshot: &Value,
    env: Env,
) -> Result<(Session, Effects), &'static str> {
    let snapshot: Snapshot = serde_json::from_value(snapshot.clone()).map_err(|e| {
        println!("SNAPERR {e}");
        "snapshot"
    })?;
    Session::restore(Arc::clone(session.config()), snapshot, env).map_err(|_| "restored")
}
