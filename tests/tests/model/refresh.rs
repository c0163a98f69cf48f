//! Refresh, rotation, revocation.

use mcp_authz_tests::model::*;
use serde_json::json;

use crate::client::*;

#[test]
fn refresh_rotates_and_reuse_ends_the_family() {
    let mut client = Client::new(Settings::default());
    client.login();
    let old = client.refresh_token.clone();
    assert_eq!(client.refresh().status, 200);
    assert_ne!(client.refresh_token, old);
    let new = std::mem::replace(&mut client.refresh_token, old);
    assert_eq!(client.refresh().error.as_deref(), Some("invalid_grant"));
    client.refresh_token = new;
    assert_eq!(client.refresh().error.as_deref(), Some("invalid_grant"));
    assert_eq!(client.mcp_status("tools/list", json!({})), 401);
}

#[test]
fn rotation_kinds() {
    // (rotation, wait before reuse, is reuse let in, does the family live on)
    let table = [
        (Rotation::Off, 1, true, true),
        (Rotation::On { revoke_family: true, grace_ms: 1000 }, 999, true, true),
        (Rotation::On { revoke_family: true, grace_ms: 1000 }, 1000, false, false),
        (Rotation::On { revoke_family: false, grace_ms: 0 }, 0, false, true),
    ];
    for (rotation, wait, reuse, lives) in table {
        let mut settings = Settings::default();
        settings.server.tokens.rotation = rotation;
        let mut client = Client::new(settings);
        client.login();
        let old = client.refresh_token.clone();
        assert_eq!(client.refresh().status, 200);
        client.now += wait;
        let new = std::mem::replace(&mut client.refresh_token, old);
        assert_eq!(client.refresh().status == 200, reuse, "{rotation:?}");
        client.refresh_token = new;
        assert_eq!(client.refresh().status == 200, lives, "{rotation:?}");
    }
}

#[test]
fn refreshes_refused() {
    let table: &[(&str, Change, &str)] = &[
        ("unknown token", Change::Set("refresh_token", "rt-guess"), "invalid_grant"),
        ("no token", Change::Drop("refresh_token"), "invalid_request"),
        ("no resource", Change::Drop("resource"), "invalid_target"),
        ("other resource", Change::Set("resource", "https://evil.example/"), "invalid_target"),
        ("more scope", Change::Add("scope", "mcp:tools mcp:admin"), "invalid_scope"),
        ("other client", Change::Set("client_id", "nobody"), "invalid_client"),
    ];
    for (name, change, error) in table {
        let mut client = Client::new(Settings::default());
        client.login();
        let form = client.refresh_form();
        let answer = client.post_token(change.on(form), &[]);
        assert_eq!(answer.error.as_deref(), Some(*error), "{name}");
        assert_eq!(client.refresh().status, 200, "{name}: a refused refresh spends nothing");
    }
}

#[test]
fn refresh_tokens_need_the_grant_or_offline_access() {
    let mut settings = Settings::default();
    settings.server.tokens.refresh = RefreshIssue::OfflineAccess;
    settings.server.scopes_supported.push("offline_access".into());
    for (scope, grants, issued) in [
        ("mcp:tools", "refresh_token", false),
        ("mcp:tools offline_access", "refresh_token", true),
        ("mcp:tools offline_access", "", false),
    ] {
        let mut client = Client::new(settings.clone());
        client.scope = Some(scope.into());
        client.refresh_grant = grants == "refresh_token";
        client.login();
        assert_eq!(!client.refresh_token.is_empty(), issued, "{scope} {grants}");
    }
}

#[test]
fn revocation_ends_a_family_or_one_token() {
    for (refresh, status) in [(true, 401), (false, 401)] {
        let mut client = Client::new(Settings::default());
        client.login();
        let token =
            if refresh { client.refresh_token.clone() } else { client.access_token.clone() };
        let form = [("token", token), ("client_id", client.client_id.clone())];
        assert_eq!(client.post_form("https://as.example/revoke", &form, &[]).status, 200);
        assert_eq!(client.mcp_status("tools/list", json!({})), status);
        assert_eq!(client.refresh().status == 200, !refresh);
    }
    let mut client = Client::new(Settings::default());
    client.login();
    let form = [("token", "unknown".to_owned()), ("client_id", client.client_id.clone())];
    assert_eq!(client.post_form("https://as.example/revoke", &form, &[]).status, 200);
}

#[test]
fn a_grant_that_was_not_registered_is_refused() {
    let mut client = Client::new(Settings::default());
    client.refresh_grant = false;
    client.login();
    let answer = client.refresh();
    assert_eq!(answer.error.as_deref(), Some("unauthorized_client"));
}

#[test]
fn resource_of_the_token_request_equals_the_one_consented_to() {
    let authorized = [Change::Drop("resource"), Change::Set("resource", MCP)];
    let exchanged = [Change::Drop("resource"), Change::Set("resource", MCP)];
    for (a, first) in authorized.into_iter().enumerate() {
        for (b, second) in exchanged.into_iter().enumerate() {
            let mut settings = Settings::default();
            settings.server.resource = ResourceRule::Optional;
            let mut client = Client::new(settings);
            client.discover();
            client.register();
            let url = first.on_url(&client.authorize_url());
            let form = second.on(client.exchange_form_of(&url));
            let error = (a != b).then_some("invalid_target");
            assert_eq!(client.post_token(form, &[]).error.as_deref(), error, "{a} {b}");
        }
    }
}

#[test]
fn resource_rules() {
    for (rule, with, without) in [
        (ResourceRule::Required, true, false),
        (ResourceRule::Optional, true, true),
        (ResourceRule::Ignored, true, true),
        (ResourceRule::Refused, false, true),
        (ResourceRule::RefusedByEntra, false, true),
    ] {
        let refusal = match rule {
            ResourceRule::RefusedByEntra => "invalid_request",
            _ => "invalid_target",
        };
        for (change, good) in
            [(Change::Set("resource", MCP), with), (Change::Drop("resource"), without)]
        {
            let mut settings = Settings::default();
            settings.server.resource = rule;
            let mut client = Client::new(settings);
            client.discover();
            client.register();
            let answer = client.get(&change.on_url(&client.authorize_url()));
            let error = (!good).then_some(refusal);
            assert_eq!(answer.error.as_deref(), error, "{rule:?}");
        }
    }
}

#[test]
fn a_forgotten_client_may_be_told_of_its_refresh_token_alone() {
    for (hides, error) in [(false, "invalid_client"), (true, "invalid_grant")] {
        let mut settings = Settings::default();
        settings.server.hides_unknown_clients = hides;
        let mut client = Client::new(settings);
        client.login();
        client.model.forget_clients();
        assert_eq!(client.refresh().error.as_deref(), Some(error), "{hides}");
    }
}
