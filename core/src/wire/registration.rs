//! Dynamic client registration (RFC 7591, REG rows).
//!
//! Decides what is asked for and whether what came back can be used; the server's answer is
//! authoritative (REG-15). Refuses to decide whether to register: that is the order of REG-01.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response};
use serde::{Deserialize, Serialize};

use super::client_auth::{Credentials, Method, Methods, bound_method};
use super::json::{Members, Value, read_members};
use super::redirect::RedirectUri;
use super::retry_after::read_retry_after;
use super::said::Words;
use super::shape::is_encoded;
use super::token::LONGEST_TOKEN;
use super::url::ServerUrl;
use crate::failure::{Failure, Kind, Remedy, Said};
use crate::scope::ScopeSet;
use crate::secret::{Secret, written};
use crate::time::Timestamp;

/// Most bytes of a client identifier.
pub const LONGEST_CLIENT_ID: usize = 2048;

/// What the host says of its program; sent on registration and written in client documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientMetadata {
    /// The name people see.
    pub client_name: String,
    /// The program's home page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// The program's logo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// Who to write to.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub contacts: Vec<String>,
    /// Terms of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// Privacy policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// Identifies the program across its versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    /// The program's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
    /// The scopes the client may ask for; empty to leave it open.
    #[serde(skip_serializing_if = "ScopeSet::is_empty", default)]
    pub scope: ScopeSet,
    /// Where the client's public keys are, for `private_key_jwt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
}

/// `application_type` (OpenID Connect Registration §2, REG-09).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApplicationType {
    /// On the person's machine.
    Native,
    /// On a server.
    Web,
}

/// The application type that a set of redirect URIs tells (REG-10).
///
/// # Errors
/// `config_invalid` for a set of both kinds, or an empty one: choose the type by hand.
pub fn application_type(redirect_uris: &[RedirectUri]) -> Result<ApplicationType, Failure> {
    let native = |uri: &RedirectUri| uri.is_loopback() || uri.is_private_scheme();
    let natives = redirect_uris.iter().filter(|uri| native(uri)).count();
    if redirect_uris.is_empty() || (natives != 0 && natives != redirect_uris.len()) {
        return Err(Failure::new(Kind::ConfigInvalid, "REG-10").with_subject("redirect_uris"));
    }
    Ok(if natives == 0 { ApplicationType::Web } else { ApplicationType::Native })
}

/// The members that this library decides, with those of the host.
#[derive(Serialize)]
pub(super) struct Described<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_id: Option<&'a str>,
    pub(super) redirect_uris: &'a [&'a str],
    pub(super) token_endpoint_auth_method: Method,
    pub(super) grant_types: &'a [&'a str],
    pub(super) response_types: [&'a str; 1],
    pub(super) application_type: ApplicationType,
    #[serde(flatten)]
    pub(super) metadata: &'a ClientMetadata,
}

/// The grants of the code flow, with or without refresh tokens (REG-08).
pub(super) const fn grant_types(refresh: bool) -> &'static [&'static str] {
    if refresh { &["authorization_code", "refresh_token"] } else { &["authorization_code"] }
}

/// What is asked of a server.
#[derive(Clone, Copy, Debug)]
pub struct RegistrationRequest<'a> {
    /// Where.
    pub endpoint: &'a ServerUrl,
    /// What the host says of its program.
    pub metadata: &'a ClientMetadata,
    /// Where answers may arrive.
    pub redirect_uris: &'a [&'a str],
    /// What kind of program it is.
    pub application_type: ApplicationType,
    /// How it wants to authenticate.
    pub method: Method,
    /// Whether it wants refresh tokens (REG-08, REF-15).
    pub refresh: bool,
    /// Lets it register at all, at servers that want that.
    pub initial_access_token: Option<&'a Secret>,
}

