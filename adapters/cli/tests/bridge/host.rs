//! A host application: starts a bridge, writes lines to it and reads those that come.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Against hanging, nothing else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A bridge and the host that has started it. Dropped, the bridge is killed.
pub(crate) struct Host {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Value>,
    /// Messages that came and were not asked for yet.
    kept: Vec<Value>,
    log: Arc<Mutex<String>>,
    reads: Option<thread::JoinHandle<()>>,
    deaf: Arc<AtomicBool>,
    ids: u64,
}

/// How a bridge is to be started.
pub(crate) struct Start<'a> {
    pub(crate) url: &'a str,
    pub(crate) store: &'a Path,
    pub(crate) browser: &'a Path,
    pub(crate) more: &'a [&'a str],
}

impl Host {
    pub(crate) fn start(start: &Start<'_>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-authz"));
        command
            .args(["bridge", "--store"])
            .arg(start.store)
            .args(start.more)
            .arg(start.url)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", start.store)
            .env("BRIDGE_KEY", "c4n4ry key")
            .env("BROWSER", start.browser)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let (out, deaf) = (child.stdout.take().unwrap(), Arc::new(AtomicBool::new(false)));
        let stops = Arc::clone(&deaf);
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                while stops.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(5));
                }
                // Whatever is no message would be an error of the bridge's.
                let message = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let log = Arc::new(Mutex::new(String::new()));
        let (mut errors, kept) = (child.stderr.take().unwrap(), Arc::clone(&log));
        let reads = thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = errors.read(&mut piece) {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..length]));
            }
        });
        let input = child.stdin.take();
        let (kept, reads) = (Vec::new(), Some(reads));
        Self { child, input, lines, kept, log, reads, deaf, ids: 100 }
    }

    /// One that has been answered to its `initialize`, and has said that it is ready.
    pub(crate) fn initialized(start: &Start<'_>, version: &str, capabilities: Value) -> Self {
        let mut host = Self::start(start);
        let answer = host.initialize(version, capabilities);
        assert_eq!(answer["result"]["protocolVersion"], version, "{answer} {}", host.log());
        host.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        host
    }

    pub(crate) fn initialize(&mut self, version: &str, capabilities: Value) -> Value {
        self.ask(
            "initialize",
            json!({
                "protocolVersion": version,
                "capabilities": capabilities,
                "clientInfo": {"name": "host", "version": "7", "title": "The host"},
            }),
        )
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().unwrap();
        input.write_all(bytes).and_then(|()| input.flush()).unwrap();
    }

    pub(crate) fn say(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    /// Sends a request under an id of its own.
    pub(crate) fn send(&mut self, method: &str, params: Value) -> Value {
        self.ids += 1;
        let id = json!(self.ids);
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// The answer to a request.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        self.answer(&id)
    }

    pub(crate) fn answer(&mut self, id: &Value) -> Value {
        self.expect(&format!("the answer to {id}"), |message| {
            message.get("method").is_none() && message["id"] == *id
        })
    }

    /// A request of the server's.
    pub(crate) fn question(&mut self, method: &str) -> Value {
        self.expect(method, |message| message["method"] == method && message.get("id").is_some())
    }

    pub(crate) fn notified(&mut self, method: &str) -> Value {
        self.expect(method, |message| message["method"] == method && message.get("id").is_none())
    }

    /// The first message that is such, among those that came and those that come.
    pub(crate) fn expect(&mut self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&is) {
            return self.kept.remove(at);
        }
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(message) if is(&message) => return message,
                Ok(message) => self.kept.push(message),
                Err(error) => panic!("{what}: {error}; {:?}; {}", self.kept, self.log()),
            }
        }
    }

    /// The messages that came so far and nobody asked for.
    pub(crate) fn rest(&mut self) -> Vec<Value> {
        self.kept.extend(self.lines.try_iter());
        std::mem::take(&mut self.kept)
    }

    /// Sets whether it leaves unread what the bridge writes.
    pub(crate) fn is_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::SeqCst);
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log says this.
    pub(crate) fn logs(&self, text: &str) {
        for _ in 0..PATIENCE.as_millis() / 20 {
            if self.log().contains(text) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("{text}: {}", self.log());
    }

    /// Closes the host's end, and waits for the bridge's: its exit status.
    pub(crate) fn close(mut self) -> (Option<i32>, Vec<Value>, String) {
        drop(self.input.take());
        let status = self.child.wait().unwrap().code();
        self.reads.take().unwrap().join().unwrap();
        while let Ok(message) = self.lines.recv_timeout(PATIENCE) {
            self.kept.push(message);
        }
        (status, std::mem::take(&mut self.kept), self.log())
    }

    /// Ends it with signal 9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Asks it to end, as the system does, and waits: its exit status.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
