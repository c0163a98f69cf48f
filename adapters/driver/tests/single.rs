//! The loop for one thread that owns its session.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;

use http::HeaderMap;
use mcp_authz_core::effect::Told;
use mcp_authz_core::failure::Kind;
use mcp_authz_core::input::{Acquire, Challenge, WaiterId};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::{Config, Session};
use mcp_authz_driver::blocking::{Io, acquire, challenge};
use mcp_authz_driver::ports::{Common, Observer};
use mcp_authz_host::listener::Loopback;
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
            assert!(browse(location.unwrap()).starts_with("HTTP/1.1 200 "));
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

fn ask(waiter: u64, may_ask: bool) -> Acquire {
    Acquire { waiter: WaiterId(waiter), scopes: ScopeSet::empty(), may_ask }
}

#[test]
fn one_thread_logs_in_and_refreshes() {
    let served = embedded(|_| {}).unwrap();
    let http = Client::builder().build().unwrap().http().clone();
    let common = Common { observer: Arc::new(Person), ..Common::default() };
    let mut io = Io::new(http, Loopback, common);
    let mut session = Session::new(Config::builder(served.mcp_url()).build().unwrap());

    let refused = acquire(&mut session, ask(1, false), &mut io).unwrap().outcome.unwrap_err();
    assert_eq!(refused.kind(), Kind::ReauthorizationRequired);

    let first = acquire(&mut session, ask(2, true), &mut io).unwrap().outcome.unwrap();
    assert_eq!(io.published().granted().unwrap().epoch(), first.epoch());

    served.lock().revoke_access_tokens();
    let refusal = Challenge {
        waiter: WaiterId(3),
        epoch: Some(first.epoch()),
        status: http::StatusCode::UNAUTHORIZED,
        headers: HeaderMap::new(),
        operation: "tools/list".to_owned(),
        again: false,
        may_ask: false,
    };
    let second = challenge(&mut session, refusal, &mut io).unwrap().outcome.unwrap();
    assert!(second.epoch() > first.epoch());
    assert_eq!(served.lock().count(Endpoint::Token), 2);
}
