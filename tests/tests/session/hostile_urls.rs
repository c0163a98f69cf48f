//! URLs that servers name: what none of them may make this client send, or a person open.

use http::Method;
use mcp_authz_core::address::Addresses;
use mcp_authz_core::config::Profile;
use mcp_authz_core::failure::{Remedy, Switch};
use mcp_authz_tests::sim::Sim;
use serde_json::{Value, json};

use crate::by_hand::*;
use crate::given::switches;

/// One URL of each kind that must never be used, and what is wrong with it.
const BAD: [(&str, &str); 14] = [
    ("javascript:alert(1)//", "url_scheme"),
    ("file:///payload.hta", "url_scheme"),
    ("\tjavascript:alert(1)", "url_malformed"),
    ("https://as.example/authorize\r\nX-Evil: 1", "url_malformed"),
    ("https://as.example\\@evil.example/authorize", "url_malformed"),
    ("https://as.example@evil.example/authorize", "url_userinfo"),
    ("/authorize", "url_malformed"),
    ("http://as.example/authorize", "insecure_transport"),
    ("http://127.0.0.1:9/authorize", "insecure_transport"),
    ("https://as.example/authorize#x", "url_fragment"),
    ("https://$(calc)/x", "url_host"),
    ("https://as.example/a/../token", "url_not_canonical"),
    ("https://10.0.0.1/authorize", "address_blocked"),
    ("https://localhost/authorize", "address_blocked"),
];

/// The resource names these issuers.
fn names(sim: &mut Sim, issuers: &Value) {
    let document = with(resource(), json!({ "authorization_servers": issuers }));
    sim.expect_call(Method::GET, RESOURCE).reply_json(200, &document);
}

/// A session for an MCP URL on this machine.
fn local() -> Sim {
    let mut settings = mcp_authz_tests::model::Settings::revision("2026-07-28");
    settings =
        settings.at("http://127.0.0.1:8080/mcp", "http://127.0.0.1:9090", "http://127.0.0.1:9091");
    Sim::against(settings, |config| config)
}

