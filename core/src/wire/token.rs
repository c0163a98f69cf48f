//! The token request and its answer (RFC 6749 §4.1.3, §5, §6, TOK rows).
//!
//! Decides what is sent and what came back. Strict before spending, lenient after: what was sent
//! is one-time, so an answer is read as generously as is safe, and a refresh token in it is never
//! thrown away (REF-03). Refuses to decide what a refusal means for the record.

use core::fmt;
use core::time::Duration;

use http::{Request, Response};

use super::client_auth::{Credentials, post_form, roomy_form};
use super::form;
use super::json::{JsonFault, Members, Value, read_members};
use super::redact::echoes;
use super::retry_after::read_retry_after;
use super::said::{Words, is_blank};
use super::salvage::{Salvaged, salvage};
use super::shape::is_encoded;
use super::url::ServerUrl;
use crate::failure::{Failure, Kind, Remedy, Said, Switch};
use crate::scope::{ScopeFault, ScopeSet};
use crate::secret::{self, AccessToken, Secret};
use crate::time::Timestamp;

/// Most bytes of one token.
pub const LONGEST_TOKEN: usize = 32 * 1024;
/// Longest lifetime that is believed: ten years.
pub const LONGEST_LIFETIME: Duration = Duration::from_secs(315_360_000);

/// What is shorter may be an ordinary word, and so a scope's name.
const SHORTEST_SECRET: usize = 16;

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
    let mut body = roomy_form(length(grant, resource), credentials);
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
    post_form(endpoint, body, credentials)
}

/// How long the values are.
fn length(grant: GrantRequest<'_>, resource: Option<&str>) -> usize {
    let values = match grant {
        GrantRequest::Code { code, verifier, redirect_uri } => {
            code.expose().len() + verifier.expose().len() + redirect_uri.len()
        }
        GrantRequest::Refresh { refresh_token, scope } => {
            refresh_token.expose().len() + scope.map_or(0, |scope| scope.as_str().len())
        }
    };
    values + resource.map_or(0, str::len)
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
    /// The other secrets that the session holds: a server that knows them could name them as well
    /// (HOST-324).
    pub held: &'a [&'a Secret],
    /// The refresh token that was sent, which may come back as such.
    pub spent: Option<&'a Secret>,
}

impl TokenRules<'_> {
    /// Everything that no text of the answer may repeat.
    fn secrets(&self) -> Vec<&Secret> {
        self.sent.iter().chain(self.held).copied().collect()
    }
}

/// What was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Opaque (RES-10); fit for a header (TOK-11).
    pub access_token: AccessToken,
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
    /// What was odd, to be noted.
    pub notes: Vec<Failure>,
    pub(crate) definite: bool,
}

impl TokenRefusal {
    /// Whether the server has looked at the request and refused it, in whatever words (REF-90): not a
    /// trouble that may pass, and nothing was granted beside it.
    #[must_use]
    pub fn definite(&self) -> bool {
        self.definite && !self.brought()
    }

    /// Whether something came beside the refusal that cannot be had again.
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

const NAMES: [&str; 6] =
    ["access_token", "token_type", "expires_in", "refresh_token", "scope", "error"];
const ACCESS_TOKEN: usize = 0;
const TOKEN_TYPE: usize = 1;
const EXPIRES_IN: usize = 2;
const REFRESH_TOKEN: usize = 3;
const SCOPE: usize = 4;
const ERROR: usize = 5;

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
    match response.status().as_u16() {
        // Not what the RFC says of the last three, but what was sent is spent, and the tokens are
        // there (D19).
        status @ 200..=203 => read_success(response, status, rules),
        status => Err(read_refusal(response, status, rules)),
    }
}

/// Reads a success whose body was cut off: all that counts is a refresh token that came whole (D19).
pub fn read_cut(response: &Response<Vec<u8>>) -> Option<Secret> {
    let granted = (200..=203).contains(&response.status().as_u16());
    let found = granted.then(|| salvage(response.body(), &NAMES)).flatten()?;
    read_refresh_token(found.members.once(REFRESH_TOKEN), &mut Vec::new())
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

/// A refusal with what the server said of it (TOK-12, TOK-90).
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

/// What an answer says, and what is odd about how it says it.
struct Found<'a> {
    members: Members<'a, { NAMES.len() }>,
    /// The object's end was read.
    whole: bool,
    /// A member that is not there is absent.
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
    let fault = match read_members(response.body(), &NAMES) {
        Ok(members) if members.clear() => {
            return Ok(Found { members, whole: true, certain: true, oddities });
        }
        Ok(_) => JsonFault::Repeated,
        Err(fault) => fault,
    };
    let found = salvage(response.body(), &NAMES).ok_or(fault)?;
    let kind = Kind::TokenResponseInvalid;
    oddities.push(Failure::new(fault.kind(kind), "HOST-320").with_subject("token answer"));
    let Salvaged { members, whole, certain } = found;
    Ok(Found { members, whole, certain, oddities })
}

