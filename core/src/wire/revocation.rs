//! The revocation request and its answer (RFC 7009, REVK rows).
//!
//! Decides what is sent and whether the server has revoked it; refuses to decide which tokens are
//! revoked, and what becomes of the record.

use http::{Request, Response};

use super::client_auth::{Credentials, post_form, roomy_form};
use super::form;
use super::token::{TokenRules, read_refusal};
use super::url::ServerUrl;
use crate::failure::Failure;
use crate::secret::Secret;

/// The type of the token that is revoked, named as on the wire (RFC 7009 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenTypeHint {
    /// A refresh token; it usually takes the access tokens along.
    RefreshToken,
    /// An access token.
    AccessToken,
}

impl TokenTypeHint {
    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RefreshToken => "refresh_token",
            Self::AccessToken => "access_token",
        }
    }
}

/// Writes a revocation request: a form, never a query (REVK-01, REVK-06).
///
/// # Errors
/// `client_auth_unsupported` if the credentials do not suit their method; nothing is sent then.
pub fn revocation_request(
    endpoint: &ServerUrl,
    token: &Secret,
    hint: TokenTypeHint,
    credentials: &Credentials,
) -> Result<Request<Vec<u8>>, Failure> {
    let mut body = roomy_form(token.expose().len(), credentials);
    form::append(&mut body, "token", token.expose());
    form::append(&mut body, "token_type_hint", hint.name());
    post_form(endpoint, body, credentials)
}

/// Reads the answer: 200 means done, also for a token that the server does not know; its body says
/// nothing (REVK-03).
///
/// # Errors
/// `transient` if the token must be taken as valid still, with the pause that the server asked for;
/// otherwise as at the token endpoint (REVK-04).
pub fn read_revocation(
    response: &Response<Vec<u8>>,
    rules: &TokenRules<'_>,
) -> Result<(), Failure> {
    match response.status().as_u16() {
        200 => Ok(()),
        status => Err(read_refusal(response, status, rules).failure),
    }
}

#[cfg(test)]
mod tests;
