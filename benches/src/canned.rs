//! The answers of an ordinary server in a login, as a real one writes them.

use http::{HeaderMap, HeaderValue, Response};

/// The MCP URL.
pub const MCP_URL: &str = "https://mcp.example.com/v1/mcp";

/// The refusal's `WWW-Authenticate`.
pub const CHALLENGE: &str = concat!(
    r#"Bearer error="invalid_token", error_description="Missing Authorization header", "#,
    r#"scope="files:read files:write", "#,
    r#"resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/v1/mcp""#,
);

/// RFC 9728.
pub const RESOURCE: &str = r#"{
  "resource": "https://mcp.example.com/v1/mcp",
  "authorization_servers": ["https://auth.example.com"],
  "scopes_supported": ["files:read", "files:write", "files:admin"],
  "bearer_methods_supported": ["header"],
  "resource_name": "Example files",
  "resource_documentation": "https://mcp.example.com/docs"
}"#;

/// RFC 8414.
pub const SERVER: &str = r#"{
  "issuer": "https://auth.example.com",
  "authorization_endpoint": "https://auth.example.com/oauth2/authorize",
  "token_endpoint": "https://auth.example.com/oauth2/token",
  "registration_endpoint": "https://auth.example.com/oauth2/register",
  "revocation_endpoint": "https://auth.example.com/oauth2/revoke",
  "jwks_uri": "https://auth.example.com/.well-known/jwks.json",
  "scopes_supported": ["openid", "profile", "email", "offline_access", "files:read", "files:write"],
  "response_types_supported": ["code"],
  "response_modes_supported": ["query", "form_post"],
  "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
  "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
  "code_challenge_methods_supported": ["S256"],
  "authorization_response_iss_parameter_supported": true,
  "service_documentation": "https://auth.example.com/docs"
}"#;

/// RFC 7591.
pub const REGISTRATION: &str = r#"{
  "client_id": "9f8a2c6e-52b0-4b5e-8f57-1c6d0a7f3b21",
  "client_id_issued_at": 1785542400,
  "client_name": "mcp-authz",
  "redirect_uris": ["http://127.0.0.1:51000/callback"],
  "grant_types": ["authorization_code", "refresh_token"],
  "response_types": ["code"],
  "token_endpoint_auth_method": "none",
  "application_type": "native"
}"#;

/// RFC 6749 §5.1.
pub const TOKENS: &str = r#"{
  "access_token": "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2F1dGguZXhhbXBsZS5jb20iLCJhdWQiOiJodHRwczovL21jcC5leGFtcGxlLmNvbS92MS9tY3AifQ.c2lnbmF0dXJl",
  "token_type": "Bearer",
  "expires_in": 3600,
  "refresh_token": "8xLOxBtZp8_8xLOxBtZp8_8xLOxBtZp8",
  "scope": "files:read files:write offline_access"
}"#;

/// The callback's query, but for `state`.
pub const CALLBACK: &str = "code=SplxlOBeZQQYbYS6WxSbIA&iss=https%3A%2F%2Fauth.example.com&state=";

/// The refusal's headers.
#[must_use]
pub fn challenge() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(1);
    headers.insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
    headers
}

/// A JSON answer.
///
/// # Panics
/// Never; the statuses are fixed.
#[must_use]
pub fn answer(status: u16, body: &str) -> Response<Vec<u8>> {
    Response::builder()
        .status(status)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.as_bytes().to_vec())
        .expect("a fixed answer")
}

/// The four answers of a login, in order.
#[must_use]
pub fn answers() -> [Response<Vec<u8>>; 4] {
    [answer(200, RESOURCE), answer(200, SERVER), answer(201, REGISTRATION), answer(200, TOKENS)]
}
