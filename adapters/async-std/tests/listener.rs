//! The listener on async-std.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod common;

use common::OnAsyncStd;
use mcp_authz_async_std::Loopback;
use mcp_authz_driver::testing::Blocking;

mcp_authz_driver::listener_contract!(|| Box::new(Blocking(Loopback::new(), OnAsyncStd)));
