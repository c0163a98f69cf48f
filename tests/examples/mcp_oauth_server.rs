//! A complete MCP server with its authorization servers on loopback ports, to try clients against.
//!
//! ```text
//! cargo run --example mcp_oauth_server
//! cargo run --example mcp_oauth_server -- --revision 2025-11-25 --consent form --expires-in 30
//! ```
//!
//! It prints its MCP URL, what it offers, and one line per request. Tokens, codes and secrets are never printed.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mcp_authz_tests::model::{
    AuthMethod, Consent, End, Endpoint, Era, Model, Oddity, Preregistered, REVISIONS, RefreshIssue,
    RegistrationMode, Rotation, Seen, Settings,
};
use mcp_authz_tests::serve::{Door, OnRequest, Served};

/// The transport before Streamable HTTP.
const HTTP_SSE: &str = "2024-11-05";
const HELP: &str = "\
A complete MCP server with its authorization servers, on 127.0.0.1.

Usage: mcp_oauth_server [options]

  --port N                 port of the MCP endpoint (default 8000; 0 takes a free one)
  --revision R             2025-03-26, 2025-06-18, 2025-11-25 or 2026-07-28
                           (default: all of them at one endpoint), or 2024-11-05, which
                           is HTTP+SSE
  --registration on|off    dynamic client registration (default on); with off, the
                           client `demo-client` without a secret is known from the start
  --consent auto|form|error
                           agree at once, show a page with a form, or send the person
                           back with server_error (default auto)
  --expires-in N           seconds an access token lives (default 3600)
  --oddity NAME            do one thing as some real server does it; `list` shows them
  --help                   this text
";

struct Options {
    port: u16,
    revision: Option<String>,
    registration: bool,
    consent: Consent,
    expires_in: Option<u64>,
    oddity: Option<&'static Oddity>,
}

/// What the command line asks for.
enum Asked {
    Serve(Options),
    Say(String),
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(Asked::Serve(options)) => options,
        Ok(Asked::Say(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            eprintln!("{wrong}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot serve on port {}: {error}", options.port);
            ExitCode::FAILURE
        }
    }
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut options = Options {
        port: 8000,
        revision: None,
        registration: true,
        consent: Consent::Auto,
        expires_in: None,
        oddity: None,
    };
    while let Some(name) = args.next() {
        if name == "--help" || name == "-h" {
            return Ok(Asked::Say(HELP.to_owned()));
        }
        if !HELP.contains(&format!("\n  {name} ")) {
            return Err(format!("unknown option {name}"));
        }
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        let wrong = || format!("{name} does not take {value}");
        match name.as_str() {
            "--port" => options.port = value.parse().map_err(|_| wrong())?,
            "--expires-in" => options.expires_in = Some(value.parse().map_err(|_| wrong())?),
            "--oddity" if value == "list" => return Ok(Asked::Say(oddities())),
            "--oddity" => options.oddity = Some(Oddity::named(&value).ok_or_else(wrong)?),
            "--revision" if value == HTTP_SSE || REVISIONS.contains(&value.as_str()) => {
                options.revision = Some(value);
            }
            "--registration" if value == "on" || value == "off" => {
                options.registration = value == "on"
            }
            "--consent" => {
                options.consent = match value.as_str() {
                    "auto" => Consent::Auto,
                    "form" => Consent::Form,
                    "error" => Consent::Error("server_error".to_owned()),
                    _ => return Err(wrong()),
                }
            }
            _ => return Err(wrong()),
        }
    }
    Ok(Asked::Serve(options))
}

/// One line for each: its name, the ends of a first, of a second and of a third run, seconds that an access token
/// lives, and what it does.
fn oddities() -> String {
    let line = |oddity: &Oddity| {
        let mut settings = Settings::default();
        oddity.apply(&mut settings);
        let life = settings.server.tokens.access_life_s;
        let end = |end: Option<End>| end.map_or_else(|| "-".to_owned(), |end| end.to_string());
        format!(
            "{:<24} {:<24} {:<8} {:<8} {life:>5}  {}\n",
            oddity.name,
            oddity.first.to_string(),
            end(oddity.again),
            end(oddity.later),
            oddity.about
        )
    };
    Oddity::all().map(line).collect()
}

