//! What can go wrong, by whose fault, and what to do about it.
//!
//! [`Misuse`] is our caller's, [`Failure`] the world's, [`Fault`] ours. A failure has a closed
//! [`Kind`] with a stable code, the requirement that was broken, what each URL answered, and a
//! [`Remedy`]. No raw body and no secret is ever kept in one.

use core::fmt;
use core::time::Duration;
use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::effect::{Purpose, Why};
use crate::secret::Secret;
use crate::wire::redact::redacted;
use crate::wire::url::LONGEST_URL;

macro_rules! kinds {
    ($($name:ident $code:literal $remedy:ident $text:literal;)*) => {
        /// What happened, as a closed list. [`Kind::code`] is stable and machine-readable.
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
    /// What to do, in words; `None` where the remedy says all there is.
    #[must_use]
    pub const fn advice(self) -> Option<&'static str> {
        match self {
            Self::MachineExhausted => Some(
                "close files or programs, or raise this machine's limits on open files, memory or \
                 disk space",
            ),
            _ => None,
        }
    }
}

/// What a caller should do about a [`Failure`].
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
    /// Nothing on this side helps; report it to whoever runs the server.
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

    /// Whether the same request may succeed without anybody changing anything.
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
            Self::Register => f.write_str("configure client credentials for this issuer"),
            Self::Configure => f.write_str("change the configuration"),
            Self::Report => f.write_str("report it to the people who run the server"),
            Self::Proceed => f.write_str("go on without logging in"),
        }
    }
}

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
            Self::Entra => "entra",
            Self::Cognito => "cognito",
        }
    }
}

/// A setting of [`Builder`](crate::config::Builder) that may mend a failure and weakens nothing.
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
    /// What else the program says of itself.
    ClientMetadata,
    /// Where the person is sent back to.
    Redirect,
    /// Whether refresh tokens are wanted.
    RefreshTokens,
    /// More parameters of the authorization request at one issuer.
    AuthorizationParameter,
    /// A new login, whatever is held.
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

    /// Whether it is made for one issuer.
    pub(crate) const fn of_issuer(self) -> bool {
        matches!(self, Self::ClientAuthMethod | Self::AuthorizationParameter)
    }

    /// What it does, in words that follow "you can".
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

/// A setting that may mend a failure, and for whom it is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mend {
    /// Which.
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

/// The world's fault: ends a flow and is delivered to every caller that waited for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure(Box<Details>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Details {
    kind: Kind,
    remedy: Remedy,
    rule: &'static str,
    cause: Option<Why>,
    purpose: Option<Purpose>,
    subject: Option<String>,
    hint: Option<String>,
    said: Option<Said>,
    scope: Option<String>,
    switches: Vec<Switch>,
    mends: Vec<Mend>,
    /// What each switch has to be written with: the issuer, the host, the pair.
    words: Vec<Vec<String>>,
    evidence: Vec<Evidence>,
}

/// What a server said of its refusal: escaped and cut, never to be trusted or acted on (WWW-15).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The `error` code, `other` if it is not a registered one.
    pub error: String,
    /// The `error_description`, escaped and at most 512 characters.
    pub description: Option<String>,
    /// The HTTP status that carried it, if any.
    pub status: Option<u16>,
}

/// What one URL answered on the way to a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Why it was asked.
    pub purpose: Purpose,
    /// Scheme, host and path; never the query (HOST-304).
    pub url: String,
    /// What came back.
    pub outcome: Outcome,
}

/// How one request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An HTTP status.
    Status(u16),
    /// An answer that broke a rule.
    Refused(Kind),
    /// No answer.
    Lost(Why),
}

impl Outcome {
    /// Why there was no answer.
    #[must_use]
    pub const fn why(self) -> Option<Why> {
        match self {
            Self::Lost(why) => Some(why),
            Self::Status(_) | Self::Refused(_) => None,
        }
    }

    /// Whether the URL may answer otherwise later.
    const fn unsure(self) -> bool {
        matches!(self, Self::Lost(_) | Self::Status(408 | 429 | 500..))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Refused(kind) => f.write_str(kind.code()),
            Self::Lost(why) => f.write_str(why.sentence()),
        }
    }
}

