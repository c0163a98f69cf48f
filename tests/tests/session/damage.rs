//! Records that cannot be used: damaged, moved about, or of a newer version.

use mcp_authz_core::effect::RecordKind;
use mcp_authz_core::failure::Remedy;
use mcp_authz_tests::sim::Sim;
use serde_json::{Value, json};

use crate::given::{approve, discover, kept, logged_in, refresh, register, tokens};

/// Another process: it knows the MCP URL and the store.
fn another_process(sim: &mut Sim) {
    sim.new_process(|config| config.persistent(true));
}

fn grant(sim: &mut Sim) -> Value {
    sim.store().documents(RecordKind::Grant)[0].clone()
}

/// A record of this kind of a newer version is not touched, whatever is asked.
fn newer_version(sim: &mut Sim, kind: RecordKind) {
    logged_in(sim, &tokens(1, 3600));
    sim.store().change(kind, |record| record["format"] = json!(2));
    let before = sim.store().documents(kind);
    another_process(sim);
    let caller = sim.acquire("files:read");
    let failure = sim.expect_failed(caller, "store_version");
    assert_eq!(failure.remedy(), Remedy::Report);
    sim.expect_no_call();
    sim.expect_no_visit();
    assert_eq!(sim.store().documents(kind), before);
}

scripts! {
    /// What cannot be read is as good as nothing, and the login that follows takes its place.
    a_damaged_record_leads_to_a_login_bind_10(sim = kept()) {
        logged_in(sim, &tokens(1, 3600));
        sim.store().damage(RecordKind::Grant, b"{\"format\":1,");
        another_process(sim);
        let caller = sim.acquire("files:read");
        sim.expect_note("store: store_corrupt");
        discover(sim);
        approve(sim).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(caller);
        assert!(!sim.unsaved(caller));
        assert_eq!(grant(sim)["refresh_token"], "RT-CANARY-2");
    }

    a_damaged_binding_or_client_leads_to_a_login_bind_10(sim = kept()) {
        logged_in(sim, &tokens(1, 3600));
        sim.store().damage(RecordKind::Binding, b"\xFF\xFE");
        sim.store().damage(RecordKind::Client, b"[]");
        another_process(sim);
        let caller = sim.acquire("files:read");
        discover(sim);
        register(sim, "c2");
        approve(sim).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(caller);
        assert!(!sim.unsaved(caller));
    }

    a_damaged_client_alone_leads_to_a_login_bind_10(sim = kept()) {
        logged_in(sim, &tokens(1, 3600));
        sim.store().damage(RecordKind::Client, b"null");
        another_process(sim);
        let caller = sim.acquire("files:read");
        discover(sim);
        register(sim, "c2");
        approve(sim).reply_json(200, &tokens(2, 3600));
        sim.expect_granted(caller);
    }

    /// Somebody has moved records about: none is used for a key it does not belong to.
    a_record_of_another_key_is_not_used_use_03_bind_02(sim = kept()) {
        logged_in(sim, &tokens(1, 3600));
        sim.store().change(RecordKind::Grant, |grant| {
            grant["resource"] = json!("https://evil.example/mcp");
        });
        another_process(sim);
        let quiet = sim.acquire_quietly("files:read");
        sim.expect_note("store: store_corrupt");
        sim.expect_failed(quiet, "reauthorization_required");
        assert!(sim.published().is_none());
    }

    a_newer_binding_is_not_overwritten_bind_10(sim = kept()) {
        newer_version(sim, RecordKind::Binding);
    }
    a_newer_client_is_not_overwritten_bind_10(sim = kept()) {
        newer_version(sim, RecordKind::Client);
    }
    a_newer_grant_is_not_overwritten_bind_10(sim = kept()) {
        newer_version(sim, RecordKind::Grant);
    }

    what_we_do_not_know_survives_a_rewrite_bind_10(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        for kind in [RecordKind::Grant, RecordKind::Binding] {
            sim.store().change(kind, |record| record["of_tomorrow"] = json!({ "a": [1] }));
        }
        another_process(sim);
        let caller = sim.at(60).acquire("");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(caller);
        assert_eq!(grant(sim)["of_tomorrow"], json!({ "a": [1] }));
        assert_eq!(grant(sim)["refresh_token"], "RT-CANARY-2");
    }

    /// A store can be edited, and a switch that was on can be off: stored endpoints are judged anew.
    a_stored_endpoint_is_judged_again_sec_05_host_287(sim = kept()) {
        logged_in(sim, &tokens(1, 3600));
        for evil in ["https://169.254.169.254/token", "http://10.0.0.1/token"] {
            sim.store().change(RecordKind::Grant, |grant| grant["token_endpoint"] = json!(evil));
            another_process(sim);
            let caller = sim.acquire_quietly("");
            sim.expect_failed(caller, "reauthorization_required");
            sim.expect_no_call();
        }
        sim.expect_note("store: store_corrupt");
    }
}
