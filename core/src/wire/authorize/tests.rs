use super::*;
use crate::wire::url::tests::server_url;

fn request<'a>(
    endpoint: &'a ServerUrl,
    scopes: &'a ScopeSet,
    extra: &'a [(Box<str>, Box<str>)],
) -> AuthorizationRequest<'a> {
    AuthorizationRequest {
        endpoint,
        client_id: "https://app.example/client.json",
        redirect_uri: "http://127.0.0.1:5000/callback",
        code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        state: "STATE-CANARY",
        resource: Some("https://mcp.example/mcp"),
        scopes,
        extra,
    }
}

#[test]
fn every_parameter_occurs_once_authz_01_authz_02_authz_03_host_018_host_173() {
    for (endpoint, scopes, query) in [
        ("https://as.example/authorize", "a b:c", ""),
        ("https://as.example/authorize?tenant=t1", "", "tenant"),
        ("https://as.example/authorize?", "a", ""),
    ] {
        let endpoint = server_url(endpoint);
        let scopes = ScopeSet::read(scopes).unwrap();
        let extra = [("prompt".into(), "consent".into()), ("audience".into(), "ü&x".into())];
        let url = request(&endpoint, &scopes, &extra).url().unwrap();
        assert!(url.starts_with("https://as.example/authorize?"));
        let parsed = url::Url::parse(&url).unwrap();
        assert_eq!(parsed.as_str(), url);
        let pairs: Vec<(String, String)> = parsed
            .query_pairs()
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        let mut expected = vec![
            ("response_type", "code"),
            ("client_id", "https://app.example/client.json"),
            ("redirect_uri", "http://127.0.0.1:5000/callback"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
            ("state", "STATE-CANARY"),
            ("resource", "https://mcp.example/mcp"),
            ("prompt", "consent"),
            ("audience", "ü&x"),
        ];
        if !scopes.is_empty() {
            expected.insert(7, ("scope", scopes.as_str()));
        }
        if !query.is_empty() {
            expected.insert(0, ("tenant", "t1"));
        }
        let expected: Vec<_> =
            expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(pairs, expected);
    }
}

#[test]
fn resource_is_left_out_by_switch_only_scope_when_empty_scope_04_res_01() {
    let endpoint = server_url("https://as.example/authorize");
    let scopes = ScopeSet::empty();
    let without = AuthorizationRequest { resource: None, ..request(&endpoint, &scopes, &[]) };
    let url = without.url().unwrap();
    assert!(!url.contains("resource") && !url.contains("scope"));
    assert!(!format!("{without:?}").contains("CANARY"));
}

#[test]
fn a_host_may_not_override_ours_authz_09_host_166() {
    for name in ["client_id", "state", "code_challenge", "resource", "response_mode", "request"] {
        assert!(is_reserved_parameter(name), "{name}");
    }
    for name in ["prompt", "login_hint", "audience", "ui_locales", "access_type"] {
        assert!(!is_reserved_parameter(name), "{name}");
    }
    let endpoint = server_url("https://as.example/authorize?tenant=t1");
    let scopes = ScopeSet::empty();
    for extra in [
        vec![("state".into(), "x".into())],
        vec![("a".into(), "1".into()), ("a".into(), "2".into())],
        vec![("tenant".into(), "t2".into())],
    ] {
        let failure = request(&endpoint, &scopes, &extra).url().unwrap_err();
        assert_eq!(failure.kind(), Kind::ConfigInvalid);
    }
}

#[test]
fn a_url_over_the_limit_is_not_built_host_167() {
    let endpoint = server_url("https://as.example/authorize");
    let extra = [("x".into(), "y".repeat(LONGEST_REQUEST).into())];
    let failure = request(&endpoint, &ScopeSet::empty(), &extra).url().unwrap_err();
    assert_eq!(failure.kind(), Kind::UrlTooLong);
    assert!(!failure.to_string().contains("CANARY"));
}

/// The state, and the outcome after a check against an issuer that promised nothing.
fn read(text: &str) -> (Option<String>, Result<Outcome, &'static str>) {
    let CallbackParams { state, rest } = read_callback(text);
    let outcome = rest
        .and_then(|params| params.checked("https://as.example", false, false, &[]))
        .map_err(|failure| failure.kind().code());
    (state.map(|state| state.expose().to_owned()), outcome)
}

fn code(code: &str) -> Result<Outcome, &'static str> {
    Ok(Outcome::Code(Secret::new(code)))
}

