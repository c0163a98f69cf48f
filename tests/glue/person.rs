//! The person of an example: at this machine, or played by the program.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mcp_authz_core::effect::{Limits, Page, Reply, Visit};
use mcp_authz_core::failure::Failure;
use mcp_authz_driver::exchange;
use mcp_authz_driver::person::{Answers, Person};
use mcp_authz_driver::ports::Http as _;
use mcp_authz_host::person::Desktop;
use mcp_authz_tests::job::person::{self, LARGEST_PAGE, PersonAction, PersonEvent};
use mcp_authz_tests::job::{Options, Outcome, Show, Who};
use mcp_authz_ureq::Client;

/// Whoever is shown the page.
pub(crate) enum Somebody {
    /// A person with a browser, who may paste what they ended up at into a terminal.
    AtScreen { desktop: Desktop, show: Show, paste: bool },
    /// The program itself, with a browser of its own.
    Played(Played),
}

impl Somebody {
    pub(super) fn new(
        desktop: Desktop,
        options: &Options,
        show: &Show,
        leaves: impl Fn(Outcome) + Send + Sync + 'static,
    ) -> Self {
        if options.person == Who::Headless {
            let (show, leaves) = (show.clone(), Arc::new(leaves));
            return Self::Played(Played { show, patience: options.timeout, leaves });
        }
        let paste = options.pastes(io::stdin().is_terminal());
        Self::AtScreen { desktop, show: show.clone(), paste }
    }
}

impl Person for Somebody {
    fn show(&self, visit: &Visit, answers: Answers) {
        match self {
            Self::AtScreen { desktop, show, paste } => {
                show.open(visit, *paste);
                desktop.show(visit, answers);
            }
            Self::Played(played) => {
                played.show.visit(visit);
                // One that was shown to somebody before is answered by them.
                if !visit.reissued {
                    let (played, visit) = (played.clone(), visit.clone());
                    thread::spawn(move || played.meet(&visit, &answers));
                }
            }
        }
    }
}

/// Sees that nobody waits for a person who is gone, whatever made them go.
struct BrokenOff<'a>(&'a Played);

impl Drop for BrokenOff<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            (self.0.leaves)(Outcome::stuck("the thread that plays the person broke off"));
        }
    }
}

/// Agrees to what a person would be asked.
#[derive(Clone)]
pub(crate) struct Played {
    show: Show,
    /// For one page.
    patience: Duration,
    /// Told why this person cannot go on.
    leaves: Arc<dyn Fn(Outcome) + Send + Sync>,
}

impl Played {
    fn meet(&self, visit: &Visit, answers: &Answers) {
        let _noticed = BrokenOff(self);
        match self.play(visit) {
            Ok(url) => {
                let leaves = Arc::clone(&self.leaves);
                // What a browser would be shown: the login is over, or it has refused this answer and
                // waits for a better one, which this person cannot give.
                answers.give(url, move |page| match page {
                    Page::Refused(kind) => leaves(Failure::new(kind, "ISS-05").into()),
                    Page::Untrusted { failure, .. } => leaves(failure.into()),
                    _ => {}
                });
            }
            Err(why) => (self.leaves)(Outcome::stuck(&why)),
        }
    }

    /// The address that the browser is sent back to.
    fn play(&self, visit: &Visit) -> Result<String, String> {
        let browser = Client::builder().build().map_err(|error| error.to_string())?;
        let limits = Limits { total: self.patience, body: LARGEST_PAGE, ..exchange::limits() };
        let mut person = person::Person::new(visit.url(), &visit.redirect_uri);
        let mut turn = person.step(PersonEvent::Start);
        loop {
            self.show.all(&turn.said);
            turn = person.step(match turn.action {
                PersonAction::Send(request) => match browser.http().send(request, &limits) {
                    Reply::Answered(response) => PersonEvent::Answered(response),
                    Reply::NotSent(why) | Reply::MaybeSent(why) => PersonEvent::Unreachable(why),
                },
                PersonAction::Arrived(url) => return Ok(url),
                PersonAction::Stuck(why) => return Err(why),
            });
        }
    }
}
