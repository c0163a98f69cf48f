use http::header::{ACCEPT, CONTENT_TYPE};

use super::*;
use crate::wire::client_auth::Credentials;
use crate::wire::client_auth::Method;
use crate::wire::url::tests::server_url;

fn rules() -> TokenRules<'static> {
    TokenRules {
        strict: false,
        code: true,
        now: Timestamp::from_unix(0),
        sent: &[],
        held: &[],
        spent: None,
    }
}

fn answer(status: u16, body: &str) -> Response<Vec<u8>> {
    let mut response = Response::new(body.as_bytes().to_vec());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    response
}

fn read(status: u16, body: &str) -> Result<Tokens, TokenRefusal> {
    read_tokens(&answer(status, body), &rules())
}

fn code(result: &Result<Tokens, TokenRefusal>) -> &'static str {
    result.as_ref().err().map_or("ok", |refusal| refusal.failure.kind().code())
}

fn granted(members: &str) -> Result<Tokens, TokenRefusal> {
    read(200, &format!("{{\"access_token\":\"AT\",\"token_type\":\"Bearer\"{members}}}"))
}

fn public_client() -> Credentials {
    Credentials { client_id: "c".into(), secret: None, method: Method::None }
}

#[test]
fn requests_tok_01_tok_02_ref_01_res_01_res_07_pkce_06_host_173() {
    let endpoint = server_url("https://as.example/token?tenant=1");
    let (one, two) = (Secret::new("c+d"), Secret::new("verifier"));
    let grant =
        GrantRequest::Code { code: &one, verifier: &two, redirect_uri: "http://127.0.0.1:5000/cb" };
    assert!(!format!("{grant:?}").contains("c+d"));
    let resource = Some("https://mcp.example/mcp");
    let request = token_request(&endpoint, grant, resource, &public_client()).unwrap();
    assert_eq!(request.method(), http::Method::POST);
    assert_eq!(request.uri().to_string(), "https://as.example/token?tenant=1");
    assert_eq!(request.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
    assert_eq!(request.headers()[ACCEPT], "application/json");
    assert_eq!(request.headers().len(), 2);
    assert_eq!(
        String::from_utf8(request.into_body()).unwrap(),
        "grant_type=authorization_code&code=c%2Bd&code_verifier=verifier\
         &redirect_uri=http%3A%2F%2F127.0.0.1%3A5000%2Fcb\
         &resource=https%3A%2F%2Fmcp.example%2Fmcp&client_id=c"
    );
    let refresh = GrantRequest::Refresh { refresh_token: &one, scope: None };
    let request = token_request(&endpoint, refresh, resource, &public_client()).unwrap();
    assert_eq!(
        String::from_utf8(request.into_body()).unwrap(),
        "grant_type=refresh_token&refresh_token=c%2Bd\
         &resource=https%3A%2F%2Fmcp.example%2Fmcp&client_id=c"
    );
    let scope = ScopeSet::read("a b").unwrap();
    let narrow = GrantRequest::Refresh { refresh_token: &one, scope: Some(&scope) };
    let basic = Credentials {
        client_id: "c".into(),
        secret: Some(Secret::new("s")),
        method: Method::SecretBasic,
    };
    let request = token_request(&endpoint, narrow, None, &basic).unwrap();
    assert!(request.headers()["authorization"].is_sensitive());
    assert_eq!(
        String::from_utf8(request.into_body()).unwrap(),
        "grant_type=refresh_token&refresh_token=c%2Bd&scope=a%20b"
    );
}

#[test]
fn statuses_tok_05_tok_06_tok_12_to_tok_15_host_047_to_host_061_host_216_to_host_219() {
    let good = r#"{"access_token":"AT","token_type":"Bearer"}"#;
    for (status, body, on_code, on_refresh) in [
        (200, good, "ok", "ok"),
        (201, good, "ok", "ok"),
        (200, "", "token_response_invalid", "outcome_unknown"),
        (200, "<html>", "json_malformed", "outcome_unknown"),
        (200, "{\"access_token\":", "json_malformed", "outcome_unknown"),
        (200, "[]", "token_response_invalid", "outcome_unknown"),
        (202, good, "ok", "ok"),
        (203, good, "ok", "ok"),
        (204, "", "token_response_invalid", "token_response_invalid"),
        (206, good, "token_response_invalid", "token_response_invalid"),
        (304, "", "token_response_invalid", "token_response_invalid"),
        (301, "", "redirect_refused", "redirect_refused"),
        (307, good, "redirect_refused", "redirect_refused"),
        (308, "", "redirect_refused", "redirect_refused"),
        (200, r#"{"error":"invalid_grant"}"#, "grant_rejected", "grant_rejected"),
        (400, r#"{"error":"invalid_grant"}"#, "grant_rejected", "grant_rejected"),
        (401, r#"{"error":"invalid_client"}"#, "client_rejected", "client_rejected"),
        (400, r#"{"error":"unauthorized_client"}"#, "client_rejected", "client_rejected"),
        (400, r#"{"error":"invalid_scope"}"#, "server_error", "server_error"),
        (400, r#"{"error":"invalid_target"}"#, "server_error", "server_error"),
        (400, r#"{"error":"nobody_knows"}"#, "server_error", "server_error"),
        (400, r#"{"error":7}"#, "server_error", "server_error"),
        (400, "<html>", "server_error", "server_error"),
        (404, "", "server_error", "server_error"),
        (408, "", "outcome_unknown", "transient"),
        (429, "", "transient", "transient"),
        (500, "", "outcome_unknown", "transient"),
        (502, "<html>", "outcome_unknown", "transient"),
        (500, r#"{"error":"invalid_grant"}"#, "outcome_unknown", "transient"),
        (503, "", "transient", "transient"),
    ] {
        assert_eq!(code(&read(status, body)), on_code, "{status} {body}");
        let refresh = TokenRules { code: false, ..rules() };
        let found = read_tokens(&answer(status, body), &refresh);
        assert_eq!(code(&found), on_refresh, "{status} {body}");
    }
    let strict = TokenRules { strict: true, ..rules() };
    assert_eq!(code(&read_tokens(&answer(201, good), &strict)), "token_response_invalid");
    let mut waiting = answer(503, "");
    waiting.headers_mut().insert("retry-after", "7".parse().unwrap());
    let failure = read_tokens(&waiting, &rules()).unwrap_err().failure;
    assert_eq!(failure.remedy(), Remedy::Retry { after: Some(Duration::from_secs(7)) });
    let mut packed = answer(200, good);
    packed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    *packed.body_mut() = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xabV*".to_vec();
    assert_eq!(code(&read_tokens(&packed, &rules())), "encoding_refused");
}

/// The tokens are read, whatever else is wrong with the answer (D19).
#[test]
fn a_sloppy_answer_is_read_for_what_it_gives_host_320_ref_03_d19() {
    let good = r#""access_token":"AT","token_type":"Bearer","refresh_token":"RT""#;
    let deep = "[".repeat(40) + &"]".repeat(40);
    for (body, access, refresh) in [
        (format!("{{{good},\"x\":\"\\ud800\"}}"), Some("AT"), Some("RT")),
        (format!("{{{good},\"x\":\"a\nb\"}}"), Some("AT"), Some("RT")),
        (format!("{{{good}}}\0"), Some("AT"), Some("RT")),
        (format!("{{{good}}} done"), Some("AT"), Some("RT")),
        (format!("\u{feff}{{{good}}}"), Some("AT"), Some("RT")),
        (format!("{{\"x\":{deep},{good}}}"), Some("AT"), Some("RT")),
        (format!("{{{good},{good}}}"), Some("AT"), Some("RT")),
        (format!("{{{good},\"scope\":\"a\",\"scope\":\"b\"}}"), Some("AT"), Some("RT")),
        (format!("{{{good},\"refresh_token\":\"RU\"}}"), Some("AT"), None),
        (format!("{{{good},\"access_token\":\"AU\"}}"), None, Some("RT")),
        (format!("{{{good},\"token_type\":\"mac\"}}"), None, Some("RT")),
        (format!("{{{good},\"error\":\"x\",\"error\":\"\"}}"), None, Some("RT")),
        (format!("{{{good},\"error\":\"x\"}}\0"), None, Some("RT")),
        (format!("{{{good},\"error\":\"\"}}\0"), Some("AT"), Some("RT")),
        (format!("{{{good},\"x\":1"), None, Some("RT")),
        (format!("{{{good}"), None, Some("RT")),
        (format!("{{\"x\":{{{good}}}}}\0"), None, None),
        (format!("<script>{{{good}}}</script>"), None, None),
        // The type may be there, and cannot be read.
        (
            r#"{"access_token":"AT","token_type;"mac","refresh_token":"RT"}"#.into(),
            None,
            Some("RT"),
        ),
        (
            r#"{"access_token":"AT","token_type":"b\ud800","refresh_token":"RT"}"#.into(),
            None,
            Some("RT"),
        ),
        (
            r#"{"access_token":"AT","refresh_token":"RT","x":"\ud800"}"#.into(),
            Some("AT"),
            Some("RT"),
        ),
        // The token is a secret that we sent in another role.
        (
            r#"{"access_token":"SENT","token_type":"Bearer","refresh_token":"RT"}"#.into(),
            None,
            Some("RT"),
        ),
        (
            r#"{"access_token":"AT","token_type":"Bearer","refresh_token":"SENT"}"#.into(),
            Some("AT"),
            None,
        ),
        (
            r#"{"access_token":"OLD","token_type":"Bearer","refresh_token":"OLD"}"#.into(),
            None,
            Some("OLD"),
        ),
    ] {
        let (sent, old) = (Secret::new("SENT"), Secret::new("OLD"));
        for (code, strict) in [(false, false), (true, false), (false, true)] {
            let sent: &[&Secret] = &[&sent, &old];
            let rules = TokenRules { code, strict, sent, spent: Some(&old), ..rules() };
            let found = read_tokens(&answer(200, &body), &rules);
            let (kept, rescued) = match &found {
                Ok(tokens) => (Some(tokens), tokens.refresh_token.as_ref()),
                Err(refusal) => (refusal.granted.as_deref(), refusal.rescued.as_ref()),
            };
            let kept_access = kept.map(|tokens| tokens.access_token.expose());
            assert_eq!((kept_access, rescued.map(Secret::expose)), (access, refresh), "{body}");
            let noted = kept.is_none_or(|tokens| !tokens.notes.is_empty());
            assert!(noted, "{body}");
            assert!(!strict || found.is_err() || body.contains("SENT"), "{body}");
        }
    }
    for encoding in ["utf-8", "", "gzip"] {
        let mut odd = answer(200, &format!("{{{good}}}"));
        odd.headers_mut().insert("content-encoding", encoding.parse().unwrap());
        assert_eq!(code(&read_tokens(&odd, &rules())), "ok", "{encoding}");
    }
    let mut bytes = answer(202, &format!("{{{good},\"x\":\"?\"}}"));
    let at = bytes.body().iter().position(|byte| *byte == b'?').unwrap();
    bytes.body_mut()[at] = 0xff;
    let tokens = read_tokens(&bytes, &rules()).unwrap();
    assert_eq!((tokens.refresh_token, tokens.notes.len()), (Some(Secret::new("RT")), 2));
    assert_eq!(read_cut(&answer(200, &format!("{{{good},"))), Some(Secret::new("RT")));
    assert_eq!(read_cut(&answer(200, "{\"refresh_token\":\"R")), None);
    assert_eq!(read_cut(&answer(400, &format!("{{{good},"))), None);
}

#[test]
fn any_media_type_will_do_host_060() {
    let mut response = answer(200, r#"{"access_token":"AT","token_type":"Bearer"}"#);
    assert!(read_tokens(&response, &rules()).is_ok());
    response.headers_mut().insert(CONTENT_TYPE, "text/plain".parse().unwrap());
    assert!(read_tokens(&response, &rules()).is_ok());
}

#[test]
fn tokens_must_fit_a_header_tok_06_tok_10_tok_11_host_206_to_host_208_host_215_host_078() {
    let longest = format!("\"{}\"", "x".repeat(LONGEST_TOKEN));
    let too_long = format!("\"{}\"", "x".repeat(LONGEST_TOKEN + 1));
    for (token, expected) in [
        ("\"AT\"", "ok"),
        (longest.as_str(), "ok"),
        (too_long.as_str(), "token_malformed"),
        ("\"a\\r\\nb\"", "token_malformed"),
        ("\"a b\"", "token_malformed"),
        ("\"a\\u0000\"", "token_malformed"),
        ("\"a\\u007f\"", "token_malformed"),
        ("\"é\"", "token_malformed"),
        ("\"\"", "token_response_invalid"),
        ("7", "token_response_invalid"),
        ("null", "token_response_invalid"),
        ("[\"AT\"]", "token_response_invalid"),
        ("\"AT\",\"access_token\":\"BT\"", "json_duplicate_key"),
        ("\"AT\",\"error\":\"invalid_grant\"", "token_response_invalid"),
        ("\"AT\",\"error\":null", "ok"),
        ("\"AT\",\"error\":\"\"", "ok"),
    ] {
        // A rotated refresh token stands beside it, which is saved whatever else is wrong.
        let body = format!(
            "{{\"refresh_token\":\"RT\",\"token_type\":\"Bearer\",\"access_token\":{token}}}"
        );
        let found = read(200, &body);
        assert_eq!(code(&found), expected, "{}", &token[..token.len().min(40)]);
        let saved = match found {
            Ok(tokens) => tokens.refresh_token,
            Err(refusal) => refusal.rescued,
        };
        assert_eq!(saved, Some(Secret::new("RT")), "{}", &token[..token.len().min(40)]);
    }
}

#[test]
fn only_one_well_formed_refresh_token_of_a_success_is_rescued_ref_03_host_209_host_232() {
    for (status, body, rescued) in [
        (200, r#"{"refresh_token":"RT","token_type":"mac","access_token":"AT"}"#, Some("RT")),
        (200, r#"{"refresh_token":"RT"}"#, Some("RT")),
        (200, r#"{"refresh_token":"RT","error":"invalid_grant"}"#, Some("RT")),
        (200, r#"{"refresh_token":"RT","refresh_token":"RU","access_token":""}"#, None),
        (200, r#"{"refresh_token":"R T","access_token":""}"#, None),
        (200, r#"{"refresh_token":"RT","access_token":"#, Some("RT")),
        (400, r#"{"refresh_token":"RT","error":"invalid_grant"}"#, None),
    ] {
        let refusal = read(status, body).unwrap_err();
        assert_eq!(refusal.rescued, rescued.map(Secret::new), "{status} {body}");
        assert!(!format!("{refusal:?} {refusal}").contains("\"RT"), "{body}");
    }
}

#[test]
fn only_bearer_was_asked_for_tok_07_host_209_host_210_d7() {
    for (token_type, expected) in [
        ("\"Bearer\"", "ok"),
        ("\"bearer\"", "ok"),
        ("\"BEARER\"", "ok"),
        ("\"mac\"", "token_type_unsupported"),
        ("\"N_A\"", "token_type_unsupported"),
        ("\"Bearer \"", "token_type_unsupported"),
        ("\"dpop\"", "token_type_unsupported"),
        ("\"\"", "ok"),
        ("false", "token_type_unsupported"),
        ("7", "token_type_unsupported"),
        ("null", "ok"),
    ] {
        let body = format!("{{\"access_token\":\"AT\",\"token_type\":{token_type}}}");
        assert_eq!(code(&read(200, &body)), expected, "{token_type}");
    }
    let body = r#"{"access_token":"AT","refresh_token":"RT"}"#;
    let lenient = read(200, body).unwrap();
    assert!(!lenient.type_named);
    assert_eq!(lenient.notes[0].switches(), [Switch::MissingTokenType]);
    let strict = TokenRules { strict: true, ..rules() };
    let refusal = read_tokens(&answer(200, body), &strict).unwrap_err();
    assert_eq!(refusal.failure.kind(), Kind::TokenTypeUnsupported);
    let kept = refusal.granted.unwrap();
    assert_eq!(kept.access_token, AccessToken::new("AT"));
    assert_eq!(
        (refusal.rescued, kept.refresh_token),
        (Some(Secret::new("RT")), Some(Secret::new("RT")))
    );
}

#[test]
fn lifetimes_are_read_generously_tok_08_host_202_to_host_205() {
    let digits = "9".repeat(400);
    let year = 315_360_000;
    for (value, seconds) in [
        ("3600", Some(3600)),
        ("\"3600\"", Some(3600)),
        ("3600.0", Some(3600)),
        ("3600.9", Some(3600)),
        ("3.6e3", Some(3600)),
        ("-1", Some(0)),
        ("0", Some(0)),
        ("-0", Some(0)),
        ("315360001", Some(year)),
        ("18446744073709551615", Some(year)),
        ("18446744073709551616", Some(year)),
        ("1e30", Some(year)),
        ("1e999", Some(year)),
        (&digits, Some(year)),
        ("null", None),
        ("\"soon\"", None),
        ("\"\"", None),
        ("\"-1\"", None),
        ("{}", None),
        ("true", None),
        ("[]", None),
    ] {
        let tokens = granted(&format!(",\"expires_in\":{value}")).unwrap();
        assert_eq!(tokens.lifetime.map(|life| life.as_secs()), seconds, "{value}");
    }
    assert_eq!(granted("").unwrap().lifetime, None);
}

#[test]
fn scopes_are_never_a_reason_to_refuse_tok_19_scope_12_host_211_host_212() {
    let many: Vec<String> = (0..70).map(|i| format!("s{i}")).collect();
    let cut = many[..64].join(" ");
    for (value, expected, notes) in [
        ("\"read admin\"", Some("read admin"), 0),
        ("\"read,write\"", Some("read write"), 0),
        ("\"a,b c\"", Some("a,b c"), 0),
        ("[\"a\",\"b\"]", Some("a b"), 0),
        ("\"\"", None, 0),
        ("null", None, 0),
        ("7", None, 1),
        ("\"a b\\\"c d\"", Some("a d"), 1),
        (&format!("\"{}\"", many.join(" ")), Some(cut.as_str()), 1),
    ] {
        let tokens = granted(&format!(",\"scope\":{value}")).unwrap();
        assert_eq!(tokens.scope.as_ref().map(ScopeSet::as_str), expected, "{value}");
        assert_eq!(tokens.notes.len(), notes, "{value}");
    }
    assert_eq!(granted("").unwrap().scope, None);
}

#[test]
fn no_secret_becomes_a_scope_host_303() {
    let (sent, spaced) = (Secret::new("RT-CANARY-0123456789"), Secret::new("id CANARY/0123456789"));
    let short = Secret::new("read");
    let rules = TokenRules { sent: &[&sent, &spaced, &short], ..rules() };
    let issued = "AT-0123456789abcdef";
    for (scope, kept) in [
        ("a RT-CANARY-0123456789 b", false),
        ("xRT-CANARY-0123456789x", false),
        ("a id CANARY/0123456789", false),
        ("id%20CANARY%2F0123456789", false),
        ("a AT-0123456789abcdef", false),
        ("RT-0123456789abcdef", false),
        ("read RT-CANARY", true),
    ] {
        let body = format!(
            r#"{{"access_token":"{issued}","token_type":"Bearer","refresh_token":"RT-0123456789abcdef","scope":"{scope}"}}"#
        );
        let tokens = read_tokens(&answer(200, &body), &rules).unwrap();
        assert_eq!(tokens.scope.is_some(), kept, "{scope}");
        assert_eq!(tokens.notes.len(), usize::from(!kept), "{scope}");
        assert_eq!(tokens.access_token.expose(), issued);
    }
}

#[test]
fn a_bad_refresh_token_is_none_host_213() {
    for (value, expected, notes) in [
        ("\"RT\"", Some("RT"), 0),
        ("\"\"", None, 0),
        ("null", None, 0),
        ("\"a\\r\\nb\"", None, 1),
        ("7", None, 1),
    ] {
        let tokens = granted(&format!(",\"refresh_token\":{value}")).unwrap();
        assert_eq!(tokens.refresh_token, expected.map(Secret::new), "{value}");
        assert_eq!(tokens.notes.len(), notes, "{value}");
    }
}

#[test]
fn what_is_not_ours_is_neither_kept_nor_shown_tok_16_tok_18_host_214() {
    let vendor = ",\"id_token\":\"ID-CANARY\",\"vendor\":{\"x\":[\"VENDOR-CANARY\"]}";
    let tokens = granted(&format!("{vendor},\"refresh_token\":\"RT-CANARY\"")).unwrap();
    assert!(!format!("{tokens:?}").contains("CANARY"));
}

#[test]
fn access_tokens_are_opaque_res_10_host_220() {
    // {"alg":"none"} and {"iss":"https://evil.example","aud":"nobody","exp":1}
    let jwt = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2V2aWwuZXhhbXBsZSIsImF1ZCI6Im5vYm9keSIsImV4cCI6MX0.";
    let body = format!(r#"{{"access_token":"{jwt}","token_type":"Bearer","expires_in":60}}"#);
    let tokens = read_tokens(&answer(200, &body), &rules()).unwrap();
    assert_eq!(tokens.access_token.expose(), jwt);
    assert_eq!(tokens.lifetime, Some(Duration::from_secs(60)));
}

#[test]
fn refusals_in_other_words_are_told_and_told_apart_tok_13_tok_90_ref_90() {
    let slack = r#"{"ok":false,"error":"invalid_refresh_token"}"#;
    let supabase = r#"{"code":422,"message":"Invalid Refresh Token: Already Used"}"#;
    let message = "Invalid Refresh Token: Already Used";
    for (status, body, code, text, definite) in [
        (200, slack, "other", Some("invalid_refresh_token"), true),
        (200, r#"{"ok":false}"#, "other", Some(r#"{"ok":false}"#), true),
        (200, r#"{"error":{"message":"no"}}"#, "other", Some("no"), true),
        (422, supabase, "other", Some(message), true),
        (401, supabase, "other", Some(message), true),
        (403, r#"{"title":"no"}"#, "other", Some("no"), true),
        (400, r#"{"error":"invalid_scope"}"#, "invalid_scope", None, true),
        (404, r#"{"error":"invalid_request"}"#, "invalid_request", None, true),
        (410, r#"{"error":"invalid_client"}"#, "invalid_client", None, true),
        (400, r#"{"error":"server_error"}"#, "server_error", None, false),
        (400, r#"{"error":"temporarily_unavailable"}"#, "temporarily_unavailable", None, false),
        (400, r#"{"error":"use_dpop_nonce"}"#, "use_dpop_nonce", None, false),
        (200, r#"{"ok":false,"error":"ratelimited"}"#, "other", Some("ratelimited"), false),
        (409, supabase, "other", Some(message), false),
        (429, supabase, "other", Some(message), false),
        (500, supabase, "other", Some(message), false),
        (400, "<html><p>no</p>", "other", Some("no"), false),
        (502, "<html><title>Bad gateway</title>", "other", Some("Bad gateway"), false),
        (404, "", "other", None, false),
    ] {
        for code_sent in [true, false] {
            let rules = TokenRules { code: code_sent, ..rules() };
            let refusal = read_tokens(&answer(status, body), &rules).unwrap_err();
            assert_eq!(refusal.definite(), definite, "{status} {body}");
            let said = refusal.failure.said().unwrap();
            let found = (said.error.as_str(), said.description.as_deref(), said.status);
            assert_eq!(found, (code, text, Some(status)), "{status} {body}");
        }
    }
    let rotated = read(200, r#"{"refresh_token":"RT","error":"invalid_scope"}"#).unwrap_err();
    assert!(!rotated.definite() && rotated.rescued.is_some());
}

#[test]
fn errors_are_typed_and_never_echo_what_was_sent_tok_12_tok_18_host_218_host_303() {
    let (sent, spaced) = (Secret::new("RT-CANARY"), Secret::new("CODE CANARY/1"));
    let rules = TokenRules { sent: &[&sent, &spaced], ..rules() };
    let body = r#"{"error":"invalid_grant","error_description":"RT-CANARY CODE CANARY/1 CODE%20CANARY%2F1\n\u001b[31m"}"#;
    let refusal = read_tokens(&answer(400, body), &rules).unwrap_err();
    assert_eq!(refusal.error, Some(ErrorCode::InvalidGrant));
    assert!(!format!("{refusal:?} {refusal}").contains("CANARY"));
    let said = refusal.failure.said().unwrap();
    assert_eq!(said.status, Some(400));
    let shown = "[redacted] [redacted] [redacted]\\n\\u{1b}[31m";
    assert_eq!(said.description.as_deref(), Some(shown));
    let long = format!("{{\"error\":\"{}\\u001b\"}}", "x".repeat(300));
    let refusal = read(400, &long).unwrap_err();
    assert_eq!(refusal.error, Some(ErrorCode::Other));
    let said = refusal.failure.said().unwrap();
    assert_eq!(said.error, "other");
    assert_eq!(said.description.as_deref(), Some(&*format!("{}\\u{{1b}}", "x".repeat(300))));
    for code in [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "use_dpop_nonce",
        "invalid_dpop_proof",
        "authorization_pending",
        "slow_down",
        "expired_token",
        "access_denied",
        "insufficient_user_authentication",
    ] {
        let refusal = read(400, &format!("{{\"error\":\"{code}\"}}")).unwrap_err();
        assert_eq!(refusal.error.unwrap().name(), code);
    }
}
