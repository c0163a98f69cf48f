//! HTTP+SSE: one stream on which everything comes, and an endpoint to which everything is posted.
//!
//! One reader takes the stream apart: responses go to whoever waits for them, everything else to
//! whoever listens. When the stream breaks, all who wait hear of it; the next request opens another.

use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_channel::oneshot;
use futures_util::StreamExt;
use futures_util::future::select;
use futures_util::stream;
use mcp_authz_core::effect::Why;
use serde_json::Value;
use url::Url;

use super::answer::{self, Form};
use super::endpoint;
use super::error::{TransportError, lost};
use super::line::{Line, Messages, Within};
use super::mailbox::Mailbox;
use super::refused::Refused;
use super::rpc::{self, Sort};
use super::settings::Bounds;
use super::weight::{Unread, Weighed, weigh};
use crate::ports::AsyncBody;
use crate::sse::{Decoder, Event};

/// Messages that wait for a listener. While there are more, the stream is left unread.
const WAITING: usize = 256;

/// The outcome of posting a message.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// The server has it.
    Accepted,
    /// The server does not know the stream any more, so nothing was done.
    Gone,
    /// It was refused, perhaps with a response.
    Refused(Refused),
}

/// An open stream. Dropping it ends its reader.
#[derive(Debug)]
pub(crate) struct Bus {
    endpoint: Url,
    shared: Arc<Shared>,
    /// The bytes that may wait for a listener, counted as values in memory.
    most: usize,
    /// Its end ends the reader.
    _stop: oneshot::Sender<()>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    stopped: AtomicBool,
}

type Response = oneshot::Sender<Result<Value, TransportError>>;

#[derive(Debug, Default)]
struct State {
    mail: HashMap<u64, Response>,
    listener: Option<Arc<Mailbox<Value>>>,
    /// Why nothing comes any more.
    over: Option<TransportError>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing comes any more; the first reason counts.
    fn end(&self, why: TransportError) {
        let mut state = self.lock();
        let why = state.over.get_or_insert(why).clone();
        let listener = state.listener.take();
        let waiting: Vec<Response> = state.mail.drain().map(|(_, response)| response).collect();
        drop(state);
        if let Some(listener) = listener {
            listener.close();
        }
        // The server has the requests that wait; it has none of those that come later.
        let why = if matches!(why, TransportError::Closed) { lost(Why::Abandoned) } else { why };
        for response in waiting {
            let _nobody_left = response.send(Err(why.clone()));
        }
    }

    /// Waits until whoever listens has room for so much.
    async fn room(&self, bytes: usize) {
        while let Some(listener) = self.listener() {
            if listener.room(bytes).await {
                return;
            }
            self.leave(&listener);
        }
    }

    fn listener(&self) -> Option<Arc<Mailbox<Value>>> {
        self.lock().listener.clone()
    }

    /// Nobody listens there any more; somebody else may by now.
    fn leave(&self, listener: &Arc<Mailbox<Value>>) {
        let mut state = self.lock();
        if state.listener.as_ref().is_some_and(|other| Arc::ptr_eq(other, listener)) {
            state.listener = None;
        }
    }

    /// Gives a message to whoever is to have it; hands back a request that nobody hears.
    fn dispatch(&self, message: Value, bytes: usize) -> Option<Value> {
        let id = message.get("id").and_then(Value::as_u64);
        let sort = rpc::sort(&message)?;
        if sort == Sort::Response {
            let waiting = id.and_then(|id| self.lock().mail.remove(&id))?;
            let _nobody_left = waiting.send(Ok(message));
            return None;
        }
        let mut message = message;
        while let Some(listener) = self.listener() {
            message = listener.put(message, bytes).err()?;
            self.leave(&listener);
        }
        (sort == Sort::Request).then_some(message)
    }
}

/// One response that is waited for.
#[derive(Debug)]
pub(crate) struct Mail {
    id: u64,
    shared: Arc<Shared>,
    response: oneshot::Receiver<Result<Value, TransportError>>,
}

impl Mail {
    pub(crate) async fn wait(mut self) -> Result<Value, TransportError> {
        (&mut self.response).await.unwrap_or_else(|_| Err(lost(Why::Abandoned)))
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        self.shared.lock().mail.remove(&self.id);
    }
}

/// The reader of a stream. Callers that wait are told of its end, however it ends.
struct Reader(Arc<Shared>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.end(lost(Why::Abandoned));
    }
}

