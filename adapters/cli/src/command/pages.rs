//! What is generated from the command line's description: completions and the manual page.

use std::io;

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;
use mcp_authz_core::failure::Remedy;

use crate::arguments::Cli;
use crate::fault::Fault;

/// Prints the completions of a shell.
pub(super) fn completions(shell: Shell) -> Result<(), Fault> {
    clap_complete::generate(shell, &mut Cli::command(), "mcp-authz", &mut io::stdout());
    Ok(())
}

/// Prints the manual page, with a section for each command.
pub(super) fn man() -> Result<(), Fault> {
    let unwritten = |error: io::Error| Fault::new("output", &error.to_string(), Remedy::Configure);
    let mut root = Cli::command();
    root.build();
    let mut text = Vec::new();
    Man::new(root.clone()).render(&mut text).map_err(unwritten)?;
    for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
        let man = Man::new(command.clone());
        let name = command.get_name().to_uppercase();
        text.extend_from_slice(format!(".SH \"COMMAND {name}\"\n").as_bytes());
        man.render_description_section(&mut text).map_err(unwritten)?;
        man.render_options_section(&mut text).map_err(unwritten)?;
        man.render_extra_section(&mut text).map_err(unwritten)?;
    }
    io::Write::write_all(&mut io::stdout(), &text).map_err(unwritten)
}
