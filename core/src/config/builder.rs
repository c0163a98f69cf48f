//! Every setting by a name of its own. Nothing is checked here; `build` does that.

use std::sync::Arc;

use super::endpoints::Endpoints;
use super::{Config, IssuerSettings, PreRegistered, Profile, Redirect, Times};
use crate::secret::Secret;
use crate::wire::client_auth::Method;
use crate::wire::redirect::LoopbackHost;
use crate::wire::registration::ClientMetadata;
use crate::wire::url::UrlPolicy;

impl Config {
    /// Starts a configuration for one MCP URL; everything else has a sound default.
    #[must_use]
    pub fn builder(mcp_url: &str) -> ConfigBuilder {
        ConfigBuilder::new(mcp_url)
    }
}

/// Collects settings; nothing is checked before [`ConfigBuilder::build`].
#[derive(Clone, Debug)]
pub struct ConfigBuilder {
    /// The URL as it was given, perhaps with a password or a key in it (HOST-326).
    pub(super) mcp_url: Secret,
    pub(super) account: Option<String>,
    pub(super) profile: Profile,
    pub(super) legacy: Option<bool>,
    pub(super) redirect: RedirectSetting,
    pub(super) metadata: ClientMetadata,
    pub(super) initial_access_token: Option<Secret>,
    pub(super) program: Option<String>,
    pub(super) registration: bool,
    pub(super) register_scopes: bool,
    pub(super) login_anew: bool,
    pub(super) document: Option<(String, Vec<String>, bool)>,
    pub(super) clients: Vec<PreRegistered>,
    pub(super) issuers: Vec<IssuerSettings>,
    pub(super) preferred_issuer: Option<String>,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) default_scopes: Option<Vec<String>>,
    pub(super) refresh_tokens: bool,
    pub(super) private_scheme: bool,
    pub(super) persistent: bool,
    pub(super) unlocked_refresh: bool,
    pub(super) strict_proxy: bool,
    pub(super) protocol_version: String,
    pub(super) times: Times,
    pub(super) plain_http: Vec<Box<str>>,
    pub(super) private_hosts: Vec<Box<str>>,
    pub(super) prefixes: Vec<String>,
    pub(super) policy: Option<Arc<dyn UrlPolicy>>,
    pub(super) endpoints: Endpoints,
}

/// Starts a configuration with every default.
impl From<&str> for ConfigBuilder {
    fn from(mcp_url: &str) -> Self {
        Self::new(mcp_url)
    }
}

impl From<String> for ConfigBuilder {
    fn from(mcp_url: String) -> Self {
        Self::new(&mcp_url)
    }
}

impl From<&String> for ConfigBuilder {
    fn from(mcp_url: &String) -> Self {
        Self::new(mcp_url)
    }
}

/// The redirect setting, not checked yet.
#[derive(Clone, Debug)]
pub(super) enum RedirectSetting {
    Ready(Redirect),
    Uri(String),
}

impl ConfigBuilder {
    fn new(mcp_url: &str) -> Self {
        Self {
            mcp_url: Secret::new(mcp_url),
            account: None,
            profile: Profile::Standard,
            legacy: None,
            redirect: RedirectSetting::Ready(Redirect::default()),
            metadata: ClientMetadata::default(),
            initial_access_token: None,
            program: None,
            registration: true,
            register_scopes: false,
            login_anew: false,
            document: None,
            clients: Vec::new(),
            issuers: Vec::new(),
            preferred_issuer: None,
            scopes: None,
            default_scopes: None,
            refresh_tokens: true,
            private_scheme: false,
            persistent: false,
            unlocked_refresh: false,
            strict_proxy: false,
            protocol_version: "2025-11-25".to_owned(),
            times: Times::default(),
            plain_http: Vec::new(),
            private_hosts: Vec::new(),
            prefixes: Vec::new(),
            policy: None,
            endpoints: Endpoints::default(),
        }
    }

    /// The account, for programs that hold several at one server. The name must be neither empty
    /// nor `default`, which is the name of the account that is given none (HOST-299).
    #[must_use]
    pub fn account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// Sets how tolerant the client is.
    #[must_use]
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Allows or forbids servers of revision 2025-03-26 (D2). The default is to allow them with a
    /// loopback redirect, which only a program on the person's machine has, and to forbid them
    /// otherwise.
    #[must_use]
    pub const fn legacy_servers(mut self, allowed: bool) -> Self {
        self.legacy = Some(allowed);
        self
    }

