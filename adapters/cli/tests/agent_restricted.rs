//! A restricted socket: a header or a call for the servers that it was made for, and nothing else.

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

use mcp_authz_tests::serve;
use serde_json::json;

use agent::{Peer, Running, wait_for};
use common::Home;

/// The program in the sandbox gets what the commands outside get, for this server.
#[test]
fn a_sandbox_gets_a_header_and_a_call() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    home.done(&["login", url]);
    let token = home.done(&["token", url]);
    let owner = Running::owner(&home);
    let sandbox = Running::restricted(&home, Some(&owner), &["--allow", url]);

    let (mut peer, greeting) = Peer::greeted(&sandbox.path);
    assert_eq!(
        greeting,
        json!({"agent": "mcp-authz", "versions": [1], "socket": "restricted", "requests": ["header", "call"]}),
    );
    let header = format!("Bearer {}", token.trim());
    assert_eq!(peer.lent(url), header);
    assert_eq!(peer.lent(&format!("{url}/files?page=2")), header);
    let call = json!({"request": "call", "tool": "echo", "arguments": {"text": "hello"}});
    let answer = peer.ask(call);
    assert_eq!(answer["ok"]["result"]["content"][0]["text"], "hello", "{answer}");

    // The commands find the same there.
    assert_eq!(sandbox.done(&home, &["token", url]), token);
    assert_eq!(
        sandbox.done(&home, &["token", "--header", url]),
        format!("Authorization: {header}\n")
    );
    assert_eq!(sandbox.done(&home, &["call", url, "echo", "text=hello"]), "hello\n");
    for words in [vec!["login", url], vec!["list"], vec!["status", url], vec!["logout", "--all"]] {
        let ended = sandbox.run(&home, &words);
        assert_eq!((ended.status, ended.out.as_str()), (1, ""), "{words:?}");
        assert!(ended.err.contains("not_allowed"), "{words:?}: {}", ended.err);
    }
    let options = sandbox.run(&home, &["token", url, "--strict", "--min-lifetime", "2h"]);
    assert_eq!((options.status, &options.out), (0, &token));
    assert!(
        options.err.contains("left out") && options.err.contains("good for"),
        "{}",
        options.err
    );
    assert_eq!(home.done(&["token", url]), token, "nobody was logged out");
}

/// Every other request, and every other place, is refused with a code, and no refusal holds a token.
#[test]
fn a_sandbox_gets_nothing_else() {
    let (served, other) = (serve::embedded(|_| {}).unwrap(), serve::embedded(|_| {}).unwrap());
    let (home, url) = (Home::new(), served.mcp_url());
    home.done(&["login", url]);
    home.done(&["login", other.mcp_url()]);
    let owner = Running::owner(&home);
    let sandbox = Running::restricted(&home, Some(&owner), &["--allow", url]);
    let mut peer = Peer::new(&sandbox.path);

    for request in ["token", "tools", "login", "logout", "list", "status", "restrict", "stop"] {
        let asked = json!({"request": request, "target": url, "allow": [], "socket": "/tmp/x"});
        assert_eq!(peer.refused(asked), "not_allowed", "{request}");
    }
    assert_eq!(peer.refused(json!({"request": "refresh"})), "unknown_request");
    let origin = url.strip_suffix("/mcp").unwrap();
    let host = origin.strip_prefix("http://").unwrap();
    for outside in [
        other.mcp_url().to_owned(),
        format!("{origin}/"),
        format!("{origin}/mcpx"),
        format!("{origin}/mcp/../admin"),
        format!("{origin}/mcp/%2e%2e/admin"),
        format!("{origin}/mcp/..;/admin"),
        format!("https://{host}/mcp"),
        format!("http://user@{host}/mcp"),
        format!("http://{host}@evil.example/mcp"),
        "https://evil.example/mcp".to_owned(),
        "file:///etc/passwd".to_owned(),
        "/mcp".to_owned(),
    ] {
        let answer = peer.ask(json!({"request": "header", "method": "GET", "url": outside}));
        let code = answer["error"]["code"].as_str();
        assert!(matches!(code, Some("origin_mismatch" | "malformed")), "{outside}: {answer}");
        assert!(!answer.to_string().contains("Bearer"), "{outside}: {answer}");
    }
    for (member, value) in [
        ("options", json!({"allow-plain-http": ["evil.example"]})),
        ("config", json!("/tmp/mine.toml")),
        ("client_secret", json!("mine")),
    ] {
        let mut asked = json!({"request": "header", "method": "GET", "url": url});
        asked[member] = value;
        assert_eq!(peer.refused(asked), "malformed", "{member}");
    }
    let elsewhere = json!({"request": "call", "target": other.mcp_url(), "tool": "echo"});
    assert_eq!(peer.refused(elsewhere), "not_allowed");
    let named = json!({"request": "call", "account": "work", "tool": "echo"});
    assert_eq!(peer.refused(named), "not_allowed");
    assert_eq!(home.pages(), 2, "no page but those of the two logins");
}

