//! Writes every page of the callback listener as a file, to be looked at after a change.
//!
//! ```text
//! cargo run -p mcp-authz-host --example pages target/pages
//! ```

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::{env, fs};

use mcp_authz_core::effect::{ListenOn, LoopbackHost, Page, Parties};
use mcp_authz_core::failure::{Failure, Kind};
use mcp_authz_host::page::{Label, Outcome, PageText, Pages, Words};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = env::args_os().nth(1).ok_or("which directory shall they be written to?")?;
    fs::create_dir_all(&directory)?;
    let named = |program: &str, resource: &str, issuer: &str| Parties {
        program: program.to_owned(),
        resource: resource.to_owned(),
        issuer: issuer.to_owned(),
    };
    let parties = || named("Acme Mail", "mcp.example", "login.example");
    let long = "a-rather-long-label.".repeat(5) + "example";
    let long = named(&long, &long, &long);
    let failed = |kind: Kind| Page::Failed { parties: parties(), kind, remedy: kind.remedy() };
    let untrusted = Arc::new(Failure::new(Kind::IssMismatch, "ISS-07"));
    let untrusted = Page::Untrusted { parties: parties(), failure: untrusted };
    let on = ListenOn { host: LoopbackHost::V4, port: None, path: "/callback".to_owned() };
    let pages = Pages::new(PageText::new(), &on, 49152);
    let own = Pages::new(words(), &on, 49152);
    let long_words = Pages::new(long_words(), &on, 49152);
    let (authorized, denied) = (Page::Authorized(parties()), Page::Denied(parties()));
    for (name, answer) in [
        ("authorized", pages.page(&authorized)),
        ("authorized-long", pages.page(&Page::Authorized(long))),
        ("authorized-own-words", own.page(&authorized)),
        ("denied-long-words", long_words.page(&denied)),
        ("one-more-step", pages.page(&Page::OneMoreStep(parties()))),
        ("untrusted", pages.page(&untrusted)),
        ("denied", pages.page(&denied)),
        ("failed", pages.page(&failed(Kind::GrantRejected))),
        ("failed-report", pages.page(&failed(Kind::TokenResponseInvalid))),
        ("refused", pages.page(&Page::Refused(Kind::StateMismatch))),
        ("nobody", pages.nobody()),
        ("not-found", pages.refusal(404)),
    ] {
        let answer = String::from_utf8(answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("an answer has a head")?;
        let file = Path::new(&directory).join(name).with_extension("html");
        fs::write(&file, body)?;
        println!("{}", file.display());
    }
    Ok(())
}

/// The words of a program that speaks another language, from right to left.
fn words() -> PageText {
    PageText::new()
        .language("he")
        .words(
            Outcome::Authorized,
            Words::new()
                .title("ההתחברות הושלמה")
                .lead("התוכנה רשאית כעת להשתמש בשרת הזה בשמך.")
                .next("אפשר לסגור את החלון הזה ולחזור לתוכנה."),
        )
        .label(Label::Program, "תוכנה")
        .label(Label::Resource, "שרת MCP")
        .label(Label::Issuer, "שרת התחברות")
        .label(Label::Served, "כתובת")
}

/// Words that are wider than a small window.
fn long_words() -> PageText {
    let word = "Donaudampfschifffahrtsgesellschaftsanmeldungsdienst";
    PageText::new()
        .language("de")
        .words(Outcome::Denied, Words::new().title(word).lead(word).next(word))
        .label(Label::Program, "Anmeldungsprogrammbezeichnung")
        .label(Label::Issuer, word)
}
