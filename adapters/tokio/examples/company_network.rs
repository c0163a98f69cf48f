//! An MCP client in a company's network: a proxy that wants a password, and the company's own root
//! certificates beside the usual ones. Nothing but the client differs from `oauth_client`.
//!
//! Without arguments it brings such a network along: `company_network URL PROXY ROOTS.pem` is for yours.
//! Where the environment names the proxy (`HTTPS_PROXY`, `NO_PROXY`), no line about it is needed.

use mcp_authz_tokio::driver::{proxy::Proxy, transport::Settings};
use mcp_authz_tokio::host::person::Desktop;
use mcp_authz_tokio::{AuthorizationManager, Client};

#[path = "../../../tests/glue/company.rs"]
mod company;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    if let [url, proxy, roots] = arguments.as_slice() {
        let client = Client::builder().proxy(Proxy::new(proxy)?).add_roots_file(roots).build()?;
        let manager = AuthorizationManager::builder(url).ports(client).person(Desktop::new());
        return list(&manager.build()?).await;
    }
    let company = company::Company::open()?;
    let proxy = Proxy::new(&company.proxy())?.except("10.0.0.0/8, .lab.example");
    let client = Client::builder().proxy(proxy).add_roots_pem(company.roots()).build()?;
    let manager = AuthorizationManager::builder(company.url()).ports(client);
    list(&manager.person(company.employee()).build()?).await
}

async fn list(manager: &AuthorizationManager) -> Result<(), Box<dyn std::error::Error>> {
    let server = manager.connect(Settings::new("company_network", "1.0")).await?;
    for tool in server.list_tools().await? {
        println!("{}", tool.name);
    }
    server.close().await?;
    Ok(())
}
