//! An MCP client on async-std that meets a protected server it has never seen: finds out who
//! may let it in, registers, asks the person, gets a token, lists the tools, refreshes.
//!
//! Without arguments it starts a server of its own and plays the person too. `--help` says more.

use std::process::ExitCode;

use mcp_authz_async_std::Client;

#[path = "../../../tests/glue/asynchronous.rs"]
mod glue;
#[path = "../../../tests/glue/program.rs"]
mod program;

#[async_std::main]
async fn main() -> ExitCode {
    let start =
        program::Program::start("async_std_client", program::arguments(), program::variable);
    let program = match start {
        Ok(program) => program,
        Err(status) => return status,
    };
    let (options, show) = (&program.options, &program.show);
    let (face, visits) = glue::Face::new(show, options);
    let client = match Client::builder().observer(program.observer(face)).build() {
        Ok(client) => client,
        Err(error) => return program.failed(&error),
    };
    let session = client.session(program.config.clone());
    let outcome = glue::run(options, &program.url, &session, client.http(), visits, show).await;
    ExitCode::from(outcome.exit_status())
}
