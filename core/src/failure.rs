//! Failures: their kinds, whose fault each one is, and the remedy.
//!
//! [`Misuse`] is the caller's fault, [`Failure`] the outside world's, and [`Fault`] our own. A
//! failure has a closed [`Kind`] with a stable code, the requirement that was broken, the answer of
//! each URL, and a [`Remedy`]. A failure never keeps a raw body or a secret.

use core::fmt;
use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use crate::kind::{Kind, Remedy};
pub use crate::mend::{Mend, Setting, Switch};
use crate::outcome::Why;
use crate::purpose::Purpose;
use crate::secret::Secret;
use crate::wire::parts::LONGEST_URL;
pub use crate::wire::redact::redacted;

/// A fault of the outside world. It ends a flow and is delivered to every caller that waited for
/// it.
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
    /// The arguments of each switch: the issuer, the host, or the pair of issuers.
    words: Vec<Vec<String>>,
    evidence: Vec<Evidence>,
}

/// The server's words about its refusal, escaped and cut; never trusted or acted on (WWW-15).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The `error` code, `other` if it is not a registered one.
    pub error: String,
    /// The `error_description`, escaped and at most 512 characters.
    pub description: Option<String>,
    /// The HTTP status that carried it, if any.
    pub status: Option<u16>,
}

