//! The purpose of a request.

use serde::{Deserialize, Serialize};

/// The purpose of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Purpose {
    /// The first request of an MCP session, which shows whether a login is wanted at all.
    FirstRequest,
    /// RFC 9728 protected resource metadata.
    ResourceMetadata,
    /// RFC 8414 or OpenID Connect metadata of an authorization server.
    ServerMetadata,
    /// RFC 7591 dynamic client registration.
    Registration,
    /// The person's visit to the authorization endpoint.
    Authorization,
    /// The exchange of the code for tokens.
    CodeExchange,
    /// The exchange of the refresh token for tokens.
    Refresh,
    /// RFC 7009 revocation of tokens.
    Revocation,
}

impl Purpose {
    /// A stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FirstRequest => "first_request",
            Self::ResourceMetadata => "resource_metadata",
            Self::ServerMetadata => "server_metadata",
            Self::Registration => "registration",
            Self::Authorization => "authorization",
            Self::CodeExchange => "code_exchange",
            Self::Refresh => "refresh",
            Self::Revocation => "revocation",
        }
    }
}
