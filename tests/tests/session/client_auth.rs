//! How the client authenticates at the token endpoint.

use http::Method;
use mcp_authz_core::failure::Remedy;
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::given::{
    approve, by_hand, discover_with, error, known_client, refresh, resource, server_with, tokens,
};

/// A session whose client is known beforehand, with this secret.
fn known(secret: Option<&'static str>) -> Sim {
    Sim::by_hand(move |config| config.pre_registered(known_client(secret)))
}

/// Both documents; the server lists these methods.
fn methods(sim: &mut Sim, listed: &[&str]) {
    let listed = json!({ "token_endpoint_auth_methods_supported": listed });
    discover_with(sim, &resource(&[]), &server_with(&listed));
}

scripts! {
    a_public_client_sends_its_id_alone_cauth_03(sim = by_hand()) {
        sim.acquire("");
        methods(sim, &["none", "client_secret_basic"]);
        let call = sim.expect_call(Method::POST, crate::given::REGISTER);
        assert_eq!(call.json()["token_endpoint_auth_method"], "none");
        call.reply_json(201, &json!({ "client_id": "c1" }));
        let call = approve(sim);
        assert_eq!(call.form("client_id"), ["c1"]);
        assert!(call.form("client_secret").is_empty() && call.header("authorization").is_empty());
        call.reply_json(200, &tokens(1, 60));
    }

    /// Identifier and secret are form-encoded before they are joined; the body names neither.
    basic_is_the_header_and_nothing_else_cauth_01_cauth_05_cauth_06(
        sim = known(Some("SECRET-CANARY a:b%"))
    ) {
        sim.acquire("");
        methods(sim, &["client_secret_post", "client_secret_basic"]);
        let call = approve(sim);
        // "known:SECRET-CANARY%20a%3Ab%25"
        let basic = "Basic a25vd246U0VDUkVULUNBTkFSWSUyMGElM0FiJTI1";
        assert_eq!(call.header("authorization"), basic);
        assert!(call.form("client_id").is_empty() && call.form("client_secret").is_empty());
        call.reply_json(200, &tokens(1, 60));
        // The refresh says it the same way.
        sim.at(60).acquire("");
        let call = refresh(sim, 1);
        assert_eq!(call.header("authorization"), basic);
        assert!(call.form("client_id").is_empty() && call.form("client_secret").is_empty());
        call.reply_json(200, &tokens(2, 60));
    }

    post_is_the_body_and_nothing_else_cauth_01_cauth_04(sim = known(Some("SECRET-CANARY"))) {
        sim.acquire("");
        methods(sim, &["client_secret_post"]);
        let call = approve(sim);
        assert_eq!(call.form("client_id"), ["known"]);
        assert_eq!(call.form("client_secret"), ["SECRET-CANARY"]);
        assert!(call.header("authorization").is_empty());
        assert_eq!(call.request().uri().query(), None);
        call.reply_json(200, &tokens(1, 60));
    }

    without_a_list_a_secret_goes_into_the_header_cauth_02(sim = known(Some("SECRET-CANARY"))) {
        sim.acquire("");
        discover_with(sim, &resource(&[]), &crate::given::server());
        let call = approve(sim);
        assert!(call.header("authorization").starts_with("Basic "));
        call.reply_json(200, &tokens(1, 60));
    }

    methods_that_nobody_shares_end_it_before_any_request_cauth_02(
        sim = known(Some("SECRET-CANARY"))
    ) {
        let waiter = sim.acquire("");
        methods(sim, &["private_key_jwt", "tls_client_auth"]);
        sim.expect_failed(waiter, "client_auth_unsupported");
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    a_known_public_client_uses_none_with_a_note_cauth_02_d15(sim = known(None)) {
        let waiter = sim.acquire("");
        methods(sim, &["client_secret_basic"]);
        let call = approve(sim);
        assert_eq!(call.form("client_id"), ["known"]);
        call.reply_json(200, &tokens(1, 60));
        sim.expect_granted(waiter);
        sim.expect_note("lenient: unlisted_none");
    }

    /// No other method is tried, no other client is made: an account could be locked.
    a_known_client_that_is_refused_is_given_up_cauth_13(sim = known(Some("SECRET-CANARY"))) {
        let waiter = sim.acquire("");
        methods(sim, &["client_secret_post", "client_secret_basic"]);
        approve(sim).reply_json(401, &error("invalid_client"));
        let failure = sim.expect_failed(waiter, "client_rejected");
        assert_eq!(failure.remedy(), Remedy::Register);
        sim.expect_no_call();
    }

    a_known_client_refused_in_a_refresh_asks_nobody_cauth_13_host_236(
        sim = known(Some("SECRET-CANARY"))
    ) {
        sim.acquire("");
        methods(sim, &["client_secret_post"]);
        approve(sim).reply_json(200, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        refresh(sim, 1).reply_json(401, &error("invalid_client"));
        sim.expect_failed(caller, "client_rejected");
        sim.expect_no_call();
        sim.expect_no_visit();
        // The refresh token is kept for the day the client is mended.
        let next = sim.at(80).acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(next);
    }

    /// The configuration has lost the secret that the binding needs: nothing is sent without it.
    a_secret_that_is_gone_is_noticed_before_sending_cauth_02(
        sim = Sim::by_hand(|config| {
            config.persistent(true).pre_registered(known_client(Some("SECRET-CANARY")))
        })
    ) {
        sim.acquire("");
        methods(sim, &["client_secret_post"]);
        approve(sim).reply_json(200, &tokens(1, 60));
        sim.new_process(|config| config.persistent(true).pre_registered(known_client(None)));
        let caller = sim.at(60).acquire_quietly("");
        sim.expect_failed(caller, "client_auth_unsupported");
        sim.expect_no_call();
    }

    /// The server's own word on the method it gave stands above what was asked for.
    a_registration_binds_its_method_cauth_02_reg_15(sim = by_hand()) {
        let waiter = sim.acquire("");
        methods(sim, &["client_secret_post", "client_secret_basic"]);
        let call = sim.expect_call(Method::POST, crate::given::REGISTER);
        assert_eq!(call.json()["token_endpoint_auth_method"], "client_secret_basic");
        call.reply_json(201, &json!({
            "client_id": "c1", "client_secret": "SECRET-CANARY",
            "token_endpoint_auth_method": "client_secret_post", "client_secret_expires_at": 0,
        }));
        let call = approve(sim);
        assert_eq!(call.form("client_secret"), ["SECRET-CANARY"]);
        call.reply_json(200, &tokens(1, 60));
        sim.expect_granted(waiter);
    }
}
