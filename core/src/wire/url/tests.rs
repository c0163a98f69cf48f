use super::*;

pub(in super::super) fn reach(mcp: &str) -> Reach {
    Reach::new(&McpUrl::parse(mcp, &[], false).unwrap(), Vec::new(), Vec::new(), false)
}

pub(in super::super) fn public() -> Reach {
    reach("https://mcp.example/mcp")
}

pub(in super::super) fn server_url(raw: &str) -> ServerUrl {
    ServerUrl::read(raw, "test", &public()).unwrap()
}

fn code(raw: &str, reach: &Reach) -> &'static str {
    match ServerUrl::read_endpoint(raw, "authorization_endpoint", reach) {
        Ok(url) => {
            assert_eq!(url.as_str(), raw);
            "ok"
        }
        Err(failure) => {
            assert!(failure.subject().unwrap().starts_with("authorization_endpoint"));
            failure.kind().code()
        }
    }
}

#[test]
fn raw_text_rule_sec_01_sec_04_asm_16_authz_07_host_001_to_host_030() {
    let reach = public();
    let longest = format!("https://as.example/{}", "a".repeat(LONGEST_URL - 19));
    let too_long = format!("{longest}a");
    for (raw, expected) in [
        ("javascript:alert(1)//", "url_scheme"),
        ("file:///payload.hta", "url_scheme"),
        ("FILE:///payload.hta", "url_scheme"),
        ("ms-msdt:/id", "url_scheme"),
        ("search-ms:query=x", "url_scheme"),
        ("smb://evil.example/s", "url_scheme"),
        ("vscode://x", "url_scheme"),
        ("view-source:https://as.example/", "url_scheme"),
        ("blob:https://as.example/1", "url_scheme"),
        ("data:text/html,x", "url_scheme"),
        ("vbscript:x", "url_scheme"),
        ("ftp://as.example/", "url_scheme"),
        ("ws://as.example/", "url_scheme"),
        ("\tjavascript:alert(1)", "url_malformed"),
        ("java\nscript:alert(1)", "url_malformed"),
        ("https://as.example/authorize\r\nX-Evil: 1", "url_malformed"),
        ("https://as.exam\tple/authorize", "url_malformed"),
        (" https://as.example/", "url_malformed"),
        ("https://as.example/ ", "url_malformed"),
        ("https://as.example/\0", "url_malformed"),
        ("https://as.example/\u{7f}", "url_malformed"),
        ("\u{a0}https://as.example/", "url_malformed"),
        ("\u{feff}https://as.example/", "url_malformed"),
        ("https://as.example\\@evil.example/authorize", "url_malformed"),
        ("https://evil.example\\@as.example/authorize", "url_malformed"),
        ("https://as.example@evil.example/authorize", "url_userinfo"),
        ("https://user:SECRET-CANARY@as.example/authorize", "url_userinfo"),
        ("https:evil.example/x", "url_malformed"),
        ("https:/evil.example/x", "url_malformed"),
        ("https:///evil.example/x", "url_malformed"),
        ("https://", "url_malformed"),
        ("//evil.example/x", "url_malformed"),
        ("/authorize", "url_malformed"),
        ("authorize", "url_malformed"),
        ("", "url_malformed"),
        ("http://as.example/authorize", "insecure_transport"),
        ("http://127.0.0.1:9/authorize", "insecure_transport"),
        ("http://localhost:9/authorize", "insecure_transport"),
        ("https://as.example/authorize#x", "url_fragment"),
        ("https://as.example/authorize#", "url_fragment"),
        ("https://as.example/authorize?tenant=t1", "ok"),
        ("https://as.example/authorize", "ok"),
        ("https://as.example:443/authorize", "ok"),
        ("HTTPS://AS.example/authorize", "ok"),
        ("https://as.example", "ok"),
        ("https://as.example?tenant=1", "ok"),
        ("https://as_1.example/", "ok"),
        ("https://a..b/x", "url_host"),
        ("https://.as.example/x", "url_host"),
        ("https://as.example../x", "url_host"),
        ("https://$(calc)/x", "url_host"),
        ("https://a;b/x", "url_host"),
        ("https://a&b/x", "url_host"),
        ("https://a'b/x", "url_host"),
        ("https://as%2eexample/x", "url_host"),
        ("https://-oProxyCommand.example/x", "url_host"),
        ("https://as-.example/x", "url_host"),
        ("https://xn--a/x", "url_host"),
        ("https://\u{430}s.example/x", "url_malformed"),
        ("https://xn--s-7sb.example/x", "ok"),
        ("https://as.example:0/x", "url_port"),
        ("https://as.example:65536/x", "url_port"),
        ("https://as.example:0443/x", "url_not_canonical"),
        ("https://as.example:/x", "url_port"),
        ("https://as.example:4a/x", "url_port"),
        ("https://as.example:443:443/x", "url_port"),
        (too_long.as_str(), "url_too_long"),
        (longest.as_str(), "ok"),
        ("https://as.example/a/../token", "url_not_canonical"),
        ("https://as.example/%2e%2e/token", "url_not_canonical"),
        ("https://as.example/.%2E/token", "url_not_canonical"),
        ("https://as.example/./token", "url_not_canonical"),
        ("https://as.example/a/%2e", "url_not_canonical"),
        ("https://as.example/.../.well-known/%2e%2e%2e", "ok"),
        ("https://as.example/x?a='", "url_not_canonical"),
        ("https://as.example/authorize?x=$(calc)&calc.exe", "ok"),
        ("https://as.example/authorize?y=%USERPROFILE%", "url_malformed"),
        ("https://as.example/%zz", "url_malformed"),
        ("https://as.example/%", "url_malformed"),
        ("https://as.example/%4", "url_malformed"),
        ("https://[fe80::1%25eth0]/x", "url_malformed"),
        ("https://[::1", "url_malformed"),
        ("https://[v1.x]/", "url_malformed"),
        ("https://[::1]x/", "url_malformed"),
    ] {
        assert_eq!(code(raw, &reach), expected, "{raw:?}");
    }
}

