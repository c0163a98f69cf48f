//! An MCP client without an async runtime that meets a protected server it has never seen, logs in,
//! lists its tools and calls them.
//!
//! A program of your own is [`work`], with the URL in place of the options: a manager, a connection,
//! requests. Nothing else is needed from the other files, which read the command line, show each step
//! and play the person where nobody is.
//!
//! Without arguments it starts a server of its own and plays the person too. With `--store DIR` and
//! a URL the next run, or another one at the same time, goes on without a person. `--help` says more.

use std::ffi::OsString;
use std::panic;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use mcp_authz_tests::job::{Goal, Repeat};
use mcp_authz_ureq::driver::transport::Settings;
use mcp_authz_ureq::host::person::Desktop;
use mcp_authz_ureq::{AuthorizationManager, Transport};
use serde_json::json;

#[path = "../../../tests/glue/program.rs"]
pub(crate) mod program;

use program::{Program, Stop};

fn main() -> ExitCode {
    run(program::arguments())
}

/// The whole program, without its name among the arguments.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let program = match Program::start("blocking_client", arguments) {
        Ok(program) => program,
        Err(status) => return status,
    };
    let ended = work(&program);
    program.end(ended)
}

pub(crate) fn work(program: &Program) -> Result<(), Stop> {
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

    let done = talk(&manager, program);
    if program.options.log_out {
        program.logged_out(&manager.forget()?);
    }
    // Saving that is under way is done before the program ends.
    manager.session().quiet()?;
    done
}

fn talk(manager: &AuthorizationManager, program: &Program) -> Result<(), Stop> {
    // The connection, over whatever the server speaks. If the server wants a token and the store has
    // none, this is where the person logs in.
    let settings = Settings::new("blocking_client", env!("CARGO_PKG_VERSION"));
    let server = manager.connect(program.settings(settings))?;
    program.speaks(&server.protocol_version());

    let mut done = Ok(());
    while let (Ok(()), Some(goal)) = (&done, program.next()) {
        done = ask(goal, &server, manager, program);
    }
    // Ends the session at the server, which would find out by itself later.
    let _or_later = server.close();
    done
}

/// The requests that a program sends to a server. Tokens that run out, refusals and lost sessions
/// are healed on the way.
fn ask(
    goal: Goal,
    server: &Transport,
    manager: &AuthorizationManager,
    program: &Program,
) -> Result<(), Stop> {
    match goal {
        Goal::List(page) => program.listed(&server.call("tools/list", page)?)?,
        Goal::Call(tool) => {
            let tool_and_arguments = json!({"name": tool, "arguments": {}});
            let result = server.call("tools/call", tool_and_arguments)?;
            program.called(&tool, &result);
        }
        Goal::Repeat(repeat) => repeated(repeat, server, program)?,
        // No program needs this: tokens are replaced in time. Here it can be seen.
        Goal::Refresh(refusal) => {
            manager.session().challenge(*refusal)?.outcome?;
        }
    }
    Ok(())
}

/// Any number of threads may share a connection.
fn repeated(repeat: Repeat, server: &Transport, program: &Program) -> Result<(), Stop> {
    let begun = AtomicUsize::new(0);
    let caller = || {
        while begun.fetch_add(1, Ordering::Relaxed) < repeat.calls.get() {
            let end = server.call("tools/list", json!({}));
            program.counted(&end);
            if let Err(error) = end {
                // Nobody begins another one.
                begun.store(repeat.calls.get(), Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let callers: Vec<_> = (0..repeat.parallel.get()).map(|_| scope.spawn(caller)).collect();
        let mut callers = callers.into_iter();
        callers.try_for_each(|caller| caller.join().unwrap_or_else(|it| panic::resume_unwind(it)))
    })?;
    Ok(())
}
