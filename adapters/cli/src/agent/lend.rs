//! A header for one request, and nothing that could make another token.

use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode, Uri};
use mcp_authz_core::failure::{Failure, Kind};
use mcp_authz_tokio::{Authorized, Granted, Seen};
use serde_json::{Map, Value, json};

use super::keeper::Agent;
use super::protocol::{Header, login_required, malformed};
use crate::fault::Fault;
use crate::server::{Server, expiry};

/// The request that a header is for.
pub(crate) struct Wanted {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    /// The mark of a token that the server has refused.
    pub(crate) refused: Option<String>,
}

impl Wanted {
    /// Reads it, as a peer names it.
    pub(crate) fn of(header: &Header) -> Result<Self, Fault> {
        let method = header.method.parse();
        let method = method.map_err(|_| malformed("the method is no method of HTTP"))?;
        let uri = header.url.parse::<Uri>();
        let uri = uri.ok().filter(|uri| uri.scheme().is_some());
        let uri = uri.ok_or_else(|| malformed("the url is no absolute URL"))?;
        Ok(Self { method, uri, refused: header.refused.clone() })
    }
}

/// The grant of a server that can be used now, renewed if need be. Nobody is asked.
pub(crate) async fn grant(server: &Server) -> Result<Arc<Granted>, Fault> {
    let granted = server.grant(&server.options.scopes()?).await;
    granted.map_err(|fault| or_login(fault, server))
}

/// The headers, if the URL is in the token area of the server.
pub(crate) async fn header(
    server: &Server,
    wanted: &Wanted,
    agent: &Agent,
) -> Result<Value, Fault> {
    // Without it, the library would let the request go without a token.
    let _there_is_one = grant(server).await?;
    let session = server.manager.session();
    let sent = session.authorize(&wanted.method, &wanted.uri).await?.may_ask(false);
    let held = sent.granted().map(|granted| agent.mark(granted));
    let sent = match held.is_some() && held == wanted.refused {
        true => renewed(server, sent, agent).await?,
        false => sent,
    };
    let Some(granted) = sent.granted() else { return Err(login_required(&server.url)) };
    let mut headers = Map::new();
    for (name, value) in sent.headers() {
        let value = value.to_str().map_err(|_| malformed("the token cannot be a header"))?;
        headers.insert(name.as_str().to_owned(), Value::from(value));
    }
    Ok(json!({
        "headers": headers,
        "mark": agent.mark(granted),
        "expires": expiry(granted),
        "scope": granted.scopes().map(|scopes| scopes.as_str()),
    }))
}

/// The same request after the server has answered it with 401.
async fn renewed(server: &Server, sent: Authorized, agent: &Agent) -> Result<Authorized, Fault> {
    agent.may_renew(server)?;
    let session = server.manager.session();
    match session.seen(&sent, StatusCode::UNAUTHORIZED, &HeaderMap::new()).await {
        Ok(Seen::Again(anew)) => Ok(anew),
        Ok(Seen::Final) => Err(login_required(&server.url)),
        Err(error) => Err(or_login(error.into(), server)),
    }
}

/// The fault, in other words if a login would mend it.
pub(crate) fn or_login(fault: Fault, server: &Server) -> Fault {
    if fault.mended_by_login() { login_required(&server.url) } else { fault }
}

/// The fault of a URL that may not see a token.
pub(crate) fn outside() -> Fault {
    Arc::new(Failure::new(Kind::OriginMismatch, "USE-07")).into()
}
