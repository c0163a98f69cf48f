//! The owner's socket: the commands as they are without an agent, one page at a time, and an end
//! that is told.

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

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use mcp_authz_tests::model::Endpoint;
use mcp_authz_tests::serve;
use serde_json::json;

use agent::{Peer, Running, wait_for};
use common::{Home, ended, event};

/// Whether an agent is asked makes no difference to what is said, nor to the exit status.
#[test]
fn the_commands_are_the_same_through_an_agent() {
    // One of the answers is longer than a message may be.
    let wordy = json!({"name": "wordy", "description": "\u{e9}\"\\".repeat(30_000)});
    let served = serve::embedded(|settings| settings.mcp.more_tools.push(wordy)).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let agent = Running::owner(&home);

    let before = agent.run(&home, &["token", url]);
    assert_eq!(before.status, 3, "{}", before.err);
    let login = agent.run(&home, &["login", url]);
    assert_eq!(login.status, 0, "{}", login.err);
    assert!(
        login.out.starts_with("logged in\n ") && login.err.contains("wants a login"),
        "{login:?}"
    );
    assert!(agent.done(&home, &["login", url]).starts_with("already logged in"));
    for words in [
        vec!["token", url],
        vec!["token", "--header", url],
        vec!["token", "--min-lifetime", "2h", url],
        vec!["list"],
        vec!["list", "--json"],
        vec!["status", url],
        vec!["status", url, "--json"],
        vec!["tools", url],
        vec!["tools", url, "--json"],
        vec!["call", url, "echo", "text=hello"],
        vec!["call", url, "echo", "text=hello", "--json"],
        vec!["call", url, "no-such-tool"],
        vec!["call", url, "echo", "text"],
        vec!["status", "no-such-name"],
        vec!["token", url, "--scope", "\""],
        vec!["token", url, "--account", "nobody"],
    ] {
        let (with, without) = (agent.run(&home, &words), home.run(&words));
        assert_eq!((with.status, with.out), (without.status, without.out), "{words:?}");
        assert_eq!(with.err, without.err, "{words:?}");
    }
    let out = agent.run(&home, &["logout", url]);
    assert!(out.status == 0 && out.out.contains("the server has revoked the tokens"), "{out:?}");
    assert_eq!(agent.run(&home, &["token", url]).status, 3);
    assert_eq!(agent.done(&home, &["logout", "--all"]), "nobody is logged in anywhere\n");
    assert_eq!(home.pages(), 1);
}

/// A relative path and the file of the program that asks mean the same to the agent.
#[test]
fn the_agent_takes_options_as_the_program_means_them() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let agent = Running::owner(&home);
    fs::write(home.path().join("mine.toml"), format!("[servers.mine]\nurl = \"{url}\"\n")).unwrap();
    let here = |words: &[&str]| {
        let mut command = agent.command(&home, words);
        ended(command.current_dir(home.path()).output().unwrap())
    };
    let login = here(&["login", "mine", "--config", "mine.toml", "--store", "elsewhere"]);
    assert_eq!(login.status, 0, "{}", login.err);
    assert!(home.path().join("elsewhere").is_dir());
    assert_eq!(here(&["token", url]).status, 3, "the ordinary store has nothing");
    assert_eq!(here(&["token", url, "--store", "elsewhere"]).status, 0);
}

