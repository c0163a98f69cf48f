//! The outside of an example client: arguments in, lines and an exit status out. What is left to the
//! example is what a program of one's own would have, too.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::{self, ExitCode};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use mcp_authz_core::config::ConfigBuilder;
use mcp_authz_core::effect::{Forgotten, Told};
use mcp_authz_core::granted::Granted;
use mcp_authz_driver::ports::{Observer, Store};
use mcp_authz_driver::transport::{Bounds, Choice, Settings};
use mcp_authz_host::person::Desktop;
use mcp_authz_host::store::{FileStore, MemoryStore};
use mcp_authz_tests::job::args::{self, Command};
use mcp_authz_tests::job::{
    Fault, Goal, Options, Outcome, Report, Show, Step, Target, Transport, Who,
};
use mcp_authz_tests::serve::Served;
use serde_json::Value;

#[path = "person.rs"]
mod person;
#[path = "stop.rs"]
mod stop;

pub(crate) use person::Somebody;
pub(crate) use stop::Stop;

/// The session behind the manager, once there is one.
type Session = OnceLock<Hands>;

/// What is asked of it.
struct Hands {
    granted: Box<dyn Fn() -> Option<Arc<Granted>> + Send + Sync>,
    cancel: Box<dyn Fn() + Send + Sync>,
}

/// What the command line asks for, ready to be done.
pub(crate) struct Program {
    pub(crate) options: Options,
    show: Show,
    /// The MCP URL.
    url: String,
    store: Arc<dyn Store>,
    report: Arc<Mutex<Report>>,
    session: Arc<Session>,
    /// Why the played person could not go on.
    gone: Arc<OnceLock<Outcome>>,
    /// Stops when the program ends.
    _served: Option<Served>,
}

/// The arguments, without the program's name.
pub(crate) fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os().skip(1)
}

