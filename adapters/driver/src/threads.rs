//! The loop for threads that share a session.
//!
//! The session's lock is held for [`Session::handle`], publishing and handing out settlements, never
//! for work. A caller that waits does whatever work there is; what nobody is free to do goes to a
//! helper thread that lives as long as there is something to attend to. So no caller waits behind
//! another's person, and a refresh outlives the caller that began it.
//!
//! [`Session::handle`]: mcp_authz_core::Session::handle

#[cfg(feature = "transport")]
use core::fmt;
use core::future::{Future, ready};
use core::time::Duration;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;

use bytes::Bytes;
#[cfg(feature = "transport")]
use futures_util::StreamExt as _;
use http::{Request, Uri};
use mcp_authz_core::effect::{Forgotten, Limits, Page, Settlement, Why};
use mcp_authz_core::input::{Callback, Input, WaiterId};
#[cfg(feature = "transport")]
use serde_json::Value;

use crate::arrivals::PageSink;
use crate::error::DriveError;
use crate::loops::{Driven as _, KeptBy, Loop, Settle, State};
#[cfg(feature = "transport")]
use crate::parked::{Sleep, block_on};
use crate::ports::{Body, Http, Listener, Opened};
use crate::reading::Incoming;
use crate::sync::Condvar;
#[cfg(feature = "transport")]
use crate::transport::{self, Task, TransportError};

mod shared;

pub use shared::Threads;
use shared::{Hands, Purpose};

/// How long the end of a stream may follow its last message; the caller waits for it.
#[cfg(feature = "transport")]
const A_MOMENT: Duration = Duration::from_millis(10);

impl<H: Http, L: Listener> Loop for Threads<H, L> {
    type Http = H;
    type Listener = L;
    type Runtime = ();
    type Body = Box<dyn Body>;
    type Adapter = H;
    #[cfg(feature = "transport")]
    type Messages = Messages;
    type Workers = Hands;
    type Hands = usize;

    fn make(kept: KeptBy<Self>) -> Self {
        Self { kept, turned: Condvar::new() }
    }

    fn kept(&self) -> &KeptBy<Self> {
        &self.kept
    }

    fn call(self: &Arc<Self>, state: &mut State<Hands>, attends: bool) -> usize {
        state.call_help(attends)
    }

    fn put_to_work(self: &Arc<Self>, helpers: usize) {
        (0..helpers).for_each(|_| self.help());
    }

    fn turned(&self) {
        self.turned.notify_all();
    }

    fn wait(
        self: &Arc<Self>,
        me: WaiterId,
        first: Input,
    ) -> impl Future<Output = Result<Settlement, DriveError>> + Send {
        ready(self.queue_up(me, first).and_then(|place| place.settled()))
    }

    /// A thread of its own waits, and works meanwhile.
    fn begin(
        self: &Arc<Self>,
        waiter: WaiterId,
        first: Input,
        told: Settle,
    ) -> Result<(), DriveError> {
        let place = self.queue_up(waiter, first)?;
        let wait = move || told(place.settled());
        let waiting = thread::Builder::new().name("mcp-authz-login".to_owned()).spawn(wait);
        // Without a thread the place is empty, and nobody waits there.
        let begun = waiting.map(drop).map_err(|_| DriveError::Stopped);
        begun.inspect_err(|_| {
            let _without_random_bytes_it_times_out = self.offer(|_| Input::Cancel(waiter));
        })
    }

    fn deliver(
        self: &Arc<Self>,
        callback: Callback,
    ) -> impl Future<Output = Result<Page, DriveError>> + Send + use<H, L> {
        let (sender, page) = mpsc::channel();
        let sink = PageSink::new(move |page| {
            let _nobody_left = sender.send(page);
        });
        let handed_in = self.kept.may_wait();
        let handed_in =
            handed_in.and_then(|()| self.offer(|outbox| outbox.arrival(callback, sink)));
        ready(handed_in.and_then(|()| page.recv().map_err(|_| DriveError::Stalled)))
    }

    /// Attends until it has ended.
    fn log_out(self: &Arc<Self>) -> impl Future<Output = Result<Forgotten, DriveError>> + Send {
        let heard = Arc::new(OnceLock::new());
        let hears = Arc::clone(&heard);
        let farewell = Box::new(move |forgotten| {
            let _only_once = hears.set(forgotten);
        });
        let seat = self.seat(None);
        let attended = self
            .step(|outbox| outbox.log_out(farewell), true)
            .and_then(|()| seat.attend(Purpose::Wait(&|| heard.get().is_some())));
        ready(attended.and_then(|()| heard.get().cloned().ok_or(DriveError::Stalled)))
    }

    fn open(
        http: &H,
        request: Request<Vec<u8>>,
        limits: &Limits,
    ) -> impl Future<Output = Opened<Box<dyn Body>>> + Send {
        ready(http.open(request, limits))
    }

    fn proxy(http: &H, uri: &Uri) -> Option<Arc<str>> {
        http.proxy(uri)
    }

    fn piece(
        body: &mut Incoming<Box<dyn Body>>,
        within: Duration,
    ) -> impl Future<Output = Result<Option<Bytes>, Why>> + Send {
        ready(body.piece(within))
    }

    #[cfg(feature = "transport")]
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        Sleep::new(time)
    }

    #[cfg(feature = "transport")]
    fn spawn(&self, task: Task) {
        let thread = thread::Builder::new().name("mcp-authz-transport".to_owned());
        // Without a thread the task is dropped, and whoever waits for it is told.
        let _dropped_with_the_error = thread.spawn(move || block_on(task));
    }

    #[cfg(feature = "transport")]
    async fn finish(&self, mut body: Incoming<Box<dyn Body>>) {
        let _or_it_is_closed = body.piece(A_MOMENT);
    }
}

/// The server's messages, one by one. An error is the last item.
#[cfg(feature = "transport")]
pub struct Messages(transport::Messages);

#[cfg(feature = "transport")]
impl From<transport::Messages> for Messages {
    fn from(messages: transport::Messages) -> Self {
        Self(messages)
    }
}

#[cfg(feature = "transport")]
impl Iterator for Messages {
    type Item = Result<Value, TransportError>;

    fn next(&mut self) -> Option<Self::Item> {
        block_on(self.0.next())
    }
}

#[cfg(feature = "transport")]
impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Messages")
    }
}