impl Failure {
    /// A failure of a kind, with the id of the requirement that demands it.
    #[must_use]
    pub fn new(kind: Kind, rule: &'static str) -> Self {
        Self(Box::new(Details {
            kind,
            remedy: kind.remedy(),
            rule,
            cause: None,
            purpose: None,
            subject: None,
            hint: None,
            said: None,
            scope: None,
            switches: Vec::new(),
            mends: match kind {
                // What is held may be one of another person, or of before a change at the server.
                Kind::UnauthorizedAfterRefresh => {
                    vec![Mend { setting: Setting::LoginAnew, issuer: None }]
                }
                _ => Vec::new(),
            },
            words: Vec::new(),
            evidence: Vec::new(),
        }))
    }

    /// The failure of a request that has no answer.
    #[must_use]
    pub fn lost(why: Why, rule: &'static str) -> Self {
        Self::new(why.kind(), rule).with_remedy(why.remedy()).with_cause(why)
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The stable code of its kind.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }

    /// One sentence for people, without its full stop: of the cause, where there is one and the kind
    /// says less.
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        self.telling().map_or(self.0.kind.sentence(), Why::sentence)
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        self.0.remedy
    }

    /// The same in words, as far as the cause or the kind tells more than the remedy.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        self.telling().and_then(Why::advice).or(self.0.kind.advice())
    }

    /// Why there was no answer, if that is what led here.
    #[must_use]
    pub fn cause(&self) -> Option<Why> {
        self.0.cause
    }

    /// The cause, unless the kind says more than it.
    fn telling(&self) -> Option<Why> {
        let Details { kind, cause, .. } = *self.0;
        cause.filter(|cause| kind == cause.kind() || kind == Kind::Transient)
    }

    /// Whether a login would bring what is missing: a request that may ask a person goes without a
    /// token then, and the server's refusal leads to it (REF-90, HOST-236).
    #[must_use]
    pub fn mended_by_login(&self) -> bool {
        matches!(self.kind(), Kind::ReauthorizationRequired | Kind::ClientRejected)
    }

    /// The id of the requirement, decision or hostile case that this failure upholds.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        self.0.rule
    }

    /// The purpose of the call that led here, if it was a call.
    #[must_use]
    pub fn purpose(&self) -> Option<Purpose> {
        self.0.purpose
    }

    /// The URL (without its query), field or limit at fault.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    /// What to write instead, with the real strings in it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// What the server said of it. Untrusted.
    #[must_use]
    pub fn said(&self) -> Option<&Said> {
        self.0.said.as_ref()
    }

    /// The scopes that the MCP server named when it refused the request; escaped and cut, never to be
    /// acted on (STEP-91).
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }

    /// Switches that would have avoided it.
    #[must_use]
    pub fn switches(&self) -> &[Switch] {
        &self.0.switches
    }

    /// Settings that may mend it.
    #[must_use]
    pub fn mends(&self) -> &[Mend] {
        &self.0.mends
    }

    /// The same switches, each with what it has to be written with: the issuer or the host it is for,
    /// for a pin the listed issuer and the document's. Empty if it is for none.
    pub fn openings(&self) -> impl Iterator<Item = (Switch, &[String])> {
        self.0.switches.iter().copied().zip(self.0.words.iter().map(Vec::as_slice))
    }

    /// What each URL answered on the way.
    #[must_use]
    pub fn evidence(&self) -> &[Evidence] {
        &self.0.evidence
    }

    /// Replaces the remedy where the circumstances call for another.
    #[must_use]
    pub fn with_remedy(mut self, remedy: Remedy) -> Self {
        self.0.remedy = remedy;
        self
    }

    /// Says why there was no answer.
    #[must_use]
    pub fn with_cause(mut self, why: Why) -> Self {
        self.0.cause = Some(why);
        self
    }

    /// Says what to write instead. The text is escaped and cut here.
    #[must_use]
    pub fn with_hint(mut self, hint: &str) -> Self {
        self.0.hint = Some(escaped(hint));
        self
    }

    /// Names the call's purpose, unless one is named already.
    #[must_use]
    pub fn with_purpose(mut self, purpose: Purpose) -> Self {
        self.0.purpose.get_or_insert(purpose);
        self
    }

    /// Names the URL, field or limit at fault. The text is escaped and cut here.
    #[must_use]
    pub fn with_subject(mut self, subject: &str) -> Self {
        self.0.subject = Some(escaped(subject));
        self
    }

    /// Adds the scopes that the MCP server named. The text is escaped and cut here.
    #[must_use]
    pub fn with_scope(mut self, scope: &str) -> Self {
        self.0.scope = Some(escaped(scope));
        self
    }

    /// Adds what the server said.
    #[must_use]
    pub fn with_said(mut self, said: Said) -> Self {
        self.0.said = Some(said);
        self
    }

    /// The failure without these secrets in what it names.
    #[must_use]
    pub(crate) fn without(mut self, secrets: &[&Secret]) -> Self {
        if let Some(subject) = &self.0.subject
            && let Cow::Owned(clean) = redacted(subject.as_str(), secrets)
        {
            self.0.subject = Some(clean);
        }
        self
    }

    /// Names two URLs of which one stood where the other should, both to the last character: what is
    /// compared so cannot be configured from a part of it. They have passed the rules of URLs.
    #[must_use]
    pub(crate) fn with_pair(mut self, found: &str, expected: &str) -> Self {
        let [found, expected] = [found, expected].map(whole);
        self.0.subject = Some(format!("{found} instead of {expected}"));
        self
    }

    /// Names a switch that would have avoided it, and is for nothing by name.
    #[must_use]
    pub fn with_switch(self, switch: Switch) -> Self {
        self.with_switch_for(switch, &[])
    }

    /// Names a switch that would have avoided it, with what it has to be written with.
    #[must_use]
    pub fn with_switch_for(mut self, switch: Switch, words: &[&str]) -> Self {
        let words = words.iter().map(|word| whole(word)).collect();
        let named = self.0.switches.iter().position(|named| *named == switch);
        if let Some(held) = named.and_then(|at| self.0.words.get_mut(at)) {
            *held = words;
        } else {
            self.0.switches.push(switch);
            self.0.words.push(words);
        }
        self
    }

    /// Names a setting that may mend it, and the issuer if it is made for one.
    #[must_use]
    pub fn with_setting(mut self, setting: Setting, issuer: Option<&str>) -> Self {
        self.0.mends.push(Mend { setting, issuer: issuer.map(escaped) });
        self
    }

    /// Adds what the URLs answered. Where none could answer, the last reason is the cause.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Vec<Evidence>) -> Self {
        if self.0.kind == Kind::Transient && self.0.cause.is_none() {
            let unsure = evidence.iter().rev().find(|seen| seen.outcome.unsure());
            self.0.cause = unsure.and_then(|seen| seen.outcome.why());
        }
        self.0.evidence = evidence;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.sentence())?;
        if let Some(subject) = &self.0.subject {
            write!(f, " ({subject})")?;
        }
        if let Some(said) = &self.0.said {
            write!(f, "; the server said {}", said.error)?;
            if let Some(description) = &said.description {
                write!(f, " \"{description}\"")?;
            }
        }
        if let Some(scope) = &self.0.scope {
            write!(f, "; the server named scope \"{scope}\"")?;
        }
        for evidence in &self.0.evidence {
            let answered = if evidence.outcome.why().is_some() { ":" } else { " answered" };
            write!(f, "; {}{answered} {}", evidence.url, evidence.outcome)?;
        }
        match (self.advice(), self.0.remedy) {
            (Some(advice), Remedy::Retry { after: None } | Remedy::Configure | Remedy::Report) => {
                write!(f, " [{}]; {advice}", self.0.rule)?;
            }
            (_, remedy) => write!(f, " [{}]; {remedy}", self.0.rule)?,
        }
        if let Some(hint) = &self.0.hint {
            write!(f, ": {hint}")?;
        }
        for (switch, words) in self.openings() {
            write!(f, "; switch: {}", switch.name())?;
            for word in words {
                write!(f, " {word}")?;
            }
        }
        for mend in &self.0.mends {
            write!(f, "; setting {mend}")?;
        }
        Ok(())
    }
}

