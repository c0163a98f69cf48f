//! `agent`: the broker, its restricted sockets, and the commands as the broker performs them.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use mcp_authz_core::failure::Remedy;
use serde_json::json;

use crate::agent::audit::Audit;
use crate::agent::client::{self, Connection};
use crate::agent::keeper::{Agent, Resolved};
use crate::agent::place::{self, Use};
use crate::agent::protocol::{Allowed, Command, Request, Restrict, Target};
use crate::agent::rights::{Door, Rights};
use crate::agent::{restricted, start};
use crate::arguments::{Agent as Arguments, Form};
use crate::fault::Fault;
use crate::options::Options;
use crate::relay::Said;
use crate::relay::VARIABLE;
use crate::say::Say;
use crate::server::Server;

/// Runs an agent, a restricted socket, or a request to end the agent.
pub(super) async fn run(
    arguments: Arguments,
    config: Option<PathBuf>,
    say: &Say,
) -> Result<(), Fault> {
    let config = config.map(std::path::absolute).transpose();
    let config = config.map_err(|error| Fault::usage(&format!("--config: {error}")))?;
    if arguments.stop {
        return stop(arguments.socket, say).await;
    }
    if arguments.background {
        // The second shell of a person uses the agent of the first.
        let path = arguments.socket.clone().map_or_else(place::default_path, Ok)?;
        if let Ok(Some(running)) = Connection::open_if_there(&path).await
            && !running.is_restricted()
        {
            say.repeat(Said::Listening { socket: path.display().to_string() });
            return Ok(());
        }
        return in_background().await;
    }
    if arguments.detached {
        let _is_one_already = rustix::process::setsid();
    }
    let ended = match arguments.allow.is_empty() {
        true => owner(&arguments, config, say).await?,
        false => sandbox(&arguments, config, say).await?,
    };
    match ended {
        Some(status) => std::process::exit(code(status)),
        None => Ok(()),
    }
}

/// The owner's socket, in this process.
async fn owner(
    arguments: &Arguments,
    config: Option<PathBuf>,
    say: &Say,
) -> Result<Option<ExitStatus>, Fault> {
    start::keep_to_oneself(say);
    let agent = agent(arguments, config)?;
    let path = arguments.socket.clone().map_or_else(place::default_path, Ok)?;
    let bound = place::bind(&path, Use::Owner)?;
    if arguments.command.is_empty() {
        say.repeat(Said::Listening { socket: bound.path().display().to_string() });
    }
    if arguments.detached {
        quiet()?;
    }
    let door = Door { name: "owner".to_owned(), rights: Rights::Owner };
    start::serve(bound, door, agent, &arguments.command).await
}

/// A restricted socket: of the agent that runs, or else in this process.
async fn sandbox(
    arguments: &Arguments,
    config: Option<PathBuf>,
    say: &Say,
) -> Result<Option<ExitStatus>, Fault> {
    let Some(socket) = &arguments.socket else {
        return Err(Fault::usage("--allow needs --socket PATH: where the sandbox finds it"));
    };
    let socket = std::path::absolute(socket).map_err(|error| client::unsaid(&error))?;
    let of = Target { options: arguments.options.clone(), ..Target::default() };
    let restrict = Restrict {
        of,
        allow: arguments.allow.iter().map(|text| allowed(text)).collect(),
        socket: socket.clone(),
        no_headers: arguments.no_headers,
    };
    let running = match client::named() {
        Some(path) => Some(Connection::open(&path).await?),
        None => match place::default_path() {
            Ok(path) => Connection::open_if_there(&path).await?,
            Err(_) => None,
        },
    };
    if let Some(connection) = running {
        return lasting(connection, restrict, config, &arguments.command, say).await;
    }
    start::keep_to_oneself(say);
    let agent = agent(arguments, config)?;
    let (bound, door) = restricted::make(&restrict, &agent)?;
    if arguments.command.is_empty() {
        say.repeat(Said::Listening { socket: socket.display().to_string() });
    }
    start::serve(bound, door, agent, &arguments.command).await
}

