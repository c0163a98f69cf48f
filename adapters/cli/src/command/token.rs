//! `token`: a live access token on standard output, for programs that send their own requests.

use std::sync::Arc;
use std::time::Duration;

use mcp_authz_tokio::Granted;
use mcp_authz_tokio::config::Times;
use serde_json::json;

use crate::arguments::Form;
use crate::command::status::{expiry, left};
use crate::fault::Fault;
use crate::options::Options;
use crate::say::Say;
use crate::server::{Server, seconds_left, shown};

/// Prints the token, or the header line that carries it.
pub(super) async fn run(url: String, options: Options, form: Form, say: &Say) -> Result<(), Fault> {
    let Form { min_lifetime, .. } = form;
    let times = Times { ahead: min_lifetime, ..options.times() };
    let server = Server::open(url, options, say, |config| config.times(times))?;
    let mut granted = server.grant(&server.options.scopes()?).await?;
    if let Some(least) = min_lifetime
        && is_short(&granted, least)
    {
        // The session renews it meanwhile, as ahead of any other end.
        server.manager.session().quiet().await;
        granted = server.manager.granted().unwrap_or(granted);
        if is_short(&granted, least) {
            let rest = expiry(&granted).map(left).unwrap_or_default();
            let text =
                format!("this token is good for {rest} only: there is no longer one to be had");
            say.aside(&text, &json!({"event": "short_lived"}));
        }
    }
    let token = granted.access_token().expose();
    let line = form.line(token);
    say.result(
        &line,
        &json!({
            "event": "token",
            "server": shown(&server.url),
            "token": token,
            "expires": expiry(&granted),
            "scope": granted.scopes().map(|scopes| scopes.as_str()),
        }),
    );
    Ok(())
}

impl Form {
    /// The line that is printed for a token.
    pub(super) fn line(&self, token: &str) -> String {
        match (self.header, self.headers) {
            (true, _) => format!("Authorization: Bearer {token}"),
            (_, true) => json!({"Authorization": format!("Bearer {token}")}).to_string(),
            _ => token.to_owned(),
        }
    }
}

/// Returns true if the token is known to live shorter than this.
fn is_short(granted: &Arc<Granted>, least: Duration) -> bool {
    expiry(granted).is_some_and(|until| seconds_left(until) < least.as_secs())
}
