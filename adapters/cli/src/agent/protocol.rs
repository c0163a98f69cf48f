//! The protocol, version 1: one JSON object a line, UTF-8, in both directions.
//!
//! The agent speaks first, once it knows whose process the peer is:
//!
//! ```json
//! {"agent": "mcp-authz", "versions": [1], "socket": "restricted", "requests": ["header", "call"]}
//! ```
//!
//! Then a request after the other, each with an `id` (a text or a number) that its answers repeat.
//! Members that are not known are ignored; options that are not known are refused, since one of them
//! might have been a caution.
//!
//! ```json
//! {"version": 1, "id": 1, "request": "header", "method": "GET", "url": "https://mcp.example/mcp"}
//! {"version": 1, "id": 1, "ok": {"headers": {"authorization": "Bearer ..."}, "mark": "9f"}}
//! ```
//!
//! | member of an answer | holds |
//! | --- | --- |
//! | `ok` | the end: what was asked for |
//! | `error` | the end: `code`, `message`, `remedy`, `next`, as `--json` shows a failure |
//! | `said` | no end yet: something to be shown meanwhile |
//! | `part` | a piece of the text of an answer that is longer than a message; with `last` it is whole |

use std::path::PathBuf;
use std::time::Duration;

use mcp_authz_core::failure::{Remedy, escaped};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::options::Options;

/// The version of the protocol.
pub(crate) const VERSION: u64 = 1;
/// Longest message, in bytes without the end of its line.
pub(crate) const LONGEST: usize = 64 * 1024;
/// Longest piece of an answer that goes in parts: every byte may need an escape.
const PIECE: usize = 24 * 1024;
/// Longest text of an id.
const LONGEST_ID: usize = 128;
/// The connections of one socket.
pub(crate) const CONNECTIONS: usize = 64;
/// The connections of all restricted sockets, which must leave the owner's some descriptors.
pub(crate) const RESTRICTED_CONNECTIONS: usize = 256;
/// The calls of tools that one restricted socket may have out.
pub(crate) const CALLS: usize = 16;
/// The time that a connection may be silent between requests.
pub(crate) const IDLE: Duration = Duration::from_secs(300);
/// The time that the rest of a request may take once it was begun.
pub(crate) const REST: Duration = Duration::from_secs(10);
/// The time in which the peer has to take an answer.
pub(crate) const WRITE: Duration = Duration::from_secs(30);

/// The advice where no agent answers.
pub(crate) const START_ADVICE: [&str; 2] = [
    "start it: eval \"$(mcp-authz agent --background)\"",
    "or go on without it: unset MCP_AUTHZ_AGENT",
];

/// The requests of a restricted socket.
pub(crate) const RESTRICTED: [&str; 2] = ["header", "call"];
/// Those of the owner's socket.
pub(crate) const OWNER: [&str; 10] =
    ["header", "call", "token", "tools", "login", "logout", "list", "status", "restrict", "stop"];

/// The members of a request that only the owner's socket takes.
pub(crate) const OWNERS: [&str; 3] = ["options", "config", "client_secret"];

/// A server as a request names it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Target {
    /// Its MCP URL, or its name in the configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
    /// The options, under the names of the configuration file. On the owner's socket only.
    #[serde(default, serialize_with = "lean")]
    pub(crate) options: Options,
    /// The configuration file, in place of the agent's. On the owner's socket only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<PathBuf>,
    /// The secret of the client that the options name. On the owner's socket only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret: Option<crate::options::Carried>,
}

/// The headers for one request that the peer sends itself.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Header {
    #[serde(flatten)]
    pub(crate) of: Target,
    pub(crate) method: String,
    pub(crate) url: String,
    /// Chooses among the accounts that a restricted socket is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    /// The `mark` of a token that the server has answered with 401, so that it is renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
}

/// A call of a tool.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Call {
    #[serde(flatten)]
    pub(crate) of: Target,
    /// As in [`Header`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
    pub(crate) tool: String,
    #[serde(default = "none")]
    pub(crate) arguments: Value,
}

