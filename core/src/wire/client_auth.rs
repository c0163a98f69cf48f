//! How this client proves who it is at the authorization server (RFC 6749 §2.3, CAUTH rows, D15).
//!
//! Decides the one method of a request and writes it down; refuses to try another one after a
//! refusal (CAUTH-13). The method with a signed assertion is chosen here and written elsewhere,
//! because the key is the host's.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::form;
use super::json::List;
use super::url::ServerUrl;
use crate::failure::{Failure, Kind, Switch};
use crate::secret::{Secret, written_option};

/// A client authentication method, named as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Method {
    /// A public client: `client_id` in the body and no more (CAUTH-03).
    #[serde(rename = "none")]
    None,
    /// HTTP Basic (CAUTH-05).
    #[serde(rename = "client_secret_basic")]
    SecretBasic,
    /// Id and secret in the body (CAUTH-04).
    #[serde(rename = "client_secret_post")]
    SecretPost,
    /// A signed assertion (CAUTH-07).
    #[serde(rename = "private_key_jwt")]
    PrivateKeyJwt,
}

impl Method {
    /// Every method of this client.
    pub const ALL: [Self; 4] =
        [Self::None, Self::SecretBasic, Self::SecretPost, Self::PrivateKeyJwt];

    /// The registered name (RFC 7591 §2).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretBasic => "client_secret_basic",
            Self::SecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// The method of a registered name, `None` for one that this client does not have.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// Returns true if the method needs a shared secret.
    #[must_use]
    pub const fn needs_secret(self) -> bool {
        matches!(self, Self::SecretBasic | Self::SecretPost)
    }

    const fn bit(self) -> u8 {
        match self {
            Self::None => 1,
            Self::SecretBasic => 2,
            Self::SecretPost => 4,
            Self::PrivateKeyJwt => 8,
        }
    }
}

/// A set of methods, as a server lists them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Methods(u8);

impl Methods {
    /// The bit of every method that this client does not have.
    const UNKNOWN: u8 = 16;

    /// The set of some methods.
    #[must_use]
    pub fn of(methods: &[Method]) -> Self {
        Self(methods.iter().fold(0, |bits, method| bits | method.bit()))
    }

    /// Reads a list of names; an element that is no text counts as an unknown method.
    pub(super) fn read(list: List<'_>) -> Self {
        let bit = |name: Option<&str>| {
            name.and_then(Method::from_name).map_or(Self::UNKNOWN, Method::bit)
        };
        Self(list.iter().fold(0, |bits, value| bits | bit(value.text().as_deref())))
    }

    /// Returns true if a method is listed.
    #[must_use]
    pub const fn has(self, method: Method) -> bool {
        self.0 & method.bit() != 0
    }

    /// Returns true if nothing is listed, not even an unknown method.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The client identifier at one issuer, and the means to prove it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The identifier, sent as it was given (CIMD-04).
    pub client_id: Arc<str>,
    /// The shared secret, if there is one.
    #[serde(with = "written_option")]
    pub secret: Option<Secret>,
    /// The method bound to the credentials.
    pub method: Method,
}

impl Credentials {
    /// Returns true if the credentials have what a method needs.
    #[must_use]
    pub fn meet(&self, method: Method) -> bool {
        match method {
            Method::None => true,
            Method::SecretBasic | Method::SecretPost => self.secret.is_some(),
            Method::PrivateKeyJwt => self.method == method,
        }
    }

    /// The same credentials with the method that the host has chosen, if they have what it needs.
    #[must_use]
    pub fn by(mut self, chosen: Option<Method>) -> Self {
        if let Some(method) = chosen.filter(|method| self.meet(*method)) {
            self.method = method;
        }
        self
    }
}

/// The order of preference: the body is read by every server, while widely used ones find no client
/// in a Basic header without `client_id` in the body (CAUTH-02).
const PREFERENCE: [Method; 4] =
    [Method::PrivateKeyJwt, Method::SecretPost, Method::SecretBasic, Method::None];

