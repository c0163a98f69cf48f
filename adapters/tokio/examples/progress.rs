//! Connects to an MCP server, and says in sentences what happens on the way:
//!
//! ```sh
//! cargo run --example progress -- https://mcp.example/mcp
//! ```

use std::error::Error;

use mcp_authz_tokio::{AuthorizationManager, Desktop, Progress, connect};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("name the URL of an MCP server")?;
    // The desktop says by itself where its browser goes, so this says all the rest.
    let program = AuthorizationManager::builder(url).person(Desktop::new()).on_progress(|step| {
        if !matches!(step, Progress::AsksPerson { .. }) {
            println!("{step}");
        }
    });
    match connect(program).await {
        Ok(server) => println!("{} tools", server.list_tools().await?.len()),
        Err(error) => println!("{error}\nthe remedy: {}", error.remedy().name()),
    }
    Ok(())
}
