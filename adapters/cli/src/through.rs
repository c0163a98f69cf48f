//! The program's runtime under a type of its own, for sessions that send in another way than usual.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use mcp_authz_core::config::ConfigBuilder;
use mcp_authz_tokio::driver::manager::{ManagerBuilder, Platform, PortsError};
use mcp_authz_tokio::driver::ports::{AsyncHttp, Ports, Runtime};
use mcp_authz_tokio::driver::tasks::Tasks;
use mcp_authz_tokio::driver::{self, PortsOf};
use mcp_authz_tokio::{Loopback, MemoryStore, Store, Tokio};

/// The runtime of sessions whose requests go through `H`.
pub(crate) struct Through<H>(Tokio, PhantomData<fn() -> H>);

impl<H> Clone for Through<H> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

/// The loop that runs such sessions.
pub(crate) type On<H> = Tasks<H, Loopback, Through<H>>;

/// A manager of such a session.
pub(crate) type Manager<H> = driver::AuthorizationManager<On<H>>;

/// The builder of such a manager, whose sessions go into the trace of this run if there is one.
pub(crate) fn builder<H: AsyncHttp>(config: ConfigBuilder) -> ManagerBuilder<On<H>> {
    let builder = Manager::<H>::builder(config);
    match crate::trace::recorder() {
        Some(recorder) => builder.recorder(recorder),
        None => builder,
    }
}

impl<H: AsyncHttp> Runtime for Through<H> {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }

    async fn sleep(&self, time: std::time::Duration) {
        self.0.sleep(time).await;
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        self.0.blocking(work).await
    }
}

impl<H: AsyncHttp> Platform for Through<H> {
    type Loop = On<H>;
    type Builder = ();

    fn ports() -> Result<Arc<PortsOf<On<H>>>, PortsError> {
        Err("such a session names its ports".into())
    }

    fn store() -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }
}

/// The ports of such sessions on this runtime.
pub(crate) fn ports<H: AsyncHttp>(http: H, runtime: Tokio) -> Arc<PortsOf<On<H>>> {
    let listener = Loopback::new(runtime.clone());
    Arc::new(Ports { http, listener, runtime: Through(runtime, PhantomData) })
}
