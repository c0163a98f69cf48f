//! The authorization endpoint and the consent page.
//!
//! An error of the client or its redirect URI is told to the person, never by redirect: a redirect
//! would make the server an open redirector (RFC 6749 section 4.1.2.1). Everything else goes back
//! to the client.

use http::header::{ALLOW, SET_COOKIE};
use http::{Method, StatusCode};
use url::form_urlencoded;

use super::Model;
use super::answer::Answer;
use super::client::Client;
use super::grant::{Code, Family};
use super::params::{Call, words};
use super::server::{Consent, IssMode, ResourceRule, Server, StateEcho};
use super::settings::StepUp;
use super::tokens::ScopeEcho;

const COOKIE: &str = "login";

/// An authorization request found good, waiting for the person.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    server: usize,
    client: String,
    redirect_uri: String,
    state: Option<String>,
    scopes: Vec<String>,
    resource: Option<String>,
    challenge: String,
    ticket: String,
}

type Refused = (&'static str, &'static str);

impl Model {
    pub(crate) fn authorize(&mut self, call: &Call<'_>, index: usize) -> Answer {
        let params = match *call.method {
            Method::GET => &call.query,
            Method::POST if call.is_form() => &call.form,
            _ => return Answer::empty(StatusCode::METHOD_NOT_ALLOWED).header(ALLOW, "GET, POST"),
        };
        let server = self.server(index);
        let one = |name: &str| match params.all(name).as_slice() {
            [value] => Some((*value).to_owned()),
            _ => None,
        };
        let client = one("client_id").and_then(|id| self.client(call, index, &server, &id));
        let Some(client) = client else {
            return told("invalid_client", "no client of that identifier is registered");
        };
        let redirect_uri = one("redirect_uri");
        let exact = server.exact_redirects;
        let Some(redirect_uri) = redirect_uri.filter(|uri| client.redirects_to(uri, exact)) else {
            return told("invalid_request", "the redirect URI is missing or not registered");
        };
        let state = params.get("state").map(str::to_owned);
        let pending = match self.judge(&server, index, &client, params) {
            Ok(judged) => Pending { redirect_uri, state, ..judged },
            Err((code, description)) => {
                return refused(&server, &redirect_uri, state.as_deref(), code, description);
            }
        };
        match &server.consent {
            Consent::Auto => self.approve(call, &server, pending, StatusCode::FOUND),
            Consent::Deny => refused(
                &server,
                &pending.redirect_uri,
                pending.state.as_deref(),
                "access_denied",
                "the person declined",
            ),
            Consent::Error(code) => refused(
                &server,
                &pending.redirect_uri,
                pending.state.as_deref(),
                code,
                "refused by the server",
            ),
            Consent::Ignore => {
                Answer::html(StatusCode::OK, "Sign in", "<p>Nobody is here to agree.</p>")
            }
            Consent::Form => self.ask(&server, pending),
        }
    }

    /// Everything that is told to the client by redirect.
    fn judge(
        &self,
        server: &Server,
        index: usize,
        client: &Client,
        params: &super::params::Params,
    ) -> Result<Pending, Refused> {
        if params.repeated().is_some() {
            return Err(("invalid_request", "a parameter occurs twice"));
        }
        match params.get("response_type") {
            Some("code") => {}
            Some(_) => return Err(("unsupported_response_type", "only response_type=code")),
            None => return Err(("invalid_request", "response_type is missing")),
        }
        if !client.may("authorization_code") {
            return Err(("unauthorized_client", "the client did not register authorization_code"));
        }
        if server.require_state && params.get("state").is_none_or(str::is_empty) {
            return Err(("invalid_request", "state is missing"));
        }
        let challenge =
            params.get("code_challenge").ok_or(("invalid_request", "code_challenge is missing"))?;
        if params.get("code_challenge_method") != Some("S256") {
            return Err(("invalid_request", "code_challenge_method is not S256"));
        }
        if challenge.len() != 43 || !challenge.bytes().all(is_base64url) {
            return Err(("invalid_request", "code_challenge is not a SHA-256 in base64url"));
        }
        let resource = self.judge_resource(server, params.get("resource"))?;
        let scopes = self.judge_scopes(server, params.get("scope"))?;
        Ok(Pending {
            server: index,
            client: client.id.clone(),
            redirect_uri: String::new(),
            state: None,
            scopes,
            resource,
            challenge: challenge.to_owned(),
            ticket: String::new(),
        })
    }

    pub(crate) fn judge_resource(
        &self,
        server: &Server,
        asked: Option<&str>,
    ) -> Result<Option<String>, Refused> {
        match (server.resource, asked) {
            (ResourceRule::Ignored, _)
            | (
                ResourceRule::Optional | ResourceRule::Refused | ResourceRule::RefusedByEntra,
                None,
            ) => Ok(None),
            (ResourceRule::Required, None) => Err(("invalid_target", "resource is missing")),
            (ResourceRule::Refused, Some(_)) => {
                Err(("invalid_target", "resource is not supported"))
            }
            (ResourceRule::RefusedByEntra, Some(_)) => Err((
                "invalid_request",
                "AADSTS9010010: The resource parameter provided in the request doesn't match with the requested scopes.",
            )),
            (ResourceRule::Required | ResourceRule::Optional, Some(asked)) => {
                if asked == self.settings.resource() {
                    Ok(Some(asked.to_owned()))
                } else {
                    Err(("invalid_target", "no such resource"))
                }
            }
        }
    }

