//! What other programs keep of their logins, taken over without a login: the registration, the access
//! token while it lives, and the refresh token only where it is to move.
//!
//! A grant is taken over by a login whose two answers from the authorization server's endpoints come from
//! the other program's files ([`port`]): everything else is asked of the real server and checked as in any
//! login, so that no token goes to a server that it was not made for (BIND-07).

mod codex;
mod fastmcp;
mod files;
mod mcp_remote;
mod port;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;
use mcp_authz_core::failure::{Remedy, escaped};
use mcp_authz_core::secret::Secret;
use mcp_authz_tokio::driver::person::Answers;
use mcp_authz_tokio::{Granted, Tokio, Visit};
use serde_json::json;
use url::Url;

use crate::fault::Fault;
use crate::options::Options;
use crate::say::Say;
use crate::server::{self, as_account, shown};
use crate::through::{self, ports};
use port::Lent;

/// A program whose files are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tool {
    McpRemote,
    Codex,
    Fastmcp,
}

impl Tool {
    const fn name(self) -> &'static str {
        match self {
            Self::McpRemote => "mcp-remote",
            Self::Codex => "codex",
            Self::Fastmcp => "fastmcp",
        }
    }
}

/// What another program keeps of a login.
pub(crate) struct Found {
    /// The authorization server, as the other program recorded it.
    issuer: String,
    client_id: String,
    client_secret: Option<Secret>,
    /// The redirect URI that was registered.
    redirect_uri: Option<String>,
    /// The member `token_endpoint_auth_method` of the registration.
    auth_method: Option<String>,
    access_token: Option<Secret>,
    refresh_token: Option<Secret>,
    /// When the access token ends, in seconds since 1970.
    expires: Option<i64>,
    scope: Option<String>,
}

/// Where and how much is taken over.
pub(crate) struct Asked {
    pub(crate) tool: Tool,
    /// The folder of the other program, if it is not where it usually is.
    pub(crate) from: Option<PathBuf>,
    /// True if the refresh token comes along, which ends the other program's login.
    pub(crate) moves: bool,
    /// True if it takes the place of a login that is kept here.
    pub(crate) again: bool,
}

/// Takes a login over into the store.
pub(crate) async fn run(
    url: String,
    options: Options,
    asked: Asked,
    say: &Say,
) -> Result<(), Fault> {
    let Asked { tool, from, moves, again } = asked;
    // The client is the other program's, whatever is configured for logins here.
    let options = Options { client_id: None, client_document: None, ..options };
    if !again {
        let silent = Options { no_login: true, ..options.clone() };
        let here = server::Server::open(url.clone(), silent, say, |config| config)?;
        if here.grant(&options.scopes()?).await.is_ok() {
            let text = format!("somebody is logged in to {} here already", shown(&url));
            return Err(Fault::new("import_held", &text, Remedy::Configure)
                .advised(["use that login, or put the other in its place with --again"]));
        }
    }
    let found = match tool {
        Tool::McpRemote => mcp_remote::read(from.as_deref(), &url)?,
        Tool::Codex => codex::read(from.as_deref(), &url)?,
        Tool::Fastmcp => fastmcp::read(from.as_deref(), &url)?,
    };
    let lives = found.expires.is_none_or(|until| server::seconds_left(until) > 0);
    let renewable = found.refresh_token.is_some();
    let of_use = lives || (moves && renewable);
    if found.access_token.is_none() || !of_use {
        let next = match renewable && !moves {
            true => {
                "take the refresh token along with --move, which ends the other login; or log in"
            }
            false => "log in: mcp-authz login URL",
        };
        let text = format!("the access token that {} keeps is over", tool.name());
        return Err(Fault::new("import_expired", &text, Remedy::AskUser).advised([next]));
    }
    let granted = adopt(&url, &options, found, moves, say).await?;
    if granted.unsaved() {
        let text = "the store has not taken the login: it stays where it was, and only there";
        return Err(Fault::new("unsaved", text, Remedy::Retry { after: None }));
    }
    let rest = match (moves && renewable, renewable) {
        (true, _) => format!(
            "; {} is logged out once the token is renewed here: remove its login there",
            tool.name()
        ),
        (false, true) => format!("; its refresh token stays with {}", tool.name()),
        (false, false) => String::new(),
    };
    say.done(
        format!(
            "taken over from {}: {}{}, by {}{rest}",
            tool.name(),
            shown(&url),
            as_account(options.account.as_deref()),
            escaped(granted.issuer()),
        ),
        &json!({
            "event": "imported",
            "server": shown(&url),
            "account": options.account,
            "from": tool.name(),
            "issuer": granted.issuer(),
            "moved": moves && renewable,
        }),
    );
    Ok(())
}

