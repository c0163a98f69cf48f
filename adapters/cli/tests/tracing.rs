//! `record` and `replay`: what a command does is written to a file that holds nothing real, and shows
//! the same steps again without any server.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use mcp_authz_tests::serve;
use serde_json::{Value, json};

use common::{Home, event};

/// The path of a trace in a person's home.
fn at(home: &Home, name: &str) -> PathBuf {
    home.path().join(name)
}

/// Records a command, which has to succeed.
fn recorded(home: &Home, name: &str, words: &[&str]) -> PathBuf {
    let file = at(home, name);
    let words: Vec<&str> =
        ["record", file.to_str().unwrap(), "--"].iter().chain(words).copied().collect();
    home.done(&words);
    file
}

fn replayed(home: &Home, file: &Path) -> (i32, Vec<Value>) {
    home.lines(&["replay", file.to_str().unwrap()])
}

/// A login, a call and a log-out are recorded; the server is gone when they are replayed.
#[test]
fn what_is_recorded_replays_without_the_server() {
    let home = Home::new();
    let served = serve::embedded(|_| {}).unwrap();
    let url = served.mcp_url().to_owned();
    let traces = [
        recorded(&home, "login.trace", &["login", &url]),
        recorded(&home, "tools.trace", &["tools", &url]),
        recorded(&home, "logout.trace", &["logout", "--all"]),
    ];
    drop(served);
    for file in &traces {
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (status, lines) = replayed(&home, file);
        assert_eq!(status, 0, "{lines:#?}");
        let steps = lines.iter().filter(|line| line["event"] == "step");
        assert!(steps.clone().count() > 0 && steps.clone().all(|step| step["same"] == true));
        assert_eq!(event(&lines, "replayed")["steps"], steps.count());
    }
    let text = home.done(&["replay", traces[0].to_str().unwrap()]);
    for shown in [
        "caller 0 wants a login",
        "send GET http://127.0.0.1:",
        "/.well-known/oauth-protected-resource/mcp (resource_metadata)",
        "show the page http://127.0.0.1:",
        "a callback came: ",
        "have the store write the grant record",
        "caller 0 gets the grant of epoch 1",
    ] {
        assert!(text.contains(shown), "{shown} is not in {text}");
    }
}
