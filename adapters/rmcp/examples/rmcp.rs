//! A program that is written with rmcp and leaves authorization to an authorized transport:
//!
//! ```sh
//! cargo run --example rmcp -- https://mcp.example/mcp
//! ```

use std::error::Error;

use mcp_authz_rmcp::create_authorized_transport;
use mcp_authz_tokio::{AuthorizationManager, Desktop, FileStore};
use rmcp::ServiceExt as _;
use rmcp::model::ClientConfig;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("name the URL of an MCP server")?;
    let manager = AuthorizationManager::builder(&url)
        .store(FileStore::at_home()?)
        .person(Desktop::new())
        .build()?;
    let transport = create_authorized_transport(&url, manager, None);
    let service = ClientConfig::default().serve(transport).await?;
    for tool in service.peer().list_all_tools().await? {
        println!("{}: {}", tool.name, tool.description.unwrap_or_default());
    }
    service.cancel().await?;
    Ok(())
}