/// Has the agent keep a restricted socket until this process ends.
async fn lasting(
    mut connection: Connection,
    mut restrict: Restrict,
    config: Option<PathBuf>,
    command: &[OsString],
    say: &Say,
) -> Result<Option<ExitStatus>, Fault> {
    restrict.of = asked_of(None, restrict.of.options, config.as_deref())?;
    let mut message = serde_json::to_value(&restrict).map_err(|error| client::unsaid(&error))?;
    client::named_as(&mut message, "restrict");
    let (there, listens) = tokio::sync::oneshot::channel();
    let mut there = Some(there);
    let asked = connection.ask(message, None, |said| {
        if let (Said::Listening { .. }, Some(there)) = (&said, there.take()) {
            if command.is_empty() {
                say.repeat(said);
            }
            let _nobody_waits = there.send(());
        }
    });
    let ended = async {
        match listens.await {
            Ok(()) => start::until_end(command, &restrict.socket).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = ended => ended,
        asked = asked => asked.map(|_| None),
    }
}

fn agent(arguments: &Arguments, config: Option<PathBuf>) -> Result<std::sync::Arc<Agent>, Fault> {
    let audit = Audit::open(arguments.audit.as_deref())?;
    let perform = |command, resolved, say| {
        Box::pin(perform(command, resolved, say))
            as std::pin::Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>
    };
    Ok(Agent::new(config, arguments.options.clone(), audit, perform))
}

/// A server and account of `--allow URL[,ACCOUNT]`.
fn allowed(text: &str) -> Allowed {
    let (target, account) = match text.rsplit_once(',') {
        Some((target, account)) => (target, Some(account).filter(|account| !account.is_empty())),
        None => (text, None),
    };
    Allowed { target: target.to_owned(), account: account.map(str::to_owned) }
}

/// Asks the agent to end.
async fn stop(socket: Option<PathBuf>, say: &Say) -> Result<(), Fault> {
    let path = socket.or_else(client::named).map_or_else(place::default_path, Ok)?;
    let mut connection = Connection::open(&path).await?;
    let message = json!({"request": "stop"});
    connection.ask(message, Request::Stop.deadline(), |_| {}).await?;
    say.result(format!("unset {VARIABLE};"), &json!({"event": "stopped"}));
    Ok(())
}

/// Starts the same again in a session of its own, and waits until its socket is there.
async fn in_background() -> Result<(), Fault> {
    let failed = |error: std::io::Error| {
        let text = format!("the agent cannot be started: {error}");
        Fault::new("setup", &text, Remedy::Retry { after: None })
    };
    let mut command = tokio::process::Command::new(env::current_exe().map_err(failed)?);
    command.args(env::args_os().skip(1).filter(|word| word != "--background"));
    command.arg("--detached").stdin(Stdio::null()).stdout(Stdio::piped());
    let child = command.spawn().map_err(failed)?;
    // The end of its output is the end of its start: it closes it, or has failed and said why.
    let mut child = child;
    let mut output = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        tokio::io::AsyncReadExt::read_to_end(&mut stdout, &mut output).await.map_err(failed)?;
    }
    if output.is_empty() {
        let status = child.wait().await.map_err(failed)?;
        std::process::exit(code(status));
    }
    std::io::Write::write_all(&mut std::io::stdout(), &output).map_err(failed)
}

/// Lets go of the terminal, or of the pipe of whoever waits for the start.
fn quiet() -> Result<(), Fault> {
    let failed = |error: std::io::Error| {
        Fault::new("setup", &format!("/dev/null: {error}"), Remedy::Configure)
    };
    let nowhere = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null");
    let nowhere = nowhere.map_err(failed)?;
    rustix::stdio::dup2_stdout(&nowhere).map_err(|errno| failed(errno.into()))?;
    rustix::stdio::dup2_stderr(&nowhere).map_err(|errno| failed(errno.into()))
}

/// The exit status of a command, as a shell tells it.
fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(1)
}

/// Performs a command in the agent.
async fn perform(command: Command, resolved: Resolved, say: Say) -> Result<(), Fault> {
    let Resolved { url, options, file } = resolved;
    match command {
        Command::Token { header, headers, min_lifetime, .. } => {
            let min_lifetime = min_lifetime.map(Duration::from_secs);
            super::token::run(url, options, Form { header, headers, min_lifetime }, &say).await
        }
        Command::Tools { .. } => {
            super::tools::run(&Server::open(url, options, &say, |config| config)?).await
        }
        Command::Login { again, .. } => super::login::run(url, options, again, &say).await,
        Command::Logout { .. } if url.is_empty() => super::logout::all(&file, &options, &say).await,
        Command::Logout { .. } => super::logout::one(url, options, &say).await,
        Command::List { prune, .. } => super::list::run(&file, &options, prune, &say).await,
        Command::Status { .. } => {
            // The store may take its time, and others are served meanwhile.
            let look = move || super::status::run(&url, &options, &say);
            tokio::task::spawn_blocking(look)
                .await
                .map_err(|error| Fault::new("setup", &error.to_string(), Remedy::Report))?
        }
    }
}

/// A server for the agent, with what this process alone knows of it.
pub(crate) fn asked_of(
    target: Option<String>,
    mut options: Options,
    config: Option<&Path>,
) -> Result<Target, Fault> {
    let absolute = |path: &mut PathBuf| -> Result<(), Fault> {
        *path = std::path::absolute(&*path).map_err(|error| client::unsaid(&error))?;
        Ok(())
    };
    options.store.iter_mut().try_for_each(absolute)?;
    options.client_secret_file.iter_mut().try_for_each(absolute)?;
    options.add_roots.iter_mut().try_for_each(absolute)?;
    let config = config.map(std::path::absolute).transpose();
    Ok(Target {
        target,
        options,
        config: config.map_err(|error| client::unsaid(&error))?,
        client_secret: crate::options::Carried::from_environment(),
    })
}
