//! What a registration asks for, what its refusal points at, and the settings that mend it.

use http::Method;
use mcp_authz_core::config::{ClientMetadata, ConfigBuilder, PreRegistered};
use mcp_authz_core::effect::RecordKind;
use mcp_authz_core::failure::Setting;
use mcp_authz_core::secret::Secret;
use mcp_authz_tests::model::{Endpoint, RefreshIssue, RegistrationMode, Settings};
use mcp_authz_tests::sim::{Asked, Sim};
use serde_json::{Value, json};

use crate::given::{
    REGISTER, access_only, approve, bearer, by_hand, discover, discover_with, error, exchange,
    kept, known_client, logged_in, refresh, register, resource, server_with, tokens,
};

/// A caller asks, and the next request is the registration at a server that says this beside.
#[track_caller]
fn registration<'a>(sim: &'a mut Sim, scopes: &str, members: &Value) -> Asked<'a> {
    sim.acquire(scopes);
    discover_with(sim, &resource(&[]), &server_with(members));
    sim.expect_call(Method::POST, REGISTER)
}

/// An honest server with one thing changed.
fn changed(change: impl FnOnce(&mut Settings), config: fn(ConfigBuilder) -> ConfigBuilder) -> Sim {
    let mut settings = Settings::revision("2026-07-28");
    change(&mut settings);
    Sim::against(settings, config)
}

fn scopes_registered() -> Sim {
    Sim::by_hand(|config| config.persistent(true).register_scopes(true))
}

