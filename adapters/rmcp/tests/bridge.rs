//! rmcp's own authorization on the stores of mcp-authz.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod common;
#[path = "bridge/manager.rs"]
mod manager;

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use mcp_authz_core::Config;
use mcp_authz_core::effect::{Bytes, Key, Record, RecordKind, StoreRequest, Stored};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_driver::ports::{Common, Store};
use mcp_authz_driver::vault::Vault;
use mcp_authz_host::store::{FileStore, MemoryStore};
use mcp_authz_rmcp::bridge::{Credentials, States};
use mcp_authz_rmcp::rmcp::transport::{
    AuthError, CredentialStore, StateStore, StoredAuthorizationState, StoredCredentials,
};
use mcp_authz_tests::serve::embedded;
use serde_json::json;
use tokio::time::timeout;

const URL: &str = "https://mcp.example/mcp";

fn credentials(token: &str) -> StoredCredentials {
    let stored = json!({
        "client_id": "client",
        "token_response": {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": 3600,
            "refresh_token": format!("{token}-refresh"),
            "scope": "a b",
            "vendor": {"kept": true},
        },
        "granted_scopes": ["a", "b"],
        "token_received_at": 1_700_000_000,
        "issuer": "https://as.example",
    });
    serde_json::from_value(stored).unwrap()
}

fn login(name: &str, age: u64) -> StoredAuthorizationState {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let state = json!({
        "pkce_verifier": format!("verifier of {name}"),
        "csrf_token": name,
        "created_at": now - age,
    });
    serde_json::from_value(state).unwrap()
}

async fn kept(store: &Credentials) -> Option<serde_json::Value> {
    store.load().await.unwrap().map(|found| serde_json::to_value(found).unwrap())
}

