//! The guide on async-std. What stands between the marks is on the page, word for word.

use std::error::Error;

use mcp_authz_async_std::driver::transport::Settings;
use mcp_authz_async_std::{AuthorizationManager, AuthorizationSession, AuthorizedHttpClient};
use serde_json::{Value, json};

use crate::world::{Desktop, Person};

pub(crate) async fn manager(mcp_url: &str) -> Result<AuthorizationManager, Box<dyn Error>> {
    // guide: manager
    let manager = AuthorizationManager::new(mcp_url)?;
    // end
    Ok(manager)
}

pub(crate) async fn session(
    manager: &AuthorizationManager,
    person: &Person<'_>,
) -> Result<(), Box<dyn Error>> {
    // guide: session
    let redirect_uri = "http://localhost:8080/callback"; // served by your program
    let session = AuthorizationSession::new(manager.clone(), &["mcp"], redirect_uri).await?;
    if let Some(url) = session.get_authorization_url() {
        let redirected = person.visit(url); // the address that their browser is sent back to
        let credentials = session.handle_callback(redirected).await?;
        println!("authorized by {}", credentials.issuer());
    }
    // end
    Ok(())
}

pub(crate) async fn desktop(manager: &AuthorizationManager) -> Result<(), Box<dyn Error>> {
    // guide: desktop
    manager.log_in(&Desktop::new()).await?;
    // end
    Ok(())
}

pub(crate) async fn transport(manager: &AuthorizationManager) -> Result<Value, Box<dyn Error>> {
    // guide: transport
    let transport = manager.connect(Settings::new("my-client", "1.0")).await?;
    let tools = transport.call("tools/list", json!({})).await?;
    // end
    transport.close().await?;
    Ok(tools)
}

pub(crate) async fn http_client(
    manager: &AuthorizationManager,
    mcp_url: &str,
    message: &Value,
) -> Result<Value, Box<dyn Error>> {
    // guide: http client
    let client = AuthorizedHttpClient::new(manager.clone(), None);
    let answer: Value = client.post_json(mcp_url, message).await?;
    // end
    Ok(answer)
}