/// What people see of an error that nobody handled: the same as where it is shown.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Failure {}

/// Our caller's fault: the input was not one that may be given now. The state is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// The step's random bytes were seen before, or are all alike. Draw fresh ones.
    EntropyRepeated,
    /// The waiter's id belongs to another request that is still unsettled. Use a fresh id.
    WaiterInUse,
    /// The answer refuses nothing: it is no 401, no 403, and no 400 with a challenge. Deliver it.
    NotARefusal,
    /// The monotonic clock went back.
    ClockWentBack,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EntropyRepeated => "the random bytes of this step were used before",
            Self::WaiterInUse => "this waiter is still unsettled",
            Self::NotARefusal => "only 401, 403, and 400 with a challenge, refuse a request",
            Self::ClockWentBack => "the monotonic clock went back",
        })
    }
}

impl core::error::Error for Misuse {}

/// Our own fault: a rule of the machine that did not hold. Reported as a note, never a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Fault {
    /// A stage met a signal that its table has no row for.
    UnexpectedSignal,
    /// A flow asked for a step whose ground it had not laid.
    MissingGround,
}

/// Longest text of a server that is kept or shown, in characters after escaping.
pub const LONGEST_SHOWN: usize = 512;

/// Makes text of a server fit to show: one line, printable ASCII, everything else escaped, at most
/// [`LONGEST_SHOWN`] characters (HOST-305).
#[must_use]
pub fn escaped(text: &str) -> String {
    escaped_within(text, LONGEST_SHOWN)
}