/// Beginning and end.
impl Program {
    /// Reads the arguments and starts the embedded server if there is no other. An error is the
    /// program's end; all there is to say has been said.
    pub(crate) fn start(
        name: &str,
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, ExitCode> {
        let options = match args::read(name, arguments) {
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
        let failed = |outcome: Outcome| {
            show.step(&Step::outcome(&outcome));
            ExitCode::from(outcome.exit_status())
        };
        let served = options.serve().map_err(|error| failed(Outcome::setup(&error.to_string())))?;
        let url = match (&served, &options.target) {
            (Some(served), _) => served.mcp_url().to_owned(),
            (None, Target::Url(url)) => url.clone(),
            (None, Target::Embedded(_)) => return Err(failed(Outcome::setup("no server"))),
        };
        if served.is_some() {
            show.step(&Step::server(&url));
        }
        let program = Self::at(options, show.clone(), url).map_err(|outcome| failed(*outcome))?;
        Ok(Self { _served: served, ..program })
    }

    /// The same at this MCP URL, with lines that go somewhere else.
    pub(crate) fn at(options: Options, show: Show, url: String) -> Result<Self, Box<Outcome>> {
        let store = open(&options)?;
        let report = Arc::new(Mutex::new(Report::new(&options, &url)));
        let (session, gone) = (Arc::default(), Arc::default());
        Ok(Self { options, show, url, store, report, session, gone, _served: None })
    }

    /// Shows the last line.
    pub(crate) fn outcome(self, ended: Result<(), Stop>) -> Outcome {
        self.look();
        let failed = ended.err().map(|stop| {
            let known = self.gone.get().cloned();
            known.unwrap_or_else(|| stop.outcome(&self.report()))
        });
        let (step, outcome) = self.report().end(failed);
        self.show.step(&step);
        outcome
    }

    pub(crate) fn end(self, ended: Result<(), Stop>) -> ExitCode {
        ExitCode::from(self.outcome(ended).exit_status())
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        locked(&self.report)
    }
}

/// What the options want of the manager and its connection.
impl Program {
    /// The MCP URL with everything that is said of it.
    pub(crate) fn config(&self) -> ConfigBuilder {
        self.options.config(&self.url)
    }

    /// The folder of `--store`, or memory.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Shows what the manager tells.
    pub(crate) fn observer(&self) -> impl Observer + use<> {
        let (show, report) = (self.show.clone(), Arc::clone(&self.report));
        // The manager has this one, so this one must not have the manager.
        let session = Arc::downgrade(&self.session);
        Seen(move |told: &Told| {
            if let Told::Note(note) = told {
                show.note(note);
            }
            let session = session.upgrade();
            if let Some(granted) = session.as_ref().and_then(|it| (it.get()?.granted)()) {
                locked(&report).knows(granted.access_token());
            }
        })
    }

    /// The person at this machine, or the one that the options name.
    pub(crate) fn person(&self, desktop: Desktop) -> Somebody {
        let (gone, session) = (Arc::clone(&self.gone), Arc::downgrade(&self.session));
        let leaves = move |why: Outcome| {
            let _the_first_reason = gone.set(why);
            // Whoever waits for this person waits in vain.
            if let Some(hands) = session.upgrade().as_ref().and_then(|session| session.get()) {
                (hands.cancel)();
            }
        };
        Somebody::new(desktop, &self.options, &self.show, leaves)
    }

    /// Settings of a connection with the wire and the limits of the options.
    pub(crate) fn settings(&self, settings: Settings) -> Settings {
        let Options { timeout, person, .. } = self.options;
        let bounds =
            Bounds { head: timeout, idle: timeout, response: timeout, ..Bounds::default() };
        // A list that was lost on its way is asked for again.
        let settings = settings.bounds(bounds).may_ask(person != Who::Nobody).repeat_reads(true);
        let settings = settings.transport(match self.options.transport {
            Transport::Auto => Choice::Auto,
            Transport::Http => Choice::StreamableHttp,
            Transport::Sse => Choice::HttpSse,
        });
        match self.options.revision() {
            Some(revision) => settings.revision(revision),
            None => settings,
        }
    }
}

/// What is to be done, and what is shown of it.
impl Program {
    /// The manager is there: what its session has been granted, and how to end a login of it.
    pub(crate) fn begins<T>(
        &self,
        granted: impl Fn() -> Option<Arc<Granted>> + Send + Sync + 'static,
        cancel: impl Fn() -> T + Send + Sync + 'static,
    ) {
        let cancel = move || drop(cancel());
        let hands = Hands { granted: Box::new(granted), cancel: Box::new(cancel) };
        let _once = self.session.set(hands);
        self.show.step(&Step::connecting(&self.url));
    }

    /// Says so if there is another grant.
    fn look(&self) {
        let Some(granted) = self.session.get().and_then(|it| (it.granted)()) else { return };
        let step = self.report().holds(&granted, !self.show.has_asked());
        self.show.all(step.as_slice());
    }

    /// The connection is open.
    pub(crate) fn speaks(&self, version: &str) {
        self.look();
        let step = self.report().speaks(version);
        self.show.step(&step);
    }

    /// What to do next.
    pub(crate) fn next(&self) -> Option<Goal> {
        let goal = self.report().next_goal();
        match &goal {
            Some(Goal::Repeat(repeat)) => self.show.step(&Step::calls(*repeat)),
            Some(Goal::Refresh(_)) => self.show.step(&Step::refresh()),
            Some(Goal::Call(tool)) => self.show.step(&self.report().calling(tool)),
            _ => {}
        }
        goal
    }

    /// A page of the list of tools.
    pub(crate) fn listed(&self, result: &Value) -> Result<(), Fault> {
        self.look();
        let step = self.report().listed(result)?;
        self.show.all(step.as_slice());
        Ok(())
    }

    /// What a tool said.
    pub(crate) fn called(&self, tool: &str, result: &Value) {
        self.look();
        let step = self.report().called(tool, result);
        self.show.step(&step);
    }

    /// One of many calls has ended.
    pub(crate) fn counted<T, E>(&self, ended: &Result<T, E>) {
        self.report().counted(ended.is_err());
    }

    /// How far a log-out came.
    pub(crate) fn logged_out(&self, forgotten: &Forgotten) {
        self.look();
        self.show.step(&Step::logged_out(forgotten));
    }
}

struct Seen<F>(F);

impl<F: Fn(&Told) + Send + Sync + 'static> Observer for Seen<F> {
    fn told(&self, told: &Told) {
        (self.0)(told);
    }
}

/// The store that the options name.
fn open(options: &Options) -> Result<Arc<dyn Store>, Box<Outcome>> {
    let Some(folder) = &options.store else { return Ok(Arc::new(MemoryStore::new())) };
    match FileStore::open(folder) {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(Box::new(Outcome::store(error.kind(), &error.to_string()))),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Once nobody reads any more, nothing is left to be done: this is a program for looking on.
fn print_line(line: &str) {
    if writeln!(io::stdout().lock(), "{line}").is_err() {
        process::exit(1);
    }
}