/// Writes a registration request (REG-06, REG-07).
///
/// # Errors
/// `config_invalid` if the initial access token fits no header, or the metadata no JSON.
pub fn registration_request(asked: RegistrationRequest<'_>) -> Result<Request<Vec<u8>>, Failure> {
    let invalid = |field| Failure::new(Kind::ConfigInvalid, "REG-06").with_subject(field);
    let described = Described {
        client_id: None,
        redirect_uris: asked.redirect_uris,
        token_endpoint_auth_method: asked.method,
        grant_types: grant_types(asked.refresh),
        response_types: ["code"],
        application_type: asked.application_type,
        metadata: asked.metadata,
    };
    let mut body = Vec::with_capacity(512);
    serde_json::to_writer(&mut body, &described).map_err(|_| invalid("client metadata"))?;
    let mut headers = HeaderMap::with_capacity(3);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(token) = asked.initial_access_token {
        let mut value = HeaderValue::from_str(&["Bearer ", token.expose()].concat())
            .map_err(|_| invalid("initial access token"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    asked.endpoint.request(http::Method::POST, headers, body)
}

/// What an answer is held against.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method asked for.
    pub method: Method,
    /// The methods that the server lists.
    pub listed: Option<Methods>,
    /// The redirect URI that will be used.
    pub redirect_uri: &'a RedirectUri,
    /// The initial access token, and all else that a server may repeat in its refusal (HOST-324).
    pub sent: &'a [&'a Secret],
    /// The endpoint is the default one of revision 2025-03-26, which may not be there (LEG-09).
    pub legacy: bool,
}

/// A registration that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Who we are there.
    pub credentials: Credentials,
    /// When the secret expires; `None` for never or unknown (REG-14).
    pub secret_expires: Option<Timestamp>,
    /// Whether the server granted refresh tokens, if it said so.
    pub refresh: Option<bool>,
    /// The right to change the registration (RFC 7592), if it was given.
    pub management: Option<Management>,
    /// What was odd, to be noted.
    pub notes: Vec<Failure>,
}

/// The right to change a registration. Kept as a secret and never used by itself (HOST-156).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Management {
    /// `registration_access_token`.
    #[serde(with = "written")]
    pub token: Secret,
    /// `registration_client_uri`, not judged and not fetched.
    pub uri: Box<str>,
}

const NAMES: [&str; 8] = [
    "client_id",
    "client_secret",
    "client_secret_expires_at",
    "token_endpoint_auth_method",
    "redirect_uris",
    "grant_types",
    "registration_access_token",
    "registration_client_uri",
];

/// Reads the answer to a registration request (REG-11 to REG-17, REG-19). Members that would move
/// the binding to another issuer are not even looked at (HOST-150).
///
/// # Errors
/// `registration_failed` if the server refused, `registration_unusable` if it did not and its answer
/// cannot be used, `no_registration_method` if a legacy server has no registration, `transient`,
/// `redirect_refused`. Configure credentials for the issuer; no blind retry.
pub fn read_registration(
    response: &Response<Vec<u8>>,
    asked: &Asked<'_>,
    now: Timestamp,
) -> Result<Registered, Failure> {
    let status = response.status().as_u16();
    match status {
        200 | 201 if is_encoded(response.headers()) => {
            Err(Failure::new(Kind::EncodingRefused, "HOST-066"))
        }
        200 | 201 => read_success(response.body(), asked, now),
        202..=299 => Err(unusable("REG-13", "status")),
        300..=399 => Err(Failure::new(Kind::RedirectRefused, "TOK-05")),
        404 | 405 if asked.legacy => Err(Failure::new(Kind::NoRegistrationMethod, "LEG-09")),
        408 | 429 | 500..=599 => {
            let after = read_retry_after(response.headers(), now);
            Err(Failure::new(Kind::Transient, "REG-17").with_remedy(Remedy::Retry { after }))
        }
        _ => Err(read_refusal(response.body(), status, asked.sent)),
    }
}

