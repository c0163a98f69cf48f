use std::borrow::Cow;

use super::*;

fn fault(body: &[u8]) -> Option<JsonFault> {
    read_members(body, &["a", "b"]).and_then(Members::unique).err()
}

#[test]
fn only_one_whole_object_is_read_disc_19_host_076_to_host_087() {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let inside = |levels: usize| format!("{{\"x\":{}}}", deep(levels));
    for (body, expected) in [
        ("{}", None),
        (" {\"a\" : 1 , \"b\":null}\r\n", None),
        ("{\"x\":1e999,\"y\":-0,\"z\":0.5E-7}", None),
        (&format!("{{\"x\":{}}}", "9".repeat(400)), None),
        (&inside(31), None),
        (&inside(32), Some(JsonFault::TooDeep)),
        (&deep(32), Some(JsonFault::NotAnObject)),
        (&deep(33), Some(JsonFault::TooDeep)),
        (&deep(100_000), Some(JsonFault::TooDeep)),
        (&"{\"a\":".repeat(100_000), Some(JsonFault::TooDeep)),
        ("[]", Some(JsonFault::NotAnObject)),
        ("\"x\"", Some(JsonFault::NotAnObject)),
        ("null", Some(JsonFault::NotAnObject)),
        ("1", Some(JsonFault::NotAnObject)),
        ("{\"a\":1,\"a\":1}", Some(JsonFault::Repeated)),
        ("{\"a\":null,\"\\u0061\":1}", Some(JsonFault::Repeated)),
        ("{\"x\":1,\"x\":2}", None),
        ("{\"a\":1,\"x\":{\"a\":2}}", None),
        ("", Some(JsonFault::Malformed)),
        ("{}x", Some(JsonFault::Malformed)),
        ("{}{}", Some(JsonFault::Malformed)),
        ("cb({})", Some(JsonFault::Malformed)),
        (")]}'{}", Some(JsonFault::Malformed)),
        ("{/**/}", Some(JsonFault::Malformed)),
        ("{\"a\":1,}", Some(JsonFault::Malformed)),
        ("{'a':1}", Some(JsonFault::Malformed)),
        ("{\"a\":\"\\ud800\"}", Some(JsonFault::Malformed)),
        ("{\"x\":\"\\udc00\\ud800\"}", Some(JsonFault::Malformed)),
        ("{\"a\":\"\n\"}", Some(JsonFault::Malformed)),
        ("{\"a\":\"\\x\"}", Some(JsonFault::Malformed)),
        ("{\"a\":01}", Some(JsonFault::Malformed)),
        ("{\"a\":[1 2]}", Some(JsonFault::Malformed)),
        ("{\"a\":[1,]}", Some(JsonFault::Malformed)),
        ("{\"x\":[{]}", Some(JsonFault::Malformed)),
        ("{\"x\":{\"y\":[}]}", Some(JsonFault::Malformed)),
        ("{\"a\":NaN}", Some(JsonFault::Malformed)),
    ] {
        let shown = body.get(..40).unwrap_or(body);
        assert_eq!(fault(body.as_bytes()), expected, "{shown}");
    }
    assert_eq!(fault(b"{\"x\":\"\xff\"}"), Some(JsonFault::Malformed));
}

#[test]
fn values_stay_in_place_and_null_is_absent_disc_19_host_079() {
    let body =
        br#"{"a":"x","b":["p","q\/\u00e9\ud83d\ude00",1,null,["r"],{"s":1}],"c":null,"d":-1.5e3,
        "e":true,"f":{"g":[{}]}}"#;
    let [a, b, c, d, e, f, g] = read_members(body, &["a", "b", "c", "d", "e", "f", "g"])
        .and_then(Members::unique)
        .unwrap()
        .values;
    assert!(matches!(a.and_then(Value::text), Some(Cow::Borrowed("x"))));
    let Some(Value::List(list)) = b else { panic!("{b:?}") };
    assert_eq!(list.iter().count(), 6);
    assert!(list.has_text("p") && list.has_text("q/é😀") && !list.has_text("r"));
    assert_eq!((c, g), (None, None));
    assert_eq!(d, Some(Value::Number("-1.5e3")));
    assert_eq!((e, f), (Some(Value::Bool(true)), Some(Value::Object("{\"g\":[{}]}"))));
}

#[test]
fn long_lists_are_flagged_and_cut_host_084() {
    let list = |length: usize| format!("{{\"a\":[{}]}}", vec!["1"; length].join(","));
    for (length, over) in [(0, false), (256, false), (257, true), (5000, true)] {
        let body = list(length);
        let [value] =
            read_members(body.as_bytes(), &["a"]).and_then(Members::unique).unwrap().values;
        let Some(Value::List(found)) = value else { panic!("{value:?}") };
        assert_eq!((found.over_limit(), found.iter().count()), (over, length.min(256)));
    }
}

/// The same verdict as the ordinary parser on random documents, but for the depth.
#[test]
fn agrees_with_the_ordinary_parser_sec_19() {
    const PIECES: [&str; 34] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"b\"",
        "\"\\n\"",
        "\"\\u0041\"",
        "\"\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"",
        "1",
        "-",
        "0",
        ".",
        "e",
        "E+1",
        "1.5",
        "true",
        "false",
        "null",
        " ",
        "\n",
        "x",
        "é",
        "\\",
        "{\"a\":",
        "\"b\":1",
        "[1,",
        "]}",
        "{}",
        "[]",
    ];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut whole = 0;
    for _ in 0..200_000 {
        let mut text = String::from("{\"a\":");
        for _ in 0..1 + (seed >> 40) % 6 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            text.push_str(PIECES[(seed >> 20) as usize % PIECES.len()]);
        }
        if !seed.is_multiple_of(3) {
            text.push('}');
        }
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        let ours = read_members(text.as_bytes(), &["a"]);
        whole += usize::from(theirs.is_ok());
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}");
    }
    assert!(whole > 1000, "{whole}");
}

#[test]
fn text_reads_as_the_ordinary_parser_does() {
    for text in [r#""a\"b\\c\/d\b\f\n\r\t""#, r#""\u00e9\u0000\uffff\ud83d\ude00x""#] {
        let body = format!("{{\"a\":{text}}}");
        let [value] =
            read_members(body.as_bytes(), &["a"]).and_then(Members::unique).unwrap().values;
        let theirs: String = serde_json::from_str(text).unwrap();
        assert_eq!(value.and_then(Value::text).as_deref(), Some(theirs.as_str()));
    }
}
