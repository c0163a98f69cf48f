//! Dynamic client registration (RFC 7591, REG rows).
//!
//! Decides what is asked for and whether the answer can be used; the server's answer is
//! authoritative (REG-15). Refuses to decide whether to register: that is the order of REG-01.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response};
use serde::{Deserialize, Serialize};

use super::client_auth::{Credentials, Method, Methods, bound_method};
use super::json::Value;
use super::members::{Member, Named, members};
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

/// The host's description of its program, sent on registration and written in client documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientMetadata {
    /// The name that people see.
    pub client_name: String,
    /// The program's home page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// The program's logo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// The contacts that people can write to.
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
    /// The client runs on the person's machine.
    Native,
    /// The client runs on a server.
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

/// The parts of a registration request.
#[derive(Clone, Copy, Debug)]
pub struct RegistrationRequest<'a> {
    /// The registration endpoint.
    pub endpoint: &'a ServerUrl,
    /// The host's description of its program.
    pub metadata: &'a ClientMetadata,
    /// The redirect URIs, where answers may arrive.
    pub redirect_uris: &'a [&'a str],
    /// The kind of program.
    pub application_type: ApplicationType,
    /// The authentication method that it wants.
    pub method: Method,
    /// True if it wants refresh tokens (REG-08, REF-15).
    pub refresh: bool,
    /// The token that lets it register, at servers that want one.
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

/// The facts that an answer is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method asked for.
    pub method: Method,
    /// The methods that the server lists.
    pub listed: Option<Methods>,
    /// The redirect URI that will be used.
    pub redirect_uri: &'a RedirectUri,
    /// The initial access token, and every other secret that a server may repeat in its refusal
    /// (HOST-324).
    pub sent: &'a [&'a Secret],
    /// True if the endpoint is the default one of revision 2025-03-26, which may not be there
    /// (LEG-09).
    pub legacy: bool,
}

/// A registration that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The credentials at that server.
    pub credentials: Credentials,
    /// When the secret expires; `None` for never or unknown (REG-14).
    pub secret_expires: Option<Timestamp>,
    /// True if the server granted refresh tokens; `None` if it did not say.
    pub refresh: Option<bool>,
    /// The right to change the registration (RFC 7592), if it was given.
    pub management: Option<Management>,
    /// The oddities, to be noted.
    pub notes: Vec<Failure>,
}

/// The right to change a registration. It is kept as a secret and never used by itself (HOST-156).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Management {
    /// `registration_access_token`.
    #[serde(with = "written")]
    pub token: Secret,
    /// `registration_client_uri`, not judged and not fetched.
    pub uri: Box<str>,
}

members! {
    /// The members of an answer that are read.
    Answer {
        client_id,
        client_secret,
        client_secret_expires_at,
        token_endpoint_auth_method,
        redirect_uris,
        grant_types,
        registration_access_token,
        registration_client_uri,
    }
}

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

/// Keeps the server's words for the person, in whatever shape they come (REG-92, TOK-90).
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
    let found = Answer::read(body).map_err(|fault| {
        // The server has registered a client, so no failure may say that it refused (REG-92).
        unusable(fault.failure(Kind::RegistrationUnusable, "").rule(), "registration")
    })?;
    let mut notes = Vec::new();
    let mut filled = |member| filled(member, &mut notes);
    let [id, secret, method] =
        [found.client_id, found.client_secret, found.token_endpoint_auth_method].map(&mut filled);
    let [redirects, grants] = [found.redirect_uris, found.grant_types].map(&mut filled);
    let [token, uri] =
        [found.registration_access_token, found.registration_client_uri].map(&mut filled);
    let client_id = id
        .and_then(Value::text)
        .filter(|id| is_client_id(id))
        .ok_or_else(|| unusable("REG-13", "client_id"))?;
    let secret = read_secret(secret)?;
    let method = read_method(method, asked, secret.is_some())?;
    // A secret that no method has use for is not kept, nor is its expiry.
    let secret = secret.filter(|_| method.needs_secret() || asked.method.needs_secret());
    let secret_expires = match &secret {
        Some(_) => read_expiry(found.client_secret_expires_at, now, &mut notes)?,
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

/// Takes an empty string for an absent value, with a note: servers that keep a column for
/// everything send one for a value that they do not have (TOK-90).
fn filled<'a>(member: Member<'a>, notes: &mut Vec<Failure>) -> Option<Value<'a>> {
    let empty = member.value.and_then(Value::text).is_some_and(|text| text.is_empty());
    if empty {
        notes.push(unusable("TOK-90", member.name));
    }
    member.value.filter(|_| !empty)
}

fn is_client_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= LONGEST_CLIENT_ID
        && id.bytes().all(|byte| matches!(byte, 0x20..=0x7E))
}

/// Reads a secret of any characters except controls. It is encoded before it goes into a header
/// (HOST-154).
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

/// Reads an expiry. 0 is never, anything but a number is unknown, and a time in the past is of no
/// use (HOST-155).
fn read_expiry(
    member: Member<'_>,
    now: Timestamp,
    notes: &mut Vec<Failure>,
) -> Result<Option<Timestamp>, Failure> {
    let Some(Value::Number(text)) = member.value else {
        notes.push(unusable("REG-14", member.name));
        return Ok(None);
    };
    // A cast of a float saturates, and no float of a JSON number is NaN.
    let seconds = text.parse::<f64>().map_or(0, |seconds| seconds as i64);
    let expires = Timestamp::from_unix(seconds);
    if seconds == 0 {
        return Ok(None);
    }
    if seconds < 0 || expires <= now {
        return Err(unusable("REG-14", member.name));
    }
    Ok(Some(expires))
}

/// Checks that the server keeps our redirect URI. Otherwise the answer would be sent elsewhere.
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
mod tests;
