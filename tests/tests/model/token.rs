//! What the token endpoint refuses.

use mcp_authz_tests::model::*;
use serde_json::json;

use crate::client::*;

#[test]
fn code_exchanges_refused() {
    let table: &[(&str, Change, u16, &str)] = &[
        ("no grant type", Change::Drop("grant_type"), 400, "invalid_request"),
        ("password grant", Change::Set("grant_type", "password"), 400, "unsupported_grant_type"),
        ("no code", Change::Drop("code"), 400, "invalid_request"),
        ("wrong code", Change::Set("code", "code-guess"), 400, "invalid_grant"),
        ("two codes", Change::Add("code", "code-guess"), 400, "invalid_request"),
        ("no verifier", Change::Drop("code_verifier"), 400, "invalid_request"),
        ("short verifier", Change::Set("code_verifier", "short"), 400, "invalid_request"),
        (
            "wrong verifier",
            Change::Set("code_verifier", "wrong-wrong-wrong-wrong-wrong-wrong-wrong-wrong"),
            400,
            "invalid_grant",
        ),
        ("no redirect URI", Change::Drop("redirect_uri"), 400, "invalid_grant"),
        (
            "other port",
            Change::Set("redirect_uri", "http://127.0.0.1:1/callback"),
            400,
            "invalid_grant",
        ),
        ("no resource", Change::Drop("resource"), 400, "invalid_target"),
        (
            "other resource",
            Change::Set("resource", "https://evil.example/mcp"),
            400,
            "invalid_target",
        ),
        ("no client", Change::Drop("client_id"), 401, "invalid_client"),
        ("unknown client", Change::Set("client_id", "nobody"), 401, "invalid_client"),
        ("secret of a public client", Change::Add("client_secret", "x"), 401, "invalid_client"),
    ];
    for (name, change, status, error) in table {
        let mut client = Client::new(Settings::default());
        client.discover();
        client.register();
        let form = client.exchange_form();
        let answer = client.post_token(change.on(form), &[]);
        assert_eq!((answer.status, answer.error.as_deref()), (*status, Some(*error)), "{name}");
        assert_eq!(answer.json()["error"], *error, "{name}");
        assert_eq!(client.model.live_access_tokens(NOW), 0, "{name}");
    }
}

#[test]
fn expired_code_is_refused() {
    let mut client = Client::new(Settings::default());
    client.discover();
    client.register();
    let form = client.exchange_form();
    client.now += 60_000;
    assert_eq!(client.post_token(form, &[]).error.as_deref(), Some("invalid_grant"));
}

#[test]
fn reused_code_revokes_what_it_gave() {
    let mut client = Client::new(Settings::default());
    client.discover();
    client.register();
    let form = client.exchange_form();
    let tokens = client.post_token(form.clone(), &[]);
    client.keep(&tokens);
    assert_eq!(client.mcp_status("tools/list", json!({})), 200);
    assert_eq!(client.post_token(form, &[]).error.as_deref(), Some("invalid_grant"));
    assert_eq!(client.mcp_status("tools/list", json!({})), 401);
    assert_eq!(client.refresh().error.as_deref(), Some("invalid_grant"));
}

#[test]
fn code_of_another_client_is_refused() {
    let mut client = Client::new(Settings::default());
    client.discover();
    client.register();
    let form = client.exchange_form();
    client.register();
    let id = client.client_id.clone();
    let form = form
        .into_iter()
        .map(|(k, v)| if k == "client_id" { (k, id.clone()) } else { (k, v) })
        .collect();
    assert_eq!(client.post_token(form, &[]).error.as_deref(), Some("invalid_grant"));
}

#[test]
fn only_the_registered_client_authentication_is_taken() {
    for registered in [AuthMethod::None, AuthMethod::Basic, AuthMethod::Post] {
        for tried in [AuthMethod::None, AuthMethod::Basic, AuthMethod::Post] {
            let mut client = Client::new(Settings::default());
            client.auth = registered;
            client.discover();
            client.register();
            client.auth = tried;
            let answer = client.exchange();
            let error = (registered != tried).then_some("invalid_client");
            assert_eq!(answer.error.as_deref(), error, "{registered:?} {tried:?}");
            let basic = answer.header("www-authenticate").is_some();
            assert_eq!(
                basic,
                registered != tried && tried == AuthMethod::Basic,
                "{registered:?} {tried:?}"
            );
        }
    }
}

#[test]
fn two_client_authentications_at_once_are_refused() {
    let mut client = Client::new(Settings::default());
    client.auth = AuthMethod::Basic;
    client.discover();
    client.register();
    let mut form = client.exchange_form();
    form.push(("client_secret".into(), client.secret.clone().unwrap()));
    assert_eq!(client.post_token(form, &[]).error.as_deref(), Some("invalid_request"));
}

#[test]
fn basic_credentials_are_form_decoded() {
    let mut settings = Settings::default();
    settings.server.clients.push(Preregistered {
        client_id: "a:b c".into(),
        secret: Some("p%ss+w=rd".into()),
        method: AuthMethod::Basic,
        redirect_uris: vec![format!("{REDIRECT}/callback")],
        grant_types: vec!["authorization_code".into()],
    });
    for (encoded, error) in [(true, None), (false, Some("invalid_client"))] {
        let mut client = Client::new(settings.clone());
        client.discover();
        client.client_id = "a:b c".into();
        client.secret = Some("p%ss+w=rd".into());
        client.auth = AuthMethod::Basic;
        client.encode_basic = encoded;
        assert_eq!(client.exchange().error.as_deref(), error);
    }
}

#[test]
fn expired_secret_is_refused() {
    let mut settings = Settings::default();
    settings.server.registration.secret_life_s = Some(10);
    let mut client = Client::new(settings);
    client.auth = AuthMethod::Post;
    client.login();
    client.now += 10_000;
    assert_eq!(client.refresh().error.as_deref(), Some("invalid_client"));
}

#[test]
fn token_requests_in_the_url_or_as_json_are_refused() {
    let mut client = Client::new(Settings::default());
    client.discover();
    client.register();
    let form = client.exchange_form();
    let url = format!("https://as.example/token?{}", encode(&form));
    assert_eq!(client.post_form(&url, &[], &[]).error.as_deref(), Some("invalid_request"));
    let answer = client.post_json(
        "https://as.example/token",
        &json!({"grant_type": "authorization_code"}),
        &[],
    );
    assert_eq!(answer.error.as_deref(), Some("invalid_request"));
    assert_eq!(client.get("https://as.example/token").status, 405);
}

#[test]
fn wrong_secret_is_refused() {
    for auth in [AuthMethod::Basic, AuthMethod::Post] {
        let mut client = Client::new(Settings::default());
        client.auth = auth;
        client.discover();
        client.register();
        client.secret = Some("guess".into());
        assert_eq!(client.exchange().error.as_deref(), Some("invalid_client"));
    }
}

#[test]
fn a_server_that_reads_the_form_finds_nobody_in_a_header() {
    for (method, error) in [(AuthMethod::Basic, Some("invalid_client")), (AuthMethod::Post, None)] {
        let mut settings = Settings::default();
        settings.server.client_in_form = true;
        let mut client = Client::new(settings);
        client.auth = method;
        client.discover();
        client.register();
        assert_eq!(client.exchange().error.as_deref(), error, "{method:?}");
    }
}
