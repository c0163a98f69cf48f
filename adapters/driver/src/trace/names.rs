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
