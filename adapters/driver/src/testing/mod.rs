//! Scripted servers, and the cases that the HTTP port of every adapter has to pass.
//!
//! An adapter's test file holds one line, [`http_contract!`](crate::http_contract), with a function
//! that makes its port. What is asynchronous is wrapped in [`Blocking`].

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
use http::{Method, Request};
use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::{Limits, Reply, Why};

use crate::dial::Lookup;
use crate::ports::{AsyncBody, AsyncHttp, Body, Http, Opened};
use crate::reading;
use crate::tls::Roots;

pub mod bodies;
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
pub fn maybe_sent(reply: &Reply, expected: &[Why]) {
    let sent = reply.lost().filter(|(_, sent)| *sent);
    assert!(sent.is_some_and(|(why, _)| expected.contains(&why)), "{reply:?}");
}

/// The tests of the HTTP port. The argument is a [`Make`](crate::testing::Make).
#[macro_export]
macro_rules! http_contract {
    ($make:expr) => {
        $crate::http_contract! { @cases $make;
            bodies {
                plain_requests_arrive_whole_and_unadorned,
                a_body_over_its_announced_limit_is_not_read_host_064,
                an_endless_body_is_cut_off_and_its_connection_closed_host_065,
                an_encoded_body_is_refused_host_066_host_067,
                a_body_that_trickles_times_out_host_068,
                a_body_cut_short_is_no_answer_host_062,
                a_second_answer_is_dropped_with_its_connection_host_071,
                an_open_event_stream_can_be_left,
                a_stream_is_read_as_it_comes,
                a_stream_that_ends_is_told_from_one_that_is_cut,
                bodiless_answers_are_answers_host_057,
            }
            framing {
                connections_are_kept_for_the_next_request,
                a_kept_connection_that_has_died_is_replaced_host_254,
                heads_over_the_limit_host_069,
                status_lines_that_are_none_host_058,
                lengths_that_are_none_host_063,
                redirects_are_never_followed_host_047_to_host_053,
                cookies_are_neither_kept_nor_sent_host_072,
                interim_answers_are_skipped_host_268,
                nothing_ever_sent_times_out_host_070,
                a_connection_closed_after_the_request_host_254,
            }
            dialling {
                a_dead_port_is_certainly_unsent,
                an_unknown_name_is_certainly_unsent,
                literals_are_judged_before_they_are_dialled_host_033,
                a_name_that_leads_inside_is_not_dialled_host_037,
                localhost_is_no_public_host_host_036,
                only_the_permitted_address_is_dialled_host_038,
                each_connection_is_judged_anew_host_039,
                one_rule_never_widens_another_host_040,
                a_call_has_a_connection_of_its_own_host_065,
            }
            handshake {
                a_trusted_server_is_answered,
                certificates_that_prove_nothing_host_075_prm_19_sec_12,
                protocols_that_are_too_old_or_none_host_075_sec_12,
                a_port_that_speaks_plain_http_is_no_dead_one_host_332,
                a_record_that_trickles_times_out_host_068,
            }
        }

        #[test]
        fn proxies_of_the_environment_are_ignored() {
            let within = ::core::module_path!();
            $crate::testing::server::rerun_behind_a_proxy(
                within,
                "plain_requests_arrive_whole_and_unadorned",
            );
        }
    };
    (@cases $make:expr; $($topic:ident { $($case:ident,)* })*) => {
        $($(
            #[test]
            fn $case() {
                $crate::testing::$topic::$case($make);
            }
        )*)*
    };
}

/// The cases about a proxy, for an adapter whose program can name one.
#[macro_export]
macro_rules! proxy_contract {
    ($make:expr) => {
        #[test]
        fn https_goes_through_a_tunnel() {
            $crate::testing::proxies::https_goes_through_a_tunnel($make);
        }

        #[test]
        fn a_proxy_that_refuses_is_named() {
            $crate::testing::proxies::a_proxy_that_refuses_is_named($make);
        }

        #[test]
        fn literals_are_judged_before_a_proxy_is_asked_host_033() {
            $crate::testing::proxies::literals_are_judged_before_a_proxy_is_asked_host_033($make);
        }
    };
}
