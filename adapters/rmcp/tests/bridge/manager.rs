//! rmcp's own manager logs in, is started again, and refreshes, all from one folder.

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;

use mcp_authz_driver::ports::Store;
use mcp_authz_host::store::FileStore;
use mcp_authz_rmcp::bridge::{Credentials, States};
use mcp_authz_rmcp::rmcp::transport::AuthorizationManager;
use mcp_authz_rmcp::rmcp::transport::auth::AuthorizationCallback;
use mcp_authz_tests::model::Endpoint;
use mcp_authz_tests::serve::{Served, embedded};

use crate::common::browse;

const REDIRECT: &str = "http://127.0.0.1:7/callback";

/// A manager of a program that has just been started, made as the documentation has it: rmcp sends
/// through a client of its own.
async fn started(served: &Served, folder: &Path) -> AuthorizationManager {
    let mut manager = AuthorizationManager::new(served.mcp_url()).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(FileStore::open(folder).unwrap());
    manager.set_credential_store(Credentials::new(Arc::clone(&store), served.mcp_url(), ""));
    manager.set_state_store(States::new(store, served.mcp_url(), ""));
    manager
}

async fn log_in(served: &Served, folder: &Path) -> String {
    let scopes = ["mcp:tools"];
    let mut manager = started(served, folder).await;
    assert!(!manager.initialize_from_store().await.unwrap());
    let resolved = manager.resolve_metadata().await.unwrap();
    manager.set_metadata(resolved.metadata);
    manager.register_client("test", REDIRECT, &scopes).await.unwrap();
    let page = manager.get_authorization_url(&scopes).await.unwrap();
    let there = browse(&page);
    let back = there.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    let back = AuthorizationCallback::from_redirect_url(back).unwrap();
    let exchanged = manager
        .exchange_code_for_token_with_issuer(&back.code, &back.csrf_token, back.issuer.as_deref())
        .await;
    exchanged.unwrap();
    // The login is over: its state answers no second callback.
    let again = manager.exchange_code_for_token(&back.code, &back.csrf_token).await;
    assert!(again.is_err());
    manager.get_access_token().await.unwrap()
}

#[tokio::test]
async fn a_program_that_is_started_again_asks_nobody() {
    let served = embedded(|_| {}).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let token = log_in(&served, folder.path()).await;
    let mut again = started(&served, folder.path()).await;
    assert!(again.initialize_from_store().await.unwrap());
    assert_eq!(again.get_access_token().await.unwrap(), token);
    assert_eq!(served.lock().count(Endpoint::Token), 1);
}

/// The server replaces the refresh token each time, and takes back everything if one comes twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_refresh_at_once_take_turns() {
    let served = embedded(|settings| {
        settings.server.tokens.access_life_s = 2;
        settings.delays.insert(Endpoint::Token, 50);
    })
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    log_in(&served, folder.path()).await;
    let mut programs = Vec::new();
    for _ in 0..4 {
        let mut program = started(&served, folder.path()).await;
        assert!(program.initialize_from_store().await.unwrap());
        programs.push(program);
    }
    tokio::time::sleep(Duration::from_millis(2100)).await;
    served.lock().clear_seen();
    let refreshes: Vec<_> = programs
        .into_iter()
        .map(|program| tokio::spawn(async move { program.refresh_token().await.is_ok() }))
        .collect();
    for refreshed in refreshes {
        assert!(refreshed.await.unwrap());
    }
    let model = served.lock();
    assert!(model.seen_at(Endpoint::Token).all(|seen| seen.status == 200));
    assert_eq!(model.count(Endpoint::Token), 4);
}
