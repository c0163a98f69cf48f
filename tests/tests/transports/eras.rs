//! Which wire is spoken, and how that is found out.

use mcp_authz_driver::transport::{Choice, Kind};
use mcp_authz_tests::model::{AnswerForm, Discover, Endpoint, Era, Fault, Literal, REVISIONS};
use serde_json::json;

use crate::faces::Make;
use crate::world::{World, echo, header, method_of, settings};

pub(crate) fn every_revision_is_found_out_and_spoken_trans_08_trans_10_trans_27(make: Make) {
    for revision in REVISIONS {
        for answers in [AnswerForm::Json, AnswerForm::EventStream] {
            let world = World::revision(revision, |at| {
                at.mcp.answers = answers;
                at.mcp.keep_alive = true;
                at.mcp.chunk_bytes = Some(11);
            });
            let face = world.connected(make);
            assert_eq!(face.protocol_version(), revision);
            assert_eq!(face.kind(), Kind::StreamableHttp);
            assert_eq!(face.server()["capabilities"], json!({"tools": {}}));
            echo(&*face, "Grüße");
            face.notify("notifications/roots/list_changed", json!({})).unwrap();
            let seen = world.let_in();
            let after = seen
                .iter()
                .filter(|seen| !matches!(method_of(seen), Some("initialize" | "server/discover")));
            let named = (revision > "2025-03-26").then_some(revision);
            for seen in after {
                assert_eq!(header(seen, "mcp-protocol-version"), named, "{seen:?}");
                assert_eq!(header(seen, "origin"), None);
                let legacy = revision < "2026-07-28";
                assert_eq!(header(seen, "mcp-session-id").is_some(), legacy);
            }
            assert_eq!(world.visits(), 1);
        }
    }
}

pub(crate) fn an_old_server_is_reached_over_http_sse_trans_30_trans_31(make: Make) {
    let world = World::revision("2025-11-25", |at| at.mcp.era = Era::HttpSse);
    let face = world.connected(make);
    assert_eq!((face.kind(), face.protocol_version().as_str()), (Kind::HttpSse, "2024-11-05"));
    echo(&*face, "hello");
    let seen = world.let_in();
    let order: Vec<String> = seen
        .iter()
        .map(|seen| format!("{} {} {}", seen.method, seen.status, seen.authorized()))
        .collect();
    assert_eq!(order, ["POST 405 true", "POST 405 true", "GET 200 true"]);
    let model = world.lock();
    let posts: Vec<_> = model.seen_at(Endpoint::Messages).collect();
    assert_eq!(posts.len(), 3, "initialize, initialized and the call");
    assert!(posts.iter().all(|seen| seen.authorized() && seen.status == 202));
}

pub(crate) fn the_era_is_remembered_trans_29(make: Make) {
    for (era, probes) in [(Era::Legacy, 1), (Era::HttpSse, 1), (Era::Modern, 2)] {
        let revision = if era == Era::Modern { "2026-07-28" } else { "2025-06-18" };
        let world = World::revision(revision, |at| at.mcp.era = era);
        let session = world.session(make);
        for _ in 0..2 {
            let face = session.connect(settings()).unwrap();
            echo(&*face, "x");
        }
        // A modern server is not probed but greeted.
        assert_eq!(world.asked("server/discover"), probes, "{era:?}");
        let posts = world.asked("initialize");
        assert_eq!(posts, if era == Era::Legacy { 2 } else { usize::from(era == Era::HttpSse) });
    }
}

pub(crate) fn a_remembered_era_that_stops_working_is_found_out_anew_trans_29(make: Make) {
    let world = World::revision("2025-06-18", |_| {});
    let session = world.session(make);
    session.connect(settings()).unwrap();
    for (era, version) in [
        (Era::Modern, "2026-07-28"),
        (Era::HttpSse, "2024-11-05"),
        (Era::Legacy, "2025-06-18"),
        (Era::HttpSse, "2024-11-05"),
        (Era::Modern, "2026-07-28"),
    ] {
        world.lock().set(|at| at.mcp.era = era);
        let face = session.connect(settings()).unwrap();
        assert_eq!(face.protocol_version(), version, "{era:?}");
        echo(&*face, "x");
    }
}

