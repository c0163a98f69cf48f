//! Client ID metadata documents (CIMD rows): a URL that is a client identifier, the document
//! behind it, and a check of what is served there.
//!
//! Decides at configuration time, before any network. Refuses to fetch or to host anything.

use super::client_auth::Method;
use super::json::{Members, Value, read_members};
use super::parts::Parts;
use super::reach::is_special_name;
use super::redirect::RedirectUri;
use super::registration::{ApplicationType, ClientMetadata, Described, grant_types};
use crate::address::Addresses;
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

/// What a served document says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its redirect URIs; the one of a request must be among them (CIMD-10).
    pub redirect_uris: Vec<Box<str>>,
    /// How the client authenticates.
    pub method: Method,
    /// What should be better, none of it fatal.
    pub warnings: Vec<Failure>,
}

impl Checked {
    /// Whether a redirect URI may be used with this document: one of its own, or one that differs
    /// in the port of a loopback literal (CIMD-10).
    #[must_use]
    pub fn allows(&self, redirect_uri: &RedirectUri) -> bool {
        self.redirect_uris.iter().any(|listed| redirect_uri.matches_registered(listed))
    }
}

/// Checks the document that is served at a client document URL (CIMD-06 to CIMD-09, CIMD-11).
///
/// # Errors
/// `config_invalid` with the field that makes it unusable, or the code of the JSON fault; correct
/// the document.
pub fn check_client_document(url: &ClientDocumentUrl, body: &[u8]) -> Result<Checked, Failure> {
    const NAMES: [&str; 9] = [
        "client_id",
        "client_name",
        "redirect_uris",
        "token_endpoint_auth_method",
        "grant_types",
        "client_secret",
        "client_secret_expires_at",
        "jwks",
        "jwks_uri",
    ];
    let [id, name, redirects, method, grants, secret, expires, jwks, jwks_uri] =
        read_members(body, &NAMES)
            .and_then(Members::unique)
            .map_err(|fault| fault.failure(Kind::ConfigInvalid, "client document"))?;
    let is_text =
        |value: Option<Value<'_>>| value.and_then(Value::text).is_some_and(|text| !text.is_empty());
    if id.and_then(Value::text).as_deref() != Some(url.as_str()) {
        return Err(refused("CIMD-06", "client_id"));
    }
    if !is_text(name) {
        return Err(refused("CIMD-06", "client_name"));
    }
    for (value, field) in [(secret, "client_secret"), (expires, "client_secret_expires_at")] {
        if value.is_some() {
            return Err(refused("CIMD-07", field));
        }
    }
    let redirect_uris: Vec<Box<str>> = match redirects {
        Some(Value::List(list)) => list.iter().filter_map(Value::text).map(Into::into).collect(),
        _ => Vec::new(),
    };
    if redirect_uris.is_empty() {
        return Err(refused("CIMD-06", "redirect_uris"));
    }
    let method = read_method(method, jwks.is_some() || jwks_uri.is_some())?;
    let mut warnings = Vec::new();
    if !matches!(grants, Some(Value::List(list)) if list.has_text("refresh_token")) {
        warnings.push(refused("CIMD-09", "grant_types"));
    }
    if body.len() > LONGEST_DOCUMENT {
        warnings.push(refused("CIMD-11", "document size"));
    }
    Ok(Checked { redirect_uris, method, warnings })
}

