use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{Method, Request};
use mcp_authz_core::failure::Remedy;
use serde_json::{Value, json};

mod endings;
mod repeated;

use super::*;
use crate::job::calls::Next;
use crate::job::outcome::Trouble;
use crate::job::{Command, args};
use crate::model::{AnswerForm, Body, Era, Model, Piece, Settings};

const URL: &str = "https://mcp.example/mcp";

fn job(line: &[&str]) -> Job {
    match args::read("example", line.iter().map(Into::into), |_| None) {
        Ok(Command::Run(options)) => Job::new(&options, URL),
        other => panic!("{other:?}"),
    }
}

fn held(epoch: u64) -> Held {
    let token = format!("T{epoch}");
    Held {
        epoch: Epoch(epoch),
        header: HeaderValue::try_from(format!("Bearer {token}")).unwrap(),
        token: AccessToken::new(&token),
        covers: true,
        issuer: "https://as.example".to_owned(),
        resource: Some(URL.to_owned()),
        scopes: Some("mcp:tools".to_owned()),
        had: Had::default(),
    }
}

fn status(status: u16) -> Response<Vec<u8>> {
    Response::builder().status(status).body(Vec::new()).unwrap()
}

fn challenge(code: u16, value: &str) -> Response<Vec<u8>> {
    let mut response = status(code);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::try_from(value).unwrap());
    response
}

