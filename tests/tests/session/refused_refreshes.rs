//! Refreshes that the server refuses, in whatever words, and what of it is durable before anybody hears
//! of it (REF-90, REF-91).

use http::Method;
use mcp_authz_core::effect::RecordKind;
use mcp_authz_core::failure::Remedy;
use mcp_authz_core::time::Awaited;
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::given::{
    TOKEN, approve, at, discover, error, in_the_clear, kept, kept_in_the_clear, known_client,
    logged_in, pause_until, refresh, tokens, up_to_exchange_in_the_clear,
};

/// Another process: it knows the MCP URL and the store.
fn another_process(sim: &mut Sim) {
    sim.new_process(|config| config.persistent(true));
}

/// Refusals that mean it: the status, the body, and a piece of what a person is to read.
const DEFINITE: [(u16, &str, &str); 9] = [
    (200, r#"{"ok":false,"error":"invalid_refresh_token"}"#, "invalid_refresh_token"),
    (422, r#"{"message":"Invalid Refresh Token"}"#, "Invalid Refresh Token"),
    (400, r#"{"error":"invalid_scope"}"#, "invalid_scope"),
    (400, r#"{"error":"invalid_request","error_description":"gone"}"#, "gone"),
    (400, r#"{"error":"interaction_required"}"#, "interaction_required"),
    (401, r#"{"error":{"message":"no such session"}}"#, "no such session"),
    (403, r#"{"detail":"revoked by an administrator"}"#, "revoked by an administrator"),
    (404, r#"{"title":"unknown token"}"#, "unknown token"),
    (410, r#"{"errorSummary":"it has been used"}"#, "it has been used"),
];

/// Answers that say nothing about the grant.
const PASSING: [(u16, &str, &str); 7] = [
    (400, r#"{"error":"temporarily_unavailable"}"#, "server_error"),
    (400, r#"{"error":"server_error"}"#, "server_error"),
    (400, r#"{"error":"slow_down"}"#, "server_error"),
    (200, r#"{"ok":false,"error":"ratelimited"}"#, "server_error"),
    (403, "<html>blocked</html>", "server_error"),
    (429, "{}", "transient"),
    (503, r#"{"error":"invalid_grant"}"#, "transient"),
];

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

scripts! {
    /// Each is an end of the grant as far as anybody can tell: one login in that very call. The record
    /// is kept until the login replaces it.
    a_refusal_in_other_words_leads_to_a_login_ref_90(sim = kept()) {
        let mut number = 1;
        logged_in(sim, &tokens(number, 3));
        for (status, body, _) in DEFINITE {
            sim.at(u64::from(number) * 100);
            another_process(sim);
            let caller = sim.acquire("files:read");
            refresh(sim, number).respond(status, JSON, body.as_bytes());
            let record = sim.store().documents(RecordKind::Grant)[0].clone();
            assert_eq!(record["refresh_token"], format!("RT-CANARY-{number}"), "{body}");
            assert_ne!(record["rejected"], json!(true), "{body}");
            discover(sim);
            number += 1;
            approve(sim).reply_json(200, &tokens(number, 3));
            assert_eq!(sim.expect_granted(caller).access_token().expose(), at(number), "{body}");
        }
    }

    /// Whoever may ask nobody hears it in the server's own words.
    a_refusal_in_other_words_is_told_to_a_quiet_caller_ref_90_tok_90(sim = kept()) {
        logged_in(sim, &tokens(1, 3));
        for (round, (status, body, said)) in (1..).zip(DEFINITE) {
            sim.at(round * 100);
            another_process(sim);
            let quiet = sim.acquire_quietly("");
            refresh(sim, 1).respond(status, JSON, body.as_bytes());
            let failure = sim.expect_failed(quiet, "reauthorization_required");
            assert_eq!(failure.remedy(), Remedy::AskUser, "{body}");
            assert!(failure.to_string().contains(said), "{failure}");
            // It is not sent again for everybody who asks, and all hear why.
            let next = sim.acquire_quietly("");
            let failure = sim.expect_failed(next, "reauthorization_required");
            assert!(failure.to_string().contains(said), "{failure}");
            sim.expect_no_call();
        }
    }

    /// The request that comes next goes without a token, and its refusal leads to the login.
    a_bare_request_after_such_a_refusal_leads_to_a_login_ref_90_step_90(sim = kept()) {
        logged_in(sim, &tokens(1, 3));
        sim.at(4);
        let quiet = sim.acquire_quietly("");
        refresh(sim, 1).reply_json(400, &error("invalid_scope"));
        sim.expect_failed(quiet, "reauthorization_required");
        let bare = sim.refused_with(None, 401, "Bearer", "tools/list", false, true);
        discover(sim);
        approve(sim).reply_json(200, &tokens(2, 3600));
        assert_eq!(sim.expect_granted(bare).access_token().expose(), at(2));
    }

    /// Another process may have spent the token, and saved what it got.
    a_refusal_in_other_words_loads_the_store_once_more_ref_90_host_224(sim = kept()) {
        logged_in(sim, &tokens(1, 3));
        let caller = sim.at(4).acquire("");
        let call = refresh(sim, 1).hold().1;
        if sim.restarting() {
            return;
        }
        sim.store().change(RecordKind::Grant, |grant| {
            grant["access_token"] = json!(at(2));
            grant["refresh_token"] = json!("RT-CANARY-2");
            grant.as_object_mut().map(|members| members.remove("expires"));
        });
        sim.reply_late(call, 422, &json!({ "message": "Already Used" }));
        assert_eq!(sim.expect_granted(caller).access_token().expose(), at(2));
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    /// What the store has under another number is the same grant: it says nothing new about the token.
    a_refusal_in_other_words_is_not_undone_by_the_same_grant_ref_90_host_224(sim = kept()) {
        logged_in(sim, &tokens(1, 3));
        let quiet = sim.at(4).acquire_quietly("");
        let (_, call) = refresh(sim, 1).hold();
        if sim.restarting() {
            return;
        }
        sim.store().number(RecordKind::Grant, 7);
        sim.reply_late(call, 400, &error("invalid_scope"));
        sim.expect_failed(quiet, "reauthorization_required");
        let next = sim.acquire_quietly("");
        sim.expect_failed(next, "reauthorization_required");
        sim.expect_no_call();
        let asks = sim.acquire("files:read");
        discover(sim);
        approve(sim).reply_json(200, &tokens(2, 3600));
        assert_eq!(sim.expect_granted(asks).access_token().expose(), at(2));
    }

    /// So it is where the refusal is the RFC's: that grant is marked, and not sent again by anybody.
    a_dead_grant_is_marked_under_its_newest_number_ref_08_host_224(sim = kept()) {
        logged_in(sim, &tokens(1, 3));
        let quiet = sim.at(4).acquire_quietly("");
        let (_, call) = refresh(sim, 1).hold();
        if sim.restarting() {
            return;
        }
        sim.store().number(RecordKind::Grant, 7);
        sim.reply_late(call, 400, &error("invalid_grant"));
        sim.expect_failed(quiet, "reauthorization_required");
        let record = sim.store().documents(RecordKind::Grant)[0].clone();
        assert_eq!(record["rejected"], json!(true));
        another_process(sim);
        let next = sim.acquire_quietly("");
        sim.expect_failed(next, "reauthorization_required");
        sim.expect_no_call();
    }

    /// A live token is used whatever became of the refresh ahead of its end.
    a_refused_refresh_ahead_costs_nobody_a_live_token_ref_90_ref_07(sim = kept()) {
        logged_in(sim, &tokens(1, 3600));
        sim.at(3590).acquire("");
        refresh(sim, 1).reply_json(400, &error("invalid_scope"));
        let caller = sim.acquire("");
        assert_eq!(sim.expect_granted(caller).access_token().expose(), at(1));
        sim.expect_no_visit();
        sim.expect_no_call();
    }

    /// What may pass opens no page; the third refusal in a row that nobody understands names a login.
    what_may_pass_asks_nobody_ref_90_ref_09(sim = kept()) {
        logged_in(sim, &tokens(1, 3));
        for (round, (status, body, code)) in (1..).zip(PASSING) {
            sim.at(round * 1000);
            another_process(sim);
            let caller = sim.acquire("");
            refresh(sim, 1).respond(status, JSON, body.as_bytes());
            for attempt in 1..6 {
                if sim.waits_for() == Some(Awaited::Backoff) {
                    pause_until(sim, round * 1000 + attempt * 30);
                    refresh(sim, 1).respond(status, JSON, body.as_bytes());
                }
            }
            let failure = sim.expect_failed(caller, code);
            assert_ne!(failure.remedy(), Remedy::AskUser, "{body}: {failure}");
            sim.expect_no_visit();
        }
    }

    a_third_unclear_refusal_names_a_login_ref_90(sim = kept()) {
        logged_in(sim, &tokens(1, 3));
        for round in 1..=4 {
            sim.at(round * 1000);
            let caller = sim.acquire("");
            refresh(sim, 1).respond(403, &[("content-type", "text/html")], b"<html>no</html>");
            let failure = sim.expect_failed(caller, "server_error");
            assert_eq!(failure.remedy() == Remedy::AskUser, round >= 3, "{round}: {failure}");
            sim.expect_no_visit();
        }
        sim.at(5000).acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 3));
        let caller = sim.at(6000).acquire("");
        refresh(sim, 2).respond(403, &[("content-type", "text/html")], b"<html>no</html>");
        assert_ne!(sim.expect_failed(caller, "server_error").remedy(), Remedy::AskUser);
    }

    /// Whoever follows that advice is shown a page, and not the same refusal once more.
    the_advice_to_log_in_can_be_followed_ref_90(sim = kept()) {
        logged_in(sim, &tokens(1, 3));
        for round in 1..=3 {
            sim.at(round * 1000);
            let caller = sim.acquire("");
            refresh(sim, 1).respond(403, &[("content-type", "text/html")], b"<html>no</html>");
            sim.expect_failed(caller, "server_error");
        }
        sim.at(4000);
        let asks = sim.log_in_by_name("");
        discover(sim);
        approve(sim).reply_json(200, &tokens(2, 3600));
        assert_eq!(sim.expect_granted(asks).access_token().expose(), at(2));
    }

    /// Refusals that nobody understands are in a row only if nothing else is said between them.
    an_outage_between_two_unclear_refusals_ends_their_row_ref_90(sim = kept()) {
        logged_in(sim, &tokens(1, 3));
        for (round, status) in (1..).zip([403, 403, 503, 403, 403]) {
            sim.at(round * 1000);
            let caller = sim.acquire("");
            refresh(sim, 1).respond(status, &[("retry-after", "100")], b"<html>no</html>");
            let code = if status == 503 { "transient" } else { "server_error" };
            assert_ne!(sim.expect_failed(caller, code).remedy(), Remedy::AskUser, "{round}");
        }
    }

    /// The second look into the store is interrupted: the token that was refused is not sent again.
    a_restart_while_the_store_is_looked_at_forgets_no_refusal_ref_90(sim = kept()) {
        logged_in(sim, &tokens(1, 3));
        if sim.restarting() {
            return;
        }
        let quiet = sim.at(4).acquire_quietly("");
        let (_, ticket) = refresh(sim, 1).hold();
        sim.store().mute(Some(RecordKind::Grant));
        sim.reply_late(ticket, 422, &json!({ "message": "Already Used" }));
        sim.expect_waiting(quiet);
        sim.store().heal();
        sim.restart();
        sim.expect_failed(quiet, "reauthorization_required");
        sim.expect_no_call();
    }

    /// A restored refusal whose grant was never saved, and may not be used any more, writes nothing.
    a_restored_refusal_of_an_unsaved_grant_ends_step_16_sec_05(sim = kept_in_the_clear()) {
        if sim.restarting() {
            return;
        }
        let (first, call) = up_to_exchange_in_the_clear(sim);
        let (_, ticket) = call.hold();
        sim.store().fail(Some(mcp_authz_core::failure::Kind::StoreUnavailable));
        sim.reply_late(ticket, 200, &tokens(1, 60));
        sim.expect_granted(first);
        assert!(sim.unsaved(first));
        let caller = sim.at(60).acquire("");
        let (_, ticket) = sim.expect_call(Method::POST, &in_the_clear(TOKEN)).hold();
        sim.store().heal();
        sim.store().mute(Some(RecordKind::Grant));
        sim.reply_late(ticket, 400, &error("invalid_scope"));
        sim.expect_waiting(caller);
        sim.store().heal();
        sim.restart_with(|config| config.persistent(true));
        let asked = sim.store().log().len();
        assert!(asked < 100, "{asked}");
    }

    /// A client of the configuration that is refused: a person may know what has become of it.
    a_refused_client_of_the_configuration_leads_to_a_login_ref_90_host_236(
        sim = Sim::by_hand(|config| config.persistent(true).pre_registered(known_client(Some("s-CANARY-1"))))
    ) {
        let first = sim.acquire("");
        discover(sim);
        approve(sim).reply_json(200, &tokens(1, 3));
        sim.expect_granted(first);
        let caller = sim.at(4).acquire("");
        refresh(sim, 1).reply_json(401, &error("invalid_client"));
        discover(sim);
        approve(sim).reply_json(200, &tokens(2, 3600));
        assert_eq!(sim.expect_granted(caller).access_token().expose(), at(2));
    }

    /// A flow that is restored where its grant may not be used any more has nothing to write, and ends.
    a_restored_refusal_without_its_grant_ends_step_16_sec_05(sim = kept_in_the_clear()) {
        let (first, call) = up_to_exchange_in_the_clear(sim);
        call.reply_json(200, &tokens(1, 60));
        sim.expect_granted(first);
        if sim.restarting() {
            return;
        }
        let caller = sim.at(60).acquire("");
        let (_, ticket) = sim.expect_call(Method::POST, &in_the_clear(TOKEN)).hold();
        sim.store().mute(Some(RecordKind::Grant));
        sim.reply_late(ticket, 400, &error("invalid_grant"));
        sim.expect_waiting(caller);
        sim.store().heal();
        sim.restart_with(|config| config.persistent(true));
        // The store has the grant still; where its endpoint is refused it is no grant.
        sim.expect_waiting(caller);
        assert_ne!(sim.waits_for(), None);
    }

    /// The intent of the refresh is taken back before its callers are told that it failed: a program
    /// that ends on the error would leave it, and after two such ends the token is never sent again.
    a_failed_refresh_is_told_once_its_intent_is_taken_back_ref_91(sim = kept()) {
        logged_in(sim, &tokens(1, 3));
        if sim.restarting() {
            return;
        }
        let before = sim.store().intents();
        for (round, (status, body)) in
            (1..).zip([(400, r#"{"error":"invalid_scope"}"#), (403, "<html>")])
        {
            sim.at(round * 100);
            another_process(sim);
            sim.store().answer("release", None);
            let quiet = sim.acquire_quietly("");
            refresh(sim, 1).respond(status, JSON, body.as_bytes());
            assert_eq!(sim.store().intents(), before + 1, "{body}");
            sim.expect_waiting(quiet);
            // The store has had its time: they are told, and that it is not durable.
            sim.store().heal();
            sim.at(round * 100 + 60);
            assert!(sim.unsaved(quiet), "{body}");
            assert_eq!(sim.store().intents(), before, "{body}");
        }
    }

    /// As it is at a store that is well: nothing stands any more when the failure is heard.
    five_programs_that_end_on_the_error_send_the_token_each_time_ref_91(sim = kept()) {
        logged_in(sim, &tokens(1, 3));
        if sim.restarting() {
            return; // the process that sent it is gone
        }
        let before = sim.store().intents();
        for round in 1..=5 {
            sim.at(round * 100);
            another_process(sim);
            let quiet = sim.acquire_quietly("");
            refresh(sim, 1).respond(503, &[("retry-after", "100")], b"");
            sim.expect_failed(quiet, "transient");
            assert_eq!(sim.store().intents(), before);
        }
    }

    /// A store that refuses to take it back is said to have refused.
    a_store_that_keeps_the_intent_is_told_of_ref_91(sim = kept()) {
        logged_in(sim, &tokens(1, 3));
        if sim.restarting() {
            return;
        }
        sim.at(100);
        let failed = mcp_authz_core::effect::Stored::Failed(
            mcp_authz_core::failure::Kind::StoreUnavailable,
        );
        sim.store().answer("release", Some(failed));
        let quiet = sim.acquire_quietly("");
        refresh(sim, 1).respond(503, &[("retry-after", "100")], b"");
        sim.expect_failed(quiet, "transient");
        assert!(sim.unsaved(quiet));
    }
}
