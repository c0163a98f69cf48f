//! The store: what it keeps, what it refuses, what another process has put there.

use http::Method;
use mcp_authz_core::effect::RecordKind;
use mcp_authz_core::failure::{Kind, Remedy};
use mcp_authz_tests::sim::{BEGINNING, Sim};
use serde_json::{Value, json};

use crate::given::{
    access_only, approve, at, bearer, discover, error, kept, logged_in, refresh, register, tokens,
};

/// Another process: it knows the MCP URL and the store.
fn another_process(sim: &mut Sim) {
    sim.new_process(|config| config.persistent(true));
}

fn grant(sim: &mut Sim) -> Value {
    sim.store().documents(RecordKind::Grant)[0].clone()
}

/// Another process has renewed the grant: these tokens, this long from the beginning.
fn renewed_elsewhere(sim: &mut Sim, number: u32, until: i64) {
    sim.store().change(RecordKind::Grant, |grant| {
        grant["access_token"] = json!(at(number));
        grant["refresh_token"] = json!(format!("RT-CANARY-{number}"));
        grant["expires"] = json!(BEGINNING + until);
    });
}

/// The store does not answer about records of this kind; a restart asks again.
fn silent_about(sim: &mut Sim, kind: RecordKind) {
    logged_in(sim, &tokens(1, 3600));
    another_process(sim);
    sim.store().mute(Some(kind));
    let caller = sim.acquire("files:read");
    sim.expect_waiting(caller);
    sim.at(29).restart();
    sim.expect_waiting(caller);
    sim.at(59);
    let failure = sim.expect_failed(caller, "store_unavailable");
    assert_eq!(failure.remedy(), Remedy::Configure);
    let next = sim.acquire("files:read");
    sim.store().mute(None);
    sim.restart();
    sim.expect_granted(next);
    sim.expect_no_call();
}

