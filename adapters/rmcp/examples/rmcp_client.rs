//! A program written with rmcp, whose transport does everything about authorization: it lists the
//! tools and calls them, and knows of no token.
//!
//! Without arguments it starts a server of its own and plays the person too. `--transport` chooses
//! between Streamable HTTP and HTTP+SSE of 2024-11-05. `--help` says more.

use std::ffi::OsString;
use std::process::ExitCode;

use mcp_authz_tests::job::Program as Named;
use mcp_authz_tokio::Client;

#[path = "../../../tests/glue/person.rs"]
mod person;
#[path = "../../../tests/glue/program.rs"]
mod program;
#[path = "rmcp_client/work.rs"]
mod work;

#[tokio::main]
async fn main() -> ExitCode {
    run(program::arguments()).await
}

/// The whole program, without its name among the arguments.
pub(crate) async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let name = Named::from("rmcp_client").with_transports();
    let program = match program::Program::start(name, arguments, program::variable) {
        Ok(program) => program,
        Err(status) => return status,
    };
    let (options, show) = (&program.options, &program.show);
    let (face, visits) = person::Face::new(show, options);
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
    let job = Box::pin(work::work(options, &program.url, &session, show));
    let outcome = person::beside(options, &session, client.http(), visits, show, job).await;
    ExitCode::from(outcome.exit_status())
}