/// What the server says is kept for the person, in whatever shape it comes (REG-92, TOK-90).
fn read_refusal(body: &[u8], status: u16, sent: &[&Secret]) -> Failure {
    let words = Words::read(body, sent);
    let known = match words.error.as_deref() {
        Some(
            code @ ("invalid_redirect_uri"
            | "invalid_client_metadata"
            | "invalid_software_statement"
            | "unapproved_software_statement"
            | "invalid_token"
            | "access_denied"),
        ) => Some(code.to_owned()),
        _ => None,
    };
    let description = words.description(known.is_some(), sent);
    Failure::new(Kind::RegistrationFailed, "REG-17").with_said(Said {
        error: known.unwrap_or_else(|| "other".to_owned()),
        description,
        status: Some(status),
    })
}

fn unusable(rule: &'static str, field: &str) -> Failure {
    Failure::new(Kind::RegistrationUnusable, rule).with_subject(field)
}

fn read_success(body: &[u8], asked: &Asked<'_>, now: Timestamp) -> Result<Registered, Failure> {
    let [id, secret, expires, method, redirects, grants, token, uri] =
        read_members(body, &NAMES).and_then(Members::unique).map_err(|fault| {
            // The server has registered somebody: nobody may be told that it refused (REG-92).
            unusable(fault.failure(Kind::RegistrationUnusable, "").rule(), "registration")
        })?;
    let mut notes = Vec::new();
    let mut filled = |value, name| filled(value, name, &mut notes);
    let [id, secret, method] = [
        filled(id, "client_id"),
        filled(secret, "client_secret"),
        filled(method, "token_endpoint_auth_method"),
    ];
    let [redirects, grants] = [filled(redirects, "redirect_uris"), filled(grants, "grant_types")];
    let [token, uri] =
        [filled(token, "registration_access_token"), filled(uri, "registration_client_uri")];
    let client_id = id
        .and_then(Value::text)
        .filter(|id| is_client_id(id))
        .ok_or_else(|| unusable("REG-13", "client_id"))?;
    let secret = read_secret(secret)?;
    let method = read_method(method, asked, secret.is_some())?;
    // A secret that no method has use for is not worth keeping, nor is its expiry.
    let secret = secret.filter(|_| method.needs_secret() || asked.method.needs_secret());
    let secret_expires = match &secret {
        Some(_) => read_expiry(expires, now, &mut notes)?,
        None => None,
    };
    check_redirect(redirects, asked.redirect_uri)?;
    let refresh = read_grants(grants)?;
    let text = |value: Option<Value<'_>>| value.and_then(Value::text).map(Box::<str>::from);
    let management = text(token)
        .zip(text(uri))
        .map(|(token, uri)| Management { token: Secret::new(token), uri });
    Ok(Registered {
        credentials: Credentials { client_id: client_id.into(), secret, method },
        secret_expires,
        refresh,
        management,
        notes,
    })
}

/// Servers that keep a column for everything send an empty string for what they do not have: it
/// counts as absent, with a note (TOK-90).
fn filled<'a>(value: Option<Value<'a>>, name: &str, notes: &mut Vec<Failure>) -> Option<Value<'a>> {
    let empty = value.and_then(Value::text).is_some_and(|text| text.is_empty());
    if empty {
        notes.push(unusable("TOK-90", name));
    }
    value.filter(|_| !empty)
}

fn is_client_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= LONGEST_CLIENT_ID
        && id.bytes().all(|byte| matches!(byte, 0x20..=0x7E))
}

/// Any character but controls: it is encoded before it goes into a header (HOST-154).
fn read_secret(value: Option<Value<'_>>) -> Result<Option<Secret>, Failure> {
    let Some(value) = value else { return Ok(None) };
    let secret = value
        .text()
        .filter(|text| text.len() <= LONGEST_TOKEN && !text.chars().any(char::is_control))
        .ok_or_else(|| unusable("REG-14", "client_secret"))?;
    Ok(Some(Secret::new(secret)))
}

