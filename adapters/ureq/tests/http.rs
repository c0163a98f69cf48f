//! The HTTP port against scripted servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

use core::net::IpAddr;
use core::time::Duration;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use mcp_authz_core::effect::{Limits, Why};
use mcp_authz_driver::dial::Lookup;
use mcp_authz_driver::ports::Http;
use mcp_authz_driver::testing::{Names, get, limits, not_sent};
use mcp_authz_ureq::scope::ScopeSet;
use mcp_authz_ureq::{AuthorizationManager, Client};

struct Slow;

impl Lookup for Slow {
    fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        thread::sleep(Duration::from_millis(2_500));
        Ok(vec!["127.0.0.1".parse().unwrap()])
    }
}

#[test]
fn a_look_up_takes_its_time_from_the_connection() {
    // It accepts and never shakes hands.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::builder().lookup(Arc::new(Slow)).build().unwrap();
    let connect = Duration::from_secs(3);
    let url = format!("https://mute.example:{}/", mute.local_addr().unwrap().port());
    let begun = Instant::now();
    let reply = client.http().send(get(&url), &Limits { connect, ..limits() });
    not_sent(&reply, &[Why::Timeout, Why::Connect, Why::Tls]);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

mcp_authz_driver::http_contract!(|lookup, roots| {
    let builder = Client::builder().no_proxy();
    let client = builder.lookup(lookup).roots(roots).build().unwrap();
    Box::new(client.http().clone())
});

mcp_authz_driver::proxy_contract!(
    |proxies, lookup, roots| {
        let builder = Client::builder().proxies(proxies);
        let client = builder.lookup(lookup).roots(roots).build().unwrap();
        Box::new(client.http().clone())
    },
    |proxies, config, noted| {
        let client = Client::builder().proxies(proxies);
        let client = client.lookup(Arc::new(Names::new(&[]))).build().unwrap();
        let manager = AuthorizationManager::builder(config).ports(client).observer(noted);
        let session = manager.build().unwrap().session();
        session.acquire(&ScopeSet::empty(), true).unwrap().outcome.unwrap_err()
    }
);