/// Where nobody is logged in, a program is told so, and no page opens.
#[test]
fn a_sandbox_opens_no_page() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let sandbox = Running::restricted(&home, None, &["--allow", url]);
    let mut peer = Peer::new(&sandbox.path);
    let header = json!({"request": "header", "method": "GET", "url": url});
    assert_eq!(peer.refused(header.clone()), "login_required");
    let answer = peer.ask(json!({"request": "call", "tool": "echo", "arguments": {"text": "x"}}));
    assert_eq!(answer["error"]["code"], "login_required", "{answer}");
    assert_eq!(
        (&answer["error"]["status"], &answer["error"]["remedy"]),
        (&json!(3), &json!("ask_user"))
    );
    assert_eq!(sandbox.run(&home, &["token", url]).status, 3);
    assert_eq!(sandbox.run(&home, &["call", url, "echo", "text=x"]).status, 3);
    assert_eq!(home.pages(), 0);

    // The person acts outside, and the next request is served.
    home.done(&["login", url]);
    wait_for("the header", || peer_gets(&sandbox, url));
    assert_eq!(home.pages(), 1);
}

fn peer_gets(sandbox: &Running, url: &str) -> bool {
    let asked = json!({"request": "header", "method": "GET", "url": url});
    Peer::new(&sandbox.path).ask(asked).get("ok").is_some()
}

/// With --no-headers no token leaves, and calls are served all the same.
#[test]
fn no_token_leaves_a_socket_for_calls() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    home.done(&["login", url]);
    let token = home.done(&["token", url]);
    let sandbox = Running::restricted(&home, None, &["--allow", url, "--no-headers"]);
    let (mut peer, greeting) = Peer::greeted(&sandbox.path);
    assert_eq!(greeting["requests"], json!(["call"]));
    let header = json!({"request": "header", "method": "GET", "url": url});
    assert_eq!(peer.refused(header), "not_allowed");
    let answer = peer.ask(json!({"request": "call", "tool": "whoami"}));
    assert!(answer.get("ok").is_some(), "{answer}");
    assert!(!answer.to_string().contains(token.trim()));
    assert_eq!(sandbox.run(&home, &["token", url]).status, 1);
}

/// The URL says which server is meant; where it does not, the program has to.
#[test]
fn a_server_is_chosen_by_the_token_area() {
    let (one, two) = (serve::embedded(|_| {}).unwrap(), serve::embedded(|_| {}).unwrap());
    let home = Home::new();
    for words in [
        vec!["login", one.mcp_url()],
        vec!["login", two.mcp_url()],
        vec!["login", two.mcp_url(), "--account", "work"],
    ] {
        home.done(&words);
    }
    let work = format!("{},work", two.mcp_url());
    let both = ["--allow", one.mcp_url(), "--allow", &work];
    let sandbox = Running::restricted(&home, None, &both);
    let mut peer = Peer::new(&sandbox.path);
    let bearer = |words: &[&str]| format!("Bearer {}", home.done(words).trim());
    assert_eq!(peer.lent(one.mcp_url()), bearer(&["token", one.mcp_url()]));
    let token = bearer(&["token", two.mcp_url(), "--account", "work"]);
    assert_eq!(peer.lent(two.mcp_url()), token);
    let call = json!({"request": "call", "tool": "whoami"});
    assert_eq!(peer.refused(call), "ambiguous");
    let call = json!({"request": "call", "tool": "whoami", "target": one.mcp_url()});
    assert!(peer.ask(call).get("ok").is_some());

    let accounts = ["--allow", two.mcp_url(), "--allow", &work];
    let sandbox = Running::restricted(&home, None, &accounts);
    let mut peer = Peer::new(&sandbox.path);
    let header = json!({"request": "header", "method": "GET", "url": two.mcp_url()});
    assert_eq!(peer.refused(header.clone()), "ambiguous");
    let mut chosen = header;
    chosen["account"] = json!("work");
    assert_eq!(peer.ask(chosen)["ok"]["headers"]["authorization"], json!(token));
}

