//! A caller with a live token: what nearly every request of a program is.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, RwLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use http::{HeaderValue, Method, Uri};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::session::Snapshot;
use mcp_authz_core::time::Timestamp;
use mcp_authz_core::{Config, Granted};
use mcp_authz_driver::authorize::Authorized;
use mcp_authz_driver::ports::Common;

use crate::{canned, flow};

/// The sessions of the three adapters, each with a token that lives for an hour from now.
#[derive(Debug)]
pub struct Live {
    /// Threads.
    pub ureq: mcp_authz_ureq::AuthSession,
    /// Tokio.
    pub tokio: mcp_authz_tokio::AuthSession,
    /// async-std.
    pub async_std: mcp_authz_async_std::AuthSession,
    /// The URL that is asked for.
    pub uri: Uri,
    _runtime: tokio::runtime::Runtime,
}

/// A session that has just been logged in, at rest.
///
/// # Panics
/// Never; the login is fixed.
#[must_use]
pub fn logged_in(config: &Arc<Config>) -> (Snapshot, Arc<Granted>) {
    let wall = Timestamp::from_unix(i64::try_from(wall()).expect("a clock"));
    let (session, granted) = flow::run(flow::prepare_at(config, wall));
    (session.snapshot(), granted)
}

/// The same for another MCP URL: only the names in the snapshot differ.
///
/// # Panics
/// Never; the login is fixed.
#[must_use]
pub fn logged_in_at(config: &Arc<Config>) -> Snapshot {
    let (snapshot, _) = logged_in(&flow::config());
    let text = serde_json::to_string(&snapshot).expect("a snapshot");
    let text = text.replace(canned::MCP_URL, config.mcp_url());
    serde_json::from_str(&text).expect("a snapshot")
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

impl Live {
    /// Three sessions that never need the network.
    ///
    /// # Panics
    /// If there is no runtime to be had.
    #[must_use]
    pub fn new() -> Self {
        let config = flow::config();
        let (snapshot, _) = logged_in(&config);
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().expect("a runtime");
        let tokio = mcp_authz_tokio::Client::builder().runtime(runtime.handle().clone());
        let tokio = tokio.build().expect("a client");
        let ureq = mcp_authz_ureq::Client::builder().build().expect("a client");
        let async_std = mcp_authz_async_std::Client::builder().build().expect("a client");
        let (same, common) = (|| Arc::clone(&config), Common::default);
        Self {
            ureq: ureq.resume(same(), snapshot.clone(), common()).expect("resumes"),
            tokio: tokio.resume(same(), snapshot.clone(), common()).expect("resumes"),
            async_std: async_std.resume(same(), snapshot, common()).expect("resumes"),
            uri: Uri::from_static(canned::MCP_URL),
            _runtime: runtime,
        }
    }

    /// The grant that a thread gets.
    ///
    /// # Panics
    /// If it had to wait.
    pub fn acquire_ureq(&self) -> Arc<Granted> {
        self.ureq.acquire(&ScopeSet::empty(), false).expect("a driver").outcome.expect("a grant")
    }

    /// The grant that a task gets at its first poll.
    ///
    /// # Panics
    /// If it had to wait.
    pub fn acquire_tokio(&self) -> Arc<Granted> {
        let settled = at_once(self.tokio.acquire(&ScopeSet::empty(), false));
        settled.expect("a driver").outcome.expect("a grant")
    }

    /// As [`Live::acquire_tokio`].
    ///
    /// # Panics
    /// If it had to wait.
    pub fn acquire_async_std(&self) -> Arc<Granted> {
        let settled = at_once(self.async_std.acquire(&ScopeSet::empty(), false));
        settled.expect("a driver").outcome.expect("a grant")
    }

    /// The headers for one request, on a thread.
    ///
    /// # Panics
    /// If it had to wait.
    pub fn authorize_ureq(&self) -> Authorized {
        self.ureq.authorize(&Method::POST, &self.uri).expect("headers")
    }

    /// The headers for one request, at the first poll.
    ///
    /// # Panics
    /// If it had to wait.
    pub fn authorize_tokio(&self) -> Authorized {
        at_once(self.tokio.authorize(&Method::POST, &self.uri)).expect("headers")
    }

    /// The headers for one request, at the first poll.
    ///
    /// # Panics
    /// If it had to wait.
    pub fn authorize_async_std(&self) -> Authorized {
        at_once(self.async_std.authorize(&Method::POST, &self.uri)).expect("headers")
    }
}

/// Polls once.
///
/// # Panics
/// If that was not enough.
pub fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// The floor: two clock readings as numbers, an atomic load of the shared pointer and its clone,
/// with nothing decided by them.
#[derive(Debug)]
pub struct Floor {
    zero: Instant,
    granted: ArcSwap<Granted>,
}

impl Floor {
    /// A grant to give out.
    #[must_use]
    pub fn new() -> Self {
        let (_, granted) = logged_in(&flow::config());
        Self { zero: Instant::now(), granted: ArcSwap::new(granted) }
    }

    /// Gives it out.
    pub fn acquire(&self) -> (Arc<Granted>, u64, u64) {
        (self.granted.load_full(), wall(), millis(self.zero))
    }
}

impl Floor {
    /// The same with a header in place of the grant: what a client of one's own has to set.
    pub fn header(&self) -> (HeaderValue, u64, u64) {
        (self.granted.load().authorization().clone(), wall(), millis(self.zero))
    }

    /// The same in a task's first poll.
    pub fn header_async(&self) -> (HeaderValue, u64, u64) {
        at_once(async { self.header() })
    }

    /// [`Floor::acquire`] in a task's first poll.
    pub fn acquire_async(&self) -> (Arc<Granted>, u64, u64) {
        at_once(async { self.acquire() })
    }
}

fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn millis(zero: Instant) -> u64 {
    let since = zero.elapsed();
    since.as_secs() * 1_000 + u64::from(since.subsec_millis())
}

impl Default for Floor {
    fn default() -> Self {
        Self::new()
    }
}

/// The code that one writes at first: std's lock around the pointer, and the same two readings.
#[derive(Debug)]
pub struct Locked {
    zero: Instant,
    granted: RwLock<Arc<Granted>>,
}

impl Locked {
    /// A grant to give out.
    #[must_use]
    pub fn new() -> Self {
        Self { zero: Instant::now(), granted: RwLock::new(logged_in(&flow::config()).1) }
    }

    /// Gives it out.
    ///
    /// # Panics
    /// If another thread panicked with the lock.
    pub fn acquire(&self) -> (Arc<Granted>, u64, u64) {
        let granted = Arc::clone(&self.granted.read().expect("nobody panicked"));
        (granted, wall(), millis(self.zero))
    }
}

impl Default for Locked {
    fn default() -> Self {
        Self::new()
    }
}
