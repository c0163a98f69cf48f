//! The token request and its answer (RFC 6749 §4.1.3, §5, §6, TOK rows).
//!
//! Decides what is sent and what came back. Strict before spending, lenient after: what was sent
//! is one-time, so an answer is read as generously as is safe, and a refresh token in it is never
//! thrown away (REF-03). Refuses to decide what a refusal means for the record.

use core::fmt;
use core::time::Duration;
use std::borrow::Cow;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response};

use super::client_auth::{Credentials, authenticate};
use super::form;
use super::json::{JsonFault, Members, Value, read_members};
use super::metadata::{is_encoded, request};
use super::retry_after::read_retry_after;
use super::url::ServerUrl;
use crate::failure::{Failure, Kind, Remedy, Said, Switch, escaped};
use crate::scope::{ScopeFault, ScopeSet};
use crate::secret::Secret;
use crate::time::Timestamp;

/// Most bytes of one token.
pub const LONGEST_TOKEN: usize = 32 * 1024;
/// Longest lifetime that is believed: ten years.
pub const LONGEST_LIFETIME: Duration = Duration::from_secs(315_360_000);

/// The one-time credential that is spent.
#[derive(Clone, Copy, Debug)]
pub enum GrantRequest<'a> {
    /// A code, at most once (TOK-04).
    Code {
        /// The code.
        code: &'a Secret,
        /// The verifier of the challenge that was sent (PKCE-06).
        verifier: &'a Secret,
        /// The one of the authorization request (TOK-02).
        redirect_uri: &'a str,
    },
    /// A refresh token (REF-01).
    Refresh {
        /// The token.
        refresh_token: &'a Secret,
        /// Never more than was granted (REF-02); `None` for the same.
        scope: Option<&'a ScopeSet>,
    },
}

/// Writes a token request. The endpoint is the recorded one (TOK-03), the resource the recorded
/// one (RES-08).
///
/// # Errors
/// `client_auth_unsupported` if the credentials do not suit their method; nothing is sent then.
pub fn token_request(
    endpoint: &ServerUrl,
    grant: GrantRequest<'_>,
    resource: Option<&str>,
    credentials: &Credentials,
) -> Result<Request<Vec<u8>>, Failure> {
    let mut body = String::with_capacity(room(grant, resource, credentials));
    match grant {
        GrantRequest::Code { code, verifier, redirect_uri } => {
            form::append(&mut body, "grant_type", "authorization_code");
            form::append(&mut body, "code", code.expose());
            form::append(&mut body, "code_verifier", verifier.expose());
            form::append(&mut body, "redirect_uri", redirect_uri);
        }
        GrantRequest::Refresh { refresh_token, scope } => {
            form::append(&mut body, "grant_type", "refresh_token");
            form::append(&mut body, "refresh_token", refresh_token.expose());
            if let Some(scope) = scope.filter(|scope| !scope.is_empty()) {
                form::append(&mut body, "scope", scope.as_str());
            }
        }
    }
    if let Some(resource) = resource {
        form::append(&mut body, "resource", resource);
    }
    let mut headers = HeaderMap::with_capacity(3);
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    authenticate(credentials, &mut body, &mut headers)?;
    request(endpoint, http::Method::POST, headers, body.into_bytes())
}

/// Enough for every value escaped, so that no copy of a secret is left behind by growing.
fn room(grant: GrantRequest<'_>, resource: Option<&str>, credentials: &Credentials) -> usize {
    let values = match grant {
        GrantRequest::Code { code, verifier, redirect_uri } => {
            code.expose().len() + verifier.expose().len() + redirect_uri.len()
        }
        GrantRequest::Refresh { refresh_token, scope } => {
            refresh_token.expose().len() + scope.map_or(0, |scope| scope.as_str().len())
        }
    };
    let secret = credentials.secret.as_ref().map_or(0, |secret| secret.expose().len());
    let values = values + resource.map_or(0, str::len) + credentials.client_id.len() + secret;
    values.saturating_mul(3).saturating_add(160)
}

/// How an answer is read.
#[derive(Clone, Copy, Debug)]
pub struct TokenRules<'a> {
    /// A missing `token_type` is refused before use (D7).
    pub strict: bool,
    /// A code was spent, not a refresh token: what is unclear is the end of the login (HOST-219).
    pub code: bool,
    /// Reads dates in `Retry-After`.
    pub now: Timestamp,
    /// The secrets that were sent, so that a server cannot echo them into an error (HOST-303).
    pub sent: &'a [&'a Secret],
}

