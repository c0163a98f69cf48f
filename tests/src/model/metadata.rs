//! The documents: protected resource metadata (RFC 9728) and authorization server metadata (RFC 8414, OpenID
//! Connect Discovery).

use http::header::{ALLOW, CACHE_CONTROL};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Model;
use super::answer::{Answer, lay_over};
use super::params::Call;
use super::route::{Endpoint, prm_url};
use super::server::{IssMode, MetadataPlace, Pkce, RegistrationMode, Server};
use super::settings::{PrmPlace, Redirect};

impl Model {
    pub(crate) fn prm(&self, call: &Call<'_>, endpoint: Endpoint) -> Answer {
        let here = self.settings.prm.places.iter().any(|place| match place {
            // The two well-known places are one where the MCP URL has no path.
            PrmPlace::Path => endpoint == Endpoint::PrmPath,
            PrmPlace::Root => {
                endpoint == Endpoint::PrmRoot
                    || prm_url(&self.settings, &PrmPlace::Path)
                        == prm_url(&self.settings, &PrmPlace::Root)
            }
            PrmPlace::Custom(path) => endpoint == Endpoint::PrmCustom && path == call.url.path(),
        });
        if !here {
            return self.absent();
        }
        let prm = &self.settings.prm;
        let issuers = prm.authorization_servers.clone().unwrap_or_else(|| {
            self.settings
                .nth(self.current)
                .map(|server| vec![server.issuer.clone()])
                .unwrap_or_default()
        });
        let mut document = json!({
            "resource": self.settings.resource(),
            "authorization_servers": issuers,
            "bearer_methods_supported": ["header"],
        });
        if !prm.scopes.is_empty() {
            document = lay_over(document, &[("scopes_supported".to_owned(), json!(prm.scopes))]);
        }
        served(call, &prm.redirect, &lay_over(document, &prm.members))
    }

    pub(crate) fn as_metadata(&self, call: &Call<'_>, endpoint: Endpoint, index: usize) -> Answer {
        let server = self.server(index);
        let rooted = issuer_has_no_path(&server);
        let here = server.metadata.at.iter().any(|place| match place {
            MetadataPlace::Oauth => endpoint == Endpoint::AsOauth,
            MetadataPlace::Oidc => endpoint == Endpoint::AsOidc,
            MetadataPlace::OidcInserted => {
                endpoint == Endpoint::AsOidcInserted || (rooted && endpoint == Endpoint::AsOidc)
            }
        });
        if !here {
            return self.absent();
        }
        let document = document(&server, endpoint != Endpoint::AsOauth);
        served(call, &server.metadata.redirect, &lay_over(document, &server.metadata.members))
    }
}

fn issuer_has_no_path(server: &Server) -> bool {
    url::Url::parse(&server.issuer).is_ok_and(|issuer| matches!(issuer.path(), "" | "/"))
}

fn document(server: &Server, openid: bool) -> Value {
    let base = server.base();
    let issuer = server.metadata.issuer.as_ref().unwrap_or(&server.issuer);
    let methods: Vec<&str> = server.auth_methods.iter().map(|method| method.name()).collect();
    let mut members = vec![
        ("issuer", json!(issuer)),
        ("authorization_endpoint", json!(format!("{base}/authorize"))),
        ("token_endpoint", json!(format!("{base}/token"))),
        ("revocation_endpoint", json!(format!("{base}/revoke"))),
        ("revocation_endpoint_auth_methods_supported", json!(methods)),
        ("response_types_supported", json!(["code"])),
        ("response_modes_supported", json!(["query"])),
        ("grant_types_supported", json!(server.grant_types)),
        ("token_endpoint_auth_methods_supported", json!(methods)),
    ];
    if server.registration.mode != RegistrationMode::Closed {
        members.push(("registration_endpoint", json!(format!("{base}/register"))));
    }
    match server.metadata.pkce {
        Pkce::S256 => members.push(("code_challenge_methods_supported", json!(["S256"]))),
        Pkce::PlainOnly => members.push(("code_challenge_methods_supported", json!(["plain"]))),
        Pkce::Empty => members.push(("code_challenge_methods_supported", json!([]))),
        Pkce::Absent => {}
    }
    if !server.scopes_supported.is_empty() {
        members.push(("scopes_supported", json!(server.scopes_supported)));
    }
    if matches!(
        server.callback.iss,
        IssMode::Sent | IssMode::Missing | IssMode::Wrong(_) | IssMode::Slashed
    ) {
        members.push(("authorization_response_iss_parameter_supported", json!(true)));
    }
    if server.client_documents.supported {
        members.push(("client_id_metadata_document_supported", json!(true)));
    }
    if openid {
        members.push(("jwks_uri", json!(format!("{base}/jwks"))));
        members.push(("subject_types_supported", json!(["public"])));
        members.push(("id_token_signing_alg_values_supported", json!(["ES256"])));
    }
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn served(call: &Call<'_>, redirect: &Redirect, document: &Value) -> Answer {
    if !matches!(*call.method, Method::GET | Method::HEAD) {
        return Answer::empty(StatusCode::METHOD_NOT_ALLOWED).header(ALLOW, "GET, HEAD");
    }
    match redirect {
        Redirect::To(url) => return Answer::redirect(StatusCode::FOUND, url),
        Redirect::SameOrigin(hops) => {
            let hop: u32 =
                call.query.get("hop").and_then(|hop| hop.parse().ok()).unwrap_or_default();
            if hop < *hops {
                let mut next = call.url.clone();
                next.set_query(Some(&format!("hop={}", hop.saturating_add(1))));
                return Answer::redirect(StatusCode::FOUND, next.as_str());
            }
        }
        Redirect::None => {}
    }
    Answer::json(StatusCode::OK, document).header(CACHE_CONTROL, "max-age=60")
}
