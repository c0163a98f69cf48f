#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

use std::io;
use std::sync::{Arc, Mutex};

use mcp_authz_core::Config;

use super::mapping::Mapping;
use super::names::Rule;
use super::recording::Recording;
use super::replay::Replay;
use crate::ports::Recorder as _;

/// A mapping that has met a token.
fn mapping() -> Mapping {
    let mut mapping = Mapping::default();
    assert_eq!(
        mapping.by_rule(Rule::Hidden("access"), "token.of/twenty+bytes"),
        "access-1xxxxxxxxxxx/+"
    );
    mapping
}

/// The parts of a URL are mapped one by one, so that whatever is cut or joined is mapped alike.
#[test]
fn urls_keep_their_structure() {
    let mut mapping = Mapping::default();
    for (url, placeholder) in [
        ("https://mcp.Acme.io/v1/Tenant", "https://host-1.HOST-2.host-3/path-1/path-2"),
        ("https://mcp.acme.io/v1", "https://host-1.host-2.host-3/path-1"),
        (
            "https://mcp.acme.io/.well-known/oauth-protected-resource/v1",
            "https://host-1.host-2.host-3/.well-known/oauth-protected-resource/path-1",
        ),
        (
            "http://127.0.0.1:8080/token?key=abc&scope=a%20b",
            "http://127.0.0.1:8080/token?name-1=x-1&scope=scope-1%20scope-2",
        ),
        ("https://[::1]:1/../%2e%2E/a%2Fb;..", "https://[::1]:1/../%2e%2E/path-3%2F;.."),
        ("https://u:pw@localhost#end", "https://x-2:x-3@localhost#x-4"),
        ("HTTPS:\\\\ev\\a", "HTTPS:\\\\x-5\\scope-1"),
        ("https://0x7f.1/", "https://0x7f.1/"),
        ("https://b\u{fc}cher.example", "https://h\u{f6}st-intl-1.example"),
        ("https://xn--bcher-kva.example", "https://xn--hst-intl-1-ecb.example"),
    ] {
        assert_eq!(mapping.by_rule(Rule::Url, url), placeholder, "{url}");
    }
}

/// A text that has a secret in it has the placeholder in it, behind the same kind of escapes.
#[test]
fn secrets_are_found_in_other_texts() {
    let mut mapping = mapping();
    let placeholder = "access-1xxxxxxxxxxx/+";
    let text = mapping.by_rule(Rule::Scope, "read:token.of/twenty+bytes");
    assert!(text.ends_with(placeholder), "{text}");
    let text = mapping.by_rule(Rule::Hidden("x"), "a%2Dtoken.of/twenty%2Bbytes");
    assert!(text.contains("access%2D1xxxxxxxxxxx"), "{text}");
}

