//! Each parser on an ordinary document.
#![allow(clippy::expect_used, reason = "a bench that goes wrong must stop")]

use divan::{AllocProfiler, black_box};
use mcp_authz_benches::{canned, flow};
use mcp_authz_core::internals::authorize::read_callback;
use mcp_authz_core::internals::challenge::read_challenge;
use mcp_authz_core::internals::client_auth::Method;
use mcp_authz_core::internals::metadata::{read_resource_metadata, read_server_metadata};
use mcp_authz_core::internals::redirect::RedirectUri;
use mcp_authz_core::internals::registration::{Asked, read_registration};
use mcp_authz_core::internals::token::{TokenRules, read_tokens};
use mcp_authz_core::internals::url::{McpUrl, Reach, ServerUrl};
use mcp_authz_core::time::Timestamp;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const NOW: Timestamp = Timestamp::from_unix(1_785_542_400);

fn main() {
    divan::main();
}

fn reach() -> Reach {
    let mcp = McpUrl::parse(canned::MCP_URL, &[], false).expect("a fixed URL");
    Reach::new(&mcp, Vec::new(), Vec::new(), false)
}

#[divan::bench]
fn challenge(bencher: divan::Bencher<'_, '_>) {
    let headers = canned::challenge();
    bencher.bench_local(|| read_challenge(black_box(&headers), false).is_some());
}

#[divan::bench]
fn server_url(bencher: divan::Bencher<'_, '_>) {
    let reach = reach();
    let url = "https://auth.example.com/oauth2/authorize";
    bencher.bench_local(|| ServerUrl::read(black_box(url), "token_endpoint", &reach));
}

#[divan::bench]
fn resource_metadata(bencher: divan::Bencher<'_, '_>) {
    bencher.bench_local(|| read_resource_metadata(black_box(canned::RESOURCE.as_bytes())));
}

#[divan::bench]
fn server_metadata(bencher: divan::Bencher<'_, '_>) {
    let reach = reach();
    bencher.bench_local(|| read_server_metadata(black_box(canned::SERVER.as_bytes()), &reach));
}

#[divan::bench]
fn registration(bencher: divan::Bencher<'_, '_>) {
    let uri = "http://127.0.0.1:51000/callback";
    let redirect_uri = RedirectUri::read(uri, false).expect("a fixed URI");
    let answer = canned::answer(201, canned::REGISTRATION);
    let asked = Asked {
        method: Method::None,
        listed: None,
        redirect_uri: &redirect_uri,
        sent: &[],
        legacy: false,
    };
    bencher.bench_local(|| read_registration(black_box(&answer), &asked, NOW));
}

#[divan::bench]
fn callback(bencher: divan::Bencher<'_, '_>) {
    let query = [canned::CALLBACK, "0123456789abcdef0123456789abcdef"].concat();
    bencher.bench_local(|| read_callback(black_box(&query)));
}

#[divan::bench]
fn tokens(bencher: divan::Bencher<'_, '_>) {
    let answer = canned::answer(200, canned::TOKENS);
    let rules =
        TokenRules { strict: false, code: true, now: NOW, sent: &[], held: &[], spent: None };
    bencher.bench_local(|| read_tokens(black_box(&answer), &rules));
}

#[divan::bench]
fn configuration() -> usize {
    std::sync::Arc::strong_count(&flow::config())
}
