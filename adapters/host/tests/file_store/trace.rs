//! A child under `strace`: its system calls, one of which may be made to fail or to be its last.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::child::{self, BEGIN, END, Work};

/// Harmless calls of every kind before the work. `strace` counts the calls of each name and thread
/// apart and meddles in all threads, so a number has to be too high for any other one.
const HARMLESS: u64 = 30;

/// The outcome of a run.
pub(crate) struct Run {
    /// The answer of the store, or its failure's code; nothing if the child did not get so far.
    pub(crate) said: Option<String>,
    /// The calls of the thread that worked, from the mark before the work on, which is not among
    /// them.
    pub(crate) calls: Vec<String>,
    /// The place of the mark after the work, if it got there.
    end: Option<usize>,
    /// The calls of that thread before.
    before: Vec<String>,
    /// The calls of the other threads.
    others: Vec<Vec<String>>,
}

impl Run {
    /// The calls of the work, which is done.
    pub(crate) fn work(&self) -> &[String] {
        &self.calls[..self.end.expect("the work came to its end")]
    }

    /// How to say that something is to happen to the call of this place and to no other.
    pub(crate) fn at(&self, place: usize, what: &str) -> String {
        let name = name(&self.calls[place]);
        let number = count(&self.before, name) + count(&self.calls[..=place], name);
        let most = self.others.iter().map(|calls| count(calls, name)).max().unwrap_or(0);
        assert!(number > most, "{number} calls of {name} before, and {most} in another thread");
        format!("{name}:{what}:when={number}")
    }

    /// How to say that all calls of a name fail from this place on.
    pub(crate) fn from(&self, place: usize, name: &str, what: &str) -> String {
        let before = count(&self.before, name) + count(&self.calls[..place], name);
        format!("{name}:{what}:when={}+", before + 1)
    }
}

/// Runs a child. `inject` is how `strace` is to meddle with its calls.
pub(crate) fn run(work: Work, folder: &Path, inject: &[String]) -> Run {
    let traces = tempfile::tempdir().unwrap();
    let mut command = Command::new("strace");
    command.args(["-ff", "-qq", "-s", "256", "-o"]).arg(traces.path().join("of"));
    for inject in inject {
        command.arg("-e").arg(format!("inject={inject}"));
    }
    // Where libraries are looked for is no matter here, and makes calls.
    command.env_remove("LD_LIBRARY_PATH");
    command.arg(child::this()).args(child::ARGUMENTS).stdin(Stdio::null());
    child::tell(&mut command, work, folder, HARMLESS);
    let output = command.output().expect(
        "strace is needed to kill a process at each of its system calls: apt-get install strace",
    );
    let traces = fs::read_dir(traces.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut threads: Vec<Vec<String>> =
        traces.map(|path| calls(&String::from_utf8_lossy(&fs::read(path).unwrap()))).collect();
    let at = |thread: &Vec<String>, mark| thread.iter().position(|call| call.contains(mark));
    let worked = threads.iter().enumerate();
    let worked = worked.into_iter().find_map(|(n, thread)| Some((n, at(thread, BEGIN)?)));
    let Some((thread, begin)) = worked else {
        panic!("the child did not begin: {}", String::from_utf8_lossy(&output.stderr))
    };
    let mut before = threads.swap_remove(thread);
    let calls = before.split_off(begin + 1);
    let end = at(&calls, END);
    Run { said: child::said(&output).into_iter().next(), calls, end, before, others: threads }
}

/// The name of a call.
pub(crate) fn name(call: &str) -> &str {
    call.split('(').next().unwrap_or_default()
}

fn count(calls: &[String], of: &str) -> usize {
    calls.iter().filter(|call| name(call) == of).count()
}

fn calls(trace: &str) -> Vec<String> {
    let calls = trace.lines().filter(|line| !line.starts_with("+++") && !line.starts_with("---"));
    calls.map(str::to_owned).collect()
}
