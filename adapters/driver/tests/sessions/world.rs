//! A server, a person, a store and a clock around a session.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use http::{Method, Request, Response};
use mcp_authz_core::Config;
use mcp_authz_core::config::ConfigBuilder;
use mcp_authz_core::effect::{Holder, RecordKind, StoreRequest, Stored, Told, Visit};
use mcp_authz_core::entropy::Entropy;
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_core::time::{Monotonic, Timestamp};
use mcp_authz_driver::authorize::Authorized;
use mcp_authz_driver::clock::{self, Clock};
use mcp_authz_driver::entropy::{self, Random};
use mcp_authz_driver::exchange::Exchange;
use mcp_authz_driver::ports::{Answer, Common, Observer, Store};
use mcp_authz_host::store::MemoryStore;
use mcp_authz_tests::model::{Endpoint, Settings};
use mcp_authz_tests::serve::{Served, embedded};

use crate::faces::{Face, Make};

/// The person's behaviour when they are shown a page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Person {
    /// Agrees at once.
    Agrees,
    /// Is not there.
    Away,
}

pub(crate) struct World {
    pub(crate) served: Served,
    pub(crate) watcher: Arc<Watcher>,
    pub(crate) clock: Arc<Shifted>,
    pub(crate) random: Arc<Switched>,
    pub(crate) store: MemoryStore,
}

/// Hears what the session tells, and plays the person.
pub(crate) struct Watcher {
    pub(crate) person: Mutex<Person>,
    pub(crate) visits: Mutex<Vec<Visit>>,
    pub(crate) notes: Mutex<Vec<String>>,
}

struct Observing(Arc<Watcher>);

impl Observer for Observing {
    fn told(&self, told: &Told) {
        match told {
            Told::Open(visit) => {
                self.0.visits.lock().unwrap().push(visit.clone());
                let url = visit.url().to_owned();
                if *self.0.person.lock().unwrap() == Person::Agrees {
                    thread::spawn(move || browse(&browse(&url).location()));
                }
            }
            Told::Note(note) => self.0.notes.lock().unwrap().push(note.to_string()),
            _ => {}
        }
    }
}

/// The system's clock and what the test added to it.
#[derive(Default)]
pub(crate) struct Shifted {
    real: clock::System,
    ahead: AtomicU64,
}

impl Shifted {
    pub(crate) fn advance(&self, seconds: u64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    fn ahead(&self) -> Duration {
        Duration::from_secs(self.ahead.load(Ordering::SeqCst))
    }
}

struct Ticking(Arc<Shifted>);

impl Clock for Ticking {
    fn wall(&self) -> Timestamp {
        let now = self.0.real.wall().unix();
        Timestamp::from_unix(now.saturating_add_unsigned(self.0.ahead().as_secs()))
    }
    fn mono(&self) -> Monotonic {
        self.0.real.mono().after(self.0.ahead())
    }
}

/// The system's random bytes, unless they are switched off.
#[derive(Default)]
pub(crate) struct Switched {
    pub(crate) off: AtomicBool,
}

struct Drawing(Arc<Switched>);

impl Random for Drawing {
    fn draw(&self) -> Option<Entropy> {
        entropy::System.draw().filter(|_| !self.0.off.load(Ordering::SeqCst))
    }
}

impl World {
    pub(crate) fn new(adjust: impl FnOnce(&mut Settings)) -> Self {
        Self {
            served: embedded(adjust).unwrap(),
            watcher: Arc::new(Watcher {
                person: Mutex::new(Person::Agrees),
                visits: Mutex::default(),
                notes: Mutex::default(),
            }),
            clock: Arc::default(),
            random: Arc::default(),
            store: MemoryStore::new(),
        }
    }

    pub(crate) fn common(&self) -> Common {
        Common {
            store: Arc::new(self.store.clone()),
            observer: Arc::new(Observing(Arc::clone(&self.watcher))),
            clock: Arc::new(Ticking(Arc::clone(&self.clock))),
            random: Arc::new(Drawing(Arc::clone(&self.random))),
            ..Common::default()
        }
    }

