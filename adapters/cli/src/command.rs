//! The commands, one a file.

mod bridge;
mod call;
mod list;
mod login;
mod logout;
mod pages;
mod status;
mod token;
mod tools;

use crate::arguments::{Cli, Command, Target};
use crate::config_file::ConfigFile;
use crate::fault::Fault;
use crate::options::Options;
use crate::say::Say;
use crate::server::Server;

/// Does what the command line asks for.
pub(crate) async fn run(cli: Cli, say: &Say) -> Result<(), Fault> {
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
            None => logout::all(&file()?.general(logout.options), say).await,
        },
        Command::List(list) => list::run(&file()?.general(list.options), list.prune, say).await,
        Command::Status(target) => {
            let (url, options) = server(target)?;
            status::run(&url, &options, say)
        }
        Command::Token(token) => {
            let (url, options) = server(token.server)?;
            token::run(url, options, token.header, token.min_lifetime, say).await
        }
        Command::Tools(target) => tools::run(&open(target)?).await,
        Command::Call(call) => {
            let arguments = call::arguments(&call.arguments)?;
            call::run(&open(call.server)?, &call.tool, arguments).await
        }
        Command::Bridge(bridge) => {
            let (url, options) = server(bridge.server.clone())?;
            bridge::run(url, options, bridge, say).await
        }
        Command::Completions { shell } => pages::completions(shell),
        Command::Man => pages::man(),
    }
}
