//! Tokens whose life is over: what they count for, and what their refusal leads to (STEP-90).

use http::Method;
use mcp_authz_core::effect::RecordKind;
use mcp_authz_core::failure::Remedy;
use mcp_authz_core::input::WaiterId;
use mcp_authz_tests::sim::{BEGINNING, Sim};
use serde_json::json;

use crate::given::{
    access_only, approve, at, by_hand, discover, error, kept, logged_in, refresh, resource, server,
    tokens,
};

/// Another process: it knows the MCP URL and the store.
fn another_process(sim: &mut Sim) {
    sim.new_process(|config| config.persistent(true));
}

/// A request without a token was refused.
fn refused_bare(sim: &mut Sim, may_ask: bool) -> WaiterId {
    sim.refused_with(None, 401, "Bearer", "tools/list", false, may_ask)
}

/// The same request refused once more, after its retry.
fn again(sim: &mut Sim) -> WaiterId {
    let epoch = sim.published().map(|granted| granted.epoch());
    sim.refused_with(epoch, 401, "Bearer", "tools/list", true, true)
}

/// Another process has renewed the grant: these tokens, this long from the beginning.
fn renewed_elsewhere(sim: &mut Sim, number: u32, until: i64) {
    sim.store().change(RecordKind::Grant, |grant| {
        grant["access_token"] = json!(at(number));
        grant["refresh_token"] = json!(format!("RT-CANARY-{number}"));
        grant["expires"] = json!(BEGINNING + until);
    });
}

