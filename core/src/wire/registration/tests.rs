use super::*;
use crate::wire::url::tests::server_url;

const REDIRECT: &str = "http://127.0.0.1:5000/callback";

fn asked_with(method: Method, body: &str, status: u16) -> Result<Registered, Failure> {
    let redirect_uri = RedirectUri::read(REDIRECT, false).unwrap();
    let mut response = Response::new(body.as_bytes().to_vec());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    let asked =
        Asked { method, listed: None, redirect_uri: &redirect_uri, sent: &[], legacy: false };
    read_registration(&response, &asked, Timestamp::from_unix(1_700_000_000))
}

fn code(result: &Result<Registered, Failure>) -> &'static str {
    result.as_ref().err().map_or("ok", |failure| failure.kind().code())
}

#[test]
fn the_request_holds_what_servers_need_reg_06_to_reg_09() {
    let endpoint = server_url("https://as.example/register");
    let metadata = ClientMetadata {
        client_name: "App".to_owned(),
        scope: ScopeSet::read("a b").unwrap(),
        contacts: vec!["x@app.example".to_owned()],
        ..ClientMetadata::default()
    };
    let token = Secret::new("SECRET-CANARY");
    let asked = RegistrationRequest {
        endpoint: &endpoint,
        metadata: &metadata,
        redirect_uris: &[REDIRECT],
        application_type: ApplicationType::Native,
        method: Method::None,
        refresh: true,
        initial_access_token: Some(&token),
    };
    assert!(!format!("{asked:?}").contains("CANARY"));
    let request = registration_request(asked).unwrap();
    assert_eq!(request.method(), http::Method::POST);
    assert_eq!(request.uri(), "https://as.example/register");
    assert_eq!(request.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(request.headers()[ACCEPT], "application/json");
    assert_eq!(request.headers()[AUTHORIZATION], "Bearer SECRET-CANARY");
    assert!(request.headers()[AUTHORIZATION].is_sensitive());
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(request.body()).unwrap(),
        serde_json::json!({
            "redirect_uris": [REDIRECT],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "application_type": "native",
            "client_name": "App",
            "contacts": ["x@app.example"],
            "scope": "a b",
        })
    );
    let plain = RegistrationRequest { refresh: false, initial_access_token: None, ..asked };
    let request = registration_request(plain).unwrap();
    assert!(!request.headers().contains_key(AUTHORIZATION));
    assert!(String::from_utf8(request.into_body()).unwrap().contains(r#"["authorization_code"]"#));
}

#[test]
fn the_application_type_follows_the_redirects_reg_10() {
    let of = |uris: &[&str]| {
        let uris: Vec<_> = uris.iter().map(|uri| RedirectUri::read(uri, true).unwrap()).collect();
        application_type(&uris)
    };
    assert_eq!(of(&[REDIRECT, "com.example.app:/cb"]).unwrap(), ApplicationType::Native);
    assert_eq!(of(&["http://localhost/cb"]).unwrap(), ApplicationType::Native);
    assert_eq!(of(&["https://app.example/cb"]).unwrap(), ApplicationType::Web);
    assert_eq!(of(&["https://app.example/cb", REDIRECT]).unwrap_err().kind(), Kind::ConfigInvalid);
    assert!(of(&[]).is_err());
}

#[test]
fn an_identifier_must_come_back_reg_13_host_149_host_150_host_159() {
    let long = format!("{{\"client_id\":\"{}\"}}", "x".repeat(10 * 1024));
    for (status, body, expected) in [
        (201, r#"{"client_id":"c"}"#, "ok"),
        (200, r#"{"client_id":"c"}"#, "ok"),
        (201, r#"{"client_id":"https://evil.example/x.json"}"#, "ok"),
        (
            201,
            r#"{"client_id":"c","issuer":"https://evil.example","token_endpoint":"x","access_token":1}"#,
            "ok",
        ),
        (201, "{}", "registration_unusable"),
        (201, r#"{"client_id":""}"#, "registration_unusable"),
        (201, r#"{"client_id":7}"#, "registration_unusable"),
        (200, r#"{"client_id":7}"#, "registration_unusable"),
        (201, r#"{"client_id":null}"#, "registration_unusable"),
        (201, r#"{"client_id":"a\r\nb"}"#, "registration_unusable"),
        (201, &long, "registration_unusable"),
        (201, "[]", "registration_unusable"),
        (201, "", "registration_unusable"),
        (201, "<html>Welcome</html>", "registration_unusable"),
        (201, r#"{"client_id":"a","client_id":"b"}"#, "registration_unusable"),
        (202, r#"{"client_id":"c"}"#, "registration_unusable"),
        (204, "", "registration_unusable"),
    ] {
        assert_eq!(code(&asked_with(Method::None, body, status)), expected, "{status} {body}");
    }
}

#[test]
fn the_answer_is_authoritative_reg_15_reg_16_host_151_to_host_153() {
    let basic = Method::SecretBasic;
    for (asked, members, expected) in [
        (Method::None, "", Ok(Method::None)),
        (Method::None, r#","client_secret":"s""#, Ok(Method::None)),
        (Method::None, r#","token_endpoint_auth_method":"none""#, Ok(Method::None)),
        (
            Method::None,
            r#","token_endpoint_auth_method":"client_secret_post","client_secret":"s""#,
            Ok(Method::SecretPost),
        ),
        (basic, r#","client_secret":"s""#, Ok(basic)),
        (basic, "", Ok(Method::None)),
        (basic, r#","client_secret":"""#, Ok(Method::None)),
        (Method::None, r#","token_endpoint_auth_method":"""#, Ok(Method::None)),
        (basic, r#","token_endpoint_auth_method":"","client_secret":"s""#, Ok(basic)),
        (Method::None, r#","redirect_uris":"","grant_types":"""#, Ok(Method::None)),
        (basic, r#","token_endpoint_auth_method":"client_secret_basic""#, Err("HOST-153")),
        (basic, r#","token_endpoint_auth_method":"private_key_jwt""#, Err("HOST-152")),
        (
            Method::PrivateKeyJwt,
            r#","token_endpoint_auth_method":"private_key_jwt""#,
            Ok(Method::PrivateKeyJwt),
        ),
        (Method::PrivateKeyJwt, "", Ok(Method::PrivateKeyJwt)),
        (basic, r#","token_endpoint_auth_method":"tls_client_auth""#, Err("HOST-152")),
        (basic, r#","token_endpoint_auth_method":1"#, Err("HOST-152")),
        (Method::None, r#","redirect_uris":["http://127.0.0.1:5000/callback"]"#, Ok(Method::None)),
        (Method::None, r#","redirect_uris":["http://127.0.0.1/callback"]"#, Ok(Method::None)),
        (Method::None, r#","redirect_uris":["http://127.0.0.1:5000/other"]"#, Err("REG-15")),
        (Method::None, r#","redirect_uris":[]"#, Err("REG-15")),
        (Method::None, r#","redirect_uris":"x""#, Err("REG-15")),
        (Method::None, r#","grant_types":["authorization_code"]"#, Ok(Method::None)),
        (Method::None, r#","grant_types":["implicit"]"#, Err("REG-15")),
    ] {
        let found = asked_with(asked, &format!("{{\"client_id\":\"c\"{members}}}"), 201);
        let found = found.map(|registered| registered.credentials.method);
        if let Err(failure) = &found {
            assert_eq!(failure.kind(), Kind::RegistrationUnusable);
        }
        assert_eq!(found.map_err(|failure| failure.rule()), expected, "{members}");
    }
    let granted = |list| {
        let body = format!("{{\"client_id\":\"c\",\"grant_types\":{list}}}");
        asked_with(Method::None, &body, 201).unwrap().refresh
    };
    assert_eq!(granted(r#"["authorization_code","refresh_token"]"#), Some(true));
    assert_eq!(granted(r#"["authorization_code"]"#), Some(false));
    assert_eq!(granted("null"), None);
}

/// Each gives one note, which names the member.
#[test]
fn an_empty_string_is_absent_and_noted_tok_90() {
    for name in [
        "client_secret",
        "token_endpoint_auth_method",
        "redirect_uris",
        "grant_types",
        "registration_access_token",
        "registration_client_uri",
    ] {
        let body = format!("{{\"client_id\":\"c\",\"{name}\":\"\"}}");
        let registered = asked_with(Method::None, &body, 201).unwrap();
        let [note] = &*registered.notes else { panic!("one note for {name}") };
        assert_eq!((note.subject(), note.rule()), (Some(name), "TOK-90"));
        assert_eq!(registered.management, None);
        assert_eq!(registered.credentials.secret, None);
    }
}

#[test]
fn secrets_and_their_expiry_reg_14_host_154_host_155() {
    for (secret, expires, expected, notes) in [
        ("a:b%c+d é", "0", Ok(None), 0),
        ("s", "", Ok(None), 1),
        ("s", "\"never\"", Ok(None), 1),
        ("s", "1", Err(Kind::RegistrationUnusable), 0),
        ("s", "-1", Err(Kind::RegistrationUnusable), 0),
        ("s", "1700000000", Err(Kind::RegistrationUnusable), 0),
        ("s", "1700000001", Ok(Some(1_700_000_001)), 0),
        ("s", "1e30", Ok(Some(i64::MAX)), 0),
        ("a\\r\\nb", "0", Err(Kind::RegistrationUnusable), 0),
    ] {
        let expires = if expires.is_empty() {
            String::new()
        } else {
            format!(",\"client_secret_expires_at\":{expires}")
        };
        let body = format!("{{\"client_id\":\"c\",\"client_secret\":\"{secret}\"{expires}}}");
        let found = asked_with(Method::SecretBasic, &body, 201);
        if let Ok(registered) = &found {
            assert_eq!(registered.credentials.secret, Some(Secret::new(secret)));
            assert_eq!(registered.notes.len(), notes, "{expires}");
        }
        let found = found.map(|registered| registered.secret_expires.map(Timestamp::unix));
        assert_eq!(found.map_err(|failure| failure.kind()), expected, "{secret} {expires}");
    }
}

#[test]
fn management_is_kept_as_a_secret_reg_19_host_156() {
    let body = r#"{"client_id":"c","registration_access_token":"SECRET-CANARY",
        "registration_client_uri":"https://evil.example/r"}"#;
    let registered = asked_with(Method::None, body, 201).unwrap();
    assert!(!format!("{registered:?}").contains("SECRET-CANARY"));
    let management = registered.management.unwrap();
    assert_eq!(management.token, Secret::new("SECRET-CANARY"));
    assert_eq!(&*management.uri, "https://evil.example/r");
    let half = r#"{"client_id":"c","registration_access_token":"x"}"#;
    assert_eq!(asked_with(Method::None, half, 201).unwrap().management, None);
}

#[test]
fn refusals_are_typed_reg_11_reg_17_tok_05_leg_09_host_049_host_157() {
    for (status, body, expected, error) in [
        (
            400,
            r#"{"error":"invalid_redirect_uri","error_description":"no\nway"}"#,
            "registration_failed",
            "invalid_redirect_uri",
        ),
        (
            400,
            r#"{"error":"invalid_client_metadata"}"#,
            "registration_failed",
            "invalid_client_metadata",
        ),
        (400, r#"{"error":"x"}"#, "registration_failed", "other"),
        (401, "", "registration_failed", "other"),
        (403, "[]", "registration_failed", "other"),
        (404, "", "registration_failed", "other"),
        (301, "", "redirect_refused", ""),
        (302, "", "redirect_refused", ""),
        (303, "", "redirect_refused", ""),
        (307, "", "redirect_refused", ""),
        (308, "", "redirect_refused", ""),
        (429, "", "transient", ""),
        (500, "", "transient", ""),
    ] {
        let refused = asked_with(Method::None, body, status);
        assert_eq!(code(&refused), expected, "{status}");
        let failure = refused.unwrap_err();
        assert_eq!(failure.said().map_or("", |said| &said.error), error);
        assert_eq!(failure.said().and_then(|said| said.status).is_some(), !error.is_empty());
    }
    // The server's own words are kept, whatever their shape.
    for (status, body, expected) in [
        (403, r#"{"message":"this name is taken"}"#, "this name is taken"),
        (403, "<html><body>Members only</body></html>", "Members only"),
        (401, r#"{"error":{"message":"no token"}}"#, "no token"),
        (422, r#"{"error":"no_such_plan","detail":"buy one"}"#, "no_such_plan: buy one"),
    ] {
        let failure = asked_with(Method::None, body, status).unwrap_err();
        let said = failure.said().unwrap();
        assert_eq!(said.description.as_deref(), Some(expected), "{status} {body}");
        assert_eq!(said.error, "other");
    }
    let html = format!("<html>{}\u{1b}[31m", "x".repeat(100 * 1024));
    let failure = asked_with(Method::None, &html, 400).unwrap_err();
    assert!(failure.to_string().len() < 1024);
    let redirect_uri = RedirectUri::read(REDIRECT, false).unwrap();
    let legacy = Asked {
        method: Method::None,
        listed: None,
        redirect_uri: &redirect_uri,
        sent: &[],
        legacy: true,
    };
    for status in [404, 405] {
        let mut response = Response::new(Vec::new());
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        let refused = read_registration(&response, &legacy, Timestamp::from_unix(0));
        assert_eq!(code(&refused), "no_registration_method");
    }
}
