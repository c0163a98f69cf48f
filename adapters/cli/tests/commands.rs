//! The commands that log in and out, look, print a token and call tools.

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

use mcp_authz_tests::serve;
use serde_json::json;

use common::{Home, event};

/// A person logs in once; every later command goes on without one.
#[test]
fn one_login_serves_every_command() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let (status, lines) = home.lines(&["login", url]);
    assert_eq!(status, 0, "{lines:#?}");
    let done = event(&lines, "logged_in");
    assert_eq!((&done["server"], &done["saved"]), (&json!(url), &json!(true)));
    assert!(event(&lines, "page")["url"].as_str().unwrap().contains("code_challenge="));
    assert_eq!(home.pages(), 1);

    let again = home.done(&["login", url]);
    assert!(
        again.starts_with("already logged in") && again.contains("nobody was asked"),
        "{again}"
    );

    let tools = home.done(&["tools", url]);
    assert!(tools.contains("echo text=STRING\n    Says back the text"), "{tools}");
    assert_eq!(home.done(&["call", url, "echo", "text=hello"]), "hello\n");
    assert_eq!(home.done(&["call", url, "echo", r#"{"text": "3"}"#]), "3\n");

    let (_, lines) = home.lines(&["call", url, "count", "upto=2"]);
    let told: Vec<_> = lines.iter().filter(|line| line["event"] == "tool_progress").collect();
    assert_eq!(told.iter().map(|line| &line["progress"]).collect::<Vec<_>>(), [0.0, 1.0]);

    let token = home.done(&["token", url]);
    assert_eq!(home.done(&["token", "--header", url]), format!("Authorization: Bearer {token}"));
    let headers: serde_json::Value =
        serde_json::from_str(&home.done(&["token", "--headers", url])).unwrap();
    assert_eq!(headers, json!({"Authorization": format!("Bearer {}", token.trim())}));
    assert_eq!(home.pages(), 1, "nobody was asked again");
}

/// A token that is not worth printing is renewed, by one request, and a longer one than the server
/// gives is not waited for.
#[test]
fn a_token_lives_as_long_as_is_asked_for() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    home.done(&["login", url]);
    let first = home.done(&["token", url]);
    assert_eq!(home.done(&["token", "--min-lifetime", "5m", url]), first);
    let (status, lines) = home.lines(&["token", "--min-lifetime", "2h", url]);
    assert_eq!(status, 0);
    event(&lines, "short_lived");
    assert_eq!(event(&lines, "token")["token"], first.trim());
    assert_eq!(home.run(&["token", "--min-lifetime", "5 minutes", url]).status, 2);
}

#[test]
fn a_log_out_says_how_far_it_came() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    home.done(&["login", url]);
    home.done(&["login", url, "--account", "work"]);
    let (_, lines) = home.lines(&["list"]);
    let accounts: Vec<_> = lines.iter().map(|line| (&line["account"], &line["state"])).collect();
    let live = json!("authorized");
    assert_eq!(accounts, [(&json!(null), &live), (&json!("work"), &live)]);

    let (status, lines) = home.lines(&["logout", url, "--account", "work"]);
    let done = event(&lines, "logged_out");
    assert_eq!((status, &done["revoked"], &done["removed"]), (0, &json!("done"), &json!(true)));
    let (status, lines) = home.lines(&["token", url, "--account", "work"]);
    let failed = event(&lines, "failed");
    assert_eq!((status, &failed["code"]), (3, &json!("reauthorization_required")));
    home.done(&["token", url]);

    let all = home.done(&["logout", "--all"]);
    assert_eq!(all.matches("logged out of").count(), 1, "the other is logged out already: {all}");
    assert_eq!(home.run(&["token", url]).status, 3);
    assert_eq!(home.done(&["logout", "--all"]), "nobody is logged in anywhere\n");
}

/// What is kept is told by account, with what the next use would need.
#[test]
fn status_tells_what_is_kept() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    assert!(home.done(&["status", url]).starts_with("nothing is kept for"));
    assert!(home.done(&["list"]).starts_with("no credentials are kept"));
    home.done(&["login", url]);
    let text = home.done(&["status", url]);
    assert!(text.contains("authorized") && text.contains("  next       nothing"), "{text}");
    let (_, lines) = home.lines(&["status", url]);
    assert_eq!(event(&lines, "entry")["needs_person"], false);
    home.done(&["logout", url]);
    let (_, lines) = home.lines(&["status", url]);
    assert_eq!(event(&lines, "entry")["needs_person"], true);
}

