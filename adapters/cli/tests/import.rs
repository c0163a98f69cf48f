//! Logins of other programs that are taken over.

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
use std::path::Path;

use mcp_authz_tests::serve::{self, Served};
use serde_json::{Value, json};

use common::{Home, event};

/// A login as another program made it: its client and tokens are real ones of this server.
struct Other {
    client: Value,
    grant: Value,
}

impl Other {
    fn logs_in(served: &Served) -> Self {
        let home = Home::new();
        home.done(&["login", served.mcp_url(), "--redirect", "http://127.0.0.1/callback"]);
        let folder = home.path().join(".local/share/mcp-authz");
        let record = |kind: &str| {
            let mut names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            let is = |path: &std::path::PathBuf| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                name.starts_with(kind) && !name.ends_with(".write")
            };
            let text = fs::read_to_string(names.find(is).unwrap()).unwrap();
            serde_json::from_str(text.trim_end().lines().last().unwrap()).unwrap()
        };
        Self { client: record("client-"), grant: record("grant-") }
    }

    /// As `mcp-remote` keeps it; the names of its files are the MD5 of the URL.
    fn as_mcp_remote(&self, home: &Home, served: &Served, issuer: Option<&str>, left: i64) {
        let folder = home.path().join(".mcp-auth/mcp-remote-v1");
        fs::create_dir_all(&folder).unwrap();
        let md5 = std::process::Command::new("sh")
            .args(["-c", &format!("printf %s '{}' | md5sum | cut -d' ' -f1", served.mcp_url())])
            .output()
            .unwrap();
        let name = String::from_utf8(md5.stdout).unwrap().trim().to_owned();
        let mut client = json!({
            "client_id": self.client["credentials"]["client_id"],
            "redirect_uris": ["http://127.0.0.1:3334/oauth/callback"],
            "token_endpoint_auth_method": "none",
        });
        if let Some(issuer) = issuer {
            client["issuer"] = json!(issuer);
        }
        let tokens = json!({
            "access_token": self.grant["access_token"],
            "refresh_token": self.grant["refresh_token"],
            "token_type": "Bearer",
            "scope": self.grant["granted"],
            "expires_at": (now() + left) * 1000,
        });
        fs::write(folder.join(format!("{name}_client_info.json")), client.to_string()).unwrap();
        fs::write(folder.join(format!("{name}_tokens.json")), tokens.to_string()).unwrap();
    }
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_secs()).unwrap()
}

fn issuer(served: &Served) -> String {
    served.origins().nth(1).unwrap().to_owned()
}

/// Everything below a folder, with its contents.
fn everything(folder: &Path) -> Vec<(String, String)> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect();
    found.sort();
    found
}

/// The token that the other program holds is used here, nobody is asked, and nothing of the other
/// program changes. Its refresh token stays with it.
#[test]
fn a_login_of_mcp_remote_is_taken_over_bind_07() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url, other) = (Home::new(), served.mcp_url(), Other::logs_in(&served));
    other.as_mcp_remote(&home, &served, Some(&issuer(&served)), 600);
    let theirs = home.path().join(".mcp-auth/mcp-remote-v1");
    let before = everything(&theirs);

    let (status, lines) = home.lines(&["import", "mcp-remote", url]);
    assert_eq!(status, 0, "{lines:#?}");
    let done = event(&lines, "imported");
    assert_eq!((&done["moved"], &done["issuer"]), (&json!(false), &json!(issuer(&served))));
    assert_eq!(home.pages(), 0);
    assert_eq!(everything(&theirs), before);

    assert_eq!(home.done(&["token", url]).trim(), other.grant["access_token"]);
    assert!(home.done(&["tools", url]).contains("echo"));
    let kept = home.path().join(".local/share/mcp-authz");
    let refresh = other.grant["refresh_token"].as_str().unwrap();
    let names = fs::read_dir(kept).unwrap().map(|entry| entry.unwrap().path());
    for path in names.filter(|path| path.is_file()) {
        assert!(!fs::read_to_string(&path).unwrap().contains(refresh), "{}", path.display());
    }
}

/// With `--move` a token that is over is no matter: the refresh token brings another one here.
#[test]
fn a_login_that_moves_is_renewed_here() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url, other) = (Home::new(), served.mcp_url(), Other::logs_in(&served));
    other.as_mcp_remote(&home, &served, Some(&issuer(&served)), -5);
    let (status, lines) = home.lines(&["import", "mcp-remote", url]);
    let failed = event(&lines, "failed");
    assert_eq!((status, &failed["code"]), (3, &json!("import_expired")));
    assert!(failed["next"].to_string().contains("--move"), "{failed}");

    let (status, lines) = home.lines(&["import", "mcp-remote", url, "--move"]);
    assert_eq!((status, &event(&lines, "imported")["moved"]), (0, &json!(true)), "{lines:#?}");
    let token = home.done(&["token", url]);
    assert_ne!(token.trim(), other.grant["access_token"]);
    assert!(home.done(&["tools", url]).contains("echo"));
    assert_eq!(home.pages(), 0);
}

/// Without a recorded issuer, or with another one, no server is given anything, and nothing is kept.
#[test]
fn credentials_of_an_unknown_or_other_issuer_stay_where_they_are_bind_07() {
    let served = serve::embedded(|_| {}).unwrap();
    let (url, other) = (served.mcp_url(), Other::logs_in(&served));
    for (recorded, code) in
        [(None, "import_no_issuer"), (Some("https://other.example"), "import_other")]
    {
        let home = Home::new();
        other.as_mcp_remote(&home, &served, recorded, 600);
        let (status, lines) = home.lines(&["import", "mcp-remote", url, "--move"]);
        let failed = event(&lines, "failed");
        assert_eq!((status, &failed["code"]), (3, &json!(code)), "{failed}");
        let text = failed.to_string();
        for secret in ["access_token", "refresh_token"] {
            assert!(!text.contains(other.grant[secret].as_str().unwrap()), "{text}");
        }
        assert_eq!(home.run(&["token", url]).status, 3);
    }
}

