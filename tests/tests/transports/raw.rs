//! HTTP+SSE for programs that have a JSON-RPC of their own.

use core::time::Duration;

use mcp_authz_tests::model::Era;
use mcp_authz_tokio::HttpSse;
use serde_json::json;

use crate::faces::{BlockOn as _, OnTokio, TOKIO};
use crate::world::{World, settings};

#[test]
fn messages_go_both_ways_and_a_wait_given_up_loses_none() {
    let world = World::revision("2025-11-25", |at| at.mcp.era = Era::HttpSse);
    let builder = mcp_authz_tokio::Client::builder().runtime(TOKIO.handle().clone());
    let client = builder.common(world.common()).build().unwrap();
    let session = client.session(world.config().build().unwrap());
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