fn read_success(
    response: &Response<Vec<u8>>,
    status: u16,
    rules: &TokenRules<'_>,
) -> Result<Tokens, TokenRefusal> {
    let found = find(response, status).map_err(|fault| unreadable(fault, response, rules))?;
    let mut notes = found.oddities.clone();
    let rescued = read_refresh_token(found.members.once(REFRESH_TOKEN), &mut notes)
        .filter(|token| !is_echo(token.expose(), rules, rules.spent, "refresh_token", &mut notes));
    let oddities = &notes.clone();
    let refusal = |refusal: TokenRefusal| TokenRefusal {
        rescued: rescued.clone(),
        notes: oddities.clone(),
        ..refusal
    };
    if !found.members.came(ACCESS_TOKEN)
        && let Some(refused) = refusal_in_success(response.body(), status, rules)
    {
        return Err(refusal(refused));
    }
    if found.members.clashes(ERROR)
        || found.members.once(ERROR).is_some_and(|error| !is_blank(error))
    {
        // Nonsense: both granted and refused (HOST-215).
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
    // Strict uses none of it, and nobody can ask for it again (D7).
    Err(TokenRefusal { granted: Some(Box::new(tokens)), ..refusal(refused.into()) })
}

/// Whether a token is what we sent in another role: then the server has confused its members, and what
/// it says is no token (HOST-320).
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

/// What cannot be parsed may be the wreck of a good answer: a rotation may have happened.
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

/// A success without an access token: what the server says of it, if it says that there is an error
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
    let members = &found.members;
    if !found.whole {
        // What was cut off may have been a refusal.
        return Err(if rules.code {
            JsonFault::Malformed.failure(Kind::TokenResponseInvalid, "token answer")
        } else {
            Failure::new(Kind::OutcomeUnknown, "HOST-226")
        });
    }
    if members.clashes(ACCESS_TOKEN) || members.clashes(TOKEN_TYPE) {
        let failure = Failure::new(Kind::JsonDuplicateKey, "HOST-078");
        return Err(failure.with_subject("token answer"));
    }
    let access_token = members
        .once(ACCESS_TOKEN)
        .and_then(Value::text)
        .filter(|token| !token.is_empty())
        .ok_or_else(|| invalid("TOK-06").with_subject("access_token"))?;
    if !is_token(&access_token) {
        return Err(Failure::new(Kind::TokenMalformed, "TOK-11").with_subject("access_token"));
    }
    if is_echo(&access_token, rules, None, "access_token", &mut notes) {
        return Err(invalid("HOST-320").with_subject("access_token"));
    }
    let token_type = members.once(TOKEN_TYPE).filter(|value| !is_empty(*value));
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
        lifetime: members.once(EXPIRES_IN).and_then(read_lifetime),
        scope: members.once(SCOPE).and_then(|scope| read_scope(scope, &mut notes)),
        type_named: token_type.is_some(),
        notes,
    })
}

