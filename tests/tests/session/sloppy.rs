//! Sloppy answers of a token endpoint: what was sent is spent, and the tokens are there (D19).

use mcp_authz_core::config::Profile;
use mcp_authz_core::effect::{RecordKind, Why};
use mcp_authz_tests::sim::Sim;
use serde_json::json;

use crate::given::{self, by_hand, kept, logged_in, refresh, tokens, up_to_exchange};

/// A good answer with one thing wrong: status, `Content-Encoding`, body.
fn sloppy(number: u32) -> Vec<(u16, Option<&'static str>, Vec<u8>)> {
    let good = tokens(number, 60).to_string();
    let inner = good.trim_matches(['{', '}']).to_owned();
    let with = |more: &[u8]| [b"{", inner.as_bytes(), b",", more, b"}"].concat();
    let deep = format!("\"vendor\":{}1{}", "{\"x\":".repeat(40), "}".repeat(40));
    let json = || good.clone().into_bytes();
    vec![
        (200, Some("utf-8"), json()),
        (200, Some(""), json()),
        (201, None, json()),
        (202, None, json()),
        (203, None, json()),
        (200, None, with(b"\"name\":\"Jos\xe9\"")),
        (200, None, with(br#""name":"\ud800""#)),
        (200, None, with(b"\"name\":\"a\r\nb\"")),
        (200, None, with(deep.as_bytes())),
        (200, None, with(inner.as_bytes())),
        (200, None, [good.as_bytes(), b"\0\0"].concat()),
        (200, None, [good.as_bytes(), b"\n<!-- 12 ms -->"].concat()),
        (200, None, [b"\xEF\xBB\xBF", good.as_bytes()].concat()),
        (200, None, with(b"\"name\":oops")),
    ]
}

fn respond(call: mcp_authz_tests::sim::Asked<'_>, answer: &(u16, Option<&'static str>, Vec<u8>)) {
    let (status, encoding, body) = answer;
    let encoding: Vec<_> = encoding.iter().map(|name| ("content-encoding", *name)).collect();
    call.respond(*status, &encoding, body);
}

fn stored(sim: &mut Sim) -> String {
    let document = &sim.store().documents(RecordKind::Grant)[0];
    document["refresh_token"].as_str().unwrap_or_default().to_owned()
}

scripts! {
    /// No answer costs the refresh token that it brings, and none leads to a login.
    a_sloppy_answer_to_a_refresh_is_kept_and_used_host_320_ref_03_d19(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let mut number = 1;
        for _ in 0..sloppy(0).len() {
            let answer = sloppy(number + 1).swap_remove(number as usize - 1);
            let caller = sim.at(100 * u64::from(number)).acquire("");
            respond(refresh(sim, number), &answer);
            number += 1;
            let granted = sim.expect_granted(caller);
            assert_eq!(granted.authorization(), &format!("Bearer AT-CANARY-{number}"));
            sim.expect_note("[HOST-320]");
            assert_eq!(stored(sim), format!("RT-CANARY-{number}"));
        }
        sim.expect_no_visit();
    }

    /// The access token may not be used, the refresh token is all there will ever be.
    a_refresh_token_is_kept_whatever_else_is_wrong_host_320_ref_03(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let good = |number: u32| format!(r#""access_token":"AT-CANARY-{number}","refresh_token":"RT-CANARY-{number}""#);
        let bodies: [&dyn Fn(u32) -> String; 5] = [
            &|number| format!(r#"{{{},"token_type":"mac"}}"#, good(number)),
            &|number| format!(r#"{{{},"token_type":"Bearer","error":"oops"}}"#, good(number)),
            &|number| format!(r#"{{{},"token_type;"mac"}}"#, good(number)),
            &|number| format!(r#"{{{},"token_type":"Bearer","#, good(number)),
            &|number| format!(r#"{{{},"token_type":"Bearer","access_token":"AT-CANARY-0"}}"#, good(number)),
        ];
        let mut number = 1;
        for body in bodies {
            let caller = sim.at(100 * u64::from(number)).acquire("");
            refresh(sim, number).respond(200, &[], body(number + 1).as_bytes());
            number += 1;
            sim.failed(caller);
            assert_eq!(stored(sim), format!("RT-CANARY-{number}"));
        }
        let caller = sim.at(900).acquire("");
        refresh(sim, number).reply_json(200, &tokens(9, 60));
        sim.expect_granted(caller);
        sim.expect_no_visit();
    }

    /// A login whose answer brings a refresh token and no more costs no second visit.
    a_code_that_brought_a_refresh_token_alone_is_followed_by_a_refresh_host_320(sim = kept()) {
        let (waiter, call) = up_to_exchange(sim);
        call.respond(200, &[], br#"{"refresh_token":"RT-CANARY-1","access_token":"AT CANARY"}"#);
        sim.expect_failed(waiter, "token_malformed");
        assert_eq!(stored(sim), "RT-CANARY-1");
        let next = sim.at(10).acquire("files:read");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(next);
        sim.expect_no_visit();
    }

    /// Neither of two, none from inside, none of a web page, and nothing that we sent as another thing.
    what_is_no_token_of_this_answer_replaces_nothing_host_320(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let mut time = 60;
        for body in [
            r#"{"access_token":"","refresh_token":"RT-CANARY-2","refresh_token":"RT-CANARY-3"}"#,
            r#"{"error":"","data":{"access_token":"AT-CANARY-2","refresh_token":"RT-CANARY-2"}}x"#,
            r#"<script>{"access_token":"AT-CANARY-2","refresh_token":"RT-CANARY-2"}</script>"#,
            r#"{"access_token":"RT-CANARY-1","token_type":"Bearer"}"#,
        ] {
            let caller = sim.at(time).acquire("");
            refresh(sim, 1).respond(200, &[], body.as_bytes());
            sim.failed(caller);
            assert_eq!(stored(sim), "RT-CANARY-1", "{body}");
            time += 600;
        }
    }

    /// The connection broke in the middle of the body: what came whole is kept.
    a_body_that_is_cut_brings_its_refresh_token_host_320(sim = kept()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        let body = r#"{"access_token":"AT-CANARY-2","refresh_token":"RT-CANARY-2","token_t"#;
        refresh(sim, 1).cut(200, body.as_bytes(), Why::Broken);
        sim.expect_failed(caller, "outcome_unknown");
        assert_eq!(stored(sim), "RT-CANARY-2");
        let next = sim.at(70).acquire("");
        refresh(sim, 2).reply_json(200, &tokens(3, 60));
        sim.expect_granted(next);
    }

    /// Without one it is an outcome that nobody knows, and of a document it is no part.
    a_body_that_is_cut_before_brings_nothing_host_320_host_227(sim = by_hand()) {
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        if sim.restarting() {
            return;
        }
        refresh(sim, 1).cut(200, br#"{"access_token":"AT-CANARY-2","refresh_token":"RT-CAN"#, Why::Broken);
        sim.expect_waiting(caller);
        sim.at(61);
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(caller);
    }

    /// One reader for both roads: nothing that was sent becomes a scope, and each oddity is a note.
    a_late_answer_is_read_like_one_in_time_host_303_host_241_d7(sim = kept()) {
        logged_in(sim, &tokens(123_456_789, 60));
        let caller = sim.at(60).acquire("");
        let (_, first) = refresh(sim, 123_456_789).hold();
        if sim.restarting() {
            return;
        }
        sim.at(91);
        let (_, second) = refresh(sim, 123_456_789).hold();
        sim.at(122);
        sim.expect_failed(caller, "timeout");
        sim.at(124).reply_late(first, 200, &json!({
            "access_token": "AT-CANARY-2",
            "expires_in": 60,
            "scope": "files:read RT-CANARY-123456789",
        }));
        sim.expect_note("not used: scope");
        sim.expect_note("not used: token_type");
        sim.expect_note("new access token");
        sim.expect_note("lenient: missing_token_type");
        let granted = sim.published().unwrap();
        assert_eq!(granted.scopes().map(|scopes| scopes.as_str()), Some("files:read"));
        assert_eq!(stored(sim), "RT-CANARY-123456789");
        let record = sim.store().documents(RecordKind::Grant)[0].clone();
        assert!(!record["granted"].to_string().contains("CANARY"), "{record}");
        // The answer to a request that was made with a token held no more.
        sim.reply_late(second, 400, &given::error("invalid_grant"));
        sim.expect_note("a late answer was dropped");
    }

    /// Late, and with no more than a refresh token: of a refresh and of a login alike.
    a_late_answer_that_is_sloppy_is_kept_too_host_320_host_241(sim = kept()) {
        let (_, call) = up_to_exchange(sim);
        let (_, ticket) = call.hold();
        sim.at(31);
        if sim.restarting() {
            return;
        }
        sim.reply_late(ticket, 202, &json!({ "refresh_token": "RT-CANARY-1", "token_type": "mac" }));
        sim.expect_note("a late answer brought tokens; saved");
        assert_eq!(stored(sim), "RT-CANARY-1");
        let next = sim.at(40).acquire("files:read");
        refresh(sim, 1).reply_json(200, &tokens(2, 60));
        sim.expect_granted(next);
    }
}

#[test]
fn a_sloppy_answer_to_a_code_is_kept_and_used_host_320_d19() {
    for answer in sloppy(1) {
        let mut sim = kept();
        let (waiter, call) = up_to_exchange(&mut sim);
        respond(call, &answer);
        assert_eq!(sim.expect_granted(waiter).authorization(), "Bearer AT-CANARY-1");
        assert_eq!(stored(&mut sim), "RT-CANARY-1");
    }
}

/// Strict uses none of it, and loses none of it.
#[test]
fn strict_keeps_a_sloppy_answer_unused_host_320_d19() {
    for answer in sloppy(2) {
        let mut sim = Sim::by_hand(|config| config.persistent(true).profile(Profile::Strict));
        let sim = &mut sim;
        logged_in(sim, &tokens(1, 60));
        let caller = sim.at(60).acquire("");
        respond(refresh(sim, 1), &answer);
        let failure = sim.failed(caller);
        assert!(!failure.remedy().retryable(), "{failure}");
        assert_eq!(stored(sim), "RT-CANARY-2");
    }
}

#[test]
fn a_metadata_document_that_is_cut_is_none_host_320() {
    let mut sim = by_hand();
    let waiter = sim.acquire("");
    let document = given::resource(&[]).to_string();
    sim.expect_call(http::Method::GET, given::RESOURCE).cut(200, document.as_bytes(), Why::Broken);
    sim.expect_failed(waiter, "transient");
}
