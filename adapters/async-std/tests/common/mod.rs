//! The runtime of the tests.

use core::future::Future;

use mcp_authz_driver::testing::BlockOn;

#[derive(Clone)]
pub(crate) struct OnAsyncStd;

impl BlockOn for OnAsyncStd {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        async_std::task::block_on(future)
    }
}
