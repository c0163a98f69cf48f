//! The loop for one thread that owns its session.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;

use http::{HeaderMap, Method, StatusCode, Uri};
use mcp_authz_core::effect::Told;
use mcp_authz_core::failure::Kind;
use mcp_authz_core::input::{Acquire, Challenge, Had, Refusal, WaiterId};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::{Config, Session};
use mcp_authz_driver::authorize::{AuthorizeError, Seen};
use mcp_authz_driver::ports::{Common, Observer};
use mcp_authz_driver::single::{Io, acquire, authorize, challenge, seen};
use mcp_authz_host::listener::Loopback;
use mcp_authz_tests::model::Endpoint;
use mcp_authz_tests::serve::{Served, embedded};
use mcp_authz_ureq::{Client, UreqHttp};

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

fn world() -> (Served, Session, Io<UreqHttp, Loopback>) {
    let served = embedded(|_| {}).unwrap();
    let http = Client::builder().build().unwrap().http().clone();
    let common = Common { observer: Arc::new(Person), ..Common::default() };
    let session = Session::new(Config::builder(served.mcp_url()).build().unwrap());
    (served, session, Io::new(http, Loopback::new(), common))
}

#[test]
fn one_thread_logs_in_and_refreshes() {
    let (served, mut session, mut io) = world();

    let refused = acquire(&mut session, ask(1, false), &mut io).unwrap().outcome.unwrap_err();
    assert_eq!(refused.kind(), Kind::ReauthorizationRequired);

    let first = acquire(&mut session, ask(2, true), &mut io).unwrap().outcome.unwrap();
    assert_eq!(io.published().granted().unwrap().epoch(), first.epoch());

    served.lock().revoke_access_tokens();
    let refusal = Challenge {
        waiter: WaiterId(3),
        refusal: Refusal {
            epoch: Some(first.epoch()),
            status: StatusCode::UNAUTHORIZED,
            headers: HeaderMap::new(),
            operation: "tools/list".to_owned(),
            accepted: None,
            had: Had::default(),
            may_ask: false,
        },
    };
    let second = challenge(&mut session, refusal, &mut io).unwrap().outcome.unwrap();
    assert!(second.epoch() > first.epoch());
    assert_eq!(served.lock().count(Endpoint::Token), 2);
}

#[test]
fn one_thread_sends_by_itself_use_01_use_07_host_257() {
    let (served, mut session, mut io) = world();
    let (session, io, post) = (&mut session, &mut io, Method::POST);
    let mcp: Uri = served.mcp_url().parse().unwrap();
    let (unauthorized, none) = (StatusCode::UNAUTHORIZED, HeaderMap::new());

    let first = authorize(session, WaiterId(1), &post, &mcp, io).unwrap();
    assert_eq!(first.headers().count(), 0);
    let second = seen(session, WaiterId(2), &first, unauthorized, &none, io).unwrap();
    let Seen::Again(second) = second else { panic!("a login heals it") };
    assert_eq!(second.headers().count(), 1);
    assert!(matches!(
        seen(session, WaiterId(3), &second, StatusCode::OK, &none, io),
        Ok(Seen::Final)
    ));

    let live = authorize(session, WaiterId(4), &post, &mcp, io).unwrap();
    assert_eq!(live.epoch(), second.epoch());
    let elsewhere = Uri::from_static("https://evil.example/mcp");
    match authorize(session, WaiterId(5), &post, &elsewhere, io) {
        Err(AuthorizeError::Failed(failure)) => assert_eq!(failure.kind(), Kind::OriginMismatch),
        other => panic!("{other:?}"),
    }
    assert_eq!(served.lock().count(Endpoint::Token), 1);
}
