//! Tests of what time does to a connection, by a clock that nobody waits for.

use core::future::ready;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Response};
use mcp_authz_core::effect::Why;
use mcp_authz_core::time::{Monotonic, Timestamp};
use serde_json::{Value, json};

use super::engine::Engine;
use super::line::Line;
use super::*;
use crate::clock::Clock;
use crate::exchange::{Exchange, ExchangeError};
use crate::parked::block_on;
use crate::ports::AsyncBody;

/// The time, in milliseconds.
#[derive(Clone, Debug, Default)]
struct Time(Arc<AtomicU64>);

impl Time {
    fn millis(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn pass(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Time {
    fn wall(&self) -> Timestamp {
        Timestamp::from_unix(1_795_000_000)
    }

    fn mono(&self) -> Monotonic {
        Monotonic::from_millis(self.millis())
    }
}

/// A body whose pieces take their time.
struct Paced {
    time: Time,
    /// Those that come once, then what comes for ever; each after so many seconds.
    first: VecDeque<Bytes>,
    always: Option<Bytes>,
    pace: Duration,
}

impl AsyncBody for Paced {
    async fn piece(&mut self, within: Duration) -> Result<Option<Bytes>, Why> {
        if let Some(first) = self.first.pop_front() {
            return Ok(Some(first));
        }
        let took = self.pace.min(within);
        self.time.pass(took);
        if self.pace > within {
            return Err(Why::Timeout);
        }
        Ok(self.always.clone())
    }
}

/// A server that answers by the method.
struct Scripted {
    time: Time,
    memory: Memory,
    answer: fn(&Scripted, &Method, Option<&str>, u64) -> Response<Paced>,
    sent: Mutex<Vec<String>>,
}

impl Scripted {
    fn new(answer: fn(&Self, &Method, Option<&str>, u64) -> Response<Paced>) -> Self {
        let (memory, sent) = (Memory::default(), Mutex::default());
        Self { time: Time::default(), memory, answer, sent }
    }

    fn body(&self, first: &[String], always: Option<&'static str>, pace: u64) -> Paced {
        let first = first.iter().map(|piece| Bytes::from(piece.clone())).collect();
        let always = always.map(|piece| Bytes::from_static(piece.as_bytes()));
        Paced { time: self.time.clone(), first, always, pace: Duration::from_secs(pace) }
    }

    fn said(&self, media: &str, body: Paced) -> Response<Paced> {
        Response::builder().header(CONTENT_TYPE, media).body(body).unwrap()
    }

    fn json(&self, id: u64, result: &Value) -> Response<Paced> {
        let text = json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
        self.said("application/json", self.body(&[text], None, 0))
    }

    fn initialized(&self, id: u64) -> Response<Paced> {
        self.json(id, &json!({"protocolVersion": "2025-11-25"}))
    }
}

impl Line for Scripted {
    type Body = Paced;

    fn url(&self) -> &'static str {
        "https://mcp.example/mcp"
    }

    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn clock(&self) -> &dyn Clock {
        &self.time
    }

    fn open(
        &self,
        exchange: Exchange,
    ) -> impl Future<Output = Result<Response<Paced>, ExchangeError>> + Send {
        let asked = exchange.asked();
        let message: Value = serde_json::from_slice(asked.body()).unwrap_or_default();
        let method = message.get("method").and_then(Value::as_str);
        self.sent.lock().unwrap().push(method.unwrap_or(asked.method().as_str()).to_owned());
        let id = message.get("id").and_then(Value::as_u64).unwrap_or_default();
        ready(Ok((self.answer)(self, asked.method(), method, id)))
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        // Nothing else happens meanwhile.
        self.time.pass(time);
        ready(())
    }

    async fn finish(&self, _: Paced) {}

    fn spawn(&self, task: Task) {
        block_on(task);
    }
}

const ALIVE: &str = ": still here\n\n";
const PROGRESS: &str = "data: {\"method\":\"notifications/progress\"}\n\n";

fn settings() -> Settings {
    Settings::new("n", "1").revision("2025-11-25")
}

fn connect(line: Scripted, settings: Settings) -> Result<Arc<Engine<Scripted>>, TransportError> {
    block_on(Engine::connect(line, settings))
}

fn seconds(engine: &Engine<Scripted>) -> u64 {
    engine.line.time.millis() / 1_000
}

#[test]
fn an_opening_ends_with_the_time_for_a_head_however_alive_the_stream_is() {
    let line = Scripted::new(|line, _, _, _| {
        line.said("text/event-stream", line.body(&[], Some(ALIVE), 7))
    });
    let time = line.time.clone();
    let error = connect(line, settings()).err().unwrap();
    assert_eq!(error.code(), "mcp_lost");
    assert_eq!(time.millis(), 300_000, "to the second");
}

#[test]
fn an_endpoint_is_awaited_as_long_as_a_head_and_a_silent_stream_as_long_as_an_idle_one() {
    for (pace, bounds, expected) in [
        (7, Bounds::default(), 300),
        (u64::MAX / 1_000_000, Bounds { idle: Duration::from_secs(20), ..Bounds::default() }, 20),
    ] {
        let line = match pace {
            7 => Scripted::new(|line, _, _, _| {
                line.said("text/event-stream", line.body(&[], Some(ALIVE), 7))
            }),
            _ => Scripted::new(|line, _, _, _| {
                line.said("text/event-stream", line.body(&[], None, u64::MAX / 1_000_000))
            }),
        };
        let time = line.time.clone();
        let settings = Settings::new("n", "1").transport(Choice::HttpSse).bounds(bounds);
        let error = connect(line, settings).err().unwrap();
        assert_eq!((error.code(), error.maybe_executed()), ("mcp_lost", false));
        assert_eq!(time.millis(), expected * 1_000);
    }
}

/// Answers to the opening, and a stream that says something every 50 seconds and never the response.
fn busy(line: &Scripted, _: &Method, method: Option<&str>, id: u64) -> Response<Paced> {
    match method {
        Some("initialize") => line.initialized(id),
        Some("tools/call") => line.said("text/event-stream", line.body(&[], Some(PROGRESS), 50)),
        _ => Response::builder().status(202).body(line.body(&[], None, 0)).unwrap(),
    }
}

#[test]
fn a_response_is_late_after_an_hour_whatever_else_comes_trans_24() {
    let engine = connect(Scripted::new(busy), settings()).unwrap();
    let error = block_on(engine.call("tools/call", json!({}))).unwrap_err();
    assert_eq!((error.code(), error.maybe_executed()), ("mcp_lost", true));
    assert_eq!(seconds(&engine), 3_600);
    let sent = engine.line.sent.lock().unwrap();
    assert_eq!(sent.last().unwrap(), "notifications/cancelled", "and the server is told");
}

#[test]
fn a_stream_that_says_nothing_is_broken_after_five_minutes() {
    // It cannot be resumed, since it named no event.
    let silent = |line: &Scripted, http: &Method, method: Option<&str>, id| match method {
        Some("tools/call") => line.said("text/event-stream", line.body(&[], None, 1_000)),
        _ => busy(line, http, method, id),
    };
    let engine = connect(Scripted::new(silent), settings()).unwrap();
    let error = block_on(engine.call("tools/call", json!({}))).unwrap_err();
    assert_eq!((error.code(), seconds(&engine)), ("mcp_lost", 300));
    // A request whose stream is resumed again and again is late with its response all the same.
    let resumed = |line: &Scripted, http: &Method, method: Option<&str>, id| match method {
        Some("tools/call") | None => {
            let named = format!("id: {}\n{PROGRESS}", line.time.millis());
            line.said("text/event-stream", line.body(&[named], None, 1_000))
        }
        _ => busy(line, http, method, id),
    };
    let engine = connect(Scripted::new(resumed), settings()).unwrap();
    let error = block_on(engine.call("tools/call", json!({}))).unwrap_err();
    assert_eq!((error.code(), seconds(&engine)), ("mcp_lost", 3_600));
    let gets = engine.line.sent.lock().unwrap().iter().filter(|sent| *sent == "GET").count();
    assert_eq!(gets, 11, "every five minutes");
}

#[test]
fn a_body_that_trickles_is_read_as_long_as_a_head_may_take() {
    let trickling = |line: &Scripted, http: &Method, method: Option<&str>, id| match method {
        Some("tools/call") => line.said("application/json", line.body(&[], Some(" "), 7)),
        _ => busy(line, http, method, id),
    };
    let engine = connect(Scripted::new(trickling), settings()).unwrap();
    let error = block_on(engine.call("tools/call", json!({}))).unwrap_err();
    assert_eq!((error.code(), error.maybe_executed()), ("mcp_lost", true));
    assert_eq!(seconds(&engine), 300);
    // One of which nothing comes is given up sooner.
    let silent = |line: &Scripted, http: &Method, method: Option<&str>, id| match method {
        Some("tools/call") => line.said("application/json", line.body(&[], None, 1_000)),
        _ => busy(line, http, method, id),
    };
    let bounds = Bounds { idle: Duration::from_secs(20), ..Bounds::default() };
    let engine = connect(Scripted::new(silent), settings().bounds(bounds)).unwrap();
    let error = block_on(engine.call("tools/call", json!({}))).unwrap_err();
    assert_eq!((error.code(), seconds(&engine)), ("mcp_lost", 20));
}

#[test]
fn a_row_of_sessions_of_which_nothing_comes_ends_and_begins_again_later_trans_90() {
    let forgetful = |line: &Scripted, http: &Method, method: Option<&str>, id| match method {
        Some("initialize") => {
            let mut answer = line.initialized(id);
            let session = http::HeaderValue::from(id);
            answer.headers_mut().insert("mcp-session-id", session);
            answer
        }
        Some("tools/call") => {
            Response::builder().status(404).body(line.body(&[], None, 0)).unwrap()
        }
        _ => busy(line, http, method, id),
    };
    let engine = connect(Scripted::new(forgetful), settings()).unwrap();
    let sent =
        |what: &str| engine.line.sent.lock().unwrap().iter().filter(|sent| *sent == what).count();
    let call = || {
        let error = block_on(engine.call("tools/call", json!({}))).unwrap_err();
        assert_eq!((error.code(), error.maybe_executed()), ("mcp_session_lost", false));
    };
    for _ in 0..10 {
        call();
    }
    assert_eq!(sent("initialize"), 1 + 3);
    engine.line.time.pass(Duration::from_secs(60));
    call();
    assert_eq!(sent("initialize"), 1 + 3 + 1);
    assert!(sent("tools/call") <= 2 * 11);
}
