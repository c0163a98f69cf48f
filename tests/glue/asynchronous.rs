//! The job of the example clients on an async driver: what the pure job wants done is done with
//! the session and its HTTP port, and the person is played or shown the page.

use std::iter;
use std::sync::{Mutex, PoisonError};

use futures_channel::mpsc::UnboundedReceiver;
use futures_util::{StreamExt, stream};
use mcp_authz_core::effect::{Limits, Reply, Visit};
use mcp_authz_driver::on_demand::AuthSession;
use mcp_authz_driver::ports::{AsyncHttp, AsyncListener, Runtime};
use mcp_authz_tests::job::calls::{Call, Ended, Next};
use mcp_authz_tests::job::{
    Action, Calls, Errand, Event, Job, LARGEST_ANSWER, Options, Outcome, Show, Step, Turn,
};

#[path = "person.rs"]
mod person;

pub(crate) use person::Face;
use person::limits;

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
    let job = Box::pin(work(options, url, &hands, show));
    person::beside(options, session, http, visits, show, job).await
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
            Ok(settlement) => Ok(Event::Settled(settlement)),
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
