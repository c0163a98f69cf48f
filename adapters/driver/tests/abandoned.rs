//! Work that is abandoned while it is being done.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use mcp_authz_core::Config;
use mcp_authz_core::effect::ListenOn;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_driver::AuthSession;
use mcp_authz_driver::arrivals::{Arrivals, Listening};
use mcp_authz_driver::ports::{Common, Listener, Ports};
use mcp_authz_driver::threads::Threads;
use mcp_authz_tests::serve::embedded;
use mcp_authz_ureq::Client;

/// Takes its time to bind, and counts how many ports are open.
#[derive(Clone, Default)]
struct Slow {
    began: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

struct Port(Arc<AtomicUsize>);

impl Drop for Port {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Listener for Slow {
    fn bind(&self, _: &ListenOn, _: Arrivals) -> io::Result<Listening> {
        self.began.fetch_add(1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(300));
        self.open.fetch_add(1, Ordering::SeqCst);
        Ok(Listening::new(4711, Port(Arc::clone(&self.open))))
    }
}

#[test]
fn a_port_bound_too_late_is_closed_again_host_195() {
    let served = embedded(|_| {}).unwrap();
    let http = Client::builder().build().unwrap().http().clone();
    let slow = Slow::default();
    let config = Config::builder(served.mcp_url()).build().unwrap();
    let ports = Ports { http, listener: slow.clone(), runtime: () };
    let session = AuthSession::<Threads<_, _>>::new(config, ports, Common::default());
    let waiting = session.clone();
    let waiter = thread::spawn(move || waiting.acquire(&ScopeSet::empty(), true));
    let begun = Instant::now();
    while slow.began.load(Ordering::SeqCst) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(5));
        thread::sleep(Duration::from_millis(5));
    }
    session.cancel().unwrap();
    assert!(waiter.join().unwrap().unwrap().outcome.is_err());
    session.quiet().unwrap();
    assert_eq!(slow.open.load(Ordering::SeqCst), 0);
}