impl Credentials {
    /// The text of a Basic header, which is as secret as the secret that is in it (HOST-324).
    pub(crate) fn basic(&self) -> Option<Secret> {
        let secret = self.secret.as_ref().filter(|_| self.method == Method::SecretBasic)?;
        Some(Secret::new(basic_pair(&self.client_id, secret).as_str()))
    }
}

/// The means of a client to prove itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Means {
    /// The host's choice for this issuer, whatever is listed.
    pub chosen: Option<Method>,
    /// The method bound to the credentials, by the registration's answer or the client document.
    pub bound: Option<Method>,
    /// True if there is a shared secret.
    pub secret: bool,
    /// True if there is a private key.
    pub key: bool,
    /// True if the client is pre-registered, or identified by a document: it is never registered by
    /// us.
    pub settled: bool,
}

/// The method to use, and the leniency it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The one method.
    pub method: Method,
    /// The leniency by which a method is used that is not listed (D15, CAUTH-02); to be noted.
    pub switch: Option<Switch>,
}

/// Chooses the method for requests to one server, whose list is `listed` if it has one
/// (CAUTH-02, D15).
///
/// # Errors
/// `client_auth_unsupported` if no method suits both sides: other credentials are needed. It is
/// raised before any request and before the person is asked (HOST-138).
pub fn choose_method(means: Means, listed: Option<Methods>) -> Result<Chosen, Failure> {
    let listed = listed.filter(|listed| !listed.is_empty());
    let chosen = |method| Ok(Chosen { method, switch: None });
    if means.settled && !means.secret && !means.key {
        let unlisted = listed.is_some_and(|listed| !listed.has(Method::None));
        return Ok(Chosen {
            method: Method::None,
            switch: unlisted.then_some(Switch::UnlistedNone),
        });
    }
    let able = |method: Method| match method {
        Method::None => true,
        Method::SecretBasic | Method::SecretPost => means.secret,
        Method::PrivateKeyJwt => means.key,
    };
    let lists = |method| listed.is_none_or(|listed| listed.has(method));
    if let Some(method) = means.chosen {
        let switch = (!lists(method)).then_some(Switch::UnlistedMethod);
        return if able(method) { Ok(Chosen { method, switch }) } else { Err(unsupported()) };
    }
    if let Some(bound) = means.bound.filter(|bound| able(*bound) && lists(*bound)) {
        return chosen(bound);
    }
    let Some(listed) = listed else {
        return chosen(if means.secret { Method::SecretBasic } else { Method::None });
    };
    PREFERENCE
        .into_iter()
        .find(|method| able(*method) && listed.has(*method))
        .map_or_else(|| Err(unsupported()), chosen)
}

/// Chooses the method to register with. The host's choice comes first, then `private_key_jwt` if
/// there is a key, then `none`, either one only if the server lists it or lists nothing. A shared
/// secret comes after these (REG-18, NAT-11).
///
/// # Errors
/// `client_auth_unsupported` if the server lists no method of this client (HOST-138): configure
/// credentials for it, or choose a method.
pub fn registration_method(
    listed: Option<Methods>,
    key: bool,
    chosen: Option<Method>,
) -> Result<Chosen, Failure> {
    let listed = listed.filter(|listed| !listed.is_empty());
    let lists = |method: &Method| listed.is_none_or(|listed| listed.has(*method));
    let able = |method: &Method| key || *method != Method::PrivateKeyJwt;
    if let Some(method) = chosen {
        let switch = (!lists(&method)).then_some(Switch::UnlistedMethod);
        return if able(&method) { Ok(Chosen { method, switch }) } else { Err(unsupported()) };
    }
    [Method::PrivateKeyJwt, Method::None]
        .into_iter()
        .chain(PREFERENCE)
        .find(|method| able(method) && lists(method))
        .map(|method| Chosen { method, switch: None })
        .ok_or_else(unsupported)
}

