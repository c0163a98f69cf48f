//! Prints the tables of the page of rules, `adapters/driver/src/guide/rules.md`.

use std::process::ExitCode;

use mcp_authz_tests::coverage::root;
use mcp_authz_tests::rules::{Ids, page};

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        println!(
            "usage: rules\n\nPrints what stands between the marks of adapters/driver/src/guide/rules.md."
        );
        return ExitCode::SUCCESS;
    }
    match Ids::read(&root()) {
        Ok(ids) => print!("{}", page(&ids.named)),
        Err(error) => {
            eprintln!("the sources cannot be read: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
