//! Refreshing: one for all, never lost, never by the person's hand.

use mcp_authz_core::effect::RecordKind;
use mcp_authz_core::failure::Remedy;
use serde_json::json;

use crate::given::{
    access_only, at, bearer, by_hand, discover, discover_with, error, exchange, kept, logged_in,
    refresh, register, resource, server_with, tokens,
};

scripts! {
    /// Any number of callers, any mix of expiry and refusal.
    one_refresh_for_many_callers_ref_05_host_221_host_222(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        sim.at(60);
        let mut callers: Vec<_> = (0..50).map(|_| sim.acquire("")).collect();
        callers.extend((0..50).map(|_| sim.acquire_quietly("files:read")));
        callers.extend((0..50).map(|_| sim.refused(401, "Bearer error=\"invalid_token\"")));
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        for caller in callers {
            assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-2");
        }
        sim.expect_no_call();
    }

    an_old_epoch_is_answered_with_the_current_grant_step_12_host_222(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let old = sim.published().map(|granted| granted.epoch());
        let first = sim.refused(401, "Bearer");
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(first);
        let late = sim.refused_with(old, 401, "Bearer", "tools/list", false, true);
        assert_eq!(sim.expect_granted(late).authorization(), "Bearer AT-CANARY-2");
        let unnamed = sim.refused_with(None, 401, "Bearer", "tools/list", false, true);
        sim.expect_granted(unnamed);
        sim.expect_no_call();
    }

    a_refresh_sends_what_was_recorded_and_asks_for_no_more_ref_01_ref_02_ref_10_ref_13_ref_16_bind_06_host_235(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        sim.at(60);
        let caller = sim.acquire("");
        // Nothing is looked up again: the endpoint is the one that issued the token.
        let call = refresh(sim, 1);
        assert_eq!(call.form("client_id"), ["c1"]);
        assert_eq!(call.form("resource"), ["https://mcp.example/mcp"]);
        assert!(call.form("scope").is_empty());
        assert!(call.header("authorization").is_empty());
        call.reply_json(200, &tokens(2, 60));
        // What goes to the MCP server is the access token alone (REF-10).
        assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-2");
    }

    an_answer_without_a_refresh_token_keeps_the_old_one_ref_03_host_231(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        sim.at(60).acquire("");
        refresh(sim, 1).reply_json(200, &access_only(2, 60));
        sim.at(120).acquire("");
        refresh(sim, 1).reply_json(200, &tokens(3, 60));
        sim.at(180).acquire("");
        refresh(sim, 3).reply_json(200, &tokens(4, 60));
        assert_eq!(bearer(sim), at(4));
    }

    a_refresh_token_that_fits_no_header_replaces_nothing_host_213(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        sim.at(60).acquire("");
        let mut answer = tokens(2, 60);
        answer["refresh_token"] = json!("RT\r\n2");
        refresh(sim, 1).reply_json(200, &answer);
        sim.at(120).acquire("");
        refresh(sim, 1).reply_json(200, &tokens(3, 60));
    }

    scopes_stay_where_a_refresh_names_none_ref_14_host_237(sim = by_hand()) {
        let mut answer = tokens(1, 60);
        answer["scope"] = json!("files:read files:list");
        logged_in(sim, &answer);
        sim.at(60).acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        let scopes = |sim: &mcp_authz_tests::sim::Sim| {
            sim.published().and_then(|granted| granted.scopes().cloned()).unwrap()
        };
        assert_eq!(scopes(sim).as_str(), "files:read files:list");
        sim.at(120).acquire("");
        let mut narrower = tokens(3, 60);
        narrower["scope"] = json!("files:list");
        refresh(sim, 2).reply_json(200, &narrower);
        assert_eq!(scopes(sim).as_str(), "files:list");
    }

    no_refresh_token_means_a_login_when_the_token_ends_ref_11(sim = by_hand()) {
        logged_in(sim, &access_only(1, 60));
        sim.at(60);
        let quiet = sim.acquire_quietly("");
        let failure = sim.expect_failed(quiet, "reauthorization_required");
        assert_eq!(failure.remedy(), Remedy::AskUser);
        sim.expect_no_call();
        let asks = sim.acquire("");
        discover(sim);
        let call = crate::given::approve(sim);
        call.reply_json(200, &access_only(2, 60));
        sim.expect_granted(asks);
    }

    /// The live token stays in use while its successor is fetched; nobody waits.
    a_refresh_ahead_keeps_the_live_token_in_use_ref_07(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        sim.at(3569);
        let early = sim.acquire("");
        sim.expect_granted(early);
        sim.expect_no_call();
        // Somewhere in a quarter of that time, by chance, so that not every process asks at once.
        sim.at(3578);
        let meanwhile = sim.acquire("");
        assert_eq!(sim.expect_granted(meanwhile).authorization(), "Bearer AT-CANARY-1");
        let call = refresh(sim, 1);
        call.reply_json(200, &tokens(2, 3600));
        assert_eq!(bearer(sim), at(2));
        let after = sim.acquire("");
        assert_eq!(sim.expect_granted(after).authorization(), "Bearer AT-CANARY-2");
        sim.expect_no_call();
    }

    /// At most a quarter of the life, so that a short one is not refreshed from its beginning.
    a_short_life_is_renewed_in_its_last_quarter_ref_07(sim = by_hand()) {
        logged_in(sim, &tokens(1, 40));
        sim.at(29);
        sim.acquire("");
        sim.expect_no_call();
        sim.at(33);
        sim.acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 40));
    }

    a_failed_refresh_ahead_only_moves_its_next_attempt_ref_07_ref_09(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        sim.at(3578);
        let before = sim.acquire("");
        sim.expect_granted(before);
        refresh(sim, 1).respond(503, &[("retry-after", "100")], b"");
        let during = sim.acquire("");
        assert_eq!(sim.expect_granted(during).authorization(), "Bearer AT-CANARY-1");
        sim.at(3590).acquire("");
        sim.expect_no_call();
        sim.expect_no_visit();
        // At its end the token is refreshed because a caller needs it.
        sim.at(3600);
        let needs = sim.acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(needs);
    }

    /// A server that ends each token at once causes no storm; it decides itself what it accepts.
    expires_in_zero_is_refreshed_once_in_ten_seconds_host_203_host_233(sim = by_hand()) {
        logged_in(sim, &tokens(1, 0));
        let caller = sim.acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 0));
        assert_eq!(sim.expect_granted(caller).authorization(), "Bearer AT-CANARY-2");
        for second in 3..10 {
            let next = sim.at(second).acquire("");
            assert_eq!(sim.expect_granted(next).authorization(), "Bearer AT-CANARY-2");
            sim.expect_no_call();
        }
        let later = sim.at(13).acquire("");
        refresh(sim, 2).reply_json(200, &tokens(3, 0));
        sim.expect_granted(later);
        // A refusal of the newest token does not wait.
        let refused = sim.refused(401, "Bearer");
        refresh(sim, 3).reply_json(200, &tokens(4, 0));
        sim.expect_granted(refused);
    }

    /// Refused for good: marked, kept, never sent again; a person is asked, if one may be.
    a_refused_refresh_token_is_kept_and_never_sent_again_ref_08_host_225(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        sim.at(60);
        let quiet = sim.acquire_quietly("");
        let asks = sim.acquire("");
        refresh(sim, 1).reply_json(400, &error("invalid_grant"));
        sim.expect_failed(quiet, "reauthorization_required");
        let record = &sim.store().documents(RecordKind::Grant)[0];
        assert_eq!((&record["rejected"], &record["refresh_token"]), (&json!(true), &json!("RT-CANARY-1")));
        sim.expect_waiting(asks);
        discover(sim);
        // The registration is still good.
        crate::given::approve(sim).reply_json(200, &tokens(2, 60));
        sim.expect_granted(asks);
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["rejected"], json!(false));
        sim.at(120).acquire("");
        refresh(sim, 2).reply_json(200, &tokens(3, 60));
    }

    a_rotated_token_is_rescued_from_a_broken_answer_ref_03_host_232(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        let mut answer = tokens(2, 60);
        answer["access_token"] = json!("AT\r\n2");
        refresh(sim, 1).reply_json(200, &answer);
        sim.expect_failed(caller, "token_malformed");
        let record = &sim.store().documents(RecordKind::Grant)[0];
        assert_eq!((&record["refresh_token"], &record["access_token"]), (&json!("RT-CANARY-2"), &json!(null)));
        sim.expect_no_visit();
        let next = sim.at(71).acquire("");
        refresh(sim, 2).reply_json(200, &tokens(3, 60));
        sim.expect_granted(next);
    }

    /// Its caller is gone; the token is not.
    a_refresh_goes_on_without_its_caller_host_230(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        sim.cancel(caller);
        sim.expect_failed(caller, "cancelled");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["refresh_token"], "RT-CANARY-2");
        let next = sim.acquire("");
        assert_eq!(sim.expect_granted(next).authorization(), "Bearer AT-CANARY-2");
        sim.expect_no_call();
    }

    a_late_answer_does_not_undo_a_log_out_host_242(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        let (_, ticket) = refresh(sim, 1).hold();
        sim.forget();
        sim.expect_failed(caller, "cancelled");
        sim.at(61).reply_late(ticket, 200, &tokens(2, 60));
        assert!(sim.published().is_none());
        let record = &sim.store().documents(RecordKind::Grant)[0];
        assert_eq!((&record["refresh_token"], &record["rejected"]), (&json!(null), &json!(true)));
        let quiet = sim.acquire_quietly("");
        sim.expect_failed(quiet, "reauthorization_required");
        sim.expect_no_call();
    }

    /// The registration is gone: the grant is kept, and a person is asked with a new one.
    a_client_that_is_gone_is_registered_anew_host_236_reg_21(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        sim.at(60);
        let quiet = sim.acquire_quietly("");
        let asks = sim.acquire("");
        refresh(sim, 1).reply_json(401, &error("invalid_client"));
        sim.expect_failed(quiet, "client_rejected");
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["refresh_token"], "RT-CANARY-1");
        assert_eq!(sim.store().documents(RecordKind::Client)[0]["stale"], true);
        discover(sim);
        register(sim, "c2");
        let visit = sim.expect_visit();
        visit.arrive_with_code("");
        exchange(sim).reply_json(200, &tokens(2, 60));
        sim.expect_granted(asks);
        sim.at(120).acquire("");
        let call = refresh(sim, 2);
        assert_eq!(call.form("client_id"), ["c2"]);
        call.reply_json(200, &tokens(3, 60));
    }

    /// What one process was told about the client, the next one knows.
    a_client_that_is_gone_is_sent_by_no_other_process_reg_21(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        sim.at(60);
        sim.acquire_quietly("");
        refresh(sim, 1).reply_json(401, &error("invalid_client"));
        sim.new_process(|config| config.persistent(true));
        let quiet = sim.acquire_quietly("");
        sim.expect_failed(quiet, "reauthorization_required");
        sim.expect_no_call();
        sim.acquire("");
        discover(sim);
        register(sim, "c2");
    }

    /// Another process has registered anew before this one heard that the client is gone.
    a_registration_made_meanwhile_is_not_marked_reg_21(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        sim.at(60);
        let quiet = sim.acquire_quietly("");
        let (_, ticket) = refresh(sim, 1).hold();
        sim.store().change(RecordKind::Client, |client| {
            client["credentials"]["client_id"] = json!("c2");
        });
        if sim.restarting() {
            return; // the process that sent it is gone
        }
        sim.reply_late(ticket, 401, &error("invalid_client"));
        sim.expect_failed(quiet, "client_rejected");
        let client = sim.store().documents(RecordKind::Client)[0].clone();
        assert_eq!((&client["stale"], &client["credentials"]["client_id"]), (&json!(false), &json!("c2")));
    }

    /// A program without refresh asks for none.
    without_refresh_nothing_asks_for_it_ref_15_scope_10(
        sim = mcp_authz_tests::sim::Sim::by_hand(|config| config.refresh_tokens(false))
    ) {
        sim.acquire("");
        let listed = json!({ "scopes_supported": ["offline_access"] });
        discover_with(sim, &resource(&["files:read", "offline_access"]), &server_with(&listed));
        let call = sim.expect_call(http::Method::POST, crate::given::REGISTER);
        assert_eq!(call.json()["grant_types"], json!(["authorization_code"]));
        call.reply_json(201, &json!({ "client_id": "c1" }));
        assert_eq!(sim.expect_visit().param("scope").as_deref(), Some("files:read"));
    }
}
