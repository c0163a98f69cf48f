//! Writes every page of the callback listener as a file, to be looked at after a change.
//!
//! ```text
//! cargo run -p mcp-authz-host --example pages target/pages
//! ```

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::{env, fs};

use mcp_authz_core::effect::{Page, Parties};
use mcp_authz_core::failure::{Failure, Kind};
use mcp_authz_host::page::{nobody, page, refusal};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = env::args_os().nth(1).ok_or("which directory shall they be written to?")?;
    fs::create_dir_all(&directory)?;
    let parties =
        || Parties { resource: "mcp.example".to_owned(), issuer: "login.example".to_owned() };
    let long = || {
        let label = "a-rather-long-label.".repeat(5);
        Parties { resource: format!("{label}example"), issuer: format!("{label}example") }
    };
    let failed =
        |kind: Kind| page(&Page::Failed { parties: parties(), kind, remedy: kind.remedy() });
    let untrusted = Arc::new(Failure::new(Kind::IssMismatch, "ISS-07"));
    for (name, answer) in [
        ("authorized", page(&Page::Authorized(parties()))),
        ("authorized-long", page(&Page::Authorized(long()))),
        ("one-more-step", page(&Page::OneMoreStep(parties()))),
        ("untrusted", page(&Page::Untrusted { parties: parties(), failure: untrusted })),
        ("denied", page(&Page::Denied(parties()))),
        ("failed", failed(Kind::GrantRejected)),
        ("failed-report", failed(Kind::TokenResponseInvalid)),
        ("refused", page(&Page::Refused(Kind::StateMismatch))),
        ("nobody", nobody()),
        ("not-found", refusal(404)),
    ] {
        let answer = String::from_utf8(answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("an answer has a head")?;
        let file = Path::new(&directory).join(name).with_extension("html");
        fs::write(&file, body)?;
        println!("{}", file.display());
    }
    Ok(())
}