scripts! {
    /// The second run of a program whose token is over and cannot be renewed asks the person.
    a_found_token_that_is_over_is_not_handed_out_step_90(sim = kept()) {
        logged_in(sim, &access_only(1, 3));
        sim.at(4);
        another_process(sim);
        let quiet = sim.acquire_quietly("");
        sim.expect_failed(quiet, "reauthorization_required");
        let bare = refused_bare(sim, true);
        discover(sim);
        approve(sim).reply_json(200, &access_only(2, 3600));
        assert_eq!(sim.expect_granted(bare).access_token().expose(), at(2));
    }

    /// Whoever may ask nobody is told what is needed, in one run as in the next.
    a_found_token_that_is_over_is_no_answer_for_a_quiet_caller_step_90(sim = kept()) {
        logged_in(sim, &access_only(1, 3));
        sim.at(4);
        another_process(sim);
        let bare = refused_bare(sim, false);
        let failure = sim.expect_failed(bare, "reauthorization_required");
        assert_eq!(failure.remedy(), Remedy::AskUser);
        sim.expect_no_call();
    }

    /// The same where there was a refresh token, which the server refuses.
    a_found_grant_that_is_refused_leads_to_a_login_step_90_ref_08(sim = kept()) {
        logged_in(sim, &tokens(1, 3));
        sim.at(4);
        another_process(sim);
        let quiet = sim.acquire_quietly("");
        refresh(sim, 1).reply_json(400, &error("invalid_grant"));
        sim.expect_failed(quiet, "reauthorization_required");
        let bare = refused_bare(sim, true);
        discover(sim);
        approve(sim).reply_json(200, &tokens(2, 3600));
        assert_eq!(sim.expect_granted(bare).access_token().expose(), at(2));
    }

    /// What another process has renewed is not what this caller has had: its refusal leads to a refresh.
    an_adopted_token_that_is_refused_is_renewed_step_90(sim = kept()) {
        logged_in(sim, &tokens(1, 3));
        sim.at(4);
        renewed_elsewhere(sim, 2, 5);
        let first = refused_bare(sim, true);
        assert_eq!(sim.expect_granted(first).access_token().expose(), at(2));
        // It is over before the request arrives.
        sim.at(6);
        let second = again(sim);
        refresh(sim, 2).reply_json(200, &tokens(3, 3600));
        assert_eq!(sim.expect_granted(second).access_token().expose(), at(3));
    }

    /// The same where the server refuses it though it lives, once: the second refusal is of a token
    /// that came for this request (HOST-234).
    an_adopted_token_that_is_refused_alive_is_renewed_once_step_90_host_234(sim = kept()) {
        logged_in(sim, &tokens(1, 3));
        sim.at(4);
        renewed_elsewhere(sim, 2, 3600);
        let first = refused_bare(sim, true);
        assert_eq!(sim.expect_granted(first).access_token().expose(), at(2));
        let second = again(sim);
        refresh(sim, 2).reply_json(200, &tokens(3, 3600));
        assert_eq!(sim.expect_granted(second).access_token().expose(), at(3));
        let third = again(sim);
        sim.expect_call(Method::GET, crate::given::RESOURCE).reply_json(200, &resource(&[]));
        sim.expect_failed(third, "unauthorized_after_refresh");
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    /// A token whose life is over when its request's turn comes was no token for it: one more refresh,
    /// and then the failure says what it is.
    a_token_that_is_over_on_arrival_is_renewed_twice_at_most_step_90(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        let first = sim.refused(401, "Bearer");
        refresh(sim, 1).reply_json(200, &tokens(2, 1));
        sim.expect_granted(first);
        sim.at(2);
        let second = again(sim);
        refresh(sim, 2).reply_json(200, &tokens(3, 1));
        sim.expect_granted(second);
        sim.at(4);
        let third = again(sim);
        let failure = sim.expect_failed(third, "grant_unstable");
        assert!(failure.remedy().retryable(), "{failure}");
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    /// A token of few uses, used up by others before this request's turn.
    a_token_that_others_have_used_up_is_renewed_twice_at_most_step_90(sim = by_hand()) {
        logged_in(sim, &tokens(1, 3600));
        sim.accept();
        let first = sim.refused(401, "Bearer");
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(first);
        sim.accept();
        let second = again(sim);
        refresh(sim, 2).reply_json(200, &tokens(3, 3600));
        sim.expect_granted(second);
        sim.accept();
        let third = again(sim);
        sim.expect_failed(third, "grant_unstable");
        sim.expect_no_call();
    }

    /// A connection outlives a token that cannot be renewed, again and again: the server's limit of
    /// one page in ten minutes is not meant for it, the limit for the MCP URL is.
    a_token_that_served_its_life_leads_to_a_login_step_90_host_323(sim = by_hand()) {
        logged_in(sim, &access_only(1, 60));
        for number in 2..5 {
            sim.accept();
            sim.at(u64::from(number) * 61);
            let quiet = sim.acquire_quietly("");
            sim.expect_failed(quiet, "reauthorization_required");
            let bare = refused_bare(sim, true);
            discover(sim);
            approve(sim).reply_json(200, &access_only(number, 60));
            assert_eq!(sim.expect_granted(bare).access_token().expose(), at(number));
        }
        sim.accept();
        sim.at(310);
        let bare = refused_bare(sim, true);
        sim.expect_call(Method::GET, crate::given::RESOURCE).reply_json(200, &resource(&[]));
        sim.expect_call(Method::GET, crate::given::METADATA).reply_json(200, &server());
        sim.expect_failed(bare, "reauthorization_required");
        sim.expect_no_visit();
    }

    /// Who has turned the page down is not shown it again, though the token had served its life.
    a_page_that_was_turned_down_does_not_come_again_step_90_host_245(sim = by_hand()) {
        logged_in(sim, &access_only(1, 60));
        sim.accept();
        sim.at(61);
        let bare = refused_bare(sim, true);
        discover(sim);
        sim.expect_visit().arrive_with("error=access_denied");
        sim.expect_failed(bare, "authorization_denied");
        let next = refused_bare(sim, true);
        discover(sim);
        sim.expect_failed(next, "reauthorization_required");
        sim.expect_no_visit();
    }

    /// One login a request: the token of the second one was over, too.
    one_login_for_one_request_step_90(sim = by_hand()) {
        logged_in(sim, &access_only(1, 3600));
        let first = sim.refused(401, "Bearer");
        discover(sim);
        approve(sim).reply_json(200, &access_only(2, 1));
        sim.expect_granted(first);
        sim.accept();
        sim.at(12);
        let second = again(sim);
        sim.expect_failed(second, "grant_unstable");
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    /// A token that did not help is worth no refresh; one that another process has logged in for is.
    what_another_process_logged_in_for_is_renewed_ref_06_step_90(sim = kept()) {
        logged_in(sim, &tokens(1, 3600));
        let first = sim.refused(401, "Bearer");
        refresh(sim, 1).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(first);
        let second = again(sim);
        sim.expect_call(Method::GET, crate::given::RESOURCE).reply_json(200, &resource(&[]));
        sim.expect_failed(second, "unauthorized_after_refresh");
        // Somebody logs in, and that token's life is over by now.
        sim.store().change(RecordKind::Grant, |grant| {
            grant["access_token"] = json!(at(3));
            grant["refresh_token"] = json!("RT-CANARY-3");
            grant["login"] = json!("another");
            grant["expires"] = json!(BEGINNING + 1);
        });
        let asks = sim.at(30).acquire("");
        refresh(sim, 3).reply_json(200, &tokens(4, 3600));
        assert_eq!(sim.expect_granted(asks).access_token().expose(), at(4));
        sim.expect_no_visit();
    }

    /// A resource that names another issuer at every refusal opens three pages, whatever the issuers.
    pages_are_limited_for_the_mcp_url_host_323(sim = by_hand()) {
        for number in 0..4 {
            let waiter = refused_bare(sim, true);
            let issuer = format!("https://as{number}.example");
            let mut listed = resource(&[]);
            listed["authorization_servers"] = json!([issuer]);
            let mut document = server();
            document["issuer"] = json!(issuer);
            for member in ["authorization_endpoint", "token_endpoint", "registration_endpoint"] {
                document[member] = json!(format!("{issuer}/{member}"));
            }
            sim.expect_call(Method::GET, crate::given::RESOURCE).reply_json(200, &listed);
            let place = format!("{issuer}/.well-known/oauth-authorization-server");
            sim.expect_call(Method::GET, &place).reply_json(200, &document);
            if number == 3 {
                sim.expect_failed(waiter, "reauthorization_required");
                sim.expect_no_visit();
                return;
            }
            let call = sim.expect_call(Method::POST, &format!("{issuer}/registration_endpoint"));
            call.reply_json(201, &json!({ "client_id": "c1" }));
            sim.expect_visit().arrive_with("error=access_denied");
            sim.expect_failed(waiter, "authorization_denied");
        }
    }
}
