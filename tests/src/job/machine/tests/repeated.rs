//! `--calls`: the same request many times, each with the token that is good then.

use super::*;

/// A session whose token is replaced whenever it is refused, and that remembers the newest.
fn remembering(newest: &mut u64, refusal: Option<&Refusal>) -> Settled {
    if let Some(refusal) = refusal
        && refusal.epoch.is_none_or(|epoch| epoch.0 == *newest)
    {
        *newest += 1;
    }
    if *newest == 0 { nothing() } else { Ok(held(*newest)) }
}

fn last(run: &Run) -> Value {
    serde_json::from_str(run.lines.last().unwrap()).unwrap()
}

#[test]
fn calls_follow_one_login_and_nothing_else_is_shown() {
    for era in [Era::Modern, Era::Legacy] {
        let (mut model, mut newest) = (open(era, |_| {}), 0);
        let server = |request: &Request<Vec<u8>>| {
            gate(&["Bearer T1"], request).unwrap_or_else(|| ask(&mut model, request))
        };
        let line = ["--calls", "5", "--parallel", "2"];
        let run = run(job(&line), server, |refusal| remembering(&mut newest, refusal));
        let lists = run.sent.iter().filter(|sent| method(sent) == "tools/list");
        assert_eq!(lists.filter(|sent| token(sent) == "Bearer T1").count(), 6);
        assert!(!run.methods().contains(&"tools/call".to_owned()));
        assert_eq!(run.challenges.len(), 1, "one login, no refresh");
        assert_eq!(method(run.sent.last().unwrap()) == "DELETE", era == Era::Legacy);
        let told = r#"{"step":"calls","calls":5,"parallel":2}"#;
        assert!(run.lines.contains(&told.to_owned()), "{:?}", run.lines);
        assert_eq!((&last(&run)["calls"], &last(&run)["failures"]), (&json!(5), &json!(0)));
        let mut ids: Vec<u64> =
            run.sent.iter().filter_map(|sent| message(sent.body())["id"].as_u64()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), run.sent.len() - 1 - if era == Era::Legacy { 2 } else { 0 });
    }
}

#[test]
fn each_call_takes_the_token_that_is_good_when_it_leaves() {
    let (mut model, mut newest, mut seen) = (open(Era::Modern, |_| {}), 1, 0);
    // Every third request ends the token that it came with.
    let server = |request: &Request<Vec<u8>>| {
        seen += 1;
        let ended = seen % 3 == 0;
        if ended { challenge(401, "Bearer") } else { ask(&mut model, request) }
    };
    let line = [URL, "--calls", "9", "--no-login"];
    let run = run(job(&line), server, |refusal| remembering(&mut newest, refusal));
    assert!(matches!(run.outcome, Outcome::Authorized(_)), "{:?}", run.lines);
    let tokens: Vec<&str> = run.sent.iter().map(token).collect();
    assert_eq!(tokens[..5], ["Bearer T1", "Bearer T1", "Bearer T1", "Bearer T2", "Bearer T2"]);
    assert!(
        run.challenges.len() >= 3
            && run.challenges.iter().all(|refusal| refusal.had == Had::default())
    );
    let first = &run.challenges[0];
    assert_eq!((first.operation.as_str(), first.may_ask), ("tools/list", false));
}

#[test]
fn an_open_server_is_called_without_a_token() {
    let mut model = open(Era::Modern, |_| {});
    let run = run(job(&[URL, "--calls", "3"]), |request| ask(&mut model, request), |_| nothing());
    assert!(matches!(run.outcome, Outcome::Open(_)));
    assert!(run.sent.iter().all(|request| token(request).is_empty()));
    assert_eq!(last(&run)["calls"], 3);
}

#[test]
fn the_first_call_that_fails_is_the_last_one_begun_and_says_why() {
    let (mut model, mut lists) = (open(Era::Legacy, |_| {}), 0);
    let server = |request: &Request<Vec<u8>>| {
        lists += usize::from(method(request) == "tools/list");
        if lists == 3 && method(request) == "tools/list" {
            return Response::builder()
                .status(418)
                .header(CONTENT_TYPE, "application/json")
                .body(br#"{"error":{"code":-1,"message":"you said Bearer T1"}}"#.to_vec())
                .unwrap();
        }
        ask(&mut model, request)
    };
    let run = run(job(&[URL, "--calls", "9"]), server, |_| Ok(held(1)));
    assert_eq!((run.code(), run.outcome.exit_status()), ("mcp_error", 1));
    let last = last(&run);
    assert_eq!((&last["calls"], &last["failures"]), (&json!(2), &json!(1)));
    assert_eq!(last["message"], "(repeats the access token: not shown)");
    assert_eq!(method(run.sent.last().unwrap()), "DELETE", "the session is ended all the same");
}

#[test]
fn a_call_without_hope_says_what_the_session_said_use_07_step_09() {
    let served = |refusal: Response<Vec<u8>>| {
        let (mut model, mut lists) = (open(Era::Modern, |_| {}), 0);
        move |request: &Request<Vec<u8>>| {
            lists += usize::from(method(request) == "tools/list");
            if lists > 1 { refusal.clone() } else { ask(&mut model, request) }
        }
    };
    let refused = challenge(401, "Bearer");
    let dead = |refusal: Option<&Refusal>| match refusal {
        None => Ok(held(1)),
        Some(_) => Err(Failure::new(Kind::ReauthorizationRequired, "REF-08")),
    };
    let run1 = run(job(&[URL, "--calls", "9", "--no-login"]), served(refused.clone()), dead);
    assert_eq!(run1.code(), "reauthorization_required");
    let mut newest = 1;
    let always = |refusal: Option<&Refusal>| remembering(&mut newest, refusal);
    let run2 = run(job(&[URL, "--calls", "9"]), served(refused.clone()), always);
    assert_eq!((run2.code(), run2.challenges.len()), ("step_up_limit", 7));
    let outside = |refusal: Option<&Refusal>| {
        Ok(refusal.map_or(held(1), |_| Held { covers: false, ..held(2) }))
    };
    let run3 = run(job(&[URL, "--calls", "9"]), served(refused), outside);
    assert_eq!(run3.code(), "origin_mismatch");
    assert!(run3.sent.iter().all(|sent| token(sent) == "Bearer T1"));
}
