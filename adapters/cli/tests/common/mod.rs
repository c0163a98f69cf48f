//! The program as a person starts it, with a home, a store and a browser of its own.

#![allow(dead_code, reason = "each suite uses its part")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A home that ends with the test.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    browser: PathBuf,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    /// A person whose browser agrees to everything.
    pub(crate) fn new() -> Self {
        Self::with_browser("exec curl --silent --location --output /dev/null \"$1\"")
    }

    /// A person whose browser is this shell script.
    pub(crate) fn with_browser(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let browser = folder.path().join("browser");
        let log = folder.path().join("pages");
        let text = format!("#!/bin/sh\necho \"$1\" >> {}\n{script}\n", log.display());
        fs::write(&browser, text).unwrap();
        fs::set_permissions(&browser, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, browser }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The pages that the browser was shown so far.
    pub(crate) fn pages(&self) -> usize {
        fs::read_to_string(self.path().join("pages")).unwrap_or_default().lines().count()
    }

    /// The program, in this home and without anything else of the environment.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-authz"));
        command
            .args(words)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("BROWSER", &self.browser)
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        ended(self.command(words).output().unwrap())
    }

    /// Runs the program, which has to succeed, and gives its standard output.
    pub(crate) fn done(&self, words: &[&str]) -> String {
        let ended = self.run(words);
        assert_eq!(ended.status, 0, "{words:?}: {}{}", ended.out, ended.err);
        ended.out
    }

    /// The lines of a run with `--json`.
    pub(crate) fn lines(&self, words: &[&str]) -> (i32, Vec<Value>) {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        let ended = self.run(&words);
        assert_eq!(ended.err, "", "programs read standard output alone");
        let lines = ended.out.lines().map(|line| serde_json::from_str(line).unwrap());
        (ended.status, lines.collect())
    }
}

pub(crate) fn ended(output: Output) -> Ended {
    Ended {
        status: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The line of this event.
pub(crate) fn event<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    let found = lines.iter().find(|line| line["event"] == name);
    found.unwrap_or_else(|| panic!("no {name} among {lines:#?}"))
}
