//! The authorization request and its response (RFC 6749 §4.1.1, §4.1.2, RFC 9207).
//!
//! Decides what the URL holds and what a callback says; the issuer check stands between a callback
//! and its content, so that nobody can act on what a mixed-up server wrote (ISS-03, ISS-12).
//! Refuses to decide which login a callback belongs to.

use core::fmt;
use std::borrow::Cow;

use super::form::{self, is_reserved_parameter};
use super::pkce;
use super::redact::redacted;
use super::url::ServerUrl;
use crate::failure::{Failure, Kind, LONGEST_SHOWN, Remedy, Said, escaped};
use crate::scope::ScopeSet;
use crate::secret::Secret;

/// Most bytes of a URL that we build.
pub const LONGEST_REQUEST: usize = 8192;
/// Most bytes of an authorization code.
pub const LONGEST_CODE: usize = 4096;
/// Most bytes of a callback that is read at all.
pub const LONGEST_CALLBACK: usize = 32 * 1024;

/// All that an authorization URL is made of (AUTHZ-01).
#[derive(Clone, Copy)]
pub struct AuthorizationRequest<'a> {
    /// The endpoint that the person goes to.
    pub endpoint: &'a ServerUrl,
    /// The client identifier.
    pub client_id: &'a str,
    /// The redirect URI that the answer goes to.
    pub redirect_uri: &'a str,
    /// The S256 challenge.
    pub code_challenge: &'a str,
    /// The `state`, which ties the answer to this login.
    pub state: &'a str,
    /// The resource that the token is for; left out by a switch only (D8).
    pub resource: Option<&'a str>,
    /// The scopes that are asked for; none by name if empty (SCOPE-04).
    pub scopes: &'a ScopeSet,
    /// Parameters the host adds.
    pub extra: &'a [(Box<str>, Box<str>)],
}

impl AuthorizationRequest<'_> {
    /// The URL for the person's browser. The endpoint's own query is kept (ASM-18).
    ///
    /// # Errors
    /// `url_too_long` beyond [`LONGEST_REQUEST`] (HOST-167): ask for fewer scopes.
    /// `config_invalid` if a parameter of the host would occur twice.
    pub fn url(&self) -> Result<String, Failure> {
        let ours = [
            ("response_type", "code"),
            ("client_id", self.client_id),
            ("redirect_uri", self.redirect_uri),
            ("code_challenge", self.code_challenge),
            ("code_challenge_method", pkce::METHOD),
            ("state", self.state),
            ("resource", self.resource.unwrap_or_default()),
            ("scope", self.scopes.as_str()),
        ];
        let extra = self.extra.iter().map(|(name, value)| (&**name, &**value));
        let room = |(name, value): (&str, &str)| name.len() + 2 + value.len() * 3;
        let room = ours.into_iter().chain(extra.clone()).map(room).sum::<usize>();
        let mut url = String::with_capacity(
            room.saturating_add(self.endpoint.as_str().len()).min(2 * LONGEST_REQUEST),
        );
        url.push_str(self.endpoint.as_str());
        if self.endpoint.query().is_none() {
            url.push('?');
        }
        // The two that may be absent are never sent empty.
        let optional = |name: &str| name == "resource" || name == "scope";
        for (name, value) in ours {
            if !(value.is_empty() && optional(name)) {
                form::append(&mut url, name, value);
            }
        }
        for (index, (name, value)) in extra.clone().enumerate() {
            let again = is_reserved_parameter(name)
                || extra.clone().take(index).any(|(earlier, _)| earlier == name)
                || self.endpoint.query().is_some_and(|query| names(query, name));
            if again {
                return Err(Failure::new(Kind::ConfigInvalid, "AUTHZ-09").with_subject(name));
            }
            form::append(&mut url, name, value);
        }
        if url.len() > LONGEST_REQUEST {
            return Err(
                Failure::new(Kind::UrlTooLong, "HOST-167").with_subject(self.endpoint.shown())
            );
        }
        Ok(url)
    }
}

impl fmt::Debug for AuthorizationRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("endpoint", self.endpoint)
            .field("scopes", &self.scopes.as_str())
            .finish_non_exhaustive()
    }
}

fn names(query: &str, wanted: &str) -> bool {
    form::pairs(query).any(|(name, _)| form::decoded(name).is_ok_and(|name| name == wanted))
}

/// The contents of a callback: the `state` to route it by, and the rest if it can be read.
#[derive(Debug)]
pub struct CallbackParams {
    /// `state`, if it is there exactly once and not empty. Without it the callback belongs to no
    /// login (ISS-04, HOST-176).
    pub state: Option<Secret>,
    /// Everything else. A failure does not consume the login (ISS-05).
    pub rest: Result<Params, Failure>,
}

