//! Which of several authorization servers is asked, and when the next one is.

use http::Method;
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::by_hand::*;
use crate::given::known_client;

/// The resource names these issuers.
fn names(sim: &mut Sim, issuers: &[&str]) {
    let document = with(resource(), json!({ "authorization_servers": issuers }));
    sim.expect_call(Method::GET, RESOURCE).reply_json(200, &document);
}

scripts! {
    the_next_issuer_is_for_definite_absence_only_prm_10_host_044_d12(sim = plain()) {
        let two = ["https://gone.example", "https://as.example"];
        let waiter = sim.acquire("");
        names(sim, &two);
        let gone = "https://gone.example/.well-known/oauth-authorization-server";
        sim.expect_call(Method::GET, gone).reply(503);
        sim.expect_call(Method::GET, "https://gone.example/.well-known/openid-configuration")
            .reply(404);
        sim.expect_failed(waiter, "transient");
        let waiter = sim.acquire("");
        names(sim, &two);
        sim.expect_call(Method::GET, gone).reply_json(200, &server_at("https://evil.example"));
        sim.expect_failed(waiter, "issuer_mismatch");
        sim.acquire("");
        names(sim, &two);
        sim.expect_call(Method::GET, gone).reply(404);
        sim.expect_call(Method::GET, "https://gone.example/.well-known/openid-configuration")
            .reply(404);
        sim.expect_call(Method::GET, SERVER).reply_json(200, &server());
        registered(sim);
        sim.expect_visit();
    }

    four_issuers_are_tried_and_no_more_prm_10_host_044(sim = plain()) {
        let waiter = sim.acquire("");
        let many: Vec<String> = (0..200).map(|n| format!("https://as{n}.example")).collect();
        names(sim, &many.iter().map(String::as_str).collect::<Vec<_>>());
        // Each restart asks once more, and the requests of a search are counted.
        let (tried, code) =
            if sim.restarting() { (2, "request_budget") } else { (4, "discovery_failed") };
        for issuer in many.iter().take(tried) {
            for place in ["oauth-authorization-server", "openid-configuration"] {
                let url = format!("{issuer}/.well-known/{place}");
                sim.expect_call(Method::GET, &url).reply(404);
            }
        }
        if sim.restarting() {
            let url = format!("{}/.well-known/oauth-authorization-server", many[2]);
            sim.expect_call(Method::GET, &url).reply(404);
        }
        sim.expect_failed(waiter, code);
        sim.expect_no_call();
    }

    the_choice_among_issuers_is_the_hosts_prm_10_d12(
        sim = Sim::by_hand(|config| config.prefer_issuer("https://as.example"))
    ) {
        sim.acquire("");
        names(sim, &["https://other.example", "https://as.example"]);
        sim.expect_call(Method::GET, SERVER);
    }

    a_bad_issuer_is_skipped_and_noted_prm_09_host_113_host_114(sim = plain()) {
        sim.acquire("");
        names(sim, &[
            "http://169.254.169.254",
            "https://as.example/#x",
            "https://as.example/.well-known/oauth-authorization-server",
            "https://as.example",
        ]);
        sim.expect_note("insecure_transport");
        sim.expect_note("url_fragment");
        sim.expect_note("[HOST-114]");
        sim.expect_call(Method::GET, SERVER);
    }

    the_bound_issuer_is_kept_while_it_is_listed_prm_10_d12(sim = plain()) {
        let waiter = asked(sim);
        agreed(sim, waiter, &tokens());
        sim.refused(401, "");
        let both = json!({ "authorization_servers": ["https://as2.example", "https://as.example"] });
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &with(resource(), both));
        sim.expect_call(Method::GET, SERVER).reply_json(200, &server());
        assert_eq!(sim.expect_visit().param("client_id").as_deref(), Some("c1"));
    }

    the_issuer_of_known_credentials_comes_before_the_first_prm_10_d12(
        sim = Sim::by_hand(|config| config.pre_registered(known_client(None)))
    ) {
        sim.acquire("");
        let both = json!({ "authorization_servers": ["https://as2.example", "https://as.example"] });
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &with(resource(), both));
        sim.expect_call(Method::GET, SERVER).reply_json(200, &server());
        assert_eq!(sim.expect_visit().param("client_id").as_deref(), Some("known"));
    }
}
