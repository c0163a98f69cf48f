//! Clients: who they are, where they may be sent back to, how they prove themselves.

use std::collections::BTreeMap;

use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use url::{Host, Url};

use super::Model;
use super::answer::Answer;
use super::params::Call;
use super::server::{AuthMethod, Server};

/// A registered client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: Option<String>,
    /// When the secret ends, in milliseconds since the Unix epoch.
    pub(crate) secret_ends: Option<u64>,
    pub(crate) method: AuthMethod,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) grant_types: Vec<String>,
    /// When it is forgotten, in milliseconds since the Unix epoch.
    pub(crate) ends: Option<u64>,
    /// Registered itself, and can be forgotten.
    pub(crate) dynamic: bool,
}

impl Client {
    pub(crate) fn may(&self, grant: &str) -> bool {
        self.grant_types.iter().any(|known| known == grant)
    }

    pub(crate) fn redirects_to(&self, uri: &str, exact: bool) -> bool {
        self.redirect_uris.iter().any(|known| known == uri || !exact && same_redirect(known, uri))
    }
}

/// All clients, by authorization server: an identifier of one means nothing to another.
#[derive(Debug, Default)]
pub(crate) struct Clients(BTreeMap<(usize, String), Client>);

impl Clients {
    pub(crate) fn add(&mut self, server: usize, client: Client) {
        self.0.insert((server, client.id.clone()), client);
    }

    pub(crate) fn forget_registered(&mut self) {
        self.0.retain(|_, client| !client.dynamic);
    }
}

impl Model {
    pub(crate) fn adopt_preregistered(&mut self) {
        for (index, server) in self.settings.servers().enumerate() {
            for known in &server.clients {
                let client = Client {
                    id: known.client_id.clone(),
                    secret: known.secret.clone(),
                    secret_ends: None,
                    method: known.method,
                    redirect_uris: known.redirect_uris.clone(),
                    grant_types: known.grant_types.clone(),
                    ends: None,
                    dynamic: false,
                };
                self.clients.add(index, client);
            }
        }
    }

    /// The client of that identifier; a metadata document URL is taken for the document it names.
    pub(crate) fn client(
        &self,
        call: &Call<'_>,
        index: usize,
        server: &Server,
        id: &str,
    ) -> Option<Client> {
        if let Some(client) = self.clients.0.get(&(index, id.to_owned())) {
            return Some(client.clone())
                .filter(|client| client.ends.is_none_or(|end| call.now < end));
        }
        let document = Url::parse(id).ok().filter(|url| {
            url.scheme() == "https" && !matches!(url.path(), "" | "/") && url.fragment().is_none()
        });
        (server.client_documents.supported && document.is_some()).then(|| Client {
            id: id.to_owned(),
            secret: None,
            secret_ends: None,
            method: AuthMethod::None,
            redirect_uris: server.client_documents.redirect_uris.clone(),
            grant_types: server.grant_types.clone(),
            ends: None,
            dynamic: false,
        })
    }

    /// The client behind a token or revocation request. It must prove itself by exactly the method it registered:
    /// a server that takes whatever comes hides a client that sends its secret the wrong way.
    pub(crate) fn authenticate(
        &self,
        call: &Call<'_>,
        index: usize,
        server: &Server,
    ) -> Result<Client, Answer> {
        let header = call.headers.contains_key(http::header::AUTHORIZATION);
        let body_secret = call.form.get("client_secret");
        if header && (body_secret.is_some() || call.form.get("client_assertion").is_some()) {
            return Err(bad_request(
                "invalid_request",
                "more than one client authentication method",
            ));
        }
        if server.client_in_form && call.form.get("client_id").is_none() {
            return Err(unauthenticated(header, "Missing client_id"));
        }
        let (id, secret, method) = if header {
            let Some((id, secret)) = call.basic() else {
                return Err(unauthenticated(
                    header,
                    "the Authorization header is not form-encoded HTTP Basic",
                ));
            };
            if call.form.get("client_id").is_some_and(|other| other != id) {
                return Err(bad_request("invalid_request", "two different client identifiers"));
            }
            (id, Some(secret), AuthMethod::Basic)
        } else {
            let Some(id) = call.form.get("client_id") else {
                return Err(unauthenticated(header, "no client identifier"));
            };
            let method = if body_secret.is_some() { AuthMethod::Post } else { AuthMethod::None };
            (id.to_owned(), body_secret.map(str::to_owned), method)
        };
        let Some(client) = self.client(call, index, server, &id) else {
            if server.hides_unknown_clients && call.form.get("refresh_token").is_some() {
                return Err(bad_request("invalid_grant", "unknown refresh token"));
            }
            return Err(unauthenticated(header, "unknown client"));
        };
        if client.method != method {
            return Err(unauthenticated(header, "not the registered client authentication method"));
        }
        if client.method != AuthMethod::None {
            if client.secret != secret {
                return Err(unauthenticated(header, "wrong client secret"));
            }
            if client.secret_ends.is_some_and(|ends| ends <= call.now) {
                return Err(unauthenticated(header, "the client secret has expired"));
            }
        }
        Ok(client)
    }
}

pub(crate) fn unauthenticated(header: bool, description: &str) -> Answer {
    let answer = Answer::refusal(StatusCode::UNAUTHORIZED, "invalid_client", description);
    // RFC 6749 section 5.2: a client that tried the header is told which scheme is meant.
    if header { answer.header(WWW_AUTHENTICATE, "Basic realm=\"token\"") } else { answer }
}

pub(crate) fn bad_request(code: &str, description: &str) -> Answer {
    Answer::refusal(StatusCode::BAD_REQUEST, code, description)
}

/// Exact comparison, except that the port of a loopback IP literal is free (RFC 8252 section 7.3). `localhost` is a
/// name and enjoys no such freedom.
fn same_redirect(registered: &str, asked: &str) -> bool {
    if registered == asked {
        return true;
    }
    let (Ok(mut one), Ok(mut two)) = (Url::parse(registered), Url::parse(asked)) else {
        return false;
    };
    if !is_loopback_literal(&one) || one.set_port(None).is_err() || two.set_port(None).is_err() {
        return false;
    }
    one == two
}

pub(crate) fn is_loopback_literal(url: &Url) -> bool {
    url.scheme() == "http"
        && match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            _ => false,
        }
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    is_loopback_literal(url) || (url.scheme() == "http" && url.host_str() == Some("localhost"))
}
