//! The job of the example clients on the threaded driver: what the pure job wants done is done with
//! the session and its HTTP port, and the person is played on a thread or shown the page.

use std::io::{self, IsTerminal as _};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use mcp_authz_core::effect::{Limits, Page, Reply, Told, Visit};
use mcp_authz_core::failure::Failure;
use mcp_authz_core::input::Callback;
use mcp_authz_driver::exchange;
use mcp_authz_driver::ports::{Http, Listener, Observer};
use mcp_authz_driver::threaded::AuthSession;
use mcp_authz_host::terminal;
use mcp_authz_tests::job::calls::{Call, Ended, Next};
use mcp_authz_tests::job::person::{LARGEST_PAGE, Person, PersonAction, PersonEvent};
use mcp_authz_tests::job::{
    Action, Calls, Errand, Event, Job, LARGEST_ANSWER, Options, Outcome, Show, Step, Turn, Who,
};

/// Shows what the session does, and queues the pages for the person.
pub(crate) struct Face {
    show: Show,
    browser: bool,
    paste: bool,
    visits: Sender<Visit>,
}

impl Face {
    /// A face, and the pages it will be told of.
    pub(crate) fn new(show: &Show, options: &Options) -> (Self, Receiver<Visit>) {
        let (visits, queue) = channel();
        let browser = options.person == Who::Browser;
        let paste = options.pastes(io::stdin().is_terminal());
        (Self { show: show.clone(), browser, paste, visits }, queue)
    }
}

impl Observer for Face {
    fn told(&self, told: &Told) {
        self.show.told(told);
        if let Told::Open(visit) = told {
            if self.browser {
                self.show.step(&Step::open(visit, self.paste));
            }
            // Nobody listens any more once the job is over.
            let _over = self.visits.send(visit.clone());
        }
    }
}

/// Does the whole job, and the person's part of it if the options say so.
pub(crate) fn run<H: Http + Clone, L: Listener>(
    options: &Options,
    url: &str,
    session: &AuthSession<H, L>,
    http: &H,
    visits: Receiver<Visit>,
    show: &Show,
) -> Outcome {
    let stuck = Arc::new(Mutex::new(None));
    let person = {
        let (options, session, http) = (options.clone(), session.clone(), http.clone());
        let (show, stuck) = (show.clone(), Arc::clone(&stuck));
        move || {
            let _leaving = Leaving { session: &session, stuck: &stuck };
            meet(&options, &session, &http, visits, &show, &stuck);
        }
    };
    // The thread ends with the program: a person may look at a page for as long as they like.
    thread::spawn(person);
    let limits = limits(options, LARGEST_ANSWER);
    let hands = Hands { session, http, limits, stuck: &stuck };
    let (last, outcome) = work(options, url, &hands, show);
    if options.log_out {
        match session.forget() {
            Ok(forgotten) => show.step(&Step::logged_out(&forgotten)),
            Err(stopped) => {
                let outcome = Outcome::setup(&stopped.to_string());
                show.step(&Step::outcome(&outcome));
                return outcome;
            }
        }
    }
    // What the session still has to tell is told before the end is.
    let _saved = session.quiet();
    show.all(&last);
    outcome
}

fn limits(options: &Options, body: usize) -> Limits {
    Limits { total: options.timeout, body, ..exchange::limits() }
}

/// What errands are done with.
struct Hands<'a, H: Http, L: Listener> {
    session: &'a AuthSession<H, L>,
    http: &'a H,
    limits: Limits,
    stuck: &'a Mutex<Option<Outcome>>,
}

/// Does the job up to its last steps, which are still to be shown.
fn work<H: Http, L: Listener>(
    options: &Options,
    url: &str,
    hands: &Hands<'_, H, L>,
    show: &Show,
) -> (Vec<Step>, Outcome) {
    let mut job = Job::new(options, url);
    let mut turn = job.step(Event::Start);
    loop {
        let Turn { said, action } = turn;
        let done = match action {
            Action::Do(errand) => {
                show.all(&said);
                hands.run(errand)
            }
            Action::Call(calls) => {
                show.all(&said);
                Ok(Event::Called(hands.make(*calls).into()))
            }
            Action::Finish(outcome) => return (said, outcome),
        };
        turn = match done {
            Ok(event) => job.step(event),
            Err(outcome) => return (vec![Step::outcome(&outcome)], *outcome),
        };
    }
}

