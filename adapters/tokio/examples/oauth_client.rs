//! An MCP client on tokio that meets a protected server it has never seen: finds out who
//! may let it in, registers, asks the person, gets a token, lists the tools, refreshes.
//!
//! Without arguments it starts a server of its own and plays the person too. With `--store DIR` and
//! a URL the next run, or another one at the same time, goes on without a person. `--help` says more.

use std::ffi::OsString;
use std::process::ExitCode;

use mcp_authz_tokio::Client;

#[path = "../../../tests/glue/asynchronous.rs"]
mod glue;
#[path = "../../../tests/glue/program.rs"]
mod program;

#[tokio::main]
async fn main() -> ExitCode {
    run(program::arguments()).await
}

/// The whole program, without its name among the arguments.
pub(crate) async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let program = match program::Program::start("oauth_client", arguments, program::variable) {
        Ok(program) => program,
        Err(status) => return status,
    };
    let (options, show) = (&program.options, &program.show);
    let (face, visits) = glue::Face::new(show, options);
    let builder = Client::builder().observer(program.observer(face)).store(program.store.clone());
    let client = match builder.build() {
        Ok(client) => client,
        Err(error) => return program.failed(&error),
    };
    let session = client.session(program.config.clone());
    let asked = session.clone();
    program.unshown_goes_to(move |visit| {
        let _without_it_the_login_times_out = asked.unshown(visit);
    });
    let outcome = glue::run(options, &program.url, &session, client.http(), visits, show).await;
    ExitCode::from(outcome.exit_status())
}