fn run(options: &Options) -> io::Result<()> {
    let (mcp, first, second) = (Door::open(options.port)?, Door::open(0)?, Door::open(0)?);
    let mut settings = match options.revision.as_deref() {
        Some(HTTP_SSE) => Settings::revision("2025-11-25"),
        Some(revision) => Settings::revision(revision),
        None => Settings::default(),
    };
    if options.revision.as_deref() == Some(HTTP_SSE) {
        settings.mcp.era = Era::HttpSse;
    }
    let mut settings =
        settings.at(&format!("{}/mcp", mcp.origin()), first.origin(), second.origin());
    if let Some(oddity) = options.oddity {
        oddity.apply(&mut settings);
    }
    // Tokens of an earlier run must not fit.
    settings.seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    for server in settings.servers_mut() {
        if let Some(seconds) = options.expires_in {
            server.tokens.access_life_s = seconds;
        }
        // An oddity may have said otherwise.
        if options.consent != Consent::Auto {
            server.consent = options.consent.clone();
        }
        if !options.registration {
            server.registration.mode = RegistrationMode::Closed;
            server.clients.push(Preregistered {
                client_id: "demo-client".to_owned(),
                secret: None,
                method: AuthMethod::None,
                redirect_uris: vec!["http://127.0.0.1/callback".to_owned()],
                grant_types: vec!["authorization_code".to_owned(), "refresh_token".to_owned()],
            });
        }
    }
    introduce(options, &settings)?;
    let model = Arc::new(Mutex::new(Model::new(settings)));
    let told: OnRequest = Arc::new(|seen| {
        // A closed pipe is no reason to stop serving.
        let _ = print_line(seen);
    });
    let served = Served::start_told(model, vec![mcp, first, second], Some(told));
    loop {
        thread::sleep(Duration::from_secs(60));
        served.lock().clear_seen();
    }
}

fn introduce(options: &Options, settings: &Settings) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let wire = match settings.mcp.era {
        Era::Modern => settings.mcp.modern_versions.join(", "),
        Era::Both => [settings.mcp.legacy_versions.as_slice(), &settings.mcp.modern_versions]
            .concat()
            .join(", "),
        Era::HttpSse => HTTP_SSE.to_owned(),
        Era::Legacy => settings.mcp.legacy_versions.join(", "),
    };
    writeln!(out, "MCP URL         {}", settings.mcp_url)?;
    writeln!(out, "Versions        {wire}")?;
    writeln!(out, "Authorization   {}", settings.server.issuer)?;
    let clients = if options.registration {
        "register themselves"
    } else {
        "demo-client, no secret, http://127.0.0.1/callback"
    };
    writeln!(out, "Clients         {clients}")?;
    let consent = match options.consent {
        Consent::Form => "a page with a form",
        Consent::Error(_) => "refused with server_error",
        _ => "given at once",
    };
    writeln!(out, "Consent         {consent}")?;
    if let Some(oddity) = options.oddity {
        writeln!(out, "Oddity          {}: {}", oddity.name, oddity.about)?;
    }
    let tokens = &settings.server.tokens;
    let refresh = match (tokens.refresh, tokens.rotation) {
        (RefreshIssue::Never, _) => "there are no refresh tokens",
        (_, Rotation::Off) => "refresh tokens stay",
        (_, Rotation::On { .. }) => "refresh tokens rotate",
    };
    writeln!(out, "Access tokens   live {} s; {refresh}", tokens.access_life_s)?;
    writeln!(out, "Tools           echo, whoami, test-tool, admin{}", admin(settings))?;
    writeln!(out)?;
    writeln!(out, "Give the MCP URL to any MCP client. To see the challenge:")?;
    writeln!(out, "    curl -i -X POST {}", settings.mcp_url)?;
    writeln!(out)?;
    out.flush()
}

fn admin(settings: &Settings) -> String {
    match settings.gate.tools.get("admin") {
        Some(scopes) => format!(" (needs the scope {})", scopes.join(" ")),
        None => String::new(),
    }
}

fn print_line(seen: &Seen) -> io::Result<()> {
    let seconds = seen.at_ms / 1000 % 86_400;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let (method, what, url) = (seen.method.as_str(), purpose(seen), [&*seen.origin, &seen.path]);
    let mut line = format!("{:<3}  {method:<6} {what:<26} {}", seen.status, url.concat());
    // The client's words: escaped, so that a log line stays one line.
    if let Some(grant) = seen.form.get("grant_type") {
        line.push_str(&format!(", {}", grant.escape_debug()));
    }
    if let Some(error) = &seen.error {
        line.push_str(&format!(": {error}"));
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{hours:02}:{minutes:02}:{seconds:02}  {line}")?;
    out.flush()
}

/// What a request was for, in the words that the example clients use, too.
fn purpose(seen: &Seen) -> String {
    let name = match seen.endpoint {
        Endpoint::Mcp | Endpoint::Messages => {
            let rpc = seen.rpc().map(|method| method.chars().take(26).collect::<String>());
            return rpc.map_or_else(|| "mcp".to_owned(), |rpc| rpc.escape_debug().to_string());
        }
        Endpoint::PrmPath | Endpoint::PrmRoot | Endpoint::PrmCustom => "resource_metadata",
        Endpoint::AsOauth | Endpoint::AsOidcInserted | Endpoint::AsOidc | Endpoint::AsRoot => {
            "server_metadata"
        }
        Endpoint::Register => "registration",
        Endpoint::Authorize => "authorization",
        Endpoint::Consent => "consent",
        Endpoint::Token => "token",
        Endpoint::Revoke => "revocation",
        Endpoint::Other => "nothing here",
    };
    name.to_owned()
}
