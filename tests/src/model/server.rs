//! The settings of the model for one authorization server.

use serde_json::Value;

use super::settings::Redirect;
use super::tokens::Tokens;

/// An authorization server.
#[derive(Clone, Debug)]
pub struct Server {
    /// The issuer identifier; its path, if any, prefixes all endpoints. For a server that spells itself otherwise
    /// than the resource does (a final slash), set this and [`Prm::authorization_servers`](super::Prm) apart.
    pub issuer: String,
    /// Where the endpoints stand, if not below the issuer.
    pub endpoints: Option<String>,
    /// The metadata document.
    pub metadata: Metadata,
    /// Dynamic client registration.
    pub registration: Registration,
    /// The person's behaviour on the consent page.
    pub consent: Consent,
    /// The shape of the redirect back to the client.
    pub callback: Callback,
    /// The token endpoint.
    pub tokens: Tokens,
    /// The rule for `resource`.
    pub resource: ResourceRule,
    /// Client authentication methods offered.
    pub auth_methods: Vec<AuthMethod>,
    /// The client is looked for by `client_id` in the form alone, as the Python SDK does: a Basic header without it
    /// finds nobody.
    pub client_in_form: bool,
    /// A refresh by a client that is not known, or no more, is `invalid_grant`, as many say it.
    pub hides_unknown_clients: bool,
    /// Grants offered.
    pub grant_types: Vec<String>,
    /// `scopes_supported`; absent when empty.
    pub scopes_supported: Vec<String>,
    /// Scopes that can be asked for (any other is `invalid_scope`); `None` means any.
    pub grantable: Option<Vec<String>>,
    /// Granted when no scope is asked for.
    pub default_scopes: Vec<String>,
    /// Client ID metadata documents.
    pub client_documents: ClientDocuments,
    /// Clients known from the start.
    pub clients: Vec<Preregistered>,
    /// Redirect URIs are compared whole, the ports of loopback addresses too, whatever RFC 8252 says.
    pub exact_redirects: bool,
    /// Refuse authorization requests without `state`.
    pub require_state: bool,
    /// Milliseconds an authorization code lives.
    pub code_life_ms: u64,
}

impl Server {
    /// An honest, strict server.
    pub fn new(issuer: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            endpoints: None,
            metadata: Metadata {
                at: vec![MetadataPlace::Oauth],
                issuer: None,
                pkce: Pkce::S256,
                members: Vec::new(),
                redirect: Redirect::None,
            },
            registration: Registration::default(),
            consent: Consent::Auto,
            callback: Callback { iss: IssMode::Sent, state: StateEcho::Same, extra: Vec::new() },
            tokens: Tokens::default(),
            resource: ResourceRule::Required,
            auth_methods: vec![AuthMethod::None, AuthMethod::Basic, AuthMethod::Post],
            client_in_form: false,
            hides_unknown_clients: false,
            grant_types: vec!["authorization_code".to_owned(), "refresh_token".to_owned()],
            scopes_supported: Vec::new(),
            grantable: None,
            default_scopes: Vec::new(),
            client_documents: ClientDocuments::default(),
            clients: Vec::new(),
            exact_redirects: false,
            require_state: true,
            code_life_ms: 60_000,
        }
    }

    /// Where the endpoints stand, without a final slash.
    pub(crate) fn base(&self) -> &str {
        self.endpoints.as_deref().unwrap_or(&self.issuer).trim_end_matches('/')
    }
}

/// The authorization server's metadata document.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Where it can be had; empty means that there is none.
    pub at: Vec<MetadataPlace>,
    /// The document's `issuer`, if it shall not be the real one.
    pub issuer: Option<String>,
    /// `code_challenge_methods_supported`.
    pub pkce: Pkce,
    /// Members laid over the document; `null` removes one.
    pub members: Vec<(String, Value)>,
    /// Redirects before the document.
    pub redirect: Redirect,
}

/// A place of the metadata document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataPlace {
    /// RFC 8414: `/.well-known/oauth-authorization-server` before the issuer's path.
    Oauth,
    /// `/.well-known/openid-configuration` before the issuer's path.
    OidcInserted,
    /// `/.well-known/openid-configuration` after the issuer's path.
    Oidc,
}

/// The value of `code_challenge_methods_supported`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pkce {
    /// `["S256"]`.
    S256,
    /// The member is absent; S256 is demanded all the same.
    Absent,
    /// `["plain"]`.
    PlainOnly,
    /// `[]`.
    Empty,
}