#[test]
fn urls_and_queries_are_decoded_once_iss_01_iss_15() {
    for (text, state, outcome) in [
        ("http://127.0.0.1:5000/callback?code=a&state=s", Some("s"), code("a")),
        ("http://127.0.0.1:5000/callback?code=a&state=s#_=_", Some("s"), code("a")),
        ("/callback?code=a&state=s", Some("s"), code("a")),
        ("com.example.app:/cb?state=s&code=a", Some("s"), code("a")),
        ("?code=a&state=s", Some("s"), code("a")),
        ("code=a&state=s", Some("s"), code("a")),
        ("code=a?b/c:d&state=s", Some("s"), code("a?b/c:d")),
        (" code=a&state=s\n", Some("s"), code("a")),
        ("state=s&code=a%2Bb+c%252F", Some("s"), code("a+b c%2F")),
        ("%63ode=a&st%61te=s", Some("s"), code("a")),
        ("code=a&state=s&x=1&x=2&session_state=q", Some("s"), code("a")),
        ("code=a&state=s&iss=https%3A%2F%2Fas.example", Some("s"), code("a")),
    ] {
        assert_eq!(read(text), (state.map(str::to_owned), outcome), "{text}");
    }
}

#[test]
fn bad_callbacks_keep_their_state_for_routing_iss_02_iss_18_host_176_host_180_to_host_182() {
    let long = format!("code={}&state=s", "x".repeat(5 * 1024));
    let huge = format!("state=s&code=a&x={}", "x".repeat(LONGEST_CALLBACK));
    for (text, state, kind) in [
        ("state=s&code=a&code=b", Some("s"), "callback_duplicate_param"),
        ("state=s&code=a&%63ode=b", Some("s"), "callback_duplicate_param"),
        ("state=s&code=a&iss=x&iss=x", Some("s"), "callback_duplicate_param"),
        ("state=s&error=a&error=b", Some("s"), "callback_duplicate_param"),
        (
            "state=s&error=a&error_description=b&error_description=c",
            Some("s"),
            "callback_duplicate_param",
        ),
        ("state=s&error=a&error_uri=b&error_uri=c", Some("s"), "callback_duplicate_param"),
        ("state=s&state=s&code=a", None, "callback_duplicate_param"),
        ("state=s&code=a&error=b", Some("s"), "callback_malformed"),
        ("state=s", Some("s"), "callback_malformed"),
        ("state=s&code=", Some("s"), "callback_malformed"),
        ("state=s&code=a%0d", Some("s"), "callback_malformed"),
        ("state=s&code=a%0a", Some("s"), "callback_malformed"),
        ("state=s&code=a%00", Some("s"), "callback_malformed"),
        ("state=s&code=%C3%A9", Some("s"), "callback_malformed"),
        ("state=s&code=%ff", Some("s"), "callback_malformed"),
        ("state=s&code=%4", Some("s"), "callback_malformed"),
        ("", None, "callback_malformed"),
        ("http://127.0.0.1/callback", None, "callback_malformed"),
        (&long, Some("s"), "callback_malformed"),
        (&huge, None, "callback_malformed"),
    ] {
        let shown = text.get(..60).unwrap_or(text);
        assert_eq!(read(text), (state.map(str::to_owned), Err(kind)), "{shown}");
    }
    assert_eq!(read("code=a&state=").0, None);
    assert_eq!(read("code=a").0, None);
    assert_eq!(read("code=a&state=%ff").0, None);
}

