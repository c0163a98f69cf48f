//! Client ID metadata documents (CIMD rows): a URL that is a client identifier, the document behind
//! it, and a check of the document that is served there.
//!
//! Decides at configuration time, before any network. Refuses to fetch or to host anything.

use super::client_auth::Method;
use super::json::Value;
use super::members::{Member, Named, members};
use super::parts::Parts;
use super::redirect::RedirectUri;
use super::registration::{ApplicationType, ClientMetadata, Described, grant_types};
use crate::address::{Addresses, is_special_name};
use crate::failure::{Failure, Kind};

/// Most bytes that a document should have.
pub const LONGEST_DOCUMENT: usize = 5 * 1024;

/// A URL that is a client identifier, sent exactly as it was given (CIMD-04).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientDocumentUrl(Box<str>);

impl ClientDocumentUrl {
    /// Reads it out of a configuration: https, a path, no fragment, user name or dot segments, no
    /// private host (CIMD-03, HOST-160).
    ///
    /// # Errors
    /// `config_invalid`; correct the configuration.
    pub fn read(text: &str) -> Result<Self, Failure> {
        let usable = Parts::read(text, "").is_ok_and(|parts| {
            let public = match parts.address {
                Some(address) => Addresses::Public.allow(address),
                None => !is_special_name(parts.host),
            };
            parts.https && public && parts.path.len() > 1
        });
        if usable { Ok(Self(text.into())) } else { Err(refused("CIMD-03", "client_id")) }
    }

    /// The URL as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn refused(rule: &'static str, field: &str) -> Failure {
    Failure::new(Kind::ConfigInvalid, rule).with_subject(field)
}

/// Writes the document to serve at a client document URL (CIMD-06 to CIMD-09, CIMD-11). With a
/// `jwks_uri` in the metadata the client authenticates with its key, otherwise not at all.
///
/// # Errors
/// `config_invalid` if there is no name or no redirect URI, or the document is over
/// [`LONGEST_DOCUMENT`]; correct the metadata.
pub fn client_document(
    url: &ClientDocumentUrl,
    metadata: &ClientMetadata,
    redirect_uris: &[&str],
    application_type: ApplicationType,
    refresh: bool,
) -> Result<String, Failure> {
    if metadata.client_name.is_empty() {
        return Err(refused("CIMD-06", "client_name"));
    }
    if redirect_uris.is_empty() {
        return Err(refused("CIMD-06", "redirect_uris"));
    }
    let keyed = metadata.jwks_uri.is_some();
    let described = Described {
        client_id: Some(url.as_str()),
        redirect_uris,
        token_endpoint_auth_method: if keyed { Method::PrivateKeyJwt } else { Method::None },
        grant_types: grant_types(refresh),
        response_types: ["code"],
        application_type,
        metadata,
    };
    let document =
        serde_json::to_string_pretty(&described).map_err(|_| refused("CIMD-06", "metadata"))?;
    if document.len() > LONGEST_DOCUMENT {
        return Err(refused("CIMD-11", "document size"));
    }
    Ok(document)
}

/// The contents of a served document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its redirect URIs; the one of a request must be among them (CIMD-10).
    pub redirect_uris: Vec<Box<str>>,
    /// How the client authenticates.
    pub method: Method,
    /// Faults that should be mended, none of them fatal.
    pub warnings: Vec<Failure>,
}

impl Checked {
    /// Returns true if a redirect URI may be used with this document: one of its own, or one that
    /// differs in the port of a loopback literal (CIMD-10).
    #[must_use]
    pub fn allows(&self, redirect_uri: &RedirectUri) -> bool {
        self.redirect_uris.iter().any(|listed| redirect_uri.matches_registered(listed))
    }
}

members! {
    /// The members of a document that are read.
    Document {
        client_id,
        client_name,
        redirect_uris,
        token_endpoint_auth_method,
        grant_types,
        client_secret,
        client_secret_expires_at,
        jwks,
        jwks_uri,
    }
}

/// Checks the document that is served at a client document URL (CIMD-06 to CIMD-09, CIMD-11).
///
/// # Errors
/// `config_invalid` with the field that makes it unusable, or the code of the JSON fault; correct
/// the document.
pub fn check_client_document(url: &ClientDocumentUrl, body: &[u8]) -> Result<Checked, Failure> {
    let found = Document::read(body)
        .map_err(|fault| fault.failure(Kind::ConfigInvalid, "client document"))?;
    if found.client_id.value.and_then(Value::text).as_deref() != Some(url.as_str()) {
        return Err(refused("CIMD-06", found.client_id.name));
    }
    if found.client_name.value.and_then(Value::text).is_none_or(|name| name.is_empty()) {
        return Err(refused("CIMD-06", found.client_name.name));
    }
    for member in [found.client_secret, found.client_secret_expires_at] {
        if member.value.is_some() {
            return Err(refused("CIMD-07", member.name));
        }
    }
    let redirect_uris: Vec<Box<str>> = match found.redirect_uris.value {
        Some(Value::List(list)) => list.iter().filter_map(Value::text).map(Into::into).collect(),
        _ => Vec::new(),
    };
    if redirect_uris.is_empty() {
        return Err(refused("CIMD-06", "redirect_uris"));
    }
    let keyed = found.jwks.value.is_some() || found.jwks_uri.value.is_some();
    let method = read_method(found.token_endpoint_auth_method, keyed)?;
    let mut warnings = Vec::new();
    if !matches!(found.grant_types.value, Some(Value::List(list)) if list.has_text("refresh_token"))
    {
        warnings.push(refused("CIMD-09", found.grant_types.name));
    }
    if body.len() > LONGEST_DOCUMENT {
        warnings.push(refused("CIMD-11", "document size"));
    }
    Ok(Checked { redirect_uris, method, warnings })
}

/// `none`, or `private_key_jwt` with keys. An absent method is HTTP Basic by RFC 7591, which
/// needs a secret that a public document cannot hold.
fn read_method(member: Member<'_>, keyed: bool) -> Result<Method, Failure> {
    let wrong = |rule| refused(rule, member.name);
    match member.value.and_then(Value::text).as_deref().and_then(Method::from_name) {
        Some(Method::None) => Ok(Method::None),
        Some(Method::PrivateKeyJwt) if keyed => Ok(Method::PrivateKeyJwt),
        Some(Method::PrivateKeyJwt) => Err(wrong("CIMD-08")),
        _ => Err(wrong("CIMD-07")),
    }
}

#[cfg(test)]
mod tests;
