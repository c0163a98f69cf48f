//! The honest client is let in, in every revision.

use mcp_authz_tests::model::*;
use serde_json::json;

use crate::client::*;

#[test]
fn honest_flow_in_every_revision() {
    for revision in REVISIONS {
        let mut client = Client::new(Settings::revision(revision));
        client.login();
        assert_eq!(client.mcp_status("tools/list", json!({})), 200, "{revision}");
        let answer = client.call_tool("echo", json!({"text": "hello"}));
        assert_eq!(answer["result"]["content"][0]["text"], "hello", "{revision}");
    }
}

#[test]
fn honest_flow_at_the_default_endpoints() {
    let mut client = Client::new(Settings::revision("2025-03-26").without_as_metadata());
    assert_eq!(
        client.get("https://mcp.example/.well-known/oauth-authorization-server").status,
        404
    );
    client.endpoints = Endpoints::at("https://mcp.example");
    client.login_here();
    assert_eq!(client.mcp_status("tools/list", json!({})), 200);
}

#[test]
fn consent_form_is_posted_back() {
    let mut settings = Settings::default();
    settings.server.consent = Consent::Form;
    let mut client = Client::new(settings);
    client.login();
    assert_eq!(client.model.count(Endpoint::Consent), 1);
    assert_eq!(client.mcp_status("tools/list", json!({})), 200);
}

#[test]
fn consent_form_without_its_cookie_or_ticket_is_refused() {
    for (cookie, ticket) in [(false, true), (true, false)] {
        let mut settings = Settings::default();
        settings.server.consent = Consent::Form;
        let mut client = Client::new(settings);
        client.discover();
        client.register();
        let page = client.get(&client.authorize_url());
        let set = page.header("set-cookie").unwrap_or_default();
        let hidden = page
            .text
            .split("name=\"ticket\" value=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned();
        let form = [
            ("ticket", if ticket { hidden } else { "guess".to_owned() }),
            ("decision", "allow".to_owned()),
        ];
        let cookies = if cookie {
            vec![("cookie", set.split(';').next().unwrap().to_owned())]
        } else {
            Vec::new()
        };
        let answer = client.post_form("https://as.example/consent", &form, &cookies);
        assert_eq!(answer.status, 403);
    }
}

#[test]
fn same_seed_same_answers() {
    let run = |seed: u64| {
        let mut client = Client::new(Settings { seed, ..Settings::default() });
        client.login();
        client.refresh();
        client.call_tool("whoami", json!({}));
        client.transcript.join("\n")
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}
