//! Courses that a flow takes only where two things meet: its stage ends after something else has ended
//! first, or the store answers when it is too late.

use http::Method;
use mcp_authz_core::effect::RecordKind;
use mcp_authz_core::input::WaiterId;
use mcp_authz_tests::sim::{BEGINNING, Sim};
use serde_json::{Value, json};

use crate::given::{
    RESOURCE, TOKEN, approve, at, bearer, by_hand, discover, error, kept, logged_in, refresh,
    resource, server, tokens, up_to_exchange,
};

const MORE: &str = "Bearer error=\"insufficient_scope\", scope=\"more\"";
const POINTS: &str = "Bearer resource_metadata=\"https://mcp.example/prm\"";

/// Logged in with a token that is over at 60 s, and a person is asked for more since 10 s.
fn stepping_up(sim: &mut Sim) -> WaiterId {
    logged_in(sim, &tokens(1, 60));
    let step = sim.at(10).refused(403, MORE);
    discover(sim);
    step
}

/// The person agrees, and that login is the newest.
fn agrees(sim: &mut Sim, step: WaiterId) {
    approve(sim).reply_json(200, &tokens(3, 3600));
    sim.expect_granted(step);
}

/// What a refresh was about is no longer held: it ends, and leaves the login alone.
fn left_alone(sim: &mut Sim) {
    assert_eq!(bearer(sim), at(3));
    assert_eq!(sim.store().documents(RecordKind::Grant)[0]["refresh_token"], "RT-CANARY-3");
    sim.expect_no_call();
}

/// A refresh is refused while the store is silent about what follows, and the person agrees meanwhile. The
/// store is asked again by the next process, and answers there.
fn refused_and_overtaken(sim: &mut Sim, refusal: (u16, &str), silence: impl FnOnce(&mut Sim)) {
    if sim.restarting() {
        return;
    }
    let step = stepping_up(sim);
    let caller = sim.at(60).acquire("");
    let (_, ticket) = refresh(sim, 1).hold();
    silence(sim);
    sim.reply_late(ticket, refusal.0, &error(refusal.1));
    sim.store().heal();
    agrees(sim, step);
    sim.restart();
    sim.expect_granted(caller);
    left_alone(sim);
}

