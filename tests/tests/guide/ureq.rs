//! The guide on ureq, for blocking programs. What stands between the marks is on the page, word for word.

use std::error::Error;

use mcp_authz_ureq::driver::transport::Settings;
use mcp_authz_ureq::{AuthorizationManager, AuthorizationSession, AuthorizedHttpClient};
use serde_json::{Value, json};

use crate::world::{Desktop, Person};

pub(crate) fn manager(mcp_url: &str) -> Result<AuthorizationManager, Box<dyn Error>> {
    // guide: manager
    let manager = AuthorizationManager::new(mcp_url)?;
    // end
    Ok(manager)
}

pub(crate) fn session(
    manager: &AuthorizationManager,
    person: &Person<'_>,
) -> Result<(), Box<dyn Error>> {
    // guide: session
    let redirect_uri = "http://localhost:8080/callback"; // served by your program
    let session = AuthorizationSession::new(manager.clone(), &["mcp"], redirect_uri)?;
    if let Some(url) = session.get_authorization_url() {
        let redirected = person.visit(url); // the address that their browser is sent back to
        let credentials = session.handle_callback(redirected)?;
        println!("authorized by {}", credentials.issuer());
    }
    // end
    Ok(())
}

pub(crate) fn desktop(manager: &AuthorizationManager) -> Result<(), Box<dyn Error>> {
    // guide: desktop
    manager.log_in(&Desktop::new())?;
    // end
    Ok(())
}

pub(crate) fn transport(manager: &AuthorizationManager) -> Result<Value, Box<dyn Error>> {
    // guide: transport
    let transport = manager.connect(Settings::new("my-client", "1.0"))?;
    let tools = transport.call("tools/list", json!({}))?;
    // end
    transport.close()?;
    Ok(tools)
}

pub(crate) fn http_client(
    manager: &AuthorizationManager,
    mcp_url: &str,
    message: &Value,
) -> Result<Value, Box<dyn Error>> {
    // guide: http client
    let client = AuthorizedHttpClient::new(manager.clone(), None);
    let answer: Value = client.post_json(mcp_url, message)?;
    // end
    Ok(answer)
}
