//! Words that are planted wherever somebody could have put a secret: none of them is in a trace.

use http::Method;
use mcp_authz_core::Config;
use mcp_authz_core::config::{ClientMetadata, ConfigBuilder, PreRegistered};
use mcp_authz_core::effect::RecordKind;
use mcp_authz_core::secret::Secret;
use mcp_authz_tests::sim::Sim;
use serde_json::{Value, json};

use crate::recorded::{Camera, faults};

/// The word that is planted, in any case, and the number.
const WORD: &str = "kanari";
const NUMBER: &str = "8675309";

const MCP: &str = "https://kanari1.example/kanari2/8675309/mcp?kanari3=kanari4";
const RESOURCE: &str = "https://kanari1.example/.well-known/oauth-protected-resource/kanari2/8675309/mcp?kanari3=kanari4";
const ISSUER: &str = "https://kanari5.example/kanari6";
const METADATA: &str = "https://kanari5.example/.well-known/oauth-authorization-server/kanari6";

/// A configuration with the word in every setting.
fn config(_: ConfigBuilder) -> ConfigBuilder {
    let metadata = ClientMetadata {
        client_name: "Kanari name".to_owned(),
        client_uri: Some("https://kanari.example/kanari".to_owned()),
        contacts: vec!["kanari@kanari.example".to_owned()],
        software_id: Some("kanari-8675309".to_owned()),
        software_version: Some("kanari".to_owned()),
        ..ClientMetadata::default()
    };
    Config::builder(MCP)
        .account("kanari-account")
        .persistent(true)
        .client_metadata(metadata)
        .initial_access_token(Secret::new("kanari-initial"))
        .default_scopes(&["kanari:scope"])
        .token_prefix("/kanari/prefix")
        .authorization_parameter(ISSUER, "kanari_parameter", "kanari value")
        .danger()
        .allow_private_address("kanari.local")
        .allow_plain_http("kanari.host")
        .pin_issuer("https://kanari.example", "https://kanari.example/pin")
        .replace_resource("https://kanari.example", "https://kanari.example/other")
        .done()
}

/// The same with a client that another issuer knows.
fn known(builder: ConfigBuilder) -> ConfigBuilder {
    config(builder)
        .pre_registered(PreRegistered {
            issuer: Some("https://kanari.example".to_owned()),
            client_id: "kanari-client".to_owned(),
            secret: Some(Secret::new("kanari-secret")),
            method: None,
        })
        .prefer_issuer("https://kanari.example/kanari")
}

/// A document with members that nobody knows, at several depths.
fn with_unknown(mut document: Value) -> Value {
    document["kanari_member"] = json!("kanari");
    document["x"] =
        json!({"kanari": ["kanari", 8_675_309, {"expires": "kanari"}], "id": 8_675_309});
    document
}

/// Answers a request with a document and with fields that nobody knows.
fn answer(sim: &mut Sim, method: Method, url: &str, status: u16, document: Value) {
    let fields = [
        ("content-type", "application/json; charset=kanari"),
        ("x-kanari", "kanari"),
        ("set-cookie", "kanari=8675309"),
        ("server", "kanari/8675309"),
        ("www-authenticate", "Kanari realm=\"kanari\", kanari=\"8675309\", Basic kanari=="),
    ];
    let body = with_unknown(document).to_string();
    sim.expect_call(method, url).respond(status, &fields, body.as_bytes());
}

fn discovers(sim: &mut Sim) {
    let resource = json!({
        "resource": MCP,
        "resource_name": "Kanari",
        "authorization_servers": [ISSUER],
        "scopes_supported": ["kanari:read", "offline_access"],
    });
    answer(sim, Method::GET, RESOURCE, 200, resource);
    let server = json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://kanari5.example/kanari/authorize?kanari=8675309",
        "token_endpoint": "https://kanari5.example/kanari/token",
        "registration_endpoint": "https://kanari5.example/kanari/register",
        "revocation_endpoint": "https://kanari5.example/kanari/revoke",
        "code_challenge_methods_supported": ["S256", "kanari"],
        "service_documentation": "https://kanari.example/kanari",
    });
    answer(sim, Method::GET, METADATA, 200, server);
}

fn tokens(number: u32) -> Value {
    json!({
        "access_token": format!("kanari.access/{number}"),
        "refresh_token": format!("kanari.refresh+{number}=="),
        "id_token": "kanari.kanari.kanari",
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "kanari:read kanari:more",
    })
}

/// A login, a refusal that leads to a refresh, refusals in words, and a log-out.
fn run() {
    let mut sim = Sim::by_hand(config);
    let waiter = sim.acquire("kanari:wanted");
    discovers(&mut sim);
    let client = json!({
        "client_id": "kanari/client",
        "client_secret": "kanari&secret",
        "client_id_issued_at": 8_675,
        "registration_access_token": "kanari-management",
        "registration_client_uri": "https://kanari5.example/kanari/8675309",
    });
    answer(&mut sim, Method::POST, "https://kanari5.example/kanari/register", 201, client);
    let visit = sim.expect_visit();
    visit.arrive_with(
        "code=kanari-code-8675309&iss=https%3A%2F%2Fkanari5.example%2Fkanari6&kanari=x",
    );
    answer(&mut sim, Method::POST, "https://kanari5.example/kanari/token", 200, tokens(1));
    sim.expect_granted(waiter);
    sim.arrive("https://kanari.example/kanari?state=kanari&error=kanari&error_description=kanari");
    sim.arrive_as(" kanari ".into());

    // Another process finds the records, to which a newer program has added something.
    for kind in [RecordKind::Binding, RecordKind::Client, RecordKind::Grant] {
        sim.store().change(kind, |record| *record = with_unknown(record.clone()));
    }
    sim.new_process(config);
    let waiter = sim.acquire_quietly("");
    sim.expect_granted(waiter);
    let said = "Bearer realm=\"kanari\", error=\"invalid_token\", error_description=\"kanari 8675309\", \
                kanari=kanari";
    let epoch = sim.published().map(|granted| granted.epoch());
    let waiter = sim.refused_with(epoch, 401, said, "tools/call kanari", false, false);
    let words =
        json!({"error": "kanari_error", "error_description": "Kanari said <kanari> 8675309"});
    answer(&mut sim, Method::POST, "https://kanari5.example/kanari/token", 400, words);
    let _failure = sim.failed(waiter);
    sim.restart();
    sim.forget();
    let page = b"<html><title>kanari</title><p class='kanari'>8675309 {\"kanari\": 8675309</p>";
    let revoke = sim.expect_call(Method::POST, "https://kanari5.example/kanari/revoke");
    revoke.respond(500, &[("content-type", "text/html"), ("retry-after", "kanari")], page);
}

/// A login that fails, and names the issuers.
fn run_known() {
    let mut sim = Sim::by_hand(known);
    let waiter = sim.acquire("");
    discovers(&mut sim);
    sim.expect_failed(waiter, "issuer_changed");
}

#[test]
fn no_planted_word_is_in_a_trace() {
    let traces = Camera::films(|| {
        run();
        run_known();
    });
    let lines: Vec<&String> = traces.iter().flatten().collect();
    assert!(lines.len() > 30, "the script came this far: {}", lines.len());
    for line in lines {
        let lower = line.to_lowercase();
        for planted in [WORD, NUMBER] {
            let at = lower.find(planted);
            let around = at.map(|at| lower.get(at.saturating_sub(200)..at + 20));
            assert!(at.is_none(), "{planted}: {around:?}");
        }
    }
    for trace in &traces {
        assert_eq!(faults(trace), Vec::<String>::new());
    }
}