/// The login that takes a grant over.
async fn adopt(
    url: &str,
    options: &Options,
    found: Found,
    moves: bool,
    say: &Say,
) -> Result<Arc<Granted>, Fault> {
    let mut config = options.config(url, |_| None)?.login_anew(true);
    if let Some(uri) = &found.redirect_uri {
        // Nobody comes back to it, so nothing has to listen there.
        config = config.redirect_uri(uri);
    }
    if let Some(scope) = &found.scope {
        config = config.scopes(&scope.split(' ').filter(|it| !it.is_empty()).collect::<Vec<_>>());
    }
    let runtime = tokio::runtime::Handle::current();
    let client = server::client(options)?;
    let (issuer, client_id) = (found.issuer.clone(), found.client_id.clone());
    let lent = Lent::new(client.http().clone(), url, found, moves);
    let told = say.clone();
    let builder = through::builder(config)
        .ports(ports(lent, Tokio::new(runtime)))
        .store(server::store(options)?)
        .on_progress(move |progress| told.progress(progress));
    let manager = builder.build()?;
    let other = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&other);
    let person = move |visit: &Visit, answers: Answers| {
        let other = if *visit.issuer != *issuer {
            format!("its credentials are for another authorization server than {}", visit.issuer)
        } else if *visit.client_id != *client_id {
            "this program is another client of that authorization server, and a client's tokens are \
             its own"
                .to_owned()
        } else {
            return answers.give(callback(visit), |_| {});
        };
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(other);
        answers.cannot_ask();
    };
    let granted = manager.log_in(&person).await;
    let other = other.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(text) = other {
        return Err(Fault::new("import_other", &text, Remedy::AskUser)
            .advised(["log in: mcp-authz login URL"]));
    }
    let granted = granted?;
    manager.session().quiet().await;
    Ok(granted)
}

/// The callback of a page that nobody has to see, as its authorization server would send it.
fn callback(visit: &Visit) -> String {
    let page = Url::parse(visit.url()).ok();
    let state = page.as_ref().and_then(|url| url.query_pairs().find(|(name, _)| name == "state"));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("code", "taken-over");
    query.append_pair("state", state.as_ref().map_or("", |(_, value)| value));
    query.append_pair("iss", &visit.issuer);
    format!("{}?{}", visit.redirect_uri, query.finish())
}

/// Nothing is kept there for this server.
fn nothing(tool: Tool, url: &str, place: &Path) -> Fault {
    let text = format!("{} keeps no login for {} in {}", tool.name(), shown(url), place.display());
    Fault::new("import_nothing", &text, Remedy::AskUser)
        .advised(["name its folder with --from DIR", "or log in: mcp-authz login URL"])
}

/// The other program did not write down whose credentials these are (BIND-07).
fn no_issuer(tool: Tool) -> Fault {
    let text = format!(
        "{} did not record which authorization server its credentials are for, and they may go to no \
         other [BIND-07]",
        tool.name()
    );
    Fault::new("import_no_issuer", &text, Remedy::AskUser).advised(["log in: mcp-authz login URL"])
}
