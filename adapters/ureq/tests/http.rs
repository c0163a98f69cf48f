//! The HTTP port against scripted servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

use mcp_authz_ureq::Client;

mcp_authz_driver::http_contract!(|lookup, roots| {
    let client = Client::builder().lookup(lookup).roots(roots).build().unwrap();
    Box::new(client.http().clone())
});
