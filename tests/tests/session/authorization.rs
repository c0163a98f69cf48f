//! The page that the person is sent to, and how a visit ends.

use http::Method;
use mcp_authz_core::Input;
use mcp_authz_core::effect::{LoopbackHost, Page, Purpose};
use mcp_authz_core::failure::{Kind, Remedy, Switch};
use mcp_authz_tests::model::{Consent, Endpoint, Settings};
use mcp_authz_tests::sim::Sim;
use serde_json::{Value, json};

use crate::by_hand::*;
use crate::given::{known_client, switches};

/// A server whose person does this.
fn person(consent: Consent) -> Sim {
    let mut settings = Settings::revision("2026-07-28");
    settings.server.consent = consent;
    Sim::against(settings, |config| config)
}

/// Endpoints on hosts of their own.
fn elsewhere() -> Value {
    json!({
        "authorization_endpoint": "https://as.example/authorize",
        "token_endpoint": "https://tokens.example/token",
        "registration_endpoint": "https://clients.example/register",
        "revocation_endpoint": "https://ends.example/revoke",
    })
}

scripts! {
    the_request_holds_each_parameter_once_authz_01_authz_03_authz_05_pkce_02_res_07(sim = plain()) {
        asked(sim);
        let visit = sim.expect_visit();
        let expected = [
            ("response_type", "code"),
            ("client_id", "c1"),
            ("redirect_uri", "http://127.0.0.1:51000/callback"),
            ("code_challenge_method", "S256"),
            ("resource", "https://mcp.example/mcp"),
        ];
        for (name, value) in expected {
            assert_eq!(visit.param(name).as_deref(), Some(value));
        }
        // No scope by name, and no prompt, unless somebody asked for it (SCOPE-04, AUTHZ-10).
        for name in ["scope", "prompt", "response_mode", "nonce"] {
            assert_eq!(visit.param(name), None);
        }
        assert_eq!(visit.param("code_challenge").map(|text| text.len()), Some(43));
        assert_eq!(visit.param("state").map(|text| text.len()), Some(32));
    }

    what_a_person_should_know_stands_beside_the_page_authz_14_sec_20_host_123_host_174(sim = plain()) {
        sim.refused(401, r#"Bearer scope="files:read""#);
        let named = json!({ "resource_name": "\u{202e}Bank" });
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &with(resource(), named));
        sim.expect_call(Method::GET, SERVER).reply_json(200, &server());
        registered(sim);
        let shown = sim.expect_visit().visit().clone();
        assert_eq!(&*shown.issuer, "https://as.example");
        assert_eq!(&*shown.resource, "https://mcp.example/mcp");
        assert_eq!(&*shown.authorization_host, "as.example");
        assert_eq!(&*shown.token_host, "as.example");
        assert_eq!(&*shown.client_id, "c1");
        assert_eq!(&*shown.redirect_uri, "http://127.0.0.1:51000/callback");
        assert_eq!(shown.scopes.as_str(), "files:read");
        assert_eq!(shown.previous_issuer, None);
    }

    every_attempt_has_its_own_state_and_verifier_authz_04_authz_13_pkce_05(sim = plain()) {
        let waiter = asked(sim);
        let visit = sim.expect_visit();
        let first = (visit.param("state"), visit.param("code_challenge"));
        visit.arrive_with("error=access_denied");
        sim.expect_failed(waiter, "authorization_denied");
        sim.acquire("");
        discovered(sim);
        let visit = sim.expect_visit();
        let second = (visit.param("state"), visit.param("code_challenge"));
        assert_ne!(first.0, second.0);
        assert_ne!(first.1, second.1);
    }

    the_page_comes_back_as_it_was_after_a_restart_authz_06_bind_08(sim = plain()) {
        let waiter = asked(sim);
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        sim.restart();
        sim.arrive(&format!("{redirect}?code=CODE-CANARY&state={state}"));
        let call = sim.expect_call(Method::POST, TOKEN);
        assert_eq!(call.form("redirect_uri"), [redirect]);
        assert_eq!(call.form("code_verifier").iter().map(String::len).collect::<Vec<_>>(), [43]);
        call.reply_json(200, &tokens());
        sim.expect_granted(waiter);
    }

    a_port_that_is_gone_after_a_restart_ends_the_visit_nat_08(sim = plain()) {
        asked(sim);
        sim.break_listener();
        sim.restart();
        sim.expect_note("failed: listener_unavailable [NAT-08]");
    }

    a_machine_without_descriptors_after_a_restart_ends_the_visit_host_281(sim = plain()) {
        asked(sim);
        sim.exhaust_listener();
        sim.restart();
        sim.expect_note("failed: machine_exhausted [NAT-08]");
    }

    parameters_of_the_host_are_added_authz_09_authz_10_d9(sim = Sim::by_hand(|config| {
        config
            .authorization_parameter("https://as.example", "login_hint", "a&b=c")
            .consent_for_offline_access("https://as.example")
    })) {
        sim.refused(401, r#"Bearer scope="files:read""#);
        let listed = json!({ "scopes_supported": ["offline_access"] });
        discovered_as(sim, &with(server(), listed));
        registered(sim);
        let visit = sim.expect_visit();
        assert_eq!(visit.param("login_hint").as_deref(), Some("a&b=c"));
        assert_eq!(visit.param("scope").as_deref(), Some("files:read offline_access"));
        assert_eq!(visit.param("prompt").as_deref(), Some("consent"));
    }

    consent_is_prompted_for_with_offline_access_only_authz_10(sim = Sim::by_hand(|config| {
        config.consent_for_offline_access("https://as.example")
    })) {
        asked(sim);
        assert_eq!(sim.expect_visit().param("prompt"), None);
    }

    parameters_for_another_issuer_are_not_added_authz_09(sim = Sim::by_hand(|config| {
        config.authorization_parameter("https://as2.example", "login_hint", "alice")
    })) {
        asked(sim);
        assert_eq!(sim.expect_visit().param("login_hint"), None);
    }

    a_parameter_that_the_endpoint_has_already_ends_the_login_authz_02_authz_09(
        sim = Sim::by_hand(|config| {
            config.authorization_parameter("https://as.example", "tenant", "t2")
        })
    ) {
        let waiter = sim.acquire("");
        let tenant = json!({ "authorization_endpoint": "https://as.example/authorize?tenant=t1" });
        discovered_as(sim, &with(server(), tenant));
        registered(sim);
        sim.expect_failed(waiter, "config_invalid");
        sim.expect_no_visit();
        assert!(!sim.listens());
    }

    a_request_that_grows_too_long_opens_no_page_host_167(sim = plain()) {
        let scopes: Vec<String> = (0..15).map(|n| format!("{n:0>250}")).collect();
        let waiter = sim.acquire(&scopes.join(" "));
        let long = format!("https://as.example/authorize?x={}", "a".repeat(2000));
        discovered_as(sim, &with(server(), json!({ "authorization_endpoint": long })));
        let id = json!({ "client_id": "%".repeat(1500) });
        sim.expect_call(Method::POST, REGISTER).reply_json(201, &id);
        let failure = sim.expect_failed(waiter, "url_too_long");
        assert_eq!(failure.rule(), "HOST-167");
        sim.expect_no_visit();
        assert!(!sim.listens());
    }

    no_answer_in_time_ends_the_visit_authz_11_host_194(sim = plain()) {
        let waiter = asked(sim);
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        sim.at(299);
        sim.expect_waiting(waiter);
        sim.at(301);
        let failure = sim.expect_failed(waiter, "callback_timeout");
        assert_eq!(failure.purpose(), Some(Purpose::Authorization));
        assert_eq!(failure.remedy(), Remedy::AskUser);
        assert!(!sim.listens());
        let arrival = sim.arrive(&format!("{redirect}?code=CODE-CANARY&state={state}"));
        sim.expect_page(arrival, Page::Refused(Kind::StateMismatch));
        sim.expect_no_call();
    }

    a_page_that_can_be_shown_to_nobody_ends_the_login_at_once_host_169(sim = plain()) {
        let waiter = asked(sim);
        let visit = sim.expect_visit().visit().clone();
        assert!(sim.listens());
        sim.give(Input::Unshown(visit.clone()));
        let failure = sim.expect_failed(waiter, "browser_refused");
        assert_eq!(failure.purpose(), Some(Purpose::Authorization));
        assert_eq!(failure.remedy(), Remedy::AskUser);
        assert!(!sim.listens());
        // It was that page only.
        let waiter = sim.acquire("");
        discovered(sim);
        sim.expect_visit();
        sim.give(Input::Unshown(visit));
        sim.expect_waiting(waiter);
    }

    nobody_is_shown_no_page_that_was_answered_meanwhile_host_169(sim = plain()) {
        let waiter = asked(sim);
        let visit = sim.expect_visit();
        let page = visit.visit().clone();
        visit.arrive_with_code("");
        sim.give(Input::Unshown(page));
        sim.expect_waiting(waiter);
        sim.expect_call(Method::POST, TOKEN).reply_json(200, &tokens());
        sim.expect_granted(waiter);
    }

    a_key_in_the_query_of_the_mcp_url_is_not_shown_host_304_host_326(
        sim = {
            let mut settings = Settings::revision("2026-07-28");
            let (mcp, issuer) = ("https://mcp.example/mcp?key=QUERY-CANARY", "https://as.example");
            settings = settings.at(mcp, issuer, "https://as2.example");
            Sim::against(settings, |config| config)
        }
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        let visit = sim.expect_visit();
        assert_eq!(visit.param("resource").as_deref(), Some("https://mcp.example/mcp?key=QUERY-CANARY"));
        let shown = format!("{:?} {:?}", visit.visit(), visit.visit().hosts());
        assert!(shown.contains("https://mcp.example/mcp") && !shown.contains("CANARY"), "{shown}");
        let arrival = visit.approve();
        sim.serve();
        sim.expect_granted(waiter);
        let shown = format!("{:?} {:?}", sim.page(arrival), sim.notes());
        assert!(!shown.contains("CANARY"), "{shown}");
    }

    a_key_in_the_query_of_a_parent_resource_is_not_shown_host_326(
        sim = {
            let mut settings = Settings::revision("2026-07-28");
            let (mcp, issuer) = ("https://mcp.example/a/mcp?key=QUERY-CANARY", "https://as.example");
            settings = settings.at(mcp, issuer, "https://as2.example");
            settings.prm.resource = Some("https://mcp.example/a?key=QUERY-CANARY".to_owned());
            Sim::against(settings, |config| config)
        }
    ) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
        sim.expect_note("lenient: parent_resource for https://mcp.example/a");
        let shown = format!("{:?}", sim.notes());
        assert!(!shown.contains("CANARY"), "{shown}");
    }

    every_host_that_gets_something_stands_beside_the_page_host_147_host_327(sim = plain()) {
        sim.acquire("");
        discovered_as(sim, &with(server(), elsewhere()));
        sim.expect_call(Method::POST, "https://clients.example/register")
            .reply_json(201, &json!({ "client_id": "c1" }));
        let shown = sim.expect_visit().visit().clone();
        let hosts: Vec<&str> = shown.hosts().into_iter().map(|(_, host)| host).collect();
        assert_eq!(hosts, ["as.example", "tokens.example", "clients.example", "ends.example"]);
    }

    /// Where a known client comes, nothing is registered, and the host for it gets nothing.
    a_host_that_gets_nothing_is_not_shown_host_147(
        sim = Sim::by_hand(|config| config.pre_registered(known_client(None)))
    ) {
        sim.acquire("");
        discovered_as(sim, &with(server(), elsewhere()));
        let shown = sim.expect_visit().visit().clone();
        let hosts: Vec<&str> = shown.hosts().into_iter().map(|(_, host)| host).collect();
        assert_eq!(hosts, ["as.example", "tokens.example", "ends.example"]);
    }

    a_person_who_closes_the_window_is_waited_for_and_no_longer_authz_11(
        sim = person(Consent::Ignore)
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        let url = sim.expect_visit().visit().url().to_owned();
        let now = sim.wall_ms();
        assert_eq!(sim.model().visit(&url, now), None);
        sim.at(300);
        sim.expect_failed(waiter, "callback_timeout");
    }

    a_refusal_of_the_person_opens_no_second_window_iss_17_host_178(
        sim = person(Consent::Deny)
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        let arrival = sim.expect_visit().approve();
        let failure = sim.expect_failed(waiter, "authorization_denied");
        assert_eq!(failure.said().map(|said| said.error.as_str()), Some("access_denied"));
        assert_eq!(failure.remedy(), Remedy::AskUser);
        sim.expect_page(arrival, Page::Denied(sim.parties()));
        sim.expect_no_visit();
        sim.expect_no_call();
        assert_eq!(sim.model().count(Endpoint::Authorize), 1);
    }

    a_server_in_trouble_may_be_asked_again_by_the_host_iss_17(
        sim = person(Consent::Error("temporarily_unavailable".to_owned()))
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        sim.expect_visit().approve();
        let failure = sim.expect_failed(waiter, "authorization_denied");
        assert!(failure.remedy().retryable());
        sim.expect_no_visit();
    }

    an_unknown_resource_is_not_retried_without_it_res_09_iss_16(
        sim = person(Consent::Error("invalid_target".to_owned()))
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        sim.expect_visit().approve();
        let failure = sim.expect_failed(waiter, "authorization_denied");
        assert_eq!(failure.said().map(|said| said.error.as_str()), Some("invalid_target"));
        assert_eq!(failure.remedy(), Remedy::Configure);
        assert_eq!(switches(&failure), [Switch::ResourceParameter]);
        sim.expect_no_visit();
    }

    a_person_who_fills_in_a_form_gets_there_as_well(sim = person(Consent::Form)) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
    }

    many_callers_have_one_window_host_172(sim = plain()) {
        let waiters: Vec<_> = (0..100).map(|_| sim.acquire("")).collect();
        discovered(sim);
        registered(sim);
        sim.expect_visit().arrive_with_code("");
        sim.expect_no_visit();
        sim.expect_call(Method::POST, TOKEN).reply_json(200, &tokens());
        for waiter in waiters {
            sim.expect_granted(waiter);
        }
        sim.expect_no_call();
    }

    nobody_waits_and_the_port_is_closed_host_195(sim = plain()) {
        let waiter = asked(sim);
        assert!(sim.listens());
        sim.cancel(waiter);
        sim.expect_failed(waiter, "cancelled");
        assert!(!sim.listens());
        assert_eq!(sim.waits_for(), None);
    }

    the_redirect_is_the_one_that_was_wanted_nat_02_nat_03_host_196(sim = Sim::by_hand(|config| {
        config.redirect_loopback(LoopbackHost::V6, Some(4321), "/cb")
    })) {
        asked(sim);
        let visit = sim.expect_visit();
        assert_eq!(visit.param("redirect_uri").as_deref(), Some("http://[::1]:4321/cb"));
    }
}
