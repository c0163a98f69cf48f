use super::*;

const NAMES: [&str; 3] = ["a", "r", "t"];

fn read(body: &[u8]) -> Option<(String, bool, bool)> {
    let found = salvage(body, &NAMES)?;
    let text = |index: usize| match found.members.each(&NAMES)[index].value {
        Some(value) => value.text().map_or("?".to_owned(), |text| text.into_owned()),
        None => "-".to_owned(),
    };
    Some(((0..3).map(text).collect::<Vec<_>>().join(" "), found.whole, found.certain))
}

#[test]
fn one_wrong_byte_costs_one_member_host_320() {
    for (body, found, whole, certain) in [
        (&br#"{"a":"A","r":"R","t":"T"}"#[..], "A R T", true, true),
        (b"{\"a\":\"A\",\"r\":\"R\",\"t\":\"T\"}\0", "A R T", true, true),
        (b"{\"a\":\"A\",\"r\":\"R\",\"t\":\"T\"} {\"r\":\"N\"}", "A R T", true, true),
        (b"\xEF\xBB\xBF{\"a\":\"A\",\"x\":\"\xFF\",\"r\":\"R\"}", "A R -", true, true),
        (b")]}'\n{\"a\":\"A\",\"x\":\"\\ud800 \n\",\"r\":\"R\"}", "A R -", true, true),
        (br#"[{"a":"A"}]"#, "A - -", true, true),
        (br#"{"a":"A","a":"A","r":"R","r":"S","t":null,"t":"T"}"#, "A - -", true, true),
        (br#"{"a":"A","\u0061":"A"}"#, "A - -", true, true),
        (br#"{"a":"A","a":"\u0041"}"#, "A - -", true, true),
        (br#"{"x":{"r":"N"},"a":"A"}"#, "A - -", true, true),
        (br#"{"x":[{"r":"N"}],"a":"A"}"#, "A - -", true, true),
        (br#"{"x":{"r":"N"}"a":"A"}"#, "A - -", true, false),
        (br#"{"x":"{\"r\":\"N\"}","a":"A"}"#, "A - -", true, true),
        (br#"{"a":"A"},{"r":"N"}"#, "A - -", true, true),
        (b"{\"a\":\"A\"}\n\"done\",", "A - -", true, true),
        (br#"{"a":"A"}{"r":"N"}"#, "A - -", true, true),
        // One byte is wrong.
        (br#"{"a":"A";"r":"R","t":"T"}"#, "A R T", true, false),
        (br#"{"a":"A"}"r":"R","t":"T"}"#, "A R T", true, false),
        (br#"{"a":"A""r":"R","t":"T"}"#, "A R T", true, false),
        (br#"{"a":"A"{"r":"R","t":"T"}"#, "A R T", true, false),
        (br#"{"a":"A":"r":"R","t":"T"}"#, "A R T", true, false),
        (br#"{"x":","a":"A","r":"R"}"#, "A R -", true, false),
        (br#"{"x":{,"a":"A","r":"R"}"#, "A R -", true, false),
        (br#"{"x":[,"a":"A","r":"R"}"#, "A R -", true, false),
        (br#"{"x":},"a":"A","r":"R"}"#, "A R -", true, false),
        (br#"{"x:1,"a":"A","r":"R"}"#, "A R -", true, false),
        (br#"{"x":"y\","a":"A","r":"R"}"#, "A R -", true, false),
        (br#"{"x":"y;"a":"A","r":"R"}"#, "A R -", true, false),
        (br#"{"x":"{\"k\":1},"a":"A","r":"R"}"#, "A R -", true, false),
        (br#"x"a":"A","r":"R"}"#, "A R -", true, false),
        (br#"<{"a":"A","r":"R"}"#, "A R -", true, true),
        // The answer is cut, or its end is lost.
        (br#"{"a":"A","r":"R""#, "A R -", false, true),
        (br#"{"a":"A","r":"R"#, "A - -", false, false),
        (br#"{"a":"A","r":"R"]"#, "A R -", false, false),
    ] {
        let shown = String::from_utf8_lossy(body);
        assert_eq!(read(body), Some((found.to_owned(), whole, certain)), "{shown}");
    }
    for body in [
        &b"<html><script>x = {\"a\":\"A\"}</script>"[..],
        b"<?xml version=\"1.0\"?>{\"a\":\"A\"}",
        br#""{\"a\":\"A\"}""#,
        b"",
        b"\0\0",
        b"a=A&r=R",
        b"7",
    ] {
        assert_eq!(read(body), None, "{}", String::from_utf8_lossy(body));
    }
    let (opened, closed) = (r#"{"y":"#.repeat(40), "}".repeat(41));
    let deep = format!(r#"{{"x":{opened}{{"r":"N"{closed},"a":"A"}}"#);
    assert_eq!(read(deep.as_bytes()), Some(("A - -".to_owned(), true, true)));
    let endless = format!("{{\"a\":{}", "\\\"".repeat(60_000));
    assert!(read(endless.as_bytes()).is_some_and(|(_, whole, _)| !whole));
}
