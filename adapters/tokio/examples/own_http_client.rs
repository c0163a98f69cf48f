//! A program that sends its own requests, here with reqwest, and asks for the headers to set:
//!
//! ```sh
//! cargo run --example own_http_client -- https://mcp.example/mcp
//! ```

use std::error::Error;

use http::Method;
use mcp_authz_tokio::driver::authorize::Seen;
use mcp_authz_tokio::{AuthorizationManager, Desktop};

const HELLO: &str = r#"{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
    "protocolVersion": "2025-11-25", "capabilities": {},
    "clientInfo": {"name": "own_http_client", "version": "1.0"}}}"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("name the URL of an MCP server")?;
    let manager = AuthorizationManager::builder(&url).person(Desktop::new()).build()?;
    let session = manager.session();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;

    let mut sent = session.authorize(&Method::POST, &url.parse()?).await?;
    let answer = loop {
        let mut request = client.post(&url).body(HELLO).header("content-type", "application/json");
        request = request.header("accept", "application/json, text/event-stream");
        for (name, value) in sent.headers() {
            request = request.header(name, value);
        }
        let answer = request.send().await?;
        // A refusal leads to a renewal or a login, and the request is sent once more.
        match session.seen(&sent, answer.status(), answer.headers()).await? {
            Seen::Again(next) => sent = next,
            _ => break answer,
        }
    };
    println!("{}: {}", answer.status(), answer.text().await?);
    Ok(())
}
