//! What happens to a token in mid-session is no business of whoever uses rmcp.

use core::time::Duration;

use mcp_authz_core::failure::{Kind, Remedy};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_rmcp::Error;
use mcp_authz_rmcp::rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use mcp_authz_tests::model::{Endpoint, REVISIONS};
use mcp_authz_tests::serve::{Served, embedded, embedded_revision};

use crate::common::{
    Person, Service, TOOLS, authorized_transport, call, count, echo, modern, serve, serve_as,
    session, tools,
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
