//! From an issuer to its validated metadata, and what stops a login before a person is asked.

use http::Method;
use mcp_authz_core::config::Profile;
use mcp_authz_core::effect::{Purpose, Why};
use mcp_authz_core::failure::{Outcome, Remedy, Switch};
use mcp_authz_tests::model::{
    Absent, Endpoint, IssMode, Literal, MetadataPlace, Pkce, Redirect, Settings,
};
use mcp_authz_tests::sim::Sim;
use serde_json::{Value, json};

use crate::by_hand::*;
use crate::given::switches;

const TENANT: &str = "https://auth.example/tenant1";

/// An honest server with one thing changed.
fn changed(change: impl FnOnce(&mut Settings)) -> Sim {
    let mut settings = Settings::revision("2026-07-28");
    change(&mut settings);
    Sim::against(settings, |config| config)
}

/// The resource names this issuer.
fn names(sim: &mut Sim, issuers: &[&str]) {
    let document = with(resource(), json!({ "authorization_servers": issuers }));
    sim.expect_call(Method::GET, RESOURCE).reply_json(200, &document);
}

/// A login ends with this code when the server's metadata is this, before anything else is sent.
fn ends(sim: &mut Sim, document: &Value, code: &str) {
    let waiter = sim.acquire("");
    discovered_as(sim, document);
    let failure = sim.expect_failed(waiter, code);
    assert_eq!(failure.purpose(), Some(Purpose::ServerMetadata), "{document}");
    assert!(matches!(
        failure.evidence().last().map(|seen| seen.outcome),
        Some(Outcome::Refused(kind)) if kind == failure.kind()
    ));
    sim.expect_no_call();
    sim.expect_no_visit();
}

