//! The task that does the work, for as long as there is any.

use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use futures_channel::mpsc;
use futures_util::future::{Either, FutureExt, pending};
use futures_util::select_biased;
use futures_util::stream::{FuturesUnordered, StreamExt};
use mcp_authz_core::effect::{Signature, Stored, Work};
use mcp_authz_core::failure::Kind;
use mcp_authz_core::input::Input;

use super::shared::Tasks;
use crate::arrivals::Listening;
use crate::error::DriveError;
use crate::loops::Driven as _;
use crate::ports::{AsyncHttp, AsyncListener, Runtime};

/// Says that a runner runs. However it ends, even unpolled with its runtime, the next step may start
/// another, and whoever waits is told unless the runner left in order.
pub struct Running<H: AsyncHttp, L: AsyncListener, R: Runtime> {
    shared: Arc<Tasks<H, L, R>>,
    why: Option<DriveError>,
}

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> Running<H, L, R> {
    pub(super) const fn new(shared: Arc<Tasks<H, L, R>>) -> Self {
        Self { shared, why: Some(DriveError::Stopped) }
    }
}

impl<H: AsyncHttp, L: AsyncListener, R: Runtime> Drop for Running<H, L, R> {
    fn drop(&mut self) {
        if self.why.is_some() {
            self.shared.lock().left(self.why);
        }
    }
}

/// Held by a runner and by whatever the store does for it.
struct InFlight<H: AsyncHttp, L: AsyncListener, R: Runtime> {
    shared: Arc<Tasks<H, L, R>>,
    done: AtomicBool,
}

/// The runner was dropped at its work, as with its runtime, and the last operation of the store is
/// over too. Nobody else gives back the session's leases, unless whoever holds the session drops it.
impl<H: AsyncHttp, L: AsyncListener, R: Runtime> Drop for InFlight<H, L, R> {
    fn drop(&mut self) {
        if !*self.done.get_mut() {
            let leave = self.shared.lock().session.leave();
            self.shared.kept.common.leave(leave);
        }
    }
}

pub(super) async fn run<H: AsyncHttp, L: AsyncListener, R: Runtime>(
    mut running: Running<H, L, R>,
    mut kicks: mpsc::Receiver<()>,
) {
    let shared = Arc::clone(&running.shared);
    let done = AtomicBool::new(false);
    let in_flight = Arc::new(InFlight { shared: Arc::clone(&shared), done });
    let mut doing = FuturesUnordered::new();
    loop {
        let deadline = {
            let mut state = shared.lock();
            let at = state.under_way();
            for work in at.queue.drain(..) {
                doing.push(perform(Arc::clone(&in_flight), work));
            }
            if doing.is_empty() {
                for quiet in at.workers.quiet.drain(..) {
                    let _nobody_left = quiet.send(());
                }
                if !state.restless() {
                    // Under the lock: a step that comes after this starts a runner of its own.
                    state.left(None);
                    running.why = None;
                    in_flight.done.store(true, Ordering::Relaxed);
                    return;
                }
            }
            state.session.deadline()
        };
        let sleep = match deadline {
            Some(deadline) => {
                let left = shared.kept.clock().mono().until(deadline.at);
                Either::Left(shared.kept.ports.runtime.sleep(left))
            }
            None => Either::Right(pending()),
        };
        let mut sleep = pin!(sleep.fuse());
        let input = select_biased! {
            input = doing.select_next_some() => input,
            () = kicks.select_next_some() => continue,
            () = sleep => Input::Wake,
        };
        if let Err(error) = shared.offer(|_| input) {
            running.why = Some(error);
            return;
        }
    }
}

async fn perform<H: AsyncHttp, L: AsyncListener, R: Runtime>(
    in_flight: Arc<InFlight<H, L, R>>,
    work: Work,
) -> Input {
    let shared = &in_flight.shared;
    let ports = &shared.kept.ports;
    match work {
        Work::Call(call) => {
            let (request, limits, ticket) = call.split();
            let proxy = ports.http.proxy(request.uri());
            ticket.answer_by(ports.http.send(request, &limits).await, proxy)
        }
        Work::Listen(listen) => {
            let (on, ticket) = listen.split();
            let listening = ports.listener.bind(&on, shared.arrivals()).await;
            let bound = Listening::outcome(&listening);
            shared.bound(ticket.id(), listening.ok());
            ticket.answer(bound)
        }
        Work::Store(op) => {
            let (request, ticket) = op.split();
            let held = Arc::clone(&in_flight);
            let perform = move || held.shared.kept.common.store.perform(request);
            let stored = ports.runtime.blocking(perform).await;
            ticket.answer(stored.unwrap_or(Stored::Failed(Kind::StoreUnavailable)))
        }
        Work::Sign(sign) => {
            let (request, ticket) = sign.split();
            let signer = Arc::clone(&shared.kept.common.signer);
            let signed = ports.runtime.blocking(move || signer.sign(request)).await;
            ticket.answer(signed.unwrap_or(Signature::Unavailable))
        }
    }
}