scripts! {
    only_listed_grants_are_registered_reg_90(sim = by_hand()) {
        for (listed, expected) in [
            (json!(["authorization_code"]), json!(["authorization_code"])),
            (json!(["authorization_code", "refresh_token"]),
                json!(["authorization_code", "refresh_token"])),
            (json!(null), json!(["authorization_code", "refresh_token"])),
        ] {
            let call = registration(sim, "", &json!({ "grant_types_supported": listed }));
            assert_eq!(call.json()["grant_types"], expected);
            call.reply_json(400, &error("invalid_client_metadata"));
        }
    }

    a_refresh_token_that_comes_all_the_same_is_used_reg_90(sim = by_hand()) {
        let list = json!({ "grant_types_supported": ["authorization_code"] });
        registration(sim, "", &list).reply_json(201, &json!({ "client_id": "c1" }));
        approve(sim).reply_json(200, &tokens(1, 60));
        sim.at(60).acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        assert_eq!(bearer(sim), crate::given::at(2));
    }

    a_server_without_refresh_tokens_registers_us_reg_90(
        sim = changed(|settings| {
            settings.server.grant_types = vec!["authorization_code".to_owned()];
            settings.server.tokens.refresh = RefreshIssue::Never;
        }, |config| config)
    ) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
    }

    no_scope_is_registered_unless_said_reg_91(sim = by_hand()) {
        let call = registration(sim, "files:read", &json!({}));
        assert_eq!(call.json().get("scope"), None);
    }

    the_scopes_that_will_be_asked_for_are_registered_reg_91(sim = scopes_registered()) {
        let listed = json!({ "scopes_supported": ["offline_access"] });
        let call = registration(sim, "files:read", &listed);
        assert_eq!(call.json()["scope"], "files:read offline_access");
        call.reply_json(201, &json!({ "client_id": "c1" }));
        let visit = sim.expect_visit();
        assert_eq!(visit.param("scope").as_deref(), Some("files:read offline_access"));
        visit.arrive_with_code("");
        exchange(sim).reply_json(200, &access_only(1, 60));
        // A login for as much or less is one with the same client, in the next run too.
        sim.new_process(|config| config.persistent(true).register_scopes(true));
        sim.at(61).acquire("files:read");
        discover_with(sim, &resource(&[]), &server_with(&listed));
        assert_eq!(sim.expect_visit().param("client_id").as_deref(), Some("c1"));
        sim.expect_no_call();
    }

    those_of_the_metadata_are_among_them_reg_91(sim = Sim::by_hand(|config| {
        let scope = mcp_authz_core::scope::ScopeSet::read("profile").expect("a scope");
        let metadata = ClientMetadata { scope, ..ClientMetadata::default() };
        config.register_scopes(true).client_metadata(metadata)
    })) {
        let call = registration(sim, "files:read", &json!({}));
        assert_eq!(call.json()["scope"], "profile files:read");
    }

    /// The setting is made after a failure, and the registration is in the store.
    a_stored_registration_without_scopes_is_replaced_reg_91(sim = kept()) {
        logged_in(sim, &access_only(1, 60));
        sim.new_process(|config| config.persistent(true).register_scopes(true));
        let call = { sim.at(61); registration(sim, "files:write", &json!({})) };
        let asked = call.json();
        assert_eq!(asked["scope"], "files:read files:write");
        call.reply_json(201, &json!({ "client_id": "c2" }));
        let visit = sim.expect_visit();
        assert_eq!(visit.param("client_id").as_deref(), Some("c2"));
    }

    a_refused_scope_names_the_setting_reg_91(sim = by_hand()) {
        let waiter = sim.acquire("files:read");
        discover(sim);
        register(sim, "c1");
        sim.expect_visit().arrive_with("error=invalid_scope");
        let failure = sim.expect_failed(waiter, "authorization_denied");
        assert_eq!(failure.mends()[0].setting, Setting::RegisterScopes);
        let text = failure.to_string();
        assert!(text.contains("setting register_scopes: register the scopes"), "{text}");
        // So at the token endpoint.
        let waiter = sim.acquire("files:read");
        discover(sim);
        approve(sim).reply_json(400, &error("invalid_scope"));
        let failure = sim.expect_failed(waiter, "server_error");
        assert_eq!(failure.mends()[0].setting, Setting::RegisterScopes);
    }

    a_refused_scope_that_was_registered_names_nothing_reg_91(sim = scopes_registered()) {
        let waiter = sim.acquire("files:read");
        discover(sim);
        register(sim, "c1");
        sim.expect_visit().arrive_with("error=invalid_scope");
        assert!(sim.expect_failed(waiter, "authorization_denied").mends().is_empty());
    }

    /// Each code points at something, and the person reads the server's own words.
    a_refusal_names_what_it_points_at_reg_92(sim = by_hand()) {
        use Setting::*;
        let metadata = |text: &str| {
            json!({ "error": "invalid_client_metadata", "error_description": text })
        };
        for (status, answer, subject, settings) in [
            (400, error("invalid_redirect_uri"), None, vec![Redirect, RegisterScopes]),
            (401, json!({}), None, vec![InitialAccessToken, RegisterScopes]),
            (401, error("invalid_token"), None, vec![InitialAccessToken, RegisterScopes]),
            (403, json!({ "message": "no" }), None, vec![ClientName, RegisterScopes]),
            (400, metadata("scope is required"), Some("scope"), vec![RegisterScopes]),
            (400, metadata("bad client_name"), Some("client_name"),
                vec![ClientName, RegisterScopes]),
            (400, metadata("unsupported grant_types: refresh_token"), Some("grant_types"),
                vec![RefreshTokens, RegisterScopes]),
            (400, metadata("token_endpoint_auth_method must be one of a, b"),
                Some("token_endpoint_auth_method"), vec![ClientAuthMethod, RegisterScopes]),
            (400, metadata("logo_uri"), Some("logo_uri"), vec![ClientMetadata, RegisterScopes]),
            (400, metadata("no"), None, vec![RegisterScopes]),
            (422, json!({ "detail": "scope: field required" }), Some("scope"),
                vec![RegisterScopes]),
        ] {
            let waiter = sim.acquire("files:read");
            discover(sim);
            sim.expect_call(Method::POST, REGISTER).reply_json(status, &answer);
            let failure = sim.expect_failed(waiter, "registration_failed");
            let named: Vec<_> = failure.mends().iter().map(|mend| mend.setting).collect();
            assert_eq!(named, settings, "{status} {answer}");
            assert_eq!(failure.subject(), subject, "{status} {answer}");
            for mend in failure.mends() {
                let issuer = (mend.setting == ClientAuthMethod).then_some("https://as.example");
                assert_eq!(mend.issuer.as_deref(), issuer);
            }
        }
    }

    the_servers_words_are_shown_reg_92(sim = by_hand()) {
        let waiter = sim.acquire("");
        discover(sim);
        let html = b"<html><h1>Members only</h1></html>";
        sim.expect_call(Method::POST, REGISTER).respond(403, &[("content-type", "text/html")], html);
        let text = sim.expect_failed(waiter, "registration_failed").to_string();
        assert!(text.contains("\"Members only\""), "{text}");
        assert!(text.contains("client_name: choose a client name that the server admits"), "{text}");
    }

    /// A server that repeats the token shows it to nobody.
    an_initial_access_token_is_not_repeated_host_324_reg_92(
        sim = Sim::by_hand(|config| config.initial_access_token(Secret::new("IAT-CANARY-0123")))
    ) {
        let waiter = sim.acquire("");
        discover(sim);
        let call = sim.expect_call(Method::POST, REGISTER);
        assert_eq!(call.header("authorization"), "Bearer IAT-CANARY-0123");
        call.reply_json(401, &json!({
            "error": "invalid_token", "error_description": "IAT-CANARY-0123 has ended",
        }));
        let failure = sim.expect_failed(waiter, "registration_failed");
        assert!(!failure.to_string().contains("CANARY"), "{failure}");
        assert_eq!(failure.mends()[0].setting, Setting::InitialAccessToken);
    }

    /// The server did register somebody: it did not refuse.
    what_cannot_be_used_was_not_refused_reg_92_reg_13(sim = by_hand()) {
        for (status, body) in [
            (201, r#"{"client_id":7}"#),
            (200, "<html>Welcome</html>"),
            (201, ""),
            (202, r#"{"client_id":"c1"}"#),
            (204, ""),
        ] {
            let waiter = sim.acquire("");
            discover(sim);
            sim.expect_call(Method::POST, REGISTER).respond(status, &[], body.as_bytes());
            let failure = sim.expect_failed(waiter, "registration_unusable");
            assert!(failure.mends().is_empty());
        }
    }

    an_empty_method_is_none_named_tok_90_reg_16(sim = by_hand()) {
        let call = registration(sim, "", &json!({}));
        call.reply_json(201, &json!({
            "client_id": "c1", "client_secret": "", "token_endpoint_auth_method": "",
        }));
        sim.expect_note("not used: token_endpoint_auth_method, registration_unusable [TOK-90]");
        sim.expect_note("not used: client_secret, registration_unusable [TOK-90]");
        let call = approve(sim);
        assert_eq!(call.form("client_id"), ["c1"]);
        call.reply_json(200, &tokens(1, 60));
    }

    /// People are asked for consent to the program, not to a library that they never heard of.
    consent_is_asked_for_the_program_reg_07(sim = by_hand()) {
        let call = registration(sim, "", &json!({}));
        assert_eq!(call.json()["client_name"], "MCP client");
    }

    consent_is_asked_for_the_program_that_runs_reg_07(
        sim = Sim::by_hand(|config| config.program("mail"))
    ) {
        assert_eq!(registration(sim, "", &json!({})).json()["client_name"], "mail");
    }

    consent_is_asked_for_the_name_that_was_said_reg_07(
        sim = Sim::by_hand(|config| config.client_name("Mail").program("mail"))
    ) {
        assert_eq!(registration(sim, "", &json!({})).json()["client_name"], "Mail");
    }

    /// Another person is to log in, or the server was changed: what the store has is left alone
    /// until there is something newer.
    a_login_anew_leaves_the_store_alone_until_it_succeeds_ref_08(sim = kept()) {
        logged_in(sim, &tokens(1, 3600));
        sim.new_process(|config| config.persistent(true).login_anew(true));
        let quiet = sim.acquire_quietly("");
        sim.expect_failed(quiet, "reauthorization_required");
        let waiter = sim.acquire("files:read");
        discover(sim);
        assert_eq!(sim.store().documents(RecordKind::Grant)[0]["refresh_token"], "RT-CANARY-1");
        let visit = sim.expect_visit();
        assert_eq!(visit.param("client_id").as_deref(), Some("c1"));
        visit.arrive_with_code("");
        exchange(sim).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(waiter);
        assert_eq!(bearer(sim), crate::given::at(2));
        let grants = sim.store().documents(RecordKind::Grant);
        assert_eq!((grants.len(), &grants[0]["refresh_token"]), (1, &json!("RT-CANARY-2")));
        // Nobody else logs in anew for that.
        let next = sim.at(3600).acquire("files:read");
        refresh(sim, 2).reply_json(200, &tokens(3, 3600));
        sim.expect_granted(next);
    }

    /// A token that is there is used; who the client is matters to a refresh.
    a_stored_token_needs_no_client_id_cauth_02(sim = Sim::by_hand(|config| {
        config.persistent(true).pre_registered(known_client(Some("SECRET-CANARY")))
    })) {
        sim.acquire("");
        discover(sim);
        approve(sim).reply_json(200, &tokens(1, 60));
        sim.new_process(|config| config.persistent(true));
        let waiter = sim.acquire_quietly("");
        sim.expect_granted(waiter);
        assert_eq!(bearer(sim), crate::given::at(1));
        // It is over, and nobody can renew it.
        let waiter = sim.at(61).acquire_quietly("");
        sim.expect_failed(waiter, "reauthorization_required");
        sim.expect_no_call();
    }

    /// Another client than the one that was granted it is somebody else.
    a_stored_token_of_another_client_is_not_used_cauth_02(sim = Sim::by_hand(|config| {
        config.persistent(true).pre_registered(known_client(None))
    })) {
        sim.acquire("");
        discover(sim);
        approve(sim).reply_json(200, &tokens(1, 60));
        sim.new_process(|config| {
            let other = PreRegistered { client_id: "other".to_owned(), ..known_client(None) };
            config.persistent(true).pre_registered(other)
        });
        let waiter = sim.acquire_quietly("");
        sim.expect_failed(waiter, "reauthorization_required");
    }

    a_closed_server_registers_who_has_its_token_reg_92(
        sim = changed(|settings| {
            settings.server.registration.mode =
                RegistrationMode::Refuses("invalid_client_metadata".to_owned());
        }, |config| config)
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        let failure = sim.expect_failed(waiter, "registration_failed");
        assert_eq!(failure.mends()[0].setting, Setting::RegisterScopes);
        assert_eq!(sim.model().count(Endpoint::Register), 1);
    }
}
