//! From a refusal to the resource's metadata, and what never leads to a weaker search.

use http::Method;
use mcp_authz_core::config::Profile;
use mcp_authz_core::effect::{Purpose, Why};
use mcp_authz_core::failure::{Outcome, Remedy, Switch};
use mcp_authz_tests::model::{Absent, ChallengeForm, Endpoint, PrmPlace, Redirect, Settings};
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::by_hand::*;
use crate::given::switches;

/// An honest server with one thing changed.
fn changed(change: impl FnOnce(&mut Settings)) -> Sim {
    let mut settings = Settings::revision("2026-07-28");
    change(&mut settings);
    Sim::against(settings, |config| config)
}

/// The first request is refused, and the login goes through.
fn lets_in(sim: &mut Sim) {
    let waiter = sim.call_tool("echo", false).expect_err("nothing is open without a token");
    sim.log_in();
    sim.expect_granted(waiter);
    assert_eq!(sim.call_tool("echo", true), Ok(()));
}

scripts! {
    an_open_server_sees_no_well_known_request_disc_01(
        sim = changed(|settings| settings.gate.open = true)
    ) {
        assert_eq!(sim.call_tool("echo", false), Ok(()));
        assert_eq!(sim.model().seen().len(), 1);
        sim.expect_no_call();
    }

    a_later_request_may_be_the_first_that_is_refused_disc_03(
        sim = changed(|settings| settings.gate.free = 2)
    ) {
        assert_eq!(sim.call_tool("echo", false), Ok(()));
        assert_eq!(sim.call_tool("echo", false), Ok(()));
        lets_in(sim);
    }

    a_refusal_without_a_challenge_starts_the_search_www_01_www_12_www_13_disc_05(
        sim = changed(|settings| settings.challenge.form = ChallengeForm::Bare)
    ) {
        lets_in(sim);
        assert_eq!(sim.model().count(Endpoint::PrmPath), 1);
    }

    an_unreadable_challenge_is_as_good_as_none_www_07(
        sim = changed(|settings| {
            settings.challenge.form = ChallengeForm::Literal(vec!["=,\"".to_owned()]);
        })
    ) {
        lets_in(sim);
        assert_eq!(sim.model().count(Endpoint::PrmPath), 1);
    }

    the_pointer_is_fetched_and_nothing_else_disc_06(
        sim = changed(|settings| {
            settings.prm.places = vec![PrmPlace::Custom("/custom/metadata.json".to_owned())];
        })
    ) {
        lets_in(sim);
        let model = sim.model();
        assert_eq!(model.count(Endpoint::PrmCustom), 1);
        assert_eq!(model.count(Endpoint::PrmPath) + model.count(Endpoint::PrmRoot), 0);
    }

    a_url_without_a_path_has_one_place_disc_07(
        sim = {
            let settings = Settings::revision("2025-11-25");
            let mut settings =
                settings.at("https://mcp.example/", "https://as.example", "https://as2.example");
            settings.prm.places.clear();
            settings.challenge.resource_metadata = false;
            Sim::against(settings, |config| config.legacy_servers(false))
        }
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        sim.expect_failed(waiter, "discovery_failed");
        assert_eq!(sim.model().seen().len(), 1);
    }

    the_root_is_not_asked_for_when_the_path_document_exists_disc_08(
        sim = changed(|settings| settings.prm.places = vec![PrmPlace::Path, PrmPlace::Root])
    ) {
        sim.acquire("");
        sim.log_in();
        assert_eq!(sim.model().count(Endpoint::PrmPath), 1);
        assert_eq!(sim.model().count(Endpoint::PrmRoot), 0);
    }

    the_slash_at_the_end_is_tried_both_ways_amb_04(
        sim = Sim::against(
            Settings::revision("2026-07-28").at(
                "https://mcp.example/mcp/", "https://as.example", "https://as2.example",
            ),
            |config| config,
        )
    ) {
        sim.model().set(|settings| settings.prm.places.clear());
        let waiter = sim.acquire("");
        sim.expect_call(Method::GET, "/.well-known/oauth-protected-resource/mcp/").reply(404);
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &resource());
        sim.expect_call(Method::GET, SERVER).reply_json(200, &server());
        registered(sim);
        assert_eq!(sim.expect_visit().param("resource").as_deref(), Some("https://mcp.example/mcp"));
        sim.expect_waiting(waiter);
    }

    a_site_that_answers_everything_has_no_metadata_disc_09_host_059(
        sim = changed(|settings| {
            settings.absent = Absent::Everything;
            settings.prm.places = vec![PrmPlace::Root];
            settings.challenge.resource_metadata = false;
        })
    ) {
        lets_in(sim);
        assert_eq!(sim.model().count(Endpoint::PrmPath), 1);
        assert_eq!(sim.model().count(Endpoint::PrmRoot), 1);
    }

    a_busy_server_is_not_taken_for_an_old_one_disc_09_host_118(sim = plain()) {
        for status in [500, 503, 408, 429] {
            let waiter = sim.refused(401, "Bearer");
            sim.expect_call(Method::GET, RESOURCE)
                .respond(status, &[("retry-after", "7")], b"busy");
            let failure = sim.expect_failed(waiter, "transient");
            assert_eq!(failure.rule(), "DISC-09");
            assert_eq!(failure.purpose(), Some(Purpose::ResourceMetadata));
            let after = Some(core::time::Duration::from_secs(7));
            assert_eq!(failure.remedy(), Remedy::Retry { after });
            assert_eq!(failure.evidence().last().map(|seen| seen.outcome),
                Some(Outcome::Status(status)));
            sim.expect_no_call();
            sim.expect_no_visit();
        }
        // Once it answers, the login is what it would have been (DISC-16).
        asked(sim);
        sim.expect_visit();
    }

    a_lost_request_is_not_taken_for_an_absence_disc_09_host_069_host_075_host_118(sim = plain()) {
        for (why, code) in [
            (Why::Connect, "transient"),
            (Why::Resolve, "transient"),
            (Why::Broken, "transient"),
            (Why::Timeout, "transient"),
            (Why::Tls, "tls"),
            (Why::PlainHttp, "tls"),
            (Why::Proxy, "proxy_refused"),
            (Why::HeadMalformed, "header_malformed"),
            (Why::HeadTooLarge, "header_too_large"),
            (Why::AddressBlocked, "address_blocked"),
        ] {
            let waiter = sim.refused(401, "Bearer");
            sim.expect_call(Method::GET, RESOURCE).maybe_sent(why);
            let failure = sim.expect_failed(waiter, code);
            assert_eq!((failure.cause(), failure.remedy()), (Some(why), why.remedy()));
            assert_eq!(failure.sentence(), why.sentence());
            assert_eq!(failure.evidence().last().map(|seen| seen.outcome), Some(Outcome::Lost(why)));
            sim.expect_no_call();
        }
        let waiter = sim.refused(401, "Bearer");
        sim.at(31);
        let failure = sim.expect_failed(waiter, "transient");
        assert!(failure.remedy().retryable());
    }

    a_body_over_the_limit_is_refused_disc_17_host_064_host_088(sim = plain()) {
        let waiter = sim.acquire("");
        let call = sim.expect_call(Method::GET, RESOURCE);
        assert_eq!(call.limits().body, 256 * 1024);
        call.maybe_sent(Why::BodyTooLarge);
        sim.expect_failed(waiter, "body_too_large");
    }

    an_invalid_document_ends_the_search_disc_10_disc_19_prm_04(sim = plain()) {
        for (body, code) in [
            ("{", "json_malformed"),
            ("[]", "prm_invalid"),
            (r#"{"authorization_servers":["https://as.example"]}"#, "prm_invalid"),
            (r#"{"resource":1,"authorization_servers":["https://as.example"]}"#, "prm_invalid"),
            (r#"{"resource":"a","resource":"b"}"#, "json_duplicate_key"),
            (r#"{"resource":"https://mcp.example/mcp"}"#, "no_authorization_server"),
            (r#"{"resource":"https://evil.example/mcp"}"#, "resource_mismatch"),
        ] {
            let waiter = sim.acquire("");
            let json = [("content-type", "application/json")];
            sim.expect_call(Method::GET, RESOURCE).respond(200, &json, body.as_bytes());
            let failure = sim.expect_failed(waiter, code);
            assert_eq!(failure.purpose(), Some(Purpose::ResourceMetadata), "{body}");
            sim.expect_no_call();
        }
    }

    the_document_of_another_resource_is_not_used_prm_05_prm_06_host_107(
        sim = changed(|settings| {
            settings.prm.resource = Some("https://evil.example/mcp".to_owned());
        })
    ) {
        let waiter = sim.call_tool("echo", false).expect_err("a token is needed");
        sim.serve();
        let failure = sim.expect_failed(waiter, "resource_mismatch");
        assert_eq!(failure.remedy(), Remedy::Report);
        assert_eq!(failure.evidence().last().map(|seen| seen.outcome),
            Some(Outcome::Refused(failure.kind())));
        untouched(sim, "as.example");
        assert_eq!(sim.count("oauth-protected-resource"), 0);
    }

    the_root_document_speaks_for_the_origin_amb_03_res_03(
        sim = changed(|settings| settings.prm.places = vec![PrmPlace::Root])
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        let visit = sim.expect_visit();
        assert_eq!(visit.param("resource").as_deref(), Some("https://mcp.example"));
        visit.approve();
        sim.serve();
        assert_eq!(sim.expect_granted(waiter).resource(), Some("https://mcp.example"));
    }

    a_parent_resource_is_accepted_and_sent_as_it_is_prm_07_host_109_res_03(sim = plain()) {
        sim.acquire("");
        let parent = with(resource(), json!({ "resource": "https://mcp.example/" }));
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &parent);
        sim.expect_note("parent_resource for https://mcp.example/");
        sim.expect_call(Method::GET, SERVER).reply_json(200, &server());
        registered(sim);
        assert_eq!(sim.expect_visit().param("resource").as_deref(), Some("https://mcp.example/"));
    }

    strict_wants_the_very_resource_prm_07_host_109(
        sim = Sim::by_hand(|config| config.profile(Profile::Strict))
    ) {
        let waiter = sim.acquire("");
        let parent = with(resource(), json!({ "resource": "https://mcp.example/" }));
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &parent);
        sim.expect_failed(waiter, "resource_mismatch");
        sim.expect_no_call();
    }

    without_metadata_an_unknowing_program_stops_disc_11_host_119(
        sim = Sim::by_hand(|config| config.redirect_uri("https://app.example/callback"))
    ) {
        let waiter = sim.refused(401, "");
        sim.expect_call(Method::GET, RESOURCE).reply(404);
        sim.expect_call(Method::GET, RESOURCE_ROOT).reply(410);
        let failure = sim.expect_failed(waiter, "discovery_failed");
        assert_eq!(switches(&failure), [Switch::LegacyServers]);
        assert_eq!(failure.mends().len(), 1);
        assert_eq!(failure.remedy(), Remedy::Configure);
        // What happened before a restart is not in memory any more.
        if !sim.restarting() {
            let seen: Vec<Outcome> = failure.evidence().iter().map(|seen| seen.outcome).collect();
            assert_eq!(seen, [Outcome::Status(404), Outcome::Status(410)]);
        }
        sim.expect_no_call();
    }

    a_pointer_that_leads_nowhere_is_left_host_116_amb_06(sim = plain()) {
        sim.refused(401, r#"Bearer resource_metadata="https://mcp.example/prm""#);
        sim.expect_call(Method::GET, "/prm").reply(404);
        sim.expect_note("discovery_failed [AMB-06]");
        discovered(sim);
    }

    a_pointer_to_something_else_is_a_broken_document_host_059_host_117(sim = plain()) {
        let challenge = r#"Bearer resource_metadata="https://mcp.example/prm""#;
        for (media, body, code) in [
            ("text/html", "<html>", "prm_invalid"),
            ("application/json", r#"{"openapi":"3"}"#, "prm_invalid"),
        ] {
            let waiter = sim.refused(401, challenge);
            sim.expect_call(Method::GET, "/prm")
                .respond(200, &[("content-type", media)], body.as_bytes());
            sim.expect_failed(waiter, code);
            sim.expect_no_call();
        }
    }

    redirects_on_the_same_origin_are_followed_sec_09_host_051(
        sim = changed(|settings| settings.prm.redirect = Redirect::SameOrigin(3))
    ) {
        // Each restart asks once more, and the requests of a search are counted.
        if sim.restarting() {
            sim.model().set(|settings| settings.prm.redirect = Redirect::SameOrigin(2));
        }
        lets_in(sim);
        let hops = if sim.restarting() { 2 } else { 3 };
        assert_eq!(sim.model().count(Endpoint::PrmPath), 1 + hops);
    }

    the_fourth_redirect_is_refused_sec_09_host_051(
        sim = changed(|settings| settings.prm.redirect = Redirect::SameOrigin(4))
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        let failure = sim.expect_failed(waiter, "too_many_redirects");
        assert_eq!(failure.purpose(), Some(Purpose::ResourceMetadata));
    }

    a_redirect_elsewhere_is_refused_sec_09_host_050_host_052_host_053(sim = plain()) {
        for (location, code) in [
            ("https://evil.example/prm", "cross_origin_redirect"),
            ("http://mcp.example/prm", "cross_origin_redirect"),
            ("//evil.example/p", "cross_origin_redirect"),
            ("javascript:x", "redirect_refused"),
            ("https:\\evil.example", "redirect_refused"),
        ] {
            let waiter = sim.acquire("");
            sim.expect_call(Method::GET, RESOURCE).respond(302, &[("location", location)], b"");
            let failure = sim.expect_failed(waiter, code);
            assert_eq!(failure.purpose(), Some(Purpose::ResourceMetadata), "{location}");
            untouched(sim, "evil.example");
        }
    }

    what_is_odd_is_noted_and_what_is_needed_is_said_early_prm_13_prm_14_host_121_host_122(
        sim = plain()
    ) {
        let waiter = sim.acquire("");
        let odd = with(resource(), json!({ "dpop_bound_access_tokens_required": true }));
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &odd);
        assert_eq!(sim.expect_failed(waiter, "dpop_required").rule(), "PRM-14");
        let waiter = sim.acquire("");
        let odd = json!({ "tls_client_certificate_bound_access_tokens": true });
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &with(resource(), odd));
        sim.expect_failed(waiter, "client_auth_unsupported");
        let waiter = sim.acquire("");
        let odd = with(resource(), json!({ "bearer_methods_supported": ["query", "body"] }));
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &odd);
        sim.expect_note("bearer_methods_supported");
        sim.expect_call(Method::GET, SERVER).reply_json(200, &server());
        registered(sim);
        agreed(sim, waiter, &tokens());
    }

    a_new_challenge_reads_the_metadata_anew_disc_15_disc_16(sim = plain()) {
        let waiter = asked(sim);
        agreed(sim, waiter, &tokens());
        let waiter = sim.refused(401, r#"Bearer resource_metadata="https://mcp.example/prm""#);
        sim.expect_call(Method::GET, "/prm").reply_json(200, &resource());
        sim.expect_call(Method::GET, SERVER).reply_json(200, &server());
        agreed(sim, waiter, &with(tokens(), json!({ "access_token": "AT2-CANARY" })));
    }

    an_mcp_url_that_leaves_no_room_ends_at_once_host_025(
        sim = {
            let long = format!("https://mcp.example/{}", "a".repeat(2025));
            let settings = Settings::revision("2026-07-28");
            let settings = settings.at(&long, "https://as.example", "https://as2.example");
            Sim::against(settings, |config| config)
        }
    ) {
        let waiter = sim.acquire("");
        let failure = sim.expect_failed(waiter, "url_too_long");
        assert_eq!(failure.remedy(), Remedy::Configure);
        sim.expect_no_call();
    }

    the_search_has_a_budget_that_a_restart_does_not_refill_step_16(sim = plain()) {
        sim.acquire("");
        for _ in 0..12 {
            sim.restart();
        }
        sim.expect_note("failed: request_budget [STEP-16]");
        // Its callers ask anew, which is a flow of its own.
        discovered(sim);
        for _ in 0..12 {
            sim.restart();
        }
    }

    the_server_is_searched_for_within_the_same_budget_step_16(sim = plain()) {
        sim.acquire("");
        listed(sim);
        for _ in 0..12 {
            sim.restart();
        }
        sim.expect_note("failed: request_budget [STEP-16]");
    }
}