#[test]
fn the_issuer_is_checked_before_anything_is_shown_iss_03_to_iss_14_host_140_to_host_145() {
    let issuer = "https://as.example";
    for (iss, promised, slash, expected) in [
        ("&iss=https%3A%2F%2Fas.example", true, false, "ok"),
        ("&iss=https://as.example", false, false, "ok"),
        ("", false, false, "ok"),
        ("", true, false, "iss_missing"),
        ("&iss=", false, false, "iss_mismatch"),
        ("&iss=https://evil.example", true, false, "iss_mismatch"),
        ("&iss=https://evil.example", false, false, "iss_mismatch"),
        ("&iss=https%3A%2F%2Fas.example%2F", true, false, "iss_mismatch"),
        ("&iss=https%3A%2F%2Fas.example%2F", true, true, "ok"),
        ("&iss=https%3A%2F%2Fas.example%2F%2F", true, true, "iss_mismatch"),
        ("&iss=https://AS.example", true, true, "iss_mismatch"),
        ("&iss=HTTPS://as.example", true, false, "iss_mismatch"),
        ("&iss=https://as.example:443", true, false, "iss_mismatch"),
        ("&iss=https://as%252Eexample", true, false, "iss_mismatch"),
    ] {
        for content in ["code=CODE-CANARY", "error=access_denied&error_description=TEXT-CANARY"] {
            let params = read_callback(&format!("{content}&state=s{iss}")).rest.unwrap();
            assert_eq!(format!("{params:?}"), "Params(..)");
            let checked = params.checked(issuer, promised, slash, &[]);
            let found = checked.as_ref().err().map_or("ok", |failure| failure.kind().code());
            assert_eq!(found, expected, "{iss}");
            if let Err(failure) = checked {
                assert!(!format!("{failure} {failure:?}").contains("CANARY"));
                assert_eq!(failure.said(), None);
            }
        }
    }
}

#[test]
fn refusals_are_typed_and_escaped_iss_16_iss_17_host_178_host_179() {
    let said = |query: &str| match read(query).1.unwrap() {
        Outcome::Error(said) => said,
        Outcome::Code(_) => panic!("{query}"),
    };
    for (error, kept, remedy) in [
        ("access_denied", "access_denied", "ask_user"),
        ("invalid_target", "invalid_target", "report"),
        ("invalid_scope", "invalid_scope", "report"),
        ("unauthorized_client", "unauthorized_client", "register"),
        ("server_error", "server_error", "retry"),
        ("temporarily_unavailable", "temporarily_unavailable", "retry"),
        ("login_required", "login_required", "ask_user"),
        ("%1b%5b31mx%0aINFO%20ok", "other", "ask_user"),
        ("", "other", "ask_user"),
    ] {
        let said = said(&format!("state=s&error={error}&error_description=a%0ab%1b"));
        assert_eq!(said.error, kept);
        assert_eq!(said.description.as_deref(), Some("a\\nb\\u{1b}"));
        let failure = refusal(said);
        assert_eq!(failure.kind(), Kind::AuthorizationDenied);
        assert_eq!(failure.remedy().name(), remedy, "{error}");
    }
}

#[test]
fn random_callbacks_are_survived_sec_19() {
    const PIECES: [&str; 18] = [
        "code",
        "state",
        "iss",
        "error",
        "=",
        "&",
        "?",
        "#",
        "%",
        "%41",
        "%ff",
        "+",
        "a",
        "://",
        "/",
        "é",
        "\0",
        "code=a&state=s",
    ];
    let mut seed = 0xdead_beef_cafe_f00d_u64;
    for _ in 0..50_000 {
        let mut text = String::new();
        for _ in 0..seed % 12 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            text.push_str(PIECES[(seed >> 20) as usize % PIECES.len()]);
        }
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let _ = read(&text);
    }
}
