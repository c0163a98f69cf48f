//! A program written with rmcp, whose transport does everything about authorization: it lists the
//! tools and calls them, and knows of no token.
//!
//! Without arguments it starts a server of its own and plays the person too. `--transport` chooses
//! between Streamable HTTP and HTTP+SSE of 2024-11-05. `--help` says more.

use std::ffi::OsString;
use std::process::ExitCode;

use mcp_authz_host::person::Desktop;
use mcp_authz_tokio::AuthorizationManager;

#[path = "../../../tests/glue/program.rs"]
#[allow(dead_code, reason = "what the examples share")]
pub(crate) mod program;
#[path = "rmcp_client/work.rs"]
mod work;

use program::{Program, Stop};

#[tokio::main]
async fn main() -> ExitCode {
    run(program::arguments()).await
}

/// The whole program, without its name among the arguments.
pub(crate) async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let program = match Program::start("rmcp_client", arguments) {
        Ok(program) => program,
        Err(status) => return status,
    };
    let ended = authorized(&program).await;
    program.end(ended)
}

async fn authorized(program: &Program) -> Result<(), Stop> {
    let manager = AuthorizationManager::builder(program.config())
        .store(program.store())
        .person(program.person(Desktop::new()))
        .observer(program.observer())
        .build()?;
    let (session, login) = (manager.session(), manager.session());
    program.begins(move || session.granted(), move || login.cancel()); // for its lines

    let done = work::talk(&manager, program).await;
    if program.options.log_out {
        program.logged_out(&manager.forget().await?);
    }
    manager.session().quiet().await;
    done
}
