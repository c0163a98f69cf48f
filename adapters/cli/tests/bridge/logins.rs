//! One login for all bridges of a server: one page, whoever is killed, and one refresh a rotation.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use mcp_authz_tests::model::{Consent, Endpoint, Settings};
use mcp_authz_tests::serve::{Served, embedded, embedded_revision};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::host::{Host, PATIENCE, Start};

/// A server with a login, a folder of credentials, and a browser that notes which pages it is to
/// open.
struct World {
    served: Served,
    folder: TempDir,
    browser: PathBuf,
}

/// What the browser does with a page.
#[derive(Clone, Copy, PartialEq)]
enum Browser {
    /// It follows the page to its end.
    Agrees,
    /// It leaves the page open.
    Waits,
}

impl World {
    fn new(browser: Browser, adjust: impl FnOnce(&mut Settings)) -> Self {
        Self::at(embedded(adjust).unwrap(), browser)
    }

    fn at(served: Served, does: Browser) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let browser = folder.path().join("browser");
        let pages = folder.path().join("pages");
        let opens = if does == Browser::Agrees { "exec curl -sL -o /dev/null \"$1\"" } else { "" };
        let script = format!("#!/bin/sh\necho \"$1\" >> {}\n{opens}\n", pages.display());
        fs::write(&browser, script).unwrap();
        fs::set_permissions(&browser, fs::Permissions::from_mode(0o700)).unwrap();
        Self { served, folder, browser }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn host(&self, more: &[&str]) -> Host {
        let (url, store) = (self.served.mcp_url(), self.store());
        Host::start(&Start { url, store: &store, browser: &self.browser, more })
    }

    /// Addresses of the pages that were opened.
    fn pages(&self) -> Vec<String> {
        let pages = fs::read_to_string(self.folder.path().join("pages")).unwrap_or_default();
        pages.lines().map(str::to_owned).collect()
    }

