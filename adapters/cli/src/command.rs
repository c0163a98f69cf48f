//! The commands, one a file.

#[cfg(unix)]
pub(crate) mod agent;
#[cfg(unix)]
mod asked;
mod bridge;
mod call;
pub(crate) mod config;
mod doctor;
mod list;
mod login;
mod logout;
mod pages;
mod record;
mod replay;
mod status;
mod token;
mod tools;

use crate::arguments::{Cli, Command, Import, Target};
use crate::config_file::ConfigFile;
use crate::doctor::How;
use crate::fault::Fault;
use crate::import::{self, Asked};
use crate::options::Options;
use crate::say::Say;
use crate::server::Server;

/// Does what the command line asks for.
pub(crate) async fn run(cli: Cli, say: &Say) -> Result<(), Fault> {
    #[cfg(unix)]
    if let Some(done) = asked::run(&cli, say).await {
        return done;
    }
    let file = || ConfigFile::read(cli.config.as_deref());
    let server = |target: Target| -> Result<(String, Options), Fault> {
        file()?.resolve(&target.target, target.options)
    };
    let open = |target: Target| {
        let (url, options) = server(target)?;
        Server::open(url, options, say, |config| config)
    };
    match cli.command {
        Command::Login(login) => {
            let (url, options) = server(login.server)?;
            login::run(url, options, login.again, say).await
        }
        Command::Logout(logout) => match logout.target {
            Some(target) => {
                let (url, options) = file()?.resolve(&target, logout.options)?;
                logout::one(url, options, say).await
            }
            None => logout::all(&file()?, &logout.options, say).await,
        },
        Command::List(list) => list::run(&file()?, &list.options, list.prune, say).await,
        Command::Status(target) => {
            let (url, options) = server(target)?;
            status::run(&url, &options, say)
        }
        Command::Token(token) => {
            let (url, options) = server(token.server)?;
            token::run(url, options, token.form, say).await
        }
        Command::Tools(target) => tools::run(&open(target)?).await,
        Command::Call(call) => {
            let arguments = call::arguments(&call.arguments)?;
            call::run(&open(call.server)?, &call.tool, arguments).await
        }
        Command::Config(snippet) => {
            // What the file says is read by the command in the lines, too.
            let Target { target, options } = snippet.server;
            let (url, _) = file()?.resolve(&target, options.clone())?;
            let way = (snippet.host, snippet.way);
            let server = config::Named { target: &target, url: &url, name: snippet.name };
            config::run(&server, &options, way, cli.config.as_deref(), say)
        }
        Command::Doctor(asked) => {
            let file = file()?;
            let path = cli.config.or_else(crate::config_file::default_path);
            let (url, options) = file.resolve(&asked.server.target, asked.server.options)?;
            let how = How { refresh: asked.refresh, forget: asked.forget, yes: asked.yes };
            doctor::run(&url, &options, asked.login.then_some(how), path.as_deref(), say).await
        }
        #[cfg(unix)]
        Command::Agent(arguments) => agent::run(arguments, cli.config, say).await,
        #[cfg(not(unix))]
        Command::Agent(_) => Err(no_agent()),
        Command::Import(import) => {
            let (url, options) = server(import.server)?;
            let Import { tool, from, moves, again, .. } = import;
            let asked = Asked { tool, from, moves, again };
            import::run(url, options, asked, say).await
        }
        Command::Bridge(bridge) => {
            let (url, options) = server(bridge.server.clone())?;
            bridge::run(url, options, bridge, say).await
        }
        Command::Record(record) => {
            let inner = record::begin(&record, cli.config.clone())?;
            let done = Box::pin(run(inner, say)).await;
            record::end(&record, say);
            done
        }
        Command::Replay { file } => replay::run(&file, say),
        Command::Completions { shell } => pages::completions(shell),
        Command::Man => pages::man(),
    }
}

/// The fault where the operating system has nothing to build an agent on.
#[cfg(not(unix))]
fn no_agent() -> Fault {
    let text = "there is no agent for this operating system: it needs Unix sockets, and what they \
                tell of a peer";
    Fault::new("no_agent", text, mcp_authz_core::failure::Remedy::Configure)
        .advised(["do without it: every other command is there"])
}
