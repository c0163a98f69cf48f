//! HTTP+SSE: one stream on which everything comes, and an endpoint to which everything is posted.
//!
//! One reader takes the stream apart: responses go to whoever waits for them, everything else to
//! whoever listens. When the stream breaks, all who wait hear of it; the next request opens another.

use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_channel::oneshot;
use futures_util::StreamExt;
use futures_util::future::select;
use futures_util::stream;
use http::StatusCode;
use mcp_authz_core::effect::Why;
use serde_json::Value;
use url::Url;

use super::answer::{self, Form};
use super::endpoint;
use super::engine::{Engine, Messages, lost};
use super::error::TransportError;
use super::line::Line;
use super::mailbox::Mailbox;
use super::request::Manner;
use super::rpc::{self, Sort};
use crate::ports::AsyncBody;
use crate::sse::{Decoder, Event};

/// Messages that wait for a listener. While there are more, the stream is left unread.
const WAITING: usize = 256;

/// What came of posting a message.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// The server has it.
    Accepted,
    /// The server does not know the stream any more, so nothing was done.
    Gone,
    /// It was refused, perhaps with a response.
    Refused(StatusCode, Option<Value>),
}

/// An open stream. Dropping it ends its reader.
#[derive(Debug)]
pub(crate) struct Bus {
    endpoint: Url,
    shared: Arc<Shared>,
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
        // Whoever waits has been heard by the server, whoever comes later has not.
        let why = if matches!(why, TransportError::Closed) { lost(Why::Abandoned) } else { why };
        for response in waiting {
            let _nobody_left = response.send(Err(why.clone()));
        }
    }

    /// Gives a message to whoever is to have it; hands back a request that nobody hears.
    async fn dispatch(&self, message: Value) -> Option<Value> {
        let id = message.get("id").and_then(Value::as_u64);
        let sort = rpc::sort(&message)?;
        if sort == Sort::Response {
            let waiting = id.and_then(|id| self.lock().mail.remove(&id))?;
            let _nobody_left = waiting.send(Ok(message));
            return None;
        }
        let mut message = message;
        loop {
            let listener = self.lock().listener.clone();
            let Some(listener) = listener else {
                return (sort == Sort::Request).then_some(message);
            };
            message = listener.post(message).await.err()?;
            // Nobody listens there any more; somebody else may by now.
            let mut state = self.lock();
            if state.listener.as_ref().is_some_and(|other| Arc::ptr_eq(other, &listener)) {
                state.listener = None;
            }
        }
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

/// Whoever waits is told of the reader's end, however it ends.
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
    /// Opens a stream and waits for its first event, which names the endpoint (TRANS-30..33).
    pub(crate) async fn open<L: Line>(
        engine: &Arc<Engine<L>>,
        manner: &Manner,
    ) -> Result<Self, TransportError> {
        let request = manner.get(engine.line.url(), None)?;
        let answer = engine.line.open(engine.exchange(request, "GET")).await?;
        let bounds = engine.settings.bounds;
        let (endpoint, opened) = Opened::read(answer, engine.line.url(), &bounds).await?;
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let reader = Reader(Arc::clone(&shared));
        let asker = Arc::downgrade(engine);
        let decline = move |request: Value| {
            if let Some(engine) = asker.upgrade() {
                engine.decline(&request);
            }
        };
        let idle = bounds.idle;
        engine.line.spawn(Box::pin(async move {
            let reading = pin!(opened.distribute(&reader.0, idle, decline));
            select(stopped, reading).await;
        }));
        Ok(Self { endpoint, shared, _stop: stop })
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

    /// What belongs to no request. Whoever listened before is told no more.
    pub(crate) fn listen(&self) -> Messages {
        let (mailbox, receiver) = Mailbox::new(WAITING);
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
    /// What came together with the endpoint.
    early: Vec<Event<'static>>,
}

impl<B: AsyncBody> Opened<B> {
    pub(crate) async fn read(
        answer: http::Response<B>,
        url: &str,
        bounds: &super::settings::Bounds,
    ) -> Result<(Url, Self), TransportError> {
        if !answer.status().is_success() {
            return Err(TransportError::Status(answer.status()));
        }
        if answer::form(answer.headers()) != Form::Events {
            return Err(TransportError::Malformed("it is no stream of events"));
        }
        let until = Instant::now().checked_add(bounds.head);
        let (mut body, mut decoder) = (answer.into_body(), Decoder::new(bounds.event));
        loop {
            let left = until.map_or(bounds.idle, |until| {
                until.saturating_duration_since(Instant::now()).min(bounds.idle)
            });
            let not_asked = |why| TransportError::Lost { why, maybe_executed: false };
            let piece = body.piece(left).await.map_err(not_asked)?;
            let piece = piece.ok_or(TransportError::Malformed("it ends before its endpoint"))?;
            let events = decoder.feed(&piece).map_err(|_| TransportError::TooLarge)?;
            let mut events = events.into_iter();
            if let Some(first) = events.next() {
                let (kind, data): (&str, &str) = (&first.kind, &first.data);
                if kind != "endpoint" {
                    return Err(TransportError::Malformed("it does not begin with an endpoint"));
                }
                let endpoint = endpoint::announced(url, data)?;
                return Ok((endpoint, Self { body, decoder, early: events.collect() }));
            }
        }
    }

    /// The next messages; an error is the end.
    pub(crate) async fn messages(
        &mut self,
        idle: core::time::Duration,
    ) -> Result<Vec<Value>, TransportError> {
        let mut events = core::mem::take(&mut self.early);
        if events.is_empty() {
            let piece = self.body.piece(idle).await.map_err(lost)?;
            let piece = piece.ok_or_else(|| lost(Why::Broken))?;
            events = self.decoder.feed(&piece).map_err(|_| TransportError::TooLarge)?;
        }
        let of_the_protocol = |event: Event<'_>| {
            let (kind, data): (&str, &str) = (&event.kind, &event.data);
            // What is no message has nobody to be told of.
            if kind == "message" { rpc::messages(data.as_bytes()).ok() } else { None }
        };
        Ok(events.into_iter().filter_map(of_the_protocol).flatten().collect())
    }

    async fn distribute(
        mut self,
        shared: &Shared,
        idle: core::time::Duration,
        decline: impl Fn(Value),
    ) {
        while !shared.stopped.load(Ordering::Acquire) {
            match self.messages(idle).await {
                Ok(messages) => {
                    for message in messages {
                        if let Some(unheard) = shared.dispatch(message).await {
                            decline(unheard);
                        }
                    }
                }
                Err(why) => return shared.end(why),
            }
        }
    }
}