/// A reader on a thread of its own looks only between two pieces whether anybody needs it.
impl Drop for Bus {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Bus {
    /// Reads a stream aside. Requests on it that nobody hears are handed to `decline`.
    pub(crate) fn new<L: Line>(
        line: &L,
        endpoint: Url,
        opened: Opened<L::Body>,
        decline: impl Fn(Value) + Send + 'static,
    ) -> Self {
        let (shared, most) = (Arc::new(Shared::default()), opened.bounds.event);
        let (stop, stopped) = oneshot::channel();
        let reader = Reader(Arc::clone(&shared));
        line.spawn(Box::pin(async move {
            let reading = pin!(opened.distribute(&reader.0, decline));
            select(stopped, reading).await;
        }));
        Self { endpoint, shared, most, _stop: stop }
    }

    pub(crate) fn endpoint(&self) -> &str {
        self.endpoint.as_str()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.shared.lock().over.is_some()
    }

    /// The server does not know it any more.
    pub(crate) fn gone(&self) {
        self.shared.end(TransportError::SessionLost { maybe_executed: true });
        self.stop();
    }

    pub(crate) fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.end(TransportError::Closed);
    }

    /// A place for the response to a request; none if nothing comes any more, so that it is not sent.
    pub(crate) fn expect(&self, id: u64) -> Option<Mail> {
        let (sender, response) = oneshot::channel();
        let mut state = self.shared.lock();
        if state.over.is_some() {
            return None;
        }
        state.mail.insert(id, sender);
        drop(state);
        Some(Mail { id, shared: Arc::clone(&self.shared), response })
    }

    /// The messages that belong to no request. A listener that came before is told no more.
    pub(crate) fn listen(&self) -> Messages {
        let (mailbox, receiver) = Mailbox::new(WAITING, self.most);
        let mut state = self.shared.lock();
        let before =
            if state.over.is_none() { state.listener.replace(mailbox) } else { Some(mailbox) };
        drop(state);
        if let Some(before) = before {
            before.close();
        }
        let shared = Arc::clone(&self.shared);
        let end = stream::once(async move {
            let over = shared.lock().over.clone();
            over.filter(|over| !matches!(over, TransportError::Closed))
        });
        receiver.map(Ok).chain(end.filter_map(|over| async { over.map(Err) })).boxed()
    }
}

/// A stream whose endpoint is known.
pub(crate) struct Opened<B> {
    body: B,
    decoder: Decoder,
    bounds: Bounds,
    /// The events of the last piece, or those that came with the endpoint, that are not read yet.
    events: VecDeque<Event<'static>>,
}

impl<B: AsyncBody> Opened<B> {
    /// Waits for the first event, which names the endpoint (TRANS-30..33).
    pub(crate) async fn read<L: Line>(
        answer: http::Response<B>,
        line: &L,
        bounds: &Bounds,
    ) -> Result<(Url, Self), TransportError> {
        let (status, url) = (answer.status(), line.url());
        if !status.is_success() {
            return Err(TransportError::Status { status, said: None });
        }
        if answer::form(answer.headers()) != Form::Events {
            return Err(TransportError::Malformed("it is no stream of events"));
        }
        let within = Within::new(line.now(), bounds.head, bounds.idle);
        let (mut body, mut decoder) = (answer.into_body(), Decoder::new(bounds.event));
        loop {
            let not_asked = |why| TransportError::Lost { why, maybe_executed: false };
            let piece = within.piece(line.now(), &mut body).await.map_err(not_asked)?;
            let piece = piece.ok_or(TransportError::Malformed("it ends before its endpoint"))?;
            let events = decoder.feed(&piece).map_err(|_| TransportError::TooLarge)?;
            let mut events = VecDeque::from(events);
            if let Some(first) = events.pop_front() {
                let (kind, data): (&str, &str) = (&first.kind, &first.data);
                if kind != "endpoint" {
                    return Err(TransportError::Malformed("it does not begin with an endpoint"));
                }
                let endpoint = endpoint::announced(url, data)?;
                return Ok((endpoint, Self { body, decoder, bounds: *bounds, events }));
            }
        }
    }

    /// The text of the next message and what it takes as a value; an error is the end. Text that is
    /// no message is skipped: there is nobody to be told of it.
    async fn next(&mut self) -> Result<(Weighed, String), TransportError> {
        loop {
            let Some(event) = self.events.pop_front() else {
                let piece = self.body.piece(self.bounds.idle).await.map_err(lost)?;
                let piece = piece.ok_or_else(|| lost(Why::Broken))?;
                let events = self.decoder.feed(&piece).map_err(|_| TransportError::TooLarge)?;
                self.events = events.into();
                continue;
            };
            if event.kind != "message" {
                continue;
            }
            match weigh(rpc::unmarked(event.data.as_bytes()), self.bounds.event) {
                Ok(weighed) => return Ok((weighed, event.data.into_owned())),
                Err(Unread::TooHeavy) => return Err(TransportError::TooLarge),
                Err(Unread::Malformed) => {}
            }
        }
    }

    fn values(&self, text: &str) -> Vec<Value> {
        rpc::messages(text.as_bytes(), self.bounds.event).unwrap_or_default()
    }

