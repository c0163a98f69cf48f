//! Scripted servers, and the cases that the HTTP port of every adapter has to pass.
//!
//! An adapter's test file holds one line, [`http_contract!`](crate::http_contract), with a function
//! that makes its port. An asynchronous port is wrapped in [`Blocking`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests; they live in a library so that every adapter runs the same ones"
)]

use core::future::Future;
use core::net::IpAddr;
use core::time::Duration;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::response::Parts;
use http::{Method, Request, Uri};
use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::{Limits, Reply, Why};

use crate::dial::Lookup;
use crate::ports::{AsyncBody, AsyncHttp, Body, Http, Opened};
use crate::reading;
use crate::tls::Roots;

pub mod bodies;
pub mod company;
mod contract;
pub mod dialling;
pub mod framing;
pub mod front;
pub mod handshake;
pub mod listening;
pub mod proxies;
pub mod server;

/// Makes the port under test.
pub type Make = fn(Arc<dyn Lookup>, Roots) -> Box<dyn Http>;

/// Runs a future to its end on this thread.
pub trait BlockOn: Clone + Send + Sync + 'static {
    /// Does so.
    fn block_on<F: Future>(&self, future: F) -> F::Output;
}

/// An async port as a blocking one.
#[derive(Clone, Debug)]
pub struct Blocking<A, B>(pub A, pub B);

impl<A: AsyncHttp, B: BlockOn> Http for Blocking<A, B> {
    fn send(&self, request: Request<Vec<u8>>, limits: &Limits) -> Reply {
        self.1.block_on(self.0.send(request, limits))
    }

    fn open(&self, request: Request<Vec<u8>>, limits: &Limits) -> Opened<Box<dyn Body>> {
        let opened = self.1.block_on(self.0.open(request, limits))?;
        Ok(opened.map(|body| -> Box<dyn Body> { Box::new(Blocking(body, self.1.clone())) }))
    }

    fn proxy(&self, uri: &Uri) -> Option<Arc<str>> {
        self.0.proxy(uri)
    }
}

impl<A: AsyncBody, B: BlockOn> Body for Blocking<A, B> {
    fn piece(&mut self, within: Duration) -> Result<Option<Bytes>, Why> {
        self.1.block_on(self.0.piece(within))
    }
}

/// A resolver whose answers are written down, one after the other; the last one stays.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Mutex<Vec<Vec<IpAddr>>>>);

impl Names {
    /// Each look-up takes the next answer.
    #[must_use]
    pub fn new(answers: &[&[&str]]) -> Self {
        let read = |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
        Self(Arc::new(Mutex::new(answers.iter().map(read).collect())))
    }
}

impl Lookup for Names {
    fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let mut answers = self.0.lock().unwrap();
        match answers.len() {
            0 => Err(io::ErrorKind::NotFound.into()),
            1 => Ok(answers[0].clone()),
            _ => Ok(answers.remove(0)),
        }
    }
}

/// The port under test with names that all lead to loopback.
#[must_use]
pub fn port(make: Make) -> Box<dyn Http> {
    make(Arc::new(Names::new(&[&["127.0.0.1"]])), Roots::Compiled)
}

/// Sends a caller's own request and reads the answer as far as it is wanted.
pub(crate) fn exchange(
    http: &dyn Http,
    request: Request<Vec<u8>>,
    limits: &Limits,
    enough: &mut (dyn FnMut(&Parts, &[u8]) -> bool + Send),
) -> Reply {
    reading::to_its_end(|| http.open(request, limits), limits, enough)
}

/// Limits small enough to be met in a test.
#[must_use]
pub const fn limits() -> Limits {
    Limits {
        connect: Duration::from_millis(1_500),
        total: Duration::from_secs(10),
        head: 64 * 1024,
        fields: 128,
        body: 256 * 1024,
        addresses: Addresses::Loopback,
        proxy: true,
    }
}

/// A GET.
#[must_use]
pub fn get(url: &str) -> Request<Vec<u8>> {
    Request::builder().uri(url).header("accept", "application/json").body(Vec::new()).unwrap()
}

/// A POST.
#[must_use]
pub fn post(url: &str, body: &str) -> Request<Vec<u8>> {
    Request::builder().method(Method::POST).uri(url).body(body.as_bytes().to_vec()).unwrap()
}

/// The answer.
///
/// # Panics
/// If there is none.
#[track_caller]
pub fn answered(reply: Reply) -> http::Response<Vec<u8>> {
    match reply.whole() {
        Reply::Answered(answer) => answer,
        other => panic!("no answer: {other:?}"),
    }
}

/// Asserts that the request is certainly unsent.
///
/// # Panics
/// If it is not, or for another reason.
#[track_caller]
pub fn not_sent(reply: &Reply, expected: &[Why]) {
    assert!(matches!(reply, Reply::NotSent(why) if expected.contains(why)), "{reply:?}");
}

/// Asserts that the request may have been sent.
///
/// # Panics
/// If it is not so, or for another reason.
#[track_caller]
pub fn maybe_sent(reply: Reply, expected: &[Why]) {
    let reply = reply.whole();
    assert!(matches!(&reply, Reply::MaybeSent(why) if expected.contains(why)), "{reply:?}");
}
