//! `logout`: tokens are given back to the authorization server and removed from the store.

use mcp_authz_core::effect::{Forgotten, Revoked};
use mcp_authz_core::failure::Remedy;
use mcp_authz_tokio::driver::vault::{Entry, State};
use serde_json::json;

use crate::config_file::ConfigFile;
use crate::fault::Fault;
use crate::options::Options;
use crate::say::{Say, block};
use crate::server::{self, Server, as_account, shown};

/// Logs out of one server and account.
pub(super) async fn one(url: String, options: Options, say: &Say) -> Result<(), Fault> {
    let options = Options { no_login: true, ..options };
    let server = Server::open(url, options, say, |config| config)?;
    forget(&server).await
}

/// Logs out of everything that is kept, wherever the configuration file says that it is.
pub(super) async fn all(file: &ConfigFile, given: &Options, say: &Say) -> Result<(), Fault> {
    let mut held = server::kept(file, given)?;
    held.retain(|(entry, _)| entry.state != State::LoggedOut);
    if held.is_empty() {
        say.result("nobody is logged in anywhere", &json!({"event": "nothing_kept"}));
    }
    // One that fails keeps none of the others.
    let mut last = Ok(());
    for (one, options) in &held {
        if let Err(fault) = entry(one, options, say).await {
            say.fault(&fault);
            last = Err(fault);
        }
    }
    last.map_err(|_| {
        Fault::new("logout", "not everything could be logged out", Remedy::Retry { after: None })
    })
}

/// Logs out of one entry of the store.
pub(super) async fn entry(entry: &Entry, options: &Options, say: &Say) -> Result<(), Fault> {
    let options = Options { account: entry.account.clone(), no_login: true, ..options.clone() };
    forget(&Server::open(entry.mcp_url.clone(), options, say, |config| config)?).await
}

async fn forget(server: &Server) -> Result<(), Fault> {
    let Forgotten { revoked, unremoved } = server.manager.forget().await?;
    server.manager.session().quiet().await;
    let (came, name) = match &revoked {
        Revoked::Nothing => ("there was nothing to give back to the server", "nothing"),
        Revoked::NotOffered => {
            ("the server takes no tokens back: they are good there until they end", "not_offered")
        }
        Revoked::Done => ("the server has revoked the tokens", "done"),
        Revoked::Failed(_) => {
            ("the server has not revoked every token: take them as valid until they end", "failed")
        }
    };
    let removed = match unremoved {
        None => "no token is kept; the registration stays",
        Some(_) => "the store has not removed the tokens",
    };
    let account = as_account(server.options.account.as_deref());
    let rows = [("there", came.to_owned()), ("here", removed.to_owned())];
    server.say.done(
        block(&format!("logged out of {}{account}", shown(&server.url)), rows),
        &json!({
            "event": "logged_out",
            "server": shown(&server.url),
            "account": server.options.account,
            "revoked": name,
            "removed": unremoved.is_none(),
        }),
    );
    match (revoked, unremoved) {
        (_, Some(kind)) => Err(kind.into()),
        (Revoked::Failed(failure), None) => Err(failure.into()),
        _ => Ok(()),
    }
}
