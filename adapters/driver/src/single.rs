//! The loop for one thread that owns its session: the smallest driver, and a model for others.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};

use http::{HeaderMap, Method, StatusCode, Uri};
use mcp_authz_core::effect::{Settlement, Work};
use mcp_authz_core::input::{Acquire, Callback, Challenge, Input, WaiterId};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::session::Session;
use mcp_authz_core::time::Deadline;

use crate::arrivals::{Arrivals, PageSink};
use crate::authorize::{AuthorizeError, Authorized, Seen};
use crate::error::DriveError;
use crate::loops::handle;
use crate::outbox::{Outbox, Sorted, Word};
use crate::ports::{Common, Http, Listener, Steps};
use crate::publish::Published;
use crate::work;

/// The ports of one session and what arrives through them.
pub struct Io<H, L> {
    http: H,
    listener: L,
    common: Common,
    published: Published,
    outbox: Outbox,
    /// Makes a trace of the session, once it has begun.
    steps: Option<Box<dyn Steps>>,
    arrivals: Sender<(Callback, PageSink)>,
    arrived: Receiver<(Callback, PageSink)>,
}

impl<H: Http, L: Listener> Io<H, L> {
    /// Brings the ports together.
    pub fn new(http: H, listener: L, common: Common) -> Self {
        let (arrivals, arrived) = channel();
        let (published, outbox) = (Published::default(), Outbox::default());
        Self { http, listener, common, published, outbox, steps: None, arrivals, arrived }
    }

    /// Where other threads may report callbacks that did not come through the listener.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals {
        let arrivals = self.arrivals.clone();
        Arrivals::new(move |callback, page| {
            let _nobody_left = arrivals.send((callback, page));
        })
    }

    /// The cell with the grant that the session published last.
    #[must_use]
    pub const fn published(&self) -> &Published {
        &self.published
    }

    fn arrived(&mut self) -> Option<Input> {
        let (callback, page) = self.arrived.try_recv().ok()?;
        Some(self.outbox.arrival(callback, page))
    }

    /// An arrival, or [`Input::Wake`] when the deadline has come.
    fn wait_until(&mut self, deadline: Deadline) -> Input {
        let left = self.common.clock.mono().until(deadline.at);
        match self.arrived.recv_timeout(left) {
            Ok((callback, page)) => self.outbox.arrival(callback, page),
            Err(_) => Input::Wake,
        }
    }

    fn perform(&mut self, work: Work) -> Input {
        let arrivals = self.arrivals();
        let keep = |id, listening| drop(self.outbox.bound(id, listening));
        work::perform(work, &self.http, &self.listener, &self.common, arrivals, keep)
    }
}

/// Waits for a usable grant.
///
/// # Errors
/// [`DriveError`] if the loop itself could not go on; what became of the request is in the
/// settlement.
pub fn acquire<H: Http, L: Listener>(
    session: &mut Session,
    ask: Acquire,
    io: &mut Io<H, L>,
) -> Result<Settlement, DriveError> {
    let me = ask.waiter;
    settle(session, Input::Acquire(ask), me, io)
}

/// Reports a refused request and waits for a grant that may be accepted.
///
/// # Errors
/// As [`acquire`].
pub fn challenge<H: Http, L: Listener>(
    session: &mut Session,
    refused: Challenge,
    io: &mut Io<H, L>,
) -> Result<Settlement, DriveError> {
    let me = refused.waiter;
    settle(session, Input::Challenge(refused), me, io)
}

/// The headers for a request that the caller sends with a client of its own. No person is bothered
/// yet: while there is no token the request goes without, and the server's refusal names what it
/// wants. Show the answer to [`seen`].
///
/// # Errors
/// [`AuthorizeError`]: the URL is not one that may see the token (`origin_mismatch`, USE-07), or the
/// failure says what to do; do not send the request.
pub fn authorize<H: Http, L: Listener>(
    session: &mut Session,
    waiter: WaiterId,
    method: &Method,
    uri: &Uri,
    io: &mut Io<H, L>,
) -> Result<Authorized, AuthorizeError> {
    let granted = match io.published.live(&ScopeSet::empty(), &*io.common.clock) {
        Some((granted, false)) => Some(granted),
        _ => {
            let ask = Acquire { waiter, scopes: ScopeSet::empty(), may_ask: false };
            Authorized::grant(acquire(session, ask, io)?.outcome)?
        }
    };
    Authorized::new(session.config(), granted, method, uri, false)
}

/// Takes the verdict of every answer to a request with these headers; a refusal by the MCP server
/// is healed if it can be.
///
/// # Errors
/// [`AuthorizeError`]: no grant could be had that might be accepted, or the answer leads out of the
/// token area and must not be followed with these headers (HOST-055). The answer stands.
pub fn seen<H: Http, L: Listener>(
    session: &mut Session,
    waiter: WaiterId,
    sent: &Authorized,
    status: StatusCode,
    headers: &HeaderMap,
    io: &mut Io<H, L>,
) -> Result<Seen, AuthorizeError> {
    match sent.verdict(status, headers, &io.published)? {
        Some(refusal) => {
            let settlement = challenge(session, Challenge { waiter, refusal }, io)?;
            sent.healed(session.config(), settlement)
        }
        None => Ok(Seen::Final),
    }
}

/// Ends a session: whatever lease it holds is given back, so that no other session of this process
/// waits for it. A process that ends itself needs no such thing.
pub fn leave<H: Http, L: Listener>(session: Session, io: &Io<H, L>) {
    io.common.leave(session.leave());
    drop(session);
}

fn settle<H: Http, L: Listener>(
    session: &mut Session,
    first: Input,
    me: WaiterId,
    io: &mut Io<H, L>,
) -> Result<Settlement, DriveError> {
    let mut inbox = VecDeque::from([first]);
    let mut settled = None;
    if io.steps.is_none() {
        io.steps = io.common.steps(session.config());
    }
    loop {
        let Some(input) = inbox.pop_front().or_else(|| io.arrived()) else {
            if let Some(settlement) = settled {
                return Ok(settlement);
            }
            let deadline = session.deadline().ok_or(DriveError::Stalled)?;
            inbox.push_back(io.wait_until(deadline));
            continue;
        };
        let env = io.common.env()?;
        let effects = handle(session, io.steps.as_mut(), input, env)?;
        let Sorted { work, .. } =
            io.outbox.sort(effects, session.deadline().is_none(), &io.published);
        while let Some(word) = io.outbox.next_word() {
            match word {
                Word::Settle(settlement) if settlement.waiter == me => settled = Some(settlement),
                word => word.say(&*io.common.observer),
            }
        }
        for work in work {
            inbox.push_back(io.perform(work));
        }
    }
}