/// The returned method, else the one asked for (REG-15, REG-16).
fn read_method(
    value: Option<Value<'_>>,
    asked: &Asked<'_>,
    has_secret: bool,
) -> Result<Method, Failure> {
    let refused = |rule| unusable(rule, "token_endpoint_auth_method");
    let named = match value {
        None => None,
        Some(value) => {
            let named = value.text().and_then(|name| Method::from_name(&name));
            let ours =
                |it: &Method| *it != Method::PrivateKeyJwt || asked.method == Method::PrivateKeyJwt;
            Some(named.filter(ours).ok_or_else(|| refused("HOST-152"))?)
        }
    };
    if named.is_some_and(Method::needs_secret) && !has_secret {
        return Err(refused("HOST-153"));
    }
    Ok(bound_method(named, asked.method, has_secret, asked.listed))
}

/// 0 is never; what is no number is unknown; what is past is of no use (HOST-155).
fn read_expiry(
    value: Option<Value<'_>>,
    now: Timestamp,
    notes: &mut Vec<Failure>,
) -> Result<Option<Timestamp>, Failure> {
    let Some(Value::Number(text)) = value else {
        notes.push(unusable("REG-14", "client_secret_expires_at"));
        return Ok(None);
    };
    // A cast of a float saturates, and no float of a JSON number is NaN.
    let seconds = text.parse::<f64>().map_or(0, |seconds| seconds as i64);
    let expires = Timestamp::from_unix(seconds);
    if seconds == 0 {
        return Ok(None);
    }
    if seconds < 0 || expires <= now {
        return Err(unusable("REG-14", "client_secret_expires_at"));
    }
    Ok(Some(expires))
}

/// If the server keeps another set of redirect URIs, the answer would be sent elsewhere.
fn check_redirect(value: Option<Value<'_>>, ours: &RedirectUri) -> Result<(), Failure> {
    let kept = match value {
        None => true,
        Some(Value::List(list)) => list
            .iter()
            .filter_map(Value::text)
            .any(|registered| ours.matches_registered(&registered)),
        Some(_) => false,
    };
    if kept { Ok(()) } else { Err(unusable("REG-15", "redirect_uris")) }
}

