//! Spawning and sleeping on tokio.

use core::future::Future;
use core::time::Duration;

use mcp_authz_driver::ports::Runtime;
use tokio::runtime::Handle;

/// A tokio runtime with its I/O and time drivers on.
#[derive(Clone, Debug)]
pub struct Tokio {
    handle: Handle,
}

impl Tokio {
    /// Spawns there, from wherever it is called.
    #[must_use]
    pub const fn new(handle: Handle) -> Self {
        Self { handle }
    }
}

impl Runtime for Tokio {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(task);
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        self.handle.spawn_blocking(work).await.ok()
    }
}
