//! `bridge`: a stdio MCP server in front of a remote one.

use crate::arguments::Bridge;
use crate::bridge::{self, Wishes};
use crate::fault::Fault;
use crate::options::Options;
use crate::say::Say;

/// Runs the bridge until its host has gone.
pub(super) async fn run(
    url: String,
    options: Options,
    bridge: Bridge,
    say: &Say,
) -> Result<(), Fault> {
    let Bridge { header, ignore_tool, fail_without_login, .. } = bridge;
    let wishes = Wishes { headers: header, ignored: ignore_tool, strict: fail_without_login };
    bridge::run(url, options, &wishes, say).await
}