fn code(error: &AuthError) -> &str {
    match error {
        AuthError::CredentialStoreError(text) => text.split(':').next().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The key of the only record of the bridge's.
fn key(store: &dyn Store) -> Key {
    let mut listed = store.list(RecordKind::Client).unwrap();
    assert_eq!(listed.len(), 1);
    listed.remove(0).0
}

fn put(store: &dyn Store, key: &Key, bytes: &[u8]) {
    let Stored::Loaded(before) = store.perform(StoreRequest::Load { key: key.clone() }) else {
        panic!("not loaded")
    };
    let expected = before.map(|record| record.generation);
    let record = Record { generation: expected.unwrap_or(0) + 1, bytes: Bytes(bytes.to_vec()) };
    let swap = StoreRequest::Swap { key: key.clone(), expected, record };
    assert_eq!(store.perform(swap), Stored::Swapped);
}

fn bytes(store: &dyn Store, key: &Key) -> Vec<u8> {
    match store.perform(StoreRequest::Load { key: key.clone() }) {
        Stored::Loaded(Some(record)) => record.bytes.0.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn credentials_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let open = || -> Arc<dyn Store> { Arc::new(FileStore::open(folder.path()).unwrap()) };
    let written = serde_json::to_value(credentials("t1")).unwrap();
    {
        let store = Credentials::new(open(), URL, "work");
        assert!(store.load().await.unwrap().is_none());
        store.save(credentials("t1")).await.unwrap();
        assert_eq!(kept(&store).await.as_ref(), Some(&written));
    }
    // Another process, which spells the URL in its own way.
    let store = Credentials::new(open(), "HTTPS://MCP.example:443/mcp#part", "work");
    assert_eq!(kept(&store).await, Some(written));
    for other in [
        Credentials::new(open(), URL, ""),
        Credentials::new(open(), "https://mcp.example/other", "work"),
    ] {
        assert!(other.load().await.unwrap().is_none());
    }
    store.clear().await.unwrap();
    store.clear().await.unwrap();
    assert!(store.load().await.unwrap().is_none());
    let left = bytes(&*open(), &key(&*open()));
    assert!(!String::from_utf8(left).unwrap().contains("t1"), "nothing secret is left");
    store.save(credentials("t2")).await.unwrap();
    assert_eq!(kept(&store).await, Some(serde_json::to_value(credentials("t2")).unwrap()));
}

#[tokio::test]
async fn sessions_of_our_own_are_not_disturbed() {
    let served = embedded(|_| {}).unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let bridged = Credentials::new(Arc::clone(&store), served.mcp_url(), "");
    bridged.save(credentials("rmcp")).await.unwrap();
    let states = States::new(Arc::clone(&store), served.mcp_url(), "");
    states.save("s", login("s", 0)).await.unwrap();
    let vault = Vault::new(Arc::clone(&store));
    assert!(vault.entries().unwrap().is_empty());
    let session = || {
        let common = Common {
            store: Arc::clone(&store),
            observer: Arc::new(common::Person::default()),
            ..Common::default()
        };
        let config = Config::builder(served.mcp_url()).persistent(true).build().unwrap();
        mcp_authz_tokio::Client::builder().build().unwrap().session(config, common)
    };
    let first = session();
    first.acquire(&ScopeSet::empty(), true).await.unwrap().outcome.unwrap();
    first.quiet().await;
    assert_eq!(vault.entries().unwrap().len(), 1);
    bridged.save(credentials("rmcp again")).await.unwrap();
    let next = session();
    next.acquire(&ScopeSet::empty(), false).await.unwrap().outcome.unwrap();
    next.forget().await.unwrap();
    assert!(kept(&bridged).await.unwrap().to_string().contains("rmcp again"));
    assert!(states.load("s").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_change_is_lost_between_programs() {
    let folder = tempfile::tempdir().unwrap();
    let saves = (0..24).map(|number| {
        // A store of its own each: they share nothing but the folder.
        let store: Arc<dyn Store> = Arc::new(FileStore::open(folder.path()).unwrap());
        tokio::spawn(async move {
            let states = States::new(store, URL, "");
            let name = format!("login {number}");
            states.save(&name, login(&name, 0)).await.unwrap();
        })
    });
    for save in saves.collect::<Vec<_>>() {
        save.await.unwrap();
    }
    let store: Arc<dyn Store> = Arc::new(FileStore::open(folder.path()).unwrap());
    let states = States::new(store, URL, "");
    for number in 0..24 {
        let name = format!("login {number}");
        let found = states.load(&name).await.unwrap().expect("it is there");
        assert_eq!(found.pkce_verifier, format!("verifier of {name}"));
    }
}

#[tokio::test]
async fn logins_end() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let states = States::new(Arc::clone(&store), URL, "");
    states.delete("never").await.unwrap();
    states.save("stale", login("stale", 2 * 60 * 60)).await.unwrap();
    assert!(states.load("stale").await.unwrap().is_none());
    for number in 0..100 {
        let name = number.to_string();
        states.save(&name, login(&name, 200 - number)).await.unwrap();
    }
    let mut found = BTreeSet::new();
    for number in 0..100 {
        if states.load(&number.to_string()).await.unwrap().is_some() {
            found.insert(number);
        }
    }
    assert_eq!(found, (68..100).collect());
    for number in 0..100 {
        states.delete(&number.to_string()).await.unwrap();
    }
    assert!(states.load("99").await.unwrap().is_none());
    let left = String::from_utf8(bytes(&*store, &key(&*store))).unwrap();
    assert!(!left.contains("verifier"), "{left}");
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_and_stays_host_269() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let credentials_ = Credentials::new(Arc::clone(&store), URL, "");
    credentials_.save(credentials("t")).await.unwrap();
    let key = key(&*store);
    let sound = bytes(&*store, &key);
    let moved = String::from_utf8(sound.clone()).unwrap().replace("mcp.example", "evil.example");
    for (damage, expected) in [
        (b"".as_slice(), "store_corrupt"),
        (b"{", "store_corrupt"),
        (b"{\"format\":1}", "store_corrupt"),
        (b"{\"format\":1,\"name\":\"\",\"value\":7}", "store_corrupt"),
        (moved.as_bytes(), "store_corrupt"),
        (&[0xff; 40], "store_corrupt"),
        (b"{\"format\":2,\"value\":\"new\"}", "store_version"),
    ] {
        put(&*store, &key, damage);
        assert_eq!(code(&credentials_.load().await.unwrap_err()), expected);
        let error = credentials_.save(credentials("other")).await.unwrap_err();
        assert_eq!(code(&error), expected);
        assert_eq!(bytes(&*store, &key), damage, "it is not written over");
        assert!(!format!("{error:?} {error}").contains("t-refresh"));
        // Clearing is what a person does about a damaged record; a newer version's is not damaged.
        let cleared = credentials_.clear().await;
        assert_eq!(cleared.is_ok(), expected == "store_corrupt");
    }
    assert_eq!(format!("{credentials_:?}"), "Credentials");
}

#[tokio::test]
async fn a_store_that_fails_says_so() {
    let store: Arc<dyn Store> = Arc::new(mcp_authz_driver::ports::NoStore);
    let credentials_ = Credentials::new(Arc::clone(&store), URL, "");
    assert_eq!(code(&credentials_.load().await.unwrap_err()), "store_unavailable");
    let error = credentials_.save(credentials("t")).await.unwrap_err();
    assert_eq!(code(&error), "store_unavailable");
    assert_eq!(code(&credentials_.clear().await.unwrap_err()), "store_unavailable");
    let refused = credentials_.acquire_refresh_guard().await.err().unwrap();
    assert_eq!(code(&refused), "store_unavailable");
}

#[tokio::test]
async fn one_program_refreshes_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let store: Arc<dyn Store> = Arc::new(FileStore::open(folder.path()).unwrap());
        Credentials::new(store, URL, "")
    };
    let (one, other) = (open(), open());
    let guard = one.acquire_refresh_guard().await.unwrap().unwrap();
    let short = Duration::from_millis(200);
    assert!(timeout(short, other.acquire_refresh_guard()).await.is_err(), "it waits");
    // Loading and saving go on meanwhile.
    one.save(credentials("new")).await.unwrap();
    assert!(kept(&other).await.unwrap().to_string().contains("new"));
    drop(guard);
    let long = Duration::from_secs(20);
    let guard = timeout(long, other.acquire_refresh_guard()).await.unwrap().unwrap();
    assert!(guard.is_some());
}
