//! The same handle for every adapter.

use core::future::Future;
use std::sync::{Arc, LazyLock};

use http::{Method, Uri};
use mcp_authz_core::Config;
use mcp_authz_core::effect::{Forgotten, Page, Settlement};
use mcp_authz_core::granted::Granted;
use mcp_authz_core::input::Callback;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::session::Snapshot;
use mcp_authz_driver::AuthSession;
use mcp_authz_driver::DriveError;
use mcp_authz_driver::authorize::{AuthorizeError, Authorized, Seen};
use mcp_authz_driver::exchange::{Exchange, ExchangeError};
use mcp_authz_driver::ports::{Answer, AsyncHttp, AsyncListener, Common, Http, Listener, Runtime};
use mcp_authz_driver::tasks::Tasks;
use mcp_authz_driver::testing::BlockOn;
use mcp_authz_driver::threads::Threads;

/// A session of some adapter, as a thread uses it.
pub(crate) trait Face: Send + Sync {
    fn acquire(&self, scopes: &ScopeSet, may_ask: bool) -> Result<Settlement, DriveError>;
    fn exchange(&self, exchange: Exchange) -> Result<Answer, ExchangeError>;
    fn authorize(&self, method: &Method, uri: &Uri) -> Result<Authorized, AuthorizeError>;
    fn seen(&self, sent: &Authorized, answer: &Answer) -> Result<Seen, AuthorizeError>;
    fn deliver(&self, callback: Callback) -> Result<Page, DriveError>;
    fn cancel(&self) -> Result<(), DriveError>;
    fn forget(&self) -> Result<Forgotten, DriveError>;
    fn quiet(&self);
    fn granted(&self) -> Option<Arc<Granted>>;
    fn snapshot(&self) -> Snapshot;
}

/// Makes a session with these ports, perhaps from a snapshot.
pub(crate) type Make = fn(Common, Arc<Config>, Option<Snapshot>) -> Arc<dyn Face>;

impl<H: Http, L: Listener> Face for AuthSession<Threads<H, L>> {
    fn acquire(&self, scopes: &ScopeSet, may_ask: bool) -> Result<Settlement, DriveError> {
        self.acquire(scopes, may_ask)
    }
    fn exchange(&self, exchange: Exchange) -> Result<Answer, ExchangeError> {
        self.exchange(exchange)
    }
    fn authorize(&self, method: &Method, uri: &Uri) -> Result<Authorized, AuthorizeError> {
        self.authorize(method, uri)
    }
    fn seen(&self, sent: &Authorized, answer: &Answer) -> Result<Seen, AuthorizeError> {
        self.seen(sent, answer.status(), answer.headers())
    }
    fn deliver(&self, callback: Callback) -> Result<Page, DriveError> {
        self.deliver(callback)
    }
    fn cancel(&self) -> Result<(), DriveError> {
        self.cancel()
    }
    fn forget(&self) -> Result<Forgotten, DriveError> {
        self.forget()
    }
    fn quiet(&self) {
        self.quiet().unwrap();
    }
    fn granted(&self) -> Option<Arc<Granted>> {
        self.granted()
    }
    fn snapshot(&self) -> Snapshot {
        self.snapshot()
    }
}

struct Waited<S, B>(S, B);

impl<H, L, R, B> Face for Waited<AuthSession<Tasks<H, L, R>>, B>
where
    H: AsyncHttp,
    L: AsyncListener,
    R: Runtime,
    B: BlockOn,
{
    fn acquire(&self, scopes: &ScopeSet, may_ask: bool) -> Result<Settlement, DriveError> {
        self.1.block_on(self.0.acquire(scopes, may_ask))
    }
    fn exchange(&self, exchange: Exchange) -> Result<Answer, ExchangeError> {
        self.1.block_on(self.0.exchange(exchange))
    }
    fn authorize(&self, method: &Method, uri: &Uri) -> Result<Authorized, AuthorizeError> {
        self.1.block_on(self.0.authorize(method, uri))
    }
    fn seen(&self, sent: &Authorized, answer: &Answer) -> Result<Seen, AuthorizeError> {
        self.1.block_on(self.0.seen(sent, answer.status(), answer.headers()))
    }
    fn deliver(&self, callback: Callback) -> Result<Page, DriveError> {
        self.1.block_on(self.0.deliver(callback))
    }
    fn cancel(&self) -> Result<(), DriveError> {
        self.0.cancel()
    }
    fn forget(&self) -> Result<Forgotten, DriveError> {
        self.1.block_on(self.0.forget())
    }
    fn quiet(&self) {
        self.1.block_on(self.0.quiet());
    }
    fn granted(&self) -> Option<Arc<Granted>> {
        self.0.granted()
    }
    fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }
}

pub(crate) fn ureq(common: Common, config: Arc<Config>, from: Option<Snapshot>) -> Arc<dyn Face> {
    let client = mcp_authz_ureq::Client::builder().build().unwrap();
    Arc::new(match from {
        Some(from) => client.resume(config, from, common).unwrap(),
        None => client.session(config, common),
    })
}

pub(crate) static TOKIO: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());

#[derive(Clone)]
struct OnTokio;

impl BlockOn for OnTokio {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        // Inside an observer the thread may be one of the runtime's.
        match tokio::runtime::Handle::try_current() {
            Ok(handle) => tokio::task::block_in_place(|| handle.block_on(future)),
            Err(_) => TOKIO.block_on(future),
        }
    }
}

pub(crate) fn tokio(common: Common, config: Arc<Config>, from: Option<Snapshot>) -> Arc<dyn Face> {
    let builder = mcp_authz_tokio::Client::builder().runtime(TOKIO.handle().clone());
    let client = builder.build().unwrap();
    let session = match from {
        Some(from) => client.resume(config, from, common).unwrap(),
        None => client.session(config, common),
    };
    Arc::new(Waited(session, OnTokio))
}

#[derive(Clone)]
struct OnAsyncStd;

impl BlockOn for OnAsyncStd {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        async_std::task::block_on(future)
    }
}

pub(crate) fn async_std(
    common: Common,
    config: Arc<Config>,
    from: Option<Snapshot>,
) -> Arc<dyn Face> {
    let client = mcp_authz_async_std::Client::builder().build().unwrap();
    let session = match from {
        Some(from) => client.resume(config, from, common).unwrap(),
        None => client.session(config, common),
    };
    Arc::new(Waited(session, OnAsyncStd))
}
