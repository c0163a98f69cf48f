//! The command line, read. Errors say what to do.

mod unknown;

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use mcp_authz_core::failure::escaped;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::secret::Secret;

use super::help;
use super::options::{Embedded, Leniency, MODERN, Options, Repeat, Target, Transport, Who, Wire};
use super::print::{Format, of_arguments};
use crate::model::REVISIONS;
use unknown::unknown;

/// The environment variable that holds the client secret: arguments can be read by every process.
pub const SECRET_VARIABLE: &str = "MCP_CLIENT_SECRET";
/// Most `tools/list` requests of one run.
const MOST_CALLS: usize = 1_000_000;
/// Most of them at a time: each has a thread or a connection of its own.
const MOST_AT_ONCE: usize = 256;
const FLAGS: [&str; 11] = [
    "--browser",
    "--headless",
    "--no-login",
    "--paste",
    "--json",
    "--refresh",
    "--log-out",
    "--strict",
    "--register-scopes",
    "--help",
    "--version",
];
const VALUED: [&str; 28] = [
    "--scope",
    "--call",
    "--calls",
    "--parallel",
    "--store",
    "--account",
    "--redirect",
    "--client-id",
    "--client-document",
    "--issuer",
    "--authorization-endpoint",
    "--token-endpoint",
    "--registration-endpoint",
    "--revocation-endpoint",
    "--revision",
    "--registration",
    "--era",
    "--transport",
    "--protocol-version",
    "--timeout",
    "--legacy",
    "--allow-unlisted-pkce",
    "--allow-split-endpoints",
    "--omit-resource",
    "--pin-issuer",
    "--entra",
    "--allow-plain-http",
    "--allow-private-address",
];

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

/// Reads the arguments, without the program's name before them. `variable` looks into the environment.
///
/// # Errors
/// [`Usage`], which says what is wrong and what to do.
pub fn read(
    program: &str,
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Command, Usage> {
    let mut reader = Reader::default();
    let mut arguments =
        Words { rest: arguments.into_iter().collect::<Vec<_>>().into_iter(), joined: None };
    let mut plain = false;
    while let Some(word) = arguments.next()? {
        match word.as_str() {
            "--" if !plain => plain = true,
            "-h" | "--help" if !plain => return Ok(Command::Say(help::text(program))),
            "-V" | "--version" if !plain => {
                return Ok(Command::Say(format!("{program} {}\n", env!("CARGO_PKG_VERSION"))));
            }
            option if option.starts_with('-') && !plain => reader.option(option, &mut arguments)?,
            _ => reader.url(word)?,
        }
        arguments.spent()?;
    }
    reader.finish(variable).map(|options| Command::Run(Box::new(options)))
}

/// The arguments; `--name=value` counts as two.
struct Words {
    rest: std::vec::IntoIter<OsString>,
    joined: Option<(String, String)>,
}

impl Words {
    fn next(&mut self) -> Result<Option<String>, Usage> {
        let Some(word) = self.rest.next() else { return Ok(None) };
        let word = word.into_string().map_err(|word| {
            Usage(format!("{} is not UTF-8: write it in UTF-8", escaped(&word.to_string_lossy())))
        })?;
        Ok(Some(match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => {
                self.joined = Some((name.to_owned(), value.to_owned()));
                name.to_owned()
            }
            _ => word,
        }))
    }

    fn value(&mut self, option: &str) -> Result<String, Usage> {
        let value = match self.joined.take() {
            Some((_, value)) => Some(value),
            None => self.rest.next().and_then(|word| word.into_string().ok()),
        };
        let value = value.filter(|value| !value.is_empty() && !value.starts_with("--"));
        value.ok_or_else(|| Usage(format!("{option} wants a value: {option} VALUE, see --help")))
    }

    fn spent(&mut self) -> Result<(), Usage> {
        match self.joined.take() {
            Some((name, _)) => Err(Usage(format!("{name} takes no value: write {name} alone"))),
            None => Ok(()),
        }
    }
}

