//! How to become a client: the order of the ways, dynamic registration, and when it is made anew.

use http::Method;
use mcp_authz_core::config::{ConfigBuilder, PreRegistered};
use mcp_authz_core::effect::{LoopbackHost, Page, Purpose, RecordKind, Why};
use mcp_authz_core::failure::{Kind, Remedy};
use mcp_authz_core::input::WaiterId;
use mcp_authz_core::secret::Secret;
use mcp_authz_tests::model::{AuthMethod, Endpoint, RefreshIssue, RegistrationMode, Settings};
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::by_hand::*;
use crate::given::known_client;

/// An honest server with one thing changed, and a session with a store.
fn changed(change: impl FnOnce(&mut Settings)) -> Sim {
    let mut settings = Settings::revision("2026-07-28");
    change(&mut settings);
    Sim::against(settings, |config| config.persistent(true))
}

/// A redirect URI whose port the program has chosen.
fn fixed_port(config: ConfigBuilder) -> ConfigBuilder {
    config.redirect_loopback(LoopbackHost::V4, Some(8080), "/callback")
}

/// Redirect URIs are compared port and all, and each token's end is a login.
fn compares_whole(settings: &mut Settings) {
    for server in settings.servers_mut() {
        server.exact_redirects = true;
        server.tokens.refresh = RefreshIssue::Never;
        server.tokens.access_life_s = 3;
    }
}

/// A session whose redirect URI somebody else serves.
fn served_elsewhere() -> Sim {
    Sim::by_hand(|config| config.redirect_uri("https://app.example/cb"))
}

/// A caller asks, and both documents are found.
fn up_to_registration(sim: &mut Sim) -> WaiterId {
    let waiter = sim.acquire("");
    discovered(sim);
    waiter
}

/// A login goes through.
fn logs_in(sim: &mut Sim) {
    let waiter = sim.acquire("");
    sim.log_in();
    sim.expect_granted(waiter);
}

