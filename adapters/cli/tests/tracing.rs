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
        "caller 1 wants a login",
        "send GET http://127.0.0.1:",
        "/.well-known/oauth-protected-resource/mcp (resource_metadata)",
        "show the page http://127.0.0.1:",
        "a callback came: ",
        "have the store write the grant record",
        "caller 1 gets the grant of epoch 1",
    ] {
        assert!(text.contains(shown), "{shown} is not in {text}");
    }
}

/// The words that a person would rather keep: the account, a name, a tool and its argument, the path
/// and the query of the URL, and every token.
#[test]
fn a_trace_holds_nothing_that_was_real() {
    let home = Home::new();
    let served = serve::embedded(|_| {}).unwrap();
    let url = format!("{}?kanari=kanari", served.mcp_url());
    let words = ["--account", "kanari-account", "--client-name", "Kanari"];
    let login = [&["login", &url][..], &words].concat();
    let call = [&["call", &url, "echo", "text=kanari"][..], &words].concat();
    let traces = [recorded(&home, "login.trace", &login), recorded(&home, "call.trace", &call)];
    let token = home.done(&[&["token", &url][..], &words].concat());
    for file in traces {
        let text = fs::read_to_string(file).unwrap().to_lowercase();
        assert!(text.lines().count() > 3);
        for planted in ["kanari", token.trim()] {
            assert!(!text.contains(&planted.to_lowercase()), "{planted} is in {text}");
        }
    }
}

/// A command that fails leaves a trace all the same, and ends as it would alone.
#[test]
fn a_failure_is_recorded_and_told_as_ever() {
    let home = Home::with_browser("exit 0");
    let served = serve::embedded(|_| {}).unwrap();
    let file = at(&home, "failed.trace");
    let words = ["record", file.to_str().unwrap(), "--", "tools", served.mcp_url(), "--no-login"];
    let (status, lines) = home.lines(&words);
    let failed = event(&lines, "failed");
    assert_eq!((status, &failed["code"]), (3, &json!("reauthorization_required")));
    assert_eq!(event(&lines, "trace")["whole"], true);
    let (status, lines) = replayed(&home, &file);
    assert_eq!(status, 0, "{lines:#?}");
}

/// Nothing that is there is overwritten, and no trace is made of a trace.
#[test]
fn what_cannot_be_recorded_is_told() {
    let home = Home::new();
    let file = at(&home, "mine");
    fs::write(&file, "keep me").unwrap();
    let link = at(&home, "link");
    std::os::unix::fs::symlink(at(&home, "elsewhere"), &link).unwrap();
    let (mine, link) = (file.to_str().unwrap(), link.to_str().unwrap());
    let nowhere = at(&home, "no/such/folder");
    let inner = at(&home, "inner");
    for (words, status, code) in [
        (vec!["record", mine, "--", "list"], 1, "trace_exists"),
        (vec!["record", link, "--", "list"], 1, "trace_exists"),
        (vec!["record", nowhere.to_str().unwrap(), "--", "list"], 1, "trace_unwritable"),
        (vec!["record", inner.to_str().unwrap(), "--", "replay", mine], 2, "usage"),
    ] {
        let (ended, lines) = home.lines(&words);
        assert_eq!((ended, &event(&lines, "failed")["code"]), (status, &json!(code)), "{words:?}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "keep me");
    assert!(!at(&home, "elsewhere").exists() && !inner.exists());
    assert_eq!(home.run(&["record", inner.to_str().unwrap()]).status, 2);
    assert_eq!(home.run(&["record", inner.to_str().unwrap(), "--", "frobnicate"]).status, 2);
    assert!(!inner.exists(), "a command that makes no sense leaves no file");
}

/// What was changed is told by the first step that differs, and what is no trace by its code.
#[test]
fn a_file_that_does_not_replay_is_told_where() {
    let home = Home::new();
    let served = serve::embedded(|_| {}).unwrap();
    let whole = recorded(&home, "login.trace", &["login", served.mcp_url()]);
    let text = fs::read_to_string(&whole).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let status =
        lines.iter().position(|line| line.contains(r#""answered":{"status":200"#)).unwrap();
    let changed = text.replacen(r#""answered":{"status":200"#, r#""answered":{"status":500"#, 1);
    let file = at(&home, "changed.trace");
    fs::write(&file, changed).unwrap();
    let (ended, shown) = replayed(&home, &file);
    let failed = event(&shown, "failed");
    assert_eq!((ended, &failed["code"]), (1, &json!("trace_differs")));
    let step: Value = serde_json::from_str(lines[status]).unwrap();
    let message = failed["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("step {} of session 1 ", step["step"])), "{message}");
    assert_eq!(shown[shown.len() - 2]["same"], false, "it is the last step that is shown");

    // The recording itself may have lost something, and says so.
    let mut lossy: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
    lossy[status] = lossy[status].replace("}\n", ",\"diverged\":\"told.0\"}\n");
    fs::write(&file, lossy.concat()).unwrap();
    let (ended, shown) = replayed(&home, &file);
    assert_eq!((ended, &event(&shown, "failed")["code"]), (1, &json!("trace_diverged")));

    let cut = &text[..text.len() - 30];
    let newer = text.replacen(r#""trace":1"#, r#""trace":99"#, 1);
    let stranger = text.lines().filter(|line| !line.contains("setup"));
    let stranger: String = stranger.map(|line| format!("{line}\n")).collect();
    let refused = text.replacen("http://127.0.0.1", "ftp://127.0.0.1", 1);
    let garbled = format!("{}\nnot json\n", lines[0]);
    for (name, content, code) in [
        ("cut", cut.as_bytes(), "trace_truncated"),
        ("newer", newer.as_bytes(), "trace_version"),
        ("stranger", stranger.as_bytes(), "trace_no_session"),
        ("refused", refused.as_bytes(), "trace_setup"),
        ("garbled", garbled.as_bytes(), "trace_malformed"),
        ("text", b"hello\n", "trace_unknown"),
        ("bytes", &[0xFF, 0, 10, 0xFE], "trace_unknown"),
        ("empty", b"", "trace_unknown"),
    ] {
        let file = at(&home, name);
        fs::write(&file, content).unwrap();
        let (ended, shown) = replayed(&home, &file);
        let failed = event(&shown, "failed");
        assert_eq!((ended, &failed["code"]), (1, &json!(code)), "{name}: {shown:#?}");
    }
    assert_eq!(home.run(&["replay", "/no/such/file"]).status, 1);
}

/// What a program that was killed has left is a trace up to there.
#[test]
fn a_trace_without_its_end_replays_as_far_as_it_goes() {
    let home = Home::new();
    let served = serve::embedded(|_| {}).unwrap();
    let whole = recorded(&home, "login.trace", &["login", served.mcp_url()]);
    let text = fs::read_to_string(&whole).unwrap();
    let begun: String = text.lines().take(7).map(|line| format!("{line}\n")).collect();
    let file = at(&home, "begun.trace");
    fs::write(&file, begun).unwrap();
    let (status, lines) = replayed(&home, &file);
    assert_eq!((status, &event(&lines, "replayed")["steps"]), (0, &json!(5)), "{lines:#?}");
}
