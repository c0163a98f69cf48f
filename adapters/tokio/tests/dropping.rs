//! Callers and runtimes that go away.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

use core::time::Duration;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use mcp_authz_core::Config;
use mcp_authz_core::effect::{Holder, RecordKind, StoreRequest, Stored, Told};
use mcp_authz_core::scope::ScopeSet;
use mcp_authz_driver::DriveError;
use mcp_authz_driver::ports::{Common, Observer, Store};
use mcp_authz_host::store::MemoryStore;
use mcp_authz_tests::model::Endpoint;
use mcp_authz_tests::serve::{Served, embedded};
use mcp_authz_tokio::{AuthSession, Client};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

/// A person whose browser is this program, and who may be away.
#[derive(Clone, Default)]
struct Person {
    away: bool,
    redirect: Arc<Mutex<Option<String>>>,
}

impl Observer for Person {
    fn told(&self, told: &Told) {
        let Told::Open(visit) = told else { return };
        *self.redirect.lock().unwrap() = Some(visit.redirect_uri.clone());
        let url = visit.url().to_owned();
        if !self.away {
            std::thread::spawn(move || {
                let there = browse(&url);
                let location = there.lines().find_map(|line| line.strip_prefix("location: "));
                browse(location.unwrap());
            });
        }
    }
}

fn browse(url: &str) -> String {
    use std::io::{Read, Write};
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn session(served: &Served, person: &Person, store: &MemoryStore) -> AuthSession {
    let (observer, store) = (Arc::new(person.clone()), Arc::new(store.clone()));
    let common = Common { observer, store, ..Common::default() };
    let config = Config::builder(served.mcp_url()).persistent(true).build().unwrap();
    Client::builder().build().unwrap().session(config, common)
}

fn none() -> ScopeSet {
    ScopeSet::empty()
}

async fn port_of(person: &Person) -> String {
    loop {
        if let Some(redirect) = person.redirect.lock().unwrap().clone() {
            let rest = redirect.strip_prefix("http://").unwrap();
            return rest.split('/').next().unwrap().to_owned();
        }
        sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_dropped_caller_takes_no_refresh_with_it() {
    Runtime::new().unwrap().block_on(async {
        let served = embedded(|settings| settings.server.tokens.access_life_s = 1).unwrap();
        let (person, store) = (Person::default(), MemoryStore::new());
        let session = session(&served, &person, &store);
        let first = session.acquire(&none(), true).await.unwrap().outcome.unwrap();
        served.lock().set(|settings| {
            settings.delays.insert(Endpoint::Token, 300);
        });
        sleep(Duration::from_millis(1100)).await;
        served.lock().clear_seen();
        let dropped = timeout(Duration::from_millis(50), session.acquire(&none(), true)).await;
        assert!(dropped.is_err());
        session.quiet().await;
        assert_eq!(served.lock().count(Endpoint::Token), 1);
        assert!(session.granted().unwrap().epoch() > first.epoch());
        // It was saved, too.
        let other = self::session(&served, &person, &store);
        served.lock().set(|settings| settings.delays.clear());
        let _whatever = other.acquire(&none(), false).await.unwrap();
        let refused =
            served.lock().seen_at(Endpoint::Token).filter(|seen| seen.status != 200).count();
        assert_eq!(refused, 0);
    });
}

#[test]
fn the_last_caller_takes_the_login_with_it_host_195() {
    Runtime::new().unwrap().block_on(async {
        let served = embedded(|_| {}).unwrap();
        let person = Person { away: true, ..Person::default() };
        let session = session(&served, &person, &MemoryStore::new());
        let two = [session.clone(), session.clone()]
            .map(|session| tokio::spawn(async move { session.acquire(&none(), true).await }));
        let [first, second] = two;
        let port = port_of(&person).await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        sleep(Duration::from_millis(50)).await;
        assert!(TcpStream::connect(&port).is_ok(), "the other one still waits");
        second.abort();
        let _cancelled = second.await;
        sleep(Duration::from_millis(50)).await;
        assert!(TcpStream::connect(&port).is_err());
    });
}

#[test]
fn an_idle_session_costs_no_task() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let served = embedded(|_| {}).unwrap();
        let session = session(&served, &Person::default(), &MemoryStore::new());
        session.acquire(&none(), true).await.unwrap().outcome.unwrap();
        session.quiet().await;
        let metrics = runtime.metrics();
        timeout(Duration::from_secs(8), async {
            while metrics.num_alive_tasks() > 0 {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .expect("a task stays");
        assert!(session.acquire(&none(), true).await.unwrap().outcome.is_ok());
        assert_eq!(metrics.num_alive_tasks(), 0);
    });
}

#[test]
fn one_thread_is_enough() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let served = embedded(|_| {}).unwrap();
        let session = session(&served, &Person::default(), &MemoryStore::new());
        let callers: Vec<_> = (0..20)
            .map(|_| {
                let session = session.clone();
                tokio::spawn(async move {
                    yield_now().await;
                    session.acquire(&none(), true).await.unwrap().outcome.is_ok()
                })
            })
            .collect();
        for caller in callers {
            assert!(caller.await.unwrap());
        }
        assert_eq!(served.lock().count(Endpoint::Token), 1);
    });
}

