//! What a refusal by the MCP server means: a refresh, a login, or nothing that helps.

use http::Method;
use mcp_authz_core::failure::Remedy;
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::given::{
    RESOURCE, access_only, approve, at, bearer, by_hand, discover, logged_in, refresh, resource,
    tokens,
};

/// The same request refused once more, after its retry.
fn again(sim: &mut Sim) -> mcp_authz_core::input::WaiterId {
    let epoch = sim.published().map(|granted| granted.epoch());
    sim.refused_with(epoch, 401, "Bearer", "tools/list", true, true)
}

scripts! {
    a_fresh_token_that_is_refused_is_the_end_step_12_host_234(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let first = sim.refused(401, r#"Bearer error="invalid_token""#);
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(first);
        let second = again(sim);
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &resource(&[]));
        let failure = sim.expect_failed(second, "unauthorized_after_refresh");
        assert_eq!(failure.remedy(), Remedy::AskUser);
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    /// Who may ask a person gets the login that the refusal calls for; anybody else tries the token.
    a_useless_token_is_not_handed_to_who_may_ask_step_12(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let first = sim.refused(401, "Bearer");
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(first);
        let second = again(sim);
        sim.expect_call(Method::GET, RESOURCE).reply(503);
        sim.expect_failed(second, "unauthorized_after_refresh");
        let quiet = sim.acquire_quietly("");
        sim.expect_granted(quiet);
        let asked = sim.acquire("");
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &resource(&[]));
        sim.expect_waiting(asked);
    }

    /// A move that no challenge announced is found when a fresh token does not help.
    a_401_that_survives_a_refresh_reads_the_list_again_bind_05(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let first = sim.refused(401, "Bearer");
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(first);
        let second = again(sim);
        let mut moved = resource(&[]);
        moved["authorization_servers"] = json!(["https://as2.example"]);
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &moved);
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &moved);
        let metadata = "https://as2.example/.well-known/oauth-authorization-server";
        sim.expect_call(Method::GET, metadata).reply(503);
        sim.expect_call(Method::GET, "https://as2.example/.well-known/openid-configuration")
            .reply(503);
        sim.expect_failed(second, "transient");
        // A restart in mid-refresh asks once more.
        assert_eq!(sim.count("https://as.example/token"), if sim.restarting() { 3 } else { 2 });
    }

    /// Bearer tokens are all there is here: no page, no search and no refresh would help.
    a_server_that_takes_dpop_tokens_alone_is_named_at_once_dpop_18(sim = by_hand()) {
        for challenge in [
            "DPoP",
            r#"DPoP algs="ES256 PS256", error="invalid_token""#,
            r#"dpop resource_metadata="https://mcp.example/prm""#,
            r#"Basic realm="x", DPoP algs="ES256""#,
        ] {
            let waiter = sim.refused(401, challenge);
            let failure = sim.expect_failed(waiter, "dpop_required");
            assert_eq!(failure.rule(), "DPOP-18", "{challenge}");
            let quiet = sim.refused_with(None, 401, challenge, "tools/list", false, false);
            sim.expect_failed(quiet, "dpop_required");
            sim.expect_no_call();
            sim.expect_no_visit();
        }
    }

    /// The same in the middle: the grant that is held is left as it is.
    a_server_that_goes_over_to_dpop_is_named_and_costs_no_grant_dpop_18(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let waiter = sim.refused(401, r#"DPoP algs="ES256""#);
        sim.expect_failed(waiter, "dpop_required");
        sim.expect_no_call();
        // With an older token than the one that is held it is that token's fault.
        let waiter = sim.refused_with(None, 401, "DPoP", "tools/list", false, true);
        sim.expect_granted(waiter);
        let waiter = sim.refused(401, "Bearer");
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(waiter);
    }

    a_server_that_takes_bearer_tokens_too_is_asked_dpop_18(sim = by_hand()) {
        for challenge in [r#"DPoP algs="ES256", Bearer"#, "Bearer, DPoP", "Basic", ""] {
            let waiter = sim.refused(401, challenge);
            sim.expect_call(Method::GET, RESOURCE).reply(503);
            sim.expect_failed(waiter, "transient");
        }
    }

    /// A repeat that was refused with an old token is the old token's fault.
    a_repeat_with_an_old_token_gets_the_new_one_step_12(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let old = sim.published().map(|granted| granted.epoch());
        let first = sim.refused(401, "Bearer");
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(first);
        let repeat = sim.refused_with(old, 401, "Bearer", "tools/list", true, true);
        sim.expect_granted(repeat);
        sim.expect_no_call();
    }

    /// Each call may be served by one refresh; none opens a page.
    refused_for_ever_step_12_host_245(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        for call in 1..6 {
            let first = sim.refused(401, "Bearer");
            refresh(sim, call).reply_json(200, &tokens(call + 1, 3600));
            sim.expect_granted(first);
            let second = again(sim);
            sim.expect_call(Method::GET, RESOURCE).reply_json(200, &resource(&[]));
            sim.expect_failed(second, "unauthorized_after_refresh");
        }
        sim.expect_no_visit();
    }

    /// Without a refresh token the person is asked, once in ten minutes.
    refused_for_ever_without_a_refresh_token_host_245_step_12(sim = by_hand()) {
        logged_in(sim, &access_only(1, 3600));
        let first = sim.at(5).refused(401, "Bearer");
        discover(sim);
        approve(sim).reply_json(200, &access_only(2, 3600));
        sim.expect_granted(first);
        let second = again(sim);
        sim.expect_failed(second, "unauthorized_after_refresh");
        let next = sim.at(60).refused(401, "Bearer");
        discover(sim);
        let failure = sim.expect_failed(next, "reauthorization_required");
        assert_eq!(failure.remedy(), Remedy::AskUser);
        sim.expect_no_visit();
        // Ten minutes after the page it may be shown again.
        let later = sim.at(606).refused(401, "Bearer");
        discover(sim);
        approve(sim).reply_json(200, &access_only(3, 3600));
        sim.expect_granted(later);
    }

    /// The page that a refusal may not open again is there for whoever asks for a login.
    a_refused_token_that_nothing_renews_is_not_handed_to_who_may_ask_step_12(sim = by_hand()) {
        logged_in(sim, &access_only(1, 3600));
        let first = sim.at(5).refused(401, "Bearer");
        discover(sim);
        approve(sim).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(first);
        let next = sim.at(60).refused(401, "Bearer");
        refresh(sim, 2).reply_json(400, &json!({ "error": "invalid_grant" }));
        discover(sim);
        sim.expect_failed(next, "reauthorization_required");
        let quiet = sim.acquire_quietly("");
        sim.expect_granted(quiet);
        let asked = sim.acquire("");
        discover(sim);
        approve(sim).reply_json(200, &tokens(3, 3600));
        let granted = sim.expect_granted(asked);
        assert_eq!(granted.access_token().expose(), "AT-CANARY-3");
    }

    the_scopes_of_a_401_join_those_before_step_13(sim = by_hand()) {
        logged_in(sim, &access_only(1, 3600));
        let waiter = sim.refused(401, r#"Bearer scope="files:list""#);
        discover(sim);
        let visit = sim.expect_visit();
        assert_eq!(visit.param("scope").as_deref(), Some("files:read files:list"));
        visit.arrive_with_code("");
        crate::given::exchange(sim).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(waiter);
    }

    /// An `Origin` or a policy is no matter of scope.
    other_403s_are_forbidden_step_11(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        for challenge in ["", "Bearer", r#"Bearer error="invalid_token""#, r#"Basic realm="x""#,
            r#"DPoP error="insufficient_scope""#]
        {
            let waiter = sim.refused(403, challenge);
            let failure = sim.expect_failed(waiter, "forbidden");
            assert_eq!(failure.rule(), "STEP-11");
        }
        sim.expect_no_call();
        sim.expect_no_visit();
        assert_eq!(bearer(sim), at(1));
    }

    a_400_is_reported_and_nothing_else_is_tried_step_14(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let waiter = sim.refused(400, r#"Bearer error="invalid_request""#);
        let failure = sim.expect_failed(waiter, "forbidden");
        assert_eq!(failure.rule(), "STEP-14");
        sim.expect_no_call();
    }

    a_401_without_a_challenge_is_one_still_use_05(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let waiter = sim.refused(401, "");
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(waiter);
    }

    /// A broken refresh ends this call; the live token stays for the others.
    a_refusal_during_an_outage_asks_nobody_ref_09(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let waiter = sim.refused(401, "Bearer");
        let bystander = sim.acquire("");
        sim.expect_granted(bystander);
        refresh(sim, 1).respond(503, &[("retry-after", "60")], b"");
        let failure = sim.expect_failed(waiter, "transient");
        assert!(failure.remedy().retryable());
        sim.expect_no_visit();
        assert_eq!(bearer(sim), at(1));
    }

    /// Nobody may be asked: no page, no discovery.
    a_quiet_caller_hears_that_a_person_is_needed_step_12(sim = by_hand()) {
        logged_in(sim, &access_only(1, 3600));
        let epoch = sim.published().map(|granted| granted.epoch());
        let waiter = sim.refused_with(epoch, 401, "Bearer", "tools/list", false, false);
        let failure = sim.expect_failed(waiter, "reauthorization_required");
        assert_eq!(failure.remedy(), Remedy::AskUser);
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    /// A server that gives the refused token again gets no second chance under a new epoch.
    a_refused_token_never_comes_back_step_12(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let waiter = sim.refused(401, "Bearer");
        refresh(sim, 1).reply_json(200, &tokens(1, 3600));
        sim.expect_failed(waiter, "unauthorized_after_refresh");
        sim.expect_no_visit();
    }

    /// Tokens that are over when they come, and no refresh token: not a page for each caller.
    tokens_without_a_life_ask_nobody_twice_host_245_host_203(sim = by_hand()) {
        logged_in(sim, &access_only(1, 0));
        for second in 1..9 {
            let caller = sim.at(second).acquire("");
            sim.expect_granted(caller);
        }
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    /// What one caller's page was refused for says nothing to another who waited behind it.
    a_declined_step_up_settles_only_its_own_step_10(sim = by_hand()) {
        logged_in(sim, &access_only(1, 3600));
        let more = sim.refused(403, r#"Bearer error="insufficient_scope", scope="more""#);
        let other = sim.acquire("quite:another");
        discover(sim);
        sim.expect_visit().arrive_with("error=access_denied");
        sim.expect_failed(more, "step_up_declined");
        sim.expect_waiting(other);
        discover(sim);
        let scope = sim.expect_visit().param("scope");
        assert_eq!(scope.as_deref(), Some("files:read quite:another"));
    }
}
