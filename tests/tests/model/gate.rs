//! The gate of the MCP endpoint: challenges, scopes, migration.

use mcp_authz_tests::model::*;
use serde_json::json;

use crate::client::*;

#[test]
fn tokens_refused_at_the_gate() {
    let mut client = Client::new(Settings::default());
    client.login();
    let good = client.access_token.clone();
    let gate = |client: &mut Client, header: Option<String>| {
        let headers: Vec<_> = header.into_iter().map(|value| ("authorization", value)).collect();
        let answer = client.mcp_with("tools/list", json!({}), &headers);
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        (answer.status, quoted(&challenge, "error"))
    };
    assert_eq!(
        gate(&mut client, Some(format!("bearer {good}"))),
        (200, None),
        "the scheme has no case"
    );
    assert_eq!(gate(&mut client, None), (401, None), "no token, no error");
    assert_eq!(gate(&mut client, Some(format!("Basic {good}"))), (401, None));
    let invalid = (401, Some("invalid_token".to_owned()));
    assert_eq!(gate(&mut client, Some("Bearer guess".into())), invalid);
    let refresh = client.refresh_token.clone();
    assert_eq!(
        gate(&mut client, Some(format!("Bearer {refresh}"))),
        invalid,
        "a refresh token is no access token"
    );
    client.now += 3_600_000;
    assert_eq!(gate(&mut client, Some(format!("Bearer {good}"))), invalid, "expired");
}

#[test]
fn levers_at_the_gate() {
    for lever in 0..4 {
        let mut client = Client::new(Settings::default());
        client.login();
        let token = client.access_token.clone();
        match lever {
            0 => client.model.revoke_access_tokens(),
            1 => client.model.revoke_all(),
            2 => client.model.revoke_family(&token),
            _ => client.model.migrate(),
        }
        assert_eq!(client.mcp_status("tools/list", json!({})), 401, "{lever}");
        assert_eq!(client.refresh().status == 200, matches!(lever, 0 | 3), "{lever}");
    }
}

#[test]
fn step_up_names_what_is_missing() {
    for (naming, named) in [
        (StepUpScope::Missing, Some("mcp:admin")),
        (StepUpScope::Needed, Some("mcp:tools mcp:admin")),
        (StepUpScope::Unnamed, None),
    ] {
        let mut settings = Settings::default();
        settings.challenge.step_up = naming;
        let mut client = Client::new(settings);
        client.scope = Some("mcp:tools".into());
        client.login();
        let answer = client.mcp("tools/call", json!({"name": "admin", "arguments": {}}));
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        assert_eq!(
            (answer.status, quoted(&challenge, "error").as_deref()),
            (403, Some("insufficient_scope"))
        );
        assert_eq!(quoted(&challenge, "scope").as_deref(), named);
        client.scope = Some("mcp:tools mcp:admin".into());
        client.login_here();
        assert_eq!(client.mcp_status("tools/call", json!({"name": "admin", "arguments": {}})), 200);
    }
}

#[test]
fn step_up_without_end() {
    for (step_up, fresh) in [(StepUp::Endless, true), (StepUp::Stuck, false)] {
        let mut settings = Settings::default();
        settings.gate.step_up = step_up;
        let mut client = Client::new(settings);
        client.scope = Some("mcp:tools mcp:admin".into());
        client.login();
        let mut ask = || {
            let answer = client.mcp("tools/call", json!({"name": "admin", "arguments": {}}));
            assert_eq!(answer.status, 403);
            quoted(&answer.header("www-authenticate").unwrap_or_default(), "scope").unwrap()
        };
        assert_eq!(ask() != ask(), fresh, "{step_up:?}");
        assert_eq!(client.mcp_status("tools/list", json!({})), 200);
    }
}

#[test]
fn migration_after_the_first_request() {
    let mut client = Client::new(Settings { migrate_after: Some(1), ..Settings::default() });
    client.login();
    assert_eq!(client.mcp_status("tools/list", json!({})), 200);
    assert_eq!(client.mcp_status("tools/list", json!({})), 401);
    client.login();
    assert_eq!(client.as_metadata["issuer"], "https://as2.example");
    assert_eq!(client.mcp_status("tools/list", json!({})), 200);
    assert_eq!(
        client.model.seen_at(Endpoint::Register).filter(|seen| seen.server == Some(1)).count(),
        1
    );
}

#[test]
fn challenge_forms() {
    let table = [
        (ChallengeForm::Bare, vec![]),
        (
            ChallengeForm::Literal(vec!["Negotiate".into(), "Bearer".into()]),
            vec!["Negotiate", "Bearer"],
        ),
    ];
    for (form, lines) in table {
        let mut settings = Settings::default();
        settings.challenge.form = form;
        let mut client = Client::new(settings);
        assert_eq!(client.mcp("tools/list", json!({})).headers("www-authenticate"), lines);
    }
    let mut settings = Settings::default();
    settings.gate.exempt = vec!["initialize".into(), "notifications/".into()];
    settings.gate.free = 1;
    settings.mcp.era = Era::Legacy;
    let mut client = Client::new(settings);
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}});
    assert_eq!(client.post_json(MCP, &hello, &accept()).status, 200);
    assert_eq!(
        client
            .post_json(MCP, &json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}), &accept())
            .status,
        400
    );
    assert_eq!(
        client
            .post_json(MCP, &json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}), &accept())
            .status,
        401
    );
}

#[test]
fn token_for_another_resource_is_refused() {
    let mut client = Client::new(Settings::default());
    client.login();
    client.model.set(|settings| settings.prm.resource = Some("https://mcp.example/other".into()));
    assert_eq!(client.mcp_status("tools/list", json!({})), 401);
}

#[test]
fn tokens_come_once_and_in_the_header() {
    let mut client = Client::new(Settings::default());
    client.login();
    let bearer = ("authorization", format!("Bearer {}", client.access_token));
    let two = [bearer.clone(), bearer];
    assert_eq!(client.mcp_with("tools/list", json!({}), &two).status, 400);
    let url = format!("{MCP}?access_token={}", client.access_token);
    assert_eq!(client.post_json(&url, &json!({}), &accept()).status, 400);
}
