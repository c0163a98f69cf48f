//! How token answers can deviate.

use mcp_authz_tests::model::*;
use serde_json::{Value, json};

use crate::client::*;

#[test]
fn token_answer_deviations() {
    type Knob = fn(&mut Tokens);
    let table: &[(Knob, &str, Value)] = &[
        (|t| t.expires_in = ExpiresIn::Text, "expires_in", json!("3600")),
        (|t| t.expires_in = ExpiresIn::Float, "expires_in", json!(3600.0)),
        (|t| t.expires_in = ExpiresIn::Zero, "expires_in", json!(0)),
        (|t| t.expires_in = ExpiresIn::Negative, "expires_in", json!(-1)),
        (|t| t.expires_in = ExpiresIn::Huge, "expires_in", json!(1e30)),
        (|t| t.expires_in = ExpiresIn::Absent, "expires_in", Value::Null),
        (|t| t.token_type = None, "token_type", Value::Null),
        (|t| t.refresh = RefreshIssue::Never, "refresh_token", Value::Null),
        (|t| t.scope = ScopeEcho::Absent, "scope", Value::Null),
        (|t| t.scope = ScopeEcho::Commas, "scope", json!("mcp:tools,mcp:admin")),
        (|t| t.scope = ScopeEcho::Array, "scope", json!(["mcp:tools", "mcp:admin"])),
        (|t| t.scope = ScopeEcho::Narrower, "scope", json!("mcp:tools")),
        (|t| t.scope = ScopeEcho::Wider("x".into()), "scope", json!("mcp:tools mcp:admin x")),
        (|t| t.members = vec![("expires_in".into(), json!([]))], "expires_in", json!([])),
    ];
    for (knob, member, value) in table {
        let mut settings = Settings::default();
        knob(&mut settings.server.tokens);
        let mut client = Client::new(settings);
        client.scope = Some("mcp:tools mcp:admin".into());
        client.discover();
        client.register();
        assert_eq!(
            client.exchange().json().get(*member).unwrap_or(&Value::Null),
            value,
            "{member}"
        );
    }
    for status in [200, 401, 503] {
        let mut settings = Settings::default();
        settings.server.tokens.error_status = Some(status);
        let mut client = Client::new(settings);
        client.discover();
        client.register();
        let form = Change::Set("code", "guess").on(client.exchange_form());
        assert_eq!(client.post_token(form, &[]).status, status);
    }
}
