//! A server that says exactly what a script tells it to, byte by byte.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

/// A listening server; its threads end with the test's process.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Runs the script for each connection, which is counted from zero.
    ///
    /// # Panics
    /// If no port can be bound.
    pub fn raw(script: impl Fn(usize, TcpStream, &Self) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            requests: Arc::default(),
        };
        let (of_thread, script) = (server.clone(), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let number = of_thread.connections.fetch_add(1, Ordering::SeqCst);
                let (script, server) = (Arc::clone(&script), of_thread.clone());
                thread::spawn(move || script(number, stream, &server));
            }
        });
        server
    }

    /// Reads one request on each connection and runs the script on it.
    pub fn start(script: impl Fn(usize, &mut TcpStream) + Send + Sync + 'static) -> Self {
        Self::raw(move |number, mut stream, server| {
            if server.hear(&mut stream) {
                script(number, &mut stream);
            }
        })
    }

    /// Answers the first request of each connection with these bytes and closes it.
    pub fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::start(move |_, stream| say(stream, &bytes))
    }

    /// Reads one request and keeps it for [`Server::requests`]; false at the end of the connection.
    pub fn hear(&self, stream: &mut impl Read) -> bool {
        self.heard(stream).is_some()
    }

    /// Does the same and gives the request.
    pub fn heard(&self, stream: &mut impl Read) -> Option<String> {
        let mut request = Vec::new();
        let mut piece = [0; 4096];
        while !whole(&request) {
            match stream.read(&mut piece) {
                Ok(length) if length > 0 => request.extend_from_slice(&piece[..length]),
                _ => return None,
            }
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        self.requests.lock().unwrap().push(request.clone());
        Some(request)
    }

    /// A URL there, under this host name.
    #[must_use]
    pub fn url(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}/path?query=1", self.address.port())
    }

    /// A URL there by its address.
    #[must_use]
    pub fn here(&self) -> String {
        self.url("http", "127.0.0.1")
    }

    /// How many connections there were.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The requests, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    body.len() >= length.map_or(0, |length| length.trim().parse().unwrap())
}

/// Writes; a peer that has gone is no matter.
pub fn say(stream: &mut impl Write, bytes: &[u8]) {
    let _gone = stream.write_all(bytes).and_then(|()| stream.flush());
}

/// A whole answer with this body.
#[must_use]
pub fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// Waits until the peer has closed, for a few seconds at most; says whether it did.
pub fn closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut piece = [0; 1024];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                let kind = error.kind();
                return !matches!(
                    kind,
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                );
            }
        }
    }
}

/// Runs one test of this very program again, with these variables in its environment and no other
/// proxies.
///
/// # Panics
/// If that test fails, or was not found.
pub fn rerun(module: &str, test: &str, variables: &[(&str, &str)]) {
    let name = match module.split_once("::") {
        Some((_, within)) => format!("{within}::{test}"),
        None => test.to_owned(),
    };
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", &name]).stderr(Stdio::null());
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD"] {
        again.env_remove(variable).env_remove(variable.to_ascii_lowercase());
    }
    let output = again.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
