//! The way to send of a login that is taken over: the server is asked for what it publishes, and the
//! two answers that would make a client and a grant come from the other program's files.

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode, Uri};
use mcp_authz_core::effect::{Limits, Reply, Why};
use mcp_authz_tokio::driver::ports::{AsyncHttp, Opened, Unanswered};
use mcp_authz_tokio::{TokioBody, TokioHttp};
use serde_json::{Value, json};

use super::Found;
use crate::server::seconds_left;

/// Sends what only asks, and answers the rest itself.
#[derive(Clone)]
pub(super) struct Lent {
    http: TokioHttp,
    url: Arc<str>,
    found: Arc<Found>,
    moves: bool,
}

impl Lent {
    /// Answers with what was found; the refresh token is among it if it moves.
    pub(super) fn new(http: TokioHttp, url: &str, found: Found, moves: bool) -> Self {
        Self { http, url: url.into(), found: Arc::new(found), moves }
    }

    /// The answer to a registration: the client that is registered already.
    fn client(&self, asked: &Value) -> Value {
        let mut client = asked.clone();
        if let Some(members) = client.as_object_mut() {
            members.insert("client_id".to_owned(), json!(self.found.client_id));
            if let Some(secret) = &self.found.client_secret {
                members.insert("client_secret".to_owned(), json!(secret.expose()));
                members.insert("client_secret_expires_at".to_owned(), json!(0));
            }
            if let Some(method) = &self.found.auth_method {
                members.insert("token_endpoint_auth_method".to_owned(), json!(method));
            }
        }
        client
    }

    /// The answer to the code: the tokens that were found.
    fn tokens(&self) -> Value {
        let found = &self.found;
        let mut tokens = json!({
            "access_token": found.access_token.as_ref().map(|token| token.expose()),
            "token_type": "Bearer",
        });
        if let Some(members) = tokens.as_object_mut() {
            if let Some(until) = found.expires {
                members.insert("expires_in".to_owned(), json!(seconds_left(until)));
            }
            if let Some(scope) = &found.scope {
                members.insert("scope".to_owned(), json!(scope));
            }
            if let Some(token) = found.refresh_token.as_ref().filter(|_| self.moves) {
                members.insert("refresh_token".to_owned(), json!(token.expose()));
            }
        }
        tokens
    }
}

/// Returns true if the request is the exchange of a code.
fn is_exchange(body: &[u8]) -> bool {
    let mut pairs = url::form_urlencoded::parse(body);
    pairs.any(|(name, value)| name == "grant_type" && value == "authorization_code")
}

fn answer(status: StatusCode, body: &Value) -> Reply {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    match answer.body(body.to_string().into_bytes()) {
        Ok(answer) => Reply::Answered(answer),
        Err(_) => Reply::NotSent(Why::Abandoned),
    }
}

impl AsyncHttp for Lent {
    type Body = TokioBody;

    async fn send(&self, request: Request<Vec<u8>>, limits: &Limits) -> Reply {
        if request.method() == Method::GET || *request.uri() == *self.url {
            return self.http.send(request, limits).await;
        }
        if is_exchange(request.body()) {
            return answer(StatusCode::OK, &self.tokens());
        }
        match serde_json::from_slice::<Value>(request.body()) {
            Ok(asked) if asked.get("redirect_uris").is_some() => {
                answer(StatusCode::CREATED, &self.client(&asked))
            }
            // Nothing else leaves: no token may be renewed or revoked on the way.
            _ => Reply::NotSent(Why::Abandoned),
        }
    }

    fn proxy(&self, uri: &Uri) -> Option<Arc<str>> {
        self.http.proxy(uri)
    }

    async fn open(&self, _: Request<Vec<u8>>, _: &Limits) -> Opened<TokioBody> {
        Err(Unanswered { why: Why::Abandoned, sent: false })
    }
}
