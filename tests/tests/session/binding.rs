//! What belongs to one issuer never reaches another: records, migration, credentials.

use http::Method;
use mcp_authz_core::config::{PreRegistered, Profile};
use mcp_authz_core::effect::RecordKind;
use mcp_authz_core::failure::Remedy;
use mcp_authz_tests::model::{Endpoint, RefreshIssue, Settings};
use mcp_authz_tests::sim::Sim;
use serde_json::{Value, json};

use crate::by_hand::*;
use crate::given::{self, known_client};

const POINTER: &str = r#"Bearer resource_metadata="https://mcp.example/prm""#;

fn kept() -> Sim {
    Sim::against(Settings::revision("2026-07-28"), |config| config.persistent(true))
}

/// A first login at the model.
fn logs_in(sim: &mut Sim) {
    let waiter = sim.acquire("");
    sim.log_in();
    sim.expect_granted(waiter);
}

/// A first login by hand, with a refresh token.
fn logged_in(sim: &mut Sim) {
    let waiter = asked(sim);
    agreed(sim, waiter, &refreshable());
}

/// The resource's metadata, which now names another server.
fn moved() -> Value {
    with(resource(), json!({ "authorization_servers": ["https://as2.example"] }))
}

/// The other server is found.
fn second_discovered(sim: &mut Sim) {
    sim.expect_call(Method::GET, "https://as2.example/.well-known/oauth-authorization-server")
        .reply_json(200, &server_at("https://as2.example"));
}

