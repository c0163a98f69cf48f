//! Everything that the program says: results on standard output, the rest on standard error; or one
//! JSON object a line on standard output.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mcp_authz_core::failure::escaped;
use mcp_authz_tokio::driver::person::{Answers, Person};
use mcp_authz_tokio::{Progress, Visit};
use serde_json::{Value, json};

use crate::fault::Fault;

const BAD: Style = AnsiColor::Red.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const ASIDE: Style = Style::new().dimmed();

/// The voice of the program. Clones speak with the same one.
#[derive(Clone)]
pub(crate) struct Say {
    json: bool,
    /// Turns while something is waited for, on a terminal only.
    spinner: ProgressBar,
}

impl Say {
    /// Speaks to people, or in JSON to programs.
    pub(crate) fn new(json: bool) -> Self {
        let target = match json || !io::stderr().is_terminal() {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let spinner = ProgressBar::with_draw_target(None, target);
        spinner.set_style(ProgressStyle::default_spinner());
        Self { json, spinner }
    }

    /// Returns true if programs read the lines.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// A result: the text for people, or the object for programs. Whatever a server wrote has to be
    /// escaped in the text.
    pub(crate) fn result(&self, text: impl Display, line: &Value) {
        self.spinner.suspend(|| match self.json {
            true => print(line),
            false => print(text),
        });
    }

    /// The same, of a thing that was done.
    pub(crate) fn done(&self, text: impl Display, line: &Value) {
        self.result(format!("{GOOD}{text}{GOOD:#}"), line);
    }

    /// A result for people alone.
    pub(crate) fn text(&self, text: impl Display) {
        if !self.json {
            self.spinner.suspend(|| print(text));
        }
    }

    /// An aside, on standard error for people.
    pub(crate) fn aside(&self, text: impl Display, line: &Value) {
        self.spinner.suspend(|| match self.json {
            true => print(line),
            false => note(format_args!("{ASIDE}{text}{ASIDE:#}")),
        });
    }

    /// What a session does. People are spared what the result says, or what is as they expect.
    pub(crate) fn progress(&self, progress: &Progress) {
        use Progress::{Failed, FoundGrant, LoggedIn, LoggedOut};
        let expected =
            matches!(progress, FoundGrant { .. } | LoggedIn { .. } | LoggedOut | Failed { .. });
        if self.json || !expected {
            let text = progress.to_string();
            self.aside(&text, &json!({"event": "progress", "text": text}));
        }
    }

    /// Something is waited for.
    pub(crate) fn busy(&self, with: impl Display) {
        self.spinner.set_message(with.to_string());
        self.spinner.enable_steady_tick(Duration::from_millis(100));
    }

    /// Nothing is waited for any more.
    pub(crate) fn idle(&self) {
        self.spinner.finish_and_clear();
    }

    /// Why the command failed.
    pub(crate) fn fault(&self, fault: &Fault) {
        self.idle();
        if self.json {
            return print(fault.json());
        }
        note(format_args!("{BAD}failed:{BAD:#} {fault}"));
        for (name, value) in fault.rows() {
            note(format_args!("  {ASIDE}{name:<12}{ASIDE:#} {}", escaped(&value)));
        }
    }

    /// Somebody who is shown pages with these lines around it.
    pub(crate) fn to(&self, person: Arc<dyn Person>) -> impl Person + use<> {
        let say = self.clone();
        move |visit: &Visit, answers: Answers| {
            // What is typed must not meet a spinner.
            say.idle();
            if say.json {
                print(json!({
                    "event": "page",
                    "url": visit.url(),
                    "issuer": visit.issuer,
                    "resource": visit.shown_resource(),
                    "client_id": visit.client_id,
                    "redirect_uri": visit.redirect_uri,
                    "scope": visit.scopes.as_str(),
                }));
            }
            person.show(visit, answers);
        }
    }
}

/// A line of a program that nobody watches, for the log of whoever has started it.
pub(crate) fn log(words: impl Display) {
    note(format_args!("mcp-authz: {words}"));
}

/// One line of standard output. Once nobody reads it any more, the program has nothing left to do.
fn print(line: impl Display) {
    if writeln!(anstream::stdout().lock(), "{line}").is_err() {
        std::process::exit(i32::from(crate::fault::status::FAILED));
    }
}

fn note(line: impl Display) {
    let _nobody_reads = writeln!(anstream::stderr().lock(), "{line}");
}
