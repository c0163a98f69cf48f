//! A machine without descriptors: every runtime, the listener and the store say that it is this
//! machine's fault. Alone in its process, since the limit is the process's.
#![cfg(target_os = "linux")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that goes wrong panics"
)]
#![forbid(unsafe_code)]

use std::fs::File;
use std::net::TcpListener;

use mcp_authz_core::address::Addresses;
use mcp_authz_core::effect::{
    Holder, Key, ListenOn, LoopbackHost, RecordKind, Reply, Spend, StoreRequest, Stored, Why,
};
use mcp_authz_core::failure::Kind;
use mcp_authz_driver::arrivals::Arrivals;
use mcp_authz_driver::dial::{self, exhausted};
use mcp_authz_driver::ports::{AsyncHttp, Http, Listener, Store};
use mcp_authz_driver::testing::{get, limits};
use mcp_authz_host::listener::Loopback;
use mcp_authz_host::store::FileStore;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Few enough to be used up at once, and more than the runtimes need.
const FEW: u64 = 256;

/// Takes every descriptor that is left.
fn take_all() -> Vec<File> {
    core::iter::repeat_with(|| File::open("/dev/null")).map_while(Result::ok).collect()
}

#[test]
fn a_machine_without_descriptors_is_named_by_every_part_host_281() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path()).unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let ureq = mcp_authz_ureq::Client::builder().build().unwrap();
    let tokio = mcp_authz_tokio::Client::builder().runtime(runtime.handle().clone());
    let tokio = tokio.build().unwrap();
    let async_std = mcp_authz_async_std::Client::builder().build().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}/mcp");
    let answers = || {
        [
            ureq.http().send(get(&url), &limits()),
            runtime.block_on(tokio.http().send(get(&url), &limits())),
            async_std::task::block_on(async_std.http().send(get(&url), &limits())),
        ]
    };
    // Everything is opened that is opened once.
    for reply in answers() {
        assert!(matches!(reply, Reply::NotSent(Why::Connect)), "{reply:?}");
    }
    let key = Key { kind: RecordKind::Grant, name: "k".to_owned() };
    let load = || store.perform(StoreRequest::Load { key: key.clone() });
    assert_eq!(load(), Stored::Loaded(None));

    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(FEW), ..before }).unwrap();
    let taken = take_all();
    for (reply, runtime) in answers().into_iter().zip(["ureq", "tokio", "async-std"]) {
        assert!(matches!(reply, Reply::NotSent(Why::Exhausted)), "{runtime}: {reply:?}");
    }
    let unknown = dial::permitted(&dial::System, "name.invalid", Addresses::Any);
    assert_eq!(unknown, Err(Why::Exhausted), "not that there is no such name");
    let on = ListenOn { host: LoopbackHost::V4, port: None, path: "/callback".to_owned() };
    assert!(exhausted(&Loopback::new().bind(&on, Arrivals::new(|_, _| {})).unwrap_err()));
    let failed = Stored::Failed(Kind::MachineExhausted);
    let spend = Spend::Refresh { generation: 1, attempt: 0 };
    let holder = Holder(1);
    assert_eq!(load(), failed);
    assert_eq!(store.perform(StoreRequest::Lease { key: key.clone(), holder }), failed);
    assert_eq!(store.perform(StoreRequest::Intend { key: key.clone(), spend, holder }), failed);
    assert_eq!(store.list(RecordKind::Grant), Err(Kind::MachineExhausted));
    let error = FileStore::open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), Kind::MachineExhausted);
    assert!(error.to_string().contains("limits"), "{error}");
    drop(taken);
    setrlimit(Resource::Nofile, before).unwrap();

    for reply in answers() {
        assert!(matches!(reply, Reply::NotSent(Why::Connect)), "{reply:?}");
    }
    assert_eq!(load(), Stored::Loaded(None));
}
