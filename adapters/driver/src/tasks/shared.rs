//! The state that callers and the runner share.

use std::sync::Arc;

use futures_channel::{mpsc, oneshot};
use mcp_authz_core::effect::TicketId;
use mcp_authz_core::input::{Input, WaiterId};

use crate::arrivals::Listening;
use crate::error::DriveError;
use crate::loops::{Driven as _, Kept, Loop, State, UnderWay, Workers};
use crate::ports::Ports;

/// The loop of async programs.
pub struct Tasks<H, L, R> {
    pub(super) kept: Kept<Runner, Ports<H, L, R>>,
}

/// The task that does the work, and who waits for its rest.
#[derive(Default)]
pub struct Runner {
    /// Told when no work is in flight.
    pub(super) quiet: Vec<oneshot::Sender<()>>,
    /// Wakes the runner, if one runs.
    pub(super) kicks: Option<mpsc::Sender<()>>,
}

impl Workers for Runner {
    fn gone(&self) -> bool {
        self.quiet.is_empty() && self.kicks.is_none()
    }

    fn kick(&mut self) {
        if let Some(runner) = &mut self.kicks {
            let _kicked_already = runner.try_send(());
        }
    }
}

impl UnderWay<Runner> {
    /// Settles everybody with what stopped the driver: nobody is left to settle them otherwise.
    fn give_up(&mut self, error: DriveError) {
        for (_, settle) in self.mail.drain() {
            settle(Err(error));
        }
        self.workers.quiet.clear();
        self.outbox.give_up();
    }
}

impl State<Runner> {
    /// Returns true if there is anything to run for.
    pub(super) fn restless(&mut self) -> bool {
        let queued = self.busy().is_some_and(|at| !at.queue.is_empty());
        queued || (!self.is_closed() && self.session.deadline().is_some())
    }

    /// The runner is gone, and if it could not go on, nobody gets what they wait for.
    pub(super) fn left(&mut self, why: Option<DriveError>) {
        let at = self.under_way();
        at.workers.kicks = None;
        if let Some(why) = why {
            at.give_up(why);
        }
        self.rest();
    }
}

impl<H, L, R> Tasks<H, L, R>
where
    Self: Loop<Workers = Runner>,
{
    /// Something to wait for until no work is in flight, unless that is so now.
    pub(crate) fn quiet(&self) -> Option<oneshot::Receiver<()>> {
        let mut state = self.lock();
        let at = state.busy().filter(|at| at.workers.kicks.is_some())?;
        at.outbox.not_here().ok()?;
        let (sender, receiver) = oneshot::channel();
        at.workers.quiet.push(sender);
        // The runner may be asleep with nothing in flight.
        at.workers.kick();
        Some(receiver)
    }

    pub(super) fn bound(&self, id: TicketId, bound: Option<Listening>) {
        let superfluous = self.lock().under_way().outbox.bound(id, bound);
        drop(superfluous);
    }
}

/// A waiter's mailbox. Dropped unsettled, it cancels that one wait; a refresh or a login that others
/// share goes on.
pub(super) struct CancelOnDrop<'a, S: Loop> {
    pub(super) shared: &'a Arc<S>,
    pub(super) waiter: WaiterId,
}

impl<S: Loop> Drop for CancelOnDrop<'_, S> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let unsettled = state.under_way().mail.remove(&self.waiter).is_some();
        state.rest();
        drop(state);
        if unsettled {
            let _without_random_bytes_it_times_out =
                self.shared.offer(|_| Input::Cancel(self.waiter));
        }
    }
}
