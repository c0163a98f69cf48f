//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

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
    /// Stand in front of a server for applications that can only start commands
    #[command(
        after_help = "Examples, as the command and the arguments of a server in an application:
  mcp-authz bridge https://mcp.example/mcp
  mcp-authz bridge https://mcp.example/mcp --account work --ignore-tool 'delete*'
  mcp-authz bridge https://mcp.example/mcp --header 'X-Api-Key: ${API_KEY}'

It speaks MCP on standard input and output; what it has to tell a person goes to standard error, which
applications keep as a log. All that run for one server and account share one login."
    )]
    Bridge(Bridge),
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
pub(crate) struct Bridge {
    #[command(flatten)]
    pub(crate) server: Target,
    /// Send this header with every request to the MCP server, as "Name: value"; ${NAME} in the value
    /// is that variable of the environment; may be repeated
    #[arg(long, value_name = "HEADER")]
    pub(crate) header: Vec<String>,
    /// Leave out the tools whose names match, as in 'delete*'; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) ignore_tool: Vec<String>,
    /// Answer initialize with an error if nobody has logged in after 8 seconds, in place of empty
    /// lists that change when somebody has
    #[arg(long)]
    pub(crate) fail_without_login: bool,
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
