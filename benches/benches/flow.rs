//! One step, one whole login, its floor, and a snapshot there and back.
#![allow(clippy::expect_used, reason = "a bench that goes wrong must stop")]

use std::sync::Arc;

use divan::{AllocProfiler, black_box};
use mcp_authz_benches::{floor, flow};
use mcp_authz_core::Input;
use mcp_authz_core::input::{Acquire, WaiterId};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::session::{Session, Snapshot};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// 401 to token with dynamic registration.
#[divan::bench]
fn login(bencher: divan::Bencher<'_, '_>) {
    let config = flow::config();
    bencher.with_inputs(|| flow::prepare(&config)).bench_local_values(flow::run);
}

#[divan::bench]
fn login_floor() -> http::HeaderValue {
    floor::login(black_box([0x5a; 56]))
}

/// One step: a caller asks for the live grant and has it.
#[divan::bench]
fn acquire_live(bencher: divan::Bencher<'_, '_>) {
    let (mut session, _) = flow::run(flow::prepare(&flow::config()));
    let mut seeds = 1_000;
    bencher.bench_local(move || {
        let acquire = Acquire { waiter: WaiterId(9), scopes: ScopeSet::empty(), may_ask: false };
        session.handle(Input::Acquire(acquire), flow::env(&mut seeds)).expect("no misuse")
    });
}

/// Written out as JSON, read back and taken up again.
#[divan::bench]
fn snapshot(bencher: divan::Bencher<'_, '_>) {
    let config = flow::config();
    let (session, _) = flow::run(flow::prepare(&config));
    let mut seeds = 1_000;
    bencher.bench_local(move || {
        let written = serde_json::to_vec(&session.snapshot()).expect("a snapshot");
        let read: Snapshot = serde_json::from_slice(&written).expect("a snapshot");
        Session::restore(Arc::clone(&config), read, flow::env(&mut seeds)).expect("restores")
    });
}
