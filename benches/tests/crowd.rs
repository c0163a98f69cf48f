//! Counted, not timed: what a thousand callers cost the server, and ten thousand sessions the heap.
#![allow(clippy::unwrap_used, reason = "a test that goes wrong panics")]
#![forbid(unsafe_code)]

use std::sync::Arc;

use mcp_authz_benches::crowd::Crowd;
use mcp_authz_benches::{canned, flow, live};
use mcp_authz_core::Config;
use mcp_authz_driver::ports::Common;
use mcp_authz_tokio::Client;

#[test]
fn a_thousand_callers_on_an_expired_token_make_one_token_request_host_221() {
    let crowd = Crowd::expired();
    let _ = crowd.acquire(1_000);
    assert_eq!(crowd.endpoint.requests(), 1);
}

#[test]
fn a_thousand_callers_refused_in_flight_make_one_token_request_host_222() {
    let crowd = Crowd::revoked();
    let _ = crowd.be_refused(1_000);
    assert_eq!(crowd.endpoint.requests(), 1);
}

const SESSIONS: u64 = 10_000;

/// The most that a session may hold that was resumed and rests, its token and its configuration not counted.
const SESSION: i64 = 1_536;

#[test]
fn a_resumed_session_at_rest_holds_at_most_1536_bytes_and_its_token() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let client = Client::builder().runtime(runtime.handle().clone()).build().unwrap();
    let (config, common) = (flow::config(), Arc::new(Common::default()));
    let mut sessions = Vec::with_capacity(usize::try_from(SESSIONS).unwrap());
    let counted = allocation_counter::measure(|| {
        for _ in 0..SESSIONS {
            let (snapshot, _) = live::logged_in(&config);
            sessions
                .push(client.resume(Arc::clone(&config), snapshot, Arc::clone(&common)).unwrap());
        }
    });
    let each = counted.bytes_current / i64::try_from(SESSIONS).unwrap();
    let token =
        i64::try_from(sessions[0].granted().unwrap().access_token().expose().len()).unwrap();
    let config = allocation_counter::measure(|| {
        core::mem::forget(Config::builder(canned::MCP_URL).build().unwrap());
    });
    println!(
        "one resumed session at rest: {each} bytes, {} without its token of {token}; its configuration, \
         which sessions may share: {}",
        each - token,
        config.bytes_current
    );
    assert!(each - token <= SESSION, "{each} bytes");
}