/// A token that the server refuses before its end is renewed once it is named, and not endlessly.
#[test]
fn a_refused_token_is_renewed() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    home.done(&["login", url]);
    let sandbox = Running::restricted(&home, None, &["--allow", url]);
    let mut peer = Peer::new(&sandbox.path);
    let header = |refused: &str| json!({"request": "header", "method": "GET", "url": url, "refused": refused});
    let first = peer.ask(header("no such mark"))["ok"].clone();
    served.lock().revoke_access_tokens();
    let second = peer.ask(header(first["mark"].as_str().unwrap()))["ok"].clone();
    assert_ne!(first["headers"], second["headers"], "{second}");
    let late = peer.ask(header(first["mark"].as_str().unwrap()))["ok"].clone();
    assert_eq!(late["headers"], second["headers"], "an old refusal is answered with what there is");
    let again = peer.ask(header(second["mark"].as_str().unwrap()));
    assert_eq!(again["error"]["code"], "refused_again", "{again}");
    assert_eq!(peer.lent(url), second["headers"]["authorization"].as_str().unwrap());
}

/// The socket is there for as long as whoever made it, and the agent, are.
#[test]
fn a_restricted_socket_ends_with_its_maker() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let mut owner = Running::owner(&home);
    let mut sandbox = Running::restricted(&home, Some(&owner), &["--allow", url]);
    let mut peer = Peer::new(&sandbox.path);
    sandbox.end("-TERM");
    wait_for("the end of the socket", || !sandbox.path.exists());
    assert_eq!(peer.rest(), b"", "whoever was connected is not any more");

    let mut sandbox = Running::restricted(&home, Some(&owner), &["--allow", url]);
    owner.end("-TERM");
    assert!(!owner.path.exists() && !sandbox.path.exists());
    assert_eq!(sandbox.child.wait().unwrap().code(), Some(4), "the agent has ended");

    // A command has the socket, and gives its status.
    let place = home.path().join("command.sock");
    let words = ["agent", "--allow", url, "--socket", place.to_str().unwrap(), "--"];
    let script = "test -S \"$MCP_AUTHZ_AGENT\" && exit 7";
    let words: Vec<&str> = words.iter().copied().chain(["sh", "-c", script]).collect();
    assert_eq!(home.run(&words).status, 7);
    assert!(!place.exists());
}

/// The lines of a host to a bridge that runs in the sandbox, and the messages that come back.
fn bridged(
    sandbox: &Running,
    home: &Home,
    url: &str,
    lines: &[serde_json::Value],
) -> Vec<serde_json::Value> {
    use std::io::Write as _;
    use std::process::Stdio;

    let mut command = sandbox.command(home, &["bridge", url]);
    // It needs no home: nothing is kept in the sandbox.
    command.env_remove("HOME").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for line in lines {
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    let ended = common::ended(child.wait_with_output().unwrap());
    assert_eq!(ended.status, 0, "{}", ended.err);
    ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn opening() -> [serde_json::Value; 3] {
    let initialize = json!({"protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "host", "version": "1"}});
    [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
            "params": {"name": "echo", "arguments": {"text": "hello"}}}),
    ]
}

/// A host application in a sandbox speaks to the server with headers that the agent lends, and a token
/// that is over is renewed outside of the sandbox.
#[test]
fn a_bridge_in_a_sandbox_borrows_each_header() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    home.done(&["login", url]);
    let owner = Running::owner(&home);
    let sandbox = Running::restricted(&home, Some(&owner), &["--allow", url]);
    for _ in 0..2 {
        let said = bridged(&sandbox, &home, url, &opening());
        let answer = |id: u64| said.iter().find(|message| message["id"] == id).unwrap();
        assert!(answer(1)["result"]["serverInfo"].is_object(), "{said:#?}");
        assert_eq!(answer(2)["result"]["content"][0]["text"], "hello", "{said:#?}");
        // The server's clock alone: the agent takes the token for live, and hears that it is not.
        served.advance(3_700_000);
    }
    assert_eq!(home.pages(), 1);
}

/// Where nobody has logged in outside, the host is told which command does.
#[test]
fn a_bridge_in_a_sandbox_opens_no_page() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let owner = Running::owner(&home);
    let sandbox = Running::restricted(&home, Some(&owner), &["--allow", url]);
    let [initialize, ..] = opening();
    let said = bridged(&sandbox, &home, url, &[initialize]);
    let error = said[0]["error"].to_string();
    assert!(error.contains("mcp-authz login"), "{error}");
    assert_eq!(home.pages(), 0);
}
