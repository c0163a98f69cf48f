//! An example client as a process: this test binary, run again, does what the example's `main` does.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::process::{self, Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use std::{env, thread};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{async_std_client, blocking_client, oauth_client};

/// Against hanging, nothing else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// What the process is to be, for the test below: the example's name, then its arguments.
const CHILD: &str = "MCP_AUTHZ_CHILD";
const ENTRY: &str = "program::each_example_is_a_process_of_its_own";

/// The examples.
pub(crate) const EXAMPLES: [&str; 3] = ["oauth_client", "blocking_client", "async_std_client"];

#[test]
fn each_example_is_a_process_of_its_own() {
    if let Ok(child) = env::var(CHILD) {
        let status = run(&child);
        let known = [(ExitCode::SUCCESS, 0), (ExitCode::from(2), 2)];
        process::exit(
            known.iter().find(|(code, _)| *code == status).map_or(1, |(_, number)| *number),
        );
    }
    for example in EXAMPLES {
        let ended = Program::start(example, &["--json", "--calls", "3"]).end();
        assert_eq!((ended.status, &ended.last["outcome"]), (0, &"authorized".into()), "{example}");
        assert_eq!(ended.last["calls"], 3, "{example}");
        let ended = Program::start(example, &["--json", "--calls", "none"]).end();
        assert_eq!(ended.status, 2, "{example}");
    }
}

#[test]
fn what_is_wrong_with_the_arguments_or_the_store_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    for example in EXAMPLES {
        let ended =
            Program::start(example, &["--json", "--store", file, "http://127.0.0.1:1/mcp"]).end();
        assert_eq!((ended.status, &ended.last["code"]), (1, &"store_kind".into()), "{example}");
        let said = ended.last["message"].as_str().unwrap();
        assert!(said.contains(file) && said.contains("name another folder"), "{said}");
        for wrong in [&["--store", file][..], &["--parallel", "2"], &["--calls", "0"]] {
            let ended = command(example, wrong).output().unwrap();
            let said = String::from_utf8(ended.stderr).unwrap();
            assert_eq!(ended.status.code(), Some(2), "{example} {wrong:?}");
            assert!(said.contains(wrong[0]), "{example} {wrong:?}: {said}");
        }
        let help =
            String::from_utf8(command(example, &["--help"]).output().unwrap().stdout).unwrap();
        for option in ["--store <DIR>", "--account <NAME>", "--calls <N>", "--parallel <M>"] {
            assert!(help.contains(option), "{example}: {option}");
        }
    }
}

/// Without a terminal, and without any program that would open a browser.
#[test]
fn a_program_that_can_ask_nobody_says_so_at_once_host_169() {
    for example in EXAMPLES {
        let begun = Instant::now();
        let mut command = command(example, &["--json", "--browser"]);
        command.env("PATH", "").env_remove("BROWSER");
        let ended = Program::run(command).end();
        assert_eq!(
            (ended.status, &ended.last["code"]),
            (1, &"browser_refused".into()),
            "{example}"
        );
        assert!(begun.elapsed() < Duration::from_secs(60), "{example}");
        let shown = |name: &str| ended.steps.iter().find(|step| step["step"] == name).cloned();
        assert!(shown("visit").unwrap()["authorization_host"].is_string(), "{example}");
        assert!(shown("open").unwrap()["url"].is_string(), "{example}: programs are told the page");
    }
}

/// An example, as a process that is still to be started.
fn command(example: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", ENTRY, "--nocapture", "--quiet"])
        .env(CHILD, [&[example], arguments].concat().join("\n"))
        .stdin(Stdio::null());
    command
}

/// What an example's `main` does, with these arguments.
fn run(child: &str) -> ExitCode {
    let mut words = child.split('\n');
    let example = words.next();
    let arguments: Vec<OsString> = words.map(OsString::from).collect();
    match example {
        Some("blocking_client") => blocking_client::run(arguments),
        Some("async_std_client") => async_std::task::block_on(async_std_client::run(arguments)),
        _ => {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.enable_all().build().unwrap().block_on(oauth_client::run(arguments))
        }
    }
}

/// A running example. Dropped, it is killed.
pub(crate) struct Program {
    child: Child,
    said: Arc<Said>,
}

#[derive(Default)]
struct Said {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    steps: Vec<Value>,
    over: bool,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    /// The last line, which has the outcome; null if there was none.
    pub(crate) last: Value,
    pub(crate) steps: Vec<Value>,
}

impl Program {
    pub(crate) fn start(example: &str, arguments: &[&str]) -> Self {
        Self::run(command(example, arguments))
    }

    fn run(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let said = Arc::new(Said::default());
        let (out, to) = (child.stdout.take().unwrap(), Arc::clone(&said));
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                // The test harness has a line of its own; a line cut off by a kill is none.
                if let Ok(step @ Value::Object(_)) = serde_json::from_str(&line) {
                    to.lines.lock().unwrap().steps.push(step);
                    to.more.notify_all();
                }
            }
            to.lines.lock().unwrap().over = true;
            to.more.notify_all();
        });
        Self { child, said }
    }

    /// Waits until so many steps are as described, and tells whether they came.
    pub(crate) fn says(&self, times: usize, is: impl Fn(&Value) -> bool) -> bool {
        let end = Instant::now() + PATIENCE;
        let mut lines = self.said.lines.lock().unwrap();
        loop {
            if lines.steps.iter().filter(|step| is(step)).count() >= times {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if lines.over || left.is_zero() {
                return false;
            }
            lines = self.said.more.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// What it has said so far.
    pub(crate) fn steps(&self) -> Vec<Value> {
        self.said.lines.lock().unwrap().steps.clone()
    }

    /// How often it has sent a refresh token.
    pub(crate) fn refreshes(&self) -> usize {
        self.steps()
            .iter()
            .filter(|step| step["purpose"] == "refresh" && step["step"] == "request")
            .count()
    }

    pub(crate) fn running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Kills it with signal 9. It is gone on return.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let end = Instant::now() + PATIENCE;
        let mut lines = self.said.lines.lock().unwrap();
        while !lines.over {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it does not end: {:#?}", lines.steps);
            lines = self.said.more.wait_timeout(lines, left).unwrap().0;
        }
        let steps = lines.steps.clone();
        drop(lines);
        let status = self.child.wait().unwrap().code().unwrap_or(-1);
        let last = steps.last().filter(|step| !step["outcome"].is_null()).cloned();
        Ended { status, last: last.unwrap_or_default(), steps }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// It went well, and nobody was asked.
    pub(crate) fn went_well(&self) -> bool {
        self.status == 0 && self.last["outcome"] == "authorized" && self.last["failures"] == 0
    }
}
