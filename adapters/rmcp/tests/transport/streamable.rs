//! Streamable HTTP, both wire eras.

use mcp_authz_tests::model::{AnswerForm, Cut, Endpoint, REVISIONS, Settings};
use mcp_authz_tests::serve::{Served, embedded, embedded_revision};

use crate::common::{
    Person, TOOLS, authorized_transport, call, echo, either, modern, serve, serve_as, session,
    tools,
};

fn every_request_had_a_token_but_the_first(served: &Served) {
    let model = served.lock();
    let bare: Vec<_> = model.seen_at(Endpoint::Mcp).filter(|seen| !seen.authorized()).collect();
    assert_eq!(bare.len(), 1, "{bare:?}");
    assert_eq!(bare[0].status, 401);
}

async fn lists_and_calls(revision: &str, adjust: impl Fn(&mut Settings)) -> Served {
    let served = embedded_revision(revision, adjust).unwrap();
    let person = Person::default();
    let transport = authorized_transport(served.mcp_url(), session(&served, &person), None);
    let service = if revision == "2026-07-28" {
        serve_as(transport, modern()).await.unwrap()
    } else {
        serve(transport).await.unwrap()
    };
    assert_eq!(tools(&service).await, TOOLS, "{revision}");
    assert_eq!(echo(&service, "a\nb").await.unwrap(), "a\nb");
    assert!(call(&service, "whoami").await.unwrap().contains("alice"));
    service.cancel().await.unwrap();
    assert_eq!(person.visits(), 1);
    every_request_had_a_token_but_the_first(&served);
    served
}

#[tokio::test]
async fn every_revision_lists_and_calls_tools_trans_04() {
    for revision in REVISIONS {
        for form in [AnswerForm::Json, AnswerForm::EventStream] {
            lists_and_calls(revision, |settings| settings.mcp.answers = form).await;
        }
    }
}

#[tokio::test]
async fn streams_come_in_pieces_and_with_comments_trans_06() {
    lists_and_calls("2026-07-28", |settings| {
        settings.mcp.answers = AnswerForm::EventStream;
        settings.mcp.chunk_bytes = Some(1);
        settings.mcp.keep_alive = true;
    })
    .await;
}

#[tokio::test]
async fn discovery_falls_back_to_initialize_trans_27() {
    for revision in ["2025-06-18", "2025-11-25", ""] {
        let served = if revision.is_empty() {
            embedded(|_| {}).unwrap()
        } else {
            embedded_revision(revision, |_| {}).unwrap()
        };
        let transport =
            authorized_transport(served.mcp_url(), session(&served, &Person::default()), None);
        let service = serve_as(transport, either()).await.unwrap();
        assert_eq!(tools(&service).await, TOOLS, "{revision}");
        service.cancel().await.unwrap();
        let initialized = served.lock().seen().iter().any(|seen| seen.rpc() == Some("initialize"));
        assert_eq!(initialized, !revision.is_empty());
    }
}

#[tokio::test]
async fn the_session_is_named_and_ended_trans_18() {
    let served = lists_and_calls("2025-11-25", |_| {}).await;
    let model = served.lock();
    let seen: Vec<_> = model.seen_at(Endpoint::Mcp).collect();
    let after = seen.iter().skip_while(|seen| seen.status != 200).skip(1);
    for seen in after {
        assert!(seen.headers.contains_key("mcp-session-id"), "{seen}");
        assert_eq!(seen.headers["mcp-protocol-version"], "2025-11-25", "{seen}");
    }
    let last = seen.last().unwrap();
    assert_eq!((last.method.as_str(), last.status), ("DELETE", 204));
}

#[tokio::test]
async fn a_broken_stream_is_resumed_trans_23() {
    for cut in [Cut::BeforeAnswer, Cut::EndBeforeAnswer, Cut::InsideEvent] {
        let served = lists_and_calls("2025-11-25", |settings| {
            settings.mcp.answers = AnswerForm::EventStream;
            settings.mcp.get_stream = true;
            settings.mcp.priming = true;
            settings.mcp.retry_ms = Some(100);
            settings.mcp.cut = cut;
            settings.mcp.cuts = 1;
        })
        .await;
        let model = served.lock();
        let resumed = model.seen().iter().filter(|seen| seen.headers.contains_key("last-event-id"));
        assert_eq!(resumed.count(), 1, "{cut:?}");
    }
}

#[tokio::test]
async fn what_the_server_says_unasked_is_heard_trans_22() {
    use std::sync::Arc;
    use std::time::Duration;

    use mcp_authz_rmcp::rmcp::service::{NotificationContext, RoleClient};
    use mcp_authz_rmcp::rmcp::{ClientHandler, ServiceExt as _};
    use tokio::sync::Notify;

    #[derive(Clone, Default)]
    struct Ears(Arc<Notify>);
    impl ClientHandler for Ears {
        async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
            self.0.notify_one();
        }
    }

    let served = embedded_revision("2025-11-25", |settings| settings.mcp.get_stream = true);
    let served = served.unwrap();
    let transport =
        authorized_transport(served.mcp_url(), session(&served, &Person::default()), None);
    let ears = Ears::default();
    let service = ears.clone().serve(transport).await.unwrap();
    let changed = serde_json::json!({
        "jsonrpc": "2.0", "method": "notifications/tools/list_changed"
    });
    let heard = async {
        loop {
            served.lock().push(&changed);
            if tokio::time::timeout(Duration::from_millis(50), ears.0.notified()).await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), heard).await.unwrap();
    service.cancel().await.unwrap();
}
