use super::*;
use crate::wire::url::tests::{reach, server_url};

#[test]
fn resource_addresses_prm_02_disc_04_disc_07_amb_04() {
    const WELL: &str = "/.well-known/oauth-protected-resource";
    for (mcp, expected) in [
        ("https://h/mcp", vec![(Place::Path, "https://h", "/mcp"), (Place::Root, "https://h", "")]),
        (
            "https://h:8443/a/b",
            vec![(Place::Path, "https://h:8443", "/a/b"), (Place::Root, "https://h:8443", "")],
        ),
        ("https://h/", vec![(Place::Root, "https://h", "")]),
        ("https://h", vec![(Place::Root, "https://h", "")]),
        (
            "https://h/mcp/#f",
            vec![
                (Place::Path, "https://h", "/mcp/"),
                (Place::PathWithoutSlash, "https://h", "/mcp"),
                (Place::Root, "https://h", ""),
            ],
        ),
        (
            "https://h/mcp?x=1",
            vec![(Place::Path, "https://h", "/mcp?x=1"), (Place::Root, "https://h", "")],
        ),
        (
            "https://h/?x=1",
            vec![(Place::Path, "https://h", "?x=1"), (Place::Root, "https://h", "")],
        ),
    ] {
        let url = McpUrl::parse(mcp, &[], false).unwrap();
        let found: Vec<_> = resource_candidates(&url).collect();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(place, origin, tail)| (place, format!("{origin}{WELL}{tail}")))
            .collect();
        assert_eq!(found, expected, "{mcp}");
    }
}

#[test]
fn server_addresses_asm_01_to_asm_05() {
    for (issuer, expected) in [
        (
            "https://auth.example.com/tenant1",
            vec![
                "https://auth.example.com/.well-known/oauth-authorization-server/tenant1",
                "https://auth.example.com/.well-known/openid-configuration/tenant1",
                "https://auth.example.com/tenant1/.well-known/openid-configuration",
            ],
        ),
        (
            "https://a:8443/t/",
            vec![
                "https://a:8443/.well-known/oauth-authorization-server/t",
                "https://a:8443/.well-known/openid-configuration/t",
                "https://a:8443/t/.well-known/openid-configuration",
            ],
        ),
        (
            "https://auth.example.com",
            vec![
                "https://auth.example.com/.well-known/oauth-authorization-server",
                "https://auth.example.com/.well-known/openid-configuration",
            ],
        ),
        (
            "https://auth.example.com/",
            vec![
                "https://auth.example.com/.well-known/oauth-authorization-server",
                "https://auth.example.com/.well-known/openid-configuration",
            ],
        ),
    ] {
        let issuer = issuer.replace("//a:", "//a.example:");
        let expected: Vec<_> =
            expected.iter().map(|url| url.replace("//a:", "//a.example:")).collect();
        let found: Vec<_> = server_candidates(&server_url(&issuer)).map(|(_, url)| url).collect();
        assert_eq!(found, expected, "{issuer}");
    }
}

#[test]
fn legacy_addresses_leg_01_leg_02_leg_03() {
    let mcp = McpUrl::parse("https://api.example.com:8443/v1/mcp?x#f", &[], false).unwrap();
    let base = "https://api.example.com:8443";
    assert_eq!(legacy_base(&mcp), base);
    assert_eq!(legacy_metadata(&mcp), format!("{base}/.well-known/oauth-authorization-server"));
    let server = legacy_server(&mcp, &reach("https://api.example.com:8443/v1/mcp")).unwrap();
    assert_eq!(&*server.issuer, base);
    assert_eq!(server.authorization_endpoint.as_str(), format!("{base}/authorize"));
    assert_eq!(server.token_endpoint.as_str(), format!("{base}/token"));
    let register = server.registration_endpoint.unwrap();
    assert_eq!(register.as_str(), format!("{base}/register"));
    // Documents cannot be detected without metadata (LEG-09).
    assert!(!server.client_documents && !server.iss_promised);
}
