//! The token request (RFC 6749 §4.1.3, §6).

use http::Request;

use crate::failure::Failure;
use crate::scope::ScopeSet;
use crate::secret::Secret;
use crate::wire::client_auth::{Credentials, post_form, roomy_form};
use crate::wire::form;
use crate::wire::url::ServerUrl;

/// The one-time credential that is spent.
#[derive(Clone, Copy, Debug)]
pub enum GrantRequest<'a> {
    /// A code, at most once (TOK-04).
    Code {
        /// The code.
        code: &'a Secret,
        /// The verifier of the challenge that was sent (PKCE-06).
        verifier: &'a Secret,
        /// The redirect URI of the authorization request (TOK-02).
        redirect_uri: &'a str,
    },
    /// A refresh token (REF-01).
    Refresh {
        /// The token.
        refresh_token: &'a Secret,
        /// The scopes, never more than were granted (REF-02); `None` for the same.
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

/// The length of the values.
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
