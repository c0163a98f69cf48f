//! The token request and its answer (RFC 6749 §4.1.3, §5, §6, TOK rows).
//!
//! Decides what is sent and what came back. It is strict before spending and lenient after: the
//! credential that was sent is one-time, so an answer is read as generously as is safe, and a
//! refresh token in it is never thrown away (REF-03). Refuses to decide what a refusal means for
//! the record.

mod request;
mod values;

use core::fmt;
use core::time::Duration;

use http::Response;

pub use self::request::{GrantRequest, token_request};
pub use self::values::{LONGEST_LIFETIME, LONGEST_TOKEN};
use self::values::{is_empty, is_token, read_lifetime, read_refresh_token, read_scope};
use super::json::{JsonFault, Value};
use super::members::{Named, members, read_members};
use super::redact::echoes;
use super::retry_after::read_retry_after;
use super::said::{Words, is_blank};
use super::salvage::{Salvaged, salvage};
use super::shape::is_encoded;
use crate::failure::{Failure, Kind, Remedy, Said, Switch};
use crate::scope::ScopeSet;
use crate::secret::{self, AccessToken, Secret};
use crate::time::Timestamp;

/// A shorter secret may be an ordinary word, and so a scope's name.
const SHORTEST_SECRET: usize = 16;

/// How an answer is read.
#[derive(Clone, Copy, Debug)]
pub struct TokenRules<'a> {
    /// True if a missing `token_type` is refused before use (D7).
    pub strict: bool,
    /// True if a code was spent, not a refresh token: an unclear answer is then the end of the
    /// login (HOST-219).
    pub code: bool,
    /// The time by which dates in `Retry-After` are read.
    pub now: Timestamp,
    /// The secrets that were sent, so that a server cannot echo them into an error (HOST-303).
    pub sent: &'a [&'a Secret],
    /// The other secrets that the session holds: a server that knows them could name them as well
    /// (HOST-324).
    pub held: &'a [&'a Secret],
    /// The refresh token that was sent, which may come back as such.
    pub spent: Option<&'a Secret>,
}

impl TokenRules<'_> {
    /// All secrets that no text of the answer may repeat.
    fn secrets(&self) -> Vec<&Secret> {
        self.sent.iter().chain(self.held).copied().collect()
    }
}

/// The tokens that were granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The access token, opaque (RES-10) and fit for a header (TOK-11).
    pub access_token: AccessToken,
    /// A new refresh token; `None` leaves the old one (REF-03).
    pub refresh_token: Option<Secret>,
    /// The lifetime from receipt; zero if it expires at once, `None` if unknown (TOK-08).
    pub lifetime: Option<Duration>,
    /// The scopes granted, if they are named (SCOPE-12).
    pub scope: Option<ScopeSet>,
    /// True if `token_type` was there; a missing one is Bearer (D7).
    pub type_named: bool,
    /// The oddities, to be noted.
    pub notes: Vec<Failure>,
}

/// A refusal, or an answer that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRefusal {
    /// The failure to report.
    pub failure: Failure,
    /// A well-formed refresh token of a status 200 answer, whatever else is wrong with it: save it
    /// in place of the one that was spent (REF-03).
    pub rescued: Option<Secret>,
    /// The tokens that were granted but may not be used, in strict mode without `token_type` (D7).
    pub granted: Option<Box<Tokens>>,
    /// The server's own error code.
    pub error: Option<ErrorCode>,
    /// The oddities, to be noted.
    pub notes: Vec<Failure>,
    pub(crate) definite: bool,
}

impl TokenRefusal {
    /// Returns true if the server has looked at the request and refused it, in whatever words
    /// (REF-90). A trouble that may pass is no such refusal, nor is one that came with a token.
    #[must_use]
    pub fn definite(&self) -> bool {
        self.definite && !self.brought()
    }

    /// Returns true if the client is refused: its registration may be forgotten (REG-21).
    #[must_use]
    pub fn client_unknown(&self) -> bool {
        matches!(self.error, Some(ErrorCode::InvalidClient | ErrorCode::UnauthorizedClient))
    }

