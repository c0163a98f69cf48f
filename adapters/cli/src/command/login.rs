//! `login`: a person logs in, unless there is a usable grant.

use mcp_authz_core::failure::Kind;
use mcp_authz_tokio::Granted;
use mcp_authz_tokio::driver::person::Person;
use serde_json::{Value, json};

use crate::command::status::until;
use crate::fault::Fault;
use crate::options::Options;
use crate::say::{Say, block};
use crate::server::{Server, bare, shown, somebody};

/// Logs in.
pub(super) async fn run(
    url: String,
    options: Options,
    again: bool,
    say: &Say,
) -> Result<(), Fault> {
    let server = Server::open(url, options, say, |config| config.login_anew(again))?;
    if !again && is_in(&server).await? {
        return Ok(());
    }
    if server.options.no_login {
        return Err(Fault::usage("login and --no-login contradict each other"));
    }
    // Whoever went first may have logged in at this very server.
    let turn = match say.relay() {
        Some(relay) => Some(relay.turn().await),
        None => None,
    };
    if turn.is_some() && !again && is_in(&server).await? {
        return Ok(());
    }
    let person: std::sync::Arc<dyn Person> = somebody(&server.options, say);
    match server.manager.log_in(&say.to(person)).await {
        Ok(granted) => {
            server.manager.session().quiet().await;
            say.done(said("logged in", &server, &granted), &line("logged_in", &server, &granted));
            if granted.unsaved() {
                say.aside(
                    "the store has not taken the grant: it ends with this program",
                    &json!({"event": "unsaved"}),
                );
            }
            Ok(())
        }
        Err(error) if error.failure().is_some_and(|it| it.kind() == Kind::NotRequired) => {
            say.done(
                "this server wants no login",
                &json!({"event": "open", "server": shown(&server.url)}),
            );
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns true, and says so, if there is a grant that can be used as it is.
async fn is_in(server: &Server) -> Result<bool, Fault> {
    let Ok(granted) = server.grant(&server.options.scopes()?).await else { return Ok(false) };
    server.say.result(
        said("already logged in: nobody was asked; --again logs in anew", server, &granted),
        &line("already_logged_in", server, &granted),
    );
    Ok(true)
}

/// The grant in words.
fn said(heading: &str, server: &Server, granted: &Granted) -> String {
    let account = server.options.account.iter().map(|account| ("account", account.clone()));
    let scopes = granted.scopes().filter(|scopes| !scopes.is_empty());
    let scopes = scopes.map(|scopes| ("scope", scopes.as_str().to_owned()));
    let rows = [("server", bare(&server.url))].into_iter().chain(account);
    let rows = rows.chain([("issuer", granted.issuer().to_owned())]).chain(scopes);
    block(heading, rows.chain([("token", until(granted))]))
}

fn line(event: &str, server: &Server, granted: &Granted) -> Value {
    json!({
        "event": event,
        "server": shown(&server.url),
        "account": server.options.account,
        "issuer": granted.issuer(),
        "resource": granted.resource(),
        "scope": granted.scopes().map(|scopes| scopes.as_str()),
        "expires": super::status::expiry(granted),
        "saved": !granted.unsaved(),
    })
}
