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

/// Every text of up to six of these pieces is also searched from each of its characters.
#[test]
fn a_search_finds_the_first_place_of_all_host_303() {
    const PIECES: [&str; 9] = ["a", "b", "é", "%61", "%", "+", "\\u0061", "&#97;", "&amp;"];
    let slow = |text: &str, secret: &str| {
        text.char_indices().find_map(|(start, _)| {
            let length = repeats(&text.as_bytes()[start..], secret.as_bytes())?;
            text.is_char_boundary(start + length).then_some((start, start + length))
        })
    };
    let mut found = 0;
    for number in 0..PIECES.len().pow(5) {
        let mut text = String::new();
        let mut left = number;
        while left > 0 {
            text.push_str(PIECES[left % PIECES.len()]);
            left /= PIECES.len();
        }
        for secret in ["a", "ab", "éa", "a a", "&a"] {
            let place = find(&text, secret);
            found += usize::from(place.is_some());
            assert_eq!(place, slow(&text, secret), "{text} {secret}");
        }
    }
    assert!(found > 10_000, "{found}");
    assert_eq!(find("a", ""), None);
}