#[test]
fn only_two_schemes_are_known_host_003() {
    let mut seed = 7u64;
    for _ in 0..50 {
        let name: String = (0..6)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'a' + (seed >> 33) as u8 % 26)
            })
            .collect();
        assert_eq!(code(&format!("{name}://as.example/"), &public()), "url_scheme");
    }
}

#[test]
fn the_plain_parser_would_have_accepted_it_host_005_host_006_host_008() {
    for raw in [
        "https://as.example/authorize\r\nX-Evil: 1",
        "https://as.exam\tple/authorize",
        " https://as.example/",
        "https://as.example\\@evil.example/authorize",
        "https://$(calc)/x",
        "https:evil.example/x",
    ] {
        assert!(url::Url::parse(raw).is_ok(), "{raw:?}");
        assert!(ServerUrl::read(raw, "test", &public()).is_err(), "{raw:?}");
    }
}

#[test]
fn reserved_names_are_compared_after_decoding_host_016_host_017_host_018() {
    for (query, expected) in [
        ("client_id=evil&redirect_uri=https://evil.example/cb", "url_reserved_query"),
        ("request_uri=https://evil.example/r", "url_reserved_query"),
        ("request=eyJ", "url_reserved_query"),
        ("response_mode=fragment", "url_reserved_query"),
        ("prompt=none", "url_reserved_query"),
        ("resource=https://evil.example", "url_reserved_query"),
        ("code_challenge_method=plain", "url_reserved_query"),
        ("%63lient_id=evil", "url_reserved_query"),
        ("tenant=t1&state", "url_reserved_query"),
        ("tenant=t1", "ok"),
        ("Client_Id=x", "ok"),
        ("x=client_id", "ok"),
        ("", "ok"),
    ] {
        let raw = format!("https://as.example/authorize?{query}");
        assert_eq!(code(&raw, &public()), expected, "{query}");
    }
    // Metadata addresses may be asked by resource.
    assert!(ServerUrl::read("https://as.example/prm?resource=x", "f", &public()).is_ok());
}

