//! The configuration that works: for the program's own file, for its command line, and for the library.

use mcp_authz_core::failure::Switch;
use serde_json::{Map, Value, json};
use url::Url;

use crate::fault::{Fault, quoted};
use crate::options::{self, Options, PAIRED, Switched};

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
    /// True if a client id is needed, which only the people of the server can give.
    lacks_client: bool,
}

impl Snippet {
    /// The server at this URL with these options.
    pub(super) fn new(url: &str, options: &Options, proved: bool) -> Result<Self, Fault> {
        let mut options = options.members();
        options.retain(|name, _| !OURS.contains(&name.as_str()));
        let bare = url.split(['?', '#']).next().unwrap_or_default();
        Ok(Self {
            url: bare.to_owned(),
            cut: bare.len() < url.len(),
            options,
            proved,
            lacks_client: false,
        })
    }

    /// The same, where a client id is needed.
    pub(super) fn without_client(self) -> Self {
        let lacks_client = !self.options.contains_key("client-id");
        Self { lacks_client, ..self }
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
        if self.lacks_client {
            text.push_str("\n# client-id = \"as the people of the authorization server give it\"");
        }
        text
    }

    /// The words of the command line that follow the command.
    pub(super) fn words(&self) -> String {
        let mut text = quoted(&self.url);
        for word in options::words(&self.options) {
            text.push(' ');
            text.push_str(&quoted(&word));
        }
        if self.lacks_client {
            text.push_str(" --client-id ID");
        }
        text
    }

    /// The calls of the library's builder.
    pub(super) fn rust(&self) -> String {
        let mut text = format!("Config::builder({:?})", self.url);
        let mut danger = String::new();
        for (name, value) in &self.options {
            danger.push_str(&weakening(name, value));
            text.push_str(&setting(name, value));
        }
        if self.lacks_client {
            text.push_str("\n    .pre_registered(client)");
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

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The calls of the builder for an option that weakens nothing; none for those of the HTTP client.
fn setting(name: &str, value: &Value) -> String {
    let method = name.replace('-', "_");
    match name {
        "strict" => "\n    .profile(Profile::Strict)".to_owned(),
        "legacy" => format!("\n    .legacy_servers({})", value == "on"),
        "scope" => format!("\n    .scopes(&{:?})", texts(value)),
        "issuer" => format!("\n    .prefer_issuer({value})"),
        "register-scopes" => "\n    .register_scopes(true)".to_owned(),
        "no-registration" => "\n    .dynamic_registration(false)".to_owned(),
        "client-name"
        | "authorization-endpoint"
        | "token-endpoint"
        | "registration-endpoint"
        | "revocation-endpoint"
        | "protocol-version" => format!("\n    .{method}({value})"),
        "client-document" => format!("\n    .client_document({value}, &[])"),
        "google" => texts(value).iter().map(|it| format!("\n    .google({it:?})")).collect(),
        "client-id" => "\n    .pre_registered(client)".to_owned(),
        _ => String::new(),
    }
}

/// The calls of the builder for an option that weakens a check.
fn weakening(name: &str, value: &Value) -> String {
    let method = name.replace('-', "_");
    let at_a_time = if PAIRED.contains(&name) { 2 } else { 1 };
    match name {
        _ if name.starts_with("allow-") && value.is_boolean() => format!("\n    .{method}()"),
        _ if at_a_time == 1
            && !name.starts_with("allow-")
            && !matches!(name, "omit-resource" | "entra") =>
        {
            String::new()
        }
        _ => texts(value)
            .chunks(at_a_time)
            .map(|words| {
                let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
                format!("\n    .{method}({})", words.join(", "))
            })
            .collect(),
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
    /// are to be asked. These options have it on.
    ForPerson(Box<Options>),
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
    let mut for_person = None;
    for (switch, words) in openings {
        let word = words.first().cloned().unwrap_or_default();
        let changed = with(options, switch, words);
        if changed == *options {
            continue;
        }
        let own = switch == Switch::PlainHttp && own_host == Some(&word);
        let dials =
            matches!(switch, Switch::PlainHttp | Switch::PrivateAddress | Switch::StrictProxy);
        if dials && !own {
            for_person.get_or_insert_with(|| Box::new(changed));
            continue;
        }
        *options = changed;
        return Turned::On(switch, word);
    }
    for_person.map_or(Turned::Nothing, Turned::ForPerson)
}

/// The options with this switch on.
fn with(options: &Options, switch: Switch, words: &[String]) -> Options {
    let mut options = options.clone();
    let list = match switch {
        Switch::PkceUnlisted => &mut options.allow_unlisted_pkce,
        Switch::SplitEndpoints => &mut options.allow_split_endpoints,
        Switch::ResourceParameter => &mut options.omit_resource,
        Switch::Entra => &mut options.entra,
        Switch::IssuerPin => &mut options.pin_issuer,
        Switch::Cognito => &mut options.cognito,
        Switch::PlainHttp => &mut options.allow_plain_http,
        Switch::PrivateAddress => &mut options.allow_private_address,
        _ => {
            match switch {
                Switch::LegacyServers => options.legacy = Some(Switched::On),
                Switch::StrictProxy => options.allow_strict_proxy = true,
                Switch::IssuerSlash
                | Switch::ParentResource
                | Switch::MissingTokenType
                | Switch::UnlistedNone => options.strict = false,
                _ => {}
            }
            return options;
        }
    };
    let at_a_time = words.len().max(1);
    if !list.chunks(at_a_time).any(|held| held == words) {
        list.extend_from_slice(words);
    }
    options
}

#[cfg(test)]
mod tests;