    /// The next messages; an error is the end.
    #[cfg(feature = "async")]
    pub(crate) async fn messages(&mut self) -> Result<Vec<Value>, TransportError> {
        let (_, text) = self.next().await?;
        Ok(self.values(&text))
    }

    async fn distribute(mut self, shared: &Shared, decline: impl Fn(Value)) {
        while !shared.stopped.load(Ordering::Acquire) {
            match self.next().await {
                Ok((weighed, text)) => {
                    // Before it is read, so that it is not held beside what waits already.
                    if weighed.asks {
                        shared.room(weighed.bytes).await;
                    }
                    for message in self.values(&text) {
                        if let Some(unheard) = shared.dispatch(message, weighed.bytes) {
                            decline(unheard);
                        }
                    }
                }
                Err(why) => return shared.end(why),
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use core::task::{Context, Poll};
    use core::time::Duration;

    use bytes::Bytes;
    use futures_util::FutureExt as _;
    use futures_util::task::noop_waker;

    use super::*;

    const LIMIT: usize = 4 * 1024 * 1024;
    const MIB: u64 = 1024 * 1024;

    /// A body of these pieces, which are made when they are wanted.
    struct Pieces<I>(I);

    impl<I: Iterator<Item = Bytes> + Send + 'static> AsyncBody for Pieces<I> {
        async fn piece(&mut self, _: Duration) -> Result<Option<Bytes>, Why> {
            Ok(self.0.next())
        }
    }

    fn told(number: usize, params: &str) -> Bytes {
        format!("data: {{\"method\":\"m{number}\",\"params\":{params}}}\n\n").into()
    }

    /// The most that is held while nobody fetches anything, and then all that was fetched.
    fn held(
        pieces: impl Iterator<Item = Bytes> + Send + 'static,
    ) -> (u64, usize, Option<&'static str>) {
        let bounds = Bounds { event: LIMIT, ..Bounds::default() };
        let (mailbox, mut listener) = Mailbox::new(WAITING, LIMIT);
        let shared = Shared::default();
        shared.lock().listener = Some(mailbox);
        let (decoder, events) = (Decoder::new(LIMIT), VecDeque::new());
        let opened = Opened { body: Pieces(pieces), decoder, bounds, events };
        let mut reading = pin!(opened.distribute(&shared, |_| ()));
        let waker = noop_waker();
        let mut context = Context::from_waker(&waker);
        let mut read = || reading.as_mut().poll(&mut context);
        let mut first = Poll::Pending;
        let counted = allocation_counter::measure(|| first = read());
        let mut fetched = 0;
        loop {
            while let Some(Some(_)) = listener.next().now_or_never() {
                fetched += 1;
            }
            if first.is_ready() {
                break;
            }
            first = read();
        }
        let over = shared.lock().over.as_ref().map(TransportError::code);
        (counted.bytes_max, fetched, over)
    }

    #[test]
    fn a_slow_listener_has_the_limit_held_for_it_and_no_more_host_322() {
        // Of messages that take 60 times, 100 times or once what their text does.
        for (params, size) in [
            (format!("[{}]", vec!["0"; 15_000].join(",")), 60),
            (format!("[{}]", vec![r#"{"a":0}"#; 1_000].join(",")), 200),
            (format!("[\"{}\"]", "x".repeat(800 * 1024)), 20),
            ("{}".to_owned(), 5_000),
        ] {
            let (text, named) = ((params.len() as u64 + 64) * 3, format!("{params:.20}"));
            let pieces = (0..size).map(move |number| told(number, &params));
            let (most, fetched, over) = held(pieces);
            assert!(most <= LIMIT as u64 + text.max(MIB), "{named}: {most}");
            assert_eq!((fetched, over), (size, Some("mcp_lost")), "{named}: none is lost");
        }
    }

    #[test]
    fn many_messages_in_one_piece_are_read_one_by_one_host_322() {
        let one = told(0, &format!("[{}]", vec![r#"{"a":0}"#; 100].join(",")));
        let piece = Bytes::from(one.repeat(400));
        let text = piece.len() as u64 * 2;
        let (most, fetched, _) = held(std::iter::once(piece));
        assert!(most <= LIMIT as u64 + text + MIB, "{most}");
        assert_eq!(fetched, 400);
    }

    #[test]
    fn a_message_that_swells_ends_the_stream_unread_host_322() {
        let params = format!("[{}]", vec!["0"; 1_000 * 1024].join(","));
        let piece = told(0, &params);
        let text = piece.len() as u64 * 3;
        let (most, fetched, over) = held(std::iter::once(piece));
        assert!(most <= text + MIB, "{most}");
        assert_eq!((fetched, over), (0, Some("limit_exceeded")));
    }
}
