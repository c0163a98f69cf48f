//! The lines that a login and a renewal leave in a program's log.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]
#![forbid(unsafe_code)]

use core::fmt::{Debug, Write as _};
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;

use mcp_authz_core::effect::Visit;
use mcp_authz_driver::person::Answers;
use mcp_authz_driver::traced::Traced;
use mcp_authz_tests::serve::embedded;
use mcp_authz_ureq::{AuthorizationManager, AuthorizedHttpClient};
use tracing::field::{Field, Visit as Record};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};

/// Writes every event down.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(Level, String)>>>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "mcp_authz"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        struct Line(String);
        impl Record for Line {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                let _ = write!(self.0, "{}={value:?} ", field.name());
            }
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push((*event.metadata().level(), line.0));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn get(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn person(visit: &Visit, answers: Answers) {
    let url = visit.url().to_owned();
    thread::spawn(move || {
        let there = get(&url);
        let location = there.lines().find_map(|line| line.strip_prefix("location: "));
        answers.give(location.unwrap(), |_| {});
    });
}

#[test]
fn a_login_is_told_at_its_levels_and_without_a_secret_host_302() {
    let served = embedded(|_| {}).unwrap();
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let manager = AuthorizationManager::builder(served.mcp_url()).observer(Traced::new());
    let manager = manager.build().unwrap();
    manager.log_in(&person).unwrap();
    served.lock().revoke_access_tokens();
    let client = AuthorizedHttpClient::new(manager.clone(), None);
    let _whatever_it_is = client.get(served.mcp_url()).unwrap();
    manager.forget().unwrap();

    let log = log.0.lock().unwrap();
    let said =
        |level: Level, part: &str| log.iter().any(|(at, line)| *at == level && line.contains(part));
    assert!(said(Level::INFO, "a person is asked to log in"), "{log:#?}");
    assert!(said(Level::INFO, "logged out"), "{log:#?}");
    assert!(said(Level::DEBUG, "/token"), "{log:#?}");
    assert!(log.iter().any(|(level, _)| *level == Level::TRACE), "{log:#?}");
    let all = log.iter().map(|(_, line)| line.as_str()).collect::<String>();
    let model = served.lock();
    for seen in model.seen() {
        for name in ["code", "code_verifier", "refresh_token", "state", "token"] {
            for secret in seen.form.all(name).into_iter().chain(seen.query.all(name)) {
                assert!(!all.contains(secret), "{name} is in the log");
            }
        }
    }
}
