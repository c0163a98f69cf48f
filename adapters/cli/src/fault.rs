//! Why a command ends without having done its job: one sentence, what to do, and the exit status.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use mcp_authz_core::failure::{
    Evidence, Failure, Kind, Mend, Outcome, Remedy, Setting, Switch, escaped,
};
use mcp_authz_driver::DriveError;
use mcp_authz_driver::authorize::AuthorizeError;
use mcp_authz_driver::manager::SetupError;
use mcp_authz_driver::transport::TransportError;
use serde_json::{Value, json};

/// The exit statuses, as the help tells them.
pub(crate) mod status {
    /// Something failed that no other status is for.
    pub(crate) const FAILED: u8 = 1;
    /// The command line, or the configuration file, makes no sense.
    pub(crate) const USAGE: u8 = 2;
    /// A person has to log in.
    pub(crate) const LOGIN: u8 = 3;
    /// The same command may succeed later.
    pub(crate) const LATER: u8 = 4;
    /// The tool that was called says that it failed.
    pub(crate) const TOOL: u8 = 5;
}

/// Why a command failed. No secret is in it.
pub(crate) struct Fault {
    /// Stable, in `snake_case`.
    code: Cow<'static, str>,
    sentence: String,
    remedy: Remedy,
    status: u8,
    /// What to do, in the order in which to try it.
    next: Vec<String>,
    failure: Option<Arc<Failure>>,
    /// True if the lines before have said everything.
    silent: bool,
    /// The fault as another process tells it, which has the rest.
    told: Option<Box<Value>>,
}

impl Fault {
    /// Another fault than one of authorization.
    pub(crate) fn new(code: &'static str, sentence: &str, remedy: Remedy) -> Self {
        let status = match remedy {
            Remedy::Retry { .. } => status::LATER,
            Remedy::AskUser => status::LOGIN,
            _ => status::FAILED,
        };
        let next = vec![advice(remedy)];
        let (code, sentence) = (Cow::Borrowed(code), escaped(sentence));
        Self { code, sentence, remedy, status, next, failure: None, silent: false, told: None }
    }