/// Ten programs need three servers. Nobody is asked before a person acts; then there are three pages
/// at most, and never two at once.
#[test]
fn ten_programs_need_three_servers() {
    let served = [(); 3].map(|()| serve::embedded(|_| {}).unwrap());
    // The page is open for a while; a second one at the same time leaves a mark.
    let home = Home::with_browser(
        "here=$(dirname \"$0\")\nmkdir \"$here/open\" || touch \"$here/two\"\nsleep 0.3\n\
         rmdir \"$here/open\"\nexec curl --silent --location --output /dev/null \"$1\"",
    );
    let agent = Running::owner(&home);
    let ten = |words: &dyn Fn(&str) -> Vec<String>| -> Vec<(i32, String)> {
        let programs: Vec<Child> = (0..10)
            .map(|number| {
                let words = words(served[number % 3].mcp_url());
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let mut command = agent.command(&home, &words);
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        let outputs = programs.into_iter().map(|child| ended(child.wait_with_output().unwrap()));
        outputs.map(|ended| (ended.status, ended.err)).collect()
    };
    let all = |words: &[&str], url: &str| -> Vec<String> {
        words.iter().map(|word| word.replace("URL", url)).collect()
    };
    for words in [&["token", "URL"][..], &["tools", "URL"], &["call", "URL", "echo", "text=x"]] {
        for (status, err) in ten(&|url| all(words, url)) {
            assert_eq!(status, 3, "{words:?}: {err}");
        }
    }
    let headers = served.iter().map(|served| {
        let asked = json!({"request": "header", "method": "GET", "url": served.mcp_url()});
        Peer::new(&agent.path).refused(asked)
    });
    assert_eq!(headers.collect::<Vec<_>>(), ["login_required"; 3]);
    assert_eq!(home.pages(), 0, "nobody has acted");

    for (status, err) in ten(&|url| all(&["login", "URL"], url)) {
        assert_eq!(status, 0, "{err}");
    }
    assert_eq!(home.pages(), 3);
    assert!(!home.path().join("two").exists(), "two pages at once");
    for (status, err) in ten(&|url| all(&["call", "URL", "echo", "text=x"], url)) {
        assert_eq!(status, 0, "{err}");
    }
    assert_eq!(home.pages(), 3);
}

/// Where the browser is elsewhere, the address that it ends up at is pasted.
#[test]
fn what_is_pasted_reaches_the_login() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let agent = Running::owner(&home);
    let mut peer = Peer::new(&agent.path);
    peer.send(json!({"request": "login", "target": url, "options": {"no-browser": true}}));
    let page = peer.said("page")["line"]["url"].as_str().unwrap().to_owned();
    peer.write(b"{\"version\": 1, \"paste\": \"http://127.0.0.1:1/callback?code=x&state=y\"}\n");
    let refused = loop {
        let line = peer.said("line")["text"].as_str().unwrap().to_owned();
        if line.starts_with("That was not it") {
            break line;
        }
    };
    assert!(refused.contains("Paste the whole address"), "{refused}");
    let format = ["--silent", "--output", "/dev/null", "--write-out", "%{redirect_url}"];
    let ends_at = Command::new("curl").args(format).arg(page).output().unwrap().stdout;
    let ends_at = String::from_utf8(ends_at).unwrap();
    peer.write(format!("{}\n", json!({"version": 1, "paste": ends_at})).as_bytes());
    let answer = peer.answer();
    assert!(answer.get("ok").is_some(), "{answer}");
    assert_eq!(home.pages(), 0);
}

/// A login ends with the program that asked for it, and the next one has its turn.
#[test]
fn whoever_goes_gives_the_turn_to_the_next() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let agent = Running::owner(&home);
    let login = json!({"request": "login", "target": url, "options": {"no-browser": true}});
    let mut first = Peer::new(&agent.path);
    first.send(login.clone());
    first.said("page");
    let mut second = Peer::new(&agent.path);
    second.send(login);
    loop {
        if second.said("aside")["line"]["event"] == "queued" {
            break;
        }
    }
    drop(first);
    second.said("page");
    wait_for("the audit of the first", || agent.audited("peer_gone").len() == 1);
}

/// A call ends with the program that made it.
#[test]
fn a_call_is_given_up_with_its_program() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    home.done(&["login", url]);
    let agent = Running::owner(&home);
    served.lock().set(|settings| {
        settings.delays.insert(Endpoint::Mcp, 3_600_000);
    });
    let mut peer = Peer::new(&agent.path);
    let seen = served.lock().count(Endpoint::Mcp);
    let patient = json!({"timeout": 3600});
    peer.send(json!({"request": "call", "target": url, "tool": "whoami", "options": patient}));
    wait_for("the call", || served.lock().count(Endpoint::Mcp) > seen);
    drop(peer);
    wait_for("its end", || agent.audited("peer_gone").len() == 1);
}