/// A login that is kept here is not replaced unasked, and tokens go to no other client.
#[test]
fn what_is_here_stays_here() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url, other) = (Home::new(), served.mcp_url(), Other::logs_in(&served));
    other.as_mcp_remote(&home, &served, Some(&issuer(&served)), 600);
    home.done(&["login", url]);
    let before = home.done(&["token", url]);
    let (status, lines) = home.lines(&["import", "mcp-remote", url]);
    assert_eq!((status, &event(&lines, "failed")["code"]), (1, &json!("import_held")));
    assert_eq!(home.done(&["token", url]), before);
    home.done(&["import", "mcp-remote", url, "--again"]);
    assert_eq!(home.done(&["token", url]).trim(), other.grant["access_token"]);

    // Codex and others name no redirect URI, so that the client of this program fits.
    let store = home.path().join("codex");
    fs::create_dir(&store).unwrap();
    let entry = json!({"demo": {
        "server_url": url, "client_id": "another-client", "issuer": issuer(&served),
        "access_token": "at-of-another-client", "expires_at": (now() + 600) * 1000,
    }});
    fs::write(store.join(".credentials.json"), entry.to_string()).unwrap();
    let from = store.to_str().unwrap();
    let (_, lines) = home.lines(&["import", "codex", url, "--from", from, "--again"]);
    assert_eq!(event(&lines, "failed")["code"], "import_other", "{lines:#?}");
}

/// Codex writes no issuer; FastMCP names its files by a hash of their key.
#[test]
fn other_formats_are_read_as_they_are_written() {
    let served = serve::embedded(|_| {}).unwrap();
    let (home, url, other) = (Home::new(), served.mcp_url(), Other::logs_in(&served));
    let grant = &other.grant;
    let codex = home.path().join(".codex");
    fs::create_dir(&codex).unwrap();
    let entry = json!({"demo|0123456789abcdef": {
        "server_name": "demo", "server_url": url, "client_id": grant["client_id"],
        "access_token": grant["access_token"], "expires_at": (now() + 600) * 1000,
        "refresh_token": grant["refresh_token"], "scopes": [grant["granted"]],
    }});
    fs::write(codex.join(".credentials.json"), entry.to_string()).unwrap();
    let (status, lines) = home.lines(&["import", "codex", url]);
    assert_eq!((status, &event(&lines, "failed")["code"]), (3, &json!("import_no_issuer")));
    let elsewhere = "https://elsewhere.example/mcp";
    let (status, lines) = home.lines(&["import", "codex", elsewhere]);
    assert_eq!((status, &event(&lines, "failed")["code"]), (3, &json!("import_nothing")));

    let store = home.path().join("fastmcp");
    let put = |collection: &str, name: &str, value: Value| {
        let folder = store.join(collection);
        fs::create_dir_all(&folder).unwrap();
        let hash = std::process::Command::new("sh")
            .args(["-c", &format!("printf %s '{url}/{name}' | sha256sum | cut -c1-8")])
            .output()
            .unwrap();
        let hash = String::from_utf8(hash.stdout).unwrap();
        let file = folder.join(format!("S_key_{name}-{}.json", hash.trim()));
        fs::write(file, json!({"version": 1, "value": value}).to_string()).unwrap();
    };
    let client = json!({"client_id": grant["client_id"], "issuer": issuer(&served),
        "redirect_uris": ["http://localhost:4444/callback"]});
    put("S_mcp_oauth_client_info-92af0fc1", "client_info", client);
    let tokens = json!({"access_token": grant["access_token"], "token_type": "Bearer",
        "expires_in": 3600, "scope": grant["granted"]});
    put("S_mcp_oauth_token-3a009b34", "tokens", tokens);
    put("S_mcp_oauth_token_expiry-1a152c9e", "token_expiry", json!({"expires_at": now() + 600}));
    assert_eq!(home.run(&["import", "fastmcp", url]).status, 2, "it has no usual place");
    let from = store.to_str().unwrap();
    let taken = home.done(&["import", "fastmcp", url, "--from", from]);
    assert!(taken.starts_with("taken over from fastmcp"), "{taken}");
    assert_eq!(home.done(&["token", url]).trim(), grant["access_token"]);
}

/// Files that are no JSON, too large, or not of the form are told by name, and no byte of them.
#[test]
fn damaged_files_are_told_by_name() {
    let served = serve::embedded(|_| {}).unwrap();
    let (url, other) = (served.mcp_url(), Other::logs_in(&served));
    for (contents, status) in [
        ("SECRET-CANARY".to_owned(), 1),
        (format!("\"{}\"", "x".repeat(1 << 20)), 1),
        ("[]".to_owned(), 3),
        ("{\"client_id\": 7}".to_owned(), 3),
    ] {
        let home = Home::new();
        other.as_mcp_remote(&home, &served, Some(&issuer(&served)), 600);
        let folder = home.path().join(".mcp-auth/mcp-remote-v1");
        let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let client = names.filter(|path| path.to_string_lossy().ends_with("client_info.json"));
        fs::write(client.last().unwrap(), &contents).unwrap();
        let ended = home.run(&["import", "mcp-remote", url]);
        assert_eq!(ended.status, status, "{}", ended.err);
        assert!(
            ended.err.contains("mcp-remote-v1") || ended.err.contains("BIND-07"),
            "{}",
            ended.err
        );
        assert!(!ended.err.contains("CANARY"), "{}", ended.err);
    }
}
