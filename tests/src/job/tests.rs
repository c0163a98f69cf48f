//! The whole of an example without its runtime: job, session, model and person in one loop.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use mcp_authz_core::effect::{Bound, Reply, Told, Work};
use mcp_authz_core::entropy::Entropy;
use mcp_authz_core::failure::Failure;
use mcp_authz_core::input::{self, ArrivalId, Callback, Challenge, Had, Input, WaiterId};
use mcp_authz_core::session::{Env, Session};
use mcp_authz_core::time::{Monotonic, Timestamp};
use sha2::{Digest as _, Sha512};

use super::person::{Person, PersonAction, PersonEvent};
use super::*;
use crate::model::{Body, Consent, Model, Piece, REVISIONS};

const URL: &str = "http://127.0.0.1:4000/mcp";

/// An example: the options, the server, the session, and a driver that never waits.
struct Example {
    options: Options,
    model: Model,
    session: Session,
    show: Show,
    lines: Arc<Mutex<Vec<String>>>,
    steps: u64,
}

impl Example {
    fn new(line: &[&str], secret: Option<&str>) -> Self {
        let variable = |_: &str| secret.map(str::to_owned);
        let Ok(Command::Run(options)) =
            args::read("example", line.iter().map(Into::into), variable)
        else {
            panic!("{line:?}")
        };
        let settings =
            options.settings().unwrap().at(URL, "http://127.0.0.1:4001", "http://127.0.0.1:4002");
        let session = Session::new(options.config(URL).unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let show =
            Show::new(options.format, move |line| sink.lock().unwrap().push(line.to_owned()));
        Self { options: *options, model: Model::new(settings), session, show, lines, steps: 0 }
    }

    fn env(&mut self) -> Env {
        self.steps += 1;
        let bytes: [u8; 64] = Sha512::digest(self.steps.to_le_bytes()).into();
        let wall = Timestamp::from_unix(1_800_000_000);
        Env { wall, mono: Monotonic::from_millis(self.steps), entropy: Entropy::new(bytes) }
    }

    fn serve(&mut self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        let answer = self.model.handle(request, 1_800_000_000_000);
        let body = match answer.body {
            Body::Whole(body) => body,
            Body::Dropped => panic!("dropped"),
            Body::Stream(stream) => {
                let mut body = Vec::new();
                while let Piece::Chunk(chunk) = self.model.poll(stream, 1_900_000_000_000) {
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

    fn log_in(&mut self, url: &str, redirect_uri: &str) -> Option<Callback> {
        let mut person = Person::new(url, redirect_uri);
        let mut event = PersonEvent::Start;
        loop {
            let turn = person.step(event);
            self.show.all(&turn.said);
            match turn.action {
                PersonAction::Send(request) => event = PersonEvent::Answered(self.serve(&request)),
                PersonAction::Arrived(url) => return Some(Callback::url(url)),
                PersonAction::Stuck(_) => return None,
            }
        }
    }

    /// Gives the session one input and does what it wants until the waiter is settled.
    fn settle(&mut self, input: Input) -> Event {
        let mut inbox = VecDeque::from([input]);
        let mut settled = None;
        while let Some(input) = inbox.pop_front() {
            let env = self.env();
            let effects = self.session.handle(input, env).unwrap();
            for told in effects.told {
                self.show.told(&told);
                match told {
                    Told::Settle(settlement) => settled = Some(settlement),
                    Told::Open(visit) => {
                        let callback = self.log_in(visit.url(), &visit.redirect_uri);
                        inbox.extend(
                            callback.map(|callback| Input::Callback {
                                arrival: ArrivalId(1),
                                callback,
                            }),
                        );
                    }
                    _ => {}
                }
            }
            for work in effects.work {
                match work {
                    Work::Call(call) => {
                        let (request, _, ticket) = call.split();
                        inbox.push_back(ticket.answer(Reply::Answered(self.serve(&request))));
                    }
                    Work::Listen(listen) => {
                        inbox.push_back(listen.split().1.answer(Bound::Port(5000)))
                    }
                    Work::Store(_) | Work::Sign(_) => {
                        panic!("neither a store nor a key is configured")
                    }
                }
            }
        }
        Event::Settled(settled.unwrap_or_else(|| Settlement {
            waiter: WaiterId(0),
            outcome: Err(Arc::new(Failure::new(mcp_authz_core::Kind::CallbackTimeout, "AUTHZ-11"))),
            unsaved: false,
            had: Had::default(),
        }))
    }

    fn run(&mut self) -> Outcome {
        let mut job = Job::new(&self.options, URL);
        let mut turn = job.step(Event::Start);
        loop {
            self.show.all(&turn.said);
            let waiter = WaiterId(self.steps);
            let event = match turn.action {
                Action::Do(Errand::Send { request, .. }) => Event::Answered(self.serve(&request)),
                Action::Do(Errand::Acquire { scopes, may_ask }) => {
                    self.settle(Input::Acquire(input::Acquire { waiter, scopes, may_ask }))
                }
                Action::Do(Errand::Challenge(refusal)) => {
                    self.settle(Input::Challenge(Challenge { waiter, refusal }))
                }
                Action::Call(_) => panic!("no calls were asked for"),
                Action::Finish(outcome) => return outcome,
            };
            turn = job.step(event);
        }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

#[test]
fn the_demonstration_works_at_every_revision_however_the_client_is_known() {
    for revision in [None].into_iter().chain(REVISIONS.map(Some)) {
        for (more, secret) in [
            (&[][..], None),
            (&["--registration", "off"], None),
            (&["--registration", "off", "--client-id", "mine"], Some("S3CRET")),
        ] {
            let mut line = vec!["--json"];
            line.extend(revision.iter().flat_map(|revision| ["--revision", *revision]));
            line.extend(more);
            let mut example = Example::new(&line, secret);
            let outcome = example.run();
            let lines = example.lines();
            let Outcome::Authorized(summary) = outcome else {
                panic!("{line:?}\n{}", lines.join("\n"))
            };
            assert_eq!(summary.called, ["whoami", "test-tool", "admin"]);
            assert!(summary.refreshed, "{line:?}");
            assert_eq!(
                summary.stepped_up,
                revision.is_none_or(|revision| revision >= "2025-11-25"),
                "{line:?}"
            );
            let last: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
            let logins = 1 + u64::from(summary.stepped_up);
            for (name, count) in [
                ("calls", 0),
                ("failures", 0),
                ("token_requests", logins + 1),
                ("logins", logins),
                ("refreshes", 1),
                ("adopted", 0),
            ] {
                assert_eq!(last[name], count, "{name}: {line:?}");
            }
            let added = if summary.stepped_up { &["mcp:admin"][..] } else { &[] };
            assert_eq!(summary.added, added, "{line:?}");
            for line in &lines {
                assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
                for secret in ["S3CRET", "code-", "at-", "rt-", "state="] {
                    assert!(!line.contains(secret), "{line}");
                }
            }
        }
    }
}

#[test]
fn equal_runs_show_equal_lines() {
    let run = || {
        let mut example = Example::new(&["--json"], None);
        let _ = example.run();
        example.lines()
    };
    assert_eq!(run(), run());
}

#[test]
fn people_see_a_few_aligned_lines() {
    let mut example = Example::new(&[], None);
    assert_eq!(example.run().exit_status(), 0);
    let lines = example.lines();
    for says in
        ["  log in at http://127.0.0.1:4001", "       token host   127.0.0.1", "  done: authorized"]
    {
        assert!(lines.iter().any(|line| line.starts_with(says)), "{says}\n{}", lines.join("\n"));
    }
    assert!(lines.iter().all(|line| line.len() < 160));
}

#[test]
fn a_person_who_declines_ends_it_with_words_for_what_to_do() {
    let mut example = Example::new(&["--json"], None);
    example.model.set(|settings| settings.server.consent = Consent::Deny);
    assert_eq!(example.run().exit_status(), 1);
    let last = example.lines().pop().unwrap();
    assert!(last.starts_with(
        "{\"outcome\":\"failed\",\"code\":\"authorization_denied\",\"remedy\":\"ask_user\""
    ));
}

#[test]
fn every_runtime_may_move_the_parts_between_threads() {
    fn moves<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    moves::<Job>();
    moves::<Person>();
    moves::<Turn<Action>>();
    moves::<Turn<PersonAction>>();
    shared::<Show>();
    shared::<Options>();
}

#[test]
fn the_embedded_server_stands_behind_real_sockets() {
    let embedded = Example::new(&["--revision", "2025-06-18"], None).options;
    let served = embedded.serve().unwrap().unwrap();
    assert!(embedded.config(served.mcp_url()).is_ok());
    assert_eq!(served.lock().settings().server.consent, Consent::Form);
}
