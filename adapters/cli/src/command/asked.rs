//! The commands as requests to an agent, where the environment names one.

use std::path::Path;

use mcp_authz_core::failure::Remedy;
use serde_json::{Value, json};

use super::agent::asked_of;
use super::call;
use super::status::left;
use crate::agent::client::{self, Connection, named_as};
use crate::agent::protocol::{Call, Command, Header, Request, Target};
use crate::arguments::{self, Cli, Form};
use crate::config_file::ConfigFile;
use crate::fault::Fault;
use crate::options::Options;
use crate::say::Say;
use crate::server::{over_ssh, seconds_left, shown};

/// Has the agent do what the command line asks for; `None` if there is none, or it is not for that.
pub(super) async fn run(cli: &Cli, say: &Say) -> Option<Result<(), Fault>> {
    use arguments::Command::{Call, List, Login, Logout, Status, Token, Tools};
    // What is recorded has to happen in this process.
    let path = client::named().filter(|_| crate::trace::recorder().is_none())?;
    match &cli.command {
        Login(_) | Logout(_) | List(_) | Status(_) | Token(_) | Tools(_) | Call(_) => {
            Some(asked(cli, &path, say).await)
        }
        _ => None,
    }
}

async fn asked(cli: &Cli, path: &Path, say: &Say) -> Result<(), Fault> {
    let mut agent = Connection::open(path).await?;
    match &cli.command {
        arguments::Command::Call(words) => called(&mut agent, words, cli, say).await,
        arguments::Command::Token(token) if agent.is_restricted() => {
            lent(&mut agent, token, cli, say).await
        }
        command => {
            let Some(command) = request(command, cli.config.as_deref())? else { return Ok(()) };
            let message = said(&command)?;
            let deadline = Request::Command(command).deadline();
            agent.ask(message, deadline, |said| say.repeat(said)).await.map(|_| ())
        }
    }
}

/// The command as a request.
fn request(command: &arguments::Command, config: Option<&Path>) -> Result<Option<Command>, Fault> {
    let of = |target: &arguments::Target| {
        asked_of(Some(target.target.clone()), target.options.clone(), config)
    };
    Ok(Some(match command {
        arguments::Command::Login(login) => {
            let mut of = of(&login.server)?;
            of.options.no_browser |= over_ssh();
            Command::Login { of, again: login.again }
        }
        arguments::Command::Logout(logout) => {
            let of = asked_of(logout.target.clone(), logout.options.clone(), config)?;
            Command::Logout { of }
        }
        arguments::Command::List(list) => {
            Command::List { of: asked_of(None, list.options.clone(), config)?, prune: list.prune }
        }
        arguments::Command::Status(target) => Command::Status { of: of(target)? },
        arguments::Command::Tools(target) => Command::Tools { of: of(target)? },
        arguments::Command::Token(token) => {
            let Form { header, headers, min_lifetime } = token.form;
            let min_lifetime = min_lifetime.map(|time| time.as_secs());
            Command::Token { of: of(&token.server)?, header, headers, min_lifetime }
        }
        _ => return Ok(None),
    }))
}

async fn called(
    agent: &mut Connection,
    words: &arguments::Call,
    cli: &Cli,
    say: &Say,
) -> Result<(), Fault> {
    let arguments = call::arguments(&words.arguments)?;
    let (of, account) = server(agent, &words.server, cli, say)?;
    let call = Call { of, account, tool: words.tool.clone(), arguments };
    let mut message = said(&call)?;
    named_as(&mut message, "call");
    let deadline = Request::Call(call).deadline();
    let answer = agent.ask(message, deadline, |said| say.repeat(said)).await;
    say.idle();
    call::show(answer?.get("result").unwrap_or(&Value::Null), say)
}

/// A token of a restricted socket, which lends headers alone.
async fn lent(
    agent: &mut Connection,
    token: &arguments::Token,
    cli: &Cli,
    say: &Say,
) -> Result<(), Fault> {
    let (of, account) = server(agent, &token.server, cli, say)?;
    let url = of.target.clone().unwrap_or_default();
    let header = Header { of, method: "GET".to_owned(), url: url.clone(), account, refused: None };
    let lent = agent.header(&header).await?;
    let value = lent.headers.iter().find(|(name, _)| name == "authorization");
    let value = value.map(|(_, value)| value.as_str()).unwrap_or_default();
    let Some(bearer) = value.strip_prefix("Bearer ") else {
        let text = "the agent lends no bearer token";
        return Err(Fault::new("agent_unreachable", text, Remedy::Report));
    };
    let line = json!({
        "event": "token",
        "server": shown(&url),
        "token": bearer,
        "expires": lent.expires,
        "scope": lent.scope,
    });
    if let (Some(least), Some(until)) = (token.form.min_lifetime, lent.expires)
        && seconds_left(until) < least.as_secs()
    {
        let rest = left(until);
        let text =
            format!("this token is good for {rest} only: a restricted socket renews none ahead");
        say.aside(&text, &json!({"event": "short_lived"}));
    }
    say.result(token.form.line(bearer), &line);
    Ok(())
}

/// The server for this socket. A restricted one knows no names and takes no options but the account.
fn server(
    agent: &Connection,
    target: &arguments::Target,
    cli: &Cli,
    say: &Say,
) -> Result<(Target, Option<String>), Fault> {
    let config = cli.config.as_deref();
    if !agent.is_restricted() {
        let of = asked_of(Some(target.target.clone()), target.options.clone(), config)?;
        return Ok((of, None));
    }
    let given = Options { account: None, ..target.options.clone() };
    if said(&given)? != said(&Options::default())? {
        let text = "whoever made this socket decided about the options: these are left out";
        say.aside(text, &json!({"event": "options_left_out"}));
    }
    let file = ConfigFile::read(config)?;
    let (url, options) = file.resolve(&target.target, target.options.clone())?;
    Ok((Target { target: Some(url), ..Target::default() }, options.account))
}

fn said(request: &impl serde::Serialize) -> Result<Value, Fault> {
    serde_json::to_value(request).map_err(|error| client::unsaid(&error))
}
