//! Real processes: the example clients, each in a process of its own, at one server and one folder of
//! credentials. They are stopped, killed and started again, and nothing is lost.
//!
//! The quick form runs with every other test. The long form kills as often as this says:
//!
//! ```text
//! MCP_AUTHZ_KILLS=1000 cargo test -p mcp-authz-tests --test processes -- --nocapture kill
//! ```
#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that goes wrong panics"
)]
#![allow(clippy::duplicate_mod, reason = "each example brings what it shares with the others")]
#![forbid(unsafe_code)]

#[path = "../../adapters/async-std/examples/async_std_client.rs"]
#[allow(dead_code, reason = "its main is for the example alone")]
mod async_std_client;
#[path = "../../adapters/ureq/examples/blocking_client.rs"]
#[allow(dead_code, reason = "its main is for the example alone")]
mod blocking_client;
#[path = "../../adapters/tokio/examples/oauth_client.rs"]
#[allow(dead_code, reason = "its main is for the example alone")]
mod oauth_client;

#[path = "processes/holder.rs"]
mod holder;
#[path = "processes/kills.rs"]
mod kills;
#[path = "processes/program.rs"]
mod program;
#[path = "processes/rotation.rs"]
mod rotation;
#[path = "processes/watch.rs"]
mod watch;
#[path = "processes/world.rs"]
mod world;
