//! The HTTP port against scripted servers.

use core::future::Future;
use std::sync::LazyLock;

use mcp_authz_driver::testing::{BlockOn, Blocking};
use mcp_authz_tokio::Client;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

struct OnTokio;

impl BlockOn for OnTokio {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        RUNTIME.block_on(future)
    }
}

mcp_authz_driver::http_contract!(|lookup, roots| {
    let builder = Client::builder().runtime(RUNTIME.handle().clone());
    let client = builder.lookup(lookup).roots(roots).build().unwrap();
    Box::new(Blocking(client.http().clone(), OnTokio))
});
