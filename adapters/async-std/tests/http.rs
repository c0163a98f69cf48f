//! The HTTP port against scripted servers.

use core::future::Future;

use mcp_authz_async_std::Client;
use mcp_authz_driver::testing::{BlockOn, Blocking};

struct OnAsyncStd;

impl BlockOn for OnAsyncStd {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        async_std::task::block_on(future)
    }
}

mcp_authz_driver::http_contract!(|lookup, roots| {
    let client = Client::builder().lookup(lookup).roots(roots).build().unwrap();
    Box::new(Blocking(client.http().clone(), OnAsyncStd))
});
