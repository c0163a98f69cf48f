//! Bodies that take time: event streams, their breaking off and their resumption.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::answer::{Piece, StreamId};

/// How long an idle standing stream asks not to be polled. Somebody may speak on it earlier, which a driver learns
/// by polling again whenever it likes.
const IDLE_MS: u64 = 15_000;

#[derive(Debug, Default)]
pub(crate) struct Streams {
    last: u64,
    open: BTreeMap<StreamId, Stream>,
    /// The events that were, or were to be, sent on each resumable stream.
    history: BTreeMap<u64, History>,
}

#[derive(Debug, Default)]
struct Stream {
    queue: VecDeque<(u64, Out)>,
    /// Standing streams do not end when nothing is left to say.
    standing: Option<u64>,
    /// The HTTP+SSE session that speaks on it.
    session: Option<String>,
}

#[derive(Debug)]
enum Out {
    Bytes(Vec<u8>),
    Cut,
}

#[derive(Debug, Default)]
struct History {
    session: Option<String>,
    standing: bool,
    events: Vec<Value>,
}

/// One event, in the order a stream sends them.
#[derive(Debug)]
pub(crate) enum Event {
    /// An event with an id and without data, from which a client may resume.
    Priming { retry_ms: Option<u64> },
    /// A JSON-RPC message.
    Message(Value),
    /// An event of another type, for HTTP+SSE.
    Named(&'static str, String),
    /// A comment.
    Comment(&'static str),
}

/// How a stream of events is to be sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    pub(crate) chunk: Option<usize>,
    /// When the first message may go.
    pub(crate) message_at: u64,
    pub(crate) keep_alive: bool,
    /// Break off inside the first message.
    pub(crate) cut_inside: bool,
    /// Break off after this many messages, inside the next one.
    pub(crate) cut_every: Option<usize>,
    /// Break off, or end, before the first message.
    pub(crate) stop_before: Option<Stop>,
}

/// How a stream stops before its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Cut,
    End,
}

impl Streams {
    pub(crate) fn poll(&mut self, id: StreamId, now: u64) -> Piece {
        let Some(stream) = self.open.get_mut(&id) else {
            return Piece::End;
        };
        match stream.queue.front() {
            Some((at, _)) if *at > now => return Piece::NotBefore(*at),
            None if stream.standing.is_some() || stream.session.is_some() => {
                return Piece::NotBefore(now.saturating_add(IDLE_MS));
            }
            _ => {}
        }
        match stream.queue.pop_front() {
            Some((_, Out::Bytes(bytes))) => Piece::Chunk(bytes),
            Some((_, Out::Cut)) => {
                self.open.remove(&id);
                Piece::Cut
            }
            None => {
                self.open.remove(&id);
                Piece::End
            }
        }
    }

    /// These bytes, then the connection goes.
    pub(crate) fn broken(&mut self, bytes: Vec<u8>) -> StreamId {
        let queue = VecDeque::from([(0, Out::Bytes(bytes)), (0, Out::Cut)]);
        self.add(Stream { queue, ..Stream::default() })
    }

    /// A stream with these events. With `history` it can be resumed by clients of that session.
    pub(crate) fn events(
        &mut self,
        events: Vec<Event>,
        manner: Manner,
        history: Option<Option<String>>,
    ) -> StreamId {
        let number = self.last.saturating_add(1);
        let resumable = history.is_some();
        if let Some(session) = history {
            self.history.insert(number, History { session, ..History::default() });
        }
        let mut queue = VecDeque::new();
        let (mut stopped, mut messages) = (false, 0usize);
        for event in events {
            let message = matches!(event, Event::Message(_));
            let text = self.written(event, resumable.then_some(number));
            if stopped {
                continue;
            }
            if message && let Some(stop) = manner.stop_before {
                if stop == Stop::Cut {
                    queue.push_back((manner.message_at, Out::Cut));
                }
                stopped = true;
                continue;
            }
            let at = if message { manner.message_at } else { 0 };
            let text =
                if message && manner.keep_alive { format!(": still here\n\n{text}") } else { text };
            let half = text.len() / 2;
            let text = if message && manner.cut_inside {
                text.get(..half).unwrap_or_default()
            } else {
                &text
            };
            let cut = message && manner.cut_every == Some(messages);
            let text = if cut { text.get(..half).unwrap_or_default() } else { text };
            messages = messages.saturating_add(usize::from(message));
            push_chunks(&mut queue, text.as_bytes(), at, manner.chunk);
            if cut || (message && manner.cut_inside) {
                queue.push_back((at, Out::Cut));
                stopped = true;
            }
        }
        self.add(Stream { queue, ..Stream::default() })
    }

    /// A GET stream that stands until somebody closes it.
    pub(crate) fn standing(&mut self, session: Option<String>) -> StreamId {
        let number = self.last.saturating_add(1);
        self.history.insert(number, History { session, standing: true, ..History::default() });
        let queue = VecDeque::from([(0, Out::Bytes(b": open\n\n".to_vec()))]);
        self.add(Stream { queue, standing: Some(number), session: None })
    }