/// A login whose answer was given up is followed by one at another server, which is registering when
/// the answer comes: the caller has what it wanted.
fn served_while_it_registers(sim: &mut Sim) {
    let (first, call) = up_to_exchange(sim);
    let (_, answer) = call.hold();
    sim.at(31);
    sim.expect_failed(first, "outcome_unknown");
    let second = sim.acquire("");
    let elsewhere = |document: &Value| {
        let text = document.to_string().replace("https://as.example", "https://as2.example");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    sim.expect_call(Method::GET, RESOURCE).reply_json(200, &elsewhere(&resource(&[])));
    let metadata = "https://as2.example/.well-known/oauth-authorization-server";
    sim.expect_call(Method::GET, metadata).reply_json(200, &elsewhere(&server()));
    let (_, registration) = sim.expect_call(Method::POST, "https://as2.example/register").hold();
    sim.reply_late(answer, 200, &tokens(1, 3600));
    sim.expect_granted(second);
    sim.reply_late(registration, 201, &json!({ "client_id": "c2" }));
    sim.expect_no_visit();
    assert_eq!(bearer(sim), at(1));
}

/// A step-up whose page is open when the process ends; the next one takes it up.
fn taken_up(sim: &mut Sim) -> WaiterId {
    logged_in(sim, &tokens(1, 3600));
    let step = sim.at(10).refused(403, MORE);
    discover(sim);
    sim.restart();
    step
}

/// The name of the login that such a script ends in: the same in every run of it.
fn name_of_the_login() -> String {
    let mut sim = kept();
    taken_up(&mut sim);
    sim.expect_visit().arrive_with_code("");
    let line = sim.store().log().iter().rev().find(|line| line.starts_with("intend code-"));
    let name = line.and_then(|line| line.strip_prefix("intend code-")).map(str::to_owned);
    name.expect("the code's intent is recorded")
}

scripts! {
    /// Another process has the lease meanwhile.
    a_login_overtakes_a_claim_ref_16(sim = kept()) {
        if sim.restarting() {
            return;
        }
        let step = stepping_up(sim);
        sim.store().lease_elsewhere(true);
        let caller = sim.at(60).acquire("");
        agrees(sim, step);
        sim.store().lease_elsewhere(false);
        sim.at(90);
        sim.expect_granted(caller);
        left_alone(sim);
    }

    /// The store says of the intent at last that it may be sent, but the token is a thing of the past.
    a_login_overtakes_an_intent_ref_16(sim = kept()) {
        if sim.restarting() {
            return;
        }
        let step = stepping_up(sim);
        sim.store().answer("intend", None);
        let caller = sim.at(60).acquire("");
        sim.store().heal();
        agrees(sim, step);
        sim.expect_granted(caller);
        sim.at(95);
        left_alone(sim);
    }

    a_login_overtakes_the_second_look_ref_16_host_224(sim = kept()) {
        refused_and_overtaken(sim, (400, "invalid_grant"), |sim| sim.store().answer("load", None));
    }

    a_login_overtakes_the_mark_of_a_dead_grant_ref_16_ref_08(sim = kept()) {
        refused_and_overtaken(sim, (400, "invalid_grant"), |sim| sim.store().answer("swap", None));
    }

    a_login_overtakes_the_mark_of_a_forgotten_client_ref_16_reg_21(sim = kept()) {
        refused_and_overtaken(sim, (401, "invalid_client"), |sim| sim.store().mute(Some(RecordKind::Client)));
    }

    a_login_overtakes_a_reading_of_the_list_ref_16_bind_05(sim = kept()) {
        if sim.restarting() {
            return;
        }
        let step = stepping_up(sim);
        let caller = sim.at(20).refused(401, POINTS);
        let (_, ticket) = sim.expect_call(Method::GET, "/prm").hold();
        agrees(sim, step);
        sim.expect_granted(caller);
        sim.reply_late(ticket, 200, &resource(&[]));
        left_alone(sim);
    }

    /// A server that is down says nothing about the issuer, and stops no refresh.
    a_list_that_cannot_be_read_stops_no_refresh_step_12_bind_05(sim = kept()) {
        logged_in(sim, &tokens(1, 3600));
        let caller = sim.refused(401, POINTS);
        sim.expect_call(Method::GET, "/prm").reply(503);
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(caller);
    }

    /// What the resource says of itself is broken: nothing explains why the fresh token was refused.
    a_list_that_is_broken_explains_nothing_step_12(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let first = sim.refused(401, "Bearer");
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(first);
        let epoch = sim.published().map(|granted| granted.epoch());
        let second = sim.refused_with(epoch, 401, "Bearer", "tools/list", true, true);
        let call = sim.expect_call(Method::GET, RESOURCE);
        call.respond(200, &[("content-type", "application/json")], b"{\"resource\":");
        sim.expect_failed(second, "unauthorized_after_refresh");
        sim.expect_no_call();
    }

    /// The store is silent when it is looked at once more: the refusal is not told as if it were known.
    a_silent_store_after_a_refusal_host_224(sim = kept()) {
        if sim.restarting() {
            return;
        }
        logged_in(sim, &tokens(1, 60));
        let quiet = sim.at(60).acquire_quietly("");
        let (_, ticket) = refresh(sim, 1).hold();
        sim.store().answer("load", None);
        sim.reply_late(ticket, 400, &error("invalid_grant"));
        sim.expect_waiting(quiet);
        sim.at(95);
        sim.expect_failed(quiet, "store_unavailable");
        sim.expect_no_call();
    }

    /// While ours is marked as dead, another process saves a login: that is taken over.
    a_mark_gives_way_to_a_login_of_another_process_ref_08_host_225(sim = kept()) {
        if sim.restarting() {
            return;
        }
        logged_in(sim, &tokens(1, 60));
        let quiet = sim.at(60).acquire_quietly("");
        let (_, ticket) = refresh(sim, 1).hold();
        sim.delay(Some(RecordKind::Grant));
        sim.reply_late(ticket, 400, &error("invalid_grant"));
        sim.store().change(RecordKind::Grant, |grant| {
            grant["access_token"] = json!(at(2));
            grant["refresh_token"] = json!("RT-CANARY-2");
            grant["login"] = json!("another");
            grant["expires"] = json!(BEGINNING + 3600);
        });
        sim.release();
        sim.expect_granted(quiet);
        assert_eq!(bearer(sim), at(2));
        sim.expect_no_call();
    }

    a_caller_that_is_served_while_it_registers_sees_no_page_host_195(sim = by_hand()) {
        if !sim.restarting() {
            served_while_it_registers(sim);
        }
    }

    a_caller_that_is_served_while_it_registers_sees_no_page_stored_host_195(sim = kept()) {
        if !sim.restarting() {
            served_while_it_registers(sim);
        }
    }

    /// The store answers in the third process only.
    a_second_look_is_taken_up_once_more_host_184(sim = kept()) {
        if sim.restarting() {
            return;
        }
        let step = taken_up(sim);
        sim.store().answer("load", None);
        sim.expect_visit().arrive_with_code("");
        sim.expect_no_call();
        sim.store().heal();
        sim.restart();
        // Its intent was made by a process that is gone, so the code may have been sent: not again.
        assert_eq!(sim.count(TOKEN), 1);
        discover(sim);
        sim.expect_visit();
        sim.expect_waiting(step);
    }

    a_copy_that_cannot_look_sends_no_code_host_184(sim = kept()) {
        if sim.restarting() {
            return;
        }
        let step = taken_up(sim);
        sim.store().answer("load", None);
        sim.expect_visit().arrive_with_code("");
        sim.at(45);
        sim.expect_failed(step, "store_unavailable");
        sim.expect_no_call();
    }

    /// A copy has saved what the code brought, and withdrawn its intent, before ours was recorded.
    a_login_that_a_copy_has_ended_sends_no_code_host_184(sim = kept()) {
        if sim.restarting() {
            return;
        }
        let name = name_of_the_login();
        let step = taken_up(sim);
        sim.store().change(RecordKind::Grant, |grant| grant["login"] = json!(name));
        sim.expect_visit().arrive_with_code("");
        sim.expect_failed(step, "callback_used");
        sim.expect_no_call();
    }
}