/// The method that a registration's answer binds. `named` is the method that the answer names, if
/// it names one; `asked` is the one that the client has asked for (REG-16, CAUTH-02).
#[must_use]
pub fn bound_method(
    named: Option<Method>,
    asked: Method,
    secret: bool,
    listed: Option<Methods>,
) -> Method {
    let listed = listed.filter(|listed| !listed.is_empty());
    let lists = |method: Method| listed.is_some_and(|listed| listed.has(method));
    let with_secret = || {
        let both = PREFERENCE.into_iter().filter(|method| secret && method.needs_secret());
        both.into_iter().find(|method| lists(*method))
    };
    match named {
        // A server may assign a method that its list does not have, and read another one.
        Some(named) if named.needs_secret() && listed.is_some() && !lists(named) => {
            with_secret().unwrap_or(named)
        }
        Some(named) => named,
        None if asked.needs_secret() && secret => asked,
        None if asked == Method::PrivateKeyJwt => asked,
        None => with_secret().unwrap_or(Method::None),
    }
}

fn unsupported() -> Failure {
    Failure::new(Kind::ClientAuthUnsupported, "CAUTH-02")
        .with_subject("token_endpoint_auth_methods_supported")
}

/// Writes the credentials into a request: into its form or into its header, never into both
/// (CAUTH-01).
///
/// # Errors
/// `client_auth_unsupported` if the method needs a secret that is not there, or a signature, which
/// is not made here.
pub fn authenticate(
    credentials: &Credentials,
    form: &mut String,
    headers: &mut HeaderMap,
) -> Result<(), Failure> {
    let secret = || credentials.secret.as_ref().ok_or_else(unsupported);
    match credentials.method {
        Method::None => form::append(form, "client_id", &credentials.client_id),
        Method::SecretPost => {
            form::append(form, "client_id", &credentials.client_id);
            form::append(form, "client_secret", secret()?.expose());
        }
        Method::SecretBasic => {
            headers.insert(AUTHORIZATION, basic(&credentials.client_id, secret()?)?);
        }
        Method::PrivateKeyJwt => return Err(unsupported()),
    }
    Ok(())
}

/// An empty form with room for these bytes of values and for the credentials, even if every byte is
/// escaped. It never grows, and so leaves no copy of a secret behind.
pub(super) fn roomy_form(values: usize, credentials: &Credentials) -> String {
    let secret = credentials.secret.as_ref().map_or(0, |secret| secret.expose().len());
    let values = values + credentials.client_id.len() + secret;
    String::with_capacity(values.saturating_mul(3).saturating_add(160))
}

/// Posts a form as this client, for an answer in JSON.
pub(super) fn post_form(
    endpoint: &ServerUrl,
    mut form: String,
    credentials: &Credentials,
) -> Result<Request<Vec<u8>>, Failure> {
    let mut headers = HeaderMap::with_capacity(3);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    authenticate(credentials, &mut form, &mut headers)?;
    endpoint.request(http::Method::POST, headers, form.into_bytes())
}

fn basic(client_id: &str, secret: &Secret) -> Result<HeaderValue, Failure> {
    let pair = basic_pair(client_id, secret);
    let field = Zeroizing::new(["Basic ", &pair].concat());
    let mut value = HeaderValue::from_str(&field).map_err(|_| unsupported())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Form-encodes both parts before it joins them, so that a colon in the id cannot move the
/// boundary.
fn basic_pair(client_id: &str, secret: &Secret) -> Zeroizing<String> {
    let room = client_id.len().saturating_add(secret.expose().len()).saturating_mul(3);
    let mut pair = Zeroizing::new(String::with_capacity(room.saturating_add(1)));
    form::encode(&mut pair, client_id);
    pair.push(':');
    form::encode(&mut pair, secret.expose());
    let mut coded = Zeroizing::new(String::with_capacity(pair.len().saturating_mul(2)));
    STANDARD.encode_string(pair.as_bytes(), &mut coded);
    coded
}

#[cfg(test)]
mod tests;
