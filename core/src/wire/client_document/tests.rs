use super::*;

const URL: &str = "https://app.example/client.json";

#[test]
fn urls_are_judged_when_configured_cimd_03_cimd_04_amb_20_host_160() {
    for (text, fine) in [
        (URL, true),
        ("https://app.example:8443/c", true),
        ("https://app.example/c?x=1", true),
        ("http://app.example/c", false),
        ("https://app.example", false),
        ("https://app.example/", false),
        ("https://app.example/c#x", false),
        ("https://u@app.example/c", false),
        ("https://app.example/a/../c", false),
        ("https://app.example/%2E%2e/c", false),
        ("https://app.example/./c", false),
        ("https://10.0.0.1/c", false),
        ("https://localhost/c", false),
        ("https://app.internal/c", false),
        ("app.example/c", false),
    ] {
        let read = ClientDocumentUrl::read(text);
        assert_eq!(read.is_ok(), fine, "{text}");
        match read {
            Ok(url) => assert_eq!(url.as_str(), text),
            Err(failure) => assert_eq!(failure.kind(), Kind::ConfigInvalid),
        }
    }
}

#[test]
fn what_is_generated_passes_the_check_cimd_06_to_cimd_09_cimd_11() {
    let url = ClientDocumentUrl::read(URL).unwrap();
    let metadata = ClientMetadata { client_name: "App".to_owned(), ..ClientMetadata::default() };
    let redirects = ["http://127.0.0.1/callback"];
    let write = |metadata: &ClientMetadata, redirects: &[&str], refresh| {
        client_document(&url, metadata, redirects, ApplicationType::Native, refresh)
    };
    let document = write(&metadata, &redirects, true).unwrap();
    let checked = check_client_document(&url, document.as_bytes()).unwrap();
    assert_eq!(checked.method, Method::None);
    assert!(checked.warnings.is_empty());
    let read = |text: &str| RedirectUri::read(text, false).unwrap();
    assert!(checked.allows(&read("http://127.0.0.1:5000/callback")));
    assert!(!checked.allows(&read("http://127.0.0.1:5000/other")));
    let without = write(&metadata, &redirects, false).unwrap();
    let warned = check_client_document(&url, without.as_bytes()).unwrap().warnings;
    assert_eq!(warned[0].rule(), "CIMD-09");
    let keyed = ClientMetadata {
        jwks_uri: Some("https://app.example/jwks".to_owned()),
        ..metadata.clone()
    };
    let keyed = write(&keyed, &redirects, true).unwrap();
    let checked = check_client_document(&url, keyed.as_bytes()).unwrap();
    assert_eq!(checked.method, Method::PrivateKeyJwt);
    let large = ClientMetadata { client_name: "x".repeat(LONGEST_DOCUMENT), ..metadata.clone() };
    assert_eq!(write(&large, &redirects, true).unwrap_err().rule(), "CIMD-11");
    assert!(write(&ClientMetadata::default(), &redirects, true).is_err());
    assert!(write(&metadata, &[], true).is_err());
}

#[test]
fn bad_documents_are_named_cimd_06_cimd_07_cimd_08() {
    let url = ClientDocumentUrl::read(URL).unwrap();
    let base = r#""client_name":"App","redirect_uris":["https://app.example/cb"]"#;
    let id = format!("\"client_id\":\"{URL}\"");
    let none = r#""token_endpoint_auth_method":"none""#;
    for (body, rule) in [
        (format!("{{{id},{base},{none}}}"), None),
        (format!("{{{base},{none}}}"), Some("CIMD-06")),
        (format!("{{\"client_id\":\"{URL}/\",{base},{none}}}"), Some("CIMD-06")),
        (format!("{{{id},\"client_name\":\"App\",{none}}}"), Some("CIMD-06")),
        (format!("{{{id},{base},{none},\"client_secret\":\"x\"}}"), Some("CIMD-07")),
        (format!("{{{id},{base},{none},\"client_secret_expires_at\":0}}"), Some("CIMD-07")),
        (format!("{{{id},{base}}}"), Some("CIMD-07")),
        (
            format!("{{{id},{base},\"token_endpoint_auth_method\":\"client_secret_basic\"}}"),
            Some("CIMD-07"),
        ),
        (
            format!("{{{id},{base},\"token_endpoint_auth_method\":\"private_key_jwt\"}}"),
            Some("CIMD-08"),
        ),
        ("[]".to_owned(), Some("DISC-19")),
    ] {
        let checked = check_client_document(&url, body.as_bytes());
        assert_eq!(checked.err().map(|failure| failure.rule()), rule, "{body}");
    }
}
