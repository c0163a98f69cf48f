//! The parts that the cases need: runtimes, a person, and the requests that the server saw.

use core::future::Future;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;
use std::thread;

use mcp_authz_core::effect::{Told, Visit};
use mcp_authz_driver::person::Answers;
use mcp_authz_driver::ports::Observer;

/// The redirect URI of a program that receives its callbacks itself.
pub(crate) const REDIRECT: &str = "http://127.0.0.1:1/callback";

/// Blocking code runs where it is called.
pub(crate) fn here<T>(case: T) -> T {
    case
}

pub(crate) fn on_tokio<T>(case: impl Future<Output = T>) -> T {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    });
    RUNTIME.block_on(case)
}

pub(crate) fn on_async_std<T>(case: impl Future<Output = T>) -> T {
    async_std::task::block_on(case)
}

/// The person agrees: where the authorization server sends them then.
pub(crate) fn agree(url: &str) -> String {
    let there = get(url);
    let location = there.lines().find_map(|line| line.strip_prefix("location: "));
    location.unwrap().to_owned()
}

pub(crate) fn get(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// A person with a browser: the callback reaches the listener.
pub(crate) fn browses(visit: &Visit, _: Answers) {
    let url = visit.url().to_owned();
    thread::spawn(move || get(&agree(&url)));
}

/// A person who pastes where the browser ended up.
pub(crate) fn pastes(visit: &Visit, answers: Answers) {
    let url = visit.url().to_owned();
    thread::spawn(move || answers.give(agree(&url), |_| {}));
}

/// An observer that does this at whatever it is told.
pub(crate) struct Hears<F>(pub(crate) F);

impl<F: Fn() + Send + Sync + 'static> Observer for Hears<F> {
    fn told(&self, _: &Told) {
        (self.0)();
    }
}

/// HTTP clients that programs have of their own.
pub(crate) mod own {
    pub(crate) fn ureq() -> Option<mcp_authz_ureq::UreqHttp> {
        let config = ureq::Agent::config_builder().user_agent("mine");
        Some(ureq::Agent::new_with_config(config.build()).into())
    }

    pub(crate) fn tokio() -> Option<mcp_authz_tokio::TokioHttp> {
        let client = reqwest::Client::builder().user_agent("mine").no_proxy();
        Some(client.build().unwrap().into())
    }

    pub(crate) fn async_std() -> Option<mcp_authz_async_std::HyperHttp> {
        None
    }
}
