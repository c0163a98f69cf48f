//! The configuration that works: for the program's own file, for its command line, and for the library.

use mcp_authz_core::failure::Switch;
use serde_json::{Map, Value, json};
use url::Url;

use crate::fault::{Fault, quoted};
use crate::options::{Options, Switched};

/// Options that say how this machine reaches the server or who is asked. They are nobody else's
/// concern, and a proxy's URL may hold a password.
const OURS: [&str; 9] = [
    "store",
    "keychain",
    "no-login",
    "no-browser",
    "timeout",
    "proxy",
    "no-proxy",
    "user-agent",
    "account",
];
/// Options whose values come in pairs.
const PAIRS: [&str; 3] = ["replace-resource", "pin-issuer", "cognito"];

/// A server with the options that it needs.
#[derive(Clone, Debug)]
pub(super) struct Snippet {
    /// The MCP URL without its query, which may hold a key.
    url: String,
    /// True if the URL has a query, which has to be added.
    cut: bool,
    options: Map<String, Value>,
    /// True if a round has passed with exactly these options.
    pub(super) proved: bool,
}

impl Snippet {
    /// The server at this URL with these options.
    pub(super) fn new(url: &str, options: &Options, proved: bool) -> Result<Self, Fault> {
        let written = serde_json::to_value(options);
        let written = written.map_err(|error| Fault::usage(&error.to_string()))?;
        let mut options = written.as_object().cloned().unwrap_or_default();
        options.retain(|name, _| !OURS.contains(&name.as_str()));
        let bare = url.split(['?', '#']).next().unwrap_or_default();
        Ok(Self { url: bare.to_owned(), cut: bare.len() < url.len(), options, proved })
    }

    /// The block of the configuration file.
    pub(super) fn file(&self) -> String {
        let mut text =
            format!("[servers.{}]\nurl = {}", name(&self.url), toml(&self.url.clone().into()));
        if self.cut {
            text.push_str("   # add its query, which is left out here: it may hold a key");
        }
        for (name, value) in &self.options {
            text.push_str(&format!("\n{name} = {}", toml(value)));
        }
        text
    }

    /// The words of the command line that follow the command.
    pub(super) fn words(&self) -> String {
        let mut text = quoted(&self.url);
        for (name, value) in &self.options {
            match value {
                Value::Bool(_) => text.push_str(&format!(" --{name}")),
                Value::Array(values) => {
                    let at_a_time = if PAIRS.contains(&name.as_str()) { 2 } else { 1 };
                    for values in values.chunks(at_a_time) {
                        text.push_str(&format!(" --{name}"));
                        for value in values {
                            text.push_str(&format!(
                                " {}",
                                quoted(value.as_str().unwrap_or_default())
                            ));
                        }
                    }
                }
                value => {
                    let plain = value.to_string();
                    text.push_str(&format!(
                        " --{name} {}",
                        quoted(value.as_str().unwrap_or(&plain))
                    ));
                }
            }
        }
        text
    }

    /// The calls of the library's builder.
    pub(super) fn rust(&self) -> String {
        let mut text = format!("Config::builder({:?})", self.url);
        let mut danger = String::new();
        for (name, value) in &self.options {
            let method = name.replace('-', "_");
            let texts: Vec<&str> =
                value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            match name.as_str() {
                "strict" => text.push_str("\n    .profile(Profile::Strict)"),
                "legacy" => text.push_str(&format!("\n    .legacy_servers({})", value == "on")),
                "scope" => text.push_str(&format!("\n    .scopes(&{texts:?})")),
                "issuer" => text.push_str(&format!("\n    .prefer_issuer({value})")),
                "register-scopes" => text.push_str("\n    .register_scopes(true)"),
                "no-registration" => text.push_str("\n    .dynamic_registration(false)"),
                "client-name"
                | "authorization-endpoint"
                | "token-endpoint"
                | "registration-endpoint"
                | "revocation-endpoint"
                | "protocol-version" => {
                    text.push_str(&format!("\n    .{method}({value})"));
                }
                "client-document" => {
                    text.push_str(&format!("\n    .client_document({value}, &[])"))
                }
                "google" => {
                    texts.iter().for_each(|it| text.push_str(&format!("\n    .google({it:?})")));
                }
                "client-id" => text.push_str("\n    .pre_registered(client)"),
                _ if PAIRS.contains(&name.as_str()) => {
                    for pair in texts.chunks(2) {
                        let words: Vec<String> =
                            pair.iter().map(|word| format!("{word:?}")).collect();
                        danger.push_str(&format!("\n    .{method}({})", words.join(", ")));
                    }
                }
                _ if name.starts_with("allow-") && value.is_boolean() => {
                    danger.push_str(&format!("\n    .{method}()"));
                }
                _ if name.starts_with("allow-")
                    || matches!(name.as_str(), "omit-resource" | "entra") =>
                {
                    texts
                        .iter()
                        .for_each(|it| danger.push_str(&format!("\n    .{method}({it:?})")));
                }
                // The rest is of the client, not of the configuration: certificates.
                _ => {}
            }
        }
        if !danger.is_empty() {
            text.push_str(&format!("\n    .danger(){danger}\n    .done()"));
        }
        text
    }

