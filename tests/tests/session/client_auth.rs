//! How the client authenticates at the token endpoint.

use http::Method;
use mcp_authz_core::config::{ConfigBuilder, Method as Auth, PreRegistered};
use mcp_authz_core::failure::{Failure, Remedy, Setting};
use mcp_authz_tests::model::{AuthMethod, Endpoint, Preregistered, Settings};
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::given::{
    approve, by_hand, discover_with, error, known_client, refresh, resource, server_with, tokens,
};

/// A session whose client is known beforehand, with this secret.
fn known(secret: Option<&'static str>) -> Sim {
    Sim::by_hand(move |config| config.pre_registered(known_client(secret)))
}

/// The same, with an authentication method chosen for its issuer.
fn chosen(method: Auth) -> Sim {
    Sim::by_hand(move |config| {
        let client = known_client(Some("SECRET-CANARY"));
        config.client_auth_method("https://as.example", method).pre_registered(client)
    })
}

/// A server that looks for the client in the form alone, as the Python SDK's does.
fn reads_the_form(
    listed: &[AuthMethod],
    config: impl Fn(ConfigBuilder) -> ConfigBuilder + 'static,
) -> Sim {
    let mut settings = Settings::revision("2025-11-25");
    settings.server.client_in_form = true;
    settings.server.auth_methods = listed.to_vec();
    settings.server.clients = vec![Preregistered {
        client_id: "known".to_owned(),
        secret: Some("SECRET-CANARY".to_owned()),
        method: AuthMethod::Post,
        redirect_uris: vec!["http://127.0.0.1/callback".to_owned()],
        grant_types: settings.server.grant_types.clone(),
    }];
    Sim::against(settings, config)
}

