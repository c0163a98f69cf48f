//! The first login, in every revision and by every way to be a client.

use http::Method;
use mcp_authz_core::effect::Page;
use mcp_authz_tests::model::{Endpoint, Settings};
use mcp_authz_tests::sim::Sim;

fn revision(revision: &str) -> Sim {
    Sim::against(Settings::revision(revision), |config| config)
}

/// The first request of a program that knows only the MCP URL, and what follows from its refusal.
fn first_login(sim: &mut Sim) {
    let waiter = sim.call_tool("echo", false).expect_err("nothing is open without a token");
    sim.serve();
    sim.expect_waiting(waiter);
    assert!(sim.listens());
    let arrival = sim.expect_visit().approve();
    sim.serve();
    let granted = sim.expect_granted(waiter);
    sim.expect_page(arrival, Page::Authorized(sim.parties()));
    assert!(!sim.listens());
    assert_eq!(sim.call_tool("echo", true), Ok(()));
    assert_eq!(sim.published().map(|published| published.epoch()), Some(granted.epoch()));
    assert_eq!(sim.model().count(Endpoint::Register), 1);
    assert_eq!(sim.model().count(Endpoint::Token), 1);
}

scripts! {
    /// DISC-14, REG-01, AUTHZ-01, PKCE-01, TOK-02, USE-01 at the newest revision.
    login_2026_07_28_disc_14(sim = revision("2026-07-28")) { first_login(sim); }
    login_2025_11_25_disc_14(sim = revision("2025-11-25")) { first_login(sim); }
    login_2025_06_18_prm_01(sim = revision("2025-06-18")) { first_login(sim); }
    login_2025_03_26_leg_02(sim = revision("2025-03-26")) { first_login(sim); }
    /// No metadata anywhere: the endpoints are where 2025-03-26 puts them.
    login_2025_03_26_default_endpoints_leg_03(
        sim = Sim::against(Settings::revision("2025-03-26").without_as_metadata(), |config| config)
    ) {
        first_login(sim);
    }

    /// The requests of a login, one by one.
    login_request_by_request_disc_04(sim = Sim::by_hand(|config| config)) {
        sim.at(0);
        let waiter = sim.refused(401, r#"Bearer scope="files:read""#);
        let call = sim.expect_call(Method::GET, "/.well-known/oauth-protected-resource/mcp");
        assert_eq!(call.header("accept"), "application/json");
        call.reply(404);
        sim.expect_call(Method::GET, "/.well-known/oauth-protected-resource").reply_json(200,
            &serde_json::json!({
                "resource": "https://mcp.example/mcp",
                "authorization_servers": ["https://as.example"],
            }));
        sim.expect_call(Method::GET, "https://as.example/.well-known/oauth-authorization-server")
            .reply_json(200, &serde_json::json!({
                "issuer": "https://as.example",
                "authorization_endpoint": "https://as.example/authorize",
                "token_endpoint": "https://as.example/token",
                "registration_endpoint": "https://as.example/register",
                "code_challenge_methods_supported": ["S256"],
            }));
        let call = sim.expect_call(Method::POST, "https://as.example/register");
        assert_eq!(call.json()["token_endpoint_auth_method"], "none");
        call.reply_json(201, &serde_json::json!({ "client_id": "c1" }));
        sim.at(30);
        let visit = sim.expect_visit();
        assert_eq!(visit.param("scope").as_deref(), Some("files:read"));
        visit.arrive_with_code("");
        let call = sim.expect_call(Method::POST, "https://as.example/token");
        assert_eq!(call.form("grant_type"), ["authorization_code"]);
        assert_eq!(call.form("resource"), ["https://mcp.example/mcp"]);
        call.reply_json(200, &serde_json::json!({
            "access_token": "AT-CANARY", "token_type": "Bearer", "expires_in": 3600,
        }));
        let granted = sim.expect_granted(waiter);
        assert_eq!(granted.scopes().map(|scopes| scopes.as_str()), Some("files:read"));
        sim.expect_no_call();
    }
}
