//! The requests of the owner's socket.

use std::sync::Arc;

use serde_json::{Value, json};

use super::door::Visit;
use super::keeper::{Agent, Resolved};
use super::lend::{self, Wanted};
use super::protocol::{Call, Command, Header, Request, Target, malformed};
use super::restricted;
use crate::fault::Fault;
use crate::options::Options;
use crate::relay::Relay;
use crate::say::Say;
use crate::server::Server;

/// Performs a request.
pub(crate) async fn perform(
    request: Request,
    agent: &Arc<Agent>,
    relay: Relay,
    visit: Visit,
) -> Result<Value, Fault> {
    match request {
        Request::Header(header) => lent(&header, agent).await,
        Request::Call(call) => called(call, agent, relay).await,
        Request::Command(command) => commanded(command, agent, relay).await,
        Request::Restrict(restrict) => restricted::listen(restrict, agent, relay, visit).await,
        Request::Stop => {
            agent.stop.notify_one();
            Ok(json!({}))
        }
    }
}

/// Without a target, the URL is that of the MCP server itself.
async fn lent(header: &Header, agent: &Agent) -> Result<Value, Fault> {
    let wanted = Wanted::of(header)?;
    let target = header.of.target.as_deref().unwrap_or(&header.url);
    let (url, options) = agent.resolve(&header.of, target)?;
    let options = with_account(options, header.account.as_ref());
    lend::header(&*agent.server(&url, &options)?, &wanted, agent).await
}

async fn called(call: Call, agent: &Agent, relay: Relay) -> Result<Value, Fault> {
    let (url, options) = agent.resolve(&call.of, target(&call.of)?)?;
    let options = with_account(options, call.account.as_ref());
    // A program's call is not a person's act: no page.
    let options = Options { no_login: true, ..options };
    let server = Server::open(url, options, &Say::through(relay), |config| config)?;
    let result = server.call(&call.tool, call.arguments).await;
    Ok(json!({"result": result.map_err(|fault| lend::or_login(fault, &server))?}))
}

async fn commanded(command: Command, agent: &Agent, relay: Relay) -> Result<Value, Fault> {
    let of = command.of();
    let (url, mut options) = match (&of.target, &command) {
        (None, Command::List { .. } | Command::Logout { .. }) => (String::new(), agent.given(of)),
        _ => agent.resolve(of, target(of)?)?,
    };
    let changes = matches!(command, Command::Login { .. } | Command::Logout { .. });
    options.no_login |= !matches!(command, Command::Login { .. });
    let resolved = Resolved { url, options, file: agent.file(command.of())? };
    let done = (agent.perform)(command, resolved, Say::through(relay)).await;
    if changes {
        agent.look_anew();
    }
    done.map(|()| json!({}))
}

fn target(of: &Target) -> Result<&str, Fault> {
    of.target.as_deref().ok_or_else(|| malformed("the request names no target"))
}

fn with_account(options: Options, account: Option<&String>) -> Options {
    Options { account: account.cloned().or(options.account), ..options }
}