    /// Listens on loopback for the callback: `127.0.0.1`, any free port and `/callback` unless set
    /// otherwise.
    #[must_use]
    pub fn redirect_loopback(mut self, host: LoopbackHost, port: Option<u16>, path: &str) -> Self {
        self.redirect =
            RedirectSetting::Ready(Redirect::Loopback { host, port, path: path.to_owned() });
        self
    }

    /// A redirect URI that somebody else serves.
    #[must_use]
    pub fn redirect_uri(mut self, uri: &str) -> Self {
        self.redirect = RedirectSetting::Uri(uri.to_owned());
        self
    }

    /// The name that a person sees when the server asks for consent; the program's name unless set.
    #[must_use]
    pub fn client_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.metadata.client_name);
        self
    }

    /// The name of the program that runs, which is the client's name unless another one is set. The
    /// managers set the name of the executable file.
    #[must_use]
    pub fn program(mut self, name: &str) -> Self {
        self.program = Some(name.to_owned());
        self
    }

    /// The metadata that the client registers, its name included.
    #[must_use]
    pub fn client_metadata(mut self, metadata: ClientMetadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// A token that the registration endpoint wants (RFC 7591 §3).
    #[must_use]
    pub fn initial_access_token(mut self, token: Secret) -> Self {
        self.initial_access_token = Some(token);
        self
    }

    /// Allows or forbids dynamic registration, which is allowed by default (REG-04).
    #[must_use]
    pub const fn dynamic_registration(mut self, allowed: bool) -> Self {
        self.registration = allowed;
        self
    }

    /// Makes a registration name the scopes that will be asked for, `offline_access` among them
    /// where that is asked for. This is off by default, which leaves the choice to the server
    /// (REG-91). A stored registration that lacks one of them is replaced at the next login.
    #[must_use]
    pub const fn register_scopes(mut self, wanted: bool) -> Self {
        self.register_scopes = wanted;
        self
    }

    /// Makes the first grant one of a new login, whatever the store has: for another person, or
    /// after something was changed at the server. The stored grant stays there until the new one
    /// has come.
    #[must_use]
    pub const fn login_anew(mut self, wanted: bool) -> Self {
        self.login_anew = wanted;
        self
    }

    /// The URL of our Client ID Metadata Document and the redirect URIs it lists (empty if they
    /// are not known here).
    #[must_use]
    pub fn client_document(mut self, url: &str, redirect_uris: &[&str]) -> Self {
        let uris = redirect_uris.iter().map(|uri| (*uri).to_owned()).collect();
        self.document = Some((url.to_owned(), uris, false));
        self
    }

    /// Uses the metadata document even where the server does not say that it understands it
    /// (CIMD-02).
    #[must_use]
    pub fn client_document_forced(mut self) -> Self {
        if let Some((_, _, forced)) = &mut self.document {
            *forced = true;
        }
        self
    }

    /// Adds credentials that were agreed upon beforehand.
    #[must_use]
    pub fn pre_registered(mut self, client: PreRegistered) -> Self {
        self.clients.push(client);
        self
    }

    /// The issuer to choose where a resource lists several (D12).
    #[must_use]
    pub fn prefer_issuer(mut self, issuer: &str) -> Self {
        self.preferred_issuer = Some(issuer.to_owned());
        self
    }

    /// The scopes to ask for, whatever the server names (SCOPE-06).
    #[must_use]
    pub fn scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes = Some(scopes.iter().map(|scope| (*scope).to_owned()).collect());
        self
    }

    /// The scopes to ask for where the server names none (SCOPE-06).
    #[must_use]
    pub fn default_scopes(mut self, scopes: &[&str]) -> Self {
        self.default_scopes = Some(scopes.iter().map(|scope| (*scope).to_owned()).collect());
        self
    }

    /// Asks for refresh tokens or does without them. They are wanted by default (REF-15).
    #[must_use]
    pub const fn refresh_tokens(mut self, wanted: bool) -> Self {
        self.refresh_tokens = wanted;
        self
    }

    /// Says if the driver has a credential store; it has none by default.
    #[must_use]
    pub const fn persistent(mut self, persistent: bool) -> Self {
        self.persistent = persistent;
        self
    }

    /// The MCP revision named on metadata requests (DISC-13).
    #[must_use]
    pub fn protocol_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.protocol_version);
        self
    }

    /// Adds a parameter to authorization requests at one issuer (AUTHZ-09).
    #[must_use]
    pub fn authorization_parameter(mut self, issuer: &str, name: &str, value: &str) -> Self {
        self.at_issuer(issuer, |at| at.parameters.push((name.into(), value.into())));
        self
    }

    /// The client authentication method at one issuer, for every kind of client that has what the
    /// method needs. A registration asks for it, and it is used whatever the server lists or its
    /// answer says (CAUTH-02). If it fails, no other method is tried (CAUTH-13).
    #[must_use]
    pub fn client_auth_method(mut self, issuer: &str, method: Method) -> Self {
        self.at_issuer(issuer, |at| at.client_auth = Some(method));
        self
    }

    /// Adds `prompt=consent` at one issuer whenever `offline_access` is asked for (AUTHZ-10).
    #[must_use]
    pub fn consent_for_offline_access(mut self, issuer: &str) -> Self {
        self.at_issuer(issuer, |at| at.consent_for_offline = true);
        self
    }

    /// Adds the parameters that Google needs to give a refresh token: `access_type=offline`, and
    /// `prompt=consent`, without which only the first login ever brings one.
    #[must_use]
    pub fn google(mut self, issuer: &str) -> Self {
        self.at_issuer(issuer, |at| {
            for (name, value) in [("access_type", "offline"), ("prompt", "consent")] {
                at.parameters.retain(|(held, _)| **held != *name);
                at.parameters.push((name.into(), value.into()));
            }
        });
        self
    }

    /// Adds a path of the MCP URL's own origin to which the token may go as well (USE-07).
    #[must_use]
    pub fn token_prefix(mut self, path: &str) -> Self {
        self.prefixes.push(path.to_owned());
        self
    }

    /// A deployment's own rule about URLs, beside ours. A program that authorizes for others lists
    /// the hosts it may be sent to with such a rule (SEC-06).
    #[must_use]
    pub fn url_policy(mut self, policy: Arc<dyn UrlPolicy>) -> Self {
        self.policy = Some(policy);
        self
    }

    /// The authorization endpoint of the MCP server's authorization server, if no document
    /// describes it. It goes together with [`ConfigBuilder::token_endpoint`]. No authorization server
    /// metadata is asked for then, and the protected resource metadata says only what the tokens
    /// are for (DISC-11, ASM-21).
    ///
    /// The person vouches for the server, so its endpoints may be on different hosts. Each URL must
    /// pass the rules that a document's URLs pass.
    #[must_use]
    pub fn authorization_endpoint(mut self, url: &str) -> Self {
        self.endpoints.authorization = Some(url.to_owned());
        self
    }

    /// The token endpoint. It goes together with [`ConfigBuilder::authorization_endpoint`].
    #[must_use]
    pub fn token_endpoint(mut self, url: &str) -> Self {
        self.endpoints.token = Some(url.to_owned());
        self
    }

    /// The registration endpoint of the server that [`ConfigBuilder::authorization_endpoint`] describes.
    /// Without one its client must be known beforehand.
    #[must_use]
    pub fn registration_endpoint(mut self, url: &str) -> Self {
        self.endpoints.registration = Some(url.to_owned());
        self
    }

    /// The revocation endpoint of the server that [`ConfigBuilder::authorization_endpoint`] describes.
    #[must_use]
    pub fn revocation_endpoint(mut self, url: &str) -> Self {
        self.endpoints.revocation = Some(url.to_owned());
        self
    }

    /// The issuer of the server that [`ConfigBuilder::authorization_endpoint`] describes; that endpoint's
    /// origin unless set. An `iss` that comes with a callback is compared with it, and settings
    /// that are made for an issuer name it.
    #[must_use]
    pub fn endpoints_issuer(mut self, issuer: &str) -> Self {
        self.endpoints.issuer = Some(issuer.to_owned());
        self
    }

    /// Time limits. This is the one place for those of a session's own requests, on every runtime;
    /// a caller's own requests carry theirs.
    #[must_use]
    pub const fn times(mut self, times: Times) -> Self {
        self.times = times;
        self
    }

    /// Changes the settings of one issuer, and makes them if there are none.
    pub(super) fn at_issuer(&mut self, issuer: &str, change: impl FnOnce(&mut IssuerSettings)) {
        if let Some(held) = self.issuers.iter_mut().find(|held| *held.issuer == *issuer) {
            return change(held);
        }
        let mut made = IssuerSettings { issuer: issuer.into(), ..Default::default() };
        change(&mut made);
        self.issuers.push(made);
    }
}
