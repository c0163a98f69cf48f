use super::*;
use crate::wire::url::tests::{public, reach};

fn kind(body: &str) -> &'static str {
    read_resource_metadata(body.as_bytes()).err().map_or("ok", |failure| failure.kind().code())
}

fn read(members: &str) -> ResourceMetadata {
    let body = format!("{{\"resource\":\"https://mcp.example/mcp\",{members}}}");
    read_resource_metadata(body.as_bytes()).unwrap()
}

#[test]
fn documents_prm_03_prm_04_prm_16_host_077_to_host_086_host_111() {
    for (body, expected) in [
        (r#"{"resource":"https://mcp.example/mcp"}"#, "ok"),
        (r#"{"resource":"x","resource_name#fr":"y","signed_metadata":"z","u":{}}"#, "ok"),
        (r#"{"resource":"x","authorization_server":"https://evil.example"}"#, "ok"),
        (r#"{}"#, "prm_invalid"),
        (r#"{"resource":null}"#, "prm_invalid"),
        (r#"{"resource":["x"]}"#, "prm_invalid"),
        (r#"{"resource":1}"#, "prm_invalid"),
        (r#"[]"#, "prm_invalid"),
        (r#""x""#, "prm_invalid"),
        (r#"null"#, "prm_invalid"),
        (r#"{"resource":"x","authorization_servers":{}}"#, "prm_invalid"),
        (r#"{"resource":"x","scopes_supported":"a b"}"#, "prm_invalid"),
        (r#"{"resource":"x","dpop_bound_access_tokens_required":"true"}"#, "prm_invalid"),
        (r#"{"resource":"x","resource":"y"}"#, "json_duplicate_key"),
        (r#"{"resource":"x"}x"#, "json_malformed"),
        ("<html>", "json_malformed"),
    ] {
        assert_eq!(kind(body), expected, "{body}");
    }
    let many = vec!["\"https://as.example\""; 5000].join(",");
    let body = format!("{{\"resource\":\"x\",\"authorization_servers\":[{many}]}}");
    assert_eq!(kind(&body), "limit_exceeded");
}

#[test]
fn strings_are_kept_as_they_came_prm_17_res_03() {
    let body = br#"{"resource":"HTTPS:\/\/MCP.example:443\/caf\u00e9"}"#;
    let found = read_resource_metadata(body).unwrap();
    assert_eq!(&*found.resource, "HTTPS://MCP.example:443/café");
}

#[test]
fn scopes_are_bounded_host_084_host_085_prm_12() {
    let long = "x".repeat(300);
    let names =
        |count: usize| (0..count).map(|i| format!("\"s{i}\"")).collect::<Vec<_>>().join(",");
    for (list, scopes, notes) in [
        (r#""a","b""#.to_owned(), Some("a b"), 0),
        (String::new(), None, 0),
        (format!("\"a\",\"{long}\",\"b\""), Some("a b"), 1),
        (r#""a",1,"b c","d""#.to_owned(), Some("a d"), 2),
        (names(257), None, 1),
        (names(65), None, 1),
    ] {
        let found = read(&format!("\"scopes_supported\":[{list}]"));
        assert_eq!(found.scopes_supported.as_ref().map(ScopeSet::as_str), scopes, "{list}");
        assert_eq!(found.dropped.len(), notes);
    }
    assert_eq!(
        read(&format!("\"scopes_supported\":[{}]", names(257))).dropped[0].kind(),
        Kind::LimitExceeded
    );
}

#[test]
fn token_requirements_are_read_prm_13_prm_14_host_121_host_122() {
    let plain = read(r#""x":1"#);
    assert!(plain.lists_header_method && !plain.dpop_required && !plain.mtls_bound);
    let odd = read(
        r#""bearer_methods_supported":["query","body"],"dpop_bound_access_tokens_required":true,
           "tls_client_certificate_bound_access_tokens":true"#,
    );
    assert!(!odd.lists_header_method && odd.dpop_required && odd.mtls_bound);
    assert!(read(r#""bearer_methods_supported":["header"]"#).lists_header_method);
}

#[test]
fn bad_servers_are_skipped_prm_08_prm_09_host_112_to_host_115_host_033() {
    for (list, expected, skipped) in [
        (r#"["https://as.example"]"#, Ok(1), 0),
        (r#"["http://169.254.169.254","https://as.example"]"#, Ok(1), 1),
        (r#"["https://as.example/#x","https://as.example/?x","https://as2.example/t"]"#, Ok(1), 2),
        ("null", Err(Kind::NoAuthorizationServer), 0),
        ("[]", Err(Kind::NoAuthorizationServer), 0),
        (r#"[""]"#, Err(Kind::NoAuthorizationServer), 0),
        ("[1]", Err(Kind::NoAuthorizationServer), 0),
        (
            r#"["https://as.example/.well-known/oauth-authorization-server"]"#,
            Err(Kind::NoAuthorizationServer),
            1,
        ),
        (r#"["https://10.0.0.1"]"#, Err(Kind::AddressBlocked), 1),
        (r#"["https://2130706433/"]"#, Err(Kind::UrlNotCanonical), 1),
        (r#"["javascript:x"]"#, Err(Kind::UrlScheme), 1),
    ] {
        let found = read(&format!("\"authorization_servers\":{list}"));
        let mut notes = Vec::new();
        let usable = found.usable_servers(&public(), &mut notes);
        let usable = usable.map(|list| list.len()).map_err(|failure| failure.kind());
        assert_eq!((usable, notes.len()), (expected, skipped), "{list}");
    }
    let found = read(r#""authorization_servers":["http://127.0.0.1:9090"]"#);
    let local = reach("http://127.0.0.1:8080/mcp");
    assert!(found.usable_servers(&local, &mut Vec::new()).is_ok());
}

#[test]
fn the_document_must_be_about_the_mcp_url_prm_05_to_prm_07_host_107_to_host_111_amb_03() {
    use Place::{Path, PathWithoutSlash, Pointer, Root};
    const EXACT: &str = "exact";
    const PARENT: &str = "parent";
    const OTHER: &str = "resource_mismatch";
    const BAD: &str = "prm_invalid";
    let mcp = "https://mcp.example/mcp";
    let tenant = "https://host.example/tenant-a/mcp";
    for (mcp, place, resource, standard, strict) in [
        (mcp, Path, "https://mcp.example/mcp", EXACT, EXACT),
        (mcp, Pointer, "https://mcp.example/mcp", EXACT, EXACT),
        (mcp, Path, "https://mcp.example/mcp/", PARENT, OTHER),
        (mcp, Path, "https://mcp.example/", PARENT, OTHER),
        (mcp, Path, "https://mcp.example", PARENT, OTHER),
        (mcp, Pointer, "https://mcp.example", PARENT, OTHER),
        (mcp, Root, "https://mcp.example", EXACT, EXACT),
        (mcp, Root, "https://mcp.example/mcp", EXACT, EXACT),
        (mcp, Path, "https://mcp.example:443/mcp", PARENT, OTHER),
        (mcp, Pointer, "https://evil.example/mcp", OTHER, OTHER),
        (mcp, Path, "https://mcp.example.evil.example/mcp", OTHER, OTHER),
        (mcp, Path, "https://mcp.example:8443/mcp", OTHER, OTHER),
        (mcp, Path, "http://mcp.example/mcp", OTHER, OTHER),
        (mcp, Path, "https://mcp.example/mc", OTHER, OTHER),
        (mcp, Path, "https://mcp.example/mcp2", OTHER, OTHER),
        (mcp, Path, "https://mcp.example/MCP", OTHER, OTHER),
        (mcp, Path, "https://mcp.example/mcp/child", OTHER, OTHER),
        (mcp, Path, "https://mcp.example//", OTHER, OTHER),
        (mcp, Path, "https://mcp.example/mcp#x", BAD, BAD),
        (mcp, Path, "https://mcp.example/mcp?x", BAD, BAD),
        (mcp, Path, "https://user@mcp.example/mcp", BAD, BAD),
        (mcp, Path, "https://mcp.example/x/../mcp", BAD, BAD),
        (mcp, Path, "mcp.example", BAD, BAD),
        (mcp, Path, "", BAD, BAD),
        (tenant, Path, "https://host.example/tenant-b/mcp", OTHER, OTHER),
        (tenant, Path, "https://host.example/tenant-a", PARENT, OTHER),
        ("https://h.example/api2", Path, "https://h.example/api", OTHER, OTHER),
        ("https://h.example/mcp/", PathWithoutSlash, "https://h.example/mcp", EXACT, EXACT),
        ("https://h.example/mcp/", Path, "https://h.example/mcp", PARENT, OTHER),
        ("https://h.example", Root, "https://h.example/", EXACT, EXACT),
        ("https://h.example/mcp?t=1", Path, "https://h.example/mcp?t=1", EXACT, EXACT),
        ("https://h.example/mcp?t=1", Path, "https://h.example/mcp", PARENT, OTHER),
        ("https://h.example/mcp?t=1", Path, "https://h.example/mcp?t=2", BAD, BAD),
    ] {
        let mcp = McpUrl::parse(mcp, &[], false).unwrap();
        for (mode, expected) in [(false, standard), (true, strict)] {
            let found = match check_resource(resource, &mcp, place, mode) {
                Ok(Match::Exact) => EXACT,
                Ok(Match::Parent) => PARENT,
                Err(failure) => failure.kind().code(),
            };
            assert_eq!(found, expected, "{resource:?} for {mcp:?}, strict: {mode}");
        }
    }
}