/// The failure names the method that was used, and the setting that chooses another.
fn names(failure: &Failure, used: &str) {
    assert_eq!(failure.subject(), Some(used));
    let [mend] = failure.mends() else { panic!("one setting, not {:?}", failure.mends()) };
    assert_eq!(mend.setting, Setting::ClientAuthMethod);
    assert_eq!(mend.issuer.as_deref(), Some("https://as.example"));
    let text = "setting client_auth_method: choose another client authentication method for \
                https://as.example";
    assert!(failure.to_string().ends_with(text), "{failure}");
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
        methods(sim, &["client_secret_basic", "none"]);
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

    /// Widely used servers find no client in a Basic header without `client_id` in the body, and
    /// every server reads the body.
    post_goes_before_basic_cauth_02(sim = by_hand()) {
        sim.acquire("");
        methods(sim, &["client_secret_basic", "client_secret_post"]);
        let call = sim.expect_call(Method::POST, crate::given::REGISTER);
        assert_eq!(call.json()["token_endpoint_auth_method"], "client_secret_post");
        call.reply_json(201, &json!({ "client_id": "c1", "client_secret": "SECRET-CANARY" }));
        let call = approve(sim);
        assert_eq!(call.form("client_id"), ["c1"]);
        assert_eq!(call.form("client_secret"), ["SECRET-CANARY"]);
        assert!(call.header("authorization").is_empty());
        call.reply_json(200, &tokens(1, 60));
    }

    a_server_that_reads_the_form_finds_a_client_that_registered_cauth_02(
        sim = reads_the_form(&[AuthMethod::Post, AuthMethod::Basic], |config| config)
    ) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
        assert_eq!(sim.model().count(Endpoint::Register), 1);
        // So does a refresh.
        sim.model().revoke_access_tokens();
        let waiter = sim.call_tool("echo", false).expect_err("the token is revoked");
        sim.serve();
        sim.expect_granted(waiter);
    }

    a_server_that_reads_the_form_finds_a_known_client_cauth_02(
        sim = reads_the_form(&[AuthMethod::Basic, AuthMethod::Post], |config| {
            config.pre_registered(known_client(Some("SECRET-CANARY")))
        })
    ) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
    }

    /// It says less than it takes: the host knows better.
    a_method_that_is_not_listed_can_be_chosen_cauth_02(
        sim = reads_the_form(&[AuthMethod::Basic], |config| {
            let client = known_client(Some("SECRET-CANARY"));
            config.client_auth_method("https://as.example", Auth::SecretPost).pre_registered(client)
        })
    ) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
        sim.expect_note("lenient: unlisted_method for https://as.example");
    }

    a_choice_stands_above_the_order_cauth_02(sim = chosen(Auth::SecretBasic)) {
        sim.acquire("");
        methods(sim, &["client_secret_post", "client_secret_basic"]);
        let call = approve(sim);
        assert!(call.header("authorization").starts_with("Basic "));
        call.reply_json(200, &tokens(1, 60));
        sim.at(60).acquire("");
        let call = refresh(sim, 1);
        assert!(call.header("authorization").starts_with("Basic "));
        call.reply_json(200, &tokens(2, 60));
    }

    /// What was agreed upon for this client goes before what holds for its issuer.
    a_choice_for_one_client_goes_first_cauth_02(sim = Sim::by_hand(|config| {
        let client = known_client(Some("SECRET-CANARY"));
        config
            .client_auth_method("https://as.example", Auth::SecretPost)
            .pre_registered(PreRegistered { method: Some(Auth::SecretBasic), ..client })
    })) {
        sim.acquire("");
        methods(sim, &["client_secret_post"]);
        let call = approve(sim);
        assert!(call.header("authorization").starts_with("Basic "));
        call.reply_json(200, &tokens(1, 60));
        sim.expect_note("lenient: unlisted_method for https://as.example");
    }

    a_choice_is_registered_and_stands_above_the_answer_cauth_02(sim = Sim::by_hand(|config| {
        config.client_auth_method("https://as.example", Auth::SecretBasic)
    })) {
        sim.acquire("");
        methods(sim, &["none", "client_secret_post"]);
        sim.expect_note("lenient: unlisted_method for https://as.example");
        let call = sim.expect_call(Method::POST, crate::given::REGISTER);
        assert_eq!(call.json()["token_endpoint_auth_method"], "client_secret_basic");
        call.reply_json(201, &json!({
            "client_id": "c1", "client_secret": "SECRET-CANARY",
            "token_endpoint_auth_method": "client_secret_post", "client_secret_expires_at": 0,
        }));
        let call = approve(sim);
        assert!(call.header("authorization").starts_with("Basic "));
        assert!(call.form("client_secret").is_empty());
        call.reply_json(200, &tokens(1, 60));
    }

    a_choice_without_a_secret_ends_in_the_setting_cauth_02_host_153(sim = Sim::by_hand(|config| {
        config.client_auth_method("https://as.example", Auth::SecretPost)
    })) {
        let waiter = sim.acquire("");
        methods(sim, &["none"]);
        crate::given::register(sim, "c1");
        let failure = sim.expect_failed(waiter, "registration_unusable");
        assert_eq!(failure.mends().len(), 1);
        sim.expect_no_visit();
    }

    /// One that is made after the login holds for what is stored, from the next request on.
    a_later_choice_holds_for_a_stored_registration_cauth_02_cauth_13(
        sim = Sim::by_hand(|config| config.persistent(true))
    ) {
        sim.acquire("");
        methods(sim, &["client_secret_post"]);
        let call = sim.expect_call(Method::POST, crate::given::REGISTER);
        call.reply_json(201, &json!({
            "client_id": "c1", "client_secret": "SECRET-CANARY", "client_secret_expires_at": 0,
        }));
        approve(sim).reply_json(200, &tokens(1, 60));
        sim.new_process(|config| {
            config.persistent(true).client_auth_method("https://as.example", Auth::SecretBasic)
        });
        let caller = sim.at(60).acquire("");
        let call = refresh(sim, 1);
        assert!(call.header("authorization").starts_with("Basic "));
        call.reply_json(200, &tokens(2, 60));
        sim.expect_granted(caller);
        // The record keeps what the server's answer bound.
        sim.new_process(|config| config.persistent(true));
        sim.at(120).acquire("");
        assert_eq!(refresh(sim, 2).form("client_secret"), ["SECRET-CANARY"]);
    }

    a_later_choice_holds_for_a_known_client_cauth_02(sim = Sim::by_hand(|config| {
        config.persistent(true).pre_registered(known_client(Some("SECRET-CANARY")))
    })) {
        sim.acquire("");
        methods(sim, &["client_secret_post"]);
        approve(sim).reply_json(200, &tokens(1, 60));
        sim.new_process(|config| {
            let client = known_client(Some("SECRET-CANARY"));
            config
                .persistent(true)
                .client_auth_method("https://as.example", Auth::SecretBasic)
                .pre_registered(client)
        });
        sim.at(60).acquire("");
        let call = refresh(sim, 1);
        assert!(call.header("authorization").starts_with("Basic "));
    }

    /// A stored registration that has no secret cannot do what is chosen now: the next login makes
    /// a new one.
    a_later_choice_that_needs_a_secret_registers_anew_cauth_02(
        sim = Sim::by_hand(|config| config.persistent(true))
    ) {
        sim.acquire("");
        methods(sim, &["none", "client_secret_post"]);
        crate::given::register(sim, "c1");
        approve(sim).reply_json(200, &crate::given::access_only(1, 60));
        sim.new_process(|config| {
            config.persistent(true).client_auth_method("https://as.example", Auth::SecretPost)
        });
        sim.at(61).acquire("");
        methods(sim, &["none", "client_secret_post"]);
        let call = sim.expect_call(Method::POST, crate::given::REGISTER);
        assert_eq!(call.json()["token_endpoint_auth_method"], "client_secret_post");
        call.reply_json(201, &json!({ "client_id": "c2", "client_secret": "SECRET-CANARY" }));
        assert_eq!(approve(sim).form("client_secret"), ["SECRET-CANARY"]);
    }

    /// A secret comes, and no method: where a secret is taken it is used.
    a_secret_without_a_method_is_used_where_one_is_listed_cauth_02_reg_16(sim = by_hand()) {
        for (listed, used) in [
            (&["none", "client_secret_basic", "client_secret_post"][..], "post"),
            (&["none", "client_secret_basic"], "basic"),
            (&["none"], "none"),
        ] {
            let waiter = sim.acquire("");
            methods(sim, listed);
            let call = sim.expect_call(Method::POST, crate::given::REGISTER);
            assert_eq!(call.json()["token_endpoint_auth_method"], "none");
            call.reply_json(201, &json!({ "client_id": "c1", "client_secret": "SECRET-CANARY" }));
            let call = approve(sim);
            assert_eq!(!call.form("client_secret").is_empty(), used == "post", "{used}");
            assert_eq!(!call.header("authorization").is_empty(), used == "basic", "{used}");
            call.reply_json(401, &error("invalid_client"));
            let call = sim.expect_call(Method::POST, crate::given::REGISTER);
            call.reply_json(400, &error("invalid_client_metadata"));
            sim.expect_failed(waiter, "registration_failed");
        }
    }

    methods_that_nobody_shares_end_it_before_any_request_cauth_02(
        sim = known(Some("SECRET-CANARY"))
    ) {
        let waiter = sim.acquire("");
        methods(sim, &["private_key_jwt", "tls_client_auth"]);
        let failure = sim.expect_failed(waiter, "client_auth_unsupported");
        names(&failure, "token_endpoint_auth_methods_supported");
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
        names(&failure, "client_secret_post");
        sim.expect_no_call();
    }

    a_registered_client_that_is_refused_twice_names_the_choice_cauth_13(sim = by_hand()) {
        let waiter = sim.acquire("");
        methods(sim, &["client_secret_basic"]);
        for id in ["c1", "c2"] {
            let call = sim.expect_call(Method::POST, crate::given::REGISTER);
            call.reply_json(201, &json!({ "client_id": id, "client_secret": "SECRET-CANARY" }));
            approve(sim).reply_json(401, &error("invalid_client"));
        }
        names(&sim.expect_failed(waiter, "client_rejected"), "client_secret_basic");
        sim.expect_no_call();
    }

    a_known_client_refused_in_a_refresh_names_the_choice_cauth_13_host_236(
        sim = known(Some("SECRET-CANARY"))
    ) {
        sim.acquire("");
        methods(sim, &["client_secret_post"]);
        approve(sim).reply_json(200, &tokens(1, 60));
        let caller = sim.at(60).acquire_quietly("");
        refresh(sim, 1).reply_json(401, &error("invalid_client"));
        names(&sim.expect_failed(caller, "client_rejected"), "client_secret_post");
        sim.expect_no_call();
        sim.expect_no_visit();
        // The refresh token is kept for the day the client is mended.
        let next = sim.at(121).acquire("");
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
        assert_eq!(call.json()["token_endpoint_auth_method"], "client_secret_post");
        call.reply_json(201, &json!({
            "client_id": "c1", "client_secret": "SECRET-CANARY",
            "token_endpoint_auth_method": "client_secret_basic", "client_secret_expires_at": 0,
        }));
        let call = approve(sim);
        assert!(call.header("authorization").starts_with("Basic "));
        assert!(call.form("client_secret").is_empty());
        call.reply_json(200, &tokens(1, 60));
        sim.expect_granted(waiter);
    }
}