/// A request that is one of the commands.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub(crate) enum Command {
    Token {
        #[serde(flatten)]
        of: Target,
        #[serde(default)]
        header: bool,
        #[serde(default)]
        headers: bool,
        /// In seconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        min_lifetime: Option<u64>,
    },
    Tools {
        #[serde(flatten)]
        of: Target,
    },
    Login {
        #[serde(flatten)]
        of: Target,
        #[serde(default)]
        again: bool,
    },
    /// Without a target: all of them.
    Logout {
        #[serde(flatten)]
        of: Target,
    },
    List {
        #[serde(flatten)]
        of: Target,
        #[serde(default)]
        prune: bool,
    },
    Status {
        #[serde(flatten)]
        of: Target,
    },
}

/// A restricted socket, which is there until the connection ends.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Restrict {
    /// The options of every server of it.
    #[serde(flatten)]
    pub(crate) of: Target,
    pub(crate) allow: Vec<Allowed>,
    pub(crate) socket: PathBuf,
    /// Serve calls only, so that no token leaves.
    #[serde(default)]
    pub(crate) no_headers: bool,
}

/// One server and account that a restricted socket is for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Allowed {
    pub(crate) target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account: Option<String>,
}

/// A request.
#[derive(Debug)]
pub(crate) enum Request {
    Header(Header),
    Call(Call),
    Command(Command),
    Restrict(Restrict),
    Stop,
}

/// A message of a peer that cannot be a request, with the id to answer it under.
pub(crate) struct Unread {
    pub(crate) id: Value,
    /// The request that it would have been.
    pub(crate) name: Option<&'static str>,
    pub(crate) fault: Fault,
}

