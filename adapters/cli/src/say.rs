//! Everything that the program says: results on standard output, the rest on standard error; or one
//! JSON object a line on standard output.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mcp_authz_core::failure::escaped;
use mcp_authz_tokio::driver::person::{Answers, Person};
use mcp_authz_tokio::{Progress, Visit};
use serde_json::{Value, json};

use crate::fault::{Fault, quoted};
use crate::relay::{Relay, Said, VARIABLE};

const BAD: Style = AnsiColor::Red.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const ASIDE: Style = Style::new().dimmed();

/// The voice of the program. Clones speak with the same one.
#[derive(Clone)]
pub(crate) struct Say {
    json: bool,
    /// Turns while something is waited for, on a terminal only.
    spinner: ProgressBar,
    /// Takes everything in place of this process's own output, for a program that asked the agent.
    relay: Option<Relay>,
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
        Self { json, spinner, relay: None }
    }

    /// Speaks to a program that asked the agent, which shows it to whoever is in front of it.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no agent"))]
    pub(crate) fn through(relay: Relay) -> Self {
        let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        Self { json: false, spinner, relay: Some(relay) }
    }

    /// The way to the program that asked the agent, if that is who listens.
    pub(crate) const fn relay(&self) -> Option<&Relay> {
        self.relay.as_ref()
    }

    /// Returns true if programs read the lines.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// A result: the text for people, or the object for programs. Whatever a server wrote has to be
    /// escaped in the text.
    pub(crate) fn result(&self, text: impl Display, line: &Value) {
        if let Some(relay) = &self.relay {
            return relay.say(Said::Result { text: text.to_string(), line: line.clone() });
        }
        self.aside_of_spinner(|| match self.json {
            true => print(line),
            false => print(text),
        });
    }

    /// The same, of a thing that was done. The first line of the text is its heading.
    pub(crate) fn done(&self, text: impl Display, line: &Value) {
        let text = text.to_string();
        if let Some(relay) = &self.relay {
            return relay.say(Said::Done { text, line: line.clone() });
        }
        let (heading, rest) = text.split_at(text.find('\n').unwrap_or(text.len()));
        self.result(format!("{GOOD}{heading}{GOOD:#}{rest}"), line);
    }

    /// A result for people alone.
    pub(crate) fn text(&self, text: impl Display) {
        if let Some(relay) = &self.relay {
            return relay.say(Said::Text { text: text.to_string() });
        }
        if !self.json {
            self.aside_of_spinner(|| print(text));
        }
    }

    /// A line for programs alone.
    pub(crate) fn for_programs(&self, line: &Value) {
        if self.json && self.relay.is_none() {
            self.aside_of_spinner(|| print(line));
        }
    }

    /// An aside, on standard error for people.
    pub(crate) fn aside(&self, text: impl Display, line: &Value) {
        if let Some(relay) = &self.relay {
            return relay.say(Said::Aside { text: text.to_string(), line: line.clone() });
        }
        self.aside_of_spinner(|| match self.json {
            true => print(line),
            false => note(format_args!("{ASIDE}{text}{ASIDE:#}")),
        });
    }

    /// What a session does. People are spared what the result says, or what is as they expect.
    pub(crate) fn progress(&self, progress: &Progress) {
        use Progress::{Failed, FoundGrant, LoggedIn, LoggedOut};
        let expected =
            matches!(progress, FoundGrant { .. } | LoggedIn { .. } | LoggedOut | Failed { .. });
        self.progressed(&progress.to_string(), expected);
    }

    /// The same in words.
    pub(crate) fn progressed(&self, text: &str, expected: bool) {
        if let Some(relay) = &self.relay {
            return relay.say(Said::Progress { text: text.to_owned(), expected });
        }
        if self.json || !expected {
            self.aside(text, &json!({"event": "progress", "text": text}));
        }
    }

    /// A line about a page, for people alone, who read it on standard error.
    pub(crate) fn line(&self, text: &str) {
        if let Some(relay) = &self.relay {
            return relay.say(Said::Line { text: text.to_owned() });
        }
        if !self.json {
            self.aside_of_spinner(|| note(text));
        }
    }

    /// A page that is shown to a person, for programs.
    pub(crate) fn page(&self, line: &Value) {
        if let Some(relay) = &self.relay {
            return relay.say(Said::Page { line: line.clone() });
        }
        // What is typed must not meet a spinner.
        self.idle();
        if self.json {
            print(line);
        }
    }

    /// Writes while the spinner is away, if it is there.
    fn aside_of_spinner(&self, writes: impl FnOnce()) {
        match self.spinner.is_hidden() || self.spinner.message().is_empty() {
            true => writes(),
            false => self.spinner.suspend(writes),
        }
    }

    /// Something is waited for.
    pub(crate) fn busy(&self, with: impl Display) {
        if let Some(relay) = &self.relay {
            return relay.say(Said::Busy { text: with.to_string() });
        }
        self.spinner.set_message(with.to_string());
        self.spinner.enable_steady_tick(Duration::from_millis(100));
    }

    /// Nothing is waited for any more.
    pub(crate) fn idle(&self) {
        if let Some(relay) = &self.relay {
            return relay.say(Said::Idle);
        }
        self.spinner.finish_and_clear();
        self.spinner.set_message("");
    }

    /// Why the command failed.
    pub(crate) fn fault(&self, fault: &Fault) {
        if let Some(relay) = &self.relay {
            return relay.say(Said::Fault { fault: fault.wire() });
        }
        self.idle();
        if self.json {
            return print(fault.json());
        }
        note(format_args!("{BAD}failed:{BAD:#} {fault}"));
        for (name, value) in fault.rows() {
            note(format_args!("  {ASIDE}{name:<12}{ASIDE:#} {}", escaped(&value)));
        }
    }

    /// Says what a command said in the agent.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no agent"))]
    pub(crate) fn repeat(&self, said: Said) {
        match said {
            Said::Result { text, line } => self.result(text, &line),
            Said::Done { text, line } => self.done(text, &line),
            Said::Text { text } => self.text(text),
            Said::Aside { text, line } => self.aside(text, &line),
            Said::Progress { text, expected } => self.progressed(&text, expected),
            Said::Busy { text } => self.busy(text),
            Said::Idle => self.idle(),
            Said::Fault { fault } => self.fault(&Fault::told(fault)),
            Said::Page { line } => self.page(&line),
            Said::Line { text } => self.line(&text),
            Said::Listening { socket } => self.result(
                // A shell reads it: a space in the path is not to be the end of it.
                format!("{VARIABLE}={}; export {VARIABLE};", quoted(&socket)),
                &json!({"event": "listening", "socket": socket}),
            ),
        }
    }

    /// Somebody who is shown pages with these lines around it.
    pub(crate) fn to(&self, person: Arc<dyn Person>) -> impl Person + use<> {
        let say = self.clone();
        move |visit: &Visit, answers: Answers| {
            say.page(&json!({
                "event": "page",
                "url": visit.url(),
                "issuer": visit.issuer,
                "resource": visit.shown_resource(),
                "client_id": visit.client_id,
                "redirect_uri": visit.redirect_uri,
                "scope": visit.scopes.as_str(),
            }));
            person.show(visit, answers);
        }
    }
}

/// A heading with rows below it. The values are escaped.
pub(crate) fn block<'a>(
    heading: &str,
    rows: impl IntoIterator<Item = (&'a str, String)>,
) -> String {
    let mut text = heading.to_owned();
    for (name, value) in rows {
        text.push_str(&format!("\n  {name:<10} {}", escaped(&value)));
    }
    text
}

/// Where the lines of [`log`] go once a thread writes them.
static LOG: OnceLock<SyncSender<String>> = OnceLock::new();

/// Has the lines of [`log`] written aside from now on: whoever has started this program may not read
/// them, and must not stop it by that. Lines that find no room are left out.
pub(crate) fn log_aside() {
    let (sender, lines) = sync_channel::<String>(256);
    let writes = move || lines.into_iter().for_each(note);
    if std::thread::Builder::new().spawn(writes).is_ok() {
        let _once = LOG.set(sender);
    }
}

/// A line of a program that nobody watches, for the log of whoever has started it.
pub(crate) fn log(words: impl Display) {
    let line = format!("mcp-authz: {words}");
    match LOG.get() {
        Some(log) => {
            let _nobody_reads = log.try_send(line);
        }
        None => note(line),
    }
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
