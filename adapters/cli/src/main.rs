//! `mcp-authz`, the command-line program: logs in to MCP servers, keeps their tokens fresh, and lends
//! them to other programs. All OAuth and all MCP is that of the libraries.

#[cfg(unix)]
mod agent;
mod arguments;
mod bridge;
mod command;
mod config_file;
mod doctor;
mod fault;
mod import;
mod keychain;
mod options;
mod relay;
mod say;
mod server;
mod through;
mod trace;
mod way;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::Cli;
use crate::fault::Fault;
use crate::say::Say;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && std::env::args_os().any(|word| word == "--json") => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            let fault = Fault::usage(first.trim_start_matches("error: "));
            Say::new(true).fault(&fault);
            return ExitCode::from(fault.status());
        }
        Err(error) => error.exit(),
    };
    let say = Say::new(cli.says_json());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(command::run(cli, &say)),
        Err(error) => Err(Fault::new(
            "setup",
            &format!("this machine gives the program no event loop: {error}"),
            mcp_authz_core::failure::Remedy::Retry { after: None },
        )),
    };
    match done {
        Ok(()) => {
            say.idle();
            ExitCode::SUCCESS
        }
        Err(fault) => {
            if fault.is_silent() {
                say.idle();
            } else {
                say.fault(&fault);
            }
            ExitCode::from(fault.status())
        }
    }
}