impl CallbackParams {
    /// A code that came without its URL: no `state`, no `iss` (D11).
    #[must_use]
    pub fn bare_code(code: Secret) -> Self {
        let rest = if is_code(code.expose()) {
            Ok(Params { iss: None, outcome: Outcome::Code(code) })
        } else {
            Err(Failure::new(Kind::CallbackMalformed, "D11").with_subject("code"))
        };
        Self { state: None, rest }
    }
}

/// A `state` from 24 random bytes: 192 bits, 32 characters (AUTHZ-04).
#[must_use]
pub fn state(random: [u8; 24]) -> Secret {
    Secret::new(base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, random))
}

/// A callback's content, locked until its issuer has been checked (ISS-12).
pub struct Params {
    iss: Option<String>,
    outcome: Outcome,
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Params(..)")
    }
}

/// The answer of the authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A code to exchange, once.
    Code(Secret),
    /// A refusal; [`refusal`] makes a failure of it.
    Error(Said),
}

impl Outcome {
    /// The outcome with its description as a person may see it: redacted before it is cut.
    fn shown(mut self, secrets: &[&Secret]) -> Self {
        if let Self::Error(Said { description: Some(text), .. }) = &mut self {
            *text = escaped(&redacted(text.as_str(), secrets));
        }
        self
    }
}

impl Params {
    /// Opens the content if the response is of the expected issuer. That is the document's own
    /// string, compared character by character (ISS-06 to ISS-11). `promised` says whether the
    /// metadata promised `iss`. `legacy_slash_ok` tolerates one trailing slash where the expected
    /// string is our own invention (LEG-12). `secrets` are taken out of the server's words
    /// (HOST-324).
    ///
    /// # Errors
    /// `iss_mismatch`, `iss_missing`. The code is sent nowhere and the login goes on waiting.
    pub fn checked(
        self,
        expected_issuer: &str,
        promised: bool,
        legacy_slash_ok: bool,
        secrets: &[&Secret],
    ) -> Result<Outcome, Failure> {
        let trusted = match self.iss.as_deref() {
            Some(iss) => {
                iss == expected_issuer || (legacy_slash_ok && differ_by_slash(iss, expected_issuer))
            }
            None => !promised,
        };
        if trusted {
            Ok(self.outcome.shown(secrets))
        } else {
            Err(untrusted(expected_issuer, self.named_issuer(secrets).as_deref()))
        }
    }

    /// Returns true if the answer names this issuer.
    pub(crate) fn names(&self, issuer: &str) -> bool {
        self.iss.as_deref() == Some(issuer)
    }

    /// The issuer that the answer names, for a failure alone. It is cut, and is without the code
    /// and these secrets.
    #[must_use]
    pub fn named_issuer(&self, secrets: &[&Secret]) -> Option<String> {
        let named = redacted(self.iss.as_deref()?, secrets);
        let named = match &self.outcome {
            Outcome::Code(code) => redacted(named, &[code]),
            Outcome::Error(_) => named,
        };
        Some(named.chars().take(LONGEST_SHOWN).collect())
    }
}

/// The failure of an answer that comes from another issuer than the one that was asked, or lacks
/// the promised `iss` (ISS-90).
#[must_use]
pub fn untrusted(expected: &str, received: Option<&str>) -> Failure {
    let (kind, rule) = match received {
        Some(_) => (Kind::IssMismatch, "ISS-07"),
        None => (Kind::IssMissing, "ISS-08"),
    };
    let received = received.unwrap_or("none");
    Failure::new(kind, rule)
        .with_subject(&format!("expected {expected}, received {received}"))
        .with_remedy(Remedy::Report)
}

/// Returns true if one text is the other with one slash more.
pub(super) fn differ_by_slash(left: &str, right: &str) -> bool {
    left.strip_suffix('/') == Some(right) || right.strip_suffix('/') == Some(left)
}

/// Reads a callback: the whole URL, or its raw query with or without the question mark (ISS-01,
/// ISS-02, ISS-18).
#[must_use]
pub fn read_callback(text: &str) -> CallbackParams {
    let malformed = |rule| Failure::new(Kind::CallbackMalformed, rule).with_subject("callback");
    if text.len() > LONGEST_CALLBACK {
        return CallbackParams { state: None, rest: Err(malformed("HOST-182")) };
    }
    let mut found = Found::default();
    for (name, value) in form::pairs(query_of(text)) {
        if let Some(field) = form::decoded(name).ok().and_then(|name| found.field(&name)) {
            field.twice |= field.value.replace(value).is_some();
        }
    }
    let state = found.state.read().ok().flatten().filter(|state| !state.is_empty());
    CallbackParams { state: state.map(Secret::new), rest: found.params() }
}

