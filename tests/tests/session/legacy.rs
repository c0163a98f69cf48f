//! Servers of 2025-03-26, which are their own authorization servers, and who is never taken for one.

use http::Method;
use mcp_authz_core::config::{PreRegistered, Profile};
use mcp_authz_core::effect::{RecordKind, Why};
use mcp_authz_tests::model::{RefreshIssue, Settings};
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::by_hand::*;
use crate::given::switches;

const BASE: &str = "https://mcp.example";
const BASE_DOCUMENT: &str = "/.well-known/oauth-authorization-server";

/// The resource has definitely no metadata.
fn no_resource(sim: &mut Sim) {
    sim.expect_call(Method::GET, RESOURCE).reply(404);
    sim.expect_call(Method::GET, RESOURCE_ROOT).reply(404);
}

/// Neither document is there.
fn no_document(sim: &mut Sim) {
    no_resource(sim);
    sim.expect_call(Method::GET, BASE_DOCUMENT).reply(404);
}

scripts! {
    the_document_at_the_base_comes_before_the_defaults_leg_01_leg_02_leg_04_leg_06(sim = plain()) {
        sim.refused(401, "");
        no_resource(sim);
        let document = with(server_at(BASE), json!({
            "issuer": "https://mcp.example/",
            "authorization_endpoint": "https://mcp.example/oauth/authorize",
        }));
        sim.expect_call(Method::GET, BASE_DOCUMENT).reply_json(200, &document);
        sim.expect_call(Method::POST, "/register").reply_json(201, &json!({ "client_id": "c1" }));
        let visit = sim.expect_visit();
        assert!(visit.visit().url().starts_with("https://mcp.example/oauth/authorize?"));
    }

    without_a_document_the_endpoints_are_the_default_ones_leg_03_leg_07_leg_09_leg_10_leg_13(
        sim = plain()
    ) {
        let waiter = sim.refused(401, "");
        no_document(sim);
        let call = sim.expect_call(Method::POST, "/register");
        assert_eq!(call.json()["token_endpoint_auth_method"], "none");
        call.reply_json(201, &json!({ "client_id": "c1" }));
        let visit = sim.expect_visit();
        assert!(visit.visit().url().starts_with("https://mcp.example/authorize?"));
        assert_eq!(visit.param("code_challenge_method").as_deref(), Some("S256"));
        assert_eq!(visit.param("resource").as_deref(), Some("https://mcp.example/mcp"));
        assert_eq!(visit.param("scope"), None);
        visit.arrive_with_code("");
        sim.expect_call(Method::POST, "/token").reply_json(200, &tokens());
        assert_eq!(sim.expect_granted(waiter).issuer(), BASE);
        sim.expect_note("legacy_servers for https://mcp.example");
    }

    the_scopes_of_the_challenge_are_asked_for_leg_13(sim = plain()) {
        sim.refused(401, r#"Bearer scope="files:read""#);
        no_document(sim);
        sim.expect_call(Method::POST, "/register").reply_json(201, &json!({ "client_id": "c1" }));
        assert_eq!(sim.expect_visit().param("scope").as_deref(), Some("files:read"));
    }

    a_base_document_of_another_issuer_is_not_used_leg_06_leg_08(sim = plain()) {
        for (members, code) in [
            (json!({ "issuer": "https://evil.example" }), "issuer_mismatch"),
            (json!({ "code_challenge_methods_supported": null }), "pkce_unsupported"),
        ] {
            let waiter = sim.refused(401, "");
            no_resource(sim);
            sim.expect_call(Method::GET, BASE_DOCUMENT)
                .reply_json(200, &with(server_at(BASE), members));
            sim.expect_failed(waiter, code);
            sim.expect_no_call();
        }
    }

    only_definite_absence_leads_to_the_defaults_leg_05_host_118(sim = plain()) {
        let waiter = sim.refused(401, "");
        sim.expect_call(Method::GET, RESOURCE).reply(404);
        sim.expect_call(Method::GET, RESOURCE_ROOT).reply(503);
        sim.expect_failed(waiter, "transient");
        sim.expect_no_call();
        for status in [500, 429] {
            let waiter = sim.refused(401, "");
            no_resource(sim);
            sim.expect_call(Method::GET, BASE_DOCUMENT).reply(status);
            sim.expect_failed(waiter, "transient");
            sim.expect_no_call();
        }
        let waiter = sim.refused(401, "");
        no_resource(sim);
        sim.expect_call(Method::GET, BASE_DOCUMENT).maybe_sent(Why::Broken);
        sim.expect_failed(waiter, "transient");
        sim.expect_no_call();
    }

    strict_knows_no_legacy_servers_d2(
        sim = Sim::by_hand(|config| config.profile(Profile::Strict))
    ) {
        let waiter = sim.refused(401, "");
        no_resource(sim);
        sim.expect_failed(waiter, "discovery_failed");
        sim.expect_no_call();
    }

    a_resource_that_has_shown_metadata_is_never_an_old_one_again_leg_05(
        sim = {
            let mut settings = Settings::revision("2026-07-28");
            settings.server.tokens.refresh = RefreshIssue::Never;
            Sim::against(settings, |config| config.persistent(true))
        }
    ) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
        sim.new_process(|config| config.persistent(true));
        let waiter = sim.acquire("");
        sim.expect_granted(waiter);
        sim.model().set(|settings| settings.prm.places.clear());
        sim.model().revoke_all();
        let waiter = sim.call_tool("echo", false).expect_err("the token is revoked");
        sim.serve();
        let failure = sim.expect_failed(waiter, "discovery_failed");
        assert_eq!(failure.rule(), "LEG-05");
        assert_eq!(switches(&failure), []);
        assert_eq!(sim.count("https://mcp.example/.well-known/oauth-authorization-server"), 0);
    }

    registration_may_not_be_there_leg_09(sim = plain()) {
        for status in [404, 405] {
            let waiter = sim.refused(401, "");
            no_document(sim);
            sim.expect_call(Method::POST, "/register").reply(status);
            let failure = sim.expect_failed(waiter, "discovery_failed");
            assert_eq!((failure.rule(), failure.remedy().name()), ("LEG-09", "configure"));
        }
        // Where a document names the endpoint there is a server to be a client of.
        for status in [404, 405] {
            let waiter = sim.refused(401, "");
            no_resource(sim);
            sim.expect_call(Method::GET, BASE_DOCUMENT).reply_json(200, &server_at(BASE));
            sim.expect_call(Method::POST, "/register").reply(status);
            let failure = sim.expect_failed(waiter, "no_registration_method");
            assert_eq!(failure.remedy().name(), "register");
        }
    }

    a_known_client_need_not_register_leg_09(sim = Sim::by_hand(|config| {
        config.pre_registered(PreRegistered {
            issuer: Some(BASE.to_owned()),
            client_id: "known".to_owned(),
            secret: None,
            method: None,
        })
    })) {
        sim.refused(401, "");
        no_document(sim);
        assert_eq!(sim.expect_visit().param("client_id").as_deref(), Some("known"));
    }

    a_client_document_is_not_used_where_nothing_says_so_leg_09_reg_03(sim = Sim::by_hand(|config| {
        config.client_document("https://app.example/client.json", &[])
    })) {
        sim.refused(401, "");
        no_document(sim);
        sim.expect_call(Method::POST, "/register").reply_json(201, &json!({ "client_id": "c1" }));
        assert_eq!(sim.expect_visit().param("client_id").as_deref(), Some("c1"));
    }

    everything_is_kept_under_the_base_url_leg_11(
        sim = Sim::against(
            Settings::revision("2025-03-26").without_as_metadata(),
            |config| config.persistent(true),
        )
    ) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
        for kind in [RecordKind::Binding, RecordKind::Client, RecordKind::Grant] {
            let documents = sim.store().documents(kind);
            assert_eq!(documents.len(), 1);
            assert_eq!(documents[0]["issuer"], BASE);
        }
        assert_eq!(sim.store().documents(RecordKind::Binding)[0]["class"], "legacy");
    }

    an_issuer_that_is_sent_is_compared_with_the_base_leg_12_amb_09(sim = plain()) {
        let waiter = sim.refused(401, "");
        no_document(sim);
        sim.expect_call(Method::POST, "/register").reply_json(201, &json!({ "client_id": "c1" }));
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        visit.arrive_with_code("&iss=https%3A%2F%2Fevil.example");
        sim.expect_note("iss_mismatch");
        sim.expect_no_call();
        sim.expect_waiting(waiter);
        sim.arrive(&format!("{redirect}?code=c&state={state}&iss=https%3A%2F%2Fmcp.example%2F"));
        sim.expect_call(Method::POST, "/token").reply_json(200, &tokens());
        sim.expect_granted(waiter);
    }

    a_pointer_does_not_make_an_old_server_a_new_one_leg_05_bind_05(sim = plain()) {
        let waiter = sim.refused(401, "");
        no_document(sim);
        sim.expect_call(Method::POST, "/register").reply_json(201, &json!({ "client_id": "c1" }));
        sim.expect_visit().arrive_with_code("");
        sim.expect_call(Method::POST, "/token").reply_json(200, &refreshable());
        sim.expect_granted(waiter);
        let waiter = sim.refused(401, r#"Bearer resource_metadata="https://mcp.example/prm""#);
        sim.expect_call(Method::GET, "/prm").reply(404);
        no_resource(sim);
        let call = sim.expect_call(Method::POST, "/token");
        assert_eq!(call.form("grant_type"), ["refresh_token"]);
        call.reply_json(200, &with(tokens(), json!({ "access_token": "AT2-CANARY" })));
        sim.expect_granted(waiter);
    }

    /// Metadata that was seen once is remembered, also when the login it led to was refused.
    a_refused_login_is_no_way_down_leg_05(sim = Sim::by_hand(|config| config)) {
        let waiter = sim.acquire("");
        crate::given::discover(sim);
        crate::given::register(sim, "c1");
        sim.expect_visit().arrive_with("error=access_denied");
        sim.expect_failed(waiter, "authorization_denied");
        let waiter = sim.acquire("");
        no_resource(sim);
        sim.expect_failed(waiter, "discovery_failed");
        sim.expect_no_call();
    }
}