/// What was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Opaque (RES-10); fit for a header (TOK-11).
    pub access_token: Secret,
    /// A new refresh token; `None` leaves the old one (REF-03).
    pub refresh_token: Option<Secret>,
    /// From receipt; zero if it expires at once, `None` if unknown (TOK-08).
    pub lifetime: Option<Duration>,
    /// The scopes granted, if they are named (SCOPE-12).
    pub scope: Option<ScopeSet>,
    /// Whether `token_type` was there; a missing one is Bearer (D7).
    pub type_named: bool,
    /// What was odd, to be noted.
    pub notes: Vec<Failure>,
}

/// A refusal, or an answer that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRefusal {
    /// What happened.
    pub failure: Failure,
    /// A well-formed refresh token of a status 200 answer, whatever else is wrong with it: save it
    /// in place of the one that was spent (REF-03).
    pub rescued: Option<Secret>,
    /// What was granted but may not be used, in strict mode without `token_type` (D7).
    pub granted: Option<Box<Tokens>>,
    /// The server's own error code.
    pub error: Option<ErrorCode>,
}

impl From<Failure> for TokenRefusal {
    fn from(failure: Failure) -> Self {
        Self { failure, rescued: None, granted: None, error: None }
    }
}

macro_rules! error_codes {
    ($($name:ident $code:literal $kind:ident $text:literal;)*) => {
        /// The registered error codes of a token endpoint (TOK-12).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(#[doc = $text] $name,)*
            /// Any other text; it is not kept (HOST-218).
            Other,
        }

        impl ErrorCode {
            /// The code on the wire, `other` for those not known.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $code,)* Self::Other => "other" }
            }

            fn read(text: &str) -> Self {
                match text { $($code => Self::$name,)* _ => Self::Other }
            }

            const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* Self::Other => Kind::ServerError }
            }
        }
    };
}

error_codes! {
    InvalidRequest "invalid_request" ServerError "The request is malformed.";
    InvalidClient "invalid_client" ClientRejected "The client is unknown or proved nothing.";
    InvalidGrant "invalid_grant" GrantRejected "The code or refresh token is refused for good.";
    UnauthorizedClient "unauthorized_client" ClientRejected "The client may not use this grant.";
    UnsupportedGrantType "unsupported_grant_type" ServerError "The grant is not supported.";
    InvalidScope "invalid_scope" ServerError "A scope is unknown or too much.";
    InvalidTarget "invalid_target" ServerError "The resource is unknown (RES-09).";
    UseDpopNonce "use_dpop_nonce" ServerError "The proof needs a nonce.";
    InvalidDpopProof "invalid_dpop_proof" ServerError "The proof is refused.";
    AuthorizationPending "authorization_pending" ServerError "The person has not answered yet.";
    SlowDown "slow_down" ServerError "Polled too often.";
    ExpiredToken "expired_token" ServerError "The device code has expired.";
    AccessDenied "access_denied" ServerError "The person refused.";
    InsufficientUserAuthentication "insufficient_user_authentication" ServerError
        "The person must authenticate better.";
    TemporarilyUnavailable "temporarily_unavailable" ServerError "The server is overloaded.";
    Server "server_error" ServerError "The server failed.";
}

const NAMES: [&str; 7] = [
    "access_token",
    "token_type",
    "expires_in",
    "refresh_token",
    "scope",
    "error",
    "error_description",
];
const REFRESH_TOKEN: usize = 3;
const ERROR: usize = 5;
const ERROR_DESCRIPTION: usize = 6;

/// Reads the answer to a token request (TOK-05 to TOK-15, TOK-19). Whatever its media type: it
/// cannot be asked for again (HOST-060).
///
/// # Errors
/// [`TokenRefusal`]: `grant_rejected` and `client_rejected` are refusals for good; `transient` and
/// `outcome_unknown` are none and discard nothing; the rest is an answer that cannot be used. Save
/// what was rescued first.
pub fn read_tokens(
    response: &Response<Vec<u8>>,
    rules: &TokenRules<'_>,
) -> Result<Tokens, TokenRefusal> {
    let status = response.status().as_u16();
    match status {
        200 | 201 if is_encoded(response.headers()) => {
            Err(Failure::new(Kind::EncodingRefused, "HOST-066").into())
        }
        200 => read_success(response.body(), rules),
        // Not what the RFC says, but the code is spent and the tokens are there.
        201 if !rules.strict => read_success(response.body(), rules),
        304 => Err(invalid("HOST-057").into()),
        300..=399 => Err(Failure::new(Kind::RedirectRefused, "TOK-05").into()),
        408 | 429 | 500..=599 => Err(read_outage(response, status, rules)),
        400..=499 => Err(read_error(response.body(), status, rules)),
        _ => Err(invalid("TOK-06").into()),
    }
}

fn invalid(rule: &'static str) -> Failure {
    Failure::new(Kind::TokenResponseInvalid, rule)
}

