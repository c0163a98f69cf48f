//! U3: no secret in anything that can be shown. The simulator looks at each effect, note,
//! settlement and failure of every script; here secrets are planted where servers can put them.

use core::error::Error;

use mcp_authz_core::config::PreRegistered;
use mcp_authz_core::failure::Failure;
use mcp_authz_core::input::Callback;
use mcp_authz_core::secret::Secret;
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::given::{
    approve, by_hand, discover, discover_with, exchange, kept, known_client, logged_in, refresh,
    register, resource, server, tokens, up_to_exchange,
};

/// Every way a failure can be shown, its sources included.
fn shown(failure: &Failure) -> String {
    let mut text = format!("{failure} {failure:?}");
    let mut source = failure.source();
    while let Some(inner) = source {
        text.push_str(&format!("{inner} {inner:?}"));
        source = inner.source();
    }
    text
}

/// Nothing that can be shown of the session holds this.
fn hides(sim: &Sim, secret: &str) {
    assert!(secret.len() > 8, "a secret to look for");
    let mut places =
        vec![format!("{:?}", sim.session()), format!("{:?}", sim.session().snapshot())];
    places.extend(sim.notes().iter().map(|note| format!("{note} {note:?}")));
    places.extend(sim.requests().iter().cloned());
    places.push(format!("{:?}", sim.published()));
    for place in places {
        assert!(!place.contains(secret), "{secret} is in {place}");
    }
}

scripts! {
    /// What we make ourselves: `state`, the verifier, the challenge.
    state_and_verifier_are_shown_nowhere_tok_18_host_300(sim = kept()) {
        let waiter = sim.acquire("");
        discover(sim);
        register(sim, "c1");
        let visit = sim.expect_visit();
        let (redirect, state) = visit.ours();
        let challenge = visit.param("code_challenge").unwrap();
        let debug = format!("{:?}", visit.visit());
        assert!(!debug.contains(&state) && !debug.contains(&challenge), "{debug}");
        hides(sim, &state);
        hides(sim, &challenge);
        sim.arrive(&format!("{redirect}?code=CODE-CANARY&state={state}"));
        let call = exchange(sim);
        let verifier = call.form("code_verifier").remove(0);
        hides_in(&format!("{call:?}"), &["CODE-CANARY"]);
        call.reply_json(200, &tokens(1, 60));
        sim.expect_granted(waiter);
        for secret in [state.as_str(), &verifier, "CODE-CANARY", "AT-CANARY-1", "RT-CANARY-1"] {
            hides(sim, secret);
        }
    }

    /// A server says back what it was sent.
    an_echo_of_our_refresh_token_is_cut_out_host_303_host_301(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire_quietly("");
        let said = json!({
            "error": "invalid_request",
            "error_description": "bad token RT-CANARY-1, token=RT-CANARY-1&x",
        });
        refresh(sim, 1).reply_json(400, &said);
        let failure = sim.expect_failed(caller, "reauthorization_required");
        let text = shown(&failure);
        assert!(!text.contains("RT-CANARY"), "{text}");
        assert!(text.contains("[redacted]"), "{text}");
    }

    an_echo_of_a_code_or_secret_is_cut_out_host_303_host_301(
        sim = Sim::by_hand(|config| config.pre_registered(known_client(Some("SECRET-CANARY"))))
    ) {
        let waiter = sim.acquire("");
        discover(sim);
        let call = approve(sim);
        let verifier = call.form("code_verifier").remove(0);
        let description = format!("CODE-CANARY {verifier} SECRET-CANARY");
        let said = json!({ "error": "invalid_grant", "error_description": description });
        call.reply_json(400, &said);
        let text = shown(&sim.expect_failed(waiter, "grant_rejected"));
        assert!(!text.contains("CANARY") && !text.contains(&verifier), "{text}");
    }

    /// Text of a server is one short line of plain characters.
    a_server_s_text_is_one_escaped_line_host_305_sec_10(sim = by_hand()) {
        let (waiter, call) = up_to_exchange(sim);
        let long = format!("ok\n2026-01-01 INFO granted\u{1b}[2J\u{202e}{}", "x".repeat(1 << 16));
        let said = json!({ "error": "invalid_scope", "error_description": long });
        call.reply_json(400, &said);
        let failure = sim.expect_failed(waiter, "server_error");
        let text = failure.to_string();
        assert!(text.len() < 2048 && text.bytes().all(|byte| (0x20..0x7F).contains(&byte)), "{text}");
    }

    /// No body of a metadata document is quoted.
    no_metadata_is_quoted_sec_10(sim = by_hand()) {
        let waiter = sim.acquire("");
        let call = sim.expect_call(http::Method::GET, crate::given::RESOURCE);
        call.respond(200, &[("content-type", "application/json")], b"{\"x\": \"BODY-CANARY\", }");
        let failure = sim.expect_failed(waiter, "json_malformed");
        assert!(!shown(&failure).contains("BODY-CANARY"));
    }

    /// Queries of URLs can hold anything: they are never shown.
    queries_are_never_shown_host_304(sim = by_hand()) {
        let waiter = sim.acquire("");
        let mut document = server();
        document["token_endpoint"] = json!("https://as.example/token?key=QUERY-CANARY");
        discover_with(sim, &resource(&[]), &document);
        register(sim, "c1");
        sim.expect_visit().arrive_with_code("");
        let call = sim.expect_call(
            http::Method::POST, "https://as.example/token?key=QUERY-CANARY");
        call.reply(404);
        let failure = sim.expect_failed(waiter, "server_error");
        assert!(!shown(&failure).contains("QUERY-CANARY"));
        hides(sim, "QUERY-CANARY");
    }

    /// A stranger's callback, and one of ours that breaks a rule.
    callbacks_are_never_shown_host_302(sim = by_hand()) {
        sim.acquire("");
        discover(sim);
        register(sim, "c1");
        let visit = sim.expect_visit();
        let (redirect, _) = visit.ours();
        sim.arrive(&format!("{redirect}?code=CODE-CANARY&state=STATE-CANARY"));
        sim.arrive_as(Callback::url("?state=STATE-CANARY&state=STATE-CANARY&code=CODE-CANARY"));
        hides(sim, "CODE-CANARY");
        hides(sim, "STATE-CANARY");
    }
}

fn hides_in(text: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

/// The public types that carry secrets into the session.
#[test]
fn inputs_hide_what_they_carry_host_300() {
    let client = PreRegistered {
        issuer: None,
        client_id: "c".to_owned(),
        secret: Some(Secret::new("SECRET-CANARY")),
        method: None,
    };
    let callback = Callback::url("https://127.0.0.1/?code=CODE-CANARY&state=STATE-CANARY");
    let bare = Callback::bare_code("CODE-CANARY");
    let config = mcp_authz_core::Config::builder("https://mcp.example/mcp")
        .pre_registered(client.clone())
        .initial_access_token(Secret::new("SECRET-CANARY"));
    let built = config.clone().build().unwrap();
    for text in [
        format!("{client:?}"),
        format!("{callback:?}"),
        format!("{bare:?}"),
        format!("{config:?}"),
        format!("{built:?}"),
    ] {
        assert!(!text.contains("CANARY"), "{text}");
    }
}
