//! The callback listener for async runtimes: a runtime's sockets in, the same conversation as on
//! threads.

use core::future::Future;
use core::pin::pin;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_channel::oneshot;
use futures_util::future::{AbortHandle, Abortable, Either, Fuse, FutureExt, select};
use futures_util::select_biased;
use futures_util::stream::{FuturesUnordered, SelectAll, StreamExt, unfold};
use mcp_authz_core::effect::ListenOn;
use mcp_authz_driver::arrivals::{Arrivals, Listening, PageSink};
use mcp_authz_driver::ports::Runtime;

use crate::conversation::{Conversation, Heard, Rule};
use crate::listener::{MOST, REST, TO_ANSWER, TO_SEND, TO_TAKE};
use crate::{loopback, page};

/// A runtime's listening socket.
pub trait Door: Sized + Send + 'static {
    /// Its connections.
    type Guest: Guest;

    /// Takes over a bound socket.
    ///
    /// # Errors
    /// Whatever the runtime says; nothing listens then.
    fn open(listener: TcpListener) -> io::Result<Self>;

    /// The next connection.
    fn admit(&self) -> impl Future<Output = io::Result<Self::Guest>> + Send;
}

/// A runtime's connection. Dropping it closes it.
pub trait Guest: Send + 'static {
    /// Reads some bytes; none at the end.
    fn read(&mut self, into: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;

    /// Writes all bytes and ends the writing side.
    fn finish(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send;
}

/// Binds the loopback addresses that the redirect URI means and serves them with a task of its own.
///
/// # Errors
/// If nothing could be bound; `AddrInUse` if something else has the port.
pub async fn bind<D: Door, R: Runtime + Clone>(
    on: &ListenOn,
    arrivals: Arrivals,
    runtime: &R,
) -> io::Result<Listening> {
    let bound = loopback::bind(on)?;
    let rule = Arc::new(Rule::new(on, bound.port));
    let doors: io::Result<Vec<D>> = bound.listeners.into_iter().map(D::open).collect();
    let (guard, closed) = oneshot::channel::<()>();
    let serve = serve(doors?, rule, arrivals, runtime.clone(), closed);
    runtime.spawn(serve);
    Ok(Listening::new(bound.port, guard))
}

/// Serves until the guard is dropped, and then for as long as an arrival waits for its page.
async fn serve<D: Door, R: Runtime + Clone>(
    doors: Vec<D>,
    rule: Arc<Rule>,
    arrivals: Arrivals,
    runtime: R,
    closed: oneshot::Receiver<()>,
) {
    let mut coming = SelectAll::new();
    for door in doors {
        let runtime = runtime.clone();
        coming.push(Box::pin(unfold((door, runtime), |(door, runtime)| async move {
            let guest = door.admit().await.ok();
            if guest.is_none() {
                // Out of descriptors, perhaps: no reason to spin.
                runtime.sleep(Duration::from_millis(50)).await;
            }
            Some((guest, (door, runtime)))
        })));
    }
    let mut closed = closed.fuse();
    let mut house = House { present: VecDeque::new(), count: 0 };
    let mut conversations = FuturesUnordered::new();
    loop {
        select_biased! {
            _ = closed => break,
            left = conversations.select_next_some() => house.leave(left),
            guest = coming.select_next_some() => {
                if let Some((guest, place)) = guest.and_then(|guest| Some((guest, house.admit()?))) {
                    let (rule, arrivals) = (Arc::clone(&rule), arrivals.clone());
                    let reported = place.reported;
                    let receive = receive(guest, rule, arrivals, runtime.clone(), reported);
                    let id = place.id;
                    conversations.push(Abortable::new(receive, place.abort).map(move |_| id));
                }
            }
        }
    }
    drop(coming);
    house.close();
    while conversations.next().await.is_some() {}
}

struct House {
    present: VecDeque<Present>,
    count: u64,
}

struct Present {
    id: u64,
    abort: AbortHandle,
    reported: Arc<AtomicBool>,
}

struct Place {
    id: u64,
    abort: futures_util::future::AbortRegistration,
    reported: Arc<AtomicBool>,
}

impl House {
    fn admit(&mut self) -> Option<Place> {
        if self.present.len() >= MOST {
            let silent = |guest: &Present| !guest.reported.load(Ordering::Relaxed);
            let oldest = self.present.iter().position(silent)?;
            self.present.remove(oldest)?.abort.abort();
        }
        let (handle, abort) = AbortHandle::new_pair();
        let reported = Arc::new(AtomicBool::new(false));
        self.count = self.count.wrapping_add(1);
        let id = self.count;
        self.present.push_back(Present { id, abort: handle, reported: Arc::clone(&reported) });
        Some(Place { id, abort, reported })
    }

    fn leave(&mut self, id: u64) {
        self.present.retain(|guest| guest.id != id);
    }

    fn close(&self) {
        for guest in &self.present {
            if !guest.reported.load(Ordering::Relaxed) {
                guest.abort.abort();
            }
        }
    }
}

async fn receive<G: Guest, R: Runtime>(
    mut guest: G,
    rule: Arc<Rule>,
    arrivals: Arrivals,
    runtime: R,
    reported: Arc<AtomicBool>,
) {
    let mut conversation = Conversation::new(&rule);
    let heard = within(&runtime, TO_SEND, listen(&mut guest, &mut conversation)).await.flatten();
    let answer = match heard {
        None | Some(Heard::More) => return,
        Some(Heard::Answer(answer)) => answer,
        Some(Heard::Arrived(callback)) => {
            reported.store(true, Ordering::Relaxed);
            let (sender, shown) = oneshot::channel();
            let sink = PageSink::new(move |page| {
                let _browser_is_gone = sender.send(page);
            });
            arrivals.report(callback, sink);
            let shown = within(&runtime, TO_ANSWER, shown).await.and_then(Result::ok);
            shown.map_or_else(page::nobody, |shown| page::page(&shown))
        }
    };
    within(&runtime, TO_TAKE, give(&mut guest, &answer)).await;
}

async fn listen<G: Guest>(guest: &mut G, conversation: &mut Conversation<'_>) -> Option<Heard> {
    let mut piece = [0; 1024];
    loop {
        let length = guest.read(&mut piece).await.ok().filter(|length| *length > 0)?;
        match conversation.hear(piece.get(..length)?) {
            Heard::More => {}
            heard => return Some(heard),
        }
    }
}

/// Writes the answer and waits for the browser to have taken it.
async fn give<G: Guest>(guest: &mut G, answer: &[u8]) -> Option<()> {
    guest.finish(answer).await.ok()?;
    let mut rest = REST;
    let mut piece = [0; 1024];
    while rest > 0 {
        let length = guest.read(&mut piece).await.ok().filter(|length| *length > 0)?;
        rest = rest.saturating_sub(length);
    }
    Some(())
}

async fn within<T>(
    runtime: &impl Runtime,
    time: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let sleep: Fuse<_> = runtime.sleep(time).fuse();
    match select(pin!(work), pin!(sleep)).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}