/// A URL that passed the rules, which bound it.
fn whole(text: &str) -> String {
    escaped_within(text, LONGEST_URL)
}

fn escaped_within(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    let mut length = 0usize;
    for character in text.chars() {
        let plain = matches!(character, ' '..='~') && character != '\\';
        let more = if plain { 1 } else { character.escape_default().count() };
        if length.saturating_add(more) > most {
            break;
        }
        length = length.saturating_add(more);
        if plain {
            out.push(character);
        } else {
            out.extend(character.escape_default());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_distinct() {
        let codes: HashSet<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), Kind::ALL.len());
    }

    #[test]
    fn shown_text_is_one_short_line_of_ascii_host_305() {
        let evil = "ok\n2026-01-01 INFO granted\u{1b}[31m\u{202e}".repeat(100);
        let shown = escaped(&evil);
        assert!(shown.len() <= LONGEST_SHOWN);
        assert!(shown.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        assert!(shown.starts_with("ok\\n2026"));
    }

    #[test]
    fn each_cause_has_a_sentence_and_an_advice_of_its_own() {
        let causes = [
            (Why::Resolve, "transient", "retry"),
            (Why::Connect, "transient", "retry"),
            (Why::Broken, "transient", "retry"),
            (Why::Timeout, "timeout", "retry"),
            (Why::Proxy, "proxy_refused", "configure"),
            (Why::Tls, "tls", "report"),
            (Why::PlainHttp, "tls", "configure"),
            (Why::Exhausted, "machine_exhausted", "configure"),
        ];
        let mut said = HashSet::new();
        for (why, code, remedy) in causes {
            let failure = Failure::lost(why, "REF-09");
            assert_eq!((failure.code(), failure.remedy().name()), (code, remedy));
            let (sentence, advice) = (failure.sentence(), failure.advice().unwrap());
            assert_eq!(failure.to_string(), format!("{code}: {sentence} [REF-09]; {advice}"));
            said.extend([sentence, advice, why.name()]);
        }
        assert_eq!(said.len(), 3 * causes.len());
    }

    #[test]
    fn debug_begins_with_code_and_sentence() {
        let failure = Failure::new(Kind::GrantRejected, "REF-08");
        let begin = "grant_rejected: the authorization server refused the grant";
        assert!(format!("{:?}", Some(&failure)).starts_with(&format!("Some({begin}")));
    }

    #[test]
    fn what_the_urls_answered_tells_the_cause() {
        let seen = |outcomes: &[Outcome]| {
            let seen = outcomes.iter().map(|&outcome| Evidence {
                purpose: Purpose::ServerMetadata,
                url: "https://as.example/".to_owned(),
                outcome,
            });
            Failure::new(Kind::Transient, "ASM-06").with_evidence(seen.collect())
        };
        let lost = seen(&[Outcome::Lost(Why::Resolve), Outcome::Status(404)]);
        assert_eq!(lost.cause(), Some(Why::Resolve));
        assert_eq!(
            lost.to_string(),
            "transient: the name of the server is not known; \
             https://as.example/: the name of the server is not known; \
             https://as.example/ answered 404 [ASM-06]; \
             check the host's name, and that this machine is online"
        );
        // It answers, if not now.
        let busy = seen(&[Outcome::Lost(Why::Resolve), Outcome::Status(503)]);
        assert_eq!((busy.cause(), busy.sentence()), (None, Kind::Transient.sentence()));
    }

    #[test]
    fn a_failure_says_what_where_which_rule_and_what_next() {
        let failure = Failure::new(Kind::PkceUnsupported, "ASM-12")
            .with_subject("https://as.example")
            .with_switch(Switch::PkceUnlisted);
        assert_eq!(
            failure.to_string(),
            "pkce_unsupported: the authorization server does not announce PKCE with S256 \
             (https://as.example) [ASM-12]; change the configuration; switch: pkce_unlisted"
        );
    }
}
