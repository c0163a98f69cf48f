//! Dynamic client registration (RFC 7591).

use http::header::{ALLOW, CACHE_CONTROL, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use url::Url;

use super::Model;
use super::answer::{Answer, lay_over};
use super::client::{Client, bad_request, is_loopback};
use super::params::Call;
use super::server::{ApplicationType, AuthMethod, RegistrationMode, Server};

const METADATA: &str = "invalid_client_metadata";
const REDIRECT: &str = "invalid_redirect_uri";

type Refused = (&'static str, &'static str);

impl Model {
    pub(crate) fn register(&mut self, call: &Call<'_>, body: &[u8], index: usize) -> Answer {
        let server = self.server(index);
        if server.registration.mode == RegistrationMode::Closed {
            return self.absent();
        }
        if *call.method != Method::POST {
            return Answer::empty(StatusCode::METHOD_NOT_ALLOWED).header(ALLOW, "POST");
        }
        if let Some(token) = &server.registration.initial_access_token
            && call.credentials("Bearer") != Some(token.as_str())
        {
            return Answer::refusal(
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "an initial access token is needed",
            )
            .header(WWW_AUTHENTICATE, "Bearer");
        }
        if let RegistrationMode::Refuses(code) = &server.registration.mode {
            return bad_request(code, "this server registers nobody");
        }
        if call.media_type().as_deref() != Some("application/json") {
            return bad_request(METADATA, "the body is not application/json");
        }
        let Ok(Value::Object(asked)) = serde_json::from_slice(body) else {
            return bad_request(METADATA, "the body is not a JSON object");
        };
        match Asked::read(&asked, &server) {
            Ok(asked) => self.registered(call, index, &server, asked),
            Err((code, description)) => bad_request(code, description),
        }
    }

    fn registered(
        &mut self,
        call: &Call<'_>,
        index: usize,
        server: &Server,
        asked: Asked,
    ) -> Answer {
        let rules = &server.registration;
        let method = rules.assigns.unwrap_or(asked.method);
        let id = format!("client-{}", self.fresh("client"));
        let secret =
            (method != AuthMethod::None || rules.secret_unasked).then(|| self.fresh("secret"));
        let issued = call.now / 1000;
        let ends = rules.secret_life_s.map(|life| issued.saturating_add(life));
        let mut members = asked.echo;
        members.insert("client_id".to_owned(), json!(id));
        members.insert("client_id_issued_at".to_owned(), json!(issued));
        members.insert("token_endpoint_auth_method".to_owned(), json!(method.name()));
        if rules.omits_method {
            members.remove("token_endpoint_auth_method");
        }
        if let Some(secret) = &secret {
            members.insert("client_secret".to_owned(), json!(secret));
            members.insert("client_secret_expires_at".to_owned(), json!(ends.unwrap_or_default()));
        }
        let client = Client {
            id,
            secret,
            secret_ends: ends.map(|ends| ends.saturating_mul(1000)),
            method: rules.binds.filter(|_| rules.omits_method).unwrap_or(method),
            redirect_uris: asked.redirect_uris,
            grant_types: asked.grant_types,
            ends: rules.life_s.map(|life| call.now.saturating_add(life.saturating_mul(1000))),
            dynamic: true,
        };
        self.clients.add(index, client);
        let status = StatusCode::from_u16(rules.status).unwrap_or(StatusCode::CREATED);
        Answer::json(status, &lay_over(Value::Object(members), &rules.members))
            .header(CACHE_CONTROL, "no-store")
    }
}

/// A registration request that was found good.
struct Asked {
    redirect_uris: Vec<String>,
    grant_types: Vec<String>,
    method: AuthMethod,
    /// The members to say back.
    echo: Map<String, Value>,
}

impl Asked {
    fn read(asked: &Map<String, Value>, server: &Server) -> Result<Self, Refused> {
        let redirect_uris = texts(asked, "redirect_uris")?.unwrap_or_default();
        let grant_types =
            texts(asked, "grant_types")?.unwrap_or_else(|| vec!["authorization_code".to_owned()]);
        let response_types =
            texts(asked, "response_types")?.unwrap_or_else(|| vec!["code".to_owned()]);
        let method = match asked.get("token_endpoint_auth_method") {
            None => AuthMethod::Basic,
            Some(Value::String(name)) => {
                AuthMethod::named(name).ok_or((METADATA, "unknown token_endpoint_auth_method"))?
            }
            Some(_) => return Err((METADATA, "token_endpoint_auth_method is not a string")),
        };
        if !server.auth_methods.contains(&method) {
            return Err((METADATA, "this token_endpoint_auth_method is not supported"));
        }
        // A server may also leave out of its answer what it does not support; refusing shows more.
        if grant_types.iter().any(|grant| !server.grant_types.contains(grant)) {
            return Err((METADATA, "a grant type is not supported"));
        }
        agree(&grant_types, &response_types)?;
        if grant_types.iter().any(|grant| grant == "authorization_code") && redirect_uris.is_empty()
        {
            return Err((REDIRECT, "redirect_uris is missing or empty"));
        }
        let urls =
            redirect_uris.iter().map(|uri| redirect_url(uri)).collect::<Result<Vec<_>, _>>()?;
        judge_application_type(
            asked.get("application_type"),
            &urls,
            server.registration.application_type,
        )?;
        if asked.contains_key("jwks") && asked.contains_key("jwks_uri") {
            return Err((METADATA, "jwks and jwks_uri exclude each other"));
        }
        if asked.get("scope").is_some_and(|scope| !scope.is_string()) {
            return Err((METADATA, "scope is not a string"));
        }
        let mut echo = asked.clone();
        echo.insert("redirect_uris".to_owned(), json!(redirect_uris));
        echo.insert("grant_types".to_owned(), json!(grant_types));
        echo.insert("response_types".to_owned(), json!(response_types));
        for own in ["client_id", "client_secret", "client_secret_expires_at", "client_id_issued_at"]
        {
            echo.remove(own);
        }
        Ok(Self { redirect_uris, grant_types, method, echo })
    }
}

/// `authorization_code` and `code` come together or not at all (RFC 7591 section 2.1).
fn agree(grant_types: &[String], response_types: &[String]) -> Result<(), Refused> {
    let code_grant = grant_types.iter().any(|grant| grant == "authorization_code");
    let code_response = response_types.iter().any(|response| response == "code");
    if response_types.iter().any(|response| response != "code") {
        return Err((METADATA, "a response type is not supported"));
    }
    if code_grant != code_response {
        return Err((METADATA, "grant_types and response_types do not agree"));
    }
    Ok(())
}

fn redirect_url(uri: &str) -> Result<Url, Refused> {
    let url = Url::parse(uri).map_err(|_| (REDIRECT, "a redirect URI is not an absolute URI"))?;
    if url.fragment().is_some() {
        return Err((REDIRECT, "a redirect URI has a fragment"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err((REDIRECT, "http is for loopback redirect URIs alone")),
        // RFC 8252 section 7.1: private-use schemes are reversed domain names.
        scheme if scheme.contains('.') => Ok(url),
        _ => Err((REDIRECT, "the scheme of a redirect URI is not allowed")),
    }
}

fn judge_application_type(
    value: Option<&Value>,
    urls: &[Url],
    rule: ApplicationType,
) -> Result<(), Refused> {
    if rule == ApplicationType::Ignored {
        return Ok(());
    }
    let kind = match value {
        None if rule == ApplicationType::Required => {
            return Err((METADATA, "application_type is missing"));
        }
        None => "web",
        Some(Value::String(kind)) => kind.as_str(),
        Some(_) => return Err((METADATA, "application_type is not a string")),
    };
    match kind {
        "web"
            if urls
                .iter()
                .all(|url| url.scheme() == "https" && url.host_str() != Some("localhost")) =>
        {
            Ok(())
        }
        "web" => Err((REDIRECT, "a web application has https redirect URIs on remote hosts")),
        "native" if urls.iter().any(|url| url.scheme() != "https" || is_loopback(url)) => Ok(()),
        "native" => {
            Err((REDIRECT, "a native application has loopback or private-use redirect URIs"))
        }
        _ => Err((METADATA, "application_type is neither native nor web")),
    }
}

fn texts(asked: &Map<String, Value>, name: &'static str) -> Result<Option<Vec<String>>, Refused> {
    let Some(value) = asked.get(name) else {
        return Ok(None);
    };
    let texts = value.as_array().and_then(|values| {
        values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    texts.map(Some).ok_or((METADATA, "a list of strings is not one"))
}
