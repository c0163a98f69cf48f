//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::command::config::{Host, Way};
use crate::options::Options;

const STATUSES: &str = "\
Exit status:
  0  done
  1  failed; the lines say why, and what to do next
  2  the command line or the configuration file makes no sense
  3  a person has to log in
  4  try the same again later
  5  the tool that was called says that it failed";

/// Logs in to MCP servers, keeps their tokens fresh, and lends them to other programs
#[derive(Debug, Parser)]
#[command(name = "mcp-authz", version, after_help = STATUSES, max_term_width = 100)]
pub(crate) struct Cli {
    /// One JSON object a line, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The configuration file [default: mcp-authz/config.toml in your configuration folder]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Returns true if programs read what is said.
    pub(crate) fn says_json(&self) -> bool {
        let recorded = |record: &Record| record.command.iter().any(|word| word == "--json");
        self.json || matches!(&self.command, Command::Record(record) if recorded(record))
    }
}

/// A server, and what is said of it.
#[derive(Args, Clone, Debug)]
pub(crate) struct Target {
    /// The URL of the MCP server, or its name in the configuration file
    #[arg(value_name = "URL")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) options: Options,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Log in, unless a usable grant is kept already
    #[command(after_help = "Examples:
  mcp-authz login https://mcp.example/mcp
  mcp-authz login https://mcp.example/mcp --account work --scope files:read
  mcp-authz login https://mcp.example/mcp --no-browser     over SSH: open the page elsewhere")]
    Login(Login),
    /// Give tokens back to the server, and forget them
    #[command(after_help = "Examples:
  mcp-authz logout https://mcp.example/mcp
  mcp-authz logout --all")]
    Logout(Logout),
    /// The servers and accounts that credentials are kept for
    #[command(after_help = "Examples:
  mcp-authz list
  mcp-authz list --prune           forget those that nothing can be done with any more")]
    List(List),
    /// What is kept for a server, until when, and what a renewal would need
    #[command(after_help = "Examples:
  mcp-authz status https://mcp.example/mcp
  mcp-authz status https://mcp.example/mcp --json")]
    Status(Target),
    /// Print a live access token, renewed if need be; never a refresh token
    #[command(after_help = "Examples:
  curl -H \"$(mcp-authz token --header https://mcp.example/mcp)\" https://mcp.example/mcp/files
  mcp-authz token https://mcp.example/mcp --min-lifetime 5m")]
    Token(Token),
    /// List the tools of a server
    #[command(after_help = "Examples:
  mcp-authz tools https://mcp.example/mcp
  mcp-authz tools https://mcp.example/mcp --json | jq -r .name")]
    Tools(Target),
    /// Call a tool
    #[command(after_help = "Examples:
  mcp-authz call https://mcp.example/mcp echo text=hello
  mcp-authz call https://mcp.example/mcp search '{\"query\": \"rust\", \"limit\": 3}'

A value that is JSON, such as 3 or true or [1,2], is taken as that; anything else is a string.
If the whole value has to be a string, write it as JSON: name='\"3\"'.")]
    Call(Call),
    /// Print the lines by which a host application reaches a server
    #[command(after_help = "Examples:
  mcp-authz config https://mcp.example/mcp --for cursor
  mcp-authz config https://mcp.example/mcp --for claude-code --way header
  mcp-authz config https://mcp.example/mcp --for codex >> ~/.codex/config.toml

Options of the server are put into the lines. No token is written anywhere.")]
    Config(Snippet),
    /// Run a command, and write what its sessions do to a file that replays, for a report of a bug
    #[command(after_help = "Examples:
  mcp-authz record login.trace -- login https://mcp.example/mcp
  mcp-authz record logout.trace -- logout --all

The file holds placeholders in the place of tokens, names, hosts and paths; nobody else may read it.
It is made anew: a file that exists is left alone.")]
    Record(Record),
    /// Show the steps of a trace, offline, and whether this program takes them in the same way
    #[command(after_help = "Examples:
  mcp-authz replay login.trace
  mcp-authz replay login.trace --json | jq -c 'select(.same == false)'")]
    Replay {
        /// The file that `record` has written
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the completions of a shell
    #[command(after_help = "Examples:
  mcp-authz completions bash > ~/.local/share/bash-completion/completions/mcp-authz")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    #[command(after_help = "Examples:
  mcp-authz man | man -l -")]
    Man,
}

#[derive(Args, Debug)]
pub(crate) struct Login {
    #[command(flatten)]
    pub(crate) server: Target,
    /// Log in even if a usable grant is kept, as another person or with other scopes
    #[arg(long)]
    pub(crate) again: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Logout {
    /// The URL of the MCP server, or its name in the configuration file
    #[arg(value_name = "URL", required_unless_present = "all")]
    pub(crate) target: Option<String>,
    /// Every server and account
    #[arg(long, conflicts_with = "target")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) options: Options,
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Forget what is refused or over, and cannot be renewed
    #[arg(long)]
    pub(crate) prune: bool,
    #[command(flatten)]
    pub(crate) options: Options,
}

#[derive(Args, Debug)]
pub(crate) struct Token {
    #[command(flatten)]
    pub(crate) server: Target,
    /// Print the whole header line, as `Authorization: Bearer ...`
    #[arg(long)]
    pub(crate) header: bool,
    /// Print a JSON object of headers, for programs that ask a command for them
    #[arg(long, conflicts_with = "header")]
    pub(crate) headers: bool,
    /// Renew a token that would live shorter than this, such as 90s, 5m or 1h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) min_lifetime: Option<Duration>,
}

#[derive(Args, Debug)]
pub(crate) struct Call {
    #[command(flatten)]
    pub(crate) server: Target,
    /// The name of the tool
    #[arg(value_name = "TOOL")]
    pub(crate) tool: String,
    /// The arguments: each as name=value, or all of them as one JSON object
    #[arg(value_name = "NAME=VALUE or JSON")]
    pub(crate) arguments: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Record {
    /// The file that is made for the trace
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The command, as it is written after `mcp-authz`
    #[arg(value_name = "COMMAND", last = true, required = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Snippet {
    #[command(flatten)]
    pub(crate) server: Target,
    /// The host application
    #[arg(long = "for", value_name = "APPLICATION")]
    pub(crate) host: Host,
    /// How it gets through
    #[arg(long, default_value = "bridge")]
    pub(crate) way: Way,
    /// The name of the server there [default: from its host]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// Reads a time such as `90s`, `5m` or `1h`; a number alone is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|end: char| end.is_ascii_alphabetic());
    let unit = match text.strip_prefix(digits) {
        Some("" | "s") => 1,
        Some("m") => 60,
        Some("h") => 3600,
        _ => return Err("a time is a number with s, m or h, such as 5m".to_owned()),
    };
    let number: u32 =
        digits.parse().map_err(|_| "a time begins with a number, as 5m".to_owned())?;
    Ok(Duration::from_secs(u64::from(number) * unit))
}
