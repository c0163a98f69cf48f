//! Requests taken apart: URL, query, form, JSON. Pure reading, no judgement.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use http::{HeaderMap, Method, Request};
use serde_json::Value;
use url::{Url, form_urlencoded};

/// Parameters of a query or form, in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(pub Vec<(String, String)>);

impl Params {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of that name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The first name that occurs twice, which RFC 6749 section 3 forbids. `resource` may repeat in RFC 8707, but
    /// MCP identifies one server.
    pub(crate) fn repeated(&self) -> Option<&str> {
        self.0.iter().map(|(key, _)| key.as_str()).find(|key| self.all(key).len() > 1)
    }
}

/// A request taken apart.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'a Method,
    pub(crate) url: Url,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: Params,
    pub(crate) form: Params,
    pub(crate) json: Option<Value>,
    /// When it came, in milliseconds since the Unix epoch.
    pub(crate) now: u64,
}

impl<'a> Call<'a> {
    pub(crate) fn read(request: &'a Request<Vec<u8>>, now: u64) -> Option<Self> {
        let url = Url::parse(&request.uri().to_string()).ok()?;
        let query = Params::read(url.query().unwrap_or_default().as_bytes());
        let mut call = Self {
            method: request.method(),
            url,
            headers: request.headers(),
            query,
            form: Params::default(),
            json: None,
            now,
        };
        match call.media_type().as_deref() {
            Some("application/x-www-form-urlencoded") => call.form = Params::read(request.body()),
            Some("application/json") => call.json = serde_json::from_slice(request.body()).ok(),
            _ => {}
        }
        Some(call)
    }

    /// The media type of the body, lower case, without parameters.
    pub(crate) fn media_type(&self) -> Option<String> {
        let value = self.text(CONTENT_TYPE)?;
        Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }

    pub(crate) fn is_form(&self) -> bool {
        self.media_type().as_deref() == Some("application/x-www-form-urlencoded")
    }

    /// A header as text.
    pub(crate) fn text(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The credentials after an authorization scheme, whose name has no case.
    pub(crate) fn credentials(&self, scheme: &str) -> Option<&str> {
        let (name, rest) = self.text(AUTHORIZATION)?.split_once(' ')?;
        name.eq_ignore_ascii_case(scheme).then(|| rest.trim())
    }

    /// Client id and secret of HTTP Basic, each form-decoded (RFC 6749 section 2.3.1).
    pub(crate) fn basic(&self) -> Option<(String, String)> {
        let decoded = STANDARD.decode(self.credentials("Basic")?).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (id, secret) = decoded.split_once(':')?;
        Some((form_decoded(id)?, form_decoded(secret)?))
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.text(COOKIE)?
            .split(';')
            .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
    }

    /// Returns true if `Accept` names a media type, or everything.
    pub(crate) fn accepts(&self, media_type: &str) -> bool {
        self.headers
            .get_all(http::header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| {
                value.split(',').any(|part| {
                    let name = part.split(';').next().unwrap_or_default().trim();
                    name.eq_ignore_ascii_case(media_type)
                })
            })
    }
}

/// One value, form-decoded; a bare `&` or `=` is not form-encoded text.
fn form_decoded(text: &str) -> Option<String> {
    if text.contains(['&', '=']) {
        return None;
    }
    form_urlencoded::parse(text.as_bytes())
        .next()
        .map_or(Some(String::new()), |(key, _)| Some(key.into_owned()))
}

/// A scope string as its words.
pub(crate) fn words(scope: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in scope.split(' ').filter(|word| !word.is_empty()) {
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    words
}
