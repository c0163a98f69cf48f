//! The commands, one a file.

mod call;
pub(crate) mod config;
mod list;
mod login;
mod logout;
mod pages;
mod record;
mod replay;
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
            let (url, options) = server(token.server.clone())?;
            token::run(url, options, token, say).await
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
            config::run(&url, &options, way, (snippet.name, cli.config.as_deref()), say)
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
