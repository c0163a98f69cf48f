//! Settings that would help are named where they would, with the strings to write, and hold for what
//! was granted before them.

use http::Method;
use mcp_authz_core::Config;
use mcp_authz_core::config::{ConfigBuilder, Profile};
use mcp_authz_core::failure::{Remedy, Switch};
use mcp_authz_tests::model::{Pkce, ResourceRule, Settings};
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::given::{
    TOKEN, approve, at, bearer, by_hand, discover, discover_with, kept, known_client, logged_in,
    refresh, register, resource, server_with, switches, tokens,
};

const AS: &str = "https://as.example";
const POOL: &str = "https://cognito-idp.eu-1.amazonaws.com/pool";

fn omitting(config: ConfigBuilder) -> ConfigBuilder {
    config.persistent(true).danger().omit_resource(AS).done()
}

/// A client that was agreed upon beforehand.
fn known() -> Sim {
    Sim::by_hand(|config| config.pre_registered(known_client(None)))
}

scripts! {
    /// Entra asks for scopes instead, and says so in words of its own.
    a_refused_resource_names_the_switch_d8(sim = known()) {
        for (answer, expected) in [
            ("error=invalid_target", vec![Switch::ResourceParameter]),
            (
                "error=invalid_request&error_description=AADSTS9010010%3A+The+resource+parameter",
                vec![Switch::ResourceParameter, Switch::Entra],
            ),
            (
                "error=invalid_resource&error_description=AADSTS9010010%3A+x",
                vec![Switch::ResourceParameter, Switch::Entra],
            ),
            (
                "error=invalid_request&error_description=wrapped+AADSTS9010010",
                vec![Switch::ResourceParameter],
            ),
            ("error=invalid_request&error_description=AADSTS65001%3A+consent", vec![]),
            ("error=access_denied", vec![]),
        ] {
            let waiter = sim.acquire("");
            discover(sim);
            sim.expect_visit().arrive_with(answer);
            let failure = sim.expect_failed(waiter, "authorization_denied");
            assert_eq!(switches(&failure), *expected, "{answer}");
            for (switch, words) in failure.openings() {
                assert_eq!(words, [AS], "{switch:?}");
            }
            assert_eq!(failure.remedy() == Remedy::Configure, !expected.is_empty(), "{answer}");
        }
    }

    the_token_endpoint_may_refuse_the_resource_too_d8_res_09(sim = known()) {
        for (answer, expected) in [
            (json!({ "error": "invalid_target" }), vec![Switch::ResourceParameter]),
            (
                json!({ "error": "invalid_request", "error_description": "AADSTS9010010: no" }),
                vec![Switch::ResourceParameter, Switch::Entra],
            ),
            (json!({ "error": "invalid_request", "error_description": "AADSTS1: no" }), vec![]),
        ] {
            let waiter = sim.acquire("");
            discover(sim);
            approve(sim).reply_json(400, &answer);
            let failure = sim.expect_failed(waiter, "server_error");
            assert_eq!(switches(&failure), *expected, "{answer}");
            assert!(failure.openings().all(|(_, words)| words == [AS]), "{answer}");
        }
    }

    /// Strict knows no leniency that would help.
    strict_is_told_of_no_switch_d8(
        sim = Sim::by_hand(|config| {
            config.profile(Profile::Strict).pre_registered(known_client(None))
        })
    ) {
        let waiter = sim.acquire("");
        discover(sim);
        sim.expect_visit().arrive_with("error=invalid_target");
        let failure = sim.expect_failed(waiter, "authorization_denied");
        assert_eq!(switches(&failure), []);
        assert_ne!(failure.remedy(), Remedy::Configure);
    }

    /// Leaving it out for new logins alone would fail at the first refresh of what is stored.
    a_switch_given_later_holds_for_a_stored_grant_d8(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        sim.new_process(omitting);
        sim.at(60).acquire("");
        let call = refresh(sim, 1);
        assert!(call.form("resource").is_empty());
        call.reply_json(200, &tokens(2, 60));
        assert_eq!(bearer(sim), at(2));
        // Taken away again, what was recorded is sent again.
        sim.new_process(|config| config.persistent(true));
        sim.at(120).acquire("");
        let call = refresh(sim, 2);
        assert_eq!(call.form("resource"), ["https://mcp.example/mcp"]);
        call.reply_json(200, &tokens(3, 60));
    }

    another_resource_given_later_holds_for_a_stored_grant_d8(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        sim.new_process(|config| {
            config.persistent(true).danger().replace_resource(AS, "urn:api").done()
        });
        sim.at(60).acquire("");
        let call = refresh(sim, 1);
        assert_eq!(call.form("resource"), ["urn:api"]);
        call.reply_json(200, &tokens(2, 60));
        // Of another issuer it says nothing.
        sim.new_process(|config| {
            config.persistent(true).danger().omit_resource("https://other.example").done()
        });
        sim.at(120).acquire("");
        let call = refresh(sim, 2);
        assert_eq!(call.form("resource"), ["https://mcp.example/mcp"]);
        call.reply_json(200, &tokens(3, 60));
    }

    /// The error names what helps, and with it the same server lets in, refreshes included.
    entra_lets_in_by_the_preset_that_its_refusal_names_d8(
        sim = {
            let mut settings = Settings::revision("2025-11-25");
            settings.server.resource = ResourceRule::RefusedByEntra;
            settings.server.metadata.pkce = Pkce::Absent;
            settings.server.tokens.access_life_s = 60;
            let unlisted = |config: ConfigBuilder| {
                config.persistent(true).danger().allow_unlisted_pkce(AS).done()
            };
            Sim::against(settings, unlisted)
        }
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        sim.expect_visit().approve();
        let failure = sim.expect_failed(waiter, "authorization_denied");
        assert_eq!(switches(&failure), [Switch::ResourceParameter, Switch::Entra]);
        sim.new_process(|config| config.persistent(true).danger().entra(AS).done());
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
        sim.at(61);
        let waiter = sim.acquire_quietly("");
        sim.serve();
        sim.expect_granted(waiter);
    }

    /// Whoever logged in there without the parameter has none recorded, and says in a refresh which
    /// scopes it is for.
    what_entra_needs_goes_together_d8(
        sim = Sim::by_hand(|config| config.persistent(true).danger().entra(AS).done())
    ) {
        let waiter = sim.acquire("files:read");
        let unlisted = server_with(&json!({ "code_challenge_methods_supported": null }));
        discover_with(sim, &resource(&[]), &unlisted);
        register(sim, "c1");
        assert_eq!(sim.expect_visit().param("resource"), None);
        sim.cancel(waiter);
        sim.new_process(|config| config.persistent(true).danger().entra(AS).done());
        let waiter = sim.acquire("files:read");
        discover_with(sim, &resource(&[]), &unlisted);
        let call = approve(sim);
        assert!(call.form("resource").is_empty());
        call.reply_json(200, &tokens(1, 60));
        sim.expect_granted(waiter);
        sim.at(60).acquire("");
        let call = refresh(sim, 1);
        assert!(call.form("resource").is_empty());
        assert_eq!(call.form("scope"), ["files:read"]);
        call.reply_json(200, &tokens(2, 60));
    }

    /// Google gives no refresh token unless it is asked with its own words.
    what_google_needs_goes_together_d9(
        sim = Sim::by_hand(|config| config.google(AS).google(AS).consent_for_offline_access(AS))
    ) {
        sim.acquire("offline_access");
        discover(sim);
        register(sim, "c1");
        let visit = sim.expect_visit();
        for (name, value) in [("access_type", "offline"), ("prompt", "consent")] {
            let one = format!("{name}={value}");
            assert_eq!(visit.visit().url().matches(&one).count(), 1, "{name}");
        }
    }

    /// Cognito's document names the pool, whatever the resource lists, and no PKCE methods.
    what_cognito_needs_goes_together_d13_d1(
        sim = Sim::by_hand(|config| {
            config.persistent(true).danger().cognito(AS, POOL).done()
        })
    ) {
        let waiter = sim.acquire("");
        let pool = json!({
            "issuer": POOL,
            "code_challenge_methods_supported": null,
        });
        discover_with(sim, &resource(&[]), &server_with(&pool));
        register(sim, "c1");
        approve(sim).reply_json(200, &tokens(1, 60));
        sim.expect_granted(waiter);
        // A switch for the issuer as it is listed holds for what the pool has granted, too.
        sim.new_process(omitting);
        sim.at(60).acquire("");
        let call = refresh(sim, 1);
        assert!(call.form("resource").is_empty());
        call.reply_json(200, &tokens(2, 60));
    }

    /// Once it is pinned, what is still missing goes by the same name.
    a_pinned_pool_without_pkce_names_the_preset_d1_d13(
        sim = Sim::by_hand(|config| config.danger().pin_issuer(AS, POOL).done())
    ) {
        let waiter = sim.acquire("");
        discover_with(sim, &resource(&[]), &server_with(&json!({
            "issuer": POOL,
            "code_challenge_methods_supported": null,
        })));
        let failure = sim.expect_failed(waiter, "pkce_unsupported");
        let openings: Vec<_> = failure.openings().collect();
        let pair = [AS.to_owned(), POOL.to_owned()];
        let pkce = (Switch::PkceUnlisted, &pair[1..]);
        assert_eq!(openings, [pkce, (Switch::Cognito, &pair[..])]);
    }

    /// What a pin has to be written of is in the error, to the last character.
    the_two_strings_of_a_mismatch_are_shown_whole_bind_12_d13(sim = by_hand()) {
        let found = format!("https://id.example:8443/{}/v2.0", "t".repeat(600));
        let waiter = sim.acquire("");
        discover_with(sim, &resource(&[]), &server_with(&json!({ "issuer": found })));
        let failure = sim.expect_failed(waiter, "issuer_mismatch");
        assert_eq!(failure.subject(), Some(&*format!("{found} instead of {AS}")));
        let openings: Vec<_> = failure.openings().collect();
        assert_eq!(openings, [(Switch::IssuerPin, &[AS.to_owned(), found.clone()][..])]);
        assert!(failure.to_string().contains(&format!("issuer_pin {AS} {found}")), "{failure}");
        // What is no URL, or holds a password, is shown to nobody and can be pinned by nobody.
        for odd in ["https://me:pw@id.example", "id.example", "https://id.example/\u{7}"] {
            let waiter = sim.acquire("");
            discover_with(sim, &resource(&[]), &server_with(&json!({ "issuer": odd })));
            let failure = sim.expect_failed(waiter, "issuer_mismatch");
            assert_eq!(failure.subject(), Some("no URL instead of https://as.example"));
            assert_eq!((switches(&failure), failure.remedy()), (Vec::new(), Remedy::Report));
        }
    }

    /// Entra and Cognito are known by their hosts, and what they need by its name.
    the_preset_of_a_known_server_is_named_d1_d13(sim = by_hand()) {
        for (issuer, preset) in [
            ("https://login.microsoftonline.com/t/v2.0", None),
            (POOL, Some(Switch::Cognito)),
            ("https://cognito-idp.example/pool", None),
            ("https://eu-1.amazonaws.com/pool", None),
        ] {
            let waiter = sim.acquire("");
            discover_with(sim, &resource(&[]), &server_with(&json!({ "issuer": issuer })));
            let failure = sim.expect_failed(waiter, "issuer_mismatch");
            assert_eq!(switches(&failure).get(1).copied(), preset, "{failure}");
        }
        let tenant = "https://login.microsoftonline.com/t/v2.0";
        let waiter = sim.acquire("");
        let mut listed = resource(&[]);
        listed["authorization_servers"] = json!([tenant]);
        sim.expect_call(Method::GET, crate::given::RESOURCE).reply_json(200, &listed);
        let well = "https://login.microsoftonline.com/.well-known/oauth-authorization-server/t/v2.0";
        sim.expect_call(Method::GET, well).reply_json(200, &json!({
            "issuer": tenant,
            "authorization_endpoint": "https://login.microsoftonline.com/t/oauth2/v2.0/authorize",
            "token_endpoint": "https://login.microsoftonline.com/t/oauth2/v2.0/token",
        }));
        let failure = sim.expect_failed(waiter, "pkce_unsupported");
        assert_eq!(switches(&failure), [Switch::PkceUnlisted, Switch::Entra]);
        assert!(failure.openings().all(|(_, words)| words == [tenant]), "{failure}");
    }

    a_switch_names_the_host_and_issuer_it_is_for_d5_d6(sim = by_hand()) {
        const TOKENS: &str = "token_endpoint";
        const PKCE: &str = "code_challenge_methods_supported";
        for (member, value, code, switch, words) in [
            (TOKENS, "http://as.example/t", "insecure_transport", Switch::PlainHttp, "as.example"),
            (TOKENS, "https://10.1.2.3/t", "address_blocked", Switch::PrivateAddress, "10.1.2.3"),
            (PKCE, "", "pkce_unsupported", Switch::PkceUnlisted, AS),
        ] {
            let value = if value.is_empty() { json!(null) } else { json!(value) };
            let waiter = sim.acquire("");
            discover_with(sim, &resource(&[]), &server_with(&json!({ member: value })));
            sim.expect_no_call();
            let failure = sim.expect_failed(waiter, code);
            assert_eq!(failure.openings().collect::<Vec<_>>(), [(switch, &[words.to_owned()][..])]);
        }
        let waiter = sim.acquire("");
        let split = server_with(&json!({
            "authorization_endpoint": "https://a.example.org/authorize",
            "token_endpoint": "https://b.example.net/token",
        }));
        discover_with(sim, &resource(&[]), &split);
        let failure = sim.expect_failed(waiter, "endpoints_incoherent");
        let expected = [AS.to_owned()];
        assert_eq!(
            failure.openings().collect::<Vec<_>>(),
            [(Switch::SplitEndpoints, &expected[..])]
        );
        sim.expect_no_call();
        assert_eq!(sim.count(TOKEN), 0);
        let failure = Config::builder("http://lan.example/mcp").build().expect_err("it is plain");
        let openings: Vec<_> = failure.openings().collect();
        assert_eq!(openings, [(Switch::PlainHttp, &["lan.example".to_owned()][..])]);
    }
}
