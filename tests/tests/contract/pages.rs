//! Logins whose first page is not the last, or whose answer is not believed, on each runtime.

use std::time::{Duration, Instant};

use mcp_authz_tests::model::{Endpoint, IssMode, Literal, Server};
use mcp_authz_tests::serve::{Served, embedded};
use serde_json::Value;

use crate::runtimes::{RUNTIMES, Ran, alike, options};

fn served(adjust: impl Fn(&mut Server)) -> Served {
    embedded(|settings| settings.servers_mut().for_each(adjust)).unwrap()
}

fn last(ran: &Ran) -> Value {
    serde_json::from_str(ran.lines.last().unwrap()).unwrap()
}

/// A login that nobody has to wait for, which is its own time limit.
fn at_once(begun: Instant) {
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn a_program_that_plays_the_person_goes_on_with_the_next_page_reg_21() {
    let stories = RUNTIMES.map(|(runtime, run)| {
        let served = served(|server| server.tokens.forgets_clients = 1);
        let begun = Instant::now();
        let ran = run(&options(&["--json", "--headless", served.mcp_url()]), &served);
        let end = last(&ran);
        assert_eq!(end["outcome"], "authorized", "{runtime}: {end}");
        assert_eq!(served.lock().count(Endpoint::Register), 2, "{runtime}");
        at_once(begun);
        ran.lines
    });
    alike(&stories);
}

/// A server that has forgotten a registration may say so on its page alone.
#[test]
fn a_page_that_ends_the_way_ends_the_login_and_the_next_one_registers_anew_reg_93() {
    let stories = RUNTIMES.map(|(runtime, run)| {
        let served = embedded(|_| {}).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().to_str().unwrap();
        let line = ["--json", "--headless", "--store", store, served.mcp_url()];
        let first = run(&options(&line), &served);
        assert_eq!(last(&first)["outcome"], "authorized", "{runtime}: {:#?}", first.lines);
        served.lock().revoke_all();
        served.lock().inject(Endpoint::Authorize, 1, Literal::status(400));
        let begun = Instant::now();
        let second = run(&options(&line), &served);
        let end = last(&second);
        assert_eq!((&end["code"], &end["logins"]), (&"person_stuck".into(), &1.into()), "{end}");
        at_once(begun);
        let third = run(&options(&line), &served);
        assert_eq!(last(&third)["outcome"], "authorized", "{runtime}: {:#?}", third.lines);
        assert_eq!(served.lock().count(Endpoint::Register), 2, "{runtime}");
        [first, second, third].map(|ran| ran.lines).concat()
    });
    alike(&stories);
}

#[test]
fn an_answer_that_is_not_believed_ends_a_played_login_at_once_iss_90() {
    for (mode, code) in [
        (IssMode::Missing, "iss_missing"),
        (IssMode::Wrong("https://evil.example".to_owned()), "iss_mismatch"),
    ] {
        for (runtime, run) in RUNTIMES {
            let served = served(|server| server.callback.iss = mode.clone());
            let begun = Instant::now();
            let ran = run(&options(&["--json", "--headless", served.mcp_url()]), &served);
            let end = last(&ran);
            assert_eq!(end["code"], code, "{runtime}: {end}");
            let noted = |line: &String| line.starts_with("{\"step\":\"untrusted\"");
            assert!(ran.lines.iter().any(noted), "{runtime}: {:?}", ran.lines);
            assert!(end.to_string().contains("expected http"), "{runtime}: {end}");
            at_once(begun);
        }
    }
    let served = served(|server| server.callback.iss = IssMode::Missing);
    let ran = (RUNTIMES[0].1)(&options(&["--headless", served.mcp_url()]), &served);
    assert!(ran.lines.iter().any(|line| line.contains("may be cancelled")), "{:?}", ran.lines);
}
