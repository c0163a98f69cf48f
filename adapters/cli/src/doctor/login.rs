//! The rest of an examination, with a person: a login with the options that were found, what came of it,
//! and a look at the MCP server behind it.

use std::env;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

use mcp_authz_core::effect::{Purpose, Revoked};
use mcp_authz_core::failure::{Failure, Kind, escaped};
use mcp_authz_core::granted::Life;
use mcp_authz_core::input::{Had, Refusal};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_tokio::{Granted, Store, Tokio, TransportError};
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;

use super::examine::{Examination, Examined, Outcome, settings, snippet};
use super::facts::{Facts, transport, wire};
use super::finding::{Finding, Severity, sorted};
use super::log::Asked;
use super::port::Watched;
use super::snippet::{Snippet, Turned, turn_on};
use crate::fault::Fault;
use crate::options::Options;
use crate::say::Say;
use crate::server::{self, seconds_left};
use crate::through;

/// Most logins: each shows a person a page.
const MOST_LOGINS: usize = 3;

/// How the login is to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    /// Renews the token once, to see that it can be.
    pub(crate) refresh: bool,
    /// Keeps nothing.
    pub(crate) forget: bool,
    /// Turns the options on that were found, without asking.
    pub(crate) yes: bool,
}

/// What came of the login.
#[derive(Debug, Default)]
pub(super) struct LoggedIn {
    /// Names with their values, for people; none if there is no grant.
    pub(super) rows: Vec<(&'static str, String)>,
    /// The same for programs.
    pub(super) line: Map<String, Value>,
}

impl LoggedIn {
    /// Adds a member for programs.
    fn says(&mut self, name: &str, value: Value) {
        self.line.insert(name.to_owned(), value);
    }
}

/// Logs in, and looks at what came of it.
pub(super) async fn run(
    url: &str,
    examined: &mut Examined,
    given: &Options,
    how: How,
    say: &Say,
) -> Result<LoggedIn, Fault> {
    examined.watched.acts();
    let store: Option<Arc<dyn Store>> = match how.forget {
        // Nothing of it is kept, and nothing that is kept is touched.
        true => None,
        false => Some(server::store(&examined.options)?),
    };
    for _ in 0..MOST_LOGINS {
        if let Some(why_not) = disagreed(given, &examined.options, url, how, say)? {
            say.aside(&why_not, &json!({"event": "not_logged_in", "text": why_not}));
            break;
        }
        examined.log.begin();
        let config = examined.options.config(url, |name| env::var(name).ok())?.login_anew(true);
        let runtime = Tokio::new(Handle::current());
        let manager =
            Examination::manager(&examined.watched, &examined.log, runtime, config, store.clone())?;
        match log_in(&manager, examined, say).await? {
            Ok(granted) => {
                examined.outcome = Outcome::Asks;
                return look(url, (&manager, &granted), examined, how, say).await;
            }
            Err(failure) => {
                examined.findings.push(Finding::failed(&failure));
                let turned = turn_on(&mut examined.options, failure.openings(), None);
                examined.outcome = Outcome::Fails(failure);
                let Turned::On(switch, of) = turned else { break };
                examined.findings.push(Finding::let_off(switch, &of));
                examined.turned = true;
            }
        }
    }
    examined.snippet = snippet(url, &examined.options, &examined.outcome)?;
    examined.findings = sorted(std::mem::take(&mut examined.findings));
    Ok(LoggedIn::default())
}

/// One login.
async fn log_in(
    manager: &through::Manager<Watched>,
    examined: &Examined,
    say: &Say,
) -> Result<Result<Arc<Granted>, Arc<Failure>>, Fault> {
    let person = say.to(server::somebody(&examined.options, say));
    // A callback that is not the issuer's may be followed by a better one, for which a login waits. Here
    // it is what there is to find out.
    let ended = tokio::select! {
        ended = manager.log_in(&person) => ended,
        failure = examined.log.distrusted() => return Ok(Err(failure)),
    };
    manager.session().quiet().await;
    match ended {
        Ok(granted) => Ok(Ok(granted)),
        Err(error) => match error.failure() {
            Some(failure) if failure.kind() == Kind::BrowserRefused => Err(failure.into()),
            Some(failure) => Ok(Err(failure)),
            None => Err(error.into()),
        },
    }
}

/// Looks at the grant and at the MCP server, and gives the grant back if it is not to be kept.
async fn look(
    url: &str,
    (manager, granted): (&through::Manager<Watched>, &Arc<Granted>),
    examined: &mut Examined,
    how: How,
    say: &Say,
) -> Result<LoggedIn, Fault> {
    let mut found = of_grant(granted, examined);
    examined.findings.extend(of_tokens(granted, &found));
    let notes = examined.log.notes();
    examined.findings.extend(notes.iter().filter_map(Finding::noted));
    say.busy("connecting");
    connect(manager, &mut found, examined).await;
    if how.refresh {
        let failed = refresh(manager, granted).await?;
        found.says("refreshed", json!(failed.is_none()));
        let words = failed.as_ref().map_or("works", |failure| failure.sentence());
        found.rows.push(("refresh", words.to_owned()));
        if let Some(failure) = failed {
            examined.findings.push(Finding::failed(&failure));
            examined.outcome = Outcome::Fails(failure);
        }
    }
    let kept = match how.forget {
        true => match manager.forget().await?.revoked {
            Revoked::Done => "given back: the server has revoked the tokens",
            Revoked::NotOffered => "forgotten; the server takes no tokens back",
            Revoked::Nothing => "forgotten",
            Revoked::Failed(_) => "forgotten; the server has not revoked every token",
        },
        false if granted.unsaved() => "not kept: the store has not taken it",
        false => "kept",
    };
    found.rows.push(("grant", kept.to_owned()));
    manager.session().quiet().await;
    say.idle();
    examined.snippet = snippet(url, &examined.options, &examined.outcome)?;
    examined.findings = sorted(std::mem::take(&mut examined.findings));
    Ok(found)
}

/// Connects with the token, and lists the tools.
async fn connect(
    manager: &through::Manager<Watched>,
    found: &mut LoggedIn,
    examined: &mut Examined,
) {
    let transport = match manager.connect(settings(&examined.options)).await {
        Ok(transport) => transport,
        Err(error) => return fails(examined, &error),
    };
    let (kind, version) = (transport.kind(), transport.protocol_version());
    found.says("transport", json!(self::transport(kind)));
    found.says("protocol_version", json!(version));
    found.rows.push(("wire", wire(kind, &version)));
    match transport.list_tools().await {
        Ok(tools) => {
            found.rows.push(("tools", tools.len().to_string()));
            found.says("tools", json!(tools.len()));
        }
        // A server without tools may say so.
        Err(TransportError::Rpc(error)) => {
            found
                .rows
                .push(("tools", format!("error {}: {}", error.code, escaped(&error.message))));
        }
        Err(error) => fails(examined, &error),
    }
    let _or_later = transport.close().await;
}

/// The token was of no use.
fn fails(examined: &mut Examined, error: &TransportError) {
    let failure = match error {
        TransportError::Authorization(failure) => {
            examined.findings.push(Finding::failed(failure));
            Arc::clone(failure)
        }
        error => {
            examined.findings.push(mcp(error.code(), &error.to_string()));
            Arc::new(Failure::new(Kind::ServerError, "TRANS-27"))
        }
    };
    examined.outcome = Outcome::Fails(failure);
}

/// A finding about the MCP server behind the login.
fn mcp(code: &'static str, text: &str) -> Finding {
    let mut finding = Finding::new(Severity::Broken, "TRANS-27", text);
    finding.code = Some(code);
    finding
}

/// What the token answer left out.
fn of_tokens(granted: &Granted, found: &LoggedIn) -> Vec<Finding> {
    let mut findings = Vec::new();
    let at = "the token answer";
    if granted.life() == Life::Unknown {
        let text =
            "the end of the token is not named, or not readable: it is used until it is refused";
        findings.push(Finding::new(Severity::Weak, "HOST-205", text).at(at));
    }
    if found.line.get("refresh_token") == Some(&json!(false)) {
        let text = "there is no refresh token: people log in again at the end of each token";
        findings.push(Finding::new(Severity::Weak, "REF-11", text).at(at));
    }
    findings
}

/// What the token answer brought. No token is in it.
fn of_grant(granted: &Granted, examined: &Examined) -> LoggedIn {
    let scopes = granted.scopes().map(ScopeSet::as_str).unwrap_or_default();
    let expires = match granted.life() {
        Life::Until { wall, .. } => wall.map(|wall| seconds_left(wall.unix())),
        Life::Unknown => None,
    };
    let asked = examined.log.asked();
    let answer = asked.iter().rev().find(|it| it.purpose == Some(Purpose::CodeExchange));
    let refresh = answer.and_then(Asked::answered).is_some_and(|it| it.renewable);
    let wanted = Facts::read(&examined.log, &examined.options)
        .authorization
        .and_then(|it| it.scopes)
        .unwrap_or_default();
    let named = |scopes: &str| if scopes.is_empty() { "none".to_owned() } else { escaped(scopes) };
    let life = match expires {
        Some(seconds) => format!("good for {seconds} s"),
        None => "the server names no end of it".to_owned(),
    };
    LoggedIn {
        rows: vec![
            ("issuer", escaped(granted.issuer())),
            ("token", format!("Bearer; {life}")),
            ("scopes", format!("{} granted, {} asked", named(scopes), named(&wanted))),
            ("refresh token", if refresh { "yes" } else { "none: people log in again" }.to_owned()),
        ],
        line: [
            ("event", json!("login")),
            ("issuer", json!(granted.issuer())),
            ("token_type", json!("Bearer")),
            ("expires_in", json!(expires)),
            ("scopes_granted", json!(granted.scopes().map(ScopeSet::as_str))),
            ("scopes_asked", json!(wanted)),
            ("refresh_token", json!(refresh)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect(),
    }
}

/// Renews the token once, as after a refusal; the failure if that did not work.
async fn refresh(
    manager: &through::Manager<Watched>,
    granted: &Granted,
) -> Result<Option<Arc<Failure>>, Fault> {
    let refusal = Refusal {
        epoch: Some(granted.epoch()),
        status: http::StatusCode::UNAUTHORIZED,
        headers: http::HeaderMap::new(),
        operation: "doctor".to_owned(),
        accepted: None,
        had: Had::default(),
        may_ask: false,
    };
    let settlement = manager.session().challenge(refusal).await?;
    Ok(settlement.outcome.err())
}

/// Asks the person whether to go on with options that they have not given: a server that needs them
/// could also have made them needed. Returns why not.
fn disagreed(
    given: &Options,
    found: &Options,
    url: &str,
    how: How,
    say: &Say,
) -> Result<Option<String>, Fault> {
    if how.yes || given == found {
        return Ok(None);
    }
    let words = Snippet::new(url, found, false)?.words();
    say.idle();
    let asks = !say.is_json() && io::stdin().is_terminal() && io::stderr().is_terminal();
    if asks && goes_on(&words) {
        return Ok(None);
    }
    Ok(Some(format!(
        "not logged in: the options that a login needs are yours to allow, by --yes or by: \
         mcp-authz doctor {words} --login"
    )))
}

/// Asks, and returns true if the answer is yes.
fn goes_on(words: &str) -> bool {
    let mut err = anstream::stderr().lock();
    let _nobody_reads = write!(
        err,
        "This login needs options that weaken a check:\n  {words}\nGo on with them? [y/N] "
    );
    let _nobody_reads = err.flush();
    drop(err);
    let mut line = String::new();
    io::stdin().read_line(&mut line).is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
}