scripts! {
    a_needed_endpoint_must_be_a_good_url_sec_01_sec_04_sec_05_authz_07_host_001_to_host_026_host_046(
        sim = plain()
    ) {
        for field in ["authorization_endpoint", "token_endpoint"] {
            for (url, code) in BAD {
                let waiter = sim.acquire("");
                discovered_as(sim, &with(server(), json!({ field: url })));
                let failure = sim.expect_failed(waiter, code);
                let subject = failure.subject().unwrap_or_default();
                assert!(subject.starts_with(field), "{subject}");
                sim.expect_no_call();
                sim.expect_no_visit();
            }
        }
    }

    an_endpoint_that_is_not_needed_is_dropped_and_noted_host_001_host_029(sim = plain()) {
        for (url, code) in BAD {
            sim.forget();
            let waiter = sim.acquire("");
            discovered_as(sim, &with(server(), json!({ "revocation_endpoint": url })));
            sim.expect_note(&format!("{code} ["));
            sim.cancel(waiter);
            sim.expect_failed(waiter, "cancelled");
        }
        untouched(sim, "evil.example");
    }

    a_bad_registration_endpoint_is_as_good_as_none_asm_16_host_029(sim = plain()) {
        for (url, _) in BAD {
            let waiter = sim.acquire("");
            discovered_as(sim, &with(server(), json!({ "registration_endpoint": url })));
            sim.expect_failed(waiter, "no_registration_method");
            sim.expect_no_call();
        }
    }

    a_bad_issuer_leaves_no_authorization_server_prm_08_prm_09_host_112_host_114(sim = plain()) {
        for (url, code) in BAD {
            let waiter = sim.acquire("");
            names(sim, &json!([url]));
            sim.expect_failed(waiter, code);
            sim.expect_no_call();
        }
        for (list, code) in [
            (json!([]), "no_authorization_server"),
            (json!([""]), "no_authorization_server"),
            (json!([1]), "no_authorization_server"),
            (json!({}), "prm_invalid"),
            (json!(null), "no_authorization_server"),
        ] {
            let waiter = sim.acquire("");
            names(sim, &list);
            sim.expect_failed(waiter, code);
            sim.expect_no_call();
        }
    }

    a_bad_pointer_is_ignored_and_the_own_places_are_asked_www_14_host_031_host_032_host_098(
        sim = plain()
    ) {
        for (pointer, note) in [
            ("http://169.254.169.254/latest/meta-data/", "insecure_transport"),
            ("https://169.254.169.254/", "address_blocked"),
            ("javascript:alert(1)", "url_scheme"),
            ("/prm", "url_malformed"),
            ("", "url_malformed"),
        ] {
            let waiter = sim.refused(401, &format!("Bearer resource_metadata=\"{pointer}\""));
            sim.expect_note(note);
            sim.expect_call(Method::GET, RESOURCE).reply(503);
            sim.expect_failed(waiter, "transient");
        }
        untouched(sim, "169.254");
    }

    two_pointers_that_differ_are_both_ignored_www_11_host_090_host_094(sim = plain()) {
        for challenge in [
            "Bearer resource_metadata=\"https://a.example/x\", Bearer resource_metadata=\"https://b.example/x\"",
            r#"Basic realm="x", resource_metadata="https://evil.example/prm""#,
            r#"Bearer error_description="scope=admin, resource_metadata=https://evil.example/x""#,
        ] {
            let waiter = sim.refused(401, challenge);
            sim.expect_call(Method::GET, RESOURCE).reply(503);
            sim.expect_failed(waiter, "transient");
        }
    }

    a_pointer_at_another_public_host_is_fetched_and_must_speak_of_us_host_106_amb_07(sim = plain()) {
        let challenge = r#"Bearer resource_metadata="https://docs.example/prm""#;
        let waiter = sim.refused(401, challenge);
        let call = sim.expect_call(Method::GET, "https://docs.example/prm");
        assert_eq!(call.limits().addresses, Addresses::Public);
        let other = with(resource(), json!({ "resource": "https://docs.example/prm" }));
        call.reply_json(200, &other);
        sim.expect_failed(waiter, "resource_mismatch");
        sim.refused(401, challenge);
        sim.expect_call(Method::GET, "https://docs.example/prm").reply_json(200, &resource());
        sim.expect_call(Method::GET, SERVER);
    }

    a_refused_scope_in_a_challenge_starts_nothing_odd_host_091_host_092_host_095_host_096(
        sim = plain()
    ) {
        let mut later = 0;
        for (challenge, scope) in [
            (r#"Bearer x_scope="admin", scope="read""#.to_owned(), Some("read")),
            (r#"Bearer scope="read", scope="admin""#.to_owned(), None),
            (r#"Bearer scope="re\"ad""#.to_owned(), None),
            (r#"Bearer scope="read"#.to_owned(), None),
            (format!("Bearer scope=\"{}\"", many(65)), None),
            (r#"Negotiate abc==, Bearer scope="read""#.to_owned(), Some("read")),
        ] {
            sim.refused(401, &challenge);
            discovered(sim);
            if sim.requests().last().is_some_and(|sent| sent.ends_with("/register")) {
                registered(sim);
            }
            let visit = sim.expect_visit();
            assert_eq!(visit.param("scope").as_deref(), scope, "{challenge}");
            visit.arrive_with("error=access_denied");
            // What a refusal has opened is not opened again for ten minutes (STEP-12).
            later += 601;
            sim.at(later);
        }
    }

    private_networks_need_a_switch_that_the_error_names_sec_05_host_040_host_043_d6(
        sim = plain()
    ) {
        let waiter = sim.acquire("");
        names(sim, &json!(["https://10.0.0.9"]));
        let failure = sim.expect_failed(waiter, "address_blocked");
        assert_eq!(switches(&failure), [Switch::PrivateAddress]);
        assert_eq!(failure.remedy(), Remedy::Configure);
        let waiter = sim.acquire("");
        names(sim, &json!(["https://169.254.1.1"]));
        let failure = sim.expect_failed(waiter, "address_blocked");
        assert_eq!(switches(&failure), []);
    }

    the_switch_opens_one_host_sec_05_host_043(sim = Sim::by_hand(|config| {
        config.danger().allow_private_address("10.0.0.9").done()
    })) {
        let waiter = sim.acquire("");
        names(sim, &json!(["https://10.0.0.9"]));
        let call = sim.expect_call(
            Method::GET,
            "https://10.0.0.9/.well-known/oauth-authorization-server",
        );
        assert_eq!(call.limits().addresses, Addresses::Private);
        call.reply(503);
        sim.expect_call(Method::GET, "https://10.0.0.9/.well-known/openid-configuration").reply(503);
        sim.expect_failed(waiter, "transient");
        let waiter = sim.acquire("");
        names(sim, &json!(["https://10.0.0.8"]));
        sim.expect_failed(waiter, "address_blocked");
    }

    strict_names_no_switch_sec_05_d6(
        sim = Sim::by_hand(|config| config.profile(Profile::Strict))
    ) {
        let waiter = sim.acquire("");
        names(sim, &json!(["https://10.0.0.9"]));
        assert_eq!(switches(&sim.expect_failed(waiter, "address_blocked")), []);
    }

    the_own_origin_may_be_anywhere_sec_05_host_040(sim = plain()) {
        sim.acquire("");
        let call = sim.expect_call(Method::GET, RESOURCE);
        assert_eq!(call.limits().addresses, Addresses::Any);
        call.reply_json(200, &resource());
        let call = sim.expect_call(Method::GET, SERVER);
        assert_eq!(call.limits().addresses, Addresses::Public);
    }

    on_this_machine_plain_http_will_do_sec_02_host_041(sim = local()) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
    }

    from_this_machine_nothing_else_is_reached_sec_02_host_042(sim = local()) {
        for (issuer, code) in [
            ("http://10.0.0.1", "insecure_transport"),
            ("http://169.254.169.254", "insecure_transport"),
            ("http://as.example", "insecure_transport"),
            ("https://10.0.0.1", "address_blocked"),
            ("https://169.254.169.254", "address_blocked"),
        ] {
            sim.model().set(|settings| {
                settings.prm.authorization_servers = Some(vec![issuer.to_owned()]);
            });
            let waiter = sim.acquire("");
            sim.serve();
            sim.expect_failed(waiter, code);
        }
        untouched(sim, "169.254");
    }
}

/// That many scopes.
fn many(count: usize) -> String {
    (0..count).map(|n| format!("s{n}")).collect::<Vec<_>>().join(" ")
}
