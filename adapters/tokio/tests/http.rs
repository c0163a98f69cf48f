//! The HTTP port against scripted servers.
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
use mcp_authz_tokio::Client;

mcp_authz_driver::http_contract!(|lookup, roots| {
    let builder = Client::builder().runtime(RUNTIME.handle().clone());
    let client = builder.lookup(lookup).roots(roots).build().unwrap();
    Box::new(Blocking(client.http().clone(), OnTokio))
});

mcp_authz_driver::proxy_contract!(|proxy, lookup, roots| {
    let builder = Client::builder().runtime(RUNTIME.handle().clone()).proxy(proxy);
    let client = builder.lookup(lookup).roots(roots).build().unwrap();
    Box::new(Blocking(client.http().clone(), OnTokio))
});
