use mcp_authz_core::failure::{Failure, Kind};

use super::*;
use crate::job::outcome::Trouble;
use crate::job::{Command, Show, args};

const URL: &str = "https://mcp.example/mcp";

fn report(line: &[&str]) -> Report {
    match args::read("example", line.iter().map(Into::into)) {
        Ok(Command::Run(options)) => Report::new(&options, URL),
        other => panic!("{other:?}"),
    }
}

fn held(epoch: u64, scopes: &str) -> Held {
    Held {
        epoch: Epoch(epoch),
        issuer: "https://as.example".to_owned(),
        resource: Some(URL.to_owned()),
        scopes: Some(scopes.to_owned()),
    }
}

/// The goals of a run against a server that offers these tools, from the first page of their list
/// on.
fn done(report: &mut Report, tools: &Value) -> Vec<String> {
    let mut done = Vec::new();
    while let Some(goal) = report.next_goal() {
        assert!(done.len() < 100, "no end: {done:?}");
        done.push(match goal {
            Goal::List(page) => {
                report.listed(&json!({"tools": tools})).unwrap();
                format!("tools/list {page}")
            }
            Goal::Call(tool) => {
                report.called(&tool, &json!({"content": []}));
                tool
            }
            Goal::Repeat(repeat) => {
                format!("{} calls, {} at a time", repeat.calls, repeat.parallel)
            }
            Goal::Refresh(refusal) => {
                assert!(!refusal.may_ask);
                format!("epoch {} is refused", refusal.epoch.unwrap().0)
            }
        });
    }
    done
}

fn tools() -> Value {
    json!([
        {"name": "full", "inputSchema": {"required": ["text"]}},
        {"name": "a", "inputSchema": {"type": "object"}},
        {"title": "nameless"}, 7,
        {"name": "b"},
    ])
}

const LIST: &str = "tools/list {}";

#[test]
fn the_demonstration_uses_the_old_token_and_the_new_one() {
    let mut report = report(&[]);
    report.hold(held(1, "mcp:tools"), false);
    assert_eq!(done(&mut report, &tools()), [LIST, "a", "epoch 1 is refused", LIST, "b"]);
    let (step, outcome) = report.end(None);
    let Outcome::Authorized(summary) = outcome else { panic!("{outcome:?}") };
    assert_eq!(summary.tools, ["full", "a", "b"]);
    assert_eq!(summary.called, ["a", "b"]);
    assert!(summary.refreshed && !summary.stepped_up, "{step:?}");
}

#[test]
fn a_real_server_is_not_called_unless_told_to() {
    for (line, expected) in [
        (&[URL][..], &[LIST][..]),
        (&[URL, "--call", "x"], &[LIST, "x"]),
        (&[URL, "--refresh"], &[LIST, "epoch 1 is refused", LIST]),
        (&[URL, "--call", "x", "--refresh"], &[LIST, "x", "epoch 1 is refused", LIST]),
        (&[URL, "--calls", "9", "--parallel", "2"], &[LIST, "9 calls, 2 at a time"]),
    ] {
        let mut report = report(line);
        report.hold(held(1, "s"), false);
        assert_eq!(done(&mut report, &tools()), expected, "{line:?}");
    }
    // A server that asks nobody for a token leaves none to be replaced.
    let mut open = report(&[URL, "--refresh"]);
    assert_eq!(done(&mut open, &tools()), [LIST]);
    let (_, outcome) = open.end(None);
    assert!(matches!(outcome, Outcome::Open(summary) if !summary.refreshed));
}

#[test]
fn pages_are_followed_to_an_end_step_16() {
    let page = |number: usize, next: Option<String>| json!({"tools": [{"name": format!("t{number}")}], "nextCursor": next});
    let mut three = report(&[URL]);
    for number in 1..=3 {
        let Some(Goal::List(asked)) = three.next_goal() else { panic!("no page {number}") };
        let cursor = (number > 1).then(|| "p".repeat(number - 1));
        assert_eq!(asked.get("cursor").and_then(Value::as_str), cursor.as_deref());
        let step = three.listed(&page(number, (number < 3).then(|| "p".repeat(number)))).unwrap();
        assert_eq!(step.is_some(), number == 3);
    }
    assert!(three.next_goal().is_none());
    assert_eq!(three.summary.tools, ["t1", "t2", "t3"]);

    for (same, pages) in [(true, 2), (false, MOST_PAGES + 1)] {
        let (mut endless, mut asked) = (report(&[URL]), 0);
        let fault = loop {
            assert!(matches!(endless.next_goal(), Some(Goal::List(_))));
            asked += 1;
            let next = if same { "p".to_owned() } else { format!("p{asked}") };
            match endless.listed(&page(asked, Some(next))) {
                Ok(step) => assert!(step.is_none()),
                Err(fault) => break fault,
            }
        };
        assert_eq!((fault.code, asked), ("mcp_endless_list", pages));
    }
}

#[test]
fn what_is_no_list_is_said_to_be_none_trans_04() {
    for bad in [json!({}), json!({"tools": {}}), json!(null), json!([])] {
        let fault = report(&[URL]).listed(&bad).unwrap_err();
        assert_eq!((fault.code, fault.rule), ("mcp_malformed", "TRANS-04"));
    }
}