    /// The same fault with other advice.
    pub(crate) fn advised<const N: usize>(self, next: [&str; N]) -> Self {
        Self { next: next.map(escaped).into(), ..self }
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// Returns true if a person who logs in mends it.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no agent"))]
    pub(crate) fn mended_by_login(&self) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.mended_by_login())
    }

    /// The fault for another process, which shows it as if it were its own.
    pub(crate) fn wire(&self) -> Value {
        let mut wire = self.json();
        if let Some(members) = wire.as_object_mut() {
            members.remove("event");
            members.insert("rows".to_owned(), json!(self.rows()));
        }
        wire
    }

    /// The fault that another process tells of. What is missing is as of a fault of no known kind.
    pub(crate) fn told(wire: Value) -> Self {
        let text = |name: &str| wire.get(name).and_then(Value::as_str).unwrap_or_default();
        let (code, sentence) = (plain(text("code")), plain(text("message")));
        let status = wire.get("status").and_then(Value::as_u64);
        let status = status.and_then(|it| u8::try_from(it).ok()).filter(|it| *it != 0);
        let fault = Self::new("failed", "", Remedy::Report);
        Self {
            sentence,
            code: if code.is_empty() { fault.code } else { Cow::Owned(code) },
            status: status.unwrap_or(status::FAILED),
            next: Vec::new(),
            told: Some(Box::new(wire)),
            ..fault
        }
    }

    /// The arguments, or the configuration file, make no sense.
    pub(crate) fn usage(sentence: &str) -> Self {
        let next = vec!["see --help".to_owned()];
        Self { status: status::USAGE, next, ..Self::new("usage", sentence, Remedy::Configure) }
    }

    /// The tool that was called says that it failed. Its words are shown already.
    pub(crate) fn tool() -> Self {
        let sentence = "the tool says that it failed";
        let next = vec!["read what it says, and correct the arguments".to_owned()];
        Self { status: status::TOOL, next, ..Self::new("tool_failed", sentence, Remedy::Report) }
    }

    /// The command ends with this status, and its lines say why.
    pub(crate) fn silent(status: u8) -> Self {
        Self { status, silent: true, ..Self::new("silent", "see above", Remedy::Report) }
    }

    /// Returns true if there is nothing more to say.
    pub(crate) const fn is_silent(&self) -> bool {
        self.silent
    }

    /// The exit status of the program.
    pub(crate) const fn status(&self) -> u8 {
        self.status
    }

    /// The remedy.
    pub(crate) const fn remedy(&self) -> Remedy {
        self.remedy
    }

    /// As `--json` shows it.
    pub(crate) fn json(&self) -> Value {
        if let Some(mut wire) = self.told.as_deref().cloned() {
            if let Some(members) = wire.as_object_mut() {
                members.remove("rows");
                members.insert("event".to_owned(), json!("failed"));
            }
            return wire;
        }
        let mut line = json!({
            "event": "failed",
            "code": self.code,
            "message": self.sentence,
            "remedy": self.remedy.name(),
            "next": self.next,
            "status": self.status,
        });
        let (Some(failure), Some(members)) = (&self.failure, line.as_object_mut()) else {
            return line;
        };
        let evidence = failure.evidence().iter().map(
            |seen| json!({"purpose": seen.purpose.name(), "url": seen.url, "outcome": ended(seen)}),
        );
        let said = failure.said().map(|said| {
            json!({"error": said.error, "error_description": said.description, "status": said.status})
        });
        let switches: Vec<&str> = failure.openings().map(|(switch, _)| switch.name()).collect();
        members.insert("rule".to_owned(), json!(failure.rule()));
        members.insert("subject".to_owned(), json!(failure.subject()));
        members.insert("purpose".to_owned(), json!(failure.purpose().map(|it| it.name())));
        members.insert("evidence".to_owned(), Value::Array(evidence.collect()));
        members.insert("said".to_owned(), json!(said));
        members.insert("switches".to_owned(), json!(switches));
        line
    }

    /// The lines below the sentence, each with its name.
    pub(crate) fn rows(&self) -> Vec<(Cow<'static, str>, String)> {
        if let Some(wire) = &self.told {
            let rows = wire.get("rows").cloned().unwrap_or_default();
            let rows: Vec<(String, String)> = serde_json::from_value(rows).unwrap_or_default();
            return rows.into_iter().map(|(name, value)| (plain(&name).into(), value)).collect();
        }
        let mut rows: Vec<(&'static str, String)> = Vec::new();
        if let Some(failure) = &self.failure {
            rows.extend(failure.subject().map(|subject| ("about", subject.to_owned())));
            rows.extend(failure.purpose().map(|purpose| ("during", purpose.name().to_owned())));
            if let Some(said) = failure.said() {
                let words = said.description.as_deref().unwrap_or_default();
                rows.push(("server said", format!("{} {words}", said.error).trim_end().to_owned()));
            }
            let seen = failure.evidence().iter();
            rows.extend(seen.map(|seen| ("answer", format!("{} {}", ended(seen), seen.url))));
            rows.push(("rule", failure.rule().to_owned()));
        }
        rows.extend(self.next.iter().map(|next| ("next", next.clone())));
        rows.into_iter().map(|(name, value)| (Cow::Borrowed(name), value)).collect()
    }
}

/// The sentence alone.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.sentence)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Arc<Failure>> for Fault {
    fn from(failure: Arc<Failure>) -> Self {
        let fault = Self::new(failure.code(), failure.sentence(), failure.remedy());
        let status = match failure.kind() {
            Kind::ConfigInvalid => status::USAGE,
            _ => fault.status,
        };
        Self { status, next: next_of(&failure), failure: Some(failure), ..fault }
    }
}

impl From<TransportError> for Fault {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Authorization(failure) => failure.into(),
            error => {
                let fault = Self::new(error.code(), &error.sentence(), error.remedy());
                let next = error.advice().map(|advice| vec![advice.to_owned()]);
                Self { next: next.unwrap_or_else(|| fault.next.clone()), ..fault }
            }
        }
    }
}

impl From<AuthorizeError> for Fault {
    fn from(error: AuthorizeError) -> Self {
        match error.failure() {
            Some(failure) => failure.into(),
            None => Self::new(error.code(), &error.to_string(), error.remedy()),
        }
    }
}

impl From<SetupError> for Fault {
    fn from(error: SetupError) -> Self {
        match error.failure() {
            Some(failure) => failure.into(),
            None => Self::new(error.code(), &error.to_string(), error.remedy()),
        }
    }
}

impl From<DriveError> for Fault {
    fn from(error: DriveError) -> Self {
        Self::new(error.code(), &error.to_string(), error.remedy())
    }
}

