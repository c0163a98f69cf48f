//! The end of an examination: what comes of this server, and what its author should do.

use mcp_authz_core::failure::{Failure, Kind, Remedy};
use serde_json::{Value, json};

use super::examine::{Examined, Outcome, is_unreached};
use super::facts::Authorization;
use super::finding::Severity;
use super::log::Asked;
use crate::fault::status;

/// What comes of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It works with the options that were given.
    Works,
    /// It wants no login.
    Open,
    /// Nothing describes an authorization server, and only a login shows whether there is one.
    Unknown,
    /// The person, or the server, said no.
    Refused,
    /// It works with options that were not given.
    WorksWith,
    /// It works once it knows a client.
    NeedsClient,
    /// A person has to decide about an option first.
    NeedsDecision,
    /// It cannot work.
    Broken,
    /// No MCP endpoint is there.
    NoEndpoint,
    /// It, or what it points to, could not be reached.
    Unreachable,
}

impl Verdict {
    /// The verdict of an examination.
    pub(super) fn of(examined: &Examined, logged_in: bool) -> Self {
        let guessed = examined.facts.authorization.as_ref().is_some_and(Authorization::is_guessed);
        match &examined.outcome {
            Outcome::Fails(failure) => Self::of_failure(failure, examined.for_person),
            Outcome::Registers | Outcome::Asks if guessed && !logged_in => Self::Unknown,
            Outcome::Open if !examined.turned => Self::Open,
            _ if examined.turned => Self::WorksWith,
            _ => Self::Works,
        }
    }

    /// The verdict of a server at which a login fails like this.
    fn of_failure(failure: &Failure, for_person: bool) -> Self {
        match failure.kind() {
            kind if is_unreached(kind) => Self::Unreachable,
            Kind::DiscoveryFailed if failure.rule() == "DISC-01" => Self::NoEndpoint,
            Kind::AuthorizationDenied | Kind::CallbackTimeout | Kind::Cancelled => Self::Refused,
            _ if failure.remedy() == Remedy::Register => Self::NeedsClient,
            _ if for_person => Self::NeedsDecision,
            _ => Self::Broken,
        }
    }

    /// Returns true if there is a configuration that works, or may once a person has done their part.
    pub(super) const fn has_configuration(self) -> bool {
        !matches!(self, Self::Broken | Self::NoEndpoint | Self::Unreachable)
    }

    /// The stable name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Open => "works_without_login",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::WorksWith => "works_with_options",
            Self::NeedsClient => "needs_client",
            Self::NeedsDecision => "needs_decision",
            Self::Broken => "broken",
            Self::NoEndpoint => "no_endpoint",
            Self::Unreachable => "unreachable",
        }
    }

    /// The exit status of the program.
    pub(super) const fn status(self) -> u8 {
        match self {
            Self::Works | Self::Open => 0,
            Self::Refused => status::LOGIN,
            Self::Unreachable => status::LATER,
            _ => status::FAILED,
        }
    }

    /// One sentence, without its full stop.
    pub(super) const fn sentence(self, logged_in: bool) -> &'static str {
        match (self, logged_in) {
            (Self::Works, false) => "works as far as can be seen without logging in",
            (Self::Works, true) => "works",
            (Self::Open, _) => "works without a login",
            (Self::WorksWith, false) => {
                "works with the options above as far as can be seen without logging in"
            }
            (Self::WorksWith, true) => "works with the options above",
            (Self::Unknown, _) => {
                "cannot be said without a login: nothing describes an authorization server"
            }
            (Self::Refused, _) => "nothing more can be said: the login was not granted",
            (Self::NeedsClient, _) => {
                "works once a client is made known to the authorization server"
            }
            (Self::NeedsDecision, _) => "needs an option that only you can decide about",
            (Self::Broken, _) => "cannot work: fix this first",
            (Self::NoEndpoint, _) => "no MCP endpoint answers at this URL",
            (Self::Unreachable, _) => "could not be examined: something did not answer",
        }
    }
}

/// What the server's author should do, the most urgent first.
pub(super) fn todo(verdict: Verdict, examined: &Examined) -> Vec<String> {
    let (findings, mut todo) = (&examined.findings, Vec::new());
    let first = examined.facts.server.first.as_ref().and_then(Asked::answered);
    if let Some(url) = first.and_then(|answer| answer.location.as_ref()) {
        todo.push(format!("the server redirects to {url}: try that URL"));
    }
    if let Some(url) = &examined.elsewhere {
        todo.push(format!("use {url}: an MCP endpoint answers there"));
    }
    let broken = findings.iter().filter(|it| it.severity == Severity::Broken);
    for finding in broken {
        if let (Verdict::Unreachable, Some(advice)) = (verdict, finding.mends.first()) {
            todo.push(format!("{advice} [{}]", finding.rule));
            continue;
        }
        let by_code = finding.code.and_then(|code| fix(code, finding.rule));
        let by_rule = || finding.sentence().map(|rule| format!("the rule is: {rule}"));
        let text = by_code.map(str::to_owned).or_else(by_rule);
        todo.extend(text.map(|text| format!("{text} [{}]", finding.rule)));
    }
    if verdict == Verdict::NeedsDecision {
        todo.push(
            "if this is your own network, run doctor again with the option that the finding names: \
             it is not turned on by itself, or a server could send this program anywhere"
                .to_owned(),
        );
    }
    if verdict == Verdict::Unknown {
        todo.push(
            "publish resource metadata (RFC 9728) and authorization server metadata (RFC 8414); \
             until then, --login shows whether the default endpoints of 2025-03-26 are there"
                .to_owned(),
        );
    }
    if findings.iter().any(|finding| finding.rule == "RES-01") {
        todo.push(
            "authorization server: accept the resource parameter (RFC 8707), which every MCP client \
             sends [RES-01]"
                .to_owned(),
        );
    }
    let weak = findings.iter().filter(|it| it.severity == Severity::Weak).count();
    if weak > 0 && matches!(verdict, Verdict::Works | Verdict::Open | Verdict::WorksWith) {
        todo.push("other clients may stumble over what is called weak above".to_owned());
    }
    todo.dedup();
    todo
}

