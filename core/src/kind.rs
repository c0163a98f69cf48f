//! The kinds of failure, as a closed list with stable codes, and the remedy of each.

use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($name:ident $code:literal $remedy:ident $text:literal;)*) => {
        /// The kinds of failure, as a closed list. [`Kind::code`] is stable and machine-readable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Kind { $(#[doc = $text] $name,)* }

        impl Kind {
            /// Every kind there is.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];

            /// The stable code, in `snake_case`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Kind::$name => $code,)* }
            }

            /// One sentence for people, without its full stop.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Kind::$name => $text,)* }
            }

            /// The remedy unless the circumstances call for another.
            #[must_use]
            pub const fn remedy(self) -> Remedy {
                match self { $(Kind::$name => remedy!($remedy),)* }
            }
        }
    };
}

macro_rules! remedy {
    (Retry) => {
        Remedy::Retry { after: None }
    };
    ($other:ident) => {
        Remedy::$other
    };
}

kinds! {
    UrlMalformed "url_malformed" Report "a URL is not written as a URL must be";
    UrlScheme "url_scheme" Report "a URL has a scheme other than https";
    UrlUserinfo "url_userinfo" Report "a URL carries a user name or password";
    UrlFragment "url_fragment" Report "a URL carries a fragment";
    UrlHost "url_host" Report "a URL names a host that no certificate could name";
    UrlPort "url_port" Report "a URL names an impossible port";
    UrlNotCanonical "url_not_canonical" Report "a URL changes when it is parsed and written again";
    UrlTooLong "url_too_long" Report "a URL is longer than the limit";
    UrlReservedQuery "url_reserved_query" Report "an endpoint's query already holds a parameter of the protocol";
    InsecureTransport "insecure_transport" Configure "plain http is allowed on loopback only";
    AddressBlocked "address_blocked" Configure "a private or special address was named by a server";
    RedirectRefused "redirect_refused" Report "a redirect was answered where none may be followed";
    CrossOriginRedirect "cross_origin_redirect" Report "a redirect leads to another origin";
    TooManyRedirects "too_many_redirects" Report "a metadata request was redirected too often";
    BodyTooLarge "body_too_large" Report "an answer's body is over its limit";
    HeaderTooLarge "header_too_large" Report "an answer's head is over its limit";
    HeaderMalformed "header_malformed" Report "an answer's head cannot be read";
    EncodingRefused "encoding_refused" Report "an answer is compressed although identity was asked for";
    Timeout "timeout" Retry "no whole answer came in time";
    Tls "tls" Report "the TLS connection could not be trusted";
    ProxyRefused "proxy_refused" Configure "the proxy refused the connection";
    ProxyForbidden "proxy_forbidden" Configure "a proxy would look up names, which Strict leaves to nobody else";
    Transient "transient" Retry "the server cannot answer now";
    RequestBudget "request_budget" Report "the flow has used up its requests";
    JsonMalformed "json_malformed" Report "an answer is not well-formed JSON";
    JsonTooDeep "json_too_deep" Report "an answer's JSON is nested too deeply";
    JsonDuplicateKey "json_duplicate_key" Report "an answer names a member twice";
    LimitExceeded "limit_exceeded" Report "a value is over its limit";
    PrmInvalid "prm_invalid" Report "the protected resource metadata is invalid";
    ResourceMismatch "resource_mismatch" Report "the protected resource metadata describes another resource";
    NoAuthorizationServer "no_authorization_server" Configure "the protected resource metadata names no usable authorization server";
    AsMetadataInvalid "as_metadata_invalid" Report "the authorization server metadata is invalid";
    IssuerMismatch "issuer_mismatch" Configure "the authorization server metadata names another issuer";
    PkceUnsupported "pkce_unsupported" Configure "the authorization server does not announce PKCE with S256";
    ResponseTypeUnsupported "response_type_unsupported" Report "the authorization server does not offer the code flow";
    ClientAuthUnsupported "client_auth_unsupported" Configure "no client authentication method is supported by both sides";
    ParRequired "par_required" Configure "the authorization server wants pushed authorization requests";
    DpopRequired "dpop_required" Report "the resource wants DPoP-bound tokens";
    DiscoveryFailed "discovery_failed" Configure "no metadata was found";
    NotRequired "authorization_not_required" Proceed "the server asks for no authorization";
    IssuerChanged "issuer_changed" AskUser "the resource now names another authorization server";
    EndpointsIncoherent "endpoints_incoherent" Configure "the endpoints belong to unrelated hosts";
    RegistrationFailed "registration_failed" Register "the authorization server refused the registration";
    RegistrationUnusable "registration_unusable" Register "the registration that came back cannot be used";
    NoRegistrationMethod "no_registration_method" Register "there is no way to become a client of the authorization server";
    StateMismatch "state_mismatch" AskUser "a callback belongs to no waiting login";
    IssMissing "iss_missing" AskUser "a callback lacks the issuer that the server promised to send";
    IssMismatch "iss_mismatch" AskUser "a callback names another issuer";
    CallbackMalformed "callback_malformed" AskUser "a callback cannot be read";
    CallbackDuplicateParam "callback_duplicate_param" AskUser "a callback names a parameter twice";
    CallbackUsed "callback_used" AskUser "a callback was used already";
    CallbackTimeout "callback_timeout" AskUser "no callback came in time";
    AuthorizationDenied "authorization_denied" AskUser "the authorization was refused";
    ListenerUnavailable "listener_unavailable" Configure "nothing could listen on the redirect URI";
    BrowserRefused "browser_refused" AskUser "the browser could not be opened";
    TokenResponseInvalid "token_response_invalid" Report "the token answer cannot be used";
    TokenMalformed "token_malformed" Report "a token holds characters that no token may hold";
    TokenTypeUnsupported "token_type_unsupported" Report "the token is of a type that was not asked for";
    GrantRejected "grant_rejected" AskUser "the authorization server refused the grant";
    ClientRejected "client_rejected" Register "the authorization server refused the client";
    ServerError "server_error" Report "the authorization server answered with an error";
    OutcomeUnknown "outcome_unknown" AskUser "a one-time request was sent and its outcome is unknown";
    ReauthorizationRequired "reauthorization_required" AskUser "a person has to log in";
    UnauthorizedAfterRefresh "unauthorized_after_refresh" AskUser "a fresh token was refused";
    GrantUnstable "grant_unstable" Retry "tokens are used up or over before a request's turn comes";
    Forbidden "forbidden" Report "the server forbids the request whatever the scope";
    StepUpLimit "step_up_limit" AskUser "more scope was asked for too often";
    StepUpDeclined "step_up_declined" AskUser "more scope was refused a moment ago";
    StepUpIneffective "step_up_ineffective" Report "more scope was granted and did not help";
    OriginMismatch "origin_mismatch" Configure "the token may not go to that URL";
    StoreUnavailable "store_unavailable" Configure "the credential store does not answer";
    StoreCorrupt "store_corrupt" Report "a stored record cannot be read";
    StoreVersion "store_version" Report "a stored record is of a newer format";
    StorePermissions "store_permissions" Configure "the credential store is open to others";
    StoreSymlink "store_symlink" Configure "the credential store is a symbolic link";
    StoreKind "store_kind" Configure "the credential store is no plain file";
    StoreLocked "store_locked" Retry "the credential store is locked by another process";
    StoreLockUnsupported "store_lock_unsupported" Configure "the credential store cannot be locked";
    StoreConflict "store_conflict" Retry "a stored record changed underneath";
    StoreTooLarge "store_too_large" Report "a record is too large for the credential store";
    MachineExhausted "machine_exhausted" Configure "this machine has no file descriptors, memory or disk space left for the program";
    ConfigInvalid "config_invalid" Configure "the configuration is invalid";
    EntropyUnavailable "entropy_unavailable" Report "there is no randomness";
    Cancelled "cancelled" AskUser "the request was cancelled";
}

