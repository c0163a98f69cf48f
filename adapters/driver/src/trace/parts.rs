//! The names and the words of our own snapshots. They are kept, or no snapshot could be read.

use mcp_authz_core::effect::Why;
use mcp_authz_core::failure::Kind;
use serde_json::Value;

/// Returns true for a name of a member.
pub(super) fn is_part(name: &str) -> bool {
    PARTS.contains(&name) || STATES.contains(&name)
}

/// Returns true for a word that names a state, a kind or a reason.
pub(super) fn is_state(text: &str) -> bool {
    let named = |text: &str| Value::from(text);
    STATES.contains(&text)
        || serde_json::from_value::<Kind>(named(text)).is_ok()
        || serde_json::from_value::<Why>(named(text)).is_ok()
}

#[rustfmt::skip]
const PARTS: &[&str] = &[
    "access_token", "account", "after", "again", "again_after", "ahead_after", "alone", "anew",
    "application_type", "approved", "arrivals", "aside", "ask", "asked", "at", "attempt",
    "attempts", "authorization_endpoint", "awaited", "background", "before", "binding", "body",
    "bound", "budget", "bytes", "candidate", "cause", "certainty", "challenged", "chance",
    "chosen", "claim", "class", "client", "client_documents", "client_id", "clients", "code",
    "code_flow", "conflicts", "course", "credentials", "custody", "declined", "description",
    "discovery", "discovery_ends", "done", "door", "dpop", "earlier", "emptied", "endpoint",
    "ends", "enrolled", "epoch", "error", "evidence", "expected", "expires", "failed", "failure",
    "floor", "forget_after", "forget_found", "format", "found", "fresh", "generation", "grant",
    "grant_types", "granted", "guess", "guessed", "held", "history", "holder", "hops", "host",
    "iss_promised", "issuer", "issuers", "kept", "key", "kind", "knocks", "last", "learnt",
    "leaving", "left", "legacy", "lifetime", "listed", "listen", "listener", "listing_only",
    "log_out", "login", "logins", "looking", "management", "mark", "marks", "mcp_url", "member",
    "memory", "met", "metadata", "method", "methods", "minted", "mono", "moved", "name", "nanos",
    "newer_than_published", "no_refresh", "not_offered", "on", "operation", "orphaned",
    "par_required", "parking", "parting", "path", "person", "phase", "pinned", "pkce", "place",
    "plan", "pointer", "port", "previous_issuer", "protected_resources", "proxy", "published",
    "reading", "reads", "recalled", "received", "record", "redirect", "redirect_set",
    "redirect_uri", "redirect_uris", "refresh", "refresh_token", "refreshed", "refusals",
    "refused", "refused_late", "registration", "registration_endpoint", "registration_host",
    "rejected", "replaces", "requested", "requests", "resource", "resource_parameter",
    "response_types", "restored", "revocation_endpoint", "revocation_host", "said", "saved",
    "scope", "scopes", "scopes_offline_access", "scopes_supported", "secret", "secs", "sent",
    "server", "set", "shown_metadata", "silent", "spend", "spent", "stage", "stale", "started",
    "state", "status", "step_ups", "task", "theirs", "then", "ticket", "to", "to_forget",
    "to_revoke", "token", "token_endpoint", "token_endpoint_auth_method", "token_host", "tried",
    "turn", "uncertain", "unclear", "unforgotten", "unknown", "unmarked", "unrenewable", "unsure",
    "until", "untold", "untrusted", "untyped", "uri", "url", "useless", "value", "verdict",
    "verifier", "waiting", "wall", "wanted", "way", "why", "withdraw", "word", "words", "writes",
    "written",
];

#[rustfmt::skip]
const STATES: &[&str] = &[
    "Anew", "Any", "Anything", "AskUser", "Asked", "Asking", "Authorization",
    "AuthorizationParameter", "Background", "Backoff", "Binding", "BodyTooLarge", "Busy", "Call",
    "Claim", "Claiming", "Client", "ClientAuthMethod", "ClientMetadata", "ClientName", "Code",
    "CodeExchange", "Cognito", "Configure", "Discovery", "Elsewhere", "Empty", "Endpoints",
    "Enrolling", "Entra", "Errand", "Exchanging", "Expired", "Finding", "First", "FirstRequest",
    "Forget", "Found", "GiveBack", "Given", "Grant", "InitialAccessToken", "Intend", "Intent",
    "IssuerPin", "IssuerSlash", "Lease", "Leave", "LegacyServers", "Listed", "Listen", "Listing",
    "Load", "Localhost", "Login", "LoginAnew", "Looking", "Loopback", "Lost", "Marking", "Member",
    "MissingGround", "MissingTokenType", "Moved", "Named", "Native", "Needed", "None", "Nothing",
    "Noting", "Nowhere", "OAuth", "OfLogin", "OpenId", "OpenIdInserted", "Other", "Over", "Page",
    "ParentResource", "Path", "PathWithoutSlash", "Pause", "Person", "PkceUnlisted", "Place",
    "PlainHttp", "Pointer", "Private", "PrivateAddress", "PrivateKeyJwt", "Proceed", "Public",
    "ReadAll", "Ready", "Recall", "Recorded", "Redirect", "Refresh", "RefreshTokens", "Refused",
    "Register", "RegisterScopes", "Registered", "Registration", "Rejecting", "Release", "Relist",
    "Report", "Resource", "ResourceMetadata", "ResourceParameter", "Retry", "Revocation",
    "Revoke", "Revoked", "Root", "Said", "Save", "SaveAgain", "Saved", "Saving", "SavingClient",
    "Second", "SecretBasic", "SecretPost", "Sending", "Sent", "Served", "Server",
    "ServerMetadata", "Sign", "Silent", "Spent", "SplitEndpoints", "Start", "StepUp",
    "StillListed", "Store", "StrictProxy", "Swap", "Timeout", "Token", "Tokens", "Unasked",
    "UnderWay", "UnexpectedSignal", "Unlisted", "UnlistedMethod", "UnlistedNone",
    "UnlockedRefresh", "Unsaved", "Useless", "V4", "V6", "Wanted", "Web", "WithoutS256",
    "document", "dynamic", "legacy", "pre_registered", "resource",
];
