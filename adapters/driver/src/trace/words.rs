//! The words that a trace keeps as they are.

use super::names::{rule_of, rule_of_header};

/// Returns true for a word of the protocols, in any case.
pub(super) fn is_word(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    WORDS.contains(&lower.as_str())
        // The errors of one vendor have numbers, by which the core knows them.
        || lower.strip_prefix("aadsts").is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit()))
        || rule_of(&lower).is_some()
        || rule_of_header(&lower).is_some()
}

/// Values that the protocols define, parts of media types and of dates, and the tags of a page.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "0.0", "1.0", "2.0", "access_denied", "account_selection_required", "address",
    "application", "apr", "aug", "authorization_code", "authorization_pending", "basic", "bearer",
    "binding", "body", "br", "charset", "chunked", "client", "client_credentials",
    "client_secret_basic", "client_secret_jwt", "client_secret_post", "close", "code", "compress",
    "confidential", "consent", "consent_required", "dec", "default", "deflate", "delete",
    "device_code", "digest", "discover", "doctype", "document", "dpop", "dynamic",
    "ed25519", "eddsa", "email", "es256", "es384", "es512", "event-stream", "event_stream",
    "expired_token", "false", "feb", "form", "form_post", "fragment", "fri", "get", "gmt", "gzip",
    "header", "hs256", "html", "http", "https", "identity", "implicit",
    "initialize", "insufficient_scope", "insufficient_user_authentication",
    "interaction_required", "internal_error", "internal_server_error", "invalid_client",
    "invalid_client_metadata", "invalid_dpop_proof", "invalid_grant", "invalid_redirect_uri",
    "invalid_request", "invalid_request_uri", "invalid_scope", "invalid_software_statement",
    "invalid_target", "invalid_token", "jan", "javascript", "json", "jul", "jun", "jwt",
    "jwt-bearer", "keep-alive", "legacy", "login", "login_required", "mac", "mar", "max-age",
    "may", "mon", "must-revalidate", "mutual", "native", "negotiate", "no-cache", "no-store",
    "none", "nov", "ntlm", "null", "oct", "offline", "offline_access", "online", "opaque",
    "openid", "other", "page", "pairwise", "password", "plain", "post", "pre_registered",
    "private_key_jwt", "problem", "profile", "ps256", "ps384", "ps512", "public", "put", "query",
    "rate_limited", "ratelimited", "refresh_token", "registered", "resource", "rs256", "rs384",
    "rs512", "s256", "sat", "script", "select_account", "self_signed_tls_client_auth", "sep",
    "server", "server_error", "service_unavailable", "slow_down", "sse", "stored",
    "streamable-http", "style", "sun", "temporarily_unavailable", "text", "thu", "title",
    "tls_client_auth", "token", "token-exchange", "too_many_requests", "true", "tue",
    "unapproved_software_statement", "unauthorized_client", "unsupported_grant_type",
    "unsupported_response_type", "unsupported_token_type", "urlencoded",
    "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:token-exchange", "use_dpop_nonce", "utf-8", "web", "wed",
    "www-form-urlencoded", "x-www-form-urlencoded", "xhtml", "xml",
];

/// Segments of paths that the protocols define, or that say nothing of anybody.
#[rustfmt::skip]
pub(super) const SEGMENTS: &[&str] = &[
    ".well-known", "authorize", "callback", "cb", "mcp", "oauth-authorization-server",
    "oauth-protected-resource", "oauth2", "oauth", "openid-configuration", "register", "revoke",
    "sse", "token",
];

/// Labels of hosts that are special, wherever they stand (RFC 6761), and those of servers that the core
/// knows by their hosts.
#[rustfmt::skip]
pub(super) const LABELS: &[&str] = &[
    "amazonaws", "arpa", "cognito-idp", "com", "example", "home", "internal", "invalid", "local",
    "localhost", "login", "microsoftonline", "onion", "test",
];

/// Schemes of URLs.
#[rustfmt::skip]
pub(super) const SCHEMES: &[&str] = &[
    "https", "http", "data", "file", "ftp", "javascript", "mailto", "urn", "ws", "wss",
];

/// The methods of MCP, by which operations are named.
#[rustfmt::skip]
pub(super) const OPERATIONS: &[&str] = &[
    "completion/complete", "get", "delete", "post", "initialize", "logging/setLevel", "ping",
    "prompts/get", "prompts/list", "resources/list", "resources/read", "resources/subscribe",
    "resources/templates/list", "server/discover", "tools/call", "tools/list",
];
