//! Faults on demand, and what the log shows.

use mcp_authz_tests::model::*;
use serde_json::json;

use crate::client::*;

#[test]
fn faults_happen_as_often_as_told() {
    let mut client = Client::new(Settings::default());
    client.login();
    client.model.inject(Endpoint::Token, 2, Literal::status(503).header("retry-after", "1"));
    client.model.fail(Endpoint::Token, 1, Fault::Dropped);
    assert_eq!(client.refresh().status, 503);
    assert_eq!(client.refresh().header("retry-after").as_deref(), Some("1"));
    assert!(client.refresh().dropped);
    assert_eq!(client.refresh().status, 200, "none of these spent the refresh token");
    client.model.fail(Endpoint::Token, 1, Fault::Lost);
    assert!(client.refresh().dropped);
    assert_eq!(
        client.refresh().error.as_deref(),
        Some("invalid_grant"),
        "the lost answer had rotated it"
    );
    assert_eq!(client.model.count(Endpoint::Token), 7);
}

#[test]
fn truncated_answers_and_delays() {
    let mut client = Client::new(Settings::default());
    client.model.set(|settings| {
        settings.delays.insert(Endpoint::PrmPath, 250);
    });
    client.model.fail(Endpoint::PrmPath, 1, Fault::Truncated(10));
    let answer = client.get("https://mcp.example/.well-known/oauth-protected-resource/mcp");
    assert_eq!((answer.text.len(), answer.end, answer.delay_ms), (10, Some(Piece::Cut), 250));
}

#[test]
fn what_was_seen_shows_no_secret() {
    let mut client = Client::new(Settings::default());
    client.auth = AuthMethod::Post;
    client.login();
    client.refresh();
    client.mcp("tools/list", json!({}));
    let text = format!("{:?}", client.model.seen());
    for secret in [&client.access_token, &client.refresh_token, client.secret.as_ref().unwrap()] {
        assert!(!text.contains(secret.as_str()));
    }
}
