//! The client under test of the official MCP conformance suite: one program for every
//! authorization-code scenario, on the public surface alone: a manager, a person and a transport. It
//! knows no scenario by name; what the suite prescribes as configuration comes from its environment,
//! and the MCP URL is the last argument.

use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use mcp_authz_core::config::{PreRegistered, Times};
use mcp_authz_core::secret::Secret;
use mcp_authz_driver::person::Answers;
use mcp_authz_driver::transport::{Bounds, Settings};
use mcp_authz_ureq::{AuthorizationManager, Config, Visit};
use serde_json::{Value, json};

/// Where the suite's own client is described; only a string to it.
const CLIENT_DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";
/// Offered and called by every scenario that gets that far.
const TOOL: &str = "test-tool";
/// For one request: the suite gives up after thirty seconds in all.
const PATIENCE: Duration = Duration::from_secs(10);
/// Redirects between the authorization page and the redirect URI.
const MOST_REDIRECTS: usize = 10;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().next_back().ok_or("the last argument is the MCP URL")?;
    let variable = |name: &str| std::env::var(name).ok();
    let context = variable("MCP_CONFORMANCE_CONTEXT");
    let context: Value =
        context.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let text = |name: &str| context.get(name).and_then(Value::as_str).map(str::to_owned);
    let version = variable("MCP_CONFORMANCE_PROTOCOL_VERSION");

    let mut config = Config::builder(&url)
        .client_document(CLIENT_DOCUMENT, &[])
        .times(Times { request: PATIENCE, ..Times::default() });
    if let Some(client_id) = text("client_id") {
        let secret = text("client_secret").map(Secret::new);
        let client = PreRegistered { issuer: text("issuer"), client_id, secret, method: None };
        config = config.pre_registered(client);
    }
    if let Some(issuer) = text("issuer") {
        config = config.prefer_issuer(&issuer);
    }
    if let Some(version) = &version {
        config = config.protocol_version(version);
    }
    let manager = AuthorizationManager::builder(config).person(agrees).build()?;

    let settings = Settings::new("mcp-authz-conformance", env!("CARGO_PKG_VERSION"))
        .bounds(Bounds { head: PATIENCE, idle: PATIENCE, ..Bounds::default() });
    let settings = match &version {
        Some(version) => settings.revision(version),
        None => settings,
    };
    let server = manager.connect(settings)?;
    server.call("tools/list", json!({}))?;
    server.call("tools/call", json!({"name": TOOL, "arguments": {}}))?;
    server.close()?;
    Ok(())
}

/// A person whose consent the suite's servers take for granted: follows the redirects up to the
/// redirect URI, and brings back what it was called with.
fn agrees(visit: &Visit, answers: Answers) {
    let (page, redirect_uri) = (visit.url().to_owned(), visit.redirect_uri.clone());
    thread::spawn(move || match follow(&page, &redirect_uri) {
        Ok(callback) => answers.give(callback, |_| {}),
        Err(error) => eprintln!("the authorization page: {error}"),
    });
}

fn follow(page: &str, redirect_uri: &str) -> Result<String, Box<dyn Error>> {
    let agent = ureq::Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(PATIENCE))
        .build();
    let agent = ureq::Agent::new_with_config(agent);
    let mut at = url::Url::parse(page)?;
    for _ in 0..MOST_REDIRECTS {
        let answer = agent.get(at.as_str()).call()?;
        let location = answer.headers().get("location").ok_or("it redirects to nowhere")?;
        at = at.join(location.to_str()?)?;
        if at.as_str().starts_with(redirect_uri) {
            return Ok(at.into());
        }
    }
    Err("it redirects for ever".into())
}
