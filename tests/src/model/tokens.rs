//! The settings of the model for the token endpoint of an authorization server.

use serde_json::Value;

/// The token endpoint.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Seconds an access token really lives.
    pub access_life_s: u64,
    /// Requests that an access token is good for; `None` means any number.
    pub access_uses: Option<usize>,
    /// How `expires_in` is written.
    pub expires_in: ExpiresIn,
    /// `token_type`; `None` leaves it out.
    pub token_type: Option<String>,
    /// Which scopes are granted, and how the answer names them.
    pub scope: ScopeEcho,
    /// The cases in which a refresh token is issued.
    pub refresh: RefreshIssue,
    /// The fate of a used refresh token.
    pub rotation: Rotation,
    /// Milliseconds a refresh token lives; `None` means for ever.
    pub refresh_life_ms: Option<u64>,
    /// A refresh makes the older access tokens of the grant invalid.
    pub refresh_ends_access: bool,
    /// So many code exchanges find that the server has forgotten the registration of their client.
    pub forgets_clients: usize,
    /// The code exchange of this number, the first being 1, is refused as `invalid_client`, though the client is known.
    pub refuses_exchange: Option<usize>,
    /// So many refreshes are answered by 503, and are not looked at.
    pub refresh_outages: usize,
    /// The status of every token error, instead of the right one.
    pub error_status: Option<u16>,
    /// The status and the body of a refusal for good of a refresh, instead of `invalid_grant`.
    pub refresh_refusal: Option<(u16, Value)>,
    /// Characters in an access token.
    pub length: usize,
    /// Members laid over a successful answer; `null` removes one.
    pub members: Vec<(String, Value)>,
    /// The status of success.
    pub status: u16,
    /// The fault in the form of a successful answer.
    pub sloppiness: Option<Sloppiness>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            access_life_s: 3600,
            access_uses: None,
            expires_in: ExpiresIn::Number,
            token_type: Some("Bearer".to_owned()),
            scope: ScopeEcho::AsAsked,
            refresh: RefreshIssue::Always,
            rotation: Rotation::On { revoke_family: true, grace_ms: 0 },
            refresh_life_ms: None,
            refresh_ends_access: false,
            forgets_clients: 0,
            refuses_exchange: None,
            refresh_outages: 0,
            error_status: None,
            refresh_refusal: None,
            length: 46,
            members: Vec::new(),
            status: 200,
            sloppiness: None,
        }
    }
}

/// The fault in the form of an answer, whose tokens are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sloppiness {
    /// `Content-Encoding` says this, and nothing is encoded.
    Encoding(&'static str),
    /// A member that nobody needs holds a byte that is not UTF-8.
    NotUtf8,
    /// A member that nobody needs holds half of a surrogate pair.
    Surrogate,
    /// A member that nobody needs holds a line end as it is.
    LineEnd,
    /// A member that nobody needs is 40 objects deep.
    Deep,
    /// These bytes follow the object.
    Followed(&'static [u8]),
    /// Each member comes twice, with the same value.
    Twice,
}

/// How `expires_in` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiresIn {
    /// `3600`.
    Number,
    /// `"3600"`.
    Text,
    /// `3600.0`.
    Float,
    /// `0`.
    Zero,
    /// `-1`.
    Negative,
    /// `1e30`.
    Huge,
    /// `"soon"`.
    Nonsense,
    /// Left out.
    Absent,
}

/// Which scopes are granted, and how the answer names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeEcho {
    /// Granted and named as asked.
    AsAsked,
    /// The last scope asked for is not granted.
    Narrower,
    /// This scope is granted besides.
    Wider(String),
    /// Granted as asked, named with commas.
    Commas,
    /// Granted as asked, named in a JSON array.
    Array,
    /// Granted as asked, not named.
    Absent,
}

/// The cases in which a refresh token is issued. In each case the client must have registered the
/// grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshIssue {
    /// Every code exchange.
    Always,
    /// Only where `offline_access` was granted.
    OfflineAccess,
    /// Nobody.
    Never,
}

/// The fate of a used refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It stays, and the answer names none.
    Off,
    /// The answer has a new one.
    On {
        /// Using an old one revokes everything that came of the same consent.
        revoke_family: bool,
        /// For this long after its first use an old one still works.
        grace_ms: u64,
    },
}
