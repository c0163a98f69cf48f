use std::sync::Arc;

use super::*;
use crate::failure::{Kind, Remedy};
use crate::time::Timestamp;
use crate::wire::client_auth::Method;
use crate::wire::url::tests::public;

fn sent(method: Method, secret: Option<&str>) -> Request<Vec<u8>> {
    let endpoint = ServerUrl::read("https://as.example/revoke", "revocation_endpoint", &public());
    let credentials =
        Credentials { client_id: Arc::from("c1"), secret: secret.map(Secret::new), method };
    let hint = TokenTypeHint::RefreshToken;
    revocation_request(&endpoint.unwrap(), &Secret::new("R+T"), hint, &credentials).unwrap()
}

#[test]
fn a_form_with_the_client_in_it_revk_01_revk_06() {
    let request = sent(Method::None, None);
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), "https://as.example/revoke");
    let body = "token=R%2BT&token_type_hint=refresh_token&client_id=c1";
    assert_eq!(request.body(), body.as_bytes());
    let request = sent(Method::SecretBasic, Some("s"));
    assert_eq!(request.headers()["authorization"], "Basic YzE6cw==");
    assert_eq!(request.body(), b"token=R%2BT&token_type_hint=refresh_token");
}

fn read(status: u16, body: &str, retry_after: Option<&str>) -> Result<(), Failure> {
    let mut response = Response::new(body.as_bytes().to_vec());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    if let Some(after) = retry_after {
        response.headers_mut().insert("retry-after", after.parse().unwrap());
    }
    let now = Timestamp::from_unix(1_800_000_000);
    read_revocation(
        &response,
        &TokenRules { strict: false, code: false, now, sent: &[], held: &[], spent: None },
    )
}

#[test]
fn two_hundred_is_done_whatever_it_says_revk_03() {
    for body in ["", "{}", "<html>", r#"{"error":"invalid_grant"}"#] {
        assert!(read(200, body, None).is_ok(), "{body}");
    }
}

#[test]
fn everything_else_is_not_revk_04() {
    for (status, body, after, kind) in [
        (503, "", Some("7"), Kind::Transient),
        (400, r#"{"error":"unsupported_token_type"}"#, None, Kind::ServerError),
        (401, r#"{"error":"invalid_client"}"#, None, Kind::ClientRejected),
        (302, "", None, Kind::RedirectRefused),
        (204, "", None, Kind::TokenResponseInvalid),
    ] {
        let failure = read(status, body, after).unwrap_err();
        assert_eq!(failure.kind(), kind, "{status}");
    }
    let failure = read(503, "", Some("7")).unwrap_err();
    let after = Some(core::time::Duration::from_secs(7));
    assert_eq!(failure.remedy(), Remedy::Retry { after });
    let failure = read(400, r#"{"error":"unsupported_token_type"}"#, None).unwrap_err();
    assert_eq!(failure.said().unwrap().error, "unsupported_token_type");
}