/// An empty text counts as absent (TOK-90).
fn is_empty(value: Value<'_>) -> bool {
    value.text().is_some_and(|text| text.is_empty())
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

/// Scopes are shown and stored in the open, and a server may make one of what it was sent or has just
/// issued: then none of them is believed (HOST-303).
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
mod tests {
    use http::header::{ACCEPT, CONTENT_TYPE};

    use super::*;
    use crate::wire::client_auth::Method;
    use crate::wire::url::tests::server_url;

    fn rules() -> TokenRules<'static> {
        TokenRules {
            strict: false,
            code: true,
            now: Timestamp::from_unix(0),
            sent: &[],
            held: &[],
            spent: None,
        }
    }

    fn answer(status: u16, body: &str) -> Response<Vec<u8>> {
        let mut response = Response::new(body.as_bytes().to_vec());
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        response
    }

    fn read(status: u16, body: &str) -> Result<Tokens, TokenRefusal> {
        read_tokens(&answer(status, body), &rules())
    }

    fn code(result: &Result<Tokens, TokenRefusal>) -> &'static str {
        result.as_ref().err().map_or("ok", |refusal| refusal.failure.kind().code())
    }

    fn granted(members: &str) -> Result<Tokens, TokenRefusal> {
        read(200, &format!("{{\"access_token\":\"AT\",\"token_type\":\"Bearer\"{members}}}"))
    }

    fn public_client() -> Credentials {
        Credentials { client_id: "c".into(), secret: None, method: Method::None }
    }

    #[test]
    fn requests_tok_01_tok_02_ref_01_res_01_res_07_pkce_06_host_173() {
        let endpoint = server_url("https://as.example/token?tenant=1");
        let (one, two) = (Secret::new("c+d"), Secret::new("verifier"));
        let grant = GrantRequest::Code {
            code: &one,
            verifier: &two,
            redirect_uri: "http://127.0.0.1:5000/cb",
        };
        assert!(!format!("{grant:?}").contains("c+d"));
        let resource = Some("https://mcp.example/mcp");
        let request = token_request(&endpoint, grant, resource, &public_client()).unwrap();
        assert_eq!(request.method(), http::Method::POST);
        assert_eq!(request.uri().to_string(), "https://as.example/token?tenant=1");
        assert_eq!(request.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
        assert_eq!(request.headers()[ACCEPT], "application/json");
        assert_eq!(request.headers().len(), 2);
        assert_eq!(
            String::from_utf8(request.into_body()).unwrap(),
            "grant_type=authorization_code&code=c%2Bd&code_verifier=verifier\
             &redirect_uri=http%3A%2F%2F127.0.0.1%3A5000%2Fcb\
             &resource=https%3A%2F%2Fmcp.example%2Fmcp&client_id=c"
        );
        let refresh = GrantRequest::Refresh { refresh_token: &one, scope: None };
        let request = token_request(&endpoint, refresh, resource, &public_client()).unwrap();
        assert_eq!(
            String::from_utf8(request.into_body()).unwrap(),
            "grant_type=refresh_token&refresh_token=c%2Bd\
             &resource=https%3A%2F%2Fmcp.example%2Fmcp&client_id=c"
        );
        let scope = ScopeSet::read("a b").unwrap();
        let narrow = GrantRequest::Refresh { refresh_token: &one, scope: Some(&scope) };
        let basic = Credentials {
            client_id: "c".into(),
            secret: Some(Secret::new("s")),
            method: Method::SecretBasic,
        };
        let request = token_request(&endpoint, narrow, None, &basic).unwrap();
        assert!(request.headers()["authorization"].is_sensitive());
        assert_eq!(
            String::from_utf8(request.into_body()).unwrap(),
            "grant_type=refresh_token&refresh_token=c%2Bd&scope=a%20b"
        );
    }

    #[test]
    fn statuses_tok_05_tok_06_tok_12_to_tok_15_host_047_to_host_061_host_216_to_host_219() {
        let good = r#"{"access_token":"AT","token_type":"Bearer"}"#;
        for (status, body, on_code, on_refresh) in [
            (200, good, "ok", "ok"),
            (201, good, "ok", "ok"),
            (200, "", "token_response_invalid", "outcome_unknown"),
            (200, "<html>", "json_malformed", "outcome_unknown"),
            (200, "{\"access_token\":", "json_malformed", "outcome_unknown"),
            (200, "[]", "token_response_invalid", "outcome_unknown"),
            (202, good, "ok", "ok"),
            (203, good, "ok", "ok"),
            (204, "", "token_response_invalid", "token_response_invalid"),
            (206, good, "token_response_invalid", "token_response_invalid"),
            (304, "", "token_response_invalid", "token_response_invalid"),
            (301, "", "redirect_refused", "redirect_refused"),
            (307, good, "redirect_refused", "redirect_refused"),
            (308, "", "redirect_refused", "redirect_refused"),
            (200, r#"{"error":"invalid_grant"}"#, "grant_rejected", "grant_rejected"),
            (400, r#"{"error":"invalid_grant"}"#, "grant_rejected", "grant_rejected"),
            (401, r#"{"error":"invalid_client"}"#, "client_rejected", "client_rejected"),
            (400, r#"{"error":"unauthorized_client"}"#, "client_rejected", "client_rejected"),
            (400, r#"{"error":"invalid_scope"}"#, "server_error", "server_error"),
            (400, r#"{"error":"invalid_target"}"#, "server_error", "server_error"),
            (400, r#"{"error":"nobody_knows"}"#, "server_error", "server_error"),
            (400, r#"{"error":7}"#, "server_error", "server_error"),
            (400, "<html>", "server_error", "server_error"),
            (404, "", "server_error", "server_error"),
            (408, "", "outcome_unknown", "transient"),
            (429, "", "transient", "transient"),
            (500, "", "outcome_unknown", "transient"),
            (502, "<html>", "outcome_unknown", "transient"),
            (500, r#"{"error":"invalid_grant"}"#, "outcome_unknown", "transient"),
            (503, "", "transient", "transient"),
        ] {
            assert_eq!(code(&read(status, body)), on_code, "{status} {body}");
            let refresh = TokenRules { code: false, ..rules() };
            let found = read_tokens(&answer(status, body), &refresh);
            assert_eq!(code(&found), on_refresh, "{status} {body}");
        }
        let strict = TokenRules { strict: true, ..rules() };
        assert_eq!(code(&read_tokens(&answer(201, good), &strict)), "token_response_invalid");
        let mut waiting = answer(503, "");
        waiting.headers_mut().insert("retry-after", "7".parse().unwrap());
        let failure = read_tokens(&waiting, &rules()).unwrap_err().failure;
        assert_eq!(failure.remedy(), Remedy::Retry { after: Some(Duration::from_secs(7)) });
        let mut packed = answer(200, good);
        packed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        *packed.body_mut() = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xabV*".to_vec();
        assert_eq!(code(&read_tokens(&packed, &rules())), "encoding_refused");
    }

    /// The tokens are there, whatever else is wrong with the answer (D19).
    #[test]
    fn a_sloppy_answer_is_read_for_what_it_gives_host_320_ref_03_d19() {
        let good = r#""access_token":"AT","token_type":"Bearer","refresh_token":"RT""#;
        let deep = "[".repeat(40) + &"]".repeat(40);
        for (body, access, refresh) in [
            (format!("{{{good},\"x\":\"\\ud800\"}}"), Some("AT"), Some("RT")),
            (format!("{{{good},\"x\":\"a\nb\"}}"), Some("AT"), Some("RT")),
            (format!("{{{good}}}\0"), Some("AT"), Some("RT")),
            (format!("{{{good}}} done"), Some("AT"), Some("RT")),
            (format!("\u{feff}{{{good}}}"), Some("AT"), Some("RT")),
            (format!("{{\"x\":{deep},{good}}}"), Some("AT"), Some("RT")),
            (format!("{{{good},{good}}}"), Some("AT"), Some("RT")),
            (format!("{{{good},\"scope\":\"a\",\"scope\":\"b\"}}"), Some("AT"), Some("RT")),
            (format!("{{{good},\"refresh_token\":\"RU\"}}"), Some("AT"), None),
            (format!("{{{good},\"access_token\":\"AU\"}}"), None, Some("RT")),
            (format!("{{{good},\"token_type\":\"mac\"}}"), None, Some("RT")),
            (format!("{{{good},\"error\":\"x\",\"error\":\"\"}}"), None, Some("RT")),
            (format!("{{{good},\"error\":\"x\"}}\0"), None, Some("RT")),
            (format!("{{{good},\"error\":\"\"}}\0"), Some("AT"), Some("RT")),
            (format!("{{{good},\"x\":1"), None, Some("RT")),
            (format!("{{{good}"), None, Some("RT")),
            (format!("{{\"x\":{{{good}}}}}\0"), None, None),
            (format!("<script>{{{good}}}</script>"), None, None),
            // It may be there, and cannot be read.
            (
                r#"{"access_token":"AT","token_type;"mac","refresh_token":"RT"}"#.into(),
                None,
                Some("RT"),
            ),
            (
                r#"{"access_token":"AT","token_type":"b\ud800","refresh_token":"RT"}"#.into(),
                None,
                Some("RT"),
            ),
            (
                r#"{"access_token":"AT","refresh_token":"RT","x":"\ud800"}"#.into(),
                Some("AT"),
                Some("RT"),
            ),
            // What we sent, in another role.
            (
                r#"{"access_token":"SENT","token_type":"Bearer","refresh_token":"RT"}"#.into(),
                None,
                Some("RT"),
            ),
            (
                r#"{"access_token":"AT","token_type":"Bearer","refresh_token":"SENT"}"#.into(),
                Some("AT"),
                None,
            ),
            (
                r#"{"access_token":"OLD","token_type":"Bearer","refresh_token":"OLD"}"#.into(),
                None,
                Some("OLD"),
            ),
        ] {
            let (sent, old) = (Secret::new("SENT"), Secret::new("OLD"));
            for (code, strict) in [(false, false), (true, false), (false, true)] {
                let sent: &[&Secret] = &[&sent, &old];
                let rules = TokenRules { code, strict, sent, spent: Some(&old), ..rules() };
                let found = read_tokens(&answer(200, &body), &rules);
                let (kept, rescued) = match &found {
                    Ok(tokens) => (Some(tokens), tokens.refresh_token.as_ref()),
                    Err(refusal) => (refusal.granted.as_deref(), refusal.rescued.as_ref()),
                };
                let kept_access = kept.map(|tokens| tokens.access_token.expose());
                assert_eq!((kept_access, rescued.map(Secret::expose)), (access, refresh), "{body}");
                let noted = kept.is_none_or(|tokens| !tokens.notes.is_empty());
                assert!(noted, "{body}");
                assert!(!strict || found.is_err() || body.contains("SENT"), "{body}");
            }
        }
        for encoding in ["utf-8", "", "gzip"] {
            let mut odd = answer(200, &format!("{{{good}}}"));
            odd.headers_mut().insert("content-encoding", encoding.parse().unwrap());
            assert_eq!(code(&read_tokens(&odd, &rules())), "ok", "{encoding}");
        }
        let mut bytes = answer(202, &format!("{{{good},\"x\":\"?\"}}"));
        let at = bytes.body().iter().position(|byte| *byte == b'?').unwrap();
        bytes.body_mut()[at] = 0xff;
        let tokens = read_tokens(&bytes, &rules()).unwrap();
        assert_eq!((tokens.refresh_token, tokens.notes.len()), (Some(Secret::new("RT")), 2));
        assert_eq!(read_cut(&answer(200, &format!("{{{good},"))), Some(Secret::new("RT")));
        assert_eq!(read_cut(&answer(200, "{\"refresh_token\":\"R")), None);
        assert_eq!(read_cut(&answer(400, &format!("{{{good},"))), None);
    }

    #[test]
    fn any_media_type_will_do_host_060() {
        let mut response = answer(200, r#"{"access_token":"AT","token_type":"Bearer"}"#);
        assert!(read_tokens(&response, &rules()).is_ok());
        response.headers_mut().insert(CONTENT_TYPE, "text/plain".parse().unwrap());
        assert!(read_tokens(&response, &rules()).is_ok());
    }

    #[test]
    fn tokens_must_fit_a_header_tok_06_tok_10_tok_11_host_206_to_host_208_host_215_host_078() {
        let longest = format!("\"{}\"", "x".repeat(LONGEST_TOKEN));
        let too_long = format!("\"{}\"", "x".repeat(LONGEST_TOKEN + 1));
        for (token, expected) in [
            ("\"AT\"", "ok"),
            (longest.as_str(), "ok"),
            (too_long.as_str(), "token_malformed"),
            ("\"a\\r\\nb\"", "token_malformed"),
            ("\"a b\"", "token_malformed"),
            ("\"a\\u0000\"", "token_malformed"),
            ("\"a\\u007f\"", "token_malformed"),
            ("\"é\"", "token_malformed"),
            ("\"\"", "token_response_invalid"),
            ("7", "token_response_invalid"),
            ("null", "token_response_invalid"),
            ("[\"AT\"]", "token_response_invalid"),
            ("\"AT\",\"access_token\":\"BT\"", "json_duplicate_key"),
            ("\"AT\",\"error\":\"invalid_grant\"", "token_response_invalid"),
            ("\"AT\",\"error\":null", "ok"),
            ("\"AT\",\"error\":\"\"", "ok"),
        ] {
            // With a rotated refresh token beside it, which is saved whatever else is wrong.
            let body = format!(
                "{{\"refresh_token\":\"RT\",\"token_type\":\"Bearer\",\"access_token\":{token}}}"
            );
            let found = read(200, &body);
            assert_eq!(code(&found), expected, "{}", &token[..token.len().min(40)]);
            let saved = match found {
                Ok(tokens) => tokens.refresh_token,
                Err(refusal) => refusal.rescued,
            };
            assert_eq!(saved, Some(Secret::new("RT")), "{}", &token[..token.len().min(40)]);
        }
    }

    #[test]
    fn only_one_well_formed_refresh_token_of_a_success_is_rescued_ref_03_host_209_host_232() {
        for (status, body, rescued) in [
            (200, r#"{"refresh_token":"RT","token_type":"mac","access_token":"AT"}"#, Some("RT")),
            (200, r#"{"refresh_token":"RT"}"#, Some("RT")),
            (200, r#"{"refresh_token":"RT","error":"invalid_grant"}"#, Some("RT")),
            (200, r#"{"refresh_token":"RT","refresh_token":"RU","access_token":""}"#, None),
            (200, r#"{"refresh_token":"R T","access_token":""}"#, None),
            (200, r#"{"refresh_token":"RT","access_token":"#, Some("RT")),
            (400, r#"{"refresh_token":"RT","error":"invalid_grant"}"#, None),
        ] {
            let refusal = read(status, body).unwrap_err();
            assert_eq!(refusal.rescued, rescued.map(Secret::new), "{status} {body}");
            assert!(!format!("{refusal:?} {refusal}").contains("\"RT"), "{body}");
        }
    }

    #[test]
    fn only_bearer_was_asked_for_tok_07_host_209_host_210_d7() {
        for (token_type, expected) in [
            ("\"Bearer\"", "ok"),
            ("\"bearer\"", "ok"),
            ("\"BEARER\"", "ok"),
            ("\"mac\"", "token_type_unsupported"),
            ("\"N_A\"", "token_type_unsupported"),
            ("\"Bearer \"", "token_type_unsupported"),
            ("\"dpop\"", "token_type_unsupported"),
            ("\"\"", "ok"),
            ("false", "token_type_unsupported"),
            ("7", "token_type_unsupported"),
            ("null", "ok"),
        ] {
            let body = format!("{{\"access_token\":\"AT\",\"token_type\":{token_type}}}");
            assert_eq!(code(&read(200, &body)), expected, "{token_type}");
        }
        let body = r#"{"access_token":"AT","refresh_token":"RT"}"#;
        let lenient = read(200, body).unwrap();
        assert!(!lenient.type_named);
        assert_eq!(lenient.notes[0].switches(), [Switch::MissingTokenType]);
        let strict = TokenRules { strict: true, ..rules() };
        let refusal = read_tokens(&answer(200, body), &strict).unwrap_err();
        assert_eq!(refusal.failure.kind(), Kind::TokenTypeUnsupported);
        let kept = refusal.granted.unwrap();
        assert_eq!(kept.access_token, AccessToken::new("AT"));
        assert_eq!(
            (refusal.rescued, kept.refresh_token),
            (Some(Secret::new("RT")), Some(Secret::new("RT")))
        );
    }

    #[test]
    fn lifetimes_are_read_generously_tok_08_host_202_to_host_205() {
        let digits = "9".repeat(400);
        let year = 315_360_000;
        for (value, seconds) in [
            ("3600", Some(3600)),
            ("\"3600\"", Some(3600)),
            ("3600.0", Some(3600)),
            ("3600.9", Some(3600)),
            ("3.6e3", Some(3600)),
            ("-1", Some(0)),
            ("0", Some(0)),
            ("-0", Some(0)),
            ("315360001", Some(year)),
            ("18446744073709551615", Some(year)),
            ("18446744073709551616", Some(year)),
            ("1e30", Some(year)),
            ("1e999", Some(year)),
            (&digits, Some(year)),
            ("null", None),
            ("\"soon\"", None),
            ("\"\"", None),
            ("\"-1\"", None),
            ("{}", None),
            ("true", None),
            ("[]", None),
        ] {
            let tokens = granted(&format!(",\"expires_in\":{value}")).unwrap();
            assert_eq!(tokens.lifetime.map(|life| life.as_secs()), seconds, "{value}");
        }
        assert_eq!(granted("").unwrap().lifetime, None);
    }

    #[test]
    fn scopes_are_never_a_reason_to_refuse_tok_19_scope_12_host_211_host_212() {
        let many: Vec<String> = (0..70).map(|i| format!("s{i}")).collect();
        let cut = many[..64].join(" ");
        for (value, expected, notes) in [
            ("\"read admin\"", Some("read admin"), 0),
            ("\"read,write\"", Some("read write"), 0),
            ("\"a,b c\"", Some("a,b c"), 0),
            ("[\"a\",\"b\"]", Some("a b"), 0),
            ("\"\"", None, 0),
            ("null", None, 0),
            ("7", None, 1),
            ("\"a b\\\"c d\"", Some("a d"), 1),
            (&format!("\"{}\"", many.join(" ")), Some(cut.as_str()), 1),
        ] {
            let tokens = granted(&format!(",\"scope\":{value}")).unwrap();
            assert_eq!(tokens.scope.as_ref().map(ScopeSet::as_str), expected, "{value}");
            assert_eq!(tokens.notes.len(), notes, "{value}");
        }
        assert_eq!(granted("").unwrap().scope, None);
    }

    #[test]
    fn no_secret_becomes_a_scope_host_303() {
        let (sent, spaced) =
            (Secret::new("RT-CANARY-0123456789"), Secret::new("id CANARY/0123456789"));
        let short = Secret::new("read");
        let rules = TokenRules { sent: &[&sent, &spaced, &short], ..rules() };
        let issued = "AT-0123456789abcdef";
        for (scope, kept) in [
            ("a RT-CANARY-0123456789 b", false),
            ("xRT-CANARY-0123456789x", false),
            ("a id CANARY/0123456789", false),
            ("id%20CANARY%2F0123456789", false),
            ("a AT-0123456789abcdef", false),
            ("RT-0123456789abcdef", false),
            ("read RT-CANARY", true),
        ] {
            let body = format!(
                r#"{{"access_token":"{issued}","token_type":"Bearer","refresh_token":"RT-0123456789abcdef","scope":"{scope}"}}"#
            );
            let tokens = read_tokens(&answer(200, &body), &rules).unwrap();
            assert_eq!(tokens.scope.is_some(), kept, "{scope}");
            assert_eq!(tokens.notes.len(), usize::from(!kept), "{scope}");
            assert_eq!(tokens.access_token.expose(), issued);
        }
    }

    #[test]
    fn a_bad_refresh_token_is_none_host_213() {
        for (value, expected, notes) in [
            ("\"RT\"", Some("RT"), 0),
            ("\"\"", None, 0),
            ("null", None, 0),
            ("\"a\\r\\nb\"", None, 1),
            ("7", None, 1),
        ] {
            let tokens = granted(&format!(",\"refresh_token\":{value}")).unwrap();
            assert_eq!(tokens.refresh_token, expected.map(Secret::new), "{value}");
            assert_eq!(tokens.notes.len(), notes, "{value}");
        }
    }

    #[test]
    fn what_is_not_ours_is_neither_kept_nor_shown_tok_16_tok_18_host_214() {
        let vendor = ",\"id_token\":\"ID-CANARY\",\"vendor\":{\"x\":[\"VENDOR-CANARY\"]}";
        let tokens = granted(&format!("{vendor},\"refresh_token\":\"RT-CANARY\"")).unwrap();
        assert!(!format!("{tokens:?}").contains("CANARY"));
    }

    #[test]
    fn access_tokens_are_opaque_res_10_host_220() {
        // {"alg":"none"} and {"iss":"https://evil.example","aud":"nobody","exp":1}
        let jwt = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2V2aWwuZXhhbXBsZSIsImF1ZCI6Im5vYm9keSIsImV4cCI6MX0.";
        let body = format!(r#"{{"access_token":"{jwt}","token_type":"Bearer","expires_in":60}}"#);
        let tokens = read_tokens(&answer(200, &body), &rules()).unwrap();
        assert_eq!(tokens.access_token.expose(), jwt);
        assert_eq!(tokens.lifetime, Some(Duration::from_secs(60)));
    }

    #[test]
    fn refusals_in_other_words_are_told_and_told_apart_tok_13_tok_90_ref_90() {
        let slack = r#"{"ok":false,"error":"invalid_refresh_token"}"#;
        let supabase = r#"{"code":422,"message":"Invalid Refresh Token: Already Used"}"#;
        let message = "Invalid Refresh Token: Already Used";
        for (status, body, code, text, definite) in [
            (200, slack, "other", Some("invalid_refresh_token"), true),
            (200, r#"{"ok":false}"#, "other", Some(r#"{"ok":false}"#), true),
            (200, r#"{"error":{"message":"no"}}"#, "other", Some("no"), true),
            (422, supabase, "other", Some(message), true),
            (401, supabase, "other", Some(message), true),
            (403, r#"{"title":"no"}"#, "other", Some("no"), true),
            (400, r#"{"error":"invalid_scope"}"#, "invalid_scope", None, true),
            (404, r#"{"error":"invalid_request"}"#, "invalid_request", None, true),
            (410, r#"{"error":"invalid_client"}"#, "invalid_client", None, true),
            (400, r#"{"error":"server_error"}"#, "server_error", None, false),
            (400, r#"{"error":"temporarily_unavailable"}"#, "temporarily_unavailable", None, false),
            (400, r#"{"error":"use_dpop_nonce"}"#, "use_dpop_nonce", None, false),
            (200, r#"{"ok":false,"error":"ratelimited"}"#, "other", Some("ratelimited"), false),
            (409, supabase, "other", Some(message), false),
            (429, supabase, "other", Some(message), false),
            (500, supabase, "other", Some(message), false),
            (400, "<html><p>no</p>", "other", Some("no"), false),
            (502, "<html><title>Bad gateway</title>", "other", Some("Bad gateway"), false),
            (404, "", "other", None, false),
        ] {
            for code_sent in [true, false] {
                let rules = TokenRules { code: code_sent, ..rules() };
                let refusal = read_tokens(&answer(status, body), &rules).unwrap_err();
                assert_eq!(refusal.definite(), definite, "{status} {body}");
                let said = refusal.failure.said().unwrap();
                let found = (said.error.as_str(), said.description.as_deref(), said.status);
                assert_eq!(found, (code, text, Some(status)), "{status} {body}");
            }
        }
        let rotated = read(200, r#"{"refresh_token":"RT","error":"invalid_scope"}"#).unwrap_err();
        assert!(!rotated.definite() && rotated.rescued.is_some());
    }

    #[test]
    fn errors_are_typed_and_never_echo_what_was_sent_tok_12_tok_18_host_218_host_303() {
        let (sent, spaced) = (Secret::new("RT-CANARY"), Secret::new("CODE CANARY/1"));
        let rules = TokenRules { sent: &[&sent, &spaced], ..rules() };
        let body = r#"{"error":"invalid_grant","error_description":"RT-CANARY CODE CANARY/1 CODE%20CANARY%2F1\n\u001b[31m"}"#;
        let refusal = read_tokens(&answer(400, body), &rules).unwrap_err();
        assert_eq!(refusal.error, Some(ErrorCode::InvalidGrant));
        assert!(!format!("{refusal:?} {refusal}").contains("CANARY"));
        let said = refusal.failure.said().unwrap();
        assert_eq!(said.status, Some(400));
        let shown = "[redacted] [redacted] [redacted]\\n\\u{1b}[31m";
        assert_eq!(said.description.as_deref(), Some(shown));
        let long = format!("{{\"error\":\"{}\\u001b\"}}", "x".repeat(300));
        let refusal = read(400, &long).unwrap_err();
        assert_eq!(refusal.error, Some(ErrorCode::Other));
        let said = refusal.failure.said().unwrap();
        assert_eq!(said.error, "other");
        assert_eq!(said.description.as_deref(), Some(&*format!("{}\\u{{1b}}", "x".repeat(300))));
        for code in [
            "invalid_request",
            "invalid_client",
            "invalid_grant",
            "unauthorized_client",
            "unsupported_grant_type",
            "invalid_scope",
            "invalid_target",
            "use_dpop_nonce",
            "invalid_dpop_proof",
            "authorization_pending",
            "slow_down",
            "expired_token",
            "access_denied",
            "insufficient_user_authentication",
        ] {
            let refusal = read(400, &format!("{{\"error\":\"{code}\"}}")).unwrap_err();
            assert_eq!(refusal.error.unwrap().name(), code);
        }
    }
}