/// What mends a failure at the server, by its code.
fn fix(code: &str, rule: &str) -> Option<&'static str> {
    let kind = *Kind::ALL.iter().find(|kind| kind.code() == code)?;
    of_resource(kind, rule).or_else(|| of_server(kind)).or_else(|| of_answers(kind))
}

/// The same, at the MCP server and in its metadata.
fn of_resource(kind: Kind, rule: &str) -> Option<&'static str> {
    Some(match kind {
        Kind::ResourceMismatch => {
            "resource metadata: let \"resource\" be the MCP URL that people are given"
        }
        Kind::PrmInvalid => "resource metadata: mend the member that is named above",
        Kind::NoAuthorizationServer => {
            "resource metadata: list the issuer of your authorization server in \
             \"authorization_servers\""
        }
        Kind::DpopRequired => "MCP server: accept plain Bearer tokens as well",
        Kind::DiscoveryFailed if rule == "DISC-01" => {
            "check the path of the URL; an MCP server answers a POST there with 401 or JSON-RPC"
        }
        Kind::DiscoveryFailed => {
            "publish resource metadata (RFC 9728) at the well-known address of the MCP URL, and \
             point to it in the 401"
        }
        _ => return None,
    })
}

/// The same, at the authorization server.
fn of_server(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::PkceUnsupported => {
            "authorization server: support PKCE with S256, and announce it with \
             \"code_challenge_methods_supported\": [\"S256\"]"
        }
        Kind::IssuerMismatch => {
            "make the issuer in the authorization server's document and the one that the resource \
             metadata lists the same text, character by character"
        }
        Kind::AsMetadataInvalid => {
            "authorization server metadata: mend the member that is named above"
        }
        Kind::ResponseTypeUnsupported => {
            "authorization server: offer the code flow (response type code, grant authorization_code)"
        }
        Kind::ClientAuthUnsupported => {
            "authorization server: accept none, client_secret_basic or client_secret_post at the \
             token endpoint"
        }
        Kind::ParRequired => "authorization server: do not require pushed authorization requests",
        Kind::EndpointsIncoherent => {
            "authorization server: put authorization and token endpoint on the issuer's host, or on \
             one origin"
        }
        Kind::NoRegistrationMethod => {
            "authorization server: offer registration or client ID metadata documents, or give \
             people a client id for --client-id"
        }
        Kind::RegistrationFailed | Kind::RegistrationUnusable => {
            "authorization server: see what its registration endpoint says above, or give people a \
             client id for --client-id"
        }
        Kind::IssMissing => {
            "authorization server: send iss in the callback, as its metadata promises, or promise \
             none"
        }
        Kind::IssMismatch => {
            "authorization server: let iss in the callback be the issuer of the metadata, \
             character by character"
        }
        Kind::TokenTypeUnsupported => "token endpoint: issue tokens of type Bearer",
        _ => return None,
    })
}

/// The same, of any answer.
fn of_answers(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::InsecureTransport => "serve everything over https",
        Kind::AddressBlocked => "name only hosts that are reachable from where people are",
        Kind::CrossOriginRedirect | Kind::TooManyRedirects | Kind::RedirectRefused => {
            "answer metadata requests at their own address, without redirects"
        }
        Kind::JsonMalformed | Kind::JsonTooDeep | Kind::JsonDuplicateKey => {
            "serve metadata as well-formed JSON in which no member comes twice"
        }
        Kind::Tls => "serve a certificate that is valid for the host, with its whole chain",
        Kind::Transient | Kind::Timeout => "see that the address above answers, and try again",
        Kind::AuthorizationDenied => "see what the authorization server says above",
        _ => return None,
    })
}

/// For programs.
pub(super) fn line(verdict: Verdict, logged_in: bool, todo: &[String]) -> Value {
    json!({
        "event": "verdict",
        "verdict": verdict.name(),
        "text": verdict.sentence(logged_in),
        "logged_in": logged_in,
        "todo": todo,
        "status": verdict.status(),
    })
}
