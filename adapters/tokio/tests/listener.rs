//! The listener on tokio.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod common;

use common::{OnTokio, RUNTIME};
use mcp_authz_driver::testing::Blocking;
use mcp_authz_tokio::{Loopback, Tokio};

mcp_authz_driver::listener_contract!(|| {
    let runtime = Tokio::new(RUNTIME.handle().clone());
    Box::new(Blocking(Loopback::new(runtime), OnTokio))
});
