//! The list of what a trace keeps as it is. Everything that is not on it becomes a placeholder.

/// How the values of a member, a parameter or a header are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A placeholder of this kind.
    Hidden(&'static str),
    /// Words of people: each is a placeholder of its own, except those of the protocols.
    Words,
    /// A URL or a part of one, placeholder by placeholder.
    Url,
    /// A host, and its port if there is one.
    Host,
    /// A method of MCP, and the name of what it is about.
    Operation,
    /// Scopes, placeholder by placeholder.
    Scope,
    /// A word of the protocols is kept; any other is a placeholder of this kind.
    Word(&'static str),
    /// A number or a time is kept.
    Number,
    /// The account without a name is kept.
    Account,
    /// A document inside a document.
    Inner,
}

use Rule::{Account, Hidden, Host, Inner, Number, Operation, Scope, Url, Word, Words};

/// A placeholder for what nothing is known of.
pub(super) const UNKNOWN: Rule = Hidden("x");

/// The kinds of placeholders that stand for secrets of eight bytes and more. The core looks for such
/// secrets inside other texts, so they are looked for here, too.
pub(super) const SECRETS: [&str; 9] = [
    "access",
    "refresh",
    "code",
    "secret",
    "management",
    "initial",
    "state",
    "verifier",
    "challenge",
];

/// The members of documents, the parameters of forms and queries, and the attributes of challenges
/// that are kept by name.
pub(super) fn rule_of(name: &str) -> Option<Rule> {
    Some(match name {
        "access_token" | "access" => Hidden("access"),
        "refresh_token" | "refresh" => Hidden("refresh"),
        "id_token" | "id_token_hint" => Hidden("id-token"),
        "client_id" => Hidden("client"),
        "client_secret" | "secret" => Hidden("secret"),
        "registration_access_token" => Hidden("management"),
        "code" => Word("code"),
        "state" => Hidden("state"),
        "code_verifier" | "verifier" => Hidden("verifier"),
        "code_challenge" | "challenge" => Hidden("challenge"),
        "client_assertion" | "assertion" | "request" | "token" => Hidden("assertion"),
        "login" => Hidden("login"),
        "nonce" => Hidden("nonce"),
        "account" => Account,
        "client_name" | "program" | "resource_name" | "software_id" | "software_version" => {
            Hidden("name")
        }
        "contacts" | "login_hint" => Hidden("contact"),
        "realm" => Hidden("realm"),
        "operation" => Operation,
        "error_description" | "message" | "msg" | "detail" | "title" | "errorSummary"
        | "description" | "text" => Words,
        "host" | "proxied" => Host,
        _ if name.ends_with("_host") => Host,
        _ if URLS.contains(&name) => Url,
        _ if SCOPES.contains(&name) => Scope,
        _ if NUMBERS.contains(&name) => Number,
        _ if OUTER.contains(&name) => Inner,
        _ if CHOSEN.contains(&name) => Word("x"),
        _ if name.ends_with("_supported") => Word("x"),
        _ => return None,
    })
}

const URLS: &[&str] = &[
    "authorization_endpoint",
    "authorization_servers",
    "client_uri",
    "device_authorization_endpoint",
    "end_session_endpoint",
    "error_uri",
    "introspection_endpoint",
    "iss",
    "issuer",
    "jwks_uri",
    "listed",
    "logo_uri",
    "mcp_url",
    "op_policy_uri",
    "op_tos_uri",
    "path",
    "policy_uri",
    "previous_issuer",
    "protected_resources",
    "pushed_authorization_request_endpoint",
    "redirect_set",
    "redirect_uri",
    "redirect_uris",
    "registration_client_uri",
    "registration_endpoint",
    "resource",
    "resource_documentation",
    "resource_metadata",
    "resource_parameter",
    "resource_policy_uri",
    "resource_tos_uri",
    "revocation_endpoint",
    "service_documentation",
    "token_endpoint",
    "tos_uri",
    "uri",
    "url",
    "userinfo_endpoint",
];

const SCOPES: &[&str] = &[
    "challenged",
    "granted",
    "missing",
    "requested",
    "scope",
    "scopes",
    "scopes_supported",
    "unasked",
    "wanted",
];

const NUMBERS: &[&str] = &[
    "again_after",
    "client_id_issued_at",
    "client_secret_expires_at",
    "expires",
    "expires_in",
    "format",
    "generation",
    "interval",
    "lifetime",
    "port",
    "refresh_expires_in",
    "silent",
    "status",
];

/// Members that hold documents or lists of them.
const OUTER: &[&str] =
    &["credentials", "earlier", "errors", "management", "params", "result", "unknown"];

/// Members and parameters whose values are words of the protocols.
const CHOSEN: &[&str] = &[
    "access_type",
    "algorithm",
    "application_type",
    "audience",
    "class",
    "code_challenge_method",
    "display",
    "dpop_bound_access_tokens_required",
    "error",
    "errorCode",
    "error_code",
    "grant_type",
    "grant_types",
    "jsonrpc",
    "max_age",
    "method",
    "ok",
    "prompt",
    "rejected",
    "request_uri",
    "require_pushed_authorization_requests",
    "response_mode",
    "response_type",
    "response_types",
    "session_state",
    "stale",
    "success",
    "tls_client_certificate_bound_access_tokens",
    "token_endpoint_auth_method",
    "token_type",
    "token_type_hint",
    "type",
    "untyped",
    "way",
];

/// The headers that are kept by name, and how their values are treated.
pub(super) fn rule_of_header(name: &str) -> Option<Rule> {
    Some(match name {
        "location" => Url,
        "accept" | "accept-encoding" | "allow" | "cache-control" | "connection"
        | "content-encoding" | "content-type" | "mcp-method" | "transfer-encoding" | "vary" => {
            Word("x")
        }
        "age" | "content-length" | "date" | "expires" | "mcp-protocol-version" | "retry-after" => {
            Number
        }
        "authorization"
        | "content-security-policy"
        | "dpop-nonce"
        | "etag"
        | "link"
        | "mcp-name"
        | "mcp-session-id"
        | "pragma"
        | "server"
        | "set-cookie"
        | "strict-transport-security"
        | "user-agent"
        | "via"
        | "www-authenticate" => UNKNOWN,
        _ => return None,
    })
}

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
const WORDS: &[&str] = &[
    "0.0",
    "1.0",
    "2.0",
    "access_denied",
    "account_selection_required",
    "address",
    "application",
    "authorization_code",
    "authorization_pending",
    "basic",
    "bearer",
    "binding",
    "body",
    "br",
    "charset",
    "chunked",
    "client",
    "client_credentials",
    "client_secret_basic",
    "client_secret_jwt",
    "client_secret_post",
    "close",
    "code",
    "compress",
    "confidential",
    "consent",
    "consent_required",
    "default",
    "deflate",
    "delete",
    "device_code",
    "digest",
    "discover",
    "document",
    "dpop",
    "dynamic",
    "ed25519",
    "eddsa",
    "email",
    "es256",
    "es384",
    "es512",
    "event-stream",
    "event_stream",
    "expired_token",
    "false",
    "form",
    "form_post",
    "fragment",
    "get",
    "gzip",
    "header",
    "hs256",
    "html",
    "http",
    "https",
    "identity",
    "implicit",
    "initialize",
    "insufficient_scope",
    "insufficient_user_authentication",
    "interaction_required",
    "internal_error",
    "internal_server_error",
    "invalid_client",
    "invalid_client_metadata",
    "invalid_dpop_proof",
    "invalid_grant",
    "invalid_redirect_uri",
    "invalid_request",
    "invalid_request_uri",
    "invalid_scope",
    "invalid_software_statement",
    "invalid_target",
    "invalid_token",
    "javascript",
    "json",
    "jwt",
    "jwt-bearer",
    "keep-alive",
    "legacy",
    "login",
    "login_required",
    "mac",
    "max-age",
    "must-revalidate",
    "mutual",
    "native",
    "negotiate",
    "no-cache",
    "no-store",
    "none",
    "ntlm",
    "null",
    "offline",
    "offline_access",
    "online",
    "openid",
    "opaque",
    "other",
    "page",
    "pairwise",
    "password",
    "plain",
    "post",
    "pre_registered",
    "private_key_jwt",
    "problem",
    "profile",
    "ps256",
    "ps384",
    "ps512",
    "public",
    "put",
    "query",
    "rate_limited",
    "ratelimited",
    "refresh_token",
    "registered",
    "resource",
    "rs256",
    "rs384",
    "rs512",
    "s256",
    "select_account",
    "self_signed_tls_client_auth",
    "server",
    "server_error",
    "service_unavailable",
    "slow_down",
    "sse",
    "stored",
    "streamable-http",
    "temporarily_unavailable",
    "text",
    "tls_client_auth",
    "token",
    "token-exchange",
    "too_many_requests",
    "true",
    "unapproved_software_statement",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "unsupported_token_type",
    "urlencoded",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "use_dpop_nonce",
    "utf-8",
    "web",
    "www-form-urlencoded",
    "x-www-form-urlencoded",
    "xhtml",
    "xml", // Dates.
    "mon",
    "tue",
    "wed",
    "thu",
    "fri",
    "sat",
    "sun",
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
    "gmt", // Pages.
    "a",
    "doctype",
    "div",
    "h1",
    "h2",
    "head",
    "p",
    "script",
    "style",
    "title",
];

/// Segments of paths that the protocols define, or that say nothing of anybody.
pub(super) const SEGMENTS: &[&str] = &[
    ".well-known",
    "authorize",
    "callback",
    "cb",
    "mcp",
    "oauth-authorization-server",
    "oauth-protected-resource",
    "oauth2",
    "oauth",
    "openid-configuration",
    "register",
    "revoke",
    "sse",
    "token",
];

/// Labels of hosts that are special, wherever they stand (RFC 6761), and those of servers that the core
/// knows by their hosts.
pub(super) const LABELS: &[&str] = &[
    "amazonaws",
    "arpa",
    "cognito-idp",
    "com",
    "example",
    "home",
    "internal",
    "invalid",
    "local",
    "localhost",
    "login",
    "microsoftonline",
    "onion",
    "test",
];

/// Schemes of URLs.
pub(super) const SCHEMES: &[&str] =
    &["https", "http", "data", "file", "ftp", "javascript", "mailto", "urn", "ws", "wss"];

/// The methods of MCP, by which operations are named.
pub(super) const OPERATIONS: &[&str] = &[
    "completion/complete",
    "get",
    "delete",
    "post",
    "initialize",
    "logging/setLevel",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "server/discover",
    "tools/call",
    "tools/list",
];
