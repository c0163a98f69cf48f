//! The guide, run on every runtime: step by step, at an ordinary and a strict profile, and over TLS; and
//! the page that a browser is shown at its end.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that goes wrong panics"
)]
#![forbid(unsafe_code)]

#[path = "guide/async_std.rs"]
mod async_std;
#[path = "guide/tokio.rs"]
mod tokio;
#[path = "guide/ureq.rs"]
mod ureq;
#[path = "guide/world.rs"]
mod world;

use core::future::Future;
use core::time::Duration;

use mcp_authz_core::Config;
use mcp_authz_core::config::Profile;
use mcp_authz_host::page::{Label, Outcome, PageText, Words};
use mcp_authz_tests::model::Endpoint;
use serde_json::{Value, json};
use world::{Desktop, Wire, World};

/// The page of each runtime, and what is run of it.
const PAGES: [(&str, &str); 3] = [
    (include_str!("../../adapters/tokio/src/guide.md"), include_str!("guide/tokio.rs")),
    (include_str!("../../adapters/async-std/src/guide.md"), include_str!("guide/async_std.rs")),
    (include_str!("../../adapters/ureq/src/guide.md"), include_str!("guide/ureq.rs")),
];

/// The marked pieces of a guide, without their indentation.
fn pieces(source: &str) -> Vec<(String, String)> {
    let mut pieces = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.trim().strip_prefix("// guide: ") else { continue };
        let text = lines.by_ref().take_while(|line| line.trim() != "// end");
        let text = text.map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line)));
        pieces.push((name.to_owned(), text.collect()));
    }
    assert_eq!(pieces.len(), 5, "one for each step, and one for a desktop");
    pieces
}

#[test]
fn each_page_shows_what_is_run() {
    for (page, run) in PAGES {
        // What is run stands in a function there, too.
        let page: String = page
            .lines()
            .map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line)))
            .collect();
        for (name, text) in pieces(run) {
            assert!(page.contains(&text), "the page does not show {name}:\n{text}");
        }
    }
}

#[test]
fn the_guides_differ_in_nothing_but_await() {
    let [tokio, async_std, ureq] = PAGES.map(|(_, run)| pieces(run));
    assert_eq!(tokio, async_std);
    let blocking = tokio.into_iter().map(|(name, text)| (name, text.replace(".await", "")));
    assert_eq!(blocking.collect::<Vec<_>>(), ureq);
}

fn initialize() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "guide", "version": "1"}}})
}

fn on_tokio<T>(steps: impl Future<Output = T>) -> T {
    ::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(steps)
}

fn on_async_std<T>(steps: impl Future<Output = T>) -> T {
    ::async_std::task::block_on(steps)
}

macro_rules! steps {
    ($guide:ident, $adapter:ident, $profile:expr, $wire:expr $(, $await:tt)?) => {{
        let world = World::new($wire);
        let url = world.served.mcp_url();
        let client = $adapter::Client::builder().roots(world.roots()).build().unwrap();
        let config = Config::builder(url).profile($profile);
        let manager = $adapter::AuthorizationManager::builder(config).ports(client).build().unwrap();
        $guide::session(&manager, &world.person())$(.$await)?.unwrap();
        $guide::desktop(&manager)$(.$await)?.unwrap();
        let tools = $guide::transport(&manager)$(.$await)?.unwrap();
        assert!(!tools["tools"].as_array().unwrap().is_empty(), "{tools}");
        let answer = $guide::http_client(&manager, url, &initialize())$(.$await)?.unwrap();
        assert_eq!(answer["id"], 1);
        let model = world.served.lock();
        assert_eq!((model.count(Endpoint::Authorize), model.count(Endpoint::Token)), (1, 1));
    }};
}

macro_rules! alone {
    ($guide:ident $(, $await:tt)?) => {{
        let world = World::new(Wire::Plain);
        let manager = $guide::manager(world.served.mcp_url())$(.$await)?.unwrap();
        $guide::desktop(&manager)$(.$await)?.unwrap();
        assert!(manager.granted().is_some());
    }};
}

const WAYS: [(Profile, Wire); 3] = [
    (Profile::Standard, Wire::Plain),
    (Profile::Strict, Wire::Plain),
    (Profile::Strict, Wire::Tls),
];

#[test]
fn on_ureq_step_by_step() {
    for (profile, wire) in WAYS {
        steps!(ureq, mcp_authz_ureq, profile, wire);
    }
    alone!(ureq);
}

#[test]
fn on_tokio_step_by_step() {
    for (profile, wire) in WAYS {
        on_tokio(async { steps!(tokio, mcp_authz_tokio, profile, wire, await) });
    }
    on_tokio(async { alone!(tokio, await) });
}

#[test]
fn on_async_std_step_by_step() {
    for (profile, wire) in WAYS {
        on_async_std(async { steps!(async_std, mcp_authz_async_std, profile, wire, await) });
    }
    on_async_std(async { alone!(async_std, await) });
}

/// The page names the program and the address, in words of the program's own that are the same on every
/// runtime, and nothing that the address bar holds.
macro_rules! worded {
    ($adapter:ident $(, $await:tt)?) => {{
        let world = World::new(Wire::Plain);
        let words = Words::new().title("Welcome <back>");
        let text = PageText::new()
            .language("en-GB")
            .words(Outcome::Authorized, words)
            .label(Label::Program, "Application");
        let client = $adapter::Client::builder().page_text(text).build().unwrap();
        let config = Config::builder(world.served.mcp_url()).client_name("Acme & <Sons>");
        let manager = $adapter::AuthorizationManager::builder(config).ports(client).build().unwrap();
        let (desktop, read) = Desktop::reading();
        manager.log_in(&desktop)$(.$await)?.unwrap();
        let (address, page) = read.recv_timeout(Duration::from_secs(10)).unwrap();
        let address = url::Url::parse(&address).unwrap();
        let port = address.port().unwrap();
        for part in [
            "<html lang=\"en-GB\">",
            "<h1>Welcome &lt;back&gt;</h1>",
            "<dt>Application</dt><dd>Acme &amp; &lt;Sons&gt;</dd>",
            &format!("<dt>Served at</dt><dd>127.0.0.1:{port}</dd>"),
            "You may close this window",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        for (name, value) in address.query_pairs().filter(|(name, _)| name != "iss") {
            assert!(!page.contains(&*value), "{name} is in {page}");
        }
    }};
}

#[test]
fn on_every_runtime_the_page_is_in_the_program_s_own_words_nat_10_host_198() {
    worded!(mcp_authz_ureq);
    on_tokio(async { worded!(mcp_authz_tokio, await) });
    on_async_std(async { worded!(mcp_authz_async_std, await) });
}