#[test]
fn errors_show_neither_password_nor_query_host_010_host_304_tok_18() {
    for raw in [
        "https://user:SECRET-CANARY@as.example/authorize",
        "https://10.0.0.1/x?token=SECRET-CANARY",
        "http://as.example/x?token=SECRET-CANARY",
        "https://as.example/x?token=SECRET-CANARY#x",
        "https://as.example/x?client_id=SECRET-CANARY",
    ] {
        let failure = ServerUrl::read_endpoint(raw, "field", &public()).unwrap_err();
        assert!(!format!("{failure} {failure:?}").contains("SECRET-CANARY"), "{raw}");
    }
    let url = server_url("https://as.example/x?token=SECRET-CANARY");
    assert_eq!(format!("{url:?}"), "ServerUrl(https://as.example/x)");
}

#[test]
fn private_addresses_are_refused_sec_05_host_032_to_host_036() {
    for (host, expected) in [
        ("10.0.0.1", "address_blocked"),
        ("172.16.0.1", "address_blocked"),
        ("192.168.0.1", "address_blocked"),
        ("100.64.0.1", "address_blocked"),
        ("127.0.0.1", "address_blocked"),
        ("0.0.0.0", "address_blocked"),
        ("192.0.2.1", "address_blocked"),
        ("198.18.0.1", "address_blocked"),
        ("224.0.0.1", "address_blocked"),
        ("240.0.0.1", "address_blocked"),
        ("255.255.255.255", "address_blocked"),
        ("169.254.169.254", "address_blocked"),
        ("[::]", "address_blocked"),
        ("[::1]", "address_blocked"),
        ("[fe80::1]", "address_blocked"),
        ("[fc00::1]", "address_blocked"),
        ("[ff02::1]", "address_blocked"),
        ("[2001:db8::1]", "address_blocked"),
        ("2130706433", "url_not_canonical"),
        ("0x7f.1", "url_not_canonical"),
        ("0177.0.0.1", "url_not_canonical"),
        ("127.1", "url_not_canonical"),
        ("1.2.3.999", "url_host"),
        ("[::ffff:127.0.0.1]", "url_not_canonical"),
        ("[::ffff:a9fe:a9fe]", "address_blocked"),
        ("[64:ff9b::7f00:1]", "address_blocked"),
        ("[2002:7f00:1::]", "address_blocked"),
        ("[::127.0.0.1]", "url_not_canonical"),
        ("[2001:0::1]", "url_not_canonical"),
        ("[64:ff9b::5db8:d822]", "ok"),
        ("93.184.216.34", "ok"),
        ("localhost", "address_blocked"),
        ("x.localhost", "address_blocked"),
        ("localhost.", "url_host"),
        ("metadata.google.internal", "address_blocked"),
        ("metadata", "address_blocked"),
        ("localhost.evil.example", "ok"),
    ] {
        assert_eq!(code(&format!("https://{host}/"), &public()), expected, "{host}");
    }
}

#[test]
fn pointers_to_private_addresses_name_the_rule_and_the_switch_www_14_host_031_host_032() {
    use crate::failure::Switch;
    let failure = |raw| ServerUrl::read(raw, "resource_metadata", &public()).unwrap_err();
    let plain = failure("http://169.254.169.254/latest/meta-data/");
    assert_eq!(
        (plain.kind(), plain.switches()),
        (Kind::InsecureTransport, &[Switch::PlainHttp][..])
    );
    let private = failure("https://10.0.0.9/");
    assert_eq!(private.kind(), Kind::AddressBlocked);
    assert_eq!(private.switches(), [Switch::PrivateAddress]);
    assert_eq!(private.subject(), Some("resource_metadata https://10.0.0.9/"));
    // No switch opens link-local (HOST-043).
    assert_eq!(failure("https://169.254.169.254/").switches(), []);
}

#[test]
fn loopback_may_name_loopback_sec_02_host_041_host_042() {
    let reach = reach("http://127.0.0.1:8080/mcp");
    for (raw, expected) in [
        ("http://127.0.0.1:9090", "ok"),
        ("http://localhost:9090/x", "ok"),
        ("http://[::1]:9090/x", "ok"),
        ("http://127.8.8.8/x", "ok"),
        ("http://10.0.0.1", "insecure_transport"),
        ("http://169.254.169.254", "insecure_transport"),
        ("http://as.example", "insecure_transport"),
        ("https://10.0.0.1", "address_blocked"),
        ("https://169.254.169.254", "address_blocked"),
        ("https://as.example", "ok"),
        ("http://localhost.evil.example/", "insecure_transport"),
        ("http://x.localhost/", "insecure_transport"),
    ] {
        assert_eq!(code(raw, &reach), expected, "{raw}");
    }
    let addresses = |raw| reach.addresses(&ServerUrl::read(raw, "f", &reach).unwrap());
    assert_eq!(addresses("http://127.0.0.1:8080/x"), Addresses::Any);
    assert_eq!(addresses("http://127.0.0.1:9090/x"), Addresses::Loopback);
    assert_eq!(addresses("https://as.example/x"), Addresses::Public);
}