/// A failure of a store, which has no more than a kind.
impl From<Kind> for Fault {
    fn from(kind: Kind) -> Self {
        Self::new(kind.code(), kind.sentence(), kind.remedy())
    }
}

/// A text that was escaped before, which is not to be escaped again.
fn plain(text: &str) -> String {
    let fits = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if fits { text.to_owned() } else { escaped(text) }
}

/// One word for how a request ended.
fn ended(seen: &Evidence) -> String {
    match seen.outcome {
        Outcome::Lost(why) => why.name().to_owned(),
        answered => answered.to_string(),
    }
}

/// The advice about a failure, with the options that help.
fn next_of(failure: &Failure) -> Vec<String> {
    let mut next = match (failure.kind(), failure.remedy()) {
        (Kind::ReauthorizationRequired, _) => vec!["log in: mcp-authz login URL".to_owned()],
        // The switches below say how.
        (_, Remedy::Configure) if failure.openings().next().is_some() => Vec::new(),
        (_, remedy @ Remedy::Retry { after: Some(_) }) => vec![advice(remedy)],
        (_, remedy) => vec![failure.advice().map_or_else(|| advice(remedy), str::to_owned)],
    };
    next.extend(openings(failure));
    next.extend(failure.mends().iter().map(mended));
    next
}

/// A setting, with its option if there is one.
pub(crate) fn mended(mend: &Mend) -> String {
    let option = match mend.setting {
        Setting::Endpoints => {
            return "if you know its authorization server: name it with --authorization-endpoint and \
                    --token-endpoint"
                .to_owned();
        }
        Setting::RegisterScopes => "--register-scopes",
        Setting::Redirect => "--redirect URI",
        Setting::ClientName => "--client-name NAME",
        Setting::LoginAnew => "mcp-authz login --again URL",
        _ => return format!("or {}", mend.setting.words()),
    };
    format!("or {}: {option}", mend.setting.words())
}

/// The options that would have avoided the failure, as they are to be written.
pub(crate) fn openings(failure: &Failure) -> impl Iterator<Item = String> {
    failure.openings().filter_map(|(switch, words)| {
        let mut text = format!("{}: {}", condition(switch), option_of(switch)?);
        for word in words {
            text.push(' ');
            text.push_str(&quoted(word));
        }
        Some(text)
    })
}

/// When an option is the right one.
const fn condition(switch: Switch) -> &'static str {
    match switch {
        Switch::ResourceParameter => "if this server takes no such resource",
        Switch::Entra => "if this is Microsoft Entra",
        Switch::Cognito => "if this is Amazon Cognito",
        _ => "if you trust this server all the same",
    }
}

/// A word of a server's for a person's shell, which must not read it as anything but a word.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'/' | b'.' | b'-' | b'_' | b'%')
    };
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// What a remedy means here.
pub(crate) fn advice(remedy: Remedy) -> String {
    match remedy {
        Remedy::Retry { after: Some(after) } => format!("try again in {} s", after.as_secs()),
        Remedy::Retry { after: None } => "try again later".to_owned(),
        Remedy::AskUser => "log in: mcp-authz login URL".to_owned(),
        Remedy::Register => "name a client that this server knows: --client-id ID (its secret in \
                             MCP_CLIENT_SECRET), or --client-document URL"
            .to_owned(),
        Remedy::Configure => "change the options; --help explains them".to_owned(),
        Remedy::Report => "report it to the people who run the server".to_owned(),
        Remedy::Proceed => "go on without logging in".to_owned(),
    }
}

/// The option that turns a switch on, before its values.
pub(crate) const fn option_of(switch: Switch) -> Option<&'static str> {
    Some(match switch {
        Switch::PkceUnlisted => "--allow-unlisted-pkce",
        Switch::SplitEndpoints => "--allow-split-endpoints",
        Switch::ResourceParameter => "--omit-resource",
        Switch::Entra => "--entra",
        Switch::Cognito => "--cognito",
        Switch::IssuerPin => "--pin-issuer",
        Switch::PlainHttp => "--allow-plain-http",
        Switch::PrivateAddress => "--allow-private-address",
        Switch::LegacyServers => "--legacy on",
        Switch::StrictProxy => "--allow-strict-proxy",
        Switch::UnlockedRefresh => "--allow-unlocked-refresh",
        Switch::IssuerSlash
        | Switch::ParentResource
        | Switch::MissingTokenType
        | Switch::UnlistedNone => "leave out --strict",
        _ => return None,
    })
}