#[derive(Debug, Default)]
struct Reader {
    options: Options,
    url: Option<String>,
    who: Option<(Who, &'static str)>,
    revision: Option<String>,
    registration: Option<bool>,
    calls: Option<NonZeroUsize>,
    parallel: Option<NonZeroUsize>,
}

impl Reader {
    fn url(&mut self, url: String) -> Result<(), Usage> {
        if !url.contains("://") {
            return Err(Usage(format!(
                "{} is no URL: write https://HOST/PATH, or see --help",
                escaped(&url)
            )));
        }
        match self.url.replace(url) {
            None => Ok(()),
            Some(first) => Err(Usage(format!(
                "more than one URL: leave out all but one, such as {}",
                escaped(&first)
            ))),
        }
    }

    fn option(&mut self, option: &str, words: &mut Words) -> Result<(), Usage> {
        if FLAGS.contains(&option) {
            return self.flag(option);
        }
        if !VALUED.contains(&option) {
            return Err(unknown(option));
        }
        let value = words.value(option)?;
        let options = &mut self.options;
        match option {
            "--scope" => {
                let more = ScopeSet::read(&value).ok();
                let all = |more: &ScopeSet| {
                    ScopeSet::from_tokens(options.scopes.iter().chain(more.iter())).ok()
                };
                let more = more.as_ref().and_then(all);
                options.scopes = more.ok_or_else(|| {
                    Usage(format!(
                        "{} is no scope: scopes are printable ASCII without \" and \\",
                        escaped(&value)
                    ))
                })?;
            }
            "--call" => options.call = Some(value),
            "--calls" => self.calls = Some(count(option, &value, MOST_CALLS)?),
            "--parallel" => self.parallel = Some(count(option, &value, MOST_AT_ONCE)?),
            "--store" => options.store = Some(value.into()),
            "--account" => options.account = Some(value),
            "--redirect" => options.redirect = Some(value),
            "--client-id" => options.client_id = Some(value),
            "--client-document" => options.client_document = Some(value),
            "--issuer" => options.issuer = Some(value),
            "--authorization-endpoint" => options.endpoints.authorization = Some(value),
            "--token-endpoint" => options.endpoints.token = Some(value),
            "--registration-endpoint" => options.endpoints.registration = Some(value),
            "--revocation-endpoint" => options.endpoints.revocation = Some(value),
            "--revision" if REVISIONS.contains(&value.as_str()) => self.revision = Some(value),
            "--revision" => return Err(no_such("revision", &value, &REVISIONS.join(", "))),
            "--registration" => self.registration = Some(switch(option, &value)?),
            "--legacy" => options.legacy = Some(switch(option, &value)?),
            "--era" => {
                options.wire = match value.as_str() {
                    "auto" => Wire::Auto,
                    "modern" => Wire::Modern,
                    "legacy" => Wire::Legacy,
                    _ => return Err(no_such("era", &value, "auto, modern, legacy")),
                }
            }
            "--transport" => {
                options.transport = match value.as_str() {
                    "auto" => Transport::Auto,
                    "http" => Transport::Http,
                    "sse" => Transport::Sse,
                    _ => return Err(no_such("transport", &value, "auto, http, sse")),
                }
            }
            "--protocol-version" if value.bytes().all(|byte| matches!(byte, b'!'..=b'~')) => {
                options.protocol_version = Some(value);
            }
            "--protocol-version" => {
                return Err(no_such("protocol version", &value, &REVISIONS.join(", ")));
            }
            "--timeout" => {
                let seconds = value.parse().ok().filter(|seconds| (1..=300).contains(seconds));
                let seconds = seconds.ok_or_else(|| no_such("time", &value, "1 to 300 seconds"))?;
                options.timeout = Duration::from_secs(seconds);
            }
            "--pin-issuer" => {
                let document = words.value(option)?;
                options.leniencies.push(Leniency::PinIssuer(value, document));
            }
            _ => options.leniencies.extend(leniency(option, value)),
        }
        Ok(())
    }

    fn flag(&mut self, flag: &str) -> Result<(), Usage> {
        let who = match flag {
            "--browser" => (Who::Browser, "--browser"),
            "--headless" => (Who::Headless, "--headless"),
            "--no-login" => (Who::Nobody, "--no-login"),
            _ => {
                match flag {
                    "--json" => self.options.format = Format::Json,
                    "--paste" => self.options.paste = true,
                    "--refresh" => self.options.refresh = true,
                    "--register-scopes" => self.options.register_scopes = true,
                    "--log-out" => self.options.log_out = true,
                    _ => self.options.strict = true,
                }
                return Ok(());
            }
        };
        match self.who.replace(who) {
            Some((_, first)) if first != who.1 => {
                Err(Usage(format!("{first} and {} contradict each other: leave out one", who.1)))
            }
            _ => Ok(()),
        }
    }

