//! Refreshing when the network, the server or a clock fails: nothing is lost and nobody is asked.

use core::time::Duration;

use http::Method;
use mcp_authz_core::effect::{RecordKind, Why};
use mcp_authz_core::failure::{Outcome, Remedy};
use mcp_authz_core::time::Awaited;
use serde_json::json;

use crate::given::{
    REGISTER, at, bearer, by_hand, discover, error, kept, logged_in, pause_until, refresh, tokens,
};

scripts! {
    /// Three attempts with growing pauses, then the truth: nobody is asked, nothing is lost.
    a_server_that_is_down_opens_no_page_and_keeps_the_token_ref_09_host_226(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        refresh(sim, 1).reply(503);
        if !sim.restarting() {
            sim.expect_no_call();
            assert_eq!(sim.waits_for(), Some(Awaited::Backoff));
            sim.at(61);
            refresh(sim, 1).reply(502);
            sim.at(64).expect_no_call();
            sim.at(65);
        }
        // With restarts one attempt was lost already.
        refresh(sim, 1).reply(500);
        let failure = sim.expect_failed(caller, "transient");
        assert!(failure.remedy().retryable());
        sim.expect_no_visit();
        sim.expect_no_call();
        let next = sim.at(90).acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(next);
    }

    a_wish_for_a_long_pause_is_handed_on_ref_09_tok_15(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        refresh(sim, 1).respond(429, &[("retry-after", "90")], b"");
        let failure = sim.expect_failed(caller, "transient");
        assert_eq!(failure.remedy(), Remedy::Retry { after: Some(Duration::from_secs(90)) });
        sim.expect_no_visit();
    }

    a_short_wish_is_granted_within_the_flow_tok_15(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        refresh(sim, 1).respond(429, &[("retry-after", "12")], b"");
        if !sim.restarting() {
            sim.at(71).expect_no_call();
        }
        pause_until(sim, 72);
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(caller);
    }

    names_that_do_not_resolve_are_tried_three_times_ref_09_host_226(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        if !sim.restarting() {
            refresh(sim, 1).not_sent(Why::Resolve);
            sim.at(61);
        }
        refresh(sim, 1).not_sent(Why::Connect);
        pause_until(sim, 66);
        refresh(sim, 1).not_sent(Why::Connect);
        sim.expect_failed(caller, "transient");
        sim.expect_no_visit();
    }

    what_no_pause_mends_is_not_retried_ref_09_host_226(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        for (at, why, code) in [
            (60, Why::Tls, "tls"),
            (71, Why::PlainHttp, "tls"),
            (82, Why::Proxy, "proxy_refused"),
            (93, Why::Exhausted, "machine_exhausted"),
        ] {
            let caller = sim.at(at).acquire("");
            refresh(sim, 1).not_sent(why);
            let failure = sim.expect_failed(caller, code);
            assert_eq!((failure.cause(), failure.remedy()), (Some(why), why.remedy()));
            let seen: Vec<_> = failure.evidence().iter().map(|seen| seen.outcome).collect();
            assert_eq!(seen, [Outcome::Lost(why)]);
            sim.expect_no_visit();
        }
        let next = sim.at(104).acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(next);
    }

    a_registration_without_an_answer_says_why_reg_17(sim = by_hand()) {
        for why in [Why::Resolve, Why::Tls, Why::PlainHttp, Why::Proxy, Why::Exhausted] {
            let waiter = sim.acquire("");
            discover(sim);
            sim.expect_call(Method::POST, REGISTER).not_sent(why);
            let failure = sim.expect_failed(waiter, why.kind().code());
            assert_eq!((failure.cause(), failure.remedy()), (Some(why), why.remedy()));
            let seen = failure.evidence().last().map(|seen| seen.outcome);
            assert_eq!(seen, Some(Outcome::Lost(why)));
            sim.expect_no_visit();
        }
    }

    html_with_200_is_an_unknown_outcome_host_226(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        refresh(sim, 1).respond(200, &[("content-type", "text/html")], b"<html>");
        sim.expect_failed(caller, "outcome_unknown");
        sim.expect_no_visit();
        let next = sim.at(71).acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(next);
    }

    /// The answer may have been a rotation: tried once more, and then a refusal proves nothing.
    an_unknown_outcome_is_tried_once_more_host_227(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire_quietly("");
        // A restart is an unknown outcome too.
        if !sim.restarting() {
            refresh(sim, 1).maybe_sent(Why::Broken);
            sim.at(61);
        }
        sim.expect_no_visit();
        refresh(sim, 1).reply_json(400, &error("invalid_grant"));
        let failure = sim.expect_failed(caller, "reauthorization_required");
        assert_eq!(failure.remedy(), Remedy::AskUser);
        sim.expect_note("the refresh token was refused");
        sim.at(80).acquire_quietly("");
        sim.expect_no_call();
    }

    two_unknown_outcomes_are_the_end_of_the_flow_host_227(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        if !sim.restarting() {
            refresh(sim, 1).maybe_sent(Why::Broken);
            sim.at(61);
        }
        refresh(sim, 1).maybe_sent(Why::Broken);
        let failure = sim.expect_failed(caller, "outcome_unknown");
        assert!(failure.remedy().retryable());
        sim.expect_no_visit();
    }

    /// The answer came after our own deadline, and is still the only one there will ever be.
    a_late_answer_to_a_refresh_is_read_and_saved_host_241(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        let (_, ticket) = refresh(sim, 1).hold();
        if sim.restarting() {
            return;
        }
        sim.at(90);
        assert_eq!(sim.waits_for(), Some(Awaited::Backoff));
        sim.reply_late(ticket, 200, &tokens(2, 60));
        assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-2");
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["refresh_token"], "RT-CANARY-2");
        sim.at(100).expect_no_call();
    }

    a_late_refusal_goes_on_with_the_attempts_host_241(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        let (_, ticket) = refresh(sim, 1).hold();
        if sim.restarting() {
            return;
        }
        sim.at(90).reply_late(ticket, 503, &json!({}));
        sim.expect_waiting(caller);
        sim.at(91);
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(caller);
    }

    /// After the flow has ended too: what came is stored before it is published.
    an_answer_later_than_the_flow_is_read_and_saved_host_241_ref_04(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        let (_, first) = refresh(sim, 1).hold();
        if sim.restarting() {
            return;
        }
        sim.at(91);
        let (_, second) = refresh(sim, 1).hold();
        sim.at(122);
        let failure = sim.expect_failed(caller, "timeout");
        assert!(failure.remedy().retryable());
        sim.store().silence(true);
        sim.at(124).reply_late(first, 200, &tokens(2, 60));
        assert_eq!(bearer(sim), at(1), "nobody hears of it before it is stored");
        sim.store().silence(false);
        sim.at(160);
        assert_eq!(bearer(sim), at(2), "the store did not answer: from memory");
        let next = sim.acquire("");
        sim.expect_granted(next);
        assert!(sim.unsaved(next));
        // The second attempt's answer is about a token that was replaced meanwhile.
        sim.at(165).reply_late(second, 200, &tokens(9, 60));
        assert_eq!(bearer(sim), at(2));
        // The store is asked again, as long as the process lives (HOST-229).
        sim.at(190);
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["refresh_token"], "RT-CANARY-2");
    }

    /// The clocks: whichever says first, and neither is believed alone.
    a_clock_ten_years_ahead_costs_one_refresh_host_313(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        sim.at(10).shift_wall_clock(315_360_000);
        let caller = sim.acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(caller);
        let next = sim.at(30).acquire("");
        sim.expect_granted(next);
        sim.expect_no_call();
    }

    a_clock_a_day_behind_lengthens_no_life_host_314_host_243(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        sim.at(10).shift_wall_clock(-86_400);
        let live = sim.at(3000).acquire("");
        sim.expect_granted(live);
        sim.expect_no_call();
        let over = sim.at(3600).acquire("");
        refresh(sim, 1).reply(503);
        sim.shift_wall_clock(-4 * 3600);
        // Pauses run on the other clock.
        pause_until(sim, 3601);
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(over);
    }

    a_broken_clock_judges_nothing_host_312(sim = by_hand()) {
        sim.shift_wall_clock(-1_800_000_000);
        logged_in(sim, &tokens(1, 60));
        let live = sim.at(30).acquire("");
        sim.expect_granted(live);
        let over = sim.at(60).acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(over);
        sim.shift_wall_clock(i64::MAX / 2);
        let next = sim.at(70).acquire("");
        sim.expect_granted(next);
        sim.expect_no_call();
    }
}
