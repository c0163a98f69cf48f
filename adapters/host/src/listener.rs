//! The callback listener on threads: one for each bound address, one for each connection.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use mcp_authz_core::effect::ListenOn;
use mcp_authz_driver::arrivals::{Arrivals, Listening, PageSink};
use mcp_authz_driver::ports::Listener;

use crate::conversation::{Conversation, Heard, Rule};
use crate::guests::Guests;
use crate::loopback;
use crate::page::PageText;

/// Time to send the request.
pub(crate) const TO_SEND: Duration = Duration::from_secs(5);
/// Time to take the answer.
pub(crate) const TO_TAKE: Duration = Duration::from_secs(5);
/// Time the session has for the page of an arrival: as long as a code exchange with its retries.
pub(crate) const TO_ANSWER: Duration = Duration::from_secs(120);
/// Bytes of a refused request that are read and dropped, so that the answer is not lost with them.
pub(crate) const REST: usize = 64 * 1024;

/// Listens on loopback with threads of its own.
#[derive(Clone, Debug, Default)]
pub struct Loopback {
    text: PageText,
}

impl Loopback {
    /// Listens, and shows the built-in pages.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows pages with these words.
    #[must_use]
    pub fn page_text(mut self, text: PageText) -> Self {
        self.text = text;
        self
    }
}

impl Listener for Loopback {
    fn bind(&self, on: &ListenOn, arrivals: Arrivals) -> io::Result<Listening> {
        let bound = loopback::bind(on)?;
        let rule = Rule::new(on, bound.port, self.text.clone());
        let (within, moved) = (Mutex::default(), Condvar::new());
        let house = Arc::new(House { rule, arrivals, within, moved });
        let mut doors = Doors { house, threads: Vec::new() };
        for listener in bound.listeners {
            let address = listener.local_addr()?;
            let house = Arc::clone(&doors.house);
            let accept = move || house.accept(&listener);
            doors.threads.push((address, named("mcp-authz-listen", accept)?));
        }
        Ok(Listening::new(bound.port, doors))
    }
}

fn named(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

struct House {
    rule: Rule,
    arrivals: Arrivals,
    within: Mutex<Within>,
    /// Somebody has been answered or has gone, or the house is closed.
    moved: Condvar,
}

#[derive(Default)]
struct Within {
    closed: bool,
    guests: Guests<TcpStream>,
}

/// Dropping it closes the ports, and the connections on which no callback has come.
struct Doors {
    house: Arc<House>,
    threads: Vec<(SocketAddr, JoinHandle<()>)>,
}

impl Drop for Doors {
    fn drop(&mut self) {
        self.house.close();
        for (address, thread) in self.threads.drain(..) {
            // Wakes the thread, which then sees that it is over. If that fails it is not waited
            // for: its next connection wakes it.
            if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
                let _ended = thread.join();
            }
        }
    }
}

impl House {
    fn within(&self) -> MutexGuard<'_, Within> {
        self.within.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut within = self.within();
        within.closed = true;
        for stream in within.guests.silent() {
            let _gone_already = stream.shutdown(Shutdown::Both);
        }
        self.moved.notify_all();
    }

    fn accept(self: Arc<Self>, listener: &TcpListener) {
        loop {
            let accepted = listener.accept();
            if self.within().closed {
                return;
            }
            let Ok((stream, _)) = accepted else {
                // Out of descriptors, perhaps: no reason to spin.
                thread::sleep(Duration::from_millis(50));
                continue;
            };
            let Some(id) = self.admit(&stream) else { continue };
            let house = Arc::clone(&self);
            if named("mcp-authz-callback", move || house.receive(id, stream)).is_err() {
                self.leave(id);
            }
        }
    }

    /// Lets a connection in, as soon as there is room for it.
    fn admit(&self, stream: &TcpStream) -> Option<u64> {
        let held = stream.try_clone().ok()?;
        let mut within = self.within();
        loop {
            if within.closed {
                return None;
            }
            let now = Instant::now();
            match within.guests.make_room(now) {
                Ok(pushed_out) => {
                    if let Some(stream) = pushed_out {
                        let _gone_already = stream.shutdown(Shutdown::Both);
                    }
                    return Some(within.guests.admit(held));
                }
                Err(pause) => {
                    let waited = self.moved.wait_timeout(within, pause);
                    within = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    fn leave(&self, id: u64) {
        self.within().guests.leave(id);
        self.moved.notify_all();
    }

    fn receive(&self, id: u64, mut stream: TcpStream) {
        if let Some(answer) = self.converse(id, &mut stream) {
            self.within().guests.answered(id);
            self.moved.notify_all();
            give(&mut stream, &answer);
        }
        self.leave(id);
    }

    fn converse(&self, id: u64, stream: &mut TcpStream) -> Option<Vec<u8>> {
        let until = Instant::now().checked_add(TO_SEND)?;
        self.within().guests.heard(id, Instant::now());
        let mut conversation = Conversation::new(&self.rule);
        let mut piece = [0; 1024];
        loop {
            stream.set_read_timeout(Some(left(until)?)).ok()?;
            let length = stream.read(&mut piece).ok().filter(|length| *length > 0)?;
            match conversation.hear(piece.get(..length)?) {
                Heard::More => {}
                Heard::Answer(answer) => return Some(answer),
                Heard::Arrived(callback) => {
                    self.keep(id)?;
                    let (sender, shown) = mpsc::channel();
                    let sink = PageSink::new(move |page| {
                        let _browser_is_gone = sender.send(page);
                    });
                    self.arrivals.report(callback, sink);
                    let shown = shown.recv_timeout(TO_ANSWER);
                    let pages = self.rule.pages();
                    return Some(shown.map_or_else(|_| pages.nobody(), |shown| pages.page(&shown)));
                }
            }
        }
    }

    /// From now on this connection is answered even if the port is closed. None if it is too late.
    fn keep(&self, id: u64) -> Option<()> {
        let mut within = self.within();
        (!within.closed && within.guests.reported(id)).then_some(())
    }
}

fn left(until: Instant) -> Option<Duration> {
    Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
}

/// Writes the answer and waits for the browser to have taken it.
fn give(stream: &mut TcpStream, mut answer: &[u8]) -> Option<()> {
    let until = Instant::now().checked_add(TO_TAKE)?;
    while !answer.is_empty() {
        stream.set_write_timeout(Some(left(until)?)).ok()?;
        let written = stream.write(answer).ok().filter(|written| *written > 0)?;
        answer = answer.get(written..)?;
    }
    stream.shutdown(Shutdown::Write).ok()?;
    let mut rest = REST;
    let mut piece = [0; 1024];
    while rest > 0 {
        stream.set_read_timeout(Some(left(until)?)).ok()?;
        let length = stream.read(&mut piece).ok().filter(|length| *length > 0)?;
        rest = rest.saturating_sub(length);
    }
    Some(())
}
