//! Client ID Metadata Documents: a URL that is a client identifier at every server.

use http::Method;
use mcp_authz_core::effect::LoopbackHost;
use mcp_authz_core::failure::Remedy;
use mcp_authz_tests::model::{Endpoint, Settings};
use mcp_authz_tests::sim::Sim;
use serde_json::{Value, json};

use crate::by_hand::*;

const DOCUMENT: &str = "https://app.example/client.json";

/// A session with a client document of unknown content.
fn documented() -> Sim {
    Sim::by_hand(|config| config.client_document(DOCUMENT, &[]))
}

/// A server that understands client documents.
fn understands() -> Settings {
    let mut settings = Settings::revision("2026-07-28");
    for server in settings.servers_mut() {
        server.client_documents.supported = true;
        server.client_documents.redirect_uris = vec!["http://127.0.0.1/callback".to_owned()];
    }
    settings
}

/// Its metadata, by hand.
fn understanding() -> Value {
    with(server(), json!({ "client_id_metadata_document_supported": true }))
}

scripts! {
    the_url_is_the_client_cimd_01_cimd_02_cimd_04_cimd_05(
        sim = Sim::against(understands(), |config| config.client_document(DOCUMENT, &[]))
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        let visit = sim.expect_visit();
        assert_eq!(visit.param("client_id").as_deref(), Some(DOCUMENT));
        visit.approve();
        sim.serve();
        sim.expect_granted(waiter);
        let model = sim.model();
        assert_eq!(model.count(Endpoint::Register), 0);
        let form = model.seen_at(Endpoint::Token).next().expect("one exchange").form.clone();
        assert_eq!(form.get("client_id"), Some(DOCUMENT));
        sim.expect_note("client by client_document");
    }

    where_it_is_not_understood_the_client_registers_cimd_02(sim = documented()) {
        sim.acquire("");
        let unable = json!({ "client_id_metadata_document_supported": false });
        discovered_as(sim, &with(server(), unable));
        registered(sim);
        assert_eq!(sim.expect_visit().param("client_id").as_deref(), Some("c1"));
    }

    the_host_may_insist_cimd_02(sim = Sim::by_hand(|config| {
        config.client_document(DOCUMENT, &[]).client_document_forced()
    })) {
        sim.acquire("");
        discovered(sim);
        assert_eq!(sim.expect_visit().param("client_id").as_deref(), Some(DOCUMENT));
    }

    only_the_port_of_a_listed_redirect_may_differ_cimd_10_nat_06(sim = Sim::by_hand(|config| {
        config.client_document(DOCUMENT, &["http://127.0.0.1:4000/callback"])
    })) {
        sim.acquire("");
        discovered_as(sim, &understanding());
        let visit = sim.expect_visit();
        assert_eq!(visit.param("redirect_uri").as_deref(), Some("http://127.0.0.1:51000/callback"));
    }

    a_redirect_that_is_not_listed_is_refused_here_cimd_10(sim = Sim::by_hand(|config| {
        config
            .client_document(DOCUMENT, &["http://127.0.0.1:4000/callback"])
            .redirect_loopback(LoopbackHost::V4, None, "/other")
    })) {
        let waiter = sim.acquire("");
        discovered_as(sim, &understanding());
        let failure = sim.expect_failed(waiter, "config_invalid");
        assert_eq!((failure.rule(), failure.remedy()), ("CIMD-10", Remedy::Configure));
        sim.expect_no_visit();
        assert!(!sim.listens());
    }

    a_fixed_redirect_that_is_not_listed_is_refused_too_cimd_10(sim = Sim::by_hand(|config| {
        config
            .client_document(DOCUMENT, &["https://app.example/cb"])
            .redirect_uri("https://app.example/cb/")
    })) {
        let waiter = sim.acquire("");
        discovered_as(sim, &understanding());
        sim.expect_failed(waiter, "config_invalid");
    }

    a_refused_document_is_not_swapped_for_a_registration_cimd_13_host_162(sim = documented()) {
        let waiter = sim.acquire("");
        discovered_as(sim, &understanding());
        sim.expect_visit().arrive_with_code("");
        sim.expect_call(Method::POST, TOKEN).reply_json(401, &json!({ "error": "invalid_client" }));
        let failure = sim.expect_failed(waiter, "client_rejected");
        assert_eq!(failure.remedy(), Remedy::Register);
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    the_url_goes_along_to_another_issuer_cimd_12(
        sim = Sim::against(understands(), |config| config.client_document(DOCUMENT, &[]))
    ) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
        sim.model().migrate();
        let waiter = sim.call_tool("echo", false).expect_err("the old token is of no use");
        sim.serve();
        let visit = sim.expect_visit();
        assert_eq!(visit.param("client_id").as_deref(), Some(DOCUMENT));
        assert_eq!(&*visit.visit().issuer, "https://as2.example");
        visit.approve();
        sim.serve();
        sim.expect_granted(waiter);
        assert_eq!(sim.model().count(Endpoint::Register), 0);
    }
}