/// Reads a message. `may` are the requests of the socket that it came from.
pub(crate) fn read(
    line: &[u8],
    may: &[&'static str],
) -> Result<(Value, &'static str, Request), Box<Unread>> {
    let unread = |id: &Value, fault: Fault| Box::new(Unread { id: id.clone(), name: None, fault });
    let refused =
        |id: &Value, name, fault| Box::new(Unread { id: id.clone(), name: Some(name), fault });
    let message: Map<String, Value> = serde_json::from_slice(line)
        .map_err(|_| unread(&Value::Null, malformed("a message is one JSON object on a line")))?;
    let id = match message.get("id") {
        Some(Value::String(text)) if text.len() > LONGEST_ID => Value::Null,
        Some(id @ (Value::String(_) | Value::Number(_))) => id.clone(),
        _ => Value::Null,
    };
    if message.get("version") != Some(&json!(VERSION)) {
        return Err(unread(&id, unknown_version()));
    }
    if id.is_null() {
        return Err(unread(&id, malformed("the id is a text of at most 128 bytes, or a number")));
    }
    let Some(Value::String(name)) = message.get("request") else {
        return Err(unread(&id, malformed("the request has no name")));
    };
    let Some(name) = OWNER.iter().copied().find(|known| known == name) else {
        return Err(unread(&id, unknown_request(may)));
    };
    if !may.contains(&name) {
        return Err(refused(&id, name, not_allowed(may)));
    }
    if may != OWNER && OWNERS.iter().any(|member| message.contains_key(*member)) {
        let text = "options of a restricted socket are decided when it is made";
        return Err(refused(&id, name, malformed(text)));
    }
    match typed(name, Value::Object(message)) {
        Ok(request) => Ok((id, name, request)),
        Err(error) => Err(refused(&id, name, malformed(&format!("{name}: {error}")))),
    }
}

fn typed(name: &str, message: Value) -> serde_json::Result<Request> {
    Ok(match name {
        "header" => Request::Header(serde_json::from_value(message)?),
        "call" => Request::Call(serde_json::from_value(message)?),
        "restrict" => Request::Restrict(serde_json::from_value(message)?),
        "stop" => Request::Stop,
        _ => Request::Command(serde_json::from_value(message)?),
    })
}

/// What a person pasted, if the message is that. It may come while a login is out.
pub(crate) fn pasted(line: &[u8]) -> Option<String> {
    let message: Map<String, Value> = serde_json::from_slice(line).ok()?;
    match (message.get("version"), message.get("paste")) {
        (Some(version), Some(Value::String(text))) if *version == VERSION => Some(text.clone()),
        _ => None,
    }
}

impl Request {
    /// The server for the audit, as the request names it.
    pub(crate) fn about(&self) -> String {
        match self {
            Self::Header(header) => header.url.clone(),
            Self::Call(Call { of, .. }) => of.target.clone().unwrap_or_default(),
            Self::Command(command) => command.of().target.clone().unwrap_or_default(),
            Self::Restrict(restrict) => {
                restrict.allow.iter().map(|it| it.target.as_str()).collect::<Vec<_>>().join(" ")
            }
            Self::Stop => String::new(),
        }
    }

    /// The time in which it has to be answered; `None` if it lasts as long as its connection.
    pub(crate) const fn deadline(&self) -> Option<Duration> {
        Some(Duration::from_secs(match self {
            Self::Restrict(_) => return None,
            Self::Header(_) | Self::Stop => 60,
            Self::Call(_) | Self::Command(Command::Tools { .. }) => 600,
            // A person takes their time, and others may be in front of them.
            Self::Command(Command::Login { .. }) => 3_600,
            Self::Command(_) => 120,
        }))
    }

    /// Returns true if it waits for a person, or for the end of its connection: with that, and with
    /// the agent, it ends at once.
    pub(crate) const fn is_patient(&self) -> bool {
        matches!(self, Self::Restrict(_) | Self::Command(Command::Login { .. }))
    }
}

impl Command {
    /// The server that it is about.
    pub(crate) const fn of(&self) -> &Target {
        match self {
            Self::Token { of, .. }
            | Self::Tools { of }
            | Self::Login { of, .. }
            | Self::Logout { of }
            | Self::List { of, .. }
            | Self::Status { of } => of,
        }
    }
}

/// An answer as the lines that carry it.
pub(crate) fn lines(id: &Value, member: &str, value: &Value) -> Vec<String> {
    let whole = json!({"version": VERSION, "id": id, member: value}).to_string();
    if whole.len() <= LONGEST {
        return vec![whole];
    }
    let mut lines = Vec::new();
    let mut rest = whole.as_str();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        let last = after.is_empty();
        lines.push(json!({"version": VERSION, "id": id, "part": piece, "last": last}).to_string());
        rest = after;
    }
    lines
}