#[test]
fn switches_open_one_host_each_sec_05_host_040_host_043() {
    let mcp = McpUrl::parse("https://10.0.0.4/mcp", &[], false).unwrap();
    let reach = |strict| {
        Reach::new(
            &mcp,
            vec!["plain.example".into()],
            vec!["10.0.0.9".into(), "169.254.169.254".into(), "auth.internal".into()],
            strict,
        )
    };
    for (raw, standard, strict) in [
        ("https://10.0.0.4/x", "ok", "ok"),
        ("https://10.0.0.4:444/x", "address_blocked", "address_blocked"),
        ("https://10.0.0.9", "ok", "address_blocked"),
        ("https://10.0.0.8", "address_blocked", "address_blocked"),
        ("https://169.254.169.254", "address_blocked", "address_blocked"),
        ("https://AUTH.internal", "ok", "address_blocked"),
        ("http://plain.example/x", "ok", "insecure_transport"),
        ("http://10.0.0.9/x", "insecure_transport", "insecure_transport"),
    ] {
        assert_eq!(code(raw, &reach(false)), standard, "{raw}");
        assert_eq!(code(raw, &reach(true)), strict, "{raw} strict");
    }
    let listed = ServerUrl::read("https://10.0.0.9", "f", &reach(false)).unwrap();
    assert_eq!(reach(false).addresses(&listed), Addresses::Private);
    assert_eq!(listed.recheck("f", &reach(true)).unwrap_err().switches(), []);
}

#[test]
fn the_persons_own_host_may_have_any_shape() {
    let reach = reach("https://mcp-.example./mcp");
    assert_eq!(code("https://mcp-.example./.well-known/x", &reach), "ok");
    assert_eq!(code("https://other-.example./x", &reach), "url_host");
}

#[test]
fn an_issuer_has_no_query_and_no_well_known_part_prm_09_host_114() {
    for (raw, expected) in [
        ("https://as.example", "ok"),
        ("https://as.example/t1/", "ok"),
        ("https://as.example/?x", "no_authorization_server"),
        ("https://as.example/#x", "url_fragment"),
        ("https://as.example/.well-known/oauth-authorization-server", "no_authorization_server"),
        ("https://as.example/t/%2ewell-known/x", "no_authorization_server"),
        ("https://as.example/.WELL-KNOWN", "no_authorization_server"),
        ("http://169.254.169.254", "insecure_transport"),
    ] {
        let read = ServerUrl::read_issuer(raw, "authorization_servers", &public());
        assert_eq!(read.err().map_or("ok", |failure| failure.kind().code()), expected, "{raw}");
    }
}

