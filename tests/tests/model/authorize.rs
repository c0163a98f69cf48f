//! What the authorization endpoint refuses, and what comes back from it.

use mcp_authz_tests::model::*;

use crate::client::*;

#[test]
fn authorization_requests_refused() {
    let table: &[(&str, Change, &str)] = &[
        ("no client", Change::Drop("client_id"), "invalid_client"),
        ("unknown client", Change::Set("client_id", "nobody"), "invalid_client"),
        (
            "a document URL where none is supported",
            Change::Set("client_id", "https://c.example/c.json"),
            "invalid_client",
        ),
        ("two clients", Change::Add("client_id", "other"), "invalid_client"),
        ("no redirect URI", Change::Drop("redirect_uri"), "invalid_request"),
        (
            "other redirect host",
            Change::Set("redirect_uri", "http://evil.example/cb"),
            "invalid_request",
        ),
        (
            "other redirect path",
            Change::Set("redirect_uri", "http://127.0.0.1:1234/other"),
            "invalid_request",
        ),
        (
            "localhost for a literal",
            Change::Set("redirect_uri", "http://localhost:1234/callback"),
            "invalid_request",
        ),
        ("no response type", Change::Drop("response_type"), "invalid_request"),
        ("token response", Change::Set("response_type", "token"), "unsupported_response_type"),
        ("no state", Change::Drop("state"), "invalid_request"),
        ("no challenge", Change::Drop("code_challenge"), "invalid_request"),
        ("plain", Change::Set("code_challenge_method", "plain"), "invalid_request"),
        ("no method, which means plain", Change::Drop("code_challenge_method"), "invalid_request"),
        ("challenge too short", Change::Set("code_challenge", "abc"), "invalid_request"),
        ("no resource", Change::Drop("resource"), "invalid_target"),
        (
            "resource with a slash more",
            Change::Set("resource", "https://mcp.example/mcp/"),
            "invalid_target",
        ),
        (
            "somebody else's resource",
            Change::Set("resource", "https://evil.example/mcp"),
            "invalid_target",
        ),
        ("two resources", Change::Add("resource", "https://mcp.example/mcp"), "invalid_request"),
        ("two scopes", Change::Add("scope", "mcp:admin"), "invalid_request"),
        (
            "offline_access that is not offered",
            Change::Set("scope", "offline_access"),
            "invalid_scope",
        ),
    ];
    for (name, change, error) in table {
        let mut client = Client::new(Settings::default());
        client.discover();
        client.register();
        let url = change.on_url(&client.authorize_url());
        let answer = client.get(&url);
        assert_eq!(answer.error.as_deref(), Some(*error), "{name}");
        let told_by_redirect = answer.header("location").is_some_and(|to| to.starts_with(REDIRECT));
        let about_client =
            name.contains("client") || name.contains("redirect") || name.contains("literal");
        let about_client = about_client || name.contains("document");
        assert_eq!(told_by_redirect, !about_client, "{name}");
        assert!(!answer.header("location").unwrap_or_default().contains("code="), "{name}");
    }
}

#[test]
fn loopback_literal_may_change_its_port() {
    let mut client = Client::new(Settings::default());
    client.discover();
    client.register();
    let url = Change::Set("redirect_uri", "http://127.0.0.1:9999/callback")
        .on_url(&client.authorize_url());
    assert!(
        client
            .get(&url)
            .header("location")
            .unwrap_or_default()
            .starts_with("http://127.0.0.1:9999/callback?code=")
    );
}

#[test]
fn iss_modes() {
    let table = [
        (IssMode::Sent, true, Some("https://as.example")),
        (IssMode::Absent, false, None),
        (IssMode::SentUnadvertised, false, Some("https://as.example")),
        (IssMode::Missing, true, None),
        (IssMode::Wrong("https://evil.example".into()), true, Some("https://evil.example")),
        (IssMode::Unexpected("https://evil.example".into()), false, Some("https://evil.example")),
        (IssMode::Slashed, true, Some("https://as.example/")),
    ];
    for (mode, advertised, sent) in table {
        let mut settings = Settings::default();
        settings.server.callback.iss = mode.clone();
        let mut client = Client::new(settings);
        client.discover();
        client.register();
        let told = client.as_metadata["authorization_response_iss_parameter_supported"] == true;
        assert_eq!(told, advertised, "{mode:?}");
        let back = client.approve();
        assert_eq!(param(&back, "iss").as_deref(), sent, "{mode:?}");
    }
}

#[test]
fn only_loopback_literals_may_change_their_port() {
    for registered in ["http://localhost:1234/callback", "https://client.example/callback"] {
        let mut settings = Settings::default();
        settings.server.clients.push(Preregistered {
            client_id: "known".into(),
            secret: None,
            method: AuthMethod::None,
            redirect_uris: vec![registered.into()],
            grant_types: vec!["authorization_code".into()],
        });
        let mut client = Client::new(settings);
        client.discover();
        client.client_id = "known".into();
        let url = Change::Set("redirect_uri", registered).on_url(&client.authorize_url());
        assert_eq!(client.get(&url).status, 302);
        for other in ["http://localhost:9/callback", "https://client.example:444/callback"] {
            let url = Change::Set("redirect_uri", other).on_url(&client.authorize_url());
            assert_eq!(client.get(&url).status, 400, "{registered} {other}");
        }
    }
}