    /// For programs.
    pub(super) fn line(&self) -> Value {
        json!({
            "event": "snippet",
            "proved": self.proved,
            "options": self.options,
            "config": self.file(),
            "command": format!("mcp-authz login {}", self.words()),
            "rust": self.rust(),
        })
    }
}

/// A value of the configuration file. The escapes of JSON are among those of TOML; DEL, which JSON
/// leaves as it is, is in no option that a server named.
fn toml(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(toml).collect();
            format!("[{}]", values.join(", "))
        }
        value => value.to_string().replace('\u{7f}', "\\u007f"),
    }
}

/// A name for the server: the first part of its host that says something.
fn name(url: &str) -> String {
    let url = Url::parse(url).ok();
    let host = url.as_ref().and_then(Url::domain).unwrap_or("server");
    let mut labels = host.split('.').filter(|label| !matches!(*label, "mcp" | "www" | "api"));
    let label = labels.next().unwrap_or("server");
    label.chars().filter(|it| it.is_ascii_alphanumeric() || *it == '-').collect()
}

/// What became of the switches that a failure names.
#[derive(Debug)]
pub(super) enum Turned {
    /// This one was turned on, for what stands beside it.
    On(Switch, String),
    /// None that is left would help.
    Nothing,
    /// One would help, and is for the person to decide: it lets a server name hosts and addresses that
    /// are to be asked.
    ForPerson,
}

/// Turns on what a failure names: the switch for everything that a known product needs before a single
/// one.
///
/// A switch that widens what may be dialled is never turned on here, or a hostile document could send
/// this program into a private network (SEC-05). The person's own host is theirs to name.
pub(super) fn turn_on<'a>(
    options: &mut Options,
    openings: impl Iterator<Item = (Switch, &'a [String])>,
    own_host: Option<&str>,
) -> Turned {
    let mut openings: Vec<(Switch, &[String])> = openings.collect();
    openings.sort_by_key(|(switch, _)| !matches!(switch, Switch::Entra | Switch::Cognito));
    let before = options.clone();
    let mut turned = Turned::Nothing;
    for (switch, words) in openings {
        let word = || words.first().cloned();
        let list = match switch {
            Switch::PkceUnlisted => &mut options.allow_unlisted_pkce,
            Switch::SplitEndpoints => &mut options.allow_split_endpoints,
            Switch::ResourceParameter => &mut options.omit_resource,
            Switch::Entra => &mut options.entra,
            Switch::IssuerPin => &mut options.pin_issuer,
            Switch::Cognito => &mut options.cognito,
            Switch::PlainHttp if own_host.is_some() && word().as_deref() == own_host => {
                &mut options.allow_plain_http
            }
            Switch::LegacyServers => {
                options.legacy = Some(Switched::On);
                return Turned::On(switch, String::new());
            }
            Switch::IssuerSlash
            | Switch::ParentResource
            | Switch::MissingTokenType
            | Switch::UnlistedNone
                if options.strict =>
            {
                options.strict = false;
                return Turned::On(switch, String::new());
            }
            Switch::PlainHttp | Switch::PrivateAddress | Switch::StrictProxy => {
                turned = Turned::ForPerson;
                continue;
            }
            _ => continue,
        };
        if !words.is_empty() && !list.windows(words.len()).any(|held| held == words) {
            list.extend_from_slice(words);
        }
        if *options != before {
            return Turned::On(switch, word().unwrap_or_default());
        }
    }
    turned
}