scripts! {
    credentials_agreed_upon_come_first_reg_01_reg_05(sim = Sim::by_hand(|config| {
        config
            .pre_registered(known_client(None))
            .client_document("https://app.example/client.json", &[])
    })) {
        sim.acquire("");
        let all = json!({ "client_id_metadata_document_supported": true });
        discovered_as(sim, &with(server(), all));
        assert_eq!(sim.expect_visit().param("client_id").as_deref(), Some("known"));
        sim.expect_no_call();
        sim.expect_note("client by pre_registered");
    }

    credentials_for_the_only_server_need_no_issuer_reg_05(sim = Sim::by_hand(|config| {
        config.redirect_uri("https://app.example/cb").pre_registered(PreRegistered {
            issuer: None,
            client_id: "known".to_owned(),
            secret: Some(Secret::new("SECRET-CANARY")),
            method: None,
        })
    })) {
        let waiter = up_to_registration(sim);
        assert!(!sim.listens());
        sim.expect_visit().arrive_with_code("");
        let call = sim.expect_call(Method::POST, TOKEN);
        assert!(call.header("authorization").starts_with("Basic "));
        assert!(call.form("client_id").is_empty());
        call.reply_json(200, &tokens());
        sim.expect_granted(waiter);
    }

    a_known_public_client_is_one_where_none_is_not_listed_d15_cauth_02(
        sim = Sim::by_hand(|config| config.pre_registered(known_client(None)))
    ) {
        sim.acquire("");
        let methods = json!({ "token_endpoint_auth_methods_supported": ["client_secret_basic"] });
        discovered_as(sim, &with(server(), methods));
        sim.expect_note("lenient: unlisted_none for https://as.example");
        sim.expect_visit();
    }

    a_known_client_whose_secret_nobody_takes_is_refused_early_cauth_02(
        sim = Sim::by_hand(|config| config.pre_registered(known_client(Some("SECRET-CANARY"))))
    ) {
        let waiter = sim.acquire("");
        let methods = json!({ "token_endpoint_auth_methods_supported": ["private_key_jwt"] });
        discovered_as(sim, &with(server(), methods));
        sim.expect_failed(waiter, "client_auth_unsupported");
        sim.expect_no_visit();
    }

    a_registration_says_what_kind_of_program_asks_reg_06_to_reg_10_reg_18_nat_06(sim = plain()) {
        up_to_registration(sim);
        assert!(sim.listens());
        let call = sim.expect_call(Method::POST, REGISTER);
        assert_eq!(call.header("content-type"), "application/json");
        assert_eq!(call.header("authorization"), "");
        let asked = call.json();
        assert_eq!(asked["application_type"], "native");
        assert_eq!(asked["token_endpoint_auth_method"], "none");
        assert_eq!(asked["grant_types"], json!(["authorization_code", "refresh_token"]));
        assert_eq!(asked["redirect_uris"], json!(["http://127.0.0.1:51000/callback"]));
    }

    a_web_program_says_so_reg_10(sim = served_elsewhere()) {
        up_to_registration(sim);
        let call = sim.expect_call(Method::POST, REGISTER);
        assert_eq!(call.json()["application_type"], "web");
    }

    an_initial_access_token_goes_to_the_registration_alone_reg_06(
        sim = {
            let mut settings = Settings::revision("2026-07-28");
            settings.server.registration.initial_access_token = Some("IAT-CANARY".to_owned());
            Sim::against(settings, |config| {
                config.initial_access_token(Secret::new("IAT-CANARY"))
            })
        }
    ) {
        logs_in(sim);
        let with_token = sim.model().seen().iter().filter(|seen| seen.authorized()).count();
        assert_eq!(with_token, 1);
    }

    a_closed_registration_says_whose_it_is_reg_17(
        sim = changed(|settings| {
            settings.server.registration.initial_access_token = Some("IAT-CANARY".to_owned());
        })
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        let failure = sim.expect_failed(waiter, "registration_failed");
        let said = failure.said().expect("the server gave a reason");
        assert_eq!((said.error.as_str(), said.status), ("invalid_token", Some(401)));
        assert_eq!(failure.remedy(), Remedy::Register);
        assert_eq!(failure.purpose(), Some(Purpose::Registration));
        assert_eq!(sim.model().count(Endpoint::Register), 1);
        assert!(!sim.listens());
    }

    a_refused_redirect_is_reported_in_the_servers_words_reg_11_reg_17(
        sim = changed(|settings| {
            settings.server.registration.mode =
                RegistrationMode::Refuses("invalid_redirect_uri".to_owned());
        })
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        let failure = sim.expect_failed(waiter, "registration_failed");
        let said = failure.said().expect("the server gave a reason");
        assert_eq!(said.error, "invalid_redirect_uri");
        assert_eq!(said.description.as_deref(), Some("this server registers nobody"));
        assert_eq!(sim.model().count(Endpoint::Register), 1);
    }

    an_answer_that_cannot_be_used_ends_the_login_reg_13_reg_15_host_149_host_151_host_152(
        sim = plain()
    ) {
        for (answer, code) in [
            (json!({}), "registration_unusable"),
            (json!({ "client_id": "" }), "registration_unusable"),
            (json!({ "client_id": 7 }), "registration_unusable"),
            (json!({ "client_id": "c", "redirect_uris": ["https://evil.example/cb"] }),
                "registration_unusable"),
            (json!({ "client_id": "c", "token_endpoint_auth_method": "private_key_jwt" }),
                "registration_unusable"),
            (json!({ "client_id": "c", "token_endpoint_auth_method": "client_secret_basic" }),
                "registration_unusable"),
        ] {
            let waiter = up_to_registration(sim);
            sim.expect_call(Method::POST, REGISTER).reply_json(201, &answer);
            sim.expect_failed(waiter, code);
            sim.expect_no_visit();
            assert!(!sim.listens());
        }
    }

    a_redirect_of_the_registration_is_never_followed_tok_05_host_049(sim = plain()) {
        for status in [301, 302, 303, 307, 308] {
            let waiter = up_to_registration(sim);
            let headers = [("location", "https://evil.example/register")];
            sim.expect_call(Method::POST, REGISTER).respond(status, &headers, b"");
            sim.expect_failed(waiter, "redirect_refused");
            untouched(sim, "evil.example");
        }
    }

    a_registration_that_is_lost_is_not_repeated_reg_17(sim = plain()) {
        let waiter = up_to_registration(sim);
        sim.expect_call(Method::POST, REGISTER).maybe_sent(Why::Broken);
        assert!(sim.expect_failed(waiter, "transient").remedy().retryable());
        let waiter = up_to_registration(sim);
        sim.at(31);
        sim.expect_failed(waiter, "timeout");
        let waiter = up_to_registration(sim);
        sim.expect_call(Method::POST, REGISTER).reply(503);
        sim.expect_failed(waiter, "transient");
        sim.expect_no_call();
    }

    the_answer_decides_how_the_client_authenticates_reg_15_cauth_04(
        sim = changed(|settings| settings.server.registration.assigns = Some(AuthMethod::Post))
    ) {
        logs_in(sim);
        let form = sim.model().seen_at(Endpoint::Token).next().expect("one exchange").form.clone();
        assert!(form.get("client_secret").is_some());
    }

    two_hundred_will_do_and_a_secret_nobody_asked_for_is_used_reg_13_reg_16(
        sim = changed(|settings| {
            let rules = &mut settings.server.registration;
            rules.status = 200;
            rules.secret_unasked = true;
            rules.omits_method = true;
            rules.binds = Some(AuthMethod::Post);
        })
    ) {
        logs_in(sim);
        let form = sim.model().seen_at(Endpoint::Token).next().expect("one exchange").form.clone();
        assert!(form.get("client_secret").is_some());
    }

    no_method_suits_a_client_yet_to_register_host_138(sim = plain()) {
        let waiter = sim.acquire("");
        let methods = json!({ "token_endpoint_auth_methods_supported": ["tls_client_auth"] });
        discovered_as(sim, &with(server(), methods));
        sim.expect_failed(waiter, "client_auth_unsupported");
        sim.expect_no_call();
    }

    without_any_way_the_host_is_asked_for_credentials_reg_20_host_161(
        sim = Sim::against(
            {
                let mut settings = Settings::revision("2026-07-28");
                settings.server.registration.mode = RegistrationMode::Closed;
                settings.server.client_documents.supported = true;
                settings
            },
            |config| config,
        )
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        let failure = sim.expect_failed(waiter, "no_registration_method");
        assert_eq!((failure.rule(), failure.remedy()), ("REG-20", Remedy::Register));
        assert_eq!(failure.subject(), Some("https://as.example"));
        assert_eq!(sim.model().count(Endpoint::Register), 0);
    }

    registration_may_be_switched_off_reg_04(
        sim = Sim::by_hand(|config| config.dynamic_registration(false))
    ) {
        let waiter = up_to_registration(sim);
        sim.expect_failed(waiter, "no_registration_method");
        sim.expect_no_call();
    }

    a_registration_is_found_again_reg_02_reg_22(
        sim = changed(|settings| {
            settings.server.tokens.refresh = RefreshIssue::Never;
        })
    ) {
        logs_in(sim);
        // Another port: the registration is for any.
        sim.new_process(|config| {
            config.persistent(true).redirect_loopback(LoopbackHost::V4, Some(50_001), "/callback")
        });
        let waiter = sim.acquire("");
        sim.expect_granted(waiter);
        sim.model().revoke_all();
        let waiter = sim.call_tool("echo", false).expect_err("the token is revoked");
        sim.serve();
        let visit = sim.expect_visit();
        assert_eq!(visit.param("redirect_uri").as_deref(), Some("http://127.0.0.1:50001/callback"));
        visit.approve();
        sim.serve();
        sim.expect_granted(waiter);
        assert_eq!(sim.model().count(Endpoint::Register), 1);
    }

    a_secret_that_has_ended_is_never_used_reg_14(
        sim = changed(|settings| {
            settings.server.registration.assigns = Some(AuthMethod::Basic);
            settings.server.registration.secret_life_s = Some(600);
        })
    ) {
        logs_in(sim);
        sim.at(601);
        let waiter = sim.call_tool("echo", false).err();
        assert_eq!(waiter, None);
        sim.model().revoke_all();
        let waiter = sim.call_tool("echo", false).expect_err("the token is revoked");
        sim.log_in();
        sim.expect_granted(waiter);
        assert_eq!(sim.model().count(Endpoint::Register), 2);
    }

    what_manages_a_registration_is_kept_and_never_fetched_reg_19_host_150_host_156(
        sim = Sim::by_hand(|config| config.persistent(true))
    ) {
        let waiter = up_to_registration(sim);
        sim.expect_call(Method::POST, REGISTER).reply_json(201, &json!({
            "client_id": "c1",
            "registration_access_token": "RAT-CANARY",
            "registration_client_uri": "https://evil.example/c1",
            "issuer": "https://evil.example",
            "token_endpoint": "https://evil.example/token",
        }));
        agreed(sim, waiter, &tokens());
        untouched(sim, "evil.example");
        let kept = sim.store().documents(RecordKind::Client);
        assert_eq!(kept[0]["management"]["token"], "RAT-CANARY");
        assert_eq!(kept[0]["issuer"], "https://as.example");
    }

    a_forgotten_registration_is_made_anew_once_reg_21_host_158(sim = plain()) {
        let waiter = asked(sim);
        sim.expect_visit().arrive_with_code("");
        let refusal = json!({ "error": "invalid_client" });
        sim.expect_call(Method::POST, TOKEN).reply_json(401, &refusal);
        sim.expect_waiting(waiter);
        sim.expect_call(Method::POST, REGISTER).reply_json(201, &json!({ "client_id": "c2" }));
        let visit = sim.expect_visit();
        assert_eq!(visit.param("client_id").as_deref(), Some("c2"));
        visit.arrive_with_code("");
        sim.expect_call(Method::POST, TOKEN).reply_json(401, &refusal);
        let failure = sim.expect_failed(waiter, "client_rejected");
        assert_eq!(failure.remedy(), Remedy::Register);
        sim.expect_no_call();
        sim.expect_no_visit();
    }

    the_browser_of_a_forgotten_registration_is_sent_on_at_once_reg_21(
        sim = changed(|settings| settings.server.tokens.forgets_clients = 1)
    ) {
        let waiter = sim.acquire("");
        sim.serve();
        let first = sim.expect_visit();
        let (redirect, state) = first.ours();
        let first = first.approve();
        sim.serve();
        sim.expect_page(first, Page::OneMoreStep(sim.parties()));
        sim.expect_waiting(waiter);
        let stale = sim.arrive(&format!("{redirect}?code=x&state={state}"));
        sim.expect_page(stale, Page::Refused(Kind::CallbackUsed));
        let second = sim.expect_visit().approve();
        sim.serve();
        sim.expect_granted(waiter);
        sim.expect_page(second, Page::Authorized(sim.parties()));
        assert_eq!(sim.model().count(Endpoint::Register), 2);
        assert_eq!(sim.store().documents(RecordKind::Client).len(), 1);
    }

    each_page_of_a_login_is_answered_with_its_own_end_reg_21(sim = plain()) {
        for error in ["invalid_client", "unauthorized_client"] {
            let waiter = sim.acquire("");
            crate::given::discover(sim);
            sim.expect_call(Method::POST, REGISTER).reply_json(201, &json!({ "client_id": "c1" }));
            let first = sim.expect_visit().arrive_with_code("");
            let refusal = json!({ "error": error });
            sim.expect_call(Method::POST, TOKEN).reply_json(400, &refusal);
            assert_eq!(sim.page(first), None, "there is no other page yet");
            sim.expect_call(Method::POST, REGISTER).reply_json(201, &json!({ "client_id": "c2" }));
            sim.expect_page(first, Page::OneMoreStep(sim.parties()));
            let second = sim.expect_visit().arrive_with("error=access_denied");
            sim.expect_failed(waiter, "authorization_denied");
            sim.expect_page(second, Page::Denied(sim.parties()));
            sim.forget();
            sim.new_process(|config| config);
        }
    }

    a_second_registration_that_is_refused_ends_the_first_page_reg_21(sim = plain()) {
        let waiter = asked(sim);
        let arrival = sim.expect_visit().arrive_with_code("");
        sim.expect_call(Method::POST, TOKEN).reply_json(401, &json!({ "error": "invalid_client" }));
        sim.expect_call(Method::POST, REGISTER)
            .reply_json(400, &json!({ "error": "invalid_client_metadata" }));
        let failure = sim.expect_failed(waiter, "registration_failed");
        let (parties, kind) = (sim.parties(), failure.kind());
        sim.expect_page(arrival, Page::Failed { parties, kind, remedy: failure.remedy() });
        sim.expect_no_visit();
    }

    a_registration_forgotten_between_logins_is_not_taken_from_the_store_reg_21(
        sim = changed(|_| ())
    ) {
        logs_in(sim);
        sim.model().forget_clients();
        sim.model().revoke_access_tokens();
        let waiter = sim.call_tool("echo", false).expect_err("the token is revoked");
        sim.log_in();
        sim.expect_granted(waiter);
        assert_eq!(sim.model().count(Endpoint::Register), 2);
        assert_eq!(sim.store().documents(RecordKind::Client).len(), 1);
    }

    /// Many servers compare redirect URIs whole: the next login comes back on the registered port.
    a_registered_port_is_listened_on_again_reg_22(sim = changed(compares_whole)) {
        logs_in(sim);
        for at in [600, 1200] {
            sim.new_process(|config| config.persistent(true));
            sim.at(at);
            let waiter = sim.acquire("");
            sim.log_in();
            sim.expect_granted(waiter);
        }
        assert_eq!(sim.model().count(Endpoint::Register), 1);
    }

    /// The same for a registration that only the store knows, since another account made it.
    a_listener_moves_to_the_port_that_the_server_knows_reg_22(sim = changed(compares_whole)) {
        logs_in(sim);
        sim.new_process(|config| config.persistent(true).account("work"));
        let waiter = sim.acquire("");
        sim.log_in();
        sim.expect_granted(waiter);
        assert!(!sim.listens());
        assert_eq!(sim.model().count(Endpoint::Register), 1);
    }

    /// On a port of the program's own there is nothing to move.
    a_registration_of_another_account_is_found_in_the_store_reg_02(
        sim = Sim::against(Settings::default(), |config| fixed_port(config).persistent(true))
    ) {
        logs_in(sim);
        sim.new_process(|config| fixed_port(config).persistent(true).account("work"));
        logs_in(sim);
        assert_eq!(sim.model().count(Endpoint::Register), 1);
    }

    /// Where the port is taken, another one does at servers that keep to RFC 8252.
    a_registered_port_that_is_taken_is_not_insisted_on_reg_22(sim = changed(|settings| {
        compares_whole(settings);
        settings.server.exact_redirects = false;
    })) {
        logs_in(sim);
        sim.take_port(51_000);
        for account in ["", "work"] {
            sim.new_process(|config| {
                let config = config.persistent(true);
                if account.is_empty() { config } else { config.account(account) }
            });
            sim.at(if account.is_empty() { 600 } else { 1200 });
            let waiter = sim.acquire("");
            sim.log_in();
            sim.expect_granted(waiter);
        }
        assert_eq!(sim.model().count(Endpoint::Register), 1);
    }

    a_known_client_that_is_refused_is_reported_reg_21(
        sim = Sim::by_hand(|config| config.pre_registered(known_client(None)))
    ) {
        let waiter = up_to_registration(sim);
        sim.expect_visit().arrive_with_code("");
        sim.expect_call(Method::POST, TOKEN)
            .reply_json(401, &json!({ "error": "invalid_client" }));
        sim.expect_failed(waiter, "client_rejected");
        sim.expect_no_call();
    }
}