/// A path is printed so that a shell reads it as one word.
#[test]
fn the_line_for_a_shell_is_one_that_a_shell_can_read() {
    let home = Home::new();
    let folder = home.path().join("a folder; touch pwned; '");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let socket = folder.join("agent.sock");
    let script = "eval \"$(\"$0\" agent --background --socket \"$1\")\" && printf %s \"$MCP_AUTHZ_AGENT\" \
                  && \"$0\" agent --stop >&2";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_mcp-authz"), socket.to_str().unwrap()]);
    let shell = shell.current_dir(home.path()).env("HOME", home.path());
    let ended = ended(shell.output().unwrap());
    assert_eq!((ended.status, ended.out.as_str()), (0, socket.to_str().unwrap()), "{}", ended.err);
    assert!(!home.path().join("pwned").exists());
}

/// No refresh token crosses a socket, whatever is asked, in either direction.
#[test]
fn no_refresh_token_crosses_the_socket() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let agent = Running::owner(&home);
    let owner = Tap::new(home.path().join("owner.tap"), &agent.path);
    let sandbox = Running::start(
        &home,
        &["agent", "--allow", url, "--socket", home.path().join("box").to_str().unwrap()],
        Some(&owner.path),
    );
    let restricted = Tap::new(home.path().join("restricted.tap"), &sandbox.path);
    let mut canaries = BTreeSet::new();

    let through = |tap: &Tap, words: &[&str]| {
        let output = home.command(words).env("MCP_AUTHZ_AGENT", &tap.path).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
    };
    through(&owner, &["login", url]);
    collect(home.path(), &mut canaries);
    for words in [
        vec!["token", url],
        vec!["list"],
        vec!["status", url],
        vec!["tools", url],
        vec!["call", url, "whoami"],
        vec!["list", "--json", "--prune"],
    ] {
        through(&owner, &words);
    }
    through(&restricted, &["token", url]);
    through(&restricted, &["call", url, "whoami"]);
    // A renewal brings another one.
    let mut peer = Peer::new(&restricted.path);
    let header = json!({"request": "header", "method": "GET", "url": url});
    let mut refused = header.clone();
    refused["refused"] = peer.ask(header)["ok"]["mark"].clone();
    served.lock().revoke_access_tokens();
    assert!(peer.ask(refused).get("ok").is_some());
    collect(home.path(), &mut canaries);
    through(&owner, &["login", url, "--again"]);
    collect(home.path(), &mut canaries);
    through(&owner, &["logout", url]);

    assert!(canaries.len() >= 3, "{canaries:?}");
    let heard = [owner.heard(), restricted.heard()].concat();
    assert!(heard.contains("Bearer at-") && heard.contains("logged_out"));
    for canary in &canaries {
        assert!(!heard.contains(canary.as_str()), "{canary}");
    }
    assert!(!heard.contains("rt-") && !heard.contains("refresh_token"));
}

/// The refresh tokens that the store of a home has.
fn collect(home: &Path, into: &mut BTreeSet<String>) {
    for entry in fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.is_file() && path.extension().is_none_or(|ending| ending != "log") {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            for rest in text.split("\"rt-").skip(1) {
                into.insert(format!("rt-{}", rest.split('"').next().unwrap()));
            }
        }
    }
}

/// A socket in front of another that keeps every byte of both directions.
struct Tap {
    path: PathBuf,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    fn new(path: PathBuf, to: &Path) -> Self {
        let listener = UnixListener::bind(&path).unwrap();
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (to, kept) = (to.to_owned(), Arc::clone(&bytes));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (near, far) = (stream.unwrap(), UnixStream::connect(&to).unwrap());
                for (from, into) in [(&near, &far), (&far, &near)] {
                    let (from, into) = (from.try_clone().unwrap(), into.try_clone().unwrap());
                    let kept = Arc::clone(&kept);
                    thread::spawn(move || pump(from, into, &kept));
                }
            }
        });
        Self { path, bytes }
    }

    fn heard(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }
}

fn pump(mut from: UnixStream, mut into: UnixStream, kept: &Mutex<Vec<u8>>) {
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        kept.lock().unwrap().extend_from_slice(&piece[..read]);
        if into.write_all(&piece[..read]).is_err() {
            break;
        }
    }
    let _either_may_have_gone = into.shutdown(std::net::Shutdown::Both);
}

