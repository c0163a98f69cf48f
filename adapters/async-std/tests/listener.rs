//! The listener on async-std.

mod common;

use common::OnAsyncStd;
use mcp_authz_async_std::Loopback;
use mcp_authz_driver::testing::Blocking;

mcp_authz_driver::listener_contract!(|| Box::new(Blocking(Loopback, OnAsyncStd)));
