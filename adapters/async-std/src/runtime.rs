//! Spawning and sleeping on async-std.

use core::future::Future;
use core::time::Duration;

use async_std::task;
use mcp_authz_driver::ports::Runtime;

/// async-std's global runtime.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsyncStd;

impl Runtime for AsyncStd {
    fn spawn(&self, spawned: impl Future<Output = ()> + Send + 'static) {
        drop(task::spawn(spawned));
    }

    async fn sleep(&self, time: Duration) {
        task::sleep(time).await;
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        Some(task::spawn_blocking(work).await)
    }
}
