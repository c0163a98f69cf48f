//! The command line of the examples: a URL and a few flags. What configures a server more closely is an
//! option of the program, `mcp-authz`, and a line of one's own code.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};
use mcp_authz_core::failure::escaped;
use mcp_authz_core::scope::ScopeSet;

use super::options::{Embedded, Options, Repeat, Target, Transport, Who, Wire};
use super::print::{Format, of_arguments};
use crate::model::REVISIONS;

/// Most `tools/list` requests of one run.
const MOST_CALLS: usize = 1_000_000;
/// Most of them at a time: each has a thread or a connection of its own.
const MOST_AT_ONCE: usize = 256;

const MORE: &str = "\
Without a URL the program starts an MCP server and its authorization server on loopback, logs in,
calls tools, forces a refresh and steps up to more scope, and plays the person, too. With a URL it
does what a client does: it asks for the tools, logs in if the server wants that, and asks again.

With --json the last line has \"outcome\", and counts \"calls\" and their \"failures\", \"token_requests\",
\"logins\" (pages shown to a person), \"refreshes\" that brought a token, and records \"adopted\" from
other programs.

Exit status:
  0  the tools were listed
  1  something failed; the last line says what, and what to do next
  2  the arguments make no sense

No token, code or secret is ever shown.";

/// Authorize at an MCP server, list its tools, show every step
#[derive(Debug, Parser)]
#[command(version, after_help = MORE, max_term_width = 100, args_override_self = true)]
struct Line {
    /// The URL of an MCP server; without it the program has a server of its own
    url: Option<String>,
    /// Ask for this scope, whatever the server names; may be repeated
    #[arg(long, value_name = "SCOPE", value_parser = scope)]
    scope: Vec<ScopeSet>,
    /// Call this tool, without arguments
    #[arg(long, value_name = "TOOL", conflicts_with = "calls")]
    call: Option<String>,
    /// With a URL: force a refresh and list the tools once more
    #[arg(long, conflicts_with = "calls")]
    refresh: bool,
    /// At the end, give the tokens back to the server and forget them
    #[arg(long)]
    log_out: bool,
    /// List the tools N times more and show nothing else; the first call that fails ends it
    #[arg(long, value_name = "N", value_parser = |text: &str| count(text, MOST_CALLS))]
    calls: Option<NonZeroUsize>,
    /// Make M of these calls at a time
    #[arg(long, value_name = "M", requires = "calls", value_parser = |text: &str| count(text, MOST_AT_ONCE))]
    parallel: Option<NonZeroUsize>,
    /// Keep credentials in this folder; without it they end with the program
    #[arg(long, value_name = "DIR", requires = "url")]
    store: Option<PathBuf>,
    /// The account, if you have several at one server
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// A person logs in, in the browser; the default with a URL
    #[arg(long, conflicts_with_all = ["headless", "no_login"])]
    browser: bool,
    /// The program logs in: it agrees to consent forms, and cannot type passwords
    #[arg(long, conflicts_with = "no_login")]
    headless: bool,
    /// Nobody logs in: fail where a person would be needed
    #[arg(long)]
    no_login: bool,
    /// The server of its own plays this revision; the newest with the older wire unless said
    #[arg(long, value_name = "R", conflicts_with = "url", value_parser = REVISIONS)]
    revision: Option<String>,
    /// The server of its own offers dynamic registration, or knows a client beforehand
    #[arg(long, value_name = "on|off", conflicts_with = "url", value_parser = ["on", "off"])]
    registration: Option<String>,
    /// The wire to begin with
    #[arg(long, default_value = "auto")]
    era: Wire,
    /// Streamable HTTP, HTTP+SSE of 2024-11-05, or the first and then the second
    #[arg(long, default_value = "auto")]
    transport: Transport,
    /// For each request, not for the person
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// The command that the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Do the job.
    Run(Box<Options>),
    /// Print this and exit with status 0.
    Say(String),
}

/// The arguments make no sense: print this to standard error and exit with status 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Reads the arguments, without the program's name before them.
///
/// # Errors
/// [`Usage`], which says what is wrong and what to do.
pub fn read(
    program: &str,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Command, Usage> {
    let named = Line::command().name(program.to_owned()).bin_name(program);
    let words = [OsString::from(program)].into_iter().chain(arguments);
    let line = named.try_get_matches_from(words).and_then(|it| Line::from_arg_matches(&it));
    match line {
        Ok(line) => line.options().map(|options| Command::Run(Box::new(options))),
        Err(error) => {
            let text = error.render().to_string();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(Command::Say(text)),
                // It repeats what was written, which a terminal must not act on.
                _ => {
                    Err(Usage(text.trim_end().lines().map(escaped).collect::<Vec<_>>().join("\n")))
                }
            }
        }
    }
}

impl Line {
    fn options(self) -> Result<Options, Usage> {
        let target = match self.url {
            Some(url) => Target::Url(url),
            None => Target::Embedded(Embedded {
                revision: self.revision,
                registration: self.registration.as_deref() != Some("off"),
            }),
        };
        let person = match (self.browser, self.headless, self.no_login) {
            (true, ..) => Who::Browser,
            (_, true, _) => Who::Headless,
            (_, _, true) => Who::Nobody,
            _ if matches!(target, Target::Url(_)) => Who::Browser,
            _ => Who::Headless,
        };
        let scopes = ScopeSet::from_tokens(self.scope.iter().flat_map(ScopeSet::iter));
        let repeat = self.calls.map(|calls| {
            let parallel = self.parallel.unwrap_or(NonZeroUsize::MIN);
            Repeat { calls, parallel }
        });
        let options = Options {
            target,
            person,
            format: if self.json { Format::Json } else { Format::Human },
            scopes: scopes.unwrap_or_default(),
            call: self.call,
            refresh: self.refresh,
            log_out: self.log_out,
            repeat,
            store: self.store,
            account: self.account,
            wire: self.era,
            transport: self.transport,
            timeout: Duration::from_secs(self.timeout),
        };
        // A fault in the URL is better reported now than after a server has been started.
        let url = match &options.target {
            Target::Url(url) => url,
            Target::Embedded(_) => "http://127.0.0.1:1/mcp",
        };
        match options.config(url).build() {
            Ok(_) => Ok(options),
            Err(failure) => Err(Usage(of_arguments(&failure))),
        }
    }
}

fn scope(text: &str) -> Result<ScopeSet, String> {
    ScopeSet::read(text).map_err(|_| "scopes are printable ASCII without \" and \\".to_owned())
}

fn count(text: &str, most: usize) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= most);
    number.ok_or_else(|| format!("it is a number from 1 to {most}"))
}

#[cfg(test)]
mod tests;
