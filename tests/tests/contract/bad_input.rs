//! Bad input ends in its named error, with a remedy, in what the example clients print.

use mcp_authz_tests::model::{
    Consent, Endpoint, Fault, IssMode, Literal, Pkce, Settings, StateEcho,
};
use mcp_authz_tests::serve::{self, Served};
use serde_json::{Value, json};

use crate::runtimes::{all_alike, options};

/// A case: what the server does, and the code and remedy the clients end with.
struct Case {
    name: &'static str,
    adjust: fn(&mut Settings),
    spoil: fn(&Served),
    arguments: &'static [&'static str],
    code: &'static str,
    remedy: &'static str,
}

const fn nothing(_: &Served) {}

const fn case(
    name: &'static str,
    adjust: fn(&mut Settings),
    code: &'static str,
    remedy: &'static str,
) -> Case {
    Case { name, adjust, spoil: nothing, arguments: &[], code, remedy }
}

fn member(name: &str, value: Value) -> Vec<(String, Value)> {
    vec![(name.to_owned(), value)]
}

fn always(served: &Served, endpoint: Endpoint, literal: Literal) {
    served.lock().fail(endpoint, usize::MAX, Fault::Literal(literal));
}

/// Runs a case on every runtime and reads the last line.
fn last_line(case: &Case) -> Value {
    let serve = || {
        let served = serve::embedded(|settings| (case.adjust)(settings)).unwrap();
        (case.spoil)(&served);
        served
    };
    // The URL is the server's, which the runs fill in; the arguments only have to name one.
    let mut arguments = vec!["--json", "--headless", "--timeout", "2"];
    arguments.extend(case.arguments);
    arguments.push("http://127.0.0.1:1/mcp");
    assert!(options(&arguments).timeout.as_secs() == 2);
    let ran = all_alike(&arguments, &serve);
    assert_eq!(ran.outcome.exit_status(), 1, "{}: {:#?}", case.name, ran.lines);
    serde_json::from_str(ran.lines.last().unwrap()).unwrap()
}

fn check(cases: &[Case]) {
    for case in cases {
        let last = last_line(case);
        assert_eq!(last["outcome"], "failed", "{}: {last}", case.name);
        assert_eq!(last["code"], case.code, "{}: {last}", case.name);
        assert_eq!(last["remedy"], case.remedy, "{}: {last}", case.name);
        let next = last["next"].as_array().is_some_and(|next| !next.is_empty());
        assert!(next, "{}: says what to do next: {last}", case.name);
        let moment =
            if case.code == "outcome_unknown" { json!("code_unanswered") } else { Value::Null };
        assert_eq!(last["moment"], moment, "{}: a one-shot moment is named: {last}", case.name);
    }
}

#[test]
fn urls_that_a_server_must_not_name_sec_01_sec_05() {
    check(&[
        case(
            "unknown scheme",
            |at| {
                let evil = json!("javascript:alert(1)//");
                at.server.metadata.members = member("authorization_endpoint", evil);
            },
            "url_scheme",
            "report",
        ),
        case(
            "private address",
            |at| {
                let evil = vec!["https://10.0.0.1".to_owned()];
                at.prm.authorization_servers = Some(evil);
            },
            "address_blocked",
            "configure",
        ),
        case(
            "plain http elsewhere",
            |at| {
                let evil = vec!["http://as.example".to_owned()];
                at.prm.authorization_servers = Some(evil);
            },
            "insecure_transport",
            "configure",
        ),
        case(
            "token endpoint at a metadata service",
            |at| {
                let evil = json!("https://169.254.169.254/token");
                at.server.metadata.members = member("token_endpoint", evil);
            },
            "address_blocked",
            "configure",
        ),
    ]);
}

#[test]
fn documents_that_are_too_large_or_broken_disc_17_disc_19() {
    check(&[
        Case {
            spoil: |served| {
                let huge = format!("{{\"x\":\"{}\"}}", "x".repeat(300 * 1024));
                always(served, Endpoint::PrmPath, Literal::json(200, &huge));
            },
            ..case("oversized document", |_| {}, "body_too_large", "report")
        },
        Case {
            spoil: |served| {
                always(served, Endpoint::AsOauth, Literal::json(200, "{\"issuer\":"));
            },
            ..case("broken JSON", |_| {}, "json_malformed", "report")
        },
        Case {
            spoil: |served| {
                let deep = format!("{{\"issuer\":{}{}}}", "[".repeat(40), "]".repeat(40));
                always(served, Endpoint::AsOauth, Literal::json(200, &deep));
            },
            ..case("nested JSON", |_| {}, "json_too_deep", "report")
        },
        case(
            "another resource",
            |at| at.prm.resource = Some("https://evil.example/mcp".to_owned()),
            "resource_mismatch",
            "report",
        ),
        case(
            "another issuer",
            |at| at.server.metadata.issuer = Some("https://evil.example".to_owned()),
            "issuer_mismatch",
            "configure",
        ),
        case(
            "no PKCE list",
            |at| at.server.metadata.pkce = Pkce::Absent,
            "pkce_unsupported",
            "configure",
        ),
    ]);
}

#[test]
fn callbacks_that_do_not_belong_iss_04_iss_07_iss_08_iss_90() {
    check(&[
        case(
            "wrong state",
            |at| at.server.callback.state = StateEcho::Wrong("stranger".to_owned()),
            "state_mismatch",
            "ask_user",
        ),
        case(
            "no state",
            |at| at.server.callback.state = StateEcho::Absent,
            "state_mismatch",
            "ask_user",
        ),
        case(
            "wrong issuer",
            |at| at.server.callback.iss = IssMode::Wrong("https://evil.example".to_owned()),
            "iss_mismatch",
            "report",
        ),
        case(
            "promised issuer missing",
            |at| at.server.callback.iss = IssMode::Missing,
            "iss_missing",
            "report",
        ),
        case(
            "access denied",
            |at| at.server.consent = Consent::Deny,
            "authorization_denied",
            "ask_user",
        ),
    ]);
}

#[test]
fn servers_that_cannot_answer_disc_09_tok_04() {
    check(&[
        Case {
            spoil: |served| always(served, Endpoint::PrmPath, Literal::status(503)),
            ..case("metadata unavailable", |_| {}, "transient", "retry")
        },
        case(
            "metadata too late",
            |at| {
                at.delays.insert(Endpoint::PrmPath, 6_000);
            },
            "transient",
            "retry",
        ),
        Case {
            spoil: |served| served.lock().fail(Endpoint::Token, 1, Fault::Lost),
            ..case("code exchange lost", |_| {}, "outcome_unknown", "ask_user")
        },
        case(
            "registration refused",
            |at| {
                let refuses = "invalid_redirect_uri".to_owned();
                at.server.registration.mode =
                    mcp_authz_tests::model::RegistrationMode::Refuses(refuses);
            },
            "registration_failed",
            "register",
        ),
    ]);
}