    fn finish(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Options, Usage> {
        let mut options = self.options;
        if options.strict && (!options.leniencies.is_empty() || options.legacy == Some(true)) {
            return Err(Usage(
                "--strict forbids what another option allows: leave out one of them".to_owned(),
            ));
        }
        if contradicts(&options) {
            return Err(Usage(
                "--era and --protocol-version contradict each other: leave --era out".to_owned(),
            ));
        }
        options.repeat = repeat(&options, self.calls, self.parallel)?;
        if options.store.is_some() && self.url.is_none() {
            let text = "--store is for a server that is still there next time: give its URL, such as that of the \
                        example mcp_oauth_server, or leave --store out";
            return Err(Usage(text.to_owned()));
        }
        let registration = self.registration.take();
        options.target = match self.url {
            Some(_) if self.revision.is_some() || registration.is_some() => {
                let text = "--revision and --registration are for the server of the program's own: leave them, or the \
                            URL, out";
                return Err(Usage(text.to_owned()));
            }
            Some(url) => {
                options.person = Who::Browser;
                Target::Url(url)
            }
            None => Target::Embedded(Embedded {
                revision: self.revision,
                registration: registration.unwrap_or(true),
            }),
        };
        if let Some((who, _)) = self.who {
            options.person = who;
        }
        if options.known_client().is_some() {
            options.client_secret =
                variable(SECRET_VARIABLE).filter(|secret| !secret.is_empty()).map(Secret::new);
        }
        // A fault in a setting is better reported now than after a server has been asked.
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

/// Returns true if the revision that is named is not of the wire that is named.
fn contradicts(options: &Options) -> bool {
    let modern = options.protocol_version.as_deref().map(|version| version >= MODERN);
    match options.wire {
        Wire::Auto => false,
        Wire::Modern => modern == Some(false),
        Wire::Legacy => modern == Some(true),
    }
}

fn repeat(
    options: &Options,
    calls: Option<NonZeroUsize>,
    parallel: Option<NonZeroUsize>,
) -> Result<Option<Repeat>, Usage> {
    let Some(calls) = calls else {
        let alone = "--parallel says how many of the --calls are made at a time: give --calls, too";
        return if parallel.is_some() { Err(Usage(alone.to_owned())) } else { Ok(None) };
    };
    if options.call.is_some() || options.refresh {
        let text =
            "--calls does nothing but log in and list the tools: leave out --call and --refresh";
        return Err(Usage(text.to_owned()));
    }
    Ok(Some(Repeat { calls, parallel: parallel.unwrap_or(NonZeroUsize::MIN) }))
}

fn count(option: &str, value: &str, most: usize) -> Result<NonZeroUsize, Usage> {
    let number = value.parse().ok().filter(|number: &NonZeroUsize| number.get() <= most);
    number.ok_or_else(|| {
        Usage(format!("{option} is a number from 1 to {most}, not {}", escaped(value)))
    })
}

fn leniency(option: &str, value: String) -> Option<Leniency> {
    match option {
        "--allow-unlisted-pkce" => Some(Leniency::UnlistedPkce(value)),
        "--allow-split-endpoints" => Some(Leniency::SplitEndpoints(value)),
        "--omit-resource" => Some(Leniency::OmitResource(value)),
        "--entra" => Some(Leniency::Entra(value)),
        "--allow-plain-http" => Some(Leniency::PlainHttp(value)),
        "--allow-private-address" => Some(Leniency::PrivateAddress(value)),
        _ => None,
    }
}

fn switch(option: &str, value: &str) -> Result<bool, Usage> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Usage(format!("{option} is on or off, not {}", escaped(value)))),
    }
}

fn no_such(what: &str, value: &str, known: &str) -> Usage {
    Usage(format!("there is no {what} {}: use one of {known}", escaped(value)))
}

#[cfg(test)]
mod tests;
