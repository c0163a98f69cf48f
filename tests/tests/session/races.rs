//! What overtakes what: late answers, two lanes that write one record, log-outs while something is
//! out, and other processes that were faster.

use mcp_authz_core::effect::RecordKind;
use mcp_authz_core::failure::Kind;
use mcp_authz_core::time::Awaited;
use mcp_authz_tests::sim::Sim;
use serde_json::{Value, json};

use crate::given::{
    access_only, approve, at, bearer, by_hand, discover, error, exchange, kept, logged_in, refresh,
    register, tokens, up_to_exchange,
};

const STEP_UP: &str = "Bearer error=\"insufficient_scope\", scope=\"x\"";

fn grant(sim: &mut Sim) -> Value {
    sim.store().documents(RecordKind::Grant)[0].clone()
}

/// The refresh token in the store.
fn stored(sim: &mut Sim) -> Value {
    grant(sim)["refresh_token"].clone()
}

/// Another process finds nothing it could use.
fn is_forgotten(sim: &mut Sim) {
    assert_eq!(stored(sim), json!(null));
    sim.new_process(|config| config.persistent(true));
    let quiet = sim.acquire_quietly("");
    sim.expect_failed(quiet, "reauthorization_required");
}

/// Logged in, and a step-up whose code is about to be exchanged.
fn stepping_up(sim: &mut Sim) -> mcp_authz_core::input::WaiterId {
    let caller = sim.refused(403, STEP_UP);
    discover(sim);
    sim.expect_visit().arrive_with_code("");
    caller
}

