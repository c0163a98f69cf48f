//! The job of the example clients on an async driver: what the pure job wants done is done with
//! the session and its HTTP port, and the person is played or shown the page.

use core::pin::pin;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::sync::{Mutex, PoisonError};
use std::{iter, mem, thread};

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::future::{Either, select};
use futures_util::{StreamExt, stream};
use mcp_authz_core::effect::{Limits, Page, Reply, Told, Visit};
use mcp_authz_core::failure::Failure;
use mcp_authz_core::input::Callback;
use mcp_authz_driver::exchange;
use mcp_authz_driver::on_demand::AuthSession;
use mcp_authz_driver::ports::{AsyncHttp, AsyncListener, Observer, Runtime};
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

/// Does the whole job, and the person's part of it if the options say so.
pub(crate) async fn run<H: AsyncHttp, L: AsyncListener, R: Runtime>(
    options: &Options,
    url: &str,
    session: &AuthSession<H, L, R>,
    http: &H,
    visits: UnboundedReceiver<Visit>,
    show: &Show,
) -> Outcome {
    let hands = Hands { session, http, limits: limits(options, LARGEST_ANSWER) };
    let job = pin!(work(options, url, &hands, show));
    let person = pin!(meet(options, session, http, visits, show));
    let (last, outcome) = match select(job, person).await {
        Either::Left((end, _)) => end,
        Either::Right((outcome, _)) => {
            // Whoever waits for that person waits in vain.
            let _stopped = session.cancel();
            (vec![Step::outcome(&outcome)], outcome)
        }
    };
    // What the session still has to tell is told before the end is.
    session.quiet().await;
    show.all(&last);
    outcome
}

fn limits(options: &Options, body: usize) -> Limits {
    Limits { total: options.timeout, body, ..exchange::limits() }
}

/// What errands are done with.
struct Hands<'a, H: AsyncHttp, L: AsyncListener, R: Runtime> {
    session: &'a AuthSession<H, L, R>,
    http: &'a H,
    limits: Limits,
}

/// Does the job up to its last steps, which are still to be shown.
async fn work<H: AsyncHttp, L: AsyncListener, R: Runtime>(
    options: &Options,
    url: &str,
    hands: &Hands<'_, H, L, R>,
    show: &Show,
) -> (Vec<Step>, Outcome) {
    let mut job = Job::new(options, url);
    let mut turn = job.step(Event::Start);
    loop {
        let Turn { said, action } = turn;
        let done = match action {
            Action::Do(errand) => {
                show.all(&said);
                hands.run(errand).await
            }
            Action::Call(calls) => {
                show.all(&said);
                Ok(Event::Called(hands.make(*calls).await.into()))
            }
            Action::Finish(outcome) => return (said, outcome),
        };
        turn = match done {
            Ok(event) => job.step(event),
            Err(outcome) => return (vec![Step::outcome(&outcome)], *outcome),
        };
    }
}

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> Hands<'_, H, L, R> {
    /// Does an errand. An error is the end: the driver has stopped.
    async fn run(&self, errand: Errand) -> Result<Event, Box<Outcome>> {
        let settled = match errand {
            Errand::Send { request, mut enough } => {
                let mut watch = |_: &_, piece: &[u8]| enough.piece(piece);
                return Ok(match self.http.exchange(request, &self.limits, &mut watch).await {
                    Reply::Answered(response) => Event::Answered(response),
                    Reply::NotSent(why) | Reply::MaybeSent(why) => Event::Unreachable(why),
                });
            }
            Errand::Acquire { scopes, may_ask } => self.session.acquire(&scopes, may_ask).await,
            Errand::Challenge(refusal) => self.session.challenge(refusal).await,
        };
        match settled {
            Ok(settlement) => Ok(Event::Settled(settlement.outcome)),
            Err(stopped) => Err(Box::new(Outcome::setup(&stopped.to_string()))),
        }
    }

    /// Makes the calls, as many as may be under way at a time.
    async fn make(&self, calls: Calls) -> Calls {
        let at_once = calls.at_once();
        let calls = Mutex::new(calls);
        let locked = || calls.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = stream::iter(iter::from_fn(|| locked().begin()));
        let made = begun.for_each_concurrent(at_once, |call| async {
            let ended = self.call(call).await;
            locked().ended(ended);
        });
        made.await;
        calls.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(&self, mut call: Call) -> Ended {
        let mut event = Event::Start;
        loop {
            match call.step(event) {
                Next::Do(errand) => event = self.run(*errand).await?,
                Next::End(ended) => return ended,
            }
        }
    }
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
    let mut paste = options.pastes(io::stdin().is_terminal());
    // The sender stays here, or the end of standard input would be the end of the person.
    let (typed, pasted) = unbounded();
    let mut met = stream::select(visits.map(Met::Page), pasted.map(Met::Pasted));
    while let Some(next) = met.next().await {
        let visit = match next {
            Met::Page(visit) => visit,
            Met::Pasted(url) => {
                // How the login ended is shown by the job.
                if let Ok(Page::Refused(kind)) = session.deliver(Callback::url(url)).await {
                    show.step(&Step::paste_refused(kind));
                }
                continue;
            }
        };
        if mem::take(&mut paste) {
            read_pasted(typed.clone());
        }
        if visit.reissued || options.person != Who::Headless {
            continue;
        }
        match play(options, http, &visit, show).await {
            Ok(url) => {
                // What a browser would be shown: the login is over, or it has refused this answer
                // and waits for a better one, which this person cannot give.
                if let Ok(Page::Refused(kind)) = session.deliver(Callback::url(url)).await {
                    return Failure::new(kind, "ISS-05").into();
                }
            }
            Err(why) => return Outcome::stuck(&why),
        }
    }
    core::future::pending().await
}

/// Something for the person's part to see to.
enum Met {
    Page(Visit),
    /// An address that the person has pasted.
    Pasted(String),
}

/// Takes in what the person pastes, for as long as anybody listens. A thread of its own: the runtime
/// would wait at its end for a person who types no more.
fn read_pasted(to: UnboundedSender<String>) {
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if !line.trim().is_empty() && to.unbounded_send(line.trim().to_owned()).is_err() {
                return;
            }
        }
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