scripts! {
    records_are_kept_by_the_documents_issuer_bind_01_bind_02_bind_08(sim = kept()) {
        logs_in(sim);
        let binding = &sim.store().documents(RecordKind::Binding)[0];
        assert_eq!(binding["mcp_url"], "https://mcp.example/mcp");
        assert_eq!(binding["listed"], "https://as.example");
        let grant = &sim.store().documents(RecordKind::Grant)[0];
        assert_eq!(grant["issuer"], "https://as.example");
        assert_eq!(grant["resource"], "https://mcp.example/mcp");
        assert_eq!(grant["client_id"], binding["client_id"]);
        assert_eq!(grant["account"], "default");
        assert_eq!(grant["token_endpoint"], "https://as.example/token");
    }

    a_record_made_with_a_slash_is_found_by_both_strings_bind_11_amb_05(
        sim = {
            let mut settings = Settings::revision("2026-07-28");
            settings.server.issuer = "https://as.example/".to_owned();
            settings.prm.authorization_servers = Some(vec!["https://as.example".to_owned()]);
            Sim::against(settings, |config| config.persistent(true))
        }
    ) {
        logs_in(sim);
        let binding = &sim.store().documents(RecordKind::Binding)[0];
        assert_eq!(binding["listed"], "https://as.example");
        assert_eq!(binding["issuer"], "https://as.example/");
        sim.new_process(|config| config.persistent(true));
        let waiter = sim.acquire("");
        sim.expect_granted(waiter);
        sim.model().revoke_access_tokens();
        // Still listed: the refresh token is used, and nobody is asked.
        let waiter = sim.call_tool("echo", false).expect_err("the token is revoked");
        sim.serve();
        sim.expect_granted(waiter);
        sim.expect_no_visit();
    }

    a_moved_resource_leads_to_a_new_login_with_a_new_client_bind_03_bind_05_bind_06_host_120(
        sim = kept()
    ) {
        logs_in(sim);
        let first = sim.store().documents(RecordKind::Grant)[0].clone();
        sim.model().migrate();
        sim.model().clear_seen();
        let waiter = sim.call_tool("echo", false).expect_err("the old token is of no use");
        sim.serve();
        let visit = sim.expect_visit();
        assert_eq!(&*visit.visit().issuer, "https://as2.example");
        assert_eq!(visit.visit().previous_issuer.as_deref(), Some("https://as.example"));
        assert_ne!(visit.param("client_id").as_deref(), first["client_id"].as_str());
        visit.approve();
        sim.serve();
        assert_eq!(sim.expect_granted(waiter).issuer(), "https://as2.example");
        assert_eq!(sim.call_tool("echo", true), Ok(()));
        sim.expect_note("issuer changed from https://as.example to https://as2.example");
        let model = sim.model();
        assert_eq!(model.count(Endpoint::Register), 1);
        assert_eq!(model.count(Endpoint::Token), 1);
        let sent_old = model.seen_at(Endpoint::Token).any(|seen| seen.server == Some(0));
        assert!(!sent_old, "the old server was asked");
        // The old record is kept as it was.
        assert!(sim.store().documents(RecordKind::Grant).contains(&first));
    }

    the_move_is_seen_before_anything_is_refreshed_bind_05_bind_06(sim = plain()) {
        // Callers that ask anew have the metadata read anew, between the requests told here; the
        // script above runs with restarts.
        if sim.restarting() {
            return;
        }
        logged_in(sim);
        let waiter = sim.refused(401, POINTER);
        sim.expect_call(Method::GET, "/prm").reply_json(200, &moved());
        // A login now, with a search of its own.
        sim.expect_call(Method::GET, "/prm").reply_json(200, &moved());
        second_discovered(sim);
        let call = sim.expect_call(Method::POST, "https://as2.example/register");
        call.reply_json(201, &json!({ "client_id": "c2" }));
        let visit = sim.expect_visit();
        assert_eq!(visit.visit().previous_issuer.as_deref(), Some("https://as.example"));
        visit.arrive_with_code("");
        let call = sim.expect_call(Method::POST, "https://as2.example/token");
        assert_eq!(call.form("client_id"), ["c2"]);
        assert!(call.form("refresh_token").is_empty());
        call.reply_json(200, &with(tokens(), json!({ "access_token": "AT2-CANARY" })));
        assert_eq!(sim.expect_granted(waiter).issuer(), "https://as2.example");
        let refreshed = sim.requests().iter().filter(|sent| sent.ends_with(TOKEN)).count();
        assert_eq!(refreshed, 1);
    }

    when_nobody_may_be_asked_a_move_is_an_error_bind_03_host_120(sim = plain()) {
        logged_in(sim);
        let epoch = sim.published().map(|granted| granted.epoch());
        let waiter = sim.refused_with(epoch, 401, POINTER, "tools/list", false, false);
        sim.expect_call(Method::GET, "/prm").reply_json(200, &moved());
        let failure = sim.expect_failed(waiter, "issuer_changed");
        assert_eq!(failure.remedy(), Remedy::AskUser);
        assert_eq!(failure.subject(), Some("https://as2.example"));
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    strict_takes_no_move_bind_03_d14(
        sim = Sim::by_hand(|config| config.profile(Profile::Strict))
    ) {
        let waiter = asked(sim);
        agreed(sim, waiter, &tokens());
        let waiter = sim.refused(401, "");
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &moved());
        second_discovered(sim);
        sim.expect_failed(waiter, "issuer_changed");
        sim.expect_no_call();
    }

    a_step_up_takes_no_move_bind_03_host_251(sim = plain()) {
        logged_in(sim);
        let waiter = sim.refused(403, r#"Bearer error="insufficient_scope", scope="more""#);
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &moved());
        second_discovered(sim);
        sim.expect_failed(waiter, "issuer_changed");
        sim.expect_no_call();
    }

    credentials_agreed_upon_stay_with_their_issuer_bind_04_host_163(
        sim = Sim::by_hand(|config| config.pre_registered(known_client(Some("SECRET-CANARY"))))
    ) {
        let waiter = sim.acquire("");
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &moved());
        second_discovered(sim);
        let failure = sim.expect_failed(waiter, "issuer_changed");
        assert_eq!(failure.rule(), "BIND-04");
        assert_eq!(failure.subject(), Some("https://as2.example"));
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    after_a_move_the_known_client_is_not_tried_elsewhere_bind_04_host_163(
        sim = Sim::by_hand(|config| config.pre_registered(known_client(Some("SECRET-CANARY"))))
    ) {
        let waiter = sim.acquire("");
        discovered(sim);
        agreed(sim, waiter, &tokens());
        let waiter = sim.refused(401, "");
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &moved());
        second_discovered(sim);
        sim.expect_failed(waiter, "issuer_changed");
        sim.expect_no_call();
    }

    metadata_that_cannot_be_had_does_not_stop_a_refresh_step_12_bind_05(sim = plain()) {
        logged_in(sim);
        let waiter = sim.refused(401, POINTER);
        sim.expect_call(Method::GET, "/prm").reply(503);
        let call = sim.expect_call(Method::POST, TOKEN);
        assert_eq!(call.form("grant_type"), ["refresh_token"]);
        call.reply_json(200, &with(tokens(), json!({ "access_token": "AT2-CANARY" })));
        sim.expect_granted(waiter);
    }

    metadata_of_another_resource_does_stop_it_disc_10_bind_05(sim = plain()) {
        logged_in(sim);
        let waiter = sim.refused(401, POINTER);
        let other = with(resource(), json!({ "resource": "https://evil.example/mcp" }));
        sim.expect_call(Method::GET, "/prm").reply_json(200, &other);
        sim.expect_failed(waiter, "resource_mismatch");
        sim.expect_no_call();
    }

    an_issuer_that_is_still_listed_is_refreshed_at_bind_05(sim = plain()) {
        logged_in(sim);
        let waiter = sim.refused(401, POINTER);
        sim.expect_call(Method::GET, "/prm").reply_json(200, &resource());
        let call = sim.expect_call(Method::POST, TOKEN);
        assert_eq!(call.form("refresh_token"), ["RT-CANARY"]);
        call.reply_json(200, &with(tokens(), json!({ "access_token": "AT2-CANARY" })));
        sim.expect_granted(waiter);
    }

    two_resources_at_one_server_have_two_grants_bind_02_prm_11(sim = kept()) {
        logs_in(sim);
        let key = |sim: &mut Sim| {
            let grants = sim.store().documents(RecordKind::Grant);
            grants.iter().map(|grant| grant["account"].to_string()).collect::<Vec<_>>()
        };
        assert_eq!(key(sim), ["\"default\""]);
        sim.new_process(|config| config.persistent(true).account("work"));
        logs_in(sim);
        assert_eq!(key(sim), ["\"default\"", "\"work\""]);
        // The registration is the issuer's, and shared.
        assert_eq!(sim.model().count(Endpoint::Register), 1);
    }

    what_a_newer_program_added_survives_bind_10(
        sim = {
            let mut settings = Settings::revision("2026-07-28");
            settings.server.tokens.refresh = RefreshIssue::Never;
            Sim::against(settings, |config| config.persistent(true))
        }
    ) {
        logs_in(sim);
        sim.store().change(RecordKind::Binding, |binding| binding["colour"] = json!("blue"));
        sim.new_process(|config| config.persistent(true));
        sim.model().revoke_all();
        let waiter = sim.acquire("");
        sim.expect_granted(waiter);
        let waiter = sim.call_tool("echo", false).expect_err("the token is revoked");
        sim.log_in();
        sim.expect_granted(waiter);
        assert_eq!(sim.store().documents(RecordKind::Binding)[0]["colour"], "blue");
    }

    /// Credentials without an issuer belong to the first one that was met: a resource that names
    /// another cannot have the secret sent there.
    a_secret_without_an_issuer_stays_with_the_first_one_bind_04_host_163(
        sim = Sim::by_hand(|config| {
            let client = known_client(Some("SECRET-CANARY"));
            config.pre_registered(PreRegistered { issuer: None, ..client })
        })
    ) {
        let waiter = sim.acquire("");
        given::discover(sim);
        given::approve(sim).reply_json(200, &given::access_only(1, 3600));
        sim.expect_granted(waiter);
        let waiter = sim.refused(401, "Bearer");
        let mut moved = given::resource(&[]);
        moved["authorization_servers"] = json!(["https://evil.example"]);
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &moved);
        let document = "https://evil.example/.well-known/oauth-authorization-server";
        sim.expect_call(Method::GET, document)
            .reply_json(200, &server_at("https://evil.example"));
        sim.expect_failed(waiter, "issuer_changed");
        sim.expect_no_visit();
        sim.expect_no_call();
    }
}
