//! The person's part of an example on an async driver: shown the page, or played.

use std::future::Future;
use std::io::{self, IsTerminal as _};
use std::pin::{Pin, pin};

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::future::{Either, select};
use futures_util::{StreamExt, stream};
use mcp_authz_core::effect::{Limits, Page, Reply, Told, Visit};
use mcp_authz_core::failure::Failure;
use mcp_authz_core::input::Callback;
use mcp_authz_driver::exchange;
use mcp_authz_driver::on_demand::AuthSession;
use mcp_authz_driver::ports::{AsyncHttp, AsyncListener, Observer, Runtime};
use mcp_authz_host::terminal;
use mcp_authz_tests::job::person::{LARGEST_PAGE, Person, PersonAction, PersonEvent};
use mcp_authz_tests::job::{Options, Outcome, Show, Step, Who};

/// Shows what the session does, and queues the pages for the person.
pub(crate) struct Face {
    show: Show,
    browser: bool,
    paste: bool,
    visits: UnboundedSender<Visit>,
}

impl Face {
    /// A face, and the pages it will be told of.
    pub(crate) fn new(show: &Show, options: &Options) -> (Self, UnboundedReceiver<Visit>) {
        let (visits, queue) = unbounded();
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
            let _over = self.visits.unbounded_send(visit.clone());
        }
    }
}

/// Lets a job be done up to its last steps, which are still to be shown, and does the person's part of it
/// if the options say so.
pub(crate) async fn beside<H: AsyncHttp, L: AsyncListener, R: Runtime>(
    options: &Options,
    session: &AuthSession<H, L, R>,
    http: &H,
    visits: UnboundedReceiver<Visit>,
    show: &Show,
    job: Pin<Box<dyn Future<Output = (Vec<Step>, Outcome)> + '_>>,
) -> Outcome {
    let person = pin!(meet(options, session, http, visits, show));
    let (last, outcome) = match select(job, person).await {
        Either::Left((end, _)) => end,
        Either::Right((outcome, _)) => {
            // Whoever waits for that person waits in vain.
            let _stopped = session.cancel();
            (vec![Step::outcome(&outcome)], outcome)
        }
    };
    if options.log_out {
        match session.forget().await {
            Ok(forgotten) => show.step(&Step::logged_out(&forgotten)),
            Err(stopped) => {
                let outcome = Outcome::setup(&stopped.to_string());
                show.step(&Step::outcome(&outcome));
                return outcome;
            }
        }
    }
    // What the session still has to tell is told before the end is.
    session.quiet().await;
    show.all(&last);
    outcome
}

/// The limits of the example's own requests.
pub(crate) fn limits(options: &Options, body: usize) -> Limits {
    Limits { total: options.timeout, body, ..exchange::limits() }
}

/// Meets each page: plays the person, or leaves it to the one at the browser. Returns only when
/// nobody can go on.
async fn meet<H: AsyncHttp, L: AsyncListener, R: Runtime>(
    options: &Options,
    session: &AuthSession<H, L, R>,
    http: &H,
    visits: UnboundedReceiver<Visit>,
    show: &Show,
) -> Outcome {
    let paste = options.pastes(io::stdin().is_terminal());
    // The sender stays here, or the end of standard input would be the end of the person.
    let (typed, pasted) = unbounded();
    let mut met =
        stream::select(visits.map(|visit| Met::Page(Box::new(visit))), pasted.map(Met::Pasted));
    while let Some(next) = met.next().await {
        let visit = match next {
            Met::Page(visit) => visit,
            Met::Pasted(url) => {
                // How the login ended is shown by the job.
                match session.deliver(Callback::url(url)).await {
                    Ok(Page::Refused(kind)) => show.step(&Step::paste_refused(kind)),
                    Ok(Page::Untrusted { failure, .. }) => {
                        show.step(&Step::paste_refused(failure.kind()));
                    }
                    _ => {}
                }
                continue;
            }
        };
        if paste {
            read_pasted(session, &visit, typed.clone());
        }
        if visit.reissued || options.person != Who::Headless {
            continue;
        }
        match play(options, http, &visit, show).await {
            Ok(url) => {
                // What a browser would be shown: the login is over, or it has refused this answer
                // and waits for a better one, which this person cannot give.
                match session.deliver(Callback::url(url)).await {
                    Ok(Page::Refused(kind)) => return Failure::new(kind, "ISS-05").into(),
                    Ok(Page::Untrusted { failure, .. }) => return failure.into(),
                    _ => {}
                }
            }
            Err(why) => return Outcome::stuck(&why),
        }
    }
    core::future::pending().await
}

/// Something for the person's part to see to.
enum Met {
    Page(Box<Visit>),
    /// An address that the person has pasted.
    Pasted(String),
}

/// Takes in what the person pastes, for as long as the login waits at this page.
fn read_pasted<H: AsyncHttp, L: AsyncListener, R: Runtime>(
    session: &AuthSession<H, L, R>,
    visit: &Visit,
    to: UnboundedSender<String>,
) {
    let (session, page) = (session.clone(), visit.url().to_owned());
    let waits = move || session.visit().is_some_and(|at| at.url() == page);
    let _without_it_the_browser_is_left = terminal::read_lines(waits, move |line| {
        let _over = to.unbounded_send(line.to_owned());
    });
}

async fn play<H: AsyncHttp>(
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
            PersonAction::Send(request) => match http.send(request, &limits).await {
                Reply::Answered(response) => PersonEvent::Answered(response),
                Reply::NotSent(why) | Reply::MaybeSent(why) => PersonEvent::Unreachable(why),
            },
            PersonAction::Arrived(url) => return Ok(url),
            PersonAction::Stuck(why) => return Err(why),
        });
    }
}
