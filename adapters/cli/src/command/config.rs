//! `config`: the lines by which a host application starts the bridge, or asks for a header.

use std::env;
use std::path::Path;

use clap::ValueEnum;
use serde_json::{Value, json};
use url::Url;

use crate::fault::Fault;
use crate::options::Options;
use crate::say::Say;
use crate::server::{self, shown};

/// A host application whose configuration is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Host {
    ClaudeCode,
    ClaudeDesktop,
    Vscode,
    Cursor,
    Zed,
    Codex,
    Goose,
}

/// How the host application gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// The application starts `mcp-authz bridge`.
    Bridge,
    /// The application speaks to the server itself, and asks `mcp-authz token` for the header.
    Header,
}

impl Host {
    /// The file that the lines belong into.
    const fn file(self) -> &'static str {
        match self {
            Self::ClaudeCode => ".mcp.json in the project, or `claude mcp add-json`",
            Self::ClaudeDesktop => "claude_desktop_config.json: Settings, Developer, Edit Config",
            Self::Vscode => ".vscode/mcp.json, or `MCP: Open User Configuration`",
            Self::Cursor => "~/.cursor/mcp.json, or .cursor/mcp.json in the project",
            Self::Zed => "settings.json: `zed: open settings file`",
            Self::Codex => "~/.codex/config.toml",
            Self::Goose => "~/.config/goose/config.yaml",
        }
    }

    /// The lines, for a server of this name that is reached by a command.
    fn starts(self, name: &str, command: &str, words: &[String]) -> String {
        let stdio = json!({"command": command, "args": words});
        let typed = json!({"type": "stdio", "command": command, "args": words});
        match self {
            Self::ClaudeCode => under("mcpServers", name, &typed),
            Self::ClaudeDesktop | Self::Cursor => under("mcpServers", name, &stdio),
            Self::Vscode => under("servers", name, &typed),
            Self::Zed => under("context_servers", name, &stdio),
            // JSON strings and lists are written the same way in TOML and in YAML.
            Self::Codex => format!(
                "[mcp_servers.{name}]\ncommand = {}\nargs = {}",
                json!(command),
                json!(words),
            ),
            Self::Goose => format!(
                "extensions:\n  {name}:\n    enabled: true\n    type: stdio\n    name: {name}\n    \
                 cmd: {}\n    args: {}\n    timeout: 300",
                json!(command),
                json!(words),
            ),
        }
    }
}

/// The server as the command line names it, its URL, and its name in the application.
pub(super) struct Named<'a> {
    pub(super) target: &'a str,
    pub(super) url: &'a str,
    pub(super) name: Option<String>,
}

/// Prints the lines; nothing is written anywhere, and no token is among them.
pub(super) fn run(
    server: &Named<'_>,
    options: &Options,
    (host, way): (Host, Way),
    file: Option<&Path>,
    say: &Say,
) -> Result<(), Fault> {
    let Named { target, url, name } = server;
    let _well_formed = server::checked(url, options)?;
    let name = match name {
        Some(name) if is_name(name) => name.clone(),
        Some(_) => {
            return Err(Fault::usage("--name is made of letters, digits, - and _"));
        }
        None if is_name(target) => (*target).to_owned(),
        None => name_of(url, options.account.as_deref()),
    };
    let command = env::current_exe().ok().and_then(|path| path.into_os_string().into_string().ok());
    let command = command.unwrap_or_else(|| "mcp-authz".to_owned());
    let words = |first: &[&str]| {
        let first = first.iter().map(|word| (*word).to_owned());
        let file = file.and_then(|file| std::path::absolute(file).ok());
        let file = file.map(|file| ["--config".to_owned(), file.to_string_lossy().into_owned()]);
        let last =
            crate::options::words(&options.members()).into_iter().chain(file.into_iter().flatten());
        first.chain([(*target).to_owned()]).chain(last).collect::<Vec<_>>()
    };
    let text = match (way, host) {
        (Way::Bridge, host) => host.starts(&name, &command, &words(&["bridge"])),
        (Way::Header, Host::ClaudeCode) => {
            let line = words(&[&command, "token", "--headers"]);
            let line: Vec<String> = line.iter().map(|word| crate::fault::quoted(word)).collect();
            let entry = json!({"type": "http", "url": url, "headersHelper": line.join(" ")});
            under("mcpServers", &name, &entry)
        }
        (Way::Header, _) => {
            return Err(Fault::usage(
                "of these applications only claude-code asks a command for headers: leave out --way",
            ));
        }
    };
    say.aside(
        format!("For {}, in {}:", shown(url), host.file()),
        &json!({"event": "file", "file": host.file()}),
    );
    say.result(&text, &json!({"event": "config", "name": name, "text": text}));
    Ok(())
}

/// An entry of a JSON file, below the member that holds all of them.
fn under(member: &str, name: &str, entry: &Value) -> String {
    format!("{:#}", json!({member: {name: entry}}))
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.bytes().all(plain)
}

/// A name for a server: its host, its path unless that says nothing, and the account.
fn name_of(url: &str, account: Option<&str>) -> String {
    let parsed = Url::parse(url).ok();
    let host = parsed.as_ref().and_then(Url::host_str).unwrap_or("server");
    let path = parsed.as_ref().map_or("", Url::path);
    let path = path.split('/').filter(|part| !matches!(*part, "" | "mcp" | "sse"));
    let words: Vec<&str> = [host].into_iter().chain(path).chain(account).collect();
    let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '-' };
    words.join("-").chars().map(plain).collect::<String>().trim_matches('-').to_owned()
}
