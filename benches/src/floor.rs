//! The floor: the same documents parsed, the same URLs parsed, the same hashes and the same
//! requests encoded, by hand, for this one path and with no check, state or note around it.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, Method, Request, Uri};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;

use crate::canned;

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow)]
    resource: Cow<'a, str>,
    #[serde(borrow)]
    authorization_servers: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    scopes_supported: Vec<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Server<'a> {
    #[serde(borrow)]
    issuer: Cow<'a, str>,
    #[serde(borrow)]
    authorization_endpoint: Cow<'a, str>,
    #[serde(borrow)]
    token_endpoint: Cow<'a, str>,
    #[serde(borrow)]
    registration_endpoint: Cow<'a, str>,
    #[serde(borrow)]
    revocation_endpoint: Cow<'a, str>,
    #[serde(borrow)]
    scopes_supported: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    response_types_supported: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    grant_types_supported: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    token_endpoint_auth_methods_supported: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    code_challenge_methods_supported: Vec<Cow<'a, str>>,
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct Registered<'a> {
    #[serde(borrow)]
    client_id: Cow<'a, str>,
    #[serde(borrow)]
    redirect_uris: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    token_endpoint_auth_method: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Tokens<'a> {
    #[serde(borrow)]
    access_token: Cow<'a, str>,
    #[serde(borrow)]
    token_type: Cow<'a, str>,
    expires_in: u64,
    #[serde(borrow)]
    refresh_token: Cow<'a, str>,
    #[serde(borrow)]
    scope: Cow<'a, str>,
}

fn get(url: &str) -> Request<Vec<u8>> {
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = Uri::try_from(url).expect("a URI");
    let headers = request.headers_mut();
    headers.insert("accept", HeaderValue::from_static("application/json"));
    headers.insert("accept-encoding", HeaderValue::from_static("identity"));
    headers.insert("mcp-protocol-version", HeaderValue::from_static("2025-11-25"));
    request
}

fn post(url: &str, kind: &'static str, body: String) -> Request<Vec<u8>> {
    let mut request = Request::new(body.into_bytes());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::try_from(url).expect("a URI");
    let headers = request.headers_mut();
    headers.insert("content-type", HeaderValue::from_static(kind));
    headers.insert("accept", HeaderValue::from_static("application/json"));
    request
}

fn parameter<'a>(text: &'a str, name: &str) -> &'a str {
    let start = text.find(name).expect("a parameter") + name.len() + 2;
    let rest = text.get(start..).unwrap_or_default();
    rest.get(..rest.find('"').unwrap_or_default()).unwrap_or_default()
}

/// Does the work of one login and answers the bearer header.
///
/// # Panics
/// Never; the documents are fixed.
#[must_use]
pub fn login(random: [u8; 56]) -> HeaderValue {
    let pointer = parameter(canned::CHALLENGE, "resource_metadata");
    let scope = parameter(canned::CHALLENGE, " scope");
    let pointer = Url::parse(pointer).expect("a URL");
    let first = get(pointer.as_str());
    let resource: Resource<'_> = serde_json::from_str(canned::RESOURCE).expect("a document");
    assert!(!resource.scopes_supported.is_empty() && first.method() == Method::GET);

    let listed = resource.authorization_servers.first().expect("an issuer");
    let issuer = Url::parse(listed).expect("a URL");
    let well_known = issuer.join("/.well-known/oauth-authorization-server").expect("a URL");
    let second = get(well_known.as_str());
    let server: Server<'_> = serde_json::from_str(canned::SERVER).expect("a document");
    assert!(server.issuer == *listed && second.method() == Method::GET);
    assert!(server.authorization_response_iss_parameter_supported);
    assert!(server.code_challenge_methods_supported.iter().any(|method| method == "S256"));
    assert!(server.response_types_supported.iter().any(|kind| kind == "code"));
    assert!(server.grant_types_supported.iter().any(|grant| grant == "authorization_code"));
    assert!(server.token_endpoint_auth_methods_supported.iter().any(|method| method == "none"));
    let offline = server.scopes_supported.iter().any(|scope| scope == "offline_access");
    let endpoints = [
        &server.authorization_endpoint,
        &server.token_endpoint,
        &server.registration_endpoint,
        &server.revocation_endpoint,
    ];
    let [authorize, token, register, _] = endpoints.map(|url| Url::parse(url).expect("a URL"));

    let redirect_uri = format!("http://127.0.0.1:{}/callback", 51_000);
    let registration = serde_json::json!({
        "redirect_uris": [redirect_uri],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "application_type": "native",
        "client_name": "mcp-authz",
    });
    let third = post(register.as_str(), "application/json", registration.to_string());
    let registered: Registered<'_> =
        serde_json::from_str(canned::REGISTRATION).expect("a document");
    assert!(registered.token_endpoint_auth_method == "none" && third.method() == Method::POST);
    assert!(registered.redirect_uris.iter().any(|uri| *uri == redirect_uri));

    let (for_state, for_verifier) = random.split_at(24);
    let state = URL_SAFE_NO_PAD.encode(for_state);
    let verifier = URL_SAFE_NO_PAD.encode(for_verifier);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    let scope = if offline { format!("{scope} offline_access") } else { scope.to_owned() };
    let mut visit = authorize;
    visit
        .query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &registered.client_id)
        .append_pair("redirect_uri", &redirect_uri)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256")
        .append_pair("state", &state)
        .append_pair("resource", &resource.resource)
        .append_pair("scope", &scope);

    let callback = format!("{}{state}", canned::CALLBACK);
    let mut code = Cow::Borrowed("");
    for (name, value) in url::form_urlencoded::parse(callback.as_bytes()) {
        match &*name {
            "code" => code = value,
            "iss" => assert!(value == server.issuer),
            "state" => assert!(value == state),
            _ => {}
        }
    }
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "authorization_code")
        .append_pair("code", &code)
        .append_pair("code_verifier", &verifier)
        .append_pair("redirect_uri", &redirect_uri)
        .append_pair("resource", &resource.resource)
        .append_pair("client_id", &registered.client_id)
        .finish();
    let fourth = post(token.as_str(), "application/x-www-form-urlencoded", body);
    let tokens: Tokens<'_> = serde_json::from_str(canned::TOKENS).expect("a document");
    assert!(tokens.expires_in > 0 && fourth.method() == Method::POST);
    assert!(tokens.token_type.eq_ignore_ascii_case("bearer"));
    assert!(tokens.scope.split(' ').count() == 3 && !tokens.refresh_token.is_empty());
    assert!(visit.query().is_some());
    let mut header =
        HeaderValue::try_from(format!("Bearer {}", tokens.access_token)).expect("a header");
    header.set_sensitive(true);
    header
}
