//! What is generated from the command line's description: completions and the manual page.

use std::io;

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;
use mcp_authz_core::failure::Remedy;

use crate::arguments::Cli;
use crate::fault::Fault;

/// Whoever reads has gone, or the disk is full.
fn unwritten(error: io::Error) -> Fault {
    Fault::new("output", &error.to_string(), Remedy::Configure)
}

/// Prints the completions of a shell.
pub(super) fn completions(shell: Shell) -> Result<(), Fault> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mcp-authz", &mut text);
    // For bash, the generator names the part of a command in two ways if the program's name has a dash.
    let text = String::from_utf8_lossy(&text).replace("mcp__subcmd__authz", "mcp__authz");
    io::Write::write_all(&mut io::stdout(), text.as_bytes()).map_err(unwritten)
}

/// Prints the manual page, with a section for each command.
pub(super) fn man() -> Result<(), Fault> {
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