/// The exit status says what kind of thing is to be done.
#[test]
fn each_end_has_its_status() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    for (words, status, code) in [
        (vec!["tools", "ftp://host.example/mcp"], 2, "config_invalid"),
        (vec!["tools", "no-such-name"], 2, "usage"),
        (vec!["tools", url, "--no-login"], 3, "reauthorization_required"),
        (vec!["tools", "http://127.0.0.1:9/mcp"], 4, "mcp_lost"),
        (vec!["tools", url, "--config", "/no/such/file"], 2, "usage"),
        (vec!["tools", url, "--scope", "\""], 2, "usage"),
        (vec!["call", url, "echo", "text"], 2, "usage"),
        (vec!["call", url, "echo", "text=1", "text=2"], 2, "usage"),
    ] {
        let (ended, lines) = home.lines(&words);
        let failed = event(&lines, "failed");
        assert_eq!((ended, &failed["code"]), (status, &json!(code)), "{words:?}");
        assert!(!failed["next"].as_array().unwrap().is_empty(), "{words:?}: what is to be done");
    }
    home.done(&["login", url]);
    let unknown = home.run(&["call", url, "no-such-tool"]);
    assert_eq!(unknown.status, 1);
    assert!(unknown.err.contains("mcp_error"), "{}", unknown.err);
    assert_eq!(home.run(&["frobnicate"]).status, 2);
}

/// A person who says no is told so, and nothing is kept.
#[test]
fn a_refusal_is_told() {
    let served = serve::embedded(|_| {}).unwrap();
    let redirect = r#"redirect=$(printf '%s' "$1" | sed 's/.*redirect_uri=\([^&]*\).*/\1/; s/%3A/:/g; s/%2F/\//g')
state=$(printf '%s' "$1" | sed 's/.*state=\([^&]*\).*/\1/')
issuer=$(printf '%s' "$1" | sed 's#\(http://[^/]*\)/.*#\1#')
exec curl --silent --output /dev/null "$redirect?error=access_denied&state=$state&iss=$issuer""#;
    let home = Home::with_browser(redirect);
    let (status, lines) = home.lines(&["login", served.mcp_url()]);
    let failed = event(&lines, "failed");
    assert_eq!((status, &failed["code"]), (3, &json!("authorization_denied")), "{lines:#?}");
    assert_eq!(home.run(&["token", served.mcp_url()]).status, 3);
}

/// A server has a name and options of its own in the configuration file; the command line has the
/// last word.
#[test]
fn the_configuration_file_names_servers() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let folder = home.path().join(".config/mcp-authz");
    fs::create_dir_all(&folder).unwrap();
    let text = format!(
        "[defaults]\ntimeout = 7\n\n[servers.demo]\nurl = \"{url}\"\naccount = \"work\"\nscope = [\"mcp:tools\"]\n"
    );
    fs::write(folder.join("config.toml"), text).unwrap();
    home.done(&["login", "demo"]);
    let (_, lines) = home.lines(&["list"]);
    assert_eq!(event(&lines, "entry")["account"], "work");
    home.done(&["token", url]); // the same server, by its URL
    assert_eq!(home.run(&["token", "demo", "--account", "other"]).status, 3);

    fs::write(folder.join("config.toml"), "[defaults]\ntime-out = 7\n").unwrap();
    let wrong = home.run(&["list"]);
    assert_eq!(wrong.status, 2);
    assert!(wrong.err.contains("time-out") && wrong.err.contains("config.toml"), "{}", wrong.err);
}

/// Of two servers with one URL none is guessed; a secret in the file is in no error; a URL is the same
/// in every spelling.
#[test]
fn the_configuration_file_is_read_with_care() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let file = home.path().join("config.toml");
    let write = |text: &str| fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    write(&format!(
        "[servers.home]\nurl = \"{url}\"\naccount = \"home\"\n\n[servers.work]\nurl = \"{url}\"\naccount = \"work\"\n"
    ));
    home.done(&["login", "home", "--config", path]);
    let unsure = home.run(&["token", url, "--config", path]);
    assert_eq!(unsure.status, 2);
    assert!(unsure.err.contains("home, work"), "{}", unsure.err);
    home.done(&["token", url, "--account", "home", "--config", path]);
    assert_eq!(home.run(&["token", "work", "--config", path]).status, 3);
    let snippet = home.done(&["config", "work", "--for", "cursor", "--config", path]);
    assert!(snippet.contains("\"work\"") && !snippet.contains(url), "{snippet}");

    let spelled = url.replace("http://", "HTTP://");
    write(&format!("[servers.one]\nurl = \"{spelled}\"\naccount = \"home\"\n"));
    home.done(&["token", url, "--config", path]);

    for text in
        ["[defaults]\nclient-secret = \"CANARY\"\n", "[defaults]\nproxy = \"http://me:CANARY@\n"]
    {
        write(text);
        let wrong = home.run(&["token", url, "--config", path]);
        assert_eq!(wrong.status, 2);
        assert!(!wrong.err.contains("CANARY") && wrong.err.contains("line 2"), "{}", wrong.err);
    }
}

/// Credentials that a server of the file keeps elsewhere are listed and given back, too.
#[test]
fn every_place_of_the_configuration_file_is_looked_at() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let (file, store) = (home.path().join("config.toml"), home.path().join("elsewhere"));
    let text = format!("[servers.x]\nurl = \"{url}\"\nstore = \"{}\"\n", store.display());
    fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    home.done(&["login", "x", "--config", path]);
    assert!(home.done(&["list", "--config", path]).contains(url));
    let all = home.done(&["logout", "--all", "--config", path]);
    assert!(all.contains("the server has revoked the tokens"), "{all}");
    assert_eq!(home.run(&["token", "x", "--config", path]).status, 3);
}

