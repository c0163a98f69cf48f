use super::*;
use crate::wire::client_auth::Method;
use crate::wire::members::read_members;
use crate::wire::url::tests::public;

const GOOD: [(&str, &str); 4] = [
    ("issuer", r#""https://as.example""#),
    ("authorization_endpoint", r#""https://as.example/authorize""#),
    ("token_endpoint", r#""https://as.example/token""#),
    ("code_challenge_methods_supported", r#"["S256"]"#),
];

/// A good document with some members replaced, added, or taken away by an empty value.
fn document(changes: &[(&str, &str)]) -> String {
    let kept = GOOD.iter().filter(|(name, _)| !changes.iter().any(|(n, _)| n == name));
    let members = kept.chain(changes.iter().filter(|(_, value)| !value.is_empty()));
    let members: Vec<_> = members.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn read(changes: &[(&str, &str)]) -> Result<(ServerMetadata, Vec<Failure>), Failure> {
    read_server_metadata(document(changes).as_bytes(), &public())
}

fn code<T>(result: &Result<T, Failure>) -> &'static str {
    result.as_ref().err().map_or("ok", |failure| failure.kind().code())
}

fn rules() -> ServerRules<'static> {
    ServerRules { expected_issuer: "https://as.example", ..ServerRules::default() }
}

fn check(changes: &[(&str, &str)], rules: ServerRules<'_>) -> Result<Vec<Switch>, Failure> {
    check_server_metadata(&read(changes).unwrap().0, &rules)
}

#[test]
fn needed_members_asm_10_asm_14_asm_16_asm_18_asm_19_host_126_to_host_133_host_029_host_086() {
    for (name, value, expected) in [
        ("x", "1", "ok"),
        ("signed_metadata", "\"x\"", "ok"),
        ("issuer", "", "as_metadata_invalid"),
        ("issuer", "\"\"", "as_metadata_invalid"),
        ("issuer", "1", "as_metadata_invalid"),
        ("issuer", "\"https://as.example?x\"", "as_metadata_invalid"),
        ("issuer", "\"https://as.example#x\"", "as_metadata_invalid"),
        ("token_endpoint", "", "as_metadata_invalid"),
        ("token_endpoint", "null", "as_metadata_invalid"),
        ("authorization_endpoint", "", "as_metadata_invalid"),
        ("authorization_endpoint", "1", "as_metadata_invalid"),
        ("authorization_endpoint", "[\"https://as.example/a\"]", "as_metadata_invalid"),
        ("authorization_endpoint", "{}", "as_metadata_invalid"),
        ("authorization_endpoint", "\"javascript:alert(1)//\"", "url_scheme"),
        ("authorization_endpoint", "\"\\tjavascript:alert(1)\"", "url_malformed"),
        ("authorization_endpoint", "\"https://as.example/a#x\"", "url_fragment"),
        ("authorization_endpoint", "\"https://as.example/a?state=x\"", "url_reserved_query"),
        ("authorization_endpoint", "\"https://as.example/a?tenant=1\"", "ok"),
        ("token_endpoint", "\"http://169.254.169.254/token\"", "insecure_transport"),
        ("token_endpoint", "\"https://169.254.169.254/token\"", "address_blocked"),
        ("authorization_response_iss_parameter_supported", "\"true\"", "as_metadata_invalid"),
        ("client_id_metadata_document_supported", "1", "as_metadata_invalid"),
        ("require_pushed_authorization_requests", "[]", "as_metadata_invalid"),
        ("code_challenge_methods_supported", "\"S256\"", "as_metadata_invalid"),
        ("grant_types_supported", "\"x\"", "as_metadata_invalid"),
        ("response_types_supported", "{}", "as_metadata_invalid"),
    ] {
        assert_eq!(code(&read(&[(name, value)])), expected, "{name}: {value}");
    }
    let twice = document(&[]).replacen('{', "{\"issuer\":\"https://evil.example\",", 1);
    for (body, expected) in [
        (twice.as_str(), "json_duplicate_key"),
        ("[]", "as_metadata_invalid"),
        ("null", "as_metadata_invalid"),
        ("{\"issuer\":\"\\ud800\"}", "json_malformed"),
        (")]}'{}", "json_malformed"),
    ] {
        assert_eq!(code(&read_server_metadata(body.as_bytes(), &public())), expected, "{body}");
    }
}

#[test]
fn absent_members_have_their_defaults_asm_13_asm_14() {
    let (plain, dropped) = read(&[]).unwrap();
    assert!(dropped.is_empty());
    assert_eq!((plain.methods, plain.grant_types, plain.code_flow), (None, None, None));
    assert!(!plain.iss_promised && !plain.client_documents && !plain.par_required);
    assert!(!plain.scopes_offline_access);
    assert_eq!((plain.dpop, plain.pkce), (None, Pkce::Listed));
    let (full, _) = read(&[
        ("token_endpoint_auth_methods_supported", r#"["client_secret_post","none","x"]"#),
        ("scopes_supported", r#"["openid","offline_access"]"#),
        ("authorization_response_iss_parameter_supported", "true"),
        ("client_id_metadata_document_supported", "true"),
        ("grant_types_supported", r#"["authorization_code"]"#),
        ("response_types_supported", r#"["code"]"#),
        ("registration_endpoint", r#""https://as.example/register""#),
        ("revocation_endpoint", r#""https://as.example/revoke""#),
        ("protected_resources", r#"["https://mcp.example/mcp"]"#),
        ("dpop_signing_alg_values_supported", r#"["none","ES256"]"#),
    ])
    .unwrap();
    assert_eq!(full.methods, {
        let list = r#"["client_secret_post","none","x"]"#;
        let body = format!("{{\"a\":{list}}}");
        let [member] = read_members(body.as_bytes(), &["a"]).unwrap().each(&["a"]);
        let Some(Value::List(list)) = member.value else { panic!() };
        Some(Methods::read(list))
    });
    assert!(full.methods.unwrap().has(Method::SecretPost));
    assert!(!full.methods.unwrap().has(Method::SecretBasic));
    assert!(full.scopes_offline_access && full.iss_promised && full.client_documents);
    assert_eq!(full.grant_types, Some(GrantTypes { code: true, refresh: false }));
    assert_eq!(full.dpop, Some(true));
    assert!(!full.omits_resource("https://mcp.example/mcp"));
    assert!(full.omits_resource("https://mcp.example/other"));
    let text = serde_json::to_string(&full).unwrap();
    assert_eq!(serde_json::from_str::<ServerMetadata>(&text).unwrap(), full);
}

#[test]
fn unusable_optional_endpoints_are_dropped_by_name_host_001_host_029() {
    for (field, value, kind) in [
        ("registration_endpoint", "\"javascript:x\"", Kind::UrlScheme),
        ("registration_endpoint", "[]", Kind::AsMetadataInvalid),
        ("revocation_endpoint", "\"https://10.0.0.1/r\"", Kind::AddressBlocked),
    ] {
        let (metadata, dropped) = read(&[(field, value)]).unwrap();
        assert!(metadata.registration_endpoint.is_none());
        assert!(metadata.revocation_endpoint.is_none());
        assert_eq!(dropped.len(), 1);
        assert_eq!(dropped[0].kind(), kind);
        assert!(dropped[0].subject().unwrap().starts_with(field));
    }
    assert!(read(&[("registration_endpoint", "null")]).unwrap().1.is_empty());
}

#[test]
fn dpop_without_a_signature_is_none_host_318() {
    let (found, _) = read(&[("dpop_signing_alg_values_supported", r#"["none","HS256"]"#)]).unwrap();
    assert_eq!(found.dpop, Some(false));
}

#[test]
fn lists_over_the_limit_host_084() {
    let long = format!("[{}]", vec!["\"x\""; 257].join(","));
    assert_eq!(code(&read(&[("grant_types_supported", &long)])), "limit_exceeded");
    let (found, dropped) = read(&[("scopes_supported", &long)]).unwrap();
    assert!(!found.scopes_offline_access);
    assert_eq!(dropped[0].kind(), Kind::LimitExceeded);
}

#[test]
fn the_issuer_is_compared_character_by_character_asm_07_to_asm_09_host_124_to_host_128_leg_06() {
    let bare = "https://as.example";
    let slash = "https://as.example/";
    let tenant = "https://as.example/t1";
    for (expected, found, standard, strict) in [
        (bare, bare, true, true),
        (bare, slash, true, false),
        (slash, bare, true, false),
        (tenant, tenant, true, true),
        (bare, "https://evil.example", false, false),
        (bare, "https://AS.example", false, false),
        (bare, "https://as.example:443", false, false),
        (bare, "https://as.example//", false, false),
        (slash, "https://as.example//", false, false),
        (bare, "https://as.example/%", false, false),
        (tenant, "https://as.example/t1/", false, false),
        (tenant, bare, false, false),
        (tenant, "https://as.example/t2", false, false),
        (bare, "https://user:SECRET-CANARY@as.example", false, false),
    ] {
        let (metadata, _) = read(&[("issuer", &format!("\"{found}\""))]).unwrap();
        for (strict, fine) in [(false, standard), (true, strict)] {
            let rules = ServerRules { expected_issuer: expected, strict, ..rules() };
            match check_server_metadata(&metadata, &rules) {
                Ok(used) => {
                    assert!(fine, "{found} for {expected}");
                    assert_eq!(used.is_empty(), found == expected);
                }
                Err(failure) => {
                    assert!(!fine, "{found} for {expected}");
                    assert_eq!(failure.kind(), Kind::IssuerMismatch);
                    assert!(!failure.to_string().contains("SECRET-CANARY"));
                    let pinnable = !strict && !found.contains(['@', '%']);
                    let named = failure.switches() == [Switch::IssuerPin];
                    assert!(strict || named == pinnable, "{found}");
                }
            }
        }
    }
    let legacy = ServerRules { legacy: true, strict: true, ..rules() };
    assert!(check(&[("issuer", "\"https://as.example/\"")], legacy).is_ok());
    let other =
        check(&[("issuer", "\"https://x.example\"")], ServerRules { legacy: true, ..rules() });
    assert_eq!(code(&other), "issuer_mismatch");
}

#[test]
fn one_exact_pair_may_be_pinned_bind_12() {
    let listed = ServerRules { expected_issuer: "https://listed.example", ..rules() };
    let pinned = ServerRules { pin: Some("https://as.example"), ..listed };
    assert_eq!(check(&[], pinned).unwrap(), [Switch::IssuerPin]);
    assert_eq!(code(&check(&[], listed)), "issuer_mismatch");
    let other = ServerRules { pin: Some("https://as.example/"), ..listed };
    assert_eq!(code(&check(&[], other)), "issuer_mismatch");
    assert_eq!(code(&check(&[], ServerRules { strict: true, ..pinned })), "issuer_mismatch");
}

#[test]
fn pkce_must_be_listed_asm_11_asm_12_pkce_04_pkce_07_host_129_to_host_131() {
    for (list, standard, switched) in [
        (r#"["plain","S256"]"#, "ok", "ok"),
        (r#"["plain"]"#, "pkce_unsupported", "pkce_unsupported"),
        ("[]", "pkce_unsupported", "pkce_unsupported"),
        (r#"["s256"]"#, "pkce_unsupported", "pkce_unsupported"),
        (r#"["S256 "]"#, "pkce_unsupported", "pkce_unsupported"),
        (r#"[["S256"]]"#, "pkce_unsupported", "pkce_unsupported"),
        ("", "pkce_unsupported", "ok"),
        ("null", "pkce_unsupported", "ok"),
    ] {
        let changes = [("code_challenge_methods_supported", list)];
        assert_eq!(code(&check(&changes, rules())), standard, "{list}");
        let switch = ServerRules { pkce_unlisted: true, ..rules() };
        assert_eq!(code(&check(&changes, switch)), switched, "{list}");
        let strict = ServerRules { strict: true, ..switch };
        assert_eq!(code(&check(&changes, strict)), standard, "{list}");
    }
    let absent = [("code_challenge_methods_supported", "")];
    assert_eq!(check(&absent, rules()).unwrap_err().switches(), [Switch::PkceUnlisted]);
    let switch = ServerRules { pkce_unlisted: true, ..rules() };
    assert_eq!(check(&absent, switch).unwrap(), [Switch::PkceUnlisted]);
}

#[test]
fn the_code_flow_must_be_offered_asm_10_asm_15_host_132() {
    for (name, value, expected) in [
        ("response_types_supported", r#"["token"]"#, "response_type_unsupported"),
        ("response_types_supported", r#"["code","token"]"#, "ok"),
        ("grant_types_supported", r#"["client_credentials"]"#, "response_type_unsupported"),
        ("grant_types_supported", r#"["authorization_code"]"#, "ok"),
        ("require_pushed_authorization_requests", "true", "par_required"),
        ("require_pushed_authorization_requests", "false", "ok"),
    ] {
        assert_eq!(code(&check(&[(name, value)], rules())), expected, "{name} {value}");
    }
}

#[test]
fn endpoints_belong_together_asm_17_host_146_host_147() {
    for (issuer, authorization, token, standard, strict) in [
        ("https://as.example", "https://as.example", "https://as.example", true, true),
        ("https://as.example", "https://as.example", "https://as.example:444", true, false),
        ("https://as.example", "https://as.example", "https://token.elsewhere", true, false),
        ("https://as.example", "https://login.other", "https://login.other", true, false),
        ("https://a.corp.example", "https://b.corp.example", "https://C.Corp.Example", true, false),
        ("https://corp.example", "https://b.corp.example", "https://c.corp.example", true, false),
        ("https://evil.example", "https://as.example", "https://evil.example", false, false),
        ("https://evil.test", "https://as.example", "https://evil.test", false, false),
        ("https://evil.test", "https://as.example", "https://other.test", false, false),
        ("https://93.184.216.34", "https://94.184.216.34", "https://95.184.216.34", false, false),
    ] {
        let (metadata, _) = read(&[
            ("issuer", &format!("\"{issuer}\"")),
            ("authorization_endpoint", &format!("\"{authorization}/a\"")),
            ("token_endpoint", &format!("\"{token}/t\"")),
        ])
        .unwrap();
        for (strict, fine) in [(false, standard), (true, strict)] {
            let rules = ServerRules { expected_issuer: issuer, strict, ..rules() };
            let checked = check_server_metadata(&metadata, &rules);
            assert_eq!(checked.is_ok(), fine, "{issuer} {authorization} {token} {strict}");
            if let Err(failure) = checked {
                assert_eq!(failure.kind(), Kind::EndpointsIncoherent);
                assert_eq!(failure.switches().is_empty(), strict);
                let switch = ServerRules { split_endpoints: true, ..rules };
                assert_eq!(check_server_metadata(&metadata, &switch).is_ok(), !strict);
            }
        }
    }
    let away = [("registration_endpoint", "\"https://other.example/r\"")];
    assert!(check(&away, rules()).is_ok());
    assert_eq!(
        code(&check(&away, ServerRules { strict: true, ..rules() })),
        "endpoints_incoherent"
    );
}

#[test]
fn the_server_may_list_its_resources_prm_18() {
    let listed = [("protected_resources", r#"["https://other.example/mcp"]"#)];
    let asked = ServerRules { resource: Some("https://mcp.example/mcp"), ..rules() };
    assert!(check(&listed, asked).is_ok());
    let strict = ServerRules { strict: true, ..asked };
    assert_eq!(code(&check(&listed, strict)), "resource_mismatch");
    assert!(check(&[], strict).is_ok());
}