/// `none`, or `private_key_jwt` with keys. An absent method is HTTP Basic by RFC 7591, which
/// needs a secret that a public document cannot hold.
fn read_method(value: Option<Value<'_>>, keyed: bool) -> Result<Method, Failure> {
    let wrong = |rule| refused(rule, "token_endpoint_auth_method");
    match value.and_then(Value::text).as_deref().and_then(Method::from_name) {
        Some(Method::None) => Ok(Method::None),
        Some(Method::PrivateKeyJwt) if keyed => Ok(Method::PrivateKeyJwt),
        Some(Method::PrivateKeyJwt) => Err(wrong("CIMD-08")),
        _ => Err(wrong("CIMD-07")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://app.example/client.json";

    #[test]
    fn urls_are_judged_when_configured_cimd_03_cimd_04_amb_20_host_160() {
        for (text, fine) in [
            (URL, true),
            ("https://app.example:8443/c", true),
            ("https://app.example/c?x=1", true),
            ("http://app.example/c", false),
            ("https://app.example", false),
            ("https://app.example/", false),
            ("https://app.example/c#x", false),
            ("https://u@app.example/c", false),
            ("https://app.example/a/../c", false),
            ("https://app.example/%2E%2e/c", false),
            ("https://app.example/./c", false),
            ("https://10.0.0.1/c", false),
            ("https://localhost/c", false),
            ("https://app.internal/c", false),
            ("app.example/c", false),
        ] {
            let read = ClientDocumentUrl::read(text);
            assert_eq!(read.is_ok(), fine, "{text}");
            match read {
                Ok(url) => assert_eq!(url.as_str(), text),
                Err(failure) => assert_eq!(failure.kind(), Kind::ConfigInvalid),
            }
        }
    }

    #[test]
    fn what_is_generated_passes_the_check_cimd_06_to_cimd_09_cimd_11() {
        let url = ClientDocumentUrl::read(URL).unwrap();
        let metadata =
            ClientMetadata { client_name: "App".to_owned(), ..ClientMetadata::default() };
        let redirects = ["http://127.0.0.1/callback"];
        let write = |metadata: &ClientMetadata, redirects: &[&str], refresh| {
            client_document(&url, metadata, redirects, ApplicationType::Native, refresh)
        };
        let document = write(&metadata, &redirects, true).unwrap();
        let checked = check_client_document(&url, document.as_bytes()).unwrap();
        assert_eq!(checked.method, Method::None);
        assert!(checked.warnings.is_empty());
        let read = |text: &str| RedirectUri::read(text, false).unwrap();
        assert!(checked.allows(&read("http://127.0.0.1:5000/callback")));
        assert!(!checked.allows(&read("http://127.0.0.1:5000/other")));
        let without = write(&metadata, &redirects, false).unwrap();
        let warned = check_client_document(&url, without.as_bytes()).unwrap().warnings;
        assert_eq!(warned[0].rule(), "CIMD-09");
        let keyed = ClientMetadata {
            jwks_uri: Some("https://app.example/jwks".to_owned()),
            ..metadata.clone()
        };
        let keyed = write(&keyed, &redirects, true).unwrap();
        let checked = check_client_document(&url, keyed.as_bytes()).unwrap();
        assert_eq!(checked.method, Method::PrivateKeyJwt);
        let large =
            ClientMetadata { client_name: "x".repeat(LONGEST_DOCUMENT), ..metadata.clone() };
        assert_eq!(write(&large, &redirects, true).unwrap_err().rule(), "CIMD-11");
        assert!(write(&ClientMetadata::default(), &redirects, true).is_err());
        assert!(write(&metadata, &[], true).is_err());
    }

    #[test]
    fn bad_documents_are_named_cimd_06_cimd_07_cimd_08() {
        let url = ClientDocumentUrl::read(URL).unwrap();
        let base = r#""client_name":"App","redirect_uris":["https://app.example/cb"]"#;
        let id = format!("\"client_id\":\"{URL}\"");
        let none = r#""token_endpoint_auth_method":"none""#;
        for (body, rule) in [
            (format!("{{{id},{base},{none}}}"), None),
            (format!("{{{base},{none}}}"), Some("CIMD-06")),
            (format!("{{\"client_id\":\"{URL}/\",{base},{none}}}"), Some("CIMD-06")),
            (format!("{{{id},\"client_name\":\"App\",{none}}}"), Some("CIMD-06")),
            (format!("{{{id},{base},{none},\"client_secret\":\"x\"}}"), Some("CIMD-07")),
            (format!("{{{id},{base},{none},\"client_secret_expires_at\":0}}"), Some("CIMD-07")),
            (format!("{{{id},{base}}}"), Some("CIMD-07")),
            (
                format!("{{{id},{base},\"token_endpoint_auth_method\":\"client_secret_basic\"}}"),
                Some("CIMD-07"),
            ),
            (
                format!("{{{id},{base},\"token_endpoint_auth_method\":\"private_key_jwt\"}}"),
                Some("CIMD-08"),
            ),
            ("[]".to_owned(), Some("DISC-19")),
        ] {
            let checked = check_client_document(&url, body.as_bytes());
            assert_eq!(checked.err().map(|failure| failure.rule()), rule, "{body}");
        }
    }
}