/// A server that cannot answer now may have spent the code; only 429 and 503 are plain refusals
/// to look at it (TOK-15, HOST-219).
fn read_outage(
    response: &Response<Vec<u8>>,
    status: u16,
    rules: &TokenRules<'_>,
) -> TokenRefusal {
    let (error, said) = match read_members(response.body(), &NAMES) {
        Ok(members) => said(&members, status, rules),
        Err(_) => (None, nothing_said(status)),
    };
    let failure = if rules.code && !matches!(status, 429 | 503) {
        Failure::new(Kind::OutcomeUnknown, "HOST-219")
    } else {
        let after = read_retry_after(response.headers(), rules.now);
        Failure::new(Kind::Transient, "TOK-15").with_remedy(Remedy::Retry { after })
    };
    TokenRefusal { error, ..failure.with_said(said).into() }
}

fn read_error(body: &[u8], status: u16, rules: &TokenRules<'_>) -> TokenRefusal {
    let (error, said) = match read_members(body, &NAMES) {
        Ok(members) => said(&members, status, rules),
        Err(_) => (None, nothing_said(status)),
    };
    TokenRefusal { error, ..refused(error).with_said(said).into() }
}

fn refused(error: Option<ErrorCode>) -> Failure {
    let failure = Failure::new(error.map_or(Kind::ServerError, ErrorCode::kind), "TOK-12");
    match error {
        Some(ErrorCode::TemporarilyUnavailable) => {
            failure.with_remedy(Remedy::Retry { after: None })
        }
        Some(ErrorCode::InvalidTarget) => failure.with_switch(Switch::ResourceParameter),
        _ => failure,
    }
}

fn nothing_said(status: u16) -> Said {
    Said { error: ErrorCode::Other.name().to_owned(), description: None, status: Some(status) }
}

fn said<const N: usize>(
    members: &Members<'_, N>,
    status: u16,
    rules: &TokenRules<'_>,
) -> (Option<ErrorCode>, Said) {
    let text = |index| members.once(index).and_then(Value::text);
    let error = text(ERROR).map(|error| ErrorCode::read(&error));
    let description = text(ERROR_DESCRIPTION).map(|text| escaped(&redacted(text, rules.sent)));
    let name = error.unwrap_or(ErrorCode::Other).name().to_owned();
    (error, Said { error: name, description, status: Some(status) })
}

/// A server may echo what it was sent, as it was sent or decoded.
fn redacted<'a>(text: Cow<'a, str>, sent: &[&Secret]) -> Cow<'a, str> {
    let mut text = text;
    for secret in sent.iter().map(|secret| secret.expose()).filter(|secret| !secret.is_empty()) {
        let mut coded = String::new();
        form::encode(&mut coded, secret);
        for echo in [secret, coded.as_str()] {
            if text.contains(echo) {
                text = Cow::Owned(text.replace(echo, "[redacted]"));
            }
        }
    }
    text
}

fn read_success(body: &[u8], rules: &TokenRules<'_>) -> Result<Tokens, TokenRefusal> {
    let members = read_members(body, &NAMES).map_err(|fault| unreadable(fault, body, rules))?;
    let mut notes = Vec::new();
    let rescued = read_refresh_token(members.once(REFRESH_TOKEN), &mut notes);
    if let Some(error) = members.once(ERROR).filter(|error| !is_blank(*error)) {
        let failure = refusal_in_success(&members, error, rules);
        return Err(TokenRefusal { rescued, ..failure });
    }
    match read_granted(members, rules, notes) {
        Err(failure) => Err(TokenRefusal { rescued, ..failure.into() }),
        Ok(tokens) => {
            let tokens = Tokens { refresh_token: rescued, ..tokens };
            if tokens.type_named || !rules.strict {
                return Ok(tokens);
            }
            let failure = Failure::new(Kind::TokenTypeUnsupported, "TOK-06")
                .with_subject("token_type")
                .with_switch(Switch::MissingTokenType);
            let rescued = tokens.refresh_token.clone();
            Err(TokenRefusal { rescued, granted: Some(Box::new(tokens)), ..failure.into() })
        }
    }
}

/// Some servers answer `"error": ""` beside their tokens.
fn is_blank(value: Value<'_>) -> bool {
    value == Value::Bool(false) || value.text().is_some_and(|text| text.is_empty())
}

/// What cannot be parsed may be the wreck of a good answer: a rotation may have happened.
fn unreadable(fault: JsonFault, body: &[u8], rules: &TokenRules<'_>) -> TokenRefusal {
    if !rules.code && matches!(fault, JsonFault::Malformed | JsonFault::NotAnObject) {
        return Failure::new(Kind::OutcomeUnknown, "HOST-226").into();
    }
    if body.trim_ascii().is_empty() {
        return invalid("HOST-057").into();
    }
    fault.failure(Kind::TokenResponseInvalid, "token answer").into()
}

