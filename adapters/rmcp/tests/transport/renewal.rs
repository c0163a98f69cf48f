//! A program that uses rmcp has nothing to do when its token changes in mid-session.

use core::time::Duration;

use mcp_authz_core::failure::{Kind, Remedy};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_rmcp::Error;
use mcp_authz_rmcp::rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use mcp_authz_tests::model::{Discover, Endpoint, LostBody, LostSession, REVISIONS};
use mcp_authz_tests::serve::{Served, embedded, embedded_revision};

use crate::common::{
    Person, Service, TOOLS, authorized_transport, call, count, echo, either, modern, serve,
    serve_as, session, tools,
};

async fn service(served: &Served, person: &Person, revision: &str) -> Service {
    let transport = authorized_transport(served.mcp_url(), session(served, person), None);
    if revision == "2026-07-28" {
        serve_as(transport, modern()).await.unwrap()
    } else {
        serve(transport).await.unwrap()
    }
}

#[tokio::test]
async fn a_revoked_token_is_refreshed_unnoticed() {
    for revision in REVISIONS {
        let served = embedded_revision(revision, |_| {}).unwrap();
        let person = Person::default();
        let service = service(&served, &person, revision).await;
        assert_eq!(tools(&service).await, TOOLS);
        for _ in 0..3 {
            served.lock().revoke_access_tokens();
            served.lock().clear_seen();
            assert_eq!(echo(&service, revision).await.unwrap(), revision);
            assert_eq!(count(&served, Endpoint::Token), 1);
        }
        assert_eq!(person.visits(), 1, "{revision}");
    }
}

#[tokio::test]
async fn an_expired_token_is_refreshed_before_it_is_refused() {
    let served = embedded(|settings| settings.server.tokens.access_life_s = 1).unwrap();
    let person = Person::default();
    let service = service(&served, &person, "2025-11-25").await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    served.lock().clear_seen();
    assert_eq!(tools(&service).await, TOOLS);
    let model = served.lock();
    assert_eq!(model.count(Endpoint::Token), 1);
    assert!(model.seen_at(Endpoint::Mcp).all(|seen| seen.status == 200));
    assert_eq!(person.visits(), 1);
}

/// Refusals open a page once in ten minutes; after that the failure says that a person is needed.
#[tokio::test]
async fn a_grant_that_is_gone_leads_to_a_login() {
    let served = embedded(|_| {}).unwrap();
    let person = Person::default();
    let session = session(&served, &person);
    session.acquire(&ScopeSet::empty(), true).await.unwrap().outcome.unwrap();
    let transport = authorized_transport(served.mcp_url(), session.clone(), None);
    let service = serve_as(transport, modern()).await.unwrap();
    served.lock().revoke_all();
    assert_eq!(tools(&service).await, TOOLS);
    assert_eq!(person.visits(), 2);
    served.lock().revoke_all();
    let error = echo(&service, "again").await.unwrap_err();
    let failure = Error::within(&error).unwrap().failure().unwrap();
    assert_eq!(failure.kind(), Kind::ReauthorizationRequired);
    assert_eq!((failure.remedy(), person.visits()), (Remedy::AskUser, 2));
}

#[tokio::test]
async fn more_scope_is_asked_for_step_09() {
    for revision in ["2025-11-25", "2026-07-28"] {
        let served = embedded_revision(revision, |_| {}).unwrap();
        let person = Person::default();
        let service = service(&served, &person, revision).await;
        assert!(!call(&service, "whoami").await.unwrap().contains("mcp:admin"));
        assert_eq!(call(&service, "admin").await.unwrap(), "done");
        let who = call(&service, "whoami").await.unwrap();
        assert!(who.contains("mcp:admin") && who.contains("mcp:tools"), "{who}");
        assert_eq!(person.visits(), 2);
    }
}

#[tokio::test]
async fn an_mcp_session_that_is_gone_costs_no_token_trans_19() {
    let served = embedded_revision("2025-11-25", |_| {}).unwrap();
    let person = Person::default();
    let service = service(&served, &person, "2025-11-25").await;
    served.lock().forget_sessions();
    served.lock().clear_seen();
    assert_eq!(tools(&service).await, TOOLS);
    let model = served.lock();
    assert_eq!(model.count(Endpoint::Token), 0);
    assert_eq!(model.seen().iter().filter(|seen| seen.rpc() == Some("initialize")).count(), 1);
    assert_eq!(person.visits(), 1);
}

#[tokio::test]
async fn an_mcp_session_that_is_gone_in_other_words_costs_no_token_trans_90() {
    for (status, body) in [
        (410, LostBody::Empty),
        (400, LostBody::Rpc(-32001)),
        (422, LostBody::Rpc(-32001)),
        (400, LostBody::Text("No valid session ID provided")),
        (400, LostBody::Json("no such session")),
    ] {
        let served = embedded_revision("2025-11-25", |settings| {
            settings.mcp.lost = LostSession::new(status, body);
        })
        .unwrap();
        let person = Person::default();
        let service = service(&served, &person, "2025-11-25").await;
        for _ in 0..2 {
            served.lock().forget_sessions();
            served.lock().clear_seen();
            assert_eq!(tools(&service).await, TOOLS, "{status} {body:?}");
            let model = served.lock();
            assert_eq!(model.count(Endpoint::Token), 0);
            let asked = |method: &str| {
                model.seen().iter().filter(|seen| seen.rpc() == Some(method)).count()
            };
            assert_eq!((asked("initialize"), asked("tools/list")), (1, 2), "{status} {body:?}");
        }
        assert_eq!(person.visits(), 1);
    }
}

