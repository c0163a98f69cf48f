//! Who may send a refresh token or a code: one of all processes, and after a crash nobody twice
//! without knowing.

use mcp_authz_core::effect::{RecordKind, Stored, Why};
use mcp_authz_core::failure::{Kind, Remedy};
use mcp_authz_core::input::WaiterId;
use mcp_authz_tests::sim::{BEGINNING, Sim};
use serde_json::json;

use crate::given::{
    TOKEN, approve, at, bearer, discover, error, exchange, kept, logged_in, pause_until, refresh,
    register, tokens, up_to_exchange,
};

/// Another process has renewed the grant: these tokens, this long from the beginning.
fn renewed_elsewhere(sim: &mut Sim, number: u32, until: i64) {
    sim.store().change(RecordKind::Grant, |grant| {
        grant["access_token"] = json!(at(number));
        grant["refresh_token"] = json!(format!("RT-CANARY-{number}"));
        grant["expires"] = json!(BEGINNING + until);
    });
}

fn bearer_of(number: u32) -> String {
    format!("Bearer {}", at(number))
}

/// A process that has the grant of a login, whose token is over.
fn over() -> Sim {
    let mut sim = kept();
    logged_in(&mut sim, &tokens(1, 60));
    sim.new_process(|config| config.persistent(true));
    sim.at(60);
    sim
}

/// A login whose page is shown: its caller, the callback to come, and a copy of it as it is now.
fn copied_before_its_code(sim: &mut Sim) -> (WaiterId, String, Vec<u8>) {
    let waiter = sim.acquire("");
    discover(sim);
    register(sim, "c1");
    let (redirect, state) = sim.expect_visit().ours();
    let callback = format!("{redirect}?code=c&state={state}");
    (waiter, callback, sim.written())
}

/// A login goes on from the copy, and fails at its callback without a request.
fn the_copy_sends_no_code(sim: &mut Sim, copy: &[u8], callback: &str, code: &str) {
    sim.take_up(copy);
    let waiter = sim.acquire("");
    sim.arrive(callback);
    sim.expect_no_call();
    sim.expect_failed(waiter, code);
}

/// The words of the store's log since the login, without loads.
fn asked_of_the_store(sim: &mut Sim) -> Vec<String> {
    let log = sim.store().log().iter();
    let since = log.skip_while(|line| !line.starts_with("lease"));
    since.filter(|line| !line.starts_with("load")).cloned().collect()
}