    fn judge_scopes(&self, server: &Server, asked: Option<&str>) -> Result<Vec<String>, Refused> {
        let Some(asked) = asked else {
            return Ok(server.default_scopes.clone());
        };
        let asked = words(asked);
        let endless = self.settings.gate.step_up == StepUp::Endless;
        let known = |scope: &String| match &server.grantable {
            Some(grantable) => grantable.contains(scope) || endless,
            // A server that does not list offline_access does not know it (SEP-2207).
            None => scope != "offline_access" || server.scopes_supported.contains(scope),
        };
        if asked.iter().all(known) {
            Ok(asked)
        } else {
            Err(("invalid_scope", "a scope is unknown"))
        }
    }

    /// The person agrees.
    fn approve(
        &mut self,
        call: &Call<'_>,
        server: &Server,
        pending: Pending,
        status: StatusCode,
    ) -> Answer {
        let mut scopes = pending.scopes;
        match &server.tokens.scope {
            ScopeEcho::Narrower => {
                scopes.pop();
            }
            ScopeEcho::Wider(more) => scopes.push(more.clone()),
            _ => {}
        }
        let family = self.grants.begin(Family {
            server: pending.server,
            client: pending.client,
            scopes,
            resource: pending.resource,
            revoked: false,
        });
        let code = format!("code-{}", self.fresh("code"));
        let record = Code {
            family,
            redirect_uri: pending.redirect_uri.clone(),
            challenge: pending.challenge,
            ends: call.now.saturating_add(server.code_life_ms),
            used: false,
        };
        self.grants.codes.insert(code.clone(), record);
        let params = vec![("code".to_owned(), code)];
        back(server, &pending.redirect_uri, pending.state.as_deref(), params, status)
    }

    /// Shows the consent page.
    fn ask(&mut self, server: &Server, mut pending: Pending) -> Answer {
        let cookie = self.fresh("cookie");
        pending.ticket = self.fresh("ticket");
        let content = format!(
            concat!(
                "<p>The client <code>{client}</code> asks for: <code>{scopes}</code>.</p>\n",
                "<form method=\"post\" action=\"{base}/consent\">\n",
                "<input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">\n",
                "<button type=\"submit\" name=\"decision\" value=\"allow\">Allow</button>\n",
                "<button type=\"submit\" name=\"decision\" value=\"deny\">Deny</button>\n",
                "</form>"
            ),
            client = escaped(&pending.client),
            scopes = escaped(&pending.scopes.join(" ")),
            base = escaped(server.base()),
            ticket = pending.ticket,
        );
        self.pending.insert(cookie.clone(), pending);
        Answer::html(StatusCode::OK, "Allow access?", &content)
            .header(SET_COOKIE, &format!("{COOKIE}={cookie}; Path=/; HttpOnly; SameSite=Lax"))
    }

    /// The consent form comes back.
    pub(crate) fn consent(&mut self, call: &Call<'_>, index: usize) -> Answer {
        if *call.method != Method::POST || !call.is_form() {
            return Answer::empty(StatusCode::METHOD_NOT_ALLOWED).header(ALLOW, "POST");
        }
        let server = self.server(index);
        let pending = call.cookie(COOKIE).and_then(|cookie| self.pending.remove(cookie));
        // The cookie says who is asked, the ticket that this very page was seen: without it any site could agree.
        let pending = pending.filter(|pending| {
            pending.server == index && call.form.get("ticket") == Some(&pending.ticket)
        });
        let Some(pending) = pending else {
            return Answer::html(
                StatusCode::FORBIDDEN,
                "Refused",
                "<p>This form was not shown here.</p>",
            )
            .because("access_denied");
        };
        match call.form.get("decision") {
            Some("allow") => self.approve(call, &server, pending, StatusCode::SEE_OTHER),
            _ => refused(
                &server,
                &pending.redirect_uri,
                pending.state.as_deref(),
                "access_denied",
                "the person declined",
            ),
        }
    }
}

fn told(code: &str, description: &str) -> Answer {
    Answer::html(
        StatusCode::BAD_REQUEST,
        "Refused",
        &format!("<p><code>{code}</code>: {description}.</p>"),
    )
    .because(code)
}

fn refused(
    server: &Server,
    redirect_uri: &str,
    state: Option<&str>,
    code: &str,
    description: &str,
) -> Answer {
    let params = vec![
        ("error".to_owned(), code.to_owned()),
        ("error_description".to_owned(), description.to_owned()),
    ];
    back(server, redirect_uri, state, params, StatusCode::FOUND).because(code)
}

fn back(
    server: &Server,
    redirect_uri: &str,
    state: Option<&str>,
    mut params: Vec<(String, String)>,
    status: StatusCode,
) -> Answer {
    match (&server.callback.state, state) {
        (StateEcho::Same, Some(state)) => params.push(("state".to_owned(), state.to_owned())),
        (StateEcho::Wrong(other), _) => params.push(("state".to_owned(), other.clone())),
        (StateEcho::Same, None) | (StateEcho::Absent, _) => {}
    }
    match &server.callback.iss {
        IssMode::Sent | IssMode::SentUnadvertised => {
            params.push(("iss".to_owned(), server.issuer.clone()))
        }
        IssMode::Slashed => params.push(("iss".to_owned(), format!("{}/", server.issuer))),
        IssMode::Wrong(other) | IssMode::Unexpected(other) => {
            params.push(("iss".to_owned(), other.clone()))
        }
        IssMode::Absent | IssMode::Missing => {}
    }
    params.extend(server.callback.extra.iter().cloned());
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    // Appended to the text as it came: a parser would rewrite what the client registered.
    let sign = if redirect_uri.contains('?') { '&' } else { '?' };
    Answer::redirect(status, &format!("{redirect_uri}{sign}{query}"))
}

pub(crate) fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
