//! U3: no secret in anything that can be shown. The simulator looks at each effect, note,
//! settlement and failure of every script; here secrets are planted where servers can put them.

use core::error::Error;

use mcp_authz_core::config::PreRegistered;
use mcp_authz_core::effect::Revoked;
use mcp_authz_core::failure::Failure;
use mcp_authz_core::input::Callback;
use mcp_authz_core::secret::Secret;
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::given::{
    approve, by_hand, discover, discover_with, exchange, kept, known_client, logged_in, refresh,
    register, resource, server, server_with, tokens, up_to_exchange,
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

    /// The token endpoint knows more of our secrets than those of this one request.
    an_echo_of_what_is_held_and_was_not_sent_is_cut_out_host_324(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire_quietly("");
        let said = json!({ "error": "invalid_request", "error_description": "was AT-CANARY-1" });
        refresh(sim, 1).reply_json(400, &said);
        let failure = sim.expect_failed(caller, "reauthorization_required");
        let text = shown(&failure);
        assert!(!text.contains("AT-CANARY") && text.contains("[redacted]"), "{text}");
    }

    a_held_token_named_as_a_granted_scope_is_not_kept_host_303(sim = by_hand()) {
        let mut first = tokens(1, 60);
        first["access_token"] = json!("AT-CANARY-of-a-usual-length");
        logged_in(sim, &first);
        let caller = sim.at(60).acquire("");
        let mut answer = tokens(2, 60);
        answer["scope"] = json!("files:read AT-CANARY-of-a-usual-length");
        refresh(sim, 1).reply_json(200, &answer);
        sim.expect_granted(caller);
        sim.expect_note("not used: scope, token_response_invalid [TOK-19]");
        hides(sim, "AT-CANARY-of-a-usual-length");
    }

    /// The refresh token goes first, and the answer to it names the access token that goes after it.
    an_echo_of_a_token_that_is_still_to_be_revoked_is_cut_out_host_324(sim = kept()) {
        let waiter = sim.acquire("");
        let mut offers = server();
        offers["revocation_endpoint"] = json!("https://as.example/revoke");
        discover_with(sim, &resource(&[]), &offers);
        register(sim, "c1");
        sim.expect_visit().arrive_with_code("");
        exchange(sim).reply_json(200, &tokens(1, 600));
        sim.expect_granted(waiter);
        sim.forget();
        let call = sim.expect_call(http::Method::POST, "https://as.example/revoke");
        let said = json!({ "error": "invalid_request", "error_description": "beside AT-CANARY-1" });
        call.reply_json(400, &said);
        let forgotten = sim.expect_call(http::Method::POST, "https://as.example/revoke");
        forgotten.reply(200);
        let [forgotten] = sim.forgotten() else { panic!("told: {:?}", sim.forgotten()) };
        let Revoked::Failed(failure) = &forgotten.revoked else { panic!("{forgotten:?}") };
        let text = shown(failure);
        assert!(!text.contains("AT-CANARY"), "{text}");
        // The server's words do not outlive a restart.
        assert!(failure.said().is_none() || text.contains("[redacted]"), "{text}");
    }

    /// Whoever has seen the URL of the page can say it back in the callback.
    a_callback_that_repeats_our_state_is_cut_host_324(sim = by_hand()) {
        for text in ["it was STATE, yes", "HEXED", "PADDED"] {
            let waiter = sim.acquire("");
            discover(sim);
            if text.starts_with("it") {
                register(sim, "c1");
            }
            let visit = sim.expect_visit();
            let (redirect, state) = visit.ours();
            let hexed: String = state.bytes().map(|byte| format!("%{byte:02x}")).collect();
            // What is cut off at the limit leaves no half of it.
            let padded = format!("{}{state}", "x".repeat(512 - 16));
            let said = text.replace("STATE", &state).replace("HEXED", &hexed);
            let said = said.replace("PADDED", &padded).replace('%', "%25").replace(' ', "+");
            let arrived = format!("error=access_denied&error_description={said}&state={state}");
            sim.arrive(&format!("{redirect}?{arrived}"));
            let text = shown(&sim.expect_failed(waiter, "authorization_denied"));
            assert!(text.contains("[redacted]"), "{text}");
            for secret in [&state[..16], &hexed] {
                assert!(!text.contains(secret), "{text}");
                hides(sim, secret);
            }
        }
    }

    /// A server that knows our tokens names them where the next request, or the page, would show them.
    a_token_named_as_a_scope_is_asked_of_nobody_host_325(sim = by_hand()) {
        logged_in(sim, &tokens(1, 600));
        let scope = "AT-CANARY-1 files:write x:RT-CANARY-1";
        let said = format!(
            "Bearer error=\"insufficient_scope\", scope=\"{scope}\", \
             resource_metadata=\"https://mcp.example/AT%2DCANARY%2D1\"");
        let waiter = sim.at(10).refused(403, &said);
        sim.expect_note("not used: scope, header_malformed [HOST-325]");
        sim.expect_note("not used: resource_metadata, header_malformed [HOST-325]");
        let listed = server_with(&json!({ "scopes_supported": ["RT-CANARY-1", "files:write"] }));
        discover_with(sim, &resource(&["AT-CANARY-1", "files:all"]), &listed);
        let visit = sim.expect_visit();
        assert_eq!(visit.param("scope").as_deref(), Some("files:read files:write"));
        visit.arrive_with_code("");
        exchange(sim).reply_json(200, &tokens(2, 600));
        sim.expect_granted(waiter);
        // The one before it is forgotten with the grant it was of; the newest counts.
        let waiter = sim.at(20).refused(403, "Bearer error=\"insufficient_scope\"");
        discover_with(sim, &resource(&["AT-CANARY-2", "files:all"]), &server());
        sim.expect_note("not used: scopes_supported, prm_invalid [HOST-325]");
        let visit = sim.expect_visit();
        let scopes = visit.param("scope");
        assert_eq!(scopes.as_deref(), Some("files:read files:write files:all"));
        visit.arrive_with_code("");
        exchange(sim).reply_json(200, &tokens(3, 600));
        sim.expect_granted(waiter);
    }

    a_token_in_a_pointer_is_sent_to_nobody_host_325(sim = by_hand()) {
        logged_in(sim, &tokens(1, 600));
        for pointer in [
            "https://mcp.example/RT-CANARY-1",
            "https://evil.example/?at=AT-CANARY-1",
            "http://evil.example/AT-CANARY-1",
        ] {
            let said = format!(
                "Bearer error=\"insufficient_scope\", resource_metadata=\"{pointer}\"");
            let waiter = sim.at(10).refused(403, &said);
            discover(sim);
            sim.expect_failed(waiter, "forbidden");
        }
    }

    a_token_in_a_listed_issuer_or_a_redirect_is_sent_to_nobody_host_325(sim = by_hand()) {
        logged_in(sim, &tokens(1, 600));
        let mut listing = resource(&[]);
        listing["authorization_servers"] =
            json!(["https://evil.example/AT-CANARY-1", "http://x/RT-CANARY-1", "https://as.example"]);
        let narrow = "Bearer error=\"insufficient_scope\", scope=\"more\"";
        let waiter = sim.at(10).refused(403, narrow);
        discover_with(sim, &listing, &server());
        let visit = sim.expect_visit();
        visit.arrive_with_code("");
        exchange(sim).reply_json(200, &tokens(2, 600));
        sim.expect_granted(waiter);
        let waiter = sim.at(20).refused(403, "Bearer error=\"insufficient_scope\", scope=\"x\"");
        let call = sim.expect_call(http::Method::GET, crate::given::RESOURCE);
        call.respond(302, &[("location", "https://mcp.example/AT-CANARY-2")], b"");
        sim.expect_failed(waiter, "redirect_refused");
        sim.expect_no_call();
    }

    /// The first request is answered by somebody who knows the client.
    a_client_secret_named_as_a_scope_is_asked_of_nobody_host_325(
        sim = Sim::by_hand(|config| config.pre_registered(known_client(Some("SECRET-CANARY"))))
    ) {
        let said = "Bearer scope=\"SECRET-CANARY a\", \
                    resource_metadata=\"https://mcp.example/?SECRET-CANARY\"";
        sim.refused(401, said);
        discover_with(sim, &resource(&["SECRET-CANARY"]), &server());
        assert_eq!(sim.expect_visit().param("scope").as_deref(), Some("a"));
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
fn inputs_hide_what_they_carry_host_300_host_326() {
    let client = PreRegistered {
        issuer: None,
        client_id: "c".to_owned(),
        secret: Some(Secret::new("SECRET-CANARY")),
        method: None,
    };
    let callback = Callback::url("https://127.0.0.1/?code=CODE-CANARY&state=STATE-CANARY");
    let bare = Callback::from("CODE-CANARY");
    let config = mcp_authz_core::Config::builder("https://mcp.example/mcp?key=QUERY-CANARY")
        .pre_registered(client.clone())
        .initial_access_token(Secret::new("SECRET-CANARY"));
    let built = config.clone().build().unwrap();
    let refused = mcp_authz_core::Config::builder("http://x:PASS-CANARY@mcp.example/?QUERY-CANARY");
    for text in [
        format!("{refused:?} {:?}", refused.clone().build().err()),
        format!("{client:?}"),
        format!("{callback:?}"),
        format!("{bare:?}"),
        format!("{config:?}"),
        format!("{built:?}"),
    ] {
        assert!(!text.contains("CANARY"), "{text}");
    }
}
