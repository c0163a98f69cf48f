//! What arrives at the redirect URI: the one good answer among anything a web page may send.

use core::time::Duration;

use http::Method;
use mcp_authz_core::config::Profile;
use mcp_authz_core::effect::{Page, Parties};
use mcp_authz_core::failure::{Kind, Remedy};
use mcp_authz_core::input::Callback;
use mcp_authz_tests::model::{Endpoint, Settings, StateEcho};
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::by_hand::*;

scripts! {
    what_belongs_to_no_login_changes_nothing_iss_04_iss_05_host_175_to_host_177(sim = plain()) {
        let waiter = asked(sim);
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        for query in [
            "code=x&state=wrong".to_owned(),
            "code=x".to_owned(),
            "code=x&state=".to_owned(),
            format!("code=x&state={state}&state={state}"),
            "error=access_denied".to_owned(),
            "error=access_denied&state=wrong".to_owned(),
            String::new(),
            "code=x&state=%ff".to_owned(),
        ] {
            let arrival = sim.arrive(&format!("{redirect}?{query}"));
            sim.expect_page(arrival, Page::Refused(Kind::StateMismatch));
            sim.expect_waiting(waiter);
            sim.expect_no_call();
        }
        sim.expect_note("callback refused: state_mismatch [ISS-04]");
        sim.arrive(&format!("{redirect}?code=CODE-CANARY&state={state}"));
        sim.expect_call(Method::POST, TOKEN).reply_json(200, &tokens());
        sim.expect_granted(waiter);
    }

    an_answer_that_breaks_a_rule_does_not_use_the_login_up_iss_02_iss_18_host_180_to_host_182(
        sim = plain()
    ) {
        let waiter = asked(sim);
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        let long = "a".repeat(5000);
        for (query, kind) in [
            ("code=a&code=b", Kind::CallbackDuplicateParam),
            ("code=a&iss=x&iss=y", Kind::CallbackDuplicateParam),
            ("code=a&error=access_denied", Kind::CallbackMalformed),
            ("foo=bar", Kind::CallbackMalformed),
            ("code=", Kind::CallbackMalformed),
            ("code=%0d%0aX", Kind::CallbackMalformed),
            ("code=%c3%a9", Kind::CallbackMalformed),
            ("code=%ff", Kind::CallbackMalformed),
            (&format!("code={long}"), Kind::CallbackMalformed),
        ] {
            let arrival = sim.arrive(&format!("{redirect}?state={state}&{query}"));
            sim.expect_page(arrival, Page::Refused(kind));
            sim.expect_waiting(waiter);
            sim.expect_no_call();
        }
        sim.arrive(&format!("{redirect}?code=CODE-CANARY&state={state}"));
        sim.expect_call(Method::POST, TOKEN).reply_json(200, &tokens());
        sim.expect_granted(waiter);
    }

    the_query_alone_will_do_and_is_decoded_once_iss_01(sim = plain()) {
        let waiter = asked(sim);
        let (_, state) = sim.expect_visit().ours();
        sim.arrive(&format!("?state={state}&code=a%2Bb+c%2525&unknown=1"));
        let call = sim.expect_call(Method::POST, TOKEN);
        assert_eq!(call.form("code"), ["a+b c%25"]);
        call.reply_json(200, &tokens());
        sim.expect_granted(waiter);
    }

    the_same_answer_twice_is_used_once_iss_05_host_183_tok_04(sim = plain()) {
        let waiter = asked(sim);
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        let url = format!("{redirect}?code=CODE-CANARY&state={state}");
        let good = sim.arrive(&url);
        let again = sim.arrive(&url);
        sim.expect_page(again, Page::Refused(Kind::CallbackUsed));
        sim.expect_call(Method::POST, TOKEN).reply_json(200, &tokens());
        sim.expect_granted(waiter);
        sim.expect_page(good, Page::Authorized(sim.parties()));
        let late = sim.arrive(&url);
        sim.expect_page(late, Page::Refused(Kind::CallbackUsed));
        sim.expect_no_call();
        assert_eq!(sim.count("/token"), 1);
    }

    of_two_codes_the_first_is_sent_host_184(sim = plain()) {
        let waiter = asked(sim);
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        sim.arrive(&format!("{redirect}?code=first&state={state}"));
        let second = sim.arrive(&format!("{redirect}?code=second&state={state}"));
        sim.expect_page(second, Page::Refused(Kind::CallbackUsed));
        let call = sim.expect_call(Method::POST, TOKEN);
        assert_eq!(call.form("code"), ["first"]);
        call.reply_json(200, &tokens());
        sim.expect_granted(waiter);
        sim.expect_no_call();
    }

    an_attackers_code_with_a_leaked_state_brings_nothing_host_199_sec_14(
        sim = Sim::against(Settings::revision("2025-11-25"), |config| config.persistent(true))
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        sim.expect_visit().arrive_with_code("");
        sim.serve();
        sim.expect_failed(waiter, "grant_rejected");
        assert_eq!(sim.model().count(Endpoint::Token), 1);
        assert!(sim.store().documents(mcp_authz_core::effect::RecordKind::Grant).is_empty());
    }

    an_answer_to_the_login_before_is_not_given_to_this_one_host_200(sim = plain()) {
        let first = asked(sim);
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        sim.cancel(first);
        let second = sim.acquire("");
        discovered(sim);
        let arrival = sim.arrive(&format!("{redirect}?code=CODE-CANARY&state={state}"));
        sim.expect_page(arrival, Page::Refused(Kind::StateMismatch));
        sim.expect_waiting(second);
        sim.expect_no_call();
    }

    states_that_begin_alike_are_refused_host_201(sim = plain()) {
        let waiter = asked(sim);
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        for length in 0..state.len() {
            let part = &state[..length];
            sim.arrive(&format!("{redirect}?code=x&state={part}"));
            sim.arrive(&format!("{redirect}?code=x&state={state}{part}x"));
        }
        sim.expect_waiting(waiter);
        sim.expect_no_call();
    }

    ten_thousand_wrong_answers_leave_the_login_alive_host_193(sim = plain()) {
        let waiter = asked(sim);
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        let many = if sim.restarting() { 100 } else { 10_000 };
        for n in 0..many {
            sim.arrive(&format!("{redirect}?code=x&state={n}"));
        }
        sim.arrive(&format!("{redirect}?code=CODE-CANARY&state={state}"));
        sim.expect_call(Method::POST, TOKEN).reply_json(200, &tokens());
        sim.expect_granted(waiter);
    }

    nothing_waits_and_something_arrives_iss_04_host_194(sim = plain()) {
        let arrival = sim.arrive("http://127.0.0.1:51000/callback?code=x&state=y");
        sim.expect_page(arrival, Page::Refused(Kind::StateMismatch));
        sim.expect_no_call();
    }

    a_server_that_loses_the_state_is_not_believed_iss_04_sec_14(
        sim = {
            let mut settings = Settings::revision("2026-07-28");
            settings.server.callback.state = StateEcho::Absent;
            Sim::against(settings, |config| config)
        }
    ) {
        for echo in [StateEcho::Absent, StateEcho::Wrong("x".to_owned())] {
            sim.model().set(|settings| settings.server.callback.state = echo);
            let waiter = sim.acquire("");
            sim.serve();
            let arrival = sim.expect_visit().approve();
            sim.expect_page(arrival, Page::Refused(Kind::StateMismatch));
            sim.expect_waiting(waiter);
            sim.cancel(waiter);
        }
        assert_eq!(sim.model().count(Endpoint::Token), 0);
    }

    /// Its hosts are those of the MCP URL and of the issuer, as ASCII, whatever the answer named.
    the_page_says_between_whom_a_login_was_nat_10(
        sim = {
            let mut settings = Settings::revision("2026-07-28");
            let (mcp, login) = ("https://xn--bcher-kva.example/mcp", "https://login.example/tenant");
            settings = settings.at(mcp, login, "https://as2.example");
            Sim::against(settings, |config| config.client_name("Mail <b>"))
        }
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        let arrival = sim.expect_visit().approve();
        sim.serve();
        sim.expect_granted(waiter);
        let parties = Parties {
            program: "Mail <b>".to_owned(),
            resource: "xn--bcher-kva.example".to_owned(),
            issuer: "login.example".to_owned(),
        };
        sim.expect_page(arrival, Page::Authorized(parties));
    }

    the_page_of_a_failure_says_what_to_do_nat_10(sim = plain()) {
        let waiter = asked(sim);
        let arrival = sim.expect_visit().arrive_with_code("");
        let busy: &[(&str, &str)] = &[("retry-after", "7")];
        sim.expect_call(Method::POST, TOKEN).respond(503, busy, b"");
        let failure = sim.expect_failed(waiter, "transient");
        let (parties, remedy) = (sim.parties(), failure.remedy());
        assert_eq!(remedy, Remedy::Retry { after: Some(Duration::from_secs(7)) });
        sim.expect_page(arrival, Page::Failed { parties, kind: Kind::Transient, remedy });
    }

    an_unknown_error_is_shown_escaped_and_cut_iss_16_host_179(sim = plain()) {
        let waiter = asked(sim);
        let arrival = sim.expect_visit().arrive_with(
            "error=%1b%5b31mx%0aINFO%20ok&error_description=%1b%5b31m%0aINFO%20granted",
        );
        // The person did not say no, so the page does not say that they did.
        let (parties, kind) = (sim.parties(), Kind::AuthorizationDenied);
        sim.expect_page(arrival, Page::Failed { parties, kind, remedy: Remedy::AskUser });
        let failure = sim.expect_failed(waiter, "authorization_denied");
        let said = failure.said().expect("the server gave a reason");
        assert_eq!(said.error, "other");
        assert!(failure.to_string().bytes().all(|byte| matches!(byte, b' '..=b'~')));
    }

    strict_takes_no_bare_code_d11(
        sim = Sim::by_hand(|config| config.profile(Profile::Strict))
    ) {
        let waiter = asked(sim);
        let arrival = sim.arrive_as(Callback::from("CODE-CANARY"));
        sim.expect_page(arrival, Page::Refused(Kind::CallbackMalformed));
        sim.expect_waiting(waiter);
        sim.expect_no_call();
    }

    a_refused_code_is_neither_kept_nor_sent_again_tok_04_tok_15_pkce_07(sim = plain()) {
        let waiter = asked(sim);
        sim.expect_visit().arrive_with_code("");
        sim.expect_call(Method::POST, TOKEN).reply_json(400, &json!({ "error": "invalid_grant" }));
        sim.expect_failed(waiter, "grant_rejected");
        sim.expect_no_call();
        sim.expect_no_visit();
    }
}