pub(crate) fn where_nothing_is_an_error_says_so_trans_30(make: Make) {
    for (status, code) in [(404, "mcp_no_endpoint"), (405, "mcp_no_endpoint"), (503, "transient")] {
        let world = World::revision("2025-06-18", |at| at.gate.open = true);
        let absent = Fault::Literal(Literal::status(status));
        world.lock().fail(Endpoint::Mcp, usize::MAX, absent);
        let error = world.session(make).connect(settings()).err().unwrap();
        assert_eq!(error.code(), code, "{error}");
        assert!(status == 503 || !error.maybe_executed());
    }
}

pub(crate) fn what_the_program_wants_is_not_found_out(make: Make) {
    let both = || World::revision("2026-07-28", |at| at.mcp.era = Era::Both);
    for (settings, version, first) in [
        (settings().revision("2025-06-18"), "2025-06-18", "initialize"),
        (settings().revision("2026-07-28"), "2026-07-28", "server/discover"),
        (settings(), "2026-07-28", "server/discover"),
    ] {
        let world = both();
        let face = world.session(make).connect(settings).unwrap();
        assert_eq!(face.protocol_version(), version);
        assert_eq!(method_of(&world.let_in()[0]), Some(first));
    }
    let old = || World::revision("2025-06-18", |at| at.mcp.era = Era::HttpSse);
    let world = old();
    let face = world.session(make).connect(settings().transport(Choice::HttpSse)).unwrap();
    echo(&*face, "x");
    assert_eq!(world.let_in().len(), 1, "the stream and nothing else");
    let only = settings().transport(Choice::StreamableHttp);
    let error = old().session(make).connect(only).err().unwrap();
    assert_eq!(error.code(), "mcp_no_endpoint");
}

pub(crate) fn a_server_that_knows_no_discovery_is_asked_to_initialize_trans_91(make: Make) {
    for status in [200, 400, 404, 405, 500, 501] {
        for (revision, era) in [("2025-06-18", Era::Legacy), ("2026-07-28", Era::Modern)] {
            let world = World::revision(revision, |at| {
                at.mcp.discover = Discover::Unknown(status);
                at.mcp.era = era;
            });
            let session = world.session(make);
            let face = session.connect(settings()).unwrap();
            assert_eq!(face.protocol_version(), revision, "{status}");
            assert_eq!(face.kind(), Kind::StreamableHttp);
            echo(&*face, "x");
            assert_eq!(world.asked("server/discover"), 1, "{status}");
            let posts = world.let_in();
            let asked = posts.iter().filter(|seen| method_of(seen) == Some("initialize"));
            assert_eq!(asked.count(), 1, "{status}");
            let seen = world.let_in().pop().unwrap();
            assert_eq!(header(&seen, "mcp-method").is_some(), era == Era::Modern);
            assert_eq!(face.server().is_null(), era == Era::Modern);
            // It is found out once more, or remembered.
            echo(&*session.connect(settings()).unwrap(), "y");
            assert_eq!(world.visits(), 1);
        }
        // To no other method it means that (TRANS-28).
        let world = World::revision("2026-07-28", |_| {});
        let face = world.connected(make);
        let unknown = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"m"}}"#;
        world.lock().inject(Endpoint::Mcp, 1, Literal::json(status, unknown));
        let error = face.call("tools/list", json!({})).unwrap_err();
        assert_eq!(error.code(), "mcp_error", "{status}");
        assert_eq!(world.asked("initialize"), 0);
    }
}

pub(crate) fn a_discovery_that_no_token_opens_names_the_setting_trans_91(make: Make) {
    for (status, code) in [(401, "unauthorized_after_refresh"), (403, "forbidden")] {
        let world = World::revision("2025-06-18", |at| at.mcp.discover = Discover::Refused(status));
        let session = world.session(make);
        // Once with the token of a login, once with one that was there before.
        for _ in 0..2 {
            let error = session.connect(settings()).err().unwrap();
            let text = error.to_string();
            assert!(text.contains("Settings::revision"), "{text}");
            assert_eq!(error.remedy().name(), "configure", "{text}");
            assert!(error.code() == code || status == 401, "{text}");
            assert!(!error.maybe_executed());
        }
        assert_eq!(world.asked("initialize"), 0);
        let face = session.connect(settings().revision("2025-06-18")).unwrap();
        echo(&*face, "named");
    }
    // Refused for want of a person it is another matter.
    let world = World::revision("2025-06-18", |at| at.mcp.discover = Discover::Refused(401));
    let error = world.session(make).connect(settings().may_ask(false)).err().unwrap();
    assert_eq!(error.code(), "reauthorization_required");
    assert!(!error.to_string().contains("Settings::revision"), "{error}");
}
