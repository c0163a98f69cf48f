//! What the example clients ask of an MCP server, and how they end, on each runtime.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::Method;
use mcp_authz_tests::model::{
    AnswerForm, Cut, Endpoint, Era, Literal, LostBody, LostSession, Model, Seen, Settings,
};
use mcp_authz_tests::serve::{Door, OnRequest, Served, embedded};
use serde_json::{Value, json};

use crate::runtimes::{RUNTIMES, Ran, options};

/// A server of which this happens right after its answer to a `tools/list`, which is the how many-eth.
fn meddled(
    adjust: impl FnOnce(&mut Settings),
    meddle: impl Fn(&mut Model, &Seen, usize) + Send + Sync + 'static,
) -> Served {
    let [mcp, first, second] = [0; 3].map(|port| Door::open(port).unwrap());
    let mcp_url = format!("{}/mcp", mcp.origin());
    let mut settings = Settings::default().at(&mcp_url, first.origin(), second.origin());
    adjust(&mut settings);
    let model = Arc::new(Mutex::new(Model::new(settings)));
    let (lists, meddled) = (AtomicUsize::new(0), Arc::clone(&model));
    let told: OnRequest = Arc::new(move |seen| {
        if seen.endpoint == Endpoint::Mcp && seen.rpc() == Some("tools/list") {
            let number = lists.fetch_add(1, Ordering::SeqCst) + 1;
            meddle(&mut meddled.lock().unwrap(), seen, number);
        }
    });
    Served::start_told(model, vec![mcp, first, second], Some(told))
}

fn last(ran: &Ran) -> Value {
    serde_json::from_str(ran.lines.last().unwrap()).unwrap()
}

/// How often a method was answered well.
fn answered(served: &Served, method: &str) -> usize {
    let model = served.lock();
    model
        .seen_at(Endpoint::Mcp)
        .filter(|seen| seen.status == 200 && seen.rpc() == Some(method))
        .count()
}

#[test]
fn a_server_that_asks_for_no_token_gets_none() {
    for (era, first) in [(Era::Modern, "server/discover"), (Era::Legacy, "initialize")] {
        for (runtime, run) in RUNTIMES {
            let served = embedded(|at| {
                at.gate.open = true;
                at.mcp.era = era;
            })
            .unwrap();
            let ran = run(&options(&["--json", "--no-login", served.mcp_url()]), &served);
            let end = last(&ran);
            assert_eq!((&end["outcome"], ran.outcome.exit_status()), (&json!("open"), 0), "{end}");
            assert!(end["tools"].as_array().unwrap().contains(&json!("whoami")), "{end}");
            assert_eq!(answered(&served, first), 1, "{runtime}");
            assert!(served.lock().seen().iter().all(|seen| !seen.authorized()), "{runtime}");
        }
    }
}

#[test]
fn a_lost_session_is_begun_anew_among_many_calls_trans_19_trans_90() {
    for words in [
        LostSession::new(404, LostBody::Empty),
        LostSession::new(400, LostBody::Text("No valid session ID provided")),
        LostSession::new(410, LostBody::Empty),
        LostSession::new(400, LostBody::Rpc(-32001)),
    ] {
        for (runtime, run) in RUNTIMES {
            let legacy = move |at: &mut Settings| {
                at.mcp.era = Era::Legacy;
                at.mcp.lost = words;
            };
            let served = meddled(legacy, |model, _, number| {
                if number == 10 {
                    model.forget_sessions();
                }
            });
            let calls = ["--json", "--headless", "--calls", "30", "--parallel", "5"];
            let ran = run(&options(&[&calls[..], &[served.mcp_url()]].concat()), &served);
            let end = last(&ran);
            assert_eq!(end["outcome"], "authorized", "{runtime} {words:?}: {:#?}", ran.lines);
            assert_eq!((&end["calls"], &end["failures"]), (&json!(30), &json!(0)), "{end}");
            assert_eq!((&end["logins"], &end["token_requests"]), (&json!(1), &json!(1)), "{end}");
            assert_eq!(answered(&served, "initialize"), 2, "{runtime} {words:?}");
            // The first page and each call; what a lost session has swallowed is sent once more.
            assert_eq!(answered(&served, "tools/list"), 31, "{runtime} {words:?}");
        }
    }
}

#[test]
fn the_first_call_that_fails_ends_it_and_no_token_is_quoted_trans_21() {
    for (runtime, run) in RUNTIMES {
        let served = meddled(
            |at| at.mcp.era = Era::Legacy,
            |model, seen, number| {
                if number == 4 {
                    let token = seen.headers["authorization"].to_str().unwrap();
                    let error =
                        json!({"error": {"code": -1, "message": format!("you said {token}")}});
                    model.inject(Endpoint::Mcp, 1, Literal::json(418, &error.to_string()));
                }
            },
        );
        let calls = ["--json", "--headless", "--calls", "9", served.mcp_url()];
        let ran = run(&options(&calls), &served);
        let end = last(&ran);
        assert_eq!((&end["code"], ran.outcome.exit_status()), (&json!("mcp_error"), 1), "{end}");
        // Of the first four one was the first page, one was refused for want of a token.
        assert_eq!((&end["calls"], &end["failures"]), (&json!(4), &json!(1)), "{runtime}: {end}");
        assert_eq!(end["message"], "(repeats the access token: not shown)", "{runtime}");
        let model = served.lock();
        let last = model.seen_at(Endpoint::Mcp).last().unwrap();
        assert_eq!(last.method, Method::DELETE, "{runtime}: the session is ended all the same");
    }
}

#[test]
fn a_list_whose_stream_breaks_is_asked_for_again_trans_17() {
    for (runtime, run) in RUNTIMES {
        let open = |at: &mut Settings| {
            at.gate.open = true;
            at.mcp.era = Era::Modern;
            at.mcp.answers = AnswerForm::EventStream;
        };
        let served = meddled(open, |model, _, number| {
            if number == 2 {
                model.set(|at| {
                    at.mcp.cut = Cut::InsideEvent;
                    at.mcp.cuts = 1;
                });
            }
        });
        let line = ["--json", "--no-login", "--calls", "3", served.mcp_url()];
        let ran = run(&options(&line), &served);
        let end = last(&ran);
        assert_eq!((&end["calls"], &end["failures"]), (&json!(3), &json!(0)), "{runtime}: {end}");
        assert_eq!(answered(&served, "tools/list"), 5, "{runtime}: one of them in vain");
    }
}