/// A client authentication method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuthMethod {
    /// `none`: a public client.
    None,
    /// `client_secret_basic`.
    Basic,
    /// `client_secret_post`.
    Post,
}

impl AuthMethod {
    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::None, Self::Basic, Self::Post].into_iter().find(|method| method.name() == name)
    }
}

/// Dynamic client registration (RFC 7591).
#[derive(Clone, Debug)]
pub struct Registration {
    /// Says whether clients may register.
    pub mode: RegistrationMode,
    /// The rule for `application_type`.
    pub application_type: ApplicationType,
    /// The method the server assigns instead of the one asked for.
    pub assigns: Option<AuthMethod>,
    /// A secret is returned although the method needs none.
    pub secret_unasked: bool,
    /// The answer has no `token_endpoint_auth_method`.
    pub omits_method: bool,
    /// The method that a client is held to that was told none.
    pub binds: Option<AuthMethod>,
    /// Seconds a secret lives; `None` means for ever (`client_secret_expires_at` 0).
    pub secret_life_s: Option<u64>,
    /// Seconds until a registration is forgotten; `None` means never.
    pub life_s: Option<u64>,
    /// The status of success.
    pub status: u16,
    /// A Bearer token that registration demands.
    pub initial_access_token: Option<String>,
    /// Members laid over the answer; `null` removes one.
    pub members: Vec<(String, Value)>,
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            mode: RegistrationMode::Open,
            application_type: ApplicationType::Required,
            assigns: None,
            secret_unasked: false,
            omits_method: false,
            binds: None,
            secret_life_s: None,
            life_s: None,
            status: 201,
            initial_access_token: None,
            members: Vec::new(),
        }
    }
}

/// The ways in which clients may register, or may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationMode {
    /// Everybody may.
    Open,
    /// No endpoint, and none in the metadata.
    Closed,
    /// The endpoint refuses everybody with this error.
    Refuses(String),
}

/// The rule for `application_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationType {
    /// Nothing.
    Ignored,
    /// `native` or `web` must be there and agree with the redirect URIs.
    Required,
    /// Absence means `web`, which excludes loopback redirect URIs, as OpenID Connect has it.
    DefaultsToWeb,
}

/// The person's behaviour on the consent page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Agrees at once: the answer is a redirect.
    Auto,
    /// Sees a page with a form that must be posted back with its cookie and hidden fields.
    Form,
    /// Declines: `error=access_denied`.
    Deny,
    /// Closes the window: no redirect ever comes.
    Ignore,
    /// The server redirects with this error.
    Error(String),
}

/// The redirect back to the client.
#[derive(Clone, Debug)]
pub struct Callback {
    /// RFC 9207 `iss`.
    pub iss: IssMode,
    /// The fate of `state`.
    pub state: StateEcho,
    /// Parameters added at the end.
    pub extra: Vec<(String, String)>,
}

/// How `iss` is announced and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssMode {
    /// Advertised and sent.
    Sent,
    /// Neither.
    Absent,
    /// Sent, though not advertised.
    SentUnadvertised,
    /// Advertised, but not sent.
    Missing,
    /// Advertised, and this value sent.
    Wrong(String),
    /// Not advertised, and this value sent.
    Unexpected(String),
    /// Advertised, and sent with one slash more.
    Slashed,
}

/// The fate of `state`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateEcho {
    /// It comes back as it was.
    Same,
    /// It is dropped.
    Absent,
    /// This comes instead.
    Wrong(String),
}

/// The rule for `resource`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceRule {
    /// Must be there, right and equal in each request.
    Required,
    /// May be absent; if there, must be right and equal.
    Optional,
    /// Not looked at.
    Ignored,
    /// `invalid_target` if there.
    Refused,
    /// Refused if there, in the words of Microsoft Entra, at the token endpoint too.
    RefusedByEntra,
}

/// Client ID metadata documents. Nothing is ever fetched.
#[derive(Clone, Debug, Default)]
pub struct ClientDocuments {
    /// Advertised, and https `client_id` URLs are accepted.
    pub supported: bool,
    /// The redirect URIs that every such document is taken to list.
    pub redirect_uris: Vec<String>,
}

/// A client known from the start.
#[derive(Clone, Debug)]
pub struct Preregistered {
    /// Its identifier.
    pub client_id: String,
    /// Its secret, if its method needs one.
    pub secret: Option<String>,
    /// Its authentication method.
    pub method: AuthMethod,
    /// Its redirect URIs.
    pub redirect_uris: Vec<String>,
    /// Its grants.
    pub grant_types: Vec<String>,
}
