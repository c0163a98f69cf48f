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
use mcp_authz_tokio::{Granted, Store, Tokio};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::examine::{Examination, Examined, Outcome, settings};
use super::facts::{Facts, transport, wire};
use super::finding::{Finding, Severity, sorted};
use super::log::Asked;
use super::port::Manager;
use super::snippet::{Snippet, Turned, turn_on};
use crate::command::status::{left, seconds_left};
use crate::fault::Fault;
use crate::options::Options;
use crate::say::Say;
use crate::server;

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
    pub(super) line: Value,
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
        agreed(given, &examined.options, url, how, say)?;
        examined.log.begin();
        let config = examined.options.config(url, |name| env::var(name).ok())?.login_anew(true);
        let runtime = Tokio::new(Handle::current());
        let manager =
            Examination::manager(&examined.watched, &examined.log, runtime, config, store.clone())?;
        match log_in(&manager, examined, say).await? {
            Ok(granted) => {
                examined.outcome = Outcome::Asks;
                return look(&manager, &granted, examined, how, say).await;
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
    examined.snippet = Snippet::new(url, &examined.options, false)?;
    examined.findings = sorted(std::mem::take(&mut examined.findings));
    Ok(LoggedIn::default())
}

/// One login.
async fn log_in(
    manager: &Manager,
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
    manager: &Manager,
    granted: &Arc<Granted>,
    examined: &mut Examined,
    how: How,
    say: &Say,
) -> Result<LoggedIn, Fault> {
    let mut found = of_grant(granted, examined);
    examined.findings.extend(of_tokens(granted, &found));
    let notes = examined.log.notes();
    examined.findings.extend(notes.iter().filter_map(Finding::noted));
    say.busy("connecting");
    match manager.connect(settings(&examined.options)).await {
        Ok(transport) => {
            let (kind, version) = (transport.kind(), transport.protocol_version());
            found.line["transport"] = json!(self::transport(kind));
            found.line["protocol_version"] = json!(version);
            found.rows.push(("wire", wire(kind, &version)));
            match transport.list_tools().await {
                Ok(tools) => {
                    found.rows.push(("tools", tools.len().to_string()));
                    found.line["tools"] = json!(tools.len());
                }
                Err(error) => examined.findings.push(mcp(error.code(), &error.to_string())),
            }
            let _or_later = transport.close().await;
        }
        Err(error) => {
            examined.findings.push(mcp(error.code(), &error.to_string()));
            if let Some(failure) = error.failure() {
                examined.outcome = Outcome::Fails(failure);
            }
        }
    }
    if how.refresh {
        let text = refresh(manager, granted).await?;
        found.line["refreshed"] = json!(text.is_none());
        match text {
            None => found.rows.push(("refresh", "works".to_owned())),
            Some(failure) => {
                found.rows.push(("refresh", failure.sentence().to_owned()));
                examined.findings.push(Finding::failed(&failure));
                examined.outcome = Outcome::Fails(failure);
            }
        }
    }
    if how.forget {
        let forgotten = manager.forget().await?;
        let text = match forgotten.revoked {
            Revoked::Done => "given back: the server has revoked the tokens",
            Revoked::NotOffered => "forgotten; the server takes no tokens back",
            Revoked::Nothing => "forgotten",
            Revoked::Failed(_) => "forgotten; the server has not revoked every token",
        };
        found.rows.push(("grant", text.to_owned()));
    } else {
        let kept = if granted.unsaved() { "not kept: the store has not taken it" } else { "kept" };
        found.rows.push(("grant", kept.to_owned()));
    }
    manager.session().quiet().await;
    say.idle();
    let passed = examined.outcome.passes();
    examined.snippet = Snippet::new(manager.session().mcp_url(), &examined.options, passed)?;
    examined.findings = sorted(std::mem::take(&mut examined.findings));
    Ok(found)
}

/// A finding about the MCP server behind the login.
fn mcp(code: &'static str, text: &str) -> Finding {
    let mut finding = Finding::new(Severity::Broken, "TRANS-27", &escaped(text));
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
    if found.line["refresh_token"] == json!(false) {
        let text = "there is no refresh token: people log in again at the end of each token";
        findings.push(Finding::new(Severity::Weak, "REF-11", text).at(at));
    }
    findings
}

/// What the token answer brought. No token is in it.
fn of_grant(granted: &Granted, examined: &Examined) -> LoggedIn {
    let scopes = granted.scopes().map(ScopeSet::as_str).unwrap_or_default();
    let expires = match granted.life() {
        Life::Until { wall, .. } => wall.map(|wall| wall.unix()),
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
        Some(expires) => format!("good for {}", left(expires)),
        None => "the server names no end of it".to_owned(),
    };
    LoggedIn {
        rows: vec![
            ("issuer", escaped(granted.issuer())),
            ("token", format!("Bearer; {life}")),
            ("scopes", format!("{} granted, {} asked", named(scopes), named(&wanted))),
            ("refresh token", if refresh { "yes" } else { "none: people log in again" }.to_owned()),
        ],
        line: json!({
            "event": "login",
            "issuer": granted.issuer(),
            "token_type": "Bearer",
            "expires_in": expires.map(seconds_left),
            "scopes_granted": granted.scopes().map(ScopeSet::as_str),
            "scopes_asked": wanted,
            "refresh_token": refresh,
        }),
    }
}

/// Renews the token once, as after a refusal; the failure if that did not work.
async fn refresh(manager: &Manager, granted: &Granted) -> Result<Option<Arc<Failure>>, Fault> {
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
/// could also have made them needed.
fn agreed(given: &Options, found: &Options, url: &str, how: How, say: &Say) -> Result<(), Fault> {
    if how.yes || given == found {
        return Ok(());
    }
    let words = Snippet::new(url, found, false)?.words();
    let again = format!("mcp-authz doctor {words} --login");
    if say.is_json() || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Fault::usage(&format!(
            "a login needs options that are yours to allow; look at the findings, then add --yes or \
             run: {again}"
        )));
    }
    say.idle();
    let mut err = anstream::stderr().lock();
    let _nobody_reads = write!(
        err,
        "This login needs options that weaken a check:\n  {words}\nGo on with them? [y/N] "
    );
    let _nobody_reads = err.flush();
    drop(err);
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    if read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Fault::usage(&format!("not agreed; with these options it is: {again}")))
}
