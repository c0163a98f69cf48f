//! More scope: a new authorization for the union, a few times, and never for nothing.

use mcp_authz_core::failure::Remedy;
use mcp_authz_tests::model::{Endpoint, Settings, StepUp, StepUpScope};
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::given::{
    approve, at, bearer, by_hand, discover, discover_with, error, exchange, logged_in, refresh,
    resource, server, tokens, up_to_exchange,
};

fn lacks(scopes: &str) -> String {
    format!(r#"Bearer error="insufficient_scope", scope="{scopes}""#)
}

/// The newest revision, with this change.
fn newest(change: impl FnOnce(&mut Settings)) -> Sim {
    let mut settings = Settings::revision("2026-07-28");
    change(&mut settings);
    Sim::against(settings, |config| config)
}

/// A first login at the model, by a tool that needs nothing special.
fn first(sim: &mut Sim) {
    let waiter = sim.call_tool("echo", false).expect_err("nothing is open");
    sim.log_in();
    sim.expect_granted(waiter);
}

/// A refusal of this operation for want of these scopes is stepped up and granted.
fn stepped_up(sim: &mut Sim, operation: &str, scopes: &str, number: u32) {
    let epoch = sim.published().map(|granted| granted.epoch());
    let waiter = sim.refused_with(epoch, 403, &lacks(scopes), operation, false, true);
    discover(sim);
    approve(sim).reply_json(200, &tokens(number, 3600));
    sim.expect_granted(waiter);
}

fn refused_at(sim: &mut Sim, operation: &str, scopes: &str) -> mcp_authz_core::input::WaiterId {
    let epoch = sim.published().map(|granted| granted.epoch());
    sim.refused_with(epoch, 403, &lacks(scopes), operation, false, true)
}

scripts! {
    /// As a client does it: a refusal, the person once more, the same request again.
    a_step_up_at_the_model_step_01_step_03_step_06_step_09(sim = newest(|_| {})) {
        first(sim);
        let waiter = sim.call_tool("admin", false).expect_err("it needs more scope");
        sim.serve();
        let visit = sim.expect_visit();
        assert_eq!(visit.param("scope").as_deref(), Some("mcp:tools mcp:admin"));
        visit.approve();
        sim.serve();
        sim.expect_granted(waiter);
        assert_eq!(sim.call_tool("admin", true), Ok(()));
        assert_eq!(sim.model().count(Endpoint::Register), 1);
    }

    a_step_up_at_2025_11_25_asks_for_the_union_too_step_04(
        sim = Sim::against(Settings::revision("2025-11-25"), |config| config)
    ) {
        // Over the older wire the refusal is handed in as the transport saw it.
        let waiter = sim.refused(401, r#"Bearer scope="mcp:tools""#);
        sim.log_in();
        sim.expect_granted(waiter);
        let waiter = sim.refused(403, &lacks("mcp:admin"));
        sim.serve();
        let visit = sim.expect_visit();
        assert_eq!(visit.param("scope").as_deref(), Some("mcp:tools mcp:admin"));
        visit.approve();
        sim.serve();
        sim.expect_granted(waiter);
    }

    /// What was asked for and what is needed now, in the order it became known; nothing is inferred.
    the_union_keeps_redundant_scopes_step_03_step_05_scope_01(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let waiter = sim.refused(403, &lacks("files:all files:read"));
        discover_with(sim, &resource(&["unrelated"]), &server());
        let visit = sim.expect_visit();
        assert_eq!(visit.param("scope").as_deref(), Some("files:read files:all"));
        visit.arrive_with_code("");
        let call = exchange(sim);
        // Not a refresh: that could not widen anything (REF-13).
        assert_eq!(call.form("grant_type"), ["authorization_code"]);
        call.reply_json(200, &tokens(2, 3600));
        sim.expect_granted(waiter);
    }

    the_old_token_stays_until_the_new_one_is_there_step_06(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let waiter = sim.refused(403, &lacks("files:write"));
        discover(sim);
        assert_eq!(bearer(sim), at(1));
        let other = sim.acquire("");
        assert_eq!(sim.expect_granted(other).authorization(), "Bearer AT-CANARY-1");
        let call = approve(sim);
        call.reply_json(400, &error("invalid_grant"));
        sim.expect_failed(waiter, "grant_rejected");
        assert_eq!(bearer(sim), at(1));
        // The earlier grant is whole (HOST-216).
        sim.at(3600).acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
    }

    one_step_up_for_a_hundred_refusals_host_252(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let callers: Vec<_> = (0..100).map(|_| sim.refused(403, &lacks("files:write"))).collect();
        discover(sim);
        approve(sim).reply_json(200, &tokens(2, 3600));
        for caller in callers {
            sim.expect_granted(caller);
        }
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    an_old_refusal_is_answered_with_what_a_step_up_brought_step_12(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let old = sim.published().map(|granted| granted.epoch());
        stepped_up(sim, "tools/call write", "files:write", 2);
        let late = sim.refused_with(old, 403, &lacks("files:write"), "tools/call write", false, true);
        assert_eq!(sim.expect_granted(late).authorization(), "Bearer AT-CANARY-2");
        sim.expect_no_call();
    }

    no_scope_named_means_what_the_resource_lists_step_07_host_248(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let waiter = sim.refused(403, r#"Bearer error="insufficient_scope""#);
        discover_with(sim, &resource(&["files:read", "files:write"]), &server());
        let visit = sim.expect_visit();
        assert_eq!(visit.param("scope").as_deref(), Some("files:read files:write"));
        visit.arrive_with_code("");
        exchange(sim).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(waiter);
    }

    no_scope_named_and_none_to_add_is_forbidden_step_07_host_248(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let waiter = sim.refused(403, r#"Bearer error="insufficient_scope""#);
        discover_with(sim, &resource(&["files:read"]), &server());
        sim.expect_failed(waiter, "forbidden");
        sim.expect_no_visit();
    }

    a_scope_that_is_held_is_not_asked_for_again_step_08_host_246(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let waiter = sim.refused(403, &lacks("files:read"));
        let failure = sim.expect_failed(waiter, "forbidden");
        assert_eq!(failure.remedy(), Remedy::Report);
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    a_step_up_that_did_not_help_is_not_repeated_step_08_host_250(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let epoch = sim.published().map(|granted| granted.epoch());
        let waiter = sim.refused_with(epoch, 403, &lacks("files:write"), "write", false, true);
        discover(sim);
        let mut lacking = tokens(2, 3600);
        lacking["scope"] = json!("files:read");
        approve(sim).reply_json(200, &lacking);
        sim.expect_note("new access token, without files:write");
        sim.expect_granted(waiter);
        let epoch = sim.published().map(|granted| granted.epoch());
        let again = sim.refused_with(epoch, 403, &lacks("files:write"), "write", true, true);
        sim.expect_failed(again, "step_up_ineffective");
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    /// A server that always wants one scope more.
    endless_wishes_end_after_two_for_one_operation_step_09_host_247(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        stepped_up(sim, "write", "s1", 2);
        stepped_up(sim, "write", "s2", 3);
        let third = refused_at(sim, "write", "s3");
        sim.expect_failed(third, "step_up_limit");
        sim.expect_no_call();
        // Another operation has one left; then the resource has had its three.
        stepped_up(sim, "delete", "s4", 4);
        let fourth = refused_at(sim, "rename", "s5");
        sim.expect_failed(fourth, "step_up_limit");
        sim.expect_no_visit();
        // Ten minutes later it may be tried again.
        sim.at(605);
        stepped_up(sim, "write", "s6", 5);
    }

    endless_wishes_of_the_model_end_too_step_09_step_16_host_247(
        sim = newest(|settings| settings.gate.step_up = StepUp::Endless)
    ) {
        first(sim);
        let mut again = false;
        for _ in 0..2 {
            let waiter = sim.call_tool("admin", again).expect_err("it always wants more");
            sim.log_in();
            sim.expect_granted(waiter);
            again = true;
        }
        let waiter = sim.call_tool("admin", again).expect_err("it always wants more");
        sim.serve();
        sim.expect_failed(waiter, "step_up_limit");
        sim.expect_no_visit();
    }

    a_stuck_model_is_given_up_step_08_host_250(
        sim = newest(|settings| {
            settings.gate.step_up = StepUp::Stuck;
            settings.challenge.step_up = StepUpScope::Needed;
        })
    ) {
        first(sim);
        let waiter = sim.call_tool("admin", false).expect_err("it refuses for ever");
        sim.log_in();
        sim.expect_granted(waiter);
        let waiter = sim.call_tool("admin", true).expect_err("it refuses for ever");
        sim.expect_failed(waiter, "step_up_ineffective");
    }

    /// The person has said no: the old token stays, and the question is not repeated at once.
    a_declined_step_up_is_not_asked_again_for_ten_minutes_step_10_host_249(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let waiter = refused_at(sim, "write", "files:write");
        discover(sim);
        sim.expect_visit().arrive_with("error=access_denied");
        sim.expect_failed(waiter, "step_up_declined");
        assert_eq!(bearer(sim), at(1));
        sim.at(300);
        let same = refused_at(sim, "write", "files:write");
        sim.expect_failed(same, "step_up_declined");
    }

    /// A failure that showed nobody a page does not wipe out what the person has said.
    a_failed_attempt_does_not_forget_the_no_step_10_host_249(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let waiter = refused_at(sim, "write", "s1");
        discover(sim);
        sim.expect_visit().arrive_with("error=access_denied");
        sim.expect_failed(waiter, "step_up_declined");
        let other = refused_at(sim, "write", "s2");
        sim.expect_call(http::Method::GET, crate::given::RESOURCE).reply(503);
        sim.expect_failed(other, "transient");
        let same = refused_at(sim, "write", "s1");
        sim.expect_failed(same, "step_up_declined");
        sim.expect_no_call();
        sim.at(700);
        let later = refused_at(sim, "write", "s1");
        discover(sim);
        approve(sim).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(later);
    }

    a_scope_error_ends_the_step_up_step_15(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let waiter = sim.refused(403, &lacks("files:write"));
        discover(sim);
        sim.expect_visit().arrive_with("error=invalid_scope");
        let failure = sim.expect_failed(waiter, "authorization_denied");
        assert_eq!(failure.remedy(), Remedy::Report);
        assert_eq!(failure.said().map(|said| said.error.as_str()), Some("invalid_scope"));
        sim.expect_no_call();
        sim.expect_no_visit();
        assert_eq!(bearer(sim), at(1));
    }

    nobody_may_be_asked_for_more_step_02(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let epoch = sim.published().map(|granted| granted.epoch());
        let waiter = sim.refused_with(epoch, 403, &lacks("files:write"), "write", false, false);
        sim.expect_failed(waiter, "reauthorization_required");
        sim.expect_no_call();
    }

    a_union_over_the_limit_opens_no_page_host_256(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let many: Vec<String> = (0..64).map(|number| format!("s{number}")).collect();
        let waiter = sim.refused(403, &lacks(&many.join(" ")));
        discover(sim);
        sim.expect_failed(waiter, "limit_exceeded");
        sim.expect_no_visit();
    }

    a_step_up_for_the_first_token_is_a_login_step_01(sim = by_hand()) {
        let (waiter, call) = up_to_exchange(sim);
        call.reply_json(200, &tokens(1, 3600));
        sim.expect_granted(waiter);
        // A caller that names more scope than was asked for gets its own login, for both.
        let more = sim.acquire("files:write");
        discover(sim);
        let visit = sim.expect_visit();
        assert_eq!(visit.param("scope").as_deref(), Some("files:read files:write"));
        visit.arrive_with_code("");
        exchange(sim).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(more);
    }
}