fn message(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

fn method(request: &Request<Vec<u8>>) -> String {
    if request.method() == Method::DELETE {
        return "DELETE".to_owned();
    }
    message(request.body())["method"].as_str().unwrap_or_default().to_owned()
}

fn token(request: &Request<Vec<u8>>) -> &str {
    request.headers().get(AUTHORIZATION).map_or("", |value| value.to_str().unwrap())
}

/// An open server: the model, without what it says of authorization.
fn open(era: Era, change: impl FnOnce(&mut Settings)) -> Model {
    let mut settings = Settings::default();
    settings.gate.open = true;
    settings.mcp.era = era;
    change(&mut settings);
    Model::new(settings)
}

fn ask(model: &mut Model, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
    let mut request = request.clone();
    request.headers_mut().remove(AUTHORIZATION);
    let answer = model.handle(&request, 1_000_000);
    let body = match answer.body {
        Body::Whole(body) => body,
        Body::Dropped => panic!("dropped"),
        Body::Stream(stream) => {
            let mut body = Vec::new();
            while let Piece::Chunk(chunk) = model.poll(stream, 2_000_000) {
                body.extend(chunk);
            }
            body
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// What one run came to.
struct Run {
    outcome: Outcome,
    sent: Vec<Request<Vec<u8>>>,
    challenges: Vec<Refusal>,
    lines: Vec<String>,
}

impl Run {
    fn methods(&self) -> Vec<String> {
        self.sent.iter().map(method).collect()
    }

    fn summary(&self) -> &Summary {
        match &self.outcome {
            Outcome::Authorized(summary) | Outcome::Open(summary) => summary,
            Outcome::Failed(trouble) => panic!("{trouble:?}\n{}", self.lines.join("\n")),
        }
    }

    fn code(&self) -> &'static str {
        match &self.outcome {
            Outcome::Failed(Trouble::Authorization(failure)) => failure.kind().code(),
            Outcome::Failed(Trouble::Mcp(fault)) => fault.code,
            done => panic!("{done:?}"),
        }
    }
}

type Settled = Result<Held, Failure>;

/// Runs a job: `server` answers requests, `session` settles refusals (`None`: what is held from before).
fn run(
    mut job: Job,
    mut server: impl FnMut(&Request<Vec<u8>>) -> Response<Vec<u8>>,
    mut session: impl FnMut(Option<&Refusal>) -> Settled,
) -> Run {
    let (mut sent, mut challenges, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    let mut errand = |errand: Errand| match errand {
        Errand::Send { request, .. } => {
            let answer = server(&request);
            sent.push(request);
            Happened::Answered(answer)
        }
        Errand::Acquire { may_ask, .. } => {
            assert!(!may_ask, "what is held is asked for without a person");
            Happened::Settled(session(None).map_err(Arc::new))
        }
        Errand::Challenge(refusal) => {
            let settled = session(Some(&refusal)).map_err(Arc::new);
            challenges.push(refusal);
            Happened::Settled(settled)
        }
    };
    let mut turn = job.on(Happened::Start);
    for _ in 0..1_000 {
        lines.extend(turn.said.iter().map(Step::json));
        turn = match turn.action {
            Action::Do(asked) => job.on(errand(asked)),
            Action::Call(mut calls) => {
                while let Some(mut call) = calls.begin() {
                    let mut next = call.on(Happened::Start);
                    while let Next::Do(asked) = next {
                        next = call.on(errand(*asked));
                    }
                    let Next::End(ended) = next else { panic!("{next:?}") };
                    calls.ended(ended);
                }
                job.called(calls)
            }
            Action::Finish(outcome) => {
                for line in &lines {
                    assert!(!line.contains("T1") && !line.contains("T2"), "{line}");
                }
                return Run { outcome, sent, challenges, lines };
            }
        };
    }
    panic!("no end: {}", lines.join("\n"))
}

fn nothing() -> Settled {
    Err(Failure::new(Kind::ReauthorizationRequired, "STEP-12"))
}

/// A session that has nothing at first, and a higher epoch whenever a refusal names the newest.
fn renewing(refusal: Option<&Refusal>) -> Settled {
    match refusal {
        None => nothing(),
        Some(refusal) => Ok(held(refusal.epoch.map_or(1, |epoch| epoch.0 + 1))),
    }
}

/// 401 unless the token is one of these.
fn gate(tokens: &[&str], request: &Request<Vec<u8>>) -> Option<Response<Vec<u8>>> {
    (!tokens.contains(&token(request))).then(|| challenge(401, "Bearer"))
}

#[test]
fn an_open_server_needs_no_token_in_either_era() {
    for (era, methods, wire) in [
        (Era::Modern, &["server/discover", "tools/list"][..], "modern"),
        (Era::Both, &["server/discover", "tools/list"], "modern"),
        (
            Era::Legacy,
            &["server/discover", "initialize", "notifications/initialized", "tools/list", "DELETE"],
            "legacy",
        ),
    ] {
        for form in [AnswerForm::Json, AnswerForm::EventStream] {
            let mut model = open(era, |settings| settings.mcp.answers = form);
            let run = run(job(&[URL]), |request| ask(&mut model, request), |_| nothing());
            assert!(matches!(run.outcome, Outcome::Open(_)) && run.outcome.exit_status() == 0);
            assert_eq!(run.methods(), methods);
            assert_eq!(run.summary().era, wire);
            assert!(run.summary().tools.contains(&"whoami".to_owned()));
            assert!(run.sent.iter().all(|request| token(request).is_empty()));
            assert!(run.lines.last().unwrap().starts_with("{\"outcome\":\"open\","));
        }
    }
}

#[test]
fn a_refused_request_is_repeated_as_it_was_trans_35() {
    for era in [Era::Modern, Era::Legacy] {
        let mut model = open(era, |_| {});
        let server = |request: &Request<Vec<u8>>| {
            gate(&["Bearer T1"], request).unwrap_or_else(|| ask(&mut model, request))
        };
        let run = run(job(&[URL]), server, renewing);
        assert!(matches!(run.outcome, Outcome::Authorized(_)));
        let (first, second) = (&run.sent[0], &run.sent[1]);
        assert_eq!((token(first), token(second)), ("", "Bearer T1"));
        assert_eq!(
            (first.method(), first.uri(), first.body()),
            (second.method(), second.uri(), second.body())
        );
        let mut headers = second.headers().clone();
        headers.remove(AUTHORIZATION);
        assert_eq!(first.headers(), &headers);
        let refusal = &run.challenges[0];
        assert_eq!(
            (refusal.epoch, refusal.status.as_u16(), refusal.had),
            (None, 401, Had::default())
        );
        assert!(refusal.may_ask && refusal.headers.contains_key(WWW_AUTHENTICATE));
        assert_eq!(run.challenges.len(), 1);
    }
}

#[test]
fn a_grant_held_from_before_goes_with_the_first_request() {
    let mut model = open(Era::Modern, |_| {});
    let server = |request: &Request<Vec<u8>>| {
        gate(&["Bearer T1"], request).unwrap_or_else(|| ask(&mut model, request))
    };
    let run = run(job(&[URL]), server, |_| Ok(held(1)));
    assert!(matches!(run.outcome, Outcome::Authorized(_)) && run.challenges.is_empty());
    assert!(run.lines[0].contains("\"step\":\"held\""));
}

#[test]
fn a_token_goes_nowhere_but_into_its_area_use_07() {
    let outside = || Held { covers: false, ..held(1) };
    let mut model = open(Era::Modern, |_| {});
    let run1 = run(job(&[URL]), |request| ask(&mut model, request), |_| Ok(outside()));
    assert!(run1.sent.iter().all(|request| token(request).is_empty()));
    let run2 = run(job(&[URL]), |_| challenge(401, "Bearer"), |_| Ok(outside()));
    assert_eq!(run2.code(), "origin_mismatch");
    assert!(run2.sent.iter().all(|request| token(request).is_empty()));
}

#[test]
fn the_demonstration_refreshes_and_steps_up() {
    for era in [Era::Modern, Era::Legacy] {
        let mut model = open(era, |_| {});
        let server = |request: &Request<Vec<u8>>| {
            if let Some(refusal) = gate(&["Bearer T1", "Bearer T2", "Bearer T3"], request) {
                return refusal;
            }
            if message(request.body())["params"]["name"] == "admin" && token(request) != "Bearer T3"
            {
                return challenge(403, "Bearer error=\"insufficient_scope\", scope=\"mcp:admin\"");
            }
            ask(&mut model, request)
        };
        let run = run(job(&[]), server, renewing);
        let summary = run.summary();
        assert_eq!(summary.called, ["whoami", "test-tool", "admin"]);
        assert!(summary.refreshed && summary.stepped_up);
        let seen: Vec<_> = run
            .challenges
            .iter()
            .map(|refusal| {
                (
                    refusal.epoch.map(|epoch| epoch.0),
                    refusal.status.as_u16(),
                    refusal.operation.as_str(),
                    refusal.may_ask,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (None, 401, "server/discover", true),
                (Some(1), 401, "refresh", false),
                (Some(2), 403, "tools/call admin", true),
            ]
        );
        let lists: Vec<&str> =
            run.sent.iter().filter(|sent| method(sent) == "tools/list").map(token).collect();
        assert_eq!(lists, ["Bearer T1", "Bearer T2"]);
        assert_eq!(method(run.sent.last().unwrap()) == "DELETE", era == Era::Legacy);
        assert!(run.lines.last().unwrap().contains("\"stepped_up\":true"));
        // The grants of this session are all alike.
        assert!(summary.added.is_empty());
    }
}

#[test]
fn a_real_server_is_not_called_unless_told_to() {
    let mut model = open(Era::Modern, |_| {});
    let run1 = run(job(&[URL]), |request| ask(&mut model, request), |_| Ok(held(1)));
    assert!(!run1.methods().contains(&"tools/call".to_owned()) && run1.challenges.is_empty());
    let run2 = run(
        job(&[URL, "--call", "whoami", "--refresh"]),
        |request| ask(&mut model, request),
        |refusal| Ok(held(refusal.map_or(1, |_| 2))),
    );
    assert_eq!(run2.methods(), ["server/discover", "tools/list", "tools/call", "tools/list"]);
    assert!(run2.summary().refreshed);
}

#[test]
fn refusals_are_bounded_step_09_step_16() {
    for refusal in [
        challenge(401, "Bearer"),
        challenge(403, "Bearer error=\"insufficient_scope\", scope=\"x\""),
    ] {
        let run = run(job(&[URL]), |_| refusal.clone(), renewing);
        assert_eq!(run.code(), "step_up_limit");
        assert_eq!(run.challenges.len(), 7);
    }
}

#[test]
fn a_refresh_cannot_move_the_token_elsewhere_use_07() {
    let mut model = open(Era::Modern, |_| {});
    let server = |request: &Request<Vec<u8>>| ask(&mut model, request);
    let run = run(job(&[URL, "--refresh"]), server, |refusal| {
        Ok(refusal.map_or(held(1), |_| Held { covers: false, ..held(2) }))
    });
    assert_eq!(token(run.sent.last().unwrap()), "");
}