    pub(crate) fn config(&self) -> ConfigBuilder {
        Config::builder(self.served.mcp_url()).persistent(true)
    }

    pub(crate) fn session(&self, make: Make) -> Arc<dyn Face> {
        make(self.common(), self.config().build().unwrap(), None)
    }

    /// A session that is logged in.
    pub(crate) fn logged_in(&self, make: Make) -> Arc<dyn Face> {
        let session = self.session(make);
        session.acquire(&ScopeSet::empty(), true).unwrap().outcome.unwrap();
        session.quiet();
        self.watcher.visits.lock().unwrap().clear();
        self.served.lock().clear_seen();
        session
    }

    pub(crate) fn person(&self, person: Person) {
        *self.watcher.person.lock().unwrap() = person;
    }

    /// Returns true if somebody has the lease of the grant.
    pub(crate) fn leased(&self) -> bool {
        let (key, _) = self.store.list(RecordKind::Grant).unwrap().remove(0);
        let holder = Holder(u64::MAX);
        let busy = self.store.perform(StoreRequest::Lease { key: key.clone(), holder });
        self.store.perform(StoreRequest::Release { key, holder, withdraw: None });
        busy == Stored::Busy
    }

    pub(crate) fn count(&self, endpoint: Endpoint) -> usize {
        self.served.lock().count(endpoint)
    }

    /// How many pages were shown.
    pub(crate) fn pages(&self) -> usize {
        self.watcher.visits.lock().unwrap().len()
    }

    /// The page that is shown now, once it is.
    pub(crate) fn page(&self) -> Visit {
        eventually(|| self.watcher.visits.lock().unwrap().last().cloned())
    }

    /// A request that needs a token.
    pub(crate) fn initialize(&self) -> Exchange {
        let params = r#"{"protocolVersion":"2025-11-25","capabilities":{},
            "clientInfo":{"name":"test","version":"1"}}"#;
        self.rpc("initialize", params)
    }

    pub(crate) fn rpc(&self, method: &str, params: &str) -> Exchange {
        let url = self.served.mcp_url().to_owned();
        Exchange::new(post(&url, method, params)).operation(method)
    }
}

pub(crate) fn post(url: &str, method: &str, params: &str) -> Request<Vec<u8>> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    Request::builder()
        .method(Method::POST)
        .uri(url)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(body.into_bytes())
        .unwrap()
}

/// Sends a request that needs a token as somebody else's client would: with these headers.
pub(crate) fn own_client(world: &World, authorized: &Authorized) -> Answer {
    let url = world.served.mcp_url();
    let params = r#"{"protocolVersion":"2025-11-25","capabilities":{},
        "clientInfo":{"name":"test","version":"1"}}"#;
    let request = post(url, "initialize", params);
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut text = format!("POST /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    let own = request.headers().iter();
    let own = own.map(|(name, value)| (name.clone(), value));
    for (name, value) in own.chain(authorized.headers()) {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    let body = String::from_utf8(request.into_body()).unwrap();
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status: u16 = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = Response::builder().status(status);
    for (name, value) in lines.map(|line| line.split_once(':').unwrap()) {
        answer = answer.header(name, value.trim());
    }
    answer.body(body.as_bytes().to_vec()).unwrap()
}

/// Waits for something that is on its way.
pub(crate) fn eventually<T>(mut what: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = what() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it never came");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The answer that a browser got.
pub(crate) struct Got {
    pub(crate) text: String,
}

impl Got {
    pub(crate) fn status(&self) -> u16 {
        self.text.split(' ').nth(1).map_or(0, |status| status.parse().unwrap())
    }

    pub(crate) fn location(&self) -> String {
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
        };
        self.text.lines().find_map(field).expect("a redirect")
    }
}

/// Opens a page on loopback.
pub(crate) fn browse(url: &str) -> Got {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut text = String::new();
    let _reset = stream.read_to_string(&mut text);
    Got { text }
}
