//! The callback listener for async runtimes: a runtime's sockets in, the same conversation as on
//! threads.

use core::future::Future;
use core::pin::pin;
use core::time::Duration;
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_channel::oneshot;
use futures_util::future::{
    AbortHandle, AbortRegistration, Abortable, Either, Fuse, FutureExt, select,
};
use futures_util::select_biased;
use futures_util::stream::{FuturesUnordered, SelectAll, StreamExt, unfold};
use mcp_authz_core::effect::ListenOn;
use mcp_authz_driver::arrivals::{Arrivals, Listening, PageSink};
use mcp_authz_driver::ports::Runtime;

use crate::conversation::{Conversation, Heard, Rule};
use crate::guests::Guests;
use crate::listener::{REST, TO_ANSWER, TO_SEND, TO_TAKE};
use crate::loopback;
use crate::page::PageText;

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

/// Binds the loopback addresses that the redirect URI means and serves them with a task of its own,
/// which shows pages with these words.
///
/// # Errors
/// If nothing could be bound; `AddrInUse` if something else has the port.
pub async fn bind<D: Door, R: Runtime + Clone>(
    on: &ListenOn,
    arrivals: Arrivals,
    runtime: &R,
    text: &PageText,
) -> io::Result<Listening> {
    let bound = loopback::bind(on)?;
    let rule = Arc::new(Rule::new(on, bound.port, text.clone()));
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
    let house = House::default();
    let mut conversations = FuturesUnordered::new();
    let mut at_the_door = None;
    loop {
        // The next one is let in when this one is.
        let (mut pause, mut next) = (Fuse::terminated(), Fuse::terminated());
        match at_the_door.take().map(|guest| house.admit(guest)) {
            Some(Ok((guest, place))) => {
                let (rule, arrivals) = (Arc::clone(&rule), arrivals.clone());
                let receive =
                    receive(guest, rule, arrivals, runtime.clone(), house.clone(), place.id);
                let id = place.id;
                conversations.push(Abortable::new(receive, place.end).map(move |_| id));
                next = coming.select_next_some().fuse();
            }
            Some(Err((guest, until_then))) => {
                at_the_door = Some(guest);
                pause = runtime.sleep(until_then).fuse();
            }
            None => next = coming.select_next_some().fuse(),
        }
        let mut pause = pin!(pause);
        select_biased! {
            _ = closed => break,
            left = conversations.select_next_some() => house.guests().leave(left),
            () = pause => {}
            guest = next => at_the_door = guest,
        }
    }
    drop(coming);
    house.guests().silent().for_each(AbortHandle::abort);
    while conversations.next().await.is_some() {}
}

#[derive(Clone, Default)]
struct House(Arc<Mutex<Guests<AbortHandle>>>);

struct Place {
    id: u64,
    end: AbortRegistration,
}

impl House {
    fn guests(&self) -> MutexGuard<'_, Guests<AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a connection in, or says for how long it is to wait.
    fn admit<G>(&self, guest: G) -> Result<(G, Place), (G, Duration)> {
        let mut guests = self.guests();
        let now = Instant::now();
        match guests.make_room(now) {
            Ok(pushed_out) => {
                if let Some(handle) = pushed_out {
                    handle.abort();
                }
                let (handle, end) = AbortHandle::new_pair();
                let id = guests.admit(handle);
                Ok((guest, Place { id, end }))
            }
            Err(pause) => Err((guest, pause)),
        }
    }
}

async fn receive<G: Guest, R: Runtime>(
    mut guest: G,
    rule: Arc<Rule>,
    arrivals: Arrivals,
    runtime: R,
    house: House,
    id: u64,
) {
    house.guests().heard(id, Instant::now());
    let mut conversation = Conversation::new(&rule);
    let heard = within(&runtime, TO_SEND, listen(&mut guest, &mut conversation)).await.flatten();
    let answer = match heard {
        None | Some(Heard::More) => return,
        Some(Heard::Answer(answer)) => answer,
        Some(Heard::Arrived(callback)) => {
            if !house.guests().reported(id) {
                return;
            }
            let (sender, shown) = oneshot::channel();
            let sink = PageSink::new(move |page| {
                let _browser_is_gone = sender.send(page);
            });
            arrivals.report(callback, sink);
            let shown = within(&runtime, TO_ANSWER, shown).await.and_then(Result::ok);
            shown.map_or_else(|| rule.pages().nobody(), |shown| rule.pages().page(&shown))
        }
    };
    house.guests().answered(id);
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