#[test]
fn results_of_tools_are_read() {
    let content =
        json!([{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]);
    for (result, error, text) in [
        (json!({"content": content}), false, "a b"),
        (json!({"content": [], "isError": true}), true, ""),
        (json!({"resultType": "complete"}), false, ""),
        (
            json!({"resultType": "input_required"}),
            true,
            "the tool wants input that this program does not give",
        ),
    ] {
        let step = report(&[URL]).called("t", &result);
        assert_eq!(step, Step::called("t", error, text));
    }
}

#[test]
fn a_server_that_repeats_a_token_is_not_quoted() {
    let knowing = || {
        let mut report = report(&[URL]);
        report.knows(&AccessToken::new("T1"));
        report.knows(&AccessToken::new("T2"));
        report
    };
    for token in ["T1", "T2"] {
        let echo = format!("you sent Bearer {token}");
        let mut report = knowing();
        let step = report.called("x", &json!({"content": [{"type": "text", "text": echo}]}));
        assert!(step.json().contains(ECHOED) && !step.json().contains(token), "{step:?}");
        let step = report.listed(&json!({"tools": [{"name": token}]})).unwrap().unwrap();
        assert!(step.json().contains(ECHOED) && !step.json().contains(token), "{step:?}");
        // Cut in the middle of it, too.
        let (quoted, cut) = (format!("{}{token}", "x".repeat(511)), "x".repeat(511) + "T");
        let outcome = report.failed("mcp_error", &cut, &quoted, Remedy::Report);
        let Outcome::Failed(Trouble::Mcp(fault)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((fault.code, fault.text.as_str()), ("mcp_error", ECHOED));
    }
    let outcome = knowing().failed("mcp_error", "T3\u{1b}", "T3", Remedy::Report);
    let Outcome::Failed(Trouble::Mcp(fault)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(fault.text, "T3\\u{1b}");
}

#[test]
fn a_grant_is_told_once_and_more_scope_is_a_step_up() {
    let mut report = report(&[URL]);
    let told = |step: Option<Step>| step.map(|step| step.json());
    let first = told(report.hold(held(1, "a"), true)).unwrap();
    assert!(first.starts_with("{\"step\":\"held\",\"epoch\":1,"), "{first}");
    assert_eq!(told(report.hold(held(1, "a"), true)), None);
    let second = told(report.hold(held(2, "a"), false)).unwrap();
    assert!(second.starts_with("{\"step\":\"granted\",\"epoch\":2,"), "{second}");
    assert!(!report.summary.stepped_up);
    assert!(report.hold(held(3, "a b"), false).is_some());
    assert!(report.summary.stepped_up);
    assert_eq!(report.summary.added, ["b"]);
}

#[test]
fn the_end_counts_the_calls_and_says_what_went_wrong() {
    let mut report = report(&[URL, "--calls", "9"]);
    report.hold(held(1, "a"), false);
    for failed in [false, false, true] {
        report.counted(failed);
    }
    let failure = Failure::new(Kind::ReauthorizationRequired, "REF-08");
    let (step, outcome) = report.end(Some(failure.into()));
    assert_eq!(outcome.exit_status(), 1);
    let last: Value = serde_json::from_str(&step.json()).unwrap();
    assert_eq!((&last["calls"], &last["failures"]), (&json!(3), &json!(1)));
    assert_eq!(last["code"], "reauthorization_required");
}

#[test]
fn no_answer_at_all_says_so() {
    for (why, code, retry, says) in [
        (Why::Resolve, "transient", true, "mcp.example is not known"),
        (Why::Connect, "transient", true, "nothing listens at mcp.example:443"),
        (Why::Broken, "transient", true, "mcp.example:443 broke the connection off"),
        (Why::Tls, "tls", false, "(mcp.example:443)"),
        (Why::Timeout, "timeout", true, "mcp.example:443 took too long"),
    ] {
        let (step, outcome) = report(&[URL]).end(Some(report(&[URL]).unanswered(why)));
        assert!(step.json().contains(&format!("\"why\":\"{}\"", why.name())), "{step:?}");
        let Outcome::Failed(Trouble::Mcp(fault)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((fault.code, fault.remedy.retryable()), (code, retry));
        assert!(fault.text.contains(says), "{}", fault.text);
    }
}

#[test]
fn what_the_client_says_comes_with_its_rule() {
    let report = report(&[URL]);
    for (code, remedy, rule) in [
        ("mcp_error", Remedy::Report, ""),
        ("mcp_version", Remedy::Configure, "TRANS-09"),
        ("mcp_status", Remedy::Report, "TRANS-20"),
        ("mcp_session_lost", Remedy::Retry { after: None }, "TRANS-19"),
        ("redirect_refused", Remedy::Configure, "USE-04"),
    ] {
        let outcome = report.failed(code, "words", "", remedy);
        let Outcome::Failed(Trouble::Mcp(fault)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((fault.code, fault.rule, fault.remedy), (code, rule, remedy));
        assert!(fault.text.starts_with("words"));
    }
}

#[test]
fn every_runtime_may_move_the_parts_between_threads() {
    fn moves<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    moves::<Report>();
    moves::<crate::job::person::Person>();
    moves::<crate::job::Turn>();
    shared::<Show>();
    shared::<Options>();
}
