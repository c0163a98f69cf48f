//! What one runtime is enough for: HTTP+SSE alone, waits that are given up, and what is shown.

use core::time::Duration;

use futures_util::StreamExt as _;
use mcp_authz_tests::model::{AnswerForm, Endpoint, Era, Literal};
use mcp_authz_tokio::HttpSse;
use serde_json::json;

use crate::faces::{BlockOn as _, OnTokio, TOKIO};
use crate::world::{World, counted, counting, header, settings};

/// Everything that an answer may hold and nobody may show.
const SECRET: &str = "c4n4ry";

#[test]
fn nothing_of_an_answer_is_shown_but_what_json_rpc_says() {
    let world = World::revision("2025-06-18", |_| {});
    let client = mcp_authz_ureq::Client::builder().build().unwrap();
    let session = client.session(world.config().build().unwrap(), world.common());
    let face = mcp_authz_ureq::Transport::connect(session, settings()).unwrap();
    let mut shown = vec![format!("{face:?}"), format!("{:?}", settings())];
    for status in [200, 202, 307, 400, 403, 404, 418, 500] {
        let body = format!("<p>{SECRET}</p>");
        let literal = Literal::json(status, &body).header("x-secret", SECRET);
        let literal = literal.header("location", &format!("/mcp?{SECRET}"));
        world.lock().inject(Endpoint::Mcp, 1, literal);
        if let Err(error) = face.call("tools/list", json!({})) {
            shown.extend([format!("{error:?}"), error.to_string()]);
        }
    }
    let model = world.lock();
    let of_session = model.seen().iter().filter_map(|seen| header(seen, "mcp-session-id"));
    let secrets: Vec<&str> = of_session.chain([SECRET]).collect();
    assert!(secrets.len() > 5 && shown.len() > 10);
    for said in shown {
        assert!(!secrets.iter().any(|secret| said.contains(secret)), "{said}");
    }
}

#[test]
fn a_wait_for_a_message_that_is_given_up_loses_none() {
    let world = World::revision("2025-11-25", |at| {
        at.mcp.answers = AnswerForm::EventStream;
        at.mcp.get_stream = true;
        at.mcp.priming = true;
        at.mcp.retry_ms = Some(100);
        at.mcp.cut_every = Some(150);
    });
    let builder = mcp_authz_tokio::Client::builder().runtime(TOKIO.handle().clone());
    let client = builder.build().unwrap();
    let session = client.session(world.config().build().unwrap(), world.common());
    OnTokio.block_on(async {
        let face = mcp_authz_tokio::Transport::connect(session, settings()).await.unwrap();
        let mut messages = face.request("tools/call", counting(1_000));
        let (mut read, mut given_up) = (Vec::new(), 0);
        loop {
            match tokio::time::timeout(Duration::from_micros(50), messages.next()).await {
                Ok(Some(message)) => read.push(message.unwrap()),
                Ok(None) => break,
                Err(_) => given_up += 1,
            }
        }
        assert!(given_up > 10, "{given_up}");
        counted(read.into_iter(), 1_000);
    });
}

#[test]
fn a_stream_that_is_left_alone_while_a_session_is_begun_anew_holds_up_nobody() {
    let world = World::revision("2025-11-25", |at| at.mcp.answers = AnswerForm::EventStream);
    let builder = mcp_authz_tokio::Client::builder().runtime(TOKIO.handle().clone());
    let client = builder.build().unwrap();
    let session = client.session(world.config().build().unwrap(), world.common());
    OnTokio.block_on(async {
        let face = mcp_authz_tokio::Transport::connect(session, settings()).await.unwrap();
        world.lock().forget_sessions();
        world.lock().set(|at| at.mcp.stream_delay_ms = 500);
        let mut messages = face.request("tools/call", counting(0));
        let begun = async {
            while world.asked("initialize") < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = begun => {}
            message = messages.next() => panic!("{message:?}"),
        }
        // Nobody polls it now, though nobody has dropped it.
        let call = face.call("tools/call", counting(0));
        let result = tokio::time::timeout(Duration::from_secs(10), call).await;
        result.expect("it waits for nobody who sleeps").unwrap();
        assert!(messages.next().await.unwrap().unwrap()["result"].is_object());
        assert_eq!(world.asked("initialize"), 2);
    });
}

#[test]
fn messages_go_both_ways_and_a_wait_given_up_loses_none() {
    let world = World::revision("2025-11-25", |at| at.mcp.era = Era::HttpSse);
    let builder = mcp_authz_tokio::Client::builder().runtime(TOKIO.handle().clone());
    let client = builder.build().unwrap();
    let session = client.session(world.config().build().unwrap(), world.common());
    OnTokio.block_on(async {
        let mut raw = HttpSse::open(session, settings()).await.unwrap();
        for id in 0..50 {
            let ping = json!({"jsonrpc": "2.0", "id": id, "method": "ping"});
            let sending = raw.send(ping);
            // Awaited while nothing comes yet, and given up.
            let early = tokio::time::timeout(Duration::from_millis(1), raw.next()).await;
            assert!(early.is_err());
            sending.await.unwrap();
            assert_eq!(raw.next().await.unwrap().unwrap()["id"], id);
        }
        world.lock().close_streams(true);
        assert_eq!(raw.next().await.unwrap().unwrap_err().code(), "mcp_lost");
        assert!(raw.next().await.is_none());
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
        let error = raw.sender().send(ping).await.unwrap_err();
        assert_eq!((error.code(), error.maybe_executed()), ("mcp_session_lost", false));
    });
    assert_eq!(world.visits(), 1);
}

/// What a program spawns must be able to go to another thread; that it compiles is the proof.
#[allow(dead_code, reason = "never run")]
fn everything_can_be_spawned(
    session: mcp_authz_tokio::AuthSession,
    face: mcp_authz_tokio::Transport,
) {
    fn is_send<T: Send>(_: T) {}
    fn is_shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    is_shared(&face);
    is_send(mcp_authz_tokio::Transport::connect(session.clone(), settings()));
    is_send(face.call("ping", json!({})));
    is_send(face.request("ping", json!({})));
    is_send(face.notify("ping", json!({})));
    is_send(face.respond(&json!(1), Ok(json!({}))));
    is_send(face.listen());
    is_send(face.close());
    is_send(HttpSse::open(session, settings()));
    is_send(async |mut raw: HttpSse| raw.next().await);
}