impl<H: Http, L: Listener> Hands<'_, H, L> {
    /// Does an errand. An error is the end: nobody is there to log in, or the driver has stopped.
    fn run(&self, errand: Errand) -> Result<Event, Box<Outcome>> {
        let settled = match errand {
            Errand::Send { request, mut enough } => {
                let mut watch = |_: &_, piece: &[u8]| enough.piece(piece);
                return Ok(match self.http.exchange(request, &self.limits, &mut watch) {
                    Reply::Answered(response) => Event::Answered(response),
                    Reply::NotSent(why) | Reply::MaybeSent(why) => Event::Unreachable(why),
                });
            }
            Errand::Acquire { scopes, may_ask } => {
                self.gone()?;
                self.session.acquire(&scopes, may_ask)
            }
            Errand::Challenge(refusal) => {
                self.gone()?;
                self.session.challenge(refusal)
            }
        };
        self.gone()?;
        match settled {
            Ok(settlement) => Ok(Event::Settled(settlement)),
            Err(stopped) => Err(Box::new(Outcome::setup(&stopped.to_string()))),
        }
    }

    /// The end that a person brought who can go no further. Asked before each wait and after it:
    /// nobody shall wait for one who is gone.
    fn gone(&self) -> Result<(), Box<Outcome>> {
        match &*self.stuck.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(outcome) => Err(Box::new(outcome.clone())),
            None => Ok(()),
        }
    }

    /// Makes the calls, each on one of as many threads as may be under way at a time.
    fn make(&self, calls: Calls) -> Calls {
        let threads = calls.at_once();
        let calls = Mutex::new(calls);
        let locked = || calls.lock().unwrap_or_else(PoisonError::into_inner);
        let caller = || {
            loop {
                let Some(call) = locked().begin() else { return };
                let ended = self.call(call);
                locked().ended(ended);
            }
        };
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(caller);
            }
        });
        calls.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, mut call: Call) -> Ended {
        let mut event = Event::Start;
        loop {
            match call.step(event) {
                Next::Do(errand) => event = self.run(*errand)?,
                Next::End(ended) => return ended,
            }
        }
    }
}

/// Sees that nobody waits for a person who is gone, whatever made them go.
struct Leaving<'a, H: Http, L: Listener> {
    session: &'a AuthSession<H, L>,
    stuck: &'a Mutex<Option<Outcome>>,
}

impl<H: Http, L: Listener> Drop for Leaving<'_, H, L> {
    fn drop(&mut self) {
        if thread::panicking() {
            let outcome = Outcome::stuck("the thread that plays the person broke off");
            *self.stuck.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
            let _stopped = self.session.cancel();
        }
    }
}

/// Meets each page: plays the person, or leaves it to the one at the browser.
fn meet<H: Http, L: Listener>(
    options: &Options,
    session: &AuthSession<H, L>,
    http: &H,
    visits: Receiver<Visit>,
    show: &Show,
    stuck: &Mutex<Option<Outcome>>,
) {
    let paste = options.pastes(io::stdin().is_terminal());
    for visit in visits {
        if paste {
            read_pasted(session, &visit, show);
        }
        if visit.reissued || options.person != Who::Headless {
            continue;
        }
        let outcome = match play(options, http, &visit, show) {
            // What a browser would be shown: the login is over, or it has refused this answer and
            // waits for a better one, which this person cannot give.
            Ok(url) => match session.deliver(Callback::url(url)) {
                Ok(Page::Refused(kind)) => Failure::new(kind, "ISS-05").into(),
                Ok(Page::Untrusted { failure, .. }) => failure.into(),
                _ => continue,
            },
            Err(why) => Outcome::stuck(&why),
        };
        *stuck.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        // Whoever waits for that person waits in vain.
        let _stopped = session.cancel();
        return;
    }
}

/// Hands in each address that the person pastes, for as long as the login waits at this page.
fn read_pasted<H: Http, L: Listener>(session: &AuthSession<H, L>, visit: &Visit, show: &Show) {
    let (there, show, page) = (session.clone(), show.clone(), visit.url().to_owned());
    let session = session.clone();
    let waits = move || session.visit().is_some_and(|at| at.url() == page);
    let _without_it_the_browser_is_left = terminal::read_lines(waits, move |line| {
        // How the login ended is shown by the job.
        match there.deliver(Callback::url(line)) {
            Ok(Page::Refused(kind)) => show.step(&Step::paste_refused(kind)),
            Ok(Page::Untrusted { failure, .. }) => show.step(&Step::paste_refused(failure.kind())),
            _ => {}
        }
    });
}

fn play<H: Http>(
    options: &Options,
    http: &H,
    visit: &Visit,
    show: &Show,
) -> Result<String, String> {
    let limits = limits(options, LARGEST_PAGE);
    let mut person = Person::new(visit.url(), &visit.redirect_uri);
    let mut turn = person.step(PersonEvent::Start);
    loop {
        show.all(&turn.said);
        turn = person.step(match turn.action {
            PersonAction::Send(request) => match http.send(request, &limits) {
                Reply::Answered(response) => PersonEvent::Answered(response),
                Reply::NotSent(why) | Reply::MaybeSent(why) => PersonEvent::Unreachable(why),
            },
            PersonAction::Arrived(url) => return Ok(url),
            PersonAction::Stuck(why) => return Err(why),
        });
    }
}