/// A program whose agent is gone is told so, and what to do.
#[test]
fn an_agent_that_is_gone_is_told() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let mut agent = Running::owner(&home);
    let mut waiting = Peer::new(&agent.path);
    waiting.send(json!({"request": "login", "target": url, "options": {"no-browser": true}}));
    waiting.said("page");
    let mut program = agent.command(&home, &["login", url, "--no-browser", "--json"]);
    let mut program = program.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("\"queued\"")), "it waits behind the first");
    agent.end("-KILL");
    assert!(lines.any(|line| line.contains("agent_unreachable")));
    assert_eq!(program.wait().unwrap().code(), Some(1));
    let after = agent.run(&home, &["token", url]);
    assert_eq!(after.status, 1);
    assert!(
        after.err.contains("start it: eval \"$(mcp-authz agent --background)\""),
        "{}",
        after.err
    );

    // What it left is replaced; what is alive is not.
    assert!(agent.path.exists(), "a killed agent leaves its socket");
    let mut next = Running::owner(&home);
    assert_eq!(next.path, agent.path);
    let (status, lines) = home.lines(&["agent"]);
    assert_eq!((status, &event(&lines, "failed")["code"]), (1, &json!("socket_in_use")));
    assert_eq!(next.run(&home, &["list"]).status, 0);
    next.end("-TERM");
    assert!(!next.path.exists(), "an agent that ends removes its socket");
}

/// The folder of the owner's socket is open to nobody else, or it is not used.
#[test]
fn a_folder_that_others_can_enter_is_refused() {
    let home = Home::new();
    let folder = home.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let socket = folder.join("agent.sock");
    let code = |socket: &Path| {
        let socket = socket.to_str().unwrap();
        let ended = home.run(&["agent", "--json", "--socket", socket, "--", "true"]);
        let lines: Vec<_> = ended.out.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
        assert_eq!(ended.status, 1, "{lines:?}");
        event(&lines, "failed")["code"].as_str().unwrap().to_owned()
    };
    for mode in [0o755, 0o710, 0o770, 0o701] {
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(code(&socket), "socket_place", "{mode:o}");
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let link = home.path().join("link");
    symlink(&folder, &link).unwrap();
    assert_eq!(code(&link.join("agent.sock")), "socket_place");
    fs::write(&socket, "mine").unwrap();
    assert_eq!(code(&socket), "socket_place");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "mine");
    fs::remove_file(&socket).unwrap();
    let elsewhere = home.path().join("elsewhere");
    symlink(&elsewhere, &socket).unwrap();
    assert_eq!(code(&socket), "socket_place");
    assert!(!elsewhere.exists());
    fs::remove_file(&socket).unwrap();
    let long = folder.join("x".repeat(100));
    assert_eq!(code(&long), "socket_place");

    let mut agent = Running::start(&home, &["agent", "--socket", socket.to_str().unwrap()], None);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    // Another in its place is left when it ends.
    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "mine").unwrap();
    agent.end("-INT");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "mine");
}

/// For a shell, and for one command.
#[test]
fn an_agent_goes_into_the_background_and_ends() {
    let home = Home::new();
    let line = home.done(&["agent", "--background"]);
    let path = line.strip_prefix("MCP_AUTHZ_AGENT=").unwrap().split(';').next().unwrap();
    let mut list = home.command(&["list"]);
    let list = ended(list.env("MCP_AUTHZ_AGENT", path).output().unwrap());
    assert_eq!(list.status, 0, "{}", list.err);
    // The second shell of a person uses the agent of the first.
    assert_eq!(home.done(&["agent", "--background"]), line);
    assert_eq!(home.done(&["agent", "--stop"]), "unset MCP_AUTHZ_AGENT;\n");
    wait_for("the end", || !Path::new(path).exists());
    assert_eq!(home.run(&["agent", "--stop"]).status, 1);

    let script = "\"$0\" list >&2 && test -S \"$MCP_AUTHZ_AGENT\" && exit 7";
    let ended = home.run(&["agent", "--", "sh", "-c", script, env!("CARGO_BIN_EXE_mcp-authz")]);
    assert_eq!((ended.status, ended.out.as_str()), (7, ""), "{}", ended.err);
    assert_eq!(home.run(&["agent", "--", "/no/such/command"]).status, 2);
    assert!(!Path::new(path).exists());
}
