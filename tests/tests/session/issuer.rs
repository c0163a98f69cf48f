//! Whose answer a callback is: the issuer check stands before everything else (ISS, mix-up).

use http::Method;
use mcp_authz_core::effect::Page;
use mcp_authz_core::failure::{Kind, Remedy};
use mcp_authz_core::input::{ArrivalId, Callback};
use mcp_authz_tests::model::{Endpoint, IssMode, Settings};
use mcp_authz_tests::sim::Sim;
use serde_json::{Value, json};

use crate::by_hand::*;

/// A server that answers so.
fn answers(iss: IssMode) -> Sim {
    let mut settings = Settings::revision("2026-07-28");
    settings.server.callback.iss = iss;
    Sim::against(settings, |config| config)
}

/// The metadata of a server that promises `iss`.
fn promising() -> Value {
    with(server(), json!({ "authorization_response_iss_parameter_supported": true }))
}

/// The person agrees, and the answer is refused; the login goes on waiting, and if nothing better
/// comes, ends with what came.
fn is_refused(sim: &mut Sim, kind: Kind, received: &str) {
    let waiter = sim.acquire("");
    sim.serve();
    let visit = sim.expect_visit();
    let (_, state) = visit.ours();
    let arrival = visit.approve();
    is_untrusted(sim, arrival, kind);
    let note = format!("callback refused: {}", kind.code());
    sim.expect_note(&note);
    sim.expect_note("may be cancelled");
    sim.expect_waiting(waiter);
    sim.serve();
    assert_eq!(sim.model().count(Endpoint::Token), 0);
    sim.at(301);
    let failure = sim.expect_failed(waiter, kind.code());
    let named = format!("expected https://as.example, received {received}");
    assert_eq!(failure.subject(), Some(named.as_str()));
    assert_eq!(failure.remedy(), Remedy::Report);
    assert!(!failure.to_string().contains(&state));
    assert!(!sim.listens());
}

/// The browser is told that what it brought is not believed, and no more than that.
#[track_caller]
fn is_untrusted(sim: &Sim, arrival: ArrivalId, kind: Kind) {
    match sim.page(arrival) {
        None => {}
        Some(Page::Untrusted { parties, failure }) => {
            assert_eq!((parties, failure.kind()), (sim.parties(), kind));
        }
        other => panic!("{other:?}"),
    }
}

