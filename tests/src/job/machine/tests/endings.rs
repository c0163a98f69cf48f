use super::*;

#[test]
fn what_the_session_decides_is_final() {
    let refuse = |kind: Kind| {
        move |refusal: Option<&Refusal>| match refusal {
            None => nothing(),
            Some(_) => Err(Failure::new(kind, "X-01")),
        }
    };
    for kind in [Kind::AuthorizationDenied, Kind::Forbidden, Kind::Transient] {
        let run = run(job(&[URL]), |_| status(403), refuse(kind));
        assert_eq!((run.code(), run.sent.len()), (kind.code(), 1));
        assert!(run.lines.last().unwrap().contains(kind.code()) && run.outcome.exit_status() == 1);
    }
}

#[test]
fn a_client_of_another_issuer_is_a_matter_of_the_arguments() {
    let elsewhere = |refusal: Option<&Refusal>| match refusal {
        None => nothing(),
        Some(_) => Err(Failure::new(Kind::IssuerChanged, "BIND-04")
            .with_subject("https://as2.example")
            .with_remedy(Remedy::Configure)),
    };
    let line = [URL, "--client-id", "mine", "--issuer", "https://as.example"];
    let run = run(job(&line), |_| status(401), elsewhere);
    let says = "is for https://as.example; this server uses https://as2.example: correct --issuer";
    assert!(run.lines.last().unwrap().contains(says), "{:?}", run.lines);
}

#[test]
fn nobody_is_asked_with_no_login() {
    let run = run(job(&[URL, "--no-login"]), |_| challenge(401, "Bearer"), |_| nothing());
    assert_eq!(run.code(), "reauthorization_required");
    assert!(run.challenges.iter().all(|refusal| !refusal.may_ask));
    assert!(run.lines.last().unwrap().contains("without --no-login"));
}

#[test]
fn a_400_is_a_refusal_only_with_a_challenge_trans_20() {
    let server = |_: &Request<Vec<u8>>| challenge(400, "Bearer error=\"invalid_request\"");
    let run1 = run(job(&[URL]), server, |_| Err(Failure::new(Kind::ServerError, "STEP-14")));
    assert_eq!((run1.challenges.len(), run1.code()), (1, "server_error"));
    let run2 = run(job(&[URL]), |_| status(400), |_| nothing());
    assert_eq!((run2.challenges.len(), run2.code()), (0, "mcp_no_endpoint"));
}

#[test]
fn a_lost_session_costs_no_token_trans_19() {
    let mut model = open(Era::Legacy, |_| {});
    let mut forgotten = false;
    let server = |request: &Request<Vec<u8>>| {
        if method(request) == "tools/list" && !std::mem::replace(&mut forgotten, true) {
            model.forget_sessions();
        }
        gate(&["Bearer T1"], request).unwrap_or_else(|| ask(&mut model, request))
    };
    let run = run(job(&[URL]), server, renewing);
    assert_eq!(run.methods().iter().filter(|method| *method == "initialize").count(), 2);
    assert_eq!(run.challenges.len(), 1);
    assert!(run.lines.contains(&"{\"step\":\"session_lost\"}".to_owned()));
    assert_eq!(run.summary().era, "legacy");
}

#[test]
fn a_session_is_ended_after_a_failure_too_and_a_401_to_that_bothers_nobody_trans_21() {
    let mut model = open(Era::Legacy, |_| {});
    let server = |request: &Request<Vec<u8>>| match method(request).as_str() {
        "tools/list" => status(418),
        "DELETE" => challenge(401, "Bearer"),
        _ => ask(&mut model, request),
    };
    let run = run(job(&[URL]), server, |_| nothing());
    assert_eq!(run.methods().last().unwrap(), "DELETE");
    assert_eq!((run.code(), run.challenges.len()), ("mcp_status", 0));
}

#[test]
fn a_cut_stream_is_asked_for_again_but_a_call_is_not_trans_17() {
    let cut = || {
        Response::builder()
            .header(CONTENT_TYPE, "text/event-stream")
            .body(b": hi\n\n".to_vec())
            .unwrap()
    };
    let mut model = open(Era::Modern, |_| {});
    let mut cuts = 1;
    let mut server = |request: &Request<Vec<u8>>| {
        if method(request) == "tools/list" && cuts > 0 {
            cuts -= 1;
            return cut();
        }
        if method(request) == "tools/call" { cut() } else { ask(&mut model, request) }
    };
    let run1 = run(job(&[URL]), &mut server, |_| nothing());
    assert_eq!(run1.methods(), ["server/discover", "tools/list", "tools/list"]);
    assert_ne!(message(run1.sent[1].body())["id"], message(run1.sent[2].body())["id"]);
    let run2 = run(job(&[URL, "--call", "whoami"]), &mut server, |_| nothing());
    assert_eq!((run2.code(), run2.methods().len()), ("mcp_lost", 3));
    let run3 = run(job(&[URL]), |_| cut(), |_| nothing());
    assert_eq!((run3.code(), run3.sent.len()), ("mcp_lost", 2));
}