scripts! {
    /// Lease, look, intent, request, swap, release: in this order, and nothing is left behind.
    a_refresh_is_a_transaction_ref_05_ref_06_ref_17(sim = over()) {
        let caller = sim.acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(caller);
        if !sim.restarting() {
            assert_eq!(asked_of_the_store(sim), [
                "lease Grant", "intend refresh-1-0", "swap Grant Some(1)",
                "release Some(\"refresh-1-0\")",
            ]);
        }
        assert_eq!((sim.store().leases(), sim.store().intents()), (0, 0));
    }

    /// There is nothing above it: the record is written over with itself, and taken over as such.
    the_largest_generation_is_renewed_ref_05_ref_06(sim = over()) {
        sim.store().number(RecordKind::Grant, u64::MAX);
        let caller = sim.acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        assert_eq!(sim.expect_granted(caller).authorization(), bearer_of(2).as_str());
        assert_eq!(sim.store().numbers(RecordKind::Grant), [u64::MAX]);
        let caller = sim.at(121).acquire("");
        refresh(sim, 2).reply_json(200, &tokens(3, 60));
        assert_eq!(sim.expect_granted(caller).authorization(), bearer_of(3).as_str());
        sim.at(182).store().change(RecordKind::Grant, |grant| {
            grant["access_token"] = json!(at(4));
            grant["refresh_token"] = json!("RT-CANARY-4");
            grant["expires"] = json!(BEGINNING + 3600);
        });
        let caller = sim.acquire("");
        assert_eq!(sim.expect_granted(caller).authorization(), bearer_of(4).as_str());
        sim.expect_no_call();
    }

    another_process_is_waited_for_and_its_token_taken_over_ref_06_host_223(sim = over()) {
        sim.store().lease_elsewhere(true);
        let callers: Vec<_> = (0..5).map(|_| sim.acquire("")).collect();
        sim.at(65).expect_no_call();
        renewed_elsewhere(sim, 2, 3600);
        sim.store().lease_elsewhere(false);
        sim.at(66);
        for caller in callers {
            assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-2");
        }
        sim.expect_no_call();
        sim.expect_note("a newer record");
    }

    /// Another process has logged in and got no refresh token, and that login is over by now: there is
    /// nothing to send, and a person is needed.
    a_newer_login_that_nothing_renews_needs_a_person_ref_06_ref_08(sim = over()) {
        sim.store().change(RecordKind::Grant, |grant| {
            grant["access_token"] = json!(at(9));
            grant["refresh_token"] = json!(null);
            grant["expires"] = json!(BEGINNING + 30);
        });
        let caller = sim.acquire_quietly("");
        sim.expect_failed(caller, "reauthorization_required");
        sim.expect_no_call();
    }

    /// The lease of a process that was killed is free at once.
    the_lease_of_the_dead_is_free_host_239(sim = over()) {
        sim.store().lease_elsewhere(true);
        let caller = sim.acquire("");
        sim.at(61).store().kill_everybody();
        pause_until(sim, 62);
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(caller);
    }

    /// A process that is stopped keeps its lease; nobody steals it, and nobody waits for ever.
    a_lease_is_not_stolen_host_238(sim = over()) {
        sim.store().lease_elsewhere(true);
        let caller = sim.acquire("");
        sim.at(75).restart();
        sim.at(89);
        sim.expect_waiting(caller);
        sim.at(91);
        let failure = sim.expect_failed(caller, "store_locked");
        assert_eq!(failure.remedy(), Remedy::Retry { after: None });
        sim.expect_no_call();
        sim.expect_no_visit();
        sim.store().lease_elsewhere(false);
        let next = sim.at(102).acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(next);
    }

    a_live_token_needs_no_lease_ref_07(sim = kept()) {
        logged_in(sim, &tokens(1, 3600));
        sim.store().lease_elsewhere(true);
        // Refreshing ahead waits for the lease; the callers do not wait for that.
        let caller = sim.at(3579).acquire("");
        assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-1");
        sim.store().lease_elsewhere(false);
        pause_until(sim, 3581);
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        assert_eq!(bearer(sim), at(2));
    }

    /// Somebody has made the lock file anew, so two have the lease: the intent admits one.
    a_lost_lock_admits_nobody_host_240(sim = over()) {
        sim.store().intend_elsewhere(0, true);
        let caller = sim.acquire("");
        sim.at(63).expect_no_call();
        sim.expect_waiting(caller);
        renewed_elsewhere(sim, 2, 3600);
        sim.at(66);
        assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-2");
        sim.expect_no_call();
    }

    whoever_spends_for_ever_is_not_waited_for_host_240_host_238(sim = over()) {
        sim.store().intend_elsewhere(0, true);
        let caller = sim.acquire_quietly("");
        if sim.restarting() {
            sim.store().kill_everybody();
            pause_until(sim, 61);
            refresh(sim, 1).reply_json(200, &tokens(2, 60));
            return;
        }
        sim.at(92);
        sim.expect_failed(caller, "store_locked");
        sim.expect_no_call();
    }

    /// The process that sent the token was killed before it saved the answer: once more, after a
    /// moment, and if that is refused a person is asked.
    what_a_dead_process_sent_is_tried_once_more_host_228_host_227(sim = over()) {
        sim.store().intend_elsewhere(0, false);
        let caller = sim.acquire("");
        sim.expect_no_call();
        pause_until(sim, 61);
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-2");
        assert_eq!(sim.store().intents(), 0);
    }

    what_a_dead_process_sent_may_be_refused_host_228_host_225(sim = over()) {
        sim.store().intend_elsewhere(0, false);
        let quiet = sim.acquire_quietly("");
        pause_until(sim, 61);
        refresh(sim, 1).reply_json(400, &error("invalid_grant"));
        sim.expect_failed(quiet, "reauthorization_required");
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["rejected"], true);
        // And a person is asked, once; the token is never sent again.
        let asks = sim.at(80).acquire("");
        discover(sim);
        approve(sim).reply_json(200, &tokens(3, 60));
        sim.expect_granted(asks);
    }

    /// Two processes have died of it: a third does not send it.
    a_token_that_kills_is_not_sent_for_ever_host_228_step_16(sim = over()) {
        sim.store().intend_elsewhere(0, false);
        sim.store().intend_elsewhere(1, false);
        let quiet = sim.acquire_quietly("");
        sim.at(61);
        sim.expect_failed(quiet, "reauthorization_required");
        sim.expect_no_call();
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["rejected"], true);
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["refresh_token"], "RT-CANARY-1");
    }

    /// An outage during the recovery does not use it up.
    an_outage_is_no_crash_ref_09_host_226(sim = over()) {
        sim.store().intend_elsewhere(0, false);
        let caller = sim.acquire_quietly("");
        pause_until(sim, 61);
        refresh(sim, 1).reply(503);
        sim.expect_failed(caller, "transient");
        let again = sim.at(80).acquire_quietly("");
        pause_until(sim, 81);
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(again);
    }

    /// A request that certainly brought nothing leaves no intent for others to stumble over.
    an_intent_is_withdrawn_after_a_failure_ref_09(sim = over()) {
        let caller = sim.acquire_quietly("");
        refresh(sim, 1).reply(429);
        if sim.restarting() {
            return; // a restart has made the first sending an orphan
        }
        for second in [61, 65] {
            sim.at(second);
            refresh(sim, 1).reply(429);
        }
        sim.expect_failed(caller, "transient");
        assert_eq!((sim.store().leases(), sim.store().intents()), (0, 0));
    }

    /// While the store does not have what came, no other process may send the old token.
    an_unsaved_rotation_keeps_its_intent_host_229(sim = over()) {
        let caller = sim.acquire("");
        let answer = refresh(sim, 1).hold();
        sim.store().answer("swap", Some(Stored::Failed(Kind::StoreUnavailable)));
        sim.reply_late(answer.1, 200, &tokens(2, 600));
        sim.expect_granted(caller);
        assert!(sim.unsaved(caller));
        assert_eq!(sim.store().leases(), 0);
        assert!(sim.store().intents() > 0);
        sim.store().heal();
        sim.at(95);
        assert_eq!(sim.store().intents(), 0);
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["refresh_token"], "RT-CANARY-2");
    }

    /// A backup is put back while a process holds what came after it.
    an_older_copy_is_written_over_host_291(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let backup = sim.store().backup();
        sim.at(60).acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.store().put_back(backup);
        let caller = sim.at(125).acquire("");
        refresh(sim, 2).reply_json(200, &tokens(3, 600));
        assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-3");
        assert!(!sim.unsaved(caller));
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["refresh_token"], "RT-CANARY-3");
    }

    /// The store is wiped while two processes hold the grant: the one that saves it first is
    /// recognised by the other, although the record is new.
    a_wiped_store_is_filled_again_host_291(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        sim.at(60).acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.store().put_back(std::collections::BTreeMap::new());
        let caller = sim.at(125).acquire("");
        refresh(sim, 2).reply_json(200, &tokens(3, 60));
        sim.expect_granted(caller);
        let backup = sim.store().backup();
        let grant = backup.iter().find(|(key, _)| key.kind == RecordKind::Grant);
        assert!(grant.unwrap().1.generation > 2, "above what anybody holds");
    }

    /// What the store never got is nobody else's: it is renewed without the store's word, as long as
    /// the store says that it cannot.
    an_unsaved_grant_is_renewed_all_the_same_host_229_host_280(sim = kept()) {
        if sim.restarting() {
            return; // of two copies of a login only the store can tell which sends the code
        }
        let caller = sim.acquire("files:read");
        discover(sim);
        register(sim, "c1");
        sim.store().fail(Some(Kind::StoreUnavailable));
        approve(sim).reply_json(200, &tokens(1, 60));
        sim.expect_granted(caller);
        assert!(sim.unsaved(caller));
        let caller = sim.at(60).acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(caller);
        sim.store().fail(None);
        sim.at(130);
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["refresh_token"], "RT-CANARY-2");
        assert_eq!(sim.store().documents(RecordKind::Client)[0]["credentials"]["client_id"], "c1");
    }

    a_store_without_locks_needs_a_switch_host_288(sim = over()) {
        sim.store().answer("lease", Some(Stored::Failed(Kind::StoreLockUnsupported)));
        let caller = sim.acquire_quietly("");
        let failure = sim.expect_failed(caller, "store_lock_unsupported");
        assert!(failure.to_string().contains("unlocked_refresh"), "{failure}");
        sim.expect_no_call();
        sim.new_process(|config| config.persistent(true).danger().allow_unlocked_refresh().done());
        let caller = sim.acquire_quietly("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(caller);
        sim.expect_note("unlocked_refresh");
    }

    /// Without the store's word a refresh token is not spent: nothing is lost by waiting.
    nothing_is_sent_without_an_intent_ref_17_host_280(sim = over()) {
        for (operation, answer) in [
            ("lease", Some(Stored::Failed(Kind::StoreUnavailable))),
            ("intend", Some(Stored::Failed(Kind::StoreUnavailable))),
        ] {
            sim.store().answer(operation, answer);
            let caller = sim.acquire_quietly("");
            sim.expect_failed(caller, "store_unavailable");
            sim.expect_no_call();
            sim.expect_no_visit();
            sim.store().heal();
            assert_eq!(sim.store().leases(), 0, "{operation}");
        }
        sim.at(80).acquire_quietly("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
    }

    a_silent_store_ends_in_an_error_bind_09(sim = over()) {
        let mut now = 60;
        for operation in ["lease", "intend", "load"] {
            let first = sim.acquire_quietly("");
            let _ = first;
            sim.store().answer(operation, None);
            sim.store().lease_elsewhere(false);
            now += 120;
            let caller = sim.at(now).acquire_quietly("");
            sim.restart();
            now += 120;
            sim.at(now);
            let _ = caller;
            sim.store().heal();
        }
        sim.expect_no_visit();
    }

    /// A lease that cannot be given back keeps nobody waiting here.
    a_release_that_is_not_answered_settles_everybody_ref_05(sim = over()) {
        for (answer, now) in
            [(None, 100), (Some(Stored::Failed(Kind::StoreUnavailable)), 200)]
        {
            sim.store().answer("release", answer);
            let caller = sim.at(now).acquire_quietly("");
            let number = if now == 100 { 1 } else { 2 };
            refresh(sim, number).reply_json(200, &tokens(number + 1, 60));
            sim.expect_granted(caller);
            sim.at(now + 31);
            sim.store().heal();
        }
    }

    a_restart_in_a_release_needs_none_ref_05(sim = over()) {
        sim.store().answer("release", None);
        let caller = sim.acquire_quietly("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(caller);
        sim.restart();
        assert_eq!(sim.store().leases(), 0);
    }

    a_newer_format_ends_the_claim_bind_10_host_272(sim = over()) {
        sim.store().lease_elsewhere(true);
        let caller = sim.acquire_quietly("");
        sim.store().change(RecordKind::Grant, |grant| grant["format"] = json!(999));
        sim.store().lease_elsewhere(false);
        sim.at(62);
        sim.expect_failed(caller, "store_version");
        sim.expect_no_call();
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["format"], 999);
    }

    /// Two processes go on from one snapshot: the second does not send the code.
    a_code_is_sent_by_one_process_tok_04_host_184(sim = kept()) {
        let waiter = sim.acquire("");
        discover(sim);
        register(sim, "c1");
        sim.store().answer("intend", Some(Stored::Standing { made_by_the_living: true }));
        sim.expect_visit().arrive_with_code("");
        sim.expect_no_call();
        sim.expect_failed(waiter, "callback_used");
    }

    /// The copy that sent it is gone, and its answer with it.
    a_code_is_sent_once_tok_04_host_184(sim = kept()) {
        let waiter = sim.acquire("");
        discover(sim);
        register(sim, "c1");
        sim.store().answer("intend", Some(Stored::Standing { made_by_the_living: false }));
        sim.expect_visit().arrive_with_code("");
        sim.expect_no_call();
        sim.expect_failed(waiter, "outcome_unknown");
    }

    /// The copy that sent it has ended well, and its intent is gone: what it brought is there.
    a_code_whose_login_is_over_is_not_sent_tok_04_host_184(sim = kept()) {
        if sim.restarting() {
            return; // each step would be another copy
        }
        let (waiter, callback, copy) = copied_before_its_code(sim);
        sim.arrive(&callback);
        exchange(sim).reply_json(200, &tokens(1, 3600));
        sim.expect_granted(waiter);
        assert_eq!(sim.store().intents(), 0);
        the_copy_sends_no_code(sim, &copy, &callback, "callback_used");
    }

    /// It was its turn, and whoever goes on from it cannot know what it did with that.
    a_copy_that_is_restored_in_its_last_look_sends_no_code_tok_04_host_184(sim = kept()) {
        sim.acquire("");
        discover(sim);
        register(sim, "c1");
        let (redirect, state) = sim.expect_visit().ours();
        sim.restart();
        sim.store().answer("load", None);
        sim.arrive(&format!("{redirect}?code=c&state={state}"));
        sim.expect_no_call();
        sim.store().heal();
        sim.restart();
        sim.expect_note("failed: outcome_unknown [TOK-04]");
        assert_eq!(sim.count(TOKEN), 0);
    }

    /// Copies of the login must not send the code while nobody knows what became of it, or before what
    /// came is saved. After that it would only take room. The last that nobody knows of stands on:
    /// the grant of a later login tells a copy of that one nothing.
    the_intent_of_a_code_stands_as_long_as_it_serves_host_331(sim = kept()) {
        if sim.restarting() {
            return; // what is out is lost with each process
        }
        let (waiter, call) = up_to_exchange(sim);
        call.maybe_sent(Why::Broken);
        sim.expect_failed(waiter, "outcome_unknown");
        assert_eq!(sim.store().intents(), 1, "nobody knows");
        sim.forget();
        assert_eq!(sim.store().intents(), 1, "an empty record tells a copy nothing");
        sim.acquire("files:read");
        discover(sim);
        approve(sim).reply_json(401, &error("invalid_client"));
        assert_eq!(sim.store().intents(), 2, "it brought nothing that a copy could see in the store");
        register(sim, "c2");
        sim.store().answer("swap", Some(Stored::Failed(Kind::StoreUnavailable)));
        approve(sim).reply_json(200, &tokens(1, 3600));
        assert_eq!(sim.store().intents(), 3, "what came is not saved");
        sim.store().heal();
        sim.at(60);
        assert_eq!(sim.store().intents(), 1);
    }

    /// A token that may have been sent by a process that is gone is tried once more, and refused. The
    /// store cannot be looked into then, so the record does not say that the token is dead; the mark
    /// that it was sent stands, and whoever comes after another crash does not send it a third time.
    a_refused_token_that_no_record_calls_dead_keeps_its_mark_ref_08_host_228(sim = over()) {
        if sim.restarting() {
            return; // each restart tries it anew
        }
        sim.acquire("");
        let _lost = refresh(sim, 1).hold();
        sim.new_process(|config| config.persistent(true));
        let caller = sim.acquire_quietly("");
        sim.at(62);
        let (_, ticket) = refresh(sim, 1).hold();
        sim.store().answer("load", Some(Stored::Failed(Kind::StoreUnavailable)));
        sim.reply_late(ticket, 400, &error("invalid_grant"));
        sim.expect_failed(caller, "store_unavailable");
        sim.store().heal();
        sim.new_process(|config| config.persistent(true));
        let caller = sim.acquire_quietly("");
        sim.at(70).expect_no_call();
        sim.expect_failed(caller, "reauthorization_required");
        let grant = sim.store().documents(RecordKind::Grant)[0].clone();
        assert_eq!(grant["rejected"], true);
    }

    /// The first refusal of a token reaches no store that could say so: the record is written once
    /// the store is well, and until then no copy of the record sends the token once more.
    a_refused_token_is_called_dead_as_soon_as_the_store_is_well_ref_08(sim = over()) {
        if sim.restarting() {
            return; // each restart looks into the store anew
        }
        let caller = sim.acquire_quietly("");
        sim.store().answer("swap", Some(Stored::Failed(Kind::StoreUnavailable)));
        refresh(sim, 1).reply_json(400, &error("invalid_grant"));
        sim.expect_failed(caller, "reauthorization_required");
        assert_eq!(sim.store().intents(), 1, "a copy of the record is not told otherwise");
        sim.store().heal();
        sim.at(120).expect_no_call();
        let grant = sim.store().documents(RecordKind::Grant)[0].clone();
        assert_eq!(grant["rejected"], true);
    }

    /// A log-out empties the record, which then tells a copy of the login nothing. The mark of the
    /// code that is out does.
    a_copy_from_before_a_log_out_sends_no_code_tok_04_revk_05(sim = kept()) {
        if sim.restarting() {
            return; // each step would be another copy
        }
        let (waiter, callback, copy) = copied_before_its_code(sim);
        sim.arrive(&callback);
        exchange(sim).maybe_sent(Why::Broken);
        sim.expect_failed(waiter, "outcome_unknown");
        sim.forget();
        the_copy_sends_no_code(sim, &copy, &callback, "outcome_unknown");
    }

    /// A later login of the same process has brought a grant. That grant says nothing of the code
    /// before it; the mark of that code does.
    a_copy_from_before_a_later_login_sends_no_code_tok_04(sim = kept()) {
        if sim.restarting() {
            return; // each step would be another copy
        }
        let (waiter, callback, copy) = copied_before_its_code(sim);
        sim.arrive(&callback);
        exchange(sim).maybe_sent(Why::Broken);
        sim.expect_failed(waiter, "outcome_unknown");
        let waiter = sim.acquire("files:read");
        discover(sim);
        approve(sim).reply_json(200, &tokens(1, 3600));
        sim.expect_granted(waiter);
        the_copy_sends_no_code(sim, &copy, &callback, "outcome_unknown");
    }

    /// A login that was taken up after a restart sends no code unseen, its second one included: a copy
    /// of it may have ended before.
    a_second_code_is_looked_up_like_the_first_host_184_reg_21(sim = kept()) {
        if sim.restarting() {
            return; // the restart of this script is its own
        }
        sim.acquire("files:read");
        discover(sim);
        register(sim, "c1");
        sim.restart();
        let looked = |sim: &mut Sim| {
            let log = sim.store().log();
            let intent = log.iter().rposition(|line| line.starts_with("intend code-")).unwrap();
            log[intent..].iter().any(|line| line == "load Grant")
        };
        let call = approve(sim);
        call.reply_json(401, &error("invalid_client"));
        assert!(looked(sim));
        register(sim, "c2");
        let _code = approve(sim).hold();
        assert!(looked(sim));
    }

    /// A store that is down stops no login.
    a_code_is_sent_without_a_store_host_280(sim = kept()) {
        let waiter = sim.acquire("");
        discover(sim);
        register(sim, "c1");
        sim.store().answer("intend", None);
        sim.expect_visit().arrive_with_code("");
        sim.expect_no_call();
        if sim.restarting() {
            return; // a restart makes a copy, which is the next script
        }
        sim.at(35);
        exchange(sim).reply_json(200, &tokens(1, 60));
        sim.expect_granted(waiter);
        sim.expect_no_call();
    }

    /// Of two copies of one login only the store can tell which has sent the code.
    a_copy_sends_no_code_without_the_store_tok_04_host_184(sim = kept()) {
        let waiter = sim.acquire("");
        discover(sim);
        register(sim, "c1");
        sim.store().answer("intend", None);
        sim.expect_visit().arrive_with_code("");
        sim.restart();
        sim.at(35);
        sim.expect_no_call();
        sim.expect_failed(waiter, "outcome_unknown");
    }
}
