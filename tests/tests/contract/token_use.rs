//! Where the token goes, and where it does not, on every runtime.

use mcp_authz_tests::model::{Endpoint, Fault, Literal};
use mcp_authz_tests::serve;

use crate::runtimes::{RUNTIMES, options};

fn arguments() -> [&'static str; 4] {
    ["--json", "--headless", "--refresh", "http://127.0.0.1:1/mcp"]
}

#[test]
fn the_header_goes_with_every_request_and_nothing_else_carries_it_use_01_use_02_host_072() {
    for (runtime, run) in RUNTIMES {
        let served = serve::embedded(|_| {}).unwrap();
        let ran = run(&options(&arguments()), &served);
        assert_eq!(ran.outcome.exit_status(), 0, "{runtime}: {:#?}", ran.lines);
        let model = served.lock();
        let mut tokens = Vec::new();
        for (number, seen) in model.seen_at(Endpoint::Mcp).enumerate() {
            assert!(number == 0 || seen.authorized(), "{runtime}: {} has no token", seen.path);
            let value = seen.headers.get("authorization").and_then(|value| value.to_str().ok());
            tokens.extend(value.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned));
        }
        assert!(tokens.len() >= 3, "{runtime}");
        for seen in model.seen() {
            let mcp = seen.endpoint == Endpoint::Mcp;
            assert!(mcp || !seen.authorized(), "{runtime}: {} has a token", seen.path);
            let elsewhere = format!("{:?} {:?} {:?}", seen.query.0, seen.form.0, seen.json);
            assert!(!tokens.iter().any(|token| elsewhere.contains(token)), "{runtime}");
            // The person of this run is the only one with cookies.
            let person = matches!(seen.endpoint, Endpoint::Authorize | Endpoint::Consent);
            assert!(person || !seen.headers.contains_key("cookie"), "{runtime}: {}", seen.path);
        }
    }
}

#[test]
fn a_redirect_of_the_mcp_server_takes_no_token_along_use_04_host_055() {
    for (runtime, run) in RUNTIMES {
        let elsewhere = serve::embedded(|at| at.gate.open = true).unwrap();
        let served = serve::embedded(|_| {}).unwrap();
        let location = elsewhere.mcp_url().to_owned();
        // The first request draws the login; what comes after it is sent away.
        let options = options(&arguments());
        served.lock().set(|at| at.gate.free = 0);
        let away = Fault::Literal(Literal::status(307).header("location", &location));
        let first = Fault::Literal(Literal::status(401).header("www-authenticate", "Bearer"));
        served.lock().fail(Endpoint::Mcp, 1, first);
        served.lock().fail(Endpoint::Mcp, usize::MAX, away);
        let ran = run(&options, &served);
        assert_eq!(ran.outcome.exit_status(), 1, "{runtime}: {:#?}", ran.lines);
        assert!(served.lock().seen_at(Endpoint::Mcp).any(|seen| seen.authorized()), "{runtime}");
        assert_eq!(elsewhere.lock().seen().len(), 0, "{runtime}: nothing reaches the other host");
    }
}

#[test]
fn no_answer_is_taken_from_a_cache_tok_17() {
    for (runtime, run) in RUNTIMES {
        let served = serve::embedded(|_| {}).unwrap();
        let cached = |body: &str| {
            let fresh = Literal::json(200, body).header("cache-control", "max-age=3600, public");
            Fault::Literal(fresh)
        };
        // The code and the refresh token draw an answer each that a cache might keep.
        for token in ["t1", "t2"] {
            let tokens = format!(
                r#"{{"access_token":"{token}","token_type":"Bearer","refresh_token":"r"}}"#
            );
            served.lock().fail(Endpoint::Token, 1, cached(&tokens));
        }
        served.lock().set(|at| at.gate.open = true);
        let first = Fault::Literal(Literal::status(401).header("www-authenticate", "Bearer"));
        served.lock().fail(Endpoint::Mcp, 1, first);
        let ran = run(&options(&arguments()), &served);
        assert_eq!(ran.outcome.exit_status(), 0, "{runtime}: {:#?}", ran.lines);
        assert_eq!(served.lock().count(Endpoint::Token), 2, "{runtime}: both were asked");
    }
}
