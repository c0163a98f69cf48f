//! The HTTP port against scripted servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod common;

use std::sync::Arc;

use common::{OnTokio, RUNTIME};
use mcp_authz_driver::testing::server::{Server, ok};
use mcp_authz_driver::testing::{Blocking, Names};
use mcp_authz_tokio::scope::ScopeSet;
use mcp_authz_tokio::{AuthorizationManager, Client};

mcp_authz_driver::http_contract!(|lookup, roots| {
    let builder = Client::builder().runtime(RUNTIME.handle().clone()).no_proxy();
    let client = builder.lookup(lookup).roots(roots).build().unwrap();
    Box::new(Blocking(client.http().clone(), OnTokio))
});

mcp_authz_driver::proxy_contract!(
    |proxies, lookup, roots| {
        let builder = Client::builder().runtime(RUNTIME.handle().clone()).proxies(proxies);
        let client = builder.lookup(lookup).roots(roots).build().unwrap();
        Box::new(Blocking(client.http().clone(), OnTokio))
    },
    |proxies, config, noted| {
        let client = Client::builder().runtime(RUNTIME.handle().clone()).proxies(proxies);
        let client = client.lookup(Arc::new(Names::new(&[]))).build().unwrap();
        let manager = AuthorizationManager::builder(config).ports(client).observer(noted);
        let session = manager.build().unwrap().session();
        let acquired = RUNTIME.block_on(session.acquire(&ScopeSet::empty(), true));
        acquired.unwrap().outcome.unwrap_err()
    }
);

/// Whatever is turned on in reqwest here is on in the whole program: its clients would look for a
/// provider of cryptography that nobody has installed.
#[test]
fn a_program_that_uses_reqwest_without_tls_is_left_alone() {
    let _ours = Client::builder().runtime(RUNTIME.handle().clone()).build().unwrap();
    let server = Server::saying(ok("hi"));
    let body = RUNTIME
        .block_on(async { reqwest::get(server.here()).await.unwrap().text().await.unwrap() });
    assert_eq!(body, "hi");
    let manifest = include_str!("../Cargo.toml");
    let dependency = manifest.lines().find(|line| line.starts_with("reqwest = {"));
    let wanted = r#"reqwest = { version = "0.13", default-features = false, optional = true }"#;
    assert_eq!(dependency, Some(wanted));
}
