//! Another process of the suite: from within, and as its parent sees it.
//!
//! Orders go in as lines of JSON, answers come out as the debugging output of what the store said,
//! behind a prefix that sets them apart from what the test harness prints. At the end of its input
//! the process ends.

use core::time::Duration;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{self, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::{env, thread};

use mcp_authz_core::effect::{Holder, Key, StoreRequest, Stored};
use mcp_authz_driver::ports::Store;
use serde::{Deserialize, Serialize};

use crate::contract::races::count_up;
use crate::contract::{lease, release};

/// The environment variable that makes a process a child, and tells it where the store is.
pub(super) const PLACE: &str = "MCP_AUTHZ_CONTRACT_PLACE";

/// No order takes as long as that; a deadline against hanging.
pub(super) const SILENT_AFTER: Duration = Duration::from_secs(120);

const PREFIX: &str = "mcp-authz-contract: ";

/// The orders to a child.
#[derive(Serialize, Deserialize)]
pub(super) enum Order {
    /// Answered as the store answers.
    Perform(StoreRequest),
    /// Adds to the number in a record, so many times.
    Count { key: Key, times: u64 },
    /// Takes the lease, makes sure to be alone and gives it back, so many times.
    Turns { key: Key, holder: Holder, times: u64 },
}

/// Follows orders until there are no more.
pub(super) fn serve(store: &dyn Store, place: &Path) {
    say("Ready");
    for line in io::stdin().lines() {
        let line = line.expect("orders can be read");
        match serde_json::from_str(&line).expect("an order is one") {
            Order::Perform(request) => say(&format!("{:?}", store.perform(request))),
            Order::Count { key, times } => {
                count_up(store, &key, times);
                say("Done");
            }
            Order::Turns { key, holder, times } => {
                let alone = take_turns(store, place, &key, holder, times);
                say(if alone { "Done" } else { "Met another" });
            }
        }
    }
}

fn say(what: &str) {
    // The harness leaves its own lines unfinished.
    let mut out = io::stdout().lock();
    let said = writeln!(out, "\n{PREFIX}{what}").and_then(|()| out.flush());
    said.expect("the parent listens");
}

/// Takes a lease and gives it back; says whether it met nobody else in between.
pub(super) fn take_turns(
    store: &dyn Store,
    place: &Path,
    key: &Key,
    holder: Holder,
    times: u64,
) -> bool {
    let inside = place.join("inside");
    let mut taken = 0;
    while taken < times {
        match store.perform(lease(key, holder)) {
            Stored::Leased => {
                if File::create_new(&inside).is_err() {
                    return false;
                }
                // Long enough that whoever is let in as well is met.
                thread::sleep(Duration::from_millis(1));
                fs::remove_file(&inside).expect("one's own file can be removed");
                let back = store.perform(release(key, holder, None));
                assert_eq!(back, Stored::Released, "a lease can be given back");
                taken += 1;
            }
            Stored::Busy => thread::sleep(Duration::from_millis(1)),
            other => panic!("a lease is had or busy; it was answered {other:?}"),
        }
    }
    true
}

/// A child as its parent sees it. Killed when dropped.
pub(super) struct Child {
    process: process::Child,
    /// Taken when the child is to end.
    orders: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Child {
    /// Starts one, and waits until it has opened the store.
    pub(super) fn start(entry: &str, place: &Path) -> Self {
        let program = env::current_exe().expect("a program knows where it is");
        let mut process = Command::new(program)
            .args([entry, "--exact", "--include-ignored", "--nocapture"])
            .env(PLACE, place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be run again");
        let orders = process.stdin.take();
        let said = BufReader::new(process.stdout.take().expect("its output is piped"));
        let (tell, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in said.lines() {
                let Ok(line) = line else { return };
                if let Some(answer) = line.strip_prefix(PREFIX)
                    && tell.send(answer.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        let mut child = Self { process, orders, answers };
        child.hear(
            "Ready",
            &format!("a process of the suite finds the test {entry:?} and its store"),
        );
        child
    }

    pub(super) fn order(&mut self, order: &Order) {
        let line = serde_json::to_string(order).expect("an order can be written");
        let orders = self.orders.as_mut().expect("a child that has not been told to end");
        writeln!(orders, "{line}").and_then(|()| orders.flush()).expect("a child takes orders");
    }

    /// The next answer.
    #[track_caller]
    pub(super) fn answer(&mut self) -> String {
        match self.answers.recv_timeout(SILENT_AFTER) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                panic!("a process of the suite hangs: no operation of a store waits for another")
            }
            Err(RecvTimeoutError::Disconnected) => {
                panic!("a process of the suite has ended; what it printed says why")
            }
        }
    }

    #[track_caller]
    pub(super) fn hear(&mut self, expected: &str, purpose: &str) {
        let came = match self.answers.recv_timeout(SILENT_AFTER) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => "nothing".to_owned(),
            Err(RecvTimeoutError::Disconnected) => "its end".to_owned(),
        };
        assert!(
            came == expected,
            "{purpose}: another process was to answer {expected:?}, and {came:?} came"
        );
    }

    #[track_caller]
    pub(super) fn performs(&mut self, request: StoreRequest, expected: &Stored, purpose: &str) {
        let asked = format!("{request:?}");
        self.order(&Order::Perform(request));
        self.hear(&format!("{expected:?}"), &format!("{purpose} ({asked})"));
    }

    /// Ends it at once, as a crash would.
    pub(super) fn kill(mut self) {
        self.process.kill().expect("one's own child can be killed");
        self.process.wait().expect("a killed child is gone");
    }

    /// Lets it come to its own end, with its store still open.
    pub(super) fn end(mut self) {
        self.orders = None;
        let ended = self.process.wait().expect("a child without orders ends");
        assert!(ended.success(), "a process of the suite has failed; what it printed says why");
    }

    /// Sends it a signal.
    #[cfg(unix)]
    pub(super) fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.is_ok_and(|sent| sent.success()), "a signal can be sent to one's own child");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}
