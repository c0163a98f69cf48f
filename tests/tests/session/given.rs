//! What scripts begin with: a login by hand, with tokens the script chooses.

use http::Method;
use mcp_authz_core::config::PreRegistered;
use mcp_authz_core::failure::{Failure, Switch};
use mcp_authz_core::input::WaiterId;
use mcp_authz_core::secret::Secret;
use mcp_authz_tests::sim::{Asked, Sim};
use serde_json::{Value, json};

pub const METADATA: &str = "https://as.example/.well-known/oauth-authorization-server";
pub const REGISTER: &str = "https://as.example/register";
pub const TOKEN: &str = "https://as.example/token";
pub const RESOURCE: &str = "/.well-known/oauth-protected-resource/mcp";

/// The switches that a failure names.
pub fn switches(failure: &Failure) -> Vec<Switch> {
    failure.openings().map(|(switch, _)| switch).collect()
}

/// A session without a store.
pub fn by_hand() -> Sim {
    Sim::by_hand(|config| config)
}

/// A session with a store.
pub fn kept() -> Sim {
    Sim::by_hand(|config| config.persistent(true))
}

/// The metadata of the resource, with these scopes; none if there are none.
pub fn resource(scopes: &[&str]) -> Value {
    let mut document = json!({
        "resource": "https://mcp.example/mcp",
        "authorization_servers": ["https://as.example"],
    });
    if !scopes.is_empty() {
        document["scopes_supported"] = json!(scopes);
    }
    document
}

/// The metadata of the authorization server.
pub fn server() -> Value {
    json!({
        "issuer": "https://as.example",
        "authorization_endpoint": "https://as.example/authorize",
        "token_endpoint": TOKEN,
        "registration_endpoint": REGISTER,
        "code_challenge_methods_supported": ["S256"],
    })
}

/// The metadata with some members laid over it.
pub fn server_with(members: &Value) -> Value {
    let mut document = server();
    for (name, value) in members.as_object().into_iter().flatten() {
        document[name] = value.clone();
    }
    document
}

/// A token answer: the access and refresh tokens of this number, with this lifetime.
pub fn tokens(number: u32, life: u64) -> Value {
    json!({
        "access_token": format!("AT-CANARY-{number}"),
        "refresh_token": format!("RT-CANARY-{number}"),
        "token_type": "Bearer",
        "expires_in": life,
    })
}

/// A token answer without a refresh token.
pub fn access_only(number: u32, life: u64) -> Value {
    let mut answer = tokens(number, life);
    answer.as_object_mut().map(|members| members.remove("refresh_token"));
    answer
}

/// A client known beforehand.
pub fn known_client(secret: Option<&str>) -> PreRegistered {
    PreRegistered {
        issuer: Some("https://as.example".to_owned()),
        client_id: "known".to_owned(),
        secret: secret.map(Secret::new),
        method: None,
    }
}

/// Both documents are read.
#[track_caller]
pub fn discover(sim: &mut Sim) {
    discover_with(sim, &resource(&[]), &server());
}

/// Both documents are read, and say this.
#[track_caller]
pub fn discover_with(sim: &mut Sim, resource: &Value, server: &Value) {
    sim.expect_call(Method::GET, RESOURCE).reply_json(200, resource);
    sim.expect_call(Method::GET, METADATA).reply_json(200, server);
}

/// The client registers.
#[track_caller]
pub fn register(sim: &mut Sim, client_id: &str) {
    let call = sim.expect_call(Method::POST, REGISTER);
    call.reply_json(201, &json!({ "client_id": client_id }));
}

/// The person says yes, and the code goes to the token endpoint.
#[track_caller]
pub fn approve(sim: &mut Sim) -> Asked<'_> {
    sim.expect_visit().arrive_with_code("");
    exchange(sim)
}

/// The next request spends a code.
#[track_caller]
pub fn exchange(sim: &mut Sim) -> Asked<'_> {
    let call = sim.expect_call(Method::POST, TOKEN);
    assert_eq!(call.form("grant_type"), ["authorization_code"]);
    call
}

/// The next request spends the refresh token of this number.
#[track_caller]
pub fn refresh(sim: &mut Sim, number: u32) -> Asked<'_> {
    let call = sim.expect_call(Method::POST, TOKEN);
    assert_eq!(call.form("grant_type"), ["refresh_token"]);
    assert_eq!(call.form("refresh_token"), [format!("RT-CANARY-{number}")]);
    call
}

/// A first login for `files:read`, up to the code exchange.
#[track_caller]
pub fn up_to_exchange(sim: &mut Sim) -> (WaiterId, Asked<'_>) {
    let waiter = sim.acquire("files:read");
    discover(sim);
    register(sim, "c1");
    (waiter, approve(sim))
}

/// A first login for `files:read` that brings this.
#[track_caller]
pub fn logged_in(sim: &mut Sim, answer: &Value) {
    let (waiter, call) = up_to_exchange(sim);
    call.reply_json(200, answer);
    sim.expect_granted(waiter);
    assert_eq!(bearer(sim), held(answer));
}

/// The pause before the next attempt goes by. With restarts it is skipped when the attempt is
/// expected, so that its answer can be given to the process that sent it.
pub fn pause_until(sim: &mut Sim, second: u64) {
    if !sim.restarting() {
        sim.at(second);
    }
}

/// The token endpoint's refusal.
pub fn error(code: &str) -> Value {
    json!({ "error": code })
}

/// The access token that is published; empty if none is.
pub fn bearer(sim: &Sim) -> String {
    let published = sim.published().map(|granted| granted.access_token().expose().to_owned());
    published.unwrap_or_default()
}

/// The access token of this number.
pub fn at(number: u32) -> String {
    format!("AT-CANARY-{number}")
}

pub fn held(answer: &Value) -> String {
    answer["access_token"].as_str().unwrap_or_default().to_owned()
}

/// A session with a store whose switch lets it reach the authorization server over plain http.
pub fn kept_in_the_clear() -> Sim {
    Sim::by_hand(|config| config.persistent(true).danger().allow_plain_http("as.example").done())
}

/// A text with the URLs of that server.
pub fn in_the_clear(text: &str) -> String {
    text.replace("https://as.example", "http://as.example")
}

/// A first login there, up to the token request.
pub fn up_to_exchange_in_the_clear(sim: &mut Sim) -> (WaiterId, Asked<'_>) {
    let told = |document: &Value| {
        serde_json::from_str::<Value>(&in_the_clear(&document.to_string())).expect("it was JSON")
    };
    let waiter = sim.acquire("");
    sim.expect_call(Method::GET, RESOURCE).reply_json(200, &told(&resource(&[])));
    sim.expect_call(Method::GET, &in_the_clear(METADATA)).reply_json(200, &told(&server()));
    let call = sim.expect_call(Method::POST, &in_the_clear(REGISTER));
    call.reply_json(201, &json!({ "client_id": "c1" }));
    sim.expect_visit().arrive_with_code("");
    (waiter, sim.expect_call(Method::POST, &in_the_clear(TOKEN)))
}
