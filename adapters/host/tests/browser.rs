//! Pages that are shown in a browser, or cannot be.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use core::time::Duration;
use std::io::{self, IsTerminal as _, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use mcp_authz_core::effect::Visit;
use mcp_authz_core::failure::{Failure, Kind, Remedy};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_driver::authorize::AuthorizeError;
use mcp_authz_driver::person::Person;
use mcp_authz_host::browser::{Browser, BrowserRefused, Opener};
use mcp_authz_host::person::{Desktop, Terminal};
use mcp_authz_tests::serve::{Served, embedded};
use mcp_authz_ureq::AuthorizationManager;

fn browse(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn log_in(url: &str) {
    let there = browse(url);
    let location = there.lines().find_map(|line| line.strip_prefix("location: "));
    assert!(browse(location.unwrap()).starts_with("HTTP/1.1 200 "));
}

/// The launcher's behaviour.
enum Launcher {
    Works,
    Refuses,
    Hangs,
}

impl Browser for Launcher {
    fn open(&self, visit: &Visit) -> Result<(), BrowserRefused> {
        match self {
            Self::Works => log_in(visit.url()),
            Self::Refuses => return Err(BrowserRefused),
            Self::Hangs => thread::sleep(Duration::from_secs(3600)),
        }
        Ok(())
    }
}

/// Logs in, and says how often the page was offered for manual use.
fn offers(launcher: Launcher) -> usize {
    let served = embedded(|_| {}).unwrap();
    let offered = Arc::new(Mutex::new(0));
    let opener = Opener::new(launcher).patience(Duration::from_millis(500));
    let count = Arc::clone(&offered);
    let person = move |visit: &Visit, _| {
        let count = Arc::clone(&count);
        opener.open(visit, move |visit| {
            *count.lock().unwrap() += 1;
            let url = visit.url().to_owned();
            thread::spawn(move || log_in(&url));
        });
    };
    AuthorizationManager::new(served.mcp_url()).unwrap().log_in(&person).unwrap();
    thread::sleep(Duration::from_millis(700));
    *offered.lock().unwrap()
}

#[test]
fn the_system_browser_gets_the_page_and_needs_no_offer_nat_07() {
    assert_eq!(offers(Launcher::Works), 0);
}

#[test]
fn the_login_goes_on_when_the_browser_is_refused_host_169() {
    assert_eq!(offers(Launcher::Refuses), 1);
}

#[test]
fn the_login_goes_on_when_the_browser_hangs_host_169() {
    assert_eq!(offers(Launcher::Hangs), 1);
}

#[test]
fn what_the_person_is_told_names_who_asks_for_what_authz_14() {
    let served = embedded(|_| {}).unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&said);
    let desktop = Desktop::new().browser(Launcher::Works);
    let desktop = desktop.say(move |line| lines.lock().unwrap().push(line.to_owned()));
    AuthorizationManager::new(served.mcp_url()).unwrap().log_in(&desktop).unwrap();
    let said = said.lock().unwrap().join("\n");
    let host = served.origins().nth(1).unwrap().trim_start_matches("http://").to_owned();
    let host = host.split(':').next().unwrap();
    assert!(said.starts_with(&format!("{} wants a login at {host}", served.mcp_url())), "{said}");
    assert!(said.contains("Your browser opens this page"), "{said}");
    // A launcher that says it worked may have done so on a screen that nobody sees.
    assert!(said.contains("/authorize?"), "{said}");
}

/// A program that takes over the lines has somebody to read them, who opens the page by hand. The
/// lines hold everything that a browser would have been opened with.
#[test]
fn lines_that_a_program_takes_over_are_read_by_somebody_host_169_host_147() {
    let by_hand = |lines: &Arc<Mutex<Vec<String>>>| {
        let lines = Arc::clone(lines);
        move |line: &str| {
            lines.lock().unwrap().push(line.to_owned());
            let url = line.trim().to_owned();
            if url.starts_with("http://") && url.contains("/authorize?") {
                thread::spawn(move || log_in(&url));
            }
        }
    };
    let (served, said) = (embedded(|_| {}).unwrap(), Arc::default());
    let desktop = Desktop::new().browser(Launcher::Refuses).say(by_hand(&said));
    AuthorizationManager::new(served.mcp_url()).unwrap().log_in(&desktop).unwrap();
    assert!(said.lock().unwrap().iter().any(|line| line.contains("could not be opened")));
    let said = Arc::default();
    let terminal = Terminal::new().say(by_hand(&said));
    AuthorizationManager::new(served.mcp_url()).unwrap().log_in(&terminal).unwrap();
    let said = said.lock().unwrap().join("\n");
    let (before, _) = said.split_once("Open this page in a browser").unwrap();
    for row in ["login server", "  host  ", "  client  "] {
        assert!(before.contains(row), "{row}: {said}");
    }
}

/// It takes its time, and may open the page yet.
#[test]
fn a_browser_that_hangs_has_not_refused_host_169() {
    for (launcher, expected) in [(Launcher::Refuses, Some(BrowserRefused)), (Launcher::Hangs, None)]
    {
        let (served, told) = (embedded(|_| {}).unwrap(), Arc::new(Mutex::new(Vec::new())));
        let opener = Opener::new(launcher).patience(Duration::from_millis(100));
        let tells = Arc::clone(&told);
        let person = move |visit: &Visit, _| {
            let tells = Arc::clone(&tells);
            opener.open_or(visit, move |visit, refused| {
                tells.lock().unwrap().push(refused);
                let url = visit.url().to_owned();
                thread::spawn(move || log_in(&url));
            });
        };
        AuthorizationManager::new(served.mcp_url()).unwrap().log_in(&person).unwrap();
        assert_eq!(*told.lock().unwrap(), [expected]);
    }
}

/// It was shown to somebody before, so that somebody may come back.
#[test]
fn a_page_that_is_shown_again_ends_no_login_host_169() {
    let served = embedded(|_| {}).unwrap();
    let person = |visit: &Visit, answers| {
        let mut again = visit.clone();
        again.reissued = true;
        Terminal::new().show(&again, answers);
        let url = visit.url().to_owned();
        thread::spawn(move || log_in(&url));
    };
    AuthorizationManager::new(served.mcp_url()).unwrap().log_in(&person).unwrap();
}

/// The lines name the issuer that let the person in so far, and the scopes that are asked for; no
/// text of a server moves the terminal.
#[test]
fn what_is_said_of_a_page_is_all_there_is_and_escaped_authz_14_host_303() {
    let (served, said) = (embedded(|_| {}).unwrap(), Arc::new(Mutex::new(Vec::new())));
    let lines = Arc::clone(&said);
    let desktop = Desktop::new().browser(Launcher::Works);
    let desktop = desktop.say(move |line| lines.lock().unwrap().push(line.to_owned()));
    let person = move |visit: &Visit, answers| {
        let mut visit = visit.clone();
        visit.previous_issuer = Some("https://before.example/\u{1b}[2J".into());
        visit.client_id = "c\u{1b}[31m".into();
        visit.scopes = ScopeSet::from_tokens(["files:read", "files:write"]).unwrap();
        desktop.show(&visit, answers);
    };
    AuthorizationManager::new(served.mcp_url()).unwrap().log_in(&person).unwrap();
    let said = said.lock().unwrap().join("\n");
    assert!(said.contains("so far it was https://before.example/"), "{said}");
    assert!(said.contains("files:read files:write"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

/// The lines that a person is told when they log in at this server.
fn said(served: &Served, person: impl Fn(Desktop) -> Desktop) -> String {
    let said = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&said);
    let desktop = person(Desktop::new().browser(Launcher::Works));
    let desktop = desktop.say(move |line| lines.lock().unwrap().push(line.to_owned()));
    AuthorizationManager::new(served.mcp_url()).unwrap().log_in(&desktop).unwrap();
    said.lock().unwrap().join("\n")
}

#[test]
fn every_host_and_the_client_stand_there_before_the_page_opens_host_147_host_327() {
    let served = embedded(|settings| settings.mcp_url.push_str("?key=QUERY-CANARY")).unwrap();
    let said = said(&served, |desktop| desktop);
    let (before, _) = said.split_once("Your browser opens this page").unwrap();
    let issuer = served.origins().nth(1).unwrap();
    for row in ["login server", ", for log-in, tokens, registration, log-out"] {
        assert!(before.contains(row), "{row}: {said}");
    }
    assert!(before.contains(issuer) && before.contains("  client  "), "{said}");
    assert!(before.contains("comes back to"), "{said}");
}

/// The page's own URL says for which resource it is: nobody could open it otherwise.
#[test]
fn a_key_in_the_query_of_the_mcp_url_is_not_said_host_326() {
    let served = embedded(|settings| settings.mcp_url.push_str("?key=QUERY-CANARY")).unwrap();
    let said = said(&served, |desktop| desktop);
    let lines = said.lines().filter(|line| !line.contains("/authorize?"));
    assert!(
        lines.clone().count() > 5 && lines.clone().all(|line| !line.contains("CANARY")),
        "{said}"
    );
}

fn refused(person: &dyn Person) -> Failure {
    let served = embedded(|_| {}).unwrap();
    let manager = AuthorizationManager::new(served.mcp_url()).unwrap();
    let begun = Instant::now();
    let refused = manager.log_in(person).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(30), "{refused}");
    match refused {
        AuthorizeError::Failed(failure) => failure.as_ref().clone(),
        other => panic!("{other}"),
    }
}

#[test]
fn a_person_who_cannot_be_asked_says_so_at_once_host_169() {
    if io::stdin().is_terminal() || io::stderr().is_terminal() {
        // Somebody is there.
        return;
    }
    for failure in [refused(&Desktop::new().browser(Launcher::Refuses)), refused(&Terminal::new())]
    {
        assert_eq!(failure.kind(), Kind::BrowserRefused);
        assert_eq!(failure.remedy(), Remedy::AskUser);
    }
}
