//! Restricted sockets: a header or a call, for the servers that were named when it was made.

use std::sync::Arc;

use mcp_authz_core::failure::Remedy;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use url::Url;

use super::door::{self, Visit};
use super::keeper::{Agent, ending};
use super::lend::{self, Wanted, outside};
use super::place::{self, Bound, Use};
use super::protocol::{CALLS, Call, Header, Request, Restrict, Target, malformed};
use super::rights::{Allowance, Door, Rights};
use crate::fault::Fault;
use crate::options::Options;
use crate::relay::{Relay, Said};
use crate::server::{self, shown};

/// Makes a restricted socket that is not served yet.
pub(crate) fn make(restrict: &Restrict, agent: &Agent) -> Result<(Bound, Door), Fault> {
    let mut servers = Vec::new();
    for allowed in &restrict.allow {
        let (url, options) = agent.resolve(&restrict.of, &allowed.target)?;
        let account = allowed.account.clone().or(options.account);
        let options = Options { account, no_login: true, ..options };
        let _well_formed = server::checked(&url, &options)?;
        let url = Url::parse(&url).map_err(|error| Fault::usage(&format!("{url}: {error}")))?;
        let twice = |(at, other): &(Url, Options)| *at == url && other.account == options.account;
        if !servers.iter().any(twice) {
            servers.push((url, options));
        }
    }
    if servers.is_empty() {
        return Err(malformed("a restricted socket is for one server at least"));
    }
    let bound = place::bind(&restrict.socket, Use::Restricted)?;
    let (no_headers, calls) = (restrict.no_headers, Semaphore::new(CALLS));
    let rights = Rights::Restricted(Allowance { servers, no_headers, calls });
    Ok((bound, Door { name: restrict.socket.display().to_string(), rights }))
}

/// Makes one and serves it for as long as its request lasts.
pub(crate) async fn listen(
    restrict: Restrict,
    agent: &Arc<Agent>,
    relay: Relay,
    visit: Visit,
) -> Result<Value, Fault> {
    let (bound, door) = make(&restrict, agent)?;
    relay.say(Said::Listening { socket: bound.path().display().to_string() });
    let kept = door::keep(bound, door, Arc::clone(agent), visit).await;
    kept.map_err(|error| Fault::new("socket_place", &error.to_string(), Remedy::Configure))?;
    Err(ending())
}

/// Performs a request of a restricted socket.
pub(crate) async fn perform(
    request: Request,
    allowance: &Allowance,
    agent: &Agent,
) -> Result<Value, Fault> {
    match request {
        Request::Header(header) => lent(&header, allowance, agent).await,
        Request::Call(call) => called(call, allowance, agent).await,
        // The door has turned it away before it was read.
        _ => Err(malformed("a restricted socket has no such request")),
    }
}

/// The server is the one in whose token area the URL is. Two of them: the peer has to say which.
async fn lent(header: &Header, allowance: &Allowance, agent: &Agent) -> Result<Value, Fault> {
    let wanted = Wanted::of(header)?;
    let origin = Url::parse(&header.url).map_err(|_| malformed("the url is no URL"))?.origin();
    let target = named(&header.of)?;
    let mut fitting = Vec::new();
    let mut unusable = None;
    for (url, options) in allowance.named(target.as_ref(), header.account.as_deref()) {
        if url.origin() != origin {
            continue;
        }
        let server = agent.server(url.as_str(), options)?;
        match lend::grant(&server).await {
            Ok(granted) if granted.covers(&wanted.uri) => fitting.push(server),
            Ok(_) => {}
            Err(fault) => unusable = unusable.or(Some(fault)),
        }
    }
    match (fitting.as_slice(), unusable) {
        ([server], _) => lend::header(server, &wanted, agent).await,
        ([], Some(fault)) => Err(fault),
        ([], None) => Err(outside()),
        _ => Err(ambiguous()),
    }
}

async fn called(call: Call, allowance: &Allowance, agent: &Agent) -> Result<Value, Fault> {
    let target = named(&call.of)?;
    let mut fitting = allowance.named(target.as_ref(), call.account.as_deref());
    let (url, options) = match (fitting.next(), fitting.next()) {
        (Some(server), None) => server,
        (None, _) => return Err(not_for(target.as_ref())),
        _ => return Err(ambiguous()),
    };
    let Ok(_turn) = allowance.calls.try_acquire() else { return Err(too_many()) };
    let server = agent.server(url.as_str(), options)?;
    let result = server.call(&call.tool, call.arguments).await;
    Ok(json!({"result": result.map_err(|fault| lend::or_login(fault, &server))?}))
}

fn named(of: &Target) -> Result<Option<Url>, Fault> {
    let url = of.target.as_deref().map(Url::parse).transpose();
    url.map_err(|_| malformed("the target is no URL: a restricted socket knows no names"))
}

fn ambiguous() -> Fault {
    let text = "several servers or accounts of this socket fit";
    Fault::new("ambiguous", text, Remedy::Configure)
        .advised(["name the target, and the account if there are several"])
}

fn not_for(target: Option<&Url>) -> Fault {
    let target = target.map_or_else(String::new, |url| shown(url.as_str()));
    let text = format!("this socket is not for {target} or not for this account");
    Fault::new("not_allowed", &text, Remedy::Configure)
        .advised(["make a socket that allows it: mcp-authz agent --allow URL --socket PATH"])
}

fn too_many() -> Fault {
    let text = format!("a restricted socket has at most {CALLS} calls out at once");
    Fault::new("busy", &text, Remedy::Retry { after: None })
}
