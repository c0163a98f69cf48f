//! The HTTP port against scripted servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod common;

use common::OnAsyncStd;
use mcp_authz_async_std::Client;
use mcp_authz_driver::testing::Blocking;

mcp_authz_driver::http_contract!(|lookup, roots| {
    let client = Client::builder().lookup(lookup).roots(roots).build().unwrap();
    Box::new(Blocking(client.http().clone(), OnAsyncStd))
});

mcp_authz_driver::proxy_contract!(|proxy, lookup, roots| {
    let builder = Client::builder().proxy(proxy);
    let client = builder.lookup(lookup).roots(roots).build().unwrap();
    Box::new(Blocking(client.http().clone(), OnAsyncStd))
});
