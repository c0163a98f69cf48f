//! The code exchange: what is sent, what may come back, and what nothing may undo.

use mcp_authz_core::config::Profile;
use mcp_authz_core::effect::{Page, RecordKind, Stored, Why};
use mcp_authz_core::failure::{Kind, Remedy};
use mcp_authz_core::granted::Life;
use serde_json::{Value, json};

use crate::given::{
    self, TOKEN, access_only, approve, at, bearer, by_hand, discover, discover_with, error,
    exchange, kept, logged_in, register, resource, server_with, tokens, up_to_exchange,
};

/// A first login whose exchange is answered so and fails with this code. Nothing is held.
fn refused_exchange(sim: &mut mcp_authz_tests::sim::Sim, status: u16, answer: &Value, code: &str) {
    let (waiter, call) = up_to_exchange(sim);
    call.reply_json(status, answer);
    sim.expect_failed(waiter, code);
    sim.expect_no_call();
    assert!(sim.published().is_none());
    assert!(sim.store().documents(RecordKind::Grant).is_empty());
    assert_eq!(sim.count("/token"), 1);
}

scripts! {
    /// The exchange is made of what was recorded when the visit began, and of nothing else.
    a_code_goes_where_its_visit_said_tok_01_tok_02_tok_03_res_08_bind_08(sim = by_hand()) {
        let waiter = sim.acquire("files:read");
        discover(sim);
        register(sim, "c1");
        sim.at(40);
        let visit = sim.expect_visit();
        let sent = |name| visit.param(name).unwrap_or_default();
        let (resource, redirect, client) = (sent("resource"), sent("redirect_uri"), sent("client_id"));
        visit.arrive_with_code("");
        // No metadata is asked again between the visit and the exchange.
        let call = exchange(sim);
        assert_eq!(call.request().uri().query(), None);
        assert_eq!(call.header("content-type"), "application/x-www-form-urlencoded");
        assert_eq!(call.header("accept"), "application/json");
        assert_eq!(call.form("code"), ["CODE-CANARY"]);
        assert_eq!(call.form("code_verifier").len(), 1);
        assert_eq!(call.form("resource"), [resource]);
        assert_eq!(call.form("redirect_uri"), [redirect]);
        assert_eq!(call.form("client_id"), [client]);
        call.reply_json(200, &tokens(1, 3600));
        let granted = sim.expect_granted(waiter);
        assert_eq!(granted.resource(), Some("https://mcp.example/mcp"));
    }

    a_code_is_never_sent_twice_tok_04_host_219(sim = by_hand()) {
        let (waiter, call) = up_to_exchange(sim);
        call.maybe_sent(Why::Broken);
        let failure = sim.expect_failed(waiter, "outcome_unknown");
        assert_eq!(failure.remedy(), Remedy::AskUser);
        sim.expect_no_call();
        // The person is asked again, with everything new.
        let again = sim.acquire("files:read");
        discover(sim);
        let call = approve(sim);
        call.reply_json(200, &tokens(2, 3600));
        sim.expect_granted(again);
    }

    a_server_that_fails_may_have_spent_the_code_host_219(sim = kept()) {
        refused_exchange(sim, 500, &error("server_error"), "outcome_unknown");
    }

    /// Plain refusals to look at the code are reported as such, and still not repeated.
    a_busy_server_gets_the_code_once_tok_15(sim = by_hand()) {
        let (waiter, call) = up_to_exchange(sim);
        call.respond(503, &[("retry-after", "7")], b"");
        let failure = sim.expect_failed(waiter, "transient");
        let after = Some(core::time::Duration::from_secs(7));
        assert_eq!(failure.remedy(), Remedy::Retry { after });
        sim.at(60).expect_no_call();
    }

    a_request_that_was_never_sent_is_no_unknown_outcome_tok_04(sim = by_hand()) {
        let (waiter, call) = up_to_exchange(sim);
        call.not_sent(Why::Connect);
        sim.expect_failed(waiter, "transient");
        sim.expect_no_call();
    }

    a_refused_code_ends_the_login_tok_15(sim = kept()) {
        refused_exchange(sim, 400, &error("invalid_grant"), "grant_rejected");
    }

    an_invalid_scope_is_reported_and_no_other_tried_tok_15_step_15(sim = kept()) {
        refused_exchange(sim, 400, &error("invalid_scope"), "server_error");
    }

    an_invalid_target_is_reported_and_resource_stays_res_09(sim = kept()) {
        refused_exchange(sim, 400, &error("invalid_target"), "server_error");
    }

    an_unknown_error_is_other_tok_12_host_218(sim = kept()) {
        let long = json!({ "error": "x\u{7}".repeat(300) });
        refused_exchange(sim, 400, &long, "server_error");
    }

    a_redirect_is_not_followed_tok_05(sim = by_hand()) {
        let (waiter, call) = up_to_exchange(sim);
        call.respond(307, &[("location", "https://evil.example/token")], b"");
        sim.expect_failed(waiter, "redirect_refused");
        sim.expect_no_call();
    }

    no_access_token_no_grant_tok_06_host_206(sim = kept()) {
        refused_exchange(sim, 200, &json!({ "token_type": "Bearer" }), "token_response_invalid");
    }

    a_token_that_splits_a_header_is_refused_tok_11_host_207(sim = kept()) {
        let answer = json!({ "access_token": "AT-CANARY\r\nx: y", "token_type": "Bearer" });
        refused_exchange(sim, 200, &answer, "token_malformed");
    }

    another_type_of_token_is_refused_tok_07_host_209(sim = kept()) {
        let answer = json!({ "access_token": "AT-CANARY", "token_type": "mac" });
        refused_exchange(sim, 200, &answer, "token_type_unsupported");
    }

    an_error_beside_a_token_is_nonsense_host_215_tok_13(sim = kept()) {
        let answer = json!({ "access_token": "AT-CANARY", "error": "invalid_grant" });
        refused_exchange(sim, 200, &answer, "token_response_invalid");
    }

    a_missing_type_is_bearer_with_a_note_tok_06_host_210_d7(sim = by_hand()) {
        logged_in(sim, &json!({ "access_token": "AT-CANARY-1" }));
        sim.expect_note("lenient: missing_token_type");
        let published = sim.published().unwrap();
        assert_eq!(published.authorization(), "Bearer AT-CANARY-1");
        assert!(published.authorization().is_sensitive());
    }

    /// Strict does not use it, but keeps what cannot be had again.
    strict_keeps_a_grant_without_a_type_unused_host_210_d7(
        sim = mcp_authz_tests::sim::Sim::by_hand(|config| {
            config.persistent(true).profile(Profile::Strict)
        })
    ) {
        let answer = json!({ "access_token": "AT-CANARY-1", "refresh_token": "RT-CANARY-1" });
        let (waiter, call) = up_to_exchange(sim);
        call.reply_json(200, &answer);
        sim.expect_failed(waiter, "token_type_unsupported");
        assert!(sim.published().is_none());
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["refresh_token"], "RT-CANARY-1");
        // The next caller is served by a refresh, and nobody is asked again.
        sim.at(10);
        let next = sim.acquire("files:read");
        given::refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        assert_eq!(sim.expect_granted(next).authorization(), "Bearer AT-CANARY-2");
    }

    an_unknown_lifetime_lasts_until_a_401_tok_09_host_205(sim = by_hand()) {
        let mut answer = tokens(1, 0);
        answer["expires_in"] = json!("soon");
        logged_in(sim, &answer);
        assert_eq!(sim.published().unwrap().life(), Life::Unknown);
        sim.at(400 * 24 * 3600);
        let later = sim.acquire("files:read");
        sim.expect_granted(later);
        sim.expect_no_call();
        let refused = sim.refused(401, "Bearer");
        given::refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(refused);
    }

    a_lifetime_beyond_belief_is_cut_to_ten_years_tok_08_host_204(sim = by_hand()) {
        let mut answer = tokens(1, 0);
        answer["expires_in"] = json!(1e30);
        logged_in(sim, &answer);
        sim.at(315_360_000 - 31);
        let live = sim.acquire("files:read");
        sim.expect_granted(live);
        sim.expect_no_call();
        sim.at(315_360_000);
        let over = sim.acquire("files:read");
        given::refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(over);
    }

    fewer_scopes_are_a_success_and_a_note_scope_13_step_08(sim = by_hand()) {
        let waiter = sim.acquire("files:read files:write");
        discover(sim);
        register(sim, "c1");
        let mut answer = tokens(1, 3600);
        answer["scope"] = json!("files:read");
        approve(sim).reply_json(200, &answer);
        let granted = sim.expect_granted(waiter);
        assert_eq!(granted.scopes().map(|scopes| scopes.as_str()), Some("files:read"));
        sim.expect_note("new access token, without files:write");
        // What was asked for once is not asked for again.
        let same = sim.acquire("files:write");
        sim.expect_granted(same);
    }

    a_scope_nobody_asked_for_is_noted_and_never_asked_for_host_211(sim = by_hand()) {
        let mut answer = tokens(1, 3600);
        answer["scope"] = json!("files:read admin");
        logged_in(sim, &answer);
        sim.expect_note("also with admin");
        let granted = sim.published().unwrap();
        assert_eq!(granted.scopes().map(|scopes| scopes.as_str()), Some("files:read admin"));
    }

    nobody_named_a_scope_so_none_is_known_scope_04_scope_12(sim = by_hand()) {
        let waiter = sim.acquire("");
        discover(sim);
        register(sim, "c1");
        let visit = sim.expect_visit();
        assert_eq!(visit.param("scope"), None);
        visit.arrive_with_code("");
        exchange(sim).reply_json(200, &tokens(1, 3600));
        assert_eq!(sim.expect_granted(waiter).scopes(), None);
    }

    /// The server has forgotten the registration: one new one, and the person once more.
    a_forgotten_client_registers_once_more_reg_21_host_217(sim = kept()) {
        let (waiter, call) = up_to_exchange(sim);
        call.reply_json(401, &error("invalid_client"));
        sim.expect_waiting(waiter);
        register(sim, "c2");
        let visit = sim.expect_visit();
        assert_eq!(visit.param("client_id").as_deref(), Some("c2"));
        let arrival = visit.arrive_with_code("");
        exchange(sim).reply_json(200, &tokens(1, 3600));
        sim.expect_granted(waiter);
        sim.expect_page(arrival, Page::Authorized(sim.parties()));
        let clients = sim.store().documents(RecordKind::Client);
        assert_eq!(clients.len(), 1);
        assert_eq!(clients[0]["credentials"]["client_id"], "c2");
    }

    a_client_that_is_refused_twice_is_given_up_reg_21(sim = by_hand()) {
        let (waiter, call) = up_to_exchange(sim);
        call.reply_json(401, &error("invalid_client"));
        register(sim, "c2");
        approve(sim).reply_json(401, &error("invalid_client"));
        let failure = sim.expect_failed(waiter, "client_rejected");
        assert_eq!(failure.remedy(), Remedy::Register);
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    /// Its tokens are the newest there are, and nobody can ask for them again.
    a_late_answer_to_a_code_is_read_and_saved_tok_04_host_241(sim = kept()) {
        let (waiter, call) = up_to_exchange(sim);
        let (_, ticket) = call.hold();
        sim.at(30);
        if sim.restarting() {
            // The process that could have heard the answer is gone.
            return;
        }
        sim.expect_failed(waiter, "outcome_unknown");
        sim.at(33).reply_late(ticket, 200, &tokens(1, 3600));
        sim.expect_note("a late answer brought tokens; saved");
        assert_eq!(bearer(sim), at(1));
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["refresh_token"], "RT-CANARY-1");
        let next = sim.acquire("files:read");
        sim.expect_granted(next);
        sim.expect_no_call();
        // Another process finds it.
        sim.new_process(|config| config.persistent(true));
        let found = sim.acquire("files:read");
        assert_eq!(sim.expect_granted(found).authorization(), "Bearer AT-CANARY-1");
    }

    a_late_refusal_of_a_code_is_only_a_note_host_241(sim = by_hand()) {
        let (_, call) = up_to_exchange(sim);
        let (_, ticket) = call.hold();
        sim.at(31).reply_late(ticket, 400, &error("invalid_grant"));
        sim.expect_note("a late answer was dropped");
        assert!(sim.published().is_none());
    }

    /// The intents of codes stay until what came of the last is saved: a copy of such a login that is
    /// restored would find nothing else that keeps it from sending its code. The last stands on.
    a_late_answer_to_a_code_takes_the_intents_before_it_away_host_331(sim = kept()) {
        let (_, call) = up_to_exchange(sim);
        let (_, ticket) = call.hold();
        if sim.restarting() {
            return; // the process that could have heard the answer is gone
        }
        sim.at(31);
        assert_eq!(sim.store().intents(), 1);
        sim.reply_late(ticket, 400, &error("invalid_grant"));
        assert_eq!(sim.store().intents(), 1);
        // Nobody can read what came of it.
        sim.acquire("files:read");
        discover(sim);
        let (_, ticket) = approve(sim).hold();
        sim.at(62);
        sim.reply_late(ticket, 500, &json!({}));
        assert_eq!(sim.store().intents(), 2);
        sim.acquire("files:read");
        discover(sim);
        let (_, ticket) = approve(sim).hold();
        sim.at(93);
        assert_eq!(sim.store().intents(), 3, "no login has brought anything");
        // Its store can do everything but save.
        sim.store().answer("swap", Some(Stored::Failed(Kind::StoreUnavailable)));
        sim.reply_late(ticket, 200, &tokens(1, 3600));
        assert_eq!(bearer(sim), at(1));
        assert_eq!(sim.store().intents(), 3);
        sim.store().heal();
        sim.at(124);
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["refresh_token"], "RT-CANARY-1");
        assert_eq!(sim.store().intents(), 1);
    }

    members_that_are_not_ours_are_not_kept_tok_10_tok_16_host_214(sim = kept()) {
        let mut answer = tokens(1, 3600);
        answer["id_token"] = json!("ID-CANARY");
        answer["vendor"] = json!({ "secret": "SECRET-CANARY" });
        logged_in(sim, &answer);
        let stored = sim.store().documents(RecordKind::Grant)[0].to_string();
        assert!(!stored.contains("ID-CANARY") && !stored.contains("SECRET-CANARY"));
    }

    /// A server without RFC 8707, by the switch of its issuer.
    resource_is_left_out_by_switch_only_res_02_d8(
        sim = mcp_authz_tests::sim::Sim::by_hand(|config| {
            config.danger().omit_resource("https://as.example").done()
        })
    ) {
        let waiter = sim.acquire("files:read");
        discover(sim);
        register(sim, "c1");
        let visit = sim.expect_visit();
        assert_eq!(visit.param("resource"), None);
        visit.arrive_with_code("");
        let call = exchange(sim);
        assert!(call.form("resource").is_empty());
        call.reply_json(200, &access_only(1, 3600));
        assert_eq!(sim.expect_granted(waiter).resource(), None);
    }

    /// A server with a resource of its own, by the switch of its issuer: in the visit and in each
    /// token request.
    resource_is_replaced_by_switch_only_res_02_d8(
        sim = mcp_authz_tests::sim::Sim::by_hand(|config| {
            config.danger().replace_resource("https://as.example", "urn:example:files").done()
        })
    ) {
        let waiter = sim.acquire("files:read");
        discover(sim);
        register(sim, "c1");
        let visit = sim.expect_visit();
        assert_eq!(visit.param("resource").as_deref(), Some("urn:example:files"));
        visit.arrive_with_code("");
        let call = exchange(sim);
        assert_eq!(call.form("resource"), ["urn:example:files"]);
        call.reply_json(200, &tokens(1, 60));
        assert_eq!(sim.expect_granted(waiter).resource(), Some("urn:example:files"));
        sim.at(60).acquire("files:read");
        let call = given::refresh(sim, 1);
        assert_eq!(call.form("resource"), ["urn:example:files"]);
        call.reply_json(200, &tokens(2, 60));
    }

    /// The metadata's own string, byte for byte, in the visit and in each token request.
    resource_is_the_metadata_s_own_string_res_01_res_03_res_07(sim = by_hand()) {
        let waiter = sim.acquire("");
        let mut document = resource(&[]);
        document["resource"] = json!("https://MCP.example/mcp");
        discover_with(sim, &document, &server_with(&json!({ "token_endpoint": TOKEN })));
        register(sim, "c1");
        let visit = sim.expect_visit();
        assert_eq!(visit.param("resource").as_deref(), Some("https://MCP.example/mcp"));
        visit.arrive_with_code("");
        let call = exchange(sim);
        assert_eq!(call.form("resource"), ["https://MCP.example/mcp"]);
        call.reply_json(200, &tokens(1, 60));
        sim.expect_granted(waiter);
        sim.at(60).acquire("");
        let call = given::refresh(sim, 1);
        assert_eq!(call.form("resource"), ["https://MCP.example/mcp"]);
        assert!(call.form("scope").is_empty());
        call.reply_json(200, &tokens(2, 60));
    }
}