#[test]
fn pages_are_followed_to_an_end_step_16() {
    let pages = |endless: bool| {
        let mut page = 0;
        move |request: &Request<Vec<u8>>| {
            let asked = message(request.body());
            page += 1;
            let next = if endless {
                Some(format!("p{page}"))
            } else {
                (page < 3).then(|| "p".repeat(page))
            };
            let result = json!({"tools": [{"name": format!("t{page}")}], "nextCursor": next});
            let body = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}).to_string();
            Response::builder()
                .header(CONTENT_TYPE, "application/json")
                .body(body.into_bytes())
                .unwrap()
        }
    };
    let run1 = run(job(&[URL, "--era", "modern"]), pages(false), |_| nothing());
    assert_eq!(run1.summary().tools, ["t1", "t2", "t3"]);
    assert_eq!(message(run1.sent[2].body())["params"]["cursor"], "pp");
    let run2 = run(job(&[URL, "--era", "modern"]), pages(true), |_| nothing());
    assert_eq!((run2.code(), run2.sent.len()), ("mcp_endless_list", 17));
    let same = |request: &Request<Vec<u8>>| {
        let id = message(request.body())["id"].clone();
        let body = json!({"jsonrpc": "2.0", "id": id, "result": {"tools": [], "nextCursor": "p"}})
            .to_string();
        Response::builder()
            .header(CONTENT_TYPE, "application/json")
            .body(body.into_bytes())
            .unwrap()
    };
    assert_eq!(run(job(&[URL, "--era", "modern"]), same, |_| nothing()).sent.len(), 2);
}

#[test]
fn a_server_that_repeats_the_token_is_not_quoted() {
    for (member, value) in [
        ("result", json!({"content": [{"type": "text", "text": "you sent Bearer T1"}]})),
        ("result", json!({"tools": [{"name": "T1"}]})),
        ("error", json!({"code": -1, "message": format!("{}T1", "x".repeat(511))})),
    ] {
        let server = |request: &Request<Vec<u8>>| {
            let asked = message(request.body());
            let mut body = json!({"jsonrpc": "2.0", "id": asked["id"]});
            body[member] = value.clone();
            if member == "result" && asked["method"] == "tools/list" && value.get("tools").is_none()
            {
                body[member] = json!({"tools": []});
            }
            Response::builder()
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_string().into_bytes())
                .unwrap()
        };
        // The harness looks into every line.
        let run = run(job(&[URL, "--era", "modern", "--call", "x"]), server, |_| Ok(held(1)));
        assert!(
            run.lines.iter().any(|line| line.contains("repeats the access token")),
            "{:?}",
            run.lines
        );
    }
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
        let mut job = job(&[URL]);
        let _ = job.on(Happened::Start);
        let _ = job.on(Happened::Settled(nothing().map_err(Arc::new)));
        let turn = job.on(Happened::Unreachable(why));
        for step in &turn.said {
            assert!(step.json().contains(&format!("\"why\":\"{}\"", why.name())), "{step:?}");
        }
        let end = turn.action;
        let Action::Finish(Outcome::Failed(Trouble::Mcp(fault))) = end else { panic!("{end:?}") };
        assert_eq!((fault.code, fault.remedy.retryable()), (code, retry));
        assert!(fault.text.contains(says), "{}", fault.text);
    }
}

#[test]
fn events_out_of_turn_end_it() {
    let mut job = job(&[URL]);
    let end = job.on(Happened::Answered(status(200))).action;
    let Action::Finish(Outcome::Failed(Trouble::Mcp(fault))) = end else { panic!("{end:?}") };
    assert_eq!((fault.code, fault.remedy), ("setup", Remedy::Configure));
    assert!(matches!(job.on(Happened::Start).action, Action::Finish(_)));
}

#[test]
fn scopes_of_the_command_line_are_asked_for() {
    let turn = job(&[URL, "--scope", "a b"]).on(Happened::Start);
    assert!(
        matches!(turn.action, Action::Do(Errand::Acquire { scopes, may_ask: false }) if scopes.as_str() == "a b")
    );
}