#[tokio::test]
async fn what_is_no_lost_session_is_told_in_the_servers_words_trans_90() {
    const WORDS: &str = "this session is somebody else's";
    for (status, body, sent) in [
        (403, LostBody::Text(WORDS), 1),
        (403, LostBody::Rpc(-32001), 1),
        (409, LostBody::Text(WORDS), 1),
        (400, LostBody::Rpc(-32000), 1),
        (408, LostBody::Rpc(-32001), 1),
    ] {
        let served = embedded_revision("2025-11-25", |settings| {
            settings.mcp.lost = LostSession::new(status, body);
        })
        .unwrap();
        let person = Person::default();
        let service = service(&served, &person, "2025-11-25").await;
        served.lock().forget_sessions();
        served.lock().clear_seen();
        let error = echo(&service, "x").await.unwrap_err();
        let mut told = format!("{error}");
        if let Some(error) = Error::within(&error) {
            told = format!("{told} {error}");
        }
        let words = if matches!(body, LostBody::Rpc(_)) { "Session not found" } else { WORDS };
        assert!(told.contains(words), "{status} {body:?}: {told}");
        let model = served.lock();
        let asked =
            |method: &str| model.seen().iter().filter(|seen| seen.rpc() == Some(method)).count();
        assert_eq!((asked("initialize"), asked("tools/call")), (0, sent), "{status} {body:?}");
        assert_eq!((model.count(Endpoint::Token), person.visits()), (0, 1));
    }
    // A request that is refused by itself costs one session.
    let served = embedded_revision("2025-11-25", |settings| {
        let refused = LostSession::new(400, LostBody::Text(WORDS));
        settings.mcp.refused_tool = Some(("test-tool".to_owned(), refused));
    })
    .unwrap();
    let service = service(&served, &Person::default(), "2025-11-25").await;
    served.lock().clear_seen();
    for _ in 0..3 {
        let error = call(&service, "test-tool").await.unwrap_err();
        assert!(Error::within(&error).unwrap().to_string().contains(WORDS), "{error}");
    }
    assert_eq!(echo(&service, "the session goes on").await.unwrap(), "the session goes on");
    let model = served.lock();
    let asked =
        |method: &str| model.seen().iter().filter(|seen| seen.rpc() == Some(method)).count();
    assert_eq!((asked("initialize"), asked("tools/call")), (1, 5));
}

#[tokio::test]
async fn a_server_that_knows_no_discovery_is_initialized_trans_91() {
    for status in [200, 400, 404, 500] {
        let served = embedded_revision("2025-11-25", |settings| {
            settings.mcp.discover = Discover::Unknown(status);
        })
        .unwrap();
        let transport =
            authorized_transport(served.mcp_url(), session(&served, &Person::default()), None);
        let service = serve_as(transport, either()).await.unwrap();
        assert_eq!(tools(&service).await, TOOLS, "{status}");
    }
    for status in [401, 403] {
        let served = embedded_revision("2025-11-25", |settings| {
            settings.mcp.discover = Discover::Refused(status);
        })
        .unwrap();
        let transport =
            authorized_transport(served.mcp_url(), session(&served, &Person::default()), None);
        let error = serve_as(transport, either()).await.unwrap_err();
        let told = Error::within(&error).unwrap().to_string();
        assert!(told.contains("ClientLifecycleMode::Initialize"), "{status}: {told}");
    }
}

/// All of them leave with the old token or wait for the new one; the server sees one refresh.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_calls_in_a_rotation_cost_one_token_request() {
    for revision in ["2025-11-25", "2026-07-28"] {
        let served = embedded_revision(revision, |settings| {
            settings.delays.insert(Endpoint::Token, 100);
        })
        .unwrap();
        let person = Person::default();
        let mut config = StreamableHttpClientTransportConfig::default();
        config.max_concurrent_requests = 100;
        let session = session(&served, &person);
        let transport = authorized_transport(served.mcp_url(), session, Some(config));
        let service = if revision == "2026-07-28" {
            serve_as(transport, modern()).await.unwrap()
        } else {
            serve(transport).await.unwrap()
        };
        served.lock().revoke_access_tokens();
        served.lock().clear_seen();
        let service = std::sync::Arc::new(service);
        let calls: Vec<_> = (0..100)
            .map(|number| {
                let service = std::sync::Arc::clone(&service);
                tokio::spawn(async move {
                    let text = number.to_string();
                    assert_eq!(echo(&service, &text).await.unwrap(), text);
                })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
        let model = served.lock();
        assert_eq!(model.count(Endpoint::Token), 1, "{revision}");
        let done = model.seen_at(Endpoint::Mcp).filter(|seen| seen.status == 200).count();
        assert_eq!(done, 100);
        let refused = model.seen_at(Endpoint::Mcp).filter(|seen| seen.status == 401).count();
        println!("{revision}: 100 calls, {refused} refused, 1 token request");
        assert_eq!(person.visits(), 1);
    }
}