#[test]
fn redirects_stay_on_their_origin_sec_09_host_050_to_host_053() {
    let from = server_url("https://as.example/a/prm?x=1");
    let long = format!("/{}", "a".repeat(10 * 1024));
    for (location, expected) in [
        (vec!["https://as.example/other"], Ok("https://as.example/other")),
        (vec!["/other?y=2"], Ok("https://as.example/other?y=2")),
        (vec!["other"], Ok("https://as.example/a/other")),
        (vec!["../other"], Ok("https://as.example/other")),
        (vec!["https://evil.example/prm"], Err(Kind::CrossOriginRedirect)),
        (vec!["https://as.example:444/prm"], Err(Kind::CrossOriginRedirect)),
        (vec!["http://as.example/a/prm?x=1"], Err(Kind::CrossOriginRedirect)),
        (vec!["//evil.example/p"], Err(Kind::CrossOriginRedirect)),
        (vec!["https://as.example/a/../b"], Err(Kind::RedirectRefused)),
        (vec!["https://user@as.example/b"], Err(Kind::RedirectRefused)),
        (vec!["javascript:x"], Err(Kind::RedirectRefused)),
        (vec!["https:\\\\evil.example"], Err(Kind::RedirectRefused)),
        (vec!["/\\evil.example"], Err(Kind::RedirectRefused)),
        (vec![long.as_str()], Err(Kind::RedirectRefused)),
        (vec![""], Err(Kind::RedirectRefused)),
        (vec![], Err(Kind::RedirectRefused)),
        (vec!["/a", "/a"], Err(Kind::RedirectRefused)),
    ] {
        let mut headers = HeaderMap::new();
        for value in &location {
            headers.append(LOCATION, value.parse().unwrap());
        }
        let target = resolve_redirect(&from, &headers, &public());
        let found = target.as_ref().map(ServerUrl::as_str).map_err(Failure::kind);
        assert_eq!(found, expected, "{location:?}");
    }
}

#[test]
fn parts_are_where_the_ordinary_parser_finds_them() {
    for raw in [
        "https://as.example",
        "https://as.example/",
        "https://as.example?x",
        "https://as.example:8443/a/b?x=1&y",
        "https://93.184.216.34:1/a",
        "https://[2606:2800:220:1::1]:8443/a?",
        "HTTPS://AS.Example/A",
    ] {
        let ours = server_url(raw);
        let theirs = url::Url::parse(raw).unwrap();
        assert!(ours.host_str().eq_ignore_ascii_case(theirs.host_str().unwrap()));
        assert_eq!(Some(ours.port()), theirs.port_or_known_default());
        assert_eq!(if ours.path().is_empty() { "/" } else { ours.path() }, theirs.path());
        assert_eq!(ours.query(), theirs.query());
        assert_eq!(ours.uri().unwrap().host(), Some(ours.host_str()));
    }
}

/// Random texts from pieces that parsers fall over.
#[test]
fn accepted_text_survives_the_ordinary_parser_sec_03_sec_19() {
    const PIECES: [&str; 40] = [
        "https://",
        "http://",
        "HTTPS://",
        "as.example",
        "127.0.0.1",
        "0x7f",
        ".",
        "..",
        "/",
        "//",
        "?",
        "#",
        "@",
        ":",
        "443",
        "0",
        "%2e",
        "%2E",
        "%",
        "%zz",
        "%41",
        "\\",
        "\t",
        " ",
        "[",
        "]",
        "[::1]",
        "[2606:2800::1]",
        "xn--",
        "xn--s-7sb",
        "a",
        "-",
        "_",
        "'",
        "\"",
        "&",
        "=",
        "é",
        "|",
        "+",
    ];
    let reach = public();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut accepted = 0;
    for round in 0..60_000 {
        let mut raw = String::new();
        if round % 2 == 0 {
            raw.push_str("https://as.example");
        }
        for _ in 0..1 + seed % 7 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            raw.push_str(PIECES[(seed >> 20) as usize % PIECES.len()]);
        }
        let Ok(ours) = ServerUrl::read(&raw, "f", &reach) else { continue };
        accepted += 1;
        let parsed = url::Url::parse(&raw).unwrap();
        let scheme_end = "https://".len();
        let authority = ours.origin()[scheme_end..].to_ascii_lowercase();
        let path = if ours.path().is_empty() { "/" } else { ours.path() };
        let query = ours.query().map(|query| format!("?{query}")).unwrap_or_default();
        let authority = authority.strip_suffix(":443").unwrap_or(&authority);
        assert_eq!(parsed.as_str(), format!("https://{authority}{path}{query}"), "{raw:?}");
        assert!(ours.uri().is_ok(), "{raw:?}");
        let parts = Parts::read(&raw, reach.own_host()).unwrap();
        let (https, address) = (parts.https, parts.address);
        assert_eq!((ours.https(), ours.address()), (https, address), "{raw:?}");
        let kept: ServerUrl = serde_json::from_str(&serde_json::to_string(&ours).unwrap()).unwrap();
        assert_eq!(format!("{kept:?}"), format!("{ours:?}"));
    }
    assert!(accepted > 500, "{accepted}");
}
