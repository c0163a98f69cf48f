//! Changes by which a person keeps a failure from coming again: leniencies, and settings that
//! weaken nothing.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A named leniency that would have avoided a failure, off unless switched on for one issuer,
/// resource or host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Switch {
    /// D1: the issuer need not list PKCE methods; S256 is sent all the same.
    PkceUnlisted,
    /// D2: servers of revision 2025-03-26 may be used with default endpoints.
    LegacyServers,
    /// D3: a document issuer that differs from the listed one by a slash after a bare origin.
    IssuerSlash,
    /// D4: protected resource metadata of a parent path.
    ParentResource,
    /// D5: endpoints on unrelated hosts.
    SplitEndpoints,
    /// D6: a private address for one host.
    PrivateAddress,
    /// D6: plain http for one host.
    PlainHttp,
    /// D7: a token answer without `token_type`.
    MissingTokenType,
    /// D8: the `resource` parameter is left out or replaced.
    ResourceParameter,
    /// D13 and BIND-12: one exact pair of listed and document issuer.
    IssuerPin,
    /// D15: authentication method `none` that the issuer does not list.
    UnlistedNone,
    /// CAUTH-02: an authentication method that the issuer does not list and the host has chosen.
    UnlistedMethod,
    /// HOST-288: refreshing although the credential store cannot keep other processes from it.
    UnlockedRefresh,
    /// SEC-07: Strict goes through a proxy, which looks names up itself.
    StrictProxy,
    /// Everything that Microsoft Entra needs, by one name.
    Entra,
    /// Everything that Amazon Cognito needs, by one name.
    Cognito,
}

impl Switch {
    /// The stable name, as it is written in configurations and shown in errors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PkceUnlisted => "pkce_unlisted",
            Self::LegacyServers => "legacy_servers",
            Self::IssuerSlash => "issuer_slash",
            Self::ParentResource => "parent_resource",
            Self::SplitEndpoints => "split_endpoints",
            Self::PrivateAddress => "private_address",
            Self::PlainHttp => "plain_http",
            Self::MissingTokenType => "missing_token_type",
            Self::ResourceParameter => "resource_parameter",
            Self::IssuerPin => "issuer_pin",
            Self::UnlistedNone => "unlisted_none",
            Self::UnlistedMethod => "unlisted_method",
            Self::UnlockedRefresh => "unlocked_refresh",
            Self::StrictProxy => "strict_proxy",
            Self::Entra => "entra",
            Self::Cognito => "cognito",
        }
    }
}

/// A setting of [`ConfigBuilder`](crate::config::ConfigBuilder) that may mend a failure and weakens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Setting {
    /// Another client authentication method at one issuer.
    ClientAuthMethod,
    /// The authorization server's endpoints, where no document names them (DISC-11).
    Endpoints,
    /// The scopes that will be asked for are registered, too.
    RegisterScopes,
    /// The token that lets a program register at a server that does not register everybody.
    InitialAccessToken,
    /// The name that a server knows and shows.
    ClientName,
    /// The other client metadata that the program registers.
    ClientMetadata,
    /// The redirect URI, which the person is sent back to.
    Redirect,
    /// The choice to do without refresh tokens.
    RefreshTokens,
    /// More parameters of the authorization request at one issuer.
    AuthorizationParameter,
    /// A new login, whatever the session holds.
    LoginAnew,
}

impl Setting {
    /// The name of the builder's method.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientAuthMethod => "client_auth_method",
            Self::Endpoints => "authorization_endpoint and token_endpoint",
            Self::RegisterScopes => "register_scopes",
            Self::InitialAccessToken => "initial_access_token",
            Self::ClientName => "client_name",
            Self::ClientMetadata => "client_metadata",
            Self::Redirect => "redirect_uri",
            Self::RefreshTokens => "refresh_tokens",
            Self::AuthorizationParameter => "authorization_parameter",
            Self::LoginAnew => "login_anew",
        }
    }

    /// Returns true if the setting is made for one issuer.
    pub(crate) const fn of_issuer(self) -> bool {
        matches!(self, Self::ClientAuthMethod | Self::AuthorizationParameter)
    }

    /// The effect of the setting, in words that follow "you can".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::ClientAuthMethod => "choose another client authentication method",
            Self::Endpoints => "name the endpoints of its authorization server",
            Self::RegisterScopes => "register the scopes that will be asked for",
            Self::InitialAccessToken => "give the initial access token that registering needs",
            Self::ClientName => "choose a client name that the server admits",
            Self::ClientMetadata => "change what the program says of itself",
            Self::Redirect => "choose another redirect URI",
            Self::RefreshTokens => "do without refresh tokens",
            Self::AuthorizationParameter => "add the authorization parameter that the server wants",
            Self::LoginAnew => "log in anew, or forget what is held and log in",
        }
    }
}

/// A setting that may mend a failure, and the issuer it is to be made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mend {
    /// The setting.
    pub setting: Setting,
    /// The issuer, for a setting of one issuer; escaped.
    pub issuer: Option<String>,
}

impl fmt::Display for Mend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting.name(), self.setting.words())?;
        match &self.issuer {
            Some(issuer) => write!(f, " for {issuer}"),
            None => Ok(()),
        }
    }
}
