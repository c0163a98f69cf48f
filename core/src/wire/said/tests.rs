use super::*;

fn read(body: &str) -> Words {
    Words::read(body.as_bytes(), &[&Secret::new("RT-CANARY")])
}

#[test]
fn what_is_said_in_any_shape_is_kept_tok_14_tok_90_host_218() {
    for (body, error, description, definite) in [
        (r#"{"error":"e","error_description":"d"}"#, Some("e"), Some("e: d"), true),
        (r#"{"error":"e"}"#, Some("e"), Some("e"), true),
        (r#"{"error":"e","message":"m"}"#, Some("e"), Some("e: m"), true),
        (
            r#"{"ok":false,"error":"invalid_refresh_token"}"#,
            Some("invalid_refresh_token"),
            Some("invalid_refresh_token"),
            true,
        ),
        (r#"{"ok":false}"#, None, Some(r#"{"ok":false}"#), true),
        (r#"{"message":"used already"}"#, None, Some("used already"), true),
        (r#"{"code":422,"error_code":"x","msg":"Already Used"}"#, None, Some("Already Used"), true),
        (r#"{"error":{"code":401,"message":"no"}}"#, None, Some("no"), true),
        (r#"{"error":{"message":{"detail":"deep"}}}"#, None, Some("deep"), true),
        (
            r#"{"type":"about:blank","title":"Gone","status":410,"detail":"It is gone"}"#,
            None,
            Some("It is gone"),
            true,
        ),
        (r#"{"title":"Gone"}"#, None, Some("Gone"), true),
        (r#"{"errorCode":"E1","errorSummary":"Sum"}"#, None, Some("Sum"), true),
        (
            r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#,
            None,
            Some("field required"),
            true,
        ),
        (r#"{"errors":["one","two"]}"#, None, Some("one"), true),
        (r#"[{"errorCode":"X","message":"expired"}]"#, None, Some("expired"), true),
        ("{\"error\":\"e\"}\0", Some("e"), Some("e"), true),
        (r#"{"error":"server_error"}"#, Some("server_error"), Some("server_error"), false),
        (r#"{"ok":false,"error":"ratelimited"}"#, Some("ratelimited"), Some("ratelimited"), false),
        (r#"{"error":{"type":"internal_error","message":"m"}}"#, None, Some("m"), false),
        (r#"{"errors":[{"code":"Service_Unavailable","message":"m"}]}"#, None, Some("m"), false),
        (r#"{"message":"m","code":"temporarily_unavailable"}"#, None, Some("m"), false),
        (r#"{"error":"use_dpop_nonce"}"#, Some("use_dpop_nonce"), Some("use_dpop_nonce"), false),
        (r#"{"error":"","message":""}"#, None, Some(r#"{"error":"","message":""}"#), false),
        ("{}", None, Some("{}"), false),
        ("[]", None, Some("[]"), false),
        ("7", None, Some("7"), false),
        ("", None, None, false),
        (
            "<html><head><title>Bad\n gateway</title><style>p{}</style><script>x<1</script>\
          </head><body class='x'>a < b</body></html>",
            None,
            Some("Bad gateway a < b"),
            false,
        ),
        ("no RT-CANARY\u{1b}[31m here", None, Some("no [redacted]\\u{1b}[31m here"), false),
        (r#"{"refresh_token":"RT"}"#, None, None, false),
        ("access_token=AT&scope=", None, None, false),
        ("{\"error\":", None, Some("{\"error\":"), false),
    ] {
        let words = read(body);
        assert_eq!((words.error.as_deref(), words.definite()), (error, definite), "{body}");
        assert_eq!(words.description(false, &[]).as_deref(), description, "{body}");
    }
    let registered = read(r#"{"error":"invalid_grant","error_description":"RT-CANARY is over"}"#);
    let text = registered.description(true, &[]);
    assert_eq!(text.as_deref(), Some("[redacted] is over"));
    let echoed = read(r#"{"error":"RT-CANARY"}"#).description(false, &[&Secret::new("RT-CANARY")]);
    assert_eq!(echoed.as_deref(), Some("[redacted]"));
    let long =
        format!(r#"{{"error":"{}\u001b","message":"{}"}}"#, "x".repeat(300), "y".repeat(400));
    let long = read(&long).description(false, &[]).unwrap();
    assert!(long.len() <= LONGEST_SHOWN && long.contains("x\\u{1b}: yyy"), "{long}");
    assert!(read(&"word ".repeat(9000)).description(false, &[]).unwrap().len() <= LONGEST_EXCERPT);
}
