//! Dynamic registration and clients in general.

use mcp_authz_tests::model::*;
use serde_json::{Value, json};

use crate::client::*;

#[test]
fn registrations_refused() {
    let good = registration();
    let table: &[(&str, &str, Value, &str)] = &[
        ("no redirect URIs", "redirect_uris", json!([]), "invalid_redirect_uri"),
        (
            "not a list",
            "redirect_uris",
            json!("http://127.0.0.1/callback"),
            "invalid_client_metadata",
        ),
        ("relative", "redirect_uris", json!(["/callback"]), "invalid_redirect_uri"),
        (
            "fragment",
            "redirect_uris",
            json!(["http://127.0.0.1/callback#x"]),
            "invalid_redirect_uri",
        ),
        (
            "http elsewhere",
            "redirect_uris",
            json!(["http://c.example/callback"]),
            "invalid_redirect_uri",
        ),
        ("script", "redirect_uris", json!(["javascript:alert(1)"]), "invalid_redirect_uri"),
        ("grant and response differ", "response_types", json!([]), "invalid_client_metadata"),
        ("implicit", "response_types", json!(["token"]), "invalid_client_metadata"),
        (
            "unknown grant",
            "grant_types",
            json!(["authorization_code", "password"]),
            "invalid_client_metadata",
        ),
        (
            "unknown method",
            "token_endpoint_auth_method",
            json!("tls_client_auth"),
            "invalid_client_metadata",
        ),
        ("no application type", "application_type", Value::Null, "invalid_client_metadata"),
        ("odd application type", "application_type", json!("cli"), "invalid_client_metadata"),
        ("web on loopback", "application_type", json!("web"), "invalid_redirect_uri"),
    ];
    for (name, member, value, error) in table {
        let mut document = good.clone();
        match value {
            Value::Null => drop(document.as_object_mut().unwrap().remove(*member)),
            value => document[*member] = value.clone(),
        }
        let mut client = Client::new(Settings::default());
        let answer = client.post_json("https://as.example/register", &document, &[]);
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some(*error)), "{name}");
    }
}

#[test]
fn registration_deviations() {
    let mut settings = Settings::default();
    settings.server.registration.secret_unasked = true;
    settings.server.registration.omits_method = true;
    settings.server.registration.status = 200;
    let mut client = Client::new(settings);
    client.login();
    assert!(client.secret.is_some());
    assert_eq!(client.mcp_status("tools/list", json!({})), 200, "the method asked for still works");

    let mut settings = Settings::default();
    settings.server.registration.assigns = Some(AuthMethod::Post);
    let mut client = Client::new(settings);
    client.discover();
    assert_eq!(client.register().json()["token_endpoint_auth_method"], "client_secret_post");

    let mut settings = Settings::default();
    settings.server.registration.mode = RegistrationMode::Closed;
    let mut client = Client::new(settings);
    client.discover();
    assert!(client.as_metadata.get("registration_endpoint").is_none());
    assert_eq!(client.post_json("https://as.example/register", &registration(), &[]).status, 404);
}

#[test]
fn forgotten_clients_are_unknown() {
    let mut client = Client::new(Settings::default());
    client.login();
    client.model.forget_clients();
    assert_eq!(client.refresh().error.as_deref(), Some("invalid_client"));
    assert_eq!(client.get(&client.authorize_url()).error.as_deref(), Some("invalid_client"));
}

#[test]
fn client_documents_are_taken_by_their_url() {
    let mut settings = Settings::default();
    settings.server.client_documents =
        ClientDocuments { supported: true, redirect_uris: vec![format!("{REDIRECT}/callback")] };
    let mut client = Client::new(settings);
    client.discover();
    assert_eq!(client.as_metadata["client_id_metadata_document_supported"], true);
    client.client_id = "https://client.example/metadata.json".into();
    let tokens = client.exchange();
    assert_eq!(tokens.status, 200);
    client.keep(&tokens);
    assert_eq!(client.mcp_status("tools/list", json!({})), 200);
}

#[test]
fn a_client_may_be_forgotten_between_the_page_and_the_exchange() {
    let mut settings = Settings::default();
    settings.server.tokens.forgets_clients = 1;
    let mut client = Client::new(settings);
    client.discover();
    client.register();
    let answer = client.exchange();
    assert_eq!((answer.status, answer.error.as_deref()), (401, Some("invalid_client")));
    client.register();
    assert_eq!(client.exchange().error, None);
}