    /// An HTTP+SSE stream: its first event names the endpoint, replies follow.
    pub(crate) fn http_sse(&mut self, session: String, endpoint: String) -> StreamId {
        let text = self.written(Event::Named("endpoint", endpoint), None);
        let queue = VecDeque::from([(0, Out::Bytes(text.into_bytes()))]);
        self.add(Stream { queue, standing: None, session: Some(session) })
    }

    /// Speaks on an HTTP+SSE stream; false if it is gone.
    pub(crate) fn reply(&mut self, session: &str, message: &Value, at: u64) -> bool {
        let text = self.written(Event::Message(message.clone()), None);
        let stream =
            self.open.values_mut().find(|stream| stream.session.as_deref() == Some(session));
        stream.is_some_and(|stream| {
            stream.queue.push_back((at, Out::Bytes(text.into_bytes())));
            true
        })
    }

    /// The stream that goes on after an event id, if that session may have it.
    pub(crate) fn resume(
        &mut self,
        last_event: &str,
        session: Option<&str>,
        manner: Manner,
    ) -> Option<StreamId> {
        let (number, index) = last_event.split_once('-')?;
        let (number, index): (u64, usize) = (number.parse().ok()?, index.parse().ok()?);
        let history =
            self.history.get(&number).filter(|history| history.session.as_deref() == session)?;
        let standing = history.standing.then_some(number);
        let mut queue = VecDeque::new();
        for (at, event) in history.events.iter().enumerate().skip(index) {
            let text = message_text(event, Some((number, at.saturating_add(1))));
            if manner.cut_every == Some(at.saturating_sub(index)) {
                let half = text.get(..text.len() / 2).unwrap_or_default();
                push_chunks(&mut queue, half.as_bytes(), 0, manner.chunk);
                queue.push_back((0, Out::Cut));
                break;
            }
            push_chunks(&mut queue, text.as_bytes(), 0, manner.chunk);
        }
        Some(self.add(Stream { queue, standing, session: None }))
    }

    pub(crate) fn push(&mut self, message: &Value) {
        for stream in self.open.values_mut() {
            let id = stream.standing.map(|number| {
                let history = self.history.entry(number).or_default();
                history.events.push(message.clone());
                (number, history.events.len())
            });
            if id.is_some() || stream.session.is_some() {
                stream.queue.push_back((0, Out::Bytes(message_text(message, id).into_bytes())));
            }
        }
    }

    pub(crate) fn close(&mut self, cut: bool, unsaid: bool) {
        for stream in self
            .open
            .values_mut()
            .filter(|stream| stream.standing.is_some() || stream.session.is_some())
        {
            stream.standing = None;
            stream.session = None;
            if unsaid {
                stream.queue.clear();
            }
            if cut {
                stream.queue.push_back((0, Out::Cut));
            }
        }
    }

    /// Ends the standing streams of a session.
    pub(crate) fn end_session(&mut self, session: &str) {
        for stream in self.open.values_mut() {
            let history = stream.standing.and_then(|number| self.history.get(&number));
            if history.is_some_and(|history| history.session.as_deref() == Some(session)) {
                stream.standing = None;
            }
        }
    }

    fn add(&mut self, stream: Stream) -> StreamId {
        self.last = self.last.saturating_add(1);
        let id = StreamId(self.last);
        self.open.insert(id, stream);
        id
    }

    fn written(&mut self, event: Event, number: Option<u64>) -> String {
        match event {
            Event::Comment(text) => format!(": {text}\n\n"),
            Event::Named(name, data) => format!("event: {name}\ndata: {data}\n\n"),
            Event::Priming { retry_ms } => {
                let id = number.map(|number| format!("id: {number}-0\n")).unwrap_or_default();
                let retry = retry_ms.map(|ms| format!("retry: {ms}\n")).unwrap_or_default();
                format!("{id}{retry}data:\n\n")
            }
            Event::Message(message) => {
                let id = number.and_then(|number| {
                    let history = self.history.get_mut(&number)?;
                    history.events.push(message.clone());
                    Some((number, history.events.len()))
                });
                message_text(&message, id)
            }
        }
    }
}

fn message_text(message: &Value, id: Option<(u64, usize)>) -> String {
    let id = id.map(|(number, index)| format!("id: {number}-{index}\n")).unwrap_or_default();
    format!("event: message\n{id}data: {message}\n\n")
}

fn push_chunks(queue: &mut VecDeque<(u64, Out)>, bytes: &[u8], at: u64, chunk: Option<usize>) {
    for part in bytes.chunks(chunk.unwrap_or(bytes.len()).max(1)) {
        queue.push_back((at, Out::Bytes(part.to_vec())));
    }
}
