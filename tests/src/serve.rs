//! The model behind real sockets: a small HTTP/1.1 server on the loopback interface.
//!
//! Each door is one listener and so one origin; all doors lead to the same [`Model`], which tells by the absolute
//! URL who is asked. Nothing in here knows OAuth or MCP.

mod http1;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::model::{Model, Seen, Settings};

/// A bound listener and the origin it is reached at.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    origin: String,
}

impl Door {
    /// Binds a port of 127.0.0.1; 0 takes any free one.
    pub fn open(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let origin = format!("http://{}", listener.local_addr()?);
        Ok(Self { listener, origin })
    }

    /// Binds any free port of 127.0.0.1, reached by clients at another origin: something in front of it
    /// speaks TLS.
    pub fn behind(origin: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok(Self { listener, origin: origin.to_owned() })
    }

    /// Where it is bound.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Scheme, host and port, without a final slash.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// The function that is told of each request, right after it was answered.
pub type OnRequest = Arc<dyn Fn(&Seen) + Send + Sync>;

/// A running server. Dropping it closes all connections and waits for its threads.
#[derive(Debug)]
pub struct Served {
    mcp_url: String,
    shared: Arc<Shared>,
    doors: Vec<(String, Option<SocketAddr>, JoinHandle<()>)>,
}

/// The state that all threads of a server share.
pub(crate) struct Shared {
    model: Arc<Mutex<Model>>,
    stop: AtomicBool,
    close: AtomicBool,
    /// Milliseconds that the server's clock is ahead of the real one.
    ahead: AtomicU64,
    connections: Mutex<BTreeMap<u64, TcpStream>>,
    on_request: Option<OnRequest>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now_ms(&self) -> u64 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        u64::try_from(real).unwrap_or(u64::MAX).saturating_add(self.ahead.load(Ordering::Relaxed))
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(crate) fn closes(&self) -> bool {
        self.close.load(Ordering::Relaxed)
    }

    /// The newest request, if anybody is told of it.
    pub(crate) fn newest(&self, model: &Model) -> Option<Seen> {
        self.on_request.as_ref().and_then(|_| model.seen().last().cloned())
    }

    /// Tells of a request. Not to be called with the model locked: whoever is told may be slow.
    pub(crate) fn tell(&self, seen: Option<&Seen>) {
        if let (Some(told), Some(seen)) = (&self.on_request, seen) {
            told(seen);
        }
    }

    /// Waits, but not beyond the server's own end.
    pub(crate) fn wait(&self, ms: u64) {
        let mut left = ms;
        while left > 0 && !self.stopped() {
            let slice = left.min(10);
            thread::sleep(Duration::from_millis(slice));
            left = left.saturating_sub(slice);
        }
    }

    fn connections(&self) -> MutexGuard<'_, BTreeMap<u64, TcpStream>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Served {
    /// Serves a model behind these doors.
    pub fn start(model: Arc<Mutex<Model>>, doors: Vec<Door>) -> Self {
        Self::start_told(model, doors, None)
    }

    /// The same, telling of each request.
    pub fn start_told(
        model: Arc<Mutex<Model>>,
        doors: Vec<Door>,
        on_request: Option<OnRequest>,
    ) -> Self {
        let shared = Arc::new(Shared {
            model,
            stop: AtomicBool::new(false),
            close: AtomicBool::new(false),
            ahead: AtomicU64::new(0),
            connections: Mutex::new(BTreeMap::new()),
            on_request,
        });
        let mcp_url = shared.model().settings().mcp_url.clone();
        let doors = doors
            .into_iter()
            .map(|door| {
                let (origin, shared) = (door.origin.clone(), Arc::clone(&shared));
                let address = door.address().ok();
                (origin, address, thread::spawn(move || keep_door(&door, &shared)))
            })
            .collect();
        Self { mcp_url, shared, doors }
    }

    /// The MCP URL.
    pub fn mcp_url(&self) -> &str {
        &self.mcp_url
    }

    /// The model, shared with the server's threads.
    pub fn model(&self) -> &Arc<Mutex<Model>> {
        &self.shared.model
    }

    /// The model, locked: no request is answered while the guard lives.
    pub fn lock(&self) -> MutexGuard<'_, Model> {
        self.shared.model()
    }

    /// The origins of the doors, in the order they were given.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.doors.iter().map(|(origin, ..)| origin.as_str())
    }

    /// Sets the server's clock forward: codes and tokens age without anybody waiting.
    pub fn advance(&self, ms: u64) {
        self.shared.ahead.fetch_add(ms, Ordering::Relaxed);
    }

    /// The server's clock, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.shared.now_ms()
    }

    /// Sets whether each connection is closed after one answer. At first it is kept.
    pub fn close_after_each(&self, close: bool) {
        self.shared.close.store(close, Ordering::Relaxed);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        for connection in self.shared.connections().values() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        for (_, address, door) in self.doors.drain(..) {
            // A connection of our own wakes the listener, which has no other way to be told.
            let _ = address.map(TcpStream::connect);
            let _ = door.join();
        }
    }
}

/// An ordinary server of the newest revision on both wires, its authorization servers on ports of their own.
/// `adjust` sees settings that already have the real URLs.
pub fn embedded(adjust: impl FnOnce(&mut Settings)) -> io::Result<Served> {
    embedded_settings(Settings::default(), adjust)
}

/// An ordinary server of a revision.
pub fn embedded_revision(revision: &str, adjust: impl FnOnce(&mut Settings)) -> io::Result<Served> {
    embedded_settings(Settings::revision(revision), adjust)
}

fn embedded_settings(settings: Settings, adjust: impl FnOnce(&mut Settings)) -> io::Result<Served> {
    embedded_behind(settings, [Door::open(0)?, Door::open(0)?, Door::open(0)?], adjust)
}

/// A server behind these doors: the MCP server's, and those of two authorization servers.
pub fn embedded_behind(
    settings: Settings,
    [mcp, first, second]: [Door; 3],
    adjust: impl FnOnce(&mut Settings),
) -> io::Result<Served> {
    let mut settings = settings.at(&format!("{}/mcp", mcp.origin), &first.origin, &second.origin);
    adjust(&mut settings);
    let model = Arc::new(Mutex::new(Model::new(settings)));
    Ok(Served::start(model, vec![mcp, first, second]))
}

fn keep_door(door: &Door, shared: &Arc<Shared>) {
    let mut visitors: Vec<JoinHandle<()>> = Vec::new();
    for (number, connection) in (0..).zip(door.listener.incoming()) {
        if shared.stopped() {
            break;
        }
        let Ok(connection) = connection else { continue };
        // Numbers are per door, so the port keeps those of two doors apart.
        let port =
            door.listener.local_addr().map(|address| u64::from(address.port())).unwrap_or_default();
        let key = port << 40 | number;
        let (Ok(copy), origin, shared) =
            (connection.try_clone(), door.origin.clone(), Arc::clone(shared))
        else {
            continue;
        };
        shared.connections().insert(key, copy);
        visitors.retain(|visitor| !visitor.is_finished());
        visitors.push(thread::spawn(move || {
            let _ = http1::converse(connection, &origin, &shared);
            shared.connections().remove(&key);
        }));
    }
    for connection in shared.connections().values() {
        let _ = connection.shutdown(Shutdown::Both);
    }
    for visitor in visitors {
        let _ = visitor.join();
    }
}