scripts! {
    /// An error to the first attempt says nothing about the second, which is out.
    a_late_error_leaves_the_attempt_in_flight_alone_host_241_host_227(sim = by_hand()) {
        if sim.restarting() {
            return;
        }
        for (status, answer) in [(504, json!({})), (400, error("invalid_grant"))] {
            let mut sim = by_hand();
            logged_in(&mut sim, &tokens(1, 3600));
            let caller = sim.refused(401, "Bearer");
            let (_, first) = refresh(&mut sim, 1).hold();
            sim.at(32);
            let (_, second) = refresh(&mut sim, 1).hold();
            sim.reply_late(first, status, &answer);
            sim.expect_waiting(caller);
            sim.expect_note("a late answer was dropped");
            sim.reply_late(second, 200, &tokens(2, 3600));
            assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-2");
            sim.expect_no_call();
            sim.finish();
        }
    }

    /// The answer to the later attempt is the newer one, even if it comes after the first's.
    both_attempts_are_answered_late_host_241(sim = by_hand()) {
        if sim.restarting() {
            return;
        }
        logged_in(sim, &tokens(1, 3600));
        let caller = sim.refused(401, "Bearer");
        let (_, first) = refresh(sim, 1).hold();
        sim.at(32);
        let (_, second) = refresh(sim, 1).hold();
        sim.reply_late(first, 200, &tokens(2, 3600));
        sim.expect_granted(caller);
        assert_eq!(bearer(sim), at(2));
        sim.reply_late(second, 200, &tokens(3, 3600));
        assert_eq!(bearer(sim), at(3));
    }

    /// The same while the first answer's record is on its way to the store.
    a_late_answer_overtakes_a_save_host_241_ref_04(sim = kept()) {
        if sim.restarting() {
            return;
        }
        logged_in(sim, &tokens(1, 3600));
        let caller = sim.refused(401, "Bearer");
        let (_, first) = refresh(sim, 1).hold();
        sim.at(32);
        let (_, second) = refresh(sim, 1).hold();
        sim.delay(Some(RecordKind::Grant));
        sim.reply_late(first, 200, &tokens(2, 3600));
        sim.expect_waiting(caller);
        sim.reply_late(second, 200, &tokens(3, 3600));
        sim.release();
        sim.expect_granted(caller);
        assert_eq!((bearer(sim), stored(sim)), (at(3), json!("RT-CANARY-3")));
        assert_eq!(sim.waits_for(), None);
    }

    a_late_step_up_is_taken_tok_04_host_241(sim = by_hand()) {
        if sim.restarting() {
            return;
        }
        logged_in(sim, &tokens(1, 3600));
        let caller = stepping_up(sim);
        let (_, ticket) = exchange(sim).hold();
        sim.at(31);
        sim.expect_failed(caller, "outcome_unknown");
        sim.reply_late(ticket, 200, &tokens(2, 3600));
        assert_eq!(bearer(sim), at(2));
        sim.expect_note("a late answer brought tokens; saved");
    }

    a_late_login_does_not_replace_a_newer_one_tok_04(sim = by_hand()) {
        if sim.restarting() {
            return;
        }
        let (caller, call) = up_to_exchange(sim);
        let (_, ticket) = call.hold();
        sim.at(31);
        sim.expect_failed(caller, "outcome_unknown");
        let caller = sim.acquire("files:read files:write");
        discover(sim);
        approve(sim).reply_json(200, &access_only(2, 3600));
        sim.expect_granted(caller);
        sim.reply_late(ticket, 200, &access_only(1, 3600));
        assert_eq!(bearer(sim), at(2));
        sim.expect_note("a late answer was dropped");
    }

    /// A late answer whose access token cannot be used still brings the next refresh token.
    a_late_answer_is_rescued_host_232_host_241(sim = kept()) {
        if sim.restarting() {
            return;
        }
        logged_in(sim, &tokens(1, 3600));
        let caller = sim.refused(401, "Bearer");
        let (_, first) = refresh(sim, 1).hold();
        sim.at(32);
        let (_, _second) = refresh(sim, 1).hold();
        sim.at(70);
        sim.expect_failed(caller, "timeout");
        sim.reply_late(first, 200, &json!({ "refresh_token": "RT-CANARY-2" }));
        assert_eq!(stored(sim), "RT-CANARY-2");
    }

    /// The disk was full when the login came, and what it still has is the log-out before.
    an_unsaved_login_outlives_an_older_record_host_229_host_242(sim = kept()) {
        if sim.restarting() {
            return;
        }
        logged_in(sim, &tokens(1, 3600));
        sim.forget();
        let caller = sim.acquire("files:read");
        discover(sim);
        sim.expect_visit().arrive_with_code("");
        let (_, ticket) = exchange(sim).hold();
        sim.store().fail(Some(Kind::StoreUnavailable));
        sim.reply_late(ticket, 200, &tokens(2, 100));
        sim.expect_granted(caller);
        sim.store().fail(None);
        let caller = sim.at(20).refused(401, "Bearer");
        refresh(sim, 2).reply_json(200, &tokens(3, 3600));
        sim.expect_granted(caller);
        assert_eq!(stored(sim), "RT-CANARY-3");
    }

    /// A login after a log-out goes on from the emptied record, without a conflict.
    a_login_goes_on_from_the_emptied_record_host_242(sim = kept()) {
        logged_in(sim, &tokens(1, 3600));
        sim.forget();
        let caller = sim.acquire("files:read");
        discover(sim);
        approve(sim).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(caller);
        assert_eq!(stored(sim), "RT-CANARY-2");
        if !sim.restarting() {
            let swaps = sim.store().log().iter().filter(|line| line.starts_with("swap Grant"));
            assert_eq!(swaps.count(), 3, "the login, the log-out, the login");
        }
    }

    /// A refresh and a step-up write the same record: the step-up is what stays.
    two_lanes_write_one_record_host_241_step_07(sim = kept()) {
        if sim.restarting() {
            return;
        }
        logged_in(sim, &tokens(1, 100));
        let steps = stepping_up(sim);
        let (_, login) = exchange(sim).hold();
        let epoch = sim.published().map(|granted| granted.epoch());
        let other = sim.refused_with(epoch, 401, "Bearer", "y", false, true);
        let (_, renewal) = refresh(sim, 1).hold();
        sim.delay(Some(RecordKind::Binding));
        sim.reply_late(login, 200, &tokens(5, 100));
        sim.reply_late(renewal, 200, &tokens(2, 100));
        sim.release();
        sim.expect_granted(steps);
        sim.expect_granted(other);
        sim.at(40);
        assert_eq!((bearer(sim), stored(sim)), (at(5), json!("RT-CANARY-5")));
    }

    /// A rotation that the store refused is offered to it again just when a step-up comes.
    a_save_again_does_not_undo_a_login_host_229_host_241(sim = kept()) {
        if sim.restarting() {
            return;
        }
        logged_in(sim, &tokens(1, 3600));
        let caller = sim.refused(401, "Bearer");
        let (_, ticket) = refresh(sim, 1).hold();
        sim.store().fail(Some(Kind::StoreLocked));
        sim.reply_late(ticket, 200, &tokens(2, 3600));
        sim.expect_granted(caller);
        sim.store().fail(None);
        let caller = sim.at(29).refused(403, STEP_UP);
        discover(sim);
        sim.expect_visit().arrive_with_code("");
        let (_, login) = exchange(sim).hold();
        sim.delay(Some(RecordKind::Grant));
        sim.at(31);
        sim.delay(None);
        sim.reply_late(login, 200, &tokens(5, 3600));
        sim.release();
        sim.expect_granted(caller);
        sim.at(100);
        assert_eq!((bearer(sim), stored(sim)), (at(5), json!("RT-CANARY-5")));
    }

    /// The emptying was lost; a second log-out does not make the session forget that.
    two_log_outs_empty_the_store_host_242(sim = kept()) {
        if sim.restarting() {
            return;
        }
        logged_in(sim, &tokens(1, 3600));
        sim.delay(Some(RecordKind::Grant));
        sim.forget();
        sim.forget();
        sim.lose_delayed();
        sim.at(100);
        is_forgotten(sim);
    }

    /// The store refuses the log-out: it is tried again, by the clock alone and in any process.
    a_refused_log_out_is_tried_again_host_242_host_229(sim = kept()) {
        logged_in(sim, &tokens(1, 3600));
        sim.store().fail(Some(Kind::StoreUnavailable));
        sim.forget();
        sim.store().fail(None);
        assert_eq!(stored(sim), "RT-CANARY-1");
        assert_eq!(sim.waits_for(), Some(Awaited::Backoff));
        sim.restart();
        sim.at(31);
        assert_eq!(sim.waits_for(), None);
        is_forgotten(sim);
    }

    /// The same before anybody has read the store; and who asks meanwhile gets nothing of it.
    a_log_out_that_could_read_nothing_is_tried_again_host_242(sim = kept()) {
        logged_in(sim, &tokens(1, 3600));
        sim.new_process(|config| config.persistent(true));
        sim.store().fail(Some(Kind::StoreLocked));
        sim.forget();
        sim.store().fail(None);
        let quiet = sim.acquire_quietly("");
        sim.expect_failed(quiet, "reauthorization_required");
        sim.at(40);
        is_forgotten(sim);
    }

    /// A login's record is on its way when the log-out comes.
    a_log_out_while_a_login_is_saved_host_242(sim = kept()) {
        if sim.restarting() {
            return;
        }
        for conflicts in [false, true] {
            let mut sim = kept();
            logged_in(&mut sim, &tokens(1, 3600));
            sim.forget();
            let _caller = sim.acquire("files:read");
            discover(&mut sim);
            sim.expect_visit().arrive_with_code("");
            let (_, login) = exchange(&mut sim).hold();
            if conflicts {
                sim.store().contend(1);
            }
            sim.delay(Some(RecordKind::Grant));
            sim.reply_late(login, 200, &tokens(2, 3600));
            if conflicts {
                sim.release_one();
            }
            sim.forget();
            sim.release();
            sim.at(100);
            is_forgotten(&mut sim);
        }
    }

    /// A log-out that is still under way does not take the next login with it.
    a_login_after_a_slow_log_out_stays_host_242(sim = kept()) {
        if sim.restarting() {
            return;
        }
        logged_in(sim, &tokens(1, 3600));
        sim.store().fail(Some(Kind::StoreUnavailable));
        sim.forget();
        sim.store().fail(None);
        let caller = sim.at(5).acquire("files:read");
        discover(sim);
        sim.expect_visit().arrive_with_code("");
        let (_, login) = exchange(sim).hold();
        sim.delay(Some(RecordKind::Grant));
        sim.reply_late(login, 200, &tokens(2, 3600));
        sim.at(31);
        sim.release();
        sim.at(100);
        sim.expect_granted(caller);
        assert_eq!((bearer(sim), stored(sim)), (at(2), json!("RT-CANARY-2")));
    }

    /// The same when the log-out is on its way first.
    a_login_overtakes_a_slow_log_out_host_242(sim = kept()) {
        if sim.restarting() {
            return;
        }
        logged_in(sim, &tokens(1, 3600));
        sim.store().fail(Some(Kind::StoreUnavailable));
        sim.forget();
        sim.store().fail(None);
        let caller = sim.at(5).acquire("files:read");
        discover(sim);
        sim.expect_visit().arrive_with_code("");
        let (_, login) = exchange(sim).hold();
        sim.delay(Some(RecordKind::Grant));
        sim.at(31);
        sim.reply_late(login, 200, &tokens(2, 3600));
        sim.release();
        sim.at(100);
        sim.expect_granted(caller);
        assert_eq!((bearer(sim), stored(sim)), (at(2), json!("RT-CANARY-2")));
    }

    /// Another process has logged out while our refresh was out: it stays so.
    a_refresh_does_not_undo_a_log_out_host_242(sim = kept()) {
        if sim.restarting() {
            return;
        }
        logged_in(sim, &tokens(1, 3600));
        let quiet = sim.acquire_quietly("");
        sim.expect_granted(quiet);
        let epoch = sim.published().map(|granted| granted.epoch());
        let quiet = sim.refused_with(epoch, 401, "Bearer", "x", false, false);
        let (_, ticket) = refresh(sim, 1).hold();
        sim.store().change(RecordKind::Grant, |grant| {
            grant["access_token"] = json!(null);
            grant["refresh_token"] = json!(null);
            grant["rejected"] = json!(true);
        });
        sim.reply_late(ticket, 200, &tokens(2, 3600));
        sim.expect_failed(quiet, "reauthorization_required");
        is_forgotten(sim);
    }

    /// Another process saw the spent token refused; our rotation is why, and takes its place.
    a_refresh_replaces_the_record_of_its_own_spending_host_241(sim = kept()) {
        if sim.restarting() {
            return;
        }
        logged_in(sim, &tokens(1, 3600));
        let caller = sim.refused(401, "Bearer");
        let (_, ticket) = refresh(sim, 1).hold();
        sim.store().change(RecordKind::Grant, |grant| grant["rejected"] = json!(true));
        sim.reply_late(ticket, 200, &tokens(2, 3600));
        sim.expect_granted(caller);
        assert_eq!(stored(sim), "RT-CANARY-2");
        assert_eq!(grant(sim)["rejected"], json!(false));
    }

    /// Another process has logged in, for more: its grant is taken over.
    a_refresh_gives_way_to_a_login_elsewhere_host_241_host_224(sim = kept()) {
        if sim.restarting() {
            return;
        }
        logged_in(sim, &tokens(1, 3600));
        let caller = sim.refused(401, "Bearer");
        let (_, ticket) = refresh(sim, 1).hold();
        sim.store().change(RecordKind::Grant, |grant| {
            grant["access_token"] = json!("AT-CANARY-9");
            grant["refresh_token"] = json!("RT-CANARY-9");
            grant["requested"] = json!("files:read x y");
        });
        sim.reply_late(ticket, 200, &tokens(2, 3600));
        assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-9");
        sim.expect_note("took over a newer record");
        assert!(!sim.unsaved(caller));
        assert_eq!(stored(sim), "RT-CANARY-9");
    }

    /// What a newer version wrote, or nobody can read, is left as it is; callers go on from memory.
    a_refresh_leaves_what_it_cannot_read_bind_10_host_269(sim = kept()) {
        if sim.restarting() {
            return;
        }
        for (format, note) in [(json!(999), "store_version"), (json!("?"), "store_corrupt")] {
            let mut sim = kept();
            logged_in(&mut sim, &tokens(1, 3600));
            let caller = sim.refused(401, "Bearer");
            let (_, ticket) = refresh(&mut sim, 1).hold();
            sim.store().change(RecordKind::Grant, |grant| grant["format"] = format.clone());
            let before = grant(&mut sim);
            sim.reply_late(ticket, 200, &tokens(2, 3600));
            sim.expect_granted(caller);
            assert!(sim.unsaved(caller));
            sim.expect_note(note);
            sim.at(100);
            assert_eq!(grant(&mut sim), before);
        }
    }

    /// Two processes register at once: one registration is enough, and the store's is used.
    the_first_of_two_registrations_is_used_reg_19_bind_10(sim = kept()) {
        if sim.restarting() {
            return;
        }
        let caller = sim.acquire("files:read");
        discover(sim);
        sim.delay(Some(RecordKind::Client));
        register(sim, "c1");
        // The other process's record.
        let mut other = kept();
        other.acquire("files:read");
        discover(&mut other);
        register(&mut other, "c9");
        core::mem::swap(sim.store(), other.store());
        sim.release();
        assert_eq!(sim.expect_visit().param("client_id").as_deref(), Some("c9"));
        sim.expect_waiting(caller);
        let clients = sim.store().documents(RecordKind::Client);
        assert_eq!(clients[0]["credentials"]["client_id"], "c9");
    }

    /// An unsaved rotation is written as soon as the store is well, though nobody asks.
    an_unsaved_rotation_is_retried_by_the_clock_host_229(sim = kept()) {
        if sim.restarting() {
            return;
        }
        logged_in(sim, &tokens(1, 3600));
        let caller = sim.refused(401, "Bearer");
        let (_, ticket) = refresh(sim, 1).hold();
        sim.store().fail(Some(Kind::StoreLocked));
        sim.reply_late(ticket, 200, &tokens(2, 3600));
        sim.expect_granted(caller);
        assert_eq!(sim.waits_for(), Some(Awaited::Backoff));
        sim.at(31);
        sim.restart();
        sim.store().fail(None);
        sim.at(70);
        assert_eq!(stored(sim), "RT-CANARY-2");
        assert_eq!(sim.waits_for(), None);
    }
}