impl Kind {
    /// The advice in words; `None` where the remedy says all there is.
    #[must_use]
    pub const fn advice(self) -> Option<&'static str> {
        match self {
            Self::MachineExhausted => Some(
                "close files or programs, or raise this machine's limits on open files, memory or \
                 disk space",
            ),
            Self::BrowserRefused => {
                Some("run the program at a terminal or a desktop, where a person can log in")
            }
            Self::AuthorizationDenied => Some("log in again if that was not meant"),
            Self::CallbackTimeout => Some("log in again, and finish the page in time"),
            _ => None,
        }
    }
}

/// The remedy of a [`Failure`](crate::failure::Failure): the step that a caller should take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Remedy {
    /// The same request may succeed later; `after` is the server's own wish, if it named one.
    Retry {
        /// How long to wait at least.
        after: Option<Duration>,
    },
    /// Ask the person: a new login, or a decision, is needed.
    AskUser,
    /// Give the program credentials for this issuer, or repair its registration.
    Register,
    /// Change the configuration; the failure names the switch, if there is one.
    Configure,
    /// Nothing on this side helps; report it to the people who run the server.
    Report,
    /// Go on without a login: none is wanted.
    Proceed,
}

impl Remedy {
    /// A stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retry { .. } => "retry",
            Self::AskUser => "ask_user",
            Self::Register => "register",
            Self::Configure => "configure",
            Self::Report => "report",
            Self::Proceed => "proceed",
        }
    }

    /// Returns true if the same request may succeed although nobody changes anything.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(self, Self::Retry { .. })
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry { after: Some(wait) } => write!(f, "try again in {} s", wait.as_secs()),
            Self::Retry { after: None } => f.write_str("try again later"),
            Self::AskUser => f.write_str("log in again"),
            Self::Register => f.write_str(
                "name a client that this issuer knows, by pre_registered of the configuration",
            ),
            Self::Configure => f.write_str("change the configuration"),
            Self::Report => f.write_str("report it to the people who run the server"),
            Self::Proceed => f.write_str("go on without logging in"),
        }
    }
}