#[test]
fn callers_hear_that_the_runtime_is_gone() {
    let served = embedded(|_| {}).unwrap();
    let person = Person { away: true, ..Person::default() };
    let doomed = Runtime::new().unwrap();
    let session = {
        let _entered = doomed.enter();
        session(&served, &person, &MemoryStore::new())
    };
    let other = Runtime::new().unwrap();
    let waiting = session.clone();
    let waiter = other.spawn(async move { waiting.acquire(&none(), true).await });
    other.block_on(port_of(&person));
    doomed.shutdown_timeout(Duration::from_secs(1));
    other.block_on(async {
        let settled = timeout(Duration::from_secs(5), waiter).await.unwrap().unwrap();
        assert_eq!(settled.unwrap_err(), DriveError::Stopped);
        let again = timeout(Duration::from_secs(5), session.acquire(&none(), true)).await;
        assert_eq!(again.unwrap().unwrap_err(), DriveError::Stopped);
    });
}

/// The lease goes with the runtime, although the session is still held.
#[test]
fn a_runtime_that_ends_in_mid_refresh_leaves_no_lease() {
    let served = embedded(|settings| settings.server.tokens.access_life_s = 1).unwrap();
    let (person, store) = (Person::default(), MemoryStore::new());
    let doomed = Runtime::new().unwrap();
    let session = {
        let _entered = doomed.enter();
        session(&served, &person, &store)
    };
    doomed.block_on(session.acquire(&none(), true)).unwrap().outcome.unwrap();
    served.lock().set(|settings| {
        settings.delays.insert(Endpoint::Token, 5_000);
    });
    std::thread::sleep(Duration::from_millis(1_100));
    served.lock().clear_seen();
    let waiting = session.clone();
    let waiter = doomed.spawn(async move { waiting.acquire(&none(), false).await });
    while !leased(&store) {
        std::thread::sleep(Duration::from_millis(5));
    }
    doomed.shutdown_timeout(Duration::from_secs(2));
    assert!(!leased(&store));
    drop((waiter, session));
    assert!(!leased(&store));
}

fn leased(store: &MemoryStore) -> bool {
    let (key, _) = store.list(RecordKind::Grant).unwrap().remove(0);
    let holder = Holder(u64::MAX);
    let busy = store.perform(StoreRequest::Lease { key: key.clone(), holder });
    store.perform(StoreRequest::Release { key, holder, withdraw: None });
    busy == Stored::Busy
}

#[test]
fn a_ready_made_client_that_followed_a_redirect_is_caught_host_055() {
    use mcp_authz_core::effect::{Reply, Why};
    use mcp_authz_driver::ports::AsyncHttp;
    use mcp_authz_driver::testing::server::{Server, ok};
    use mcp_authz_driver::testing::{get, limits, maybe_sent};
    Runtime::new().unwrap().block_on(async {
        let elsewhere = Server::saying(ok("hello"));
        let server = Server::saying(format!(
            "HTTP/1.1 307 Moved\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
            elsewhere.here()
        ));
        // Each answer is the last of its connection: one that is kept would race with its end.
        let theirs = reqwest::Client::builder().pool_max_idle_per_host(0);
        let client = Client::builder().danger().ready_made_client(theirs.build().unwrap());
        let client = client.build().unwrap();
        let reply = client.http().send(get(&server.here()), &limits()).await;
        maybe_sent(reply, &[Why::Redirected]);
        let reply = client.http().send(get(&elsewhere.here()), &limits()).await;
        assert!(matches!(reply, Reply::Answered(_)));
    });
}
