//! A server and a person around a connection.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use http::Method;
use mcp_authz_core::Config;
use mcp_authz_core::config::ConfigBuilder;
use mcp_authz_core::effect::Told;
use mcp_authz_driver::ports::{Common, Observer};
use mcp_authz_driver::transport::{Bounds, Settings};
use mcp_authz_tests::model::{Endpoint, Model, Seen, Settings as Server};
use mcp_authz_tests::serve::{self, Served};
use serde_json::{Value, json};

use crate::faces::{Face, Make, Session};

pub(crate) struct World {
    pub(crate) served: Served,
    visits: Arc<AtomicUsize>,
}

/// Agrees to everything at once.
struct Person {
    model: Arc<Mutex<Model>>,
    visits: Arc<AtomicUsize>,
    ahead: u64,
}

impl Observer for Person {
    fn told(&self, told: &Told) {
        let Told::Open(visit) = told else { return };
        self.visits.fetch_add(1, Ordering::SeqCst);
        let (model, url, now) = (Arc::clone(&self.model), visit.url().to_owned(), self.ahead);
        thread::spawn(move || {
            let callback = model.lock().unwrap().visit(&url, now).unwrap();
            let rest = callback.strip_prefix("http://").unwrap();
            let (authority, target) = rest.split_at(rest.find('/').unwrap());
            let mut socket = TcpStream::connect(authority).unwrap();
            let get = format!("GET {target} HTTP/1.1\r\nhost: {authority}\r\n\r\n");
            socket.write_all(get.as_bytes()).unwrap();
            let _page = socket.read(&mut [0; 1024]);
        });
    }
}

impl World {
    /// A server of a revision; `2026-07-28` here speaks nothing older.
    pub(crate) fn revision(revision: &str, adjust: impl FnOnce(&mut Server)) -> Self {
        let served = serve::embedded_revision(revision, adjust).unwrap();
        Self { served, visits: Arc::default() }
    }

    pub(crate) fn common(&self) -> Common {
        let person = Person {
            model: Arc::clone(self.served.model()),
            visits: Arc::clone(&self.visits),
            ahead: self.served.now_ms(),
        };
        Common { observer: Arc::new(person), ..Common::default() }
    }

    pub(crate) fn config(&self) -> ConfigBuilder {
        Config::builder(self.served.mcp_url())
    }

    pub(crate) fn session(&self, make: Make) -> Box<dyn Session> {
        make(self.common(), self.config().build().unwrap())
    }

    pub(crate) fn connected(&self, make: Make) -> Arc<dyn Face> {
        self.session(make).connect(settings()).unwrap()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Model> {
        self.served.lock()
    }

    /// How often the person was asked.
    pub(crate) fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }

    pub(crate) fn count(&self, endpoint: Endpoint) -> usize {
        self.lock().count(endpoint)
    }

    /// Everything that reached the MCP endpoint and was let in.
    pub(crate) fn let_in(&self) -> Vec<Seen> {
        let admitted = |seen: &&Seen| !matches!(seen.status, 401 | 403);
        self.lock().seen_at(Endpoint::Mcp).filter(admitted).cloned().collect()
    }

    /// How often a method was let in.
    pub(crate) fn asked(&self, method: &str) -> usize {
        self.let_in().iter().filter(|seen| method_of(seen) == Some(method)).count()
    }

    /// Waits for something that happens aside.
    pub(crate) fn until(&self, what: &str, mut there: impl FnMut(&Model) -> bool) {
        let begun = Instant::now();
        while !there(&self.lock()) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

pub(crate) fn settings() -> Settings {
    Settings::new("suite", "1").bounds(Bounds { idle: Duration::from_secs(30), ..bounds() })
}

pub(crate) fn bounds() -> Bounds {
    Bounds { head: Duration::from_secs(30), reconnects: 4, ..Bounds::default() }
}

pub(crate) fn method_of(seen: &Seen) -> Option<&str> {
    seen.json.as_ref()?.get("method")?.as_str()
}

pub(crate) fn header<'a>(seen: &'a Seen, name: &str) -> Option<&'a str> {
    seen.headers.get(name).map(|value| value.to_str().unwrap())
}

pub(crate) fn gets(world: &World) -> usize {
    world.let_in().iter().filter(|seen| seen.method == Method::GET).count()
}

/// Has the server say something back.
pub(crate) fn echo(face: &dyn Face, text: &str) {
    let result = face.call("tools/call", echoing(text)).unwrap();
    assert_eq!(result["content"][0]["text"], text);
}

pub(crate) fn echoing(text: &str) -> Value {
    json!({"name": "echo", "arguments": {"text": text}})
}

/// The parameters of a call that is answered with that many notifications first.
pub(crate) fn counting(upto: u64) -> Value {
    json!({"name": "count", "arguments": {"upto": upto}})
}

/// Nothing is lost, repeated or out of order, and the response comes last.
pub(crate) fn counted(messages: impl Iterator<Item = Value>, upto: u64) {
    let mut next = 0;
    let mut over = false;
    for message in messages {
        assert!(!over, "nothing comes after the response: {message}");
        match message.pointer("/params/progress").and_then(Value::as_u64) {
            Some(number) => {
                assert_eq!(number, next);
                next += 1;
            }
            None => {
                assert_eq!(message["result"]["content"][0]["text"], "done", "{message}");
                over = true;
            }
        }
    }
    assert_eq!((next, over), (upto, true));
}
