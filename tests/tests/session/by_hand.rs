//! The documents of an honest server, for scripts that answer by hand, and the steps of a login
//! that a script need not tell one by one.

use http::Method;
use mcp_authz_core::effect::Page;
use mcp_authz_core::input::WaiterId;
use mcp_authz_tests::sim::Sim;
use serde_json::{Value, json};

pub(crate) use crate::given::{METADATA as SERVER, REGISTER, RESOURCE, TOKEN, server};

/// Where the resource's metadata is looked for last.
pub(crate) const RESOURCE_ROOT: &str = "/.well-known/oauth-protected-resource";
/// Where the authorization server's metadata is looked for last.
pub(crate) const SERVER_OPENID: &str = "https://as.example/.well-known/openid-configuration";

/// A session with nothing configured but the MCP URL.
pub(crate) fn plain() -> Sim {
    Sim::by_hand(|config| config)
}

/// The resource's metadata.
pub(crate) fn resource() -> Value {
    crate::given::resource(&[])
}

/// The metadata of an authorization server whose endpoints are below its issuer.
pub(crate) fn server_at(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "registration_endpoint": format!("{issuer}/register"),
        "code_challenge_methods_supported": ["S256"],
    })
}

/// A document with other members; `null` stands for one that is not there.
pub(crate) fn with(mut document: Value, members: Value) -> Value {
    let (Value::Object(all), Value::Object(members)) = (&mut document, members) else {
        panic!("documents are objects");
    };
    all.extend(members);
    document
}

/// A token answer without a refresh token.
pub(crate) fn tokens() -> Value {
    json!({ "access_token": "AT-CANARY", "token_type": "Bearer", "expires_in": 3600 })
}

/// A token answer with one.
pub(crate) fn refreshable() -> Value {
    with(tokens(), json!({ "refresh_token": "RT-CANARY" }))
}

/// The resource's metadata is asked for and found.
#[track_caller]
pub(crate) fn listed(sim: &mut Sim) {
    sim.expect_call(Method::GET, RESOURCE).reply_json(200, &resource());
}

/// Both documents are asked for; the server's is this one.
#[track_caller]
pub(crate) fn discovered_as(sim: &mut Sim, server: &Value) {
    listed(sim);
    sim.expect_call(Method::GET, SERVER).reply_json(200, server);
}

/// Both documents are asked for and found.
#[track_caller]
pub(crate) fn discovered(sim: &mut Sim) {
    discovered_as(sim, &server());
}

/// The client registers and becomes `c1`.
#[track_caller]
pub(crate) fn registered(sim: &mut Sim) {
    sim.expect_call(Method::POST, REGISTER).reply_json(201, &json!({ "client_id": "c1" }));
}

/// A caller asks, and everything happens up to the page that the person sees.
#[track_caller]
pub(crate) fn asked(sim: &mut Sim) -> WaiterId {
    let waiter = sim.acquire("");
    discovered(sim);
    registered(sim);
    waiter
}

/// The person agrees, and the code is exchanged for these tokens.
#[track_caller]
pub(crate) fn agreed(sim: &mut Sim, waiter: WaiterId, tokens: &Value) {
    let arrival = sim.expect_visit().arrive_with_code("");
    sim.expect_call(Method::POST, TOKEN).reply_json(200, tokens);
    sim.expect_granted(waiter);
    sim.expect_page(arrival, Page::Authorized(sim.parties()));
}

/// Nothing was sent to this place, and nobody was shown a page.
#[track_caller]
pub(crate) fn untouched(sim: &mut Sim, host: &str) {
    let sent: Vec<&String> = sim.requests().iter().filter(|sent| sent.contains(host)).collect();
    assert!(sent.is_empty(), "sent there: {sent:?}");
    sim.expect_no_call();
    sim.expect_no_visit();
}