fn read_grants(value: Option<Value<'_>>) -> Result<Option<bool>, Failure> {
    match value {
        None => Ok(None),
        Some(Value::List(list)) if list.has_text("authorization_code") => {
            Ok(Some(list.has_text("refresh_token")))
        }
        Some(_) => Err(unusable("REG-15", "grant_types")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::url::tests::server_url;

    const REDIRECT: &str = "http://127.0.0.1:5000/callback";

    fn asked_with(method: Method, body: &str, status: u16) -> Result<Registered, Failure> {
        let redirect_uri = RedirectUri::read(REDIRECT, false).unwrap();
        let mut response = Response::new(body.as_bytes().to_vec());
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        let asked =
            Asked { method, listed: None, redirect_uri: &redirect_uri, sent: &[], legacy: false };
        read_registration(&response, &asked, Timestamp::from_unix(1_700_000_000))
    }

    fn code(result: &Result<Registered, Failure>) -> &'static str {
        result.as_ref().err().map_or("ok", |failure| failure.kind().code())
    }

    #[test]
    fn the_request_holds_what_servers_need_reg_06_to_reg_09() {
        let endpoint = server_url("https://as.example/register");
        let metadata = ClientMetadata {
            client_name: "App".to_owned(),
            scope: ScopeSet::read("a b").unwrap(),
            contacts: vec!["x@app.example".to_owned()],
            ..ClientMetadata::default()
        };
        let token = Secret::new("SECRET-CANARY");
        let asked = RegistrationRequest {
            endpoint: &endpoint,
            metadata: &metadata,
            redirect_uris: &[REDIRECT],
            application_type: ApplicationType::Native,
            method: Method::None,
            refresh: true,
            initial_access_token: Some(&token),
        };
        assert!(!format!("{asked:?}").contains("CANARY"));
        let request = registration_request(asked).unwrap();
        assert_eq!(request.method(), http::Method::POST);
        assert_eq!(request.uri(), "https://as.example/register");
        assert_eq!(request.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(request.headers()[ACCEPT], "application/json");
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer SECRET-CANARY");
        assert!(request.headers()[AUTHORIZATION].is_sensitive());
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(request.body()).unwrap(),
            serde_json::json!({
                "redirect_uris": [REDIRECT],
                "token_endpoint_auth_method": "none",
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "application_type": "native",
                "client_name": "App",
                "contacts": ["x@app.example"],
                "scope": "a b",
            })
        );
        let plain = RegistrationRequest { refresh: false, initial_access_token: None, ..asked };
        let request = registration_request(plain).unwrap();
        assert!(!request.headers().contains_key(AUTHORIZATION));
        assert!(
            String::from_utf8(request.into_body()).unwrap().contains(r#"["authorization_code"]"#)
        );
    }

    #[test]
    fn the_application_type_follows_the_redirects_reg_10() {
        let of = |uris: &[&str]| {
            let uris: Vec<_> =
                uris.iter().map(|uri| RedirectUri::read(uri, true).unwrap()).collect();
            application_type(&uris)
        };
        assert_eq!(of(&[REDIRECT, "com.example.app:/cb"]).unwrap(), ApplicationType::Native);
        assert_eq!(of(&["http://localhost/cb"]).unwrap(), ApplicationType::Native);
        assert_eq!(of(&["https://app.example/cb"]).unwrap(), ApplicationType::Web);
        assert_eq!(
            of(&["https://app.example/cb", REDIRECT]).unwrap_err().kind(),
            Kind::ConfigInvalid
        );
        assert!(of(&[]).is_err());
    }

    #[test]
    fn an_identifier_must_come_back_reg_13_host_149_host_150_host_159() {
        let long = format!("{{\"client_id\":\"{}\"}}", "x".repeat(10 * 1024));
        for (status, body, expected) in [
            (201, r#"{"client_id":"c"}"#, "ok"),
            (200, r#"{"client_id":"c"}"#, "ok"),
            (201, r#"{"client_id":"https://evil.example/x.json"}"#, "ok"),
            (
                201,
                r#"{"client_id":"c","issuer":"https://evil.example","token_endpoint":"x","access_token":1}"#,
                "ok",
            ),
            (201, "{}", "registration_unusable"),
            (201, r#"{"client_id":""}"#, "registration_unusable"),
            (201, r#"{"client_id":7}"#, "registration_unusable"),
            (200, r#"{"client_id":7}"#, "registration_unusable"),
            (201, r#"{"client_id":null}"#, "registration_unusable"),
            (201, r#"{"client_id":"a\r\nb"}"#, "registration_unusable"),
            (201, &long, "registration_unusable"),
            (201, "[]", "registration_unusable"),
            (201, "", "registration_unusable"),
            (201, "<html>Welcome</html>", "registration_unusable"),
            (201, r#"{"client_id":"a","client_id":"b"}"#, "registration_unusable"),
            (202, r#"{"client_id":"c"}"#, "registration_unusable"),
            (204, "", "registration_unusable"),
        ] {
            assert_eq!(code(&asked_with(Method::None, body, status)), expected, "{status} {body}");
        }
    }

    #[test]
    fn the_answer_is_authoritative_reg_15_reg_16_host_151_to_host_153() {
        let basic = Method::SecretBasic;
        for (asked, members, expected) in [
            (Method::None, "", Ok(Method::None)),
            (Method::None, r#","client_secret":"s""#, Ok(Method::None)),
            (Method::None, r#","token_endpoint_auth_method":"none""#, Ok(Method::None)),
            (
                Method::None,
                r#","token_endpoint_auth_method":"client_secret_post","client_secret":"s""#,
                Ok(Method::SecretPost),
            ),
            (basic, r#","client_secret":"s""#, Ok(basic)),
            (basic, "", Ok(Method::None)),
            (basic, r#","client_secret":"""#, Ok(Method::None)),
            (Method::None, r#","token_endpoint_auth_method":"""#, Ok(Method::None)),
            (basic, r#","token_endpoint_auth_method":"","client_secret":"s""#, Ok(basic)),
            (Method::None, r#","redirect_uris":"","grant_types":"""#, Ok(Method::None)),
            (basic, r#","token_endpoint_auth_method":"client_secret_basic""#, Err("HOST-153")),
            (basic, r#","token_endpoint_auth_method":"private_key_jwt""#, Err("HOST-152")),
            (
                Method::PrivateKeyJwt,
                r#","token_endpoint_auth_method":"private_key_jwt""#,
                Ok(Method::PrivateKeyJwt),
            ),
            (Method::PrivateKeyJwt, "", Ok(Method::PrivateKeyJwt)),
            (basic, r#","token_endpoint_auth_method":"tls_client_auth""#, Err("HOST-152")),
            (basic, r#","token_endpoint_auth_method":1"#, Err("HOST-152")),
            (
                Method::None,
                r#","redirect_uris":["http://127.0.0.1:5000/callback"]"#,
                Ok(Method::None),
            ),
            (Method::None, r#","redirect_uris":["http://127.0.0.1/callback"]"#, Ok(Method::None)),
            (Method::None, r#","redirect_uris":["http://127.0.0.1:5000/other"]"#, Err("REG-15")),
            (Method::None, r#","redirect_uris":[]"#, Err("REG-15")),
            (Method::None, r#","redirect_uris":"x""#, Err("REG-15")),
            (Method::None, r#","grant_types":["authorization_code"]"#, Ok(Method::None)),
            (Method::None, r#","grant_types":["implicit"]"#, Err("REG-15")),
        ] {
            let found = asked_with(asked, &format!("{{\"client_id\":\"c\"{members}}}"), 201);
            let found = found.map(|registered| registered.credentials.method);
            if let Err(failure) = &found {
                assert_eq!(failure.kind(), Kind::RegistrationUnusable);
            }
            assert_eq!(found.map_err(|failure| failure.rule()), expected, "{members}");
        }
        let granted = |list| {
            let body = format!("{{\"client_id\":\"c\",\"grant_types\":{list}}}");
            asked_with(Method::None, &body, 201).unwrap().refresh
        };
        assert_eq!(granted(r#"["authorization_code","refresh_token"]"#), Some(true));
        assert_eq!(granted(r#"["authorization_code"]"#), Some(false));
        assert_eq!(granted("null"), None);
    }

    /// One note for each, that names the member.
    #[test]
    fn an_empty_string_is_absent_and_noted_tok_90() {
        for name in [
            "client_secret",
            "token_endpoint_auth_method",
            "redirect_uris",
            "grant_types",
            "registration_access_token",
            "registration_client_uri",
        ] {
            let body = format!("{{\"client_id\":\"c\",\"{name}\":\"\"}}");
            let registered = asked_with(Method::None, &body, 201).unwrap();
            let [note] = &*registered.notes else { panic!("one note for {name}") };
            assert_eq!((note.subject(), note.rule()), (Some(name), "TOK-90"));
            assert_eq!(registered.management, None);
            assert_eq!(registered.credentials.secret, None);
        }
    }

    #[test]
    fn secrets_and_their_expiry_reg_14_host_154_host_155() {
        for (secret, expires, expected, notes) in [
            ("a:b%c+d é", "0", Ok(None), 0),
            ("s", "", Ok(None), 1),
            ("s", "\"never\"", Ok(None), 1),
            ("s", "1", Err(Kind::RegistrationUnusable), 0),
            ("s", "-1", Err(Kind::RegistrationUnusable), 0),
            ("s", "1700000000", Err(Kind::RegistrationUnusable), 0),
            ("s", "1700000001", Ok(Some(1_700_000_001)), 0),
            ("s", "1e30", Ok(Some(i64::MAX)), 0),
            ("a\\r\\nb", "0", Err(Kind::RegistrationUnusable), 0),
        ] {
            let expires = if expires.is_empty() {
                String::new()
            } else {
                format!(",\"client_secret_expires_at\":{expires}")
            };
            let body = format!("{{\"client_id\":\"c\",\"client_secret\":\"{secret}\"{expires}}}");
            let found = asked_with(Method::SecretBasic, &body, 201);
            if let Ok(registered) = &found {
                assert_eq!(registered.credentials.secret, Some(Secret::new(secret)));
                assert_eq!(registered.notes.len(), notes, "{expires}");
            }
            let found = found.map(|registered| registered.secret_expires.map(Timestamp::unix));
            assert_eq!(found.map_err(|failure| failure.kind()), expected, "{secret} {expires}");
        }
    }

    #[test]
    fn management_is_kept_as_a_secret_reg_19_host_156() {
        let body = r#"{"client_id":"c","registration_access_token":"SECRET-CANARY",
            "registration_client_uri":"https://evil.example/r"}"#;
        let registered = asked_with(Method::None, body, 201).unwrap();
        assert!(!format!("{registered:?}").contains("SECRET-CANARY"));
        let management = registered.management.unwrap();
        assert_eq!(management.token, Secret::new("SECRET-CANARY"));
        assert_eq!(&*management.uri, "https://evil.example/r");
        let half = r#"{"client_id":"c","registration_access_token":"x"}"#;
        assert_eq!(asked_with(Method::None, half, 201).unwrap().management, None);
    }

    #[test]
    fn refusals_are_typed_reg_11_reg_17_tok_05_leg_09_host_049_host_157() {
        for (status, body, expected, error) in [
            (
                400,
                r#"{"error":"invalid_redirect_uri","error_description":"no\nway"}"#,
                "registration_failed",
                "invalid_redirect_uri",
            ),
            (
                400,
                r#"{"error":"invalid_client_metadata"}"#,
                "registration_failed",
                "invalid_client_metadata",
            ),
            (400, r#"{"error":"x"}"#, "registration_failed", "other"),
            (401, "", "registration_failed", "other"),
            (403, "[]", "registration_failed", "other"),
            (404, "", "registration_failed", "other"),
            (301, "", "redirect_refused", ""),
            (302, "", "redirect_refused", ""),
            (303, "", "redirect_refused", ""),
            (307, "", "redirect_refused", ""),
            (308, "", "redirect_refused", ""),
            (429, "", "transient", ""),
            (500, "", "transient", ""),
        ] {
            let refused = asked_with(Method::None, body, status);
            assert_eq!(code(&refused), expected, "{status}");
            let failure = refused.unwrap_err();
            assert_eq!(failure.said().map_or("", |said| &said.error), error);
            assert_eq!(failure.said().and_then(|said| said.status).is_some(), !error.is_empty());
        }
        // Its own words, whatever their shape.
        for (status, body, expected) in [
            (403, r#"{"message":"this name is taken"}"#, "this name is taken"),
            (403, "<html><body>Members only</body></html>", "Members only"),
            (401, r#"{"error":{"message":"no token"}}"#, "no token"),
            (422, r#"{"error":"no_such_plan","detail":"buy one"}"#, "no_such_plan: buy one"),
        ] {
            let failure = asked_with(Method::None, body, status).unwrap_err();
            let said = failure.said().unwrap();
            assert_eq!(said.description.as_deref(), Some(expected), "{status} {body}");
            assert_eq!(said.error, "other");
        }
        let html = format!("<html>{}\u{1b}[31m", "x".repeat(100 * 1024));
        let failure = asked_with(Method::None, &html, 400).unwrap_err();
        assert!(failure.to_string().len() < 1024);
        let redirect_uri = RedirectUri::read(REDIRECT, false).unwrap();
        let legacy = Asked {
            method: Method::None,
            listed: None,
            redirect_uri: &redirect_uri,
            sent: &[],
            legacy: true,
        };
        for status in [404, 405] {
            let mut response = Response::new(Vec::new());
            *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
            let refused = read_registration(&response, &legacy, Timestamp::from_unix(0));
            assert_eq!(code(&refused), "no_registration_method");
        }
    }
}