/// Names that are known stay, values do not, and what is broken stays broken in the same place.
#[test]
fn documents_are_mapped_where_they_stand() {
    let mut mapping = Mapping::default();
    for (document, placeholder) in [
        (
            r#"{"access_token" : "t", "expires_in":3600, "mine":[7,{"expires":8},9,true]}"#,
            r#"{"access_token" : "access-1", "expires_in":3600, "member-1":[1,{"expires":8},1,true]}"#,
        ),
        (
            r#"{"error":"invalid_grant","error_description":"No scope, Bob"}"#,
            r#"{"error":"invalid_grant","error_description":"x-1 scope, x-2"}"#,
        ),
        (
            r#"{"error":"my","scope":"a offline_access"}"#,
            r#"{"error":"x-3","scope":"scope-1 offline_access"}"#,
        ),
        (
            r#"{"issuer":"https:\/\/a.b\u0063","state":"s"#,
            r#"{"issuer":"https://host-1.host-2","state":"x-4"#,
        ),
        ("{\"code\":\"a\nb\"}", "{\"code\":\"scope-1\nx-5\"}"),
        ("<html><p>Bob", "<html><x-6>x-2"),
        (r#"{"a":"x"} tr"#, r#"{"scope-1":"x-7"} x-8"#),
    ] {
        let made = mapping.document(document.as_bytes());
        assert_eq!(String::from_utf8(made).unwrap(), placeholder, "{document}");
    }
    assert_eq!(mapping.document(b"{\"x\":\"\xFF\xFE\"}").last(), Some(&b'}'));
}

#[test]
fn challenges_keep_their_grammar() {
    let mut mapping = Mapping::default();
    for (field, placeholder) in [
        (
            r#"Bearer realm="Bob's", error="invalid_token", me="1", scope="a b""#,
            r#"Bearer realm="realm-1'", error="invalid_token", x-1="x-2", scope="scope-1 scope-2""#,
        ),
        ("You abc==, Basic", "x-3 x-4=x-5=, Basic"),
        (
            r#"Bearer resource_metadata=https://a.b/c, x="un"#,
            r#"Bearer resource_metadata=https://host-1.host-2/path-1, x-6="x-7"#,
        ),
        (r#"Bearer error="a\"b""#, r#"Bearer error="x-8\"""#),
    ] {
        assert_eq!(mapping.challenge(field), placeholder, "{field}");
    }
}

/// Whatever a server sends is mapped in a time that its length bounds, and on a small stack.
#[test]
fn hostile_texts_end() {
    let long = |piece: &str| piece.repeat(250_000 / piece.len());
    let pieces = [
        "\\\"",
        "\"",
        "\\",
        "/",
        "%25",
        "token.of/twenty+bytes",
        "{",
        "[\"a\":",
        "a.",
        "\"a\" ",
        "\u{e9}",
        "%2e",
    ];
    for piece in pieces {
        let text = long(piece);
        let mut mapping = mapping();
        assert!(!mapping.document(text.as_bytes()).is_empty());
        for rule in [Rule::Url, Rule::Scope, Rule::Words, Rule::Hidden("x"), Rule::Host] {
            let text = text.get(..100_000).unwrap_or(&text);
            assert!(!mapping.by_rule(rule, text).is_empty());
        }
        assert!(!mapping.challenge(text.get(..64_000).unwrap_or_default()).is_empty());
        assert!(!mapping.callback(text.get(..64_000).unwrap_or_default()).is_empty());
    }
}

/// No character of a person's writing is left, and those that nobody sees are.
#[test]
fn odd_characters_are_kept_by_kind() {
    let mut mapping = Mapping::default();
    let hidden = |mapping: &mut Mapping, text: &str| mapping.by_rule(Rule::Hidden("x"), text);
    assert_eq!(hidden(&mut mapping, " \u{1f99c} "), " x-1\u{e9} ");
    assert_eq!(hidden(&mut mapping, "a\u{202e}b\n\"c"), "x-2\u{202e}\n\"");
    assert_eq!(mapping.by_rule(Rule::Words, "\u{1f99c} hi"), "\u{e9} x-3");
}

/// Begins sessions until nothing more is recorded.
fn filled(limit: usize, fails: bool) -> Vec<String> {
    let lines = Arc::new(Mutex::new(Vec::<String>::new()));
    let written = Arc::clone(&lines);
    let write = move |line: &str| {
        let mut lines = written.lock().unwrap();
        if fails && lines.len() == 2 {
            return Err(io::Error::other("the disk is full"));
        }
        lines.push(line.to_owned());
        Ok(())
    };
    let recording = Recording::within(limit, "test", Box::new(write));
    let config = Config::builder("https://mcp.example/mcp").build().unwrap();
    for _ in 0..100 {
        drop(recording.begin(&config));
    }
    assert!(recording.stopped());
    lines.lock().unwrap().clone()
}

/// A trace that is full says so in its last line, and replays.
#[test]
fn a_trace_has_an_end() {
    let lines = filled(5_000, false);
    assert!(lines.iter().map(String::len).sum::<usize>() < 5_100);
    assert_eq!(lines.last().unwrap(), "{\"stopped\":\"limit\"}\n");
    let mut replay = Replay::new();
    let said: Vec<_> = lines.iter().map(|line| replay.line(line).unwrap().given).collect();
    assert!(said.last().unwrap().starts_with("nothing more was recorded"), "{said:?}");
    assert_eq!(filled(5_000, true).len(), 2);
}
