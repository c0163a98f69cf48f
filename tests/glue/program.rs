//! The outside of an example client: arguments in, lines and an exit status out. What is left to the
//! example is the client of its runtime.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::{self, ExitCode};
use std::sync::{Arc, OnceLock};

use mcp_authz_core::Config;
use mcp_authz_core::effect::{Told, Visit};
use mcp_authz_driver::ports::Observer;
use mcp_authz_host::browser::Opener;
use mcp_authz_tests::job::args::{self, Command};
use mcp_authz_tests::job::{self, Options, Outcome, Show, Step, Target, Who};
use mcp_authz_tests::serve::Served;

#[path = "kept.rs"]
mod kept;

use kept::Kept;

/// Who is told of a page that can be shown to nobody.
type Unshown = Arc<OnceLock<Box<dyn Fn(&Visit) + Send + Sync>>>;

/// What the command line asks for, ready to be done.
pub(crate) struct Program {
    pub(crate) options: Options,
    pub(crate) show: Show,
    /// The MCP URL.
    pub(crate) url: String,
    pub(crate) config: Arc<Config>,
    pub(crate) store: Kept,
    unshown: Unshown,
    /// Stops when the program ends.
    _served: Option<Served>,
}

/// The arguments, without the program's name.
pub(crate) fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os().skip(1)
}

/// A variable of the environment.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Program {
    /// Reads the arguments and starts the embedded server if there is no other. An error is the
    /// program's end; all there is to say has been said.
    pub(crate) fn start<'a>(
        name: impl Into<job::Program<'a>>,
        arguments: impl IntoIterator<Item = OsString>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ExitCode> {
        let options = match args::read(name, arguments, variable) {
            Ok(Command::Run(options)) => *options,
            Ok(Command::Say(text)) => {
                let said = io::stdout().write_all(text.as_bytes());
                return Err(said.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS));
            }
            Err(usage) => {
                // With nobody to tell, the status has to say it.
                let _unheard = writeln!(io::stderr(), "{usage}");
                return Err(ExitCode::from(2));
            }
        };
        let show = Show::new(options.format, print_line);
        let failed = |outcome: Outcome| end(&show, outcome);
        let store = kept::open(&options).map_err(|outcome| failed(*outcome))?;
        let served = options.serve().map_err(|error| failed(setup(&error)))?;
        let url = match (&served, &options.target) {
            (Some(served), _) => served.mcp_url().to_owned(),
            (None, Target::Url(url)) => url.clone(),
            (None, Target::Embedded(_)) => return Err(failed(setup(&"no embedded server"))),
        };
        if served.is_some() {
            show.step(&Step::server(&url));
        }
        let config = options.config(&url).map_err(|failure| failed(failure.into()))?;
        let unshown = Unshown::default();
        Ok(Self { options, show, url, config, store, unshown, _served: served })
    }

    /// The observer for the client: with `--browser` it opens pages before the face hears of them.
    pub(crate) fn observer<O: Observer>(&self, face: O) -> Seen<O> {
        let opener = (self.options.person == Who::Browser).then(Opener::default);
        // Somebody at a terminal can open a page by hand.
        let terminal =
            io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal();
        let unheard = !terminal && !self.options.paste;
        let unshown = unheard.then(|| Arc::clone(&self.unshown));
        Seen { opener, unshown, show: self.show.clone(), face }
    }

    /// Where it is said that a page can be shown to nobody: no browser opens, and nobody is at a
    /// terminal.
    pub(crate) fn unshown_goes_to(&self, tell: impl Fn(&Visit) + Send + Sync + 'static) {
        let _once = self.unshown.set(Box::new(tell));
    }

    /// The end, if not even a client could be built.
    pub(crate) fn failed(&self, error: &impl Display) -> ExitCode {
        end(&self.show, setup(error))
    }
}

/// Told by the session: the face, and a browser before it if one is to open pages.
pub(crate) struct Seen<O> {
    opener: Option<Opener>,
    unshown: Option<Unshown>,
    show: Show,
    face: O,
}

impl<O: Observer> Observer for Seen<O> {
    fn told(&self, told: &Told) {
        // One that was shown before is not opened a second time; the face may show it.
        if let (Some(opener), Told::Open(visit)) = (&self.opener, told)
            && !visit.reissued
        {
            let (show, unshown) = (self.show.clone(), self.unshown.clone());
            opener.open_or(visit, move |visit, refused| {
                show.step(&Step::browser_refused());
                if let (Some(_), Some(tell)) = (refused, unshown.as_ref().and_then(|at| at.get())) {
                    tell(visit);
                }
            });
        }
        self.face.told(told);
    }
}

fn setup(error: &impl Display) -> Outcome {
    Outcome::setup(&error.to_string())
}

fn end(show: &Show, outcome: Outcome) -> ExitCode {
    show.step(&Step::outcome(&outcome));
    ExitCode::from(outcome.exit_status())
}

/// Once nobody reads any more, nothing is left to be done: this is a program for looking on.
fn print_line(line: &str) {
    if writeln!(io::stdout().lock(), "{line}").is_err() {
        process::exit(1);
    }
}
