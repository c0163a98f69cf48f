use super::*;

#[test]
fn a_secret_is_found_in_every_encoding_host_303_host_324() {
    let secret = Secret::new("s/C 1+\"&é");
    let secrets = [&secret];
    for (text, shown) in [
        ("a s/C 1+\"&é b", "a [redacted] b"),
        ("s%2FC%201%2B%22%26%C3%A9", "[redacted]"),
        ("s%2fC+1%2b%22%26%c3%a9", "[redacted]"),
        ("s\\/C 1+\\\"&é", "[redacted]"),
        ("s\\u002fC\\u00201+\"\\u0026é", "[redacted]"),
        ("s&#x2F;C&#32;1+&quot;&amp;é", "[redacted]"),
        ("xs/C 1+\"&ésecret s/C 1+\"&é", "x[redacted]secret [redacted]"),
        ("s/C 1+\"", "s/C 1+\""),
        ("S/C 1+\"&é", "S/C 1+\"&é"),
        ("s%2", "s%2"),
        ("", ""),
    ] {
        assert_eq!(redacted(text, &secrets), shown, "{text}");
        assert_eq!(echoes(text, secret.expose()), text != shown, "{text}");
    }
    assert_eq!(redacted("a", &[&Secret::new("")]), "a");
}

#[test]
fn a_short_secret_is_named_by_itself_alone_host_325() {
    let (short, long) = (Secret::new("mcp"), Secret::new("AT-CANARY-1"));
    let secrets = [&short, &long, &Secret::new("")];
    for (text, named) in [
        ("mcp", true),
        ("https://mcp.example/", false),
        ("x:AT-CANARY-1", true),
        ("https://x/AT%2dCANARY%2d1", true),
        ("", false),
    ] {
        assert_eq!(names_secret(text, &secrets), named, "{text}");
    }
    let scopes = ScopeSet::read("a mcp mcp:read AT-CANARY-1").unwrap();
    let kept = without_secrets(&scopes, &secrets).unwrap();
    assert_eq!(kept.as_str(), "a mcp:read");
    assert_eq!(without_secrets(&kept, &secrets), None);
}
