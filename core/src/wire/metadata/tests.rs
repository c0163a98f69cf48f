use super::*;
use crate::failure::Remedy;
use crate::wire::url::tests::server_url;

fn answer(status: u16, fields: &[(&str, &str)], body: &[u8]) -> Response<Vec<u8>> {
    let mut response = Response::new(body.to_vec());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        response.headers_mut().append(name, value.parse().unwrap());
    }
    response
}

fn sort(status: u16, fields: &[(&str, &str)], body: &[u8]) -> String {
    match classify(&answer(status, fields, body), Timestamp::from_unix(0)) {
        Finding::Document(_) => "document".to_owned(),
        Finding::Absent(status) => format!("absent {status}"),
        Finding::Unrelated(status) => format!("unrelated {status}"),
        Finding::Redirect => "redirect".to_owned(),
        Finding::Transient { status, retry_after } => {
            format!("transient {status} {:?}", retry_after.map(|wait| wait.as_secs()))
        }
        Finding::Refused(failure) => failure.kind().code().to_owned(),
    }
}

#[test]
fn requests_carry_no_credentials_disc_12_disc_13_host_066() {
    let url = server_url("https://mcp.example/.well-known/oauth-protected-resource/mcp?x=1");
    let version = HeaderValue::from_static("2025-11-25");
    let request = metadata_request(&url, &version).unwrap();
    assert_eq!(request.method(), Method::GET);
    assert_eq!(request.uri().to_string(), url.as_str());
    assert_eq!(request.headers().len(), 3);
    assert_eq!(request.headers()[ACCEPT], "application/json");
    assert_eq!(request.headers()[ACCEPT_ENCODING], "identity");
    assert_eq!(request.headers()["mcp-protocol-version"], "2025-11-25");
    assert!(request.body().is_empty());
}

#[test]
fn answers_are_sorted_disc_09_prm_03_asm_06_host_057_to_host_067() {
    let json = ("content-type", "application/json");
    let html = ("content-type", "text/html");
    for (status, fields, body, expected) in [
        (200, vec![json], &b"{}"[..], "document"),
        (200, vec![("content-type", "Application/JSON; charset=utf-8")], b"{}", "document"),
        (200, vec![("content-type", "application/oauth+json")], b"{}", "document"),
        (200, vec![json], b"<html>", "document"),
        (200, vec![], b" {\"a\":1}", "document"),
        (200, vec![("content-type", "text/plain")], b"{}", "document"),
        (200, vec![html], b"<html>", "unrelated 200"),
        (200, vec![html], b"[]", "unrelated 200"),
        (200, vec![], b"", "unrelated 200"),
        (204, vec![], b"", "unrelated 204"),
        (206, vec![json], b"{}", "unrelated 206"),
        (301, vec![], b"", "redirect"),
        (307, vec![], b"", "redirect"),
        (400, vec![], b"", "absent 400"),
        (401, vec![], b"", "absent 401"),
        (404, vec![json], b"{}", "absent 404"),
        (410, vec![], b"", "absent 410"),
        (408, vec![], b"", "transient 408 None"),
        (429, vec![("retry-after", "7")], b"", "transient 429 Some(7)"),
        (500, vec![], b"{}", "transient 500 None"),
        (503, vec![("retry-after", "99999999999")], b"", "transient 503 Some(300)"),
        (200, vec![json, ("content-encoding", "gzip")], b"{}", "encoding_refused"),
        (200, vec![json, ("content-encoding", "gzip, gzip")], b"{}", "encoding_refused"),
        (200, vec![json, ("content-encoding", "br")], b"{}", "encoding_refused"),
        (200, vec![json, ("content-encoding", "x-unknown")], b"{}", "encoding_refused"),
        (200, vec![json, ("content-encoding", "identity")], b"{}", "document"),
        (999, vec![json], b"{}", "header_malformed"),
        (199, vec![json], b"{}", "header_malformed"),
    ] {
        assert_eq!(sort(status, &fields, body), expected, "{status} {fields:?}");
    }
    assert_eq!(Kind::Transient.remedy(), Remedy::Retry { after: None });
}
