//! Threads that help, and leave when there is nothing left to help with.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use mcp_authz_core::Config;
use mcp_authz_core::effect::Told;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_driver::ports::{Common, Observer};
use mcp_authz_tests::model::Endpoint;
use mcp_authz_tests::serve::embedded;
use mcp_authz_ureq::Client;

struct Person;

impl Observer for Person {
    fn told(&self, told: &Told) {
        let Told::Open(visit) = told else { return };
        let url = visit.url().to_owned();
        thread::spawn(move || {
            let there = browse(&url);
            let location = there.lines().find_map(|line| line.strip_prefix("location: "));
            browse(location.unwrap());
        });
    }
}

fn browse(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn ours() -> usize {
    let name = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("comm")).ok();
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    threads.filter_map(name).filter(|name| name.starts_with("mcp-authz")).count()
}

#[test]
fn helpers_finish_what_is_under_way_and_leave() {
    let served = embedded(|settings| settings.server.tokens.access_life_s = 8).unwrap();
    let common = Common { observer: Arc::new(Person), ..Common::default() };
    let config = Config::builder(served.mcp_url()).build().unwrap();
    let session = Client::builder().build().unwrap().session(config, common);
    let none = ScopeSet::empty();
    let first = session.acquire(&none, true).unwrap().outcome.unwrap();
    // Two seconds before its end the token is renewed by a helper, while callers go on with it.
    served.lock().set(|settings| {
        settings.delays.insert(Endpoint::Token, 200);
    });
    let begun = Instant::now();
    while session.granted().unwrap().epoch() == first.epoch() {
        assert!(session.acquire(&none, true).unwrap().outcome.is_ok());
        assert!(begun.elapsed() < Duration::from_millis(7_800), "the token ran out");
        thread::sleep(Duration::from_millis(20));
    }
    assert!(begun.elapsed() > Duration::from_secs(5));
    let begun = Instant::now();
    while ours() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "{} threads stay", ours());
        thread::sleep(Duration::from_millis(20));
    }
}