/// The answer of one URL on the way to a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The purpose of the request.
    pub purpose: Purpose,
    /// Scheme, host and path; never the query (HOST-304).
    pub url: String,
    /// The outcome of the request.
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
    const fn why(self) -> Option<Why> {
        match self {
            Self::Lost(why) => Some(why),
            Self::Status(_) | Self::Refused(_) => None,
        }
    }

    /// Returns true if the URL may answer otherwise later.
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
                // The held grant may belong to another person, or predate a change at the server.
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

    /// The failure with the name of the proxy that the request went through, if it is about that
    /// proxy. Without the name nobody knows which setting is wrong.
    #[must_use]
    pub(crate) fn naming_proxy(self, proxy: Option<&str>) -> Self {
        let kind = self.0.cause.map_or(self.0.kind, Why::kind);
        let about = matches!(kind, Kind::ProxyRefused | Kind::ProxyForbidden);
        match proxy {
            Some(proxy) if about => self.with_subject(&format!("proxy {proxy}")),
            _ => self,
        }
    }

    /// The kind of the failure.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The stable code of its kind.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }

    /// One sentence for people, without its full stop. It is the sentence of the cause, where there
    /// is one and the kind says less.
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        self.telling().map_or(self.0.kind.sentence(), Why::sentence)
    }

    /// The remedy.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        self.0.remedy
    }

    /// The advice in words, where the cause or the kind says more than the remedy.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        self.telling().and_then(Why::advice).or(self.0.kind.advice())
    }

    /// The reason for a missing answer, if that led to the failure.
    #[must_use]
    pub fn cause(&self) -> Option<Why> {
        self.0.cause
    }

    /// The cause, unless the kind says more than the cause.
    fn telling(&self) -> Option<Why> {
        let Details { kind, cause, .. } = *self.0;
        cause.filter(|cause| kind == cause.kind() || kind == Kind::Transient)
    }

    /// Returns true if a login would mend the failure. A request that may ask a person is then sent
    /// without a token, and the server's refusal leads to the login (REF-90, HOST-236).
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

    /// The text to write instead, with the real strings in it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The server's words about the failure; untrusted.
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

    /// Settings that may mend the failure.
    #[must_use]
    pub fn mends(&self) -> &[Mend] {
        &self.0.mends
    }

    /// Switches that would have avoided the failure.
    #[cfg(test)]
    pub(crate) fn switches(&self) -> &[Switch] {
        &self.0.switches
    }

    /// Switches that would have avoided the failure, each with its arguments. The arguments are the
    /// issuer or the host that the switch is for; a pin has the listed issuer and the document's. A
    /// switch that is for neither has none.
    pub fn openings(&self) -> impl Iterator<Item = (Switch, &[String])> {
        self.0.switches.iter().copied().zip(self.0.words.iter().map(Vec::as_slice))
    }

    /// The answer of each URL on the way to the failure.
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
    pub(crate) fn with_cause(mut self, why: Why) -> Self {
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
    pub(crate) fn with_purpose(mut self, purpose: Purpose) -> Self {
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
    pub(crate) fn with_scope(mut self, scope: &str) -> Self {
        self.0.scope = Some(escaped(scope));
        self
    }

    /// Adds the server's words.
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

    /// Names two URLs, of which one stood where the other should. Both are written whole: they are
    /// compared whole, so a part of one is of no use in a configuration. Both have passed the rules
    /// of URLs.
    #[must_use]
    pub(crate) fn with_pair(mut self, found: &str, expected: &str) -> Self {
        let [found, expected] = [found, expected].map(whole);
        self.0.subject = Some(format!("{found} instead of {expected}"));
        self
    }

    /// Names a switch that would have avoided the failure and has no arguments.
    #[must_use]
    pub(crate) fn with_switch(self, switch: Switch) -> Self {
        self.with_switch_for(switch, &[])
    }

    /// Names a switch that would have avoided the failure, with its arguments.
    #[must_use]
    pub(crate) fn with_switch_for(mut self, switch: Switch, words: &[&str]) -> Self {
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

    /// Names a setting that may mend the failure, and the issuer if the setting is made for one.
    #[must_use]
    pub(crate) fn with_setting(mut self, setting: Setting, issuer: Option<&str>) -> Self {
        self.0.mends.push(Mend { setting, issuer: issuer.map(escaped) });
        self
    }

    /// Adds the answers of the URLs. A transient failure without a cause takes the reason of the
    /// last URL that may answer otherwise later, if that one gave no answer.
    #[must_use]
    pub(crate) fn with_evidence(mut self, evidence: Vec<Evidence>) -> Self {
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
            f.write_str("; the server said")?;
            if said.error != "other" {
                write!(f, " {}", said.error)?;
            }
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
            // The server's own wish says more.
            (Some(advice), remedy) if !matches!(remedy, Remedy::Retry { after: Some(_) }) => {
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

/// Shows the same text as `Display`, since people see it of an error that nobody handled.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Failure {}

/// The caller's fault: an input that may not be given now. The state is unchanged.
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
    /// A flow had no stage to move, or moved too many stages in one step.
    MissingGround,
}

/// Longest text of a server that is kept or shown, in characters after escaping.
pub(crate) const LONGEST_SHOWN: usize = 512;

/// Makes text of a server fit to show: one line, printable ASCII, everything else escaped, at most
/// 512 characters (HOST-305).
#[must_use]
pub fn escaped(text: &str) -> String {
    escaped_within(text, LONGEST_SHOWN)
}

/// Escapes a URL that has passed the rules, which limit its length.
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
            (Why::ProxyPassword, "proxy_refused", "configure"),
            (Why::ProxyForbidden, "proxy_forbidden", "configure"),
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
        // The failure's own cause goes before the answers of the URLs.
        let own = Failure::new(Kind::Transient, "ASM-06").with_cause(Why::Timeout);
        let own = own.with_evidence(lost.evidence().to_vec());
        assert_eq!((own.cause(), own.sentence()), (Some(Why::Timeout), Why::Timeout.sentence()));
        let of_another_kind = Failure::new(Kind::DiscoveryFailed, "ASM-06");
        assert_eq!(of_another_kind.with_evidence(lost.evidence().to_vec()).cause(), None);
        let more = Failure::new(Kind::OutcomeUnknown, "REF-09").with_cause(Why::Tls);
        assert_eq!(more.sentence(), Kind::OutcomeUnknown.sentence());
        // The server answers, though not now.
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
