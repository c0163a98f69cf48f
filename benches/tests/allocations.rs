//! Counted, not timed: how often the core allocates, and that a caller with a live token never does.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that goes wrong panics"
)]
#![forbid(unsafe_code)]

use mcp_authz_benches::live::{Live, at_once};
use mcp_authz_benches::renewal::Renewals;
use mcp_authz_benches::{canned, flow};
use mcp_authz_core::internals::challenge::read_challenge;
use mcp_authz_driver::authorize::Seen;

/// The most that one login may allocate, canned answers not counted.
const LOGIN: u64 = 114;

#[test]
fn a_whole_login_allocates_at_most_114_times() {
    let config = flow::config();
    let prepared = flow::prepare(&config);
    let mut granted = None;
    let counted = allocation_counter::measure(|| granted = Some(flow::run(prepared)));
    println!("one login: {} allocations, {} bytes", counted.count_total, counted.bytes_total);
    assert!(granted.is_some());
    assert!(counted.count_total <= LOGIN, "{} allocations", counted.count_total);
}

#[test]
fn reading_a_challenge_allocates_nothing() {
    let headers = canned::challenge();
    let counted = allocation_counter::measure(|| {
        let challenge = read_challenge(&headers, false).unwrap();
        assert!(challenge.error_is("invalid_token"));
        assert!(challenge.resource_metadata.is_some());
        assert_eq!(challenge.faults().count(), 0);
    });
    assert_eq!(counted.count_total, 0);
}

/// And none waits: what a task asks for is there at the first poll.
#[test]
fn a_live_token_and_its_headers_allocate_nothing_in_any_driver_use_01() {
    let live = Live::new();
    let nothing = |what: &str, run: &dyn Fn()| {
        // The first time a thread reads the cell it gets a place for it.
        run();
        let counted = allocation_counter::measure(|| (0..100).for_each(|_| run()));
        assert_eq!(counted.count_total, 0, "{what}");
    };
    nothing("ureq", &|| drop(live.acquire_ureq()));
    nothing("tokio", &|| drop(live.acquire_tokio()));
    nothing("async-std", &|| drop(live.acquire_async_std()));
    let epoch = live.acquire_ureq().epoch();
    for authorize in [Live::authorize_ureq, Live::authorize_tokio, Live::authorize_async_std] {
        nothing("headers", &|| {
            let authorized = authorize(&live);
            assert_eq!(authorized.epoch(), Some(epoch));
            assert_eq!(authorized.headers().filter(|(_, value)| value.is_sensitive()).count(), 1);
        });
    }
    let (authorized, headers) = (live.authorize_ureq(), http::HeaderMap::new());
    nothing("an answer that is no refusal", &|| {
        let seen = live.ureq.seen(&authorized, http::StatusCode::OK, &headers);
        assert!(matches!(seen, Ok(Seen::Final)));
        let seen = at_once(live.tokio.seen(&authorized, http::StatusCode::OK, &headers));
        assert!(matches!(seen, Ok(Seen::Final)));
    });
}

/// The most that one refresh with a store may allocate, the store's and the server's own included.
const RENEWAL: u64 = 106;

#[test]
fn a_refresh_with_a_store_allocates_at_most_106_times() {
    let mut world = Renewals::new();
    world.renew();
    let counted = allocation_counter::measure(|| world.renew());
    println!("one refresh: {} allocations, {} bytes", counted.count_total, counted.bytes_total);
    assert!(counted.count_total <= RENEWAL, "{} allocations", counted.count_total);
}