/// The first line of the agent.
pub(crate) fn greeting(may: &[&'static str]) -> String {
    let socket = if may == OWNER { "owner" } else { "restricted" };
    json!({"agent": "mcp-authz", "versions": [VERSION], "socket": socket, "requests": may})
        .to_string()
}

pub(crate) fn malformed(sentence: &str) -> Fault {
    Fault::new("malformed", sentence, Remedy::Configure).advised(["correct the program that asks"])
}

fn unknown_version() -> Fault {
    let text = format!("the version of the message is not known: known is {VERSION}");
    Fault::new("unknown_version", &text, Remedy::Configure)
        .advised(["use the same version of mcp-authz on both sides"])
}

fn unknown_request(may: &[&'static str]) -> Fault {
    let text = format!("this request is not known; known are {}", may.join(", "));
    Fault::new("unknown_request", &text, Remedy::Configure)
        .advised(["use the same version of mcp-authz on both sides"])
}

fn not_allowed(may: &[&'static str]) -> Fault {
    let text = format!("this socket is restricted to {}", may.join(", "));
    Fault::new("not_allowed", &text, Remedy::Configure)
        .advised(["let a person do it outside of the sandbox"])
}

/// The fault of a request that a login would mend. Nobody was asked.
pub(crate) fn login_required(url: &str) -> Fault {
    let shown = crate::server::shown(url);
    let text = format!("nobody is logged in at {shown}, and a socket asks nobody");
    let next = format!("log in, outside of any sandbox: mcp-authz login {shown}");
    Fault::new("login_required", &text, Remedy::AskUser).advised([escaped(&next).as_str()])
}

fn none() -> Value {
    json!({})
}

/// Leaves out the options that say nothing.
fn lean<S: serde::Serializer>(options: &Options, serializer: S) -> Result<S::Ok, S::Error> {
    let value = serde_json::to_value(options).map_err(serde::ser::Error::custom)?;
    let mut members = match value {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    members.retain(|_, value| {
        !matches!(value, Value::Null | Value::Bool(false)) && *value != json!([])
    });
    members.serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(line: &str, may: &[&'static str]) -> String {
        match read(line.as_bytes(), may) {
            Ok((_, name, _)) => name.to_owned(),
            Err(unread) => unread.fault.code().to_owned(),
        }
    }

    #[test]
    fn each_message_is_a_request_or_a_fault() {
        let header = r#"{"version":1,"id":1,"request":"header","method":"GET","url":"u","new":1}"#;
        for (line, may, expected) in [
            (header, &OWNER[..], "header"),
            (header, &RESTRICTED, "header"),
            (header, &["call"], "not_allowed"),
            (r#"{"version":1,"id":"a","request":"list"}"#, &OWNER, "list"),
            (r#"{"version":1,"id":"a","request":"list"}"#, &RESTRICTED, "not_allowed"),
            (r#"{"version":1,"id":"a","request":"restrict"}"#, &RESTRICTED, "not_allowed"),
            (r#"{"version":1,"id":"a","request":"frob"}"#, &RESTRICTED, "unknown_request"),
            (r#"{"version":2,"id":1,"request":"list"}"#, &OWNER, "unknown_version"),
            (r#"{"id":1,"request":"list"}"#, &OWNER, "unknown_version"),
            (r#"{"version":1,"request":"list"}"#, &OWNER, "malformed"),
            (r#"{"version":1,"id":{},"request":"list"}"#, &OWNER, "malformed"),
            (r#"{"version":1,"id":1,"request":"header","method":"GET"}"#, &OWNER, "malformed"),
            (
                r#"{"version":1,"id":1,"request":"list","options":{"stric":true}}"#,
                &OWNER,
                "malformed",
            ),
            (
                r#"{"version":1,"id":1,"request":"call","tool":"t","options":{}}"#,
                &RESTRICTED,
                "malformed",
            ),
            (
                r#"{"version":1,"id":1,"request":"call","tool":"t","config":"/x"}"#,
                &RESTRICTED,
                "malformed",
            ),
            ("[]", &OWNER, "malformed"),
            ("{", &OWNER, "malformed"),
            ("", &OWNER, "malformed"),
        ] {
            assert_eq!(code(line, may), expected, "{line}");
        }
        let long = format!(r#"{{"version":1,"id":"{}","request":"list"}}"#, "x".repeat(129));
        assert_eq!(code(&long, &OWNER), "malformed");
        let deep = format!(r#"{{"version":1,"id":1,"request":{}"#, "[".repeat(60_000));
        assert_eq!(code(&deep, &OWNER), "malformed");
    }

    #[test]
    fn a_long_answer_goes_in_parts() {
        let value = json!({"text": "\"\u{1}\u{20ac}\\".repeat(40_000)});
        let lines = lines(&json!("x".repeat(LONGEST_ID)), "ok", &value);
        assert!(lines.len() > 2 && lines.iter().all(|line| line.len() <= LONGEST));
        let parts = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let whole: String = parts.map(|part| part["part"].as_str().unwrap().to_owned()).collect();
        assert_eq!(serde_json::from_str::<Value>(&whole).unwrap()["ok"], value);
    }
}