    fn wait_for_a_page(&self) -> String {
        for _ in 0..PATIENCE.as_millis() / 20 {
            if let Some(page) = self.pages().pop() {
                return page;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("no page was opened");
    }

    /// The person agrees at a page that is open; false if nobody listens for them.
    fn agree(&self, page: &str) -> bool {
        let browser = Command::new("curl").args(["-sL", "-o", "/dev/null", page]).status();
        browser.unwrap().success()
    }

    /// The person logs in at a terminal.
    fn log_in(&self) {
        let login = Command::new(env!("CARGO_BIN_EXE_mcp-authz"))
            .args(["login", "--store"])
            .arg(self.store())
            .arg(self.served.mcp_url())
            .env("BROWSER", "curl -sL -o /dev/null")
            .output()
            .unwrap();
        assert!(login.status.success(), "{login:?}");
    }

    fn files(&self, end: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.store()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.to_str().unwrap().ends_with(end)).collect()
    }

    /// Token requests of a kind that went well.
    fn granted(&self, kind: &str) -> usize {
        let model = self.served.lock();
        model
            .seen_at(Endpoint::Token)
            .filter(|seen| seen.param("grant_type") == Some(kind) && seen.status == 200)
            .count()
    }
}

fn begin(host: &mut Host) -> Value {
    host.initialize("2025-11-25", json!({}))
}

fn tools(host: &mut Host) -> usize {
    let listed = host.ask("tools/list", json!({}));
    listed["result"]["tools"].as_array().map_or_else(|| panic!("{listed}"), Vec::len)
}

#[test]
fn ten_at_once_open_one_page_and_none_fails() {
    for revision in ["2025-11-25", "2026-07-28"] {
        let world = World::at(embedded_revision(revision, |_| {}).unwrap(), Browser::Agrees);
        let mut hosts: Vec<Host> = (0..10).map(|_| world.host(&[])).collect();
        let ids: Vec<Value> = hosts
            .iter_mut()
            .map(|host| {
                let params = json!({"protocolVersion": "2025-11-25", "capabilities": {},
                    "clientInfo": {"name": "h", "version": "1"}});
                host.send("initialize", params)
            })
            .collect();
        for (host, id) in hosts.iter_mut().zip(&ids) {
            let answer = host.answer(id);
            assert!(answer["result"]["capabilities"]["tools"].is_object(), "{answer}");
        }
        for host in &mut hosts {
            // One that was answered before the login was done is told when it is.
            if tools(host) == 0 {
                host.notified("notifications/tools/list_changed");
                assert_ne!(tools(host), 0);
            }
            let echo = json!({"name": "echo", "arguments": {"text": "hi"}});
            assert_eq!(host.ask("tools/call", echo)["result"]["content"][0]["text"], "hi");
        }
        assert_eq!(world.pages().len(), 1, "{revision}");
        assert_eq!((world.granted("authorization_code"), world.granted("refresh_token")), (1, 0));
        assert_eq!(world.served.lock().count(Endpoint::Register), 1);
        assert_eq!(world.files(".pending"), Vec::<PathBuf>::new(), "the record is gone");
    }
}

#[test]
fn ten_find_a_token_over_and_one_renews_it_for_all() {
    let world = World::new(Browser::Agrees, |settings| {
        settings.servers_mut().for_each(|server| server.tokens.access_life_s = 600);
    });
    let mut hosts: Vec<Host> = (0..10).map(|_| world.host(&[])).collect();
    for host in &mut hosts {
        assert!(begin(host).get("result").is_some());
        assert_ne!(tools(host), 0);
    }
    for rotation in 1..=2 {
        hosts.pop().unwrap().kill();
        world.served.lock().revoke_access_tokens();
        let ids: Vec<Value> =
            hosts.iter_mut().map(|host| host.send("tools/list", json!({}))).collect();
        for (host, id) in hosts.iter_mut().zip(&ids) {
            let listed = host.answer(id);
            assert!(listed["result"]["tools"].is_array(), "{listed} {}", host.log());
        }
        assert_eq!(world.granted("refresh_token"), rotation);
    }
    assert_eq!((world.pages().len(), world.granted("authorization_code")), (1, 1));
}

#[test]
fn whoever_leads_is_killed_and_the_login_is_completed_by_another_at_the_same_page() {
    let world = World::new(Browser::Waits, |_| {});
    let first = json!({"protocolVersion": "2025-11-25"});
    let mut leader = world.host(&[]);
    leader.send("initialize", first.clone());
    let page = world.wait_for_a_page();
    // The record is there before the page is, and is its owner's alone.
    let [record] = &world.files(".pending")[..] else { panic!("{:?}", world.files("")) };
    assert_eq!(fs::metadata(record).unwrap().permissions().mode() & 0o777, 0o600);
    let mut others: Vec<(Host, Value)> = (0..4)
        .map(|_| {
            let mut host = world.host(&[]);
            let id = host.send("initialize", first.clone());
            host.logs("another process asks the person");
            (host, id)
        })
        .collect();
    leader.kill();
    // Any of them leads now, and is killed as well.
    let goes_on = |host: &Host| host.log().contains("going on with the login");
    let next = loop {
        match others.iter().position(|(host, _)| goes_on(host)) {
            Some(next) => break next,
            None => thread::sleep(Duration::from_millis(20)),
        }
    };
    others.remove(next).0.kill();
    while !others.iter().any(|(host, _)| goes_on(host)) || !world.agree(&page) {
        thread::sleep(Duration::from_millis(20));
    }
    for (host, id) in &mut others {
        let answer = host.answer(id);
        assert!(answer.get("result").is_some(), "{answer}");
        if tools(host) == 0 {
            host.notified("notifications/tools/list_changed");
            assert_ne!(tools(host), 0);
        }
    }
    assert_eq!((world.pages().len(), world.granted("authorization_code")), (1, 1));
    assert_eq!(world.files(".pending"), Vec::<PathBuf>::new());
}

#[test]
fn a_login_is_completed_by_the_next_start_after_a_kill() {
    let world = World::new(Browser::Waits, |_| {});
    let mut first = world.host(&[]);
    first.send("initialize", json!({"protocolVersion": "2025-11-25"}));
    let page = world.wait_for_a_page();
    first.kill();
    let mut second = world.host(&[]);
    let id = second.send("initialize", json!({"protocolVersion": "2025-11-25"}));
    second.logs("going on with the login");
    while !world.agree(&page) {
        thread::sleep(Duration::from_millis(100));
    }
    assert!(second.answer(&id).get("result").is_some());
    assert_eq!((world.pages().len(), world.granted("authorization_code")), (1, 1));
}

#[test]
fn a_leader_killed_with_its_code_on_the_way_costs_another_page_and_no_wait_tok_04() {
    let world = World::new(Browser::Agrees, |settings| {
        settings.delays.insert(Endpoint::Token, 30_000);
    });
    let mut leader = world.host(&[]);
    leader.send("initialize", json!({"protocolVersion": "2025-11-25"}));
    world.wait_for_a_page();
    while world.served.lock().count(Endpoint::Token) == 0 {
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(world.files(".pending"), Vec::<PathBuf>::new(), "it is nobody else's any more");
    world.served.lock().set(|settings| settings.delays.clear());
    let mut other = world.host(&[]);
    let id = other.send("initialize", json!({"protocolVersion": "2025-11-25"}));
    other.logs("another process asks the person");
    leader.kill();
    assert!(other.answer(&id).get("result").is_some());
    assert_ne!(tools(&mut other), 0);
    assert_eq!(world.pages().len(), 2);
}

#[test]
fn a_login_elsewhere_ends_the_wait_at_a_page_that_is_open() {
    let world = World::new(Browser::Waits, |_| {});
    let mut host = world.host(&[]);
    let id = host.send("initialize", json!({"protocolVersion": "2025-11-25"}));
    world.wait_for_a_page();
    world.log_in();
    assert!(host.answer(&id).get("result").is_some());
    host.logs("connected");
    assert_ne!(tools(&mut host), 0);
    assert_eq!(world.files(".pending"), Vec::<PathBuf>::new());
}

#[test]
fn a_damaged_record_is_removed_and_a_page_opened() {
    let world = World::new(Browser::Waits, |_| {});
    let mut first = world.host(&[]);
    first.send("initialize", json!({"protocolVersion": "2025-11-25"}));
    world.wait_for_a_page();
    first.kill();
    let [record] = &world.files(".pending")[..] else { panic!("{:?}", world.files("")) };
    let mut bytes = fs::read(record).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(record, bytes).unwrap();
    let mut second = world.host(&[]);
    second.send("initialize", json!({"protocolVersion": "2025-11-25"}));
    second.logs("opening a page");
    while world.pages().len() < 2 {
        thread::sleep(Duration::from_millis(20));
    }
    assert!(world.agree(&world.pages()[1]));
}

#[test]
fn initialize_is_answered_while_a_page_waits_and_the_lists_change_when_it_is_done() {
    let world = World::new(Browser::Waits, |_| {});
    let mut host = world.host(&[]);
    let answer = begin(&mut host);
    let words = answer["result"]["instructions"].as_str().unwrap().to_owned();
    assert!(words.contains("a page of 127.0.0.1 was opened"), "{words}");
    assert_eq!(answer["result"]["capabilities"]["tools"]["listChanged"], true);
    host.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    assert_eq!(tools(&mut host), 0);
    let page = world.wait_for_a_page();
    let call = host.send("tools/call", json!({"name": "echo", "arguments": {"text": "hi"}}));
    assert!(world.agree(&page));
    host.notified("notifications/tools/list_changed");
    assert_ne!(tools(&mut host), 0);
    assert_eq!(host.answer(&call)["result"]["content"][0]["text"], "hi", "the call has waited");
    // What was promised and the server does not have is an empty list.
    assert_eq!(host.ask("prompts/list", json!({}))["result"]["prompts"], json!([]));
    let (state, log) = (page.split_once("state=").unwrap().1.to_owned(), host.log());
    let state = state.split('&').next().unwrap();
    assert!(!log.contains(state) && !words.contains(state), "no log has the page's secrets: {log}");
}

#[test]
fn a_host_that_wants_an_error_gets_one_that_says_where_to_log_in() {
    let world = World::new(Browser::Waits, |_| {});
    let mut host = world.host(&["--fail-without-login"]);
    let answer = begin(&mut host);
    let error = &answer["error"];
    assert_eq!(error["data"]["code"], "login_pending", "{answer}");
    assert_eq!(error["data"]["remedy"], "ask_user");
    let text = error.to_string();
    assert!(text.contains("127.0.0.1") && text.contains("mcp-authz login --store"), "{text}");
    assert!(!text.contains("state="), "{text}");
    // It may begin once more.
    assert!(world.agree(&world.wait_for_a_page()));
    host.logs("connected");
    assert!(begin(&mut host).get("result").is_some());
    assert_ne!(tools(&mut host), 0);
}

#[test]
fn where_nobody_may_be_asked_or_can_be_the_error_says_so_at_once() {
    let world = World::new(Browser::Agrees, |_| {});
    let mut host = world.host(&["--no-login"]);
    let error = begin(&mut host)["error"].clone();
    assert_eq!(error["data"]["code"], "reauthorization_required", "{error}");
    let next = error["data"]["next"][0].as_str().unwrap();
    let store = world.store();
    let (store, url) = (store.display(), world.served.mcp_url());
    assert_eq!(next, format!("log in: mcp-authz login --store {store} {url}"));
    assert!(world.pages().is_empty());
    // Somebody logs in elsewhere, and the host begins once more.
    let mut other = world.host(&[]);
    assert!(begin(&mut other).get("result").is_some());
    assert!(begin(&mut host).get("result").is_some());

    let world = World::new(Browser::Agrees, |_| {});
    fs::remove_file(&world.browser).unwrap();
    let mut host = world.host(&[]);
    let error = begin(&mut host)["error"].clone();
    assert_eq!(error["data"]["code"], "browser_refused", "{error}");
}

#[test]
fn a_person_who_says_no_is_not_asked_again_by_each_call() {
    let world = World::new(Browser::Agrees, |settings| {
        settings.servers_mut().for_each(|server| {
            server.consent = Consent::Error("access_denied".to_owned());
        });
    });
    let mut host = world.host(&[]);
    let error = begin(&mut host)["error"].clone();
    assert_eq!(error["data"]["code"], "authorization_denied", "{error}");
    for _ in 0..3 {
        assert_eq!(begin(&mut host)["error"]["data"]["code"], "authorization_denied");
    }
    assert_eq!(world.pages().len(), 1);
}

#[test]
fn a_server_that_refuses_what_it_grants_has_two_pages_opened_and_no_more_host_245() {
    let world = World::new(Browser::Agrees, |_| {});
    let mut host = world.host(&[]);
    begin(&mut host);
    assert_ne!(tools(&mut host), 0);
    for _ in 0..5 {
        world.served.lock().revoke_all();
        let listed = host.ask("tools/list", json!({}));
        assert!(listed.get("result").is_some() || world.pages().len() == 2, "{listed}");
    }
    let refused = host.ask("tools/list", json!({}));
    assert_eq!(refused["error"]["data"]["code"], "reauthorization_required", "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("mcp-authz login --store"));
    assert_eq!(world.pages().len(), 2);
}

#[test]
fn a_login_elsewhere_is_enough_while_the_process_that_leads_is_stopped() {
    let world = World::new(Browser::Waits, |_| {});
    let mut leader = world.host(&[]);
    leader.send("initialize", json!({"protocolVersion": "2025-11-25"}));
    world.wait_for_a_page();
    leader.signal("-STOP");
    let mut other = world.host(&[]);
    let id = other.send("initialize", json!({"protocolVersion": "2025-11-25"}));
    other.logs("another process asks the person");
    world.log_in();
    assert!(other.answer(&id).get("result").is_some());
    other.logs("connected");
    assert_ne!(tools(&mut other), 0);
}

#[test]
fn more_scope_is_asked_for_when_a_call_needs_it() {
    let world = World::new(Browser::Agrees, |_| {});
    let mut host = world.host(&[]);
    begin(&mut host);
    let done = host.ask("tools/call", json!({"name": "admin", "arguments": {}}));
    assert_eq!(done["result"]["content"][0]["text"], "done", "{done}");
    assert_eq!(world.pages().len(), 2);
    let mut other = world.host(&["--no-login"]);
    begin(&mut other);
    let done = other.ask("tools/call", json!({"name": "admin", "arguments": {}}));
    assert_eq!(
        done["result"]["content"][0]["text"], "done",
        "another has it from the store: {done}"
    );
}

#[test]
fn a_grant_that_is_gone_leads_to_one_page_for_all_who_call() {
    let world = World::new(Browser::Agrees, |_| {});
    let mut hosts: Vec<Host> = (0..5).map(|_| world.host(&[])).collect();
    for host in &mut hosts {
        begin(host);
        assert_ne!(tools(host), 0);
    }
    world.served.lock().revoke_all();
    let ids: Vec<Value> = hosts.iter_mut().map(|host| host.send("tools/list", json!({}))).collect();
    for (host, id) in hosts.iter_mut().zip(&ids) {
        let listed = host.answer(id);
        assert!(listed["result"]["tools"].is_array(), "{listed} {}", host.log());
    }
    assert_eq!(world.pages().len(), 2, "the first login, and one more");
}

#[test]
fn headers_go_to_the_server_and_to_nobody_else() {
    let world = World::new(Browser::Agrees, |_| {});
    let mut host = world.host(&["--header", "X-Key: ${BRIDGE_KEY}"]);
    begin(&mut host);
    assert_ne!(tools(&mut host), 0);
    let model = world.served.lock();
    let has = |seen: &mcp_authz_tests::model::Seen| seen.headers.contains_key("x-key");
    let (mcp, others): (Vec<_>, Vec<_>) =
        model.seen().iter().partition(|seen| seen.rpc().is_some());
    assert!(mcp.iter().any(|seen| seen.authorized() && seen.headers["x-key"] == "c4n4ry key"));
    assert!(others.iter().all(|seen| !has(seen)), "no request for metadata or tokens has it");
    drop(model);
    let log = host.log();
    assert!(!log.contains("c4n4ry"), "{log}");
}

#[test]
fn headers_and_urls_that_make_no_sense_are_usage_errors_before_anything_is_sent() {
    let store = tempfile::tempdir().unwrap();
    for (url, more) in [
        ("https://h.example/mcp", &["--header", "Authorization: Bearer c4n4ry"][..]),
        ("https://h.example/mcp", &["--header", "X-Key: ${MISSING}"]),
        ("ftp://h.example/mcp", &[]),
        ("nothing", &[]),
    ] {
        let start = Start { url, store: store.path(), browser: Path::new("/none"), more };
        let (status, rest, log) = Host::start(&start).close();
        assert_eq!((status, rest), (Some(2), Vec::new()), "{log}");
        assert!(log.contains("failed:") && !log.contains("c4n4ry"), "{log}");
    }
}