/// Status 200 with `error`: that error if nothing was granted beside it (TOK-13), else nonsense
/// (HOST-215).
fn refusal_in_success<const N: usize>(
    members: &Members<'_, N>,
    error: Value<'_>,
    rules: &TokenRules<'_>,
) -> TokenRefusal {
    if members.once(0).is_some() || error.text().is_none() {
        return invalid("HOST-215").with_subject("error").into();
    }
    let (error, said) = said(members, 200, rules);
    TokenRefusal { error, ..refused(error).with_said(said).into() }
}

fn read_granted<const N: usize>(
    members: Members<'_, N>,
    rules: &TokenRules<'_>,
    mut notes: Vec<Failure>,
) -> Result<Tokens, Failure> {
    let repeats = |fault: JsonFault| fault.failure(Kind::TokenResponseInvalid, "token answer");
    let members = members.unique().map_err(repeats)?;
    let mut members = members.into_iter();
    let mut next = || members.next().flatten();
    let (token, token_type, expires_in, _, scope) = (next(), next(), next(), next(), next());
    let access_token = token
        .and_then(Value::text)
        .filter(|token| !token.is_empty())
        .ok_or_else(|| invalid("TOK-06").with_subject("access_token"))?;
    if !is_token(&access_token) {
        return Err(Failure::new(Kind::TokenMalformed, "TOK-11").with_subject("access_token"));
    }
    let bearer = |value: Value<'_>| {
        value.text().is_some_and(|name| name.eq_ignore_ascii_case("Bearer"))
    };
    if !token_type.is_none_or(bearer) {
        return Err(
            Failure::new(Kind::TokenTypeUnsupported, "TOK-07").with_subject("token_type")
        );
    }
    if token_type.is_none() && !rules.strict {
        notes.push(
            Failure::new(Kind::TokenTypeUnsupported, "TOK-06")
                .with_subject("token_type")
                .with_switch(Switch::MissingTokenType),
        );
    }
    Ok(Tokens {
        access_token: Secret::new(access_token),
        refresh_token: None,
        lifetime: expires_in.and_then(read_lifetime),
        scope: scope.and_then(|scope| read_scope(scope, &mut notes)),
        type_named: token_type.is_some(),
        notes,
    })
}

/// 0x21 to 0x7E: nothing that could end a header line (TOK-11, HOST-207).
fn is_token(text: &str) -> bool {
    (1..=LONGEST_TOKEN).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, 0x21..=0x7E))
}

/// An unusable refresh token counts as none, so that it cannot replace a good one (HOST-213).
fn read_refresh_token(value: Option<Value<'_>>, notes: &mut Vec<Failure>) -> Option<Secret> {
    let text = value?.text();
    if let Some(token) = text.as_ref().filter(|token| is_token(token)) {
        return Some(Secret::new(token.as_ref()));
    }
    if text.is_none_or(|text| !text.is_empty()) {
        notes.push(Failure::new(Kind::TokenMalformed, "TOK-11").with_subject("refresh_token"));
    }
    None
}

/// A number or a string of digits; everything else is unknown (TOK-08, HOST-202 to HOST-205).
fn read_lifetime(value: Value<'_>) -> Option<Duration> {
    let seconds = match value {
        Value::Number(text) => text.parse::<f64>().ok()?,
        Value::Text(text) => {
            let text = text.read();
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if !digits {
                return None;
            }
            text.parse::<f64>().ok()?
        }
        _ => return None,
    };
    // A cast of a float saturates, and cuts fractions.
    Some(Duration::from_secs(seconds as u64).min(LONGEST_LIFETIME))
}

/// Never a reason to refuse tokens: what cannot be read is cut, with a note (HOST-212).
fn read_scope(value: Value<'_>, notes: &mut Vec<Failure>) -> Option<ScopeSet> {
    let mut set = ScopeSet::empty();
    let mut fault = None;
    let mut add = |token: &str| match set.insert(token) {
        Err(found) if !token.is_empty() => fault = Some(found),
        _ => {}
    };
    match value {
        Value::Text(text) => {
            let text = text.read();
            let separator = if text.contains(' ') { ' ' } else { ',' };
            text.split(separator).for_each(&mut add);
        }
        Value::List(list) => {
            for text in list.iter().filter_map(Value::text) {
                text.split(' ').for_each(&mut add);
            }
        }
        _ => fault = Some(ScopeFault::Alphabet),
    }
    if let Some(fault) = fault {
        let kind = match fault {
            ScopeFault::Limit => Kind::LimitExceeded,
            ScopeFault::Alphabet => Kind::TokenResponseInvalid,
        };
        notes.push(Failure::new(kind, "TOK-19").with_subject("scope"));
    }
    Some(set).filter(|set| !set.is_empty())
}

impl fmt::Display for TokenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}