/// Each snippet is what its application reads, and starts this very program.
#[test]
fn each_application_gets_its_lines() {
    let home = Home::new();
    let url = "https://mcp.example/mcp";
    let program = env!("CARGO_BIN_EXE_mcp-authz");
    let wanted = json!([
        "bridge",
        url,
        "--account",
        "work",
        "--pin-issuer",
        "https://a.example",
        "https://b.example"
    ]);
    let words = ["--account", "work", "--pin-issuer", "https://a.example", "https://b.example"];
    let snippet = |application: &str| {
        let words = [&["config", url, "--for", application][..], &words].concat();
        home.done(&words)
    };
    for (application, place) in [
        ("claude-code", "/mcpServers/mcp-example-work"),
        ("claude-desktop", "/mcpServers/mcp-example-work"),
        ("cursor", "/mcpServers/mcp-example-work"),
        ("vscode", "/servers/mcp-example-work"),
        ("zed", "/context_servers/mcp-example-work"),
    ] {
        let text: serde_json::Value = serde_json::from_str(&snippet(application)).unwrap();
        let entry = text.pointer(place).unwrap();
        assert_eq!(
            (&entry["command"], &entry["args"]),
            (&json!(program), &wanted),
            "{application}"
        );
    }
    let codex: toml::Table = toml::from_str(&snippet("codex")).unwrap();
    let entry = &codex["mcp_servers"]["mcp-example-work"];
    assert_eq!(entry["command"].as_str(), Some(program));
    assert_eq!(serde_json::to_value(&entry["args"]).unwrap(), wanted);
    let goose = snippet("goose");
    assert!(
        goose.contains(&format!("cmd: \"{program}\"")) && goose.contains("type: stdio"),
        "{goose}"
    );

    let header =
        home.done(&["config", url, "--for", "claude-code", "--way", "header", "--name", "x"]);
    let header: serde_json::Value = serde_json::from_str(&header).unwrap();
    let helper = &header["mcpServers"]["x"]["headersHelper"];
    assert_eq!(helper, &json!(format!("{program} token --headers {url}")));
    assert_eq!(home.run(&["config", url, "--for", "zed", "--way", "header"]).status, 2);
}

/// Completions and the manual page know every command.
#[test]
fn pages_are_generated() {
    let home = Home::new();
    let man = home.done(&["man"]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = home.done(&["completions", shell]);
        assert!(text.contains("logout") && text.contains("min-lifetime"), "{shell}");
    }
    let words = "COMP_WORDS=(mcp-authz config --for \"\"); COMP_CWORD=3";
    let complete = format!(
        "source /dev/stdin; {words}; _mcp__authz mcp-authz '' --for; echo \"${{COMPREPLY[@]}}\""
    );
    let mut bash = std::process::Command::new("bash");
    bash.args(["--norc", "-c", &complete]).stdin(std::process::Stdio::piped());
    let mut bash = bash.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let script = home.done(&["completions", "bash"]);
    std::io::Write::write_all(&mut bash.stdin.take().unwrap(), script.as_bytes()).unwrap();
    let completed = common::ended(bash.wait_with_output().unwrap());
    assert!(completed.out.contains("claude-desktop"), "{}", completed.out);
    for command in [
        "login", "logout", "list", "status", "token", "tools", "call", "config", "doctor", "agent",
        "import", "bridge", "record", "replay",
    ] {
        assert!(man.contains(&format!("COMMAND {}", command.to_uppercase())), "{command}");
        let help = home.done(&[command, "--help"]);
        assert!(help.contains("Examples"), "{command}: {help}");
    }
}

/// No secret is in any output but the token that was asked for.
#[test]
fn nothing_else_is_printed() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url) = (Home::new(), served.mcp_url());
    let keyed = format!("{}?key=KEY-CANARY", url.replace("://", "://me:PASS-CANARY@"));
    let runs = [
        home.run(&["login", url]),
        home.run(&["status", url]),
        home.run(&["list", "--json"]),
        home.run(&["tools", &keyed, "--no-login"]),
        home.run(&["tools", &keyed, "--no-login", "--json"]),
        home.run(&["status", &keyed]),
        home.run(&["login", &keyed, "--json"]),
        home.run(&["logout", &keyed]),
        home.run(&["config", &keyed, "--for", "cursor", "--way", "header"]),
        home.run(&["logout", url]),
    ];
    for ended in &runs {
        for text in [&ended.out, &ended.err] {
            assert!(
                !text.lines().any(|line| line.contains("CANARY") && !line.contains("authorize")),
                "{text}"
            );
            assert!(!text.contains("rt-") && !text.contains("at-"), "{text}");
        }
    }
}
