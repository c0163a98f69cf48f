//! Connects to an MCP server and lists its tools. If the server wants a login, your browser opens:
//!
//! ```sh
//! cargo run --example minimal -- https://mcp.example/mcp
//! ```

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("name the URL of an MCP server")?;
    let server = mcp_authz_tokio::connect(url).await?;
    for tool in server.list_tools().await? {
        println!("{}: {}", tool.name, tool.description.unwrap_or_default());
    }
    server.close().await?;
    Ok(())
}
