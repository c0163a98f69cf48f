//! An MCP client on tokio that meets a protected server it has never seen, logs in, lists its tools and
//! calls them.
//!
//! A program of your own is [`work`], with the URL in place of the options: a manager, a connection,
//! requests. Nothing else is needed from the other files, which read the command line, show each step
//! and play the person where nobody is.
//!
//! Without arguments it starts a server of its own and plays the person too. With `--store DIR` and
//! a URL the next run, or another one at the same time, goes on without a person. `--help` says more.

use std::ffi::OsString;
use std::process::ExitCode;

use futures_util::{StreamExt as _, stream};
use mcp_authz_tests::job::Goal;
use mcp_authz_tokio::driver::transport::Settings;
use mcp_authz_tokio::host::person::Desktop;
use mcp_authz_tokio::{AuthorizationManager, Transport};
use serde_json::json;

#[path = "../../../tests/glue/program.rs"]
pub(crate) mod program;

use program::{Program, Stop};

#[tokio::main]
async fn main() -> ExitCode {
    run(program::arguments()).await
}

/// The whole program, without its name among the arguments.
pub(crate) async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let program = match Program::start("oauth_client", arguments) {
        Ok(program) => program,
        Err(status) => return status,
    };
    let ended = work(&program).await;
    program.end(ended)
}

pub(crate) async fn work(program: &Program) -> Result<(), Stop> {
    // One manager for one MCP server; its URL would do in place of a configuration.
    let manager = AuthorizationManager::builder(program.config())
        // Where the tokens are kept: `host::store::FileStore::at_home()?` outlives the program.
        .store(program.store())
        // The person who is shown the login page if one is needed: a `Desktop` has a browser.
        .person(program.person(Desktop::new()))
        // The observer hears of every step. It may be left out, as the store may.
        .observer(program.observer())
        .build()?;
    let (session, login) = (manager.session(), manager.session());
    program.begins(move || session.granted(), move || login.cancel()); // for its lines

    let done = talk(&manager, program).await;
    if program.options.log_out {
        program.logged_out(&manager.forget().await?);
    }
    // Saving that is under way is done before the program ends.
    manager.session().quiet().await;
    done
}

async fn talk(manager: &AuthorizationManager, program: &Program) -> Result<(), Stop> {
    // The connection, over whatever the server speaks. If the server wants a token and the store has
    // none, this is where the person logs in.
    let settings = Settings::new("oauth_client", env!("CARGO_PKG_VERSION"));
    let server = manager.connect(program.settings(settings)).await?;
    program.speaks(&server.protocol_version());

    let mut done = Ok(());
    while let (Ok(()), Some(goal)) = (&done, program.next()) {
        done = ask(goal, &server, manager, program).await;
    }
    // Ends the session at the server, which would find out by itself later.
    let _or_later = server.close().await;
    done
}

/// The requests that a program sends to a server. Tokens that run out, refusals and lost sessions
/// are healed on the way.
async fn ask(
    goal: Goal,
    server: &Transport,
    manager: &AuthorizationManager,
    program: &Program,
) -> Result<(), Stop> {
    match goal {
        Goal::List(page) => program.listed(&server.call("tools/list", page).await?)?,
        Goal::Call(tool) => {
            let tool_and_arguments = json!({"name": tool, "arguments": {}});
            let result = server.call("tools/call", tool_and_arguments).await?;
            program.called(&tool, &result);
        }
        // Any number of tasks may share a connection.
        Goal::Repeat(repeat) => {
            let calls = stream::iter(0..repeat.calls.get());
            let calls = calls.map(|_| server.call("tools/list", json!({})));
            let mut ends = calls.buffer_unordered(repeat.parallel.get());
            while let Some(end) = ends.next().await {
                program.counted(&end);
                end?;
            }
        }
        // No program needs this: tokens are replaced in time. Here it can be seen.
        Goal::Refresh(refusal) => {
            manager.session().challenge(*refusal).await?.outcome?;
        }
    }
    Ok(())
}
