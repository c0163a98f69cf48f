//! Metadata documents and the places they stand at.

use mcp_authz_tests::model::*;
use serde_json::{Value, json};

use crate::client::*;

#[test]
fn protected_resource_metadata_places() {
    let root = "https://mcp.example/.well-known/oauth-protected-resource";
    let path = "https://mcp.example/.well-known/oauth-protected-resource/mcp";
    let custom = "https://mcp.example/custom/place.json";
    let table = [
        (vec![PrmPlace::Path], [404, 200, 404], "https://mcp.example/mcp", Some(path)),
        (vec![PrmPlace::Root], [200, 404, 404], "https://mcp.example", Some(root)),
        (
            vec![PrmPlace::Custom("/custom/place.json".into())],
            [404, 404, 200],
            "https://mcp.example/mcp",
            Some(custom),
        ),
        (vec![], [404, 404, 404], "", None),
    ];
    for (places, statuses, resource, pointer) in table {
        let mut settings = Settings::default();
        settings.prm.places = places;
        let mut client = Client::new(settings);
        for (url, status) in [root, path, custom].into_iter().zip(statuses) {
            let answer = client.get(url);
            assert_eq!(answer.status, status, "{url}");
            if status == 200 {
                assert_eq!(answer.json()["resource"], resource);
            }
        }
        let challenge =
            client.mcp("tools/list", json!({})).header("www-authenticate").unwrap_or_default();
        assert_eq!(quoted(&challenge, "resource_metadata").as_deref(), pointer);
    }
}

#[test]
fn authorization_server_metadata_places() {
    let urls = [
        "https://as.example/.well-known/oauth-authorization-server/t",
        "https://as.example/.well-known/openid-configuration/t",
        "https://as.example/t/.well-known/openid-configuration",
        "https://as.example/.well-known/oauth-authorization-server",
    ];
    let places = [MetadataPlace::Oauth, MetadataPlace::OidcInserted, MetadataPlace::Oidc];
    for (number, place) in places.into_iter().enumerate() {
        let mut settings = Settings::default();
        settings.server.issuer = "https://as.example/t".into();
        settings.server.metadata.at = vec![place];
        let mut client = Client::new(settings);
        for (at, url) in urls.iter().enumerate() {
            let answer = client.get(url);
            assert_eq!(answer.status, if at == number { 200 } else { 404 }, "{place:?} {url}");
            if at == number {
                assert_eq!(answer.json()["issuer"], "https://as.example/t");
                assert_eq!(answer.json()["token_endpoint"], "https://as.example/t/token");
            }
        }
        assert_eq!(client.model.count(Endpoint::AsRoot), 1);
    }
}

#[test]
fn metadata_redirects_and_overlays() {
    let mut settings = Settings::default();
    settings.prm.redirect = Redirect::SameOrigin(2);
    settings.server.metadata.redirect = Redirect::To("https://evil.example/".into());
    settings.prm.members = vec![("resource".into(), Value::Null), ("extra".into(), json!(1))];
    let mut client = Client::new(settings);
    let mut url = "https://mcp.example/.well-known/oauth-protected-resource/mcp".to_owned();
    for _ in 0..2 {
        url = client.get(&url).header("location").unwrap();
    }
    let document = client.get(&url).json();
    assert_eq!((document.get("resource"), &document["extra"]), (None, &json!(1)));
    let answer = client.get("https://as.example/.well-known/oauth-authorization-server");
    assert_eq!(answer.header("location").as_deref(), Some("https://evil.example/"));
}

#[test]
fn what_stands_where_nothing_is() {
    for (absent, status, kind) in [
        (Absent::Html, 404, Some("text/html; charset=utf-8")),
        (Absent::Empty, 404, None),
        (Absent::Json, 404, Some("application/json")),
        (Absent::Everything, 200, Some("text/html; charset=utf-8")),
    ] {
        let mut client = Client::new(Settings { absent, ..Settings::default() });
        let answer = client.get("https://as.example/.well-known/openid-configuration");
        assert_eq!((answer.status, answer.header("content-type").as_deref()), (status, kind));
    }
}
