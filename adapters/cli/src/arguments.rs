//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::command::config::{Host, Way};
use crate::import::Tool;
use crate::options::Options;

const STATUSES: &str = "\
Exit status:
  0  done
  1  failed; the lines say why, and what to do next
  2  the command line or the configuration file makes no sense
  3  a person has to log in
  4  try the same again later
  5  the tool that was called says that it failed";

const DOCTOR: &str = "\
Examples:
  mcp-authz doctor https://mcp.example/mcp
  mcp-authz doctor https://mcp.example/mcp --login --forget
  mcp-authz doctor https://mcp.example/mcp --json | jq 'select(.event == \"finding\")'

Without --login nobody is asked, nothing is registered and nothing is kept: doctor asks for what a
login would ask for, and stops where it would register or open a page. If a rule is broken that an
option accepts, it goes on with that option, and so finds every broken rule and every option that is
needed. Options by which a server could send this program to other hosts are named and left to you.

Findings are broken (no login as it is), weak (another client may fail) or note, each with the id of
the rule. --json prints objects of these events, one a line:
  request               purpose method url sent status lost content_type location bytes ms
  server                url status challenge resource resource_metadata transport protocol_version
  authorization_server  listed issuer document accepted endpoints grant_types auth_methods
                        code_challenge_methods registration scopes_supported scopes_asked
                        scopes_from iss_promised par_required
  finding               severity rule rule_text code text at server_said options mends
  not_logged_in         text
  login                 issuer token_type expires_in scopes_granted scopes_asked refresh_token
                        transport protocol_version tools refreshed
  snippet               proved options config command rust
  verdict               verdict text logged_in todo status
A verdict is works, works_without_login, works_with_options, unknown, needs_client, needs_decision,
refused, broken, no_endpoint or unreachable.

Exit status:
  0  works with the options that were given
  1  a rule is broken, a client is missing, or no MCP endpoint is there
  2  the command line or the configuration file makes no sense
  3  --login, and nobody has logged in
  4  the server did not answer, or could not be trusted";

const AGENT: &str = "\
Examples:
  eval \"$(mcp-authz agent --background)\"        for this shell and what it starts
  mcp-authz agent -- make test                    for one command, and ends with it
  mcp-authz agent --allow https://mcp.example/mcp --socket ~/box/agent.sock
  mcp-authz agent --allow https://mcp.example/mcp,work --no-headers --socket ~/box/agent.sock
  mcp-authz agent --stop

While MCP_AUTHZ_AGENT is set, login, logout, list, status, token, tools, call and bridge go through it.
Pages are opened by the agent, one at a time, and only for a login that a person asked for.

With --allow the socket is restricted: it lends a header or makes a call for these servers, and has no
other request. It is made by the agent that runs, or in this process if there is none, and is there
until this command ends. Mount it into a sandbox and set MCP_AUTHZ_AGENT there. Only processes of your
own user are served, by what the kernel tells of them: in a user namespace, that is the user outside.";

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
    /// Returns true if programs read what is said. A bridge's standard output is its host's.
    pub(crate) fn says_json(&self) -> bool {
        match &self.command {
            Command::Bridge(_) => false,
            Command::Record(record) => {
                let is = |wanted: &str| record.command.iter().any(|word| word == wanted);
                (self.json || is("--json")) && !is("bridge")
            }
            _ => self.json,
        }
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
    /// Say what is wrong with a server, and which options make it work
    #[command(after_help = DOCTOR)]
    Doctor(Doctor),
    /// A broker for tokens, as ssh-agent is for keys: for your programs, and for sandboxes
    #[command(after_help = AGENT)]
    Agent(Agent),
    /// Take over the login of another program, without a login
    #[command(after_help = "Examples:
  mcp-authz import mcp-remote https://mcp.example/mcp
  mcp-authz import mcp-remote https://mcp.example/mcp --move
  mcp-authz import fastmcp https://mcp.example/mcp --from ~/app/tokens

Files of the other program are read, never written. The registration and the access token are taken
over; the refresh token stays where it is, since only one of two programs can use it. With --move it
comes along: the other program's login ends with the first renewal here. Credentials whose issuer the
other program did not record are not taken over.")]
    Import(Import),
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
    #[command(flatten)]
    pub(crate) form: Form,
}

/// The form in which a token is printed.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Form {
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

#[derive(Args, Debug)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) server: Target,
    /// Go on through a login, and look at what comes of it
    #[arg(long)]
    pub(crate) login: bool,
    /// Renew the token once after the login
    #[arg(long, requires = "login")]
    pub(crate) refresh: bool,
    /// Keep nothing of the login: give the tokens back at its end
    #[arg(long, requires = "login")]
    pub(crate) forget: bool,
    /// Log in with the options that were found, without asking
    #[arg(long, requires = "login")]
    pub(crate) yes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Agent {
    /// Make a restricted socket for this server and account; may be repeated. A URL that has a comma
    /// itself ends with another
    #[arg(
        long,
        value_name = "URL[,ACCOUNT]",
        requires = "socket",
        help_heading = "A restricted socket"
    )]
    pub(crate) allow: Vec<String>,
    /// Serve calls only, so that no token leaves
    #[arg(long, requires = "allow", help_heading = "A restricted socket")]
    pub(crate) no_headers: bool,
    /// Where the socket is [default: mcp-authz/agent.sock in XDG_RUNTIME_DIR]
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Write the audit to this file in place of standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) audit: Option<PathBuf>,
    /// Go on in the background once the socket is there; the audit is then written to a file or not
    /// at all
    #[arg(long, conflicts_with_all = ["allow", "command"])]
    pub(crate) background: bool,
    /// Only for --background: this is the process in the background
    #[arg(long, hide = true)]
    pub(crate) detached: bool,
    /// End the agent that runs
    #[arg(long, conflicts_with_all = ["allow", "background", "command"])]
    pub(crate) stop: bool,
    #[command(flatten)]
    pub(crate) options: Options,
    /// Run this command with MCP_AUTHZ_AGENT set, and end with it
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The other program
    #[arg(value_name = "PROGRAM")]
    pub(crate) tool: Tool,
    #[command(flatten)]
    pub(crate) server: Target,
    /// The folder where the other program keeps its logins
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
    /// Take the refresh token along, which logs the other program out
    #[arg(long = "move")]
    pub(crate) moves: bool,
    /// Put it in the place of a login that is kept here
    #[arg(long)]
    pub(crate) again: bool,
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
