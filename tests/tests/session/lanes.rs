//! Two lanes: what needs only machines never waits for a person, and neither undoes the other.

use mcp_authz_core::effect::{Page, RecordKind};
use mcp_authz_core::time::Awaited;
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::given::{
    approve, at, bearer, by_hand, discover, error, exchange, kept, logged_in, refresh, register,
    tokens,
};

const MORE: &str = r#"Bearer error="insufficient_scope", scope="files:write""#;

/// A refresh is out when a step-up succeeds. The refresh is then answered so.
fn overtaken(sim: &mut Sim, status: u16, answer: &serde_json::Value) {
    logged_in(sim, &tokens(1, 60));
    let step = sim.at(10).refused(403, MORE);
    discover(sim);
    let caller = sim.at(60).acquire("");
    let (_, ticket) = refresh(sim, 1).hold();
    if sim.restarting() {
        return;
    }
    approve(sim).reply_json(200, &tokens(3, 600));
    sim.expect_granted(step);
    assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-3");
    let epoch = sim.published().map(|granted| granted.epoch());
    sim.reply_late(ticket, status, answer);
    assert_eq!(bearer(sim), at(3));
    assert_eq!(sim.published().map(|granted| granted.epoch()), epoch);
    // The grant that came last is the one that is refreshed.
    sim.at(660).acquire("");
    refresh(sim, 3).reply_json(200, &tokens(4, 600));
    if let Some(record) = sim.store().documents(RecordKind::Grant).first() {
        assert_eq!(record["refresh_token"], "RT-CANARY-4");
    }
}

scripts! {
    /// One caller's step-up takes as long as its person takes; everybody else is served.
    a_refresh_never_waits_for_a_person_two_lanes(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        let step = sim.at(10).refused(403, MORE);
        discover(sim);
        assert_eq!(sim.waits_for(), Some(Awaited::Person));
        let caller = sim.at(60).acquire("");
        let refused = sim.refused(401, "Bearer");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-2");
        sim.expect_granted(refused);
        sim.expect_waiting(step);
        let again = sim.at(120).acquire("");
        refresh(sim, 2).reply_json(200, &tokens(3, 60));
        sim.expect_granted(again);
        sim.at(150);
        approve(sim).reply_json(200, &tokens(4, 60));
        assert_eq!(sim.expect_granted(step).authorization(), "Bearer AT-CANARY-4");
        assert_eq!(bearer(sim), at(4));
    }

    /// Nor does a caller who may not ask wait for one who may.
    a_quiet_caller_never_waits_for_a_person_two_lanes(sim = by_hand()) {
        let asks = sim.acquire("");
        discover(sim);
        register(sim, "c1");
        let quiet = sim.acquire_quietly("");
        sim.expect_failed(quiet, "reauthorization_required");
        sim.expect_waiting(asks);
        approve(sim).reply_json(200, &tokens(1, 60));
        sim.expect_granted(asks);
    }

    one_login_for_many_callers_ref_05(sim = by_hand()) {
        let callers: Vec<_> = (0..20).map(|_| sim.acquire("")).collect();
        let refused: Vec<_> = (0..20).map(|_| sim.refused(401, "Bearer")).collect();
        discover(sim);
        register(sim, "c1");
        approve(sim).reply_json(200, &tokens(1, 60));
        for caller in callers.into_iter().chain(refused) {
            sim.expect_granted(caller);
        }
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    /// A refresh that a login has overtaken is about a grant that is no longer held.
    an_overtaken_refresh_does_not_bring_the_old_grant_back_ref_16(sim = kept()) {
        overtaken(sim, 200, &tokens(2, 60));
    }
    an_overtaken_refusal_does_not_touch_the_new_grant_ref_08(sim = kept()) {
        overtaken(sim, 400, &error("invalid_grant"));
    }
    an_overtaken_client_refusal_does_not_touch_the_new_grant_host_236(sim = by_hand()) {
        overtaken(sim, 400, &error("invalid_grant"));
    }

    /// The refresh's record was on its way when the login's was written.
    an_overtaken_record_is_written_over_host_241(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let step = sim.at(10).refused(403, MORE);
        discover(sim);
        sim.at(60).acquire("");
        let call = refresh(sim, 1);
        if call.request().method() == http::Method::POST {
            call.reply_json(200, &tokens(2, 60));
        }
        approve(sim).reply_json(200, &tokens(3, 60));
        sim.expect_granted(step);
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["refresh_token"], "RT-CANARY-3");
    }

    /// The last caller is gone: the page no longer counts, and the port is closed.
    a_login_nobody_waits_for_is_ended_host_195(sim = by_hand()) {
        let one = sim.acquire("");
        let other = sim.acquire("");
        discover(sim);
        register(sim, "c1");
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        sim.cancel(one);
        sim.expect_failed(one, "cancelled");
        assert!(sim.listens(), "the other one waits still");
        sim.cancel(other);
        assert!(!sim.listens());
        let arrival = sim.arrive(&format!("{redirect}?code=CODE-CANARY&state={state}"));
        assert!(matches!(sim.page(arrival), Some(Page::Refused(_)) | None));
        sim.expect_no_call();
    }

    /// The code is spent: what comes for it is kept though nobody waits.
    a_code_exchange_goes_on_without_its_caller_host_195_host_230(sim = kept()) {
        let caller = sim.acquire("");
        discover(sim);
        register(sim, "c1");
        sim.expect_visit().arrive_with_code("");
        sim.cancel(caller);
        exchange(sim).reply_json(200, &tokens(1, 60));
        assert_eq!(bearer(sim), at(1));
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["refresh_token"], "RT-CANARY-1");
        let next = sim.acquire("");
        sim.expect_granted(next);
    }

    /// A login taken up by another process has no callers yet; those of other work cannot end it.
    another_s_cancel_does_not_end_a_restored_login_host_195(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        let step = sim.at(10).refused(403, MORE);
        discover(sim);
        let caller = sim.at(60).acquire("");
        sim.cancel(caller);
        sim.expect_waiting(step);
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        approve(sim).reply_json(200, &tokens(3, 60));
        sim.expect_granted(step);
    }

    a_log_out_ends_everything_host_242(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let step = sim.at(10).refused(403, MORE);
        discover(sim);
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        sim.forget();
        sim.expect_failed(step, "cancelled");
        assert!(sim.published().is_none());
        assert!(!sim.listens());
        sim.arrive(&format!("{redirect}?code=CODE-CANARY&state={state}"));
        sim.expect_no_call();
        let record = &sim.store().documents(RecordKind::Grant)[0];
        assert_eq!((&record["access_token"], &record["refresh_token"]), (&json!(null), &json!(null)));
    }
}
