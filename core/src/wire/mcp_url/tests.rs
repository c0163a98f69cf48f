use super::*;

#[test]
fn canonical_form_res_03_to_res_06_leg_01() {
    for (given, canonical, origin) in [
        ("HTTPS://MCP.Example.com:443/", "https://mcp.example.com", "https://mcp.example.com"),
        ("https://mcp.example", "https://mcp.example", "https://mcp.example"),
        ("https://mcp.example/mcp", "https://mcp.example/mcp", "https://mcp.example"),
        ("https://mcp.example/mcp/", "https://mcp.example/mcp/", "https://mcp.example"),
        ("https://mcp.example:8443/a", "https://mcp.example:8443/a", "https://mcp.example:8443"),
        ("https://mcp.example/mcp#x", "https://mcp.example/mcp", "https://mcp.example"),
        ("https://u:p@mcp.example/mcp", "https://mcp.example/mcp", "https://mcp.example"),
        ("https://mcp.example/mcp?t=1", "https://mcp.example/mcp?t=1", "https://mcp.example"),
        ("https://10.0.0.4/mcp", "https://10.0.0.4/mcp", "https://10.0.0.4"),
        ("http://[::1]:80/mcp", "http://[::1]/mcp", "http://[::1]"),
    ] {
        let url = McpUrl::parse(given, &[], false).unwrap();
        assert_eq!((url.canonical(), url.origin()), (canonical, origin), "{given}");
    }
}

#[test]
fn what_is_no_http_url_is_refused_res_06() {
    for bad in ["mcp.example.com", "", "/mcp", "file:///x", "ftp://h/", "https://", "mailto:x"] {
        let failure = McpUrl::parse(bad, &[], false).unwrap_err();
        assert_eq!(failure.kind(), Kind::ConfigInvalid, "{bad}");
    }
}

#[test]
fn a_missing_scheme_is_named_with_what_to_write_res_06() {
    let write = |url: &str| format!("the scheme is missing, write {url}");
    let no_url = "it is no URL, write https://HOST/PATH".to_owned();
    for (given, hint) in [
        ("localhost:8080/mcp", write("http://localhost:8080/mcp")),
        ("localhost", write("http://localhost")),
        ("127.0.0.1:8080/mcp", write("http://127.0.0.1:8080/mcp")),
        ("[::1]:8080/mcp", write("http://[::1]:8080/mcp")),
        ("mcp.example/mcp", write("https://mcp.example/mcp")),
        ("mcp.example:8443/mcp", write("https://mcp.example:8443/mcp")),
        ("intranet:8443/mcp", write("https://intranet:8443/mcp")),
        ("mcp.example/mcp?key=CANARY", write("https://mcp.example/mcp")),
        ("somebody:CANARY@mcp.example/mcp", no_url.clone()),
        ("mailto:CANARY", no_url.clone()),
        ("ftp://mcp.example/CANARY", "its scheme is ftp, write https".to_owned()),
        ("https://mcp.example:99999/CANARY", "its port is no number up to 65535".to_owned()),
        ("https:///", "it names no host, write https://HOST/PATH".to_owned()),
        ("/mcp", no_url.clone()),
        ("mcp", no_url),
        (" ", "the text is empty, write https://HOST/PATH".to_owned()),
    ] {
        let failure = McpUrl::parse(given, &[], false).unwrap_err();
        assert_eq!(failure.code(), "config_invalid", "{given}");
        assert_eq!(failure.hint(), Some(&*hint), "{given}");
        let said = format!("{failure}");
        assert!(said.ends_with(&hint), "{said}");
        assert!(!said.contains("CANARY"), "{said}");
    }
}

#[test]
fn plain_http_needs_loopback_or_a_switch_sec_01_use_06() {
    let switched = ["lan.example".into()];
    for (given, hosts, strict, fine) in [
        ("http://remote.example/mcp", &[][..], false, false),
        ("http://lan.example/mcp", &switched[..], false, true),
        ("http://lan.example/mcp", &switched[..], true, false),
        ("http://127.0.0.1:8080/mcp", &[][..], true, true),
        ("https://remote.example/mcp", &[][..], true, true),
    ] {
        let parsed = McpUrl::parse(given, hosts, strict);
        assert_eq!(parsed.is_ok(), fine, "{given}");
        if let Err(failure) = parsed {
            assert_eq!(failure.kind(), Kind::InsecureTransport);
            assert_eq!(failure.switches().is_empty(), strict);
        }
    }
}

#[test]
fn every_spelling_of_loopback_is_recognised_sec_03() {
    for (host, loopback) in [
        ("127.0.0.1", true),
        ("127.1", true),
        ("0x7f000001", true),
        ("2130706433", true),
        ("[::1]", true),
        ("[::ffff:127.0.0.1]", true),
        ("localhost", true),
        ("localhost.", true),
        ("LOCALHOST", true),
        ("localhost.evil.example", false),
        ("127.0.0.1.evil.example", false),
        ("10.0.0.1", false),
        ("[::2]", false),
    ] {
        let url = McpUrl::parse(&format!("https://{host}/mcp"), &[], false).unwrap();
        assert_eq!(url.is_loopback(), loopback, "{host}");
    }
}

#[test]
fn debug_shows_no_query_host_304() {
    let url = McpUrl::parse("https://mcp.example/mcp?key=SECRET-CANARY", &[], false).unwrap();
    assert_eq!(format!("{url:?}"), "McpUrl(https://mcp.example/mcp)");
}
