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

use common::OnAsyncStd;
use mcp_authz_async_std::scope::ScopeSet;
use mcp_authz_async_std::{AuthorizationManager, Client};
use mcp_authz_driver::testing::{BlockOn as _, Blocking, Names};

mcp_authz_driver::http_contract!(|lookup, roots| {
    let builder = Client::builder().no_proxy();
    let client = builder.lookup(lookup).roots(roots).build().unwrap();
    Box::new(Blocking(client.http().clone(), OnAsyncStd))
});

mcp_authz_driver::proxy_contract!(
    |proxies, lookup, roots| {
        let builder = Client::builder().proxies(proxies);
        let client = builder.lookup(lookup).roots(roots).build().unwrap();
        Box::new(Blocking(client.http().clone(), OnAsyncStd))
    },
    |proxies, config, noted| {
        let client = Client::builder().proxies(proxies);
        let client = client.lookup(Arc::new(Names::new(&[]))).build().unwrap();
        let manager = AuthorizationManager::builder(config).ports(client).observer(noted);
        let session = manager.build().unwrap().session();
        let acquired =
            OnAsyncStd.block_on(async { session.acquire(&ScopeSet::empty(), true).await });
        acquired.unwrap().outcome.unwrap_err()
    }
);