/// The query of a URL, or the text itself if it is one already.
fn query_of(text: &str) -> &str {
    let text = text.trim();
    let text = text.split_once('#').map_or(text, |(before, _)| before);
    // In a raw query a name comes first; in a URL a scheme or a path does.
    let mark = text.find(['?', '=', '&', ':', '/']);
    match mark.and_then(|mark| text.as_bytes().get(mark)) {
        Some(b'?' | b':' | b'/') => text.split_once('?').map_or("", |(_, query)| query),
        _ => text,
    }
}

/// One recognised parameter, undecoded.
#[derive(Default)]
struct Field<'a> {
    value: Option<&'a str>,
    twice: bool,
}

impl<'a> Field<'a> {
    fn read(&self) -> Result<Option<Cow<'a, str>>, Failure> {
        if self.twice {
            return Err(Failure::new(Kind::CallbackDuplicateParam, "ISS-02"));
        }
        self.value
            .map(form::decoded)
            .transpose()
            .map_err(|_| Failure::new(Kind::CallbackMalformed, "ISS-01"))
    }
}

#[derive(Default)]
struct Found<'a> {
    state: Field<'a>,
    code: Field<'a>,
    iss: Field<'a>,
    error: Field<'a>,
    error_description: Field<'a>,
    error_uri: Field<'a>,
}

impl<'a> Found<'a> {
    fn field(&mut self, name: &str) -> Option<&mut Field<'a>> {
        Some(match name {
            "state" => &mut self.state,
            "code" => &mut self.code,
            "iss" => &mut self.iss,
            "error" => &mut self.error,
            "error_description" => &mut self.error_description,
            "error_uri" => &mut self.error_uri,
            _ => return None,
        })
    }

    fn params(&self) -> Result<Params, Failure> {
        let named = |field: &Field<'a>, name| {
            field.read().map_err(|failure: Failure| failure.with_subject(name))
        };
        // The `state` is only judged for being there twice: the session and the check decide about
        // its value.
        named(&self.state, "state")?;
        let iss = named(&self.iss, "iss")?.map(Cow::into_owned);
        let code = named(&self.code, "code")?;
        let error = named(&self.error, "error")?;
        let description = named(&self.error_description, "error_description")?;
        named(&self.error_uri, "error_uri")?;
        let malformed = |rule| Failure::new(Kind::CallbackMalformed, rule).with_subject("code");
        let outcome = match (code, error) {
            (Some(_), Some(_)) => return Err(malformed("ISS-02")),
            (None, None) => return Err(malformed("ISS-18")),
            (Some(code), None) if is_code(&code) => Outcome::Code(Secret::new(code)),
            (Some(_), None) => return Err(malformed("HOST-182")),
            (None, Some(error)) => Outcome::Error(Said {
                error: registered(&error).to_owned(),
                description: description.map(Cow::into_owned),
                status: None,
            }),
        };
        Ok(Params { iss, outcome })
    }
}

fn is_code(code: &str) -> bool {
    !code.is_empty()
        && code.len() <= LONGEST_CODE
        && code.bytes().all(|byte| matches!(byte, 0x20..=0x7E))
}

/// The code if it is a registered one, else `other` (ISS-16, HOST-179).
fn registered(error: &str) -> &str {
    const REGISTERED: [&str; 14] = [
        "invalid_request",
        "unauthorized_client",
        "access_denied",
        "unsupported_response_type",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
        "invalid_target",
        "login_required",
        "consent_required",
        "interaction_required",
        "account_selection_required",
        "insufficient_user_authentication",
        "invalid_request_uri",
    ];
    if REGISTERED.contains(&error) { error } else { "other" }
}

/// The failure that a refusal ends the login with; no new window opens by itself (ISS-17).
#[must_use]
pub fn refusal(said: Said) -> Failure {
    let remedy = match said.error.as_str() {
        "server_error" | "temporarily_unavailable" => Some(Remedy::Retry { after: None }),
        "invalid_request" | "unsupported_response_type" | "invalid_scope" | "invalid_target" => {
            Some(Remedy::Report)
        }
        "unauthorized_client" => Some(Remedy::Register),
        _ => None,
    };
    let failure = Failure::new(Kind::AuthorizationDenied, "ISS-17").with_said(said);
    match remedy {
        Some(remedy) => failure.with_remedy(remedy),
        None => failure,
    }
}

#[cfg(test)]
mod tests;
