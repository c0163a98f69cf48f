//! Counted, not timed: how often the core allocates.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that goes wrong panics"
)]
#![forbid(unsafe_code)]

use mcp_authz_benches::{canned, flow};
use mcp_authz_core::wire::challenge::read_challenge;

/// The most that one login may allocate, canned answers not counted.
const LOGIN: u64 = 120;

#[test]
fn a_whole_login_allocates_at_most_120_times() {
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