scripts! {
    promised_and_right_iss_07(sim = answers(IssMode::Sent)) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
    }

    neither_promised_nor_sent_iss_10_host_145(sim = answers(IssMode::Absent)) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
    }

    sent_without_a_promise_iss_09(sim = answers(IssMode::SentUnadvertised)) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
    }

    promised_and_not_sent_iss_08_iss_90_host_141(sim = answers(IssMode::Missing)) {
        is_refused(sim, Kind::IssMissing, "none");
    }

    promised_and_wrong_iss_07_iss_13_iss_90(sim = answers(IssMode::Wrong("https://evil.example".into()))) {
        is_refused(sim, Kind::IssMismatch, "https://evil.example");
    }

    wrong_without_a_promise_iss_09_iss_90_host_142(
        sim = answers(IssMode::Unexpected("https://evil.example".into()))
    ) {
        is_refused(sim, Kind::IssMismatch, "https://evil.example");
    }

    a_slash_more_is_another_issuer_iss_11_iss_90_host_143(sim = answers(IssMode::Slashed)) {
        is_refused(sim, Kind::IssMismatch, "https://as.example/");
    }

    nothing_is_normalized_before_the_comparison_iss_11_iss_14_host_143(sim = plain()) {
        let waiter = sim.acquire("");
        discovered_as(sim, &promising());
        registered(sim);
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        for iss in [
            "https://as.example:443", "https://AS.example", "HTTPS://as.example",
            "https://as.example/", "https://as.exampl%65", "https%3A%2F%2Fas.example",
        ] {
            // Encoded once for the query, so that it arrives as it stands here.
            let iss: String = url::form_urlencoded::byte_serialize(iss.as_bytes()).collect();
            sim.arrive(&format!("{redirect}?code=CODE-CANARY&state={state}&iss={iss}"));
            sim.expect_no_call();
            sim.expect_waiting(waiter);
        }
        sim.arrive(&format!("{redirect}?code=c&state={state}&iss=https%3A%2F%2Fas.example"));
        sim.expect_call(Method::POST, TOKEN).reply_json(200, &tokens());
        sim.expect_granted(waiter);
    }

    a_mixed_up_answer_leaves_the_login_waiting_for_the_true_one_iss_05_host_140(sim = plain()) {
        let waiter = sim.acquire("");
        discovered_as(sim, &promising());
        registered(sim);
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        let arrival = visit.arrive_with_code("&iss=https%3A%2F%2Fevil.example");
        is_untrusted(sim, arrival, Kind::IssMismatch);
        sim.expect_no_call();
        sim.arrive(&format!("{redirect}?code=c&state={state}&iss=https%3A%2F%2Fas.example"));
        sim.expect_call(Method::POST, TOKEN).reply_json(200, &tokens());
        sim.expect_granted(waiter);
    }

    /// What comes last is what is told of, escaped, and without what only this login knows.
    an_untrusted_answer_is_forgotten_over_a_better_one_iss_90(sim = plain()) {
        let waiter = sim.acquire("");
        discovered_as(sim, &promising());
        registered(sim);
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        let query = format!("{redirect}?code=CODE-CANARY&state={state}");
        sim.arrive(&query);
        sim.arrive(&format!("{query}&iss=%1b%5b31m%0a{state}/CODE-CANARY"));
        sim.at(200);
        sim.arrive(&format!("{query}x&iss=https%3A%2F%2Fas.example"));
        sim.expect_waiting(waiter);
        sim.at(301);
        let failure = sim.expect_failed(waiter, "iss_mismatch");
        let shown = failure.to_string();
        let named = r"received \u{1b}[31m\n[redacted]/[redacted]";
        assert!(shown.contains(named), "{shown}");
        let again = sim.acquire("");
        discovered_as(sim, &promising());
        sim.expect_visit();
        sim.at(602);
        sim.expect_failed(again, "callback_timeout");
    }

    a_login_is_cancelled_after_an_untrusted_answer_like_any_other_iss_90(sim = plain()) {
        let waiter = sim.acquire("");
        discovered_as(sim, &promising());
        registered(sim);
        sim.expect_visit().arrive_with_code("");
        sim.cancel(waiter);
        sim.expect_failed(waiter, "cancelled");
        assert!(!sim.listens());
    }

    the_error_of_another_issuer_is_neither_acted_on_nor_shown_iss_03_iss_12_host_144(sim = plain()) {
        let waiter = sim.acquire("");
        discovered_as(sim, &promising());
        registered(sim);
        let arrival = sim.expect_visit().arrive_with(
            "error=access_denied&error_description=go%20to%20evil.example&iss=https://evil.example",
        );
        is_untrusted(sim, arrival, Kind::IssMismatch);
        sim.expect_waiting(waiter);
        let told = sim.notes().iter().any(|note| note.to_string().contains("evil.example"));
        assert!(!told, "a note shows what a mixed-up server wrote");
    }

    the_code_goes_only_where_the_record_says_bind_08_iss_06_tok_03_host_139(
        sim = answers(IssMode::Sent)
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        sim.model().set(|settings| {
            settings.server.metadata.members =
                vec![("token_endpoint".to_owned(), json!("https://evil.example/token"))];
        });
        sim.expect_visit().approve();
        sim.serve();
        sim.expect_granted(waiter);
        untouched(sim, "evil.example");
    }

    two_logins_are_told_apart_by_state_authz_12_sec_15_host_140(sim = plain()) {
        let ours = asked(sim);
        let mut other = Sim::by_hand(|config| config.account("attacker"));
        // The other session draws other states from other bytes.
        other.at(1);
        asked(&mut other);
        let theirs = other.expect_visit();
        let (_, their_state) = theirs.ours();
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        assert_ne!(state, their_state);
        let arrival = sim.arrive(&format!("{redirect}?code=CODE-CANARY&state={their_state}"));
        sim.expect_page(arrival, Page::Refused(Kind::StateMismatch));
        sim.expect_no_call();
        sim.arrive(&format!("{redirect}?code=CODE-CANARY&state={state}"));
        sim.expect_call(Method::POST, TOKEN).reply_json(200, &tokens());
        sim.expect_granted(ours);
    }

    a_bare_code_is_taken_where_nothing_was_promised_d11_iss_15(sim = plain()) {
        let waiter = asked(sim);
        sim.arrive_as(Callback::from("CODE-CANARY"));
        sim.expect_call(Method::POST, TOKEN).reply_json(200, &tokens());
        sim.expect_granted(waiter);
    }

    a_bare_code_cannot_keep_a_promise_d11_iss_08(sim = plain()) {
        let waiter = sim.acquire("");
        discovered_as(sim, &promising());
        registered(sim);
        let arrival = sim.arrive_as(Callback::from("CODE-CANARY"));
        sim.expect_page(arrival, Page::Refused(Kind::IssMissing));
        sim.expect_no_call();
        sim.expect_waiting(waiter);
    }
}
