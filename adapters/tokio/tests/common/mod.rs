//! The runtime of the tests.

use core::future::Future;
use std::sync::LazyLock;

use mcp_authz_driver::testing::BlockOn;
use tokio::runtime::Runtime;

pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

#[derive(Clone)]
pub(crate) struct OnTokio;

impl BlockOn for OnTokio {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        RUNTIME.block_on(future)
    }
}
