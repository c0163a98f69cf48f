//! An authorization server that the person describes, where no document does.

use http::Method;
use mcp_authz_core::Config;
use mcp_authz_core::config::{ConfigBuilder, PreRegistered, Profile};
use mcp_authz_core::effect::RecordKind;
use mcp_authz_core::failure::{Setting, Switch};
use mcp_authz_tests::model::{Endpoint, RefreshIssue, Settings};
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::by_hand::*;
use crate::given::{known_client, switches};

const AUTHORIZE: &str = "https://login.example/oauth/authorize";
const TOKENS: &str = "https://api.example.org/oauth/token";
const JOIN: &str = "https://join.example.net/register";
const REVOKE: &str = "https://api.example.org/oauth/revoke";
const ORIGIN: &str = "https://login.example";

fn described(config: ConfigBuilder) -> ConfigBuilder {
    config.authorization_endpoint(AUTHORIZE).token_endpoint(TOKENS).registration_endpoint(JOIN)
}

/// The resource has definitely no metadata.
fn undescribed(sim: &mut Sim) {
    sim.expect_call(Method::GET, RESOURCE).reply(404);
    sim.expect_call(Method::GET, RESOURCE_ROOT).reply(404);
}

scripts! {
    /// Three hosts, since the person vouches for them; S256 without a list of methods.
    what_the_person_names_stands_in_for_the_documents_disc_11_asm_21_leg_07(
        sim = Sim::by_hand(|config| described(config).persistent(true).revocation_endpoint(REVOKE))
    ) {
        let waiter = sim.refused(401, "");
        undescribed(sim);
        sim.expect_call(Method::POST, JOIN).reply_json(201, &json!({ "client_id": "c1" }));
        let visit = sim.expect_visit();
        assert!(visit.visit().url().starts_with(AUTHORIZE));
        assert_eq!(visit.param("code_challenge_method").as_deref(), Some("S256"));
        assert_eq!(visit.param("resource").as_deref(), Some("https://mcp.example/mcp"));
        assert_eq!(&*visit.visit().issuer, ORIGIN);
        visit.arrive_with_code("");
        sim.expect_call(Method::POST, TOKENS).reply_json(200, &refreshable());
        assert_eq!(sim.expect_granted(waiter).issuer(), ORIGIN);
        for kind in [RecordKind::Binding, RecordKind::Client, RecordKind::Grant] {
            assert_eq!(sim.store().documents(kind)[0]["issuer"], ORIGIN);
        }
        // Nothing says that there ever was metadata, so that its absence is nothing strange later.
        assert_eq!(sim.store().documents(RecordKind::Binding)[0]["class"], "legacy");
        sim.forget();
        sim.expect_call(Method::POST, REVOKE).reply(200);
    }

    /// The resource's own metadata still says what the tokens are for, and nothing else.
    the_resource_names_itself_and_no_server_disc_11_asm_21(
        sim = Sim::by_hand(|config| {
            let known = PreRegistered { issuer: Some(ORIGIN.to_owned()), ..known_client(None) };
            described(config).persistent(true).pre_registered(known)
        })
    ) {
        for document in [
            with(resource(), json!({ "resource": "https://mcp.example", "scopes_supported": ["a"] })),
            with(resource(), json!({
                "resource": "https://mcp.example",
                "scopes_supported": ["a"],
                "authorization_servers": null,
            })),
        ] {
            let waiter = sim.acquire("");
            sim.expect_call(Method::GET, RESOURCE).reply_json(200, &document);
            let visit = sim.expect_visit();
            assert_eq!(visit.param("resource").as_deref(), Some("https://mcp.example"));
            assert_eq!(visit.param("scope").as_deref(), Some("a"));
            visit.arrive_with("error=access_denied");
            sim.expect_failed(waiter, "authorization_denied");
        }
        let waiter = sim.acquire("");
        listed(sim);
        sim.expect_visit().arrive_with_code("");
        sim.expect_call(Method::POST, TOKENS).reply_json(200, &tokens());
        sim.expect_granted(waiter);
        assert_eq!(sim.store().documents(RecordKind::Binding)[0]["class"], "resource");
        untouched(sim, "as.example");
    }

    /// What is broken is not absent: whoever answers there may be somebody else.
    broken_metadata_is_not_absent_for_them_either_disc_09_disc_10_asm_21(
        sim = Sim::by_hand(described)
    ) {
        let evil = with(resource(), json!({ "resource": "https://evil.example/mcp" }));
        let waiter = sim.refused(401, "");
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &evil);
        sim.expect_failed(waiter, "resource_mismatch");
        let waiter = sim.refused(401, "");
        sim.expect_call(Method::GET, RESOURCE).reply(503);
        sim.expect_failed(waiter, "transient");
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    an_issuer_that_comes_is_compared_with_the_one_that_was_named_iss_07_asm_21(
        sim = Sim::by_hand(|config| described(config).endpoints_issuer("https://login.example/t1"))
    ) {
        let waiter = sim.refused(401, "");
        undescribed(sim);
        sim.expect_call(Method::POST, JOIN).reply_json(201, &json!({ "client_id": "c1" }));
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        visit.arrive_with_code("&iss=https%3A%2F%2Flogin.example");
        sim.expect_note("iss_mismatch");
        sim.expect_no_call();
        sim.arrive(&format!("{redirect}?code=c&state={state}&iss=https%3A%2F%2Flogin.example%2Ft1"));
        sim.expect_call(Method::POST, TOKENS).reply_json(200, &tokens());
        assert_eq!(sim.expect_granted(waiter).issuer(), "https://login.example/t1");
    }

    /// A token endpoint that is corrected later is the one that a stored grant is refreshed at, and a
    /// challenge that names metadata asks nobody whether the person is still right.
    what_is_named_later_holds_for_a_stored_grant_asm_21_bind_05(
        sim = Sim::by_hand(|config| described(config).persistent(true))
    ) {
        let waiter = sim.refused(401, "");
        undescribed(sim);
        sim.expect_call(Method::POST, JOIN).reply_json(201, &json!({ "client_id": "c1" }));
        sim.expect_visit().arrive_with_code("");
        sim.expect_call(Method::POST, TOKENS).reply_json(200, &refreshable());
        sim.expect_granted(waiter);
        sim.new_process(|config| {
            described(config).persistent(true).token_endpoint("https://api.example.org/v2/token")
        });
        let waiter = sim.acquire("");
        sim.expect_granted(waiter);
        let waiter = sim.refused(401, r#"Bearer resource_metadata="https://mcp.example/prm""#);
        let call = sim.expect_call(Method::POST, "https://api.example.org/v2/token");
        assert_eq!(call.form("grant_type"), ["refresh_token"]);
        call.reply_json(200, &with(tokens(), json!({ "access_token": "AT2-CANARY" })));
        sim.expect_granted(waiter);
    }

    /// So is a revocation endpoint, for whom the session holds a grant of and for what it finds in the
    /// store; taken away again, tokens go back to the one that is recorded.
    a_revocation_endpoint_named_later_holds_for_a_stored_grant_asm_21_revk_01(
        sim = Sim::by_hand(|config| described(config).persistent(true).revocation_endpoint(REVOKE))
    ) {
        const CORRECTED: &str = "https://api.example.org/v2/revoke";
        let corrected =
            |config| described(config).persistent(true).revocation_endpoint(CORRECTED);
        for (first, settings, held, endpoint) in [
            (true, corrected as fn(ConfigBuilder) -> ConfigBuilder, true, CORRECTED),
            (false, corrected, false, CORRECTED),
            (false, |config| described(config).persistent(true), true, REVOKE),
            (false, |config| config.persistent(true), false, REVOKE),
        ] {
            sim.new_process(|config| {
                described(config).persistent(true).revocation_endpoint(REVOKE)
            });
            let waiter = sim.refused(401, "");
            undescribed(sim);
            if first {
                sim.expect_call(Method::POST, JOIN).reply_json(201, &json!({ "client_id": "c1" }));
            }
            sim.expect_visit().arrive_with_code("");
            sim.expect_call(Method::POST, TOKENS).reply_json(200, &refreshable());
            sim.expect_granted(waiter);
            sim.new_process(settings);
            if held {
                let waiter = sim.acquire("");
                sim.expect_granted(waiter);
            }
            sim.forget();
            for token in ["RT-CANARY", "AT-CANARY"] {
                let call = sim.expect_call(Method::POST, endpoint);
                assert_eq!(call.form("token"), [token]);
                call.reply(200);
            }
        }
    }

    /// Of another server's grant the person has said nothing: neither is it still listed because of
    /// that, nor does its refresh token go to whom they describe.
    a_described_server_is_no_answer_about_another_bind_05_bind_06(
        sim = Sim::by_hand(|config| config.persistent(true))
    ) {
        let waiter = sim.refused(401, "");
        discovered(sim);
        registered(sim);
        sim.expect_visit().arrive_with_code("");
        sim.expect_call(Method::POST, TOKEN).reply_json(200, &refreshable());
        sim.expect_granted(waiter);
        sim.new_process(|config| described(config).persistent(true));
        let waiter = sim.acquire("");
        sim.expect_granted(waiter);
        const POINTER: &str = r#"Bearer resource_metadata="https://mcp.example/prm""#;
        let waiter = sim.refused(401, POINTER);
        sim.expect_call(Method::GET, "/prm").reply(404);
        undescribed(sim);
        sim.expect_failed(waiter, "discovery_failed");
        let waiter = sim.refused(401, POINTER);
        sim.expect_call(Method::GET, "/prm").reply_json(200, &resource());
        let call = sim.expect_call(Method::POST, TOKEN);
        assert_eq!(call.form("grant_type"), ["refresh_token"]);
        call.reply_json(200, &with(refreshable(), json!({ "access_token": "AT2-CANARY" })));
        sim.expect_granted(waiter);
        untouched(sim, "api.example.org");
    }

    /// Metadata that was shown once does not bind the person, who knows better than a pin.
    a_server_that_lost_its_documents_is_described_by_hand_leg_05_disc_11(
        sim = {
            let mut settings = Settings::revision("2025-11-25");
            settings.server.tokens.refresh = RefreshIssue::Never;
            Sim::against(settings, |config| config.persistent(true))
        }
    ) {
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
        sim.model().set(|settings| settings.prm.places.clear());
        sim.model().revoke_all();
        sim.new_process(|config| config.persistent(true));
        let waiter = sim.acquire("");
        sim.expect_granted(waiter);
        let waiter = sim.call_tool("echo", false).expect_err("the token is revoked");
        sim.serve();
        let failure = sim.expect_failed(waiter, "discovery_failed");
        assert_eq!((failure.rule(), failure.mends()[0].setting), ("LEG-05", Setting::Endpoints));
        sim.new_process(|config| {
            config
                .persistent(true)
                .authorization_endpoint("https://as.example/authorize")
                .token_endpoint("https://as.example/token")
                .registration_endpoint("https://as.example/register")
        });
        let waiter = sim.acquire("");
        sim.expect_granted(waiter);
        let waiter = sim.call_tool("echo", false).expect_err("the token is revoked");
        sim.log_in();
        sim.expect_granted(waiter);
        assert_eq!(sim.call_tool("echo", true), Ok(()));
        assert_eq!(sim.model().count(Endpoint::AsOauth), 1);
    }

    /// Whoever has said no to old servers is not told to say yes.
    no_advice_leads_in_a_circle_disc_11(
        sim = Sim::by_hand(|config| config.legacy_servers(false))
    ) {
        let waiter = sim.refused(401, "");
        undescribed(sim);
        let failure = sim.expect_failed(waiter, "discovery_failed");
        assert_eq!(failure.rule(), "DISC-11");
        assert_eq!(switches(&failure), []);
        assert_eq!(failure.mends()[0].setting, Setting::Endpoints);
        assert_eq!(failure.remedy().name(), "configure");
    }

    strict_is_told_of_no_leniency_disc_11(
        sim = Sim::by_hand(|config| config.profile(Profile::Strict))
    ) {
        let waiter = sim.refused(401, "");
        undescribed(sim);
        let failure = sim.expect_failed(waiter, "discovery_failed");
        assert_eq!(switches(&failure), []);
        assert_eq!(failure.mends()[0].setting, Setting::Endpoints);
    }

    /// A resource that lists no server can be helped as well.
    a_list_without_servers_names_the_setting_prm_08_disc_11(sim = plain()) {
        let waiter = sim.acquire("");
        let none = with(resource(), json!({ "authorization_servers": null }));
        sim.expect_call(Method::GET, RESOURCE).reply_json(200, &none);
        let failure = sim.expect_failed(waiter, "no_authorization_server");
        assert_eq!(failure.mends()[0].setting, Setting::Endpoints);
    }
}

#[test]
fn named_endpoints_pass_what_a_documents_must_pass_asm_16_asm_18_asm_21() {
    type Naming = fn(ConfigBuilder) -> ConfigBuilder;
    let good: Naming = |config| config.authorization_endpoint(AUTHORIZE).token_endpoint(TOKENS);
    let cases: [(Naming, &str, &str); 10] = [
        (|config| config.token_endpoint(TOKENS), "config_invalid", "authorization_endpoint: "),
        (|config| config.authorization_endpoint(AUTHORIZE), "config_invalid", "token_endpoint: "),
        (|config| config.registration_endpoint(JOIN), "config_invalid", "authorization_endpoint: "),
        (|config| config.endpoints_issuer(ORIGIN), "config_invalid", "authorization_endpoint: "),
        (
            |config| config.token_endpoint(TOKENS).authorization_endpoint("javascript:alert(1)"),
            "url_scheme",
            "authorization_endpoint",
        ),
        (
            |config| {
                config.authorization_endpoint(AUTHORIZE).token_endpoint("http://api.example.org/t")
            },
            "insecure_transport",
            "token_endpoint http://api.example.org/t",
        ),
        (
            |config| config.authorization_endpoint(AUTHORIZE).token_endpoint("https://10.0.0.1/t"),
            "address_blocked",
            "token_endpoint https://10.0.0.1/t",
        ),
        (
            |config| {
                config
                    .token_endpoint(TOKENS)
                    .authorization_endpoint("https://login.example/a?state=x")
            },
            "url_reserved_query",
            "authorization_endpoint",
        ),
        (
            |config| described(config).revocation_endpoint("https://api.example.org/r#x"),
            "url_fragment",
            "revocation_endpoint",
        ),
        (
            |config| described(config).endpoints_issuer("https://login.example/?x"),
            "no_authorization_server",
            "endpoints_issuer https://login.example/",
        ),
    ];
    for (naming, code, subject) in cases {
        let built = naming(Config::builder("https://mcp.example/mcp")).build();
        let failure = built.expect_err("this is no server");
        assert_eq!(failure.kind().code(), code);
        assert!(failure.subject().is_some_and(|text| text.starts_with(subject)), "{failure}");
        assert_eq!(failure.remedy().name(), "configure", "{failure}");
    }
    assert!(good(Config::builder("https://mcp.example/mcp")).build().is_ok());
    let apart = good(Config::builder("https://mcp.example/mcp"));
    assert!(apart.endpoints_issuer("https://id.example.net").build().is_ok(), "three hosts");
    let private = good(Config::builder("https://mcp.example/mcp"))
        .token_endpoint("https://10.0.0.1/t")
        .danger()
        .allow_private_address("10.0.0.1")
        .done();
    assert!(private.build().is_ok());
}

/// Strict takes a person's word for the server, and no endpoint that is elsewhere.
#[test]
fn in_strict_what_is_named_is_on_one_origin_asm_17_asm_21() {
    let strict = |token: &str| {
        let config = Config::builder("https://mcp.example/mcp").profile(Profile::Strict);
        config.authorization_endpoint(AUTHORIZE).token_endpoint(token).build()
    };
    assert!(strict("https://login.example/oauth/token").is_ok());
    let failure = strict(TOKENS).expect_err("this is elsewhere");
    assert_eq!(failure.kind().code(), "endpoints_incoherent");
    assert!(!switches(&failure).contains(&Switch::SplitEndpoints));
}