scripts! {
    an_issuer_with_a_path_is_looked_for_in_order_asm_01_asm_04_asm_06(sim = plain()) {
        let waiter = sim.acquire("");
        names(sim, &[TENANT]);
        for place in [
            "https://auth.example/.well-known/oauth-authorization-server/tenant1",
            "https://auth.example/.well-known/openid-configuration/tenant1",
        ] {
            sim.expect_call(Method::GET, place).reply(404);
        }
        sim.expect_call(Method::GET, "https://auth.example/tenant1/.well-known/openid-configuration")
            .reply_json(200, &server_at(TENANT));
        sim.expect_note("from https://auth.example/tenant1/.well-known/openid-configuration");
        let call = sim.expect_call(Method::POST, "https://auth.example/tenant1/register");
        call.reply_json(201, &json!({ "client_id": "c1" }));
        sim.expect_visit();
        sim.expect_waiting(waiter);
    }

    an_issuer_without_a_path_is_looked_for_in_order_asm_02(sim = plain()) {
        let waiter = sim.acquire("");
        listed(sim);
        sim.expect_call(Method::GET, SERVER).reply(404);
        sim.expect_call(Method::GET, SERVER_OPENID).reply(403);
        let failure = sim.expect_failed(waiter, "discovery_failed");
        assert_eq!((failure.rule(), failure.remedy()), ("ASM-06", Remedy::Report));
        sim.expect_no_call();
    }

    the_slash_at_an_issuers_end_is_not_doubled_asm_03(sim = plain()) {
        sim.acquire("");
        names(sim, &["https://auth.example:8443/t/"]);
        sim.expect_call(
            Method::GET,
            "https://auth.example:8443/.well-known/oauth-authorization-server/t",
        );
    }

    an_openid_provider_is_found_asm_05_asm_19_asm_20(
        sim = changed(|settings| settings.server.metadata.at = vec![MetadataPlace::Oidc])
    ) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
        sim.expect_note("from https://as.example/.well-known/openid-configuration");
    }

    the_documents_of_the_hosts_root_are_never_asked_for_asm_04(
        sim = changed(|settings| {
            settings.server.issuer = TENANT.to_owned();
            settings.server.metadata.at = vec![MetadataPlace::Oidc];
        })
    ) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
        assert_eq!(sim.model().count(Endpoint::AsRoot), 0);
    }

    a_page_is_no_document_and_the_next_place_is_asked_host_134(
        sim = changed(|settings| {
            settings.absent = Absent::Everything;
            settings.server.metadata.at = vec![MetadataPlace::Oidc];
        })
    ) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
    }

    after_a_place_that_could_not_answer_the_next_is_asked_asm_06_host_136(sim = plain()) {
        for why in [Why::Connect, Why::Timeout, Why::Tls] {
            let waiter = sim.acquire("");
            listed(sim);
            sim.expect_call(Method::GET, SERVER).not_sent(why);
            sim.expect_call(Method::GET, SERVER_OPENID).reply(429);
            let failure = sim.expect_failed(waiter, "transient");
            assert!(failure.remedy().retryable());
        }
        for status in [500, 408, 429] {
            let waiter = sim.acquire("");
            listed(sim);
            sim.expect_call(Method::GET, SERVER).reply(status);
            sim.expect_call(Method::GET, SERVER_OPENID).reply(404);
            sim.expect_failed(waiter, "transient");
            sim.expect_no_call();
        }
        sim.acquire("");
        listed(sim);
        sim.expect_call(Method::GET, SERVER).reply(503);
        sim.expect_call(Method::GET, SERVER_OPENID).reply_json(200, &server());
        registered(sim);
        sim.expect_visit();
    }

    silence_is_waited_for_no_longer_than_the_search_may_take_asm_06_host_068(sim = plain()) {
        let waiter = sim.acquire("");
        listed(sim);
        sim.at(31);
        sim.expect_waiting(waiter);
        sim.expect_call(Method::GET, SERVER_OPENID);
        sim.at(62);
        sim.expect_failed(waiter, "transient");
        sim.expect_no_call();
    }

    what_breaks_a_rule_of_http_ends_the_search_host_065_host_066(sim = plain()) {
        for (why, code) in [
            (Why::BodyTooLarge, "body_too_large"),
            (Why::Encoded, "encoding_refused"),
            (Why::Redirected, "redirect_refused"),
        ] {
            let waiter = sim.acquire("");
            listed(sim);
            sim.expect_call(Method::GET, SERVER).maybe_sent(why);
            sim.expect_failed(waiter, code);
            sim.expect_no_call();
        }
        let waiter = sim.acquire("");
        listed(sim);
        let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
        sim.expect_call(Method::GET, SERVER).respond(200, &headers, b"{}");
        let failure = sim.expect_failed(waiter, "encoding_refused");
        assert_eq!(failure.subject(), Some(SERVER));
    }

    a_loop_of_redirects_ends_host_054(
        sim = changed(|settings| settings.server.metadata.redirect = Redirect::SameOrigin(9))
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        let failure = sim.expect_failed(waiter, "too_many_redirects");
        assert_eq!(failure.purpose(), Some(Purpose::ServerMetadata));
    }

    another_issuer_ends_the_attempt_asm_07_asm_08_sec_08_host_124_host_135(sim = plain()) {
        for issuer in [
            "https://evil.example",
            "https://AS.example",
            "https://as.example:443",
            "https://as.example//",
            "https://as.example/t1",
        ] {
            let document = with(server(), json!({ "issuer": issuer }));
            ends(sim, &document, "issuer_mismatch");
        }
        sim.expect_no_call();
        untouched(sim, "evil.example");
        assert_eq!(sim.count("openid-configuration"), 0);
    }

    the_pin_of_a_mismatch_is_named_and_works_bind_12(sim = Sim::by_hand(|config| {
        config.danger().pin_issuer("https://as.example", "https://id.example").done()
    })) {
        let other = with(server(), json!({ "issuer": "https://other.example" }));
        let waiter = sim.acquire("");
        discovered_as(sim, &other);
        let failure = sim.expect_failed(waiter, "issuer_mismatch");
        assert_eq!(switches(&failure), [Switch::IssuerPin]);
        assert_eq!(failure.remedy(), Remedy::Configure);
        let waiter = sim.acquire("");
        let pinned = with(server(), json!({ "issuer": "https://id.example" }));
        discovered_as(sim, &pinned);
        sim.expect_note("issuer_pin for https://as.example");
        registered(sim);
        let visit = sim.expect_visit();
        assert_eq!(&*visit.visit().issuer, "https://id.example");
        visit.arrive_with_code("&iss=https%3A%2F%2Fid.example");
        sim.expect_call(Method::POST, TOKEN).reply_json(200, &tokens());
        assert_eq!(sim.expect_granted(waiter).issuer(), "https://id.example");
    }

    one_slash_after_a_bare_origin_is_tolerated_asm_09_host_125_d3(
        sim = changed(|settings| {
            settings.server.issuer = "https://as.example/".to_owned();
            settings.prm.authorization_servers = Some(vec!["https://as.example".to_owned()]);
        })
    ) {
        let waiter = sim.acquire("");
        sim.log_in();
        // `iss` is compared with the document's own string.
        assert_eq!(sim.expect_granted(waiter).issuer(), "https://as.example/");
        sim.expect_note("issuer_slash for https://as.example");
    }

    strict_tolerates_no_slash_asm_09_host_125(
        sim = Sim::by_hand(|config| config.profile(Profile::Strict))
    ) {
        let document = with(server(), json!({ "issuer": "https://as.example/" }));
        ends(sim, &document, "issuer_mismatch");
    }

    a_slash_after_a_path_is_another_tenant_asm_09_host_128(sim = plain()) {
        let waiter = sim.acquire("");
        names(sim, &[TENANT]);
        sim.expect_call(
            Method::GET,
            "https://auth.example/.well-known/oauth-authorization-server/tenant1",
        )
        .reply_json(200, &server_at("https://auth.example/tenant1/"));
        sim.expect_failed(waiter, "issuer_mismatch");
        sim.expect_no_call();
    }

    what_a_login_needs_must_be_there_asm_10_asm_14_host_086_host_126_host_133_host_137(sim = plain()) {
        for (members, code) in [
            (json!({ "issuer": null }), "as_metadata_invalid"),
            (json!({ "token_endpoint": null }), "as_metadata_invalid"),
            (json!({ "authorization_endpoint": null }), "as_metadata_invalid"),
            (json!({ "response_types_supported": ["token"] }), "response_type_unsupported"),
            (json!({ "grant_types_supported": ["client_credentials"] }),
                "response_type_unsupported"),
            (json!({ "authorization_response_iss_parameter_supported": "true" }),
                "as_metadata_invalid"),
            (json!({ "client_id_metadata_document_supported": 1 }), "as_metadata_invalid"),
            (json!({ "require_pushed_authorization_requests": true }), "par_required"),
        ] {
            ends(sim, &with(server(), members), code);
        }
    }

    without_pkce_no_page_is_opened_asm_11_asm_12_pkce_04_pkce_07_host_129_to_host_131(
        sim = changed(|settings| settings.server.metadata.pkce = Pkce::Absent)
    ) {
        for (pkce, expected) in [
            (Pkce::Absent, vec![Switch::PkceUnlisted]),
            (Pkce::PlainOnly, vec![]),
            (Pkce::Empty, vec![]),
        ] {
            sim.model().set(|settings| settings.server.metadata.pkce = pkce);
            let waiter = sim.acquire("");
            sim.serve();
            let failure = sim.expect_failed(waiter, "pkce_unsupported");
            assert_eq!(switches(&failure), expected);
            sim.expect_no_visit();
        }
        assert_eq!(sim.model().count(Endpoint::Register), 0);
    }

    by_switch_pkce_need_not_be_listed_and_is_sent_all_the_same_d1_pkce_01(
        sim = {
            let mut settings = Settings::revision("2026-07-28");
            settings.server.metadata.pkce = Pkce::Absent;
            Sim::against(settings, |config| {
                config.danger().allow_unlisted_pkce("https://as.example").done()
            })
        }
    ) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
        sim.expect_note("lenient: pkce_unlisted for https://as.example");
    }

    endpoints_that_do_not_belong_together_are_refused_asm_17_host_146(sim = plain()) {
        let split = json!({
            "authorization_endpoint": "https://honest.example/authorize",
            "token_endpoint": "https://evil.example/token",
        });
        ends(sim, &with(server(), split), "endpoints_incoherent");
        untouched(sim, "evil.example");
    }

    a_token_endpoint_on_another_host_is_shown_asm_17_host_147(sim = plain()) {
        sim.acquire("");
        let split = json!({ "token_endpoint": "https://tokens.example/token" });
        discovered_as(sim, &with(server(), split));
        registered(sim);
        let visit = sim.expect_visit();
        assert_eq!(&*visit.visit().authorization_host, "as.example");
        assert_eq!(&*visit.visit().token_host, "tokens.example");
    }

    the_query_of_an_endpoint_is_kept_asm_18_host_018(sim = plain()) {
        sim.acquire("");
        let tenant = json!({ "authorization_endpoint": "https://as.example/authorize?tenant=t1" });
        discovered_as(sim, &with(server(), tenant));
        registered(sim);
        let visit = sim.expect_visit();
        assert_eq!(visit.param("tenant").as_deref(), Some("t1"));
        assert_eq!(visit.param("response_type").as_deref(), Some("code"));
    }

    a_server_that_leaves_the_resource_out_is_noted_prm_18(sim = plain()) {
        sim.acquire("");
        let others = json!({ "protected_resources": ["https://other.example/mcp"] });
        discovered_as(sim, &with(server(), others));
        sim.expect_note("protected_resources, resource_mismatch [PRM-18]");
        registered(sim);
        sim.expect_visit();
    }

    strict_believes_the_servers_list_of_resources_prm_18(
        sim = Sim::by_hand(|config| config.profile(Profile::Strict))
    ) {
        let others = json!({ "protected_resources": ["https://other.example/mcp"] });
        ends(sim, &with(server(), others), "resource_mismatch");
    }

    a_server_that_recovers_is_asked_afresh_disc_16(
        sim = changed(|settings| settings.server.callback.iss = IssMode::Absent)
    ) {
        sim.model().inject(Endpoint::AsOauth, 1, Literal::status(500));
        sim.model().inject(Endpoint::AsOidc, 1, Literal::status(500));
        let waiter = sim.acquire("");
        sim.serve();
        sim.expect_failed(waiter, "transient");
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
    }

    no_cookie_is_kept_and_no_signed_metadata_believed_host_072_prm_15_asm_19(sim = plain()) {
        let waiter = sim.acquire("");
        let cookie = [("content-type", "application/json"), ("set-cookie", "a=b")];
        let signed = json!({ "signed_metadata": "e30.e30.x", "resource_name#fr": "x" });
        let document = with(resource(), signed.clone()).to_string();
        sim.expect_call(Method::GET, RESOURCE).respond(200, &cookie, document.as_bytes());
        let call = sim.expect_call(Method::GET, SERVER);
        assert_eq!(call.header("cookie"), "");
        call.respond(200, &cookie, with(server(), signed).to_string().as_bytes());
        let call = sim.expect_call(Method::POST, REGISTER);
        assert_eq!(call.header("cookie"), "");
        call.respond(201, &cookie, br#"{"client_id":"c1"}"#);
        sim.expect_visit().arrive_with_code("");
        let call = sim.expect_call(Method::POST, TOKEN);
        assert_eq!(call.header("cookie"), "");
        call.reply_json(200, &tokens());
        sim.expect_granted(waiter);
    }

    documents_beside_the_metadata_are_never_fetched_host_045(sim = plain()) {
        let waiter = sim.acquire("");
        let links = json!({
            "jwks_uri": "https://evil.example/jwks",
            "op_policy_uri": "https://evil.example/policy",
            "logo_uri": "https://evil.example/logo",
            "service_documentation": "https://evil.example/docs",
        });
        discovered_as(sim, &with(server(), links));
        registered(sim);
        agreed(sim, waiter, &tokens());
        untouched(sim, "evil.example");
    }
}