    /// Returns true if a token came with the refusal, which cannot be asked for again.
    #[must_use]
    pub fn brought(&self) -> bool {
        self.rescued.is_some() || self.granted.is_some()
    }
}

impl From<Failure> for TokenRefusal {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            rescued: None,
            granted: None,
            error: None,
            notes: Vec::new(),
            definite: false,
        }
    }
}

macro_rules! error_codes {
    ($($name:ident $code:literal $kind:ident $text:literal;)*) => {
        /// The registered error codes of a token endpoint (TOK-12).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(#[doc = $text] $name,)*
            /// Any other text; it is kept for the person alone (HOST-218).
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
    UnsupportedTokenType "unsupported_token_type" ServerError "Such a token cannot be revoked.";
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

members! {
    /// The members of an answer that are read.
    Answer { access_token, token_type, expires_in, refresh_token, scope, error }
}

/// Reads the answer to a token request (TOK-05 to TOK-15, TOK-19). The answer is read whatever its
/// media type, since it cannot be asked for again (HOST-060).
///
/// # Errors
/// [`TokenRefusal`]: `grant_rejected` and `client_rejected` are refusals for good; `transient` and
/// `outcome_unknown` are none and discard nothing; the rest is an answer that cannot be used. Save
/// what was rescued first.
pub fn read_tokens(
    response: &Response<Vec<u8>>,
    rules: &TokenRules<'_>,
) -> Result<Tokens, TokenRefusal> {
    match response.status().as_u16() {
        // The RFC names only the first of these. But the credential that was sent is spent, and the
        // tokens are there (D19).
        status @ 200..=203 => read_success(response, status, rules),
        status => Err(read_refusal(response, status, rules)),
    }
}

/// Reads a success whose body was cut off. Only a refresh token that came whole counts (D19).
pub fn read_cut(response: &Response<Vec<u8>>) -> Option<Secret> {
    let granted = (200..=203).contains(&response.status().as_u16());
    let found = granted.then(|| salvage(response.body(), &Answer::NAMES)).flatten()?;
    read_refresh_token(Answer::of(&found.members).refresh_token, &mut Vec::new())
}

/// Reads an answer that grants nothing, by its status.
pub(super) fn read_refusal(
    response: &Response<Vec<u8>>,
    status: u16,
    rules: &TokenRules<'_>,
) -> TokenRefusal {
    match status {
        304 => invalid("HOST-057").into(),
        300..=399 => Failure::new(Kind::RedirectRefused, "TOK-05").into(),
        408 | 429 | 500..=599 => read_outage(response, status, rules),
        400..=499 => read_error(response.body(), status, rules),
        _ => invalid("TOK-06").into(),
    }
}

fn invalid(rule: &'static str) -> Failure {
    Failure::new(Kind::TokenResponseInvalid, rule)
}

/// A server that cannot answer now may have spent the code; only 429 and 503 are plain refusals
/// to look at it (TOK-15, HOST-219).
fn read_outage(response: &Response<Vec<u8>>, status: u16, rules: &TokenRules<'_>) -> TokenRefusal {
    let failure = if rules.code && !matches!(status, 429 | 503) {
        Failure::new(Kind::OutcomeUnknown, "HOST-219")
    } else {
        let after = read_retry_after(response.headers(), rules.now);
        Failure::new(Kind::Transient, "TOK-15").with_remedy(Remedy::Retry { after })
    };
    told(|_| failure, Words::read(response.body(), &rules.secrets()), status, rules)
}

fn read_error(body: &[u8], status: u16, rules: &TokenRules<'_>) -> TokenRefusal {
    told(refused, Words::read(body, &rules.secrets()), status, rules)
}

/// A refusal with the server's words about it (TOK-12, TOK-90).
fn told(
    failure: impl FnOnce(Option<ErrorCode>) -> Failure,
    words: Words,
    status: u16,
    rules: &TokenRules<'_>,
) -> TokenRefusal {
    let error = words.error.as_deref().map(ErrorCode::read);
    let code = error.unwrap_or(ErrorCode::Other);
    let definite = words.definite() && matches!(status, 200 | 400 | 401 | 403 | 404 | 410 | 422);
    let said = Said {
        error: code.name().to_owned(),
        description: words.description(code != ErrorCode::Other, &rules.secrets()),
        status: Some(status),
    };
    TokenRefusal { error, definite, ..failure(error).with_said(said).into() }
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

/// The members of an answer, and the oddities of its form.
struct Found<'a> {
    answer: Answer<'a>,
    /// True if the object's end was read.
    whole: bool,
    /// True if a member that was not found is certainly absent.
    certain: bool,
    oddities: Vec<Failure>,
}

/// Reads the members of a success as far as they can be read (D19, HOST-320).
fn find(response: &Response<Vec<u8>>, status: u16) -> Result<Found<'_>, JsonFault> {
    let mut oddities = Vec::new();
    if status != 200 {
        oddities.push(invalid("HOST-320").with_subject("status"));
    }
    if is_encoded(response.headers()) {
        let failure = Failure::new(Kind::EncodingRefused, "HOST-320");
        oddities.push(failure.with_subject("content-encoding"));
    }
    let fault = match read_members(response.body(), &Answer::NAMES) {
        Ok(members) if members.clear() => {
            return Ok(Found {
                answer: Answer::of(&members),
                whole: true,
                certain: true,
                oddities,
            });
        }
        Ok(_) => JsonFault::Repeated,
        Err(fault) => fault,
    };
    let found = salvage(response.body(), &Answer::NAMES).ok_or(fault)?;
    let kind = Kind::TokenResponseInvalid;
    oddities.push(Failure::new(fault.kind(kind), "HOST-320").with_subject("token answer"));
    let Salvaged { members, whole, certain } = found;
    Ok(Found { answer: Answer::of(&members), whole, certain, oddities })
}

fn read_success(
    response: &Response<Vec<u8>>,
    status: u16,
    rules: &TokenRules<'_>,
) -> Result<Tokens, TokenRefusal> {
    let found = find(response, status).map_err(|fault| unreadable(fault, response, rules))?;
    let mut notes = found.oddities.clone();
    let rescued = read_refresh_token(found.answer.refresh_token, &mut notes)
        .filter(|token| !is_echo(token.expose(), rules, rules.spent, "refresh_token", &mut notes));
    let oddities = &notes.clone();
    let refusal = |refusal: TokenRefusal| TokenRefusal {
        rescued: rescued.clone(),
        notes: oddities.clone(),
        ..refusal
    };
    let Answer { access_token, error, .. } = found.answer;
    if !access_token.came
        && let Some(refused) = refusal_in_success(response.body(), status, rules)
    {
        return Err(refusal(refused));
    }
    if error.clashes || error.value.is_some_and(|error| !is_blank(error)) {
        // The answer is nonsense: it both grants and refuses (HOST-215).
        return Err(refusal(invalid("HOST-215").with_subject("error").into()));
    }
    let mut tokens =
        read_granted(&found, rules, notes).map_err(|failure| refusal(failure.into()))?;
    tokens.refresh_token.clone_from(&rescued);
    drop_scopes_of_secrets(&mut tokens, rules);
    let refused = if !tokens.type_named {
        Failure::new(Kind::TokenTypeUnsupported, "TOK-06")
            .with_subject("token_type")
            .with_switch(Switch::MissingTokenType)
    } else if let Some(oddity) = found.oddities.into_iter().next() {
        oddity
    } else {
        return Ok(tokens);
    };
    if !rules.strict {
        return Ok(tokens);
    }
    // Strict uses none of the tokens, and nobody can ask for them again (D7).
    Err(TokenRefusal { granted: Some(Box::new(tokens)), ..refusal(refused.into()) })
}

/// Returns true if a token is a secret that we sent in another role. The server has then confused
/// its members, and the text is no token (HOST-320).
fn is_echo(
    token: &str,
    rules: &TokenRules<'_>,
    as_such: Option<&Secret>,
    name: &str,
    notes: &mut Vec<Failure>,
) -> bool {
    let same = |sent: &Secret| secret::same(sent.expose().as_bytes(), token.as_bytes());
    let echo = !as_such.is_some_and(same) && rules.sent.iter().any(|sent| same(sent));
    if echo {
        notes.push(invalid("HOST-320").with_subject(name));
    }
    echo
}

/// An answer that cannot be parsed may be the wreck of a good one: a rotation may have happened.
fn unreadable(
    fault: JsonFault,
    response: &Response<Vec<u8>>,
    rules: &TokenRules<'_>,
) -> TokenRefusal {
    let body = response.body();
    if is_encoded(response.headers()) {
        return Failure::new(Kind::EncodingRefused, "HOST-066").into();
    }
    if !rules.code && matches!(fault, JsonFault::Malformed | JsonFault::NotAnObject) {
        return Failure::new(Kind::OutcomeUnknown, "HOST-226").into();
    }
    if body.trim_ascii().is_empty() {
        return invalid("HOST-057").into();
    }
    fault.failure(Kind::TokenResponseInvalid, "token answer").into()
}

/// The refusal in a success without an access token, if the server says that there is an error
/// (TOK-13, REF-90).
fn refusal_in_success(body: &[u8], status: u16, rules: &TokenRules<'_>) -> Option<TokenRefusal> {
    let words = Words::read(body, &rules.secrets());
    words.refuses().then(|| told(refused, words, status, rules))
}

fn read_granted(
    found: &Found<'_>,
    rules: &TokenRules<'_>,
    mut notes: Vec<Failure>,
) -> Result<Tokens, Failure> {
    let Answer { access_token, token_type, expires_in, scope, .. } = found.answer;
    if !found.whole {
        // The part that was cut off may have been a refusal.
        return Err(if rules.code {
            JsonFault::Malformed.failure(Kind::TokenResponseInvalid, "token answer")
        } else {
            Failure::new(Kind::OutcomeUnknown, "HOST-226")
        });
    }
    if access_token.clashes || token_type.clashes {
        let failure = Failure::new(Kind::JsonDuplicateKey, "HOST-078");
        return Err(failure.with_subject("token answer"));
    }
    let access_token = access_token
        .value
        .and_then(Value::text)
        .filter(|token| !token.is_empty())
        .ok_or_else(|| invalid("TOK-06").with_subject("access_token"))?;
    if !is_token(&access_token) {
        return Err(Failure::new(Kind::TokenMalformed, "TOK-11").with_subject("access_token"));
    }
    if is_echo(&access_token, rules, None, "access_token", &mut notes) {
        return Err(invalid("HOST-320").with_subject("access_token"));
    }
    let token_type = token_type.value.filter(|value| !is_empty(*value));
    let bearer =
        |value: Value<'_>| value.text().is_some_and(|name| name.eq_ignore_ascii_case("Bearer"));
    if !token_type.map_or(found.certain, bearer) {
        return Err(Failure::new(Kind::TokenTypeUnsupported, "TOK-07").with_subject("token_type"));
    }
    if token_type.is_none() && !rules.strict {
        notes.push(
            Failure::new(Kind::TokenTypeUnsupported, "TOK-06")
                .with_subject("token_type")
                .with_switch(Switch::MissingTokenType),
        );
    }
    Ok(Tokens {
        access_token: AccessToken::new(&access_token),
        refresh_token: None,
        lifetime: expires_in.value.and_then(read_lifetime),
        scope: scope.value.and_then(|scope| read_scope(scope, &mut notes)),
        type_named: token_type.is_some(),
        notes,
    })
}

/// Drops the scopes if one repeats a secret (HOST-303). Scopes are shown and stored in the open,
/// and a server may make one of a secret that it was sent or has just issued.
fn drop_scopes_of_secrets(tokens: &mut Tokens, rules: &TokenRules<'_>) {
    let Some(set) = tokens.scope.as_ref().map(ScopeSet::as_str) else { return };
    let refresh = tokens.refresh_token.as_ref();
    let sent = rules.sent.iter().chain(rules.held).copied();
    let known = sent.chain(refresh).map(Secret::expose);
    let mut secrets = known.chain([tokens.access_token.expose()]);
    if secrets.any(|secret| secret.len() >= SHORTEST_SECRET && echoes(set, secret)) {
        tokens.scope = None;
        tokens.notes.push(Failure::new(Kind::TokenResponseInvalid, "TOK-19").with_subject("scope"));
    }
}

impl fmt::Display for TokenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

#[cfg(test)]
mod tests;
