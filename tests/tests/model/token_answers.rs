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

/// A client that is about to send its code.
fn about_to_exchange(change: impl FnOnce(&mut Server)) -> Client {
    let mut settings = Settings::default();
    change(&mut settings.server);
    let mut client = Client::new(settings);
    client.discover();
    client.register();
    client
}

/// The tokens are the same; only what stands beside them differs.
#[test]
fn sloppy_forms_of_a_good_answer_host_320() {
    let plain = about_to_exchange(|_| ()).exchange();
    assert!(!plain.text.contains("name") && plain.header("content-encoding").is_none());
    for (sloppiness, there) in [
        (Sloppiness::NotUtf8, "\"name\":\"Jos\u{fffd}\"}"),
        (Sloppiness::Surrogate, r#""name":"\ud83d"}"#),
        (Sloppiness::LineEnd, "\"name\":\"a\r\nb\"}"),
        (Sloppiness::Deep, r#":{"x":{"x":{"x":"#),
        (Sloppiness::Followed(b"\0"), "}\0"),
        (Sloppiness::Followed(b"\n<!-- 12 ms -->"), "}\n<!-- 12 ms -->"),
        (Sloppiness::Encoding("utf-8"), ""),
    ] {
        let mut client = about_to_exchange(|server| server.tokens.sloppiness = Some(sloppiness));
        let answer = client.exchange();
        assert!(answer.text.contains(there) && answer.text != plain.text || there.is_empty());
        let encoding = answer.header("content-encoding");
        assert_eq!(encoding.is_some(), matches!(sloppiness, Sloppiness::Encoding(_)));
        let members = plain.text.trim_matches(['{', '}']);
        assert!(
            answer.text.starts_with(&format!("{{{members}")),
            "{sloppiness:?}: {}",
            answer.text
        );
    }
    let twice = Some(Sloppiness::Twice);
    let answer = about_to_exchange(|server| server.tokens.sloppiness = twice).exchange();
    let members = plain.text.trim_matches(['{', '}']);
    assert_eq!(answer.text, format!("{{{members},{members}}}"));
    let answer = about_to_exchange(|server| server.tokens.status = 202).exchange();
    assert_eq!((answer.status, &answer.text), (202, &plain.text));
}

#[test]
fn a_refresh_is_refused_in_other_words_ref_90() {
    let words = (422, json!({ "message": "gone" }));
    let mut client = about_to_exchange(|server| {
        server.tokens.refresh_refusal = Some(words);
        server.tokens.refresh_life_ms = Some(1000);
    });
    let answer = client.exchange();
    client.keep(&answer);
    assert_eq!(client.refresh().status, 200);
    client.now += 1000;
    let refused = client.refresh();
    assert_eq!((refused.status, refused.json()), (422, json!({ "message": "gone" })));
    assert_eq!(refused.error.as_deref(), Some("invalid_grant"), "it is meant all the same");
    let form = Change::Set("code", "guess").on(client.exchange_form());
    assert_eq!(client.post_token(form, &[]).status, 400, "a code is refused in the usual words");
}

#[test]
fn outages_and_refusals_that_happen_a_few_times() {
    let mut client = about_to_exchange(|server| {
        server.tokens.refuses_exchange = Some(1);
        server.tokens.refresh_outages = 2;
    });
    let first = client.exchange();
    assert_eq!((first.status, first.error.as_deref()), (401, Some("invalid_client")));
    let second = client.exchange();
    client.keep(&second);
    for _ in 0..2 {
        let answer = client.refresh();
        assert_eq!((answer.status, answer.header("retry-after").as_deref()), (503, Some("1")));
    }
    assert_eq!(client.refresh().status, 200, "the token was not spent");
}

#[test]
fn an_access_token_is_good_for_so_many_requests_step_90() {
    let mut client = about_to_exchange(|server| server.tokens.access_uses = Some(2));
    let answer = client.exchange();
    client.keep(&answer);
    let statuses = [(); 3].map(|()| client.mcp_status("tools/list", json!({})));
    assert_eq!(statuses, [200, 200, 401]);
    assert_eq!(client.refresh().status, 200);
    assert_eq!(client.mcp_status("tools/list", json!({})), 200);
}

#[test]
fn a_registration_is_forgotten_in_time_reg_93() {
    let mut client = about_to_exchange(|server| server.registration.life_s = Some(60));
    let answer = client.exchange();
    client.keep(&answer);
    client.now += 59_999;
    assert_eq!(client.refresh().status, 200);
    client.now += 1;
    assert_eq!(client.refresh().error.as_deref(), Some("invalid_client"));
}
