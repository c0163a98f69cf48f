//! An agent of a home, and whoever asks it.

#![allow(dead_code, reason = "each suite uses its part")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Ended, Home, ended};

/// The longest wait for anything that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// An agent that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) path: PathBuf,
    audit: PathBuf,
}

impl Running {
    /// The owner's agent, with its socket in this home.
    pub(crate) fn owner(home: &Home) -> Self {
        Self::start(home, &["agent"], None)
    }

    /// A restricted socket, by the agent if one is given, which these words describe.
    pub(crate) fn restricted(home: &Home, by: Option<&Self>, words: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let socket = home.path().join(format!("box-{count}.sock"));
        let socket = socket.to_str().unwrap();
        let words: Vec<&str> = ["agent", "--socket", socket].iter().chain(words).copied().collect();
        Self::start(home, &words, by.map(|agent| agent.path.as_path()))
    }

    pub(crate) fn start(home: &Home, words: &[&str], by: Option<&Path>) -> Self {
        let mut command = home.command(words);
        if let Some(by) = by {
            command.env("MCP_AUTHZ_AGENT", by);
        }
        Self::of(command, home)
    }

    pub(crate) fn of(mut command: Command, home: &Home) -> Self {
        let audit = home.path().join("audit");
        let log = fs::OpenOptions::new().append(true).create(true).open(&audit).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let path = line.strip_prefix("MCP_AUTHZ_AGENT=").and_then(|rest| rest.split_once(';'));
        let (path, rest) =
            path.unwrap_or_else(|| panic!("{line}{}", fs::read_to_string(&audit).unwrap()));
        assert_eq!(rest, " export MCP_AUTHZ_AGENT;\n");
        Self { child, path: PathBuf::from(path), audit }
    }

    /// A command of the home that goes through this socket.
    pub(crate) fn command(&self, home: &Home, words: &[&str]) -> Command {
        let mut command = home.command(words);
        command.env("MCP_AUTHZ_AGENT", &self.path);
        command
    }

    pub(crate) fn run(&self, home: &Home, words: &[&str]) -> Ended {
        ended(self.command(home, words).output().unwrap())
    }

    pub(crate) fn done(&self, home: &Home, words: &[&str]) -> String {
        let ended = self.run(home, words);
        assert_eq!(ended.status, 0, "{words:?}: {}{}", ended.out, ended.err);
        ended.out
    }

    /// The lines of the audit with this outcome.
    pub(crate) fn audited(&self, outcome: &str) -> Vec<Value> {
        let text = fs::read_to_string(&self.audit).unwrap();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["outcome"] == outcome).collect()
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn end(&mut self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _it_has_ended = self.child.kill();
        let _it_has_ended = self.child.wait();
    }
}

/// A program that speaks the protocol itself.
pub(crate) struct Peer {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
    count: u64,
}

impl Peer {
    /// Connects, and is greeted.
    pub(crate) fn greeted(path: &Path) -> (Self, Value) {
        let mut peer = Self::silent(path);
        let greeting = peer.line().expect("a greeting");
        (peer, greeting)
    }

    pub(crate) fn new(path: &Path) -> Self {
        Self::greeted(path).0
    }

    /// Connects and reads nothing.
    pub(crate) fn silent(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        Self { stream, lines, count: 0 }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _the_agent_may_have_closed_it = self.stream.write_all(bytes);
    }

    /// No more will come.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// The next line; `None` at the end.
    pub(crate) fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) => None,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            read => {
                read.expect("the agent answers or closes in time");
                assert!(line.len() <= 64 * 1024 + 1, "no message is longer");
                Some(serde_json::from_str(&line).unwrap())
            }
        }
    }

    /// Everything until the agent closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.lines.read_to_end(&mut rest) {
            Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("{error}"),
            _ => rest,
        }
    }

    /// Sends a request, with a version and an id.
    pub(crate) fn send(&mut self, mut request: Value) {
        self.count += 1;
        request["version"] = json!(1);
        request["id"] = json!(self.count);
        self.write(format!("{request}\n").as_bytes());
    }

    /// The end of the request that was sent last: `ok` or `error`, in the object that has it.
    pub(crate) fn answer(&mut self) -> Value {
        loop {
            let line = self.line().expect("an answer");
            assert_eq!(line["id"], json!(self.count), "{line}");
            if line.get("said").is_none() {
                return line;
            }
        }
    }

    pub(crate) fn ask(&mut self, request: Value) -> Value {
        self.send(request);
        self.answer()
    }

    /// The code of the refusal of a request.
    pub(crate) fn refused(&mut self, request: Value) -> String {
        let answer = self.ask(request);
        answer["error"]["code"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// The header that is lent for a URL.
    pub(crate) fn lent(&mut self, url: &str) -> String {
        let answer = self.ask(json!({"request": "header", "method": "GET", "url": url}));
        let header = answer["ok"]["headers"]["authorization"].as_str();
        header.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// What is said next, by this name.
    pub(crate) fn said(&mut self, name: &str) -> Value {
        loop {
            let line = self.line().expect("something is said");
            if line["said"]["as"] == name {
                return line["said"].clone();
            }
            assert!(line.get("said").is_some(), "{line}");
        }
    }
}

/// Waits until something is so.
pub(crate) fn wait_for(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come");
        thread::sleep(Duration::from_millis(20));
    }
}
