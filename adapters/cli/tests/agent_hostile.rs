//! What a peer may send, and what another user's process gets: an answer with a code, or nothing.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

#[path = "common/agent.rs"]
mod agent;
mod common;

use std::env;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use mcp_authz_tests::serve;
use serde_json::json;

use agent::{Peer, Running, wait_for};
use common::{Home, event};

/// A user of this machine that nobody is.
const NOBODY: u32 = 65_534;

/// Each message that is none is answered with a code, and the agent goes on.
#[test]
fn what_is_no_request_is_answered_with_a_code() {
    let home = Home::new();
    let agent = Running::owner(&home);
    let mut peer = Peer::new(&agent.path);
    let deep = format!("{{\"version\":1,\"id\":1,\"request\":{}", "[".repeat(60_000));
    for (line, code) in [
        (&b"\0\x01\xff\xfe"[..], "malformed"),
        (b"", "malformed"),
        (b"GET / HTTP/1.1", "malformed"),
        (b"[1,2]", "malformed"),
        (deep.as_bytes(), "malformed"),
        (br#"{"version":2,"id":1,"request":"list"}"#, "unknown_version"),
        (br#"{"version":1,"id":1,"request":"frobnicate"}"#, "unknown_request"),
        (br#"{"version":1,"id":1,"request":"list","options":{"strct":true}}"#, "malformed"),
        (
            br#"{"version":1,"id":1,"request":"header","method":"G T","url":"https://a/"}"#,
            "malformed",
        ),
    ] {
        peer.write(line);
        peer.write(b"\n");
        let answer = peer.line().expect("an answer");
        assert_eq!(answer["error"]["code"], code, "{}", String::from_utf8_lossy(line));
        assert!(!answer["error"]["next"].as_array().unwrap().is_empty(), "{answer}");
    }
    assert_eq!(peer.line_of_versions(), json!([1]));
    assert!(peer.ask(json!({"request": "list", "later": true})).get("ok").is_some());
}

impl Peer {
    /// The versions that a refusal of another names.
    fn line_of_versions(&mut self) -> serde_json::Value {
        self.write(b"{\"version\":\"9\",\"id\":1,\"request\":\"list\"}\n");
        let answer = self.line().unwrap();
        let text = answer["error"]["message"].as_str().unwrap().to_owned();
        json!([text.rsplit(' ').next().unwrap().parse::<u64>().unwrap()])
    }
}

/// Requests that come at once are answered one after another.
#[test]
fn requests_are_answered_in_turn() {
    let home = Home::new();
    let agent = Running::owner(&home);
    let mut peer = Peer::new(&agent.path);
    let line = |id: u32| format!("{{\"version\":1,\"id\":{id},\"request\":\"list\"}}\n");
    peer.write((0..50).map(line).collect::<String>().as_bytes());
    peer.finish();
    let mut answered = Vec::new();
    while let Some(answer) = peer.line() {
        if answer.get("ok").is_some() {
            answered.push(answer["id"].as_u64().unwrap());
        }
    }
    assert_eq!(answered, (0..50).collect::<Vec<_>>(), "also after the end of what it sends");
}

/// A message that is too long, or does not end, closes its connection and no other.
#[test]
fn a_message_has_an_end() {
    let home = Home::new();
    let agent = Running::owner(&home);
    let mut slow = Peer::new(&agent.path);
    slow.write(b"{\"version\":1,");

    let mut long = Peer::new(&agent.path);
    long.write(&vec![b'x'; 65 * 1024]);
    assert_eq!(long.line().expect("a reason")["error"]["code"], "too_long");
    assert_eq!(long.rest(), b"");
    let mut longest = Peer::new(&agent.path);
    let padding = "x".repeat(64 * 1024 - 60);
    assert!(longest.ask(json!({"request": "list", "p": padding})).get("ok").is_some());

    let mut half = Peer::new(&agent.path);
    half.write(b"{\"version\":1,");
    half.finish();
    assert_eq!(half.rest(), b"", "half a message is none");

    assert_eq!(slow.line().expect("a reason")["error"]["code"], "too_slow");
    assert_eq!(slow.rest(), b"");
    assert!(Peer::new(&agent.path).ask(json!({"request": "list"})).get("ok").is_some());
}

/// 64 connections, each socket for itself.
#[test]
fn the_sixty_fifth_connection_is_turned_away() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    home.done(&["login", url]);
    let agent = Running::owner(&home);
    let sandbox = Running::restricted(&home, Some(&agent), &["--allow", url]);
    let mut held: Vec<Peer> = (0..64).map(|_| Peer::new(&sandbox.path)).collect();
    let (mut more, reason) = Peer::greeted(&sandbox.path);
    assert_eq!(reason["error"]["code"], "busy", "{reason}");
    assert_eq!(more.rest(), b"");
    let busy = sandbox.run(&home, &["token", url]);
    assert_eq!((busy.status, busy.err.contains("busy")), (4, true), "{}", busy.err);
    agent.done(&home, &["token", url]);

    assert!(held.pop().unwrap().lent(url).starts_with("Bearer "));
    wait_for("a free place", || Peer::greeted(&sandbox.path).1.get("error").is_none());
}

/// Whatever a peer names is one value of one line of the audit.
#[test]
fn nobody_writes_lines_of_their_own_into_the_audit() {
    let home = Home::new();
    let agent = Running::owner(&home);
    let mut peer = Peer::new(&agent.path);
    let url = "https://h.example/mcp\n{\"outcome\":\"forged\"}\u{1b}[2J?key=secret-in-query";
    peer.ask(json!({"request": "header", "method": "GET", "url": url}));
    peer.refused(json!({"request": "x\n{\"outcome\":\"forged\"}"}));
    assert!(agent.audited("forged").is_empty());
    let lines = agent.audited("malformed");
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((&line["request"], &line["socket"]), (&json!("header"), &json!("owner")));
    assert!(!line.to_string().contains("secret-in-query") && !line.to_string().contains('\u{1b}'));
    assert!(line["time"].as_str().unwrap().ends_with('Z') && line["pid"].is_u64());
}

/// A process of another user, with every right to the file, gets not a byte: root neither.
#[test]
fn another_users_process_gets_nothing() {
    if !can_be_nobody() {
        return;
    }
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    home.done(&["login", url]);
    let agent = Running::owner(&home);
    let sandbox = Running::restricted(&home, Some(&agent), &["--allow", url]);
    for path in [&agent.path, &sandbox.path] {
        open_to_all(path);
        assert_eq!(as_nobody("connects", path), "got 0 bytes", "{}", path.display());
    }
    let turned_away = sandbox.audited("foreign_user");
    assert_eq!(turned_away.len(), 2, "{turned_away:?}");
    assert!(turned_away.iter().all(|line| line["uid"] == NOBODY));
    assert!(Peer::new(&sandbox.path).lent(url).starts_with("Bearer "));

    // The same the other way round: an agent of nobody, and root asks.
    let home = Home::new();
    chown(home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = home.command(&["agent"]);
    command.uid(NOBODY).gid(NOBODY);
    let theirs = Running::of(command, &home);
    assert_eq!(Peer::silent(&theirs.path).rest(), b"");
    assert_eq!(theirs.audited("foreign_user").len(), 1);
    assert_ne!(as_nobody("connects", &theirs.path), "got 0 bytes", "its own user is greeted");
}

/// The client asks no agent of another user, and sends it nothing.
#[test]
fn a_client_sends_nothing_to_another_users_agent() {
    if !can_be_nobody() {
        return;
    }
    let home = Home::new();
    let place = tempfile::tempdir().unwrap();
    chown(place.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let path = place.path().join("agent.sock");
    let listening = path.clone();
    let fake = thread::spawn(move || as_nobody("listens", &listening));
    let all = |mode: fs::Permissions| mode.mode() & 0o777 == 0o666;
    wait_for("the fake agent", || fs::metadata(&path).is_ok_and(|it| all(it.permissions())));
    let mut command = home.command(&["token", "https://mcp.example/mcp", "--json"]);
    command.env("MCP_AUTHZ_AGENT", &path).env("MCP_CLIENT_SECRET", "a secret");
    let ended = common::ended(command.output().unwrap());
    let lines: Vec<_> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((ended.status, &event(&lines, "failed")["code"]), (1, &json!("foreign_agent")));
    assert_eq!(fake.join().unwrap(), "got 0 bytes");
}

/// A process of the same user can neither read the agent's memory nor have it dumped.
#[cfg(target_os = "linux")]
#[test]
fn the_memory_of_an_agent_is_its_own() {
    if !can_be_nobody() {
        return;
    }
    let home = Home::new();
    chown(home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = home.command(&["agent"]);
    command.uid(NOBODY).gid(NOBODY);
    let agent = Running::of(command, &home);
    let of = |file: &str| Path::new("/proc").join(agent.child.id().to_string()).join(file);
    let limits = fs::read_to_string(of("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    // The kernel gives the files of a process that may not be dumped to root, not to its user.
    assert_eq!(fs::metadata(of("mem")).unwrap().uid(), 0);
}

/// Performs a part as another user, in a process of its own: the test below.
fn as_nobody(part: &str, path: &Path) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    let output = command
        .args(["--exact", "a_part_of_another_user", "--nocapture"])
        .env("PART", part)
        .env("PLACE", path)
        .stdin(Stdio::null())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let got = text.lines().find_map(|line| line.find("got ").map(|at| line[at..].to_owned()));
    got.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// No test by itself: it is started by others as another user.
#[test]
fn a_part_of_another_user() {
    let (Ok(part), Some(place)) = (env::var("PART"), env::var_os("PLACE")) else { return };
    let mut stream = match part.as_str() {
        "connects" => UnixStream::connect(place).unwrap(),
        _ => {
            let listener = UnixListener::bind(&place).unwrap();
            fs::set_permissions(&place, fs::Permissions::from_mode(0o666)).unwrap();
            listener.accept().unwrap().0
        }
    };
    let greeting = "{\"agent\":\"mcp-authz\",\"versions\":[1],\"socket\":\"owner\"}\n";
    let said = if part == "listens" {
        greeting
    } else {
        "{\"version\":1,\"id\":1,\"request\":\"list\"}\n"
    };
    let _it_may_be_closed = stream.write_all(said.as_bytes());
    let _it_may_be_closed = stream.shutdown(std::net::Shutdown::Write);
    let mut got = Vec::new();
    let _it_may_be_reset = stream.read_to_end(&mut got);
    println!("got {} bytes", got.len());
}

/// Lets every user reach a socket, as far as files go.
fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
    for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(env::temp_dir()))
    {
        if folder != env::temp_dir() {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

/// Only root can be somebody else, and only where others may run what was built.
fn can_be_nobody() -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-authz"));
    command.arg("--version").stdout(Stdio::null()).uid(NOBODY).gid(NOBODY);
    let can = command.status().is_ok_and(|status| status.success());
    if !can {
        eprintln!("skipped: no process of another user can be started here");
    }
    can
}