scripts! {
    /// A program that knows only the MCP URL finds everything again, and asks nobody.
    everything_is_found_again_bind_10_use_03(sim = kept()) {
        logged_in(sim, &tokens(1, 3600));
        another_process(sim);
        let caller = sim.at(60).acquire("files:read");
        let quiet = sim.acquire_quietly("");
        assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-1");
        sim.expect_granted(quiet);
        sim.expect_no_call();
        // And renews it with the client and the endpoint that were recorded.
        let later = sim.at(3600).acquire("");
        let call = refresh(sim, 1);
        assert_eq!(call.form("client_id"), ["c1"]);
        call.reply_json(200, &tokens(2, 3600));
        sim.expect_granted(later);
    }

    a_found_token_that_is_over_is_renewed_at_once_ref_07(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        another_process(sim);
        let caller = sim.at(100).acquire("files:read");
        sim.expect_waiting(caller);
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-2");
    }

    /// A client that registered for one account serves the next one; their grants are apart.
    accounts_have_grants_of_their_own_bind_01_bind_02(sim = kept()) {
        logged_in(sim, &tokens(1, 3600));
        sim.new_process(|config| config.persistent(true).account("other"));
        let quiet = sim.acquire_quietly("files:read");
        sim.expect_failed(quiet, "reauthorization_required");
        let caller = sim.acquire("files:read");
        discover(sim);
        approve(sim).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(caller);
        assert_eq!(sim.store().documents(RecordKind::Grant).len(), 2);
        another_process(sim);
        let first = sim.acquire("");
        assert_eq!(sim.expect_granted(first).authorization(), "Bearer AT-CANARY-1");
    }

    /// Nobody hears of a token that a crash could take away.
    a_rotated_token_is_stored_before_anyone_hears_of_it_ref_04(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        let call = refresh(sim, 1);
        call.reply_json(200, &tokens(2, 600));
        sim.expect_granted(caller);
        assert_eq!(grant(sim)["refresh_token"], "RT-CANARY-2");
        // The same with a store that takes its time.
        let caller = sim.at(660).acquire("");
        let (_, ticket) = refresh(sim, 2).hold();
        if sim.restarting() {
            return;
        }
        sim.store().silence(true);
        sim.reply_late(ticket, 200, &tokens(3, 600));
        sim.expect_waiting(caller);
        assert_eq!(bearer(sim), at(2));
        sim.store().silence(false);
        // A restart writes it again.
        sim.restart();
        assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-3");
        assert_eq!(grant(sim)["refresh_token"], "RT-CANARY-3");
        assert!(!sim.unsaved(caller));
    }

    a_login_is_stored_before_anyone_hears_of_it_ref_04(sim = kept()) {
        let caller = sim.acquire("files:read");
        discover(sim);
        register(sim, "c1");
        sim.expect_visit().arrive_with_code("");
        sim.store().silence(true);
        crate::given::exchange(sim).reply_json(200, &tokens(1, 600));
        sim.expect_waiting(caller);
        assert!(sim.published().is_none());
        // The store never answers: from memory, marked so.
        sim.at(31);
        sim.expect_waiting(caller);
        sim.at(61);
        sim.expect_waiting(caller);
        sim.at(91);
        sim.expect_granted(caller);
        assert!(sim.unsaved(caller));
        sim.expect_note("store: store_unavailable; going on from memory");
    }

    /// A full disk: callers go on from memory and know it; the save is tried until it works.
    a_store_that_refuses_is_tried_again_host_229(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        let call = refresh(sim, 1);
        call.reply_json(200, &tokens(2, 600));
        sim.expect_granted(caller);
        let caller = sim.at(660).acquire("");
        let (_, ticket) = refresh(sim, 2).hold();
        if sim.restarting() {
            return;
        }
        sim.store().fail(Some(Kind::StoreUnavailable));
        sim.reply_late(ticket, 200, &tokens(3, 600));
        assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-3");
        assert!(sim.unsaved(caller));
        sim.expect_note("store: store_unavailable");
        let next = sim.at(670).acquire("");
        assert!(sim.unsaved(next), "whoever comes later is told too");
        sim.at(695).acquire("");
        assert_eq!(grant(sim)["refresh_token"], "RT-CANARY-2");
        sim.store().fail(None);
        let saved = sim.at(730).acquire("");
        assert_eq!(grant(sim)["refresh_token"], "RT-CANARY-3");
        let epoch = sim.expect_granted(saved).epoch();
        let after = sim.acquire("");
        assert!(!sim.unsaved(after));
        assert_eq!(sim.expect_granted(after).epoch(), epoch, "saving is no new token");
        another_process(sim);
        let found = sim.acquire("");
        assert_eq!(sim.expect_granted(found).authorization(), "Bearer AT-CANARY-3");
    }

    /// The program ends while a rotation is offered to the store again.
    a_restart_goes_on_saving_again_host_229(sim = kept()) {
        if sim.restarting() {
            return; // the restart of this script is its own
        }
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        let (_, ticket) = refresh(sim, 1).hold();
        sim.store().fail(Some(Kind::StoreUnavailable));
        sim.reply_late(ticket, 200, &tokens(2, 600));
        sim.expect_granted(caller);
        sim.store().heal();
        sim.store().answer("swap", None);
        sim.at(91);
        assert_eq!(grant(sim)["refresh_token"], "RT-CANARY-1");
        sim.store().heal();
        sim.restart();
        assert_eq!(grant(sim)["refresh_token"], "RT-CANARY-2");
    }

    /// The store refuses the registration, and takes it later with the grant: nothing is unsaved.
    a_registration_that_is_saved_with_the_grant_is_saved_host_229_reg_09(sim = kept()) {
        if sim.restarting() {
            return;
        }
        let caller = sim.acquire("");
        discover(sim);
        let registration = sim.expect_call(Method::POST, "https://as.example/register");
        let (_, ticket) = registration.hold();
        sim.store().fail(Some(Kind::StoreUnavailable));
        sim.reply_late(ticket, 201, &json!({ "client_id": "c1" }));
        sim.store().fail(None);
        approve(sim).reply_json(200, &tokens(1, 3600));
        sim.expect_granted(caller);
        assert!(!sim.unsaved(caller));
        assert_eq!(sim.store().documents(RecordKind::Client)[0]["credentials"]["client_id"], "c1");
        assert_eq!(sim.waits_for(), None);
    }

    a_faster_process_does_not_make_us_lose_a_rotation_host_241(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        let call = refresh(sim, 1);
        call.reply_json(200, &tokens(2, 60));
        sim.expect_granted(caller);
        sim.store().contend(2);
        let caller = sim.at(120).acquire("");
        refresh(sim, 2).reply_json(200, &tokens(3, 60));
        sim.expect_granted(caller);
        assert!(!sim.unsaved(caller));
        assert_eq!(grant(sim)["refresh_token"], "RT-CANARY-3");
    }

    a_store_that_always_conflicts_is_left_host_241_host_229(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        sim.store().contend(4);
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(caller);
        assert!(sim.unsaved(caller));
        sim.expect_note("store: store_conflict");
    }

    /// Another process has renewed it: its result is used, and nothing is sent.
    a_newer_record_is_taken_over_before_a_refresh_ref_06(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        renewed_elsewhere(sim, 9, 600);
        let caller = sim.at(60).acquire("");
        assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-9");
        sim.expect_note("took over a newer record");
        sim.expect_no_call();
        let refused = sim.refused(401, "Bearer");
        refresh(sim, 9).reply_json(200, &tokens(10, 60));
        sim.expect_granted(refused);
    }

    a_newer_record_that_is_over_is_refreshed_with_its_own_token_ref_06(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        renewed_elsewhere(sim, 9, 30);
        let caller = sim.at(60).acquire("");
        refresh(sim, 9).reply_json(200, &tokens(10, 60));
        sim.expect_granted(caller);
    }

    /// Another process was faster while our request was out.
    a_newer_record_is_taken_over_after_a_refusal_host_224(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        sim.at(60);
        let asks = sim.acquire("");
        let quiet = sim.acquire_quietly("");
        let (_, ticket) = refresh(sim, 1).hold();
        if sim.restarting() {
            return;
        }
        renewed_elsewhere(sim, 9, 600);
        sim.reply_late(ticket, 400, &error("invalid_grant"));
        for caller in [asks, quiet] {
            assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-9");
        }
        sim.expect_no_call();
        sim.expect_no_visit();
        assert_eq!(grant(sim)["rejected"], json!(false));
    }

    /// The same, but what the other process got is over by now.
    a_newer_refresh_token_is_tried_after_a_refusal_host_224(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let quiet = sim.at(60).acquire_quietly("");
        let (_, ticket) = refresh(sim, 1).hold();
        if sim.restarting() {
            return;
        }
        renewed_elsewhere(sim, 9, 30);
        sim.reply_late(ticket, 400, &error("invalid_grant"));
        sim.expect_waiting(quiet);
        refresh(sim, 9).reply_json(200, &tokens(10, 60));
        sim.expect_granted(quiet);
        assert_eq!(grant(sim)["refresh_token"], "RT-CANARY-10");
    }

    /// Two refusals, of ours and of theirs, are the end; each token was sent once.
    two_refused_tokens_are_the_end_host_224_host_244(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let quiet = sim.at(60).acquire_quietly("");
        let (_, ticket) = refresh(sim, 1).hold();
        if sim.restarting() {
            return;
        }
        renewed_elsewhere(sim, 9, 30);
        sim.reply_late(ticket, 400, &error("invalid_grant"));
        refresh(sim, 9).reply_json(400, &error("invalid_grant"));
        sim.expect_failed(quiet, "reauthorization_required");
        sim.expect_no_call();
        assert_eq!(grant(sim)["rejected"], json!(true));
        let again = sim.acquire_quietly("");
        sim.expect_failed(again, "reauthorization_required");
        sim.expect_no_call();
    }

    /// Another process was told so already, or has logged out.
    a_token_that_another_process_saw_refused_is_not_sent_ref_08(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        sim.store().change(RecordKind::Grant, |grant| grant["rejected"] = json!(true));
        let quiet = sim.at(60).acquire_quietly("");
        sim.expect_failed(quiet, "reauthorization_required");
        sim.expect_no_call();
        let asks = sim.acquire("");
        discover(sim);
        approve(sim).reply_json(200, &tokens(2, 60));
        sim.expect_granted(asks);
    }

    a_rejected_record_is_not_sent_by_the_next_process_ref_08_host_225(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        sim.at(60).acquire_quietly("");
        refresh(sim, 1).reply_json(400, &error("invalid_grant"));
        another_process(sim);
        let quiet = sim.acquire_quietly("");
        sim.expect_failed(quiet, "reauthorization_required");
        sim.expect_no_call();
    }

    a_store_that_is_down_is_no_reason_to_log_in_bind_09(sim = kept()) {
        logged_in(sim, &tokens(1, 3600));
        another_process(sim);
        sim.store().fail(Some(Kind::StoreLocked));
        let caller = sim.acquire("files:read");
        let failure = sim.expect_failed(caller, "store_locked");
        assert!(failure.remedy().retryable());
        sim.expect_no_visit();
        sim.store().fail(None);
        let next = sim.acquire("files:read");
        sim.expect_granted(next);
    }

    a_store_that_is_down_sends_no_refresh_token_ref_06(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        sim.store().fail(Some(Kind::StoreUnavailable));
        let caller = sim.refused(401, "Bearer");
        sim.expect_failed(caller, "store_unavailable");
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    silent_about_the_binding_bind_09(sim = kept()) { silent_about(sim, RecordKind::Binding); }
    silent_about_the_client_bind_09(sim = kept()) { silent_about(sim, RecordKind::Client); }
    silent_about_the_grant_bind_09(sim = kept()) { silent_about(sim, RecordKind::Grant); }

    /// Without a refresh token and with one: a log-out reaches the store, and other processes.
    a_log_out_reaches_the_store_host_242(sim = kept()) {
        logged_in(sim, &access_only(1, 3600));
        sim.forget();
        assert!(sim.published().is_none());
        another_process(sim);
        let quiet = sim.acquire_quietly("");
        sim.expect_failed(quiet, "reauthorization_required");
        assert_eq!(grant(sim)["access_token"], json!(null));
    }

    /// The first thing a process does is to log out.
    a_log_out_drops_what_nobody_has_read_yet_host_242(sim = kept()) {
        logged_in(sim, &tokens(1, 3600));
        another_process(sim);
        sim.forget();
        assert_eq!((&grant(sim)["access_token"], &grant(sim)["refresh_token"]),
            (&json!(null), &json!(null)));
        let quiet = sim.acquire_quietly("");
        sim.expect_failed(quiet, "reauthorization_required");
        let asks = sim.acquire("files:read");
        discover(sim);
        approve(sim).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(asks);
    }

    a_log_out_of_nothing_is_nothing_host_242(sim = kept()) {
        sim.forget();
        sim.expect_no_call();
        assert!(sim.store().documents(RecordKind::Grant).is_empty());
        assert_eq!(sim.waits_for(), None);
    }
}
